"""Measures of age: how long since something happened, how long a value has stood, how often a date was put off."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from engine.instants import Instant
from engine.log import Event
from engine.measures.measure import Data, Happening, Moment, double, hour_turns, hours, insert, passes, unless_one
from engine.numbers import MILLION, millionths
from engine.rulebook.spec import Measure, Types
from engine.values import Value, nested, read_date

_MARKS: dict[str | None, tuple[str, ...]] = {
    None: ("t", "\0n", "\0b"),
    "text": ("t",),
    "number": ("\0n",),
    "true/false": ("\0b",),
    "personal": ("\0b",),
    "list": ("\0l",),
}
"""By declared type: how the kept values of that type begin (see ``_plain``)."""


class Since:
    """``days_since``, ``hours_since`` (the last event) and ``days_since_first`` (the first)."""

    def __init__(self, spec: Measure) -> None:
        self.spec = spec
        self._first = spec.verb == "days_since_first"
        self._scale = unless_one(spec.times)

    def fresh(self) -> Data:
        """It never happened."""
        return None

    def fold(self, data: Data, happening: Happening) -> Data:
        """Keep the last (or first) instant."""
        if self.spec.where and not passes(self.spec.where, happening.event):
            return data
        if data is None:
            return happening.time
        return min(data, happening.time) if self._first else max(data, happening.time)

    def read(self, data: Data, seen: Instant | None, moment: Moment) -> Value:
        """Days or hours since; what never happened counts from when the subject was first seen."""
        base = self._base(data, seen)
        if base is None:
            return None
        if self.spec.verb == "hours_since":
            return hours(moment.at - base)
        return double((moment.today - moment.zone.day(base)) * MILLION, self._scale)

    def turns(self, data: Data, seen: Instant | None, moment: Moment, constants: Sequence[float]) -> Iterable[Instant]:
        """Hours turn where they reach a constant."""
        del moment
        base = self._base(data, seen)
        return hour_turns(base, constants) if self.spec.verb == "hours_since" and base is not None else ()

    def evidence(self, events: Sequence[Happening], moment: Moment) -> list[Happening]:
        """The one event it counts from."""
        types = self.spec.types
        found = [
            row
            for row in events
            if types is not None
            and types.match(row.event.type)
            and row.time <= moment.at
            and passes(self.spec.where, row.event)
        ]
        return found[:1] if self._first else found[-1:]

    def rests_on_never(self, data: Data) -> bool:
        """Does the value stand on something that never happened?"""
        return data is None and not self.spec.never_unknown and not self._first

    def _base(self, data: Data, seen: Instant | None) -> Instant | None:
        if data is not None or self._first or self.spec.never_unknown:
            return int(data) if data is not None else None
        return seen


class _History:
    """Keeps every value that a trait or property had, in the order of time."""

    def __init__(self, spec: Measure, sources: Types, declared: str | None = None) -> None:
        self.spec = spec
        self.sources = sources
        self._declared = declared
        self._path = tuple(spec.prop.split("."))
        self._scale = unless_one(spec.times)

    def fresh(self) -> Data:
        """No value yet."""
        return []

    def fold(self, data: Data, happening: Happening) -> Data:
        """Keep what the event says of the property, if it names it."""
        event = happening.event
        if self._names(event):
            raw = nested(event.properties, self._path)
            insert(data, [happening.time, happening.position, _plain(raw)])
        return data

    def evidence(self, events: Sequence[Happening], moment: Moment) -> list[Happening]:
        """The events that named the property."""
        return [row for row in events if row.time <= moment.at and self._names(row.event)]

    def turns(self, data: Data, seen: Instant | None, moment: Moment, constants: Sequence[float]) -> Iterable[Instant]:
        """Only events and midnights turn it."""
        del data, seen, moment, constants
        return ()

    def _names(self, event: Event) -> bool:
        return self.sources.match(event.type) and self._path[0] in event.properties


class HeldDays(_History):
    """``held_days``: how many days the present value has stood."""

    def read(self, data: Data, seen: Instant | None, moment: Moment) -> Value:
        """Days since the day on which the present run of equal values began; unknown without a value."""
        del seen
        value = self._typed(data[-1][2], moment) if data else None
        if value is None:
            return None
        begin = moment.at
        for row in reversed(data):
            if self._typed(row[2], moment) != value:
                break
            begin = row[0]
        return double((moment.today - moment.zone.day(begin)) * MILLION, self._scale)

    def _typed(self, kept: str | None, moment: Moment) -> object:
        """A kept value as its declared type: what is not of it is unknown, and no part of a run."""
        if kept is None:
            return None
        mark = kept[:2] if kept.startswith("\0") else "t"
        if self._declared == "date":
            found = read_date(kept, moment.zone) if mark == "t" else None
            return None if found is None else found.at
        return kept if mark in _MARKS[self._declared] else None


class MovedLater(_History):
    """``moved_later``: how often the newest date gave way to a later one."""

    def read(self, data: Data, seen: Instant | None, moment: Moment) -> Value:
        """The count; values that are no date are skipped."""
        del seen
        return double(self.moves(data, moment) * MILLION, self._scale)

    def moves(self, data: Data, moment: Moment) -> int:
        """How often, as a whole number."""
        dates = [found.at for row in data if (found := read_date(row[2], moment.zone)) is not None]
        return sum(after > before for before, after in pairwise(dates))


def _plain(raw: object) -> object:
    """A value as a snapshot can hold it and as equal values stay equal: text as it is, anything else by its text."""
    if raw is None or isinstance(raw, str):
        return raw
    exact = millionths(raw)
    if exact is not None:
        return f"\0n{exact}"
    if isinstance(raw, bool):
        return f"\0b{raw}"
    return f"\0l{raw!r}" if isinstance(raw, (list, tuple)) else "\0?"  # a number beyond the limits, a mapping
