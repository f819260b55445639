"""What a worker does with a lane's batch: decode it, and write it with all it causes in one transaction."""

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from engine.assigned import Arrival, AssignedKeeper, LanePart
from engine.errors import Fenced, StoreError
from engine.events import MAX_BYTES, Arrived, BadEvent, decode
from engine.instants import DAY, SECOND, Instant
from engine.lanes import lane_of
from engine.rulebook.book import Rulebook
from engine.store import DeadLetter, Offset, OutgoingKind, Store
from streams.batch import Claimed, Headers, LaneBatch, Partition, Record
from streams.files import dead_letter
from streams.halts import made_anew, other_log, other_sources
from streams.tally import Tally

RENEW_EVERY = 5 * SECOND
"""How often an owner says that it is alive; its lease runs for 30 seconds."""

CLOCK_SECONDS = 2.0
"""How long clocks are moved on at a time: years of nights take minutes, and nothing else happens meanwhile."""

MAX_HEADERS = 64 * 1024
"""So many bytes of a record's headers are kept with a dead letter; one that does not fit any more is left out."""

Ends = Callable[[], Mapping[Partition, int]]
"""Asks the broker where every partition of the inbound topics ends."""


Logs = Callable[[], Mapping[str, str | None]]
"""Asks the broker for the id of each inbound topic; None = it tells none. Raises ``StreamError``."""


def kept_headers(headers: Headers) -> tuple[tuple[str, bytes], ...]:
    """The headers that a dead letter keeps.

    >>> kept_headers([("trace", b"1"), ("large", bytes(70_000)), ("none", None)])
    (('trace', b'1'), ('none', b''))
    """
    kept, room = list[tuple[str, bytes]](), MAX_HEADERS
    for name, value in headers:
        if len(name) + len(value or b"") <= room:
            kept.append((name, value or b""))
            room -= len(name) + len(value or b"")
    return tuple(kept)


class LaneWriter:
    """The ``Handler`` of a worker: an ``AssignedKeeper`` over a store.

    ``source`` names the log that the offsets belong to (the cluster), ``gives_way`` says of another owner's name
    whether it is a worker of this group, from which Kafka takes lanes as it likes. With ``history`` events count as
    recorded at their own time, and ``ends`` tells when all lanes of all workers are through. What ``follow`` names is
    left in the outbox. Set ``logs``, and a topic that was made anew since it
    was read halts its lanes when they are claimed.
    """

    def __init__(
        self,
        store: Store,
        book: Rulebook,
        owner: str,
        *,
        source: str,
        now: Callable[[], Instant],
        gives_way: Callable[[str], bool],
        threaded: bool = False,
        ends: Ends | None = None,
        tally: Tally | None = None,
        follow: frozenset[OutgoingKind] = frozenset(),
    ) -> None:
        self.threaded = threaded
        self.tally = tally or Tally()
        self._store, self._source, self._now, self._gives_way = store, source, now, gives_way
        self._ends = ends
        self.logs: Logs | None = None
        self._ids: Mapping[str, str | None] = {}
        history = ends is not None
        self._keeper = AssignedKeeper(store, book, owner, source=source, at=now(), history=history, follow=follow)
        self._offsets: dict[Partition, int | None] = {}
        self._renewed: dict[int, Instant] = {}
        self._mine: set[int] = set()
        """The lanes that were claimed and not given up, whether they are at hand or an error took them away."""
        self._ended: set[int] = set()
        self._decoded: dict[int, dict[tuple[str, int], Arrived | DeadLetter]] = {}
        """By lane what ``key`` has looked into: in the loop's thread, while the writer's may claim."""

    # -- the contract ----------------------------------------------------------------------------------------------
    def claim(self, lanes: Sequence[int], topics: Sequence[str]) -> Mapping[int, Claimed]:
        """Become the owner of lanes, and say where each partition of them goes on."""
        self._ids = self.logs() if self.logs is not None else {}
        at = self._now()
        self._mine.update(lanes)
        others = {info.owner for info in self._store.lane_infos(at=at) if info.lane in lanes and info.owner}
        over = all(self._gives_way(owner) for owner in others)
        known = self._store.logs() if self._ids else {}
        claimed, elsewhere = {}, other_sources(self._store.offsets(), topics, self._source)
        for one in self._keeper.assign(lanes, at=at, take_over=over):
            offsets = {(Partition(topic, one.lane)): one.offsets.get((topic, one.lane)) for topic in topics}
            self._offsets.update(offsets)
            self._renewed[one.lane] = at
            never = [place.topic for place, offset in offsets.items() if offset is None]
            halted = other_log(self._source, elsewhere, never, one.lane)
            for topic in topics:
                stood = known.get((self._source, topic, one.lane))
                halted = halted or made_anew(topic, one.lane, stood, self._ids.get(topic))
            claimed[one.lane] = Claimed(one.epoch, offsets, halted)
        self._ended -= set(lanes)
        for lane in lanes:
            self._decoded.pop(lane, None)
        return claimed

    def commit(self, batches: Sequence[LaneBatch]) -> None:
        """Write batches: events, decisions, dead letters and offsets; and bring the clocks to ``read_until``."""
        at = self._now()
        for batch in batches:
            self._must_hold(batch, at)
        parts = [self._part(batch, at) for batch in batches]
        self.tally.became(self._keeper.take_parts(parts, at=at))
        self._count(parts)
        for batch in batches:
            self._offsets.update({place: moved.end for place, moved in batch.ranges.items()})
        self._move_clocks({batch.lane: batch.read_until for batch in batches if batch.read_until is not None})
        self._ended.update(batch.lane for batch in batches if batch.at_end)

    def _count(self, parts: Sequence[LanePart]) -> None:
        """Count what is in the store now."""
        for part in parts:
            for letter in part.letters:
                self.tally.consumed[letter.source, "dlq"] += 1
        if self._ends is None:
            self.tally.took([one for part in parts for one in part.arrivals], self._now())

    def _move_clocks(self, wanted: Mapping[int, Instant]) -> None:
        """Bring clocks on, a day in each transaction, as far as the time allows; the next call goes on from there."""
        end = time.monotonic() + CLOCK_SECONDS
        for lane, until in wanted.items():
            while (clock := self._keeper.clock(lane)) is None or clock < until:
                self._keeper.move_clock(lane, until if clock is None else min(until, clock + DAY))
                if time.monotonic() >= end:
                    return

    def _must_hold(self, batch: LaneBatch, at: Instant) -> None:
        """Hold the lane under the batch's epoch, and say that its owner is alive."""
        lane = batch.lane
        kept = self._keeper.kept.get(lane)
        epoch = kept.claim.epoch if kept is not None else self._store.lane_infos(at=at)[lane].epoch
        if epoch != batch.epoch:
            raise Fenced(f"lane {lane}: the batch is of epoch {batch.epoch}, which is over; read it again")
        if kept is None:
            raise StoreError(f"lane {lane}: it is not held; a fault came before; claim it again")
        if not 0 <= at - self._renewed[lane] < RENEW_EVERY:
            self._keeper.renew(lane, at=at)
            self._renewed[lane] = at

    def _is_in(self, batch: LaneBatch) -> bool:
        """Was the batch written already, by a call that failed only later?"""
        known = [(self._offsets.get(place), moved.end) for place, moved in batch.ranges.items()]
        return bool(known) and all(offset is not None and offset >= end for offset, end in known)

    def _part(self, batch: LaneBatch, at: Instant) -> LanePart:
        if self._is_in(batch):
            for record in batch.records:
                self.tally.consumed[record.topic, "replayed"] += 1
            return LanePart(lane=batch.lane, until=batch.read_until)
        arrivals, letters = [], []
        for record in batch.records:
            found = self._found(record, at)
            if isinstance(found, Arrived):
                arrivals.append(Arrival(found, self._arrived(found, record, at), record.topic))
            else:
                letters.append(found)
        return LanePart(
            lane=batch.lane, arrivals=arrivals, letters=letters, moves=self._moves(batch), until=batch.read_until
        )

    def clocks(self) -> dict[int, Instant]:
        """How far the clocks of the lanes at hand are; any thread may ask."""
        found = {lane: kept.lane.clock for lane, kept in list(self._keeper.kept.items())}
        return {lane: clock for lane, clock in found.items() if clock is not None}

    @property
    def lanes(self) -> list[int]:
        """The lanes that are held now; any thread may ask."""
        return list(self._keeper.kept)

    def drop(self, lanes: Sequence[int]) -> None:
        """Give lanes up."""
        self._mine.difference_update(lanes)
        self._keeper.give_up(lanes)
        self._ended -= set(lanes)

    # -- beside the batches ----------------------------------------------------------------------------------------
    def key(self, record: Record) -> Instant | None:
        """When a record of a history is to be taken in: at its event's own time; None: with the one before it."""
        found = self._decode(record, self._now())
        self._decoded.setdefault(record.partition, {})[record.topic, record.offset] = found
        return found.event.time if isinstance(found, Arrived) else None

    def tick(self) -> bool:
        """Every second: the portfolio's totals, and the end of a history; True when all of a history is taken in.

        After an error nobody knows what was written: the lanes are forgotten, and claimed again with their next batch.
        """
        try:
            return self._ticked()
        except BaseException:
            self._keeper.forget(list(self._keeper.kept))
            raise

    def _ticked(self) -> bool:
        at = self._now()
        more = self._keeper.measure(at=at)[1]
        self._keeper.keep_snapshots()
        if self._ends is None or not self._through():
            return False
        until = max((info.clock_at for info in self._store.lane_infos(at=at) if info.clock_at is not None), default=0)
        self._move_clocks(dict.fromkeys(sorted(self._keeper.kept), until))
        clocks = [info.clock_at for info in self._store.lane_infos(at=at)]
        if more or any(clock is None or clock < until for clock in clocks):
            return False  # another worker's lanes are not there yet: the portfolio's last totals wait for them
        while self._keeper.measure(at=at)[1]:
            pass
        return True

    def stop(self) -> None:
        """Write snapshots and give the lanes up."""
        self._keeper.stop()

    def _through(self) -> bool:
        """Is every partition of every lane read to its end, by whichever worker?"""
        if self._ends is None or self._keeper.kept.keys() != self._mine or not self._mine <= self._ended:
            return False
        read = self._store.offsets(self._source)
        return all(read.get((self._source, *place), 0) >= end for place, end in self._ends().items())

    # -- records ---------------------------------------------------------------------------------------------------
    def _found(self, record: Record, at: Instant) -> Arrived | DeadLetter:
        looked = self._decoded.get(record.partition)
        found = None if looked is None else looked.pop((record.topic, record.offset), None)
        return self._decode(record, at) if found is None else found

    def _arrived(self, found: Arrived, record: Record, at: Instant) -> Instant:
        """When it arrived: by its record, never later than now; of a history, when it happened."""
        if self._ends is not None:
            return found.event.time
        return min(record.timestamp, at) if record.timestamp >= 0 else at

    def _decode(self, record: Record, at: Instant) -> Arrived | DeadLetter:
        raw, account = record.value or b"", None
        if record.value is None:
            reason = "a record without a value; found a tombstone; events are never deleted: send a new event"
        else:
            found = decode(raw, wall=at)
            if isinstance(found, BadEvent):
                reason, account = found.reason, found.account_id
            else:
                account = found.event.account_id
                lane = lane_of(account, self._store.lanes)
                if lane == record.partition:
                    return found
                reason = (
                    f"account_id: it belongs to partition {lane}; found it in {record.partition}; "
                    "key records by account id, with the murmur2 partitioner"
                )
        where = f"{record.partition}:{record.offset}"
        letter = dead_letter(record.topic, where, reason, raw[:MAX_BYTES], at, account)
        return msgspec.structs.replace(letter, headers=kept_headers(record.headers)) if record.headers else letter

    def _moves(self, batch: LaneBatch) -> list[Offset]:
        moves = []
        for place, moved in batch.ranges.items():
            known = self._offsets.get(place)
            old = None if known is None else moved.start
            log = self._ids.get(place.topic)
            moves.append(Offset(self._source, place.topic, place.partition, old, moved.end, log))
        return moves
