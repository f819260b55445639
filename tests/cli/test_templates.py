"""templates list, show and preview: the mails of a rulebook, looked at before anybody gets one."""

import shutil
from pathlib import Path

import pytest

from ringfirst.rulebooks import starter
from tests.cli.given import BOOK

KEYS = [
    "template",
    "for",
    "class",
    "subject",
    "preview",
    "needs",
    "rules",
    "html_bytes",
    "pictures",
    "locale",
    "variants",
]


@pytest.fixture
def book(place: Path) -> Path:
    """A copy of the small rulebook, with two templates of its own."""
    shutil.copytree(BOOK, place / "book")
    for name in ("_base", "underused-feature", "escalation-red"):
        shutil.copytree(starter() / "templates" / name, place / "book" / "templates" / name)
    return place / "book"


def test_list_says_for_whom_each_is_and_which_rules_send_it(run, ask, book):
    found = ask("templates", "list", "--rules", "book")
    assert [list(one) for one in found] == [KEYS, KEYS]
    assert [(one["template"], one["for"], one["class"], one["rules"]) for one in found] == [
        ("escalation-red", "staff", None, ["red-ticket-waits"]),
        ("underused-feature", "customer", "relationship", ["many-reports"]),
    ]
    assert found[1]["subject"] == "24 reports in four weeks, each built by hand"
    assert found[1]["preview"].startswith("With automations")
    assert found[1]["needs"] == ["reports_28d"]
    assert 0 < found[1]["html_bytes"] < 100_000
    assert found[1]["pictures"] == 0
    said = run("templates", "list", "--rules", "book")
    assert "many-reports" in said.stdout
    assert "2 templates" in said.stderr


def test_show_is_the_mail_as_a_terminal_shows_it(run, ask, book):
    said = run("templates", "show", "underused-feature", "--rules", "book")
    assert said.stdout.startswith("Subject: 24 reports in four weeks, each built by hand\nPreview: With automations")
    assert "\n\nHello Ada,\n\nYour team built 24 reports" in said.stdout
    assert "sent by: many-reports" in said.stderr
    found = ask("templates", "show", "underused-feature", "--rules", "book")
    assert list(found) == [*KEYS, "text", "html"]
    assert found["html"].startswith("<!doctype html>")


def test_show_lets_nothing_steer_the_terminal(run, book):
    body = book / "templates" / "underused-feature" / "body.txt"
    body.write_text(body.read_text() + "\x1b[2J")
    assert "\x1b" not in run("templates", "show", "underused-feature", "--rules", "book").stdout


def test_preview_writes_one_page_for_all_and_says_where(run, book, place):
    said = run("templates", "preview", "--all", "--rules", "book")
    assert said.stdout == "gallery/index.html\n"
    assert "2 mails on one page" in said.stderr
    page = (place / "gallery" / "index.html").read_text()
    assert page.count("<section") == 2
    assert "red-ticket-waits" in page


def test_preview_of_some_by_name_in_another_folder_again(run, book, place):
    for _ in range(2):
        run("templates", "preview", "escalation-red", "--rules", "book", "--out", "deep/er")
    page = (place / "deep" / "er" / "index.html").read_text()
    assert page.count("<section") == 1
    assert "underused-feature" not in page


def test_preview_opens_the_page_when_asked_to(run, book, place, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("click.launch", opened.append)  # no test opens a window on somebody's screen
    run("templates", "preview", "--all", "--rules", "book")
    assert opened == []
    run("templates", "preview", "--all", "--open", "--rules", "book")
    assert opened == [(place / "gallery" / "index.html").as_uri()]


def test_preview_is_written_by_the_sender_that_is_set(run, book, place, monkeypatch):
    monkeypatch.setenv("RINGFIRST_SENDER", "Acme & Sons <hello@acme.example>")
    monkeypatch.setenv("RINGFIRST_POSTAL_ADDRESS", "1 Harbour Street, Cork")
    run("templates", "preview", "--all", "--rules", "book")
    page = (place / "gallery" / "index.html").read_text()
    assert "Mails of Acme &amp; Sons" in page
    assert "1 Harbour Street, Cork" in page


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["preview"], "takes names or --all; found neither"),
        (["preview", "escalation-red", "--all"], "takes names or --all; found both"),
        (["show", "escalation-rde"], "did you mean 'escalation-red'?"),
        (["preview", "nothing-like-it"], "see 'ringfirst templates list'"),
    ],
)
def test_wrong_words_are_refused_with_what_to_write(run, book, words, told):
    assert told in run("templates", *words, "--rules", "book", code=2).stderr


def test_a_page_that_cannot_be_written_is_said(run, book, place):
    (place / "taken").write_text("a file")
    said = run("templates", "preview", "--all", "--rules", "book", "--out", "taken", code=2)
    assert "taken/index.html: cannot be written" in said.stderr
    assert "--out" in said.stderr


def test_a_template_that_cannot_be_rendered_is_named_and_the_others_are_shown(run, ask, book, place):
    change(book / "templates" / "underused-feature" / "template.yml", "reports_28d: 24", "reports_28d: null")
    change(book / "templates" / "escalation-red" / "body.txt", "{% for one in tickets %}", "{% for one in %}")
    shutil.copytree(starter() / "templates" / "we-miss-you", book / "templates" / "we-miss-you")
    said = run("templates", "preview", "--all", "--rules", "book", code=1)
    assert "templates/underused-feature/template.yml:1:1: error: example: template misses reports_28d" in said.stderr
    assert "templates/escalation-red/body.txt:3:1: error: this Jinja cannot be read" in said.stderr
    assert (place / "gallery" / "index.html").read_text().count("<section") == 1
    assert [one["template"] for one in ask("templates", "list", "--rules", "book", code=1)] == ["we-miss-you"]
    said = run("templates", "show", "escalation-red", "--rules", "book", code=1)
    assert (said.stdout, "cannot be read" in said.stderr) == ("", True)
    assert run("templates", "show", "we-miss-you", "--rules", "book").stderr.count("error") == 0


def test_mails_can_be_looked_at_while_the_rules_are_still_wrong(run, ask, book):
    change(book / "rules" / "small.yml", "when: [reports_28d >= 10]", "when: [reprots_28d >= 10]")
    assert "the rulebook has errors, so no rules are shown" in run("templates", "list", "--rules", "book").stderr
    assert [one["rules"] for one in ask("templates", "list", "--rules", "book")] == [[], []]


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_variants_are_listed_shown_by_name_and_stand_on_the_page(run, ask, book, place):
    shutil.copytree(starter() / "templates" / "orientation-tomorrow", book / "templates" / "orientation-tomorrow")
    (found,) = [one for one in ask("templates", "list", "--rules", "book") if one["variants"]]
    assert (found["template"], found["locale"], found["variants"]) == ("orientation-tomorrow", "en", ["de"])
    assert run("templates", "list", "--rules", "book").stderr.strip().endswith("3 templates")
    said = run("templates", "show", "orientation-tomorrow", "--variant", "de", "--rules", "book")
    assert said.stdout.startswith("Subject: Donnerstag: Ihre 2 Einführungen\n")
    assert "Thursday" in run("templates", "show", "orientation-tomorrow", "--rules", "book").stdout
    said = run("templates", "show", "orientation-tomorrow", "--variant", "fr", "--rules", "book", code=2)
    assert "it has no variant 'fr'; found de" in said.stderr
    run("templates", "preview", "--all", "--rules", "book")
    page = (place / "gallery" / "index.html").read_text()
    assert 'id="orientation-tomorrow/de"' in page
    assert "3 templates in 4 variants" in page


def test_lint_ends_with_1_when_something_is_found_and_says_where(run, ask, book):
    assert run("templates", "lint", "--rules", "book").stderr.strip() == "2 templates, 0 findings"
    assert ask("templates", "lint", "--rules", "book") == []
    body = book / "templates" / "underused-feature" / "body.mjml"
    change(body, "<mj-text>With {{", '<mj-text><i style="color:#bbb">x</i>With <bdi>{{ account.plan }}</bdi> {{')
    found = ask("templates", "lint", "underused-feature", "--rules", "book", code=1)
    assert [(one["path"].partition("book/")[2], one["line"], one["severity"]) for one in found] == [
        ("templates/underused-feature/body.mjml", 1, "error"),
        ("templates/underused-feature/body.mjml", 15, "warning"),
    ]
    said = run("templates", "lint", "--rules", "book", code=1)
    assert "error: 'x' is hard to read in light: a contrast of 1.92; it needs 4.5" in said.stdout
    assert "warning: the mail is held for everybody whose 'account.plan' is not known" in said.stdout
    assert "2 findings" in said.stderr
    assert run("templates", "lint", "escalation-red", "--rules", "book").stderr.strip() == "1 template, 0 findings"
    assert (
        "did you mean 'escalation-red'" in run("templates", "lint", "escalation-rde", "--rules", "book", code=2).stderr
    )
    (book / "templates" / "escalation-red" / "subject.txt").unlink()
    assert "has no subject.txt" in run("templates", "lint", "escalation-red", "--rules", "book", code=1).stdout
