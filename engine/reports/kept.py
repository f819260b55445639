"""What was issued, as it was: the figures that somebody was sent stay, whatever is known of the period since."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from engine.instants import Instant, iso
from engine.log import Recorded
from engine.reports.periods import Period, read_period
from engine.rulebook.book import Rulebook
from engine.rulebook.reporting import REPORTED
from engine.rulebook.spec import Report, fingerprint


class Kept(NamedTuple):
    """One report that was issued: of which period, for the how-manieth time, and the event's properties."""

    event_id: str
    report: str
    period: str
    number: int
    closed: Instant
    properties: dict[str, Any]

    @property
    def figures(self) -> dict[str, Any]:
        """The report as it was issued, in the shape of a preview."""
        found: dict[str, Any] = self.properties["figures"]
        return found


def issued_in(events: Iterable[Recorded]) -> list[Kept]:
    """The reports among an account's events, in the order of the log."""
    found = [one.event for one in events if one.event.type == REPORTED]
    return [
        Kept(one.id, str(told["report"]), str(told["period"]), int(told["number"]), one.time, dict(told))
        for one in found
        for told in [one.properties]
        if {"report", "period", "number", "figures"} <= told.keys()
    ]


def newest(kept: Sequence[Kept], report: str, period: str) -> Kept | None:
    """The last that was issued of a period: what counts of it."""
    found = [one for one in kept if (one.report, one.period) == (report, period)]
    return max(found, key=lambda one: one.number, default=None)


def answer(one: Kept, last: Kept) -> dict[str, Any]:
    """What was issued as a preview tells it, with ``number`` and ``issued``; ``last`` is the newest of that period."""
    return {
        **one.figures,
        "number": one.number,
        "issued": {
            "number": one.number,
            "closed": iso(one.closed),
            "due": one.properties.get("due"),
            "why": one.properties.get("correction"),
            "corrected_by": last.number if last.number > one.number else None,
        },
    }


def marks_of(report: Report, book: Rulebook) -> dict[str, str]:
    """How each value is counted and priced, as a mark that differs when that does."""
    found = {}
    for value in (book.values[name] for name in report.values):
        measure = book.measures[value.measure]
        of = f" {book.things[measure.thing].fingerprint}" if measure.thing else ""
        found[value.name] = fingerprint(f"{measure.fingerprint} {value.worth!r}{of}")
    return found


def before(kept: Sequence[Kept], report: str, period: Period, most: int) -> list[Kept]:
    """The newest of each of the last ``most`` periods before this one that were issued, oldest first.

    A report that has another unit now than when it was issued begins anew.
    """
    mine = {one.period for one in kept if one.report == report and one.period < period.name}
    names = sorted(name for name in mine if read_period(name).unit == period.unit)
    found = [newest(kept, report, name) for name in names[-most:]]
    return [one for one in found if one is not None]
