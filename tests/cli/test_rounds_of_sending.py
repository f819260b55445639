"""A sender that goes on rests after each round, longer after a long one."""

import logging
import threading

from ringfirst import leaving


class Rounds(threading.Event):
    """Is told to stop after so many rests, and remembers how long each was."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.rests: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.rests.append(timeout or 0.0)
        if len(self.rests) == self.most:
            self.set()
        return self.is_set()


def test_the_first_round_loads_what_sending_needs_and_is_not_rested_from(monkeypatch):
    clock = iter(range(0, 1_000, 5))
    monkeypatch.setattr("ringfirst.leaving.time.monotonic", lambda: float(next(clock)))
    rounds = Rounds(3)
    leaving.keep_sending(lambda: 1, lambda _: 0.0, rounds, logging.getLogger("test"))
    assert rounds.rests == [leaving.EVERY_SECONDS, 45.0, 45.0]
