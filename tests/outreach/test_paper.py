"""A report on paper: the same bytes, in the reader's numbers, and nothing that a customer wrote is more than text."""

import subprocess
import sys
from copy import deepcopy
from typing import Any

import pytest

from outreach import paper
from outreach.paper import paper_context, pdf_of, pictures_of

PERIOD = {
    "name": "2026-10",
    "first_day": "2026-10-01",
    "last_day": "2026-10-31",
    "zone": "Europe/Berlin",
    "over": True,
    "full": True,
    "known_since": "2025-01-12T00:00:00Z",
}
VALUE = {
    "value": "hours",
    "label": "Hours saved",
    "unit": "hour",
    "amount": 1224.5,
    "worth": {"money": [{"amount": 55102.5, "currency": "EUR"}], "unpriced": []},
    "assumption": "Hours saved: 45 EUR per hour, our assumption",
    "compared": [
        {"with": "previous period", "amount": 1000, "change": 224.5, "percent": 22.5, "not_compared": None},
        {"with": "same period last year", "amount": None, "change": None, "percent": None}
        | {"period": "2025-10", "not_compared": "it is unknown"},
    ],
    "series": [{"period": f"2026-{n:02d}", "amount": amount} for n, amount in ((8, None), (9, 1000), (10, 1224.5))],
}
REPORT: dict[str, Any] = {
    "account_id": "harbor",
    "report": "monthly",
    "title": "What you got out of it",
    "period": PERIOD,
    "values": [VALUE],
    "total": [{"amount": 55102.5, "currency": "EUR"}],
    "total_ever": [{"amount": 90000, "currency": "EUR"}],
    "price": {"amount": 480, "currency": "EUR", "unknown": None},
    "goals": [
        {"metric": "hours", "label": "Hours saved", "unit": "hour", "baseline": 5, "current": 24, "target": 40}
        | {"due": "2026-12-31", "reached": False, "percent": 54.3, "unknown": None}
    ],
    "next_steps": [{"next_step": "Let the alerts go to the whole team", "title": None}],
    "contact": {"name": "Mara", "address": "mara@ringfirst.example"},
}


def report(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(REPORT), **changes}


def test_the_same_figures_give_the_same_bytes_in_another_process_too():
    code = "import sys; from tests.outreach.test_paper import *; sys.stdout.buffer.write(pdf_of(report(), 'en').pages)"
    first = pdf_of(report(), "en").pages
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert first.startswith(b"%PDF-")
    assert again == first
    assert b"CreationDate" not in first


@pytest.mark.parametrize(
    "text",
    ["*b*", "#panic()", '"] #sys', "$x$", "`r`", "@ref", "<lab>", "= H", "// c", "\\ x", '#include "/etc/passwd"'],
)
def test_what_a_customer_wrote_is_text_and_no_more(text: str):
    written, plain = (glyphs(report(account_id=one)) for one in (text, "x" * len(text.replace(" ", ""))))
    assert written == plain, "each of its signs is drawn, and nothing is made of them"


def glyphs(found: dict[str, Any]) -> int:
    """How many signs are drawn on all pages."""
    pages = paper._typeset(paper_context(found, "en") | {"fonts": ["DejaVu Sans Mono"]}, "svg")
    return sum(page.count(b"<use ") for page in pages)


def test_numbers_money_days_and_paper_are_those_of_the_reader():
    ours, american, german = (paper_context(report(), one) for one in ("en", "en-US", "en-DE"))
    assert ours["headline"] == american["headline"] == "€55,102.50"
    assert ours["headline_words"] == ["is what it is worth.", "€90,000 since 12 January 2025."]
    assert american["footer"].startswith("October 1, 2026 to October 31, 2026, Europe/Berlin.")
    assert german["headline"] == "55.102,50\xa0€"
    assert (ours["paper"], american["paper"], german["paper"]) == ("a4", "us-letter", "a4")
    value = ours["values"][0]
    assert (value["amount"], value["worth"]) == ("1,224.5 hours", "€55,102.50")
    assert [one["text"] for one in value["changes"]] == ["+22.5%", "previous period: 1,000"]
    assert [(one["label"], one["amount"], one["last"]) for one in value["series"]] == [
        ("Sep 2026", "1,000", False),
        ("Oct 2026", "1,224.5", True),
    ]
    assert ours["notes"] == ["Not compared with the same period last year: October 2025 is not known, or in part only"]
    assert ours["goals"][0]["text"] == "24 of 40 hours"
    assert [part["title"] for part in ours["lists"]] == ["Next steps", "How the money comes about", "Questions?"]


def test_it_says_what_the_mail_says():
    """Of a whole unit its plural, of the price how often, of a rate whose it is, and no figure that there is not."""
    rate = {"rate": 45, "currency": "EUR", "unit": "hour"}
    stories = VALUE | {"unit": "story", "amount": 3, "assumed": rate | {"unit": "story", "trait": "story_rate"}}
    support = {
        "figures": [
            {"figure": name, "amount": amount, "before": 0}
            for name, amount in (("opened", 2), ("solved", 0), ("open", 2), ("answer_hours", None))
        ]
    }
    hours = VALUE | {"assumed": rate | {"trait": None}}
    found = paper_context(report(values=[hours, stories], value_to_price=114.797, support=support), "en")
    assert found["headline_words"][0] == "is what it is worth: 114.8 times the €480 you paid."
    less = paper_context(report(value_to_price=0.97), "en")
    assert less["headline_words"][0] == "is what it is worth.", "a fraction of the price is for the owner"
    assert found["values"][1]["amount"] == "3 stories"
    assert found["lists"][1]["lines"] == [
        "Hours saved: €45 for one hour, our assumption",
        "Hours saved: €45 for one story, as you told us",
    ]
    assert [row["label"] for row in found["facts"][0]["rows"]] == ["Opened", "Solved", "Open at the end"]
    nothing = {"figures": [one | {"amount": 0} for one in support["figures"]]}
    assert paper_context(report(support=nothing), "en")["facts"] == []


@pytest.mark.parametrize(
    ("found", "headline"),
    [
        pytest.param(report(values=[], total=[], price=None, goals=[]), "Not known", id="nothing"),
        pytest.param(
            report(values=[VALUE | {"amount": 0, "worth": None, "series": []}], total=[], total_ever=[], price=None),
            "0 hours",
            id="zero",
        ),
        pytest.param(
            report(
                account_id="long " * 500,
                title="T" * 900,
                values=[VALUE | {"label": "A label that goes on " * 40, "amount": 1e14}] * 60,
                total=[{"amount": 987654321987.5, "currency": one} for one in ("EUR", "JPY", "USD", "KWD")],
            ),
            "€987,654,321,987.50, ¥987,654,321,988, $987,654,321,987.50, and KWD987,654,321,987.500",
            id="huge",
        ),
    ],
)
def test_short_empty_and_huge_reports_are_laid_out(found, headline):
    assert paper_context(found, "en")["headline"] == headline
    pages = pictures_of(found, "en")
    assert 1 <= len(pages) <= 20
    assert all(page.startswith(b"\x89PNG") for page in pages)


def test_a_word_that_is_wider_than_its_column_is_broken_and_runs_over_nothing():
    lines = {}
    for name in ("W", "W" * 60):
        part = {"own": False, "name": name, "total": [], "values": [VALUE] * 3}
        pages = paper._typeset(paper_context(report(values=[VALUE] * 3, parts=[part]), "en"), "svg")
        lines[name] = sum(page.count(b"<g ") for page in pages)  # each line is one
    assert lines["W" * 60] >= lines["W"] + 2


def test_characters_that_no_font_has_are_named():
    assert pdf_of(report(title="Zoë Ωμέγα Привет שלום €1 \u2013 “yes”\u202f!"), "en").unwritable == ""
    assert pdf_of(report(title="a\u0378b\u0379", account_id="\u0378"), "en").unwritable == "\u0378\u0379"


def test_signs_that_steer_the_direction_or_end_lines_are_left_out():
    context = paper_context(report(account_id="acme\u202e\n\x00corp\ud800", title="\u2066x"), "en")
    assert (context["account"], context["title"]) == ("acmecorp", "x")


def test_what_it_corrects_what_corrects_it_and_what_is_known_since_are_said():
    late = {"period": "2026-09", "label": "Hours saved", "was": 1000, "is": 1001.5}
    found = paper_context(report(number=2, changes=[late, late | {"was": None, "is": 3}]), "en")
    assert found["told"] == ["This is report 2 of October 2026. It corrects the figures that you got before."]
    assert found["lists"][0] == {
        "title": "Known since we wrote last",
        "lines": [
            "Hours saved in September 2026: 1,001.5, and not 1,000",
            "Hours saved in September 2026: 3, and not 0",
        ],
    }
    assert paper_context(report(number=1), "en")["told"] == []
    old = paper_context(report(), "en", corrected=True)["told"]
    assert old == ["A corrected report was made for this period since. These are the figures as they were sent first."]
    assert glyphs(report(number=2)) > glyphs(report()), "it is printed"
    assert pdf_of(report(), "en", corrected=True).pages != pdf_of(report(), "en").pages


def test_goals_that_were_agreed_lead_where_the_report_says_so():
    assert paper_context(report(lead_with="goals"), "en")["goals_first"]
    unknown = REPORT["goals"][0] | {"current": None, "unknown": "nothing measures it"}
    assert not paper_context(report(lead_with="goals", goals=[unknown]), "en")["goals_first"]
    assert not paper_context(report(), "en")["goals_first"]
    assert pictures_of(report(lead_with="goals"), "en") != pictures_of(report(), "en")
    assert glyphs(report(lead_with="goals")) == glyphs(report()), "in another place, and once"


def test_a_column_in_which_nothing_stands_is_left_out():
    earlier: Any = VALUE["compared"]
    plain = VALUE | {"compared": [earlier[1]], "worth": None}
    assert paper_context(report(values=[plain]), "en")["columns"] == ["", "Amount"]
    assert paper_context(report(values=[plain, VALUE]), "en")["columns"] == ["", "Amount", "Worth", "Change"]
    assert len(pictures_of(report(values=[plain]), "en")) == 1
