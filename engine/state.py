"""The state of one account: what is kept of its events, folded in any order, read as of any later moment.

This is the contract of states: ``fold``, ``read`` through a ``Program``'s slots, ``pack`` and ``unpack``. The plain
state in this file is the simple one and the judge of any faster twin under ``engine/states/``.
"""

from collections.abc import Container, Iterable
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec

from engine.closed import is_among, is_done, mark_of
from engine.instants import Instant
from engine.log import Event, Recorded
from engine.measures.measure import Data, Happening, Kept
from engine.rulebook.spec import Thing
from engine.things import OutOfTurn, Row, ThingState, fold_thing, newest
from engine.values import nested, read_date, thing_id
from engine.zones import Zone

PERSON = "person"
_TURN = attrgetter("time", "position")
_TRAITS = {"account.updated": None, "owner.changed": ("owner",)}


class AccountState(msgspec.Struct):
    """Everything the engine keeps of an account's events. ``kept`` runs along ``Shape.kept``."""

    first_event: Instant | None = None
    created: Instant | None = None
    traits: dict[str, Row] = msgspec.field(default_factory=dict)
    kept: list[Data] = msgspec.field(default_factory=list)
    things: dict[str, dict[str, ThingState]] = msgspec.field(default_factory=dict)
    forgotten: dict[str, bytes] = msgspec.field(default_factory=dict)
    """By kind the marks of closed things that were forgotten."""

    def trait(self, name: str) -> object:
        """The newest value of a trait as JSON; None when it was never set, or was cleared."""
        found = self.traits.get(name)
        return None if found is None else found[2]

    def watched(self, zone: Zone, log_began: Instant) -> Instant | None:
        """Since when all that happened in the account would be in our log.

        From when it was first seen on, but no earlier than the log began or, of an account of which older events came
        in late, than the oldest of them: of the days before nobody can say that nothing happened.
        """
        seen = self.seen(zone)
        if seen is None or self.first_event is None:
            return seen
        return max(seen, min(log_began, self.first_event))

    def seen(self, zone: Zone) -> Instant | None:
        """When the account was first seen: ``created_at``, ``subscription.created`` or its first event."""
        created = read_date(self.trait("created_at"), zone)
        known = [at for at in (self.first_event, self.created, created.at if created else None) if at is not None]
        return min(known) if known else None


class ThingShape:
    """How events are kept for one kind of thing; ``zone`` is whose days count when it is not the account's.

    ``props``: the properties that are kept; None: all.
    """

    def __init__(
        self, spec: Thing, kept: list[Kept], zone: Zone | None = None, props: frozenset[str] | None = None
    ) -> None:
        self.spec = spec
        self.zone = zone
        self.kept = kept
        self.props = props
        self.keep: Instant | None = None
        """For how long after its last event a closed thing must be kept; None: for ever."""
        self._path = tuple(spec.id.split("."))
        self.asks = None if spec.name == PERSON else self._path[0]
        """The property without which an event belongs to no such thing; None: it is not told by a property."""
        self._routes: dict[str, list[int]] = {}

    @property
    def fingerprint(self) -> str:
        """Tells one way of keeping from another."""
        props = "all" if self.props is None else " ".join(sorted(self.props))
        return self.spec.fingerprint + props + "".join(kept.spec.fingerprint for kept in self.kept)

    def thing_of(self, event: Event) -> str | None:
        """The id of the thing the event belongs to."""
        if self.spec.name == PERSON:
            return event.user_id
        return thing_id(nested(event.properties, self._path))

    def fold(self, states: dict[str, ThingState], happening: Happening) -> None:
        """Fold an event into the thing it belongs to."""
        key = self.thing_of(happening.event)
        if key is None:
            return
        if self.zone is not None:
            happening = msgspec.structs.replace(happening, day=self.zone.day(happening.time))
        state = states.get(key)
        if state is None:
            state = states[key] = ThingState(kept=[kept.fresh() for kept in self.kept])
        fold_thing(self.spec, state, happening, self.props)
        for index in self.route(happening.event.type):
            state.kept[index] = self.kept[index].fold(state.kept[index], happening)

    def route(self, event_type: str) -> list[int]:
        """Which measures an event type concerns."""
        found = self._routes.get(event_type)
        if found is None:
            found = self._routes[event_type] = routes(self.kept, event_type)
        return found


class Shape:
    """How events are kept for a rulebook: the account's measures, and each kind of thing."""

    def __init__(self, kept: list[Kept], things: dict[str, ThingShape]) -> None:
        self.kept = kept
        self.things = things
        self._routes: dict[str, list[int]] = {}
        self._asks = frozenset(thing.asks for thing in things.values() if thing.asks is not None)
        self._every = any(thing.asks is None for thing in things.values())
        self._concerned: dict[str, bool] = {}

    def fresh(self) -> AccountState:
        """An account of which nothing is known."""
        return AccountState(kept=[kept.fresh() for kept in self.kept], things={name: {} for name in self.things})

    def fold(self, state: AccountState, happening: Happening) -> None:
        """Fold one event. Raises ``OutOfTurn`` when the account must be built anew."""
        event = happening.event
        self.fold_account(state, happening)
        for index in self.route(event.type):
            state.kept[index] = self.kept[index].fold(state.kept[index], happening)
        for name, thing in self.things.items():
            if thing.asks is None or thing.asks in event.properties:
                if name in state.forgotten:
                    self.recall(state, name, thing.thing_of(event))
                thing.fold(state.things[name], happening)

    def concerns(self, event: Event) -> bool:
        """May the event change anything but when the account was first seen?"""
        kind = event.type
        found = self._concerned.get(kind)
        if found is None:
            own = self._every or kind in _TRAITS or kind == "subscription.created"
            found = self._concerned[kind] = own or bool(self.route(kind))
        return found or not self._asks.isdisjoint(event.properties)

    def forget(self, state: AccountState, at: Instant, *, needed: Container[tuple[str, str]]) -> None:
        """Forget closed things that nothing can ask for as of ``at`` or later, but those ``needed``: (kind, id)."""
        for name, thing in self.things.items():
            if thing.keep is None:
                continue
            states, before = state.things[name], at - thing.keep
            if not states:
                continue
            gone = {key for key, one in states.items() if is_done(one, before) and (name, key) not in needed}
            if gone:
                state.forgotten[name] = state.forgotten.get(name, b"") + b"".join(mark_of(key) for key in sorted(gone))
                # A dictionary never gives room back: what is left goes into a new one.
                state.things[name] = {key: one for key, one in states.items() if key not in gone}

    @staticmethod
    def recall(state: AccountState, kind: str, thing_id: str | None) -> None:
        """Raise ``OutOfTurn`` for a thing that was forgotten and comes back: the account must be built anew."""
        marks = state.forgotten.get(kind)
        if marks and thing_id is not None and thing_id not in state.things[kind] and is_among(marks, thing_id):
            raise OutOfTurn

    def fold_account(self, state: AccountState, happening: Happening) -> None:
        """What every account keeps: when it was first seen, and its traits."""
        event, time = happening.event, happening.time
        if state.first_event is None or time < state.first_event:
            state.first_event = time
        if event.type == "subscription.created" and (state.created is None or time < state.created):
            state.created = time
        if event.type in _TRAITS:
            names = _TRAITS[event.type]
            properties = event.properties
            newest(
                state.traits,
                properties if names is None else {n: properties[n] for n in names if n in properties},
                happening,
            )

    def route(self, event_type: str) -> list[int]:
        """Which measures an event type concerns."""
        found = self._routes.get(event_type)
        if found is None:
            found = self._routes[event_type] = routes(self.kept, event_type)
        return found

    def build(self, events: Iterable[Recorded], zone: Zone, now: Instant) -> AccountState:
        """An account from all its stored events, in the order of time."""
        state = self.fresh()
        for happening in in_order(events, zone, now):
            self.fold(state, happening)
        return state

    def carry(self, old: "Shape", state: AccountState) -> tuple[AccountState, list[int], list[str]]:
        """A state under another rulebook: (what can be carried over, measures to fill, kinds of things to fill)."""
        before = {kept.spec.fingerprint: data for kept, data in zip(old.kept, state.kept, strict=True)}
        missing = [at for at, kept in enumerate(self.kept) if kept.spec.fingerprint not in before]
        kept = [before.get(kept.spec.fingerprint, kept.fresh()) for kept in self.kept]
        fresh_things = [
            name
            for name, thing in self.things.items()
            if name not in old.things
            or old.things[name].fingerprint != thing.fingerprint
            or (name in state.forgotten and old.things[name].keep != thing.keep)
        ]
        things = {name: {} if name in fresh_things else state.things[name] for name in self.things}
        forgotten = {
            name: marks for name, marks in state.forgotten.items() if name in things and name not in fresh_things
        }
        carried = AccountState(state.first_event, state.created, state.traits, kept, things, forgotten)
        return carried, missing, fresh_things

    def fill(
        self,
        state: AccountState,
        events: Iterable[Recorded],
        zone: Zone,
        now: Instant,
        *,
        kept: list[int],
        things: list[str],
    ) -> None:
        """Fill new measures and kinds of things from the stored events, and nothing else."""
        for happening in in_order(events, zone, now):
            for index in kept:
                if index in self.route(happening.event.type):
                    state.kept[index] = self.kept[index].fold(state.kept[index], happening)
            for name in things:
                self.things[name].fold(state.things[name], happening)


def plain_state(state: AccountState) -> AccountState:
    """A state whose measures are lists, also where they are rows of columns."""
    things = {
        kind: {key: one if type(one.kept) is list else _plain_thing(one) for key, one in rows.items()}
        for kind, rows in state.things.items()
    }
    return msgspec.structs.replace(state, kept=list(state.kept), things=things)


def _plain_thing(state: ThingState) -> ThingState:
    return msgspec.structs.replace(state, kept=list(state.kept))


def routes(kept: list[Kept], event_type: str) -> list[int]:
    """Which of the measures an event type concerns."""
    found = []
    for index, one in enumerate(kept):
        types = getattr(one, "sources", None) or one.spec.types
        if types is not None and types.match(event_type):
            found.append(index)
    return found


def happening_of(recorded: Recorded, zone: Zone, now: Instant) -> Happening:
    """An event as it is folded: dated later than recorded, it counts from then."""
    time = min(recorded.event.time, recorded.recorded_at)
    return Happening(time, recorded.position, recorded.event, zone.day(time), now)


def in_order(events: Iterable[Recorded], zone: Zone, now: Instant) -> list[Happening]:
    """An account's events in the order of (effective time, position)."""
    rows = [happening_of(recorded, zone, now) for recorded in events]
    rows.sort(key=_TURN)
    return rows


def pack(value: object) -> object:
    """JSON values as msgpack can hold them: exact decimals and containers are tagged.

    >>> unpack(pack({"a": [Decimal("1.5"), "x"]})) == {"a": [Decimal("1.5"), "x"]}
    True
    """
    if isinstance(value, Decimal):
        return ["d", str(value)]
    if isinstance(value, (list, tuple)):
        return ["l", [pack(item) for item in value]]
    if isinstance(value, dict):
        return ["m", {key: pack(item) for key, item in value.items()}]
    if type(value) is int and not -(2**63) <= value < 2**63:
        return ["i", str(value)]
    return value


def unpack(value: Any) -> Any:
    """The reverse of ``pack``."""
    if not isinstance(value, list):
        return value
    tag, inner = value
    if tag == "d":
        return Decimal(inner)
    if tag == "i":
        return int(inner)
    return [unpack(item) for item in inner] if tag == "l" else {key: unpack(item) for key, item in inner.items()}


__all__ = ["AccountState", "OutOfTurn", "Shape", "ThingShape", "happening_of", "in_order", "pack", "unpack"]
