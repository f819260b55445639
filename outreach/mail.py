"""A rendered mail as the bytes that leave: RFC 5322, the same each time."""

import hashlib
import hmac
from email.utils import format_datetime
from functools import lru_cache

import msgspec

from engine.errors import TemplateError
from engine.instants import Instant, to_datetime
from outreach.context import Sender
from outreach.flowed import flow
from outreach.links import Links
from outreach.mime import alternative, header, mailboxes
from outreach.rendering import Rendered, clean_header

_LONGEST_NAME = 60


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One mail ready to leave, in parts: every channel makes what it hands over from these.

    ``mail_id`` is its (first) outreach id; ``to`` and ``sender`` are addresses as they go on the wire, and the names
    beside them are harmless in a header. ``headers`` are those beside From, To, Reply-To, Subject, Message-ID and Date.
    ``dated`` is when it was handed over, as its row says (None: it leaves when it is due): clients sort by that.
    """

    mail_id: str
    rule: str
    due_at: Instant
    message_id: str
    sender: str
    sender_name: str = ""
    to: str
    to_name: str = ""
    reply_to: tuple[str, ...] = ()
    subject: str
    text: str
    html: str
    headers: tuple[tuple[str, str], ...] = ()
    dated: Instant | None = None

    @property
    def raw(self) -> bytes:
        """All of its bytes: text first (flowed), then HTML, quoted-printable; the same each time."""
        return _raw(self)


@lru_cache(maxsize=128)
def _raw(mail: Outgoing) -> bytes:
    """Made once for what is kept and what is handed over."""
    head = [
        header("Message-ID", mail.message_id),
        header("Date", format_datetime(to_datetime(mail.due_at if mail.dated is None else mail.dated))),
        mailboxes("From", [(mail.sender_name, mail.sender)]),
        mailboxes("To", [(mail.to_name, mail.to)]),
        *([mailboxes("Reply-To", [("", one) for one in mail.reply_to])] if mail.reply_to else []),
        header("Subject", mail.subject),
        *(header(name, value) for name, value in mail.headers),
    ]
    return alternative(head, flow(mail.text), mail.html)


def build_mail(
    rendered: Rendered,
    sender: Sender,
    *,
    mail_id: str,
    rule: str,
    due_at: Instant,
    to: str,
    to_name: str = "",
    topic: str = "",
    links: Links | None = None,
) -> Outgoing:
    """Put a mail together; the same arguments give the same mail.

    ``links`` make the headers of one-click (RFC 8058), ``topic`` is the list (RFC 2919) that they speak of; without one
    it is the rule. Raises ``TemplateError`` when a header would carry a control character, or a text has half a letter
    in it.
    """
    for part in (rendered.text, rendered.html):
        _must_be_whole(part)
    return Outgoing(
        mail_id=mail_id,
        rule=rule,
        due_at=due_at,
        message_id=message_id(mail_id, sender),
        sender=sender.address,
        sender_name=_display(f"{sender.person} ({sender.name})" if sender.person else sender.name),
        to=to,
        to_name=_display(to_name),
        reply_to=sender.reply_to,
        subject=clean_header(rendered.subject),
        text=rendered.text,
        html=rendered.html,
        headers=(
            ("List-Id", f"<{rule_slug(topic or rule)}.{_domain(sender)}>"),
            *_ways_out(links),
            ("Auto-Submitted", "auto-generated"),  # RFC 3834: no machine answers this
            ("X-Auto-Response-Suppress", "All"),  # the same for Exchange
        ),
    )


def _ways_out(links: Links | None) -> tuple[tuple[str, str], ...]:
    if links is None:
        return ()
    by_mail = f", <{links.mailto}>" if links.mailto else ""
    one_click = ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
    return ("List-Unsubscribe", f"<{links.one_click}>{by_mail}"), one_click


def message_id(mail_id: str, sender: Sender) -> str:
    """Derive a Message-ID from our own id (``make_msgid`` would tell host name and process)."""
    digest = hmac.new(sender.secret, f"message-id:{mail_id}".encode(), hashlib.sha256).hexdigest()[:32]
    return f"<{digest}@{_domain(sender)}>"


def rule_slug(rule: str) -> str:
    """Write a rule's id so that it can stand in a header or a file name: at most 80 of ``a-z 0-9 -``.

    >>> rule_slug("Orientation tomorrow/2")
    'orientation-tomorrow-2'
    """
    kept = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in rule.lower())[:80]
    return "-".join(part for part in kept.split("-") if part) or "rule"


def _domain(sender: Sender) -> str:
    return sender.domain or sender.address.rpartition("@")[2]


def _display(name: str) -> str:
    """A name as it may stand beside an address; empty when it may not."""
    try:
        display = clean_header(name)[:_LONGEST_NAME].replace(";", " ").replace(",", " ").strip()
    except TemplateError:
        display = ""
    return " ".join(display.split())


def _must_be_whole(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as err:
        raise TemplateError("the mail has half a letter in it; found a lone surrogate; look at its values") from err
