"""The rulebooks we ship, tested as content: whole, their cases pass, and no line is there that no case needs."""

from pathlib import Path

import pytest

from engine.cases import mutants, run_cases
from engine.rulebook.book import Rulebook
from outreach.examples import SENDER
from ringfirst.case_mail import case_render
from ringfirst.rulebooks import Folder, checked, read_folder

ROOT = Path(__file__).resolve().parents[2]
BOOKS = sorted([ROOT, *(path.parent for path in ROOT.glob("examples/*/rules"))])


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
        pytest.param(place, rule.id, id=f"{place.name}:{rule.id}") for place in BOOKS for rule in loaded(place)[0].rules
    ]


def test_there_are_a_starter_and_two_examples():
    assert {"learning", "support"} <= {place.name for place in BOOKS}
    assert len(BOOKS) >= 3


@pytest.mark.parametrize("place", rulebooks())
def test_nothing_at_all_is_found_in_a_rulebook_we_ship(place):
    book, _ = loaded(place)
    assert book.rules
    assert all(rule.title and rule.kind and rule.why and rule.false_alarms and rule.owner for rule in book.rules)


@pytest.mark.parametrize(("place", "rule"), rules())
def test_the_cases_of_a_rule_pass_and_need_each_of_its_lines(place, rule):
    book, folder = loaded(place)
    render = case_render(folder.mail_templates[0], SENDER)
    report = run_cases(book, render=render, only=[rule])
    assert [str(one) for one in report.failures] == []
    assert report.passed >= 2
    assert [str(one) for one in mutants(book, [rule])] == []


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
    assert set(folder.mail_templates[0]) == {rule.outreach.template for rule in book.rules if rule.outreach}


def test_the_starter_covers_the_three_families_and_support_load():
    kinds = {rule.kind for rule in loaded(ROOT)[0].rules}
    assert {"underused_feature", "churn_risk", "nervous_moment", "support_load"} <= kinds


def test_only_example_domains_are_named():
    for place in BOOKS:
        for path in [*place.glob("rules/*.yml"), *place.glob("templates/*/*")]:
            words = path.read_text().replace("(", " ").replace(",", " ").replace("}", " ").split()
            addresses = [word.strip(".;\"'") for word in words if "@" in word and not word.startswith("@")]
            assert all(one.endswith((".example", "email:")) for one in addresses if "{{" not in one), path


@pytest.mark.parametrize(
    "copy", sorted(ROOT.glob("examples/*/templates/_base/*")), ids=lambda path: f"{path.parents[2].name}-{path.name}"
)
def test_the_layout_of_an_example_is_the_starters(copy):
    assert copy.read_text() == (ROOT / "templates" / "_base" / copy.name).read_text()
