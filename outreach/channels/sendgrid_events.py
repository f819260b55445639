"""What SendGrid tells of mails: signed batches of events, checked and read.

Facts: docs.sendgrid.com, "Event Webhook Reference" and "Getting Started with the Event Webhook Security Features";
DELIVERY 2. Its SDK checks signatures, and does not look at their age: that is done here.
"""

import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from engine.errors import RingfirstError, UsageError
from engine.feedback import Feedback, FeedbackKind
from engine.instants import HOUR, MINUTE, SECOND, Instant
from outreach.addresses import address_key, clean_address

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
PROVIDER = "sendgrid"
OLDEST = 25 * HOUR
"""It tries again for 24 hours, and nobody says whether it signs anew each time."""
AHEAD = 5 * MINUTE
"""How far its clock may be ahead of ours."""
_LONGEST_ID = 100
_STAMP = re.compile(r"\d{1,12}", re.ASCII)
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_KINDS: dict[str, FeedbackKind] = {
    "processed": "processed",
    "delivered": "delivered",
    "deferred": "deferred",
    "bounce": "bounced",
    "dropped": "dropped",
    "open": "opened",
    "click": "clicked",
    "spamreport": "complained",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
}
_KEPT = (
    "event",
    "timestamp",
    "sg_event_id",
    "sg_message_id",
    "smtp-id",
    "type",
    "status",
    "bounce_classification",
    "attempt",
    "asm_group_id",
    "sg_machine_open",
)
"""What is kept of an event. Its ``reason`` and ``response`` are words of servers, which often hold the address; ``ip``,
``useragent`` and ``url`` would follow people."""


class NotSignedError(RingfirstError):
    """A batch that nobody can be sure came from SendGrid: its signature is missing, wrong or too old."""


Check = Callable[[bytes, Mapping[str, str], Instant], None]


def checker(public_key: str) -> Check:
    """Make the check of a batch (body as it came, headers, now), which raises ``NotSignedError``.

    ``public_key`` is the verification key as SendGrid shows it. Raises ``UsageError`` when it is none.
    """
    from sendgrid.helpers.eventwebhook import EventWebhook  # noqa: PLC0415, it loads slowly

    try:
        webhook = EventWebhook(public_key.strip())
    except Exception as err:  # noqa: BLE001, what it raises is its library's choice; a wrong key is ours to say
        raise UsageError(
            f"RINGFIRST_SENDGRID_WEBHOOK_KEY: it is no verification key ({type(err).__name__}); "
            "copy it anew from Mail Settings, Event Webhook, Security Features"
        ) from None

    def check(body: bytes, headers: Mapping[str, str], at: Instant) -> None:
        signature, stamp = headers.get(SIGNATURE), headers.get(TIMESTAMP)
        if not signature or not stamp:
            raise NotSignedError("webhook: the batch is not signed; nothing was taken")
        if not _STAMP.fullmatch(stamp) or not at - OLDEST <= int(stamp) * SECOND <= at + AHEAD:
            raise NotSignedError("webhook: the signature is too old, or of tomorrow; nothing was taken")
        try:
            good = webhook.verify_signature(body.decode(), signature, stamp)
        except (UnicodeDecodeError, binascii.Error, ValueError, TypeError):
            good = False
        if not good:
            raise NotSignedError("webhook: the signature is not good; nothing was taken")

    return check


def read_events(body: bytes, key: Callable[[str], str], *, at: Instant) -> list[Feedback]:
    """Read a batch that was checked; ``key`` is the store's, ``at`` now. What is about no mail is left out.

    Raises ``UsageError`` when it is no batch.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, list):
        raise UsageError("webhook: the body is no list of events; nothing was taken")
    found = [_feedback(one, key, at) for one in told if isinstance(one, dict)]
    return [one for one in found if one is not None]


def _feedback(told: Mapping[str, Any], key: Callable[[str], str], at: Instant) -> Feedback | None:
    kind = _KINDS.get(_text(told.get("event")) or "")
    if kind is None:
        return None
    if kind == "bounced" and told.get("type") == "blocked":
        kind = "blocked"
    address = clean_address(told.get("email"))
    stamp = told.get("timestamp")
    good = isinstance(stamp, int) and not isinstance(stamp, bool) and 0 < stamp * SECOND <= at
    message = _text(told.get("sg_message_id"))
    return Feedback(
        provider=PROVIDER,
        event_id=_event_id(told),
        kind=kind,
        at=stamp * SECOND if good and stamp is not None else at,
        heard_at=at,
        mail_id=_text(told.get("x_outbox_id")) or _text(_arguments(told).get("x_outbox_id")),
        provider_id=message.partition(".")[0] if message else None,
        message_id=_text(told.get("smtp-id")),
        person=None if address is None else address_key(key, address),
        body=_kept(told),
    )


def _event_id(told: Mapping[str, Any]) -> str:
    """SendGrid's own id; of an event without a usable one what is in it, so that a repeat is one all the same."""
    found = _text(told.get("sg_event_id"))
    if found and len(found) <= _LONGEST_ID:
        return found
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _kept(told: Mapping[str, Any]) -> bytes:
    kept = {name: told[name] for name in _KEPT if name in told and isinstance(told[name], str | int | float)}
    found = _STATUS.search(str(told.get("reason", "")) + " " + str(told.get("response", "")))
    if found and "status" not in kept:
        kept["status"] = found[0]
    return json.dumps(kept, separators=(",", ":")).encode()


def _arguments(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Custom arguments stand at the top level; the pages also name ``unique_args``."""
    found = told.get("unique_args")
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value and len(value) <= 1_000 and value.isprintable() else None  # noqa: PLR2004, no id is longer
