"""How a worker ends: gently when it can, at a deadline whatever is broken."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import faust

STOP_SECONDS = 10.0
EXIT_TERMINATED = 128 + signal.SIGTERM
_STOPPING = {signal.SIGTERM, signal.SIGINT}

FAUST = logging.getLogger("faust.worker")
"""Under this name Faust's own talk of our services is logged, so that it can be quiet where ours is not."""
log = logging.getLogger(__name__)


class Deadline:
    """Ends the process when stopping takes longer than ``seconds``; to start it twice is to start it once."""

    def __init__(self, seconds: float = STOP_SECONDS, *, end: Callable[[int], Any] = os._exit) -> None:
        self._seconds = seconds
        self._end = end
        self._timer: threading.Timer | None = None

    def start(self) -> None:
        """Begin to count."""
        if self._timer is None:
            self._timer = threading.Timer(self._seconds, self._over)
            self._timer.daemon = True
            self._timer.start()

    def cancel(self) -> None:
        """Everything has ended in time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _over(self) -> None:
        log.critical("stopping took longer than %.0f s; ending at once: what was written is whole", self._seconds)
        self._end(EXIT_TERMINATED)


class Worker(faust.Worker):
    """Faust's worker, whose end has a deadline from the first signal on."""

    logger = FAUST
    deadline: Deadline
    signalled = False

    def install_signal_handlers(self) -> None:
        """Hear of signals as Faust does, and beside the event loop too, for that may be blocked."""
        super().install_signal_handlers()
        listen_beside(self.deadline.start)

    def _schedule_shutdown(self, signal: signal.Signals) -> None:
        if not self.signalled:
            log.info("%s: stopping", signal.name)
        self.signalled = True
        self.deadline.start()
        super()._schedule_shutdown(signal)


def listen_beside(started: Callable[[], None]) -> None:
    """Call ``started`` in a thread of its own at SIGTERM and SIGINT, whatever the main thread does meanwhile.

    Python writes a signal's number into a descriptor before any Python code runs; the event loop has put its own
    there. This one takes its place and hands every byte on to it.
    """
    ours, pythons = os.pipe()
    os.set_blocking(pythons, False)
    loops = signal.set_wakeup_fd(pythons, warn_on_full_buffer=False)

    def listen() -> None:
        while received := os.read(ours, 64):
            with suppress(OSError):  # the loop is closed: the process is about to end
                os.write(loops, received)
            if _STOPPING.intersection(received):
                started()

    threading.Thread(target=listen, name="ringfirst-signals", daemon=True).start()
