"""The templates we ship, tested as content: each with its example, and with readers it was not written for."""

import html
import re
from pathlib import Path
from typing import Any

import pytest

from engine.rulebook.reporting import NOTE_TEMPLATE
from engine.rulebook.reporting import TEMPLATE as REPORT
from outreach.examples import check_example, example_context
from outreach.rendering import render
from outreach.report_names import NAMES as NAMES_OF_A_REPORT
from outreach.templates import check_template, load_templates
from tests.outreach.given import ROOT, SENDER

FOLDER = ROOT / "templates"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/template.yml"))
LONG = "Wolfeschlegelsteinhausenbergerdorff" * 5
READERS: dict[str, dict[str, Any]] = {
    "as in the example": {},
    "without a name": {"name": None, "first_name": None},
    "a long name": {"name": LONG, "first_name": LONG},
    "right to left": {"name": "عائشة بنت أحمد", "first_name": "عائشة"},
    "a hostile name": {"name": '<script>alert("1")</script>', "first_name": '"><script>alert(1)</script>'},
}


def example(template: Any, reader: dict[str, Any]) -> dict[str, Any]:
    context = example_context(template, SENDER)
    return {**context, "you": {**context["you"], **reader}}


def flat(value: Any, place: str = "") -> set[str]:
    if isinstance(value, dict):
        return set().union(*(flat(inner, f"{place}.{key}".strip(".")) for key, inner in value.items()))
    return {place}


def below(value: Any, place: str) -> set[str]:
    """Every name that can be read of a value, also in its lists."""
    if isinstance(value, list):
        return {place}.union(*(below(one, place) for one in value))
    if isinstance(value, dict):
        return {place}.union(*(below(one, f"{place}.{key}") for key, one in value.items()))
    return {place}


def test_the_folder_has_no_findings_at_all():
    templates, findings = load_templates(FOLDER)
    assert (sorted(templates), findings) == (NAMES, [])
    assert [check_example(template) for template in templates.values()] == [[]] * len(NAMES)
    assert {"customer", "staff"} == {template.manifest.audience for template in templates.values()}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("name", NAMES)
def test_every_template_renders_for_every_reader(templates, name, reader):
    rendered = render(templates[name], example(templates[name], reader))
    assert "<script" not in rendered.html
    assert len(rendered.html) < 90 * 1024, "Gmail cuts a mail off near 102 KB"
    assert len(rendered.text) >= 200
    assert "None" not in rendered.text
    assert "  ," not in rendered.text
    assert "Hello ," not in rendered.text


@pytest.mark.parametrize("name", NAMES)
def test_every_template_reads_only_what_its_rule_can_give(templates, name):
    template = templates[name]
    known = flat({key: value for key, value in template.manifest.example.items() if not isinstance(value, list)})
    subject = template.manifest.subject
    ours = {"why", "title", "you.name", "with.feature", "with.advice", f"{subject}.id", f"{subject}.name"}
    ours |= {"event.person.id", "event.person.name"}
    ours |= {f"account.{trait}" for trait in ("id", "plan", "owner", "seats")}
    told = name in {REPORT, NOTE_TEMPLATE}
    if told:  # what it is given, lists and all; tests/cli/test_reports.py holds its example against a report
        ours |= below(template.manifest.example["report"], "report")
        # The example tells of one account.
        ours |= {one for one in NAMES_OF_A_REPORT if one.startswith("report.parts.")}
    assert check_template(template, set(template.manifest.needs) | ours) == []
    given = known | {key.removesuffix(".id") for key in known} | ({"report"} if told else set())
    assert set(template.manifest.needs) <= given, "the example has a value for each need"


@pytest.mark.parametrize("name", NAMES)
def test_a_customers_mail_is_calm_says_why_it_came_and_where_we_live(templates, name):
    template = templates[name]
    rendered = render(template, example(template, {}))
    body = re.sub(r"<[^>]*>", "", rendered.html.partition("<body")[2])
    for told in (rendered.subject, rendered.text, body):
        assert "!" not in told
        assert not re.search(r"\b[A-Z]{4,}\b", told), "nobody is shouted at"
    if template.manifest.audience == "customer":
        for told in (rendered.text, body):
            assert "You get this mail because" in told
            assert SENDER.postal_address in told
            assert "Stop mails like this" in told
    else:
        assert "<a " not in rendered.html
        assert "http" not in rendered.text


@pytest.mark.parametrize("name", NAMES)
def test_the_text_part_says_what_the_html_says(templates, name):
    template = templates[name]
    rendered = render(template, example(template, {}))
    seen = html.unescape(re.sub(r"<[^>]*>", " ", "<" + rendered.html.partition("<body")[2]))
    assert words(seen) <= words(rendered.text)


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


@pytest.mark.parametrize("name", NAMES)
def test_light_and_dark_are_both_declared_and_every_ink_can_be_read(templates, name):
    page = templates[name].html
    assert '<meta name="color-scheme" content="light dark"' in page
    assert '<meta name="supported-color-schemes" content="light dark"' in page
    dark = page.partition("prefers-color-scheme: dark")[2].partition("</style>")[0]
    for ink in set(re.findall(r"(?<![-\w])color: ?(#[0-9a-f]{6})", dark)):
        assert contrast(ink, "#1b2129") >= 4.5
    for ink in set(re.findall(r"(?<![-\w])color: ?(#[0-9a-f]{6})", page.replace(dark, "").partition("<body")[2])):
        assert contrast(ink, "#ffffff") >= 4.5 or ink == "#ffffff", f"{ink}: WCAG 2.2, 1.4.3"


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_template_stands_in_a_folder_of_four_files():
    for name in NAMES:
        found = {path.name for path in Path(FOLDER / name).iterdir() if path.is_file()}
        assert found == {"template.yml", "subject.txt", "body.txt", "body.mjml"}
