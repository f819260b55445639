"""The words of reports: every language has all of them, and a report in one has none of another."""

import re
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.rulebook.reporting import TEMPLATE
from outreach import paper
from outreach.bidi import FSI, PDI
from outreach.examples import example_context
from outreach.locales import LOCALE, babel_locale
from outreach.paper import paper_context, pdf_of
from outreach.rendering import render
from outreach.reported import named_periods, report_context
from outreach.template import every_variant
from outreach.templates import load_templates
from outreach.words import forms_of, in_jinja, languages, read_words, report_words, values_in, wording
from tests.outreach.given import ROOT, SENDER, made_template
from tests.outreach.test_paper import VALUE, report

LANGUAGES = sorted(languages())
OTHERS = [one for one in LANGUAGES if one != "en"]
ENGLISH = report_words()["en"]
MAIL = load_templates(ROOT / "templates")[0][TEMPLATE]
MARKUP = re.compile(r"(?s)<!--.*?-->|<style.*?</style>|<[^>]*>")
WORD = re.compile(r"[^\W\d_]{2,}")


def told(words: Any) -> set[str]:
    """Every single word in some words."""
    return {one.casefold() for word in words for text in forms_of(word) for one in WORD.findall(text)}


def only_english(locale: str) -> set[str]:
    """Words that English reports say, and those of the language do not."""
    ours = told(report_words()[locale].values())
    return (
        told(ENGLISH.values()) - ours - {"pdf", "n"} - {name for word in ENGLISH.values() for name in values_in(word)}
    )


@pytest.mark.parametrize("locale", OTHERS)
def test_every_language_has_every_word_with_the_same_values(locale):
    words = report_words()[locale]
    assert set(words) == set(ENGLISH)
    for name, word in words.items():
        assert values_in(word) == values_in(ENGLISH[name]), f"{locale}: {name}"
        for text in forms_of(word):
            assert text.strip() == text != "", f"{locale}: {name}"


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_word_that_counts_has_the_plurals_of_its_language(locale):
    rules = babel_locale(locale).plural_form
    for name, word in report_words()[locale].items():
        if not isinstance(word, str):
            needed = {rules(n) for n in range(101)}
            assert needed <= set(word), f"{locale}: {name}"


def test_every_word_is_said_somewhere():
    places = [*Path(ROOT, "templates", TEMPLATE).glob("*"), Path(ROOT, "outreach", "paper.py")]
    places += [Path(ROOT, "outreach", "report_parts.py"), Path(ROOT, "outreach", "reported.py")]
    places += [*Path(ROOT, "ringfirst", "web").glob("report*")]
    source = "\n".join(one.read_text(encoding="utf-8") for one in places if one.is_file())
    figures = {"opened", "solved", "open", "column-amount", "column-worth", "column-change"} | {
        name for name in ENGLISH if name.endswith("_hours")
    }
    said = set(re.findall(r"words\.([\w-]+)", source)) | set(re.findall(r'"([\w-]+)"', source)) | figures
    assert set(ENGLISH) - said == set()


def full(**changes: Any) -> dict[str, Any]:
    """A report in which all is said that can be, with data that is in no language."""
    money = [{"amount": 55102.5, "currency": "EUR"}]
    found = report(**changes)
    values = []
    for number in range(26):
        value: dict[str, Any] = deepcopy(VALUE) | {
            "label": f"L{number}",
            "unit": "" if number else "hour",
            "assumption": "x",
        }
        value["assumed"] = [
            {"rate": 45, "currency": "EUR", "unit": "hour", "trait": None},
            {"rate": 45, "currency": "EUR", "unit": "hour", "trait": "U_rate"},
            {"sum": "S", "currency": None},
        ][number % 3]
        unpriced = [{"why": "no number in S", "events": 1}, {"why": "no currency known", "events": 7}]
        value["worth"] = {"money": money, "unpriced": unpriced}
        value["compared"].append({"with": "goal", "amount": 3, "change": 2, "percent": None, "not_compared": None})
        values.append(value)
    names = [name for name in ENGLISH if name.endswith("_hours")]
    found["values"] = values
    found["title"], found["account_id"] = "T", "A"
    found["goals"] = [
        found["goals"][0] | {"label": "G", "metric": "G"} | one
        for one in ({}, {"reached": True}, {"due": None}, {"current": None, "reached": None})
    ]
    found["support"] = {
        "figures": [{"figure": name, "amount": 5, "before": 4} for name in ("opened", "solved", "open", *names)]
    }
    found["adoption"] = {
        "people": {"active": 3, "before": 2, "seats": 8},
        "features": {"used": ["F"], "unused": ["E"], "bought": 2},
    }
    found["next_steps"] = [{"next_step": "N", "title": None, "about": ["B"]}]
    found["contact"] = {"name": "C", "address": "c@d.ef"}
    found["value_to_price"] = 3.5
    found["lead_with"] = ""
    found["contract"] = {"from": "2025-01-12", "whole": True, "total": [*money, {"amount": 3, "currency": "GBP"}]}
    found["changes"] = [{"period": "2026-09", "label": "L1", "was": 1, "is": 2}]
    found["number"] = 2
    return found


def shapes() -> list[dict[str, Any]]:
    """Reports that together say every word."""
    bare = full() | {"price": None, "contract": None, "changes": [], "number": 1}
    bare["adoption"]["people"]["seats"] = None
    bare["adoption"]["features"] |= {"used": [], "bought": 1}
    bare["contact"]["name"] = None
    down = full() | {"lead_with": "goals"}
    for one in down["values"]:
        one["compared"][0] |= {"percent": -12.5, "change": -3}
    odd = full() | {"lead_with": "goals", "value_to_price": None, "contract": full()["contract"] | {"whole": False}}
    odd["goals"] = odd["goals"][2:3]
    for one in odd["values"]:
        one["compared"][0] |= {"percent": None}
        one["compared"][1] |= {"period": None}
    none = report(values=[], total=[], price=None, goals=[], contact=None, next_steps=[])
    part = full(period=report()["period"] | {"over": False, "full": False})
    reached = full() | {"lead_with": "goals"}
    reached["goals"] = reached["goals"][1:2]
    group = full(total=[{"amount": 3, "currency": "EUR"}, {"amount": 3, "currency": "GBP"}])
    group["values"][1]["added"] = False
    row = {"own": False, "total": group["total"], "values": group["values"]}
    group["parts"] = [{**row, "name": name} for name in (None, *"PQRSTU")]
    return [full(), bare, down, odd, part, reached, group, none | {"title": "T", "account_id": "A"}]


def written(locale: str) -> str:
    """All that readers of a locale read: mails, pages and PDFs."""
    texts: list[str] = []
    for found in shapes():
        page = paper_context(found, locale, corrected=True)
        texts += paper._texts({key: one for key, one in page.items() if key not in ("fonts", "paper", "lang", "dir")})
        for link in (None, "https://a.b/r/c") if found["values"] else ():
            context = example_context(MAIL, SENDER) | {LOCALE: locale, "account": {"id": "A"}}
            context["sender"] = {"name": "X", "postal_address": "Y", "person": ""}
            context["report"] = report_context(found, locale, link=link)
            for you in ({"id": "u"}, {"id": "u", "first_name": "Q"}):
                mail = render(MAIL, context | {"you": you})
                texts += [
                    mail.subject,
                    mail.preview,
                    mail.text,
                    re.sub(r"(?s)<!--.*?-->|<style.*?</style>|<[^>]*>", " ", mail.html),
                ]
    return re.sub(r"https://\S+", " ", "\n".join(texts))


@pytest.mark.parametrize("locale", OTHERS)
def test_a_report_in_one_language_has_no_word_of_english(locale):
    found = {one.casefold() for one in WORD.findall(written(locale))} & {*only_english(locale), "hour"}
    assert found == set(), "also where a rate names a span of time"


def test_the_reports_of_these_tests_say_every_word_of_the_mail_and_the_page():
    """Else the test above would look at less than there is."""
    text = re.sub(r"[\u2066-\u2069]", "", written("en"))
    unsaid = {"gone", "gone-why", "unknown", "more-values", "unpriced"}
    for name, word in ENGLISH.items():
        if name not in unsaid:
            parts = max(re.split(r"\{\w+\}", forms_of(word)[-1]), key=len).strip(" ,.")
            assert parts in text, name


def test_a_locale_takes_the_words_that_are_nearest_and_english_where_there_are_none():
    assert [wording(one).locale for one in ("de-AT", "fr-CA", "he", "pt", "zh-Hant-TW")] == [
        "de",
        "fr",
        "he",
        "en",
        "en",
    ]
    swiss = paper_context(report(), "de-CH")
    assert swiss["headline"].replace("\u2019", "'").startswith("EUR") or "55" in swiss["headline"]
    assert paper_context(report(), "pt-BR")["footer"].startswith("1 October 2026 to 31 October 2026")


def test_the_page_and_the_pdf_are_written_from_right_to_left():
    context = paper_context(full(), "he")
    assert (context["lang"], context["dir"]) == ("he", "rtl")
    assert pdf_of(full(), "he").unwritable == "", "Hebrew letters come with the typesetter"
    assert {one.locale for one in every_variant(MAIL)} == set(LANGUAGES)


def test_plurals_are_chosen_by_the_number():
    assert [wording("de").say("seats", Decimal(n), active="1", n=str(n)) for n in (1, 2)] == [
        "1 von 1 Platz",
        "1 von 2 Plätzen",
    ]
    seats = report_words()["he"]["seats"]
    assert wording("he").say("seats", Decimal(1), active="1", n="1") == "1 מתוך מקום 1"
    template = made_template(f"a\n{in_jinja(seats, {'active': 'a|number', 'n': 'n'}, markup=False)}\nb")
    for n, said in ((1, "4 of 1 seat"), (2, "4 of 2 seats")):
        english = in_jinja(ENGLISH["seats"], {"active": "a|number", "n": "n"}, markup=False)
        template = made_template(f"x\n{english}\ny {english} z")
        assert render(template, {"a": 4, "n": n}).text == f"x\n{said}\ny {said} z\n", "lines stay as they were"


def test_a_template_may_have_words_of_its_own_in_its_languages():
    manifest = "for: customer\nclass: relationship\nlanguages: [de]\nexample: {you: {name: Ada}, n: 2}\n"
    parts = {
        "template.yml": manifest,
        "subject.txt": "[[ words.s ]]",
        "body.txt": "[[ words.many n=n ]] [[ words.due day=you.name ]]",
    }
    parts["body.mjml"] = "<mj-section><mj-column><mj-text>[[ words.many n=n ]]</mj-text></mj-column></mj-section>"
    own = "en: {s: Here, many: {one: '{n} day', other: '{n} days'}}\n"
    own += "de: {s: Hier, many: {one: '{n} Tag', other: '{n} Tage'}, due: 'spätestens {day}'}\n"
    template = read_parts({**parts, "words.yml": own})
    for locale, said in (("en", "2 days due Ada"), ("de", "2 Tage spätestens Ada"), ("fr", "2 days due Ada")):
        assert render(template, {"n": 2, "you": {"name": "Ada"}, LOCALE: locale}).text.strip() == said
    for lacks, what in (
        (
            {"words.yml": own.replace("s: Hier, ", "")},
            "there are no words 's' in de; found none in templates/made/words.yml",
        ),
        ({"words.yml": own, "body.txt": "[[ words.many ]]"}, "the words 'many' have places for n; found no value"),
        ({"words.yml": own.replace("other: '{n} Tage'", "few: x")}, "or plurals with one for 'other'"),
        ({"words.yml": own, "template.yml": manifest.replace("[de]", "[de, de]")}, "a list of locales, each once"),
        ({"words.yml": own, "template.yml": manifest.replace("[de]", "[Klingon]")}, "a list of locales, each once"),
    ):
        found = findings_of({**parts, **lacks})
        assert any(what in str(one) for one in found), found


def read_parts(parts: dict[str, str]) -> Any:
    from outreach.templates import read_template

    template, findings = read_template("made", parts, BASE, path="templates")
    assert template is not None, findings
    return template


def findings_of(parts: dict[str, str]) -> list[Any]:
    from outreach.templates import read_template

    return read_template("made", parts, BASE, path="templates")[1]


BASE = {"customer.mjml": "<mjml><mj-body>[[ body ]]</mj-body></mjml>"}


def test_values_are_kept_apart_from_words_that_run_the_other_way():
    (hebrew,) = [one for one in every_variant(MAIL) if one.locale == "he"]
    assert "<bdi>{{ one.unit|one_unit }}</bdi>" in hebrew.html
    assert "<bdi>{{ one.target|unit(one.unit) }}</bdi>" in hebrew.html
    assert "<bdi>" not in hebrew.preview


def test_the_example_of_a_report_has_its_months_in_the_language_of_the_variant():
    mails = {one.locale: render(one, example_context(one)) for one in every_variant(MAIL)}
    assert "das sind Ihre Zahlen für Oktober 2026." in mails["de"].text
    assert ">Okt<" in mails["de"].html
    assert "pour septembre 2026" in mails["fr"].text, "also where something of the month before is different by now"
    assert ">Oct<" in mails["en"].html
    assert not any("October" in one.html + one.text + one.subject for name, one in mails.items() if name != "en")


def test_an_example_may_write_a_period_as_it_likes():
    own = {"label": "last month", "changes": [{"period": "the month before"}], "figures": [{"label": "2026-10"}]}
    assert named_periods(own, "de") == own


def test_an_unreadable_file_of_words_says_where():
    words, findings = read_words("words.yml", "en: {a: {one: x}}\n")
    assert words == {"en": {}}
    assert "words.yml:1:6" in str(findings[0])


def test_in_a_page_from_right_to_left_names_and_signs_keep_their_way():
    context = paper_context(full(), "he")
    assert context["values"][0]["changes"][0]["text"].startswith(paper.LRM + "+")
    less = full()
    for one in less["values"]:
        one["compared"][0] |= {"percent": -12.5, "change": -3}
    assert paper_context(less, "he")["values"][0]["changes"][0]["text"] == f"{paper.LRM}-12.5%"
    lines = [line for part in context["lists"] for line in part["lines"]]
    assert any(line.startswith(f"{FSI}L1{PDI} ") for line in lines), "a label that is no Hebrew turns nothing round"
    assert not any(FSI in line for part in paper_context(full(), "en")["lists"] for line in part["lines"])
    hebrew = full() | {"changes": [{"period": "2026-09", "label": "שעות", "was": 1, "is": 2}]}
    assert any(line.startswith(f"{FSI}שעות{PDI} in") for line in paper_context(hebrew, "en")["lists"][0]["lines"])


def test_a_goal_of_which_nothing_is_known_says_what_it_is():
    goals = paper_context(full(), "en")["goals"]
    assert (goals[3]["text"], goals[3]["note"].endswith("nothing of it is known in the period")) == (
        "goal: 40 hours",
        True,
    )
