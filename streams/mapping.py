"""From a record of the intake topic to events of ours: which format it is, and what the engine says of the result."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import ModuleType

import msgspec

from engine.events import Arrived, BadEvent, decode, encode_properties
from engine.instants import Instant, iso
from engine.refusals import reason_of
from streams.foreign import Draft, Foreign, Unmapped
from streams.formats import (
    amplitude,
    churnzero,
    cloudevents,
    freshdesk,
    intercom,
    mparticle,
    own,
    segment,
    stripe,
    zendesk,
)

FORMATS: Mapping[str, ModuleType] = {
    "CloudEvents": cloudevents,
    "Zendesk": zendesk,
    "Segment or RudderStack": segment,
    "Intercom": intercom,
    "Freshdesk": freshdesk,
    "Stripe": stripe,
    "mParticle": mparticle,
    "Amplitude": amplitude,
    "ChurnZero": churnzero,
    "Ringfirst": own,
}
"""The formats by name, in the order in which they are asked."""
MAX_RECORD = 2 * 1024 * 1024
"""The largest record that is read, in bytes: it may carry many events."""

_decode = msgspec.json.Decoder(float_hook=Decimal).decode  # numbers keep every digit


class Mapped(msgspec.Struct, frozen=True):
    """What became of a record: its good events, each with the JSON to forward, and what is wrong with it, if anything.

    The good ones beside a bad one go through; the record is a dead letter all the same.
    """

    events: Sequence[tuple[bytes, Arrived]]
    bad: BadEvent | None = None


def mapped(value: bytes | None, headers: Sequence[tuple[str, bytes]], *, at: Instant, wall: Instant) -> Mapped:
    """Map a record that was published at ``at``; ``wall`` is the clock now. Never raises for what somebody sent."""
    try:
        record = Foreign(_body(value), {name.lower(): found or b"" for name, found in headers}, at)
        name = next((name for name, one in FORMATS.items() if one.recognises(record)), None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as err:
        return Mapped((), BadEvent(f"not an event: {reason_of(err, value or b'')}"))
    except Unmapped as err:
        return Mapped((), BadEvent(str(err)))
    if name is None:
        known = ", ".join(FORMATS)
        return Mapped((), BadEvent(f"no format that is known; found none of {known}; send one of them"))
    return _events(name, record, wall)


def _body(value: bytes | None) -> object:
    if value is None:
        return None  # a CloudEvent in headers may have no data
    if len(value) > MAX_RECORD:
        raise Unmapped(f"larger than 2 MB; found {len(value)} bytes; send fewer events in one record")
    return _decode(value) if value else None


def _events(name: str, record: Foreign, wall: Instant) -> Mapped:
    good: list[tuple[bytes, Arrived]] = []
    try:
        for draft in FORMATS[name].events(record):
            raw = written(draft)
            found = decode(raw, wall=wall)
            if isinstance(found, BadEvent):
                return Mapped(good, BadEvent(f"{name}: {found.reason}", found.account_id))
            good.append((raw, found))
    except Unmapped as err:
        return Mapped(good, BadEvent(f"{name}: {err}"))
    except (RecursionError, TypeError, AttributeError, LookupError, ValueError, ArithmeticError) as err:
        # A field of a kind that the system never sends: the sender's fault, whatever it was that broke on it.
        return Mapped(good, BadEvent(f"{name}: a field is of another kind than it should be; {err!r:.120}; mend it"))
    return Mapped(good)


def written(draft: Draft) -> bytes:
    """The event's JSON, as every topic carries it."""
    return encode_properties(
        {
            "id": draft.id,
            "type": draft.type,
            "account_id": draft.account_id,
            "user_id": draft.user_id,
            "time": iso(draft.time),
            "properties": draft.properties,
        }
    )
