"""Is a worker alive, and can it do its work? Answered from what its threads left, never by asking store or broker."""

import time
from collections.abc import Callable

from engine.instants import SECOND
from ringfirst.intake import now
from ringfirst.oncall.herald import Herald
from ringfirst.oncall.screen import numbers, span
from streams.app import App
from streams.held import NOBODY
from streams.tally import Tally

TURN_SECONDS = 30.0
"""An event loop that has not turned for so long is blocked; at 60 s the worker ends itself."""
PROBE_SECONDS = 20.0
"""So old the last write into the store may be; it is tried every five seconds."""
KAFKA_SECONDS = 30.0
"""So long Kafka may leave questions unanswered; it is asked every second."""
COMMIT_SECONDS = 120.0
"""So long records may wait in a lane with no commit of it."""

Checks = dict[str, tuple[bool, str]]
"""Each thing that must be well, and how it is."""


class WorkerHealth:
    """How one worker is. Any thread may ask."""

    def __init__(self, app: App, tally: Tally, herald: Herald, *, turn_seconds: float = TURN_SECONDS) -> None:
        self._app, self._tally, self._herald = app, tally, herald
        self._turn_seconds = turn_seconds
        self._began = time.monotonic()

    def alive(self) -> tuple[bool, str]:
        """Does the event loop turn? A broker or a store that is away changes nothing in it."""
        if self._app.should_stop:
            return True, "stopping"
        ago = time.monotonic() - (self._app.turned_at or self._began)
        return ago < self._turn_seconds, f"the event loop turned {ago:.1f} s ago"

    def checks(self) -> Checks:
        """Everything that must be well for this worker to do its work."""
        found: dict[str, Callable[[], tuple[bool, str]]] = {
            "loop": self.alive,
            "store": self._store,
            "tables": self._tables,
            "kafka": self._kafka,
            "group": self._group,
            "lanes": self._lanes,
            "commits": self._commits,
        }
        return {name: check() for name, check in found.items()}

    def _store(self) -> tuple[bool, str]:
        wrote, probed = self._herald.wrote, self._herald.probed
        if wrote is None:
            return False, "not written to yet" if probed is None or probed[1] is None else probed[1]
        ago = time.monotonic() - wrote
        why = f"; {probed[1]}" if probed is not None and probed[1] is not None else ""
        return ago < PROBE_SECONDS, f"written to {ago:.1f} s ago{why}"

    def _tables(self) -> tuple[bool, str]:
        if self._herald.current:
            return True, "of this program's version"
        return False, "another version changed them; start the workers anew with that one"

    def _kafka(self) -> tuple[bool, str]:
        if not self._app.work.held.lanes:
            return True, "nothing is asked: no lane is here"
        at = self._tally.succeeded.get("kafka")
        if at is None:
            return False, "has not answered yet"
        ago = (now() - at) / SECOND
        return ago < KAFKA_SECONDS, f"answered {ago:.1f} s ago"

    def _group(self) -> tuple[bool, str]:
        held = self._app.work.held
        if held.generation == NOBODY:
            return False, "not in the group: it is being shared out, or Kafka is away"
        lanes = held.lanes
        return True, f"joined; its lanes: {numbers(lanes)}" if lanes else "joined; no lane is left for this worker"

    def _lanes(self) -> tuple[bool, str]:
        troubles = sorted(dict(self._app.work.held.troubles).items())
        if not troubles:
            return True, "all of them go on"
        return False, "; ".join(f"lane {lane}: {trouble}" for lane, trouble in troubles[:3])

    def _commits(self) -> tuple[bool, str]:
        at, slow = now(), []
        for place, (records, since) in self._tally.lag().items():
            wrote = max(self._tally.written_at.get(place.partition, 0), since or at, self._tally.began_at)
            if records and at - wrote > COMMIT_SECONDS * SECOND:
                slow.append(place.partition)
        if slow:
            return False, f"records wait, and nothing was committed for 2 minutes in lanes {numbers(sorted(set(slow)))}"
        last = self._tally.succeeded.get("store")
        return True, "none yet" if last is None else f"the last one {span((at - last) / SECOND)} ago"
