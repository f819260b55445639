"""The way back from the figures of support: each spell with the events that opened, answered and closed it."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from statistics import median
from typing import Any, NamedTuple

from engine.hours import worked
from engine.instants import HOUR, Instant
from engine.measures.measure import Happening
from engine.numbers import plain
from engine.reports.past import Past
from engine.reports.periods import Period
from engine.reports.spells import Told, spells_of
from engine.reports.traced import Traced, bounds, event_json
from engine.reports.values import not_compared
from engine.rulebook.spec import Policy, Support
from engine.zones import zone

LABELS = {
    "opened": "Opened",
    "solved": "Solved",
    "open": "Open at the end",
    "answer_hours": "Hours to the first answer",
    "solve_hours": "Hours to the solution",
    "answer_working_hours": "Working hours to the first answer",
    "solve_working_hours": "Working hours to the solution",
}
"""By figure of support what it is called; those of working hours are there with a calendar."""
_ACTS = {"opened": "opened", "solved": "closed", "answer": "answered", "solve": "closed"}
Lasts = Callable[[Instant, Instant], int]


class _Counted(NamedTuple):
    amount: int | float | None
    formula: str
    events: list[dict[str, Any]]


def figures_of(spec: Support) -> list[str]:
    """The names of the figures of support that a report has."""
    return [name for name in LABELS if spec.hours or "working" not in name]


def trace_support(past: Past, spec: Support, policy: Policy, name: str) -> Traced:
    """One figure of support: ``name`` is its own, as ``opened`` or ``answer_hours``.

    A spell that took time has two events: its opening, which counts nothing, and the one that ended it, which counts
    the hours in between (``milliseconds`` has them exactly).
    """
    program = past.view.program.things[spec.of]
    such = {one.id: one.state for one in program.all_views(past.view) if program.is_such(one)}
    spells = spells_of(such, past.rows, past.ours)
    lasts = _lasts(spec, policy) if "working" in name else _by_the_clock
    now = _counted(past, spells, past.period, spec.of, name, lasts)
    before = past.period.before()
    earlier = []
    if not not_compared(past, before):
        told = _counted(past, spells, before, spec.of, name, lasts)
        earlier = [{"with": "previous period", "period": before.name, **told._asdict()}]
    unit = "hour" if "hours" in name else ""
    return Traced(LABELS[name], unit, now.amount, now.formula, now.events, earlier, {"calendar": spec.hours or None})


def _by_the_clock(start: Instant, end: Instant) -> int:
    return end - start


def _lasts(spec: Support, policy: Policy) -> Lasts:
    calendar = next(one for one in policy.calendars if one.name == spec.hours)
    where = zone(calendar.zone)
    return lambda start, end: worked(start, end, calendar.hours, where)


def _counted(past: Past, spells: Sequence[Told], period: Period, of: str, name: str, lasts: Lasts) -> _Counted:
    start, end = bounds(past, period)
    if name == "open":
        left = [one for one in spells if one.open_at(end)]
        events = [event_json(one.opened, 1, **_whose(one)) for one in left]
        return _Counted(len(left), f"opened by the end of {period.title} and not closed = {len(left):,}", events)
    act = _ACTS[name.partition("_")[0]]
    found = [(one, row) for one in spells if (row := one.at(act)) is not None and start <= row.time < end]
    found.sort(key=lambda pair: (pair[1].time, pair[1].position))
    if not name.endswith("hours"):
        events = [event_json(row, 1, **_whose(one)) for one, row in found]
        return _Counted(len(found), f"{of}: {act} in {period.title} = {len(found):,}", events)
    lengths = [lasts(one.opened.time, row.time) for one, row in found]
    events = []
    for (one, row), length in zip(found, lengths, strict=True):
        events += [event_json(one.opened, None, **_whose(one)), _ended(one, row, length)]
    amount = plain(float(round(median(map(Fraction, lengths)) / HOUR, 2))) if lengths else None
    many = f"{len(lengths):,} {'time' if len(lengths) == 1 else 'times'} from opened to {act}"
    clock = " in working hours" if "working" in name else ""
    told = "unknown" if amount is None else amount
    return _Counted(amount, f"median of {many}{clock}, in hours to two decimals = {told}", events)


def _whose(one: Told) -> dict[str, Any]:
    return {"thing": one.thing_id}


def _ended(one: Told, row: Happening, length: int) -> dict[str, Any]:
    return event_json(row, plain(round(length / HOUR, 4)), **_whose(one), milliseconds=length)
