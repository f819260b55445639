"""Mails that come back, read: what did not arrive (RFC 3464), complaints (RFC 5965), answers of people and machines.

What is read is a stranger's word. It is believed only of a mail whose Message-ID it knows, and of what is read nothing
but codes is handed on: words, names and addresses stay in the mailbox.
"""

import hashlib
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage, Message
from email.policy import default
from email.utils import parsedate_to_datetime
from typing import Literal

import msgspec

from engine.instants import DAY, Instant, from_datetime
from outreach.addresses import clean_address
from outreach.auto_replies import is_automatic, says_left, text_of

Kind = Literal[
    "processed",
    "delivered",
    "deferred",
    "bounced",
    "blocked",
    "complained",
    "unsubscribed",
    "replied",
    "away",
    "left",
    "stop",
    "unknown",
]
"""``bounced``: the address does not work; ``blocked``: the mail did not arrive, the address may work; ``away``: a
machine answered; ``left``: it said that the reader works there no more; ``stop``: a mail to unsubscribe, with a token.
``processed`` and ``unsubscribed`` are told by providers alone."""
OLDEST = 30 * DAY
MOST_BYTES = 20 * 1024 * 1024
_MESSAGE_ID = re.compile(r"<[^<>\s]{3,250}>")
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
_ITS_ID = re.compile(r"^Message-ID:\s*(<[^<>\s]{3,250}>)", re.IGNORECASE | re.MULTILINE)
_COPY = re.compile(
    r"^(?:return-path|received|dkim-signature|message-id|mime-version|date|from|subject):", re.IGNORECASE | re.MULTILINE
)
"""Where the words of a report end, and the copy of the mail begins that did not arrive."""
_STOP = re.compile(r"unsubscribe ([A-Za-z0-9_-]{80,400})")
_NOBODY = re.compile(
    r"user unknown|unknown user|no such (?:user|recipient|mailbox)|does ?n.t exist|does not exist|unknown recipient|"
    r"(?:address|recipient|mailbox) (?:not found|unknown|rejected)|invalid (?:recipient|mailbox)|"
    r"account (?:has been )?disabled",
    re.IGNORECASE,
)
_GONE = frozenset({(1, 0), (1, 1), (1, 2), (1, 3), (1, 6), (1, 10), (2, 1), (4, 4)})
"""Enhanced codes (RFC 3463, 7505) after which an address does not work: no such mailbox, host or domain; disabled."""
_NO_WORD = frozenset({(0, 0), (5, 0), (1, 7), (5, 1)})
"""Codes that say nothing; then the words of the server are looked at."""
_DAEMONS = ("mailer-daemon", "postmaster", "mail-daemon")


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, and of which of our mails: by its ``mail_id``, else ``message_ids``, the likeliest first.

    ``event_id`` is the same whenever the same mail is read. ``status`` is the enhanced code of what did not arrive.
    ``sender`` is who wrote, None for machines; ``token`` stands in a mail to unsubscribe.
    """

    kind: Kind
    event_id: str
    at: Instant
    mail_id: str | None = None
    message_ids: tuple[str, ...] = ()
    status: str | None = None
    sender: str | None = None
    token: str | None = None


def read_mail(raw: bytes, *, at: Instant) -> Came:
    """Read a mail that came in; ``at`` is now. It never raises: what nobody can make sense of is ``unknown``."""
    event_id = hashlib.sha256(raw).hexdigest()[:32]
    try:
        message = message_from_bytes(raw[:MOST_BYTES], policy=default)
        kind, ids, status, token = _meaning(message)
        when, sender = _when(message, at), _sender(message)
    except (MessageError, LookupError, ValueError, AttributeError, TypeError, IndexError, RecursionError):
        return Came(kind="unknown", event_id=event_id, at=at)  # the parser of the standard library trips over some
    person = sender if kind == "replied" else None
    return Came(kind=kind, event_id=event_id, at=when, message_ids=ids, status=status, sender=person, token=token)


def _meaning(message: EmailMessage) -> tuple[Kind, tuple[str, ...], str | None, str | None]:
    about = message.get_content_type()
    report = str(message.get_param("report-type", "") or "").lower()
    if about == "multipart/report" and report == "feedback-report":
        return "complained", _original(message), None, None
    if report == "disposition-notification":  # it was opened, says a mail program: nothing that we go by
        return "unknown", (), None, None
    statuses = [part for part in message.walk() if part.get_content_type() == "message/delivery-status"]
    if statuses:
        kind, status = _delivery(statuses[0])
        return kind, _original(message), status, None
    found = _STOP.search(" ".join(str(message.get("Subject", "")).split()))
    if found:
        return "stop", (), None, found[1]
    answered = tuple(dict.fromkeys([*_ids(message, "In-Reply-To"), *reversed(_ids(message, "References"))]))
    if _from_daemon(message):
        words = text_of(message)
        said = _COPY.split(words, maxsplit=1)[0]
        code, its = _STATUS.search(said), _ITS_ID.search(words)
        ids = (its[1],) if its else (*answered[:1], *_MESSAGE_ID.findall(said))
        return _judged(code, said), ids, code[0] if code else None, None
    if is_automatic(message):
        return "left" if says_left(message) else "away", answered, None, None
    return ("replied" if answered else "unknown"), answered, None, None


def _delivery(part: Message) -> tuple[Kind, str | None]:
    """The worst of what is said of the recipients; a report may speak of several, and ours goes to one."""
    blocks = part.get_payload()
    for block in blocks if isinstance(blocks, list) else []:
        if not isinstance(block, Message) or block.get("Action") is None:
            continue
        action = str(block["Action"]).strip().lower()
        status = _STATUS.search(str(block.get("Status", "")))
        code = status[0] if status else None
        if action in {"delayed", "expanded", "relayed"}:
            return ("deferred" if action == "delayed" else "unknown"), code
        if action == "delivered":
            return "delivered", code
        if action == "failed":
            said = str(block.get("Diagnostic-Code", ""))
            return _judged(_STATUS.search(said) if status is None or _vague(status) else status, said), code
    return "unknown", None


def _judged(status: "re.Match[str] | None", words: str) -> Kind:
    """Does the address not work, or did only this mail not arrive? In doubt the latter: nobody is lost by it."""
    if status is not None and status[1] != "5":
        return "blocked"
    if status is not None and (int(status[2]), int(status[3])) in _GONE:
        return "bounced"
    if status is None or _vague(status):
        return "bounced" if _NOBODY.search(words) else "blocked"
    return "blocked"


def _vague(status: "re.Match[str]") -> bool:
    return (int(status[2]), int(status[3])) in _NO_WORD


def _original(message: EmailMessage) -> tuple[str, ...]:
    """The Message-ID of the mail that came back with it, whole or as its headers; else what it answers.

    Of that mail alone: one of a colleague may hold ours as an attachment, or go on with its thread. What happened to
    the colleague's is no word on our reader.
    """
    for part in message.walk():
        if part is message:
            continue
        found = _ids(part, "Message-ID")
        if not found and part.get_content_type() in {"text/rfc822-headers", "text/plain"}:
            words = part.get_payload(decode=True) or b""
            text = words.decode("utf-8", "replace") if isinstance(words, bytes) else ""
            found = _ITS_ID.findall(text)
        if found:
            return (found[0],)
    return tuple([*_ids(message, "In-Reply-To"), *reversed(_ids(message, "References"))][:1])


def _ids(message: Message, name: str) -> list[str]:
    return [one for value in message.get_all(name, []) for one in _MESSAGE_ID.findall(str(value))][:50]


def _from_daemon(message: EmailMessage) -> bool:
    local = (_sender(message) or "").partition("@")[0].lower()
    return local in _DAEMONS


def _sender(message: EmailMessage) -> str | None:
    return next(_addresses(message, "From"), None)


def _addresses(message: EmailMessage, name: str) -> Iterator[str]:
    header = message.get(name)
    for one in getattr(header, "addresses", ()):
        address = clean_address(one.addr_spec) if isinstance(one, Address) else None
        if address is not None:
            yield address


def _when(message: EmailMessage, at: Instant) -> Instant:
    """When it was written, if that can be: a clock far off, or a date that is none, is as of now."""
    try:
        found = from_datetime(parsedate_to_datetime(str(message["Date"])))
    except (TypeError, ValueError, OverflowError):
        return at
    return found if at - OLDEST <= found <= at else at
