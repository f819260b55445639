"""Keeps mails within the limits of their channel: asked before a mail is claimed, counted before it is handed over."""

import time
from collections.abc import Callable, Sequence

from engine.instants import SECOND, Instant
from engine.pacing import Full, Meter, full
from engine.store import OutreachRow, Store
from outreach.limits import Limits, Metering

PATIENCE_SECONDS = 2.0
"""A limit that is lifted within so long is waited for, mail in hand; what waits longer is left for another round."""


class Pace:
    """What one run of a sender knows of the limits, so that of all mails that wait only a few ask the store.

    ``sender`` is the address that writes. What other senders count meanwhile is found when a mail
    is counted, in the store.
    """

    def __init__(self, store: Store, limits: Limits, *, channel: str, sender: str) -> None:
        self._store = store
        self._metering = Metering(limits, channel=channel, sender=sender, key=store.key)
        self._full: dict[str, Full | None] = {}

    def against(self, row: OutreachRow, address: str, at: Instant) -> Full | None:
        """The limit that a mail would go over at ``at``; None: it may be claimed."""
        meters = self._of(row, address)
        unknown = [one for one in meters if one.name not in self._full or _over(self._full[one.name], at)]
        if unknown:
            counted = self._store.paced(unknown)
            self._full |= {one.name: full(one, counted[one.name], at) for one in unknown}
        return next((no for one in meters if one.most is not None and (no := self._full[one.name]) is not None), None)

    def take(self, mails: Sequence[tuple[OutreachRow, str]], at: Instant) -> list[Full | None]:
        """Count mails (the first row of each, and its address) that are about to leave; what is in the way of each."""
        wanted = [self._of(row, address) for row, address in mails]
        if not any(wanted):
            return [None] * len(mails)
        answers = self._store.pace(wanted, at=at)
        for meters, no in zip(wanted, answers, strict=True):
            if no is not None:
                self._full[no.meter.name] = no
            else:  # one more is counted: whether another fits is asked anew
                for one in meters:
                    self._full.pop(one.name, None)
        return answers

    def _of(self, row: OutreachRow, address: str) -> Sequence[Meter]:
        """The limits of a mail. What a reader waits for, and notes to us, are counted in a warm-up and pass it."""
        cold = row.audience == "staff" or row.mail_class == "transactional"
        return self._metering.of(address, cold=cold)


def waits(no: Full, at: Instant, *, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Wait for a limit that is lifted soon; False, at once, when it takes longer than one waits mail in hand."""
    seconds = (no.until - at) / SECOND
    if seconds > PATIENCE_SECONDS:
        return False
    sleep(max(0.0, seconds))
    return True


def _over(no: Full | None, at: Instant) -> bool:
    return no is not None and no.until <= at
