"""The stop switch: what must not leave, asked in the transaction in which a mail is claimed or handed over.

Who hands a mail over holds the switch shared, who turns it holds it alone: once a stop is committed, nothing that was
not being handed over already leaves any more.
"""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from engine.instants import Instant
from engine.store import Stop
from engine.stores.driver import Driver
from engine.stores.mails import LEFT, MAIL
from engine.stores.many import Among
from engine.stores.tables import outreach, stops

SWITCH = "stop switch"
_FIELDS = Stop.__struct_fields__

_ORDER = stops.c.at, stops.c.scope, stops.c.name
_AGAINST = (
    sa.select(*(stops.c[name] for name in _FIELDS))
    .where(
        sa.or_(
            stops.c.scope == "all",
            sa.and_(stops.c.scope == "channel", stops.c.name == sa.bindparam("the_channel")),
            sa.and_(stops.c.scope.in_(("rule", "review")), Among(stops.c.name, "the_rules")),
            sa.and_(stops.c.scope == "account", Among(stops.c.name, "the_accounts")),
        )
    )
    .order_by(*_ORDER)
)
"""Made once: it is asked in every transaction in which mails are claimed or handed over."""


def put(connection: sa.Connection, driver: Driver, one: Stop) -> bool:
    """Turn the switch off; returns False, and leaves the first reason, when it was off already."""
    driver.lock(connection, [SWITCH])
    here = stops.c.scope == one.scope, stops.c.name == one.name
    found = connection.execute(sa.select(stops.c.per_hour).where(*here)).one_or_none()
    if found is not None and found.per_hour is None:
        return False
    connection.execute(sa.delete(stops).where(*here))
    connection.execute(sa.insert(stops).values(**_row(one)))
    return True


def lift(connection: sa.Connection, driver: Driver, one: Stop) -> Stop | None:
    """Turn it on again: as ``one`` says, slowly, or without a trace. Returns what stood there."""
    driver.lock(connection, [SWITCH])
    here = stops.c.scope == one.scope, stops.c.name == one.name
    found = next(iter(read(connection, here)), None)
    if found is not None:
        connection.execute(sa.delete(stops).where(*here))
    if found is not None and one.per_hour is not None:
        connection.execute(sa.insert(stops).values(**_row(one)))
    return found


def read(connection: sa.Connection, conditions: Sequence["sa.ColumnElement[bool]"] = ()) -> list[Stop]:
    """What is stopped or goes on slowly, the oldest first."""
    query = sa.select(*(stops.c[name] for name in _FIELDS)).where(*conditions)
    return [Stop(*row) for row in connection.execute(query.order_by(*_ORDER))]


def hold(connection: sa.Connection, driver: Driver) -> None:
    """Let nobody turn the switch until the transaction ends. Before any mail is locked: who turns it goes first too."""
    driver.share(connection, SWITCH)


def against(
    connection: sa.Connection, *, accounts: Collection[str], rules: Collection[str], channel: str
) -> list[Stop]:
    """What concerns mails of these rules to these accounts by a channel; who asks holds the switch."""
    named = {"the_channel": channel, "the_rules": sorted(rules), "the_accounts": sorted(accounts)}
    return [Stop(*row) for row in connection.execute(_AGAINST, named)]


def concerns(one: Stop, *, accounts: Collection[str], rules: Collection[str], channel: str) -> bool:
    """Is a mail of these rules and accounts, by this channel, among what it names?"""
    named: dict[str, Collection[str]] = {"all": ("",), "channel": (channel,), "account": accounts}
    return one.name in named.get(one.scope, rules)


def left(connection: sa.Connection, one: Stop, since: Instant) -> int:
    """Of what had waited and goes on slowly, how much has left since then."""
    c = outreach.c
    conditions = [c.state.in_(LEFT), c.state_at >= max(one.at, since), c.due_at <= one.at]
    if one.scope in {"rule", "account"}:
        conditions.append((c.rule if one.scope == "rule" else c.account_id) == one.name)
    return int(connection.execute(sa.select(sa.func.count(sa.distinct(MAIL))).where(*conditions)).scalar_one())


def _row(one: Stop) -> dict[str, object]:
    values = {name: getattr(one, name) for name in _FIELDS}
    return {**values, "account_id": one.name if one.scope == "account" else None}
