"""A day's events of one sheet, gathered by what counts them and folded as arrays, all at once."""

from collections.abc import Iterable
from itertools import repeat
from sys import intern
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.columns.layout import Ring
from engine.columns.sheet import Handler, Narrow, Sheet, counted_by, open_tests
from engine.columns.table import Table, value_of
from engine.log import Event
from engine.measures.counts import different
from engine.measures.measure import LONG_AGO, passes
from engine.rulebook.spec import Test

MOST = 4_096
"""So many events are folded at once at most: with it no sum of theirs leaves 64 bits."""
UNSEEN = -(2**31)
Rows = NDArray[np.int64]
Tests = tuple[Test, ...]


class Pile:
    """Events of one type (and one value of its telling property) with the rows they belong to."""

    __slots__ = ("events", "first", "found", "latest", "narrow", "prop", "rings", "rows", "value")

    def __init__(self, narrow: Narrow, prop: str, value: str | None) -> None:
        self.narrow = narrow
        self.prop = prop
        self.value = value
        self.rows: list[int] = []
        self.events: list[Event] = []
        self.found: Rows = np.empty(0, np.int64)
        """``rows`` as an array, while a fold lasts."""
        self.rings: list[tuple[Ring, Tests]] = []
        self.latest: list[tuple[str, Tests, list[str]]] = []
        """Columns of ``days_since``: the column, the tests still open, and the trends that begin anew."""
        self.first: list[tuple[str, Tests, list[str]]] = []
        """The same for ``days_since_first``."""

    def passing(self, tests: Tests) -> tuple[Rows, list[Event]]:
        """The rows and events that pass these tests."""
        if not tests:
            return self.found, self.events
        inside = [at for at, event in enumerate(self.events) if passes(tests, event)]
        return self.found[inside], [self.events[at] for at in inside]


class Piles:
    """The piles of one event type, and what tells whether an event of it belongs to a thing."""

    __slots__ = ("by_value", "default", "handler", "ids", "person", "prop")

    def __init__(self, handler: Handler, default: Pile, by_value: dict[str, Pile]) -> None:
        self.handler = handler
        self.prop = handler.prop
        self.ids = handler.ids
        self.person = handler.person
        self.default = default
        self.by_value = by_value


class Gathered:
    """What a sheet's day has brought and its columns do not hold yet. The order of events does not matter here."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self.types: dict[str, Piles | None] = {}
        self._piles: list[Pile] = []
        self._rings: dict[str, Ring] = {}
        self.count = 0

    def piles(self, event_type: str) -> Piles | None:
        """The piles of a type; None when its events are not gathered."""
        if event_type not in self.types:
            self.types[event_type] = self._made(event_type)
        return self.types[event_type]

    def _made(self, event_type: str) -> Piles | None:
        handler = self._sheet.handlers.get(event_type) or self._sheet.handler(event_type)
        if handler.default is None:
            return None
        by_value = {value: self._pile(event_type, handler, value) for value in handler.by_value}
        return Piles(handler, self._pile(event_type, handler, None), by_value)

    def _pile(self, event_type: str, handler: Handler, value: str | None) -> Pile:
        scope = self._sheet.layout.scopes[""]
        narrow = handler.default if value is None else handler.by_value[value]
        assert narrow is not None, "a type without printed code is not gathered"  # noqa: S101 - the caller's part
        pile = Pile(narrow, handler.prop, value)
        self._piles.append(pile)
        rings: dict[str, Ring] = {}
        for index in counted_by(self._sheet.layout, event_type, handler.prop, value):
            tests = open_tests(scope.kept[index].spec.where, handler.prop, value)
            if index in scope.runs:
                rings[scope.runs[index][0].name] = scope.runs[index][0]
            elif index in scope.since:
                column = scope.since[index]
                trends = [one.name for one in scope.trends.values() if one.since == column]
                latest = scope.kept[index].spec.verb == "days_since"
                (pile.latest if latest else pile.first).append((column, tests, trends))
        for ring in rings.values():
            pile.rings.append((ring, open_tests(ring.spec.where, handler.prop, value)))
        self._rings.update(rings)
        return pile

    # -- folding ---------------------------------------------------------------------------------------------------
    def fold(self) -> list[int]:
        """Fold all of it into the columns; gives rows with sums beyond what columns hold (``WildError``)."""
        self.count = 0
        piles = [pile for pile in self._piles if pile.rows]
        for pile in piles:
            pile.found = np.array(pile.rows, dtype=np.int64)
        wild: set[int] = set()
        table = self._sheet.tables[""]
        for ring in self._rings.values():
            parts = [(pile, tests) for pile in piles for one, tests in pile.rings if one is ring]
            if parts:
                wild.update(_FOLDS[ring.spec.verb](table, ring, parts))
        for pile in piles:
            self._since(table, pile)
            pile.rows, pile.events = [], []
        self._sheet.bind()  # an array may have given way to a wider one
        return sorted(wild)

    @staticmethod
    def _since(table: Table, pile: Pile) -> None:
        for column, tests, trends in pile.latest:
            rows, events = pile.passing(tests)
            np.maximum.at(table.arrays[column], rows, _times(events))
            for name in trends:
                table.arrays[name][rows] = 0.0
        for column, tests, trends in pile.first:
            rows, events = pile.passing(tests)
            instants = table.arrays[column]
            fresh = rows[instants[rows] == LONG_AGO]
            instants[fresh] = np.iinfo(np.int64).max
            np.minimum.at(instants, rows, _times(events))
            for name in trends:
                table.arrays[name][fresh] = 0.0


def _times(events: Iterable[Event]) -> Rows:
    return np.array([event.time for event in events], dtype=np.int64)


def _rows(parts: list[tuple[Pile, Tests]]) -> Rows:
    return np.concatenate([pile.passing(tests)[0] for pile, tests in parts])


def _to_today(table: Table, ring: Ring, amounts: Rows) -> Rows:
    """Add an amount for each row to today, wherever it fits; gives what today then holds."""
    day = table.today % ring.days
    totals: Rows = table.arrays[ring.name][day, : amounts.size] + amounts
    most = int(np.abs(totals).max(initial=0))
    if most > np.iinfo(table.arrays[ring.name].dtype).max:
        table.widen(ring, most)
    table.arrays[ring.name][day, : amounts.size] = totals
    return totals


def _count(table: Table, ring: Ring, parts: list[tuple[Pile, Tests]]) -> Iterable[int]:
    amounts = np.bincount(_rows(parts), minlength=table.rows)
    if ring.days:
        _to_today(table, ring, amounts)
    for run in ring.runs:
        if not run.shift:
            table.arrays[run.name][: amounts.size] += amounts.astype(table.arrays[run.name].dtype)
    return ()


def _sum(table: Table, ring: Ring, parts: list[tuple[Pile, Tests]]) -> Iterable[int]:
    found: list[tuple[int, int]] = []
    for pile, tests in parts:
        rows, events = pile.passing(tests)
        values = [(row, value_of(ring, event)) for row, event in zip(rows.tolist(), events, strict=True)]
        found += [one for one in values if one[1] is not None]
    wild = {row for row, amount in found if not -ring.limit < amount < ring.limit}
    amounts = np.zeros(table.rows, dtype=np.int64)
    tame = [one for one in found if one[0] not in wild]
    np.add.at(amounts, [row for row, _ in tame], [amount for _, amount in tame])
    if ring.days:
        wild.update(np.nonzero(np.abs(_to_today(table, ring, amounts)) >= ring.limit)[0].tolist())
    for run in ring.runs:
        if not run.shift:
            sums = table.arrays[run.name]
            sums[: amounts.size] += amounts.astype(sums.dtype)
            if not ring.days:
                wild.update(np.nonzero(np.abs(sums[: amounts.size]) >= ring.limit)[0].tolist())
    return wild


def _days_active(table: Table, ring: Ring, parts: list[tuple[Pile, Tests]]) -> Iterable[int]:
    seen = np.bincount(_rows(parts), minlength=table.rows) > 0
    rows = seen.nonzero()[0]
    if ring.days:
        today = table.arrays[ring.name][table.today % ring.days]
        rows = rows[today[rows] == 0]
        today[rows] = 1
    else:
        marks = [table.marked(ring, row) for row in rows.tolist()]
        fresh = [table.today not in days for days in marks]
        for days in marks:
            days[table.today] = 1
        rows = rows[fresh]
    for run in ring.runs:
        if not run.shift:
            table.arrays[run.name][rows] += 1
    return ()


def _unique(table: Table, ring: Ring, parts: list[tuple[Pile, Tests]]) -> Iterable[int]:
    today, everything = table.today, table.marks[ring.name]
    stamp = today if ring.days else 0
    changed: list[int] = []
    before: list[int] = []
    for pile, tests in parts:
        for row, value in _met(ring, pile, tests):
            marks = everything[row]
            if marks is None:
                marks = everything[row] = {}
            day = marks.get(value, UNSEEN)
            if day != stamp and value is not None:
                marks[intern(value)] = stamp
                changed.append(row)
                before.append(day)
    _moved(table, ring, np.array(changed, dtype=np.int64), np.array(before, dtype=np.int64))
    return ()


def _met(ring: Ring, pile: Pile, tests: Tests) -> Iterable[tuple[int, Any]]:
    """Rows, and what a ``unique`` tells apart."""
    rows, events = (pile.passing(tests)[0].tolist(), pile.passing(tests)[1]) if tests else (pile.rows, pile.events)
    if ring.path == ("user_id",):
        return zip(rows, [event.user_id for event in events], strict=True)
    if pile.value is not None and ring.path == (pile.prop,):
        return zip(set(rows), repeat(different(pile.value)), strict=False)
    return zip(rows, [value_of(ring, event) for event in events], strict=True)


def _moved(table: Table, ring: Ring, rows: Rows, before: Rows) -> None:
    """Values were met today that were last met on these days: they count as of today."""
    if ring.days:
        _to_today(table, ring, np.bincount(rows, minlength=table.rows))
        array = table.arrays[ring.name]
        held = before > table.today - ring.days
        np.subtract.at(array, (before[held] % ring.days, rows[held]), 1)
    for run in ring.runs:
        outside = rows[before <= table.today - run.size] if run.size else rows[before == UNSEEN]
        np.add.at(table.arrays[run.name], outside, 1)


_FOLDS: dict[str, Any] = {"count": _count, "sum": _sum, "days_active": _days_active, "unique": _unique}
