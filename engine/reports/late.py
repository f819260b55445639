"""Reports that are due and are not there: why, and since when. Nobody waits in vain for what nobody makes."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from engine.instants import MINUTE, SECOND, Instant, iso
from engine.reports.periods import Period
from engine.reports.schedule import closed_everywhere, closing, due, periods_at
from engine.rulebook.book import Rulebook
from engine.rulebook.spec import Report, Sending
from engine.store import LaneInfo, ReportRound
from engine.zones import Zone, zone

GRACE = 10 * MINUTE
"""So long whoever issues reports may take before it is called late."""
Cause = Literal["lanes", "nobody", "failed"]


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """A report that is late, by the policy's zone: it was due, its period should be closed, and it was not issued.

    ``cause``: the clocks of ``lanes`` have not passed ``closes``; ``nobody`` issues it (for ``left`` accounts, where
    somebody began, else for all: 0); or it ``failed`` for ``left`` accounts. ``since`` is when it should have been.
    """

    report: str
    period: str
    due: Instant
    closes: Instant
    since: Instant
    cause: Cause
    lanes: tuple[int, ...] = ()
    left: int = 0

    def seconds(self, at: Instant) -> float:
        """How late it is at an instant."""
        return max(0, at - self.since) / SECOND

    @property
    def words(self) -> str:
        """What is wrong, and what to do."""
        told = f"{self.report} of {self.period}, due {iso(self.due)},"
        if self.cause == "lanes":
            return f"{told} waits until lanes {', '.join(map(str, self.lanes))} pass {iso(self.closes)}"
        some = "1 account" if self.left == 1 else f"{self.left:,} accounts"
        if self.cause == "failed":
            return f"{told} cannot be made for {some}: the log of 'run' or 'send --watch' says why"
        whom = f" to {some}" if self.left else ""
        return f"{told} was not issued{whom}: nothing here does it; start 'ringfirst send --watch' beside the workers"


def late(
    book: Rulebook, infos: Sequence[LaneInfo], rounds: Sequence[ReportRound], at: Instant, *, living: bool = False
) -> list[Late]:
    """The reports of a rulebook that are late at ``at``, the newest of each that is due.

    A store whose lanes all stand before the closing, and have no owner, is one that only history is brought into: no
    report of it is late, unless ``living`` says otherwise.
    """
    known = {(one.report, one.period): one for one in rounds}
    where, found = zone(book.policy.timezone), []
    for report in book.reports:
        if report.sending is not None:
            one = _late(report, report.sending, book, where, infos, known, at, living=living)
            found += [one] if one is not None else []
    return found


def _late(
    report: Report,
    sending: Sending,
    book: Rulebook,
    where: Zone,
    infos: Sequence[LaneInfo],
    known: dict[tuple[str, str], ReportRound],
    at: Instant,
    *,
    living: bool,
) -> Late | None:
    def ready(period: Period) -> tuple[Instant, Instant]:
        return due(sending.schedule, period, where, book.policy.hours), closing(period, where, report.close_after)

    # Not older than whoever issues them looks at: what is new in a rulebook owes nothing for last year.
    looked_at = periods_at(sending.schedule, at, close_after=report.close_after)
    period = next((one for one in looked_at if max(ready(one)) <= at), None)
    if period is None:
        return None
    leaves, closes = ready(period)
    since, ends = max(leaves, closes), where.start(period.last + 1)
    if min((info.first_at for info in infos if info.first_at is not None), default=ends) >= ends:
        return None  # of that period nothing is known
    clocks = {info.lane: info.clock_at for info in infos if info.clock_at is not None}
    behind = tuple(lane for lane, clock in sorted(clocks.items()) if clock <= closes)
    live = living or len(behind) < len(clocks) or any(info.owner is not None for info in infos)

    def told(cause: Cause, left: int = 0) -> Late:
        return Late(
            report=report.id,
            period=period.name,
            due=leaves,
            closes=closes,
            since=since,
            cause=cause,
            lanes=behind,
            left=left,
        )

    if behind:
        return told("lanes") if live else None
    if at < since + GRACE:
        return None
    last = known.get((report.id, period.name))
    if last is None:
        return told("nobody")
    if last.failed:
        return told("failed", last.failed)
    # Until then accounts of western zones wait for the end of their own month.
    everywhere = closed_everywhere(period, report.close_after) + GRACE
    return told("nobody", last.waiting) if last.waiting and at > max(everywhere, since + GRACE) else None
