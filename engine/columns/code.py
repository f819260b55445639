"""Conditions as expressions over columns: once for one row (scalars), once for all rows of a night (arrays).

Three-valued logic by two questions: is it true, is it false? An unknown number is ``nan``: comparisons with it are
neither.
A name in the text is a column at ``{A}`` (the account's row) or ``{S}`` (the thing's).
"""

from dataclasses import dataclass
from functools import reduce
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.columns.layout import Layout, OddError, surely_number
from engine.instants import HOUR
from engine.measures.measure import scale_of, unless_one
from engine.numbers import MILLION
from engine.rulebook.expressions import ARITHMETIC, COMPARISONS, Term
from engine.rulebook.spec import Measure, Score
from engine.slots import KeptOfThing, KeptValue, Spells

_SIGNS = {"eq": "==", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_OPPOSITE = {"lt": ">=", "le": ">", "gt": "<=", "ge": "<"}
_SUMS = {"add": "+", "sub": "-", "mul": "*"}


@dataclass(frozen=True, slots=True)
class Coder:
    """Prints terms for subjects of ``kind``; ``wide`` for arrays."""

    layout: Layout
    kind: str
    wide: bool

    def yes(self, term: Term) -> str:
        """Text that is true where the term is true."""
        return self._truth(term, yes=True)

    def no(self, term: Term) -> str:
        """Text that is true where the term is false."""
        return self._truth(term, yes=False)

    def _truth(self, term: Term, *, yes: bool) -> str:
        if term.op == "constant" and isinstance(term.value, bool):
            return repr(term.value is yes)
        if term.op == "negate":
            return self._truth(term.args[0], yes=not yes)
        still = self.layout.still(term, self.kind) and not self._counted(term)
        if term.op in {"both", "either"} and not (still and term.args and self._one_leaf(term)):
            parts = [self._truth(arg, yes=yes) for arg in term.args]
            return self._join(parts, every=(term.op == "both") is yes)
        if still:
            leaf = self.layout.leaf(term, self.kind, "k")
            return f"({self._at(leaf.name, leaf.scope)} == {1 if yes else 0})"
        if term.op == "known":
            inner = self.number(term.args[0])
            return f"({inner} {'==' if yes else '!='} {inner})"
        if term.op == "among" and term.args[1].op == "list":
            parts = [self._truth(Term("eq", (term.args[0], item)), yes=yes) for item in term.args[1].args]
            return self._join(parts, every=not yes)
        if term.op == "ne":
            return self._compare("eq", term, yes=not yes)
        if term.op in COMPARISONS:
            return self._compare(term.op, term, yes=yes)
        raise OddError(term.op)

    def _counted(self, term: Term) -> bool:
        """Does it read a running count, which is at hand without reading anything anew?"""
        return any(self._runs(read) for read in self.layout.names(term, self.kind))

    def _runs(self, read: tuple[str, int]) -> bool:
        slot, scope = self.layout.slot(read), self.layout.scopes.get(read[0])
        if scope is None:
            return False
        ringed = isinstance(slot, (KeptValue, KeptOfThing)) and slot.index in scope.runs
        return ringed or (not read[0] and (read[1] in scope.act_runs or read[1] in scope.opens))

    def _one_leaf(self, term: Term) -> bool:
        """Is it better kept as one cached truth: does it read one scope only?"""
        return len({scope for scope, _ in self.layout.names(term, self.kind)}) <= 1

    def _join(self, parts: list[str], *, every: bool) -> str:
        neutral, decisive = ("True", "False") if every else ("False", "True")
        if decisive in parts:
            return decisive
        parts = [part for part in dict.fromkeys(parts) if part != neutral]
        if not parts:
            return neutral
        sign = (" & " if every else " | ") if self.wide else (" and " if every else " or ")
        return parts[0] if len(parts) == 1 else f"({sign.join(parts)})"

    def _compare(self, op: str, term: Term, *, yes: bool) -> str:
        left, right = term.args
        band = self._band(left, right) if op == "eq" else None
        if band is not None:
            return band[0] if yes else band[1]
        if op == "eq" and not (self._surely(left) and self._surely(right)):
            raise OddError("a comparison of what may be no number")
        a, b = self._side(left), self._side(right)
        if yes:
            return f"({a} {_SIGNS[op]} {b})"
        if op == "eq":
            return self._join([f"({a} < {b})", f"({a} > {b})"], every=False)
        return f"({a} {_OPPOSITE[op]} {b})"

    def _side(self, term: Term) -> str:
        """One side of a comparison: a bare count may stay whole."""
        return self._column(term, whole=True) if term.op == "name" else self.number(term)

    def _band(self, left: Term, right: Term) -> tuple[str, str] | None:
        """``health.band == "red"`` as bounds of the score: (true where, false where)."""
        for score, text in ((left, right), (right, left)):
            if score.op == "score" and text.op == "constant" and str(score.value).endswith(".band"):
                spec = self._score(score)
                value = self.number(Term("score", score.args, spec.name))
                lowers = [lower for _, lower in spec.bands] + [float("inf")]
                found = [
                    (lowers[at], lowers[at + 1])
                    for at, (band, _) in enumerate(spec.bands)
                    if band == text.value and lowers[at] < lowers[at + 1]
                ]
                if sorted(lowers) != lowers or len(found) != 1:
                    raise OddError("bands that are not in order")
                low, high = found[0]
                inside = [f"({value} >= {low!r})", *([f"({value} < {high!r})"] if isfinite(high) else [])]
                first = lowers[0]
                outside = [f"(({value} >= {first!r}) & ({value} < {low!r}))"]
                outside += [f"({value} >= {high!r})"] if isfinite(high) else []
                return self._join(inside, every=True), self._join(outside, every=False)
        return None

    def _surely(self, term: Term) -> bool:
        if term.op == "name":
            return surely_number(self.layout.slot(self.layout.where(str(term.value), self.kind)))
        if term.op == "score":
            return not str(term.value).endswith((".band", ".worst"))
        if term.op == "coalesce":
            return all(self._surely(arg) for arg in term.args)
        return term.op in ARITHMETIC or (term.op == "constant" and isinstance(term.value, float))

    # -- numbers ---------------------------------------------------------------------------------------------------
    def number(self, term: Term) -> str:
        """Text of a number, ``nan`` where it is unknown."""
        if term.op == "constant" and isinstance(term.value, float):
            return repr(term.value)
        if term.op == "name":
            return self._column(term, whole=False)
        if self.layout.still(term, self.kind) and not self._counted(term):
            leaf = self.layout.leaf(term, self.kind, "f")
            return self._at(leaf.name, leaf.scope)
        if term.op == "score":
            return self._points(term)
        inner = [self.number(arg) for arg in term.args]
        if term.op in _SUMS:
            return f"{term.op}({inner[0]}, {inner[1]})"
        if term.op in {"div", "least", "greatest", "absolute", "coalesce"}:
            if term.op == "coalesce" and not self._surely(term):
                raise OddError("coalesce of what may be no number")
            return f"{term.op}({', '.join(inner)})"
        if term.op == "minus":
            return f"(-{inner[0]})"
        if term.op == "rounded" and len(inner) == 1:
            return f"rounded({inner[0]})"
        raise OddError(term.op)

    def _column(self, term: Term, *, whole: bool) -> str:
        read = self.layout.where(str(term.value), self.kind)
        slot = self.layout.slot(read)
        scope = self.layout.scopes[read[0]]
        if isinstance(slot, (KeptValue, KeptOfThing)) and slot.index in scope.runs:
            return self._run(slot, read[0], whole=whole)
        if isinstance(slot, Spells) and read[1] in scope.act_runs:
            return self._acts(slot, read[1])
        if not read[0] and read[1] in scope.opens:
            times, column = scope.times[read[1]], self._at(scope.opens[read[1]], "")
            return column if whole and times == 1 else f"({column} * {times.numerator} / {times.denominator})"
        if self.layout.still(term, self.kind):
            leaf = self.layout.leaf(term, self.kind, "f")
            return self._at(leaf.name, leaf.scope)
        return self._at(self.layout.trend(read).name, read[0])

    def _run(self, slot: KeptValue | KeptOfThing, kind: str, *, whole: bool) -> str:
        spec = slot.kept.spec
        scope = self.layout.scopes[kind]
        column = self._at(scope.runs[slot.index][1].name, kind)
        scale = unless_one(scale_of(spec, 0))
        over = (scale.denominator if scale else 1) * (MILLION if spec.verb == "sum" else 1)
        times = f" * {scale.numerator}" if scale and scale.numerator != 1 else ""
        value = column if whole and over == 1 and not times else f"({column}{times} / {over})"
        return self._known(spec, kind, value)

    def _acts(self, slot: Spells, index: int) -> str:
        """Acts of things in a window: how many, or their hours in all or in the mean."""
        spec = slot.spec
        count, length = (self._at(run.name, "") for run in self.layout.scopes[""].act_runs[index])
        scale = scale_of(spec, 0)
        if not spec.prop:
            return self._known(spec, "", f"({count} * {scale.numerator} / {scale.denominator})")
        over = scale.denominator * HOUR
        if spec.verb == "sum":
            return self._known(spec, "", f"({length} * {scale.numerator} / {over})")
        mean = f"{length} * {scale.numerator} / ({count} * {over})"
        return self._known(
            spec, "", f"where({count} > 0, {mean}, nan)" if self.wide else f"({mean} if {count} else nan)"
        )

    def _known(self, spec: Measure, kind: str, value: str) -> str:
        """A value that ``full: true`` leaves unknown while its window begins before the subject was first seen."""
        if not spec.full or spec.window.kind != "days":
            return value
        first = self._at(f"{self.layout.scopes[kind].prefix}g", kind)
        known = f"{first} <= today - {spec.window.size + spec.window.shift - 1}"
        return f"where({known}, {value}, nan)" if self.wide else f"({value} if {known} else nan)"

    def _at(self, column: str, scope: str) -> str:
        return f"{column}[{'{S}' if scope else '{A}'}]"

    # -- scores ----------------------------------------------------------------------------------------------------
    def _score(self, term: Term) -> Score:
        return self.layout.program.book.scores[str(term.value).partition(".")[0]]

    def _points(self, term: Term) -> str:
        part = str(term.value).partition(".")[2]
        if part not in {"", "coverage"}:
            raise OddError("the worst part or band of a score")
        spec = self._score(term)
        scores = sorted(self.layout.program.book.scores)
        inner = ", ".join(self.number(arg) for arg in term.args)
        if not self.wide:
            return f"score{scores.index(spec.name)}{'_covered' if part else ''}({inner})"
        return f"score(scores[{scores.index(spec.name)}], {part == 'coverage'}, ({inner},))"


# -- what the printed text may call, for one row ---------------------------------------------------------------------
def _finite(value: float) -> float:
    return value if isfinite(value) else nan


def _least(*values: float) -> float:
    return nan if any(value != value for value in values) else min(values)  # noqa: PLR0124 - nan


def _greatest(*values: float) -> float:
    return nan if any(value != value for value in values) else max(values)  # noqa: PLR0124 - nan


def _coalesce(*values: float) -> float:
    return next((value for value in values if value == value), nan)  # noqa: PLR0124 - nan


def _rounded(value: float) -> float:
    return float(round(value)) if value == value else nan  # noqa: PLR0124 - nan


def score_text(spec: Score, number: int, *, coverage: bool) -> str:
    """A score as a function of its parts' values, step by step as ``engine.slots.weighed`` has it."""
    names = [f"x{at}" for at in range(len(spec.parts))]
    lines = [f"def score{number}{'_covered' if coverage else ''}({', '.join(names)}):", "    weight = total = 0.0"]
    lines.append("    worst = 1e999")
    whole = 0.0
    for name, part in zip(names, spec.parts, strict=True):
        whole += part.weight
        lines += [
            f"    if {name} == {name}:",
            f"        {name} = ({name} - {part.start!r}) / {part.end - part.start!r}",
            f"        {name} = 0.0 if {name} <= 0.0 else 100.0 if {name} >= 1.0 else {name} * 100",
        ]
        known = [
            f"weight += {part.weight!r}",
            f"total += {name} * {part.weight!r}",
            f"if {name} < worst: worst = {name}",
        ]
        if part.if_unknown is not None:
            lines += ["    else:", f"        {name} = {part.if_unknown!r}", *("    " + line for line in known)]
        else:
            lines += ["        " + line for line in known]
    if coverage:
        return "\n".join([*lines, f"    return weight / {whole!r}", ""])
    lines += [
        "    if worst == 1e999 or " + f"weight / {whole!r} < {spec.needs!r}: return nan",
        "    total = total / weight",
    ]
    if spec.cap_above_worst is not None:
        lines.append(f"    if worst + {spec.cap_above_worst!r} < total: total = worst + {spec.cap_above_worst!r}")
    return "\n".join([*lines, f"    return round(total * {MILLION}) / {MILLION}", ""])


NARROW: dict[str, Any] = {
    "add": lambda a, b: _finite(a + b),
    "sub": lambda a, b: _finite(a - b),
    "mul": lambda a, b: _finite(a * b),
    "div": lambda a, b: _finite(a / b) if b else nan,
    "least": _least,
    "greatest": _greatest,
    "absolute": abs,
    "coalesce": _coalesce,
    "rounded": _rounded,
    "nan": nan,
    "round": round,
}
"""Functions and names for one row."""

# -- the same for arrays -----------------------------------------------------------------------------------------------
Numbers = NDArray[np.float64]


def _all_finite(values: Numbers) -> Numbers:
    return np.where(np.isfinite(values), values, nan)


def _divided(a: Numbers, b: Numbers) -> Numbers:
    return _all_finite(np.divide(a, b))


def _lowest(*values: Numbers) -> Numbers:
    found = values[0]
    for value in values[1:]:
        found = np.minimum(found, value)
    return found


def _highest(*values: Numbers) -> Numbers:
    found = values[0]
    for value in values[1:]:
        found = np.maximum(found, value)
    return found


def _first_known(*values: Numbers) -> Numbers:
    found = values[-1]
    for value in reversed(values[:-1]):
        found = np.where(np.isnan(value), found, value)
    return found


def _scores(spec: Score, coverage: bool, values: tuple[Numbers, ...]) -> Numbers:  # noqa: FBT001 - printed code
    weighted: Any = 0.0
    weight: Any = 0.0
    worst: Any = np.inf
    for part, value in zip(spec.parts, values, strict=True):
        share = (value - part.start) / (part.end - part.start)
        points = np.minimum(np.maximum(share, 0.0), 1.0) * 100
        known = ~np.isnan(points)
        if part.if_unknown is not None:
            points = np.where(known, points, part.if_unknown)
            known = np.ones_like(known)
        weighted = weighted + np.where(known, points * part.weight, 0.0)
        weight = weight + np.where(known, part.weight, 0.0)
        worst = np.minimum(worst, np.where(known, points, np.inf))
    whole = 0.0
    for part in spec.parts:
        whole += part.weight
    covered = weight / whole
    if coverage:
        return np.asarray(covered)
    found = weighted / weight
    if spec.cap_above_worst is not None:
        found = np.minimum(found, worst + spec.cap_above_worst)
    found = np.rint(found * MILLION) / MILLION
    return np.where((weight > 0) & (covered >= spec.needs), found, nan)


WIDE: dict[str, Any] = {
    "add": lambda a, b: _all_finite(np.add(a, b)),
    "sub": lambda a, b: _all_finite(np.subtract(a, b)),
    "mul": lambda a, b: _all_finite(np.multiply(a, b)),
    "div": _divided,
    "least": _lowest,
    "greatest": _highest,
    "absolute": np.abs,
    "coalesce": _first_known,
    "rounded": np.rint,
    "score": _scores,
    "where": np.where,
    "some": lambda truth: bool(truth.any()),
    "unsettled": lambda *truths: np.logical_not(reduce(np.logical_or, truths)),
    "turned": lambda truth, memory: np.not_equal(truth, memory != 0),
    "nan": nan,
}
"""The same for arrays; warnings of numpy about division and overflow are switched off around them."""
