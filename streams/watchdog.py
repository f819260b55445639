"""A plain thread that ends a worker which no longer works: abrupt is always safe, half dead is not.

The consumer has a thread of its own whose heartbeats go on while the event loop hangs, so Kafka leaves a hung worker
its partitions; and a coordinator that met an error it cannot mend is silent. Nobody else would notice.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

EXIT_BROKEN = 70
EVERY = 1.0
GAP = 5.0
"""A look that comes so many seconds late: the process was suspended, and the time in between counts for nothing."""

log = logging.getLogger(__name__)


class Signs(msgspec.Struct, frozen=True):
    """What can be seen of a worker from outside its event loop."""

    loop_beat: float
    """How often the event loop has turned for us; any number that grows."""
    thread_beat: float | None
    """The same of the consumer's loop; None before it runs."""
    progress: float
    """Any number that changes when the worker polls or writes."""
    dead: str | None = None
    """A task that must always run and has ended: which, and with what error."""
    parked: str | None = None
    """An error that the coordinator keeps until somebody asks for it; it does nothing meanwhile."""
    rebalancing: bool = False
    """Is the group being shared out anew, with a coordinator that answers?"""
    fenced: bool = False
    """Is there a lane that Kafka gives to this worker and a newer owner has?"""


class Limits(msgspec.Struct, frozen=True):
    """Seconds that each sign may last, the process being awake."""

    loop: float = 60.0
    thread: float = 60.0
    progress: float = 120.0
    dead: float = 0.0
    parked: float = 5.0
    rebalancing: float = 120.0
    fenced: float = 45.0


class Watch:
    """Judges signs one after another; pure, with the clock as an argument.

    >>> watch = Watch(Limits(parked=1.0))
    >>> well = Signs(loop_beat=1, thread_beat=1, progress=1)
    >>> watch.look(well, 0.0), watch.look(msgspec.structs.replace(well, parked="no such group"), 1.0)
    (None, None)
    >>> watch.look(msgspec.structs.replace(well, parked="no such group"), 2.5)
    'the coordinator stands still: no such group'
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._last: Signs | None = None
        self._at = 0.0
        self._lasting: dict[str, float] = {}

    def look(self, signs: Signs, now: float) -> str | None:
        """What is wrong, in words, when it has lasted too long; else None."""
        passed, last = now - self._at, self._last
        self._at, self._last = now, signs
        if last is None or passed > GAP:
            return None
        for name, message in self._wrong(last, signs):
            if message is None:
                self._lasting.pop(name, None)
                continue
            lasted = self._lasting[name] = self._lasting.get(name, 0.0) + passed
            if lasted > getattr(self._limits, name):
                return message
        return None

    def _wrong(self, last: Signs, signs: Signs) -> Iterator[tuple[str, str | None]]:
        yield "loop", _when(last.loop_beat == signs.loop_beat, "the event loop is blocked")
        blocked = signs.thread_beat is not None and last.thread_beat == signs.thread_beat
        yield "thread", _when(blocked, "the consumer's thread is blocked or gone")
        stuck = last.progress == signs.progress
        yield "progress", _when(stuck, "nothing is polled and nothing is written")
        yield "dead", signs.dead and f"a task that must run has ended: {signs.dead}"
        yield "parked", signs.parked and f"the coordinator stands still: {signs.parked}"
        yield "rebalancing", _when(signs.rebalancing, "the group is being shared out anew without end")
        yield "fenced", _when(signs.fenced, "a newer owner keeps a lane that Kafka gives to this worker")


class Beat:
    """Counts how often a loop turns, asked from another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked = self._answered = 0

    def read(self) -> float:
        """How often it has answered; asks again when it has answered the last time."""
        if self._asked == self._answered:
            self._asked += 1
            try:
                self._loop.call_soon_threadsafe(self._answer)
            except RuntimeError:  # closed: the process is about to end
                self._answer()
        return self._answered

    def _answer(self) -> None:
        self._answered = self._asked


class Watchdog(threading.Thread):
    """Looks at a worker once a second; ends the process when ``Watch`` says so."""

    def __init__(
        self,
        signs: Callable[[], Signs | None],
        limits: Limits | None = None,
        *,
        end: Callable[[str], None] | None = None,
        every: float = EVERY,
    ) -> None:
        super().__init__(name="ringfirst-watchdog", daemon=True)
        self._signs = signs
        self._watch = Watch(limits or Limits())
        self._end = end or fatal
        self._every = every
        self._over = threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        while not self._over.wait(self._every):
            signs = self._signs()
            wrong = None if signs is None else self._watch.look(signs, time.monotonic())
            if wrong is not None:
                self._end(wrong)
                return

    def stop(self) -> None:
        """The worker ends by itself."""
        self._over.set()


class Exit(Protocol):
    """``os._exit``, or what stands for it in a test."""

    def __call__(self, status: int, /) -> None: ...  # noqa: D102


def fatal(message: str, *, exit_: Exit = os._exit) -> None:
    """Log why, and end the process at once: what is not committed is read again."""
    log.critical("%s; ending this process: what is not in the store is read again at the next start", message)
    for handler in logging.getLogger().handlers:
        handler.flush()
    exit_(EXIT_BROKEN)


def _when(true: bool, message: str) -> str | None:  # noqa: FBT001 - it says when
    return message if true else None
