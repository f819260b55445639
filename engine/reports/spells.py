"""Spells of things with the events by which they opened, were first answered and closed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from engine.instants import Instant
from engine.measures.measure import Happening
from engine.things import Step, ThingState, walk


class Told(NamedTuple):
    """One spell of a thing, by its events."""

    thing_id: str
    opener: str | None
    opened: Happening
    answered: Happening | None
    closed: Happening | None

    def at(self, act: str) -> Happening | None:
        """The event of an act: ``opened``, ``answered`` or ``closed``."""
        return self.opened if act == "opened" else self.answered if act == "answered" else self.closed

    def open_at(self, end: Instant) -> bool:
        """Is it open right before an instant?"""
        return self.opened.time < end and (self.closed is None or self.closed.time >= end)


def spells_of(states: Mapping[str, ThingState], rows: Sequence[Happening], ours: frozenset[str]) -> list[Told]:
    """The spells of things, by their ids, that somebody of the customer's opened; ``rows`` hold their events."""
    by_position = {row.position: row for row in rows}

    def event_of(step: Step | None) -> Happening | None:
        return None if step is None else by_position[step[1]]

    def told() -> Iterator[Told]:
        for key, state in sorted(states.items()):
            for spell, opened, answered, closed in walk(state.steps):
                if spell.opener not in ours:
                    yield Told(key, spell.opener, by_position[opened[1]], event_of(answered), event_of(closed))

    return list(told())
