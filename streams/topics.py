"""The topics we need: which are missing, which do not fit the lanes, which would lose events; and making them."""

from collections.abc import Iterator

import msgspec

from streams.admin import Admin, Topic
from streams.settings import Topics

FOR_EVER = {"retention.ms": "-1"}
"""The setting for history: Kafka counts retention from a record's timestamp, and would drop old events at once."""

_DAY = 86_400_000


class Wanted(msgspec.Struct, frozen=True):
    """A topic as it should be; ``partitions`` None = any number will do."""

    name: str
    partitions: int | None


class TopicState(msgspec.Struct, frozen=True):
    """What is there of a wanted topic, and what is wrong with it: None = nothing."""

    name: str
    wanted: int | None
    found: Topic | None
    retention_days: float | None
    fault: str | None


def wanted(topics: Topics, lanes: int, *, intake: bool = False) -> list[Wanted]:
    """Every topic a worker needs: each inbound one with as many partitions as there are lanes; and the intake's."""
    inbound = [Wanted(name, lanes) for name in topics.inbound]
    others = (*topics.outbound, topics.intake) if intake else topics.outbound
    return inbound + [Wanted(name, None) for name in others]


def check(admin: Admin, asked: list[Wanted]) -> list[TopicState]:
    """Compare the topics with what is wanted, in the order asked."""
    found = admin.topics([one.name for one in asked])
    settings = admin.settings(list(found))
    return [_state(one, found.get(one.name), settings.get(one.name, {})) for one in asked]


def create(admin: Admin, asked: list[Wanted], *, lanes: int, replicas: int | None, history: bool) -> list[str]:
    """Make those that are missing; returns their names. One that is there is left as it is.

    With ``history`` nothing in them ever expires; otherwise the broker's default holds.
    """
    found = admin.topics([one.name for one in asked])
    missing = {one.name: one.partitions or lanes for one in asked if one.name not in found}
    if missing:
        admin.create(missing, replicas=replicas, settings=FOR_EVER if history else {})
    return list(missing)


def retention(settings: dict[str, str]) -> int | None:
    """How many milliseconds a record is kept after its timestamp; None = for ever, or not told."""
    text = settings.get("retention.ms", "-1")
    return None if text == "-1" else int(text)


def _state(one: Wanted, found: Topic | None, settings: dict[str, str]) -> TopicState:
    kept = retention(settings)
    days = None if kept is None else kept / _DAY
    return TopicState(one.name, one.partitions, found, days, next(_faults(one, found, settings), None))


def _faults(one: Wanted, found: Topic | None, settings: dict[str, str]) -> Iterator[str]:
    if found is None:
        yield f"{one.name}: there is no such topic; make it with 'ringfirst topics create'"
    elif one.partitions not in (None, found.partitions):
        yield (
            f"{one.name}: its partitions are not the lanes; found {found.partitions}, wanted {one.partitions}; "
            "a worker takes nothing from it: make topics of another name that fit, or give the store as many lanes "
            "with 'ringfirst relane'"
        )
    elif one.partitions is not None and "compact" in settings.get("cleanup.policy", ""):
        yield (
            f"{one.name}: Kafka keeps only the last event of each account; found cleanup.policy "
            f"{settings['cleanup.policy']}; set it to delete"
        )
