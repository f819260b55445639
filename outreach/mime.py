"""The bytes of a mail, written directly: the standard library parses each header that it writes, for milliseconds.

Only what can stand as it is is written so; any other header is left to ``EmailMessage``, which knows all of RFC 5322
and RFC 2047. Both give the same bytes.
"""

import re
from binascii import b2a_qp
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import lru_cache

POLICY = SMTP.clone(max_line_length=998)
"""The default length folds a long List-Unsubscribe into encoded words and breaks one-click (DELIVERY 8, measured)."""
BOUNDARY = "=_ringfirst"
"""Fixed, so that the bytes repeat; quoted-printable never writes ``=_``, so no body can hold it (RFC 2045, 6.7)."""
_LONGEST = 900
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9]+(?: [A-Za-z0-9]+)*", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.ASCII)
_CHUNK = re.compile(rb".{73}(?:[^=]{2}|[^=](?==)|(?==))|.+", re.DOTALL)
"""Line after line of quoted-printable: 75 characters, or fewer where they would part a ``=3D``."""
_LINE = 75
_KNOWN = bytes([*b"\t\n\r", *range(0x20, 0x7F), *range(0x80, 0x100)])
_ABOVE = re.compile(rb"[\x80-\xff]")
_HEX = {bytes([sign]): b"=%02X" % sign for sign in range(0x80, 0x100)}
_ASCII = bytes(range(0x80))
_DENSE = 16
"""Where more than one sign in so many is not ASCII, each is looked at."""
_PART = "--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"

Mailbox = tuple[str, str]
"""A display name, which may be empty, and an address."""


def header(name: str, value: str) -> bytes:
    """One header with its line's end. Raises ``ValueError`` for a value that has a line's end in it."""
    if len(value) < _LONGEST and _PLAIN.fullmatch(value) and "=?" not in value:
        return f"{name}: {value}\r\n".encode()
    return _by_the_book(name, value)


def mailboxes(name: str, boxes: Sequence[Mailbox]) -> bytes:
    """A header of addresses."""
    if all(_ADDRESS.fullmatch(address) and (not said or _NAME.fullmatch(said)) for said, address in boxes):
        listed = ", ".join(f"{said} <{address}>" if said else address for said, address in boxes)
        if len(listed) < _LONGEST:
            return f"{name}: {listed}\r\n".encode()
    return _by_the_book(name, tuple(boxes))


def alternative(head: Sequence[bytes], text: str, html: str) -> bytes:
    """A mail of two parts: text, whose lines are flowed (RFC 3676), then HTML; both quoted-printable, so seven bits."""
    edge = f"--{BOUNDARY}"
    return b"".join(
        [
            *head,
            f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="{BOUNDARY}"\r\n\r\n'.encode(),
            _PART.format(boundary=BOUNDARY, kind='text/plain; charset="utf-8"; format="flowed"').encode(),
            _quoted(text),
            b"\r\n",
            _PART.format(boundary=BOUNDARY, kind='text/html; charset="utf-8"').encode(),
            _quoted(html),
            f"\r\n{edge}--\r\n".encode(),
        ]
    )


def _quoted(text: str) -> bytes:
    """Quoted-printable, in lines of at most 76 characters (RFC 2045, 6.7); a carriage return alone ends a line too.

    The same bytes as ``b2a_qp`` gives, in less than half of its time: it looks at each sign by itself.
    """
    raw = text.encode()
    lines = raw.splitlines()
    if raw.translate(None, _KNOWN):  # control characters, which hardly anybody writes
        return b2a_qp(b"".join(line + b"\r\n" for line in lines))
    return b"".join(_quoted_line(line) + b"\r\n" for line in lines)


def _quoted_line(line: bytes) -> bytes:
    if line in {b"", b"."}:  # a point alone in its line ends a mail for a server of SMTP
        return b"=2E" if line else b""
    written = line.replace(b"=", b"=3D")
    if not line.isascii():
        if len(line.translate(None, _ASCII)) * _DENSE > len(line):
            return b2a_qp(line + b"\r\n").removesuffix(b"\r\n")
        written = _ABOVE.sub(lambda found: _HEX[found[0]], written)
    if written[-1:] in {b" ", b"\t"}:  # servers cut off spaces at the end of a line
        *chunks, last = _CHUNK.findall(written)
        return b"=\r\n".join([*chunks, last[:-1] + b"=%02X" % last[-1]])
    return written if len(written) <= _LINE else b"=\r\n".join(_CHUNK.findall(written))


@lru_cache(maxsize=256)
def _by_the_book(name: str, value: str | tuple[Mailbox, ...]) -> bytes:
    message = EmailMessage(policy=POLICY)
    message[name] = value if isinstance(value, str) else [Address(said, addr_spec=address) for said, address in value]
    return message.as_bytes().removesuffix(b"\r\n")
