"""Links in a mail by which its reader stops mails: signed, without expiry, and without an address in them.

A link holds the mail's id, the keyed hash of the address and the topic, so that it works for as long as the store has
its secret, also when mail, rule and account are gone. Who has the link may act on it: that is what it is for.
"""

import base64
import binascii
import hmac
from collections.abc import Callable
from urllib.parse import quote

import msgspec

Sign = Callable[[str], str]
"""A keyed hash in hexadecimal: ``Store.key``."""
_VERSION = b"\x01"
_MAC, _KEY, _MAIL = 16, 32, 16
_LONGEST = 400


class Token(msgspec.Struct, frozen=True):
    """What a link says: which mail it stood in, to which address (its key), and what to stop by it.

    ``topic`` is ``engine.store.ALL_TOPICS`` in a transactional mail: that one cannot be stopped, all others can.
    """

    mail_id: str
    address_key: str
    topic: str


class Links(msgspec.Struct, frozen=True):
    """The links of one mail: ``page`` shows the choices, a POST to ``one_click`` stops the topic (RFC 8058).

    ``mailto`` does the same by mail, None where no mailbox is read for it. ``report`` opens the report that a mail is.
    """

    page: str
    one_click: str
    mailto: str | None = None
    report: str | None = None


TRIAL_TOPIC = "ringfirst-test"
"""What a link of a test mail stands for: there are no mails of it, and its page says so."""
EXAMPLE = Links(
    "https://mail.example.com/p/example",
    "https://mail.example.com/u/example",
    report="https://mail.example.com/r/example",
)
"""Stands in mails that nobody gets: rehearsals and previews."""


def links_of(token: Token, sign: Sign, *, public_url: str, mailto: str | None = None) -> Links:
    """Make the links of a mail; ``mailto`` is the address of a mailbox that is read for such mails."""
    sealed = seal(token, sign)
    by_mail = f"mailto:{mailto}?subject={quote(f'unsubscribe {sealed}')}" if mailto else None
    return Links(f"{public_url}/p/{sealed}", f"{public_url}/u/{sealed}", by_mail)


def seal(token: Token, sign: Sign) -> str:
    """Write a token so that it can stand in a link: about a hundred letters, digits, dashes and underscores."""
    payload = _VERSION + bytes.fromhex(token.address_key) + bytes.fromhex(token.mail_id) + token.topic.encode()
    return base64.urlsafe_b64encode(_mac(payload, sign) + payload).decode().rstrip("=")


def unseal(text: str, sign: Sign) -> Token | None:
    """Read a token that we have sealed; None for anything else.

    >>> import hashlib
    >>> sign = lambda text: hashlib.sha256(text.encode()).hexdigest()
    >>> token = Token("0" * 32, "f" * 64, "tips")
    >>> unseal(seal(token, sign), sign) == token, unseal("guessed", sign)
    (True, None)
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    mac, payload = raw[:_MAC], raw[_MAC:]
    if len(text) > _LONGEST or not hmac.compare_digest(mac, _mac(payload, sign)) or payload[:1] != _VERSION:
        return None
    key, rest = payload[1 : 1 + _KEY], payload[1 + _KEY :]
    return Token(rest[:_MAIL].hex(), key.hex(), rest[_MAIL:].decode())


def _mac(payload: bytes, sign: Sign) -> bytes:
    return bytes.fromhex(sign(f"link\0{payload.hex()}"))[:_MAC]
