"""``ringfirst outreach approve``, ``reject`` and ``edit``, as an approver types them."""

import shutil

import pytest

from engine.instants import DAY, MINUTE
from engine.stores import open_store
from ringfirst.intake import now
from tests.outreach.given import ADA, ROOT, keep, planned

RULE = "orientation-tomorrow"


@pytest.fixture
def store(place, monkeypatch):
    """A store with three mails that wait for a person, and the starter's templates."""
    shutil.copytree(ROOT / "rules", place / "book" / "rules")
    shutil.copytree(ROOT / "templates", place / "book" / "templates")
    monkeypatch.setenv("RINGFIRST_RULES", str(place / "book"))
    made = open_store(f"sqlite:///{place / 'ringfirst.db'}")
    at = now()
    facts = [
        planned(
            account=name,
            mode="review",
            at=at - MINUTE,
            due_at=at,
            expires_at=at + DAY,
            mail_class="transactional",
            values={"orientation.starts_at": "2026-03-12T09:00:00Z", "seats": seats},
        )
        for name, seats in (("acme", 3), ("bolt", 4), ("cord", 400))
    ]
    keep(made, *facts, people={"u1": ADA}, clock=at)
    yield made
    made.close()


def ids(store):
    return {row.account_id: row.outreach_id for row in store.outreach()}


def test_one_mail_is_shown_and_approved_and_leaves(run, store, place):
    one = ids(store)["acme"]
    shown = run("outreach", "show", one).stdout
    assert "as it would leave now:" in shown
    assert "ada@acme.example" in shown
    said = run("outreach", "approve", one, "--by", "ann", stdin="y\n").stdout
    assert "Subject: " in said
    assert "Hello Ada" in said
    assert "approved: 1 mail for 1 decision" in said
    assert "as it would be written anew (it leaves as it was approved):" in run("outreach", "show", one).stdout
    assert run("send").stdout.startswith("1 mail")
    assert "as it was approved:" in run("outreach", "show", one).stdout
    assert sorted(row.state for row in store.outreach()) == ["accepted", "in_review", "in_review"]


def test_who_approves_is_told_that_no_sender_is_set(run, store, monkeypatch):
    one, other = sorted(ids(store).values())[:2]
    assert "set RINGFIRST_SENDER" in run("outreach", "approve", one, "--yes").stderr
    monkeypatch.setenv("RINGFIRST_SENDER", "Acme <hello@acme.example>")
    monkeypatch.setenv("RINGFIRST_POSTAL_ADDRESS", "1 Street")
    assert "RINGFIRST_SENDER" not in run("outreach", "approve", other, "--yes").stderr


def test_who_says_no_has_approved_nothing(run, store):
    run("outreach", "approve", ids(store)["acme"], stdin="n\n", code=1)
    assert {row.state for row in store.outreach()} == {"in_review"}


def test_all_of_a_rule_with_count_sample_and_what_stands_out(run, store):
    said = run("outreach", "approve", "--rule", RULE, stdin="y\n").stdout
    assert "3 mails for 3 decisions; 3 mails of them above" in said
    assert "stands out: seats = 400 for cord; in the middle it is 4" in said
    assert said.count("Subject: ") == 3
    assert run("send").stdout.startswith("3 mails")


def test_only_what_was_seen_is_approved(run, ask, store):
    one = ids(store)["acme"]
    seen = ask("outreach", "show", one)["mail"]["digest"]
    refused = run("outreach", "approve", one, "--seen", "0" * 64, "--yes", code=2).stderr
    assert "the mail is another one by now" in refused
    answer = ask("outreach", "approve", one, "--seen", seen, "--yes")
    assert answer == {"approved": [{"outreach_id": one, "decisions": 1, "digest": seen}], "left": []}
    known = ask("outreach", "show", one)["approval"]
    assert (known["digest"], known["was"]) == (seen, None)


def test_a_mail_in_other_words(run, ask, store, place):
    one = ids(store)["acme"]
    (place / "letter.txt").write_text("Dear Ada,\n\nsee you tomorrow.\n")
    answer = ask("outreach", "edit", one, "--subject", "Tomorrow", "--text", "letter.txt", "--yes")
    assert answer["subject"] == "Tomorrow"
    assert answer["text"].startswith("Dear Ada,\n\nsee you tomorrow.\n")
    run("send")
    (mail,) = (place / "outbox").glob("*.eml")
    assert b"see you tomorrow" in mail.read_bytes()
    shown = run("outreach", "show", one).stdout
    assert "before it was changed:" in shown
    assert "Hello Ada" in shown


def test_the_editor_gets_subject_and_letter(run, store, place, monkeypatch):
    editor = place / "editor.sh"
    editor.write_text('#!/bin/sh\ncp "$1" seen.txt\nprintf "Short\\n\\nDear Ada, tomorrow.\\n" > "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    run("outreach", "edit", ids(store)["acme"], "--yes")
    seen = (place / "seen.txt").read_text()
    assert "Hello Ada" in seen
    assert "A street" not in seen, "the frame is not theirs to change"
    (known,) = store.approvals([ids(store)["acme"]]).values()
    assert (known.words["subject"], known.words["text"].splitlines()[0]) == ("Short", "Dear Ada, tomorrow.")


def test_a_rejected_mail_says_who_and_why(run, ask, store):
    one = ids(store)["acme"]
    assert ask("outreach", "reject", one, "--why", "they are on holiday", "--by", "ann") == {
        "rejected": [one],
        "too_late": [],
    }
    last = ask("outreach", "show", one)["changes"][-1]
    assert (last["after"], last["why"], last["by"]) == ("rejected", "they are on holiday", "ann")
    said = run("outreach", "reject", one, "--why", "again", code=1).stdout
    assert "it has left, or has ended already" in said
    assert "rejected: 2 mails" in run("outreach", "reject", "--rule", RULE, "--why", "x", "--yes").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["approve"], "found both or neither"),
        (["approve", "nothing"], "there is no such mail"),
        (["approve", "--rule", "another"], "no mail of 'another' waits"),
        (["reject", "--why", "x"], "no mail is meant"),
        (["edit", "nothing"], "there is no such mail"),
    ],
)
def test_what_names_no_mail_is_refused(run, store, words, said):
    assert said in run("outreach", *words, code=2).stderr


def test_a_mail_that_waits_for_nobody_is_refused(run, store):
    one = ids(store)["acme"]
    run("outreach", "approve", one, "--yes")
    assert "it does not wait for anybody; it is queued (approved)" in run("outreach", "approve", one, code=2).stderr


def test_a_mail_that_cannot_be_written_is_said_and_left(run, store):
    keep(store, planned(account="dune", mode="review", at=now(), due_at=now(), expires_at=now() + DAY, values={}))
    said = run("outreach", "approve", "--rule", RULE, "--yes", code=1)
    assert "1 mail cannot be written" in said.stderr
    assert "approved: 3 mails" in said.stdout
    assert "(dune): template misses orientation.starts_at" in said.stdout
