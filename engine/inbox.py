"""What lies in a lane's inbox, read: events of our own, records that are tried again, and entries of the engine."""

from typing import Any

import msgspec

from engine.events import Arrived, BadEvent, decode, decode_properties
from engine.instants import Instant
from engine.store import DeadLetter, InboxRow

OURS = "inbox"
"""The source of a dead letter that came out of an inbox; only it may hold events of our own."""


class Brought(msgspec.Struct, frozen=True):
    """An event of our own to take in."""

    arrived: Arrived


class Retried(msgspec.Struct, frozen=True):
    """An event to take in that was a dead letter, which goes with it. ``body`` is the row's, to be put back."""

    arrived: Arrived
    dead_letter_id: str
    body: bytes


class Told(msgspec.Struct, frozen=True):
    """An entry of the engine to write."""

    kind: str
    account_id: str | None
    body: dict[str, Any]


class _Retry(msgspec.Struct):
    dead_letter_id: str
    at: Instant
    event: msgspec.Raw
    ours: bool = False


Note = Brought | Retried | Told | DeadLetter
_decode_retry = msgspec.json.Decoder(_Retry).decode


def retry(letter: DeadLetter, raw: bytes, *, at: Instant) -> bytes:
    """The body of a row that brings a dead letter back.

    ``raw`` is its event, mended perhaps, which decodes well at ``at``, the wall clock.
    """
    return msgspec.json.encode(_Retry(letter.dead_letter_id, at, msgspec.Raw(raw), letter.source == OURS))


def opened(row: InboxRow) -> Note | None:
    """Read a row; None for a retried record that is no good event after all: it is a dead letter still."""
    if row.kind == "entry":
        body = decode_properties(row.body)
        return Told(str(body.pop("kind")), body.get("account_id"), body)
    if row.kind == "retry":
        again = _decode_retry(row.body)
        arrived = decode(bytes(again.event), wall=again.at, from_inbox=again.ours)
        return Retried(arrived, again.dead_letter_id, row.body) if isinstance(arrived, Arrived) else None
    arrived = decode(row.body, wall=row.at, from_inbox=True)
    return Brought(arrived) if isinstance(arrived, Arrived) else _dead(row, arrived)


def _dead(row: InboxRow, bad: BadEvent) -> DeadLetter:
    name, place = f"inbox-{row.lane}-{row.seq}", f"{row.lane}:{row.seq}"
    return DeadLetter(name, OURS, place, bad.reason, row.body, row.at, bad.account_id)
