"""The portfolio: values over all accounts, taken at fixed instants, and the rules that look at them."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from engine.account import PORTFOLIO, Account
from engine.instants import DAY, Instant
from engine.lane import Lane
from engine.measures.counts import median
from engine.numbers import MILLION, plain
from engine.program import Program
from engine.rulebook.book import Rulebook
from engine.rulebook.spec import Measure


class Steps:
    """The fixed instants at which portfolio rules are looked at: full steps of ``every`` in UTC."""

    def __init__(self, book: Rulebook, after: Instant | None) -> None:
        over_all = [rule.every for rule in book.rules if is_over_all(book, rule.subject, rule.thing)]
        used = any(measure.verb == "portfolio" for measure in book.measures.values())
        self._spans = sorted({*over_all, *([DAY] if used else [])})
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


def is_over_all(book: Rulebook, subject: str, thing: str) -> bool:
    """Is a rule about the portfolio, or about things in it?"""
    return subject == "portfolio" or bool(thing and book.things[thing].portfolio)


def is_daily(step: Instant) -> bool:
    """Does the step enter every lane's log: is it midnight UTC?"""
    return step % DAY == 0


def measured(program: Program, lanes: Sequence[Lane], at: Instant) -> dict[str, Any]:
    """The body of ``portfolio.measured``: each portfolio measure over all accounts of the lanes, as of ``at``.

    Exact: the values are added as whole millionths, so that neither lanes nor order matter.
    """
    values = {}
    for measure in program.book.measures.values():
        if measure.verb == "portfolio":
            rows = sorted(_values(program, lanes, measure, at))
            values[measure.name] = take(measure.take, rows)
    return {"at": at, "accounts": values, "things": _things(program, lanes, at)}


def take(how: str, rows: Sequence[int]) -> int | float | None:
    """Sum, average, median, maximum or minimum of sorted millionths; None of nothing.

    >>> take("average", [1_000_000, 2_000_000]), take("sum", [])
    (1.5, None)
    """
    if not rows:
        return None
    if how == "sum":
        return plain(sum(rows) / MILLION)
    if how == "average":
        return plain(float(Fraction(sum(rows), len(rows) * MILLION)))
    if how == "median":
        found = median(rows)
        return None if found is None else plain(found)
    return plain((max(rows) if how == "maximum" else min(rows)) / MILLION)


def customers(lane: Lane, program: Program) -> list[Account]:
    """The accounts of a lane that are accounts."""
    return [account for account in lane.accounts.values() if account.id != PORTFOLIO and account.program is program]


def _values(program: Program, lanes: Sequence[Lane], measure: Measure, at: Instant) -> Iterator[int]:
    for lane in lanes:
        for account in customers(lane, program):
            view = account.view(at)
            if measure.segment and view[program.slot(measure.segment)] is not True:
                continue
            value = view[program.slot(measure.prop)]
            if isinstance(value, float):
                yield int(value) * MILLION if value.is_integer() else round(value * MILLION)


def _things(program: Program, lanes: Sequence[Lane], at: Instant) -> dict[str, dict[str, dict[str, int | float]]]:
    """For each kind of thing in the portfolio, each id with its measures added over all accounts."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for kind, thing in program.things.items():
        if not thing.spec.portfolio:
            continue
        ids = found.setdefault(kind, {})
        for lane in lanes:
            for account in customers(lane, program):
                for one in thing.all_views(account.view(at)):
                    row = ids.setdefault(one.id, {})
                    for measure in thing.spec.measures:
                        value = one.value(measure.name)
                        exact = round(value * MILLION) if isinstance(value, float) else 0
                        row[measure.name] = row.get(measure.name, 0) + exact
    return {
        kind: {key: {name: plain(exact / MILLION) for name, exact in row.items()} for key, row in sorted(ids.items())}
        for kind, ids in found.items()
    }
