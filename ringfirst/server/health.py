"""How the server is: what its threads say of themselves, and what /readyz makes of it."""

import time
from dataclasses import dataclass, field

from engine.instants import SECOND, Instant
from ringfirst.intake import now
from ringfirst.server.waiting import WaitingRoom

STALLED_SECONDS = 10.0
"""An owner that has not moved or written for so long is stalled."""
WAITED_SECONDS = 5.0
"""A request that waits for so long shows that the owner does not keep up."""
BEHIND_SECONDS = 60.0
"""A lane's clock that is so far behind is behind; two or three seconds are usual."""


@dataclass
class Health:
    """Written by the owner and the sender, read by the web. Each field has one writer, so there is no lock."""

    state: str = "starting"
    why: str = "the lanes are being loaded"
    beat: float = field(default_factory=time.monotonic)
    wrote: float = field(default_factory=time.monotonic)
    clocks: dict[int, Instant] = field(default_factory=dict)
    sender: str = "not started"

    def say(self, state: str, why: str) -> None:
        """Say what the owner is doing: ``starting``, ``owner``, ``recovering``, ``stopping``, ``lost``."""
        self.why = why
        self.state = state
        self.beat = time.monotonic()

    def written(self, clocks: dict[int, Instant]) -> None:
        """A transaction went through."""
        self.clocks = clocks
        self.beat = self.wrote = time.monotonic()

    def lag_seconds(self) -> float:
        """How far the lane furthest behind is behind the wall clock; 0 when no lane has a clock."""
        return max(((now() - clock) / SECOND for clock in self.clocks.values()), default=0.0)

    def checks(self, room: WaitingRoom) -> dict[str, tuple[bool, str]]:
        """Each thing that must be well for events to be taken, and how it is."""
        at = time.monotonic()
        waits, oldest = room.depth()
        lag = self.lag_seconds()
        return {
            "lanes": (self.state == "owner", self.why),
            "owner": (at - self.beat < STALLED_SECONDS, f"moved {at - self.beat:.1f} s ago"),
            "store": (at - self.wrote < STALLED_SECONDS, f"written to {at - self.wrote:.1f} s ago"),
            "waiting": (oldest < WAITED_SECONDS, f"{waits:,} events wait, the oldest for {oldest:.1f} s"),
            "clocks": (lag < BEHIND_SECONDS, f"the furthest behind by {lag:.1f} s"),
        }
