"""A lane's part of the portfolio, kept from step to step: only accounts whose values may have changed are read anew."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import msgspec

from engine.account import FOREVER, PORTFOLIO, Account
from engine.instants import Instant
from engine.measures.measure import Data, Moment, exact_turns, not_yet_full, span_of
from engine.numbers import Exact, exactly
from engine.program import Program, ThingProgram
from engine.rulebook.spec import Measure
from engine.slots import KeptOfThing, KeptValue, OpenThings, Spells
from engine.values import Value
from engine.views import AccountView, Slot, ThingView

Things = dict[str, dict[str, dict[str, Exact]]]
"""Measures of things in exact millionths, by kind, id and name."""


class Part(msgspec.Struct, gc=False):
    """What one account adds, as of when it was read: good until an event comes, and before ``until``."""

    looks: int
    until: Instant
    values: dict[str, Exact]
    things: Things


class Total:
    """Exact values of one measure, sorted, and their sum."""

    def __init__(self) -> None:
        self.sum: Exact = 0
        self.rows: list[Exact] = []

    def change(self, old: Exact | None, new: Exact | None) -> None:
        """Put a value in the place of another; None is none."""
        if old == new:
            return
        if old is not None:
            self.sum -= old
            del self.rows[bisect_left(self.rows, old)]
        if new is not None:
            self.sum += new
            insort(self.rows, new)

    def written(self, *, every: bool) -> dict[str, Any]:
        """As it is stored: exact numbers are text; ``every`` value only for a median."""
        rows = self.rows
        return {
            "n": len(rows),
            "sum": str(self.sum),
            "least": str(rows[0]) if rows else None,
            "most": str(rows[-1]) if rows else None,
            "rows": [str(row) for row in rows] if every else [],
        }


class Sums:
    """The measures of one thing, added over the accounts that have it."""

    def __init__(self) -> None:
        self.accounts = 0
        self.known: dict[str, int] = {}
        self.exact: dict[str, Exact] = {}

    def change(self, row: Mapping[str, Exact], by: int) -> None:
        """Add an account's measures (``by`` 1) or take them away (-1)."""
        self.accounts += by
        for name, exact in row.items():
            self.known[name] = self.known.get(name, 0) + by
            self.exact[name] = self.exact.get(name, 0) + exact * by

    def written(self) -> dict[str, str]:
        """What somebody knows, as it is stored."""
        return {name: str(exact) for name, exact in self.exact.items() if self.known[name]}


class Parts:
    """All accounts' parts under one program, and what they come to. One that was just made reads everything anew."""

    def __init__(self) -> None:
        self._begin(None)

    def _begin(self, program: Program | None) -> None:
        self._program = program
        self.by_account: dict[str, Part] = {}
        self._totals = {measure.name: Total() for measure in program.whole} if program else {}
        self._things: dict[str, dict[str, Sums]] = {}

    def share(self, accounts: Iterable[Account], program: Program, at: Instant) -> dict[str, Any]:
        """The lane's part as of ``at``, as ``portfolio.share`` describes it."""
        if program is not self._program:
            self._begin(program)
        parts = self.by_account
        for account in accounts:
            part = parts.get(account.id)
            if part is None or part.looks != account.looks or part.until <= at:
                self._read(account, program, part, at)
        values = {one.name: self._totals[one.name].written(every=one.take == "median") for one in program.whole}
        things = {kind: {key: ids[key].written() for key in sorted(ids)} for kind, ids in self._things.items()}
        return {"accounts": values, "things": things}

    def _read(self, account: Account, program: Program, old: Part | None, at: Instant) -> None:
        if account.id == PORTFOLIO or account.program is not program:
            return
        view, whole = account.view(at), account.view(at, program.zone)
        values, things, until = _of_account(program, view, whole)
        new = self.by_account[account.id] = Part(account.looks, until, values, things)
        before = old.values if old is not None else {}
        for name, total in self._totals.items():
            total.change(before.get(name), new.values.get(name))
        for kind, rows in new.things.items():
            self._change(kind, old.things[kind] if old is not None else {}, rows)

    def _change(self, kind: str, old: Mapping[str, dict[str, Exact]], new: Mapping[str, dict[str, Exact]]) -> None:
        sums = self._things.setdefault(kind, {})
        for key, row in new.items():
            before = old.get(key)
            if before == row:
                continue
            one = sums.get(key)
            if one is None:
                one = sums[key] = Sums()
            if before is not None:
                one.change(before, -1)
            one.change(row, 1)
        for key in old.keys() - new.keys():
            sums[key].change(old[key], -1)
            if not sums[key].accounts:
                del sums[key]


def exact_of(text: str) -> Exact:
    """An exact number from its text.

    >>> exact_of("3000000"), exact_of("5/7")
    (3000000, Fraction(5, 7))
    """
    return Fraction(text) if "/" in text else int(text)


def _of_account(program: Program, view: AccountView, whole: AccountView) -> tuple[dict[str, Exact], Things, Instant]:
    """What an account adds, and the first instant at which that may be something else if no event comes before.

    ``whole`` is the same account in the policy's zone: the days of things in the portfolio are counted there.
    """
    values: dict[str, Exact] = {}
    things: Things = {}
    until = FOREVER
    for measure in program.whole:
        if measure.segment:
            inside, turn = view[program.slot(measure.segment)], view.moment.zone.next_midnight(view.moment.at)
            until = min(until, turn)
            if inside is not True:
                continue
        exact, turn = _value(program.slots[program.slot(measure.prop)], view)
        until = min(until, turn)
        if exact is not None:
            values[measure.name] = exact
    for kind, thing in program.things.items():
        if thing.spec.portfolio:
            rows = things[kind] = {}
            for one in thing.all_views(whole):
                rows[one.id], turn = _of_thing(thing, one)
                until = min(until, turn)
    return values, things, until


def _of_thing(thing: ThingProgram, view: ThingView) -> tuple[dict[str, Exact], Instant]:
    row: dict[str, Exact] = {}
    until = FOREVER
    for measure in thing.spec.measures:
        slot = thing.slots[thing.slot(measure.name)]
        if isinstance(slot, KeptOfThing) and slot.tells:
            data = view.state.kept[slot.index] if view.state.kept else slot.kept.fresh()
            exact, turn = _counted(slot, data, view, view.state.seen)
        else:
            exact, turn = _read(slot, view)
        until = min(until, turn)
        if exact is not None:
            row[measure.name] = exact
    return row, until


def _value(slot: Slot, view: AccountView) -> tuple[Exact | None, Instant]:
    """A value in exact millionths, None for what is unknown or no number; and when it may turn."""
    if isinstance(slot, KeptValue) and slot.tells:
        return _counted(slot, view.state.kept[slot.index], view, slot.since(view))
    if isinstance(slot, OpenThings) and slot.tells:
        return _exactly(slot.read(view)), FOREVER
    if isinstance(slot, Spells) and slot.tells:
        acts, zone = list(slot.acts(view)), view.moment.zone
        exact = slot.spec.window.kind == "exact"
        times = [(when,) for when, _ in acts] if exact else {zone.day(when) for when, _ in acts}
        return _exactly(slot.of(acts, view)), _turn(
            slot.spec, times, view.watched if slot.spec.full else view.seen, view.moment
        )
    return _read(slot, view)


def _counted(
    slot: KeptValue | KeptOfThing, data: Data, view: AccountView | ThingView, seen: Instant | None
) -> tuple[Exact | None, Instant]:
    kept: Any = slot.kept
    exact = kept.exact(data, seen, view.moment)
    if exact is None:
        exact = _exactly(kept.read(data, seen, view.moment))
    return exact, _turn(kept.spec, data, seen, view.moment)


def _read(slot: Slot, view: AccountView | ThingView) -> tuple[Exact | None, Instant]:
    """The value of a slot that cannot tell when it turns: it may at midnight, or, if it moves, at any instant."""
    moment = view.moment
    return _exactly(slot.read(view)), moment.at if slot.moves else moment.zone.next_midnight(moment.at)


def _exactly(value: Value) -> Exact | None:
    return exactly(value) if isinstance(value, float) else None


def _turn(spec: Measure, data: Data, seen: Instant | None, moment: Moment) -> Instant:
    """When a window next gains or loses something of what is kept: by day or, in an exact one, by instant."""
    window = spec.window
    if window.kind == "exact":
        turns = exact_turns(spec, (row[0] for row in data), seen)
        return min((turn for turn in turns if turn > moment.at), default=FOREVER)
    if window.kind == "calendar" or not_yet_full(spec, seen, moment):
        return moment.zone.next_midnight(moment.at)
    if window.kind == "ever":
        return FOREVER
    first, last = span_of(spec, moment.today)
    days = min((day - last if day > last else day - first + 1 for day in data if day >= first), default=None)
    return FOREVER if days is None else moment.zone.start(moment.today + days)
