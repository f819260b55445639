"""What a worker takes from Kafka in one transaction, and the contract of whoever writes it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from engine.instants import Instant

Headers = Sequence[tuple[str, bytes]]


class Partition(NamedTuple):
    """A partition of a topic; a lane has one of each topic, all with the lane's number."""

    topic: str
    partition: int


class Range(NamedTuple):
    """The offsets ``start`` <= offset < ``end`` of a partition; holes of markers and compaction lie inside."""

    start: int
    end: int


class Record(Protocol):
    """A record as it was fetched; ``timestamp`` is in milliseconds."""

    @property
    def topic(self) -> str: ...  # noqa: D102 - a record of Kafka, in its own words
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Headers: ...  # noqa: D102


class LaneBatch(msgspec.Struct, frozen=True, gc=False):
    """What one lane takes in next, in the order of its log, and how far that moves each of its partitions.

    ``ranges`` holds the partitions that move; every range begins where the one before it ended. ``records`` may be
    empty: then the batch moves offsets over holes, or the lane's clock, or says that a history is at its end.
    ``read_until`` is set when nothing recorded before that instant can still come: the lane's clock may go there once
    the batch is in. ``at_end`` (with ``history`` only): every partition is read to its end; nothing will follow.
    ``epoch`` is that of the claim the batch was read under, ``generation`` that of the consumer group.
    """

    lane: int
    epoch: int
    generation: int
    records: Sequence[Record]
    ranges: Mapping[Partition, Range]
    read_until: Instant | None = None
    at_end: bool = False


class Claimed(msgspec.Struct, frozen=True):
    """The right to write to one lane, and where its partitions go on: the next offset, None = never read yet.

    ``halted`` says why the lane must not go on until somebody decides (its offsets are those of another log).
    """

    epoch: int
    offsets: Mapping[Partition, int | None]
    halted: str | None = None


class Handler(Protocol):
    """Writes what a worker takes in: events, decisions and offsets in one transaction, under the lane's epoch.

    One call at a time. The calls come from the event loop's thread, or from one thread beside it (``threaded``).
    """

    @property
    def threaded(self) -> bool:
        """Is a call so slow (a database behind a network) that it must not hold up the event loop?"""
        ...

    def claim(self, lanes: Sequence[int], topics: Sequence[str]) -> Mapping[int, Claimed]:
        """Become the owner of lanes and raise their epochs; where each partition of them goes on.

        Kafka has given them to this worker, whoever held them before. It is asked again for lanes that are held
        already, after a rebalance and after a batch that failed: what is in memory may stay if it is still what the
        store has. Raises ``StoreError``, ``StreamError`` or ``LaneTaken``; the caller tries again.
        """
        ...

    def commit(self, batches: Sequence[LaneBatch]) -> None:
        """Write batches of different lanes in one transaction, or nothing of them.

        Each range must begin where the store stands, each epoch be that of the lane's newest claim. Raises ``Fenced``
        when a newer owner has one of the lanes and ``Conflict`` when the store moved under one; nothing was written
        then. After a ``StoreError`` they may be in the store or not: the lanes are claimed again and go on where the
        store stands. Anything else ends the process.
        """
        ...

    def drop(self, lanes: Sequence[int]) -> None:
        """Give lanes up: they are another worker's now, or this one stops."""


class Clocks(NamedTuple):
    """The two clocks of one moment: ``steady`` in seconds, for waiting; ``wall`` for what is written down."""

    steady: float
    wall: Instant
