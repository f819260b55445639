"""Mails as bytes, and the files and addresses they go to."""

import time
from binascii import b2a_qp
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import TemplateError
from engine.instants import parse_instant, to_datetime
from outreach.addresses import address_key, clean_address, is_staff
from outreach.channel import DeliveryError
from outreach.channels.file import FileChannel, file_name
from outreach.channels.memory import MemoryChannel
from outreach.flowed import flow
from outreach.links import Links
from outreach.mail import build_mail, message_id
from outreach.mime import POLICY, _quoted
from outreach.rendering import Rendered
from tests.outreach.given import SENDER, part_of

DUE = parse_instant("2026-03-12T08:00:00Z") or 0
WORDS = Rendered("Grüße, ein Betreff", "Text é\n" + "x" * 3000 + "\n", "<p>HTML é</p>\n")
ID = "0123456789abcdef0123456789abcdef"


def built(rendered=WORDS, **more):
    return build_mail(
        rendered,
        SENDER,
        mail_id=more.pop("mail_id", ID),
        rule="orientation tomorrow/2",
        due_at=DUE,
        to="ada@acme.example",
        **more,
    )


def test_a_mail_is_text_first_then_html_with_its_headers_and_always_the_same_bytes():
    mail = built(to_name="Ada; Lindqvist, PhD")
    assert mail.raw == built(to_name="Ada; Lindqvist, PhD").raw
    message = message_from_bytes(mail.raw, policy=default)
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message.get_content_type() == "multipart/alternative"
    assert {name: str(message[name]) for name in message.keys() if name != "Content-Type"} == {  # noqa: SIM118
        "Message-ID": message_id(ID, SENDER),
        "Date": "Thu, 12 Mar 2026 08:00:00 +0000",
        "From": "Ringfirst <hello@ringfirst.example>",
        "To": "Ada Lindqvist PhD <ada@acme.example>",
        "Reply-To": "people@ringfirst.example",
        "Subject": "Grüße, ein Betreff",
        "List-Id": "<orientation-tomorrow-2.ringfirst.example>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "MIME-Version": "1.0",
    }
    assert part_of(mail.raw) == WORDS.text
    assert part_of(mail.raw, "html") == WORDS.html
    assert mail.raw.isascii(), "seven bits reach every server"
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 998, "RFC 5322, 2.1.1"
    assert b"\n" not in mail.raw.replace(b"\r\n", b"")


def by_the_book(mail):
    """The same mail by the standard library alone: slow, and the judge of ours."""
    message = EmailMessage(policy=POLICY)
    message["Message-ID"] = mail.message_id
    message["Date"] = format_datetime(to_datetime(mail.due_at))
    message["From"] = Address(display_name=mail.sender_name, addr_spec=mail.sender)
    message["To"] = Address(display_name=mail.to_name, addr_spec=mail.to)
    message["Reply-To"] = [Address(addr_spec=one) for one in mail.reply_to]
    message["Subject"] = mail.subject
    for name, value in mail.headers:
        message[name] = value
    message["MIME-Version"] = "1.0"
    return message.as_bytes().removesuffix(b"\r\n")


_odd = st.text(st.sampled_from("aZ9 .,;:<>()[]@\\\"'=?_-+é\u05d0\U0001f600"), max_size=40)
_kinds = st.one_of(
    _odd, st.text(max_size=40), st.just("x" * 140), st.sampled_from(["a  b", " a", "a ", "=?x", "Re: a"])
)


@given(name=_kinds, subject=_kinds, local=st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}", fullmatch=True))
def test_every_header_is_as_the_standard_library_writes_it(name, subject, local):
    sender = msgspec.structs.replace(SENDER, person=name, reply_to=("a@b.example", f"{local}@acme.example"))
    links = Links("https://m.example/p/x", "https://m.example/u/" + "y" * 120, f"mailto:{local}@m.example?subject=z")
    try:
        mail = build_mail(
            Rendered(subject, "T\n", "<p></p>\n"),
            sender,
            mail_id=ID,
            rule="r",
            due_at=DUE,
            to=f"{local}@acme.example",
            to_name=name,
            links=links,
        )
    except TemplateError:
        return  # a control character
    head, _, rest = mail.raw.partition(b"Content-Type: multipart/alternative")
    assert head == by_the_book(mail)
    assert rest


@given(text=st.text(max_size=300), html=st.text(max_size=300))
@example(text=".\n..\n" + "é" * 100 + " \n\t\n", html="a\rb\r\n" + "=" * 80 + " ")
def test_both_parts_come_out_as_they_went_in_in_lines_that_every_server_takes(text, html):
    mail = built(Rendered("S", text + "\n", html + "\n"))

    def whole(said):
        return b"\n".join(said.encode().splitlines()).decode().rstrip("\n")

    assert whole(part_of(mail.raw)) == whole(flow(text + "\n"))
    assert whole(part_of(mail.raw, "html")) == whole(html)
    body = mail.raw.partition(b"\r\n\r\n")[2]
    assert max(map(len, body.split(b"\r\n"))) <= 76, "RFC 2045, 6.7"
    assert b"\n" not in mail.raw.replace(b"\r\n", b"")
    assert b"\r" not in mail.raw.replace(b"\r\n", b"")


PIECES = [
    "=",
    ".",
    " ",
    "\t",
    "\n",
    "\r",
    "word ",
    "x" * 37,
    "x" * 75,
    "é",
    "über alles hinweg, ",
    "\0",
    "\x0b",
    "\x7f",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=60).map("".join))
@example("." + "x" * 74 + ".\n.\n..")
def test_quoted_printable_is_what_the_standard_library_writes(text):
    lines = b"".join(line + b"\r\n" for line in text.encode("utf-8", "replace").splitlines())
    assert _quoted(text.encode("utf-8", "replace").decode()) == b2a_qp(lines)


def test_a_message_id_tells_neither_host_nor_our_id():
    found = message_id(ID, SENDER)
    assert found == message_id(ID, SENDER) != message_id(ID[::-1], SENDER)
    assert ID not in found
    assert found.endswith("@ringfirst.example>")


@given(name=st.text(max_size=200), text=st.text(max_size=300))
@example(name="ada@acme.example\r\nBcc: eve@evil.example", text="--=_ringfirst\r\n.\r\n")
@example(name='"\\', text="\u2028")
def test_no_name_and_no_text_can_add_a_header_a_reader_or_a_part(name, text):
    mail = built(Rendered("S", text + "\n", "<p></p>\n"), to_name=name)
    message = message_from_bytes(mail.raw, policy=default)
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message["Bcc"] is None
    assert [address.addr_spec for address in message["To"].addresses] == ["ada@acme.example"]
    assert not message.defects


@pytest.mark.parametrize(
    "hidden",
    [
        "=?utf-8?q?Jo=0D=0ABcc:_eve@evil.example?=",
        "=?utf-8?q?Jo=0D=0A=0D=0AOther_words?=",
        "=?utf-8?b?Sm8NCkJjYzogZXZlQGV2aWwuZXhhbXBsZQ==?=",
        "a==?utf-8?q?=0D=0ABcc:_eve@evil.example?=",
    ],
)
def test_a_line_break_hidden_in_an_encoded_word_stays_hidden(hidden):
    """A name of a product's user, or a subject with a value in it: Python's own headers would write it out."""
    mail = built(Rendered(hidden, "Text\n", "<p></p>\n"), to_name=hidden)
    head, _, _ = mail.raw.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")]
    assert names == [line.partition(b":")[0] for line in built().raw.partition(b"\r\n\r\n")[0].split(b"\r\n")]
    message = message_from_bytes(mail.raw, policy=default)
    assert message["Bcc"] is None
    assert "0D=0A" in str(message["Subject"]) or "Sm8NCkJ" in str(message["Subject"])


# -- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ada+news@Acme.example", "ada+news@acme.example"),
        (" a@b.example ", "a@b.example"),
        ("a@münchen.example", "a@xn--mnchen-3ya.example"),
        ("a@faß.example", None),
        ("a@\u03c3\u03c2.example", None),
        ("a@ac\u200dme.example", None),
        ("a@localhost", None),
        ("a@127.0.0.1", None),
        ("a..b@c.example", None),
        (".a@c.example", None),
        ("ä@c.example", None),
        ("a@b.example,c@d.example", None),
        ("Ada <a@b.example>", None),
        ("a@b.example\r\nX: y", None),
        ("x" * 65 + "@b.example", None),
        ("a@" + "b" * 64 + ".example", None),
        ("a@-b.example", None),
        ("", None),
        (None, None),
        (7, None),
        ("@", None),
        ("a@" + ".".join(["abcdefgh"] * 40), None),
    ],
)
def test_an_address_is_clean_or_none(text, expected):
    assert clean_address(text) == expected


@given(st.text())
def test_no_text_makes_an_address_that_is_not_seven_bit_and_one_line(text):
    found = clean_address(text + "@acme.example")
    assert found is None or (found.isascii() and found.isprintable() and " " not in found and found.count("@") == 1)


def test_staff_is_known_by_domain_and_below():
    assert is_staff("a@RINGFIRST.example", ["ringfirst.example"])
    assert not is_staff("a@ringfirst.example.evil.example", ["ringfirst.example"])
    assert not is_staff("a@notringfirst.example", ["ringfirst.example"])
    assert is_staff("a@mail.ringfirst.example", ["ringfirst.example"])
    assert not is_staff("a@acme.example", [])


def test_the_key_of_a_suppressed_address_does_not_depend_on_case():
    assert address_key(str, " A@B.example") == address_key(str, "a@b.EXAMPLE ")


# -- channels --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "file"])
def channel(request, tmp_path):
    return MemoryChannel() if request.param == "memory" else FileChannel(tmp_path / "outbox")


def test_a_local_channel_has_what_it_was_given_once(channel):
    assert channel.local
    with channel.session():
        assert not channel.has(ID)
        channel.deliver(built())
        channel.deliver(built())
        channel.deliver(built(mail_id="f" * 32))
        assert channel.has(ID)
        assert not channel.has("e" * 32)
    if isinstance(channel, MemoryChannel):
        assert len(channel.mails) == 2


def test_a_file_is_named_for_time_rule_and_id_and_holds_the_mail(tmp_path):
    FileChannel(tmp_path).deliver(built())
    (file,) = tmp_path.glob("*.eml")
    assert file.name == f"20260312T080000Z-orientation-tomorrow-2-{ID}.eml"
    assert file.read_bytes() == built().raw
    assert FileChannel(tmp_path).has(ID)
    assert [path.name for path in tmp_path.iterdir()] == [file.name], "no half file is left"


def test_an_id_that_is_no_id_cannot_leave_the_folder():
    assert "/" not in file_name(built(mail_id="../../etc/passwd"))


def test_a_mail_of_the_same_id_and_another_time_is_not_written_again(tmp_path):
    FileChannel(tmp_path).deliver(built())
    again = FileChannel(tmp_path)
    again.deliver(build_mail(WORDS, SENDER, mail_id=ID, rule="other", due_at=DUE + 1, to="ada@acme.example"))
    assert len(list(tmp_path.glob("*.eml"))) == 1


def test_a_folder_that_cannot_be_written_to_is_said_and_tried_later(tmp_path):
    (tmp_path / "outbox").write_text("a file stands in the way")
    with pytest.raises(DeliveryError) as caught:
        FileChannel(tmp_path / "outbox").deliver(built())
    assert caught.value.verdict == "later"
    assert "ada@" not in str(caught.value)
    with pytest.raises(DeliveryError), FileChannel(tmp_path / "outbox").session():
        pass


@pytest.mark.slow
def test_two_hundred_mails_are_found_again_without_reading_the_folder_each_time(tmp_path):
    channel = FileChannel(tmp_path)
    mails = [built(mail_id=f"{number:032x}") for number in range(200)]
    started = time.perf_counter()
    for mail in mails * 3:
        channel.deliver(mail)
    assert len(list(tmp_path.glob("*.eml"))) == 200
    assert time.perf_counter() - started < 10
