"""Trouble that lasts is told when it begins, seldom while it lasts, and when it is over."""

import logging
import time
from collections.abc import Callable

SAY_AGAIN = 60.0
"""Seconds after which it is said again that something is still away."""
log = logging.getLogger(__name__)


class Absence:
    """Says that something is away, again every minute while it is, and that it is back.

    >>> absence = Absence("the store")
    >>> absence.back()  # it was there all the time: not a word
    """

    def __init__(self, what: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._since: float | None = None
        self._said = 0.0

    def away(self, why: str) -> None:
        """A call failed; ``why`` says what, and with which error."""
        now = self._clock()
        if self._since is None:
            self._since, self._said = now, now
            log.warning("%s; trying again until it is done", why)
        elif now - self._said >= SAY_AGAIN:
            self._said = now
            log.warning("%s has been away for %.0f s: %s", self._what, now - self._since, why)

    def back(self) -> None:
        """A call went well."""
        if self._since is not None:
            log.info("%s answers again, after %.0f s", self._what, self._clock() - self._since)
            self._since = None
