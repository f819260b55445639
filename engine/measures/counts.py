"""Counting measures: how many, how much, how many different, over a window of events."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from engine.instants import Instant
from engine.measures.measure import (
    Data,
    Happening,
    Moment,
    double,
    exact_turns,
    insert,
    not_yet_full,
    passes,
    scale_of,
    span_of,
    stretch_of,
    unless_one,
)
from engine.numbers import MILLION, Exact, millionths
from engine.rulebook.spec import Measure
from engine.values import Value, nested, read

Bucket = Any
_ADDED = frozenset({"count", "sum"})
VALUED = frozenset({"sum", "average", "median", "minimum", "maximum"})


class Counting:
    """``count unique sum average median minimum maximum first last days_active``.

    Kept per local day (all time: in one bucket; exact windows: event by event), so that a late event finds its place.
    """

    def __init__(self, spec: Measure) -> None:
        self.spec = spec
        self._path = tuple(spec.prop.split(".")) if spec.prop else ()
        self._exact = spec.window.kind == "exact"
        self._add, self._result = _TALLIES[spec.verb]
        self._by_day = spec.window.kind != "ever" or spec.verb == "days_active"
        self._scale = unless_one(scale_of(spec, 0)) if spec.window.kind != "calendar" else None

    def fresh(self) -> Data:
        """Nothing yet."""
        return [] if self._exact else {}

    def fold(self, data: Data, happening: Happening) -> Data:
        """Count the event if it is one of ours and has the property."""
        event = happening.event
        if self.spec.where and not passes(self.spec.where, event):
            return data
        value = self._value(happening)
        if value is None:
            return data
        if self._exact:
            self._fold_exact(data, happening, value)
            return data
        day = happening.day if self._by_day else 0
        if day not in data:
            self._forget(data, happening)
        data[day] = self._add(data.get(day), value, happening.time, happening.position)
        return data

    def read(self, data: Data, seen: Instant | None, moment: Moment) -> Value:
        """The value over the window that ends at the moment (or ``ending`` before)."""
        spec = self.spec
        if spec.full and not_yet_full(spec, seen, moment):
            return None
        if spec.window.kind == "calendar":
            return self._result(self._buckets(data, moment), unless_one(scale_of(spec, moment.today)))
        return self._result(
            self._exact_buckets(data, moment) if self._exact else self._buckets(data, moment), self._scale
        )

    def exact(self, data: Data, seen: Instant | None, moment: Moment) -> Exact | None:
        """The value of a count or sum in millionths before any rounding, to be added over accounts; None if unknown."""
        if self.spec.verb not in _ADDED or not_yet_full(self.spec, seen, moment):
            return None
        buckets = self._exact_buckets(data, moment) if self._exact else self._buckets(data, moment)
        amount: int = sum(buckets) * (MILLION if self.spec.verb == "count" else 1)
        if not amount:
            return 0
        scale = self._scale
        if self.spec.window.kind == "calendar":
            scale = unless_one(scale_of(self.spec, moment.today))
        return amount if scale is None else amount * scale

    def turns(self, data: Data, seen: Instant | None, moment: Moment, constants: Sequence[float]) -> Iterable[Instant]:
        """Only exact windows turn between midnights."""
        del constants, moment
        return exact_turns(self.spec, (row[0] for row in data), seen) if self._exact else ()

    def evidence(self, events: Sequence[Happening], moment: Moment) -> list[Happening]:
        """The events in the window that were counted."""
        after, until = stretch_of(self.spec, moment)
        types = self.spec.types
        ours = (row for row in events if types is not None and types.match(row.event.type))
        return [row for row, _ in self.counted(ours) if after < row.time <= until]

    def counted(self, events: Iterable[Happening]) -> Iterator[tuple[Happening, Any]]:
        """Of events of its types those that it counts, whenever they were, each with what it brings."""
        where = self.spec.where
        for row in events:
            if where and not passes(where, row.event):
                continue
            value = self._value(row)
            if value is not None:
                yield row, value

    def _value(self, happening: Happening) -> Any:
        verb, event = self.spec.verb, happening.event
        if not self._path:
            return happening.day if verb == "days_active" else 1
        if self._path == ("user_id",):
            return event.user_id
        raw = nested(event.properties, self._path)
        if verb in VALUED:
            return millionths(raw)
        if verb == "unique":
            return different(raw)
        return read(raw, None, None)  # type: ignore[arg-type]  # without a declared date no zone is asked

    def _fold_exact(self, data: Data, happening: Happening, value: object) -> None:
        keep = self.spec.window.size + self.spec.window.shift
        insert(data, [happening.time, happening.position, value])
        gone = 0
        while gone < len(data) and data[gone][0] + keep <= happening.now:
            gone += 1
        del data[:gone]

    def _forget(self, data: Data, happening: Happening) -> None:
        """Days that no window will reach again; a zone that changes builds the account anew."""
        if self.spec.window.kind == "days" and len(data) > self.spec.window.size + self.spec.window.shift:
            oldest = happening.now // 86_400_000 - self.spec.window.size - self.spec.window.shift - 2
            for day in [day for day in data if day < oldest]:
                del data[day]

    def _buckets(self, data: Data, moment: Moment) -> list[Bucket]:
        if not data:
            return []
        if self.spec.window.kind == "ever":
            return list(data.values())
        first, last = span_of(self.spec, moment.today)
        return [bucket for day, bucket in data.items() if first <= day <= last]

    def _exact_buckets(self, data: Data, moment: Moment) -> list[Bucket]:
        after, until = stretch_of(self.spec, moment)
        rows = [row for row in data if after < row[0] <= until]
        if self.spec.verb == "days_active":
            return list({moment.zone.day(row[0]): 1 for row in rows}.values())
        return [self._add(None, row[2], row[0], row[1]) for row in rows]


def different(raw: object) -> str | None:
    """A property's value as ``unique`` tells values apart: by kind and content; None for what is no plain value."""
    if isinstance(raw, bool):
        return f"b{raw}"
    if isinstance(raw, str):
        return f"t{raw}"
    exact = millionths(raw)
    return None if exact is None else f"n{exact}"


def _count(bucket: Bucket, _value: object, _time: Instant, _position: int) -> Bucket:
    return (bucket or 0) + 1


def _total(buckets: list[Bucket], scale: Fraction | None) -> Value:
    return double(sum(buckets) * MILLION, scale)


def _mark(_bucket: Bucket, _value: object, _time: Instant, _position: int) -> Bucket:
    return 1


def _sum(bucket: Bucket, value: int, _time: Instant, _position: int) -> Bucket:
    return (bucket or 0) + value


def _sums(buckets: list[Bucket], scale: Fraction | None) -> Value:
    return double(sum(buckets), scale)


def _mean(bucket: Bucket, value: int, _time: Instant, _position: int) -> Bucket:
    number, total = bucket or (0, 0)
    return [number + 1, total + value]


def _means(buckets: list[Bucket], scale: Fraction | None) -> Value:
    number = sum(bucket[0] for bucket in buckets)
    return double(sum(bucket[1] for bucket in buckets), Fraction(scale or 1) / number) if number else None


def _collect(bucket: Bucket, value: int, _time: Instant, _position: int) -> Bucket:
    rows: list[int] = bucket or []
    insert(rows, value)
    return rows


def _medians(buckets: list[Bucket], scale: Fraction | None) -> Value:
    return median(sorted(value for bucket in buckets for value in bucket), scale)


def median(rows: Sequence[int], scale: Fraction | None = None) -> float | None:
    """The middle of sorted millionths, or the mean of the two middle ones; None of nothing.

    >>> median([1_000_000, 2_000_000])
    1.5
    """
    if not rows:
        return None
    middle = len(rows) // 2
    if len(rows) % 2:
        return double(rows[middle], scale)
    return double(rows[middle - 1] + rows[middle], Fraction(scale or 1) / 2)


def _least(bucket: Bucket, value: int, _time: Instant, _position: int) -> Bucket:
    return value if bucket is None else min(bucket, value)


def _leasts(buckets: list[Bucket], scale: Fraction | None) -> Value:
    return double(min(buckets), scale) if buckets else None


def _most(bucket: Bucket, value: int, _time: Instant, _position: int) -> Bucket:
    return value if bucket is None else max(bucket, value)


def _mosts(buckets: list[Bucket], scale: Fraction | None) -> Value:
    return double(max(buckets), scale) if buckets else None


def _note(bucket: Bucket, value: str, _time: Instant, _position: int) -> Bucket:
    seen: dict[str, int] = bucket or {}
    seen[value] = 1
    return seen


def _noted(buckets: list[Bucket], scale: Fraction | None) -> Value:
    if len(buckets) == 1:
        return double(len(buckets[0]) * MILLION, scale)
    return double(len({name for bucket in buckets for name in bucket}) * MILLION, scale)


def _first(bucket: Bucket, value: object, time: Instant, position: int) -> Bucket:
    return [time, position, value] if bucket is None or (time, position) < (bucket[0], bucket[1]) else bucket


def _last(bucket: Bucket, value: object, time: Instant, position: int) -> Bucket:
    return [time, position, value] if bucket is None or (time, position) > (bucket[0], bucket[1]) else bucket


def _firsts(buckets: list[Bucket], scale: Fraction | None) -> Value:
    return _scaled(min(buckets, key=_place)[2], scale) if buckets else None


def _lasts(buckets: list[Bucket], scale: Fraction | None) -> Value:
    return _scaled(max(buckets, key=_place)[2], scale) if buckets else None


def _place(bucket: Bucket) -> tuple[Instant, int]:
    return bucket[0], bucket[1]


def _scaled(value: Value, scale: Fraction | None) -> Value:
    return float(value * scale) if isinstance(value, float) and scale is not None else value


_TALLIES: dict[str, tuple[Callable[..., Bucket], Callable[[list[Bucket], Fraction | None], Value]]] = {
    "count": (_count, _total),
    "days_active": (_mark, _total),
    "sum": (_sum, _sums),
    "average": (_mean, _means),
    "median": (_collect, _medians),
    "minimum": (_least, _leasts),
    "maximum": (_most, _mosts),
    "unique": (_note, _noted),
    "first": (_first, _firsts),
    "last": (_last, _lasts),
}
