"""The judge is judged: scenarios worked out by hand from sentences of the rulebook."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.judge import expression
from tests.judge.days import Date, due_at, iso, next_midnight, read_date, start_of, utc
from tests.judge.evaluator import judge, outreach_id
from tests.judge.kinds import matches, number, plain
from tests.judge.strategies import end_of, histories, rulebooks
from tests.judge.turning import Turns

DAY_0 = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE, HOUR = 60_000, 3_600_000


def t(day, clock="12:00"):
    """Day 0 is Monday 2026-03-02; instants in UTC, with seconds and milliseconds where given."""
    hour, minute, *rest = clock.split(":")
    seconds = float(rest[0]) if rest else 0
    moment = DAY_0 + timedelta(days=day, hours=int(hour), minutes=int(minute), seconds=seconds)
    return round(moment.timestamp() * 1000)


class Log:
    """A log written down event by event."""

    def __init__(self, books, at=None):
        self.entries = []
        self.switch(books, t(-1) if at is None else at)

    def switch(self, books, at):
        self._add(at, rulebook=deepcopy(books))
        return self

    def ev(self, day, type_, user=None, clock="12:00", recorded=None, account="acme", **properties):
        at = t(day, clock)
        number_ = len(self.entries)
        event = {"id": f"e{number_}", "type": type_, "account_id": account, "user_id": user, "time": at}
        self._add(recorded or at, event=event | {"properties": properties})
        return self

    def ended(self, decision, at, why="expired"):
        mail = outreach_id(decision["decision_id"], decision["mails"][0]["to"])
        gone = {"decision_id": decision["decision_id"], "outreach_id": mail, "account_id": "acme", "why": why}
        self._add(at, ended=gone)
        return self

    def _add(self, at, **what):
        self.entries.append({"position": len(self.entries), "recorded_at": at, **what})

    def champion(self, zone=None):
        self.ev(0, "user.updated", "u1", "00:00", role="champion")
        return self.ev(0, "account.updated", None, "00:00", timezone=zone) if zone else self

    def judge(self, until=40):
        return judge({}, self.entries, t(until, "23:59"))


def rule(*when, **more):
    """A rule of ours that needs nobody at the customer, unless told otherwise."""
    base = {"id": "r", "owner": "o@ringfirst.example", "when": list(when)}
    return base | ({} if "send" in more else {"notify": {"template": "n", "to": "rule owner"}}) | more


def send(to="champion", **more):
    return {"template": "x", "to": to, "class": "relationship", "mode": "auto"} | more


def books(*rules, policy=None, **sections):
    return {"rules": list(rules), "policy": policy or {}, **sections}


def ats(decisions):
    return [iso(decision["at"]) for decision in decisions]


TICKET = {
    "id": "ticket_id",
    "opened_by": ["ticket.opened", "ticket.reopened"],
    "asked_by": {"event": "ticket.replied", "where": {"by": "customer"}},
    "answered_by": {"event": "ticket.replied", "where": {"by": "agent"}},
    "closed_by": ["ticket.solved", "ticket.closed"],
    "people": {"requester": "user_id", "contact": "contact"},
}
MEETING = {
    "id": "meeting_id",
    "where": {"kind": "orientation"},
    "opened_by": ["meeting.scheduled", "meeting.rescheduled"],
    "closed_by": ["meeting.cancelled", "meeting.held"],
    "people": {"host": "user_id"},
    "measures": {"days_to_start": {"days_to": "starts_at"}},
}


def value_of(measure, log_of, until, things=None, clock="12:00", **more):
    """The value of one measure at an instant, asked by a probe event."""
    probe = rule("true", unless=["known(m) and false"], **{"for": "each probe"})
    page = books(probe, measures={"m": measure}, things=things or {}, **more)
    log = Log(page)
    log_of(log)
    log.entries = [entry for entry in log.entries if entry["recorded_at"] <= t(until, clock)]
    log.ev(until, "probe", None, clock)
    return judge({}, log.entries, t(until, clock))[-1]["values"]["m"]


# windows


def test_28_days_are_today_and_the_27_before():
    def uses(log):
        log.ev(0, "feature.used", clock="00:00").ev(0, "feature.used", clock="23:59")

    measure = {"count": "feature.used", "over": "28d"}
    assert value_of(measure, uses, 27) == 2
    assert value_of(measure, uses, 28) == 0


def test_ending_shifts_the_window():
    def uses(log):
        log.ev(0, "feature.used")

    measure = {"count": "feature.used", "over": "14d", "ending": "14d ago"}
    assert [value_of(measure, uses, day) for day in (13, 14, 27, 28)] == [0, 1, 1, 0]


def test_36h_is_open_at_its_beginning_and_closed_at_its_end():
    def uses(log):
        log.ev(0, "feature.used", clock="00:00")

    measure = {"count": "feature.used", "over": "36h"}
    assert value_of(measure, uses, 1, clock="11:59:59.999") == 1
    assert value_of(measure, uses, 1, clock="12:00") == 0


def test_an_exact_window_is_left_at_its_instant_without_an_event():
    log = Log(books(rule("n == 0"), measures={"n": {"count": "feature.used", "over": "36h"}}))
    log.ev(0, "feature.used", clock="07:30:00.001")
    assert ats(log.judge()) == ["2026-03-03T19:30:00.001Z"]


def test_previous_week_begins_on_monday():
    def uses(log):
        log.ev(0, "feature.used", clock="00:00").ev(6, "feature.used", clock="23:59").ev(7, "feature.used")

    assert value_of({"count": "feature.used", "over": "previous week"}, uses, 8) == 2
    assert value_of({"count": "feature.used", "over": "this week"}, uses, 8) == 1


def test_per_divides_by_the_weeks_of_the_window_and_this_month_by_its_days_so_far():
    def uses(log):
        for _ in range(6):
            log.ev(0, "feature.used")

    assert value_of({"count": "feature.used", "over": "14d", "per": "week"}, uses, 1) == 3
    assert value_of({"count": "feature.used", "over": "this month", "per": "day"}, uses, 1) == 2


def test_full_is_unknown_while_the_window_begins_before_the_first_event():
    def uses(log):
        log.ev(0, "feature.used", clock="00:00")

    measure = {"count": "feature.used", "over": "7d", "full": True}
    assert [value_of(measure, uses, day) for day in (5, 6, 7)] == [None, 1, 0]


def test_full_from_a_date_before_the_first_event():
    def uses(log):
        log.ev(0, "session.started", account="other")
        log.ev(20, "account.updated", created_at="2026-03-05")  # day 3, and our log began the day before day 0

    measure = {"count": "feature.used", "over": "14d", "full": True}
    assert [value_of(measure, uses, day, clock="13:00") for day in (20, 30)] == [0, 0]
    assert value_of({"count": "feature.used", "over": "18d", "full": True}, uses, 20, clock="13:00") == 0
    assert value_of({"count": "feature.used", "over": "19d", "full": True}, uses, 20, clock="13:00") is None


def test_full_of_an_account_older_than_our_log_is_unknown_while_the_window_begins_before_the_log():
    def uses(log):
        log.ev(0, "account.updated", created_at="2020-01-01")

    measure = {"count": "feature.used", "over": "7d", "full": True}
    assert [value_of(measure, uses, day) for day in (4, 5, 6)] == [None, None, 0]
    assert value_of(measure | {"over": "36h"}, uses, 0, clock="23:59") is None
    assert value_of(measure | {"over": "36h"}, uses, 1, clock="00:00") == 0


def test_full_of_an_account_of_which_older_events_came_in_late_begins_with_the_oldest_of_them():
    def uses(log):
        log.ev(0, "account.updated", created_at="2020-01-01")
        log.ev(-9, "feature.used", clock="00:00", recorded=t(0, "12:30"))

    measure = {"count": "feature.used", "over": "10d", "full": True}
    assert value_of(measure, uses, 0, clock="13:00") == 1
    assert value_of(measure | {"over": "11d"}, uses, 0, clock="13:00") is None


def test_a_window_counts_days_of_the_accounts_zone():
    def uses(log):
        log.champion("America/New_York").ev(1, "feature.used", clock="03:00")  # still day 0 in New York

    measure = {"count": "feature.used", "over": "1d"}
    assert value_of(measure, uses, 1, clock="03:59") == 1
    assert value_of(measure, uses, 1, clock="05:00") == 0


# values


def test_numbers_are_millionths_half_even_within_limits():
    assert number(Decimal("0.0000015")) == Decimal("0.000002")
    assert number(Decimal("0.0000025")) == Decimal("0.000002")
    assert number(9 * 10**12) is not None
    assert number(Decimal("1e13")) is None
    assert number(Decimal("9000000000.5")) is None
    assert plain(number(Decimal("5.0"))) == 5


def test_sums_are_exact_whatever_the_order():
    def uses(log):
        for amount in ("0.1", "0.2", "0.3", "-0.6"):
            log.ev(0, "x", amount=Decimal(amount))

    assert value_of({"sum": "amount", "of": "x"}, uses, 1) == 0


def test_nothing_there_counts_zero_and_everything_else_is_unknown():
    def nothing(log):
        log.ev(0, "y")

    assert value_of({"sum": "amount", "of": "x"}, nothing, 1) == 0
    assert value_of({"unique": "user_id", "of": "x"}, nothing, 1) == 0
    assert value_of({"average": "amount", "of": "x"}, nothing, 1) is None
    assert value_of({"days_since_first": "x"}, nothing, 1) is None
    assert value_of({"days_since": "x"}, nothing, 3) == 3
    assert value_of({"days_since": "x", "never": "unknown"}, nothing, 3) is None


def test_where_asks_for_kind_and_presence():
    assert matches(None, False, {"known": False}, "UTC")
    assert not matches(None, False, {"not": "red"}, "UTC")
    assert matches(number(1), True, {"not": "red"}, "UTC")
    assert not matches("5", True, {"at_least": 4}, "UTC")
    assert matches("b", True, ["a", "b"], "UTC")
    assert not matches(True, True, 1, "UTC")


def test_times_and_median_are_applied_once():
    def uses(log):
        for amount in (1, 2, 10, 11):
            log.ev(0, "x", minutes=amount)

    assert value_of({"median": "minutes", "of": "x", "times": "1/60"}, uses, 1) == 0.1


def test_held_days_count_from_the_run_of_equal_values():
    def plans(log):
        log.ev(0, "account.updated", plan="pro").ev(2, "account.updated", plan="free")
        log.ev(3, "account.updated", plan="pro").ev(5, "account.updated", plan="pro")

    assert value_of({"held_days": "plan"}, plans, 7) == 4


def test_moved_later_skips_what_is_no_date():
    def dates(log):
        for index, date in enumerate(["2026-03-10", "soon", "2026-03-12", "2026-03-11", None, "2026-03-13"]):
            log.ev(index, "contract.sent", contract_id="c", sign_by=date)

    contract = {"contract": {"id": "contract_id", "opened_by": "contract.sent"}}
    assert value_of({"moved_later": "contract.sign_by"}, dates, 9, things=contract) == 2


def test_days_to_over_things_is_the_earliest_ahead_else_the_latest_past():
    def meetings(log):
        for id_, date in (("a", "2026-03-04"), ("b", "2026-03-06"), ("c", "2026-03-20")):
            log.ev(0, "meeting.scheduled", meeting_id=id_, kind="orientation", starts_at=date)
        log.ev(0, "meeting.cancelled", meeting_id="c")

    measure = {"days_to": "meeting.starts_at"}
    things = {"meeting": MEETING}
    assert [value_of(measure, meetings, day, things=things) for day in (1, 2, 3, 5)] == [1, 0, 1, -1]


def test_three_values_as_in_sql():
    lookup = {"x": None, "n": 3.0}.get
    assert expression.evaluate("false and x", lookup) is False
    assert expression.evaluate("true or x", lookup) is True
    assert expression.evaluate("not x", lookup) is None
    assert expression.evaluate("n / 0 == 1", lookup) is None
    assert expression.evaluate("coalesce(x, 2) < n", lookup) is True
    assert expression.evaluate("1 < n < x", lookup) is None
    assert expression.evaluate("5 < n < x", lookup) is False
    assert expression.evaluate('n == "3"', lookup) is False
    assert expression.evaluate('n < "3"', lookup) is None
    assert expression.evaluate("true == 1", lookup) is False


def test_two_spellings_of_one_instant_are_one_value():
    assert read_date("2026-03-12T10:00+01:00", "UTC") == read_date("2026-03-12T09:00:00Z", "UTC")
    assert read_date("2026-03-12", "Europe/Berlin") == Date(utc("2026-03-11T23:00Z"))
    assert read_date("12 March", "UTC") is None


def test_a_day_starts_at_its_first_existing_instant():
    assert iso(start_of(datetime(2018, 11, 4, tzinfo=UTC).date(), "America/Sao_Paulo")) == "2018-11-04T03:00:00Z"
    assert iso(next_midnight(utc("2011-12-29T20:00Z"), "Pacific/Apia")) == "2011-12-30T10:00:00Z"


# things


def opened(log, day=0, clock="12:00", user="u1", **more):
    return log.ev(day, "ticket.opened", user, clock, ticket_id="t1", **more)


def waits(*when, **more):
    return books(rule(*when, **{"for": "each ticket"}, **more), things={"ticket": TICKET})


def test_the_wake_up_is_the_first_millisecond_with_the_new_value():
    log = opened(Log(waits("ticket.waiting_hours >= 4")))
    assert ats(log.judge()) == ["2026-03-02T16:00:00Z"]
    log = opened(Log(waits("ticket.waiting_hours > 4")))
    assert ats(log.judge()) == ["2026-03-02T16:00:00.001Z"]


def test_an_answer_stops_the_waiting_and_a_question_starts_it_again():
    log = opened(Log(waits("ticket.waiting_hours >= 4", once_per="ticket.waiting_since")))
    log.ev(0, "ticket.replied", clock="14:00", ticket_id="t1", by="agent")
    log.ev(0, "ticket.replied", clock="15:00", ticket_id="t1", by="customer")
    log.ev(0, "ticket.replied", clock="16:00", ticket_id="t1", by="customer")
    assert [(d["occasion"], iso(d["at"])) for d in log.judge()] == [("2026-03-02T15:00:00Z", "2026-03-02T19:00:00Z")]


def test_an_opening_of_an_open_thing_is_no_new_spell_but_its_properties_count():
    log = opened(Log(waits("ticket.open_hours >= 4", 'ticket.grade == "red"')), grade="green")
    log.ev(0, "ticket.reopened", clock="14:00", ticket_id="t1", grade="red")
    assert ats(log.judge()) == ["2026-03-02T16:00:00Z"]


def test_closings_without_an_open_spell_wait_for_a_late_opening():
    def late(log):
        log.ev(1, "ticket.solved", ticket_id="t1")
        opened(log, 0)
        log.entries[-1]["recorded_at"] = t(1, "13:00")

    assert value_of({"open": "ticket"}, late, 2, things={"ticket": TICKET}) == 0
    measure = {"average": "solve_hours", "of": "ticket", "over": "2d"}
    assert value_of(measure, late, 2, things={"ticket": TICKET}) == 24


def test_answer_hours_count_the_first_answer_on_its_own_day():
    def answers(log):
        opened(log, 0)
        log.ev(1, "ticket.replied", clock="00:00", ticket_id="t1", by="agent")
        log.ev(2, "ticket.replied", ticket_id="t1", by="agent")

    things = {"ticket": TICKET}
    measure = {"average": "answer_hours", "of": "ticket", "over": "1d"}
    assert value_of(measure, answers, 1, things=things) == 12
    assert value_of(measure, answers, 2, things=things) is None
    assert value_of({"answered": "ticket", "over": "1d"}, answers, 1, things=things) == 1


def test_where_on_a_thing_is_asked_of_its_newest_properties():
    log = Log(books(rule("meeting.days_to_start == 1", **{"for": "each meeting"}), things={"meeting": MEETING}))
    log.ev(0, "meeting.scheduled", "u1", meeting_id=7, kind="orientation", starts_at="2026-03-05T10:00Z")
    log.ev(0, "meeting.scheduled", "u1", meeting_id="8", kind="kickoff", starts_at="2026-03-05T10:00Z")
    decisions = log.judge()
    assert [(d["subject"], iso(d["at"])) for d in decisions] == [
        ({"kind": "meeting", "id": "7"}, "2026-03-04T00:00:00Z")
    ]


def test_a_person_is_closed_by_removal_and_outreach_is_no_sign_of_life():
    def people(log):
        log.ev(0, "session.started", "a").ev(0, "outreach.sent", "b").ev(1, "session.started", "c")
        log.ev(2, "user.removed", "a").ev(3, "outreach.opened", "c")

    assert value_of({"open": "person"}, people, 1, clock="13:00") == 2
    assert value_of({"open": "person"}, people, 4) == 1
    person = {"person": {"measures": {"quiet": {"days_since": "any"}}}}
    assert value_of({"maximum": "quiet", "of": "person"}, people, 4, things=person) == 3


def test_a_module_is_open_while_it_stands_in_the_list():
    module = {"id": "feature", "each_in": "modules", "measures": {"uses": {"count": "feature.used", "over": "28d"}}}
    page = books(
        rule("module.uses == 0", **{"for": "each module"}),
        things={"module": module},
        attributes={"account": {"modules": "list"}},
    )
    log = Log(page).ev(0, "feature.used", feature="a").ev(1, "account.updated", modules=["a", "b"])
    assert [(d["subject"]["id"], iso(d["at"])) for d in log.judge(20)] == [("b", "2026-03-03T12:00:00Z")]


# truth, edges, occasions


def test_never_is_once_for_ever():
    log = Log(books(rule("n >= 1"), measures={"n": {"count": "feature.used", "over": "1d"}}))
    log.ev(0, "feature.used").ev(3, "feature.used")
    assert [(d["occasion"], iso(d["at"])) for d in log.judge()] == [("once", "2026-03-02T12:00:00Z")]


@pytest.mark.parametrize(("clock", "count"), [("10:30:00.001", 2), ("10:30", 2), ("10:29:59.999", 1)])
def test_every_30_days_forgives_90_minutes(clock, count):
    page = books(rule("n >= 1", re_entry="every 30d"), measures={"n": {"count": "feature.used", "over": "1d"}})
    log = Log(page).ev(0, "feature.used").ev(30, "feature.used", clock=clock)
    assert len(log.judge()) == count


def test_an_edge_inside_the_30_days_is_lost():
    page = books(rule("n >= 1", re_entry="every 30d"), measures={"n": {"count": "feature.used", "over": "10d"}})
    log = Log(page).ev(0, "feature.used").ev(25, "feature.used")
    assert len(log.judge(60)) == 1


def test_holds_for_is_the_instant_after_which_it_has_been_true_so_long():
    page = books(rule("n >= 1", holds_for="6h"), measures={"n": {"count": "feature.used", "over": "3d"}})
    log = Log(page).ev(0, "feature.used", clock="07:01")
    assert ats(log.judge()) == ["2026-03-02T13:01:00Z"]


def test_unknown_restarts_holds_for():
    log = Log(books(rule('plan == "pro"', holds_for="2d"))).ev(0, "account.updated", plan="pro")
    log.ev(1, "account.updated", plan=None).ev(1, "account.updated", clock="13:00", plan="pro")
    assert ats(log.judge()) == ["2026-03-05T13:00:00Z"]


def test_clear_when_holds_up_the_when_lines_only():
    page = books(
        rule("n >= 3", clear_when="n == 0", unless=['coalesce(plan, "") == "free"'], re_entry="every time"),
        measures={"n": {"count": "feature.used", "over": "2d"}},
    )
    log = Log(page)
    for day in (0, 0, 0, 2, 2, 2):  # never 0 in between, so the three of day 2 are no new edge
        log.ev(day, "feature.used")
    log.ev(1, "feature.used")
    log.entries[-1]["recorded_at"] = t(2)
    log.ev(2, "feature.used", clock="14:00").ev(2, "account.updated", clock="15:00", plan="free")
    log.ev(2, "account.updated", clock="16:00", plan="pro")
    first, *others = ats(log.judge(2))
    assert first == "2026-03-02T12:00:00Z"
    # day 2, 00:00: the window (days 1 and 2) was empty, so the truth had ended; then 12:00, then the unless at 15:00
    assert others == ["2026-03-04T12:00:00Z", "2026-03-04T16:00:00Z"]


def test_clear_when_bridges_a_fall_below_the_bound():
    page = books(
        rule("n >= 2", clear_when="n == 0", re_entry="every time"),
        measures={"n": {"count": "feature.used", "over": "2d"}},
    )
    log = Log(page).ev(0, "feature.used").ev(0, "feature.used").ev(1, "feature.used").ev(3, "feature.used")
    # day 2: one, held up; day 3, 00:00: none, ended; day 3, 12:00: one only
    assert ats(log.judge()) == ["2026-03-02T12:00:00Z"]
    log.ev(4, "feature.used")
    assert ats(log.judge()) == ["2026-03-02T12:00:00Z", "2026-03-06T12:00:00Z"]


def test_losing_an_unless_is_an_edge():
    log = Log(waits(unless=["ticket.waiting"]))
    opened(log).ev(1, "ticket.replied", ticket_id="t1", by="agent")
    assert ats(log.judge()) == ["2026-03-03T12:00:00Z"]


def orientation(**more):
    return books(
        rule(
            "meeting.days_to_start == 1",
            once_per="meeting.starts_at",
            send=send("meeting.host"),
            **{"for": "each meeting"},
            **more,
        ),
        things={"meeting": MEETING},
    )


def plan(log, day, starts_at, clock="12:00"):
    return log.ev(day, "meeting.scheduled", "u1", clock, meeting_id="m1", kind="orientation", starts_at=starts_at)


def test_moved_before_the_eve_one_mail_on_the_last_eve():
    log = Log(orientation())
    plan(plan(log, 0, "2026-03-07T10:00Z"), 2, "2026-03-14T10:00Z")
    (decision,) = log.judge()
    assert (iso(decision["at"]), decision["occasion"]) == ("2026-03-13T00:00:00Z", "2026-03-14T10:00:00Z")
    assert decision["mails"] == [{"to": "u1", "due_at": utc("2026-03-13T08:00Z"), "state": "planned"}]


def test_a_date_that_moves_before_the_mail_left_withdraws_and_moving_back_revives():
    log = Log(orientation())
    plan(log, 0, "2026-03-04T10:00Z")
    plan(log, 1, "2026-03-04T15:00Z", "05:00")
    first, second = log.judge()
    assert (first["outcome"], iso(first["withdrawn_at"])) == ("withdrawn", "2026-03-03T05:00:00Z")
    assert second["outcome"] == "planned"
    plan(log, 1, "2026-03-04T10:00Z", "06:00")
    by_occasion = {d["occasion"]: d for d in log.judge()}
    assert by_occasion["2026-03-04T15:00:00Z"]["outcome"] == "withdrawn"
    revived = by_occasion["2026-03-04T10:00:00Z"]
    assert (revived["outcome"], iso(revived["at"])) == ("planned", "2026-03-03T06:00:00Z")
    assert revived["decision_id"] == first["decision_id"]


def test_a_mail_that_has_left_is_not_withdrawn_and_its_value_is_used():
    log = Log(orientation())
    plan(log, 0, "2026-03-04T10:00Z")
    plan(log, 1, "2026-03-04T15:00Z", "08:00")  # the mail leaves at 08:00
    plan(log, 1, "2026-03-04T10:00Z", "08:10")
    outcomes = {d["occasion"]: d["outcome"] for d in log.judge()}
    assert outcomes == {"2026-03-04T10:00:00Z": "planned", "2026-03-04T15:00:00Z": "withdrawn"}


def test_withdraw_never_leaves_it():
    log = Log(orientation(withdraw="never"))
    plan(log, 0, "2026-03-04T10:00Z").ev(1, "meeting.cancelled", clock="05:00", meeting_id="m1")
    assert [d["outcome"] for d in log.judge()] == ["planned"]
    log.entries[0]["rulebook"]["rules"][0].pop("withdraw")
    assert [d["outcome"] for d in log.judge()] == ["withdrawn"]


def test_once_per_today_is_once_a_day():
    page = books(rule("n >= 1", once_per="today"), measures={"n": {"count": "feature.used", "over": "2d"}})
    log = Log(page).ev(0, "feature.used").ev(0, "feature.used", clock="13:00")
    assert [(d["occasion"], iso(d["at"])) for d in log.judge()] == [
        ("2026-03-02", "2026-03-02T12:00:00Z"),
        ("2026-03-03", "2026-03-03T00:00:00Z"),
    ]


def test_an_expired_mail_gives_its_occasion_back():
    page = books(
        rule("n >= 1", send=send()),
        measures={"n": {"count": "feature.used", "over": "1d"}},
    )
    log = Log(page).champion().ev(0, "feature.used")
    (decision,) = log.judge()
    log.ended(decision, t(4)).ev(5, "feature.used")
    assert ats(log.judge()) == ["2026-03-07T12:00:00Z"]


def test_nobody_to_write_to_is_unknown_and_a_new_champion_is_an_edge():
    page = books(rule("n >= 1", send=send()), measures={"n": {"count": "feature.used", "over": "9d"}})
    log = Log(page).ev(0, "feature.used").ev(1, "user.updated", "z", role="champion")
    (decision,) = log.judge()
    assert (iso(decision["at"]), decision["mails"][0]["to"]) == ("2026-03-03T12:00:00Z", "z")


def test_of_several_champions_the_most_recent_then_the_smallest_id():
    page = books(rule("n >= 1", send=send(["champion or admin", "each admin"])), measures={"n": {"count": "go"}})
    log = Log(page).ev(0, "user.updated", "b", role="champion").ev(0, "user.updated", "a", role="champion")
    log.ev(0, "user.updated", "x", role="admin").ev(0, "user.updated", "w", role="admin").ev(0, "go")
    assert [mail["to"] for mail in log.judge()[0]["mails"]] == ["a", "w", "x"]


def test_event_rules_ask_once_for_each_event_not_older_than_max_age():
    page = books(rule("event.score <= 6", id="r", **{"for": "each survey.answered"}))
    log = Log(page).ev(0, "survey.answered", "u", score=3).ev(0, "survey.answered", "u", score=9)
    log.ev(0, "survey.answered", "u", recorded=t(1), score=2).ev(0, "survey.answered", "u", recorded=t(1) + 1, score=2)
    assert [(d["subject"], d["occasion"]) for d in log.judge()] == [
        ({"kind": "event", "id": "e1"}, "e1"),
        ({"kind": "event", "id": "e3"}, "e3"),
    ]


def test_event_rules_with_re_entry_are_about_the_person():
    page = books(rule("event.score <= 6", re_entry="every 30d", **{"for": "each survey.answered"}))
    log = Log(page).ev(0, "survey.answered", "u", score=3).ev(1, "survey.answered", "u", score=3)
    log.ev(1, "survey.answered", "v", score=3).ev(1, "survey.answered", None, score=3)
    found = [d["subject"] for d in log.judge()]
    assert sorted(map(str, found)) == ["None", "{'kind': 'person', 'id': 'u'}", "{'kind': 'person', 'id': 'v'}"]


def test_only_unless_takes_back_a_mail_about_an_event():
    page = books(
        rule("n >= 1", unless=["open > 0"], send=send("event.person"), **{"for": "each survey.answered"}),
        measures={"n": {"count": "feature.used", "over": "1d"}, "open": {"open": "ticket"}},
        things={"ticket": TICKET},
    )
    log = Log(page).ev(0, "feature.used").ev(0, "survey.answered", "u", clock="20:00")
    assert [d["outcome"] for d in log.judge()] == ["planned"]
    opened(log, 1, "07:00")
    assert [d["outcome"] for d in log.judge()] == ["withdrawn"]


def test_drafts_are_never_withdrawn_and_going_live_starts_clean():
    measures = {"n": {"count": "feature.used", "over": "1d"}}
    draft = books(rule("n >= 1", status="draft", send=send()), measures=measures)
    live = books(rule("n >= 1", send=send()), measures=measures)
    log = Log(draft).champion().ev(0, "feature.used").switch(live, t(3)).ev(4, "feature.used")
    assert [(d["outcome"], d["occasion"], iso(d["at"])) for d in log.judge()] == [
        ("draft", "once", "2026-03-02T12:00:00Z"),
        ("planned", "once", "2026-03-06T12:00:00Z"),
    ]


def test_holdout_plans_nothing():
    page = books(rule("n >= 1", holdout="100%", send=send()), measures={"n": {"count": "feature.used"}})
    (decision,) = Log(page).champion().ev(0, "feature.used").judge()
    assert (decision["outcome"], decision["mails"]) == ("held_out", [])


# switches


def test_who_is_inside_when_a_rule_is_new_counts_as_already_true():
    measures = {"n": {"count": "feature.used", "over": "1d"}}
    log = Log(books()).ev(0, "feature.used").switch(books(rule("n >= 1"), measures=measures), t(0, "13:00"))
    assert log.judge() == []
    log.ev(2, "feature.used")
    assert ats(log.judge()) == ["2026-03-04T12:00:00Z"]


def test_backfill_fires_at_the_switch():
    page = books(rule("n >= 1", backfill=True), measures={"n": {"count": "feature.used"}})
    log = Log(books()).ev(0, "feature.used").switch(page, t(0, "13:00"))
    assert ats(log.judge()) == ["2026-03-02T13:00:00Z"]


def test_holds_for_of_a_new_rule_starts_at_the_switch():
    page = books(rule("n >= 1", holds_for="2d"), measures={"n": {"count": "feature.used"}})
    log = Log(books()).ev(0, "feature.used").switch(page, t(5, "13:00"))
    assert ats(log.judge()) == ["2026-03-09T13:00:00Z"]


def test_an_edited_rule_never_writes_again_and_a_removed_one_takes_its_mail_back():
    measures = {"n": {"count": "feature.used"}}
    before = books(rule("n >= 1", send=send()), measures=measures)
    after = books(rule("n >= 2", send=send()), measures=measures)
    log = Log(before).champion().ev(0, "feature.used").switch(after, t(2)).ev(3, "feature.used")
    assert ats(log.judge()) == ["2026-03-02T12:00:00Z"]
    log = Log(before).champion().ev(0, "feature.used", clock="22:00").switch(books(), t(0, "23:00"))
    assert [(d["outcome"], d["withdrawn_at"]) for d in log.judge()] == [("withdrawn", t(0, "23:00"))]


# the log and the clock


def test_a_late_event_counts_on_its_own_day_and_a_past_rise_and_fall_is_never_seen():
    log = Log(books(rule("n >= 2"), measures={"n": {"count": "feature.used", "over": "1d"}}))
    log.ev(0, "feature.used").ev(3, "other").ev(0, "feature.used", recorded=t(3, "12:01"))
    assert log.judge() == []


def test_an_event_dated_ahead_counts_from_when_it_was_recorded():
    log = Log(books(rule("n >= 1"), measures={"n": {"count": "feature.used", "over": "1d"}}))
    log.ev(1, "feature.used", recorded=t(0, "20:00"))
    assert ats(log.judge()) == ["2026-03-02T20:00:00Z"]


def test_a_wake_up_comes_before_an_event_of_the_same_instant():
    log = opened(Log(waits("ticket.waiting_hours >= 4")))
    log.ev(0, "ticket.replied", clock="16:00", ticket_id="t1", by="agent")
    assert ats(log.judge()) == ["2026-03-02T16:00:00Z"]


# scores, segments, due times


def test_a_score_leaves_out_what_is_unknown_and_stays_near_its_worst_part():
    parts = {
        "product": {"value": "used", "from": 0, "to": 10, "weight": 50},
        "support": {"value": "open", "from": 5, "to": 0, "weight": 20},
        "nps": {"value": "nps", "from": 0, "to": 10, "weight": 30},
    }
    health = {"parts": parts, "cap_above_worst": 30, "needs": "60%", "bands": {"red": 0, "amber": 40, "green": 70}}
    measures = {"used": {"count": "feature.used"}, "open": {"open": "ticket"}, "nps": {"last": "score", "of": "nps"}}
    ask = rule("known(health)", 'health.band != ""', 'health.worst != ""', "health.coverage > 0")
    log = Log(books(ask, scores={"health": health}, measures=measures, things={"ticket": TICKET}))
    log.ev(0, "feature.used").ev(0, "feature.used")
    (decision,) = log.judge()
    # product 10 (50), support 100 (20): the mean of the known ones is 2500/70 = 35.71, the cap is 10 + 30
    assert decision["values"] == {
        "health": 35.714286,
        "health.band": "red",
        "health.worst": "product",
        "health.coverage": 0.7,
    }


def test_an_audience_is_a_segment_and_entering_it_is_an_edge():
    page = books(rule("true", audience="paying"), segments={"paying": {"when": 'plan in ["pro"]'}})
    log = Log(page).ev(0, "account.updated", plan="free").ev(1, "account.updated", plan="pro")
    assert ats(log.judge()) == ["2026-03-03T12:00:00Z"]


def test_due_at_is_settled_rounded_up_and_inside_hours():
    hours = {"from": "08:00", "until": "18:00", "days": "mon-fri"}
    berlin = "Europe/Berlin"
    quarter = 15 * MINUTE
    assert due_at(utc("2026-03-02T09:00Z"), quarter, hours, berlin) == utc("2026-03-02T09:15Z")
    assert due_at(utc("2026-03-02T09:00:00.001Z"), quarter, hours, berlin) == utc("2026-03-02T09:30Z")
    # Friday 16:46 UTC is 17:46 in Berlin: 18:15 is too late, and on Monday the clocks have moved to +02:00
    assert due_at(utc("2026-03-27T16:46Z"), quarter, hours, berlin) == utc("2026-03-30T06:00Z")
    night = {"from": "22:00", "until": "06:00", "days": "fri"}
    assert due_at(utc("2026-03-07T03:00Z"), 0, night, "UTC") == utc("2026-03-07T03:00Z")
    assert due_at(utc("2026-03-07T06:00Z"), 0, night, "UTC") == utc("2026-03-13T22:00Z")


def test_due_at_is_in_the_readers_zone_and_transactional_leaves_at_once():
    page = books(rule("n >= 1", send=send()), measures={"n": {"count": "go"}}, policy={"timezone": "Europe/Berlin"})
    log = Log(page).ev(0, "user.updated", "u", role="champion", timezone="Asia/Kathmandu").ev(0, "go", clock="13:00")
    assert log.judge()[0]["mails"][0]["due_at"] == utc("2026-03-03T02:15Z")  # 08:00 at +05:45
    log.entries[0]["rulebook"]["rules"][0]["send"]["class"] = "transactional"
    assert log.judge()[0]["mails"][0]["due_at"] == t(0, "13:00")


def test_midnights_follow_the_zone_of_the_account_over_a_clock_change():
    log = Log(books(rule("q == 3"), measures={"q": {"days_since": "feature.used"}}), at=t(20))
    log.ev(24, "account.updated", timezone="America/New_York").ev(25, "feature.used")
    assert ats(log.judge()) == ["2026-03-30T04:00:00Z"]
    log = Log(books(rule("q == 3"), measures={"q": {"days_since": "feature.used"}}), at=t(20))
    log.ev(24, "account.updated", timezone="Europe/Berlin").ev(25, "feature.used")
    assert ats(log.judge()) == ["2026-03-29T22:00:00Z"]


def test_the_mean_of_hours_turns_at_its_own_instant():
    page = books(
        rule("mean >= 3"), measures={"mean": {"average": "waiting_hours", "of": "ticket"}}, things={"ticket": TICKET}
    )
    log = opened(Log(page), clock="08:00").ev(0, "ticket.opened", clock="10:00", ticket_id="t2")
    assert ats(log.judge()) == ["2026-03-02T12:00:00Z"]


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_more_looks_change_nothing(data):
    rulebook = data.draw(rulebooks())
    log = data.draw(histories(rulebook))
    shares = data.draw(st.lists(st.floats(0, 1), min_size=1, max_size=6))

    def busier(turns, picture, after, until):
        found = Turns.fixed_instants(turns, picture, after, until)
        return found | {after + 1 + int(share * (until - after - 1)) for share in shares if until > after}

    with pytest.MonkeyPatch.context() as patch:
        decisions = judge({}, log, end_of(log))
        patch.setattr("tests.judge.evaluator.Turns", type("Busier", (Turns,), {"fixed_instants": busier}))
        assert judge({}, log, end_of(log)) == decisions
