"""JSON as the store keeps it: bytes whose numbers come back as ``int`` or ``Decimal``, digit for digit."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

encode = msgspec.json.Encoder(decimal_format="number").encode
"""Write JSON; a ``Decimal`` becomes a number with all its digits."""

decode = msgspec.json.Decoder(float_hook=Decimal).decode
"""Read JSON; a number with a point or an exponent becomes a ``Decimal``."""

decode_doubles = msgspec.json.Decoder().decode
"""Read what a decision stored: its values are doubles, and come back as the same ones."""

_ESCAPE = re.compile(rb"\\u([0-9a-fA-F]{4})")


def storable(text: str) -> str:
    r"""Write text so that every database takes it: U+0000 and lone surrogates as escapes.

    >>> storable("caf\u00e9"), storable("a\0b\ud800")
    ('café', 'a\\x00b\\ud800')
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def renamed(value: Any, old: str, new: str) -> Any:
    """Put ``new`` in the place of every string, and every key, that is ``old``.

    >>> renamed({"to": "u1", "u1": [1, "u1", "u12"]}, "u1", "p")
    {'to': 'p', 'p': [1, 'p', 'u12']}
    """
    if isinstance(value, str):
        return new if value == old else value
    if isinstance(value, Mapping):
        return {renamed(key, old, new): renamed(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, old, new) for item in value]
    return value


def mentions(raw: bytes, name: str, *, quoted: bool = False) -> bool:
    r"""Whether bytes hold a name, as it is or as JSON may escape it; ``quoted``: only as a whole JSON string.

    >>> mentions(b'{"by": "u1"}', "u1"), mentions(b'"Zo\\u00EB', "Zo\u00eb"), mentions(b"{}", "u1")
    (True, True, False)
    >>> mentions(b'["a\\/b"]', "a/b"), mentions(b'"u12"', "u1", quoted=True)
    (True, False)
    """
    if _holds(raw, name, quoted=quoted):
        return True
    if b"\\" not in raw:
        return False
    try:
        return _holds(encode(decode(raw)), name, quoted=quoted)
    except msgspec.DecodeError:
        return _holds(_ESCAPE.sub(_unescape, raw), name, quoted=quoted)


def _holds(raw: bytes, name: str, *, quoted: bool) -> bool:
    written = encode(name)
    return written in raw if quoted else written[1:-1] in raw or name.encode() in raw


def _unescape(found: re.Match[bytes]) -> bytes:
    return chr(int(found[1], 16)).encode("utf-8", "backslashreplace")
