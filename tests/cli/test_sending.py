"""``ringfirst send`` by SMTP and SendGrid: once, and on and on beside whoever owns the lanes."""

import os
import signal
import threading
import time
from contextlib import closing
from email import message_from_bytes
from types import SimpleNamespace

import pytest

from engine.errors import StoreError, UsageError
from engine.instants import DAY, MINUTE, iso, parse_instant
from engine.stores import open_store
from outreach.channel import DeliveryError
from outreach.channels.sendgrid import SendGridChannel
from outreach.round import LANES_STAND, SendReport
from ringfirst import leaving
from ringfirst.intake import now
from ringfirst.leaving import channel_of, pause_after, unheard, watch
from ringfirst.settings import read_settings
from tests.cli.given import BOOK, START, company, lines
from tests.fakes.sendgrid import KEY, FakeSendGrid, serving
from tests.outreach.given import SENDER, keep, planned


@pytest.fixture
def sends(place, by_mail):
    """A store with a mail that is due now, and the settings of a sender."""
    store = open_store(f"sqlite:///{place / 'ringfirst.db'}")
    at = now()
    orientation = {"orientation.starts_at": "2026-03-12T09:00:00Z"}
    fact = planned(at=at - MINUTE, due_at=at, expires_at=at + DAY, values=orientation, mail_class="transactional")
    keep(store, fact, clock=at)
    yield store
    store.close()


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not true():
        time.sleep(0.05)
    return true()


def test_send_gives_what_is_due_to_the_server_once(run, sends, mailbox):
    said = run("send").stdout
    assert said.startswith("1 mail for 1 decision by SMTP")
    assert run("send").stdout.startswith("0 mails")
    (found,) = mailbox.mails
    assert found.mail_from == "us@ringfirst.example"
    assert "A street 1, Town" in message_from_bytes(found.content).as_string()
    assert [row.state for row in sends.outreach()] == ["accepted"]


def test_a_server_that_is_away_is_said_and_the_mail_waits(run, sends, monkeypatch, mailbox):
    monkeypatch.setenv("RINGFIRST_SMTP", "127.0.0.1:1")
    said = run("send", code=2).stderr
    assert "ringfirst: smtp: 127.0.0.1:1 cannot be reached" in said
    assert [(row.state, row.why) for row in sends.outreach()] == [("queued", None)]


def test_with_an_outbox_named_mails_become_files(run, sends, place, mailbox):
    assert "in mails/" in run("send", "--outbox", "mails").stdout
    assert (len(list((place / "mails").glob("*.eml"))), mailbox.mails) == (1, [])


@pytest.mark.parametrize("more", ["--simulate", "--json", "--at=2026-03-01"])
def test_watching_goes_by_the_wall_clock(run, sends, more):
    assert "send --watch: goes on by the wall clock" in run("send", "--watch", more, code=2).stderr


def test_a_whole_history_mails_nobody_however_often_it_is_read_and_replayed(
    run, ask, place, by_mail, mailbox, monkeypatch
):
    """No reason in it is too old to be sent: it is only that all of it lies in the past."""
    book = (BOOK / "rules" / "small.yml").read_text()
    (place / "rules").mkdir()
    (place / "rules" / "small.yml").write_text(book.replace("    kind: ", "    max_age: 30d\n    kind: "))
    monkeypatch.setenv("RINGFIRST_RULES", str(place))
    shift = now() - 12 * DAY - START
    names = [f"customer-{number}" for number in range(20)]
    rows = [{**row, "time": iso((parse_instant(row["time"]) or 0) + shift)} for row in company(names)]
    (place / "history.jsonl").write_text(lines(rows))
    for again in range(2):
        told = ask("import", "history.jsonl")
        assert (told["decisions"], told["past"]) == ((0, 0) if again else (40, 40))
        assert run("send").stdout.startswith("0 mails")
        assert ask("replay", "--verify")["different"] == 0
        assert run("send").stdout.startswith("0 mails")
    assert mailbox.mails == []
    with closing(open_store(f"sqlite:///{place / 'ringfirst.db'}")) as store:
        assert min(row.expires_at for row in store.outreach()) > now(), "by their age all could still leave"
        assert {row.state for row in store.outreach()} == {"past"}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_sender_goes_on_until_it_is_asked_to_stop(process, sends, place, mailbox, how):
    sender = process("send", "--watch", "--alive", "alive")
    assert until(lambda: mailbox.mails)
    assert until((place / "alive").exists)
    at = now()
    keep(sends, planned(rule="another", at=at, due_at=at, expires_at=at + DAY, mail_class="transactional"), clock=at)
    assert until(lambda: len(mailbox.mails) == 2)
    os.kill(sender.pid, how)
    _, said = sender.communicate(timeout=10)
    assert sender.returncode == 0
    assert b"sending by smtp" in said
    assert b"@" not in said


@pytest.mark.slow
def test_a_sender_waits_for_the_clock_of_the_lane(process, sends, mailbox):
    at = now()
    soon = planned(rule="ahead", at=at, due_at=at + 2_000, expires_at=at + DAY, mail_class="transactional")
    keep(sends, soon, clock=at)
    sender = process("send", "--watch")
    assert until(lambda: len(mailbox.mails) == 1)
    time.sleep(5)
    assert len(mailbox.mails) == 1, "its time has come, but the lane's clock has not"
    keep(sends, clock=now(), accounts=["acme"])
    assert until(lambda: len(mailbox.mails) == 2)
    sender.terminate()
    sender.communicate(timeout=10)


def test_a_server_without_a_sender_s_name_is_refused(run, sends, monkeypatch):
    monkeypatch.delenv("RINGFIRST_SENDER")
    monkeypatch.delenv("RINGFIRST_POSTAL_ADDRESS")
    monkeypatch.setenv("RINGFIRST_SMTP_PASSWORD", "secret word")
    said = run("send", code=2).stderr
    for words in (
        "without who writes",
        "without where you are",
        "SMTP_PASSWORD: is set alone",
        "go over the wire as it is",
    ):
        assert words in said
    assert "secret word" not in said


@pytest.fixture
def by_sendgrid(sends, monkeypatch):
    """The same mail and sender, with a SendGrid in the place of the server."""
    monkeypatch.delenv("RINGFIRST_SMTP")
    monkeypatch.delenv("RINGFIRST_SMTP_SECURITY")
    with serving(FakeSendGrid()) as fake:
        monkeypatch.setenv("RINGFIRST_SENDGRID_KEY", KEY)
        monkeypatch.setenv("RINGFIRST_SENDGRID_URL", fake.url)
        yield fake


def test_send_gives_what_is_due_to_sendgrid_once(run, sends, by_sendgrid):
    assert run("send").stdout.startswith("1 mail for 1 decision by SendGrid")
    assert run("send").stdout.startswith("0 mails")
    assert by_sendgrid.ids() == [row.outreach_id for row in sends.outreach(states=["accepted"])]


def test_a_key_that_is_not_good_costs_no_mail_and_is_said(run, sends, by_sendgrid, monkeypatch):
    monkeypatch.setenv("RINGFIRST_SENDGRID_KEY", "SG.wrong")
    said = run("send", code=2).stderr
    assert "sendgrid: 401; the key is not good; look at RINGFIRST_SENDGRID_KEY" in said
    assert "SG.wrong" not in said
    assert [row.state for row in sends.outreach()] == ["queued"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SMTP", "smtp.acme.example:587", "mails leave one way; found RINGFIRST_SMTP beside it"),
        ("SENDGRID_KEY", "two\nlines", "it is no key; found signs"),
        ("SENDGRID_REGION", "mars", "RINGFIRST_SENDGRID_REGION: "),
        ("SENDGRID_URL", "http://api.sendgrid.com", "RINGFIRST_SENDGRID_URL: it is no place to post mails to"),
        ("SENDER", None, "RINGFIRST_SENDGRID_KEY: mails would leave without who writes"),
    ],
)
def test_settings_of_sendgrid_that_do_not_fit_are_refused(run, sends, by_sendgrid, monkeypatch, name, value, told):
    monkeypatch.setenv(f"RINGFIRST_{name}", value) if value else monkeypatch.delenv(f"RINGFIRST_{name}")
    said = run("send", code=2).stderr
    assert told in said
    assert KEY not in said
    assert by_sendgrid.requests == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"DKIM_KEY": "secret word"}, "RINGFIRST_DKIM_KEY: it and RINGFIRST_DKIM_SELECTOR go together"),
        ({"DKIM_SELECTOR": "s1"}, "RINGFIRST_DKIM_KEY: it and RINGFIRST_DKIM_SELECTOR go together"),
        ({"DKIM_KEY": "secret word", "DKIM_SELECTOR": "a b"}, "RINGFIRST_DKIM_SELECTOR: it is no selector"),
        (
            {"DKIM_KEY": "secret word", "DKIM_SELECTOR": "s1"},
            "signs what leaves by SMTP alone; found no RINGFIRST_SMTP",
        ),
    ],
)
def test_a_key_that_signs_needs_its_selector_and_a_server(more, told):
    with pytest.raises(UsageError) as refused:
        read_settings({f"RINGFIRST_{name}": value for name, value in more.items()})
    assert told in str(refused.value)
    assert "secret word" not in str(refused.value)


def test_a_sender_that_shall_sign_and_cannot_says_so_and_sends_nothing(run, sends, mailbox, monkeypatch):
    monkeypatch.setenv("RINGFIRST_DKIM_KEY", "secret word")
    monkeypatch.setenv("RINGFIRST_DKIM_SELECTOR", "s1")
    said = run("send", code=2).stderr
    assert "RINGFIRST_DKIM_KEY: " in said
    assert "secret word" not in said
    assert mailbox.mails == []


@pytest.mark.parametrize(("region", "host"), [("global", "api.sendgrid.com"), ("eu", "api.eu.sendgrid.com")])
def test_mails_go_to_the_region_of_the_account(region, host):
    found = read_settings(
        {
            "RINGFIRST_SENDGRID_KEY": KEY,
            "RINGFIRST_SENDGRID_REGION": region,
            "RINGFIRST_SENDER": "us@ringfirst.example",
            "RINGFIRST_POSTAL_ADDRESS": "A street 1, Town",
        }
    )
    channel = channel_of(found, SENDER, None)
    assert isinstance(channel, SendGridChannel)
    assert channel._account.host == f"https://{host}"


def test_a_channel_is_left_alone_for_as_long_as_it_asks():
    assert pause_after(DeliveryError("too many", "down", wait_seconds=77.0)) == 77.0
    assert pause_after(DeliveryError("away", "down")) == 30.0


def test_what_goes_wrong_is_said_once_and_that_it_goes_on(monkeypatch, caplog):
    monkeypatch.setattr("ringfirst.leaving.EVERY_SECONDS", 0.0)
    monkeypatch.setattr("ringfirst.leaving.AFTER_FAILURE_SECONDS", 0.0)
    caplog.set_level("INFO", "ringfirst.leaving")
    stopping = threading.Event()
    away = DeliveryError("smtp: it cannot be reached", "down")
    turns: list[Exception | int] = [away, away, StoreError("no store"), 0, 2, away]

    def once(at):
        turn = turns.pop(0)
        if not turns:
            stopping.set()
        if isinstance(turn, Exception):
            raise turn
        return SendReport(mails=turn)

    watch(once, stopping)
    assert [record.getMessage() for record in caplog.records] == [
        "smtp: it cannot be reached; it is tried again",
        "no store; it is tried again",
        "going on",
        "2 mails left",
        "smtp: it cannot be reached; it is tried again",
    ]


def test_a_watching_sender_says_what_keeps_mails_here_when_it_begins_and_when_it_is_over(caplog, monkeypatch):
    monkeypatch.setattr(leaving, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(leaving, "RESTS", 0)
    monkeypatch.setattr(leaving, "LOOK_SECONDS", 0.0)
    caplog.set_level("INFO")
    stopping, stands = threading.Event(), SendReport(waiting=1, reasons={LANES_STAND: 1})
    ours = DeliveryError("sendgrid: 401", "down", wait_seconds=0.0, ours=True)
    turns = [stands, stands, SendReport(), ours, SendReport()]
    troubles = iter(["no word of them", "still no word", None, None, None])

    def once(at):
        turn = turns.pop(0)
        if not turns:
            stopping.set()
        if isinstance(turn, Exception):
            raise turn
        return turn

    watch(once, stopping, lambda _: next(troubles))
    assert [record.getMessage() for record in caplog.records] == [
        f"mails wait; {LANES_STAND}",
        "no word of them",
        f"that is over: mails wait; {LANES_STAND}",
        "that is over: no word of them",
        "sendgrid: 401; nothing leaves until somebody mends that",
        "going on",
    ]


def test_mails_that_wait_beside_no_worker_say_so_and_what_to_do(run, sends):
    at = now() - 20 * MINUTE
    keep(sends, planned(rule="later", account="bolt", at=at, due_at=at, expires_at=at + DAY), clock=at)
    said = run("send").stdout
    assert "waiting          1" in said
    assert "start 'ringfirst worker' or 'ringfirst run', or import what came since" in said


def test_a_provider_that_is_silent_is_told_of_by_its_own_channel_alone(sends, monkeypatch):
    monkeypatch.setattr("outreach.doubts.silent", lambda store, name, at: 40 * MINUTE if name == "sendgrid" else 0)
    assert unheard(sends, SimpleNamespace(name="smtp"), now()) is None
    assert "the last 40 minutes" in (unheard(sends, SimpleNamespace(name="sendgrid"), now()) or "")


def test_a_fault_of_ours_is_not_swallowed():
    stopping = threading.Event()

    def once(at):
        stopping.set()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        watch(once, stopping)


def test_what_was_sent_is_given_back_to_the_byte(run, place, sends):
    run("send")
    with closing(open_store(f"sqlite:///{place / 'ringfirst.db'}")) as store:
        (row,) = store.outreach()
        kept = store.sent(row.outreach_id)
    assert kept is not None
    assert run("outreach", "show", row.outreach_id, "--eml").stdout_bytes == kept
    mail = message_from_bytes(kept)
    assert (row.state, mail["To"]) == ("accepted", "Ada Lindqvist <ada@acme.example>")
    assert "leave one of them out" in run("outreach", "show", row.outreach_id, "--eml", "--json", code=2).stderr


def test_of_a_mail_that_has_not_left_nothing_is_kept(run, place, sends, monkeypatch):
    monkeypatch.setenv("RINGFIRST_ONLY_TO", "elsewhere.example")
    run("send")
    with closing(open_store(f"sqlite:///{place / 'ringfirst.db'}")) as store:
        (row,) = store.outreach()
    assert "nothing is kept of it" in run("outreach", "show", row.outreach_id, "--eml", code=2).stderr


def test_a_rehearsal_has_a_folder_of_its_own_and_knows_who_is_never_written_to(run, sends, place):
    assert "outbox/rehearsal/" in run("send", "--simulate").stdout
    assert len(list((place / "outbox" / "rehearsal").glob("*.eml"))) == 1
    assert list((place / "outbox").glob("*.eml")) == [], "nobody takes a rehearsal for what left"
    assert "in elsewhere/" in run("send", "--simulate", "--outbox", "elsewhere").stdout
    sends.suppress(sends.key("address:ada@acme.example"), reason="bounced", at=now())
    said = run("send", "--simulate", "--outbox", "again").stdout
    assert said.startswith("0 mails")
    assert "bounced" in said
