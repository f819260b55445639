"""Mails sent by hand: marked, counted nowhere, to whom they may go; and what is read from one that arrived."""

from contextlib import closing
from email import message_from_bytes
from email.policy import default

import pytest

from engine.instants import DAY, MINUTE
from engine.stores import open_store
from outreach.links import TRIAL_TOPIC, unseal
from ringfirst.intake import now
from tests.cli.given import BOOK
from tests.outreach.given import keep, planned

OURS = "mara@ringfirst.example"
ARRIVED = b"""\
Delivered-To: you@there.example
Authentication-Results: mx.there.example;
 dkim=pass header.i=@ringfirst.example header.s=s1;
 spf=pass (there.example: domain of us@ringfirst.example designates 192.0.2.1) smtp.mailfrom=us@ringfirst.example;
 dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=ringfirst.example
Authentication-Results: mx.liar.example; dkim=fail; spf=fail; dmarc=fail
DKIM-Signature: v=1; a=rsa-sha256; d=ringfirst.example; s=s1;
 h=from:to:subject:list-unsubscribe:list-unsubscribe-post; bh=x; b=y
From: Us <us@ringfirst.example>
To: you@there.example
Subject: [test] x
List-Unsubscribe: <https://mails.ringfirst.example/u/abc>, <mailto:stop@ringfirst.example>
List-Unsubscribe-Post: List-Unsubscribe=One-Click

Text
"""


@pytest.fixture
def by_mail(by_mail, monkeypatch):
    """The sender's mails carry links too."""
    monkeypatch.setenv("RINGFIRST_PUBLIC_URL", "https://mails.ringfirst.example")


@pytest.fixture
def store(place, run):
    """A store with the small rulebook active, and a decision of an account that has a mail."""
    import shutil

    from ringfirst.rulebooks import starter

    shutil.copytree(BOOK, place / "book")
    shutil.rmtree(place / "book" / "templates", ignore_errors=True)
    shutil.copytree(starter() / "templates", place / "book" / "templates")
    with closing(open_store(f"sqlite:///{place / 'ringfirst.db'}")) as made:
        at = now()
        values = {"orientation.starts_at": "2026-03-12T09:00:00Z"}
        keep(made, planned(at=at - MINUTE, due_at=at, expires_at=at + DAY, values=values), clock=at)
        yield made


def got(mailbox):
    (found,) = mailbox.mails
    return message_from_bytes(found.content, policy=default), found.rcpt_tos


def test_a_test_of_a_template_is_marked_everywhere_and_counts_for_nothing(run, store, by_mail, mailbox):
    before = (store.outreach(), store.contacts("acme", "", since=0))
    said = run("templates", "send-test", "we-miss-you", "--to", "you@there.example", "--rules", "book")
    mail, readers = got(mailbox)
    assert readers == ["you@there.example"]
    assert mail["Subject"].startswith("[test] ")
    assert said.stdout.strip() == mail["Subject"]
    assert mail["List-Unsubscribe"].startswith("<https://mails.ringfirst.example/u/")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "https://mails.ringfirst.example/p/" in mail.get_body(("plain",)).get_content()
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert "This is a test of the template we-miss-you, sent by hand." in " ".join(part.get_content().split())
    assert (store.outreach(), store.contacts("acme", "", since=0)) == before


def test_it_is_the_mail_that_the_account_would_read(run, store, by_mail, mailbox, monkeypatch):
    monkeypatch.setattr("ringfirst.commands.options.active_book", lambda _: book())
    run("templates", "send-test", "orientation-tomorrow", "--to", OURS, "--account", "acme", "--rules", "book")
    mail, readers = got(mailbox)
    assert readers == [OURS]
    assert mail["Subject"] == "[test] Thursday, 09:00 UTC: your orientation"
    assert "Hello Ada," in mail.get_body(("plain",)).get_content()
    token = unseal(mail["List-Unsubscribe"].partition("/u/")[2].partition(">")[0], store.key)
    assert token is not None
    assert token.topic == TRIAL_TOPIC, "a test stops nothing of what is real"


def test_a_test_that_can_carry_no_way_out_says_so(run, store, by_mail, mailbox, monkeypatch):
    words = ("templates", "send-test", "we-miss-you", "--to", "you@there.example", "--rules", "book")
    assert "signed with the store's secret" in run(*words, "--store", "sqlite:///gone.db").stderr
    monkeypatch.delenv("RINGFIRST_PUBLIC_URL")
    assert "set RINGFIRST_PUBLIC_URL" in run(*words).stderr
    assert [message_from_bytes(one.content)["List-Unsubscribe"] for one in mailbox.mails] == [None, None]


def book():
    from types import SimpleNamespace

    from tests.outreach.given import POLICY

    return SimpleNamespace(policy=POLICY)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--to", "nobody"], "is no address"),
        (["--to", "you@there.example", "--account", "acme"], "go to our own people alone"),
        (["--to", "you@there.example", "--variant", "fr"], "it has no variant 'fr'"),
        (["--to", OURS, "--account", "acme", "--variant", "de"], "leave it out"),
    ],
)
def test_what_may_not_be_sent_is_refused_and_nothing_leaves(run, store, by_mail, mailbox, words, told):
    said = run("templates", "send-test", "orientation-tomorrow", *words, "--rules", "book", code=2)
    assert told in said.stderr
    assert mailbox.mails == []


def test_an_account_without_such_a_decision_is_told_who_has_one(run, store, by_mail, mailbox, monkeypatch):
    monkeypatch.setattr("ringfirst.commands.options.active_book", lambda _: book())
    words = ("templates", "send-test", "orientation-tomorrow", "--to", OURS, "--account", "zenith", "--rules", "book")
    assert "no decision of it used orientation-tomorrow; found none; it was for acme" in run(*words, code=2).stderr


def test_the_allow_list_holds_for_tests_too(run, store, by_mail, mailbox, monkeypatch):
    monkeypatch.setenv("RINGFIRST_ONLY_TO", "ringfirst.example")
    for words in (["templates", "send-test", "we-miss-you", "--to"], ["doctor", "--send-test"]):
        more = ["--rules", "book"] if words[0] == "templates" else []
        assert "RINGFIRST_ONLY_TO names ringfirst.example alone" in run(*words, "a@b.example", *more, code=2).stderr
    assert mailbox.mails == []


def test_the_way_is_tried_by_a_mail_with_all_that_a_customers_mail_carries(run, store, by_mail, mailbox):
    assert run("doctor", "--send-test", "you@there.example").stdout == "sent by SMTP\n"
    mail, readers = got(mailbox)
    assert readers == ["you@there.example"]
    assert mail["Subject"] == "[test] The way mails take"
    assert mail["List-Unsubscribe"].startswith("<https://mails.ringfirst.example/u/")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "A street 1, Town" in mail.get_body(("plain",)).get_content()
    assert [row.state for row in store.outreach()] == ["queued"]


def test_without_a_sender_nothing_is_tried(run, store):
    assert "RINGFIRST_SENDER; set it" in run("doctor", "--send-test", "you@there.example", code=2).stderr


def read(ask, place, raw, code=0):
    (place / "arrived.eml").write_bytes(raw)
    return {one["what"]: (one["ok"], one["found"]) for one in ask("doctor", "--read-test", "arrived.eml", code=code)}


def test_a_mail_that_arrived_well_is_said_to_have(ask, run, place, by_mail):
    found = read(ask, place, ARRIVED)
    assert list(found) == ["from", "spf", "dkim", "dmarc", "unsubscribe link", "one click", "signed"]
    assert all(ok for ok, _ in found.values())
    assert found["spf"] == (True, "pass")


@pytest.mark.parametrize(
    ("old", "new", "what", "told"),
    [
        (b"spf=pass", b"spf=softfail", "spf", "softfail; name the servers"),
        (b"dkim=pass", b"dkim=none", "dkim", "none; let the mail server or SendGrid sign"),
        (b"dmarc=pass", b"dmarc=fail (dmarc=pass)", "dmarc", "fail; publish a DMARC record"),
        (b" dkim=pass", b" arc=pass (i=1 dkim=pass);", "dkim", "the server that took it says nothing of it"),
        (b"From: Us <us@", b"From: Us <other@", "from", "RINGFIRST_SENDER is us@ringfirst.example"),
        (b"<https://mails", b"<http://mails", "unsubscribe link", "no https link in List-Unsubscribe"),
        (b"Post: List-Unsubscribe=One-Click", b"Post: yes", "one click", "no List-Unsubscribe-Post"),
        (b":list-unsubscribe-post;", b";", "signed", "no DKIM signature covers them"),
    ],
)
def test_what_is_wrong_with_it_comes_with_what_to_do(ask, place, by_mail, old, new, what, told):
    found = read(ask, place, ARRIVED.replace(old, new, 1), code=1)
    assert [name for name, (ok, _) in found.items() if not ok] == [what]
    assert told in found[what][1]


def test_the_word_of_another_server_than_the_last_counts_for_nothing(ask, place, by_mail):
    lines = ARRIVED.replace(b"Authentication-Results: mx.there.example;", b"X-Old: x;", 1)
    found = read(ask, place, lines, code=1)
    assert [found[name][0] for name in ("spf", "dkim", "dmarc")] == [False, False, False]


def test_what_is_no_mail_is_said(run, place):
    (place / "x.eml").write_bytes(b"nothing\n")
    assert "this is no mail" in run("doctor", "--read-test", "x.eml", code=2).stderr
    assert "cannot be read" in run("doctor", "--read-test", "gone.eml", code=2).stderr
    assert "leave it out" in run("doctor", "--send-test", "a@b.example", "--json", code=2).stderr
