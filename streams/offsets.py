"""Where the store goes on in each partition, beside what Kafka holds; and what it means to go on elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from engine.errors import StreamError, UsageError
from streams.admin import Admin, Topic, places_of
from streams.halts import made_anew, other_log, other_sources, unfit

Goal = Literal["earliest", "latest"] | int


class Standing(msgspec.Struct, frozen=True):
    """Where the store goes on in one partition of ``source``, the cluster. The partition's number is its lane's.

    ``next_offset`` is what the store takes next (None = nothing was taken so far), ``first`` the oldest offset that
    Kafka keeps, ``end`` what it writes next. ``fault`` says why a worker halts there. ``log`` is the topic's id (None =
    Kafka does not tell); ``anew``: the offset is that of an older topic of this name, which is gone.
    """

    topic: str
    lane: int
    source: str
    next_offset: int | None
    first: int
    end: int
    fault: str | None
    log: str | None = None
    anew: bool = False


class Skip(msgspec.Struct, frozen=True):
    """A move of one partition's next offset, from ``before`` (None = nothing was taken so far) to ``after``.

    ``given_up`` records are never taken in, those that Kafka dropped included; ``again`` records are read a second
    time; ``waiting`` are on Kafka from ``after`` on. Where the log is shorter than what was read nobody knows which of
    its records were: ``given_up`` and ``again`` are then the most that it can be.
    """

    topic: str
    lane: int
    before: int | None
    after: int
    given_up: int
    again: int
    waiting: int


def standings(
    admin: Admin,
    topics: Sequence[str],
    taken: Mapping[tuple[str, str, int], int],
    logs: Mapping[tuple[str, str, int], str],
) -> list[Standing]:
    """Compare topics and store, by topic and lane. ``taken`` is all of ``Store.offsets``: other logs count as faults.

    ``logs`` is all of ``Store.logs``: so do topics that were made anew.

    Joins no consumer group and moves nothing. Raises ``StreamError`` for a topic that is not there.
    """
    there = _found(admin, topics)
    ids = {one.name: one.topic_id for one in there}
    places = places_of(there)
    source = admin.cluster_id
    others = other_sources(taken, topics, source)
    ends, starts = admin.next_offsets(places), admin.first_offsets(places)
    found = []
    for topic, lane in places:
        first, end = starts[topic, lane], ends[topic, lane]
        offset = taken.get((source, topic, lane))
        anew = made_anew(topic, lane, logs.get((source, topic, lane)), ids[topic])
        fault = other_log(source, others, [topic], lane) if offset is None else unfit(topic, lane, offset, first, end)
        found.append(
            Standing(topic, lane, source, offset, first, end, anew or fault, ids[topic], anew=anew is not None)
        )
    return found


def skip(one: Standing, to: Goal) -> Skip:
    """What it means to go on at ``to``. Raises ``UsageError`` for an offset that the log does not hold.

    >>> skip(Standing("usage-events", 2, "a cluster", 4, 6, 9, None), "earliest")
    Skip(topic='usage-events', lane=2, before=4, after=6, given_up=2, again=0, waiting=3)
    """
    after = one.first if to == "earliest" else one.end if to == "latest" else to
    if not one.first <= after <= one.end:
        raise UsageError(
            f"--to {after}: {one.topic}[{one.lane}] does not hold that offset; it begins at {one.first} and goes on at "
            f"{one.end}; name one from {one.first} to {one.end}, or 'earliest' or 'latest'; nothing was done"
        )
    before = one.first if one.next_offset is None or one.anew else one.next_offset
    begun = before if before <= one.end else one.first  # of a log that is shorter nobody knows what was read
    return Skip(
        topic=one.topic,
        lane=one.lane,
        before=one.next_offset,
        after=after,
        given_up=max(0, after - begun),
        again=max(0, min(before, one.end) - after),
        waiting=one.end - after,
    )


def _found(admin: Admin, topics: Sequence[str]) -> list[Topic]:
    found = admin.topics(topics)
    missing = [name for name in topics if name not in found]
    if missing:
        raise StreamError(
            "\n".join(f"{name}: there is no such topic; make it with 'ringfirst topics create'" for name in missing)
        )
    return [found[name] for name in topics]
