"""Words that people typed about somebody who is forgotten: reasons of stops, rejections and corrections, the audit.

What is bound to the account loses every name of the person; all else only what can be nobody else's: an address, a full
name, a telephone number. A first name alone may be another customer's.
"""

import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from engine.rulebook.reporting import REPORTED
from engine.stores.codec import decode, encode
from engine.stores.tables import audit, choices, events, inbox, outreach, outreach_changes, stops, suppressions

RECALLED = "recalled: "
"""How the reason of a mail begins that somebody recalled; what they typed follows."""
_IDS = re.compile(rb"[0-9a-f]{32}")
_DIGITS = 7
"""So many digits make a number that is somebody's."""


def redact(connection: sa.Connection, account_id: str, names: Iterable[str], new: str) -> None:
    """Put ``new`` in the place of these names in what was typed about the account, or may be about it.

    Reasons that Ringfirst gives itself hold no name, and stay.
    """
    wanted = list(names)
    every, own = _pattern(wanted), _pattern(name for name in wanted if _is_nobody_elses(name))
    rows, changes = outreach.c, outreach_changes.c
    mine = sa.select(rows.outreach_id).where(rows.account_id == account_id)
    typed = sa.or_(rows.state == "rejected", rows.why.startswith(RECALLED))
    _reasons(connection, outreach, (rows.account_id == account_id, typed), every, new)
    typed = sa.or_(changes.after == "rejected", changes.why.startswith(RECALLED))
    _reasons(connection, outreach_changes, (changes.outreach_id.in_(mine), typed), every, new)
    _reasons(connection, stops, (stops.c.account_id == account_id,), every, new)
    _reasons(connection, stops, (), own, new)
    _reasons(connection, suppressions, (), own, new, column="reason")
    _reasons(connection, choices, (), own, new, column="by")
    _corrections(connection, account_id, every, new)
    ids = frozenset(connection.execute(mine).scalars())
    for row in connection.execute(sa.select(audit.c.seq, audit.c.detail)).all():
        detail = decode(row.detail)
        why = detail.get("why")
        bound = account_id in detail.values() or not ids.isdisjoint(one.decode() for one in _IDS.findall(row.detail))
        told = _without(why, every if bound else own, new) if isinstance(why, str) else why
        if told != why:
            here = audit.c.seq == row.seq
            connection.execute(sa.update(audit).where(here).values(detail=encode({**detail, "why": told})))


def _corrections(connection: sa.Connection, account_id: str, names: re.Pattern[str] | None, new: str) -> None:
    """Why reports of the account were issued again, in its log and on the way there."""
    here = events.c.account_id == account_id, events.c.type == REPORTED
    for row in connection.execute(sa.select(*events.c["lane", "position", "body"]).where(*here)).all():
        body = _corrected(decode(row.body), names, new)
        if body is not None:
            # A digest goes with what it was of, as where an id is swapped.
            mine = events.c.lane == row.lane, events.c.position == row.position
            connection.execute(sa.update(events).where(*mine).values(body=encode(body), digest=bytes(16)))
    waits = inbox.c.account_id == account_id, inbox.c.kind == "event"
    for row in connection.execute(sa.select(*inbox.c["lane", "seq", "body"]).where(*waits)).all():
        told = decode(row.body) if REPORTED.encode() in row.body else {}
        body = _corrected(told.get("properties") or {}, names, new)
        if body is not None:
            mine = inbox.c.lane == row.lane, inbox.c.seq == row.seq
            connection.execute(sa.update(inbox).where(*mine).values(body=encode({**told, "properties": body})))


def _corrected(properties: Any, names: re.Pattern[str] | None, new: str) -> dict[str, Any] | None:
    """The properties of a report with another reason for its correction; None where it names nobody."""
    why = properties.get("correction")
    told = _without(why, names, new) if isinstance(why, str) else why
    return None if told == why else {**properties, "correction": told}


def _reasons(
    connection: sa.Connection,
    table: sa.Table,
    conditions: Iterable["sa.ColumnElement[bool]"],
    names: re.Pattern[str] | None,
    new: str,
    *,
    column: str = "why",
) -> None:
    keys, typed = list(table.primary_key.columns), table.c[column]
    rows = connection.execute(sa.select(typed, *keys).where(typed.is_not(None), *conditions)).all()
    for why, *key in rows:
        told = _without(why, names, new)
        if told != why:
            here = [column == value for column, value in zip(keys, key, strict=True)]
            connection.execute(sa.update(table).where(*here).values({column: told}))


def _without(text: str, names: re.Pattern[str] | None, new: str) -> str:
    return text if names is None else names.sub(lambda _: new, text)


def _pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    """Any of these names as whole words, the longest first; None for no name at all."""
    wanted = sorted({one.strip() for one in names if one.strip()}, key=lambda one: (-len(one), one))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, wanted))})(?!\w)", re.IGNORECASE) if wanted else None


def _is_nobody_elses(name: str) -> bool:
    return "@" in name or " " in name.strip() or sum(one.isdigit() for one in name) >= _DIGITS
