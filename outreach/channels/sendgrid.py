"""Mails over SendGrid's HTTP API: its SDK builds what is posted, a pool of our own posts it, and only 202 is a yes.

Facts: docs.sendgrid.com/api-reference/mail-send (limits, errors), DELIVERY 1 and 3. Nothing else knows SendGrid but
this file and those beside it whose names begin with it.
"""

import json
import random
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import msgspec

from outreach.channel import DeliveryError, Handful
from outreach.channels.deadline import Deadlines
from outreach.channels.pooled import Answered, Connections, Unanswered, Unreached
from outreach.channels.sendgrid_account import SendGridAccount
from outreach.mail import Outgoing, rule_slug

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 20.0
"""How long SendGrid may take to answer a mail; after that nobody knows."""
OURS_SECONDS = 300.0
"""How long to wait when our own settings are wrong: it blocks those for longer who go on asking."""
LONGEST_SECONDS = 600.0
"""However long it asks us to wait, we look again after this."""
MAIL_ID = "x_outbox_id"
"""The custom argument that carries our id; it comes back in every event, at the top level, hence a name nobody has."""
PLACE = "/v3/mail/send"
_TAKEN = 202
_NOT_YET = 503
_TOO_MANY = 429
_OURS = {
    401: "the key is not good; look at RINGFIRST_SENDGRID_KEY",
    403: "the key may not send, or the sender's address is not verified there; look at RINGFIRST_SENDER",
    451: "the account lives in another region; look at RINGFIRST_SENDGRID_REGION",
}
_NEVER = frozenset({400, 404, 405, 406, 413})
_FIELD = re.compile(r"[a-z0-9_.\[\]-]{1,60}")


class SendGridChannel:
    """Hands mails to SendGrid, one in each request, so that no answer leaves more than one in doubt."""

    name = "sendgrid"
    local = False

    def __init__(self, account: SendGridAccount) -> None:
        self._account = account
        self.handful = Handful(together=25, at_once=account.connections)
        self._lock, self._deadlines = Lock(), Deadlines()
        self._connections: Connections | None = None
        self._path = urlsplit(account.host).path.rstrip("/") + PLACE

    @contextmanager
    def session(self) -> Iterator[None]:
        try:
            yield
        finally:
            found, self._connections = self._connections, None
            if found is not None:
                found.close()

    def has(self, mail_id: str) -> bool:
        """SendGrid tells what it took by its events alone; asking is a paid extra, and not to be had in the EU."""
        return False

    def deliver(self, mail: Outgoing) -> str | None:
        body = _body(mail)
        headers = {"Authorization": f"Bearer {self._account.key}", "Content-Type": "application/json"}
        with self._deadlines.within(CONNECT_SECONDS + ANSWER_SECONDS) as limit:
            try:
                answer = self._connected().post(self._path, body, headers, limit)
            except Unreached as err:
                message = f"sendgrid: it cannot be reached; {_why(err.__cause__)}; nothing was sent"
                raise DeliveryError(message, "down") from err
            except Unanswered as err:
                raise DeliveryError(f"sendgrid: no answer to the mail; {_told(err.__cause__)}", "in_doubt") from err
        if answer.status == _TAKEN:
            return answer.headers.get("X-Message-Id")
        raise _refusal(answer)

    def _connected(self) -> Connections:
        """The connections of this session; asked by every thread that hands mails over."""
        with self._lock:
            if self._connections is None:
                host = self._account.host
                self._connections = Connections(host, connect_seconds=CONNECT_SECONDS, answer_seconds=ANSWER_SECONDS)
            return self._connections


def payload(mail: Outgoing) -> dict[str, Any]:
    """What is posted for one mail. Raises ``DeliveryError`` (failed) for what SendGrid would never take.

    Click, open and subscription tracking are off: nobody's clicks are followed, and the way to unsubscribe is ours.
    """
    from sendgrid.helpers import mail as sdk  # noqa: PLC0415, it loads slowly, and most commands send nothing

    made = sdk.Mail(subject=mail.subject)
    made.from_email = sdk.From(mail.sender, mail.sender_name or None)
    personal = sdk.Personalization()
    personal.add_to(sdk.To(mail.to, mail.to_name or None))
    made.add_personalization(personal)
    if len(mail.reply_to) == 1:
        made.reply_to = sdk.ReplyTo(mail.reply_to[0])
    elif mail.reply_to:
        made.reply_to_list = [sdk.ReplyTo(one) for one in mail.reply_to]
    try:
        made.add_content(sdk.Content("text/plain", mail.text))
        made.add_content(sdk.Content("text/html", mail.html))
    except Exception as err:  # noqa: BLE001, the SDK's own have no common root; one names a key that it finds in a text
        message = f"sendgrid: its SDK does not build the mail ({type(err).__name__}); look at the template"
        raise DeliveryError(message, "failed") from None
    for name, value in (("Message-ID", mail.message_id), *mail.headers):
        made.add_header(sdk.Header(name, value))
    made.add_custom_arg(sdk.CustomArg(MAIL_ID, mail.mail_id))
    made.add_category(sdk.Category(rule_slug(mail.rule)))
    made.tracking_settings = sdk.TrackingSettings(
        click_tracking=sdk.ClickTracking(enable=False, enable_text=False),
        open_tracking=sdk.OpenTracking(enable=False),
        subscription_tracking=sdk.SubscriptionTracking(enable=False),
    )
    found: dict[str, Any] = made.get()
    return found


def _body(mail: Outgoing) -> bytes:
    return msgspec.json.encode(payload(mail))


def _refusal(answer: Answered) -> DeliveryError:
    """What is known of a mail after any answer but a yes (the table of DELIVERY 1)."""
    status = answer.status
    if status in _OURS:
        return DeliveryError(f"sendgrid: {status}; {_OURS[status]}", "down", wait_seconds=OURS_SECONDS, ours=True)
    if status == _TOO_MANY:
        wait = _reset(answer)
        return DeliveryError("sendgrid: too many mails in a short time (429); it waits", "down", wait_seconds=wait)
    errors = _errors(answer)
    if status in _NEVER:
        field = f"; it names {errors[0]}" if errors and errors[0] else ""
        return DeliveryError(f"sendgrid: it refused the mail ({status}){field}", "failed")
    if status == _NOT_YET and errors is not None:
        asked = _reset(answer) if "Retry-After" in answer.headers else None
        return DeliveryError("sendgrid: it is not available (503)", "down", over_it=True, wait_seconds=asked)
    return DeliveryError(f"sendgrid: an answer that is neither yes nor no ({status})", "in_doubt")


def _reset(answer: Answered) -> float:
    """Seconds until the limit is lifted, and a little more, so that several senders do not come back as one.

    ``X-RateLimit-Reset`` is an instant (Unix seconds) in SendGrid's pages; a small number is taken for seconds to wait.
    ``Retry-After`` (RFC 9110) is what a proxy on the way says.
    """
    import time  # noqa: PLC0415

    told = answer.headers.get("X-RateLimit-Reset") or answer.headers.get("Retry-After") or ""
    if not re.fullmatch(r"\d{1,12}", told):
        return 30.0 + random.uniform(0, 30)  # noqa: S311, it spreads senders, nothing hangs on it
    seconds = int(told) - time.time() if int(told) > LONGEST_SECONDS else float(told)
    return min(max(seconds, 1.0), LONGEST_SECONDS) * random.uniform(1.0, 1.2)  # noqa: S311, the same


def _errors(answer: Answered) -> list[str] | None:
    """The fields that SendGrid's own answer names; None when it is not SendGrid that answers.

    Its words are left out: they may hold an address.
    """
    try:
        told = json.loads(answer.body or b"")
        fields = [one.get("field") for one in told["errors"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return [one if isinstance(one, str) and _FIELD.fullmatch(one) else "" for one in fields]


def _told(err: BaseException | None) -> str:
    """What broke, without where."""
    return "it took too long" if isinstance(err, TimeoutError) else type(err).__name__


def _why(err: BaseException | None) -> str:
    """Why there was no connection."""
    if isinstance(err, socket.gaierror | UnicodeError):
        return "its name is not known here"
    return str(getattr(err, "strerror", None) or getattr(err, "reason", None) or _told(err))
