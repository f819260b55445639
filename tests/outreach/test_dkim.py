"""DKIM: what a signature covers, and that ours holds for a verifier that is not of the library that made it."""

import base64
import builtins
import hashlib
import re

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from engine.errors import UsageError
from outreach.channels.dkim_signing import DkimKey, signed_headers, signer_of
from outreach.channels.smtp import SmtpChannel
from outreach.channels.smtp_server import SmtpServer
from outreach.links import Links
from outreach.mail import build_mail
from outreach.rendering import Rendered
from tests.outreach.given import DUE, SENDER

LINKS = Links(
    one_click="https://mails.ringfirst.example/u/" + "a" * 120,
    page="https://mails.ringfirst.example/p/x",
    mailto="mailto:stop@ringfirst.example?subject=x",
)
KEY = rsa.generate_private_key(public_exponent=65_537, key_size=1024)


def pem(key=KEY, form=serialization.PrivateFormat.PKCS8):
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def made(subject="Grüße aus Köln"):
    words = Rendered(subject, "Hello Ada,\n\n.a line with a dot  \n\n\n", "<p>Hello <b>Ada</b></p>")
    return build_mail(words, SENDER, mail_id="a" * 32, rule="r", due_at=DUE, to="ada@acme.example", links=LINKS)


def signer(**more):
    pytest.importorskip("dkim", reason="dkimpy is an extra; pip install 'ringfirst[dkim]'")
    return signer_of(DkimKey(**{"domain": "ringfirst.example", "selector": "s1", "pem": pem(), **more}))


# -- a verifier by RFC 6376 alone: relaxed/relaxed, rsa-sha256 ---------------------------------------------------------
def relaxed(name, value):
    return name.lower() + b":" + re.sub(rb"[ \t\r\n]+", b" ", value).strip() + b"\r\n"


def holds(raw, public):
    head, _, body = raw.partition(b"\r\n\r\n")
    fields = [line.partition(b":")[::2] for line in re.split(rb"\r\n(?![ \t])", head)]
    (mine,) = [value for name, value in fields if name.lower() == b"dkim-signature"]
    tags = dict(re.sub(rb"\s", b"", part).split(b"=", 1) for part in mine.split(b";") if part.strip())
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    plain = b"".join(line + b"\r\n" for line in lines)
    if base64.b64encode(hashlib.sha256(plain).digest()) != tags[b"bh"]:
        return False
    left, text = list(fields), b""
    for name in tags[b"h"].lower().split(b":"):
        found = next((one for one in reversed(left) if one[0].lower() == name), None)
        if found is not None:
            left.remove(found)
            text += relaxed(*found)
    unsigned = re.sub(rb"(\bb\s*=)[^;]*", rb"\1", mine)
    text += relaxed(b"dkim-signature", unsigned).removesuffix(b"\r\n")
    try:
        public.verify(base64.b64decode(tags[b"b"]), text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def test_a_signature_covers_the_ways_out_and_lets_nobody_put_a_second_sender_before_ours():
    names = signed_headers(made().raw)
    assert {b"list-unsubscribe", b"list-unsubscribe-post", b"list-id", b"subject", b"date", b"content-type"} <= {*names}
    assert [names.count(name) for name in (b"from", b"subject", b"list-unsubscribe-post", b"reply-to", b"list-id")] == [
        *(2, 2, 2, 2, 1)
    ]
    assert signed_headers(b"From: a@b.example\r\n\r\n").count(b"subject") == 1, "one that is not there cannot be added"


def test_what_is_signed_leaves_signed(mailbox):
    host, _, port = mailbox.address.partition(":")
    server = SmtpServer(host=host, port=int(port), security="none")
    channel = SmtpChannel(server, SENDER.address, sign=lambda raw: b"DKIM-Signature: v=1\r\n" + raw)
    with channel.session():
        channel.deliver(made())
    assert mailbox.mails[0].content.startswith(b"DKIM-Signature: v=1\r\nMessage-ID: ")


def test_a_signature_holds_on_arrival_and_for_nothing_else(mailbox):
    host, _, port = mailbox.address.partition(":")
    channel = SmtpChannel(SmtpServer(host=host, port=int(port), security="none"), SENDER.address, sign=signer())
    with channel.session():
        channel.deliver(made())
    raw, public = mailbox.mails[0].content, KEY.public_key()
    assert holds(raw, public)
    for old, new in (
        (b"Hello Ada", b"Hello Bob"),
        (b"List-Unsubscribe-Post: List-Unsubscribe=One-Click", b"List-Unsubscribe-Post: List-Unsubscribe=No"),
        (b"mails.ringfirst.example/u/", b"mails.stranger.example/u/"),
        (b"\r\nFrom: ", b"\r\nFrom: stranger@else.example\r\nFrom: "),
        (b"\r\nSubject: ", b"\r\nSubject: another\r\nSubject: "),
    ):
        assert old in raw
        assert not holds(raw.replace(old, new, 1), public), new
    assert not holds(raw, rsa.generate_private_key(public_exponent=65_537, key_size=1024).public_key())


def test_another_library_finds_the_signature_good():
    dkim = pytest.importorskip("dkim")
    raw = signer()(made().raw)
    der = KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)
    asked = []

    def dns(name, timeout=5):
        asked.append(name)
        return record

    assert dkim.verify(raw, dnsfunc=dns)
    assert asked == [b"s1._domainkey.ringfirst.example."]


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_a_key_may_be_written_in_either_form(form):
    assert holds(signer(pem=pem(form=form))(made().raw), KEY.public_key())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("not a key", "it is no private key in PEM"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "it is no RSA key of at least 1024 bits"),
    ],
)
def test_what_is_no_key_is_found_at_the_start(text, told):
    with pytest.raises(UsageError, match=told):
        signer(pem=text)


def test_without_the_extra_it_is_said_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "dkim":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'ringfirst\[dkim\]'"):
        signer_of(DkimKey(domain="ringfirst.example", selector="s1", pem=pem()))
