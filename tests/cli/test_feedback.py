"""``ringfirst feedback``: what comes back by mail, from the mail's bytes to what no longer leaves."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec
import pytest

from engine.feedback import Step
from engine.lanes import lane_of
from engine.store import Store
from engine.stores import open_store
from outreach.addresses import address_key
from outreach.links import Token, seal
from tests.outreach.given import ADA, DUE, keep, only, planned
from tests.outreach.test_incoming import OURS, dsn, mail
from tests.stores.made import claim_mail, move_mail


@pytest.fixture
def store(place):
    """A store with one mail that left under the Message-ID that the made mails answer."""
    made = open_store(f"sqlite:///{place / 'ringfirst.db'}")
    keep(made, planned())
    row = only(made)
    key = address_key(made.key, ADA["email"])
    claim_mail(made, [row.outreach_id], account_id="acme", person=key, since=0, at=DUE, by="test", may=lambda _: None)
    steps = [
        Step(outreach_id=row.outreach_id, before=("claimed",), after="posting"),
        Step(outreach_id=row.outreach_id, before=("posting",), after="accepted"),
    ]
    for step in steps:
        move_mail(made, [step], at=DUE, by="test", known={"message_id": OURS, "channel": "smtp"})
    yield made
    made.close()


def read(run, raw, **more):
    return {
        word: count
        for word, count in json.loads(run("feedback", "read", "--json", stdin=raw, **more).stdout).items()
        if count
    }


def suppressed(store: Store) -> str | None:
    return store.suppressed(address_key(store.key, ADA["email"]))


def told(store: Store):
    return [msgspec.json.decode(row.body) for row in store.inbox(lane_of("acme", store.lanes), after=0)]


def test_a_hard_bounce_suppresses_the_address_at_once_and_again_changes_nothing(store, run):
    for _ in range(2):
        assert read(run, dsn("5.1.1")) == {"bounced": 1}
    assert suppressed(store) == "bounced"
    (kept,) = store.feedback(limit=10)
    assert (kept.provider, kept.kind, kept.message_id, kept.mail_id) == ("mail", "bounced", OURS, only(store).mail_id)
    assert msgspec.json.decode(kept.body) == {"status": "5.1.1"}, "no words, no address"


@pytest.mark.parametrize(("status", "word"), [("5.2.2", "blocked"), ("5.7.1", "blocked"), ("4.4.7", "blocked")])
def test_what_did_not_arrive_this_time_suppresses_nobody(store, run, status, word):
    for number in range(4):
        assert read(run, dsn(status, said=f"no {number}")) == {word: 1}
    assert suppressed(store) is None
    assert len(store.feedback(limit=10)) == 4


def test_a_bounce_of_a_mail_that_is_not_ours_suppresses_nobody(store, run):
    strange = dsn("5.1.1", original="Message-ID: <guessed@ringfirst.example>")
    assert read(run, strange) == {"unknown": 1}
    assert read(run, dsn("5.1.1", original="X-Nothing: 1")) == {"unknown": 1}
    assert (suppressed(store), store.suppressions(), store.feedback(limit=1)) == (None, [], [])


def test_the_address_of_our_mail_is_suppressed_and_not_one_that_a_stranger_names(store, run):
    read(run, dsn("5.1.1").replace(b"ada@acme.example", b"eve@acme.example"))
    assert [one.address_key for one in store.suppressions()] == [address_key(store.key, ADA["email"])]


def test_a_complaint_suppresses_at_once(store, run):
    raw = dsn("").replace(b"report-type=delivery-status", b"report-type=feedback-report")
    assert read(run, raw.replace(b"message/delivery-status", b"message/feedback-report")) == {"complained": 1}
    assert suppressed(store) == "complained"


def test_an_answer_is_told_to_the_rules_once_and_its_words_are_not_kept(store, run):
    raw = mail("Re: hello", "my secret words", Date=format_datetime(datetime.now(tz=UTC)))
    for _ in range(2):
        assert read(run, raw) == {"replied": 1}
    one, two = told(store)
    assert one == two, "the lane takes an event of one id once"
    assert (one["type"], one["user_id"]) == ("outreach.replied", "u1")
    assert one["properties"]["by_reader"] is True
    assert [row.kind for row in store.feedback(limit=10)] == ["replied"]
    assert suppressed(store) is None
    assert b"secret" not in (msgspec.json.encode(told(store)) + store.feedback(limit=1)[0].body)


def test_an_answer_of_a_colleague_is_one_and_is_not_put_in_the_readers_mouth(store, run):
    read(run, mail("Re: hello", "I am Jo", From="jo@acme.example"))
    (one,) = told(store)
    assert (one["user_id"], one["properties"]["by_reader"]) == (None, False)


@pytest.mark.parametrize(
    ("words", "word", "left"), [("Back soon", "away", False), ("I have left the company", "left", True)]
)
def test_a_machines_answer_is_no_reply(store, run, words, word, left):
    assert read(run, mail("Automatic reply", words, Auto_Submitted="auto-replied")) == {word: 1}
    (one,) = told(store)
    assert (one["type"], one["properties"]["left"]) == ("outreach.auto_replied", left)
    assert (suppressed(store), store.feedback(limit=1)) == (None, [])


def test_a_mail_can_unsubscribe(store, run):
    key = address_key(store.key, ADA["email"])
    sealed = seal(Token(only(store).outreach_id, key, "tips"), store.key)
    assert read(run, mail(f"unsubscribe {sealed}", "", In_Reply_To="")) == {"unsubscribed": 1}
    assert store.wishes(key).choices == {"tips": "out"}
    assert read(run, mail(f"unsubscribe {sealed[:-4]}AAAA", "")) == {"unknown": 1}


def test_a_mail_server_keeps_a_mail_that_cannot_be_taken_in_now(place):
    words = [sys.executable, "-m", "ringfirst", "feedback", "read", "--store", f"sqlite:///{place / 'none.db'}"]
    done = subprocess.run(words, input=dsn("5.1.1"), capture_output=True, check=False, timeout=60)
    assert done.returncode == 75
    assert b"try again later" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.fixture
def box(place):
    for name in ("new", "cur", "tmp"):
        (place / "Maildir" / name).mkdir(parents=True)
    return place / "Maildir"


def test_a_maildir_is_read_and_its_mails_stay_unread_for_people(store, run, box):
    (box / "new" / "1.a.host").write_bytes(dsn("5.1.1"))
    (box / "new" / "2.b.host").write_bytes(mail("Re: hello", "Hi"))
    (box / "new" / "3.c.host").write_bytes(b"")
    found = json.loads(run("feedback", "maildir", box, "--json").stdout)
    assert (found["bounced"], found["replied"], found["unknown"]) == (1, 1, 1)
    assert sorted(path.name for path in (box / "cur").iterdir()) == ["1.a.host:2,", "2.b.host:2,", "3.c.host:2,"]
    assert list((box / "new").iterdir()) == []
    assert suppressed(store) == "bounced"
    assert "no Maildir" in run("feedback", "maildir", box / "new", code=2).output


@pytest.mark.slow
def test_a_maildir_is_watched_until_somebody_asks_to_stop(store, box, place):
    words = [sys.executable, "-m", "ringfirst", "feedback", "maildir", str(box), "--watch"]
    with subprocess.Popen([*words, "--store", store.url], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "reading" in process.stderr.readline()
        (box / "new" / "1.a.host").write_bytes(dsn("5.1.1"))
        assert "1 bounced" in process.stderr.readline()
        process.terminate()
        assert process.wait(timeout=10) == 0
    assert suppressed(store) == "bounced"
