"""The mail of a report as its reader sees it: short, long, empty and huge, on a phone and a desktop."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.reports.periods import read_period
from engine.rulebook.book import load_rulebook
from engine.rulebook.reporting import TEMPLATE
from outreach.examples import example_context
from outreach.locales import LOCALE
from outreach.rendering import render
from outreach.templates import load_templates
from ringfirst.report_gallery import Card, Cards, write_page
from tests.outreach.browser import Page, find_browser, opened_page
from tests.outreach.given import ROOT, SENDER
from tests.reports.given import BOOK

MAIL = load_templates(ROOT / "templates")[0][TEMPLATE]
LONG = "Wolfeschlegelsteinhausenbergerdorff und die besonders lange Bezeichnung " * 2
NOTHING: dict[str, Any] = {
    "money": None,
    "times": None,
    "price": None,
    "goals": [],
    "adoption": None,
    "support": None,
    "next_steps": [],
    "contract": None,
    "contact": None,
    "total_ever": [],
    "rates": [],
}


def context(**changed: Any) -> dict[str, Any]:
    found = copy.deepcopy(example_context(MAIL, SENDER))
    found["report"].update(changed)
    return found


def huge() -> dict[str, Any]:
    found = context(money={"amount": 98_765_432_109.87, "currency": "EUR"}, times=205_761.3)
    for one in found["report"]["figures"]:
        one.update(amount=123_456_789.25, money=[{"amount": 1_234_567_890.5, "currency": "EUR"}], most=3e8)
        one["series"] = [{"short": "Sept.", "amount": float(step * 5e7)} for step in range(1, 7)]
    return found


def long() -> dict[str, Any]:
    found = context(title=LONG, contact={"name": LONG, "address": f"{'w' * 60}@ringfirst.example"})
    for one in (*found["report"]["figures"], *found["report"]["goals"]):
        one["label"] = LONG
    found["report"]["next_steps"] = [{"text": LONG, "about": [LONG]}] * 3
    return found


def empty() -> dict[str, Any]:
    found = context(**NOTHING)
    found["report"]["figures"] = found["report"]["figures"][2:]
    found["report"]["lead"] = {key: found["report"]["figures"][0][key] for key in ("label", "unit", "amount")}
    return found


def led_by_goals() -> dict[str, Any]:
    return context(goals_first=True, link="https://app.example/reports/abc")


SHAPES = {"short": context, "huge": huge, "long": long, "empty": empty, "led by goals": led_by_goals}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium on this machine; set RINGFIRST_TEST_BROWSER to one to run this")
    with opened_page(browser) as opened:
        yield opened


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("width", [360, 640])
def test_it_fits_every_screen_and_loads_nothing(page, tmp_path: Path, shape, width):
    (tmp_path / "mail.html").write_text(render(MAIL, SHAPES[shape]()).html)
    page.look(tmp_path / "mail.html", width=width)
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.loaded <= {(tmp_path / "mail.html").as_uri()}


def test_a_chart_grows_with_its_numbers_and_stands_on_one_line(page, tmp_path: Path):
    (tmp_path / "mail.html").write_text(render(MAIL, context()).html)
    page.look(tmp_path / "mail.html", width=640)
    bars = page.value(
        "[...document.querySelectorAll('.chart')[0].querySelectorAll('.stick td')].map("
        "(one) => [one.getBoundingClientRect().height, one.getBoundingClientRect().bottom])"
    )
    heights = [height for height, _ in bars]
    assert [sorted(heights).index(one) for one in heights] == [1, 3, 2, 0, 4, 5], "9, 12.5, 11, 0, 20, 24"
    assert len({bottom for _, bottom in bars}) == 1
    ends = page.value("[...document.querySelectorAll('.chart')].map((one) => one.getBoundingClientRect().right)")
    assert len(set(ends)) == 1, "the same month stands below the same month"


def test_it_leads_with_what_the_report_leads_with():
    mails = [render(MAIL, SHAPES[one]()) for one in ("short", "led by goals", "empty")]
    assert [one.subject for one in mails] == [
        "October 2026: €1,290.50 of value",
        "October 2026: Hours saved, 24 of 30",
        "October 2026: Days with an automation, 21",
    ]
    money, goals, bare = (one.html for one in mails)
    assert money.index("€1,290.50</div>") < money.index("24 of <bdi>30 hours")
    assert goals.index("24 of <bdi>30 hours") < goals.index("€1,290.50")
    assert "Open the whole report" in goals
    assert "Open the whole report" not in money
    for words in ("21 days", "Days with an automation"):
        assert bare.count(words) == 2, "in the preview line and once in the mail"


def test_the_text_has_every_number_of_the_mail():
    text = render(MAIL, context()).text
    for words in (
        "€1,290.50 is what it is worth: 2.7 times the €480 you paid.",
        "Hours saved: 24 of 30 hours, due 31 December 2026",
        "Orders from recovered carts: 3 orders, €210.50; down 25% from 4",
        "Active people: 6 of 8 seats; 5 in September 2026",
        "First answer: 3.2 hours, 2.5 hours of our working time; 4 hours in September 2026",
        "2. Try what you have bought and do not use yet. (forecasts)",
        "Ask Mara Lind, mara@ringfirst.example, or just reply.",
        "- Hours saved: €45 for one hour, our assumption",
    ):
        assert words in text, words


def test_numbers_and_spans_are_those_of_the_readers_locale():
    text = render(MAIL, {**context(), LOCALE: "en-DE"}).text
    assert "12,5" in text
    assert "2,7 times the 480\xa0€" in text


def test_on_a_phone_a_short_chart_begins_below_its_words(page, tmp_path: Path):
    """Beside the words the same month stands below the same month; below them there is nothing to stand under."""
    (tmp_path / "mail.html").write_text(render(MAIL, context()).html)
    left = "(one) => one.getBoundingClientRect().left"
    for width, apart in ((360, False), (640, True)):
        page.look(tmp_path / "mail.html", width=width)
        first, second = page.value(
            f"[...document.querySelectorAll('.chart')].map((one) => one.querySelector('.stick')).map({left})"
        )
        assert (second - first > 100) == apart, width


def test_in_a_gallery_of_reports_each_frame_is_as_high_as_its_mail_and_runs_nothing(page, tmp_path: Path):
    html = render(MAIL, context()).html.replace("</body>", "<script>document.body.innerHTML = ''</script></body>")
    cards = [Card("acme", True, "it goes", html, ""), Card("<b>", False, "nothing", "", "unknown")]
    report, _ = load_rulebook({"rules/a.yml": BOOK})
    assert report is not None
    write_page(tmp_path / "all.html", Cards(cards, 2, 1), report.reports[0], read_period("2026-10"))
    page.look(tmp_path / "all.html", width=1200)
    frame = "document.querySelector('iframe')"
    high, mail = page.value(f"[{frame}.clientHeight, {frame}.contentDocument.body.scrollHeight]")
    assert high >= mail > 1200, "the whole mail is seen"
    assert page.value(f"{frame}.contentDocument.body.innerText.length") > 500
    assert page.loaded <= {(tmp_path / "all.html").as_uri()}


def test_of_one_answer_no_half_is_spoken_of():
    halves = "Half of the answers came sooner"
    assert halves in render(MAIL, context()).text
    alone = {**context()["report"]["support"], "opened": 1, "solved": 1}
    mail = render(MAIL, context(support=alone))
    assert "First answer: 3.2 hours" in mail.text
    assert halves not in mail.text
    assert halves not in mail.html


@pytest.mark.parametrize(("locale", "said"), [("de", "45\xa0€ je Stunde"), ("fr", "45\xa0€ par heure")])
def test_a_rate_names_its_unit_in_the_readers_language(locale, said):
    mail = render(MAIL, {**context(), LOCALE: locale})
    assert said in mail.text
    assert said in mail.html.replace("<bdi>", "").replace("</bdi>", "")
