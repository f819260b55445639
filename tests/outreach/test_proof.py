"""What ``templates lint`` finds: each kind of mistake in a mail, where it is, and nothing in the mails we ship."""

from pathlib import Path
from typing import Any

import pytest

from engine.rulebook.book import load_rulebook
from outreach.contrast import poor_words, read_colour
from outreach.examples import example_context
from outreach.page import read_page
from outreach.proof import prove
from outreach.rendering import render
from outreach.styles import holds, read_rules, style_of
from outreach.template import every_variant
from outreach.templates import load_templates, read_template
from ringfirst.rulebooks import Folder
from ringfirst.template_check import check_templates
from tests.outreach.browser import find_browser, opened_page
from tests.outreach.given import ROOT, starter_templates
from tests.outreach.test_gallery import READABLE

SAID = "Words enough to say all of it to somebody who reads nothing but the text part. " * 3
FOOT = "{{ sender.postal_address }} {{ links.unsubscribe|safe_url }}"
LAYOUT = """<mjml><mj-head><mj-style>[[ style ]]</mj-style></mj-head><mj-body>[[ body ]]
<mj-section><mj-column><mj-text>{{ sender.postal_address }}
<a style="color:#1f5fbf" href="{{ links.unsubscribe|safe_url }}">stop</a>
</mj-text></mj-column></mj-section></mj-body></mjml>"""
STAFF = LAYOUT.replace('href="{{ links.unsubscribe|safe_url }}"', "")
BOOKS = [ROOT / "templates", *sorted(ROOT.glob("examples/*/templates"))]


def made(
    html: str = "Words.", text: str = SAID, *, style: str = "", layout: str = LAYOUT, foot: str = FOOT, **more: str
) -> Any:
    manifest = more.get(
        "manifest", "for: customer\nclass: relationship\nexample: {you: {name: Ada}, n: 3, said: 'x y'}\n"
    )
    body = (
        html if "<mj-section" in html else f"<mj-section><mj-column><mj-text>{html}</mj-text></mj-column></mj-section>"
    )
    base = {"customer.mjml": layout.replace("[[ style ]]", style), "customer.txt": f"[[ body ]]\n{foot}"}
    base |= {"staff.mjml": STAFF.replace("[[ style ]]", ""), "staff.txt": "[[ body ]]"}
    parts = {"template.yml": manifest, "subject.txt": "A subject", "body.txt": text, "body.mjml": body}
    template, findings = read_template("made", parts, base, path="templates")
    assert template is not None, findings
    return template


def told(template: Any) -> list[str]:
    return [str(one) for one in prove(template)]


@pytest.mark.parametrize("folder", BOOKS, ids=lambda folder: folder.parent.name)
def test_nothing_is_found_in_the_mails_we_ship(folder):
    templates, findings = load_templates(folder)
    assert findings == []
    assert {name: told(template) for name, template in templates.items() if told(template)} == {}


def test_a_sound_mail_has_no_findings():
    assert told(made()) == []


@pytest.mark.parametrize(
    ("template", "words"),
    [
        pytest.param(
            {"html": '<a href="https://a.example/x">go</a>'}, "does not have the link 'https://a.example/x'", id="link"
        ),
        pytest.param({"html": "<video>x</video>"}, "'video' is not for mail", id="a tag that mail has not"),
        pytest.param(
            {"html": '<p style="background:url(//a.example/x.png)">x</p>'}, "a style loads what is not https", id="url"
        ),
        pytest.param(
            {"style": "p { background: url(data:x) }"}, "a style loads what is not https", id="url in a sheet"
        ),
        pytest.param({"text": "Too short."}, "fewer than 200 characters", id="a short text"),
        pytest.param({"html": "{{ 'y' * 3 }}"}, "with the example", id="cannot be rendered"),
        pytest.param(
            {"html": "{% for i in range(1000) %}<p>" + "x" * 100 + "</p>{% endfor %}"}, "found more than 90", id="size"
        ),
        pytest.param(
            {"html": '<p style="color:#999">grey</p>'}, "'grey' is hard to read in light: a contrast of 2.85", id="ink"
        ),
        pytest.param(
            {
                "html": '<p class="x">dim</p>',
                "style": "@media (prefers-color-scheme: dark) { .x { color: #333 !important; } "
                ".y, div, td, body { background-color: #111 !important; color: #eee; } }",
            },
            "'dim' is hard to read in dark",
            id="ink in the dark",
        ),
        pytest.param({"html": "{{ you.name }}, hello"}, "turns the words beside it", id="a name without bdi"),
        pytest.param(
            {"html": "{{ account.plan }}"}, "held for everybody whose 'account.plan' is not known", id="missing"
        ),
        pytest.param(
            {"foot": "{{ links.unsubscribe|safe_url }}"},
            "customer.txt:1:1: error: a customer's mail says where we are",
            id="no address in the text",
        ),
        pytest.param(
            {"foot": "{{ sender.postal_address }}"},
            "customer.txt:1:1: error: a customer can stop such mails",
            id="no way out in the text",
        ),
        pytest.param(
            {"layout": LAYOUT.replace("{{ links.unsubscribe|safe_url }}", "https://a.example/")},
            "customer.mjml:1:1: error: a customer can stop such mails",
            id="no way out in the html",
        ),
        pytest.param(
            {"layout": LAYOUT.replace("{{ sender.postal_address }}", "")},
            "customer.mjml:1:1: error: a customer's mail says where we are",
            id="no address in the html",
        ),
    ],
)
def test_each_mistake_is_found(template, words):
    manifest = "for: customer\nclass: relationship\nexample: {you: {name: Ada}, account: {plan: pro}}\n"
    assert any(words in one for one in told(made(**template, manifest=manifest))), told(
        made(**template, manifest=manifest)
    )


def test_values_that_a_template_cannot_take_are_found():
    template = made(text=SAID + "{{ said|safe_url }}", manifest="for: staff\nexample: {said: 'https://a.example/'}\n")
    assert told(template) == [], "a link stays one"
    template = made(text=SAID + "{{ n|time }}", manifest="for: staff\nexample: {n: '2026-03-02T10:00:00Z'}\n")
    assert told(template) == [], "a date stays one"
    template = made(text=SAID + "{{ said * 2 }}", manifest="for: staff\nexample: {said: x}\n")
    assert any("with long values: '*' takes numbers" in one for one in told(template))


def test_a_transactional_mail_needs_no_way_out_and_a_staff_mail_no_address():
    manifest = "for: customer\nclass: transactional\nexample: {you: {name: Ada}}\n"
    layout = LAYOUT.replace('href="{{ links.unsubscribe|safe_url }}"', "")
    assert told(made(manifest=manifest, layout=layout, foot="{{ sender.postal_address }}")) == []


def test_a_test_of_a_value_is_enough_and_every_missing_one_is_named():
    manifest = "for: customer\nclass: relationship\nexample: {you: {name: Ada}, account: {plan: pro, seats: 3}}\n"
    text = SAID + "{{ account.plan }} {{ account.seats|number }}{% if you.name %} {{ you.name }}{% endif %}"
    found = told(made(text=text, manifest=manifest))
    assert [one.partition("held for")[2][:40] for one in found] == [
        " everybody whose 'account.plan' is not k",
        " everybody whose 'account.seats' is not ",
    ]


def test_each_variant_is_proved():
    parts = {"template.yml": "for: staff\nexample: {n: 3}\n", "subject.txt": "x", "body.txt": SAID}
    parts["body.mjml"] = "<mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section>"
    parts |= {
        "de/subject.txt": "x",
        "de/body.txt": SAID,
        "de/body.mjml": parts["body.mjml"].replace(">x", '><p style="color:#eee">x</p>'),
    }
    layout = {"staff.mjml": STAFF.replace("[[ style ]]", "")}
    template, findings = read_template("made", parts, layout, path="templates")
    assert template is not None, findings
    (found,) = told(template)
    assert found.startswith("templates/made/de/body.mjml:1:1: error: 'x' is hard to read in light")


# Contrast


def test_colours_are_read_as_mails_write_them():
    texts = ["#fff", "#1F5FBF", "rgb(1, 2, 3)", "rgba(1,2,3,1)", "rgb(1 2 3 / 50%)", "white", "none", "inherit"]
    assert [read_colour(text) for text in texts] == [
        (255, 255, 255),
        (31, 95, 191),
        (1, 2, 3),
        (1, 2, 3),
        None,
        (255, 255, 255),
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("sheet", "colour"),
    [
        pytest.param("p { color: red } .a { color: green }", "green", id="a class before a tag"),
        pytest.param(".a { color: red !important } #i { color: green }", "red", id="important"),
        pytest.param("div > p { color: green } section > p { color: red }", "green", id="right in it"),
        pytest.param("table p { color: red } div .a { color: green }", "green", id="somewhere in it"),
        pytest.param("p:last-child { color: green } p:first-child { color: red }", "green", id="the last"),
        pytest.param("p:hover { color: red } p + p { color: red } p ~ p { color: red }", None, id="what nobody sees"),
        pytest.param("p { color: red } /* p { color: blue } */ p { color: green }", "green", id="the later one"),
        pytest.param(
            "@media print { p { color: red } } @media (min-width: 500px) { p { color: green } }", "green", id="media"
        ),
        pytest.param("@font-face { src: url(x) } p[class] { color: green }", "green", id="an attribute"),
        pytest.param("p { color: green } p { color: ", "green", id="a sheet that breaks off"),
    ],
)
def test_of_several_rules_the_one_wins_that_a_browser_takes(sheet, colour):
    page = read_page(f"<style>{sheet}</style><div><b></b><p>x</p><p class='a' id='i'>x</p></div>")
    element = [one for one in page.root.walk() if one.tag == "p"][-1]
    assert style_of(element, read_rules(page.styles, "light")).get("color") == colour


def test_a_query_that_is_not_known_does_not_hold():
    assert not holds("(hover: hover)", "light")
    assert holds("print, screen and (min-width: 1px)", "light")


@pytest.mark.slow
def test_a_browser_finds_the_same_words_hard_to_read(tmp_path):
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium is here; put one on the path or name it in RINGFIRST_TEST_BROWSER to run this")
    mails = [
        render(one, example_context(one)).html for each in starter_templates().values() for one in every_variant(each)
    ]
    swaps = [
        ("#1f2933", "#9aa5b1"),
        ("#5b6876", "#b0bac5"),
        ("#e6eaf0", "#444b55"),
        ("#8ab8ff", "#2a4a7a"),
        ("#1b2129", "#c0c8d0"),
        ("#ffffff", "#777777"),
    ]
    found = 0
    with opened_page(browser) as page:
        for number, html in enumerate([*mails[:4], *(mails[at].replace(*swap) for at, swap in enumerate(swaps))]):
            path = Path(tmp_path / f"{number}.html")
            path.write_text(html)
            ours = list(poor_words(read_page(html)))
            for scheme in ("light", "dark"):
                page.look(path, width=640, dark=scheme == "dark")
                theirs = {round(one[1], 2) for one in page.value(READABLE)}
                assert {one.contrast for one in ours if one.scheme == scheme} == theirs, (number, scheme)
                found += len(theirs)
    assert found >= 6, "the swaps made something hard to read"


# Who is named


RULES = """
measures:
  quiet_people: {list: name, of: person}
  quiet_roles: {list: role, of: person}
rules:
  - id: quiet
    owner: a@ringfirst.example
    why: because
    status: draft
    when: [account_age_days >= 1]
    send: {template: quiet, to: champion, class: relationship}
  - id: each
    for: each person
    owner: a@ringfirst.example
    why: because
    status: draft
    when: [person.open_days >= 1]
    send: {template: each, to: champion, class: relationship}
  - id: own
    for: each person
    owner: a@ringfirst.example
    why: because
    status: draft
    when: [person.open_days >= 1]
    send: {template: each, to: person, class: relationship}
"""


def checked(tmp_path: Path, name: str, body: str, manifest: str) -> list[str]:
    (tmp_path / "templates" / name).mkdir(parents=True, exist_ok=True)
    for part, text in {"template.yml": manifest, "subject.txt": "x", "body.txt": body}.items():
        (tmp_path / "templates" / name / part).write_text(text)
    (tmp_path / "templates" / name / "body.mjml").write_text(
        "<mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section>"
    )
    (tmp_path / "templates" / "_base").mkdir(exist_ok=True)
    (tmp_path / "templates" / "_base" / "customer.mjml").write_text("<mjml><mj-body>[[ body ]]</mj-body></mjml>")
    manifests = {f"templates/{one}/template.yml": manifest for one in ("quiet", "each")}
    book, _ = load_rulebook({"rules/a.yml": RULES, **manifests})
    assert book is not None
    folder = Folder(tmp_path / "rules", tmp_path / "templates")
    return [one.message for one in check_templates(book, folder) if "names_people" in one.message]


@pytest.mark.parametrize("said", [False, True])
def test_colleagues_are_named_only_by_a_template_that_says_so(tmp_path, said):
    manifest = "for: customer\nclass: relationship\nsubject: person\nplural: persons\n"
    manifest += f"example: {{quiet_people: [Ada], persons: []}}\nnames_people: {str(said).lower()}\n"
    found = checked(tmp_path, "quiet", "{{ quiet_people|join }} {{ quiet_roles|join }}", manifest)
    assert len(found) == (0 if said else 1)
    assert all("(quiet_people)" in one for one in found)
    (tmp_path / "templates" / "quiet" / "body.txt").unlink()
    found = checked(tmp_path, "each", "{% for one in persons %}{{ one.name }}{% endfor %}", manifest)
    assert [one.partition(":")[0] for one in found] == ([] if said else ["rule each"]), (
        "a mail to oneself names nobody else"
    )
