"""An account as a report sees it: as of its period's last instant, without what our own staff and test users did."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from engine.account import account_view
from engine.domains import within
from engine.errors import UsageError
from engine.instants import HOUR, Instant
from engine.log import Recorded
from engine.measures.measure import Happening, matches
from engine.program import Program
from engine.questions import events_of, log_began, now_of, totals_of, unknown_account
from engine.reports.figures import Ledger
from engine.reports.periods import Period
from engine.rulebook.agreed import GOAL
from engine.rulebook.book import Rulebook
from engine.rulebook.expressions import parse
from engine.rulebook.spec import Line, Policy, Report, Rule, Test
from engine.state import in_order
from engine.store import Store
from engine.views import AccountView
from engine.zones import Zone, date_of, zone

CLOSE_AFTER = 24 * HOUR
"""A period is closed once every lane's clock is this far past its end; until then its figures may still move."""


class Past(NamedTuple):
    """What is known of an account for one period.

    ``end`` is its last millisecond. ``view`` is as of then (or of when the question was asked, if that is earlier),
    ``now`` as of when it was asked. ``since`` is from when on all that happened would be in our log: periods that begin
    earlier are parts. ``left_out`` counts events of our own people and of test users,
    who are ``ours``.
    """

    account_id: str
    period: Period
    asked: Instant
    end: Instant
    view: AccountView
    now: AccountView
    ledger: Ledger
    since: Instant
    left_out: int
    closed: bool
    ours: frozenset[str] = frozenset()

    @property
    def zone(self) -> Zone:
        """The zone whose days count."""
        return self.ledger.zone

    @property
    def over(self) -> bool:
        """Has the period ended?"""
        return self.end < self.asked

    def full(self, period: Period) -> bool:
        """Was the account known from the first instant of that period on?"""
        return self.since <= self.zone.start(period.first)


class Accounts:
    """Reads accounts of a store for reports; the rulebook is made ready once for all of them."""

    def __init__(self, store: Store, book: Rulebook, at: Instant | None) -> None:
        self.store = store
        self.book = book
        self.asked = now_of(store, at)
        asking = tuple(_asking(book, report) for report in book.reports)
        self._program = Program(replace(book, rules=(*asking, _OF_GOALS, *_of_things(book))))
        clocks = [info.clock_at for info in store.lane_infos(at=0) if info.clock_at is not None]
        self._clock = min(*clocks, self.asked) if clocks else self.asked

    def day(self, account_id: str) -> int:
        """The local day of the account on which the question is asked. Raises ``UsageError`` for an unknown account."""
        return self._view(account_id, self._events(account_id), self.asked).moment.today

    def past(self, account_id: str, period: Period) -> Past:
        """The account for a period. Raises ``UsageError`` for one that nobody knew by then."""
        events = self._events(account_id)
        end, view = self._as_of_end(account_id, events, period)
        if view.watched is None:
            first = min(min(one.event.time, one.recorded_at) for one in events)
            day = date_of(view.moment.zone.day(first)).isoformat()
            raise UsageError(
                f"account '{account_id[:60]}': nothing is known of it in {period.title}; its first event is of {day}"
            )
        rows = [row for row in in_order(events, view.moment.zone, self.asked) if row.time <= end]
        ours = ours_of(rows, self.store.people(account_id), self.book.policy)
        kept = [row for row in rows if row.event.user_id not in ours]
        return Past(
            account_id,
            period,
            self.asked,
            end,
            view,
            self._view(account_id, events, self.asked),
            Ledger(kept, view.moment.zone, _traits(view)),
            view.watched,
            len(rows) - len(kept),
            end + CLOSE_AFTER < self._clock,
            ours,
        )

    def traits_at(self, account_id: str, end: Instant) -> dict[str, object]:
        """The account's traits as of an instant."""
        return _traits(self._view(account_id, _by(self._events(account_id), end), end))

    def _events(self, account_id: str) -> list[Recorded]:
        events = events_of(self.store, account_id, self.asked)
        if not events:
            raise unknown_account(self.store, account_id, self.asked)
        return events

    def _as_of_end(self, account_id: str, events: list[Recorded], period: Period) -> tuple[Instant, AccountView]:
        """The last instant of the period, which the account's zone says, which is that of its traits as of then."""
        where = zone(self.book.policy.timezone)
        end = where.start(period.last + 1) - 1
        view = self._view(account_id, _by(events, end), min(end, self.asked))
        if view.moment.zone is not where:
            end = view.moment.zone.start(period.last + 1) - 1
            view = self._view(account_id, _by(events, end), min(end, self.asked))
        return end, view

    def _view(self, account_id: str, events: list[Recorded], at: Instant) -> AccountView:
        entries = self.store.account_entries(account_id, until_at=min(at, self.asked)) if self._program.whole else []
        began = log_began(self.store, account_id)
        return account_view(self._program, events, at, totals_of(entries, {}), at if began is None else began)


def ours_of(rows: Iterable[Happening], people: Mapping[str, Mapping[str, Any]], policy: Policy) -> frozenset[str]:
    """People who are no customers: with an address of ours or an excluded one, or with the trait ``test: true``.

    The trait is the newest among these events.
    """
    domains = [*policy.staff_domains, *policy.contact.exclude_domains]
    found = {person: within(str(traits.get("email") or ""), domains) for person, traits in people.items()}
    tests: dict[str, bool] = {}
    for row in rows:
        event = row.event
        if event.type == "user.updated" and event.user_id and "test" in event.properties:
            tests[event.user_id] = event.properties["test"] is True
    return frozenset(person for one in (found, tests) for person, is_ours in one.items() if is_ours)


def excluded(view: AccountView, policy: Policy) -> str | None:
    """The trait for which the account is never written to, or None."""
    for name, value in policy.contact.exclude_accounts:
        if matches(Test((name,), "is", (value,)), view.state.trait(name)):
            return name
    return None


def _by(events: list[Recorded], end: Instant) -> list[Recorded]:
    return [one for one in events if min(one.event.time, one.recorded_at) <= end]


_OF_GOALS = Rule(
    "goals of accounts",
    subject="thing",
    each=GOAL,
    when=tuple(Line(text, parse(text)) for text in ("known(goal.target)", "known(goal.baseline)", "known(goal.due)")),
    status="draft",
)
"""A rule that asks for what goals say, so that it is kept."""


def _of_things(book: Rulebook) -> list[Rule]:
    """Rules that ask for the things that reports tell of."""
    kinds = dict.fromkeys(one.support.of for one in book.reports if one.support)
    return [Rule(f"every {kind}", subject="thing", each=kind, status="draft") for kind in kinds]


def _asking(book: Rulebook, report: Report) -> Rule:
    """A rule that asks for the account's names that a report's conditions use, so that these alone are kept."""
    names = {name for line in (*report.send_if, *report.unless) for name in line.term.names()}
    known = [f"known({name})" for name in sorted(names) if name in book.names.account]
    when = tuple(Line(text, parse(text)) for text in known)
    return Rule(report.id, audience=report.audience, when=when, status="draft")


def _traits(view: AccountView) -> dict[str, object]:
    return {name: row[2] for name, row in view.state.traits.items()}
