"""dead-letters, forget, send and doctor."""

import base64
import json
import subprocess
import sys
from email import message_from_bytes, policy

import pytest

from engine.events import BadEvent
from engine.lanes import lane_of
from engine.store import DEFAULT_LANES
from ringfirst import intake
from tests.cli.given import START, company, decided, event, lines, state


@pytest.fixture
def imported(ask, place):
    """Three customers, imported."""
    (place / "events.jsonl").write_text(lines(company()))
    ask("import", "events.jsonl")


# -- dead letters ------------------------------------------------------------------------------------------------------
def test_a_dead_letter_that_is_good_now_comes_in_as_a_late_event(ask, run, place, monkeypatch):
    rows = company()
    late = [row for row in rows if row["id"] == "acme-3"]
    (place / "all.jsonl").write_text(lines(rows))
    ask("import", "all.jsonl", "--store", "sqlite:///good.db")
    (place / "most.jsonl").write_text(lines(row for row in rows if row not in late) + "not json\n")
    (place / "late.jsonl").write_text(lines(late))
    ask("import", "most.jsonl")
    now = intake.now
    monkeypatch.setattr("ringfirst.intake.now", lambda: START - 100 * 86_400_000)
    assert ask("import", "late.jsonl")["dead_letters"] == 1, "by a clock that is wrong"
    monkeypatch.setattr("ringfirst.intake.now", now)
    assert [one["reason"].split(";")[0] for one in ask("dead-letters", "list", "--source", "late.jsonl")] == [
        "time: more than 24 h ahead of the clock"
    ]
    assert ask("dead-letters", "retry") == {"tried": 2, "taken": 1, "left": 1, "waiting": 0, "decisions": 0}
    assert [one["source"] for one in ask("dead-letters", "list")] == ["most.jsonl"]
    assert state(place) == state(place, "good.db")
    assert "0 of 1 dead letter taken in, 1 left" in run("dead-letters", "retry").stdout


def test_a_dead_letter_is_shown_in_full_and_found_by_how_its_id_begins(ask, run, place):
    (place / "bad.jsonl").write_bytes(b'{"id": 7}\n\x1b[2Jmore \xff\n')
    run("import", "bad.jsonl")
    first, second = ask("dead-letters", "list")
    assert ask("dead-letters", "show", first["dead_letter_id"][:12])["raw"] == '{"id": 7}'
    shown = run("dead-letters", "show", second["dead_letter_id"])
    assert "where: line 2" in shown.stdout
    assert "reason: not an event" in shown.stdout
    assert "\x1b" not in shown.stdout
    told = ask("dead-letters", "show", second["dead_letter_id"])
    assert base64.b64decode(told["raw_base64"]) == b"\x1b[2Jmore \xff"
    assert "xyz: there is no such dead letter; " in run("dead-letters", "show", "xyz", code=2).stderr
    said = run("dead-letters", "drop", "xyz", "--source", "a", "--yes", code=2).stderr
    assert "say which ones by id or by source" in said
    assert ask("dead-letters", "drop", first["dead_letter_id"], "--yes") == {"dropped": 1}
    assert [row["where"] for row in ask("dead-letters", "list")] == ["line 2"]


def test_a_mended_record_takes_the_place_of_one_dead_letter(ask, run, place):
    (place / "bad.jsonl").write_text(lines(company()[:-1]) + "{}\nnot json\n")
    run("import", "bad.jsonl")
    letter = ask("dead-letters", "list")[0]["dead_letter_id"]
    (place / "mended.json").write_text("{}")
    said = run("dead-letters", "retry", letter, "--with", "mended.json", code=2).stderr
    assert "--with: it is no good event either; " in said
    assert "name the one by its id" in run("dead-letters", "retry", "--with", "mended.json", code=2).stderr
    (place / "mended.json").write_text(lines(company()[-1:]))
    assert ask("dead-letters", "retry", letter, "--with", "mended.json")["taken"] == 1
    (place / "all.jsonl").write_text(lines(company()))
    run("import", "all.jsonl", "--store", "sqlite:///good.db")
    assert state(place) == state(place, "good.db")
    assert len(ask("dead-letters", "list")) == 1


def test_a_letter_that_is_still_bad_has_the_reason_of_now(ask, run, place, monkeypatch):
    (place / "bad.jsonl").write_text("{}\n")
    run("import", "bad.jsonl")
    monkeypatch.setattr("ringfirst.letters.decode", lambda *_, **__: BadEvent("worse; found it so"))
    assert ask("dead-letters", "retry")["left"] == 1
    assert [row["reason"] for row in ask("dead-letters", "list")] == ["worse; found it so"]


def test_dead_letters_are_listed_for_a_person(run, place):
    (place / "bad.jsonl").write_text('{"id": 7}\n\x1b[2Jmore\n')
    run("import", "bad.jsonl")
    said = run("dead-letters", "list")
    assert "line 1" in said.stdout
    assert "\x1b" not in said.stdout, "what somebody sent cannot steer the terminal"
    assert "2 dead letters" in said.stderr


def test_dead_letters_that_nobody_will_mend_can_be_dropped(ask, run, place):
    for name in ("a.jsonl", "b.jsonl"):
        (place / name).write_text("{}\nnot json\n")
        run("import", name)
    assert (
        "Drop 2 dead letters? There is no way back."
        in run("dead-letters", "drop", "--source", "a.jsonl", stdin="n\n", code=1).stderr
    )
    assert len(ask("dead-letters", "list")) == 4, "asked, and not wanted"
    assert ask("dead-letters", "drop", "--source", "a.jsonl", "--yes") == {"dropped": 2}
    assert {one["source"] for one in ask("dead-letters", "list")} == {"b.jsonl"}
    assert run("dead-letters", "drop", stdin="y\n").stdout.endswith("2 dead letters dropped\n")
    assert ask("dead-letters", "drop") == {"dropped": 0}, "nothing to ask about"


# -- forget ------------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("imported")
def test_a_forgotten_account_is_gone_and_does_not_come_back(ask, run):
    assert "acme" in run("forget", "--account", "acme", stdin="n\n", code=1).stderr
    assert ask("who", "true")["count"] == 3
    assert ask("forget", "--account", "acme", "--yes")["events"] == 16
    assert [row["account_id"] for row in ask("who", "true")["accounts"]] == ["birch", "cedar"]
    assert (ask("import", "events.jsonl")["new"], ask("who", "true")["count"]) == (0, 2)
    assert "forgotten               16" in run("import", "events.jsonl").stdout
    assert ask("replay", "--verify")["missing"] == 0


@pytest.mark.usefixtures("imported")
def test_nobody_is_forgotten_who_only_shares_a_lane_with_somebody(run):
    lanes = {lane_of(name, DEFAULT_LANES) for name in ("acme", "birch", "cedar")}
    other = next(name for name in map(str, range(100)) if lane_of(name, DEFAULT_LANES) in lanes)
    assert "there is no such account" in run("forget", "--account", other, "--yes", code=2).stderr


@pytest.mark.usefixtures("imported")
def test_a_forgotten_person_leaves_a_pseudonym(ask, run):
    done = ask("forget", "--account", "acme", "--person", "u1", "--yes")
    assert done["people"] > 0
    assert "u1" not in json.dumps(ask("accounts", "show", "acme"))
    assert ask("accounts", "show", "acme")["measures"]["reports_28d"] == 12, "counts stay"
    assert "rows of" in run("forget", "--account", "acme", "--person", "u1", "--yes").stdout


# -- send --------------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("imported")
def test_simulate_writes_the_mails_of_the_past_and_changes_nothing(ask, run, place, monkeypatch):
    before = decided(place)
    said = run("send", "--simulate")
    assert "6 mails for 6 decisions in outbox/rehearsal/" in said.stdout
    assert "no sender is set" in said.stderr
    assert decided(place) == before
    assert not list((place / "outbox").glob("*.eml")), "what really leaves lies apart"
    files = sorted((place / "outbox" / "rehearsal").glob("*.eml"))
    assert len(files) == 6
    mail = message_from_bytes(files[-1].read_bytes(), policy=policy.default)
    assert str(mail["To"]).startswith("Ada King <ada@")
    assert "10 reports" in str(mail.get_body(("plain",)))
    assert ask("send", "--simulate", "--at", "2026-03-06T23:00:00Z", "--outbox", "first")["mails"] == 3
    monkeypatch.setenv("RINGFIRST_SENDER", "Us <us@ringfirst.example>")
    monkeypatch.setenv("RINGFIRST_POSTAL_ADDRESS", "A street 1, Town")
    assert "sender" not in run("send", "--simulate", "--outbox", "ours").stderr
    ours = message_from_bytes(next((place / "ours").glob("*.eml")).read_bytes(), policy=policy.default)
    assert ours["From"] == "Us <us@ringfirst.example>"


def test_send_writes_what_is_due_and_only_once(ask, place):
    (place / "events.jsonl").write_text(lines(company(days=10)))
    ask("import", "events.jsonl")
    assert ask("send", "--at", "2026-03-11T10:00:00Z")["mails"] == 0, "not due yet"
    assert ask("send", "--at", "2026-03-11T11:00:00Z")["mails"] == 3
    assert ask("send", "--at", "2026-03-11T11:30:00Z")["mails"] == 0
    assert {row["state"] for row in ask("outreach", "list", "--rule", "many-reports")} == {"accepted"}
    assert ask("decisions", "list", "--rule", "many-reports")[0]["mail"] == "accepted"
    (place / "more.jsonl").write_text(lines([event("x", "acme", "session.started", START + 20 * 86_400_000)]))
    ask("import", "more.jsonl")
    assert ask("replay", "--verify")["different"] == 0


@pytest.mark.usefixtures("imported")
def test_an_outbox_that_cannot_be_written_is_said(run, place):
    (place / "outbox").write_text("a file")
    assert "ringfirst: outbox: it cannot be written to" in run("send", "--simulate", code=2).stderr


# -- settings and doctor -----------------------------------------------------------------------------------------------
def test_all_wrong_settings_are_said_at_once_and_before_anything_opens(run, place, monkeypatch):
    monkeypatch.setenv("RINGFIRST_SENDER", "nobody")
    monkeypatch.setenv("RINGFIRST_REPLY_TO", "a@b@c")
    monkeypatch.setenv("RINGFIRST_STROE", "sqlite:///x.db")
    monkeypatch.setenv("RINGFIRST_STORE_FILE", "missing")
    (place / "events.jsonl").write_text(lines(company()))
    said = run("import", "events.jsonl", code=2).stderr.splitlines()
    assert [line.split(":")[1].strip() for line in said] == [
        "RINGFIRST_STORE_FILE",
        "RINGFIRST_SENDER",
        "RINGFIRST_REPLY_TO",
        "RINGFIRST_STROE",
    ]
    assert "did you mean RINGFIRST_STORE?" in said[-1]
    assert not (place / "ringfirst.db").exists()


def test_what_is_missing_is_said_beside_what_is_wrong(run, monkeypatch):
    wrong = {"SMTP": "mail.example:25", "SMTP_SECURITY": "maybe", "SMTP_PASSWORD_FILE": "missing", "TOKEN": "short"}
    for name, value in (wrong | {"KAFKA_CERTIFICATE": "cert.pem", "FEEDBACK_TOKEN": "x"}).items():
        monkeypatch.setenv(f"RINGFIRST_{name}", value)
    said = run("send", code=2).stderr
    for told in (
        "RINGFIRST_SMTP_PASSWORD_FILE: the file cannot be read",
        "RINGFIRST_SMTP_SECURITY: ",
        "found no RINGFIRST_SENDER",
        "found no RINGFIRST_POSTAL_ADDRESS",
        "RINGFIRST_TOKEN: too short to be safe; found 5 characters",
        "RINGFIRST_FEEDBACK_TOKEN: too short",
        "RINGFIRST_KAFKA_CERTIFICATE: it and RINGFIRST_KAFKA_CERTIFICATE_KEY go together",
    ):
        assert told in said
    monkeypatch.setenv("RINGFIRST_SENDER", "nobody")
    assert "found no RINGFIRST_SENDER" not in run("send", code=2).stderr, "it is there, and wrong"


def test_a_store_can_be_named_in_a_file(ask, place, monkeypatch):
    (place / "secret").write_text("sqlite:///named.db\n")
    monkeypatch.setenv("RINGFIRST_STORE_FILE", "secret")
    (place / "events.jsonl").write_text(lines(company()))
    ask("import", "events.jsonl")
    assert (place / "named.db").exists()


@pytest.mark.usefixtures("imported")
def test_doctor_finds_everything_in_its_place(ask, run):
    found = ask("doctor")
    assert all(one["ok"] for one in found)
    assert [one["what"] for one in found] == [
        "python",
        "settings",
        "sender",
        "store",
        "lanes",
        "dead letters",
        "rulebook",
        "templates",
        "outbox",
    ]
    assert "48 events" in run("doctor").stdout


@pytest.mark.usefixtures("imported")
def test_doctor_finds_open_dead_letters(ask, run, place, monkeypatch):
    (place / "bad.jsonl").write_text("{}\nnot json\n")
    monkeypatch.setattr("ringfirst.intake.now", lambda: START + 30 * 86_400_000)
    run("import", "bad.jsonl")
    found = [one for one in ask("doctor", code=1) if not one["ok"]]
    assert [one["what"] for one in found] == ["dead letters"]
    assert found[0]["found"].startswith("2 open, the oldest since 2026-04-01T09:00:00Z; ringfirst dead-letters list")
    run("dead-letters", "drop", "--yes")
    assert all(one["ok"] for one in ask("doctor"))


def test_doctor_says_what_is_not(ask, monkeypatch):
    monkeypatch.setenv("RINGFIRST_SENDER", "nobody")
    assert [(one["what"], one["ok"]) for one in ask("doctor", code=1)] == [("python", True), ("settings", False)]
    monkeypatch.delenv("RINGFIRST_SENDER")
    assert [one["what"] for one in ask("doctor", code=1) if not one["ok"]] == ["store"]


# -- the front door ----------------------------------------------------------------------------------------------------
def test_help_comes_without_anything_heavy():
    heavy = {"sqlalchemy", "pydantic", "rich", "jinja2", "mjml", "engine.keeper"}
    code = "import sys\nfrom ringfirst.cli import main\ntry:\n    main(['--help'])\nfinally:\n    print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not heavy & set(out.splitlines()[-1].split())
    assert out.count("\n  ") >= 16


def test_every_command_has_words_of_help(run):
    from ringfirst.cli import WORDS

    for word in WORDS:
        assert run(word, "--help").stdout.startswith("Usage: ")
