"""Claiming many mails in one transaction: each is asked about with those in view that were claimed before it."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from engine.instants import HOUR, Instant
from engine.store import NOTE, Contact, Ramp, RuleMails, Standing, Stop, Wanted, Watch
from engine.stores import mails, persons, rule_mails, stops
from engine.stores.around import Around, Elsewhere
from engine.stores.driver import Driver
from engine.stores.many import Among
from engine.stores.tables import outreach

Claimed = tuple[list[str], Any]
"""The ids that are claimed, and the objection."""
_ABOUT = sa.select(*outreach.c["outreach_id", "account_id", "rule", "to", "due_at"]).where(
    Among(outreach.c.outreach_id, "the_ids")
)
Rows = Sequence["sa.Row[Any]"]


def about(connection: sa.Connection, ids: Sequence[str]) -> dict[str, "sa.Row[Any]"]:
    """Account, rule, reader and due time of these mails."""
    return {row.outreach_id: row for row in connection.execute(_ABOUT, {"the_ids": list(ids)})}


def claim(
    connection: sa.Connection,
    driver: Driver,
    wanted: Sequence[Wanted],
    *,
    since: Instant,
    at: Instant,
    by: str,
    channel: str,
) -> list[Claimed]:
    """Claim mails in their order, unless something stands against one."""
    batch = _Batch(connection, driver, wanted, since=since, at=at, channel=channel)
    found = [batch.claimed(one) for one in wanted]
    mails.write(connection, batch.moves, by=by)
    return found


class _Batch:
    """What stands around the mails of a batch, asked once, and how it changes while they are claimed."""

    def __init__(
        self,
        connection: sa.Connection,
        driver: Driver,
        wanted: Sequence[Wanted],
        *,
        since: Instant,
        at: Instant,
        channel: str,
    ) -> None:
        ids = [name for one in wanted for name in one.rows]
        self._at, self._channel = at, channel
        self._about = about(connection, ids)
        accounts, rules = {row.account_id for row in self._about.values()}, {row.rule for row in self._about.values()}
        stops.hold(connection, driver)
        self._stops = stops.against(connection, accounts=accounts, rules=rules, channel=channel)
        # All names at once: two who take them one by one can wait for each other.
        driver.lock(connection, self._names(wanted))
        customers, ours = [one for one in wanted if not one.ours], [one for one in wanted if one.ours]
        self._around = Around(
            connection,
            since,
            accounts={one.account_id for one in customers},
            persons={one.person for one in customers},
            ours={one.person for one in ours},
        )
        across = [one for one in wanted if one.across is not None]
        self._elsewhere = Elsewhere(
            connection,
            {row.rule for one in across for row in self._rows(one)},
            {one.person for one in across},
            min((one.across for one in across if one.across is not None), default=0),
        )
        self._wishes = persons.wishes_of(connection, {one.person for one in wanted})
        self._ramps = self._slow(connection)
        self._counts = self._counted(connection, wanted)
        self._there = mails.lock_free(connection, ids)
        self.moves: list[mails.Written] = []

    def claimed(self, one: Wanted) -> Claimed:
        """Claim one that is still to be had: not one that the engine holds, or has planned anew, since it was read."""
        rows = self._rows(one)
        objection = one.may(self._standing(one, rows))
        if objection is not None:
            return [], objection
        free = [name for name in one.rows if name in self._there and self._is_free(self._there[name])]
        if free:
            known = {"person": one.person, "mail_id": free[0]}
            self.moves += [mails.Written(self._there[name], "claimed", None, self._at, known) for name in free]
            self._count(one, [self._about[name] for name in free])
        return free, None

    def _is_free(self, row: "sa.Row[Any]") -> bool:
        return row.state in {"queued", "held"} and row.due_at <= self._at

    def _rows(self, one: Wanted) -> Rows:
        return [self._about[name] for name in one.rows if name in self._about]

    def _names(self, wanted: Sequence[Wanted]) -> list[str]:
        names = [f"person {one.person}" for one in wanted]
        names += [f"account {one.account_id}" for one in wanted if not one.ours]
        names += [f"rule {one.watch.rule}" for one in wanted if one.watch is not None]
        return names + [f"ramp {one.scope} {one.name}" for one in self._stops if one.per_hour is not None]

    def _standing(self, one: Wanted, rows: Rows) -> Standing:
        rules, due_at = {row.rule for row in rows}, min((row.due_at for row in rows), default=0)
        contacts = self._around.notes(one.person) if one.ours else self._around.contacts(one.account_id, one.person)
        return Standing(
            contacts,
            found := self._against(rows),
            [
                Ramp(stop, *self._ramps[stop])
                for stop in found
                if stop.scope != "review" and stop.per_hour is not None and due_at <= stop.at
            ],
            self._wishes[one.person],
            RuleMails() if one.watch is None else self._counts[one.watch].mails,
            [] if one.across is None else self._elsewhere.of(rules, one.account_id, one.person, one.across),
        )

    def _against(self, rows: Rows) -> list[Stop]:
        accounts, rules = {row.account_id for row in rows}, {row.rule for row in rows}
        return [
            one for one in self._stops if stops.concerns(one, accounts=accounts, rules=rules, channel=self._channel)
        ]

    def _slow(self, connection: sa.Connection) -> dict[Stop, tuple[int, int]]:
        """Of what goes on slowly, how much of what had waited has left: since then, and in the last hour."""
        slow = [one for one in self._stops if one.scope != "review" and one.per_hour is not None]
        return {
            one: (stops.left(connection, one, one.at), stops.left(connection, one, self._at - HOUR)) for one in slow
        }

    def _counted(self, connection: sa.Connection, wanted: Sequence[Wanted]) -> "dict[Watch, _Count]":
        accounts: dict[Watch, set[str]] = {}
        for one in wanted:
            if one.watch is not None:
                accounts.setdefault(one.watch, set()).add(one.account_id)
        found: dict[Watch, _Count] = {}
        for watch, named in accounts.items():
            about_it = [one for one in self._stops if one.name == watch.rule]
            counted = rule_mails.count(connection, watch, about_it)
            known = rule_mails.accounts_of(connection, watch, about_it, named)
            found[watch] = _Count(watch, rule_mails.reset_at(about_it), counted, known)
        return found

    def _count(self, one: Wanted, rows: Rows) -> None:
        """What is claimed stands around those that follow."""
        rules = sorted({row.rule for row in rows})
        if one.ours:
            self._around.add(Contact(self._at, NOTE, rules[0], one.account_id, one.person))
        else:
            for rule in rules:
                self._around.add(Contact(self._at, "mail", rule, one.account_id, one.person, rows[0].to))
            self._elsewhere.add(rules, one.account_id, one.person, self._at)
            for count in self._counts.values():
                if count.watch.rule in rules:
                    count.add(one.account_id, self._at)
        for stop in self._against(rows):
            if stop in self._ramps and stop.at <= self._at and any(row.due_at <= stop.at for row in rows):
                since, hour = self._ramps[stop]
                self._ramps[stop] = since + 1, hour + 1


class _Count:
    """The mails of one rule, counted before the batch, and on while it is claimed."""

    def __init__(self, watch: Watch, reset: Instant, counted: RuleMails, accounts: set[str]) -> None:
        self.watch, self.mails = watch, counted
        self._reset, self._accounts = reset, accounts

    def add(self, account_id: str, at: Instant) -> None:
        more: dict[str, int] = {}
        if at > max(self.watch.since, self._reset):
            more["within"] = self.mails.within + 1
        if at > max(self.watch.day, self._reset) and account_id not in self._accounts:
            self._accounts.add(account_id)
            more["accounts"] = self.mails.accounts + 1
        if self.watch.most and at >= self.watch.version:
            more["left"] = self.mails.left + 1
        self.mails = msgspec.structs.replace(self.mails, **more)
