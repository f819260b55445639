"""What a worker says of itself every few seconds: small, in JSON, and nothing of customers."""

import msgspec

from engine.instants import Instant

HEARD_SECONDS = 20.0
"""A worker that said nothing for so long is not counted as alive; it speaks every five seconds."""


class ErrorTold(msgspec.Struct, frozen=True):
    """An error, when it came, and what it was of: ``store``, ``kafka`` or ``lanes``."""

    at: Instant
    component: str
    text: str


class LaneTold(msgspec.Struct, frozen=True, kw_only=True):
    """One lane in a worker's hands.

    ``trouble`` says why it stands still. ``records`` are not in the store yet (None = not known), the oldest of them
    waiting since ``since``. ``came_in`` and ``taken_in`` are records a second over the last minute.
    """

    lane: int
    trouble: str | None = None
    records: int | None = None
    since: Instant | None = None
    came_in: float | None = None
    taken_in: float | None = None
    written_at: Instant | None = None
    error: ErrorTold | None = None


class WorkerTold(msgspec.Struct, frozen=True, kw_only=True):
    """A worker. ``kafka_at`` is when Kafka last answered it, ``health`` where its pages are (None = nowhere)."""

    version: str
    group: str
    began_at: Instant
    lanes: list[LaneTold]
    rebalances: int = 0
    rebalances_24h: int = 0
    rebalanced_at: Instant | None = None
    kafka_at: Instant | None = None
    committed_at: Instant | None = None
    error: ErrorTold | None = None
    health: str | None = None


def read_told(body: bytes) -> WorkerTold | None:
    """Read what a worker said; None for one of another version, whose words we do not know."""
    try:
        return msgspec.json.decode(body, type=WorkerTold)
    except msgspec.DecodeError:
        return None
