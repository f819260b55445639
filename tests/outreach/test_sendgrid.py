"""Mails over SendGrid: what is known of one after every answer, what is posted, and that none leaves twice."""

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from engine.instants import MINUTE
from outreach.channel import DeliveryError
from outreach.channels import sendgrid
from outreach.channels.sendgrid import SendGridChannel, payload
from outreach.channels.sendgrid_account import SendGridAccount
from outreach.rendering import Rendered
from outreach.sender import send_due
from tests.fakes.sendgrid import KEY, FakeSendGrid, faults, serving
from tests.outreach.given import DUE, POLICY, SENDER, keep, only, planned
from tests.outreach.test_channels import ID, a_mail


@pytest.fixture
def fake() -> Iterator[FakeSendGrid]:
    with serving(FakeSendGrid()) as made:
        yield made


def channel_to(fake: FakeSendGrid, *, key: str = KEY) -> SendGridChannel:
    return SendGridChannel(SendGridAccount(key=key, host=fake.url))


def delivered(fake: FakeSendGrid, mail: Any = None) -> str | None:
    channel = channel_to(fake)
    with channel.session():
        return channel.deliver(mail or a_mail())


def refused(fake: FakeSendGrid, mail: Any = None) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        delivered(fake, mail)
    assert "ada@" not in str(caught.value)
    assert KEY not in str(caught.value)
    return caught.value


def test_a_yes_comes_with_the_id_under_which_the_mail_is_known_there(fake: FakeSendGrid) -> None:
    assert delivered(fake) == next(iter(fake.taken))


def test_the_mails_of_a_run_share_a_connection(fake: FakeSendGrid) -> None:
    channel = channel_to(fake)
    with channel.session():
        for number in range(10):
            channel.deliver(a_mail(number))
    assert (len(fake.taken), len(fake.connections)) == (10, 1)


def test_what_is_posted_follows_nobody_and_carries_our_id_as_text(fake: FakeSendGrid) -> None:
    delivered(fake)
    (found,) = fake.taken.values()
    assert faults(found) == []
    assert found["custom_args"] == {"x_outbox_id": ID}
    assert found["categories"] == ["orientation-tomorrow-2"]
    assert {name: one["enable"] for name, one in found["tracking_settings"].items()} == {
        "click_tracking": False,
        "open_tracking": False,
        "subscription_tracking": False,
    }


@pytest.mark.parametrize(
    ("mode", "verdict", "taken", "told"),
    [
        ("400", "failed", 0, "sendgrid: it refused the mail (400)"),
        ("404", "failed", 0, "sendgrid: it refused the mail (404)"),
        ("413", "failed", 0, "sendgrid: it refused the mail (413)"),
        ("401", "down", 0, "sendgrid: 401; the key is not good; look at RINGFIRST_SENDGRID_KEY"),
        ("403", "down", 0, "look at RINGFIRST_SENDER"),
        ("451", "down", 0, "look at RINGFIRST_SENDGRID_REGION"),
        ("429", "down", 0, "too many mails in a short time"),
        ("503", "down", 0, "sendgrid: it is not available (503)"),
        ("503-plain", "in_doubt", 0, "(503)"),
        ("500-before", "in_doubt", 0, "neither yes nor no (500)"),
        ("500-after", "in_doubt", 1, "neither yes nor no (500)"),
        ("502", "in_doubt", 0, "(502)"),
        ("504", "in_doubt", 0, "(504)"),
        ("redirect", "in_doubt", 0, "(307)"),
        ("200", "in_doubt", 0, "(200)"),
        ("drop-before", "in_doubt", 0, "no answer to the mail"),
        ("drop-after", "in_doubt", 1, "no answer to the mail"),
    ],
)
def test_what_sendgrid_answers_is_what_is_known(
    fake: FakeSendGrid, mode: Any, verdict: str, taken: int, told: str
) -> None:
    fake.mode = lambda _: mode
    found = refused(fake)
    assert found.verdict == verdict
    assert told in str(found)
    assert (len(fake.taken), fake.requests) == (taken, 1), "asked once, whatever the answer is"
    assert found.ours == (mode in {"401", "403", "451"})


def test_an_answer_that_takes_too_long_leaves_the_mail_in_doubt(
    fake: FakeSendGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sendgrid, "ANSWER_SECONDS", 0.3)
    fake.mode = lambda _: "slow-after"
    found = refused(fake)
    assert (found.verdict, str(found)) == ("in_doubt", "sendgrid: no answer to the mail; it took too long")


@pytest.mark.parametrize("told", ["{}", "now", "", "-5"])
def test_a_limit_is_waited_for_as_it_says_and_never_for_long(fake: FakeSendGrid, told: str) -> None:
    fake.mode, fake.reset = lambda _: "429", told.format(int(time.time()) + 20)
    found = refused(fake).wait_seconds or 0
    assert (18 <= found <= 25) if told == "{}" else (30 <= found <= 60)
    fake.reset = str(int(time.time()) + 99_999)
    assert 600 <= (refused(fake).wait_seconds or 0) <= 720


def test_a_proxy_that_says_when_to_come_back_is_heard(fake: FakeSendGrid) -> None:
    fake.mode, fake.reset, fake.reset_by = (lambda _: "429"), "90", "Retry-After"
    assert 90 <= (refused(fake).wait_seconds or 0) <= 108


def test_what_a_refusal_names_is_told_without_its_words(fake: FakeSendGrid) -> None:
    found = refused(fake, msgspec.structs.replace(a_mail(), subject=""))
    assert (found.verdict, str(found)) == ("failed", "sendgrid: it refused the mail (400); it names subject")


def test_a_host_that_cannot_be_trusted_gets_no_mail(fake: FakeSendGrid) -> None:
    channel = SendGridChannel(SendGridAccount(key=KEY, host=fake.url.replace("http:", "https:")))
    with pytest.raises(DeliveryError) as caught:
        channel.deliver(a_mail())
    assert caught.value.verdict == "down"
    assert fake.requests == 0


def test_a_connection_that_was_closed_meanwhile_carries_no_mail() -> None:
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(3):
                client, _ = listener.accept()
                with client, client.makefile("rb") as told:
                    asked.append(told.readline())
                    length = next(int(line.split(b":")[1]) for line in told if line.startswith(b"Content-Length"))
                    while told.readline() != b"\r\n":
                        pass
                    told.read(length)
                    client.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nX-Message-Id: m\r\n\r\n")

        server = threading.Thread(target=serve)
        server.start()
        channel = SendGridChannel(SendGridAccount(key=KEY, host=f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with channel.session():
            for number in range(1, 4):
                assert channel.deliver(a_mail()) == "m"
                while len(asked) < number:
                    time.sleep(0.01)
                time.sleep(0.05)  # the server closes after its answer, and does not say so
        server.join()
    assert asked == [b"POST /v3/mail/send HTTP/1.1\r\n"] * 3


def test_a_key_that_cannot_be_written_leaves_no_mail_in_doubt(fake: FakeSendGrid) -> None:
    channel = SendGridChannel(SendGridAccount(key="SG.a\nb", host=fake.url))
    with channel.session(), pytest.raises(DeliveryError) as caught:
        channel.deliver(a_mail())
    assert (caught.value.verdict, fake.requests) == ("down", 0)


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as client, contextlib.suppress(OSError):
                client.recv(65_536)
                client.sendall(b"HTTP/1.1 202 Accepted\r\nX-Message-Id: m\r\nTransfer-Encoding: chunked\r\n\r\n")
                while True:
                    client.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")

        server = threading.Thread(target=serve)
        server.start()
        channel = SendGridChannel(SendGridAccount(key=KEY, host=f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with channel.session():
            assert channel.deliver(a_mail()) == "m"
        server.join()


def test_a_text_with_a_key_in_it_is_not_posted_and_not_told() -> None:
    words = Rendered("S", "SG.abc.def and more\n", "<p>Words.</p>\n")
    with pytest.raises(DeliveryError) as caught:
        payload(a_mail(words=words))
    assert caught.value.verdict == "failed"
    assert "SG.abc" not in str(caught.value)


def test_neither_key_nor_address_stands_in_any_log(fake: FakeSendGrid, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        delivered(fake)
    assert KEY not in caplog.text
    assert "ada@" not in caplog.text


def test_what_the_fake_objects_to_is_what_the_api_objects_to() -> None:
    good = json.loads(json.dumps(payload(a_mail())))
    assert faults(good) == []
    wrong: list[dict[str, Any]] = [
        {"custom_args": {"x": 1}},
        {"headers": {"To": "eve@evil.example"}},
        {"subject": ""},
        {"from": {"email": "hé@ringfirst.example"}},
        {"content": []},
        {"content": [{"type": "text/html", "value": "x"}, {"type": "text/plain", "value": "x"}]},
        {"categories": [str(n) for n in range(11)]},
        {"personalizations": []},
        {"personalizations": [{"to": [{"email": "ada@acme.example", "name": "a, b"}]}]},
    ]
    assert all(faults({**good, **one}) for one in wrong)


# -- the sender on it --------------------------------------------------------------------------------------------------
def sent(store: Any, templates: Any, fake: FakeSendGrid, *, at: int = DUE, **more: Any) -> Any:
    return send_due(store, templates, channel_to(fake), sender=SENDER, at=at, by="test", policy=POLICY, **more)


def test_a_decision_becomes_a_mail_once(store: Any, templates: Any, fake: FakeSendGrid) -> None:
    keep(store, planned())
    assert sent(store, templates, fake).mails == 1
    assert sent(store, templates, fake, at=DUE + MINUTE).mails == 0
    assert fake.ids() == [only(store).outreach_id]
    assert only(store).state == "accepted"


@pytest.mark.parametrize("mode", ["401", "403", "429", "503"])
def test_a_channel_that_takes_nothing_costs_no_mail_and_is_asked_once(
    store: Any, templates: Any, fake: FakeSendGrid, mode: Any
) -> None:
    keep(store, *(planned(rule="one", account=name) for name in ("acme", "bolt", "corn")))
    fake.mode = lambda _: mode
    with pytest.raises(DeliveryError):
        sent(store, templates, fake)
    assert fake.requests == 1
    assert {row.state for row in store.outreach()} == {"queued"}
    fake.mode = lambda _: "ok"
    later = DUE + 6 * MINUTE
    keep(store, accounts=["acme", "bolt", "corn"], clock=later)
    assert sent(store, templates, fake, at=later).mails == 3
    assert len(fake.ids()) == len(set(fake.ids())) == 3
