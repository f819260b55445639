"""Channels that take nothing now: since when, why, and when one mail is tried again."""

from typing import Any

import sqlalchemy as sa

from engine.instants import Instant
from engine.store import Outage
from engine.stores.driver import Driver
from engine.stores.tables import outages

_FIELDS = Outage.__struct_fields__


def read(connection: sa.Connection) -> list[Outage]:
    """All of them, by channel."""
    query = sa.select(*(outages.c[name] for name in _FIELDS)).order_by(outages.c.channel)
    return [Outage(**{**row._asdict(), "ours": bool(row.ours)}) for row in connection.execute(query)]


def put(connection: sa.Connection, driver: Driver, one: Outage) -> None:
    """Say that a channel takes nothing; it does so since when that was said first."""
    row: dict[str, Any] = {name: getattr(one, name) for name in _FIELDS} | {"ours": int(one.ours)}
    insert = driver.upsert(outages)
    new = {name: insert.excluded[name] for name in _FIELDS if name not in {"channel", "since"}}
    connection.execute(insert.on_conflict_do_update(index_elements=[outages.c.channel], set_=new), [row])


def try_again(connection: sa.Connection, one: Outage, until: Instant) -> bool:
    """Take the trial of a channel until then; of two at once, one finds it taken."""
    here = outages.c.channel == one.channel, outages.c.until == one.until, outages.c.failures == one.failures
    return bool(connection.execute(sa.update(outages).where(*here).values(until=until)).rowcount)


def end(connection: sa.Connection, channel: str) -> None:
    """Say that it takes mails again."""
    connection.execute(sa.delete(outages).where(outages.c.channel == channel))
