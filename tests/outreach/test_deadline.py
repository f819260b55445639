"""No call to a channel takes longer than its deadline: not even where the other side answers, a byte now and then."""

import socket
import threading
import time

import pytest

from outreach.channel import DeliveryError
from outreach.channels import deadline, sendgrid, smtp
from outreach.channels.deadline import Deadlines
from outreach.channels.sendgrid import SendGridChannel
from outreach.channels.sendgrid_account import SendGridAccount
from outreach.channels.smtp import SmtpChannel
from outreach.channels.smtp_server import SmtpServer
from outreach.mail import build_mail
from outreach.rendering import Rendered
from tests.fakes.sendgrid import KEY
from tests.outreach.given import DUE, SENDER

MAIL = build_mail(
    Rendered("Hello", "Text", "<p>Text</p>"), SENDER, mail_id="a" * 32, rule="r", due_at=DUE, to="ada@acme.example"
)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(deadline, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(sendgrid, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(sendgrid, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(smtp, "ALL_SECONDS", 1.0)


@pytest.fixture
def drips():
    """A server that says the lines that it is given, each after one of ours, and then a byte now and then for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def start(*lines: bytes, then: bytes = b"a") -> int:
        def serve() -> None:
            with listener.accept()[0] as client:
                client.settimeout(5)
                for number, line in enumerate(lines):
                    if number or not line.startswith(b"220"):
                        client.recv(65_536)
                    client.sendall(line)
                while not over.wait(0.1):
                    try:
                        client.sendall(then)
                    except OSError:
                        return

        threading.Thread(target=serve, daemon=True).start()
        port: int = listener.getsockname()[1]
        return port

    yield start
    over.set()
    listener.close()


def refused(channel):
    began = time.monotonic()
    with channel.session(), pytest.raises(DeliveryError) as found:
        channel.deliver(MAIL)
    assert time.monotonic() - began < 4
    return found.value.verdict


def by_smtp(port):
    return SmtpChannel(SmtpServer(host="127.0.0.1", port=port, security="none"), SENDER.address)


def test_an_answer_over_http_that_drips_leaves_the_mail_in_doubt(drips):
    port = drips(b"HTTP/1.1 ", then=b"2")
    assert refused(SendGridChannel(SendGridAccount(key=KEY, host=f"http://127.0.0.1:{port}"))) == "in_doubt"


def test_a_refusal_whose_body_drips_is_cut(drips):
    port = drips(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100000\r\n\r\n{")
    assert refused(SendGridChannel(SendGridAccount(key=KEY, host=f"http://127.0.0.1:{port}"))) == "failed"


def test_a_yes_whose_body_drips_is_a_yes(drips):
    port = drips(b"HTTP/1.1 202 Accepted\r\nX-Message-Id: it\r\nContent-Length: 100000\r\n\r\n{")
    channel = SendGridChannel(SendGridAccount(key=KEY, host=f"http://127.0.0.1:{port}"))
    began = time.monotonic()
    with channel.session():
        assert channel.deliver(MAIL) == "it"
    assert time.monotonic() - began < 4


def test_a_greeting_that_drips_is_a_server_that_is_away(drips):
    assert refused(by_smtp(drips(b"220-welcome\r\n", then=b"220-again\r\n"))) == "down"


def test_an_answer_to_the_reader_that_drips_takes_no_mail(drips):
    assert refused(by_smtp(drips(b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250-", then=b"a"))) == "down"


def test_an_answer_to_a_mail_that_drips_leaves_it_in_doubt(drips):
    lines = b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n", b"250-"
    assert refused(by_smtp(drips(*lines))) == "in_doubt"


def test_what_is_in_time_is_left_alone_and_nobody_watches_over_nothing():
    ours, theirs = socket.socketpair()
    deadlines = Deadlines()
    with ours, theirs:
        with deadlines.within(0.3) as limit:
            limit.sock = ours
        time.sleep(0.6)
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"
        assert not deadlines._watching
        with deadlines.within(0.2) as limit:
            limit.sock = ours
            assert ours.recv(1) == b"", "cut off while it is waited for"
