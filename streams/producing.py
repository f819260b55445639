"""Records on their way to Kafka, in the order in which they were sent, and into the partition of their account."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from confluent_kafka import Producer

    from streams.settings import KafkaSettings

PARTITIONER = "murmur2_random"
"""Kafka's own partitioner under librdkafka's name; librdkafka's default puts most accounts elsewhere."""
IN_ORDER: Mapping[str, Any] = {
    "enable.idempotence": True,  # without, a retry may put a record behind later ones
    "partitioner": PARTITIONER,
    "log_level": 0,
}
"""What every producer of ours has."""


def tireless(kafka: "KafkaSettings") -> "Producer":
    """Make a producer that never gives a record up: a later one of the account would come before it."""
    from confluent_kafka import Producer

    return Producer(
        {
            **kafka.for_confluent(),
            **IN_ORDER,
            "message.timeout.ms": 0,
            "linger.ms": 5,
            "allow.auto.create.topics": False,
        }
    )


def produce(producer: "Producer", topic: str, value: bytes, key: str | None, *, wait: float, **more: Any) -> None:
    """Give a record to a producer; while it has no room, let it work for ``wait`` seconds at a time."""
    while True:
        try:
            producer.produce(topic, value, key, **more)
        except BufferError:
            producer.poll(wait)
        else:
            return
