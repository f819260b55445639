"""Spells of things with the events by which they opened, were first answered and closed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from engine.instants import Instant
from engine.measures.measure import Happening
from engine.rulebook.spec import Measure
from engine.things import Step, ThingState, walk
from engine.views import AccountView

_ENDS = {"answer_hours": "answered", "solve_hours": "closed"}


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


class Acted(Happening, gc=False):
    """An event by which a thing was opened, answered or closed: of which thing, when that opened, what it says."""

    opened: Happening
    thing_id: str
    told: Mapping[str, object]

    @property
    def lasted(self) -> int:
        """Milliseconds since the opening."""
        return self.time - self.opened.time


def act_of(measure: Measure) -> str:
    """What a measure over things looks for: ``opened``, ``answered`` or ``closed``."""
    return _ENDS.get(measure.prop, measure.verb)


def acts_of(measure: Measure, view: AccountView, rows: Sequence[Happening], ours: frozenset[str]) -> list[Happening]:
    """The events that a measure over things counts, over all time, in order; things match as of the view's moment.

    What our own people or test users opened is left out. A thing ``told`` what its newest properties say, and what they
    do not, the event itself.
    """
    program, slot = view.program.things[measure.thing], view.program.slots[view.program.slot(measure.name)]
    tests = getattr(slot, "tests", ())
    such = {
        one.id: one.state
        for one in program.all_views(view)
        if program.is_such(one) and all(test.holds(one) for test in tests)
    }
    act = act_of(measure)
    found: list[Happening] = []
    for one in spells_of(such, rows, ours):
        row = one.at(act)
        if row is not None:
            told = {**row.event.properties, **{name: kept[2] for name, kept in such[one.thing_id].props.items()}}
            found.append(Acted(row.time, row.position, row.event, row.day, row.now, one.opened, one.thing_id, told))
    return sorted(found, key=lambda row: (row.time, row.position))
