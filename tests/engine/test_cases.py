"""Cases in all the forms that RULEBOOK 11 gives them; what fails says what was expected and what was found."""

from typing import Any

import pytest

from engine.cases import check_cases, mutants, run_cases
from engine.rulebook.book import load_rulebook

HEAD = """
things:
  ticket:
    id: ticket_id
    opened_by: ticket.opened
    closed_by: ticket.closed
    people: {requester: user_id}
  meeting:
    id: meeting_id
    opened_by: [meeting.scheduled, meeting.rescheduled]
    measures: {days_to_start: {days_to: starts_at}}
    people: {host: user_id}
measures:
  uses: {count: feature.used, over: 28d}
  open_tickets: {open: ticket}
  seats_all: {portfolio: open_tickets}
policy: {timezone: UTC}
rules:
"""
TEMPLATES = {"templates/t/template.yml": "for: customer\n", "templates/n/template.yml": "for: staff\n"}
BUSY = """
- id: busy
  title: Busy
  why: Because.
  owner: o@ringfirst.example
  when: [uses >= 3]
  unless: [open_tickets > 0]
  send: {template: t, to: champion, class: relationship, mode: auto}
  background:
  - {day: 0, event: user.updated, user: u1, with: {role: champion}}
"""
MEETING = """
- id: eve
  why: Because.
  owner: o@ringfirst.example
  for: each meeting
  when: [meeting.days_to_start == 1]
  once_per: meeting.starts_at
  send: {template: t, to: meeting.host, class: transactional, mode: auto}
"""
TICKET = """
- id: open
  why: Because.
  owner: o@ringfirst.example
  for: each ticket
  when: [ticket.open_days >= 1]
  notify: {template: n, to: rule owner}
"""


def book_of(rule: str, cases: str, head: str = HEAD) -> Any:
    text = head + rule + "  cases:\n" + cases
    book, findings = load_rulebook({"rules/a.yml": text, **TEMPLATES}, duties=False)
    assert book is not None, [str(finding) for finding in findings]
    return book


def failures(rule: str, cases: str, head: str = HEAD) -> list[str]:
    """The messages of the cases that fail; every case must at least be read."""
    book = book_of(rule, cases, head)
    assert check_cases(book) == []
    report = run_cases(book)
    assert report.passed + report.failed == cases.count("- name:") + cases.count("- {name:")
    return [failure.message for failure in report.failures]


def passes(rule: str, cases: str, head: str = HEAD) -> None:
    assert failures(rule, cases, head) == []


# -- what is given ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("{day: 1, times: 3, event: feature.used}", 3, id="three times, a day apart"),
        pytest.param("{day: 1, until: 3, event: feature.used}", 3, id="until a day, that day too"),
        pytest.param("{day: 1, until: 9, every: 4d, event: feature.used}", 9, id="every four days"),
        pytest.param("{day: 1, times: 3, every: 2d, event: feature.used}", 5, id="a number of times and a step"),
        pytest.param("{day: 4, times: 3, every: weekday, event: feature.used}", 8, id="on weekdays"),
        pytest.param("{day: 1, times: 9, until: 3, event: feature.used}", 3, id="whichever ends first"),
        pytest.param('{day: 2, times: 3, at: "23:59", event: feature.used}', 4, id="a time of day"),
    ],
)
def test_repeats_are_days_of_their_own(given: str, expected: int) -> None:
    passes(BUSY, f"  - name: a\n    given: [{given}]\n    expect: [{{day: {expected}}}]\n")


def test_two_repeats_are_too_few() -> None:
    passes(BUSY, "  - name: a\n    given: [{day: 1, times: 2, event: feature.used}]\n    expect: silent\n")


def test_an_event_is_at_noon_unless_told() -> None:
    passes(
        BUSY, '  - name: a\n    given: [{day: 1, times: 3, event: feature.used}]\n    expect: [{day: 3, at: "12:00"}]\n'
    )


def test_days_and_clocks_are_those_of_the_account() -> None:
    given = """
    given:
    - {day: 0, at: "00:00", event: account.updated, with: {timezone: Pacific/Auckland}}
    - {day: 1, times: 3, at: "00:30", event: feature.used}
    expect: [{day: 3, at: "00:30"}]
"""
    passes(BUSY, "  - name: a" + given)


def test_events_of_one_instant_come_in_the_order_written() -> None:
    first = "{day: 1, event: ticket.opened, with: {ticket_id: t1}}"
    last = "{day: 1, times: 1, event: feature.used}"
    uses = "{day: 0, times: 1, event: feature.used}, {day: 0, event: feature.used}"
    passes(BUSY, f"  - name: a\n    given: [{uses}, {first}, {last}]\n    expect: silent\n")
    passes(BUSY, f"  - name: a\n    given: [{uses}, {last}, {first}]\n    expect: [{{day: 1, outcome: withdrawn}}]\n")


def test_day_n_as_a_value_is_that_date_or_instant() -> None:
    passes(
        MEETING,
        """
  - name: a date
    given: [{day: 0, event: meeting.scheduled, user: u1, with: {meeting_id: m1, starts_at: day 5}}]
    expect: [{day: 4, at: "00:00", about: m1, to: u1}]
  - name: an instant
    given: [{day: 0, event: meeting.scheduled, user: u1, with: {meeting_id: m1, starts_at: day 5 10:00}}]
    expect: [{day: 4, about: m1, values: {meeting.starts_at: "2026-03-07T10:00:00Z"}}]
""",
    )


def test_moved_twice_before_the_eve_there_is_one_mail_on_the_last_eve() -> None:
    passes(
        MEETING,
        """
  - name: moved twice
    given:
    - {day: 0, event: meeting.scheduled, user: u1, with: {meeting_id: m1, starts_at: day 5 10:00}}
    - {day: 2, event: meeting.rescheduled, with: {meeting_id: m1, starts_at: day 8 10:00}}
    - {day: 3, at: "09:00", event: meeting.rescheduled, with: {meeting_id: m1, starts_at: day 12 10:00}}
    until: day 40
    expect: [{day: 11, about: m1, to: u1}]
""",
    )


def test_like_takes_over_what_another_case_is_given() -> None:
    passes(
        BUSY,
        """
  - name: three uses
    given: [{day: 1, times: 3, event: feature.used}]
    at: day 3
    expect: sends
  - name: a ticket is open
    like: three uses
    given: [{day: 2, event: ticket.opened, with: {ticket_id: t1}}]
    expect: silent
  - name: and closed again
    like: a ticket is open
    given: [{day: 5, event: ticket.closed, with: {ticket_id: t1}}]
    expect: [{day: 5}]
""",
    )


def test_another_account_is_another_account() -> None:
    given = """
    given:
    - {day: 0, account: bolt, event: user.updated, user: u9, with: {role: champion}}
    - {day: 1, times: 3, account: bolt, event: feature.used}
"""
    passes(BUSY, f"  - name: a{given}    expect: [{{day: 3, account: bolt, to: u9}}]\n")
    assert "it is of account bolt" in failures(BUSY, f"  - name: a{given}    expect: [{{day: 3}}]\n")[0]


# -- what is expected ------------------------------------------------------------------------------------------------

TWO_TICKETS = """    given:
    - {day: 0, event: ticket.opened, with: {ticket_id: t1}}
    - {day: 0, event: ticket.opened, with: {ticket_id: t2}}
"""
THREE = "    given: [{day: 1, times: 3, event: feature.used}]\n"


@pytest.mark.parametrize(
    "expect",
    [
        "[{day: 3}]",
        "[{day: 3, to: u1, outcome: planned}]",
        "[{day: 3, to: [u1], values: {uses: 3}}]",
        "sends",
        "[{day: 3, values: {uses: 3, open_tickets: 0}}]",
    ],
)
def test_what_comes_out_as_written_passes(expect: str) -> None:
    passes(BUSY, f"  - name: a\n{THREE}    expect: {expect}\n")


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        pytest.param("silent", "expected silence; found planned on day 3", id="silence"),
        pytest.param("[]", "expected no more; found planned on day 3", id="an empty list is silence"),
        pytest.param(
            "[{day: 4}]", "expected day 4; found planned on day 3; nearest: it was on day 3", id="another day"
        ),
        pytest.param('[{day: 3, at: "09:00"}]', "nearest: it was at 12:00", id="another time"),
        pytest.param("[{day: 3, to: u2}]", "nearest: it goes to u1", id="somebody else"),
        pytest.param("[{day: 3, outcome: held_out}]", "nearest: its outcome is planned", id="another outcome"),
        pytest.param("[{day: 3, about: t1}]", "nearest: it is about the account", id="about something else"),
        pytest.param("[{day: 3, values: {uses: 4}}]", "nearest: uses is 3", id="another value"),
        pytest.param("[{day: 3, reason: because}]", "nearest: it has another reason", id="another reason"),
        pytest.param("[{day: 3}, {day: 5}]", "expected day 5; nothing was decided", id="one too many"),
    ],
)
def test_what_fails_says_what_was_expected_and_what_was_found(expect: str, message: str) -> None:
    (found,) = failures(BUSY, f"  - name: a\n{THREE}    expect: {expect}\n")
    assert message in found


def test_a_failure_says_where_its_case_stands() -> None:
    book = book_of(BUSY, f"  - name: three uses\n{THREE}    expect: silent\n")
    (failure,) = run_cases(book).failures
    line = book.files["rules/a.yml"].splitlines().index("  - name: three uses") + 1
    assert str(failure) == (
        f"rules/a.yml:{line}:5: rule busy, case 'three uses': expected silence; found planned on day 3"
    )


def test_the_list_is_complete() -> None:
    passes(TICKET, f"  - name: a\n{TWO_TICKETS}    expect: [{{day: 1, about: t1}}, {{day: 1, about: t2}}]\n")
    (found,) = failures(TICKET, f"  - name: a\n{TWO_TICKETS}    expect: [{{day: 1, about: t1}}]\n")
    assert found == "expected no more; found planned on day 1 about t2"


def test_joined_decisions_may_be_one_entry() -> None:
    passes(
        TICKET,
        f"  - name: a\n{TWO_TICKETS}    expect: [{{day: 1, about: [t2, t1]}}]\n"
        f"  - name: b\n{TWO_TICKETS}    expect: sends\n",
    )
    assert failures(TICKET, f"  - name: a\n{TWO_TICKETS}    expect: [{{day: 1, about: [t1, t3]}}]\n") != []


def test_the_short_form_looks_by_the_end_of_its_day() -> None:
    passes(
        BUSY,
        f"  - name: a\n{THREE}    at: day 2\n    expect: silent\n"
        f"  - name: b\n{THREE}    at: day 3\n    expect: sends\n",
    )


def test_silence_forbids_withdrawn_ones_too() -> None:
    given = """    given:
    - {day: 1, times: 3, event: feature.used}
    - {day: 3, at: "12:05", event: ticket.opened, with: {ticket_id: t1}}
"""
    passes(BUSY, f"  - name: a\n{given}    expect: [{{day: 3, outcome: withdrawn}}]\n")
    assert failures(BUSY, f"  - name: a\n{given}    expect: silent\n") == ["expected silence; found withdrawn on day 3"]
    (found,) = failures(BUSY, f"  - name: a\n{given}    at: day 3\n    expect: sends\n")
    assert found == "expected exactly one by the end of day 3; found withdrawn on day 3"
    assert "its outcome is withdrawn" in failures(BUSY, f"  - name: a\n{given}    expect: [{{day: 3}}]\n")[0]


def test_what_is_not_said_lasts_for_forty_days_after_the_last_given_one() -> None:
    later = BUSY.replace("uses >= 3", "account_age_days >= 43")
    given = "    given: [{day: 1, until: 3, event: feature.used}]\n"
    passes(later, f"  - name: a\n{given}    expect: [{{day: 43}}]\n")
    passes(later, f"  - name: a\n{given}    until: day 42\n    expect: silent\n")
    passes(BUSY.replace("uses >= 3", "account_age_days >= 44"), f"  - name: a\n{given}    expect: silent\n")


def test_holdout_is_off_and_a_draft_counts_as_live() -> None:
    passes(
        BUSY + "  holdout: 100%\n  status: draft\n", f"  - name: a\n{THREE}    expect: [{{day: 3, outcome: planned}}]\n"
    )


def test_what_nobody_is_known_to_read_is_not_decided() -> None:
    passes(BUSY.replace("to: champion", "to: admin"), f"  - name: a\n{THREE}    expect: silent\n")


def test_an_age_that_may_be_older_than_the_log_has_its_reason() -> None:
    age = BUSY.replace("uses >= 3", "account_age_days >= 5")
    passes(age, "  - name: a\n    expect: [{day: 5, reason: may be older than our log}]\n")
    passes(
        age,
        """
  - name: we know its age
    given: [{day: 0, at: "00:00", event: account.updated, with: {created_at: day 0}}]
    expect: [{day: 5}]
""",
    )


def test_a_portfolio_rule_has_cases_too() -> None:
    rule = """
- id: load
  why: Because.
  owner: o@ringfirst.example
  for: portfolio
  when: [seats_all >= 2]
  notify: {template: n, to: rule owner}
"""
    passes(
        rule,
        """
  - name: two accounts with a ticket each
    given:
    - {day: 0, event: ticket.opened, with: {ticket_id: t1}}
    - {day: 1, account: bolt, at: "12:20", event: ticket.opened, with: {ticket_id: t1}}
    until: day 2
    expect: [{day: 1, at: "13:00"}]
  - name: one ticket
    given: [{day: 0, event: ticket.opened, with: {ticket_id: t1}}]
    until: day 2
    expect: silent
""",
    )


# -- wrong cases -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param(
            "{name: a, expect: loud}", "expect: should be sends, silent or a list of decisions", id="no such word"
        ),
        pytest.param("{name: a, like: b, expect: silent}", "like: no other case has that name", id="like nobody"),
        pytest.param("{name: a, like: a, expect: silent}", "like: no other case has that name", id="like itself"),
        pytest.param("{name: a, gvien: [], expect: silent}", "unknown key 'gvien'; did you mean 'given'?", id="a typo"),
        pytest.param("{name: a, at: soon, expect: silent}", "should be a day such as day 11; found soon", id="no day"),
        pytest.param("{expect: silent}", "'name' is missing", id="no name"),
        pytest.param("{name: a}", "'expect' is missing", id="nothing expected"),
        pytest.param("{name: a, given: [{event: x}], expect: silent}", "'day' is missing", id="a given without a day"),
        pytest.param(
            "{name: a, given: [{day: -1, event: x}], expect: silent}", "from 0 to 3660", id="a day before the first"
        ),
        pytest.param(
            "{name: a, given: [{day: 1, event: x, every: 2d}], expect: silent}",
            "needs until or times",
            id="without an end",
        ),
        pytest.param(
            "{name: a, given: [{day: 1, event: x, every: month, times: 2}], expect: silent}",
            "such as 2d, or weekday",
            id="no step",
        ),
        pytest.param(
            "{name: a, expect: [{dya: 3}]}", "unknown key 'dya'; did you mean 'day'?", id="a typo in an entry"
        ),
    ],
)
def test_a_wrong_case_is_said_with_its_place(case: str, expected: str) -> None:
    findings = check_cases(book_of(BUSY, f"  - {case}\n"))
    assert any(expected in finding.message for finding in findings), findings
    assert all(finding.path == "rules/a.yml" and finding.line > 1 for finding in findings)


def test_two_cases_of_one_name_are_one_too_many() -> None:
    (finding,) = check_cases(book_of(BUSY, "  - {name: a, expect: silent}\n  - {name: a, expect: silent}\n"))
    assert finding.message == "case 'a' stands twice; rename one"


def test_a_circle_of_like_is_found() -> None:
    findings = check_cases(
        book_of(BUSY, "  - {name: a, like: b, expect: silent}\n  - {name: b, like: a, expect: silent}\n")
    )
    assert {finding.message.partition(";")[0] for finding in findings} == {"like: no other case has that name"}


def test_a_case_of_a_million_events_is_too_large() -> None:
    many = ", ".join(["{day: 0, until: 3000, event: x}"] * 40)
    findings = check_cases(book_of(BUSY, f"  - {{name: a, given: [{many}], expect: silent}}\n"))
    assert any("more than 100000 events" in finding.message for finding in findings)


# -- mutants ---------------------------------------------------------------------------------------------------------


def test_a_line_that_no_case_needs_is_named() -> None:
    sends = f"  - name: sends\n{THREE}    expect: [{{day: 3}}]\n"
    silent = "  - name: silent\n    given: [{day: 1, event: feature.used}]\n    expect: silent\n"
    (mutant,) = mutants(book_of(BUSY, sends + silent))
    assert str(mutant).endswith(
        "rule busy, case 'unless': no case needs this line of unless: open_tickets > 0; add a case that only it decides"
    )


def test_no_line_is_named_where_each_decides_a_case() -> None:
    cases = f"""
  - name: sends
{THREE}    expect: [{{day: 3}}]
  - name: too few
    given: [{{day: 1, event: feature.used}}]
    expect: silent
  - name: a ticket is open
    like: sends
    given: [{{day: 2, event: ticket.opened, with: {{ticket_id: t1}}}}]
    expect: silent
"""
    assert mutants(book_of(BUSY, cases)) == []


def test_a_rule_without_cases_has_no_mutants() -> None:
    book, _ = load_rulebook({"rules/a.yml": HEAD + BUSY, **TEMPLATES}, duties=False)
    assert book is not None
    assert mutants(book) == []
    assert run_cases(book).passed == 0


def test_only_the_rules_asked_for_are_run() -> None:
    book = book_of(BUSY, "  - {name: a, expect: silent}\n")
    assert run_cases(book, only=["another"]).passed == 0
    assert run_cases(book, only=["busy"]).passed == 1
