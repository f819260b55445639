"""Support in a report: what was opened and solved, how long answers took, by the clock and in our own hours."""

from typing import Any

import pytest

from tests.cli.test_reports import event

BOOK = """
things:
  ticket:
    id: ticket_id
    opened_by: [ticket.opened, ticket.reopened]
    answered_by: {event: ticket.replied, where: {by: agent}}
    closed_by: ticket.solved
    where: {test: {known: false}}
values: {tickets: {measure: tickets, label: Tickets}}
measures: {tickets: {count: ticket.opened}}
reports: [{id: monthly, period: previous month, values: [tickets], support: {of: ticket, hours: desk}}]
policy:
  timezone: Europe/Berlin
  staff: {domains: [ours.example]}
  calendars: {desk: {zone: Europe/London, days: mon-fri, from: "09:00", until: "17:00", holidays: GB-ENG}}
"""


def ticket(number: str, kind: str, time: str, user: str | None = "u1", **more: Any) -> dict[str, Any]:
    return event(f"{number}{kind}{time}", f"ticket.{kind}", time, user, ticket_id=number, **more)


EVENTS = [
    event("a", "account.updated", "2026-01-01T09:00:00Z", None, plan="pro"),
    event("s", "user.updated", "2026-01-01T09:00:00Z", "s1", email="ann@ours.example"),
    ticket("t0", "opened", "2026-02-10T09:00:00Z"),
    ticket("t0", "replied", "2026-02-10T11:00:00Z", "s1", by="agent"),
    ticket("t0", "solved", "2026-02-10T13:00:00Z"),
    ticket("t1", "opened", "2026-02-27T16:00:00Z"),
    ticket("t1", "replied", "2026-03-02T10:00:00Z", "s1", by="agent"),
    ticket("t1", "replied", "2026-03-02T11:00:00Z", "s1", by="agent"),
    ticket("t1", "solved", "2026-03-31T21:59:59Z", "s1"),
    ticket("t2", "opened", "2026-03-05T09:00:00Z", "u2"),
    ticket("t2", "replied", "2026-03-05T09:30:00Z", "u2", by="customer"),
    ticket("t2", "replied", "2026-03-05T10:00:00Z", None, by="agent"),
    ticket("ours", "opened", "2026-03-06T09:00:00Z", "s1"),
    ticket("probe", "opened", "2026-03-06T09:00:01Z", "u2", test=True),
    ticket("t3", "opened", "2026-03-31T21:59:58Z", "u2"),
    ticket("t3", "solved", "2026-04-01T08:00:00Z"),
    ticket("t4", "opened", "2026-04-02T16:00:00Z", None),
    ticket("t4", "replied", "2026-04-07T09:30:00Z", None, by="agent"),
]


pytestmark = pytest.mark.usefixtures("imported")


def figures(ask: Any, period: str, what: str = "amount") -> dict[str, Any]:
    found = ask("reports", "preview", "acme", "--period", period)["support"]
    return {one["figure"]: one[what] for one in found["figures"]}


def test_what_fell_into_the_month_counts_on_its_own_day(ask):
    assert figures(ask, "2026-03") == {
        "opened": 2,
        "solved": 1,
        "open": 2,
        "answer_hours": 33.5,
        "solve_hours": 774,
        "answer_working_hours": 1.5,
        "solve_working_hours": 177,
    }, "t1 was answered after 66 hours and t2 after one; what we opened ourselves, and a test, are left out"
    assert figures(ask, "2026-03", "of")["answer_hours"] == 2


def test_the_month_before_stands_beside_it(ask):
    assert figures(ask, "2026-03", "before") == {
        "opened": 2,
        "solved": 1,
        "open": 1,
        "answer_hours": 2,
        "solve_hours": 4,
        "answer_working_hours": 2,
        "solve_working_hours": 4,
    }
    assert figures(ask, "2026-03", "percent")["answer_hours"] == 1575
    found = ask("reports", "preview", "acme", "--period", "2026-02")["support"]
    assert found["not_compared"] == "January 2026 is not known, or in part only"
    assert [one["before"] for one in found["figures"]] == [None] * 7


def test_working_hours_leave_out_nights_weekends_and_holidays_and_follow_the_clock_of_their_zone(ask):
    found = figures(ask, "2026-04")
    assert found["answer_hours"] == 113.5
    assert found["answer_working_hours"] == 1.5, "Good Friday to Easter Monday; an hour of summer time; 10:30 in London"


def test_who_opened_them_is_counted_where_it_is_known(ask):
    assert ask("reports", "preview", "acme", "--period", "2026-03")["support"]["people"] == [
        {"person": "u2", "opened": 2, "solved": 0},
        {"person": "u1", "opened": 0, "solved": 1},
    ]


def test_a_person_reads_it_in_lines(run):
    said = run("reports", "preview", "acme", "--period", "2026-03").stdout
    assert "Support: hours to the first answer: 33.5 (median of 2); 2 in 2026-02" in said
    assert "Support: opened: 2; 2 in 2026-02" in said
    said = run("reports", "preview", "acme", "--period", "2026-02").stdout
    assert "Support is not compared: January 2026 is not known" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("of: ticket", "of: tikcet", "support: unknown thing 'tikcet'; did you mean 'ticket'?"),
        ("hours: desk", "hours: disk", "support: unknown calendar 'disk'; did you mean 'desk'?"),
        ("    closed_by: ticket.solved\n", "", "support: 'ticket' has no events that answer and close it"),
        ("Europe/London", "Europe/Londn", "calendar desk: zone: 'Europe/Londn' is no zone"),
        ("GB-ENG", "GB-XXX", "holidays: 'GB-XXX' names no part of GB"),
    ],
)
def test_what_is_wrong_is_found_by_check(run, place, old, new, said):
    (place / "rules" / "all.yml").write_text(BOOK.replace(old, new))
    assert said in run("check", "--rules", ".", code=1).stdout.replace("\n", " ")
