"""The columns of one kind of subject in one sheet: rows, their growth, folding out of turn, and the turn of a day."""

import sys
from collections.abc import Callable, Iterable
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.columns.layout import LARGEST, Acts, Leaf, Ring, Scope, Trend
from engine.columns.trends import NEVER
from engine.measures.counts import different
from engine.measures.measure import LONG_AGO, Data, Happening, Moment, passes
from engine.numbers import MILLION, millionths
from engine.values import nested
from engine.views import UNREAD
from engine.zones import Day, Zone

FIRST_ROWS = 16
GROWTH = 1.125
SMALL = 128
"""A small table is doubled, by so many rows at most: at the start of a worker its accounts all come at once."""
WIDTHS = tuple((np.dtype(kind), int(np.iinfo(kind).max)) for kind in (np.int8, np.int16, np.int32, np.int64))
"""How wide a ring may be: it begins narrow, and is made wider when one of its days outgrows it."""
MOST = dict(WIDTHS)
NARROW_RUNS = 2
"""Over rings of this many bytes a day or less no window outgrows 32 bits, for it has at most 800 days."""
SPARE_MARKS = 16


class WildError(Exception):
    """A sum beyond what columns hold exactly; the account is kept plainly from here on."""


class Table:
    """One row for each subject. ``owners`` says whose row it is: an account, or an account and a thing's id."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.today: Day = 0
        self.zone: Zone | None = None
        self._first = f"{scope.prefix}g"
        self.size = 0
        self.rows = 0
        self.free: list[int] = []
        self.owners: list[Any] = []
        self.arrays: dict[str, NDArray[Any]] = {}
        self.marks: dict[str, list[dict[Any, Day] | None]] = {}
        self.grown = 0
        self.moved: Callable[[], None] = lambda: None
        """Called when an array has given way to a wider one: printed code must see the new one."""
        self.soonest: dict[str, Day] = {}
        """By trend the first day on which one of its rows must be read anew; it may be too early, never too late."""
        self._fills: dict[str, tuple[Any, Any]] = {}
        self._numbers: dict[int, tuple[str, int, int, int]] = {}
        prefix = scope.prefix
        self._new(f"{prefix}alive", np.uint8, 0)
        self._new(f"{prefix}g", np.int32, NEVER)
        if scope.kind:
            self._new(f"{prefix}parent", np.int32, 0)
        for ring in scope.rings:
            if ring.days:
                self._new(ring.name, np.int32 if ring.spec.verb == "sum" else np.int8, 0, ring.days)
            for run in ring.runs:
                self._new(run.name, np.int32 if self._is_narrow(ring) else np.int64, 0)
            if ring.spec.verb == "unique" or (ring.spec.verb == "days_active" and not ring.days):
                self.marks[ring.name] = []
        for name in scope.opens.values():
            self._new(name, np.int64, 0)
        for name in scope.since.values():
            self._new(name, np.int64, LONG_AGO)
        for rule in scope.rules:
            self._new(f"{prefix}m{rule}", np.uint8, 0)
        self.follow(scope.leaves.values(), scope.trends.values())

    # -- columns and rows ------------------------------------------------------------------------------------------
    def follow(self, leaves: Iterable[Leaf], trends: Iterable[Trend]) -> None:
        """Make the columns of leaves and trends."""
        for leaf in leaves:
            self._new(leaf.name, *((np.uint8, 2) if leaf.name[len(self.scope.prefix)] == "k" else (np.float64, nan)))
        for trend in trends:
            self._new(trend.name, np.float64, nan)
            self._new(f"{trend.name}_step", np.int8, 0)
            self._new(f"{trend.name}_until", np.int32, NEVER)

    def _new(self, name: str, kind: Any, fill: Any, days: int = 0) -> None:
        self._fills[name] = (fill, days)
        self.arrays[name] = np.full((days, self.size) if days else self.size, fill, dtype=kind)

    def add(self, owner: Any) -> int:
        """A row for a subject, empty."""
        if self.free:
            row = self.free.pop()
            self.owners[row] = owner
        else:
            row = self.rows
            if row == self.size:
                self._grow()
            self.rows += 1
            self.owners.append(owner)
            for marks in self.marks.values():
                marks.append(None)
        self.arrays[f"{self.scope.prefix}alive"][row] = 1
        return row

    def drop(self, row: int) -> None:
        """Empty a row; it will be another's."""
        for name, array in self.arrays.items():
            fill, days = self._fills[name]
            if days:
                array[:, row] = fill
            else:
                array[row] = fill
        for marks in self.marks.values():
            marks[row] = None
        self.owners[row] = None
        self.free.append(row)

    def _grow(self) -> None:
        self.size = max(FIRST_ROWS, int(self.size * GROWTH) + 1, min(2 * self.size, self.size + SMALL))
        self.grown += 1
        for name, array in self.arrays.items():
            fill, days = self._fills[name]
            wider = np.full((days, self.size) if days else self.size, fill, dtype=array.dtype)
            wider[..., : array.shape[-1]] = array
            self.arrays[name] = wider

    def _is_narrow(self, ring: Ring) -> bool:
        return bool(ring.days) and self.arrays[ring.name].dtype.itemsize <= NARROW_RUNS

    def widen(self, ring: Ring, amount: int) -> None:
        """Make a ring so wide that a day of it holds an amount, and its runs so wide that no window outgrows them."""
        array = self.arrays[ring.name]
        wide = [kind for kind, most in WIDTHS if kind.itemsize > array.dtype.itemsize and -most <= amount <= most]
        if not wide:
            raise WildError
        self.arrays[ring.name] = array.astype(wide[0])
        if not self._is_narrow(ring):
            for run in ring.runs:
                self.arrays[run.name] = self.arrays[run.name].astype(np.int64)
        self.grown += 1
        self.moved()

    def _to_day(self, ring: Ring, row: int, day: Day, amount: int) -> int:
        """Add an amount to a day that the ring holds, and give the day's new amount."""
        at = day % ring.days
        total = int(self.arrays[ring.name][at, row]) + amount
        if not -ring.limit < total < ring.limit:
            raise WildError
        if abs(total) > MOST[self.arrays[ring.name].dtype]:
            self.widen(ring, total)
        self.arrays[ring.name][at, row] = total
        return total

    # -- days ------------------------------------------------------------------------------------------------------
    def turn(self, today: Day) -> None:
        """The next day begins: windows move on by one day, trends by one step."""
        rows = self.rows
        for ring in self.scope.rings:
            if not ring.days:
                continue
            array = self.arrays[ring.name]
            for run in ring.runs:
                sums = self.arrays[run.name]
                sums[:rows] -= array[(today - run.shift - run.size) % ring.days, :rows]
                if run.shift:
                    sums[:rows] += array[(today - run.shift) % ring.days, :rows]
            array[today % ring.days] = 0
        for trend in self.scope.trends.values():
            self.arrays[trend.name][:rows] += self.arrays[f"{trend.name}_step"][:rows]
        self.today = today

    def expired(self, trend: Trend) -> list[int]:
        """Rows whose number must be read anew today."""
        if self.soonest.get(trend.name, NEVER) > self.today:
            return []
        self.soonest[trend.name] = NEVER  # who is read anew says when the next time will be
        until = self.arrays[f"{trend.name}_until"][: self.rows]
        later = until[until > self.today]
        if later.size:
            self.soonest[trend.name] = int(later.min())
        return [int(row) for row in np.nonzero(until <= self.today)[0]]

    # -- folding out of turn ---------------------------------------------------------------------------------------
    def fold(self, row: int, own: list[Data], happening: Happening, routed: Iterable[int]) -> None:
        """Fold an event of any day into the measures it concerns. Raises ``WildError``."""
        done: set[str] = set()
        for index in routed:
            kept = self.scope.kept[index]
            if index in self.scope.runs:
                ring = self.scope.runs[index][0]
                if ring.name not in done:
                    done.add(ring.name)
                    self._count(ring, row, happening)
            elif index in self.scope.since:
                if passes(kept.spec.where, happening.event):
                    column, time = self.arrays[self.scope.since[index]], happening.time
                    before = int(column[row])
                    first = kept.spec.verb == "days_since_first" and before != LONG_AGO
                    column[row] = min(before, time) if first else max(before, time)
            else:
                at = self.scope.own.index(index)
                own[at] = kept.fold(own[at], happening)

    def _count(self, ring: Ring, row: int, happening: Happening) -> None:
        event, day = happening.event, happening.day
        if not passes(ring.spec.where, event):
            return
        value = value_of(ring, event)
        if value is not None:
            self.put(ring, row, day, value)

    def put(self, ring: Ring, row: int, day: Day, value: Any) -> None:
        """Count one value on a day, which may be long past."""
        verb = ring.spec.verb
        if verb == "unique":
            self._see(ring, row, day, value)
            return
        if verb == "days_active":
            if ring.days:
                known = day > self.today - ring.days and self.arrays[ring.name][day % ring.days, row]
            else:
                marks = self.marked(ring, row)
                known = day in marks
                marks[day] = 1
            if known:
                return
        self._shift(ring, row, day, value if verb == "sum" else 1)

    def _see(self, ring: Ring, row: int, day: Day, value: str) -> None:
        marks = self.marked(ring, row)
        before = marks.get(value)
        if before is not None and (before >= day or not ring.days):
            return
        if before is None and ring.days:
            inside = max(int(self.arrays[run.name][row]) for run in ring.runs)
            forget_outdated(marks, inside, self.today - ring.days)
        marks[sys.intern(value)] = day
        if ring.days:
            if before is not None and before > self.today - ring.days:
                self._to_day(ring, row, before, -1)
            if day > self.today - ring.days:
                self._to_day(ring, row, day, 1)
        for run in ring.runs:
            first = self.today - run.size
            inside = not run.size or day > first
            if inside and (before is None or (run.size and before <= first)):
                self._add(run.name, row, 1)

    def _add(self, name: str, row: int, amount: int) -> None:
        sums = self.arrays[name]
        total = int(sums[row]) + amount
        if not -LARGEST < total < LARGEST:
            raise WildError
        sums[row] = total

    def act(self, acts: Acts, row: int, day: Day, length: int, amount: int) -> None:
        """Add (``amount`` 1) or take away (-1) one act of a thing. Raises ``WildError``."""
        self._shift(acts.count, row, day, amount)
        self._shift(acts.length, row, day, length * amount)

    def marked(self, ring: Ring, row: int) -> dict[Any, Day]:
        """What a row has met, with the last day of each; for all-time ``days_active`` the days themselves."""
        found = self.marks[ring.name][row]
        if found is None:
            found = self.marks[ring.name][row] = {}
        return found

    # -- as plain data, and back -----------------------------------------------------------------------------------
    def data(self, index: int, row: int, own: list[Data]) -> Data:
        """What a measure keeps for a row, as the plain code keeps it."""
        scope = self.scope
        if index in scope.since:
            at = int(self.arrays[scope.since[index]][row])
            return None if at == LONG_AGO else at
        if index not in scope.runs:
            return own[scope.own.index(index)]
        ring, run = scope.runs[index]
        verb = ring.spec.verb
        if verb == "unique" or ring.name in self.marks:
            return self._marked(ring, row)
        if not ring.days:
            total = int(self.arrays[run.name][row])
            return {0: total} if total else {}
        array = self.arrays[ring.name][:, row]
        oldest = self.today - ring.days + 1
        return {day: int(amount) for day in range(oldest, self.today + 1) if (amount := array[day % ring.days])}

    def number(self, index: int, row: int, moment: Moment) -> Any:
        """The value of a measure that runs in a column, as the plain code gives it; ``UNREAD`` for any other."""
        if index not in self.scope.runs or moment.today != self.today or moment.zone is not self.zone:
            return UNREAD
        name, full, times, over = self._numbers.get(index) or self._number(index)
        if full and self.today - full + 1 < self.arrays[self._first].item(row):
            return None
        return self.arrays[name].item(row) * times / over

    def _number(self, index: int) -> tuple[str, int, int, int]:
        """How a measure is read: its run, how many days must be known (0: none), and its amounts times what, over what.

        Of whole numbers a quotient is the nearest double, as the plain code's is.
        """
        run, spec, scale = self.scope.runs[index][1], self.scope.kept[index].spec, self.scope.scales[index]
        times, over = (1, 1) if scale is None else (scale.numerator, scale.denominator)
        full = run.size + run.shift if spec.full and run.size else 0
        found = self._numbers[index] = (run.name, full, times, over * (MILLION if spec.verb == "sum" else 1))
        return found

    def _marked(self, ring: Ring, row: int) -> Data:
        marks = self.marks[ring.name][row] or {}
        if ring.spec.verb == "days_active":
            return dict(marks)
        found: dict[Day, dict[str, int]] = {}
        for value, day in marks.items():
            found.setdefault(day if ring.days else 0, {})[value] = 1
        return found

    def load(self, row: int, own: list[Data], kept: Iterable[Data]) -> None:
        """Take in what the plain code kept. Raises ``WildError``."""
        done: set[str] = set()
        for index, data in enumerate(kept):
            if index in self.scope.since:
                self.arrays[self.scope.since[index]][row] = LONG_AGO if data is None else data
            elif index not in self.scope.runs:
                own[self.scope.own.index(index)] = data
            else:
                ring = self.scope.runs[index][0]
                mine = max((run.size + run.shift for run in ring.runs), default=0)
                window = self.scope.kept[index].spec.window
                if ring.name not in done and mine == (window.size + window.shift if ring.days else 0):
                    done.add(ring.name)
                    self._load(ring, row, data)

    def _load(self, ring: Ring, row: int, data: Data) -> None:
        """Fill a ring from the plain data of its longest window."""
        if not data:
            return
        if ring.spec.verb == "unique":
            for day, bucket in data.items():
                for value in bucket:
                    self._see(ring, row, day, value)
            return
        if ring.name in self.marks:
            self.marked(ring, row).update(dict.fromkeys(data, 1))
        today = self.today
        if ring.days:
            for day, amount in data.items():
                if day > today - ring.days:
                    self._to_day(ring, row, day, amount)
        for run in ring.runs:
            last = today - run.shift
            total = sum([n for day, n in data.items() if not run.size or last - run.size < day <= last])
            self._add(run.name, row, total)

    def _shift(self, ring: Ring, row: int, day: Day, amount: int) -> None:
        """Add an amount to a day and to every window that holds it."""
        if not -ring.limit < amount < ring.limit:
            raise WildError
        if ring.days and day > self.today - ring.days:
            self._to_day(ring, row, day, amount)
        for run in ring.runs:
            if not run.size or self.today - run.shift - run.size < day <= self.today - run.shift:
                self._add(run.name, row, amount)

    def fresh_own(self) -> list[Data]:
        """What the measures without columns keep at first."""
        return [self.scope.kept[at].fresh() for at in self.scope.own]


def forget_outdated(marks: dict[Any, Day], inside: int, first: Day) -> None:
    """Forget values last seen on the day ``first`` or before, once they are more than those ``inside`` some window."""
    if len(marks) <= 2 * inside + SPARE_MARKS:
        return
    kept = [(value, day) for value, day in marks.items() if day > first]
    marks.clear()  # a dictionary gives its room back only when it is emptied
    marks.update(kept)


def value_of(ring: Ring, event: Any) -> Any:
    """What a ring counts of an event; None: nothing."""
    if not ring.path:
        return 1
    if ring.path == ("user_id",):
        return event.user_id
    raw = nested(event.properties, ring.path)
    if ring.spec.verb == "sum":
        return millionths(raw)
    return different(raw)
