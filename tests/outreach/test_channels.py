"""One contract for every way a mail can go: a folder, memory, a real SMTP server, and SendGrid."""

import re
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from engine.instants import parse_instant
from outreach.channel import Channel, DeliveryError
from outreach.channels.file import FileChannel
from outreach.channels.memory import MemoryChannel
from outreach.channels.sendgrid import SendGridChannel
from outreach.channels.sendgrid_account import SendGridAccount
from outreach.channels.smtp import SmtpChannel
from outreach.channels.smtp_server import SmtpServer
from outreach.mail import Outgoing, build_mail, message_id
from outreach.rendering import Rendered
from tests.fakes.sendgrid import KEY, FakeSendGrid, serving
from tests.mailbox import Box
from tests.mailbox import serving as smtp_serving
from tests.outreach.given import ROOT, SENDER

DUE = parse_instant("2026-03-12T08:00:00Z") or 0
ID = "0123456789abcdef0123456789abcdef"
LONG = "x" * 3000
Arrived = dict[str, Any]


class Place:
    """A channel, what came out at its other end, and a channel of the same kind that leads nowhere."""

    def __init__(self, channel: Channel, arrived: Callable[[], list[Arrived]], nowhere: Channel | None) -> None:
        self.channel, self.arrived, self.nowhere = channel, arrived, nowhere


def a_mail(number: int = 0, **more: Any) -> Outgoing:
    words = Rendered("Grüße, ein Betreff", f"Text é\n{LONG}\n", "<p>HTML é</p>\n")
    return build_mail(
        more.pop("words", words),
        more.pop("sender", SENDER),
        mail_id=f"{int(ID, 16) + number:032x}",
        rule="orientation tomorrow/2",
        due_at=DUE,
        to=more.pop("to", "ada@acme.example"),
        to_name=more.pop("to_name", "Ada; Lindqvist, PhD"),
    )


def _of_bytes(raw: bytes) -> Arrived:
    message = message_from_bytes(raw, policy=default)
    parts = [part.get_content().replace("\r\n", "\n") for part in message.iter_parts()]
    names = "From", "To", "Reply-To", "Subject", "Message-ID", "List-Id", "Auto-Submitted"
    return {"parts": parts, **{name: str(message[name]) for name in names}}


def _of_payload(payload: dict[str, Any]) -> Arrived:
    def shown(one: dict[str, str]) -> str:
        return f"{one['name']} <{one['email']}>" if "name" in one else one["email"]

    (personal,) = payload["personalizations"]
    (to,) = personal["to"]
    headers = {name: payload["headers"][name] for name in ("Message-ID", "List-Id", "Auto-Submitted")}
    addresses = {"From": shown(payload["from"]), "To": shown(to), "Reply-To": shown(payload["reply_to"])}
    return {
        "parts": [one["value"] for one in payload["content"]],
        "Subject": payload["subject"],
        **addresses,
        **headers,
    }


def of_the_page() -> dict[str, Any]:
    """What the page on channels writes, as it stands there."""
    page = (ROOT / "docs" / "how-to" / "add-a-channel.md").read_text()
    (source,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    found: dict[str, Any] = {}
    exec(compile(source, "add-a-channel.md", "exec"), found)
    return found


def sendmail(folder: Path, end: str = "exit 0") -> Path:
    """A program that keeps what it gets, and ends as it is told."""
    program = folder / "sendmail"
    program.write_text(f'#!/bin/sh\ncat > "{folder}/mail-$(date +%s%N)"\n{end}\n')
    program.chmod(0o755)
    return program


@pytest.fixture(params=["memory", "file", "smtp", "sendgrid", "the page's own"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "memory":
        memory = MemoryChannel()
        yield Place(memory, lambda: [_of_bytes(one.raw) for one in memory.mails], None)
    elif request.param == "file":
        (tmp_path / "file").write_text("stands in the way")
        files = lambda: [_of_bytes(one.read_bytes()) for one in sorted(tmp_path.glob("*.eml"))]  # noqa: E731
        yield Place(FileChannel(tmp_path), files, FileChannel(tmp_path / "file"))
    elif request.param == "smtp":
        box = Box()
        with smtp_serving(lambda: SMTP(box, hostname="mx.test")) as port:
            there, gone = (SmtpServer(host="127.0.0.1", port=one, security="none") for one in (port, 1))
            arrived = lambda: [_of_bytes(one.content) for one in box.mails]  # noqa: E731
            yield Place(SmtpChannel(there, SENDER.address), arrived, SmtpChannel(gone, SENDER.address))
    elif request.param == "the page's own":
        channel = of_the_page()["SendmailChannel"]
        yield Place(
            channel(str(sendmail(tmp_path)), SENDER.address),
            lambda: [_of_bytes(one.read_bytes()) for one in sorted(tmp_path.glob("mail-*"))],
            channel(str(tmp_path / "nothing"), SENDER.address),
        )
    else:
        with serving(FakeSendGrid()) as fake:
            arrived = lambda: [_of_payload(one) for one in fake.taken.values()]  # noqa: E731
            ours, nobody = (SendGridAccount(key=KEY, host=one) for one in (fake.url, "http://127.0.0.1:1"))
            yield Place(SendGridChannel(ours), arrived, SendGridChannel(nobody))


def test_a_mail_arrives_whole_with_its_reader_its_words_and_its_headers(place: Place) -> None:
    with place.channel.session():
        place.channel.deliver(a_mail())
    assert place.arrived() == [
        {
            "parts": [f"Text é\n{LONG}\n", "<p>HTML é</p>\n"],
            "Subject": "Grüße, ein Betreff",
            "From": "Ringfirst <hello@ringfirst.example>",
            "To": "Ada Lindqvist PhD <ada@acme.example>",
            "Reply-To": "people@ringfirst.example",
            "Message-ID": message_id(ID, SENDER),
            "List-Id": "<orientation-tomorrow-2.ringfirst.example>",
            "Auto-Submitted": "auto-generated",
        }
    ]


def test_many_mails_of_a_run_arrive_each_once(place: Place) -> None:
    with place.channel.session():
        for number in range(20):
            place.channel.deliver(a_mail(number))
    assert sorted(one["Message-ID"] for one in place.arrived()) == sorted(a_mail(n).message_id for n in range(20))


def test_a_channel_can_be_used_again_after_a_run(place: Place) -> None:
    for number in range(2):
        with place.channel.session():
            place.channel.deliver(a_mail(number))
    assert len(place.arrived()) == 2


def test_only_a_local_channel_knows_what_it_has_taken_and_takes_it_once(place: Place) -> None:
    with place.channel.session():
        assert not place.channel.has(ID)
        place.channel.deliver(a_mail())
        assert place.channel.has(ID) == place.channel.local
        if place.channel.local:
            place.channel.deliver(a_mail())
    assert len(place.arrived()) == 1


def test_a_name_that_is_no_name_is_left_out_and_the_mail_arrives(place: Place) -> None:
    with place.channel.session():
        place.channel.deliver(a_mail(to_name="Ada\r\nBcc: eve@evil.example"))
    assert [one["To"] for one in place.arrived()] == ["ada@acme.example"]


def test_its_name_is_one_word_that_can_stand_in_a_report(place: Place) -> None:
    assert place.channel.name.replace("-", "").isalnum()


def test_where_nobody_is_the_mail_has_surely_not_left_and_no_address_is_told(place: Place) -> None:
    if place.nowhere is None:
        pytest.skip("memory is always there")
    with pytest.raises(DeliveryError) as caught, place.nowhere.session():
        place.nowhere.deliver(a_mail())
    assert caught.value.verdict in {"down", "later"}
    assert "ada@" not in str(caught.value)
    assert "acme" not in str(caught.value)


@pytest.mark.parametrize(("end", "verdict"), [("exit 75", "later"), ("exit 67", "failed"), ("kill -9 $$", "in_doubt")])
def test_the_channel_of_the_page_says_what_is_known_of_a_mail(tmp_path: Path, end: str, verdict: str) -> None:
    channel = of_the_page()["SendmailChannel"](str(sendmail(tmp_path, end)), SENDER.address)
    with pytest.raises(DeliveryError) as caught:
        channel.deliver(a_mail())
    assert caught.value.verdict == verdict
