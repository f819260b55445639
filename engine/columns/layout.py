"""What becomes a column: rings of day counts, lines that move by the day, and cached truths that only events change."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from engine.agreed import OfMetric
from engine.measures.counts import Counting
from engine.measures.dates import Since
from engine.measures.measure import Kept, scale_of, unless_one
from engine.program import Program, RuleProgram, whole_of
from engine.rulebook.agreed import GOAL
from engine.rulebook.expressions import Term, shown
from engine.rulebook.spec import Line, Measure, Test
from engine.rulebook.words import MOMENTS
from engine.slots import (
    Computed,
    KeptOfThing,
    KeptValue,
    OpenThings,
    OverThings,
    Property,
    Spells,
    ToDate,
    Trait,
    is_such,
)
from engine.things import ThingState
from engine.views import Slot
from engine.zones import Zone

RINGED = frozenset({"count", "sum", "days_active", "unique"})
LARGEST = 2**50
"""Sums beyond it are kept plainly: below it every step of the arithmetic in columns is exact."""
MOST_TIMES, MOST_PARTS = 8, 1_000
"""The scales that columns hold: with them and ``LARGEST`` no whole number of the arithmetic reaches 2**53."""
LONGEST = 800
"""Windows of more days than this are kept plainly."""


class OddError(Exception):
    """A condition that columns cannot hold; accounts of such a rulebook are kept plainly."""


@dataclass(frozen=True, slots=True)
class Run:
    """A window's running sum over a ring; ``size`` 0 is all time."""

    name: str
    size: int
    shift: int


@dataclass(slots=True)
class Ring:
    """Counts by day of one kind of event, and the windows that run over them. ``days`` 0: all time, no days."""

    name: str
    spec: Measure
    path: tuple[str, ...]
    days: int = 0
    runs: list[Run] = field(default_factory=list)

    @property
    def limit(self) -> int:
        """What no day may reach, so that no window reaches ``LARGEST``."""
        return LARGEST // (self.days or 1)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A cached value that only events (and wake-ups) change: a truth (``k``) or a number (``f``)."""

    name: str
    scope: str
    term: Term
    reads: frozenset[tuple[str, int]]
    value: Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Trend:
    """A number that moves by a fixed step each day until a day on which it must be read anew."""

    name: str
    scope: str
    slot: int
    since: str = ""
    """The column of instants when it is a plain ``days_since`` or ``days_since_first``."""


@dataclass(frozen=True, slots=True)
class Acts:
    """Rings of what happened to things of a kind: how often an act was, and how many milliseconds it took in all."""

    count: Ring
    length: Ring


@dataclass(frozen=True, slots=True)
class Tally:
    """A column of how many things of a kind are open, such things and matching."""

    column: str
    such: tuple[Test, ...]
    tests: tuple[Callable[[ThingState, Zone], bool], ...]

    def counts(self, state: ThingState, zone: Zone) -> bool:
        """Does it count a thing that is open?"""
        if self.such and not is_such(self.such, state):
            return False
        for test in self.tests:  # noqa: SIM110 - a generator for each thing of each event would cost more than the test
            if not test(state, zone):
                return False
        return True


class Scope:
    """The columns of one kind of subject: the account (``kind`` empty), or each open thing of a kind."""

    def __init__(self, kind: str, number: int, kept: list[Kept]) -> None:
        self.kind = kind
        self.prefix = f"k{number}_" if kind else ""
        self.kept = kept
        self.rings: list[Ring] = []
        self.runs: dict[int, tuple[Ring, Run]] = {}
        self.scales: dict[int, Fraction | None] = {}
        self.since: dict[int, str] = {}
        self.own: list[int] = []
        self.leaves: dict[str, Leaf] = {}
        self.trends: dict[int, Trend] = {}
        self.rules: list[int] = []
        self.acts: dict[tuple[str, str], Acts] = {}
        self.act_runs: dict[int, tuple[Run, Run]] = {}
        self.opens: dict[int, str] = {}
        """By slot the column of how many things of a kind are open, where their states alone can tell it."""
        self.times: dict[int, Fraction] = {}
        for at, one in enumerate(kept):
            self._place(at, one)

    def _place(self, at: int, kept: Kept) -> None:
        spec = kept.spec
        if isinstance(kept, Since) and spec.verb in {"days_since", "days_since_first"} and spec.times == 1:
            self.since[at] = f"{self.prefix}t{at}"
            return
        if not (isinstance(kept, Counting) and _ringed(spec)):
            self.own.append(at)
            return
        window = spec.window
        days = window.kind == "days"
        ring = next((one for one in self.rings if _same_source(one.spec, spec) and bool(one.days) is days), None)
        if ring is None:
            path = tuple(spec.prop.split(".")) if spec.prop else ()
            ring = Ring(f"{self.prefix}r{len(self.rings)}", spec, path)
            self.rings.append(ring)
        size, shift = (window.size, window.shift) if days else (0, 0)
        run = next((one for one in ring.runs if (one.size, one.shift) == (size, shift)), None)
        if run is None:
            run = Run(f"{self.prefix}w{at}", size, shift)
            ring.runs.append(run)
            ring.days = max(ring.days, size + shift)
        self.runs[at] = (ring, run)
        self.scales[at] = unless_one(scale_of(spec, 0))

    def follow(self, index: int, slot: Spells) -> None:
        """Rings and runs for ``opened answered closed`` and the hours of answers and solutions, where they fit."""
        spec = slot.spec
        window = spec.window
        if slot.tests or window.kind not in {"days", "ever"} or window.size + window.shift > LONGEST:
            return
        if spec.prop and spec.verb not in {"sum", "average"}:
            return
        scale = scale_of(spec, 0)
        if abs(scale.numerator) > MOST_TIMES or scale.denominator > MOST_PARTS:
            return
        size, shift = (window.size, window.shift) if window.kind == "days" else (0, 0)
        key = (spec.thing, f"{slot.act} {'days' if size else 'ever'}")
        acts = self.acts.get(key)
        if acts is None:
            number = len(self.rings)
            count = Ring(f"r{number}", Measure("", "count"), (), size + shift)
            length = Ring(f"r{number + 1}", Measure("", "sum"), (), size + shift)
            self.rings += [count, length]
            acts = self.acts[key] = Acts(count, length)
        runs = []
        for ring, letter in ((acts.count, "c"), (acts.length, "h")):
            ring.days = max(ring.days, size + shift)
            run = Run(f"{letter}{index}", size, shift)
            ring.runs.append(run)
            runs.append(run)
        self.act_runs[index] = (runs[0], runs[1])


def _ringed(spec: Measure) -> bool:
    window = spec.window
    if (
        spec.verb not in RINGED
        or window.kind not in {"days", "ever"}
        or (spec.verb in {"count", "days_active"} and spec.prop)
    ):
        return False
    if window.size + window.shift > LONGEST or (spec.verb == "unique" and window.shift):
        return False
    scale = scale_of(spec, 0)
    return abs(scale.numerator) <= MOST_TIMES and scale.denominator <= MOST_PARTS


def _same_source(one: Measure, other: Measure) -> bool:
    return (one.verb, one.types, one.prop, one.where) == (other.verb, other.types, other.prop, other.where)


def daily(slot: Any) -> bool:
    """May the value turn at a midnight without an event?"""
    if isinstance(slot, (KeptValue, KeptOfThing)):
        spec = slot.kept.spec
        return spec.window.kind in {"days", "calendar"} or spec.verb in {"days_since", "days_since_first", "held_days"}
    if isinstance(slot, ToDate):
        return not slot.moves
    if isinstance(slot, OverThings):
        tests = any(test.slot is not None and daily(test.slot) for test in slot.tests)
        inner = slot.value is not None and daily(slot.value)
        ends = isinstance(slot, Spells) and slot.spec.window.kind in {"days", "calendar"}
        return tests or inner or ends or slot.spec.verb == "days_to" or slot.spec.prop == "open_days"
    return isinstance(slot, Computed) and slot.daily


def surely_number(slot: Slot) -> bool:
    """Is every known value of the slot a number?"""
    if isinstance(slot, (KeptValue, KeptOfThing)):
        return slot.kept.spec.verb not in {"first", "last"}
    if isinstance(slot, (Trait, Property)):
        return slot.declared == "number"
    if isinstance(slot, OverThings):
        return slot.spec.verb != "list"
    return isinstance(slot, ToDate) or (isinstance(slot, Computed) and slot.daily)


def reads_deep(slot: Slot) -> bool:
    """Does a value over things change with events that neither open, answer nor close one, nor set its properties?"""
    if not isinstance(slot, OverThings):
        return False
    inner = [test.slot for test in slot.tests] + [slot.value]
    return slot.spec.verb == "list" or any(isinstance(one, KeptOfThing) or _last(one) for one in inner)


def _last(slot: Slot | None) -> bool:
    return isinstance(slot, Computed) and slot.recent


class Layout:
    """A program's columns. Raises ``OddError`` when it can have none."""

    def __init__(self, program: Program) -> None:
        self.program = program
        if any(isinstance(slot, OfMetric) for slot in program.things[GOAL].slots):
            raise OddError("a goal's own value is a value of the account that its id names")
        kinds = {rule.rule.thing for rule in program.rules if rule.way == "thing"}
        self.scopes = {"": Scope("", 0, program.shape.kept)}
        for number, kind in enumerate(sorted(kinds), 1):
            if not program.things[kind].spec.portfolio:
                self.scopes[kind] = Scope(kind, number, program.things[kind].shape.kept)
        for index, slot in enumerate(program.slots):
            if isinstance(slot, Spells):
                self.scopes[""].follow(index, slot)
            elif isinstance(slot, OpenThings) and _counts_itself(program, slot):
                self.scopes[""].opens[index], self.scopes[""].times[index] = f"o{index}", slot.spec.times
        self.opens_of: dict[str, list[Tally]] = {}
        for index, column in self.scopes[""].opens.items():
            counted: Any = program.slots[index]
            tellers = tuple(test.teller() for test in counted.tests)
            tally = Tally(column, program.things[counted.spec.thing].spec.where, tellers)
            self.opens_of.setdefault(counted.spec.thing, []).append(tally)
        self.acts_of: dict[str, list[tuple[tuple[str, str], str]]] = {}
        for name in self.scopes[""].acts:
            self.acts_of.setdefault(name[0], []).append((name, name[1].partition(" ")[0]))
        self.terms: dict[int, Term] = {}
        self.reads: dict[int, frozenset[tuple[str, int]]] = {}
        for at, rule in enumerate(program.rules):
            if rule.way in {"account", "thing"}:
                self._rule(at, rule)

    def _rule(self, at: int, rule: RuleProgram) -> None:
        kind = rule.rule.thing
        if kind and kind not in self.scopes:
            raise OddError(rule.rule.id)
        lines = tuple(self.expand(line.term) for line in whole_of(rule.rule))
        self.terms[at] = Term("both", lines)
        names = [str(one.value) for line in lines for one in line.walk() if one.op == "name"]
        once, clear = rule.rule.re_entry.name, rule.rule.clear_when
        more = [Term("name", value=once)] if once and once not in MOMENTS else []
        more += [clear.term] if clear else []
        extra = [str(one.value) for line in more for one in self.expand(line).walk() if one.op == "name"]
        self.reads[at] = frozenset(
            self.where(name, kind) for name in [*names, *extra] if self.where(name, kind)[0] != "moment"
        )
        self.scopes[kind].rules.append(at)

    def expand(self, term: Term) -> Term:
        """A condition with segments and scores taken apart into what they are made of."""
        book = self.program.book
        if term.op == "name":
            name = str(term.value)
            owner, _, part = name.partition(".")
            if name in book.measures:
                return term
            if name in book.segments:
                return Term("both", tuple(self.expand(line.term) for line in book.segments[name].when))
            if owner in book.scores and (part or name not in book.account_attributes):
                spec = book.scores[owner]
                parts = tuple(self.expand(one.value.term) for one in spec.parts)
                return Term("score", parts, name)
            return term
        return Term(term.op, tuple(self.expand(arg) for arg in term.args), term.value, term.offset)

    def where(self, name: str, kind: str) -> tuple[str, int]:
        """Scope and slot of a name; scope ``moment`` for ``today`` and its like."""
        use = self.program.place(name, kind)
        return ("moment" if use.scope == "moment" else kind if use.scope == "thing" else "", use.index)

    def slot(self, read: tuple[str, int]) -> Slot:
        """The slot that a name is read from."""
        scope, index = read
        return self.program.things[scope].slots[index] if scope else self.program.slots[index]

    def names(self, term: Term, kind: str) -> frozenset[tuple[str, int]]:
        """Where all names of an expanded term are read."""
        return frozenset(self.where(str(one.value), kind) for one in term.walk() if one.op == "name")

    def still(self, term: Term, kind: str) -> bool:
        """Do only events and wake-ups change the term's value?"""
        return not any(daily(self.slot(read)) for read in self.names(term, kind))

    def leaf(self, term: Term, kind: str, mark: str) -> Leaf:
        """The cached value of a term that only events change; ``mark`` is ``k`` for a truth, ``f`` for a number."""
        reads = self.names(term, kind)
        scope = self.scopes[kind if any(one[0] for one in reads) else ""]
        key = mark + shown(term)
        found = scope.leaves.get(key)
        if found is None:
            name = f"{scope.prefix}{mark}{len(scope.leaves)}"
            value = self.program.value_function(Line("", plain(term)), f"column {name}", kind)
            found = scope.leaves[key] = Leaf(name, scope.kind, term, reads, value)
        return found

    def trend(self, read: tuple[str, int]) -> Trend:
        """The column of a number that moves by the day."""
        scope = self.scopes[read[0]]
        found = scope.trends.get(read[1])
        if found is None:
            slot = self.slot(read)
            since = scope.since.get(slot.index, "") if isinstance(slot, (KeptValue, KeptOfThing)) else ""
            if not surely_number(slot):
                raise OddError("a value that moves by the day and may be no number")
            found = scope.trends[read[1]] = Trend(f"{scope.prefix}l{read[1]}", scope.kind, read[1], since)
        return found


def _counts_itself(program: Program, slot: OpenThings) -> bool:
    """Can a thing's state alone tell whether it is counted?"""
    thing, times = program.things[slot.spec.thing].spec, slot.spec.times
    fits = abs(times.numerator) <= MOST_TIMES and times.denominator <= MOST_PARTS
    return fits and not thing.each_in and all(test.simple for test in slot.tests)


def is_plain_text(test: Test) -> bool:
    """Does a test compare a property with texts and nothing else?"""
    return test.op == "is" and len(test.path) == 1 and all(type(one) is str for one in test.operands)


def plain(term: Term) -> Term:
    """An expanded term as the plain code reads it: a score by its name again."""
    if term.op == "score":
        return Term("name", value=term.value)
    return Term(term.op, tuple(plain(arg) for arg in term.args), term.value, term.offset)


def touches(layout: Layout, event_type: str, kinds: frozenset[str]) -> Callable[[tuple[str, int]], bool]:
    """May an event of a type, of things of these kinds, change what is read there, the things themselves apart?

    Not asked when the event changes since when the account is known: then everything is read anew.
    """
    traits = event_type in {"account.updated", "owner.changed"}

    def touched(read: tuple[str, int]) -> bool:
        scope, slot = read[0], layout.slot(read)
        if scope:
            return False  # the row of the thing itself is read anew as a whole; others of its kind are as they were
        if isinstance(slot, KeptValue):
            return slot.index in layout.program.shape.route(event_type)
        if isinstance(slot, OverThings):
            listed = bool(layout.program.things[slot.spec.thing].spec.each_in)
            return slot.spec.thing in kinds or (traits and listed)
        return traits

    return touched


def is_inert(layout: Layout, kind: str, event_type: str) -> bool:
    """Does an event of this type leave a known, open thing of the kind as it is, but for its measures and ``last``?"""
    thing = layout.program.things[kind]
    spec = thing.spec
    if kind == "person":
        if event_type in {"user.updated", "user.removed"} or event_type.startswith("outreach."):
            return False
    else:
        acts = (*spec.opened_by, *spec.asked_by, *spec.answered_by, *spec.closed_by)
        if spec.family.match(event_type) or any(act.types.match(event_type) for act in acts):
            return False
    scope, routed = layout.scopes.get(kind), thing.shape.route(event_type)
    if (routed and scope is None) or (scope is not None and any(at in scope.own for at in routed)):
        return False
    if any(_last(slot) for slot in thing.slots):
        return False
    return not any(
        isinstance(slot, OverThings) and slot.spec.thing == kind and reads_deep(slot) for slot in layout.program.slots
    )
