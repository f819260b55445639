"""Support in a report: what was opened and solved, and how long the first answer and the solution took."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from statistics import median
from typing import Any, NamedTuple

from engine.hours import worked
from engine.instants import HOUR, Instant
from engine.numbers import plain
from engine.reports.past import Past
from engine.reports.periods import Period
from engine.reports.values import not_compared
from engine.rulebook.spec import Calendar, Policy, Support
from engine.things import Spell
from engine.zones import Zone, zone

MOST_PEOPLE = 10
_FIGURES = ("opened", "solved", "open", "answer_hours", "solve_hours", "answer_working_hours", "solve_working_hours")
Lasts = Callable[[Instant, Instant], int]


class _Acts(NamedTuple):
    """What happened in a stretch: spells that began, were first answered, ended, and were open at its end."""

    opened: list[Spell]
    answered: list[Spell]
    closed: list[Spell]
    left: list[Spell]


def support_json(pasts: Sequence[Past], spec: Support, policy: Policy) -> dict[str, Any]:
    """The support of a period beside the period before: of the account and of those that are parts of its report.

    Hours are medians, of first answers and of solutions that fell into the period, each from the opening; *working
    hours* count only those of the calendar. What our own people or test users opened is left out. ``people`` are those
    of the account itself.
    """
    calendar = next((one for one in policy.calendars if one.name == spec.hours), None)
    earlier = pasts[0].period.before()
    why = next((why for one in pasts if (why := not_compared(one, earlier))), "")
    spells = [(past, _spells(past, spec.of)) for past in pasts]
    acts = [_acts(past, found, past.period) for past, found in spells]
    now = _figures(_all(acts), calendar)
    before = {} if why else _figures(_all([_acts(past, found, earlier) for past, found in spells]), calendar)
    return {
        "of": spec.of,
        "calendar": calendar.name if calendar else None,
        "before": None if why else earlier.name,
        "not_compared": why or None,
        "figures": [_figure(name, now, before) for name in _FIGURES if name in now],
        "people": _people(acts[0]),
    }


def _all(acts: Sequence[_Acts]) -> _Acts:
    return (
        acts[0]
        if len(acts) == 1
        else _Acts(*([one for few in many for one in few] for many in zip(*acts, strict=True)))
    )


def _spells(past: Past, kind: str) -> list[Spell]:
    """All spells of the thing up to the end of the period, but those that nobody of the customer's opened."""
    thing = past.view.program.things[kind]
    found = [one for one in thing.all_views(past.view) if thing.is_such(one)]
    return [spell for one in found for spell in one.state.spells if spell.opener not in past.ours]


def _acts(past: Past, spells: Iterable[Spell], period: Period) -> _Acts:
    start, end = past.zone.start(period.first), past.zone.start(period.last + 1)
    acts = _Acts([], [], [], [])
    for one in spells:
        if start <= one.opened_at < end:
            acts.opened.append(one)
        if one.answered_at is not None and start <= one.answered_at < end:
            acts.answered.append(one)
        if one.closed_at is not None and start <= one.closed_at < end:
            acts.closed.append(one)
        if one.opened_at < end and (one.closed_at is None or one.closed_at >= end):
            acts.left.append(one)
    return acts


def _figures(acts: _Acts, calendar: Calendar | None) -> dict[str, tuple[int | float | None, int | None]]:
    """By name the amount, and of how many it is the median."""
    found: dict[str, tuple[int | float | None, int | None]] = {
        "opened": (len(acts.opened), None),
        "solved": (len(acts.closed), None),
        "open": (len(acts.left), None),
    }
    ways: list[tuple[str, Lasts]] = [("hours", lambda start, end: end - start)]
    if calendar is not None:
        ways.append(("working_hours", _working(calendar, zone(calendar.zone))))
    for word, lasts in ways:
        answers = [lasts(one.opened_at, one.answered_at) for one in acts.answered if one.answered_at is not None]
        ends = [lasts(one.opened_at, one.closed_at) for one in acts.closed if one.closed_at is not None]
        found[f"answer_{word}"] = _median(answers)
        found[f"solve_{word}"] = _median(ends)
    return found


def _working(calendar: Calendar, where: Zone) -> Lasts:
    return lambda start, end: worked(start, end, calendar.hours, where)


def _median(lengths: Sequence[int]) -> tuple[int | float | None, int]:
    """The median of milliseconds in hours, to two decimals; None of nothing."""
    if not lengths:
        return None, 0
    return plain(float(round(median(map(Fraction, lengths)) / HOUR, 2))), len(lengths)


def _figure(name: str, now: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    amount, of = now[name]
    earlier = before[name][0] if before else None
    change = percent = None
    if amount is not None and earlier is not None:
        change = plain(float(round(amount - earlier, 2)))
        percent = plain(round(100 * (amount - earlier) / earlier, 1)) if earlier else None
    return {"figure": name, "amount": amount, "of": of, "before": earlier, "change": change, "percent": percent}


def _people(acts: _Acts) -> list[dict[str, Any]]:
    """Who opened most, where the stream says who it was: at most ten."""
    opened: dict[str, int] = {}
    solved: dict[str, int] = {}
    for counts, spells in ((opened, acts.opened), (solved, acts.closed)):
        for one in spells:
            if one.opener is not None:
                counts[one.opener] = counts.get(one.opener, 0) + 1
    people = sorted({*opened, *solved}, key=lambda one: (-opened.get(one, 0), -solved.get(one, 0), one))
    return [{"person": one, "opened": opened.get(one, 0), "solved": solved.get(one, 0)} for one in people[:MOST_PEOPLE]]
