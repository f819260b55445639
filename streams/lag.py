"""How far the store is behind the topics: in records, and in seconds of the next record that nobody took in yet."""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from engine.errors import StreamError
from engine.instants import Instant
from streams.admin import TIMEOUT_SECONDS, Admin, Place
from streams.offsets import standings
from streams.settings import KafkaSettings

if TYPE_CHECKING:
    from confluent_kafka import Consumer

Peek = Callable[[Mapping[Place, int]], Mapping[Place, Instant]]
"""Given where each partition goes on, the timestamps of the next records; a partition that has none is left out."""


class PartitionLag(msgspec.Struct, frozen=True):
    """How far one partition is behind. The partition's number is its lane's.

    ``next_offset`` is what the store takes next (None = nothing was taken so far), ``end`` what Kafka writes next.
    ``seconds`` is the age of the next record by its timestamp: 0 when there is none, None when it could not be read.
    ``fault`` says that the store and the log do not fit: a worker halts there.
    """

    topic: str
    lane: int
    next_offset: int | None
    end: int
    records: int
    seconds: float | None
    fault: str | None


def lag(
    admin: Admin,
    peek: Peek,
    topics: Sequence[str],
    taken: Mapping[tuple[str, str, int], int],
    logs: Mapping[tuple[str, str, int], str],
    *,
    at: Instant,
) -> list[PartitionLag]:
    """Compare topics and store, by topic and lane. ``at`` is the clock.

    ``taken`` is all of ``Store.offsets``, ``logs`` of ``Store.logs``.

    Joins no consumer group and moves nothing. Raises ``StreamError`` for a topic that is not there.
    """
    found = {(one.topic, one.lane): one for one in standings(admin, topics, taken, logs)}
    goes_on = {place: one.first if one.anew else max(one.next_offset or 0, one.first) for place, one in found.items()}
    behind = {place: offset for place, offset in goes_on.items() if offset < found[place].end}
    stamps = peek(behind) if behind else {}
    return [
        PartitionLag(
            topic=one.topic,
            lane=one.lane,
            next_offset=one.next_offset,
            end=one.end,
            records=one.end - behind.get(place, one.end),
            seconds=_age(at, stamps.get(place)) if place in behind else 0,
            fault=one.fault,
        )
        for place, one in found.items()
    ]


def peeking(settings: KafkaSettings, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Peek:
    """A ``Peek`` that reads one record of each partition, outside of every group.

    confluent-kafka reads it: it brings every compression that a producer may have used, kafka-python none of them.
    """

    def peek(places: Mapping[Place, int]) -> dict[Place, Instant]:
        from confluent_kafka import Consumer, KafkaException, TopicPartition

        consumer = Consumer(
            {
                **settings.for_confluent(),
                "group.id": settings.group,  # asked for by the client; nothing joins it
                "enable.auto.commit": False,
                "enable.partition.eof": True,  # what is left may be nothing but markers of transactions
                "isolation.level": "read_committed",
                "fetch.message.max.bytes": 1_024,
                "queued.max.messages.kbytes": 1_024,
                "log_level": 0,
            }
        )
        try:
            consumer.assign([TopicPartition(*place, offset) for place, offset in places.items()])
            return _first(consumer, places, timeout_seconds)
        except KafkaException as err:
            raise StreamError(f"{settings.where}: the next records cannot be read; {err}; try again") from err
        finally:
            consumer.close()

    return peek


def _first(consumer: "Consumer", places: Mapping[Place, int], timeout_seconds: float) -> dict[Place, Instant]:
    """The timestamp of the first record that comes of each partition; what does not come in time is left out."""
    from confluent_kafka import KafkaError, TopicPartition

    at_end = KafkaError._PARTITION_EOF  # noqa: SLF001 - the client's own name for it
    waiting = set(places)
    found: dict[Place, Instant] = {}
    until = monotonic() + timeout_seconds
    while waiting and (left := until - monotonic()) > 0:
        message = consumer.poll(min(left, 0.5))
        fault = message.error() if message is not None else None
        if message is None or (fault is not None and fault.code() != at_end):
            continue  # the client tries again by itself until the time is up
        place = (str(message.topic()), int(message.partition() or 0))
        if place in waiting:
            waiting.discard(place)
            consumer.pause([TopicPartition(*place)])  # one record of each is enough
            if fault is None:
                found[place] = message.timestamp()[1]
    return found


def _age(at: Instant, stamp: Instant | None) -> float | None:
    return None if stamp is None else max(0, at - stamp) / 1_000
