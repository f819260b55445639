"""An account that is forgotten leaves the reports of others: sums stay, and nothing says whose a part of them was."""

from collections.abc import Collection, Iterator
from typing import Any

import msgspec
import sqlalchemy as sa

from engine.reported import parts_in, without_account
from engine.rulebook.reporting import REPORTED
from engine.stores import sent, tables
from engine.stores.codec import decode, encode, mentions

_BODIES = (
    (tables.events, ("lane", "position"), "body"),
    (tables.decisions, ("decision_id",), "frozen"),
    (tables.outreach, ("outreach_id",), "frozen"),
    (tables.log, ("lane", "position"), "body"),
    (tables.inbox, ("lane", "seq"), "body"),
    (tables.outbox, ("seq",), "body"),
)


def told_in(connection: sa.Connection, account_id: str) -> frozenset[str]:
    """The other accounts whose reports tell of one, issued or waiting for their lane."""
    reported, waiting = tables.events.c, tables.inbox.c
    rows = [
        *connection.execute(sa.select(reported.account_id, reported.body).where(reported.type == REPORTED)),
        *connection.execute(sa.select(waiting.account_id, waiting.body).where(waiting.kind == "event")),
    ]
    return frozenset(
        row.account_id for row in rows if row.account_id != account_id and account_id in _parts(row.body, account_id)
    )


def leave(connection: sa.Connection, account_id: str, others: Collection[str]) -> None:
    """Take an account out of all that is kept of other accounts' reports."""
    for other in sorted(others):
        names: set[str] = set()
        for table, keys, name in _BODIES:
            _rewrite(connection, table, keys, name, (other, account_id), names)
        sent.drop_mentioning(connection, other, account_id, names)
        for table in (tables.approvals, tables.snapshots):  # approved words hold names; snapshots are made anew
            connection.execute(sa.delete(table).where(table.c.account_id == other))


def _rewrite(
    connection: sa.Connection,
    table: sa.Table,
    keys: Collection[str],
    name: str,
    whose: tuple[str, str],
    names: set[str],
) -> None:
    other, account_id = whose
    query = sa.select(table).where(table.c.account_id == other).with_for_update()
    if table is tables.events:
        query = query.where(table.c.type == REPORTED)
    for row in connection.execute(query).all():
        raw = getattr(row, name)
        told = _read(raw, account_id)
        without = without_account(told, account_id)
        if without == told:
            continue
        names.update(_names(told, account_id))
        # A digest goes with what it was of: a hash would let whoever guesses an id confirm it.
        new = {name: encode(without), **({"digest": bytes(16)} if table is tables.events else {})}
        here = [table.c[key] == getattr(row, key) for key in keys]
        connection.execute(sa.update(table).where(*here).values(new))


def _read(raw: bytes | None, account_id: str) -> Any:
    if not raw or not mentions(raw, account_id):
        return None
    try:
        return decode(raw)
    except msgspec.DecodeError:
        return None


def _parts(raw: bytes, account_id: str) -> set[str]:
    told = _read(raw, account_id)
    properties = told.get("properties", told) if isinstance(told, dict) else {}
    return set(parts_in(properties.get("figures"))) if isinstance(properties, dict) else set()


def _names(told: Any, account_id: str) -> Iterator[str]:
    """What it is called where its figures stand."""
    inside = told.values() if isinstance(told, dict) else told if isinstance(told, list) else ()
    if isinstance(told, dict) and told.get("account_id") == account_id and isinstance(told.get("name"), str):
        yield told["name"]
    for one in inside:
        yield from _names(one, account_id)
