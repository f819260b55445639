"""The room between the web and the owner of the lanes: requests wait in it until they are committed together."""

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from engine.keeper import Taken
from ringfirst.server.bodies import Parcel
from ringfirst.server.refused import busy

MOST_EVENTS = 20_000
"""How many events may wait; more are refused until the owner has caught up."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that waits for its commit; ``answer`` gives what became of it, or raises ``Refused``."""

    parcel: Parcel
    answer: Future[Taken] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)
    since_wall: int = field(default_factory=lambda: time.time_ns() // 1_000_000)


class WaitingRoom:
    """A bounded queue: the web's threads enter, the owner calls in as many as one transaction takes."""

    def __init__(self, most_events: int = MOST_EVENTS) -> None:
        self._most = most_events
        self._queue: deque[Waiting] = deque()
        self._events = 0
        self._open = False
        self._closed = False
        self._changed = threading.Condition()

    @property
    def closed(self) -> bool:
        """Whether the room was closed for good."""
        return self._closed

    def open(self) -> None:
        """Let requests in: there is an owner."""
        with self._changed:
            self._open = not self._closed

    def pause(self) -> None:
        """Let nobody in for a while; who is inside keeps waiting."""
        with self._changed:
            self._open = False

    def close(self) -> None:
        """Let nobody in any more; who is inside is still called."""
        with self._changed:
            self._open, self._closed = False, True
            self._changed.notify_all()

    def enter(self, parcel: Parcel) -> Waiting:
        """Wait for the owner. Raises ``Refused`` (503) when there is no room, or no owner."""
        with self._changed:
            if not self._open:
                raise busy("the server is stopping" if self._closed else "the lanes have no owner at the moment")
            if self._queue and self._events + len(parcel) > self._most:
                raise busy(f"{self._events:,} events wait already")
            waiting = Waiting(parcel)
            self._queue.append(waiting)
            self._events += len(parcel)
            self._changed.notify_all()
            return waiting

    def call(self, timeout: float, *, most_events: int) -> list[Waiting]:
        """Call in who waits, oldest first, at least one and at most so many events; nobody within ``timeout``: []."""
        with self._changed:
            if not self._queue and not self._closed:
                self._changed.wait(timeout)
            called: list[Waiting] = []
            room = most_events
            while self._queue and (not called or len(self._queue[0].parcel) <= room):
                one = self._queue.popleft()
                self._events -= len(one.parcel)
                if one.answer.set_running_or_notify_cancel():  # else its client has given up meanwhile
                    called.append(one)
                    room -= len(one.parcel)
            return called

    def depth(self) -> tuple[int, float]:
        """How many events wait, and for how many seconds the oldest has."""
        with self._changed:
            oldest = time.monotonic() - self._queue[0].since if self._queue else 0.0
            return self._events, oldest

    def read_until(self, wall: int) -> int:
        """The instant before which everything that arrived is called in: ``wall``, or when the oldest came."""
        with self._changed:
            return min(wall, self._queue[0].since_wall) if self._queue else wall
