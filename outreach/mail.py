"""A rendered mail as the bytes that leave: RFC 5322, the same each time."""

import hashlib
import hmac
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import msgspec

from engine.errors import TemplateError
from engine.instants import Instant, to_datetime
from outreach.context import Sender
from outreach.flowed import flow
from outreach.rendering import Rendered, clean_header

POLICY = SMTP.clone(max_line_length=998)
"""The default length folds a long List-Unsubscribe into encoded words and breaks one-click (DELIVERY 8, measured)."""
BOUNDARY = "=_ringfirst"
"""Fixed, so that the bytes repeat; quoted-printable never writes ``=_``, so no body can hold it (RFC 2045, 6.7)."""
_LONGEST_NAME = 60


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One mail ready to leave. ``mail_id`` is its (first) outreach id, ``to`` its address, ``raw`` all of its bytes."""

    mail_id: str
    rule: str
    due_at: Instant
    to: str
    raw: bytes


def build_mail(
    rendered: Rendered,
    sender: Sender,
    *,
    mail_id: str,
    rule: str,
    due_at: Instant,
    to: str,
    to_name: str = "",
) -> Outgoing:
    """Build the mail: text first (flowed), then HTML, quoted-printable, dated ``due_at``; same arguments, same bytes.

    Raises ``TemplateError`` when a header would carry a control character.
    """
    message = EmailMessage(policy=POLICY)
    message["Message-ID"] = message_id(mail_id, sender)
    message["Date"] = format_datetime(to_datetime(due_at))
    message["From"] = _address(sender.address, sender.name)
    message["To"] = _address(to, to_name)
    if sender.reply_to:
        message["Reply-To"] = _address(sender.reply_to, "")
    message["Subject"] = clean_header(rendered.subject)
    message["List-Id"] = f"<{rule_slug(rule)}.{_domain(sender)}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine answers this
    message["X-Auto-Response-Suppress"] = "All"  # the same for Exchange
    message.set_content(flow(rendered.text), cte="quoted-printable", charset="utf-8", params={"format": "flowed"})
    message.add_alternative(rendered.html, subtype="html", cte="quoted-printable", charset="utf-8")
    message.set_boundary(BOUNDARY)
    return Outgoing(mail_id=mail_id, rule=rule, due_at=due_at, to=to, raw=message.as_bytes())


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


def _address(address: str, name: str) -> Address:
    try:
        display = clean_header(name)[:_LONGEST_NAME].replace(";", " ").replace(",", " ").strip()
    except TemplateError:
        display = ""
    return Address(display_name=" ".join(display.split()), addr_spec=address)
