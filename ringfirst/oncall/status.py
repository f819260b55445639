"""How everything is: the shape of the answer, and what follows from what was seen."""

from collections.abc import Mapping, Sequence

import msgspec

from engine.instants import MINUTE, SECOND, Instant
from engine.reports.late import Late
from engine.store import Heartbeat, LaneInfo, LetterCount, Outage, Share, Stop
from outreach.circuit import serious
from ringfirst import owners
from ringfirst.oncall.told import HEARD_SECONDS, ErrorTold, LaneTold, WorkerTold, read_told
from ringfirst.oncall.words import Look, Word, left, rates, word, worst
from streams.lag import PartitionLag

SETTLING = MINUTE
"""So long after the lanes were shared out a new owner may still be reading its accounts."""
BEHIND = MINUTE
"""A lane whose clock is so far behind the first one's holds the portfolio back."""

LATE_SECONDS = 3600.0
"""A report that is so late, and not there, is somebody's business."""


class LaneStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One lane. ``records`` and ``seconds`` None: not known; rates are records a second."""

    lane: int
    state: Word
    owner: str | None
    records: int | None
    seconds: float | None
    left_seconds: float | None
    clock_at: Instant | None
    clock_age_seconds: float | None
    came_per_second: float | None
    committed_per_second: float | None
    why: str | None
    error: ErrorTold | None
    dead_letters: int
    oldest_dead_letter_at: Instant | None
    rebalances: int | None


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One worker, as it last said. ``alive``: it was heard of within 20 seconds, and is not known to be dead."""

    owner: str
    alive: bool
    heard_seconds: float
    lanes: list[int]
    began_at: Instant | None
    version: str | None
    rebalances_24h: int | None
    error: ErrorTold | None
    health: str | None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. ``unheard_seconds``: how long mails have left by SendGrid without a word of any.

    ``outages`` are channels that take nothing, and since when; ``late_reports`` are due and were not issued.
    ``store`` and ``kafka`` say what is wrong with them (None = nothing; ``kafka_used`` tells if any).
    """

    at: Instant
    state: Word
    store: str | None
    kafka: str | None
    kafka_used: bool
    records: int | None
    seconds: float | None
    slowest_lane: int | None
    alive_workers: int
    rebalances_24h: int
    mails: dict[str, int]
    unheard_seconds: float
    outages: list[Outage]
    stops: list[Stop]
    late_reports: list[Late]
    dead_letters: int
    oldest_dead_letter_at: Instant | None
    portfolio_held_back_by: list[int]
    lanes: list[LaneStatus]
    workers: list[WorkerStatus]

    @property
    def well(self) -> bool:
        """Is nothing stalled, stopped, silent or away, and no report an hour late?"""
        lanes = self.state in {"OK", "at rest", "catching up"} and self.store is None and self.kafka is None
        if any(one.seconds(self.at) > LATE_SECONDS for one in self.late_reports):
            return False
        return lanes and not self.unheard_seconds and not any(serious(one, self.at) for one in self.outages)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen in one look; ``lags`` is None when Kafka was not asked or did not answer."""

    at: Instant
    steady: float
    infos: Sequence[LaneInfo] = ()
    lags: Sequence[PartitionLag] | None = None
    beats: Sequence[Heartbeat] = ()
    letters: Sequence[LetterCount] = ()
    shares: Sequence[Share] = ()
    mails: Mapping[str, int] = {}
    unheard: float = 0.0
    outages: Sequence[Outage] = ()
    stops: Sequence[Stop] = ()
    late: Sequence[Late] = ()
    store: str | None = None
    kafka: str | None = None
    kafka_used: bool = True

    def look(self, lane: int) -> Look:
        """The partitions of a lane."""
        mine = [one for one in self.lags or () if one.lane == lane]
        return Look(self.steady, {one.topic: (one.end - one.records, one.end) for one in mine})


def status(first: Seen, last: Seen) -> Status:
    """What follows from two looks; ``last`` is the one that is shown."""
    workers = _workers(last)
    told = _told(workers, last)
    lanes = [_lane(number, first, last, told) for number in _numbers(last)]
    if _rests(last):
        lanes = [msgspec.structs.replace(one, state="at rest", why=None) for one in lanes]
    known = [one for one in lanes if one.records is not None]
    slowest = max(known, key=lambda one: (one.seconds or 0.0, one.records or 0), default=None)
    alive = [one for one in workers if one.alive]
    return Status(
        at=last.at,
        state=worst(
            [one.state for one in lanes] + (["stalled"] if last.store is not None or last.kafka is not None else [])
        ),
        store=last.store,
        kafka=last.kafka,
        kafka_used=last.kafka_used,
        records=sum(one.records or 0 for one in known) if known else None,
        seconds=slowest.seconds if slowest is not None else None,
        slowest_lane=slowest.lane if slowest is not None and slowest.records else None,
        alive_workers=len(alive),
        rebalances_24h=max((one.rebalances_24h or 0 for one in alive), default=0),
        mails=dict(last.mails),
        unheard_seconds=last.unheard,
        outages=list(last.outages),
        stops=[one for one in last.stops if one.pace],
        late_reports=list(last.late),
        dead_letters=sum(one.count for one in last.letters),
        oldest_dead_letter_at=min((one.oldest_at for one in last.letters), default=None),
        portfolio_held_back_by=_holding_back(last),
        lanes=lanes,
        workers=workers,
    )


def _rests(seen: Seen) -> bool:
    """Does nobody live here? Only imports ever wrote into the store, nobody owns a lane, and there is no broker."""
    lives = any(one.lived or one.owner is not None for one in seen.infos)
    return bool(seen.infos) and not (lives or seen.beats or seen.kafka_used)


def _numbers(seen: Seen) -> list[int]:
    return sorted({one.lane for one in seen.infos} or {one.lane for one in seen.lags or ()})


def _workers(seen: Seen) -> list[WorkerStatus]:
    found = []
    for beat in seen.beats:
        told, heard = read_told(beat.body), max(0, seen.at - beat.at) / SECOND
        found.append(
            WorkerStatus(
                owner=beat.owner,
                alive=heard < HEARD_SECONDS and not owners.is_dead(beat.owner),
                heard_seconds=heard,
                lanes=[one.lane for one in told.lanes] if told else [],
                began_at=told.began_at if told else None,
                version=told.version if told else None,
                rebalances_24h=told.rebalances_24h if told else None,
                error=told.error if told else None,
                health=told.health if told else None,
            )
        )
    return found


def _told(workers: Sequence[WorkerStatus], seen: Seen) -> dict[int, tuple[str, WorkerTold, LaneTold]]:
    """What is told of each lane, by the worker alive that was given it last."""
    alive = {one.owner for one in workers if one.alive}
    found: dict[int, tuple[str, WorkerTold, LaneTold]] = {}
    spoken = [(beat.owner, told) for beat in seen.beats if beat.owner in alive and (told := read_told(beat.body))]
    for owner, told in sorted(spoken, key=lambda one: one[1].rebalanced_at or 0):
        found |= {lane.lane: (owner, told, lane) for lane in told.lanes}
    return found


def _lane(number: int, first: Seen, last: Seen, told: Mapping[int, tuple[str, WorkerTold, LaneTold]]) -> LaneStatus:
    info = next((one for one in last.infos if one.lane == number), None)
    speaker, worker, lane = told.get(number, (None, None, None))
    holder = info.owner if info is not None else None
    alive = holder is not None and not owners.is_dead(holder)
    owner = holder if alive else speaker or holder  # a worker that has just got a lane of a dead one speaks first
    owned = alive or speaker is not None
    faults = [one.fault for one in last.lags or () if one.lane == number and one.fault is not None]
    before, after = first.look(number), last.look(number)
    came, taken = _rates(before, after, lane)
    state = _state(before, after, last, worker, lane, owned=owned, halted=bool(faults))
    records, seconds = _waiting(number, last, lane)
    letters = [one for one in last.letters if one.partition == number]
    trouble = lane.trouble if lane is not None else None
    return LaneStatus(
        lane=number,
        state=state,
        owner=owner,
        records=records,
        seconds=seconds,
        left_seconds=left(records, came, taken) if state == "catching up" and records is not None else None,
        clock_at=info.clock_at if info is not None else None,
        clock_age_seconds=None if info is None or info.clock_at is None else max(0, last.at - info.clock_at) / SECOND,
        came_per_second=came,
        committed_per_second=taken,
        why=_why(state, faults, trouble, last, info),
        error=lane.error if lane is not None else None,
        dead_letters=sum(one.count for one in letters),
        oldest_dead_letter_at=min((one.oldest_at for one in letters), default=None),
        rebalances=worker.rebalances if worker is not None else None,
    )


def _state(
    before: Look,
    after: Look,
    seen: Seen,
    worker: WorkerTold | None,
    lane: LaneTold | None,
    *,
    owned: bool,
    halted: bool,
) -> Word:
    if seen.store is not None:
        return "stalled"
    if seen.lags is None and owned and lane is not None:
        return _state_as_told(lane)
    settling = worker is not None and seen.at - (worker.rebalanced_at or 0) < SETTLING
    busy = lane is not None and bool(lane.taken_in)  # one transaction may take longer than lies between two looks
    stuck = lane is not None and (lane.trouble or "").startswith(("halted", "not whole"))
    return word(before, after, owned=owned, halted=halted or stuck, moving=settling or busy)


def _state_as_told(lane: LaneTold) -> Word:
    """Kafka does not answer us: what the lane's worker says of it has to do."""
    if lane.trouble is not None:
        return "stalled"
    if not lane.records:
        return "OK"
    return "catching up" if lane.taken_in else "stalled"


def _why(state: Word, faults: Sequence[str], trouble: str | None, seen: Seen, info: LaneInfo | None) -> str | None:
    if faults:
        return faults[0]
    if state == "OK":
        return None
    if trouble is not None:
        return "its worker is reading its accounts" if trouble == "new" else trouble
    if state == "stopped":
        return "nobody owns it" if info is None or info.owner is None else "its owner is dead"
    if state == "stalled" and seen.store is None:
        return "records wait and nothing moves"
    return None


def _rates(before: Look, after: Look, lane: LaneTold | None) -> tuple[float | None, float | None]:
    """Of the last minute, if its worker tells them; else of the time between the two looks."""
    if lane is not None and lane.came_in is not None and lane.taken_in is not None:
        return lane.came_in, lane.taken_in
    return rates(before, after)


def _waiting(number: int, seen: Seen, lane: LaneTold | None) -> tuple[int | None, float | None]:
    mine = [one for one in seen.lags or () if one.lane == number]
    if mine:
        waits = [one.seconds for one in mine if one.seconds is not None]
        return sum(one.records for one in mine), max(waits) if len(waits) == len(mine) else None
    if lane is None or lane.records is None:
        return None, None
    return lane.records, 0.0 if lane.since is None else max(0, seen.at - lane.since) / SECOND


def _holding_back(seen: Seen) -> list[int]:
    """Lanes that have not come to where others have measured their share of the portfolio."""
    clocks = [one.clock_at for one in seen.infos if one.clock_at is not None]
    if not seen.shares or not clocks:
        return []
    newest, first = max(one.at for one in seen.shares), max(clocks)
    return [
        one.lane
        for one in seen.infos
        if one.clock_at is None or (one.clock_at < newest and first - one.clock_at > BEHIND)
    ]
