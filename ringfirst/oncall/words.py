"""One word for how a lane is, from two looks at its offsets: what waited at the first, and what moved since.

No threshold of lag is in it (the idea is that of Burrow): a lane with much to do that moves is catching up, one with
little to do that does not move is stalled, and one that nothing waits in is well, however long it has been quiet.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

Word = Literal["OK", "at rest", "catching up", "stalled", "stopped"]
WORDS: tuple[Word, ...] = ("OK", "at rest", "catching up", "stalled", "stopped")
"""From the best to the worst."""


class Look(msgspec.Struct, frozen=True):
    """The partitions of a lane at one moment (``at`` in seconds of any clock): next offset and end, by topic."""

    at: float
    offsets: dict[str, tuple[int, int]]

    @property
    def records(self) -> int:
        """How many records wait."""
        return sum(max(0, end - taken) for taken, end in self.offsets.values())


def word(first: Look, last: Look, *, owned: bool, halted: bool = False, moving: bool = False) -> Word:
    """How a lane is. ``moving``: its owner, alive, took records in within the last minute, or got it only now.

    >>> quiet, behind = Look(0, {"usage": (7, 7)}), Look(0, {"usage": (7, 9)})
    >>> word(quiet, Look(5, {"usage": (7, 7)}), owned=True), word(behind, behind, owned=True)
    ('OK', 'stalled')
    >>> word(behind, Look(5, {"usage": (8, 12)}), owned=True), word(behind, Look(5, {"usage": (9, 99)}), owned=True)
    ('catching up', 'OK')
    >>> word(quiet, quiet, owned=False), word(quiet, quiet, owned=True, halted=True)
    ('stopped', 'stalled')
    """
    if not owned:
        return "stopped"
    if halted:
        return "stalled"
    waited = {topic: end for topic, (taken, end) in first.offsets.items() if end > taken}
    if all(last.offsets[topic][0] >= end for topic, end in waited.items() if topic in last.offsets):
        return "OK"
    moved = any(last.offsets[topic][0] > taken for topic, (taken, _) in first.offsets.items() if topic in last.offsets)
    return "catching up" if moved or moving else "stalled"


def worst(words: Iterable[Word]) -> Word:
    """The worst of them.

    >>> worst(["OK", "stalled", "catching up"]), worst([])
    ('stalled', 'OK')
    """
    return max(words, key=WORDS.index, default="OK")


def rates(first: Look, last: Look) -> tuple[float | None, float | None]:
    """Records a second that came, and that were taken in, between two looks; None when they are one.

    >>> rates(Look(0, {"usage": (7, 9)}), Look(2, {"usage": (8, 13)}))
    (2.0, 0.5)
    """
    seconds = last.at - first.at
    both = [topic for topic in first.offsets if topic in last.offsets]
    if seconds <= 0 or not both:
        return None, None
    came = sum(last.offsets[topic][1] - first.offsets[topic][1] for topic in both)
    taken = sum(last.offsets[topic][0] - first.offsets[topic][0] for topic in both)
    return max(0.0, came / seconds), max(0.0, taken / seconds)


def left(records: int, came: float | None, taken: float | None) -> float | None:
    """Seconds until a lane has caught up, if all goes on as it does; None when it falls behind or nobody knows.

    >>> left(100, 5.0, 15.0), left(100, 15.0, 5.0), left(100, None, None)
    (10.0, None, None)
    """
    if came is None or taken is None or taken <= came:
        return None
    return records / (taken - came)
