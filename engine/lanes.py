"""Which lane an account belongs to, and when a record counts as recorded."""

from functools import lru_cache

from engine.instants import Instant

_MASK = 0xFFFFFFFF
_MULTIPLIER = 0x5BD1E995


@lru_cache(maxsize=1 << 17)
def lane_of(account_id: str, lanes: int) -> int:
    """The lane of an account: Kafka's murmur2 of the id's UTF-8 bytes, positive, modulo the number of lanes.

    The same answer as Kafka's default partitioner gives, so that embedded and on Kafka an account has one lane.

    >>> lane_of("acme", 8), murmur2(b"21")
    (4, 3321034988)
    """
    return (murmur2(account_id.encode()) & 0x7FFFFFFF) % lanes


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 (``org.apache.kafka.common.utils.Utils.murmur2``) as an unsigned 32-bit number."""
    length = len(data)
    mixed = (0x9747B28C ^ length) & _MASK
    whole = length - length % 4
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        mixed = mixed * _MULTIPLIER & _MASK ^ word
    rest = data[whole:]
    if rest:
        mixed = (mixed ^ int.from_bytes(rest, "little")) * _MULTIPLIER & _MASK
    mixed = (mixed ^ mixed >> 13) * _MULTIPLIER & _MASK
    return mixed ^ mixed >> 15


def recorded_at(clock: Instant | None, arrived: Instant) -> Instant:
    """When a record counts as recorded: max(lane clock, ``arrived``). Stored, and never computed again.

    >>> recorded_at(None, 5), recorded_at(9, 5)
    (5, 9)
    """
    return arrived if clock is None else max(clock, arrived)
