"""The contract of measures: what is kept of an account's events, and how a value is read from it."""

from bisect import insort
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from engine.instants import HOUR, Instant
from engine.log import Event
from engine.numbers import millionths, scaled, to_double
from engine.rulebook.spec import Measure, Test
from engine.values import Value, nested
from engine.zones import Day, Zone, calendar_window

Data = Any
"""What a measure keeps for one subject: plain lists, dicts and scalars, so that a snapshot can hold it."""
LONG_AGO = -(2**62)


class Happening(msgspec.Struct, gc=False):
    """An event on its way into state: ``time`` is its effective time, ``day`` its local day, ``now`` the lane clock."""

    time: Instant
    position: int
    event: Event
    day: Day
    now: Instant


class Moment(msgspec.Struct, gc=False):
    """The instant at which values are read, in the account's zone."""

    at: Instant
    today: Day
    zone: Zone


class Kept(Protocol):
    """A measure that keeps something of events. ``seen`` is when its subject was first seen."""

    spec: Measure

    def fresh(self) -> Data:
        """What is kept before any event."""
        ...

    def fold(self, data: Data, happening: Happening) -> Data:
        """What is kept after one more event; order never matters for the value."""
        ...

    def read(self, data: Data, seen: Instant | None, moment: Moment) -> Value:
        """The value as of a moment that is not before any folded event."""
        ...

    def turns(self, data: Data, seen: Instant | None, moment: Moment, constants: Sequence[float]) -> Iterable[Instant]:
        """Instants at which the value, or its comparison with one of the constants, may turn without an event."""
        ...

    def evidence(self, events: Sequence[Happening], moment: Moment) -> list[Happening]:
        """Of the subject's events those that the value rests on, in order."""
        ...


def passes(tests: Sequence[Test], event: Event) -> bool:
    """Do all tests of a ``where`` match the event's properties?"""
    return not tests or all(matches(test, nested(event.properties, test.path)) for test in tests)


def matches(test: Test, raw: object) -> bool:
    """Does one JSON value match? A missing one matches only ``known: false``."""
    there = is_there(raw)
    if test.op == "known":
        return there is test.operands[0]
    if not there:
        return False
    if test.op == "not":
        return not any(_same(raw, operand) for operand in test.operands)
    if test.op == "is":
        return any(_same(raw, operand) for operand in test.operands)
    return any(_ordered(test.op, raw, operand) for operand in test.operands)


def is_there(raw: object) -> bool:
    """Is a JSON value there: not null, and if a number, one within the limits?"""
    return raw is not None and not (_numeric(raw) and millionths(raw) is None)


def compare(op: str, left: Any, right: Any) -> bool:
    """``at_least``, ``more_than``, ``at_most`` or ``less_than``.

    >>> compare("at_least", 2, 2), compare("less_than", 2, 2)
    (True, False)
    """
    if op == "at_least":
        return bool(left >= right)
    if op == "more_than":
        return bool(left > right)
    return bool(left <= right) if op == "at_most" else bool(left < right)


def span_of(spec: Measure, today: Day) -> tuple[Day, Day]:
    """First and last local day of a window of days or of the calendar."""
    window = spec.window
    if window.kind == "calendar":
        return calendar_window(window.unit, today, previous=window.previous)
    last = today - window.shift
    return last - window.size + 1, last


def stretch_of(spec: Measure, moment: Moment) -> tuple[Instant, Instant]:
    """The window as instants: after the first, up to and including the second."""
    window = spec.window
    if window.kind == "ever":
        return LONG_AGO, moment.at
    if window.kind == "exact":
        return moment.at - window.shift - window.size, moment.at - window.shift
    first, last = span_of(spec, moment.today)
    return moment.zone.start(first) - 1, min(moment.zone.start(last + 1) - 1, moment.at)


def scale_of(spec: Measure, today: Day) -> Fraction:
    """``times`` divided by the window's days or weeks."""
    if spec.per is None:
        return spec.times
    days = Fraction(spec.window.size, 24 * HOUR)
    if spec.window.kind != "exact":
        first, last = span_of(spec, today)
        days = Fraction(last - first + 1)
    return spec.times / days if spec.per == "day" else spec.times * 7 / days


def not_yet_full(spec: Measure, seen: Instant | None, moment: Moment) -> bool:
    """Does ``full: true`` make the value unknown: the window begins before its subject was first seen?"""
    if not spec.full or spec.window.kind == "ever":
        return False
    begin = stretch_of(spec, moment)[0] + (spec.window.kind != "exact")
    return seen is None or begin < seen


def exact_turns(spec: Measure, times: Iterable[Instant], seen: Instant | None) -> Iterator[Instant]:
    """When events enter and leave an exact window, and when it is first full."""
    window = spec.window
    for time in times:
        if window.shift:
            yield time + window.shift
        yield time + window.shift + window.size
    if spec.full and seen is not None:
        yield seen + window.shift + window.size


def hour_turns(base: Instant, constants: Sequence[float], *, down: bool = False) -> Iterator[Instant]:
    """When hours since (or, ``down``, until) ``base`` reach one of the constants: the milliseconds around it.

    A look too many changes nothing, one too few would; three milliseconds hold every turn of ``==``, ``<`` and ``<=``.
    """
    for constant in constants:
        whole = _whole(constant)
        middle = base - whole if down else base + whole
        yield from (middle - 1, middle, middle + 1, middle + 2)


@lru_cache(maxsize=4096)
def _whole(constant: float) -> int:
    """An exact number of hours as whole milliseconds, rounded down."""
    return int(Fraction(constant) * HOUR // 1)


def hours(amount: int) -> float:
    """Milliseconds as exact hours, the nearest double."""
    return amount / HOUR


def insert(rows: list[Any], row: Any) -> None:
    """Keep rows sorted; new ones nearly always belong at the end."""
    if not rows or rows[-1] <= row:
        rows.append(row)
    else:
        insort(rows, row)


def double(amount: int, scale: Fraction | None) -> float:
    """Millionths times a scale as the nearest double; no scale is one."""
    return to_double(amount) if scale is None else scaled(amount, scale)


def unless_one(scale: Fraction) -> Fraction | None:
    """No scale at all where it is one: comparing fractions for every value read would cost more than reading it."""
    return None if scale == 1 else scale


def _numeric(raw: object) -> bool:
    return not isinstance(raw, (str, bool, list, dict, tuple)) and raw is not None


def _same(raw: object, operand: object) -> bool:
    if _numeric(raw) and _numeric(operand):
        return millionths(raw) == millionths(operand)
    return type(raw) is type(operand) and raw == operand


def _ordered(op: str, raw: object, operand: object) -> bool:
    if isinstance(raw, str) and isinstance(operand, str):
        return compare(op, raw, operand)
    if _numeric(raw) and _numeric(operand):
        left, right = millionths(raw), millionths(operand)
        return left is not None and right is not None and compare(op, left, right)
    return False
