"""What every trace is made of: a figure with its formula, and the events that give it to the last digit."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from engine.instants import Instant, iso
from engine.measures.measure import Happening
from engine.reports.past import Past
from engine.reports.periods import Period

Json = Any


class Traced(NamedTuple):
    """One figure: its ``amount`` (None: unknown, or no number), the formula in words and numbers, and its events.

    ``earlier`` are the figures that stand beside it, each with events of its own; ``more`` is what only some have.
    """

    label: str
    unit: str
    amount: Json
    formula: str
    events: list[dict[str, Json]]
    earlier: Sequence[dict[str, Json]] = ()
    more: dict[str, Json] = {}  # noqa: RUF012, nobody changes it


def event_json(row: Happening, counted: Json, **more: Json) -> dict[str, Json]:
    """An event behind a figure; ``counted`` is what it adds."""
    return {"id": row.event.id, "type": row.event.type, "time": iso(row.time), "counted": counted, **more}


def bounds(past: Past, period: Period) -> tuple[Instant, Instant]:
    """The first instant of a period and the first after it, by the account's days."""
    return past.zone.start(period.first), past.zone.start(period.last + 1)


def within(rows: Iterable[Happening], start: Instant, end: Instant) -> list[Happening]:
    """The events from ``start`` on, and before ``end``."""
    return [row for row in rows if start <= row.time < end]


def setting(past: Past, trait: str, end: Instant | None = None) -> list[Happening]:
    """The event that set a trait of the account to what it was at ``end`` (the period's); none: it was never set."""
    last = past.end if end is None else end
    found = [row for row in past.rows if row.time <= last and _sets(row, trait)]
    return found[-1:]


def _sets(row: Happening, trait: str) -> bool:
    kinds = {"account.updated", "owner.changed"} if trait == "owner" else {"account.updated"}
    return row.event.type in kinds and trait in row.event.properties


def events_text(count: int, word: str = "event") -> str:
    """How many events, or times.

    >>> events_text(1), events_text(1200), events_text(2, "time")
    ('1 event', '1,200 events', '2 times')
    """
    return f"{count:,} {word}{'' if count == 1 else 's'}"
