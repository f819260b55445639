"""Closed things that nothing asks for any more: when they may be forgotten, and how they are known when they come back.

Forgetting shows in no value and no decision. A thing that comes back is known by its mark, and its account is built
anew from the stored events.
"""

from collections.abc import Iterable
from zlib import crc32

from engine.instants import DAY, Instant
from engine.rulebook.spec import Measure, Thing, Window
from engine.rulebook.words import SPELL_NAMES
from engine.things import ThingState

LEAST = 30 * DAY
"""However short the windows are, a closed thing is kept for so long: it may open again."""
SPARE = 3 * DAY
"""Windows are of local days, and a mail about a thing may wait for the next hours."""
EVERY = 7 * DAY
"""How often an account is looked through."""
_LONGEST = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}
_SPELLS = frozenset({"opened", "answered", "closed"})
_MARK = 4


def keep_of(thing: Thing, measures: Iterable[Measure]) -> Instant | None:
    """For how long after its last event a closed thing of the kind must be kept; None: for ever.

    People stay, for a mail may name one who was removed; so do elements of lists, and things of the portfolio.
    """
    if thing.name == "person" or thing.each_in or thing.portfolio or not thing.closed_by:
        return None
    longest = LEAST
    for measure in measures:
        if measure.thing != thing.name:
            continue
        if measure.verb == "moved_later":
            return None
        if measure.verb in _SPELLS or measure.prop in SPELL_NAMES:
            reach = reach_of(measure.window)
            if reach is None:
                return None
            longest = max(longest, reach)
    return longest + SPARE


def reach_of(window: Window) -> Instant | None:
    """How far back a window reaches; None: to the beginning."""
    if window.kind == "ever":
        return None
    if window.kind == "calendar":
        return 2 * _LONGEST[window.unit] * DAY
    return (window.size + window.shift) * (DAY if window.kind == "days" else 1)


def mark_of(thing_id: str) -> bytes:
    """What is left of a forgotten thing's id. Two ids may share one: then an account is built anew in vain."""
    return crc32(thing_id.encode("utf-8", "surrogatepass")).to_bytes(_MARK, "little")


def is_among(marks: bytes, thing_id: str) -> bool:
    """Is the thing perhaps one of the forgotten ones?

    >>> is_among(mark_of("t1") + mark_of("t2"), "t2"), is_among(mark_of("t1"), "t2")
    (True, False)
    """
    mark = mark_of(thing_id)
    at = marks.find(mark)
    while at % _MARK and at >= 0:
        at = marks.find(mark, at + 1)
    return at >= 0


def is_done(state: ThingState, before: Instant) -> bool:
    """Is a thing closed, and was its last event before an instant?"""
    return not state.open and state.last is not None and state.last < before
