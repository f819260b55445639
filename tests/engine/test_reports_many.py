"""The fast way to reports gives what the simple way gives, for any history, one account or all of them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.account import account_view
from engine.errors import UsageError
from engine.instants import DAY, HOUR, Instant, parse_instant
from engine.lanes import lane_of
from engine.log import Event, Recorded
from engine.measures.counts import Counting
from engine.measures.measure import Happening, Moment
from engine.numbers import MILLION
from engine.program import Program
from engine.reports import past as past_module
from engine.reports.figures import Ledger, amount_of, figure, money_of
from engine.reports.made import preview
from engine.reports.many import reports_of
from engine.reports.past import Accounts, ours_of
from engine.reports.periods import Period, read_period
from engine.rulebook.book import Rulebook, load_rulebook
from engine.rulebook.expressions import parse
from engine.rulebook.reports import ADDED
from engine.rulebook.spec import EVER, Line, Measure, NamedValue, Rule, Window, Worth
from engine.state import in_order
from engine.store import Batch, NewEvent, Store, Trait
from engine.stores import open_store
from engine.zones import Zone, zone

BOOK = """
things: {ticket: {id: ticket_id, opened_by: ticket.opened, closed_by: ticket.solved}}
measures:
  runs: {count: automation.run, over: 7d}
  hours: {sum: minutes, of: automation.run, times: 1/60}
  people: {unique: user_id, of: [automation.run, cart.recovered]}
  carts: {unique: cart, of: cart.recovered, times: 2}
  days: {days_active: any}
  longest: {maximum: minutes, of: automation.run, where: {ok: true}}
  shortest: {minimum: minutes, of: automation.run}
  usual: {median: minutes, of: automation.run, times: 1/3}
  mean: {average: minutes, of: automation.run}
  lately: {count: automation.run, over: 48h}
  last_week: {sum: minutes, of: automation.run, over: 7d, ending: 3d ago}
  quiet: {days_since: automation.run}
  open_tickets: {open: ticket}
segments: {paying: {when: 'plan == "pro"'}}
values:
  hours: {measure: hours, label: Hours, unit: hour, worth: {rate: 45, currency: EUR, per: hour}}
  carts: {measure: carts, label: Carts, worth: {sum: minutes}}
  usual: {measure: usual, label: Usual}
reports:
  - id: monthly
    period: previous month
    audience: paying
    values: [hours, carts, usual]
    price: mrr
    compare: [previous period, same period last year]
    send_if: [value_total > 0, "coalesce(lately, 0) >= 0"]
    unless: [open_tickets > 1, "coalesce(last_week, 0) > 500", "coalesce(quiet, 99) > 90"]
  - {id: quarterly, period: previous quarter, values: [hours], price: mrr}
policy: {timezone: Europe/Berlin, staff: {domains: [ours.example]}, exclude: {cancelled: true}}
"""
NAMES = ("paying", "lately", "last_week", "quiet", "open_tickets", "runs", "longest", "plan", "mrr")
ZONES = ("Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu", "nowhere", None)
BEGAN = parse_instant("2025-01-01T00:00:00Z") or 0
ASKED = BEGAN + 460 * DAY
ACCOUNTS = ("acme", "beta", "gamma")


def book() -> Rulebook:
    found, findings = load_rulebook({"rules/a.yml": BOOK})
    assert found is not None, [str(one) for one in findings]
    return found


RULES = book()

LINES = tuple(Line(text, parse(text)) for text in (f"known({name})" for name in NAMES))
ASKS = Program(replace(RULES, rules=(Rule("asks", when=LINES, status="draft"),)))
ASKING = replace(RULES, reports=(replace(RULES.reports[0], send_if=LINES), *RULES.reports[1:]))
"""The rulebook with a report that asks for every name."""

# -- the simple way ----------------------------------------------------------------------------------------------------


def plain_amount(measure: Measure, rows: Sequence[Happening], where: Zone, first: int | None, last: int) -> Any:
    """As a measure is read anywhere else: its window is the stretch, and everything is folded."""
    window = EVER if first is None else Window("days", size=last - first + 1)
    spec = replace(measure, window=window, full=False, per=None)
    moment = Moment(where.start(last + 1) - 1, last, where)
    behind = Counting(spec).evidence(rows, moment)
    plain = Counting(replace(spec, times=Fraction(1)) if spec.verb in ADDED else spec)
    data = plain.fresh()
    for row in behind:
        data = plain.fold(data, row)
    if spec.verb in {"count", "sum"}:
        exact = plain.exact(data, None, moment)
        return behind, None if exact is None else Fraction(exact) * spec.times / MILLION
    found = plain.read(data, None, moment)
    if not isinstance(found, float):
        return behind, None
    return behind, Fraction(found) * (spec.times if spec.verb in ADDED else 1)


def plain_view(events: list[Recorded], end: Instant, at: Instant) -> Any:
    """As a question to the store is answered: the state built from the account's events up to an instant."""
    known = [one for one in events if min(one.event.time, one.recorded_at) <= end]
    return account_view(ASKS, known, at, {}, BEGAN)


# -- histories ---------------------------------------------------------------------------------------------------------
ROWS = st.tuples(
    st.integers(0, 400 * 24 * 4).map(lambda quarters: BEGAN + quarters * HOUR // 4),
    st.sampled_from(["acme", "acme", "beta", "gamma"]),
    st.sampled_from(
        [
            "automation.run",
            "automation.run",
            "cart.recovered",
            "ticket.opened",
            "ticket.solved",
            "account.updated",
            "user.updated",
            "session.started",
            "subscription.created",
            "owner.changed",
        ]
    ),
    st.sampled_from(["u1", "u2", "s1", None]),
    st.fixed_dictionaries(
        {},
        optional={
            "minutes": st.one_of(st.integers(-5, 600), st.just("many"), st.none()),
            "ok": st.booleans(),
            "cart": st.sampled_from(["c1", "c2", 3]),
            "ticket_id": st.sampled_from(["t1", "t2", "t3"]),
            "plan": st.sampled_from(["pro", "free"]),
            "mrr": st.integers(0, 500),
            "currency": st.sampled_from(["EUR", "JPY", "euro"]),
            "timezone": st.sampled_from(ZONES),
            "test": st.booleans(),
            "owner": st.just("ann@ours.example"),
        },
    ),
)
HISTORIES = st.lists(ROWS, min_size=1, max_size=60)
"""Rows of (when, whose, what, who, with what), in the order they are told: some come late."""


def recorded(rows: Iterable[Any], example: int = 0) -> dict[str, list[Recorded]]:
    """Each account's events; the log's clock is that of what was told so far, some hours on."""
    found: dict[str, list[Recorded]] = {}
    at = BEGAN
    for position, (time, account, kind, user, more) in enumerate(rows, 1):
        at = max(at, time + (position % 3 - 1) * HOUR)
        name = f"{example:05d} {account}"
        event = Event(f"e{position * 7919 % 1009}-{position}", kind, name, user, time, more)
        found.setdefault(name, []).append(Recorded(position, at, event))
    return found


class Shelf:
    """One store for all examples: each has accounts of its own, behind those of the examples before."""

    def __init__(self) -> None:
        self.store = open_store("sqlite://")
        self.claims = self.store.claim(range(self.store.lanes), "test", at=BEGAN)
        self.example = 0

    def put(self, rows: Iterable[Any]) -> dict[str, list[Recorded]]:
        """Store a history; ``self.before`` is the place behind which its accounts lie."""
        self.example += 1
        self.before = f"{self.example:05d}"
        found: dict[str, list[Recorded]] = {}
        for name, events in recorded(rows, self.example).items():
            behind = self.claims[lane_of(name, self.store.lanes)].position
            found[name] = [msgspec.structs.replace(one, position=behind + one.position) for one in events]
        for claim in list(self.claims):
            own = [name for name in found if lane_of(name, self.store.lanes) == claim.lane]
            events = sorted((one for name in own for one in found[name]), key=lambda one: one.position)
            new = [NewEvent(one, msgspec.json.encode(one.event.properties), b"0" * 16) for one in events]
            staff = [Trait(name, "s1", "email", "ann@ours.example", BEGAN, 1) for name in own]
            last = events[-1].position if events else claim.position
            self.claims[claim.lane] = self.store.commit([Batch(claim, last, ASKED, BEGAN, events=new, traits=staff)])[0]
        return found


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    found = Shelf()
    yield found
    found.store.close()


# -- equal -------------------------------------------------------------------------------------------------------------
@given(HISTORIES, st.sampled_from(sorted(RULES.measures)), st.sampled_from(ZONES[:4]), st.integers(0, 430), st.data())
def test_a_figure_is_what_its_measure_gives_over_the_same_days(rows, name, key, first, data):
    measure = RULES.measures[name]
    if measure.thing or measure.verb == "days_since":
        return
    where, last = zone(str(key)), BEGAN // DAY + first + data.draw(st.integers(0, 100))
    begin = None if first % 5 == 0 else BEGAN // DAY + first
    happened = in_order(recorded(rows).get("00000 acme", []), where, ASKED)
    behind, amount = plain_amount(measure, happened, where, begin, last)
    ledger = Ledger(happened, where, {"currency": "EUR"})
    worth = Worth(prop="minutes")
    found = figure(NamedValue("v", name, "V", "", worth), measure, ledger, begin, last)
    assert (found.amount, found.behind) == (amount, behind)
    assert amount_of(measure, ledger, begin, last) == amount
    assert found.worth is not None
    held = [money_of(worth, row, ledger.traits) for row in behind]
    exact: dict[str, Fraction] = {}
    for one in held:
        if not isinstance(one, str):
            exact[one[1]] = exact.get(one[1], Fraction(0)) + one[0]
    assert {key: Fraction(amount) for key, amount in found.worth.money.items()} == exact
    assert sum(count for _, count in found.worth.unpriced) == sum(isinstance(one, str) for one in held)


@settings(max_examples=30)
@given(HISTORIES, st.sampled_from([("2025-03", 0), ("2026-01", 0), ("2025-Q3", 1), ("2025-Q4", 1)]), st.integers(1, 3))
def test_the_reports_of_all_are_those_of_each_alone_and_what_its_events_make_of_it(shelf, rows, asked, pages):
    period, report = read_period(asked[0]), RULES.reports[asked[1]]
    histories, store, before = shelf.put(rows), shelf.store, shelf.before
    look_at_each(store, histories, period)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(past_module, "ACCOUNTS", pages)
        patch.setattr("engine.stores.log.PAGE", pages)
        all_of_them = list(reports_of(Accounts(store, RULES, ASKED), report, period, after=before))
    alone, accounts = [], Accounts(store, RULES, ASKED)
    for account_id in sorted(histories):
        try:
            alone.append(preview(accounts, account_id, report, period))
        except UsageError:
            continue
    assert json.dumps(all_of_them, default=str) == json.dumps(alone, default=str)
    if alone:
        behind = list(reports_of(Accounts(store, RULES, ASKED), report, period, after=alone[0]["account_id"]))
        assert json.dumps(behind, default=str) == json.dumps(alone[1:], default=str)


def look_at_each(store: Store, histories: dict[str, list[Recorded]], period: Period) -> None:
    """An account as of a period is what its events make of it, folded one by one."""
    accounts = Accounts(store, ASKING, ASKED)
    for account_id, events in histories.items():
        try:
            past = accounts.past(account_id, period)
        except UsageError:
            assert not any(min(one.event.time, one.recorded_at) <= plain_end(events, period) for one in events)
            continue
        end = plain_end(events, period)
        assert past.end == end
        view, now = plain_view(events, end, min(end, ASKED)), plain_view(events, ASKED, ASKED)
        for mine, plain in ((past.view, view), (past.now, now)):
            assert {one: mine.value(one) for one in NAMES} == {one: plain.value(one) for one in NAMES}
            assert (mine.moment, mine.watched, mine.state.traits) == (
                plain.moment,
                plain.watched,
                plain.state.traits,
            )
        rows_then = [row for row in in_order(events, view.moment.zone, ASKED) if row.time <= end]
        ours = ours_of(rows_then, store.people(account_id), RULES.policy)
        kept = [row for row in rows_then if row.event.user_id not in ours]
        assert [(row.time, row.day, row.event) for row in past.ledger.rows] == [
            (row.time, row.day, row.event) for row in kept
        ]
        assert past.left_out == len(rows_then) - len(kept)


def plain_end(events: list[Recorded], period: Period) -> Instant:
    """The period's end in the zone that the account has by then."""
    where = zone("Europe/Berlin")
    end = where.start(period.last + 1) - 1
    found = plain_view(events, end, end).moment.zone
    return end if found is where else found.start(period.last + 1) - 1


def test_the_log_is_read_once_for_all_reports(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    kinds = [(BEGAN + n * DAY, f"a{n % 40}", "automation.run", "u1", {"minutes": 30}) for n in range(300)]
    shelf.put(kinds)
    store, before = shelf.store, shelf.before
    accounts = Accounts(store, RULES, ASKED)
    asked: list[str] = []
    for name in ("people", "cancelled", "account_entries", "lane_infos", "people_of", "histories"):
        original = getattr(store, name)

        def counted(*args: Any, name: str = name, original: Any = original, **words: Any) -> Any:
            asked.append(name)
            return original(*args, **words)

        monkeypatch.setattr(store, name, counted)
    found = list(reports_of(accounts, RULES.reports[0], read_period("2025-12"), after=before))
    assert (len(found), asked) == (40, ["histories", "people_of"])
