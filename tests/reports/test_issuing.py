"""What is issued and decided of reports: once, from what was known at the closing, and never of nothing."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import replay
from engine.events import BadEvent, decode, encode_properties
from engine.instants import DAY, HOUR, iso
from engine.keeper import Keeper
from engine.lanes import lane_of
from engine.log import Recorded
from engine.questions import events_of
from engine.reports import made
from engine.reports.issuing import Issuer
from engine.reports.kept import issued_in
from engine.reports.past import Accounts
from engine.reports.periods import Period, period_before
from engine.reports.schedule import closing, due, periods_at
from engine.rulebook.reporting import LATE_BY
from engine.rulebook.spec import Hours, Schedule
from engine.store import Store
from engine.stores import open_store
from engine.zones import date_of, zone
from ringfirst.reporting import Rounds
from tests.reports.given import BOOK, CLOSED, MARCH, WALL, book_of, customer, event, instant, issue, mails, run, take

APRIL = "2026-04-02T06:30:00Z"


def unchanged(store: Store) -> bool:
    """Does the log give the decisions that are stored, by columns and by the plain lane?"""
    found = [replay.verify(store, plain=plain) for plain in (False, True)]
    return all(one["missing"] == one["extra"] == one["different"] == 0 for one in found)


def test_a_closed_month_is_issued_decided_and_due_on_its_day(store: Store):
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until=APRIL)
    (one,) = issue(store)
    assert (one.outcome, iso(one.closes)) == ("issued", "2026-04-01T22:00:00Z")
    assert store.decisions() == [], "the owner of the lane decides, nobody else"
    take(store, [], until="2026-04-02T06:45:00Z")
    (decision,) = store.decisions()
    found = made.preview(Accounts(store, book_of(), one.closes), "acme", book_of().reports[0], MARCH)
    as_json = json.loads(encode_properties(found))
    assert {key: decision.frozen["report"][key] for key in as_json} == as_json
    assert (decision.rule, decision.outcome, decision.occasion) == (
        "monthly",
        "planned",
        "outreach.reported:monthly:2026-03",
    )
    assert [(mail.to, iso(mail.due_at), mail.mode) for mail in decision.mails] == [
        ("u1", "2026-04-02T07:00:00Z", "auto"),
        ("u2", "2026-04-02T07:00:00Z", "auto"),
    ]
    assert {mail.expires_at - mail.due_at for mail in decision.mails} == {LATE_BY}


def test_it_waits_until_every_lane_has_passed_the_closing(store: Store):
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until="2026-04-01T22:00:00Z")
    (one,) = issue(store)
    assert one.outcome == "waits", "at the closing itself something can still be recorded"
    take(store, [], until="2026-04-01T22:00:00.001Z")
    assert store.decisions() == []
    (one,) = issue(store)
    assert one.outcome == "issued"


@pytest.mark.parametrize(("after", "closed"), [("2h", "2026-04-01T00:00:00Z"), ("3d", "2026-04-03T22:00:00Z")])
def test_a_report_says_how_long_it_waits_for_events_that_are_slow(store: Store, after, closed):
    book = book_of(BOOK.replace("schedule:", f"close_after: {after}\n    schedule:"))
    took = [*customer(), run("r1", "2026-03-10T09:00:00Z", 120)]
    take(store, [*took, run("r2", "2026-03-31T20:00:00Z", 60)], until=closed, book=book)
    rounds = Rounds(store, lambda: book)
    assert (rounds.issue(), [one.outcome for one in issue(store, book, put=False)]) == (0, ["waits"])
    take(store, [run("r3", iso(instant(closed) + 1), 600)], until=iso(instant(closed) + 2), book=book)
    assert rounds.issue() == 1
    take(store, [], until="2026-04-06T12:00:00Z", book=book)
    (mail, *_) = [row for row in store.outreach() if row.rule == "monthly"]
    assert mail.frozen["report"]["values"][0]["amount"] == 3, "what came after the closing is not in it"
    assert mail.frozen["report"]["period"]["closed"] is True
    assert (iso(mail.due_at) > closed, mail.state) == (True, "queued")


def test_what_comes_after_the_closing_changes_nothing_of_what_is_issued(store: Store):
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until=APRIL)
    (before,) = issue(store, put=False)
    late = run("late", "2026-03-30T09:00:00Z", 600)
    take(store, [event("n", "tick", "2026-04-02T07:00:00Z"), late], until="2026-04-02T07:00:00Z")
    (after,) = issue(store)
    assert before.body == after.body


def test_issued_twice_by_two_or_after_a_crash_it_is_taken_in_once(store: Store):
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until=APRIL)
    issue(store)
    issue(store)
    take(store, [], until="2026-04-02T06:45:00Z")
    assert issue(store) == []
    take(store, [], until="2026-04-02T06:46:00Z")
    assert len(store.decisions()) == 1
    assert len(store.outreach()) == 2
    assert unchanged(store)


def test_a_month_of_nothing_stays_with_us_and_its_owner_is_told(store: Store):
    take(store, [*customer(), *customer("poor"), run("r1", "2026-03-10T09:00:00Z", 20, "poor")], until=APRIL)
    found = {one.account_id: (one.outcome, one.because) for one in issue(store)}
    assert found == {
        "acme": ("kept back", "it would show nothing: each of its values is 0 or unknown"),
        "poor": ("kept back", "send_if value_total > 20 is no"),
    }
    take(store, [], until="2026-04-02T06:45:00Z")
    assert mails(store) == [("monthly-not-sent", "bo@ours.example", "queued")] * 2
    told = {one.account_id: one.frozen["report"]["against"] for one in store.decisions()}
    assert told == {name: because for name, (_, because) in found.items()}


def test_who_is_not_in_the_audience_or_new_in_the_month_gets_none_and_nobody_is_told(store: Store):
    new = event("a", "account.updated", "2026-03-04T09:00:00Z", "new", plan="pro")
    free = customer("free", plan="free")
    take(store, [*free, new, run("r", "2026-03-10T09:00:00Z", 150, "new")], until=APRIL)
    assert {one.account_id: one.outcome for one in issue(store)} == {"free": "none", "new": "none"}
    take(store, [], until="2026-04-02T06:45:00Z")
    assert store.decisions() == []


def test_a_poor_month_is_looked_at_first(store: Store):
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 60)], until=APRIL)
    issue(store)
    take(store, [], until="2026-04-02T06:45:00Z")
    assert mails(store) == [("monthly", "u1", "in_review"), ("monthly", "u2", "in_review")]
    assert {row.why for row in store.outreach()} == {"review_if value_to_price < 1"}


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(event("t", "ticket.opened", "2026-04-02T06:50:00Z", ticket_id="t1"), id="unless"),
        pytest.param(event("f", "account.updated", "2026-04-02T06:50:00Z", plan="free"), id="audience"),
    ],
)
def test_what_comes_up_before_it_leaves_takes_it_back(store: Store, happens):
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until=APRIL)
    issue(store)
    take(store, [], until="2026-04-02T06:45:00Z")
    take(store, [happens], until="2026-04-02T08:00:00Z")
    assert mails(store) == [("monthly", "u1", "withdrawn"), ("monthly", "u2", "withdrawn")]
    assert unchanged(store)


def test_what_came_up_before_the_lane_took_it_in_is_told_to_the_owner(store: Store):
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until=APRIL)
    opened = event("t", "ticket.opened", "2026-04-02T06:40:00Z", ticket_id="t1")
    take(store, [opened], until="2026-04-02T06:45:00Z")
    (one,) = issue(store)
    assert one.outcome == "issued", "as of the closing there was no ticket"
    take(store, [], until="2026-04-02T06:46:00Z")
    assert mails(store) == [("monthly-not-sent", "bo@ours.example", "queued")]


@pytest.mark.parametrize(("until", "state"), [("2026-04-09T06:00:00Z", "queued"), ("2026-04-20T09:00:00Z", "past")])
def test_a_late_backlog_keeps_its_day_and_waits_for_nobody(store: Store, until, state):
    """Neither a reader's report nor a note to us: what is too old as it is issued is past, and fills no queue."""
    rows = [*customer(), *customer("poor"), run("r1", "2026-03-10T09:00:00Z", 150)]
    take(store, rows, until=until)
    assert {one.outcome for one in issue(store, past=True)} == {"issued", "kept back"}
    take(store, [], until=iso(instant(until) + HOUR // 4))
    assert {(row.rule, row.state) for row in store.outreach()} == {("monthly", state), ("monthly-not-sent", state)}
    if state == "past":
        assert {iso(row.due_at) for row in store.outreach()} == {"2026-04-02T07:00:00Z"}
        assert all(row.expires_at < instant(until) for row in store.outreach())
    found = replay.verify(store)
    assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)


def test_in_an_import_what_was_due_is_past(store: Store):
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until="2026-04-20T09:00:00Z", history=True)
    issue(store, past=True)
    take(store, [], until="2026-04-20T10:00:00Z", history=True)
    assert mails(store) == [("monthly", "u1", "past"), ("monthly", "u2", "past")]


def test_a_report_that_is_a_little_late_leaves_in_the_next_hours_that_are_open(store: Store):
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until="2026-04-04T09:00:00Z")
    issue(store)
    take(store, [], until="2026-04-04T10:00:00Z")
    assert {iso(row.due_at) for row in store.outreach()} == {"2026-04-06T06:00:00Z"}, "the Monday after the Saturday"


def test_a_share_is_held_out_and_gets_no_note_either(store: Store):
    book = book_of(BOOK.replace("    mode: auto", "    mode: auto\n    holdout: 100%"))
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until=APRIL, book=book)
    issue(store, book)
    take(store, [], until="2026-04-02T06:45:00Z", book=book)
    assert [(one.rule, one.outcome) for one in store.decisions()] == [("monthly", "held_out")]


def test_nobody_but_ringfirst_issues_a_report():
    raw = json.dumps({"id": "x", "type": "outreach.reported", "account_id": "acme", "time": CLOSED}).encode()
    found = decode(raw, wall=WALL)
    assert isinstance(found, BadEvent)
    assert "written by Ringfirst itself" in found.reason


def test_a_forgotten_account_takes_its_reports_along(store: Store):
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150)], until=APRIL)
    issue(store)
    take(store, [], until="2026-04-02T06:45:00Z")
    issue(store)
    claims = store.claim(range(store.lanes), "test", at=WALL, take_over=True)
    for claim in claims:
        store.forget_account(claim, "acme", at=WALL)
    store.release(claims)
    assert store.decisions(account_id="acme") == []
    assert store.outreach() == []
    assert not [one for one in issue(store, put=False) if one.account_id == "acme"]
    assert unchanged(store)


def test_a_forgotten_person_stands_in_no_figure_that_was_frozen(store: Store):
    answered = BOOK.replace("closed_by:", "answered_by: ticket.replied, closed_by:")
    book = book_of(answered.replace("    price: mrr\n", "    price: mrr\n    support: {of: ticket}\n"))
    opened = event("t1", "ticket.opened", "2026-03-09T09:00:00Z", "acme", "caller-9", ticket_id="t1")
    solved = event("t2", "ticket.solved", "2026-03-09T11:00:00Z", "acme", "agent", ticket_id="t1", by="agent")
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150), opened, solved], until=APRIL, book=book)
    issue(store, book)
    take(store, [], until="2026-04-02T06:45:00Z", book=book)

    def told() -> list[str]:
        log = [one.event for one in store.account_entries("acme") if isinstance(one, Recorded)]
        return [one.id for one in log if "caller-9" in f"{one.user_id} {one.properties}"]

    assert told() == ["t1", "outreach.reported:monthly:2026-03"], "the ticket, and the report that counts it"
    claims = store.claim(range(store.lanes), "test", at=WALL, take_over=True)
    for claim in claims:
        store.forget_person(claim, "acme", "caller-9", properties=(), at=WALL)
    store.release(claims)
    assert told() == []
    assert unchanged(store)


@pytest.mark.parametrize("asker", ["asker-1", "support", "values", "EUR"])
@pytest.mark.parametrize("early", [False, True], ids=["after it was taken in", "while it is on its way"])
def test_a_forgotten_person_takes_no_figure_along_whatever_their_id_is(store: Store, early, asker):
    support = BOOK.replace("unless: [open_tickets > 0, value.hours > 100]", "support: {of: ticket}")
    book = book_of(support.replace("ticket.solved}", "ticket.solved, answered_by: ticket.answered}"))
    ticket = event("t", "ticket.opened", "2026-03-11T09:00:00Z", "acme", asker, ticket_id="t")
    take(store, [*customer(), run("r1", "2026-03-10T09:00:00Z", 150), ticket], until=APRIL, book=book)
    made_before = issue(store, book, put=not early)
    if not early:
        take(store, [], until="2026-04-02T06:45:00Z", book=book)
    claims = store.claim(range(store.lanes), "test", at=WALL, take_over=True)
    for claim in claims:
        if claim.lane == lane_of("acme", store.lanes):
            store.forget_person(claim, "acme", asker, properties=["user_id"], at=WALL)
    store.release(claims)
    if early:
        Issuer(store, book).put(made_before, at=WALL)
        take(store, [], until="2026-04-02T06:45:00Z", book=book)
    (pseudonym,) = store.pseudonyms([("acme", asker)]).values()
    (one,) = issued_in(events_of(store, "acme", WALL))
    people = [{"person": pseudonym, "opened": 1, "solved": 0}]
    assert one.figures["support"]["people"] == people
    assert one.figures["values"][0]["worth"]["money"][0]["currency"] == "EUR"
    decided = [row.frozen for row in store.decisions(rule="monthly")]
    for frozen in (*decided, *(row.frozen for row in store.outreach(rule="monthly"))):
        assert frozen["report"]["support"]["people"] == people
        assert frozen["report"]["values"][0]["value"] == "hours"
    assert unchanged(store)


# -- schedule ----------------------------------------------------------------------------------------------------------
ZONES = st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kabul"])
MONTHS = st.integers(0, 12 * 30)


def month(number: int) -> Period:
    """The period of the number-th month since 2000."""
    first = zone("UTC").day(int(datetime(2000 + number // 12, number % 12 + 1, 15, tzinfo=UTC).timestamp() * 1000))
    return period_before("month", first)


@given(ZONES, MONTHS, st.integers(1, 28), st.integers(0, 24 * 60 - 1), st.sets(st.integers(0, 6), min_size=1))
def test_it_is_due_at_the_local_time_on_the_first_open_day(key, number, on_day, minute, days):
    where, period, hours = zone(key), month(number), Hours(days=tuple(sorted(days)))
    at = due(Schedule("month", on_day, minute), period, where, hours)
    day = where.day(at)
    assert date_of(day).weekday() in days
    assert not any(date_of(one).weekday() in days for one in range(period.last + on_day, day))
    assert at == where.wall(day, minute)
    assert abs((at - where.start(day)) // 60_000 - minute) <= 60, "an hour that a clock change leaves out"


@given(ZONES, MONTHS, st.integers(1, 28))
def test_every_report_that_may_still_leave_is_among_the_periods_that_are_looked_at(key, number, on_day):
    schedule, period, where = Schedule("month", on_day, 540), month(number), zone(key)
    first = closing(period, where) + 1  # at the closing itself something can still be recorded
    leaves = max(due(schedule, period, where, Hours(days=(0,))), first)
    for at in (first, leaves, leaves + LATE_BY):
        assert period in list(periods_at(schedule, at))


def test_an_old_backlog_is_not_looked_at():
    seen = list(periods_at(Schedule("month", 2, 540), instant("2026-06-05T00:00:00Z")))
    assert len(seen) <= 3
    assert len(list(periods_at(Schedule("month", 2, 540), WALL, instant("2025-01-01T00:00:00Z")))) >= 16


# -- never twice, never of nothing -------------------------------------------------------------------------------------
RUNS = st.lists(
    st.tuples(st.integers(-20 * DAY, 9 * DAY), st.integers(-2 * HOUR, 40 * HOUR), st.sampled_from([0, 7, 30, 600])),
    max_size=8,
)


@settings(max_examples=12, deadline=None)
@given(RUNS, st.lists(st.integers(0, 12 * DAY), min_size=1, max_size=4))
def test_no_report_is_sent_twice_and_none_at_zero_value(rows, moments):
    """Whenever it is issued, by whomever, whatever comes late in between."""
    store = open_store("sqlite://", lanes=2)
    try:
        over = instant(CLOSED)
        keeper = Keeper(store, book_of(), "test", at=WALL, history=False)
        steps = [(over + max(at, -60 * DAY) + wait, ("run", over + at, minutes)) for at, wait, minutes in rows]
        steps += [(over + at, ("issue", 0, 0)) for at in moments]
        keeper.take(customer(), at=WALL)
        for number, (at, (what, time, minutes)) in enumerate(sorted(steps, key=lambda one: one[0])):
            keeper.take([event(f"tick {number}", "tick", iso(at), "clock")], at=WALL)
            keeper.finish(at=WALL)
            if what == "run":
                keeper.take([run(f"r{number}", iso(min(time, at)), minutes)], at=WALL)
                continue
            keeper.stop()
            issue(store)
            issue(store)
            keeper = Keeper(store, book_of(), "test", at=WALL, history=False)
            keeper.take([], at=WALL)
        keeper.stop()
        sent = [one for one in store.decisions() if one.rule == "monthly"]
        assert len(sent) <= 1
        for one in sent:
            assert one.frozen["report"]["value_total"] > 20
            counted = [row for row in store.account_entries("acme") if isinstance(row, Recorded)]
            minutes = sum(
                row.event.properties["minutes"]
                for row in counted
                if row.event.type == "automation.run"
                and row.recorded_at <= over + DAY
                and zone("Europe/Berlin").start(MARCH.first) <= row.event.time < over
            )
            assert one.frozen["report"]["values"][0]["amount"] == pytest.approx(float(minutes) / 60)
        assert unchanged(store)
    finally:
        store.close()


def test_two_issuers_make_the_same_bytes(store: Store):
    take(store, [*customer(timezone="America/New_York"), run("r1", "2026-03-10T09:00:00Z", 150)], until=APRIL)
    first, second = issue(store, put=False), issue(store, put=False)
    assert [one.body for one in first] == [one.body for one in second]
    assert first[0].outcome == "issued"
    assert iso(first[0].closes) == "2026-04-02T04:00:00Z"
    assert Issuer(store, book_of()).put([*first, *second], at=WALL) == 2
    take(store, [], until="2026-04-02T06:45:00Z")
    assert len(store.decisions()) == 1
