"""How much a live worker lets come together before it is fetched: nothing when idle, else a transaction's worth."""

FEW = 20.0
"""Events a second below which every record may have a transaction of its own: it is cheap, and soonest."""
TOGETHER_BYTES = 48 * 1024
"""So much should share a transaction, some 200 events: more than that hardly makes one cheaper. The broker waits for
it, as long as a fetch may take at most, and answers with the newest: what is fetched and then lies is as old as the
pause it lay for."""
_MEMORY = 1.0


class Pace:
    """Keeps the rate of the last second or so, and says for how many bytes the broker should wait with its answer.

    >>> pace = Pace()
    >>> pace.least
    1
    >>> for step in range(400):  # 2,000 events a second
    ...     pace.count(20, step / 100)
    >>> pace.least
    49152
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

    @property
    def least(self) -> int:
        """Bytes to wait for."""
        return 1 if self._rate < FEW else TOGETHER_BYTES
