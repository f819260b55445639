"""An account as a report sees it: as of its period's last instant, without what our own staff and test users did."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from engine.domains import within
from engine.errors import UsageError
from engine.instants import Instant
from engine.lanes import lane_of
from engine.log import Recorded
from engine.measures.measure import LONG_AGO, Happening, Moment, matches
from engine.program import Program
from engine.questions import events_of, now_of, totals_of, unknown_account
from engine.reports.figures import Ledger
from engine.reports.periods import Period
from engine.reports.spells import acts_of
from engine.rulebook.agreed import GOAL
from engine.rulebook.book import Rulebook
from engine.rulebook.expressions import parse
from engine.rulebook.spec import CLOSE_AFTER, Line, Policy, Report, Rule, Test
from engine.state import AccountState, Shape
from engine.store import Store
from engine.values import Value
from engine.views import AccountView
from engine.zones import Day, Zone, date_of, valid_zone

ACCOUNTS, EVENTS = 100, 10_000
"""What is read together when all accounts are."""
_TIME = attrgetter("time")
_BY_TURN = itemgetter(0, 1)


class Past(NamedTuple):
    """What is known of an account for one period.

    ``end`` is its last millisecond. ``view`` is as of then (or of when the question was asked, if that is earlier),
    ``now`` as of when it was asked, ``clock`` how far all lanes were then. ``since`` is from when on all that happened
    would be in our log: periods that begin earlier are parts. ``left_out`` counts events of our own people and of test
    users, who are ``ours``. ``rows`` are all events up to ``end``, whoever did them.
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
    clock: Instant
    ours: frozenset[str] = frozenset()
    rows: Sequence[Happening] = ()

    @property
    def zone(self) -> Zone:
        """The zone whose days count."""
        return self.ledger.zone

    @property
    def over(self) -> bool:
        """Has the period ended?"""
        return self.end < self.asked

    def closed(self, close_after: int = CLOSE_AFTER) -> bool:
        """Is every lane's clock past the period's end by so much, so that its figures move no more?"""
        return self.end + close_after < self.clock

    def full(self, period: Period) -> bool:
        """Was the account known from the first instant of that period on?"""
        return self.since <= self.zone.start(period.first)


class NotYetKnown(UsageError):
    """Nobody knew the account in that period; ask for a later one."""


class Known:
    """What the store has of one account by the instant of the question: read once, whatever is asked of it."""

    __slots__ = ("_rows", "_turns", "account_id", "cancelled", "mark", "ordered", "pasts", "people", "state")

    def __init__(
        self, account_id: str, events: Sequence[Recorded], people: Mapping[str, Mapping[str, Any]], *, cancelled: bool
    ) -> None:
        self.account_id = account_id
        self.people = people
        self.cancelled = cancelled
        self.ordered = sorted(
            ((min(one.event.time, one.recorded_at), one.position, one) for one in events), key=_BY_TURN
        )
        self.pasts: dict[Period, Past] = {}
        self._rows: dict[str, list[Happening]] = {}
        self._turns: dict[str, list[Happening]] = {}
        self.state: AccountState | None = None
        """What was folded last, and in which zone of how many events: mostly nothing happened since the period."""
        self.mark: tuple[str, int, bool] | None = None

    def rows(self, zone: Zone) -> list[Happening]:
        """All its events in the order of time, with their days in a zone."""
        found = self._rows.get(zone.key)
        if found is None:
            found = self._rows[zone.key] = list(_with_days(self.ordered, zone))
        return found

    def turns(self, zone: Zone, shape: Shape) -> list[Happening]:
        """Of ``rows`` those that may change a state."""
        found = self._turns.get(zone.key)
        if found is None:
            found = self._turns[zone.key] = [row for row in self.rows(zone) if shape.concerns(row.event)]
        return found

    def zone_at(self, end: Instant, otherwise: Zone) -> Zone:
        """The account's zone as its traits said at an instant."""
        named: object = None
        for time, _, one in self.ordered:
            if time > end:
                break
            if one.event.type == "account.updated" and "timezone" in one.event.properties:
                named = one.event.properties["timezone"]
        return valid_zone(named, otherwise)


class Accounts:
    """Reads accounts of a store for reports, each of them once; the rulebook is made ready once for all of them.

    What is known is what was recorded by ``asked``. One account is held at a time.
    """

    def __init__(
        self, store: Store, book: Rulebook, at: Instant | None, shared: dict[object, Any] | None = None
    ) -> None:
        """``shared`` keeps what takes a look at all accounts, for everybody who is given the same one."""
        self.store = store
        self.book = book
        self.asked = now_of(store, at)
        asking = tuple(_asking(book, report) for report in book.reports)
        self._program = Program(replace(book, rules=(*asking, _OF_GOALS, *_of_things(book), *_of_steps(book))))
        infos = store.lane_infos(at=0)
        clocks = [info.clock_at for info in infos if info.clock_at is not None]
        self._clock = min(*clocks, self.asked) if clocks else self.asked
        self._began = {info.lane: info.first_at for info in infos}
        self._totals: dict[tuple[int, Instant], dict[str, Value]] = {}
        self._held: Known | None = None
        self.families: dict[object, Any] = {} if shared is None else shared

    def each(self, *, after: str = "") -> Iterator[str]:
        """Every account behind ``after``, by its id's bytes; what is asked of one while it is told is in hand.

        Memory holds some accounts at a time, however many there are.
        """
        for some in _in_batches(self.store.histories(after=after, until_at=self.asked)):
            names = [name for name, _ in some]
            people = self.store.people_of(names)
            cancelled = self.store.cancelled_of(names, at=self.asked)
            for name, events in some:
                self._held = Known(name, events, people.get(name, {}), cancelled=name in cancelled)
                yield name

    def day(self, account_id: str) -> int:
        """The local day of the account on which the question is asked. Raises ``UsageError`` for an unknown account."""
        return self._known(account_id).zone_at(self.asked, self._program.zone).day(self.asked)

    def past(self, account_id: str, period: Period) -> Past:
        """The account for a period. Raises ``UsageError`` for one that nobody knew by then."""
        known = self._known(account_id)
        found = known.pasts.get(period)
        if found is None:
            found = known.pasts[period] = self._past(known, period)
        return found

    def traits_at(self, account_id: str, end: Instant) -> dict[str, object]:
        """The account's traits as of an instant."""
        return _traits(self._view(self._known(account_id), end))

    def cancelled(self, account_id: str) -> bool:
        """Had the account cancelled when the question was asked?"""
        return self._known(account_id).cancelled

    def recorded(self, account_id: str) -> list[Recorded]:
        """The account's events by the instant of the question, in the order of time."""
        return [one for _, _, one in self._known(account_id).ordered]

    def zone_of(self, account_id: str, period: Period) -> Zone:
        """The zone whose days a period of the account is made of, without computing anything else."""
        known = self._known(account_id)
        return known.zone_at(self._end(known, period), self._program.zone)

    def end_of(self, account_id: str, period: Period) -> Instant:
        """The last instant of the account's period, by its own zone."""
        return self._end(self._known(account_id), period)

    def knew(self, account_id: str, day: Day, at: Instant) -> bool:
        """Was the account known from the first instant of a day on, as far as anybody knew at an instant?"""
        known = self._known(account_id)
        rows = [one for _, _, one in known.ordered if one.recorded_at <= at]
        if not rows:
            return False
        view = self._view(Known(account_id, rows, {}, cancelled=False), at)
        return view.watched is not None and view.watched <= view.moment.zone.start(day)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Other accounts may be asked about within, and the one in hand is in hand again after it."""
        held = self._held
        try:
            yield
        finally:
            self._held = held

    def _known(self, account_id: str) -> Known:
        if self._held is None or self._held.account_id != account_id:
            events = events_of(self.store, account_id, self.asked)
            if not events:
                raise unknown_account(self.store, account_id, self.asked)
            gone = self.store.cancelled(account_id, at=self.asked)
            self._held = Known(account_id, events, self.store.people(account_id), cancelled=gone)
        return self._held

    def _past(self, known: Known, period: Period) -> Past:
        end = self._end(known, period)
        view = self._view(known, end, min(end, self.asked))
        if view.watched is None:
            day = date_of(view.moment.zone.day(known.ordered[0][0])).isoformat()
            message = f"nothing is known of it in {period.title}; its first event is of {day}"
            raise NotYetKnown(f"account '{known.account_id[:60]}': {message}")
        rows = _until(known.rows(view.moment.zone), end)
        ours = ours_of(rows, known.people, self.book.policy)
        kept = [row for row in rows if row.event.user_id not in ours] if ours else rows
        return Past(
            known.account_id,
            period,
            self.asked,
            end,
            view,
            self._view(known, self.asked),
            Ledger(kept, view.moment.zone, _traits(view), lambda measure: acts_of(measure, view, rows, ours)),
            view.watched,
            len(rows) - len(kept),
            self._clock,
            ours,
            rows,
        )

    def _end(self, known: Known, period: Period) -> Instant:
        """The last instant of the period, which the account's zone says, which is that of its traits as of then."""
        where = self._program.zone
        end = where.start(period.last + 1) - 1
        own = known.zone_at(end, where)
        return end if own is where else own.start(period.last + 1) - 1

    def _view(self, known: Known, end: Instant, at: Instant | None = None) -> AccountView:
        """The account as of ``at`` (or ``end``), of its events up to ``end``."""
        at, shape = end if at is None else at, self._program.shape
        where = known.zone_at(end, self._program.zone)
        rows = _until(known.turns(where, shape), end)
        first = known.ordered[0][0]
        state = known.state if known.state is not None and known.mark == (where.key, len(rows), first <= end) else None
        if state is None:
            state = shape.fresh()
            for row in rows:
                shape.fold(state, row)
            state.first_event = first if first <= end else None
            known.state, known.mark = state, (where.key, len(rows), first <= end)
        began = self._began.get(lane_of(known.account_id, self.store.lanes))
        moment = Moment(at, where.day(at), where)
        totals = self._totals_at(known.account_id, at) if self._program.whole else {}
        return AccountView(self._program, state, moment, totals, known.account_id, at if began is None else began)

    def _totals_at(self, account_id: str, at: Instant) -> dict[str, Value]:
        key = lane_of(account_id, self.store.lanes), at
        if key not in self._totals:
            self._totals[key] = totals_of(self.store.account_entries(account_id, until_at=min(at, self.asked)), {})
        return self._totals[key]


def _with_days(ordered: Iterable[tuple[Instant, int, Recorded]], zone: Zone) -> Iterator[Happening]:
    """Events with their local days. ``now`` is long ago: several looks share them, and nothing may be forgotten."""
    day, until = 0, LONG_AGO
    for time, position, one in ordered:
        if time >= until:
            _, until, day = zone.day_around(time)
        yield Happening(time, position, one.event, day, LONG_AGO)


def _until(rows: list[Happening], end: Instant) -> list[Happening]:
    return rows[: bisect_right(rows, end, key=_TIME)]


def _in_batches(histories: Iterable[tuple[str, list[Recorded]]]) -> Iterator[list[tuple[str, list[Recorded]]]]:
    """So many accounts that one question about all of them is worth it, and no more events than fit."""
    some: list[tuple[str, list[Recorded]]] = []
    count = 0
    for one in histories:
        some.append(one)
        count += len(one[1])
        if len(some) >= ACCOUNTS or count >= EVENTS:
            yield some
            some, count = [], 0
    if some:
        yield some


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
    found = [Rule(f"every {kind}", subject="thing", each=kind, status="draft") for kind in kinds]
    for value in book.values.values():
        measure = book.measures[value.measure]
        if measure.thing:
            found.append(Rule(f"value {value.name}", when=(_known(measure.name),), status="draft"))
            names = [
                f"{measure.thing}.{name}" for name in ((value.worth.prop, "currency") if value.worth else ()) if name
            ]
            when = tuple(map(_known, names))
            found.append(Rule(f"each of {value.name}", subject="thing", each=measure.thing, when=when, status="draft"))
    return found


def _known(name: str) -> Line:
    """A condition that asks for a name, so that what it rests on is kept."""
    return Line(f"known({name})", parse(f"known({name})"))


def _of_steps(book: Rulebook) -> list[Rule]:
    """The rules that next steps come from, without their mails: whom these reach is not asked, and people cost much."""
    named = {name for one in book.reports if one.next_steps for name in one.next_steps.from_rules}
    return [replace(rule, outreach=None) for rule in book.rules if rule.id in named]


def _asking(book: Rulebook, report: Report) -> Rule:
    """A rule that asks for the account's names that a report's conditions use, so that these alone are kept."""
    names = {
        name
        for line in (*report.send_if, *report.unless, *(report.sending.review_if if report.sending else ()))
        for name in line.term.names()
    }
    known = [f"known({name})" for name in sorted(names) if name in book.names.account]
    when = tuple(Line(text, parse(text)) for text in known)
    return Rule(report.id, audience=report.audience, when=when, status="draft")


def _traits(view: AccountView) -> dict[str, object]:
    return {name: row[2] for name, row in view.state.traits.items()}
