"""Why a value is unknown, in words: what an explanation says beside it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from engine.instants import iso
from engine.measures.measure import Happening, Kept, Moment, is_there, not_yet_full, passes, stretch_of
from engine.program import Program
from engine.rulebook.agreed import DERIVED, GOAL
from engine.rulebook.spec import Measure
from engine.rulebook.words import SPELL_NAMES
from engine.slots import Spells
from engine.state import PERSON
from engine.uses import parts_of
from engine.views import AccountView, EventView, ThingView
from engine.zones import date_of

_LIMITS = "its value is beyond the limits of numbers"
_THING_WORDS = {
    "open_days": "is not open",
    "open_hours": "is not open",
    "opened_at": "was never opened",
    "answered": "was never opened",
    "waiting": "was never opened",
    "waiting_since": "does not wait",
    "waiting_hours": "does not wait",
    "closed_at": "was never closed",
    "last_seen": "was never seen",
}
_NUMBERS = frozenset({"sum", "average", "median", "minimum", "maximum"})


def grounds(program: Program, names: Sequence[str]) -> list[str]:
    """The names under names: what segments and scores are made of."""
    found: dict[str, None] = {}
    for name in names:
        inner = parts_of(program.book, name)
        found.update(dict.fromkeys([name] if inner is None else grounds(program, inner)))
    return list(found)


def why_unknown(view: AccountView, subject: ThingView | EventView | None, name: str, rows: Sequence[Happening]) -> str:
    """Why ``name`` has no value as of the view's moment; ``rows`` are the account's events up to then, in order.

    Says what is missing (an event, a trait, a property, time for a full window), never a value of the customer's.
    """
    owner, _, rest = name.partition(".")
    if isinstance(subject, ThingView) and owner == subject.kind:
        return _of_thing(subject, rest, rows)
    if isinstance(subject, EventView) and owner == "event":
        return _of_event(subject, rest)
    book = view.program.book
    if name in book.segments or owner in book.scores:
        return _composed(view, name, rows)
    measure = book.measures.get(name)
    if measure is None:
        return _of_trait(view, name, book.account_attributes.get(name))
    return _of_measure(view, measure, rows)


def _composed(view: AccountView, name: str, rows: Sequence[Happening]) -> str:
    """Of a segment or score: the names under it that are unknown."""
    unknown = [one for one in grounds(view.program, [name]) if view[view.program.slot(one)] is None]
    if not unknown:
        return "all it is made of is known, and still gives no value, as in a division by zero"
    return "; ".join(f"{one} is unknown: {why_unknown(view, None, one, rows)}" for one in unknown)


def _of_measure(view: AccountView, measure: Measure, rows: Sequence[Happening]) -> str:
    if measure.verb == "portfolio":
        return "no daily value of the portfolio has reached the account yet"
    if measure.thing:
        return _over_things(view, measure)
    if measure.verb in {"attribute", "days_to", "hours_to", "held_days"}:
        declared = view.program.book.account_attributes.get(measure.prop)
        wanted = "date" if measure.verb in {"days_to", "hours_to"} else "number" if measure.as_number else declared
        return _of_trait(view, measure.prop, wanted)
    kept = getattr(view.program.slots[view.program.slot(measure.name)], "kept", None)
    return _of_kept(kept, rows, view.watched, view.moment, _beginning(view)) if kept is not None else _LIMITS


def _beginning(view: AccountView) -> str:
    """What began when an account's windows could begin to be full."""
    return "the account was first seen" if view.watched == view.seen else "our log of the account begins"


def _of_kept(kept: Kept, rows: Sequence[Happening], seen: int | None, moment: Moment, begins: str) -> str:
    spec = kept.spec
    if not_yet_full(spec, seen, moment):
        return _not_full(spec, seen, moment, begins)
    after, until = stretch_of(spec, moment)
    types = spec.types
    ours = [
        row
        for row in rows
        if types is not None
        and types.match(row.event.type)
        and after < row.time <= until
        and passes(spec.where, row.event)
    ]
    if not ours:
        return "it never happened" if spec.window.kind == "ever" else "no such event lies in its window"
    if spec.prop and not kept.evidence(rows, moment):
        found = "a number" if spec.verb in _NUMBERS else "a value"
        return f"none of its {len(ours):,} events has {found} in '{spec.prop}'"
    return _LIMITS


def _not_full(spec: Measure, seen: int | None, moment: Moment, begins: str) -> str:
    if seen is None:
        return "full: true, and nothing was ever seen of it"
    begin = stretch_of(spec, moment)[0] + (spec.window.kind != "exact")
    if spec.window.kind == "exact":
        return f"full: true, and its window begins {iso(begin)}, before {begins}, {iso(seen)}"
    first, day = (date_of(moment.zone.day(at)).isoformat() for at in (begin, seen))
    if first == day:  # seen in the middle of the window's first day
        return f"full: true, and {begins} during the first day of its window, {day}"
    return f"full: true, and its window begins on {first}, before {begins}, on {day}"


def _over_things(view: AccountView, measure: Measure) -> str:
    kind, slot = measure.thing, view.program.slots[view.program.slot(measure.name)]
    if isinstance(slot, Spells):
        if not_yet_full(measure, view.watched, view.moment):
            return _not_full(measure, view.watched, view.moment, _beginning(view))
        act = "answered" if measure.prop == SPELL_NAMES[0] else "closed"
        return f"no {kind} was {act}{'' if measure.window.kind == 'ever' else ' in its window'}"
    matching = slot.matching(view) if hasattr(slot, "matching") else view.open_things(kind)
    if not matching:
        return f"no {kind} is open{' and passes its where' if measure.where else ''}"
    found = "a date" if measure.verb in {"days_to", "hours_to"} else "a number"
    return f"none of the {len(matching):,} open has {found} in '{measure.prop}'"


def _of_thing(thing: ThingView, name: str, rows: Sequence[Happening]) -> str:
    who = f"the {thing.kind}"
    measure = next((one for one in thing.program.spec.measures if one.name == name), None)
    if measure is not None:
        kept = getattr(thing.program.slots[thing.program.slot(name)], "kept", None)
        if kept is not None and measure.verb != "held_days":
            own = [row for row in rows if thing.program.shape.thing_of(row.event) == thing.id]
            return _of_kept(kept, own, thing.state.seen, thing.moment, f"{who} was first seen")
        return _of_property(thing, measure.prop, "date" if measure.verb in {"days_to", "hours_to"} else None)
    if thing.kind == GOAL and name in DERIVED:
        return _of_goal(thing, rows)
    if name in _THING_WORDS:
        return f"{who} {_THING_WORDS[name]}"
    role = dict(thing.program.spec.people).get(name)
    if role is not None:
        where = "the event that opened it" if role == "user_id" else f"its '{role}'"
        return f"{where} names nobody"
    return _of_property(thing, name, None)


def _of_goal(goal: ThingView, rows: Sequence[Happening]) -> str:
    value = goal.account.program.book.values.get(goal.id)
    if value is None:
        return f"the rulebook has no value '{goal.id[:60]}', which the goal is about"
    if goal.account.value(value.measure) is None:
        return f"{value.measure} is unknown: {why_unknown(goal.account, None, value.measure, rows)}"
    return _of_property(goal, "target", "number")


def _of_property(thing: ThingView, name: str, wanted: str | None) -> str:
    spec = thing.program.spec
    person = thing.account.program.book.person_attributes
    declared = person if spec.name == PERSON else dict(spec.declared)
    wanted = wanted or ("date" if name in spec.dates else declared.get(name))
    return _said(f"the {thing.kind}", "property", thing.state.props, name, wanted)


def _of_trait(view: AccountView, name: str, wanted: str | None) -> str:
    return _said("the account", "trait", view.state.traits, name, wanted)


def _said(who: str, noun: str, kept: Mapping[str, Sequence[object]], name: str, wanted: str | None) -> str:
    """Of a trait or property: never set, cleared, without the nested name, or of another type."""
    top, *path = name.split(".")
    row = kept.get(top)
    if row is None:
        return f"{who} has no {noun} '{top}'"
    raw = row[2]
    if raw is None:
        return f"the {noun} '{top}' was cleared"
    for part in path:
        raw = raw.get(part) if isinstance(raw, Mapping) else None
        if raw is None:
            return f"the {noun} '{top}' has no '{name.partition('.')[2]}' in it"
    wish = f"should be {wanted}" if wanted else "should be text, a number, true or false"
    return f"the {noun} '{name}' {wish}; found {_kind(raw)}"


def _of_event(subject: EventView, name: str) -> str:
    if name == "person":
        return "the event has no user_id"
    return _said(
        "the event", "property", {key: ("", "", raw) for key, raw in subject.event.properties.items()}, name, None
    )


def _kind(raw: object) -> str:
    if isinstance(raw, bool):
        return "true/false"
    if isinstance(raw, str):
        return "text"
    if isinstance(raw, int | float | Decimal):
        return "a number" if is_there(raw) else "a number beyond the limits"
    return "a list" if isinstance(raw, list | tuple) else "a mapping"


__all__ = ["grounds", "why_unknown"]
