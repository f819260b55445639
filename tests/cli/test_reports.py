"""Reports from the command line: figures, why they would not go, and the events behind them."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.rulebook.reporting import NOTE_TEMPLATE
from outreach.reported import note_context
from outreach.templates import load_templates
from tests.cli.given import lines

ROOT = Path(__file__).resolve().parents[2]

BOOK = """
attributes: {account: {test: true/false}}
things: {ticket: {id: ticket_id, opened_by: ticket.opened, closed_by: ticket.solved}}
measures:
  hours: {sum: minutes, of: automation.run, times: 1/60, over: 7d}
  runs: {count: automation.run}
  won: {count: cart.recovered}
  open_tickets: {open: ticket}
segments: {paying: {when: 'plan == "pro"'}}
values:
  hours: {measure: hours, label: Hours saved, unit: hour, worth: {rate: 45, currency: EUR, per: hour}}
  won: {measure: won, label: Orders won, unit: order, worth: {sum: total}}
  runs: {measure: runs, label: Runs, unit: run}
reports:
  - id: monthly
    title: What you got
    audience: paying
    period: previous month
    values: [hours, won, runs]
    price: mrr
    compare: [previous period, same period last year]
    send_if: [value_total > 0, value.runs >= 1]
    unless: [open_tickets > 0]
  - {id: quarterly, period: previous quarter, values: [hours], price: mrr}
policy:
  timezone: Europe/Berlin
  staff: {domains: [ours.example]}
  exclude: {accounts: {test: true}, cancelled: true}
"""


def event(
    mark: str, kind: str, time: str, user: str | None = "u1", account: str = "acme", **more: Any
) -> dict[str, Any]:
    return {"id": mark, "type": kind, "account_id": account, "user_id": user, "time": time, "properties": more}


EVENTS = [
    event("z", "account.updated", "2025-12-01T00:00:00Z", None, "other", plan="pro"),
    event("a", "account.updated", "2026-01-10T09:00:00Z", None, plan="pro", mrr=100, currency="EUR"),
    event("b", "user.updated", "2026-01-10T09:00:00Z", "s1", email="ann@ours.example"),
    event("c", "user.updated", "2026-01-10T09:00:00Z", "t1", test=True),
    event("j1", "automation.run", "2026-01-20T09:00:00Z", minutes=600),
    event("f1", "automation.run", "2026-02-03T09:00:00Z", minutes=60),
    event("f2", "automation.run", "2026-02-04T09:00:00Z", "s1", minutes=600),
    event("f3", "automation.run", "2026-02-05T09:00:00Z", "t1", minutes=600),
    event("m0", "automation.run", "2026-02-28T22:59:59Z", minutes=30),
    event("m1", "automation.run", "2026-02-28T23:00:00Z", minutes=50),
    event("m2", "automation.run", "2026-03-31T21:30:00Z", minutes=70),
    event("m3", "cart.recovered", "2026-03-10T09:00:00Z", total=19.99, currency="EUR"),
    event("m4", "cart.recovered", "2026-03-11T09:00:00Z"),
    event("p", "account.updated", "2026-03-20T09:00:00Z", None, mrr=120),
    event("q1", "automation.run", "2026-03-31T22:00:00Z", minutes=6),
    event("q2", "account.updated", "2026-04-05T09:00:00Z", None, mrr=500, hour_rate=99),
    event("q3", "ticket.opened", "2026-04-20T09:00:00Z", ticket_id="t"),
]


pytestmark = pytest.mark.usefixtures("imported")


def test_a_report_has_every_figure_of_the_month_and_no_other(ask):
    found = ask("reports", "preview", "acme", "monthly", "--period", "2026-03", "--at", "2026-04-02")
    hours, won, runs = found["values"]
    assert found["period"]["starts"] == "2026-02-28T23:00:00Z"
    assert found["period"]["ends"] == "2026-03-31T22:00:00Z"
    assert (hours["amount"], hours["events"]) == (2, 2)
    assert hours["worth"] == {"money": [{"amount": 90.0, "currency": "EUR"}], "unpriced": []}
    assert hours["assumption"] == "Hours saved: 45 EUR per hour, our assumption"
    assert won["worth"]["money"] == [{"amount": 19.99, "currency": "EUR"}]
    assert won["worth"]["unpriced"] == [{"why": "no number in total", "events": 1}]
    assert runs["worth"] is None
    before, year = hours["compared"]
    assert (before["period"], before["amount"], before["change"], before["percent"]) == ("2026-02", 1.5, 0.5, 33.3)
    assert (year["amount"], year["not_compared"]) == (None, "March 2025 is not known, or in part only")
    assert hours["ever"] == {
        "since": "2026-01-10T09:00:00Z",
        "amount": 13.5,
        "worth": {"money": [{"amount": 607.5, "currency": "EUR"}], "unpriced": []},
    }
    assert found["total"] == [{"amount": 109.99, "currency": "EUR"}]
    assert found["price"] == {"amount": 120, "currency": "EUR", "unknown": None}
    assert found["left_out"] == 4, "of our own person and the test user, up to the end of the month"


def test_what_could_not_be_priced_keeps_the_total_unknown_and_the_report_silent(ask):
    found = ask("reports", "preview", "acme", "monthly", "--period", "2026-03", "--at", "2026-04-02")
    assert found["value_to_price"] is None
    assert (found["would_go"], found["because"]) == (False, "send_if value_total > 0 is unknown")


def test_a_month_whose_figures_are_whole_would_go(ask):
    found = ask("reports", "preview", "acme", "monthly", "--period", "2026-02", "--at", "2026-03-02")
    assert (found["would_go"], found["because"]) == (True, "nothing speaks against it")
    assert found["value_to_price"] == 0.675
    assert found["values"][0]["compared"][0]["not_compared"] == "January 2026 is not known, or in part only"
    assert found["period"]["closed"] is True
    assert (
        ask("reports", "preview", "acme", "monthly", "--period", "2026-02", "--at", "2026-03-01T12:00:00Z")["period"][
            "closed"
        ]
        is False
    )


@pytest.mark.parametrize(
    ("period", "at", "because"),
    [
        ("2026-01", "2026-03-02", "the account is known since 2026-01-10T09:00:00Z, so the period is only a part"),
        ("2026-02", "2026-02-20", "February 2026 is not over"),
        ("2026-03", "2026-03-25", "March 2026 is not over"),
        ("2026-02", "2026-04-21", "unless open_tickets > 0 is yes"),
    ],
)
def test_why_a_report_would_not_go(ask, period, at, because):
    found = ask("reports", "preview", "acme", "monthly", "--period", period, "--at", at)
    assert (found["would_go"], found["because"]) == (False, because)
    if not found["period"]["over"] or not found["period"]["full"]:
        assert all(one["change"] is None for value in found["values"] for one in value["compared"])


def test_whoever_is_excluded_or_left_the_audience_gets_none(ask, place):
    more = [
        event("x1", "account.updated", "2026-04-21T09:00:00Z", None, plan="free"),
        event("x2", "account.updated", "2026-04-22T09:00:00Z", None, test=True),
    ]
    (place / "more.jsonl").write_text(lines(more))
    ask("import", "more.jsonl")
    asked = ("reports", "preview", "acme", "monthly", "--period", "2026-02")
    assert ask(*asked, "--at", "2026-04-21T10:00:00Z")["because"] == "audience paying is no"
    assert ask(*asked)["because"] == "the account is excluded by its trait test"


def test_whoever_has_cancelled_gets_none(ask, place):
    (place / "more.jsonl").write_text(lines([event("x1", "subscription.cancelled", "2026-03-10T12:00:00Z", None)]))
    ask("import", "more.jsonl")
    asked = ("reports", "preview", "acme", "monthly", "--period", "2026-02", "--at")
    assert ask(*asked, "2026-03-10T11:00:00Z")["would_go"] is True
    assert ask(*asked, "2026-05-01T00:00:00Z")["because"] == "the account has cancelled"


def test_two_currencies_are_never_one_number(ask, place):
    more = [
        event("y1", "account.updated", "2026-01-30T09:00:00Z", None, "mixed", plan="pro", mrr=10, currency="EUR"),
        event("y2", "automation.run", "2026-02-10T09:00:00Z", "u9", "mixed", minutes=60),
        event("y3", "cart.recovered", "2026-02-11T09:00:00Z", "u9", "mixed", total=100, currency="USD"),
        event("y4", "cart.recovered", "2026-03-11T09:00:00Z", "u9", "mixed", total=100, currency="USD"),
    ]
    (place / "more.jsonl").write_text(lines(more))
    ask("import", "more.jsonl")
    found = ask("reports", "preview", "mixed", "monthly", "--period", "2026-02")
    assert found["total"] == [{"amount": 45.0, "currency": "EUR"}, {"amount": 100.0, "currency": "USD"}]
    assert found["value_to_price"] is None
    why = "for its worth is in EUR and USD, which are never added"
    assert found["because"] == f"send_if value_total > 0 is unknown, {why}"
    said = ask("reports", "preview", "mixed", "quarterly", "--period", "2026-Q2", "--at", "2026-07-02")
    assert (said["total"], said["value_to_price"]) == ([{"amount": 0.0, "currency": "EUR"}], 0)


def test_attributes_are_those_of_the_periods_end(ask):
    assert (
        ask("reports", "trace", "acme", "2026-03", "hours")["worth"]["formula"]
        == "2 x 45 EUR per hour (our assumption), rounded once"
    )
    april = ask("reports", "trace", "acme", "2026-04", "hours")
    assert april["worth"]["formula"] == "0.1 x 99 EUR per hour (hour_rate of the account), rounded once"
    quarter = ask("reports", "preview", "acme", "quarterly", "--period", "2026-Q2", "--at", "2026-07-02")
    assert quarter["price"]["amount"] == 1500
    quarter = ask("reports", "preview", "acme", "quarterly", "--period", "2026-Q1", "--at", "2026-04-02")
    assert quarter["price"]["amount"] == 320, "100, 100 and 120"


def test_a_trace_lists_the_events_and_the_figure_is_their_sum(ask):
    found = ask("reports", "trace", "acme", "2026-03", "hours", "--at", "2026-04-02")
    assert [(one["id"], one["counted"]) for one in found["events"]] == [("m1", 50), ("m2", 70)]
    assert found["amount"] == sum(one["counted"] for one in found["events"]) / 60
    assert found["formula"] == "sum of minutes over 2 events, times 1/60 = 2"
    assert ask("reports", "trace", "acme", "2026-03", "hours", "--at", "2026-04-02") == found
    orders = ask("reports", "trace", "acme", "2026-03", "won")
    assert [one["money"] for one in orders["events"]] == [{"amount": 19.99, "currency": "EUR"}, "no number in total"]


def test_a_late_event_counts_in_its_own_month_for_whoever_asks_after_it(ask, place):
    (place / "late.jsonl").write_text(lines([event("late", "automation.run", "2026-02-10T09:00:00Z", minutes=60)]))
    before = ask("reports", "trace", "acme", "2026-02", "hours")
    ask("import", "late.jsonl")
    after = ask("reports", "trace", "acme", "2026-02", "hours", "--at", "2026-05-02")
    assert (before["amount"], after["amount"]) == (1.5, 2.5)
    assert "late" in [one["id"] for one in after["events"]]


def test_the_zone_is_the_accounts_as_of_the_periods_end(ask, place):
    moved = event("tz", "account.updated", "2026-04-25T09:00:00Z", None, timezone="America/New_York")
    late = event("n1", "automation.run", "2026-05-01T03:30:00Z", minutes=5)
    (place / "zone.jsonl").write_text(lines([moved, late]))
    ask("import", "zone.jsonl")
    asked = ("reports", "trace", "acme", "2026-03", "runs", "--at", "2026-05-02")
    assert ask(*asked)["period"]["zone"] == "Europe/Berlin", "in March it was there"
    april = ask("reports", "trace", "acme", "2026-04", "runs", "--at", "2026-05-02")
    assert april["period"]["zone"] == "America/New_York"
    assert [one["id"] for one in april["events"]] == ["n1"], "30 April, 23:30 there; q1 was on 31 March, 18:00"


def test_a_person_reads_it_as_a_table(run):
    said = run("reports", "preview", "acme", "monthly", "--period", "2026-02", "--at", "2026-03-02").stdout
    assert said.startswith("What you got: acme, 2026-02 (2026-02-01 to 2026-02-28, Europe/Berlin), as of 2026-03-02")
    assert "Worth in all: 67.50 EUR; since 2026-01-10: 517.50 EUR" in said
    assert "Price of the period: 100 EUR; the value is 0.675 times the price" in said
    assert said.endswith("Would go: nothing speaks against it\n")
    traced = run("reports", "trace", "acme", "2026-03", "won", "--at", "2026-04-01T12:00:00Z")
    assert "worth 19.99 EUR: sum of total over its events" in traced.stdout
    assert "not closed: events that come late may still change the figures" in traced.stderr
    assert "left out: 4 events of our own people and of test users" in traced.stderr


def test_the_list_names_reports_and_values(ask, run):
    found = ask("reports", "list")
    assert [one["report"] for one in found["reports"]] == ["monthly", "quarterly"]
    assert [one["priced"] for one in found["values"]] == [True, True, False]
    assert "monthly" in run("reports", "list").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("preview", "acme"), "there are monthly, quarterly; name one"),
        (("preview", "acme", "monthyl"), "did you mean 'monthly'?"),
        (
            ("preview", "acme", "monthly", "--period", "2026-Q1"),
            "is about a month; found 2026-Q1; write one such as 2026-10",
        ),
        (("preview", "acne", "monthly"), "did you mean 'acme'?"),
        (
            ("preview", "acme", "monthly", "--period", "2025-10"),
            "nothing is known of it in October 2025; its first event is of 2026-01-10",
        ),
        (("trace", "acme", "March", "hours"), "write a month as 2026-10"),
        (
            ("trace", "acme", "2026-03", "hour"),
            "figure 'hour': not in the report or the values of the rulebook; did you mean 'hours'?",
        ),
    ],
)
def test_wrong_words_are_refused_with_the_right_ones(run, words, said):
    assert said in run("reports", *words, code=2).stderr


def test_a_part_says_so_where_it_is_not_compared(run):
    said = run("reports", "preview", "acme", "monthly", "--period", "2026-01", "--at", "2026-03-02").stdout
    assert "Not compared with the previous period: January 2026 is known in part only" in said
    said = run("reports", "preview", "acme", "monthly", "--period", "2026-02", "--at", "2026-02-20").stdout
    assert "Not compared with the previous period: February 2026 is not over" in said


def test_the_chart_has_whole_periods_alone(ask):
    found = ask("reports", "preview", "acme", "monthly", "--period", "2026-04", "--at", "2026-05-02")
    assert found["values"][2]["series"] == [
        {"period": "2026-02", "amount": 2},
        {"period": "2026-03", "amount": 2},
        {"period": "2026-04", "amount": 1},
    ]
    found = ask("reports", "preview", "acme", "monthly", "--period", "2026-04", "--at", "2026-04-20")
    assert [one["period"] for one in found["values"][2]["series"]] == ["2026-02", "2026-03"], "April is not over"


def page_of(run: Any, place: Path, *words: str) -> str:
    said = run("reports", "preview", "acme", *words, "--html", "page.html").stderr
    assert "written: page.html" in said
    return (place / "page.html").read_text()


def test_the_mail_has_the_figures_of_the_preview(run, place):
    page = page_of(run, place, "monthly", "--period", "2026-03", "--at", "2026-04-02")
    for words in (
        "What you got",
        "March 2026",
        "109.99",
        "2 hours",
        "90",
        "up 33% from 1.5",
        ">Feb<",
        "627.49",
    ):
        assert words in page, words
    assert ">Jan<" not in page, "a part of a month"
    assert "you paid" not in page, "it is worth less than the price: the owner hears so, the reader need not"
    assert "Orders won: 1 event is not in the money: no number in total" in page
    assert "€45 for one <bdi>hour</bdi>, our assumption" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_example_of_the_note_has_the_names_that_it_is_given(ask):
    found = ask("reports", "preview", "acme", "monthly", "--period", "2026-03", "--at", "2026-04-02")
    note = load_templates(ROOT / "templates")[0][NOTE_TEMPLATE]
    assert names(note.manifest.example["report"]) == names(note_context({**found, "against": "x"}, "en"))


def names(value: Any, place: str = "") -> set[str]:
    """Every name below a value, also in its lists; what is empty or null has none below it."""
    if isinstance(value, list):
        return set().union(*(names(one, place) for one in value))
    if isinstance(value, dict):
        return set().union(*({f"{place}.{key}"} | names(one, f"{place}.{key}") for key, one in value.items()))
    return set()


def test_the_mail_without_money_leads_with_its_first_value(run, place):
    book = (place / "rules" / "all.yml").read_text().replace("values: [hours, won, runs]", "values: [runs]")
    (place / "rules" / "all.yml").write_text(
        book.replace("    price: mrr\n", "").replace("    send_if: [value_total > 0, value.runs >= 1]\n", "")
    )
    page = page_of(run, place, "monthly", "--period", "2026-03", "--rules", ".")
    assert "2 runs" in page
    assert "is what it is worth" not in page


def test_a_page_that_cannot_be_written_is_said(run):
    words = ("reports", "preview", "acme", "monthly", "--period", "2026-02", "--html", "nowhere/page.html")
    assert "nowhere/page.html: cannot be written" in run(*words, code=2).stderr


def test_a_report_is_written_as_pdf_and_what_no_font_has_is_said(run, place: Path):
    words = ("reports", "preview", "acme", "monthly", "--period", "2026-02")
    said = run(*words, "--pdf", "acme.pdf").stderr
    assert "written: acme.pdf" in said
    assert "no font" not in said
    assert (place / "acme.pdf").read_bytes().startswith(b"%PDF-")
    (place / "rules" / "all.yml").write_text(BOOK.replace("label: Runs", 'label: "Ru\u0378ns"'))
    said = run(*words, "--pdf", "acme.pdf", "--rules", place).stderr
    assert "acme.pdf: no font of this machine has \u0378; they are boxes there" in said
    assert "nowhere/a.pdf: cannot be written" in run(*words, "--pdf", "nowhere/a.pdf", code=2).stderr


def test_json_keeps_every_digit_of_money(run):
    said = run("reports", "preview", "acme", "monthly", "--period", "2026-02", "--at", "2026-03-02", "--json").stdout
    assert '"amount": 67.50' in said
    assert json.loads(said)["total"] == [{"amount": 67.5, "currency": "EUR"}]


NOTHING = "it would show nothing: each of its values is 0 or unknown"


# -- all of them -------------------------------------------------------------------------------------------------------
def test_all_reports_are_one_page_that_loads_nothing(ask, run, place: Path):
    found = ask("reports", "preview", "--all", "monthly", "--period", "2026-02", "--at", "2026-03-02")
    told = found["report"], found["period"], found["page"], found["count"]
    assert told == ("monthly", "2026-02", "reports.html", 2)
    assert found["shown"] == [
        {"account_id": "acme", "would_go": True, "because": "nothing speaks against it"},
        {"account_id": "other", "would_go": False, "because": NOTHING},
    ]
    page = (place / "reports.html").read_text()
    assert page.count('<iframe sandbox="allow-same-origin"') == 2
    assert "What you got, February 2026" in page.replace("<bdi>", "").replace("</bdi>", "")
    assert "default-src 'none'" in page
    said = run("reports", "preview", "--all", "monthly", "--period", "2026-02", "--html", "all.html")
    assert said.stdout == "all.html\n"
    assert "2 reports, " in said.stderr


def test_a_page_of_very_many_shows_the_first_and_says_so(run, place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ringfirst.report_gallery.MOST", 1)
    said = run("reports", "preview", "--all", "monthly", "--period", "2026-02", "--at", "2026-03-02")
    assert "2 reports, 1 would go; the first 1 are shown" in said.stderr
    assert (place / "reports.html").read_text().count("<iframe") == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "takes an account, or --all; found neither"),
        (("--all", "monthly", "acme"), "--all takes at most a report; found monthly acme"),
        (("acme", "monthly", "x"), "takes an account, or --all; found acme monthly x"),
        (("--all", "monthly", "--pdf", "a.pdf"), "--pdf is of one account"),
        (("acme", "monthly", "--open"), "--open goes with --all"),
        (("--all", "monthly", "--period", "2026-Q1"), "is about a month; found 2026-Q1"),
        (("--all", "monthly", "--html", "nowhere/all.html"), "nowhere/all.html: cannot be written"),
    ],
)
def test_what_all_does_not_go_with_is_said(run, words, expected):
    assert expected in run("reports", "preview", *words, code=2).stderr
