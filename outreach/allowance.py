"""Keeps the mails of a run within the limits of their channel: asked as they are claimed, counted before they leave."""

from collections.abc import Callable, Sequence

from engine.instants import Instant
from engine.pacing import Full, Meter, full, left
from engine.store import OutreachRow, Store
from outreach.limits import Limits, Metering
from outreach.policy import No

PATIENCE_SECONDS = 2.0
"""A rate that lets the next mail through within so long is waited for; what waits longer is left for another round."""


class Allowance:
    """What one run of a sender knows of the limits.

    ``sender`` is the address that writes, ``address`` gives the one that a mail goes to. What other senders count
    meanwhile is found when mails are counted, in the store.
    """

    def __init__(
        self, store: Store, limits: Limits, *, channel: str, sender: str, address: Callable[[OutreachRow], str]
    ) -> None:
        self._store, self._address = store, address
        self._metering = Metering(limits, channel=channel, sender=sender, key=store.key)
        self._left: dict[str, int] = {}
        """How many more a limit lets through, by its name, once it was looked up; less what the run has in hand."""

    def room(self, at: Instant) -> tuple[int | None, Full | None]:
        """How many mails the channel takes now, whoever they are for (None: any number); when 0, what is in the way."""
        rate = self._metering.rate
        if not rate:
            return None, None
        counted = self._store.paced(rate, at=at)
        rooms = [left(one, counted[one.name], at) or 0 for one in rate]
        stops = [no for one in rate if (no := full(one, counted[one.name], at)) is not None]
        return min(rooms), max(stops, key=lambda no: no.until, default=None)

    def fetch(self, mails: Sequence[OutreachRow], at: Instant) -> None:
        """Look up what the limits of these mails let through at ``at``."""
        wanted = {one.name: one for row in mails for one in self._of(row)}
        if wanted:
            counted = self._store.paced(list(wanted.values()), at=at)
            rooms = {name: left(one, counted[name], at) for name, one in wanted.items()}
            self._left = {name: number for name, number in rooms.items() if number is not None}

    def against(self, row: OutreachRow) -> No | None:
        """What limit stands against a mail that may leave otherwise; None: it is in hand, and counts from now on."""
        meters = self._of(row)
        no = next((one for one in meters if self._left.get(one.name, 1) < 1), None)
        if no is not None:
            return No("held", no.words)
        for one in meters:
            if one.name in self._left:
                self._left[one.name] -= 1
        return None

    def spent(self, row: OutreachRow) -> No | None:
        """What limit has nothing left for a mail, by what was looked up; it is not counted."""
        no = next((one for one in self._of(row) if self._left.get(one.name, 1) < 1), None)
        return None if no is None else No("held", no.words)

    def take(self, mails: Sequence[OutreachRow], at: Instant) -> list[No | None]:
        """Count mails that are about to leave; what another sender has left no room for is not counted."""
        wanted = [self._of(row) for row in mails]
        if not any(wanted):
            return [None] * len(mails)
        answers = self._store.pace(wanted, at=at)
        return [None if no is None else No("held", no.meter.words, no.until) for no in answers]

    def _of(self, row: OutreachRow) -> Sequence[Meter]:
        """The limits of a mail. What a reader waits for, and notes to us, are counted in a warm-up and pass it."""
        cold = row.audience == "staff" or row.mail_class == "transactional"
        return self._metering.of(self._address(row), cold=cold)
