"""The thread that lets mails leave, beside the intake: whatever happens to it, events go on coming in."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from engine.errors import RingfirstError
from engine.instants import MINUTE, Instant
from engine.rulebook.spec import Policy
from engine.store import Store
from outreach.breaker import Guard
from outreach.channel import Channel
from outreach.circuit import standing
from outreach.context import Sender
from outreach.doubts import Doubts
from outreach.limits import Limits
from outreach.sender import send_due
from outreach.templates import Template
from ringfirst.intake import now
from ringfirst.leaving import ROUND_SECONDS, keep_sending, pause_after
from ringfirst.oncall.late_reports import LateReports
from ringfirst.owners import owner_name
from ringfirst.reporting import Rounds
from ringfirst.server.health import Health
from ringfirst.server.metrics import Metrics
from ringfirst.server.owner import told

BEHIND = 5 * MINUTE
LOOK_SECONDS = 30.0
"""How often it is looked which reports are late."""
_log = logging.getLogger("ringfirst.server.sending")


class Sending(threading.Thread):
    """Sends what is due, every few seconds, from ``start`` until ``stop``.

    Its clock is that of the lane furthest behind. So the engine has looked at everything up to a mail's due time before
    the mail leaves, and never takes back one that is on its way.
    """

    def __init__(  # noqa: PLR0913, what a sender is given beside its threads and counters
        self,
        store: Store,
        templates: Mapping[str, Template],
        channel: Channel,
        sender: Sender,
        health: Health,
        metrics: Metrics,
        *,
        policy: Policy | None = None,
        doubts: Doubts | None = None,
        only_to: Collection[str] = (),
        limits: Limits | None = None,
        guard: Callable[[Instant], Guard | None] = lambda _: None,
        reports: Rounds | None = None,
    ) -> None:
        super().__init__(name="sender", daemon=True)
        self._store, self._templates, self._channel, self._sender = store, templates, channel, sender
        self._health, self._metrics, self._policy, self._only_to = health, metrics, policy, only_to
        self._doubts, self._limits = doubts, limits
        self._guard = guard
        self._reports = reports
        self._stopping = threading.Event()
        self._late, self._looked = LateReports(store), float("-inf")

    def stop(self) -> None:
        """Stop after the mail at hand."""
        self._stopping.set()

    def run(self) -> None:
        """Send until told to stop; a failure is said and tried again later."""
        keep_sending(self._sent, self._failed, self._stopping, _log)

    def _sent(self) -> int:
        mails = self._round()
        self._metrics.mails = self._store.mail_counts()
        self._metrics.outages = standing(self._store.outages(), now())
        if time.monotonic() >= self._looked + LOOK_SECONDS:
            self._looked = time.monotonic()
            self._metrics.late = self._late.at(now())
        return mails

    def _round(self) -> int:
        """Send what is due; gives how many mails left."""
        at = clock_of(self._health.clocks.values(), wall=self._store.clock(now()))
        if at is None:
            self._health.sender = "waits for the lanes"
            return 0
        if self._reports is not None:
            self._reports.issue(stop=self._stopping.is_set)
        report = send_due(
            self._store,
            self._templates,
            self._channel,
            sender=self._sender,
            at=at,
            by=f"run:{owner_name()}",
            policy=self._policy,
            doubts=self._doubts,
            only_to=self._only_to,
            limits=self._limits,
            patient=True,
            guard=self._guard(at),
            live=True,
            seconds=ROUND_SECONDS,
            stop=self._stopping.is_set,
        )
        self._metrics.sent.inc(report.mails)
        self._health.sender = "is well"
        return report.mails

    def _failed(self, err: Exception) -> float:
        """A failing sender never stops the intake: whatever it was, it is said and tried again."""
        self._metrics.sender_failures.inc()
        with suppress(RingfirstError):  # it may be the store that fails
            self._metrics.outages = standing(self._store.outages(), now())
        said = told(err) if isinstance(err, RingfirstError) else f"the sender failed; {told(err)}"
        if self._health.sender != said:
            _log.error("%s; it is tried again in %.0f s", said, pause_after(err))
        self._health.sender = said
        return pause_after(err)


def clock_of(clocks: Collection[Instant], *, wall: Instant) -> Instant | None:
    """The sender's clock: that of the lane furthest behind, never ahead of the wall clock.

    None while there is none, or while a lane is more than five minutes behind: then mails wait.

    >>> clock_of([], wall=9), clock_of([7, 8], wall=9), clock_of([20], wall=9), clock_of([0], wall=400_000)
    (None, 7, 9, None)
    """
    at = min([*clocks, wall]) if clocks else None
    return None if at is None or at < wall - BEHIND else at
