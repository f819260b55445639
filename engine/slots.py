"""Slots: one small class for each way a name gets its value."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from engine.instants import Instant
from engine.measures.counts import Counting, median
from engine.measures.dates import MovedLater
from engine.measures.measure import (
    Kept,
    compare,
    double,
    exact_turns,
    hour_turns,
    hours,
    matches,
    not_yet_full,
    scale_of,
    stretch_of,
    unless_one,
)
from engine.numbers import MILLION, exactly, millionths
from engine.rulebook.spec import Measure, Part, Score, Test
from engine.things import Row, ThingState
from engine.values import Date, Value, nested, number_in_text, read, read_date
from engine.views import UNREAD, AccountView, Slot, ThingView
from engine.zones import Zone

Reader = Callable[..., Value]
StateReader = Callable[[ThingState], Value]


class Still:
    """A slot whose value turns only with events and midnights."""

    moves = False

    def turns(self, view: object, constants: Sequence[float]) -> Iterable[Instant]:
        """Never between looks."""
        del view, constants
        return ()


class Computed(Still):
    """A value that a function gives: built-in names and attributes.

    ``daily``: an age in days, one more at each midnight. ``recent``: it changes with any event of the thing.
    ``of_open``: reads the same from the state alone of a thing that is open, where there is such a way.
    """

    def __init__(
        self, reader: Reader, *, daily: bool = False, recent: bool = False, of_open: StateReader | None = None
    ) -> None:
        self.read = reader
        self.daily = daily
        self.recent = recent
        self.of_open = of_open


class KeptValue:
    """A measure over the account's events."""

    def __init__(self, index: int, kept: Kept) -> None:
        self.index = index
        self.kept = kept
        self.moves = kept.spec.window.kind == "exact" or kept.spec.verb == "hours_since"
        self.tells = isinstance(kept, Counting)
        """Does what it keeps tell when the value turns next, looks or no looks?"""

    def read(self, view: AccountView) -> Value:
        """The measure's value."""
        kept: Any = view.state.kept
        if type(kept) is not list:
            found: Value = kept.number(self.index, view.moment)
            if found is not UNREAD:
                return found
        return self.kept.read(kept[self.index], self.since(view), view.moment)

    def turns(self, view: AccountView, constants: Sequence[float]) -> Iterable[Instant]:
        """As the measure says."""
        return self.kept.turns(view.state.kept[self.index], self.since(view), view.moment, constants)

    def since(self, view: AccountView) -> Instant | None:
        """An age counts from when the account was first seen; a window can be full only since our log tells of it."""
        return view.watched if self.kept.spec.full else view.seen


class KeptOfThing:
    """A measure over a thing's own events."""

    def __init__(self, index: int, kept: Kept) -> None:
        self.index = index
        self.kept = kept
        self.moves = kept.spec.window.kind == "exact" or kept.spec.verb == "hours_since"
        self.tells = isinstance(kept, Counting)

    def read(self, view: ThingView) -> Value:
        """The measure's value; a thing without events has none kept."""
        kept: Any = view.state.kept
        if type(kept) is not list:
            found: Value = kept.number(self.index, view.moment)
            if found is not UNREAD:
                return found
        data = kept[self.index] if kept else self.kept.fresh()
        return self.kept.read(data, view.state.seen, view.moment)

    def turns(self, view: ThingView, constants: Sequence[float]) -> Iterable[Instant]:
        """As the measure says."""
        data = view.state.kept[self.index] if view.state.kept else self.kept.fresh()
        return self.kept.turns(data, view.state.seen, view.moment, constants)


class Trait(Still):
    """An attribute of the account, or a path into its traits."""

    def __init__(self, path: tuple[str, ...], declared: str | None, *, as_number: bool = False) -> None:
        self._path = path
        self.declared = declared
        self._as_number = as_number

    @property
    def top(self) -> str:
        """The trait or property that it is read from."""
        return self._path[0]

    def read(self, view: AccountView) -> Value:
        """The newest value by event time, as its declared type."""
        return self._value(view.state.traits.get(self._path[0]), view.moment.zone)

    def _value(self, kept: Row | None, zone: Zone) -> Value:
        raw = None if kept is None else kept[2]
        if len(self._path) > 1:
            raw = nested(raw, self._path[1:]) if isinstance(raw, dict) else None
        if self._as_number:
            raw = number_in_text(raw)
        return read(raw, self.declared, zone)


class Property(Trait):
    """A property of a thing, or an attribute of a person."""

    def read(self, view: ThingView) -> Value:  # type: ignore[override]  # made for the other view
        """The newest value by event time."""
        return self.of(view.state, view.moment.zone)

    def of(self, state: ThingState, zone: Zone) -> Value:
        """The same from a thing's state alone."""
        return self._value(state.props.get(self._path[0]), zone)


class ToDate:
    """``days_to`` and ``hours_to`` of one date."""

    def __init__(self, spec: Measure, date: Trait) -> None:
        self.spec = spec
        self._date: Slot = date
        self.top = date.top
        self._hours = spec.verb == "hours_to"
        self.moves = self._hours

    def read(self, view: AccountView | ThingView) -> Value:
        """Days or hours to the date; negative after it, unknown without it."""
        date = self._date.read(view)
        if not isinstance(date, Date):
            return None
        if self._hours:
            return hours(date.at - view.moment.at)
        return double((day_of_date(date, view.moment.zone) - view.moment.today) * MILLION, unless_one(self.spec.times))

    def turns(self, view: AccountView | ThingView, constants: Sequence[float]) -> Iterable[Instant]:
        """Hours turn where they reach a constant."""
        date = self._date.read(view)
        return hour_turns(date.at, constants, down=True) if self._hours and isinstance(date, Date) else ()


def day_of_date(date: Date, zone: Zone) -> int:
    """The local day of a date."""
    return zone.day(date.at) if date.bare is None else date.bare


# -- over things -------------------------------------------------------------------------------------------------------


class ThingTest:
    """One key of a ``where`` over things: a name of the thing, or a path into its properties."""

    def __init__(self, test: Test, slot: Slot | None) -> None:
        self._test = test
        self.slot = slot
        self.moves = slot is not None and slot.moves

    def holds(self, view: ThingView) -> bool:
        """Does the thing match as of the view's moment?"""
        if self.slot is None:
            return matches(self._test, property_at(view.state, self._test.path))
        return value_matches(self._test, self.slot.read(view), view.moment.zone)

    @property
    def simple(self) -> bool:
        """Is there a ``teller``?"""
        return self.slot is None or isinstance(self.slot, Property) or getattr(self.slot, "of_open", None) is not None

    def teller(self) -> Callable[[ThingState, Zone], bool]:
        """What tells whether a thing that is open matches, by its state alone. Only where ``simple``."""
        slot, test = self.slot, self._test
        if slot is None:
            return lambda state, _zone: matches(test, property_at(state, test.path))
        if isinstance(slot, Property):
            return lambda state, zone: value_matches(test, slot.of(state, zone), zone)
        read: StateReader = slot.of_open  # type: ignore[attr-defined]  # it is simple
        if test.op == "is" and all(isinstance(one, bool) for one in test.operands):
            return lambda state, _zone: read(state) in test.operands
        return lambda state, zone: value_matches(test, read(state), zone)

    def turns(self, view: ThingView) -> Iterator[Instant]:
        """When the answer may turn without an event."""
        if self.slot is not None:
            numbers = [millionths(operand) for operand in self._test.operands]
            yield from self.slot.turns(view, [number / MILLION for number in numbers if number is not None])


def property_at(state: ThingState, path: tuple[str, ...]) -> object:
    """The JSON value of a thing's property at a dotted path."""
    kept = state.props.get(path[0])
    raw = None if kept is None else kept[2]
    if len(path) == 1:
        return raw
    return nested(raw, path[1:]) if isinstance(raw, dict) else None


def is_such(where: Iterable[Test], state: ThingState) -> bool:
    """Do a thing's newest properties pass its kind's ``where``?"""
    return all(matches(test, property_at(state, test.path)) for test in where)


def value_matches(test: Test, value: Value, zone: Zone) -> bool:
    """A typed value against a test, with the meaning of ``where``."""
    if test.op == "known":
        return (value is not None) is test.operands[0]
    if value is None:
        return False
    operands = [_operand(value, operand, zone) for operand in test.operands]
    if test.op == "is":
        return any(_equal(value, operand) for operand in operands)
    if test.op == "not":
        return not any(_equal(value, operand) for operand in operands)
    return any(_ordered(test.op, value, operand) for operand in operands)


def _operand(value: Value, operand: object, zone: Zone) -> Value:
    return read_date(operand, zone) if isinstance(value, Date) else read(operand, None, zone)


def _equal(left: Value, right: Value) -> bool:
    if isinstance(left, Date) and isinstance(right, Date):
        return left.at == right.at
    return type(left) is type(right) and left == right


def _ordered(op: str, left: Value, right: Value) -> bool:
    if isinstance(left, Date) and isinstance(right, Date):
        return compare(op, left.at, right.at)
    same = type(left) is type(right) and isinstance(left, (float, str))
    return same and compare(op, left, right)


class OverThings:
    """What all measures over things share: the open ones that match, and when that may turn."""

    def __init__(self, spec: Measure, tests: Sequence[ThingTest], value: Slot | None = None) -> None:
        self.spec = spec
        self.tests = tests
        self.value = value
        own = spec.prop in _HOUR_BASES or spec.verb == "hours_to" or spec.window.kind == "exact"
        self.moves = own or any(test.moves for test in tests) or (value is not None and value.moves)
        self.tells = not tests

    def matching(self, view: AccountView) -> list[ThingView]:
        """The open things that match ``where``."""
        views = view.open_things(self.spec.thing)
        return [one for one in views if all(test.holds(one) for test in self.tests)] if self.tests else views

    def turns(self, view: AccountView, constants: Sequence[float]) -> Iterable[Instant]:
        """When a thing comes to match or no longer does."""
        del constants
        for one in view.open_things(self.spec.thing):
            for test in self.tests:
                yield from test.turns(one)


class OpenThings(OverThings):
    """``open``: how many."""

    def read(self, view: AccountView) -> Value:
        """The number of open things that match."""
        return double(len(self.matching(view)) * MILLION, unless_one(self.spec.times))


class OfOpenThings(OverThings):
    """``sum average median minimum maximum`` of one of a thing's names over the open ones."""

    def read(self, view: AccountView) -> Value:
        """Exact over the exact values; unknown ones are left out."""
        if self.spec.prop in _HOUR_BASES:
            return _of_hours(self.spec, self._ages(view))
        rows = [exact for one in self.matching(view) if (exact := self._exact(one)) is not None]
        return aggregate(self.spec.verb, rows, self.spec.times)

    def turns(self, view: AccountView, constants: Sequence[float]) -> Iterable[Instant]:
        """When things come to match, and when hours (which grow for all at once) reach a constant."""
        yield from super().turns(view, constants)
        if self.spec.prop not in _HOUR_BASES:
            if self.value is not None:
                for one in view.open_things(self.spec.thing):
                    yield from self.value.turns(one, ())
            return
        ages = sorted(self._ages(view))
        if not ages:
            return
        at = view.moment.at
        for base in {*(at - age for age in ages), *_middles(at, ages)}:
            yield from hour_turns(base, constants)
        if self.spec.verb == "sum":
            for constant in constants:
                reached = at + int((Fraction(constant) * 3_600_000 - sum(ages)) // len(ages))
                yield from range(reached - 1, reached + 4)

    def _exact(self, view: ThingView) -> int | None:
        value = self.value.read(view) if self.value is not None else None
        return exactly(value) if isinstance(value, float) else None

    def _ages(self, view: AccountView) -> list[int]:
        at = view.moment.at
        bases = (_HOUR_BASES[self.spec.prop](one.state) for one in self.matching(view))
        return [at - base for base in bases if base is not None]


def _middles(at: Instant, ages: list[int]) -> set[Instant]:
    mean = at - sum(ages) // len(ages)
    half = at - (ages[(len(ages) - 1) // 2] + ages[len(ages) // 2]) // 2
    return {mean - 1, mean, mean + 1, half - 1, half, half + 1}


def _opened_at(state: ThingState) -> Instant | None:
    return state.spell.opened_at if state.spell else None


def _waiting_since(state: ThingState) -> Instant | None:
    return state.waiting_since if state.open else None


_HOUR_BASES: dict[str, Callable[[ThingState], Instant | None]] = {
    "open_hours": _opened_at,
    "waiting_hours": _waiting_since,
}


def aggregate(verb: str, rows: list[int], times: Fraction) -> Value:
    """Sum, mean, median, least or greatest of millionths; of nothing only the sum is known (0)."""
    if verb == "sum":
        return double(sum(rows), times)
    if not rows:
        return None
    if verb == "average":
        return double(sum(rows), times / len(rows))
    if verb == "median":
        return median(sorted(rows), times)
    return double(min(rows) if verb == "minimum" else max(rows), times)


def _of_hours(spec: Measure, ages: list[int]) -> Value:
    """The same over milliseconds, given in hours."""
    return aggregate(spec.verb, [age * MILLION for age in ages], spec.times / 3_600_000)


class Spells(OverThings):
    """``opened answered closed`` in a window, and measures of ``answer_hours`` and ``solve_hours``."""

    @property
    def act(self) -> str:
        """What is looked for in each spell: ``opened``, ``answered`` or ``closed``."""
        return {"answer_hours": "answered", "solve_hours": "closed"}.get(self.spec.prop, self.spec.verb)

    def read(self, view: AccountView) -> Value:
        """The count, or the aggregate of exact hours."""
        return self.of(self.acts(view), view)

    def of(self, acts: Iterable[tuple[Instant, int]], view: AccountView) -> Value:
        """The same, of acts that were listed already."""
        spec = self.spec
        if spec.full and not_yet_full(spec, view.watched, view.moment):
            return None
        after, until = stretch_of(spec, view.moment)
        scale = scale_of(spec, view.moment.today)
        found = [length for when, length in acts if after < when <= until]
        if spec.prop:
            return aggregate(spec.verb, [length * MILLION for length in found], scale / 3_600_000)
        return double(len(found) * MILLION, unless_one(scale))

    def turns(self, view: AccountView, constants: Sequence[float]) -> Iterable[Instant]:
        """Exact windows turn as acts leave them; a ``where`` as its things turn."""
        del constants
        if self.spec.window.kind == "exact":
            yield from exact_turns(self.spec, [when for when, _ in self.acts(view)], view.watched)
        for one in self._all(view):
            for test in self.tests:
                yield from test.turns(one)

    def _all(self, view: AccountView) -> list[ThingView]:
        program = view.program.things[self.spec.thing]
        return [one for one in program.all_views(view) if program.is_such(one)]

    def acts(self, view: AccountView) -> Iterator[tuple[Instant, int]]:
        """When each of the acts was, and how long it took from the opening, in milliseconds."""
        thing, act = self.spec.thing, self.act
        if not self.tests and not view.program.things[thing].spec.where:
            for state in view.state.things[thing].values():
                yield from acts_of(state, act)
            return
        for one in self._all(view):
            if all(test.holds(one) for test in self.tests):
                yield from acts_of(one.state, act)


def acts_of(state: ThingState, act: str) -> Iterator[tuple[Instant, int]]:
    """When an act happened to one thing, spell by spell, and how long it took from the opening, in milliseconds."""
    for spell in state.spells:
        when = spell.opened_at if act == "opened" else spell.answered_at if act == "answered" else spell.closed_at
        if when is not None:
            yield when, when - spell.opened_at


class ToDateOfThings(OverThings):
    """``days_to`` and ``hours_to`` of ``THING.PROPERTY``: of the open ones the earliest ahead, else the latest past."""

    def read(self, view: AccountView) -> Value:
        """Days or hours to that date."""
        dates = self._dates(view)
        if not dates:
            return None
        moment = view.moment
        if self.spec.verb == "hours_to":
            return hours(nearest([date.at - moment.at for date in dates]))
        days = nearest([day_of_date(date, moment.zone) - moment.today for date in dates])
        return double(days * MILLION, unless_one(self.spec.times))

    def turns(self, view: AccountView, constants: Sequence[float]) -> Iterable[Instant]:
        """Hours turn at constants, and where a date passes and the next takes its place."""
        if self.spec.verb == "hours_to":
            for date in self._dates(view):
                yield date.at + 1
                yield from hour_turns(date.at, constants, down=True)

    def _dates(self, view: AccountView) -> list[Date]:
        found = (self.value.read(one) for one in view.open_things(self.spec.thing)) if self.value else iter(())
        return [date for date in found if isinstance(date, Date)]


def nearest(distances: list[int]) -> int:
    """Of distances to dates the least that is not past, else the one past last."""
    ahead = [distance for distance in distances if distance >= 0]
    return min(ahead) if ahead else max(distances)


class MovedLaterOfThings(OverThings):
    """``moved_later`` of ``THING.PROPERTY``, summed over all things, closed ones too."""

    def __init__(self, spec: Measure, index: int, kept: MovedLater) -> None:
        super().__init__(spec, ())
        self.index = index
        self._kept = kept

    def read(self, view: AccountView) -> Value:
        """How often, over all."""
        program = view.program.things[self.spec.thing]
        ours = [one for one in program.all_views(view) if program.is_such(one) and one.state.kept]
        moves = sum(self._kept.moves(one.state.kept[self.index], view.moment) for one in ours)
        return double(moves * MILLION, unless_one(self.spec.times))


class ListOfThings(OverThings):
    """``list``: names of open things for a template; of a personal trait the ids of the people."""

    def __init__(self, spec: Measure, tests: Sequence[ThingTest], value: Slot, *, personal: bool) -> None:
        super().__init__(spec, tests, value)
        self._personal = personal

    def read(self, view: AccountView) -> Value:
        """At most ``at_most`` values, the most recently active first, then by id."""
        found = sorted(self.matching(view), key=lambda one: (-(one.state.last or 0), one.id))
        if self._personal:
            values: list[Any] = [{"person": one.id, "trait": self.spec.prop} for one in found]
        else:
            values = [value for one in found if self.value and (value := self.value.read(one)) is not None]
        return tuple(values[: self.spec.at_most or 10])


# -- scores and segments -----------------------------------------------------------------------------------------------


class ScoreValue(Still):
    """A score and what belongs to it: ``health``, ``health.worst``, ``health.coverage``, ``health.band``."""

    def __init__(self, spec: Score, parts: Sequence[tuple[Part, Callable[[AccountView], Value]]], name: str) -> None:
        self._spec = spec
        self._parts = parts
        self._name = name

    def read(self, view: AccountView) -> Value:
        """The asked-for part of the score."""
        points = [_points(part, value(view)) for part, value in self._parts]
        if self._name == "worst":
            known = [(part, point) for (part, _), point in zip(self._parts, points, strict=True) if point is not None]
            return min(known, key=lambda row: row[1])[0].name if known else None
        score, coverage = weighed(self._spec, points)
        if self._name == "coverage":
            return coverage
        return self._band(score) if self._name == "band" and score is not None else score

    def _band(self, score: float) -> str | None:
        found = [band for band, lower in self._spec.bands if score >= lower]
        return found[-1] if found else None


def weighed(spec: Score, points: Sequence[float | None]) -> tuple[float | None, float]:
    """A score from the points of its parts (None: unknown), and its coverage.

    Added up step by step: ``sum`` of doubles differs between versions of Python, and a decision must not.
    """
    weight = whole = total = 0.0
    worst: float | None = None
    for part, point in zip(spec.parts, points, strict=True):
        whole += part.weight
        if point is not None:
            weight += part.weight
            total += point * part.weight
            worst = point if worst is None else min(worst, point)
    coverage = weight / whole
    if worst is None or coverage < spec.needs:
        return None, coverage
    score = total / weight
    if spec.cap_above_worst is not None:
        score = min(score, worst + spec.cap_above_worst)
    return round(score * MILLION) / MILLION, coverage


def _points(part: Part, value: Value) -> float | None:
    if not isinstance(value, float):
        return part.if_unknown
    share = (value - part.start) / (part.end - part.start)
    return min(max(share, 0.0), 1.0) * 100
