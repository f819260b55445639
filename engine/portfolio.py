"""The portfolio: values over all accounts, taken at fixed instants, and the rules that look at them."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from engine.account import PORTFOLIO, Account
from engine.instants import DAY, Instant
from engine.lane import Lane
from engine.measures.counts import median
from engine.numbers import MILLION, exactly, plain
from engine.program import Program
from engine.rulebook.book import Rulebook


class Steps:
    """The fixed instants at which portfolio rules are looked at: full steps of ``every`` in UTC."""

    def __init__(self, book: Rulebook, after: Instant | None) -> None:
        over_all = [rule.every for rule in book.rules if book.over_all(rule)]
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


def is_daily(step: Instant) -> bool:
    """Does the step enter every lane's log: is it midnight UTC?"""
    return step % DAY == 0


def share(program: Program, lane: Lane, at: Instant) -> dict[str, Any]:
    """One lane's part of the portfolio as of ``at``, in exact millionths, ready to be put together with the others'.

    ``{"accounts": {measure: {"n", "sum", "least", "most", "rows"}}, "things": {kind: {id: {measure: sum}}}}``; accounts
    whose value is unknown are left out; ``rows`` (every value) only for a median.
    """
    parts = [lane.part(account, program, at) for account in customers(lane, program)]
    values = {}
    for measure in program.whole:
        rows = sorted(part[measure.name] for part in parts if measure.name in part)
        values[measure.name] = {
            "n": len(rows),
            "sum": sum(rows),
            "least": rows[0] if rows else None,
            "most": rows[-1] if rows else None,
            "rows": rows if measure.take == "median" else [],
        }
    return {"accounts": values, "things": _things(program, lane, at)}


def total(program: Program, shares: Sequence[dict[str, Any]], at: Instant) -> dict[str, Any]:
    """The body of ``portfolio.measured``: all lanes' shares put together.

    Exact: whole millionths are added, so that neither the number of lanes nor their order matters.
    """
    values = {
        measure.name: take(measure.take, [one["accounts"][measure.name] for one in shares]) for measure in program.whole
    }
    sums: dict[str, dict[str, dict[str, int]]] = {}
    for one in shares:
        for kind, ids in one["things"].items():
            for key, row in ids.items():
                into = sums.setdefault(kind, {}).setdefault(key, {})
                for name, exact in row.items():
                    into[name] = into.get(name, 0) + exact
    things = {
        kind: {key: {name: plain(exact / MILLION) for name, exact in row.items()} for key, row in sorted(ids.items())}
        for kind, ids in sums.items()
    }
    return {"at": at, "accounts": values, "things": things}


def take(how: str, parts: Sequence[dict[str, Any]]) -> int | float | None:
    """Sum, average, median, maximum or minimum over the lanes' parts; None of nothing.

    >>> take("average", [{"n": 2, "sum": 3_000_000, "least": 0, "most": 0, "rows": []}]), take("sum", [])
    (1.5, None)
    """
    known = [part for part in parts if part["n"]]
    if not known:
        return None
    whole, number = sum(part["sum"] for part in known), sum(part["n"] for part in known)
    if how == "average":
        return plain(float(Fraction(whole, number * MILLION)))
    if how == "median":
        found = median(sorted(row for part in known for row in part["rows"]))
        return None if found is None else plain(found)
    if how == "maximum":
        return plain(max(part["most"] for part in known) / MILLION)
    return plain((min(part["least"] for part in known) if how == "minimum" else whole) / MILLION)


def customers(lane: Lane, program: Program) -> list[Account]:
    """The accounts of a lane that are accounts."""
    return [account for account in lane.accounts.values() if account.id != PORTFOLIO and account.program is program]


def _things(program: Program, lane: Lane, at: Instant) -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = {}
    for kind, thing in program.things.items():
        if not thing.spec.portfolio:
            continue
        ids = found.setdefault(kind, {})
        for account in customers(lane, program):
            for one in thing.all_views(account.view(at, program.zone)):
                row = ids.setdefault(one.id, {})
                for measure in thing.spec.measures:
                    value = one.value(measure.name)
                    row[measure.name] = row.get(measure.name, 0) + (exactly(value) if isinstance(value, float) else 0)
    return found
