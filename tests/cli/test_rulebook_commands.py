"""init, check, test and schema: what a lifecycle author types before any event is there."""

import shutil
from pathlib import Path

import pytest

from ringfirst.rulebooks import starter
from tests.cli.given import BOOK, company, lines


@pytest.fixture
def book(place: Path) -> Path:
    """A copy of the small rulebook, with templates of its own."""
    shutil.copytree(BOOK, place / "book")
    shutil.copytree(starter() / "templates", place / "book" / "templates")
    return place / "book"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.slow
def test_init_makes_a_rulebook_that_is_whole_and_proves_itself(run, ask):
    said = run("init", "mine").stderr
    assert "ringfirst check --rules mine" in said
    assert ask("check", "--rules", "mine") == []
    assert ask("test", "--rules", "mine")["failed"] == 0
    assert "nothing is overwritten" in run("init", "mine", code=2).stderr


def test_check_is_content_with_a_whole_rulebook(run, ask):
    assert ask("check") == []
    assert "the rulebook is whole: 2 rules" in run("check").stderr


def test_check_says_which_rules_wait_for_which_source(run, book):
    rules = book / "rules" / "small.yml"
    sources = "sources: {support: {events: ['ticket.*']}, calls: {events: ['call.*']}}"
    change(rules, "policy:", f"policy:\n  {sources}")
    said = run("check", "--rules", "book").stderr
    assert "while source support is late, 2 rules wait: many-reports, red-ticket-waits" in said
    assert "while source calls is late, no rule waits" in said


def test_check_names_all_faults_with_places_that_can_be_opened(run, ask, book):
    rules = book / "rules" / "small.yml"
    change(rules, "when: [reports_28d >= 10]", "when: [reprots_28d >= 10]")
    change(rules, "template: escalation-red", "template: escalation-rde")
    found = ask("check", "--rules", "book", code=1)
    assert [list(one) for one in found] == [["path", "line", "column", "severity", "message"]] * 2
    assert {one["path"] for one in found} == {"book/rules/small.yml"}
    assert "did you mean 'reports_28d'?" in found[0]["message"]
    assert "did you mean 'escalation-red'?" in found[1]["message"]
    line = found[0]["line"]
    assert "reprots_28d" in rules.read_text().splitlines()[line - 1]
    said = run("check", "--rules", "book/rules", code=1)
    assert f"book/rules/small.yml:{line}:{found[0]['column']}: error: " in said.stdout
    assert "2 findings" in said.stderr


def test_check_finds_a_name_in_a_template_that_the_rule_does_not_give(ask, book):
    change(book / "templates" / "underused-feature" / "body.txt", "{{ reports_28d", "{{ reports_82d")
    found = ask("check", "--rules", "book", code=1)
    assert (found[0]["path"], found[0]["line"] > 0) == ("book/templates/underused-feature/body.txt", True)
    assert found[0]["message"] == (
        "rule many-reports: unknown name 'reports_82d'; the rule does not give it to its template; "
        "did you mean 'reports_28d'?"
    )


def test_check_finds_a_template_that_ignores_its_plural(ask, book):
    body = book / "templates" / "escalation-red"
    for part in ("body.txt", "body.mjml", "subject.txt"):
        words = "Words. " * 40 if part != "subject.txt" else "Words"
        markup = f"<mj-section><mj-column><mj-text>{words}</mj-text></mj-column></mj-section>"
        (body / part).write_text(markup if part.endswith("mjml") else words)
    found = ask("check", "--rules", "book", code=1)
    assert ["rule red-ticket-waits: the template ignores 'tickets'" in one["message"] for one in found] == [True]
    change(book / "rules" / "small.yml", "for: each ticket", "for: each ticket\n    each_alone: true")
    assert ask("check", "--rules", "book") == []


def test_check_finds_faults_in_cases(ask, book):
    change(book / "rules" / "small.yml", "like: ten", "like: tne")
    assert any("like: no other case has that name" in one["message"] for one in ask("check", "--rules", "book", code=1))


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        pytest.param("b.yml", b"\xff\xfe", "not UTF-8", id="not text"),
        pytest.param("b.yml", b"rules: ]", "not YAML", id="not YAML"),
        pytest.param("b.yaml", b"rules: []", "only .yml files are read", id="another ending"),
    ],
)
def test_check_says_what_cannot_be_read(run, book, name, body, said):
    (book / "rules" / name).write_bytes(body)
    code = 0 if name.endswith(".yaml") else 1
    assert f"book/rules/{name}:1:" in run("check", "--rules", "book", code=code).stdout
    assert said in run("check", "--rules", "book", code=code).stdout


@pytest.mark.parametrize("words", [("check",), ("test",), ("import", "x"), ("doctor",)], ids=lambda words: words[0])
def test_a_folder_without_a_rulebook_is_said(run, place, words):
    (place / "empty").mkdir()
    (place / "x").write_text("")
    ends = 1 if words[0] == "doctor" else 2
    for name, said in (("empty", "this is no rulebook"), ("missing", "there is no such folder")):
        result = run(*words, "--rules", name, code=ends)
        assert f"{name}: {said}" in result.stdout + result.stderr


def test_check_shows_the_code_that_is_made_of_conditions(run):
    said = run("check", "--show-code").stdout
    assert "# many-reports when 1: reports_28d >= 10" in said
    assert "ge(v[0], 10.0)" in said


def test_a_folder_above_rulebooks_is_not_taken_for_one(run, place):
    run("init", "one")
    run("init", "deep/two")
    said = run("check", "--rules", ".", code=2).stderr
    assert "rulebooks lie below it; found deep/two, one; name one of them with --rules" in said


def test_check_against_an_older_rulebook_says_who_enters_and_who_leaves(ask, run, book, place):
    (place / "events.jsonl").write_text(lines(company()))
    ask("import", "events.jsonl")
    change(book / "rules" / "small.yml", "when: [reports_28d >= 10]", "when: [reports_28d >= 13]")
    names = ["acme", "birch", "cedar"]
    assert ask("check", "--rules", "book", "--against", BOOK) == {
        "findings": [],
        "changes": [{"rule": "many-reports", "change": "changed", "enters": [], "leaves": names}],
    }
    assert ask("check", "--against", "book")["changes"][0]["enters"] == names
    assert ask("check", "--against", BOOK)["changes"] == []
    said = run("check", "--rules", "book", "--against", BOOK).stdout
    assert "3: acme, birch, cedar" in said
    (place / "ringfirst.db").unlink()
    assert ask("check", "--against", "book")["changes"][0]["enters"] is None, "without a store nobody is known"


def test_test_counts_cases_and_names_what_failed(run, ask, book):
    assert ask("test") == {"passed": 6, "failed": 0, "failures": []}
    change(
        book / "rules" / "small.yml",
        "name: nine\n        given: [{day: 1, until: 9",
        "name: nine\n        given: [{day: 1, until: 19",
    )
    found = ask("test", "--rules", "book", code=1)
    assert (found["passed"], found["failed"]) == (5, 1)
    failure = found["failures"][0]
    assert list(failure) == ["path", "line", "column", "rule", "case", "message"]
    assert (failure["path"], failure["rule"], failure["case"]) == ("book/rules/small.yml", "many-reports", "nine")
    assert "book/rules/small.yml:" in run("test", "--rules", "book", code=1).stdout
    assert "5 cases passed, 1 failed" in run("test", "--rules", "book", code=1).stderr
    assert ask("test", "--rules", "book", "--rule", "red-ticket-waits") == {"passed": 3, "failed": 0, "failures": []}
    assert "did you mean 'red-ticket-waits'?" in run("test", "--rule", "red-ticket-wait", code=2).stderr


def test_a_case_reads_the_mail(ask, book):
    change(book / "rules" / "small.yml", "mail: 10 reports", "mail: eleven reports")
    assert "no mail says 'eleven reports'" in ask("test", "--rules", "book", code=1)["failures"][0]["message"]


def test_mutate_names_the_lines_that_no_case_needs(ask, run, book):
    assert ask("test", "--mutate") == {"passed": 6, "failed": 0, "failures": [], "unneeded": []}
    change(book / "rules" / "small.yml", "when: [reports_28d >= 10]", "when: [reports_28d >= 10, reports_28d >= 2]")
    found = ask("test", "--rules", "book", "--mutate", code=1)
    assert "reports_28d >= 2" in found["unneeded"][0]["message"]
    assert "1 line needed by no case" in run("test", "--rules", "book", "--mutate", code=1).stderr


def test_test_of_a_wrong_rulebook_gives_its_findings(ask, book):
    change(book / "rules" / "small.yml", "when: [reports_28d >= 10]", "when: [reprots_28d >= 10]")
    found = ask("test", "--rules", "book", code=1)
    assert (found["passed"], found["failed"], found["failures"][0]["rule"]) == (0, 1, None)


def test_schema_is_json_for_editors(run):
    pytest.importorskip("engine.rulebook.schema")
    assert '"$schema"' in run("schema").stdout
