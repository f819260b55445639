"""What an event of today can turn: the counts at which a comparison turns, and the way in which a rule can turn at all.

Counts of today's events grow one by one. So ``uses >= 8`` turns when 8 is reached and at no other count, and
``uses < 0.5 * before`` can come to be untrue, but not true. The printed code asks a rule there, and nowhere else.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engine.columns.layout import LARGEST, Layout, Run
from engine.measures.measure import scale_of
from engine.rulebook.expressions import Term
from engine.slots import KeptOfThing, KeptValue

UP, DOWN, BOTH = 1, 2, 3
"""Which way a number or a truth can go: a truth from false by way of unknown to true is on its way up."""
_FLIPPED = (0, DOWN, UP, BOTH)
_REVERSED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_COUNTS = range(2 * LARGEST)
_FACTORS = 3
"""More products inside one another than this are not followed, so that none of them leaves the doubles."""
_LARGEST_FACTOR = 1e9

Read = tuple[str, int]
Marks = dict[str, set[int | None]]
"""By running count the values at which something turns as they are reached; None: whenever the column changes."""


@dataclass(slots=True)
class Asks:
    """The rules that an event may turn: those asked when a running count reaches a value, and lines for the others."""

    gates: dict[str, dict[int | None, tuple[int, ...]]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, layout: Layout, yes: Mapping[int, str], rules: Iterable[int], changed: Iterable[Read], kind: str = ""
    ) -> "Asks":
        """What to ask of these rules when what is read at ``changed`` does; ``yes`` are their printed conditions."""
        asks, turns = cls(), Turns(layout, frozenset(changed), kind)
        for rule in rules:
            term, text = layout.terms[rule], yes[rule].replace("[s]" if kind else "[r]", "[i]")
            memory = f"{layout.scopes[kind].prefix}m{rule}[i]"
            if layout.program.rules[rule].once_per is not None:
                asks.lines.append(f"if (t := {text}) or {memory}: h = (*h, {rule} if t else {~rule})")
                continue
            followed = turns.followed(rule)
            marks = turns.marks(term) if followed else None
            if marks is None:
                asks.lines += _line(rule, text, memory, turns.way(term) if followed else BOTH)
            for column, counts in (marks or {}).items():
                gate = asks.gates.setdefault(column, {})
                gate.update({count: (*gate.get(count, ()), rule) for count in counts})
        return asks


def _line(rule: int, text: str, memory: str, way: int) -> list[str]:
    """The line that asks a rule after each event: 0 is untrue, 1 true, 2 true with nobody to write to."""
    if way == UP:
        return [f"if not {memory} and {text}: h = (*h, {rule})"]
    if way == DOWN:
        return [f"if {memory} and not {text}: h = (*h, {~rule})"]
    turned = f"(t := {text}) != (m := {memory}) and (m != 2 or not t)"
    return [f"if {turned}: h = (*h, {rule} if t else {~rule})"] if way else []


class Turns:
    """What an event turns that changes what is read at ``changed``: there it adds one to some running counts.

    ``kind`` is whose rules are asked about; those read the account's columns too.
    """

    def __init__(self, layout: Layout, changed: frozenset[Read], kind: str = "") -> None:
        self._layout = layout
        self._kind = kind
        runs = {read: run for read in changed if (run := _run_of(layout, read)) is not None}
        self.rising: Mapping[Read, Run] = {read: run for read, run in runs.items() if not run.shift}
        self.changed = changed - {read for read, run in runs.items() if run.shift}
        """What happens today is not yet in a window that ends before today."""
        self.set = {read: name for read in changed if (name := _set_of(layout, read)) is not None}
        """Days since an event: by their columns, which an event sets to 0."""

    def followed(self, rule: int) -> bool:
        """Does all that it changes of a rule grow one by one, or become 0 days?"""
        return self._layout.reads[rule] & self.changed <= self.rising.keys() | self.set.keys()

    def marks(self, term: Term) -> Marks | None:
        """The counts at which a truth may turn; None when they cannot be told beforehand."""
        if not self._rises(term):
            return {}
        if term.op in {"both", "either", "negate"}:
            found: Marks = {}
            for arg in term.args:
                inner = self.marks(arg)
                if inner is None:
                    return None
                for run, counts in inner.items():
                    found.setdefault(run, set()).update(counts)
            return found
        names = self._layout.names(term, self._kind)
        if self.rising.keys().isdisjoint(names):
            return {self.set[read]: {None} for read in names if read in self.set}
        if len(term.args) != 2 or not self.set.keys().isdisjoint(names):  # noqa: PLR2004 - a comparison has two sides
            return None
        left, right = term.args
        if left.op == "name":
            return self._bounds(term.op, left, right)
        return self._bounds(_REVERSED.get(term.op, term.op), right, left) if right.op == "name" else None

    def way(self, term: Term) -> int:
        """Which way a truth can go."""
        if not self._rises(term):
            return 0
        if term.op == "negate":
            return _FLIPPED[self.way(term.args[0])]
        if term.op in {"both", "either"}:
            return self._any([self.way(arg) for arg in term.args])
        if term.op in _REVERSED:
            left, right = (self._bend(arg, _FACTORS) for arg in term.args)
            return left | _FLIPPED[right] if term.op in {"gt", "ge"} else _FLIPPED[left] | right
        return BOTH

    def _bounds(self, op: str, name: Term, constant: Term) -> Marks | None:
        """The counts at which a comparison of a count with a constant turns."""
        bound = constant.value
        if constant.op != "constant" or not isinstance(bound, float):
            return None
        read = self._layout.where(str(name.value), self._kind)
        scale = scale_of(self._layout.slot(read).kept.spec, 0)  # type: ignore[attr-defined]  # rising: a measure

        def value(count: int) -> float:
            return count * scale.numerator / scale.denominator

        reached = bisect_left(_COUNTS, bound, key=value)
        passed = bisect_right(_COUNTS, bound, key=value)
        turns = {"ge": {reached}, "lt": {reached}, "gt": {passed}, "le": {passed}}
        turns |= {"eq": {reached, passed}, "ne": {reached, passed}}
        if op not in turns:
            return None
        return {self.rising[read].name: {count for count in turns[op] if 0 < count < len(_COUNTS)}}

    def _rises(self, term: Term) -> bool:
        names = self._layout.names(term, self._kind)
        return not (self.rising.keys().isdisjoint(names) and self.set.keys().isdisjoint(names))

    def _bend(self, term: Term, factors: int) -> int:
        """Which way a number can go that stays known, or stays unknown; ``BOTH`` also where that is not sure."""
        if not self._rises(term):
            return 0
        if term.op == "name":
            return UP if self._layout.where(str(term.value), self._kind) in self.rising else BOTH
        if term.op in {"mul", "div"}:
            return self._product(term, factors)
        if term.op == "score":
            return self._points(term, factors)
        ways = [self._bend(arg, factors) for arg in term.args]
        if term.op in {"add", "least", "greatest", "coalesce"}:
            return self._any(ways)
        if term.op == "sub":
            return ways[0] | _FLIPPED[ways[1]]
        if term.op == "minus":
            return _FLIPPED[ways[0]]
        return ways[0] if term.op == "rounded" and len(ways) == 1 else BOTH

    def _product(self, term: Term, factors: int) -> int:
        left, right = term.args
        if term.op == "mul" and left.op == "constant":
            left, right = right, left
        if not factors or self._rises(right):
            return BOTH
        way = self._bend(left, factors - 1)
        if right.op == "constant" and isinstance(right.value, float):
            if not 1 / _LARGEST_FACTOR <= abs(right.value) <= _LARGEST_FACTOR:
                return BOTH
            return way if right.value > 0 else _FLIPPED[way]
        return way if self._is_count(right) else BOTH

    def _is_count(self, term: Term) -> bool:
        """Is it a running count, which is never negative?"""
        return term.op == "name" and _run_of(self._layout, self._layout.where(str(term.value), self._kind)) is not None

    def _points(self, term: Term, factors: int) -> int:
        name, _, part = str(term.value).partition(".")
        spec = self._layout.program.book.scores[name]
        if part or any(one.weight < 0 for one in spec.parts):
            return BOTH
        ways = [self._bend(arg, factors) for arg in term.args]
        return self._any(
            [way if one.end > one.start else _FLIPPED[way] for one, way in zip(spec.parts, ways, strict=True)]
        )

    @staticmethod
    def _any(ways: list[int]) -> int:
        found = 0
        for way in ways:
            found |= way
        return found


def _run_of(layout: Layout, read: Read) -> Run | None:
    """The running count that is read there, if its scale does not turn it round."""
    scope = layout.scopes.get(read[0])
    slot = layout.slot(read) if scope else None
    if scope is None or not isinstance(slot, (KeptValue, KeptOfThing)) or slot.index not in scope.runs:
        return None
    spec = slot.kept.spec
    if spec.verb == "sum" or scale_of(spec, 0) <= 0:
        return None
    return scope.runs[slot.index][1]


def _set_of(layout: Layout, read: Read) -> str | None:
    """The column of days since an event that is read there."""
    scope = layout.scopes.get(read[0])
    trend = scope.trends.get(read[1]) if scope else None
    return trend.name if trend is not None and trend.since else None
