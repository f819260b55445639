"""Reports issued: by a command for whoever asks, and round by round in a process that sends."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from engine.errors import LaneTaken, StoreError, UsageError
from engine.instants import Instant
from engine.reports.agenda import Agenda
from engine.reports.issuing import Issued, Issuer, clock_of, walk
from engine.reports.periods import Period
from engine.reports.schedule import periods_at
from engine.rulebook.reporting import LATE_BY
from engine.rulebook.spec import Report
from engine.store import ReportRound
from ringfirst.intake import now
from ringfirst.owners import keep_live
from ringfirst.reports_issued import late_reports

if TYPE_CHECKING:
    from engine.rulebook.book import Rulebook
    from engine.store import Store

_log = logging.getLogger("ringfirst.reporting")
ROUND_SECONDS = 5.0
"""How long reports are made before mails that are due leave again."""


def made(
    issuer: Issuer,
    reports: Sequence[Report],
    accounts: Sequence[str],
    *,
    period: Period | None = None,
    since: Instant | None = None,
    failed: Callable[[str, str, Exception], None] | None = None,
) -> Iterator[Issued]:
    """Each account's reports that can be issued by now, without those that are; nothing is written.

    ``period``: of that one alone, however old it is; ``since``: of all periods that end after it. ``failed`` is told of
    a report that cannot be made, its account and why; the others go on. Raises ``UsageError`` for a store without
    events.
    """
    clock = clock_of(issuer.store)
    if clock is None:
        raise UsageError("store: there are no events yet; import some first: ringfirst import FILE")
    if since is not None:  # before the log began no period is known as a whole
        began = [info.first_at for info in issuer.store.lane_infos(at=0) if info.first_at is not None]
        since = max(since, min(began, default=since))
    for report in reports:
        if report.sending is None:
            continue
        periods = (
            [period]
            if period is not None
            else periods_at(report.sending.schedule, clock, since, close_after=report.close_after)
        )
        for one in sorted(periods, key=lambda one: one.first):
            past = period is not None or since is not None
            fails = partial(failed, report.id) if failed is not None else None
            yield from walk(issuer, report, one, accounts, clock=clock, past=past, failed=fails)


def tell_rounds(store: "Store", found: Sequence[Issued], failed: Sequence[str], *, at: Instant) -> None:
    """Tell the store how far each report's period is after all accounts were asked for: who is on call reads it.

    ``failed`` has the report of each account whose report cannot be made.
    """
    waiting: dict[tuple[str, str], int] = {}
    for one in found:
        key = one.report, one.period
        waiting[key] = waiting.get(key, 0) + (one.outcome == "waits")
    for (report, period), count in sorted(waiting.items()):
        store.put_report_round(ReportRound(report, period, at, count, failed.count(report)))


def taken_in(store: "Store", book: "Rulebook") -> bool:
    """Let the lanes take in what was issued, where no other process owns them; whether one does not."""
    try:
        keeper = keep_live(store, book, at=now())
    except LaneTaken:
        return False
    try:
        keeper.take([], at=now())
        keeper.stop()
    except BaseException:
        with suppress(StoreError):
            keeper.abandon()
        raise
    return True


def issued_once(store: "Store", book: "Rulebook") -> int:
    """Issue what can be by now, and let the lanes take it in where nobody else owns them; how many reports there were.

    Of a store that stands so far behind the wall clock that no report of it can leave any more, none is: it is history.
    """
    clock = clock_of(store)
    if clock is None or clock < now() - LATE_BY or all(one.sending is None for one in book.reports):
        return 0
    count = Rounds(store, lambda: book).issue(seconds=float("inf"))
    if count:
        taken_in(store, book)
    return count


class Rounds:
    """Issues reports beside a sender, round by round, by whichever rulebook is active."""

    def __init__(self, store: "Store", book: "Callable[[], Rulebook | None]") -> None:
        self._store = store
        self._book = book
        self._agenda: tuple[str, Agenda] | None = None
        self._said = ""
        self._waiting = ""
        self._failing: dict[tuple[str, str], str] = {}

    def issue(self, *, stop: Callable[[], bool] = lambda: False, seconds: float = ROUND_SECONDS) -> int:
        """Issue what can be by now, until ``stop`` or so many seconds are over; gives how many reports there were.

        Mails that are due must not wait for a report that cannot be made: what is wrong is said, and tried again later.
        Raises ``StoreError`` when the store is away.
        """
        try:
            return self._round(stop, time.monotonic() + seconds)
        except StoreError:
            raise
        except Exception as err:  # noqa: BLE001, whatever it is, the sender behind it goes on
            if self._said != str(err):
                _log.error("reports cannot be issued; %s: %s; it is tried again", type(err).__name__, err)
            self._said = str(err)
            return 0

    def _round(self, stop: Callable[[], bool], end: float) -> int:
        book = self._book()
        if book is None or all(one.sending is None for one in book.reports):
            return 0
        if self._agenda is None or self._agenda[0] != book.fingerprint:
            self._agenda = book.fingerprint, Agenda(Issuer(self._store, book), self._fails)
        self._tell(book)
        return self._agenda[1].round(wall=now(), over=lambda: stop() or time.monotonic() >= end)

    def _fails(self, report: str, account_id: str, err: Exception) -> None:
        """Say once of a report that it cannot be made; those of other accounts do not wait for it."""
        if self._failing.get((report, account_id)) != str(err):
            what = f"report {report} of account {account_id[:60]} cannot be issued; {type(err).__name__}: {err}"
            _log.error("%s; it is tried again", what)
        self._failing[report, account_id] = str(err)

    def _tell(self, book: "Rulebook") -> None:
        """Say once which reports are due by the wall clock and wait for lanes, and when they do so no longer."""
        found = late_reports(self._store, book, now(), living=True)
        said = "; ".join(one.words for one in found if one.cause == "lanes")
        if said != self._waiting:
            _log.warning("reports wait: %s", said) if said else _log.info("no report waits any more")
        self._waiting = said
