"""Moving many mails in one transaction: each whole, or not at all."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from engine.feedback import Step
from engine.instants import Instant
from engine.store import Move
from engine.stores import arrivals, mails, persons, sent, stops
from engine.stores.driver import Driver
from engine.stores.tables import decisions


def packed(moves: Sequence[Move], at: Instant) -> dict[int, dict[str, object]]:
    """What is kept of those mails that leave, by their place among the moves; made before the transaction."""
    return {
        number: sent.packed(one.sent, at if one.at is None else one.at)
        for number, one in enumerate(moves)
        if one.sent is not None
    }


def move(
    connection: sa.Connection,
    driver: Driver,
    moves: Sequence[Move],
    kept: Mapping[int, Mapping[str, object]],
    *,
    at: Instant,
    by: str,
    lanes: int,
    unless_stopped: str | None,
) -> list[bool]:
    """Move those mails against which nothing stands."""
    ids = [step.outreach_id for one in moves for step in one.steps]
    if unless_stopped is not None:
        stops.hold(connection, driver)
    asked = [one for one in moves if one.may is not None]
    if asked:
        persons.hold(connection, driver, *(one.person for one in asked))
    wishes = persons.wishes_of(connection, {one.person for one in asked}) if asked else {}
    there = mails.lock(connection, ids)  # who forgets a person holds these too
    readers = [one.reader for one in moves if one.reader is not None]
    emails = persons.emails_of(connection, ((one.account_id, one.user_id) for one in readers)) if readers else {}
    free = [True] * len(moves) if unless_stopped is None else _not_stopped(connection, moves, there, unless_stopped)
    taken_back = _taken_back(
        connection, [there[step.outreach_id] for step in _still(moves) if step.outreach_id in there]
    )

    def goes(one: Move) -> bool:
        reader = one.reader
        if reader is not None and emails.get((reader.account_id, reader.user_id)) != reader.email:
            return False
        if one.may is not None and not one.may(wishes[one.person]):
            return False
        return all(
            (row := there.get(step.outreach_id)) is not None
            and row.state in step.before
            and step.planned_at in {None, row.at}
            and row.decision_id not in taken_back
            for step in one.steps
        )

    done = [is_free and goes(one) for is_free, one in zip(free, moves, strict=True)]
    moved = [(number, one) for number, one in enumerate(moves) if done[number]]
    mails.write(
        connection,
        [
            mails.Written(there[step.outreach_id], step.after, step.why, at if one.at is None else one.at, one.known)
            for _, one in moved
            for step in one.steps
        ],
        by=by,
    )
    sent.keep(connection, driver, [kept[number] for number, _ in moved if number in kept])
    letters = [letter for _, one in moved for step in one.steps for letter in step.inbox]
    if letters:
        arrivals.put_inbox(connection, driver, letters, lanes=lanes, at=at)
    return done


def _still(moves: Sequence[Move]) -> list[Step]:
    return [step for one in moves if one.still for step in one.steps]


def _taken_back(connection: sa.Connection, rows: Sequence["sa.Row[Any]"]) -> frozenset[str]:
    """The decisions of these mails that are planned no more; whoever takes one back holds its mails before that."""
    c = decisions.c
    ids = {row.decision_id for row in rows}
    query = sa.select(c.decision_id).where(c.decision_id.in_(ids), c.outcome != "planned")
    return frozenset(connection.execute(query).scalars()) if ids else frozenset()


def _not_stopped(
    connection: sa.Connection, moves: Sequence[Move], known: Mapping[str, "sa.Row[Any]"], channel: str
) -> list[bool]:
    """Of each whether it may leave; only those that are about to are asked. Nobody turns the switch meanwhile."""
    leaving = [any(step.after == "posting" for step in one.steps) for one in moves]
    ids = {step.outreach_id for one, leaves in zip(moves, leaving, strict=True) if leaves for step in one.steps}
    asked = [row for name, row in known.items() if name in ids]
    accounts, rules = {row.account_id for row in asked}, {row.rule for row in asked}
    found = stops.against(connection, accounts=accounts, rules=rules, channel=channel)
    on = [one for one in found if one.per_hour is None and one.scope != "review"]

    def stopped(one: Move) -> bool:
        rows = [known[step.outreach_id] for step in one.steps if step.outreach_id in known]
        named = {row.account_id for row in rows}, {row.rule for row in rows}
        return any(stops.concerns(stop, accounts=named[0], rules=named[1], channel=channel) for stop in on)

    return [not (leaves and stopped(one)) for one, leaves in zip(moves, leaving, strict=True)]
