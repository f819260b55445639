"""``ringfirst rules go-live``, as somebody types it whose draft has become a rule."""

from pathlib import Path

import pytest

from engine.instants import DAY
from tests.cli.given import START, company, event, lines

WHY = ("--release", "--why", "read the drafts", "--by", "ann")


@pytest.fixture
def given(copied_book: Path, place: Path, run):
    """Three customers are inside a rule that was a draft and is live now."""
    file = copied_book / "rules" / "small.yml"
    text = file.read_text()
    file.write_text(text.replace("    audience: paying\n", "    audience: paying\n    status: draft\n", 1))
    (place / "a.jsonl").write_text(lines(company()))
    run("import", "a.jsonl")

    def goes_on(number: int, *, live: bool = True) -> None:
        if live:
            file.write_text(text)
        rows = [
            event(f"on-{number}", name, "other", START + (12 + number) * DAY) for name in ("acme", "birch", "cedar")
        ]
        (place / "b.jsonl").write_text(lines(rows))
        run("import", "b.jsonl")

    return goes_on


def test_a_draft_shows_who_is_inside_and_lets_nobody_in(given, run, ask):
    given(0, live=False)
    answer = ask("rules", "go-live", "many-reports")
    assert (answer["status"], answer["inside"], answer["silent"]) == ("draft", 3, 3)
    said = run("rules", "go-live", "many-reports", *WHY, "--yes", code=2)
    assert "is a draft in the active rulebook; nobody was let in; take out 'status: draft'" in said.stderr


def test_who_is_inside_is_listed_asked_about_and_let_in(given, run, ask):
    given(0)
    said = run("rules", "go-live", "many-reports")
    assert "many-reports is live; 3 are inside\n       3  never decided for" in said.stdout
    assert "reports_28d 12, open_tickets 0" in said.stdout
    assert "to let them in: ringfirst rules go-live many-reports --release" in said.stderr
    run("rules", "go-live", "many-reports", *WHY, stdin="n\n", code=1)
    assert "3 subjects in, at most 50 a day?" in run("rules", "go-live", "many-reports", *WHY, stdin="y\n").stderr
    answer = ask("rules", "go-live", "many-reports", *WHY, "--at-once")
    assert (answer["silent"], answer["waiting"], answer["released"]) == (0, 3, 0)
    assert {one["place"] for one in answer["people"]} == {"released"}
    back = ask("rules", "go-live", "many-reports", "--take-back", "--why", "x", "--yes")
    assert back["taken_back"] == 3
    assert ask("rules", "go-live", "many-reports")["silent"] == 3


def test_what_makes_no_sense_is_refused(given, run):
    given(0)
    said = run("rules", "go-live", "many-report", code=2).stderr
    assert "has no rule 'many-report'; did you mean 'many-reports'?" in said
    assert "says why; found no --why; add it" in run("rules", "go-live", "many-reports", "--release", code=2).stderr
    assert "say one" in run("rules", "go-live", "many-reports", *WHY, "--take-back", code=2).stderr
