"""The circuit of a channel: when it takes nothing, all senders leave it alone for a while, and then one tries one mail.

It stands in the store, so that senders do not each find out for themselves, and whoever is on call can see it.
"""

import random
from collections.abc import Callable, Iterable

from engine.instants import HOUR, MINUTE, SECOND, Instant
from engine.store import Outage, Store
from outreach.channel import DeliveryError

FIRST_SECONDS, LONGEST_SECONDS = 30.0, 600.0
"""How long a channel is left alone after its first failure; it doubles with each further one, up to the second."""
OURS_SECONDS = 300.0
"""How long when our own settings are wrong: providers block those for longer who go on asking."""
PROBE = 2 * MINUTE
"""How long a sender has the trial mail to itself: a channel that hangs must have answered by then."""
SPREAD = (1.0, 1.2)
"""What a wait is multiplied by, by chance, so that several senders do not come back as one."""
LASTS = 10 * MINUTE
"""A channel that is away for so long needs somebody to look."""
FORGOTTEN = 2 * LONGEST_SECONDS * SECOND
"""Nobody is told to wait for longer: then a clock has jumped since."""


class Circuit:
    """One run's view of the circuit of a channel."""

    def __init__(
        self,
        store: Store,
        channel: str,
        by: str,
        *,
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._store, self._channel, self._by, self._chance = store, channel, by, chance
        self._outage: Outage | None = None
        self.trying = False
        """Is the next mail the one that tries whether the channel takes mails again?"""

    def open(self, at: Instant, *, at_once: bool = False) -> DeliveryError | None:
        """Why no mail may leave by the channel now; None: mails may, or one may, which is then a trial.

        ``at_once``: somebody asks by hand, and does not wait for the time of the next trial.
        """
        self._outage = next((one for one in self._store.outages() if one.channel == self._channel), None)
        self.trying = False
        if self._outage is None:
            return None
        due = at_once or self._outage.until <= at or self._outage.until > at + FORGOTTEN
        if due and self._store.try_channel(self._outage, until=at + PROBE):
            self.trying = True
            return None
        wait = max(1.0, (self._outage.until - at) / SECOND) if not due else PROBE / SECOND
        return DeliveryError(self._outage.why, "down", wait_seconds=wait, ours=self._outage.ours)

    def broke(self, err: DeliveryError, at: Instant) -> DeliveryError:
        """Open it: the channel takes nothing. The same error, with how long it is left alone."""
        before = self._outage
        failures = 1 if before is None else before.failures + 1
        wait = err.wait_seconds
        if wait is None and err.ours:
            wait = OURS_SECONDS * self._chance(*SPREAD)
        elif wait is None:
            wait = min(FIRST_SECONDS * 2 ** min(failures - 1, 10), LONGEST_SECONDS) * self._chance(*SPREAD)
        self._outage = Outage(
            channel=self._channel,
            since=at if before is None else before.since,
            until=at + int(wait * SECOND),
            why=str(err),
            ours=err.ours,
            failures=failures,
            by=self._by,
        )
        self.trying = False
        self._store.put_outage(self._outage)
        return DeliveryError(str(err), "down", over_it=err.over_it, wait_seconds=wait, ours=err.ours)

    def answered(self) -> None:
        """Close it: the channel has said of a mail what becomes of it."""
        if self._outage is not None:
            self._store.end_outage(self._channel)
        self._outage, self.trying = None, False


def standing(outages: Iterable[Outage], at: Instant) -> list[Outage]:
    """Those of channels that somebody sends by: one that nobody has tried for an hour is no longer in use."""
    return [one for one in outages if at - one.until < HOUR]


def serious(one: Outage, at: Instant) -> bool:
    """Must somebody act? Where our own settings are wrong, at once; else when it lasts."""
    return one.ours or at - one.since >= LASTS
