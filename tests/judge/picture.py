"""What one account looks like from all its events so far: traits, people, things and their spells.

Nothing here depends on the instant of a look beyond "these events are known"; ages and windows are in ``view``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.judge.days import is_zone, read_date
from tests.judge.kinds import dig, id_text, matches, scalar, there, typed

ACCOUNT_TYPES = {
    "plan": "text",
    "seats": "number",
    "mrr": "number",
    "currency": "text",
    "created_at": "date",
    "locale": "text",
    "timezone": "text",
}
PERSONAL = ("first_name", "last_name", "phone", "address", "email", "name")
PERSON_TYPES = {"role": "text", "locale": "text", "timezone": "text"} | dict.fromkeys(PERSONAL, "personal")
SPELL_NAMES = (
    "id",
    "open",
    "opened_at",
    "open_days",
    "open_hours",
    "answered",
    "waiting",
    "waiting_since",
    "waiting_hours",
    "closed_at",
)


@dataclass(frozen=True)
class Happening:
    """An event with its effective time: min(time, recorded_at)."""

    position: int
    at: int
    id: str
    type: str
    user_id: str | None
    properties: dict[str, Any] = field(hash=False)


def happening(entry: dict) -> Happening:
    """Read an event's entry of the log."""
    event = entry["event"]
    at = min(event["time"], entry["recorded_at"])
    return Happening(
        entry["position"], at, event["id"], event["type"], event.get("user_id"), event.get("properties") or {}
    )


def is_type(kind: str, patterns: str | list[str]) -> bool:
    """Whether an event type is meant by a type, a list of them, one ending in ``*``, or ``any``.

    Our own ``outreach.*`` events are meant only where they are named.
    """
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        hit = kind.startswith(pattern[:-1]) if pattern.endswith("*") else pattern in ("any", kind)
        if hit and not (kind.startswith("outreach.") and not pattern.startswith("outreach.")):
            return True
    return False


def property_matches(event: Happening, where: dict | None, zone: str) -> bool:
    """Whether an event's raw properties satisfy a ``where``."""
    return all(
        matches(scalar(dig(event.properties, path)), there(dig(event.properties, path)), wanted, zone)
        for path, wanted in (where or {}).items()
    )


def is_act(event: Happening, acts: Any, zone: str) -> bool:
    """Whether an event is one of the acts of a thing: a type, a list, or ``{event:, where:}`` (or a list of these)."""
    if acts is None:
        return False
    if isinstance(acts, dict):
        return is_type(event.type, acts["event"]) and property_matches(event, acts.get("where"), zone)
    if isinstance(acts, list):
        return any(is_act(event, act, zone) for act in acts)
    return is_type(event.type, acts)


def act_types(acts: Any) -> Iterable[str]:
    """The event types of acts."""
    if isinstance(acts, dict):
        yield from act_types(acts["event"])
    elif isinstance(acts, list):
        for act in acts:
            yield from act_types(act)
    elif acts is not None:
        yield acts


@dataclass
class Spell:
    """From an opening to the closing that ended it."""

    opening: Happening
    answered_at: int | None = None
    closed_at: int | None = None
    waiting_since: int | None = None


@dataclass
class Thing:
    """One thing of a kind, with its own events and spells."""

    kind: str
    id: str
    events: list[Happening]
    family: list[Happening]
    spells: list[Spell]
    listed: bool | None = None  # of a kind with ``each_in``: whether its id stands in the list

    @property
    def spell(self) -> Spell | None:
        """The present spell, None when it is not open or has no spells."""
        return self.spells[-1] if self.spells and self.spells[-1].closed_at is None else None

    @property
    def open(self) -> bool:
        """Whether it is open."""
        return self.spell is not None if self.listed is None else self.listed

    @property
    def first_seen(self) -> int | None:
        """Its own first event; outreach is no sign of a person."""
        alive = self.living
        return alive[0].at if alive else None

    @property
    def living(self) -> list[Happening]:
        """Its events, for a person without what we sent."""
        if self.kind != "person":
            return self.events
        return [event for event in self.events if not event.type.startswith("outreach.")]


def newest(events: list[Happening], name: str, nulls: bool) -> Any:
    """The newest value of a top-level property; a null clears it (traits) or is as good as missing (things)."""
    carrying = [event for event in events if name in event.properties and (nulls or there(event.properties[name]))]
    return carrying[-1].properties[name] if carrying else None


class Picture:
    """One account as of the events known so far, under one rulebook."""

    def __init__(self, books: dict, events: list[Happening], log_began: int) -> None:
        """Put the events into their order: (effective time, position)."""
        self.books = books
        self.log_began = log_began
        self.events = sorted(events, key=lambda event: (event.at, event.position))
        self._things: dict[str, dict[str, Thing]] = {}

    # the account

    @cached_property
    def zone(self) -> str:
        """The account's zone."""
        trait = newest(self.trait_events, "timezone", nulls=True)
        policy = (self.books.get("policy") or {}).get("timezone")
        return next((zone for zone in (trait, policy) if is_zone(zone)), "UTC")

    @cached_property
    def trait_events(self) -> list[Happening]:
        """The events that carry the account's traits."""
        return [event for event in self.events if event.type == "account.updated"]

    @cached_property
    def first_seen(self) -> int:
        """The least of the trait ``created_at``, the first ``subscription.created`` and the first event."""
        created = newest(self.trait_events, "created_at", nulls=True)
        date = read_date(created, self.zone) if isinstance(created, str) else None
        return min(self.events[0].at, date.at) if date else self.events[0].at

    @cached_property
    def told_since(self) -> int:
        """Since when the log tells of the account: of the days before it nobody knows what happened on them."""
        oldest = self.events[0].at
        return max(self.first_seen, min(self.log_began, oldest))

    def declared(self, scope: Thing | None, path: str) -> str | None:
        """The declared type of an attribute or property."""
        attributes = self.books.get("attributes") or {}
        if scope is None:
            return (ACCOUNT_TYPES | (attributes.get("account") or {})).get(path)
        if scope.kind == "person":
            return (PERSON_TYPES | (attributes.get("person") or {})).get(path)
        properties = self.thing_spec(scope.kind).get("properties") or {}
        return properties.get(path) or ("date" if path in self._dates_of(scope.kind) else None)

    def _dates_of(self, kind: str) -> set[str]:
        """The properties that count as dates since a measure of dates names them."""
        verbs = ("days_to", "hours_to", "moved_later")
        own = {spec[verb] for spec in self.thing_measures(kind).values() for verb in verbs if verb in spec}
        named = [spec[verb] for spec in self.measures.values() for verb in verbs if verb in spec]
        return own | {name.partition(".")[2] for name in named if name.partition(".")[0] == kind}

    @property
    def measures(self) -> dict[str, dict]:
        """The measures of the account."""
        return self.books.get("measures") or {}

    def trait_history(self, scope: Thing | None) -> list[Happening]:
        """The events from which attributes or properties of a subject come."""
        if scope is None:
            return self.trait_events
        if scope.kind == "person":
            return [event for event in scope.events if event.type == "user.updated"]
        return scope.family

    def raw(self, scope: Thing | None, path: str) -> Any:
        """The newest raw value of an attribute or property, by its dotted path."""
        top, _, rest = path.partition(".")
        traits = scope is None or scope.kind == "person"
        value = newest(self.trait_history(scope), top, nulls=traits)
        return dig(value, rest) if rest else value

    def attribute(self, scope: Thing | None, path: str) -> Any:
        """The newest value of an attribute or property, of its declared type."""
        return typed(self.raw(scope, path), self.declared(scope, path), self.zone)

    def has_property(self, scope: Thing, path: str) -> bool:
        """Whether a property is there and, where a type is declared, of it."""
        if self.declared(scope, path):
            return self.attribute(scope, path) is not None
        return there(self.raw(scope, path))

    # things

    def thing_spec(self, kind: str) -> dict:
        """What the rulebook says of a kind of thing."""
        return (self.books.get("things") or {}).get(kind) or {}

    def thing_measures(self, kind: str) -> dict[str, dict]:
        """The measures of a kind of thing."""
        return self.thing_spec(kind).get("measures") or {}

    def is_kind(self, kind: object) -> bool:
        """Whether this names a kind of thing."""
        return kind == "person" or (isinstance(kind, str) and kind in (self.books.get("things") or {}))

    def things(self, kind: str) -> dict[str, Thing]:
        """All things of a kind ever seen whose ``where`` holds, by id."""
        if kind not in self._things:
            found = {id_: self._thing(kind, id_) for id_ in sorted(self._ids(kind))}
            self._things[kind] = {id_: thing for id_, thing in found.items() if self._is_of_kind(thing)}
        return self._things[kind]

    def id_in(self, event: Happening, kind: str) -> str | None:
        """The id of the thing of a kind to which an event belongs."""
        if kind == "person":
            return event.user_id
        return id_text(dig(event.properties, self.thing_spec(kind)["id"]))

    def _ids(self, kind: str) -> set[str]:
        ids = {self.id_in(event, kind) for event in self.events}
        return {id_ for id_ in ids | set(self._listed(kind)) if id_ is not None}

    def _listed(self, kind: str) -> list[str | None]:
        attribute = self.thing_spec(kind).get("each_in")
        raw = self.raw(None, attribute) if attribute else None
        return [id_text(item) for item in raw] if isinstance(raw, list) else []

    def _thing(self, kind: str, id_: str) -> Thing:
        own = [event for event in self.events if self.id_in(event, kind) == id_]
        each_in = "each_in" in self.thing_spec(kind)
        family = [event for event in own if self._in_family(kind, event)]
        spells = [] if each_in else self._spells(kind, own)
        return Thing(kind, id_, own, family, spells, id_ in self._listed(kind) if each_in else None)

    def _in_family(self, kind: str, event: Happening) -> bool:
        spec = self.thing_spec(kind)
        families = [f"{name.rpartition('.')[0]}.*" for name in act_types(spec.get("opened_by")) if "." in name]
        others = list(act_types(spec.get("updated_by"))) + list(act_types(spec.get("opened_by")))
        return is_type(event.type, families + others)

    def _is_of_kind(self, thing: Thing) -> bool:
        wanted = self.thing_spec(thing.kind).get("where") or {}
        return all(
            matches(self.attribute(thing, path), self.has_property(thing, path), wish, self.zone)
            for path, wish in wanted.items()
        )

    def _spells(self, kind: str, events: list[Happening]) -> list[Spell]:
        spells: list[Spell] = []
        for event in events:
            present = spells[-1] if spells and spells[-1].closed_at is None else None
            closes = self._does(kind, event, "closed_by")
            if present:
                self._act(kind, event, present, closes)
            elif not closes and self._does(kind, event, "opened_by"):
                spells.append(Spell(event, waiting_since=event.at))
        return spells

    def _act(self, kind: str, event: Happening, spell: Spell, closes: bool) -> None:
        """Answer, then question, then closing."""
        if self._does(kind, event, "answered_by"):
            spell.answered_at = event.at if spell.answered_at is None else spell.answered_at
            spell.waiting_since = None
        if self._does(kind, event, "asked_by") and spell.waiting_since is None:
            spell.waiting_since = event.at
        if closes:
            spell.closed_at = event.at

    def _does(self, kind: str, event: Happening, act: str) -> bool:
        if kind == "person":
            removal = event.type == "user.removed"
            signs = not removal and not event.type.startswith("outreach.")
            return {"closed_by": removal, "opened_by": signs}.get(act, False)
        return is_act(event, self.thing_spec(kind).get(act), self.zone)

    # people

    def role_of(self, thing: Thing, role: str) -> str | None:
        """The person id that stands in a role of a thing; ``user_id`` is the opening event's."""
        named = (self.thing_spec(thing.kind).get("people") or {}).get(role)
        if named == "user_id":
            return thing.spell.opening.user_id if thing.spell else None
        return id_text(self.raw(thing, named)) if named else None

    def in_role(self, role: str) -> list[Thing]:
        """The open people of a role, the most recently active first, then the smallest id."""
        people = [person for person in self.things("person").values() if person.open]
        people = [person for person in people if self.attribute(person, "role") == role]
        return sorted(people, key=lambda person: (-person.living[-1].at, person.id))

    def person_zone(self, person_id: str) -> str:
        """A person's zone, else the account's."""
        person = self.things("person").get(person_id)
        trait = self.raw(person, "timezone") if person else None
        return trait if is_zone(trait) else self.zone
