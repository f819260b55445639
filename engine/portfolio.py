"""The portfolio: values over all accounts, taken at fixed instants, and the rules that look at them."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from engine.instants import DAY, HOUR, Instant
from engine.lane import Lane
from engine.numbers import MILLION, Exact, plain
from engine.parts import Things, exact_of
from engine.program import Program
from engine.rulebook.book import Rulebook


class Steps:
    """The fixed instants at which all lanes are looked at together, in UTC.

    Full steps of ``every`` of portfolio rules, midnights for portfolio values, full hours for the policy's sources.
    """

    def __init__(self, book: Rulebook, after: Instant | None, *, sources: bool = True) -> None:
        over_all = [rule.every for rule in book.rules if book.over_all(rule)]
        used = any(measure.verb == "portfolio" for measure in book.measures.values())
        self._measured = {*over_all, *([DAY] if used else [])}
        self.totals = bool(self._measured)
        """Are there portfolio values at all?"""
        self.sources = book.policy.sources if sources else ()
        self._spans = sorted({*self._measured, *([HOUR] if self.sources else [])})
        self.any = bool(self._spans)
        self._after = after

    def due(self, until: Instant) -> Iterator[Instant]:
        """The steps after the last one, up to ``until``; the first record only starts the counting."""
        if not self._spans:
            return
        if self._after is None:
            self._after = until
            return
        while True:
            step = min((self._after // span + 1) * span for span in self._spans)
            if step > until:
                return
            self._after = step
            yield step

    def measures(self, step: Instant) -> bool:
        """Is the portfolio measured at this instant?"""
        return any(step % span == 0 for span in self._measured)

    def counts(self, step: Instant) -> bool:
        """Does an hour of the sources end at this instant?"""
        return bool(self.sources) and step % HOUR == 0


def is_daily(step: Instant) -> bool:
    """Does the step enter every lane's log: is it midnight UTC?"""
    return step % DAY == 0


def share(program: Program, lane: Lane, at: Instant) -> dict[str, Any]:
    """One lane's part of the portfolio as of ``at``, in exact millionths, ready to be put together with the others'.

    ``{"accounts": {measure: {"n", "sum", "least", "most", "rows"}}, "things": {kind: {id: {measure: sum}}}}``; exact
    numbers are written as text (``"5/7"``); unknown ones are left out; ``rows`` (every value) only for a median.
    """
    return lane.parts.share(lane.accounts.values(), program, at)


def total(program: Program, shares: Sequence[dict[str, Any]], at: Instant) -> dict[str, Any]:
    """The body of ``portfolio.measured``: all lanes' shares put together.

    Exact fractions are added and rounded once, so that neither the number of lanes nor their order matters.
    """
    values = {
        measure.name: take(measure.take, [one["accounts"][measure.name] for one in shares]) for measure in program.whole
    }
    sums = _added(_read(one["things"]) for one in shares)
    things = {
        kind: {key: {name: plain(float(exact / MILLION)) for name, exact in row.items()} for key, row in ids.items()}
        for kind, ids in sums.items()
    }
    return {"at": at, "accounts": values, "things": things}


def take(how: str, parts: Sequence[dict[str, Any]]) -> int | float | None:
    """Sum, average, median, maximum or minimum over the lanes' parts; None of nothing.

    >>> take("average", [{"n": 2, "sum": "3000000", "least": "0", "most": "0", "rows": []}]), take("sum", [])
    (1.5, None)
    """
    known = [part for part in parts if part["n"]]
    if not known:
        return None
    return plain(float(_taken(how, known) / MILLION))


def _taken(how: str, known: Sequence[dict[str, Any]]) -> Exact:
    if how == "median":
        return middle(sorted(exact_of(row) for part in known for row in part["rows"]))
    if how == "maximum":
        return max(exact_of(part["most"]) for part in known)
    if how == "minimum":
        return min(exact_of(part["least"]) for part in known)
    whole: Exact = sum(exact_of(part["sum"]) for part in known)
    return Fraction(whole) / sum(part["n"] for part in known) if how == "average" else whole


def middle(rows: Sequence[Exact]) -> Exact:
    """The median of sorted exact numbers."""
    at = len(rows) // 2
    return rows[at] if len(rows) % 2 else Fraction(rows[at - 1] + rows[at]) / 2


def _added(parts: Iterable[Things]) -> Things:
    found: Things = {}
    for part in parts:
        for kind, ids in part.items():
            into = found.setdefault(kind, {})
            for key, row in ids.items():
                sums = into.setdefault(key, {})
                for name, exact in row.items():
                    sums[name] = sums.get(name, 0) + exact
    return {kind: dict(sorted(ids.items())) for kind, ids in found.items()}


def _read(things: dict[str, Any]) -> Things:
    return {k: {key: {n: exact_of(x) for n, x in row.items()} for key, row in ids.items()} for k, ids in things.items()}
