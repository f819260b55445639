"""What a worker counts while it works: plain numbers that any thread may read, a few for each batch and none more."""

import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
from aiokafka.errors import KafkaError

from engine.assigned import Arrival
from engine.errors import Fenced, StoreError, StreamError
from engine.instants import SECOND, Instant
from engine.keeper import Taken
from streams.batch import Partition, Range

BATCH_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BATCH_EVENTS = (1, 10, 50, 100, 500, 1_000, 2_500, 5_000, 10_000)
LATENCY_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600, 86_400)
RATE_SECONDS = 60.0
SAID = 400
"""How much of an error is kept."""


class Spread:
    """How values are spread over ranges: a histogram that takes many values at once.

    >>> spread = Spread((1, 10))
    >>> spread.add(1), spread.add_all([2, 11, 12])
    (None, None)
    >>> spread.counts, spread.total
    ([1, 1, 2], 26.0)
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """Values up to each bound and above the one before it; the last are above all bounds."""
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.add_all((value,))

    def add_all(self, values: Iterable[float]) -> None:
        """Count values; sorted once, so that it takes a look for each bound and not for each value."""
        ordered = sorted(values)
        cuts = [0, *(bisect_right(ordered, bound) for bound in self.bounds), len(ordered)]
        for place, (first, after) in enumerate(pairwise(cuts)):
            self.counts[place] += after - first
        self.total += sum(ordered)

    def add_ages(self, times: Sequence[Instant], at: Instant) -> None:
        """Count how many seconds before ``at`` each of these sorted instants was: no work for each of them.

        >>> spread = Spread((1, 10))
        >>> spread.add_ages([0, 1_000, 9_000, 9_500], 10_000)
        >>> spread.counts, spread.total
        ([2, 2, 0], 20.5)
        """
        before = len(times)
        for place, bound in enumerate(self.bounds):
            first = bisect_left(times, at - bound * SECOND)
            self.counts[place] += before - first
            before = first
        self.counts[-1] += before
        self.total += (at * len(times) - sum(times)) / SECOND


class Said(msgspec.Struct, frozen=True):
    """An error, when it came, and what it was of: ``store``, ``kafka`` or ``lanes``."""

    at: Instant
    component: str
    text: str


class Waiting(msgspec.Struct, frozen=True):
    """What waits in one partition: up to ``end``, the record at ``first`` since ``since`` (None = nothing waits)."""

    end: int
    since: Instant | None
    first: int | None = None


class Sample(NamedTuple):
    """Where partitions stood and ended at one moment (monotonic seconds)."""

    at: float
    written: Mapping[Partition, int]
    ends: Mapping[Partition, int]


def now() -> Instant:
    """The wall clock."""
    return time.time_ns() // 1_000_000


class Tally:
    """What one worker has counted since it began. Each field has one writer, so there is no lock.

    ``consumed`` counts records by (topic, what became of them): ``new``, ``late`` (new, and more than an hour old when
    they came), ``duplicate``, ``forgotten``, ``dlq``, ``replayed`` (read again after a failure, and in already).
    """

    def __init__(self) -> None:
        self.began_at = now()
        self.consumed: Counter[tuple[str, str]] = Counter()
        self.batch_seconds = Spread(BATCH_SECONDS)
        self.batch_events = Spread(BATCH_EVENTS)
        self.latency = Spread(LATENCY_SECONDS)
        self.decisions = 0
        self.rebalances: list[Instant] = []
        """When lanes were shared out anew, the last hundred; the first is the joining."""
        self.rebalanced = 0
        self.fenced = 0
        self.retries: Counter[str] = Counter()
        self.errors: dict[str, Said] = {}
        """The last one of each component."""
        self.lane_errors: dict[int, Said] = {}
        self.succeeded: dict[str, Instant] = {}
        """When each component last did what it should."""
        self.written: dict[Partition, int] = {}
        """The next offset of each partition, as it stands in the store."""
        self.written_at: dict[int, Instant] = {}
        """When a lane's last batch was written."""
        self.waiting: dict[Partition, Waiting] = {}
        self._samples: list[Sample] = []

    # -- what went well --------------------------------------------------------------------------------------------
    def well(self, component: str) -> None:
        """A component did what it should."""
        self.succeeded[component] = now()

    def committed(self, seconds: float, records: int) -> None:
        """A transaction went through."""
        self.batch_seconds.add(seconds)
        self.batch_events.add(records)
        self.well("store")

    def moved(self, lane: int, ranges: Mapping[Partition, Range]) -> None:
        """A lane's batch is in the store."""
        self.written_at[lane] = now()
        for place, moved in ranges.items():
            self.written[place] = moved.end

    def begun(self, positions: Mapping[Partition, int]) -> None:
        """Lanes are claimed, and go on here."""
        self.written.update(positions)
        self._sample()

    def became(self, by_topic: Mapping[str, Taken]) -> None:
        """Count what became of events, topic by topic."""
        for topic, taken in by_topic.items():
            late = min(taken.late, taken.new)
            results = {
                "new": taken.new - late,
                "late": late,
                "duplicate": taken.duplicates,
                "forgotten": taken.forgotten,
            }
            for result, count in results.items():
                if count:
                    self.consumed[topic, result] += count

    def took(self, arrivals: Iterable[Arrival], at: Instant) -> None:
        """Count how long after they happened events were in the store; a clock that is ahead counts as no time."""
        times = sorted([one.arrived.event.time for one in arrivals])
        if times and times[-1] > at:
            times = [min(time, at) for time in times]
        self.latency.add_ages(times, at)

    # -- what did not ----------------------------------------------------------------------------------------------
    def failed(self, err: BaseException | str, lanes: Iterable[int] = (), *, retried: str | None = None) -> None:
        """Something went wrong; ``retried`` names what is done again."""
        component = component_of(err)
        said = Said(now(), component, str(err).splitlines()[0][:SAID] if str(err) else repr(err)[:SAID])
        self.errors[component] = said
        for lane in lanes:
            self.lane_errors[lane] = said
        if retried is not None and component == "store":
            self.retries[retried] += 1
        self.fenced += isinstance(err, Fenced)

    @property
    def last_error(self) -> Said | None:
        """The newest error of all."""
        return max(list(self.errors.values()), key=lambda one: one.at, default=None)

    # -- lanes -----------------------------------------------------------------------------------------------------
    def shared_out(self, lanes: Iterable[int]) -> None:
        """The group was shared out anew; of lanes that went elsewhere nothing is told any more."""
        kept = set(lanes)
        self.rebalanced += 1
        self.rebalances = [*self.rebalances[-99:], now()]
        self.written = {place: at for place, at in self.written.items() if place.partition in kept}
        self.waiting = {place: found for place, found in self.waiting.items() if place.partition in kept}
        self.written_at = {lane: at for lane, at in self.written_at.items() if lane in kept}
        self.lane_errors = {lane: said for lane, said in self.lane_errors.items() if lane in kept}

    def ends(self, ends: Mapping[Partition, int], heads: Mapping[Partition, Instant]) -> None:
        """Take in where partitions end; ``heads`` are the times of the next records, of those that are at hand."""
        found = {}
        for place, end in ends.items():
            first, before = self.written.get(place), self.waiting.get(place)
            if first is None or end <= first:
                found[place] = Waiting(end, None, first)
                continue
            # Of a record that is not at hand we know only since when it has been the next one.
            since = before.since if before is not None and before.first == first else None
            known = now() if since is None else since
            found[place] = Waiting(end, min(heads.get(place, known), now()), first)
        self.waiting = {**self.waiting, **found}
        self._sample()

    def _sample(self) -> None:
        ends = {place: one.end for place, one in self.waiting.items()}
        sample = Sample(time.monotonic(), dict(self.written), ends)
        self._samples = [one for one in self._samples if one.at > sample.at - RATE_SECONDS] + [sample]

    def rates(self, lane: int) -> tuple[float | None, float | None]:
        """Records a second that came to a lane, and that were written, over the last minute; None: not known yet."""
        samples = self._samples
        came = _rate(lane, [(one.at, one.ends) for one in samples])
        return came, _rate(lane, [(one.at, one.written) for one in samples])

    def lag(self) -> dict[Partition, tuple[int, Instant | None]]:
        """How many records of each partition are not in the store, and since when the first of them has waited."""
        found = {}
        for place, waiting in list(self.waiting.items()):
            behind = max(0, waiting.end - self.written.get(place, waiting.end))
            found[place] = behind, waiting.since if behind else None
        return found


def _rate(lane: int, samples: Sequence[tuple[float, Mapping[Partition, int]]]) -> float | None:
    """How fast the offsets of a lane grow, from when they were first known."""
    known = [(at, offsets) for at, offsets in samples if any(place.partition == lane for place in offsets)]
    if not known or known[-1][0] - known[0][0] < 1:
        return None
    (began, first), (ended, last) = known[0], known[-1]
    grown = sum(last[place] - at for place, at in first.items() if place.partition == lane and place in last)
    return max(0.0, round(grown / (ended - began), 1))


def component_of(err: BaseException | str) -> str:
    """What an error is of: ``store``, ``kafka``, or ``lanes``.

    >>> component_of(StoreError("away")), component_of(StreamError("away")), component_of(Fenced("gone"))
    ('store', 'kafka', 'lanes')
    """
    if isinstance(err, StoreError):
        return "store"
    return "kafka" if isinstance(err, StreamError | KafkaError | TimeoutError) else "lanes"
