"""Which reports are still to be issued, for a process that goes on: accounts are looked at when their period closes."""

from collections.abc import Callable, Sequence

from engine.instants import HOUR, Instant
from engine.reports.issuing import AT_ONCE, Issued, Issuer, clock_of, walk
from engine.reports.periods import Period
from engine.reports.schedule import closed_everywhere, periods_at
from engine.rulebook.spec import Report
from engine.store import ReportRound

AGAIN = HOUR
"""How long the list of accounts is good for: one that comes in before its period is closed has a report too."""


class Agenda:
    """The reports of one rulebook, issued round by round. What is done is remembered, so that most rounds cost nothing.

    Nothing is lost with it: a process that begins anew looks at every account of the newest periods once more, and what
    was issued already stays as it is.
    """

    def __init__(self, issuer: Issuer, failed: Callable[[str, str, Exception], None] = lambda *_: None) -> None:
        """``failed`` is told of a report that cannot be made: its report, its account, and why. It stays to be made."""
        self._issuer = issuer
        self._failed = failed
        self._todo: dict[tuple[str, str], dict[str, Instant]] = {}
        """By report and period: the accounts still to look at, and when their period is closed (0: not known yet)."""
        self._listed: dict[tuple[str, str], tuple[Instant, set[str]]] = {}
        """By report and period: the accounts that were ever on the list, and the clock by which it was made."""
        self._failing: dict[tuple[str, str], set[str]] = {}
        """By report and period: the accounts whose report could not be made in the last round."""
        self._said: dict[tuple[str, str], tuple[int, int]] = {}
        """By report and period what the store was last told: how many accounts wait, and how many failed."""

    def round(self, *, wall: Instant, over: Callable[[], bool] = lambda: False) -> int:
        """Issue what can be by now, until ``over``; gives how many reports were put into the inboxes.

        Periods are closed by the clocks of the lanes; ``wall`` is the wall clock.
        """
        clock = clock_of(self._issuer.store)
        if clock is None:
            return 0
        put = 0
        for report, sending in self._issuer.reports:
            for period in periods_at(sending.schedule, clock, close_after=report.close_after):
                put += self._sweep(report, period, clock, wall, over)
                self._say((report.id, period.name), max(wall, clock))
        return put

    def _sweep(self, report: Report, period: Period, clock: Instant, wall: Instant, over: Callable[[], bool]) -> int:
        key = (report.id, period.name)
        self._list(key, closed_everywhere(period, report.close_after), clock)
        todo, put, some = self._todo[key], 0, list[Issued]()
        ready = [account_id for account_id, closes in todo.items() if closes < clock]
        left = self._failing.setdefault(key, set())
        left.clear()

        def failed(account_id: str, err: Exception) -> None:
            left.add(account_id)
            self._failed(report.id, account_id, err)

        for one in walk(self._issuer, report, period, ready, clock=clock, failed=failed):
            some.append(one)
            if len(some) == AT_ONCE:
                put += self._done(todo, some, max(wall, clock))
                some = []
                if over():
                    return put
        put += self._done(todo, some, max(wall, clock))
        for account_id in ready:
            if account_id not in left and todo.get(account_id, clock) < clock:  # it had the report already
                del todo[account_id]
        return put

    def _say(self, key: tuple[str, str], at: Instant) -> None:
        """Tell the store how far the period is, whenever that is news: who is on call reads there what is not done."""
        failed = len(self._failing[key])
        news = len(self._todo[key]) - failed, failed
        if self._said.get(key) != news:
            self._issuer.store.put_report_round(ReportRound(*key, at, *news))
            self._said[key] = news

    def _list(self, key: tuple[str, str], closed: Instant, clock: Instant) -> None:
        """Put the accounts on the list, and until all of them are ``closed`` those that came in since."""
        listed, seen = self._listed.get(key, (None, set()))
        if listed is not None and (clock < listed + AGAIN or listed > closed):
            return
        new = [account_id for account_id in self._issuer.store.accounts() if account_id not in seen]
        self._todo.setdefault(key, {}).update(dict.fromkeys(new, 0))
        self._listed[key] = clock, seen.union(new)

    def _done(self, todo: dict[str, Instant], some: Sequence[Issued], at: Instant) -> int:
        put = self._issuer.put(some, at=at)
        for one in some:
            del todo[one.account_id]
        todo.update((one.account_id, one.closes) for one in some if one.outcome == "waits")
        return put
