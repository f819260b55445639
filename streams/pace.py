"""How long a live worker waits between two fetches: none when idle or behind, a little in between."""

FEW = 20.0
"""Events a second below which every record may have a transaction of its own: it is cheap, and soonest."""
TOGETHER = 60.0
"""So many events should share a transaction: more than that hardly makes one cheaper."""
LONGEST = 0.05
_MEMORY = 1.0


class Pace:
    """Keeps the rate of the last second or so, and says how long to wait before the next fetch.

    >>> pace = Pace()
    >>> for step in range(400):  # 2,000 events a second
    ...     pace.count(20, step / 100)
    >>> round(pace.wait(full=False), 2)
    0.03
    >>> pace.wait(full=True)
    0.0
    """

    def __init__(self) -> None:
        self._rate = 0.0
        self._at: float | None = None

    def count(self, records: int, now: float) -> None:
        """Take in what a fetch brought at ``now`` (a monotonic clock, in seconds)."""
        if self._at is not None:
            passed = max(now - self._at, 1e-6)
            weight = min(passed / _MEMORY, 1.0)
            self._rate += weight * (records / passed - self._rate)
        self._at = now

    def wait(self, *, full: bool) -> float:
        """Seconds to wait; ``full``: the last fetch brought as much as it could, so there is more to read at once."""
        if full or self._rate < FEW:
            return 0.0
        return min(LONGEST, TOGETHER / self._rate)
