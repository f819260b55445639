"""One lane's topics merged by time: pure, without Kafka, without a clock of its own.

The order is that of always taking the topic whose next record is the oldest (ties by topic name). It does not depend
on how the records were cut into fetches, nor on restarts.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

import msgspec

from streams.batch import Range, Record

Key = Callable[[Record], int | None]
"""When a record is to be taken in; None = together with the record before it."""

AHEAD = 2_000
"""A topic with so many records at hand is not fetched until the others catch up."""
FRESH = 3.0
"""How many seconds an answer about the end of a partition may be old to be believed."""
PATIENCE = 5.0
"""How many seconds a live lane waits for a topic that says nothing."""
STEP = 0.5
"""The most that one look at the clock may add to the wait: a process that stood still has not waited."""

_BEFORE_ALL = -(2**63)


class Merged(msgspec.Struct, frozen=True):
    """Records in the lane's order, and the offsets that they (and holes around them) take up, by topic."""

    records: list[Record]
    ranges: dict[str, Range]


class Source:
    """One topic of a lane: what of it is at hand, and how far it goes."""

    def __init__(self, topic: str, position: int) -> None:
        self.topic = topic
        self.handed = position
        self.position = position
        self.records: list[Record] = []
        self.keys: list[int] = []
        self.end: int | None = None
        self.asked_at = float("-inf")
        self.silent = 0.0

    def ends(self, now: float, *, history: bool) -> bool:
        """Is it read to its end, as far as an answer tells that is young enough?"""
        return self.end is not None and self.position >= self.end and (history or now - self.asked_at <= FRESH)


class LaneMerge:
    """The merge of one lane, from the offsets that ``positions`` names by topic.

    Live, it waits for a topic that says nothing for ``PATIENCE`` seconds; with ``history`` for ever. ``now`` is a
    monotonic clock in seconds.
    """

    def __init__(self, positions: Mapping[str, int], *, key: Key | None = None, history: bool = False) -> None:
        self._sources = [Source(topic, positions[topic]) for topic in sorted(positions)]
        self._by_topic = {source.topic: source for source in self._sources}
        self._key = key
        self._history = history
        self._looked_at: float | None = None

    # -- what comes in ---------------------------------------------------------------------------------------------
    def wanted(self) -> dict[str, int]:
        """The topics to fetch from next, and at which offset: those that do not run ahead."""
        return {source.topic: source.position for source in self._sources if len(source.records) < AHEAD}

    @property
    def at_hand(self) -> int:
        """How many records are here."""
        return sum(len(source.records) for source in self._sources)

    def add(self, topic: str, records: Sequence[Record], position: int) -> None:
        """Take in what was fetched of a topic; ``position`` is the consumer's after it, behind holes too.

        Raises ``ValueError`` when it does not follow what is here already: to go on would lose or repeat records.
        """
        source = self._by_topic[topic]
        first = records[0].offset if records else position
        if first < source.position or position < first:
            raise ValueError(f"{topic}: records from {first} to {position} do not follow offset {source.position}")
        source.position = position
        if records:
            source.silent = 0.0
            source.keys += self._keys(source, records)
            source.records += records

    def ended(self, topic: str, end: int, asked_at: float) -> None:
        """Take in an answer about where a topic ends, dated by when it was asked for.

        The end never goes back: a broker that came back may say less than is there.
        """
        source = self._by_topic[topic]
        source.end = end if source.end is None else max(source.end, end)
        source.asked_at = max(source.asked_at, asked_at)

    def lengthened(self, topic: str, end: int) -> None:
        """Take in that a topic goes on to ``end`` at least, whenever that was said."""
        self.ended(topic, end, float("-inf"))

    # -- what goes out ---------------------------------------------------------------------------------------------
    def take(self, limit: int, now: float) -> Merged | None:
        """The next records in order, at most ``limit``; None while one of the topics could still bring earlier ones."""
        self._wait(now)
        bound: tuple[int, int] | None = None
        for number, source in enumerate(self._sources):
            if source.ends(now, history=self._history):
                continue
            if source.records:
                last = source.keys[-1], number
                bound = last if bound is None else min(bound, last)
            elif not self._given_up(source):
                return None
        cuts = [min(self._cut(number, bound), limit) for number in range(len(self._sources))]
        if not any(cuts):
            return None
        records, cuts = self._sorted(cuts, limit)
        return Merged(records, self._hand(cuts))

    def rest(self) -> Merged:
        """No record, but the holes behind the last one of each topic."""
        return Merged([], self._hand([0] * len(self._sources)))

    def reached(self, ends: Mapping[str, int]) -> bool:
        """Was everything before these ends handed out, but for holes?"""
        return all(not source.records and source.position >= ends[source.topic] for source in self._sources)

    def at_end(self, now: float) -> bool:
        """Was everything handed out, and is every topic read to its end?"""
        return all(not source.records and source.ends(now, history=self._history) for source in self._sources)

    @property
    def handed(self) -> dict[str, int]:
        """The next offset of each topic that was not handed out."""
        return {source.topic: source.handed for source in self._sources}

    def heads(self) -> dict[str, int]:
        """The timestamp of the next record of each topic that has one at hand."""
        return {source.topic: source.records[0].timestamp for source in self._sources if source.records}

    # -- inside ----------------------------------------------------------------------------------------------------
    def _keys(self, source: Source, records: Sequence[Record]) -> list[int]:
        """When each record is to be taken in: never before one that stands ahead of it in its topic."""
        floor = source.keys[-1] if source.keys else _BEFORE_ALL
        if self._key is None:
            keys = [record.timestamp for record in records]
            if keys[0] >= floor and keys == sorted(keys):
                return keys
        else:
            found = map(self._key, records)
            keys = [_BEFORE_ALL if key is None else key for key in found]
        return list(accumulate(keys, max, initial=floor))[1:]

    def _cut(self, number: int, bound: tuple[int, int] | None) -> int:
        """How many records of a source come before or at ``bound``, which is (key, number of the source)."""
        keys = self._sources[number].keys
        if bound is None:
            return len(keys)
        key, other = bound
        return bisect_right(keys, key) if number <= other else bisect_left(keys, key)

    def _sorted(self, cuts: list[int], limit: int) -> tuple[list[Record], list[int]]:
        """The first records of each source in order, at most ``limit``, and how many of each those are."""
        if sum(cut > 0 for cut in cuts) == 1:
            number = max(range(len(cuts)), key=cuts.__getitem__)
            return self._sources[number].records[: cuts[number]], cuts
        records: list[Record] = []
        keys: list[int] = []
        for source, cut in zip(self._sources, cuts, strict=True):
            records += source.records[:cut]
            keys += source.keys[:cut]
        order = sorted(range(len(keys)), key=keys.__getitem__)  # stable: ties stay by topic, then offset
        if len(order) > limit:
            order = order[:limit]
            cuts = self._counted(order[-1], cuts, keys[order[-1]])
        return [records[index] for index in order], cuts

    def _counted(self, last: int, cuts: list[int], key: int) -> list[int]:
        """How many records of each source come no later than the one at index ``last`` of all of them."""
        owner = 0
        while last >= cuts[owner]:
            last -= cuts[owner]
            owner += 1
        counts = [min(self._cut(number, (key, owner)), cut) for number, cut in enumerate(cuts)]
        counts[owner] = last + 1
        return counts

    def _hand(self, cuts: Sequence[int]) -> dict[str, Range]:
        """Let go of the first records of each source; the ranges that go out with them."""
        ranges = {}
        for source, cut in zip(self._sources, cuts, strict=True):
            end = source.records[cut - 1].offset + 1 if cut else source.handed
            del source.records[:cut], source.keys[:cut]
            if not source.records:
                end = source.position
            if end > source.handed:
                ranges[source.topic] = Range(source.handed, end)
                source.handed = end
        return ranges

    def _wait(self, now: float) -> None:
        """Count how long each topic that is not at its end has said nothing while another one has something."""
        passed = 0.0 if self._looked_at is None else min(now - self._looked_at, STEP)
        self._looked_at = now
        anything = any(source.records for source in self._sources)
        for source in self._sources:
            if not anything or source.records or source.ends(now, history=self._history):
                source.silent = 0.0
            else:
                source.silent += passed

    def _given_up(self, source: Source) -> bool:
        return not self._history and source.silent >= PATIENCE
