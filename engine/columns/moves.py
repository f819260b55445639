"""Events that open, answer, close or change things, in their turn: what they touch is folded and read anew, no more."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.account import Account
from engine.closed import is_among
from engine.columns.layout import Acts, Leaf, Tally, Trend, is_plain_text, touches
from engine.columns.table import Table
from engine.columns.trends import Glance, glance
from engine.instants import Instant
from engine.log import Event, Recorded
from engine.measures.measure import is_there, passes
from engine.rulebook.spec import Test
from engine.slots import Computed, KeptOfThing, OverThings, Property, ToDate, is_such
from engine.state import PERSON, ThingShape, happening_of
from engine.things import ThingState, acts_by, step_in_turn
from engine.values import nested, thing_id
from engine.views import Slot

if TYPE_CHECKING:
    from engine.columns.sheet import Sheet, Touched

Readings = tuple[list[Leaf], list[Trend], bool]
"""Cached values, trends, and whether wake-ups may have changed."""


@dataclass(slots=True)
class Plan:
    """How one type of event moves things of one kind."""

    kind: str
    path: tuple[str, ...]
    shape: ThingShape
    kinds: frozenset[str]
    """Its kind alone."""
    steps: tuple[tuple[int, Callable[[Event], bool] | None], ...]
    """The acts that events of this type may be, each with its tests."""
    family: bool
    props: tuple[str, ...] | None
    such: tuple[Test, ...]
    told: frozenset[str]
    """Properties of ``such``: an event that has one may make another kind of thing of it, and goes the wide way."""
    routed: tuple[int, ...]
    own: tuple[int, ...]
    """Of the measures concerned those without a column."""
    table: Table | None
    tallies: tuple[Tally, ...]
    acts: dict[str, Callable[[int, int], None]]
    """By act the printed code that counts it today: takes the account's row, and the milliseconds it took."""
    readings: dict[tuple[tuple[str, ...], bool], Readings]
    """What was found out of what must be read anew, by the properties that changed and whether there was a step."""

    def read(self, sheet: "Sheet", changed: tuple[str, ...], *, stepped: bool) -> Readings:
        """What of a thing's own row must be read anew."""
        found = self.readings.get((changed, stepped))
        if found is None:
            found = self.readings[changed, stepped] = _readings(sheet, self, changed, stepped=stepped)
        return found


@dataclass(slots=True)
class Stirred:
    """What of the account changes when things of some kinds move: read by views, read at a glance, rules to ask."""

    touched: "Touched"
    views: bool
    glances: tuple[tuple[str, Trend, Glance], ...]


@dataclass(slots=True)
class Found:
    """A thing that an event moves."""

    plan: Plan
    key: str
    state: ThingState | None
    changed: tuple[str, ...] = ()
    """The properties that changed."""
    stepped: bool = False
    """Was there a transition, whatever came of it?"""
    turned: bool = False
    """Was it opened or closed?"""
    seated: bool = False
    """Did it just get its row?"""


def plans_of(sheet: "Sheet", event_type: str, active: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, Plan]:
    """The plans of a type of event, by kind; kinds without one go the wide way."""
    found = {}
    for kind, path in active:
        shape = sheet.layout.program.things[kind].shape
        if kind != PERSON and not shape.spec.each_in and (shape.zone is None or not _counted(sheet, kind)):
            found[kind] = _plan(sheet, event_type, kind, path)
    return found


def _counted(sheet: "Sheet", kind: str) -> bool:
    """Does anything of the account look at things of this kind?"""
    slots = sheet.layout.program.slots
    return kind in sheet.tables or any(isinstance(slot, OverThings) and slot.spec.thing == kind for slot in slots)


def _plan(sheet: "Sheet", event_type: str, kind: str, path: tuple[str, ...]) -> Plan:
    layout = sheet.layout
    shape, table = layout.program.things[kind].shape, sheet.tables.get(kind)
    routed = tuple(shape.route(event_type))
    acts: dict[str, list[Acts]] = {}
    for name, act in layout.acts_of.get(kind, ()):
        acts.setdefault(act, []).append(layout.scopes[""].acts[name])
    return Plan(
        kind,
        path,
        shape,
        frozenset((kind,)),
        tuple((flag, _asks(tests)) for flag, tests in acts_by(shape.spec, event_type)),
        shape.spec.family.match(event_type),
        None if shape.props is None else tuple(sorted(shape.props)),
        shape.spec.where,
        frozenset(test.path[0] for test in shape.spec.where),
        routed,
        tuple(at for at in routed if table is not None and at in table.scope.own),
        table,
        tuple(layout.opens_of.get(kind, ())),
        {act: sheet.printed_acts(those) for act, those in acts.items()},
        {},
    )


def _asks(tests: tuple[Test, ...]) -> Callable[[Event], bool] | None:
    """What asks an event whether it passes; None when there is nothing to ask. Texts alone are asked the short way."""
    if not tests:
        return None
    test = tests[0]
    if len(tests) == 1 and is_plain_text(test):
        name, operands = test.path[0], test.operands
        return lambda event: event.properties.get(name) in operands
    return lambda event: passes(tests, event)


def _readings(sheet: "Sheet", plan: Plan, changed: tuple[str, ...], *, stepped: bool) -> Readings:
    """What such an event may change of a thing's own row, and whether it may change when somebody wakes up."""
    layout, kind = sheet.layout, plan.kind

    def touched(read: tuple[str, int]) -> bool:
        slot: Slot = layout.slot(read)
        if read[0] != kind:  # what is the account's is found by ``stirred`` and by the measures of the event
            return False
        if isinstance(slot, KeptOfThing):
            return slot.index in plan.routed
        if isinstance(slot, (Property, ToDate)):
            return slot.top in changed
        return stepped or (isinstance(slot, Computed) and bool(changed))

    def wakes(read: tuple[str, int]) -> bool:
        slot: Any = layout.slot(read)
        over = not read[0] and isinstance(slot, OverThings) and slot.spec.thing == kind
        mine = read[0] == kind and stepped  # one that opens may be waited for since then, whatever else it counts
        return touched(read) or mine or (over and (stepped or bool(changed) or bool(plan.routed)))

    moves = any(wakes((scope, index)) for scope, index, _ in layout.program.moving)
    own = layout.scopes.get(kind)
    if own is None:
        return [], [], moves
    leaves = [one for one in own.leaves.values() if any(touched(read) for read in one.reads)]
    return leaves, [one for one in own.trends.values() if not one.since and touched((kind, one.slot))], moves


def stirred(sheet: "Sheet", event_type: str, kinds: frozenset[str]) -> Stirred:
    """What such an event changes of the account, its measures apart, and every rule that may turn by it."""
    layout = sheet.layout

    def over(read: tuple[str, int]) -> bool:
        slot: Any = layout.slot(read)
        return not read[0] and isinstance(slot, OverThings) and slot.spec.thing in kinds

    touched, rules = sheet.touched_by(over), sheet.touched_by(touches(layout, event_type, kinds))
    glances = []
    for trend in list(touched.trends[""]):
        over_things: Any = layout.slot(("", trend.slot))
        thing = over_things.spec.thing
        read = glance(over_things, layout.program.things[thing])
        if read is not None:
            glances.append((thing, trend, read))
            touched.trends[""].remove(trend)
    touched.rules, touched.check = rules.rules, rules.check
    views = any(touched.leaves.values()) or any(touched.trends.values())
    return Stirred(touched, views, tuple(glances))


def find(plans: dict[str, Plan], active: Any, account: Account, event: Event, time: Instant) -> list[Found] | None:
    """The things that an event moves in their turn; None when one of them has to go the wide way."""
    found: list[Found] = []
    properties = event.properties
    for kind, path in active:
        if kind == PERSON:
            raw: Any = event.user_id
        else:
            raw = properties.get(path[0]) if len(path) == 1 else nested(properties, path)
        if raw is None:
            continue
        plan = plans.get(kind)
        if plan is None:
            return None
        key = raw if type(raw) is str and raw else thing_id(raw)
        if key is None:
            continue
        state = account.state.things[kind].get(key)
        if state is None and (marks := account.state.forgotten.get(kind)) and is_among(marks, key):
            return None
        late = state is not None and (state.last is None or time < state.last)
        if late or (plan.such and state is not None and not plan.told.isdisjoint(properties)):
            return None
        found.append(Found(plan, key, state))
    return found


def move(lane: Any, account: Account, entry: Recorded, one: Found, time: Instant, fold: Any) -> None:
    """Fold an event into a thing that it moves in its turn; ``fold`` is printed for its row. Raises ``WildError``."""
    plan, state, kind = one.plan, one.state, one.plan.kind
    states = account.state.things[kind]
    if plan.shape.zone is not None:
        plan.shape.fold(states, happening_of(entry, account.zone, entry.recorded_at))
        account.list_thing(kind, one.key, is_open=states[one.key].open)
        return
    zone = account.zone
    was_open = is_open = state is not None and state.open
    counted = [tally.counts(state, zone) for tally in plan.tallies] if state is not None and was_open else ()
    if state is None:
        state = states[one.key] = ThingState(seen=time)
        if not plan.table:
            state.kept = [kept.fresh() for kept in plan.shape.kept]
    state.last = time
    if plan.family:
        one.changed = _told(plan, state, entry, time)
    if plan.steps and _step(account, entry, one, state, time):
        one.turned, is_open = True, not was_open
        account.list_thing(kind, one.key, is_open=is_open)
    if (one.changed or one.stepped) and (was_open or is_open):
        for at, tally in enumerate(plan.tallies):
            more = (is_open and tally.counts(state, zone)) - (counted[at] if was_open else False)
            if more:
                account.seat.sheet.narrow[tally.column][account.seat.row] += more
    if plan.routed or plan.table is not None:
        _measures(lane, account, entry, one, state, fold, time)


def _step(account: Account, entry: Recorded, one: Found, state: ThingState, time: Instant) -> bool:
    """Take the transition of an event, if it is one, and count what came of it; was the thing opened or closed?"""
    step, event, plan = 0, entry.event, one.plan
    for flag, passed in plan.steps:
        if passed is None or passed(event):
            step |= flag
    if not step:
        return False
    one.stepped = True
    happened = step_in_turn(plan.shape.spec, state, (time, entry.position, step, event.user_id))
    if happened and plan.acts and (not plan.such or is_such(plan.such, state)):
        for act, length in happened:
            if act in plan.acts:
                plan.acts[act](account.seat.row, length)
    return bool(happened) and happened[-1][0] != "answered"


def _told(plan: Plan, state: ThingState, entry: Recorded, time: Instant) -> tuple[str, ...]:
    """Take in the properties that are kept; gives those that changed."""
    changed, properties, props = [], entry.event.properties, state.props
    for name in sorted(properties) if plan.props is None else plan.props:
        raw = properties.get(name)
        if raw is None or not (type(raw) is str or is_there(raw)):
            continue
        before = props.get(name)
        if before is None or type(raw) is not str or before[2] != raw:
            changed.append(name)
        props[name] = (time, entry.position, raw)
    return tuple(changed)


def _measures(
    lane: Any, account: Account, entry: Recorded, one: Found, state: ThingState, fold: Any, time: Instant
) -> None:
    """Fold the event into the thing's own measures: in its row, if it has one or gets one now, else plainly."""
    plan, shape, seat = one.plan, one.plan.shape, account.seat
    row = None
    if plan.table is not None:
        row = seat.things.get(plan.kind, {}).get(one.key)
        if row is None and not len(state.kept):
            if state.open and (not plan.such or is_such(plan.such, state)):
                row = lane.seat_thing(account, plan.kind, one.key)
                one.seated = True
            else:
                state.kept = [kept.fresh() for kept in shape.kept]
    if row is None:
        if plan.routed:
            happening = happening_of(entry, account.zone, entry.recorded_at)
            for index in plan.routed:
                state.kept[index] = shape.kept[index].fold(state.kept[index], happening)
        return
    fold(row, entry.event, time, seat.row)
    if plan.own and plan.table is not None:
        plan.table.fold(row, plan.table.owners[row][2], happening_of(entry, account.zone, entry.recorded_at), plan.own)
