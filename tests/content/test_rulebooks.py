"""The rulebooks we ship, tested as content: whole, their cases pass, and no line is there that no case needs."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from engine.cases import mutants, read_cases, run_cases
from engine.instants import DAY
from engine.rulebook.book import Rulebook
from engine.rulebook.findings import Findings
from engine.rulebook.reporting import NOTE_TEMPLATE
from engine.rulebook.reporting import TEMPLATE as REPORT
from engine.rulebook.spec import ReEntry, Rule
from outreach.examples import SENDER
from outreach.folding import DIGEST
from outreach.reminding import TEMPLATE
from ringfirst.case_mail import case_render
from ringfirst.rulebooks import Folder, checked, read_folder

ROOT = Path(__file__).resolve().parents[2]
BOOKS = sorted([ROOT, *(path.parent for path in ROOT.glob("examples/*/rules"))])
KINDS = ("underused_feature", "churn_risk", "nervous_moment", "support_load")


@cache
def loaded(place: Path) -> tuple[Rulebook, Folder]:
    folder = read_folder(place)
    book, findings = checked(folder)
    assert [str(one) for one in findings] == []
    assert book is not None
    return book, folder


def rulebooks() -> list:
    return [pytest.param(place, id="starter" if place == ROOT else place.name) for place in BOOKS]


def rules() -> list:
    return [
        pytest.param(place, rule.id, id=f"{place.name}:{rule.id}")
        for place in BOOKS
        for rule in loaded(place)[0].written
    ]


def test_there_are_a_starter_and_two_examples():
    assert {"learning", "support"} <= {place.name for place in BOOKS}
    assert len(BOOKS) >= 3


@pytest.mark.parametrize("place", rulebooks())
def test_nothing_at_all_is_found_in_a_rulebook_we_ship(place):
    book, _ = loaded(place)
    assert book.rules
    assert all(rule.title and rule.kind and rule.why and rule.false_alarms and rule.owner for rule in book.written)


@pytest.mark.parametrize(("place", "rule"), rules())
def test_the_cases_of_a_rule_pass_with_the_words_of_its_mail(place, rule):
    book, folder = loaded(place)
    report = run_cases(book, render=case_render(folder.mail_templates[0], SENDER), only=[rule])
    assert [str(one) for one in report.failures] == []
    assert report.passed >= 2


@pytest.mark.slow
@pytest.mark.parametrize(("place", "rule"), rules())
def test_a_case_needs_each_line_of_a_rule(place, rule):
    assert [str(one) for one in mutants(loaded(place)[0], [rule])] == []


@pytest.mark.slow
@pytest.mark.parametrize("rule", [rule.id for rule in loaded(ROOT)[0].written])
def test_a_case_needs_whom_a_starter_rule_is_for_and_how_often(rule):
    book, _ = loaded(ROOT)
    for dropped, changed in without_a_clause(book.rule(rule)):
        report = run_cases(replace(book, rules=(changed,)))
        assert report.failures, f"{rule}: no case needs its {dropped}; add one that only it decides"


def without_a_clause(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """The rule without each clause beside when and unless that narrows it: (the clause, the wider rule)."""
    if rule.audience:
        yield "audience", replace(rule, audience="")
    if rule.holds_for:
        yield "holds_for", replace(rule, holds_for=0)
    if rule.clear_when:
        yield "clear_when", replace(rule, clear_when=None)
    if rule.re_entry.kind == "once_per":
        yield "once_per", replace(rule, re_entry=ReEntry())


@pytest.mark.parametrize(("place", "rule"), rules())
def test_the_template_of_a_rule_is_there_and_is_for_its_readers(place, rule):
    book, folder = loaded(place)
    templates, findings = folder.mail_templates
    assert findings == []
    outreach = book.rule(rule).outreach
    assert outreach is not None
    manifest = templates[outreach.template].manifest
    assert manifest.audience == outreach.audience
    assert manifest.mail_class in {outreach.mail_class, None}
    for need in manifest.needs:
        assert book.names.info(need, book.rule(rule).thing, event=book.rule(rule).subject == "event") is not None


@pytest.mark.parametrize("place", rulebooks())
def test_no_template_lies_about_unused(place):
    book, folder = loaded(place)
    used = {rule.outreach.template for rule in book.rules if rule.outreach}
    assert set(folder.mail_templates[0]) - {DIGEST, REPORT, NOTE_TEMPLATE, TEMPLATE} == used - {REPORT, NOTE_TEMPLATE}


def test_the_starter_has_at_least_four_rules_for_each_of_the_four_kinds_of_moments():
    rules = loaded(ROOT)[0].written
    assert len(rules) >= 18
    assert {kind: n for kind in KINDS if (n := sum(rule.kind == kind for rule in rules)) < 4} == {}
    assert {rule.kind for rule in rules} == set(KINDS)


@pytest.mark.parametrize("rule", [rule.id for rule in loaded(ROOT)[0].written])
def test_each_starter_rule_shows_a_mail_and_more_silences_than_one(rule):
    book, _ = loaded(ROOT)
    cases = read_cases(book.rule(rule), book.sources[rule], Findings())
    silent = [case for case in cases if case.short == "silent" or not (case.short or case.expected)]
    assert len(silent) >= 2, "most customers are left alone; show who"
    assert any("mail" in one.fields for case in cases for one in case.expected), "show words of the mail"


def test_the_starter_writes_to_customers_seldom_and_tells_us_the_rest():
    written = [rule for rule in loaded(ROOT)[0].written if rule.outreach and rule.outreach.audience == "customer"]
    assert len(written) <= len(loaded(ROOT)[0].written) / 3
    for rule in written:
        assert rule.outreach is not None
        assert rule.re_entry.kind != "every_time", rule.id
        assert rule.re_entry.kind != "every" or rule.re_entry.span >= 30 * DAY, rule.id


def test_what_a_starter_rule_tells_its_template_is_whole_sentences():
    for rule in loaded(ROOT)[0].written:
        extra = dict(rule.outreach.extra) if rule.outreach else {}
        assert all(isinstance(text, str) for text in extra.values()), f"{rule.id}: a comma cut it; put quotes around it"
        assert str(extra.get("advice", ".")).endswith((".", "?")), rule.id


def test_the_alarm_and_its_all_clear_speak_at_the_same_numbers():
    alarm, over = (loaded(ROOT)[0].rule(name) for name in ("load-alarm", "load-over"))
    assert alarm.clear_when is not None
    assert over.clear_when is not None
    assert (over.when[0].text, over.clear_when.text) == (alarm.clear_when.text, alarm.when[0].text)


def test_only_example_domains_are_named():
    for place in BOOKS:
        for path in [*place.glob("rules/*.yml"), *place.glob("templates/**/*.*")]:
            words = path.read_text().replace("(", " ").replace(",", " ").replace("}", " ").split()
            addresses = [word.strip(".;\"'") for word in words if "@" in word and not word.startswith("@")]
            assert all(one.endswith((".example", "email:")) for one in addresses if "{{" not in one), path


@pytest.mark.parametrize(
    "copy", sorted(ROOT.glob("examples/*/templates/_base/*")), ids=lambda path: f"{path.parents[2].name}-{path.name}"
)
def test_the_layout_of_an_example_is_the_starters(copy):
    assert copy.read_text() == (ROOT / "templates" / "_base" / copy.name).read_text()
