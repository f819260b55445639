"""DKIM signatures of our own, for mails that go to their readers' servers without one that signs (RFC 6376).

``dkimpy`` signs. It is an extra (``ringfirst[dkim]``): it comes as source alone, so it cannot be among what is
installed from wheels by their hashes.
"""

from collections.abc import Callable
from email import message_from_bytes

import msgspec

from engine.errors import UsageError

Signer = Callable[[bytes], bytes]
"""Gives a mail with its signature before it. Raises ``DeliveryError``."""
SIGNED = (
    "from",
    "to",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "list-id",
    "list-unsubscribe",  # RFC 8058, 4: both must be covered, or no provider shows its button
    "list-unsubscribe-post",
    "auto-submitted",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
)
ONCE = ("from", "to", "reply-to", "subject", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post")
"""Signed once more than they are there: nobody can put a second one before ours (RFC 6376, 8.15)."""
LEAST_BITS = 1024


class DkimKey(msgspec.Struct, frozen=True, kw_only=True):
    """A private RSA key in PEM, and where its public half stands: ``SELECTOR._domainkey.DOMAIN``."""

    domain: str
    selector: str
    pem: str


def signed_headers(raw: bytes) -> list[bytes]:
    """The headers of a mail that its signature covers, in the order and as often as it names them."""
    there = [name.lower() for name in message_from_bytes(raw)]
    return [name.encode() for name in SIGNED for _ in range(there.count(name) + (name in ONCE))]


def signer_of(key: DkimKey) -> Signer:
    """Make what signs mails. Raises ``UsageError`` when nothing is installed that does, or the key is none."""
    try:
        import dkim  # noqa: PLC0415, an extra
    except ImportError:
        told = "mails cannot be signed; found no dkimpy; pip install 'ringfirst[dkim]', or leave the key out"
        raise UsageError(f"RINGFIRST_DKIM_KEY: {told}") from None
    pem = _plain(key.pem)
    selector, domain = key.selector.encode(), key.domain.encode()

    def sign(raw: bytes) -> bytes:
        relaxed = b"relaxed", b"relaxed"
        header: bytes = dkim.sign(
            raw, selector, domain, pem, canonicalize=relaxed, include_headers=signed_headers(raw), linesep=b"\r\n"
        )
        return header + raw

    sign(b"From: a@b.example\r\n\r\n")  # a key that cannot sign is found now, and not with the first mail
    return sign


def _plain(pem: str) -> bytes:
    """The key as dkimpy reads it (PKCS 1); openssl writes another form today."""
    from cryptography.hazmat.primitives import serialization as forms  # noqa: PLC0415, it loads slowly
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415

    try:
        key = forms.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as err:
        told = "it is no private key in PEM without a password; make one: openssl genrsa -out dkim.pem 2048"
        raise UsageError(f"RINGFIRST_DKIM_KEY: {told}") from err
    if not isinstance(key, RSAPrivateKey) or key.key_size < LEAST_BITS:
        told = f"it is no RSA key of at least {LEAST_BITS} bits; make one: openssl genrsa -out dkim.pem 2048"
        raise UsageError(f"RINGFIRST_DKIM_KEY: {told}")
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.TraditionalOpenSSL, forms.NoEncryption())
