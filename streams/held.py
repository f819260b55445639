"""The lanes a worker holds: which are claimed, what each gives out next, which wait for a person. No Kafka, no I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from engine.instants import SECOND, Instant
from streams.batch import Claimed, Clocks, LaneBatch, Partition, Range, Record
from streams.halts import unfit
from streams.merge import Key, LaneMerge

BATCH_RECORDS = 500
ROUND_RECORDS = 2_000
CLOCK_BEHIND = 2 * SECOND
"""How far a lane's clock stays behind an answer that nothing is left to read: records may still be on their way."""
NOBODY = -1
"""The generation of a group between two assignments."""
FIRST_RETRY = 0.5
LAST_RETRY = 10.0
"""Seconds until a lane that failed is claimed again, growing from the first to the last."""
HALTED_RETRY = 60.0
"""Seconds until a halted lane is looked at again: somebody may have decided."""


class Fetched(msgspec.Struct, frozen=True):
    """What a fetch brought of one partition: records, the consumer's position after it, an end if one was told."""

    records: Sequence[Record]
    position: int
    end: int | None = None


class Bounds(msgspec.Struct, frozen=True):
    """The offsets a partition holds now: from ``first`` up to, not including, ``end``."""

    first: int
    end: int


class HeldLane:
    """One lane that is claimed: its merge, and what is known of its end."""

    def __init__(self, lane: int, epoch: int, generation: int, merge: LaneMerge) -> None:
        self.lane = lane
        self.epoch = epoch
        self.generation = generation
        self.merge = merge
        self.asked: tuple[Mapping[str, int], Instant] | None = None
        self.told_end = False


class HeldLanes:
    """All lanes of a worker, between one assignment and the next.

    ``topics`` are the inbound topics; a lane is the same partition of all of them. With ``history`` records are taken
    in the order of ``key`` and a lane that is read to its end says so.
    """

    def __init__(self, topics: Sequence[str], *, history: bool = False, key: Key | None = None) -> None:
        self.topics = tuple(sorted(topics))
        self.history = history
        self.generation = NOBODY
        self.troubles: dict[int, str] = {}
        """Why a lane of this worker stands still: halted, fenced, not whole, or not claimed yet."""
        self.fenced_at: dict[int, float] = {}
        self.finished: set[int] = set()
        """Lanes of a history that are in the store to their end."""
        self._key = key
        self._assigned: tuple[int, ...] = ()
        self._held: dict[int, HeldLane] = {}
        self._due: dict[int, float] = {}
        self._retries: dict[int, float] = {}
        self._written: dict[Partition, int] = {}

    # -- what Kafka says -------------------------------------------------------------------------------------------
    def revoked(self) -> None:
        """The group gathers anew: nothing is held until the next assignment."""
        for lane in self._held:
            self.troubles[lane] = "its group is being shared out anew"
        self.generation = NOBODY
        self._held.clear()
        self._due.clear()

    def assigned(self, partitions: Iterable[Partition], generation: int, now: float) -> list[int]:
        """Take an assignment in; its whole lanes are due to be claimed. Returns lanes that are no longer ours."""
        self.revoked()
        found: dict[int, set[str]] = {}
        for topic, number in partitions:
            found.setdefault(number, set()).add(topic)
        before = set(self._assigned)
        self.troubles, self.fenced_at, self._retries = {}, {}, {}
        self.finished.clear()
        self._written.clear()
        for lane, topics in found.items():
            missing = sorted(set(self.topics) - topics)
            self.troubles[lane] = f"not whole: {', '.join(missing)} gave no partition {lane}" if missing else "new"
        self._assigned = tuple(sorted(lane for lane, topics in found.items() if len(topics) == len(self.topics)))
        self._due = dict.fromkeys(self._assigned, now)
        self.generation = generation
        return sorted(before - set(self._assigned))

    def due(self, now: float) -> list[int]:
        """Lanes that should be claimed now."""
        return [lane for lane, at in self._due.items() if at <= now]

    def partitions(self, lanes: Iterable[int]) -> list[Partition]:
        """All partitions of these lanes."""
        return [Partition(topic, lane) for lane in lanes for topic in self.topics]

    @property
    def lanes(self) -> tuple[int, ...]:
        """The whole lanes that Kafka gave to this worker, claimed or not."""
        return self._assigned

    @property
    def held(self) -> tuple[int, ...]:
        """The lanes that are claimed and go on."""
        return tuple(self._held)

    # -- claims ----------------------------------------------------------------------------------------------------
    def claimed(
        self, lane: int, claim: Claimed, bounds: Mapping[Partition, Bounds], asked: Clocks
    ) -> dict[Partition, int]:
        """Hold a lane from where the store stands; ``bounds`` were asked for at ``asked``.

        Returns where to seek each partition; nothing when the lane has to halt (see ``troubles``).
        """
        trouble = claim.halted or self._unfit(lane, claim, bounds)
        if trouble is not None:
            self.put_off(lane, f"halted: {trouble}", asked.steady)
            self._due[lane] = asked.steady + HALTED_RETRY
            return {}
        positions = {topic: self._start(Partition(topic, lane), claim, bounds) for topic in self.topics}
        merge = LaneMerge(positions, key=self._key, history=self.history)
        for topic in self.topics:
            merge.ended(topic, bounds[Partition(topic, lane)].end, asked.steady)
        self._held[lane] = HeldLane(lane, claim.epoch, self.generation, merge)
        self._due.pop(lane, None)
        self.troubles.pop(lane, None)
        self.fenced_at.pop(lane, None)
        return {Partition(topic, lane): position for topic, position in positions.items()}

    def put_off(self, lane: int, trouble: str, now: float) -> None:
        """The lane cannot go on (a batch failed, the store is away); it is claimed again later."""
        self._held.pop(lane, None)
        wait = min(self._retries.get(lane, FIRST_RETRY / 2) * 2, LAST_RETRY)
        self._retries[lane] = wait
        self._due[lane] = now + wait
        self.troubles[lane] = trouble

    def fenced(self, lane: int, now: float) -> None:
        """A newer owner has the lane: it is not claimed again until Kafka says whose it is."""
        self._held.pop(lane, None)
        self._due.pop(lane, None)
        self.fenced_at[lane] = now
        self.troubles[lane] = "fenced: a newer owner has it"

    def _start(self, partition: Partition, claim: Claimed, bounds: Mapping[Partition, Bounds]) -> int:
        offset = claim.offsets.get(partition)
        return bounds[partition].first if offset is None else offset

    def _unfit(self, lane: int, claim: Claimed, bounds: Mapping[Partition, Bounds]) -> str | None:
        for partition in self.partitions([lane]):
            offset, (first, end) = claim.offsets.get(partition), msgspec.structs.astuple(bounds[partition])
            trouble = None if offset is None else unfit(partition.topic, lane, offset, first, end)
            if trouble is not None:
                return trouble
        return None

    # -- records -----------------------------------------------------------------------------------------------------
    def wanted(self) -> dict[Partition, int]:
        """The partitions to fetch from next, and the offset each lane stands at."""
        return {
            Partition(topic, lane): position
            for lane, held in self._held.items()
            for topic, position in held.merge.wanted().items()
        }

    @property
    def at_hand(self) -> int:
        """How many records are fetched and not given out."""
        return sum(held.merge.at_hand for held in self._held.values())

    def add(self, fetched: Mapping[Partition, Fetched]) -> int:
        """Take in what was fetched under the assignment of today; returns how many records that was."""
        count = 0
        for (topic, lane), found in fetched.items():
            held = self._held.get(lane)
            if held is not None:
                held.merge.add(topic, found.records, found.position)
                if found.end is not None:
                    held.merge.lengthened(topic, found.end)
                count += len(found.records)
        return count

    def ended(self, ends: Mapping[Partition, int], asked: Clocks) -> None:
        """Take in an answer about where every partition ends, dated by when it was asked for."""
        for lane, held in self._held.items():
            mine = {topic: ends[Partition(topic, lane)] for topic in self.topics if Partition(topic, lane) in ends}
            for topic, end in mine.items():
                held.merge.ended(topic, end, asked.steady)
            if len(mine) == len(self.topics) and not self.history:
                held.asked = mine, asked.wall - CLOCK_BEHIND

    def rounds(self, now: float, limit: int = BATCH_RECORDS) -> Iterator[tuple[LaneBatch, ...]]:
        """What the lanes give out now, ``limit`` records at most each, shared out into transactions.

        A transaction has one batch of a lane at most, and hardly more than ``ROUND_RECORDS`` records. Lanes that are
        read to their end say so.
        """
        lanes = [self._given_out(held, now, limit) for held in self._held.values()]
        while lanes:
            going, together, size = [], list[LaneBatch](), 0
            for lane in lanes:
                if (batch := next(lane, None)) is None:
                    continue
                going.append(lane)
                together.append(batch)
                size += len(batch.records)
                if size >= ROUND_RECORDS:
                    yield tuple(together)
                    together, size = [], 0
            if together:
                yield tuple(together)
            lanes = going

    def _given_out(self, held: HeldLane, now: float, limit: int) -> Iterator[LaneBatch]:
        while (merged := held.merge.take(limit, now)) is not None:
            yield self._batch(held, merged.records, merged.ranges, now)
        if held.asked is not None or (self.history and not held.told_end and held.merge.at_end(now)):
            last = self._batch(held, [], held.merge.rest().ranges, now)
            if last.read_until is not None or last.at_end or last.ranges:
                yield last

    def _batch(self, held: HeldLane, records: list[Record], ranges: Mapping[str, Range], now: float) -> LaneBatch:
        until = None
        if held.asked is not None and held.merge.reached(held.asked[0]):
            until, held.asked = held.asked[1], None
        held.told_end = self.history and held.merge.at_end(now)
        return LaneBatch(
            held.lane,
            held.epoch,
            held.generation,
            records,
            {Partition(topic, held.lane): range_ for topic, range_ in ranges.items()},
            until,
            held.told_end,
        )

    def heads(self) -> dict[Partition, Instant]:
        """The time of the next record of each partition that has one at hand."""
        return {
            Partition(topic, lane): at for lane, held in self._held.items() for topic, at in held.merge.heads().items()
        }

    def tell_again(self) -> None:
        """Whoever writes may hold the lanes no more: of a history that was at its end each lane says so once more."""
        for held in self._held.values():
            held.told_end = False

    # -- what was written --------------------------------------------------------------------------------------------
    def current(self, batch: LaneBatch) -> bool:
        """Was the batch read under the claim that stands? Else it is left over from before and must be dropped."""
        held = self._held.get(batch.lane)
        return held is not None and held.epoch == batch.epoch

    def written(self, batch: LaneBatch) -> None:
        """The batch is in the store."""
        self._retries.pop(batch.lane, None)
        for partition, range_ in batch.ranges.items():
            self._written[partition] = range_.end
        if batch.at_end:
            self.finished.add(batch.lane)
        else:
            self.finished.discard(batch.lane)

    def mirror(self) -> dict[Partition, int]:
        """The offsets written since the last call, for lag tools that read Kafka's own."""
        written, self._written = self._written, {}
        return written

    @property
    def whole(self) -> bool:
        """Has this worker its assignment, and is every lane of it claimed?"""
        return self.generation != NOBODY and self._held.keys() == set(self._assigned)

    @property
    def all_finished(self) -> bool:
        """Is every lane of this worker in the store to the end of its history?"""
        return bool(self._assigned) and self.finished.issuperset(self._assigned)
