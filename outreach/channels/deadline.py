"""A deadline for all that is said of one mail: timeouts of sockets end a silence, and not an answer that drips."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Thread

LOOK_SECONDS = 0.25
"""How often somebody looks whose time is over."""


class Limit:
    """Until when something may take; ``sock`` is what is cut off then, once it is known."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.sock: socket.socket | None = None

    def cut(self) -> None:
        """Let whoever waits on the socket find its end; on the plain socket, whatever is wrapped around it."""
        if self.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class Deadlines:
    """The deadlines of a channel. One thread watches over all of them, as long as there are any."""

    def __init__(self) -> None:
        self._limits: set[Limit] = set()
        self._lock = Lock()
        self._watching = False

    @contextmanager
    def within(self, seconds: float) -> Iterator[Limit]:
        """What happens inside gets so many seconds; then its socket is cut off."""
        limit = Limit(time.monotonic() + seconds)
        with self._lock:
            self._limits.add(limit)
            begin, self._watching = not self._watching, True
        if begin:
            Thread(target=self._watch, name="deadlines", daemon=True).start()
        try:
            yield limit
        finally:
            with self._lock:
                self._limits.discard(limit)

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            with self._lock:
                if not self._limits:
                    self._watching = False
                    return
                late = [one for one in self._limits if one.until <= time.monotonic()]
            for one in late:
                one.cut()
