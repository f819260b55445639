"""What a worker's /metrics shows, drawn from its tally when somebody looks. Labels are bounded: never an account."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from engine.instants import SECOND, Instant
from ringfirst.intake import now
from ringfirst.oncall.health import WorkerHealth
from ringfirst.oncall.herald import Stock
from ringfirst.oncall.late_reports import overdue
from ringfirst.oncall.outages import away
from streams.held import HeldLanes
from streams.tally import Spread, Tally

PREFIX = "ringfirst_"
OTHER = "other"
"""The label of dead letters that came by no topic of ours: from files, or over HTTP."""
RESULTS = ("new", "late", "duplicate", "replayed", "forgotten", "dlq")
COMPONENTS = ("store", "kafka", "lanes")
REASONS = ("commit", "claim", "between", "give_up")


class WorkerMetrics(Collector):
    """All metrics of one worker, in a registry of their own. Nothing is counted here: reading costs, working does not.

    ``topics`` are the inbound ones, ``clocks`` gives how far the lanes' clocks are, ``stock`` what the store holds.
    """

    def __init__(
        self,
        tally: Tally,
        held: HeldLanes,
        topics: Collection[str],
        *,
        clocks: Callable[[], Mapping[int, Instant]],
        health: WorkerHealth,
        stock: Callable[[], Stock | None],
    ) -> None:
        self._tally, self._held, self._topics = tally, held, tuple(topics)
        self._clocks, self._health, self._stock = clocks, health, stock
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def text(self) -> bytes:
        """Everything, in the text format that Prometheus reads."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Draw every family."""
        yield InfoMetricFamily(f"{PREFIX}build", "This program", value={"version": version("ringfirst")})
        yield from self._events()
        yield from self._lag()
        yield from self._lanes()
        yield from self._moments()
        yield from self._stored()

    def _events(self) -> Iterator[Metric]:
        tally = self._tally
        consumed = _counter("events_consumed", "Records taken in, by what became of them", "topic", "result")
        for topic in self._topics:
            for result in RESULTS:
                consumed.add_metric([topic, result], tally.consumed[topic, result])
        yield consumed
        yield _histogram("batch_transaction_seconds", "Deciding and committing one transaction", tally.batch_seconds)
        yield _histogram("batch_events", "Records in one transaction", tally.batch_events)
        yield _histogram("end_to_end_latency_seconds", "From when an event happened to its commit", tally.latency)
        retries = _counter("db_retries", "What was done again after the store failed", "reason")
        for reason in REASONS:
            retries.add_metric([reason], tally.retries[reason])
        yield retries
        yield CounterMetricFamily(
            f"{PREFIX}fenced_batches", "Batches not written: a newer owner has the lane", value=tally.fenced
        )
        yield CounterMetricFamily(f"{PREFIX}rebalances", "How often lanes were shared out anew", value=tally.rebalanced)

    def _lag(self) -> Iterator[Metric]:
        records = _gauge("consumer_lag_records", "Records that are not in the store yet", "topic", "partition")
        seconds = _gauge("consumer_lag_seconds", "How long the next record has waited", "topic", "partition")
        at = now()
        for place, (behind, since) in sorted(self._tally.lag().items()):
            labels = [place.topic, str(place.partition)]
            records.add_metric(labels, behind)
            seconds.add_metric(labels, 0 if since is None else max(0, at - since) / SECOND)
        yield records
        yield seconds

    def _lanes(self) -> Iterator[Metric]:
        mine = set(self._held.lanes)
        watermark = _gauge("event_time_watermark_timestamp_seconds", "The clock of each lane", "partition")
        for lane, clock in sorted(self._clocks().items()):
            if lane in mine:
                watermark.add_metric([str(lane)], clock / SECOND)
        yield watermark
        assigned = len(mine) * len(self._topics)
        yield GaugeMetricFamily(f"{PREFIX}assigned_partitions", "Partitions that are this worker's", value=assigned)
        troubles = [trouble.partition(":")[0] for lane, trouble in dict(self._held.troubles).items() if lane in mine]
        kinds = Counter(one if one in {"halted", "fenced", "not whole"} else "waiting" for one in troubles)
        lanes = _gauge("lanes", "Lanes of this worker, by how they are", "state")
        for state in ("going", "waiting", "halted", "fenced", "not whole"):
            lanes.add_metric([state], kinds[state] if state != "going" else len(mine) - len(troubles))
        yield lanes
        ready = all(ok for ok, _ in self._health.checks().values())
        yield GaugeMetricFamily(f"{PREFIX}ready", "1 when /readyz is green", value=ready)

    def _moments(self) -> Iterator[Metric]:
        success = _gauge("last_success_timestamp_seconds", "When each part last did what it should", "component")
        error = _gauge("last_error_timestamp_seconds", "When each part last failed", "component")
        for component in COMPONENTS:
            if (at := self._tally.succeeded.get(component)) is not None:
                success.add_metric([component], at / SECOND)
            if (said := self._tally.errors.get(component)) is not None:
                error.add_metric([component], said.at / SECOND)
        yield success
        yield error

    def _stored(self) -> Iterator[Metric]:
        stock = self._stock()
        if stock is None:
            return
        letters = Counter[str]()
        for one in stock.letters:
            letters[one.source if one.source in self._topics else OTHER] += one.count
        dead = _gauge("dlq_records", "Dead letters in the store", "topic")
        for topic in (*self._topics, OTHER):
            dead.add_metric([topic], letters[topic])
        yield dead
        oldest = min((one.oldest_at for one in stock.letters), default=None)
        age = 0 if oldest is None else max(0, now() - oldest) / SECOND
        yield GaugeMetricFamily(f"{PREFIX}dlq_oldest_age_seconds", "The age of the oldest dead letter", value=age)
        mails = _gauge("mails", "Mails in the store, by state", "state")
        for state, count in sorted(stock.mails.items()):
            mails.add_metric([state], count)
        yield mails
        words = "For how long mails have left by SendGrid without a word of any from its webhook; 0: it tells of them"
        yield GaugeMetricFamily(f"{PREFIX}webhook_silent_seconds", words, value=stock.unheard_seconds)
        yield away(stock.outages)
        yield overdue(stock.late)


def _counter(name: str, words: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(PREFIX + name, words, labels=labels)


def _gauge(name: str, words: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, words, labels=labels)


def _histogram(name: str, words: str, spread: Spread) -> HistogramMetricFamily:
    total, buckets = 0, []
    for bound, count in zip([*map(float, spread.bounds), float("inf")], list(spread.counts), strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else repr(bound), total))
    return HistogramMetricFamily(PREFIX + name, words, buckets=buckets, sum_value=spread.total)
