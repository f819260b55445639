"""Events as they come in: decoding, validation, and splitting people's data off before anything is stored."""

import hashlib
import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from engine.instants import DAY, Instant, iso, parse_instant
from engine.log import Event
from engine.refusals import reason_of

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_ID = 200
PERSONAL = frozenset({"email", "name", "first_name", "last_name", "phone", "address"})
"""Traits of a person that never stay in an event, whatever the rulebook declares (DESIGN 7)."""

_FAR_AHEAD = DAY
_FLAT = 2 * MAX_DEPTH
"""Properties of fewer bytes cannot be nested too deep: each level takes two brackets."""
_BACKSLASH = ord("\\")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class BadEvent(msgspec.Struct, frozen=True):
    """Why a record is no event, in one sentence, and the account it was for if it still told."""

    reason: str
    account_id: str | None = None


class Arrived(msgspec.Struct, frozen=True, gc=False):
    """A good event and its properties as the bytes that were received."""

    event: Event
    body: bytes


class _Wire(msgspec.Struct):
    id: str
    type: str
    account_id: str
    time: str
    user_id: str | None = None
    properties: msgspec.Raw = msgspec.Raw(b"{}")


_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]


class _Good(msgspec.Struct, gc=False):
    """What nearly every event is; any other is decoded once more, with care."""

    id: _Id
    type: _Id
    account_id: _Id
    time: str
    user_id: _Id | None = None
    properties: msgspec.Raw = msgspec.Raw(b"{}")


class _Who(msgspec.Struct):
    account_id: str | None = None


_decode_good = msgspec.json.Decoder(_Good).decode
_decode_wire = msgspec.json.Decoder(_Wire).decode
_decode_properties = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_decode_who = msgspec.json.Decoder(_Who).decode
_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


def decode(raw: bytes, *, wall: Instant, from_inbox: bool = False) -> Arrived | BadEvent:
    """Decode and validate one JSON event (DESIGN 3).

    ``wall`` is the wall clock at intake: a time more than 24 h ahead of it is refused. Only the inbox may bring
    ``outreach.*`` events. Never raises for bad input: it returns the reason.
    """
    if len(raw) <= MAX_BYTES and (_BACKSLASH not in raw or b"\\u" not in raw):
        try:
            good = _decode_good(raw)
            body = bytes(good.properties)
            properties = _decode_properties(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            return _decode(raw, wall, from_inbox=from_inbox)
        at = parse_instant(good.time)
        if (
            at is not None
            and 0 <= at <= wall + _FAR_AHEAD
            and _common(good.type)
            and good.account_id != "*"
            and (len(body) < _FLAT or body.count(b"{") + body.count(b"[") < MAX_DEPTH)
        ):
            return Arrived(Event(good.id, good.type, good.account_id, good.user_id, at, properties), body)
    return _decode(raw, wall, from_inbox=from_inbox)


def _decode(raw: bytes, wall: Instant, *, from_inbox: bool) -> Arrived | BadEvent:
    """Decode what may be no good event, and say why."""
    if len(raw) > MAX_BYTES:
        return BadEvent(f"larger than 256 KB; found {len(raw)} bytes; send less with the event")
    try:
        wire = _decode_wire(raw)
        properties = _decode_properties(wire.properties)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as err:
        return BadEvent(f"not an event: {reason_of(err, raw)}", _account_of(raw))
    at = parse_instant(wire.time)
    reason = _fault(wire, at, wall, from_inbox=from_inbox) or _hidden(raw, wire, properties)
    if reason is not None or at is None:
        return BadEvent(reason or "time: missing", wire.account_id[:MAX_ID])
    return Arrived(Event(wire.id, wire.type, wire.account_id, wire.user_id, at, properties), bytes(wire.properties))


def encode_properties(properties: Mapping[str, Any]) -> bytes:
    """Write properties as JSON bytes with sorted keys; numbers keep every digit."""
    return _encode(properties)


def decode_properties(body: bytes) -> dict[str, Any]:
    """Read properties as stored; numbers are ``int`` or ``Decimal``."""
    return _decode_properties(body)


def encode_event(event: Event) -> bytes:
    """Write a whole event in the shape that ``decode`` reads."""
    return _encode(
        {
            "id": event.id,
            "type": event.type,
            "account_id": event.account_id,
            "user_id": event.user_id,
            "time": iso(event.time),
            "properties": event.properties,
        }
    )


def digest(event: Event) -> bytes:
    """Sixteen bytes that differ when an event differs in content; personal traits are not in them."""
    text = _encode([event.type, event.user_id, event.time, event.properties])
    return hashlib.blake2b(text, digest_size=16).digest()


def split_personal(event: Event, personal: Collection[str] = PERSONAL) -> tuple[Event, dict[str, Any]]:
    """Take the personal traits out of a ``user.updated``: (the event to store, the traits for ``people``).

    The event keeps of each only that it was set (``True``) or cleared (``None``).

    >>> event = Event("e", "user.updated", "acme", "u1", 0, {"email": "a@acme.example", "role": "admin"})
    >>> stored, traits = split_personal(event)
    >>> stored.properties, traits
    ({'email': True, 'role': 'admin'}, {'email': 'a@acme.example'})
    """
    if event.type != "user.updated":
        return event, {}
    traits = {name: value for name, value in event.properties.items() if name in personal}
    if not traits:
        return event, {}
    kept = {name: _marker(value) if name in traits else value for name, value in event.properties.items()}
    return msgspec.structs.replace(event, properties=kept), traits


@lru_cache(maxsize=4096)
def _common(event_type: str) -> bool:
    """Is it a type that anybody may send?"""
    return 1 <= len(event_type) <= MAX_ID and event_type.isprintable() and not event_type.startswith("outreach.")


def _marker(value: object) -> bool | None:
    return None if value is None else True


def _fault(wire: _Wire, at: Instant | None, wall: Instant, *, from_inbox: bool) -> str | None:
    for name, text in (
        ("id", wire.id),
        ("type", wire.type),
        ("account_id", wire.account_id),
        ("user_id", wire.user_id),
    ):
        if text is not None and not 1 <= len(text) <= MAX_ID:
            return f"{name}: must have 1 to 200 characters; found {len(text)}"
    if not wire.type.isprintable() and _CONTROL.search(wire.type):
        return "type: has a control character; send a plain name such as feature.used"
    if wire.account_id == "*":
        return "account_id: '*' stands for the portfolio; give the account another id"
    if wire.type.startswith("outreach.") and not from_inbox:
        return f"type: {wire.type} is written by Ringfirst itself; give events of your own another name"
    if at is None:
        return "time: not an ISO 8601 instant with its offset, such as 2026-03-01T09:00:00Z"
    if at < 0:
        return (
            f"time: before 1970; found {iso(at)}; a zero time means that the sender did not know it, send the real one"
        )
    if at > wall + _FAR_AHEAD:
        return f"time: more than 24 h ahead of the clock; found {iso(at)}; check the sender's clock"
    return None


def _hidden(raw: bytes, wire: _Wire, properties: dict[str, Any]) -> str | None:
    """Faults that only some bytes can hide: an escape, or many brackets. The common event is not walked for them."""
    escaped = b"\\u" in raw
    if escaped and not all(_clean(text) for text in (wire.id, wire.type, wire.account_id, wire.user_id or "")):
        return "an id has U+0000 or a lone surrogate; send plain text"
    deep = raw.count(b"{") + raw.count(b"[") > MAX_DEPTH
    return _walk(properties, 2) if escaped or deep else None


def _walk(value: object, depth: int) -> str | None:
    if isinstance(value, str):
        return None if _clean(value) else "properties: text with U+0000 or a lone surrogate; send plain text"
    if isinstance(value, (dict, list)):
        if depth > MAX_DEPTH:
            return "properties: nested deeper than 20; send a flatter event"
        inner: list[Any] = [*value, *value.values()] if isinstance(value, dict) else value
        for item in inner:
            fault = _walk(item, depth + 1)
            if fault is not None:
                return fault
    return None


def _clean(text: str) -> bool:
    return "\0" not in text and (text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text))


def _account_of(raw: bytes) -> str | None:
    try:
        found = _decode_who(raw).account_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    return found[:MAX_ID] if found else None
