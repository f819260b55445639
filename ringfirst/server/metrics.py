"""What /metrics shows. Labels are bounded: never an account, a person or an address."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.instants import SECOND
from engine.keeper import Taken
from engine.reports.late import Late
from engine.store import Outage
from ringfirst.intake import now
from ringfirst.oncall.late_reports import overdue
from ringfirst.oncall.outages import away
from ringfirst.server.health import Health
from ringfirst.server.waiting import WaitingRoom

_BATCH_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCH_EVENTS = (1, 10, 50, 100, 500, 1_000, 2_500, 5_000, 10_000)


class Metrics:
    """The counters of one server, in a registry of their own."""

    def __init__(self, health: Health, room: WaitingRoom) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second line for each that nobody here reads
        self.registry = home = CollectorRegistry()
        self.requests = Counter(
            "ringfirst_requests", "Requests to /v1/events, by the status of the answer", ["status"], registry=home
        )
        self._events = Counter("ringfirst_events", "Events received, by what became of them", ["result"], registry=home)
        self._decisions = Counter("ringfirst_decisions", "Decisions taken: planned, draft or held out", registry=home)
        self.batch_seconds = Histogram(
            "ringfirst_batch_transaction_seconds",
            "Deciding and committing one batch",
            buckets=_BATCH_SECONDS,
            registry=home,
        )
        self._batch_events = Histogram(
            "ringfirst_batch_events", "Events in one batch", buckets=_BATCH_EVENTS, registry=home
        )
        self.restarts = Counter("ringfirst_owner_restarts", "The lanes were loaded again after a fault", registry=home)
        self.sent = Counter("ringfirst_mails_sent", "Mails that left", registry=home)
        self.sender_failures = Counter("ringfirst_sender_failures", "Runs of the sender that failed", registry=home)
        self.mails: Mapping[str, int] = {}
        self.outages: Sequence[Outage] = ()
        """Channels that take nothing now."""
        self.late: Sequence[Late] = ()
        """Reports that are due and were not issued."""
        Info("ringfirst_build", "This program", registry=home).info({"version": version("ringfirst")})
        home.register(_Now(self, health, room))
        ProcessCollector(registry=home)
        PlatformCollector(registry=home)
        GCCollector(registry=home)

    def took(self, taken: Taken, dead_letters: int) -> None:
        """Count what became of one request's events."""
        counts = {
            "new": taken.new,
            "duplicate": taken.duplicates,
            "forgotten": taken.forgotten,
            "dead_letter": dead_letters,
        }
        for result, count in counts.items():
            if count:
                self._events.labels(result).inc(count)

    def batch(self, events: int, decisions: int) -> None:
        """Count one committed batch."""
        self._batch_events.observe(events)
        self._decisions.inc(decisions)

    def decided(self, decisions: int) -> None:
        """Count decisions that no event brought: the clock did."""
        self._decisions.inc(decisions)

    def text(self) -> bytes:
        """Everything, in the text format that Prometheus reads."""
        return generate_latest(self.registry)


class _Now(Collector):
    """What is measured when somebody looks."""

    def __init__(self, metrics: Metrics, health: Health, room: WaitingRoom) -> None:
        self._metrics, self._health, self._room = metrics, health, room

    def collect(self) -> Iterator[Metric]:
        events, oldest = self._room.depth()
        yield GaugeMetricFamily("ringfirst_waiting_events", "Events that wait for their commit", value=events)
        yield GaugeMetricFamily("ringfirst_waiting_seconds", "How long the oldest has waited", value=oldest)
        ready = all(ok for ok, _ in self._health.checks(self._room).values())
        yield GaugeMetricFamily("ringfirst_ready", "1 when /readyz is green", value=ready)
        lag = GaugeMetricFamily("ringfirst_lane_lag_seconds", "Wall clock less the lane's clock", labels=["lane"])
        at = now()
        for lane, clock in sorted(self._health.clocks.items()):
            lag.add_metric([str(lane)], (at - clock) / SECOND)
        yield lag
        mails = GaugeMetricFamily("ringfirst_mails", "Mails in the store, by state", labels=["state"])
        for state, count in sorted(self._metrics.mails.items()):
            mails.add_metric([state], count)
        yield mails
        yield away(self._metrics.outages)
        yield overdue(self._metrics.late)
