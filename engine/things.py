"""Things inside an account: how events open, ask, answer and close them, and the spells that come of it."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from engine.instants import Instant
from engine.log import Event
from engine.measures.measure import Data, Happening, insert, is_there, passes
from engine.rulebook.spec import OURS, Act, Test, Thing

ANSWER, ASK, CLOSE, OPEN = 1, 2, 4, 8


class OutOfTurn(Exception):
    """A late event changes what was folded after it; the account must be built anew from its stored events."""


Row = tuple[Instant, int, Any]
"""A value of a trait or property: when it was set, by the event at which position, and the value as JSON.

Rows and steps are tuples, which the search for cycles leaves alone: there are many, and most of them stay for long.
"""
Step = tuple[Instant, int, int, str | None]
"""A transition: when, by the event at which position, what it does, and whose event it was."""


class Spell(msgspec.Struct, array_like=True, gc=False):
    """One stretch from an opening to its closing; instants in UTC milliseconds."""

    opened_at: Instant
    opener: str | None
    answered_at: Instant | None = None
    closed_at: Instant | None = None


class ThingState(msgspec.Struct, array_like=True):
    """What is kept of one thing: newest properties, transitions in the order of time, and its measures' data."""

    props: dict[str, Row] = msgspec.field(default_factory=dict)
    steps: list[Step] = msgspec.field(default_factory=list)
    kept: list[Data] = msgspec.field(default_factory=list)
    seen: Instant | None = None
    last: Instant | None = None
    spells: list[Spell] = msgspec.field(default_factory=list)
    waiting_since: Instant | None = None

    @property
    def open(self) -> bool:
        """Is a spell open?"""
        return bool(self.spells) and self.spells[-1].closed_at is None

    @property
    def spell(self) -> Spell | None:
        """The open spell."""
        return self.spells[-1] if self.open else None


def does(acts: Sequence[Act], event: Event) -> bool:
    """Is the event one of these acts?"""
    return bool(acts) and any(act.types.match(event.type) and passes(act.where, event) for act in acts)


def step_of(thing: Thing, event: Event) -> int:
    """What the event does to the thing, as a sum of ANSWER, ASK, CLOSE and OPEN; a closing event never opens."""
    if thing.name == "person":
        if event.type == "user.removed":
            return CLOSE
        return 0 if event.type.startswith(OURS) else OPEN
    step = (ANSWER if does(thing.answered_by, event) else 0) | (ASK if does(thing.asked_by, event) else 0)
    if does(thing.closed_by, event):
        return step | CLOSE
    return step | (OPEN if does(thing.opened_by, event) else 0)


def acts_by(thing: Thing, event_type: str) -> tuple[tuple[int, tuple[Test, ...]], ...]:
    """What events of a type may do to a thing that is no person, each with the tests under which they do.

    Where CLOSE is among what passes, OPEN does nothing.
    """
    acts = ((ANSWER, thing.answered_by), (ASK, thing.asked_by), (CLOSE, thing.closed_by), (OPEN, thing.opened_by))
    return tuple((flag, act.where) for flag, those in acts for act in those if act.types.match(event_type))


def fold_thing(thing: Thing, state: ThingState, happening: Happening, wanted: Collection[str] | None = None) -> None:
    """Fold one event of the thing: first and last seen, properties (those ``wanted``; None: all), transitions.

    Raises ``OutOfTurn`` for a late event of a person who was removed at some time: of people only the events that open
    a spell are kept.
    """
    event, time = happening.event, happening.time
    person = thing.name == "person"
    late = state.last is not None and time < state.last
    if not (person and event.type.startswith(OURS)):
        state.seen = time if state.seen is None else min(state.seen, time)
        state.last = time if state.last is None else max(state.last, time)
    if person:
        if event.type == "user.updated":
            newest(state.props, event.properties, happening)
    elif thing.family.match(event.type):
        found = event.properties if wanted is None else event.properties.keys() & wanted
        there = {name: raw for name in found if is_there(raw := event.properties[name])}
        newest(state.props, there, happening)
    step = step_of(thing, event)
    if step:
        row = (time, happening.position, step, event.user_id)
        if person:
            _step_of_person(state, row, late=late)
        elif not (thing.closed_by or thing.asked_by or thing.answered_by):
            _open_for_good(state, row)
        else:
            in_order = not state.steps or row > state.steps[-1]
            insert(state.steps, row)
            _walk(state, row) if in_order else _derive(state)


def step_in_turn(thing: Thing, state: ThingState, row: Step) -> list[tuple[str, int]]:
    """Take a transition that comes after all others of a thing that is no person.

    Gives what came of it: ``opened``, ``answered`` or ``closed``, and the milliseconds since the opening.
    """
    spell = state.spell
    answered = spell is not None and spell.answered_at is not None
    if not (thing.closed_by or thing.asked_by or thing.answered_by):
        _open_for_good(state, row)
    else:
        state.steps.append(row)
        _walk(state, row)
    if spell is None:
        return [("opened", 0)] if state.open else []
    happened = [("answered", row[0] - spell.opened_at)] if spell.answered_at is not None and not answered else []
    return [*happened, ("closed", row[0] - spell.opened_at)] if spell.closed_at is not None else happened


def walk(steps: Iterable[Step]) -> Iterator[tuple[Spell, Step, Step | None, Step | None]]:
    """The spells that come of a thing's transitions, each with those by which it opened, was answered and closed."""
    state, found = ThingState(), list[list[Any]]()
    for row in steps:
        spell = state.spell
        answered = spell is not None and spell.answered_at is not None
        _walk(state, row)
        if spell is None:
            found += [[state.spells[-1], row, None, None]] if state.open else []
            continue
        if spell.answered_at is not None and not answered:
            found[-1][2] = row
        if spell.closed_at is not None:
            found[-1][3] = row
    return ((spell, opened, answer, close) for spell, opened, answer, close in found)


def newest(kept: dict[str, Row], properties: Any, happening: Happening) -> None:
    """Of each property keep the value that is newest by (time, position)."""
    for name, raw in properties.items():
        before = kept.get(name)
        if before is None or (happening.time, happening.position) >= (before[0], before[1]):
            kept[name] = (happening.time, happening.position, raw)


def _step_of_person(state: ThingState, row: Step, *, late: bool) -> None:
    opens = row[2] == OPEN
    if not late or (opens and state.open and row > state.steps[-1]):
        if not (opens and state.open):
            state.steps.append(row)
            _walk(state, row)
    elif opens and len(state.steps) == 1 and state.open:
        state.steps = [row]
        _derive(state)
    else:
        raise OutOfTurn


def _open_for_good(state: ThingState, row: Step) -> None:
    """Of what never closes and never waits, only the first opening counts."""
    if not state.steps or row < state.steps[0]:
        state.steps = [row]
        _derive(state)


def _derive(state: ThingState) -> None:
    state.spells, state.waiting_since = [], None
    for row in state.steps:
        _walk(state, row)


def _walk(state: ThingState, row: Step) -> None:
    time, step, user_id = row[0], row[2], row[3]
    spell = state.spell
    if spell is not None:
        if step & ANSWER:
            state.waiting_since = None
            if spell.answered_at is None:
                spell.answered_at = time
        if step & ASK and state.waiting_since is None:
            state.waiting_since = time
        if step & CLOSE:
            spell.closed_at = time
            state.waiting_since = None
    elif step & OPEN and not step & CLOSE:
        state.spells.append(Spell(time, user_id))
        state.waiting_since = time
