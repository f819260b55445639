"""The brief as a page: the numbers of the brief, each with a link to its events, in any light and width."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli import test_traces
from tests.cli.given import lines
from tests.cli.test_reports import event
from tests.outreach.test_gallery import OUT_OF_REACH, READABLE, WIDE, page

__all__ = ["page"]  # a fixture

HEALTH = "scores:\n  health: {parts: {use: {value: runs, from: 0, to: 10, weight: 80}}, bands: {red: 0, green: 70}}\n"
BOOK = test_traces.BOOK.replace("segments:", HEALTH + "segments:")
EVENTS = [
    *test_traces.EVENTS[:-2],
    event("o", "account.updated", "2026-01-02T00:00:00Z", None, owner="mara@ours.example"),
    event("e", "exception.granted", "2026-03-11T09:00:00Z", None, exception_id="x", what="A <b>month</b> more"),
    *test_traces.EVENTS[-2:],
]
BRIEF = ("reports", "brief", "acme", "--period", "2026-03")
pytestmark = pytest.mark.usefixtures("imported")


def text_of(html: str) -> str:
    """What somebody reads of a page."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL).split())


def written(run: Any, place: Path, *words: str) -> str:
    assert run(*BRIEF, "--html", "b.html", *words).stdout == "b.html\n"
    return (place / "b.html").read_text()


def test_the_page_says_what_the_brief_says(ask, run, place):
    html, found = written(run, place), ask(*BRIEF)
    said = text_of(html).replace("&lt;b&gt;", "<b>").replace("&lt;/b&gt;", "</b>").replace("&#39;", "'")
    for point in found["talking_points"]:
        assert " ".join(point.split()) in said
    for words in (
        "190.02 EUR Price of the period: 120.5 EUR; the value is 1.58 times that",
        "Hours saved 2 hours 90.00 EUR 1.6667 (+20 %)",
        "Hours to the first answer 33.5 2 +31.5",
        "Active people 2 of 4 seats 2",
        "health 60 red 30 use",
        "Granted on 2026-03-11: A <b>month</b> more",
        "Next step: Try it. (reports) [rule idle]",
        "Worth since the contract began, 2026-01-20: 285.00 EUR",
        "Not compared with the same period last year: March 2025 is not known, or in part only",
    ):
        assert words in said, words
    assert "Same period last year" not in said, "a column in which nothing stands is left out"
    assert "<b>month" not in html, "what somebody wrote is text"


def test_each_number_leads_to_the_events_that_give_it(ask, run, place):
    html = written(run, place)
    links = dict(re.findall(r'<td[^>]*><a href="#(trace-\d+)">([^<]*)</a>', html))
    assert len(links) >= 15
    apart = html.split('<div class="trace" id="')[1:]
    sections = {one.partition('"')[0]: one for one in apart}
    assert links.keys() <= sections.keys()
    names = {name: at for at, name in re.findall(r'<li><a href="#(trace-\d+)"><bdi>([^<]*)</bdi>', html)}
    assert {one["figure"] for one in ask("reports", "trace", "acme", "2026-03")} <= names.keys()
    assert {"measure.runs", "measure.hours"} <= names.keys(), "what changed most"
    for name, at in names.items():
        told = ask("reports", "trace", "acme", "2026-03", name)
        assert told["formula"] in text_of(sections[at]).replace("&#39;", "'")
        assert all(f"<bdi>{one['id']}</bdi>" in sections[at] for one in told["events"]), name
    assert not re.findall(r'(?:src|href|action)="(?!#)', html), "it loads nothing and leads nowhere else"
    assert "default-src 'none'" in html


def test_a_long_list_of_events_is_cut_and_says_so(run, place, monkeypatch):
    monkeypatch.setattr("ringfirst.brief_page.MOST_EVENTS", 1)
    assert "the first 1 of 2 events; the command lists all of them" in written(run, place)


def test_what_was_issued_is_what_the_page_shows(ask, run, place):
    ask("reports", "send")
    (place / "late.jsonl").write_text(lines([event("late", "automation.run", "2026-03-30T09:00:00Z", minutes=60)]))
    ask("import", "late.jsonl")
    html = written(run, place)
    assert "these are the figures as they were issued" in html
    assert "<bdi>late</bdi>" not in html


def test_it_is_opened_where_somebody_wants_that_and_refused_where_it_cannot_be_written(run, place, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("click.launch", opened.append)
    assert run(*BRIEF, "--open").stdout == "brief.html\n"
    assert opened == [(place / "brief.html").absolute().as_uri()]
    assert "nowhere/b.html: cannot be written" in run(*BRIEF, "--html", "nowhere/b.html", code=2).stderr


def test_with_json_the_answer_is_json_and_the_page_is_written_too(ask, place):
    assert ask(*BRIEF, "--html", "b.html")["account_id"] == "acme"
    assert (place / "b.html").exists()


@pytest.mark.slow
def test_it_can_be_read_on_a_phone_and_on_a_desk_in_light_and_dark(page, run, ask, place):
    long = "Wolfeschlegelsteinhausenbergerdorff" * 3
    more = [event("y", "exception.refused", "2026-03-12T09:00:00Z", None, exception_id="y", what=long + "受注 שלום")]
    more += [event(f"x{n}", "automation.run", f"2026-03-{1 + n % 30:02d}T10:00:00Z", minutes=9e5) for n in range(120)]
    (place / "more.jsonl").write_text(lines(more))
    ask("import", "more.jsonl")
    huge = written(run, place)
    (place / "empty.html").write_text(huge)
    run("reports", "brief", "other", "--period", "2026-03", "--html", "empty.html")
    for name in ("b.html", "empty.html"):
        for width in (320, 1440):
            for dark in (False, True):
                page.look(place / name, width=width, dark=dark)
                assert page.value(WIDE) <= width
                assert page.value(OUT_OF_REACH) == []
                assert page.value(READABLE) == [], f"WCAG 2.2, 1.4.3, dark: {dark}"
    page.look(place / "b.html", width=1440)
    page.value("[...document.querySelectorAll('.names a')].find((one) => one.textContent === 'support.solved').click()")
    shown = "[...document.querySelectorAll('.trace')].filter((one) => one.offsetHeight > 0).map((one) => one.id).length"
    assert page.value(shown) == 1, "one press opens one list"
    assert page.loaded == {(place / "b.html").absolute().as_uri()}
