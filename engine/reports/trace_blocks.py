"""The way back from adoption, goals, next steps and what was paid: what set each of them, and what it was read from."""

from collections.abc import Iterable
from typing import Any

from engine.explain import asked_lines
from engine.measures.measure import Happening, passes
from engine.numbers import plain
from engine.reports.adoption import adoption_json
from engine.reports.figures import Figure, counted, figure
from engine.reports.goals import goal_json, goals_of
from engine.reports.past import Accounts, Past
from engine.reports.periods import Period
from engine.reports.steps import steps_json
from engine.reports.traced import Traced, bounds, event_json, events_text, setting, within
from engine.reports.values import not_compared
from engine.reports.worths import price_of
from engine.rulebook.agreed import GOAL
from engine.rulebook.spec import Adoption, Measure, NamedValue, NextSteps
from engine.values import nested, thing_id
from engine.views import ThingView

_EVERY = 1 << 40
_OF_A_GOAL = ("baseline", "target", "due")


# -- adoption ----------------------------------------------------------------------------------------------------------
def trace_people(accounts: Accounts, past: Past, spec: Adoption) -> Traced:
    """Who was active, against the seats."""
    measure = accounts.book.measures[spec.people]
    now = _people(past, measure, past.period)
    told = adoption_json(accounts, [past], spec)["people"]
    before, earlier = past.period.before(), []
    if not not_compared(past, before):
        then = _people(past, measure, before)
        amount, formula = _different(measure, then)
        rows = [event_json(row, counted(measure, row)) for row in then.behind]
        earlier = [
            {"with": "previous period", "period": before.name, "amount": amount, "formula": formula, "events": rows}
        ]
    seats = setting(past, spec.seats)
    amount, formula = _different(measure, now)
    of = "" if told["percent"] is None else f"; {amount} of {told['seats']} {spec.seats} = {told['percent']} %"
    events = [event_json(row, counted(measure, row)) for row in now.behind]
    events += [event_json(row, None, says={spec.seats: row.event.properties[spec.seats]}) for row in seats]
    more = {"measure": measure.name, "seats": told["seats"], "percent": told["percent"]}
    return Traced("Active people", "", amount, formula + of, events, earlier, more)


def _people(past: Past, measure: Measure, period: Period) -> Figure:
    value = NamedValue(measure.name, measure.name, measure.name)
    return figure(value, measure, past.ledger, period.first, period.last)


def _different(measure: Measure, found: Figure) -> tuple[int, str]:
    amount = len({counted(measure, row) for row in found.behind})
    return amount, f"different {measure.prop} in {events_text(len(found.behind))} = {amount:,}"


def trace_features(accounts: Accounts, past: Past, spec: Adoption) -> Traced:
    """What of the things that are paid for was used."""
    kind, _, word = spec.features.partition(".")
    thing = accounts.book.things[kind]
    measure = next(one for one in thing.measures if one.name == word)
    told = adoption_json(accounts, [past], spec)["features"]
    path, events = tuple(thing.id.split(".")), []
    for row in within(past.ledger.rows, *bounds(past, past.period)):
        if measure.types is not None and measure.types.match(row.event.type) and passes(measure.where, row.event):
            key = thing_id(nested(row.event.properties, path))
            events += [event_json(row, key)] if key in told["used"] else []
    bought = setting(past, thing.each_in)
    events += [event_json(row, None, says={thing.each_in: row.event.properties[thing.each_in]}) for row in bought]
    used = ", ".join(told["used"]) or "none"
    formula = f"{used}: {len(told['used'])} of {told['bought']} in {thing.each_in} had events of {spec.features}"
    return Traced("Used of what is paid for", "", len(told["used"]), formula, events, (), {"features": told})


# -- goals -------------------------------------------------------------------------------------------------------------
def trace_goal(accounts: Accounts, past: Past, metric: str) -> Traced | None:
    """How far a goal is, from what was agreed and what is measured; None: it has no such goal."""
    goal = next((one for one in goals_of(accounts, past) if one.metric == metric), None)
    if goal is None:
        return None
    told = goal_json(goal)
    value = accounts.book.values.get(metric)
    events: list[dict[str, Any]] = []
    if value is not None:
        measure = accounts.book.measures[value.measure]
        found = figure(value, measure, past.ledger, past.period.first, past.period.last)
        events = [event_json(row, counted(measure, row)) for row in found.behind]
    events += [event_json(row, None, says=says) for row, says in _agreed(past, metric)]
    current = f"{told['current']} (value {metric}) of {told['target']}"
    if told["unknown"]:
        current = f"{told['unknown']}; the target is {told['target']}"
    start = "" if told["baseline"] is None else f", from {told['baseline']}"
    way = ""
    if told["percent"] is not None:
        begins = told["baseline"] or 0
        way = f"; ({told['current']} - {begins}) / ({told['target']} - {begins}) = {told['percent']} % of the way"
    due = "" if told["due"] is None else f"; due {told['due']}"
    return Traced(goal.label, goal.unit, told["current"], f"{current}{start}{way}{due}", events, (), {"goal": told})


def _agreed(past: Past, metric: str) -> Iterable[tuple[Happening, dict[str, Any]]]:
    """The events that set a goal to what it was at the end of the period, each with what it set of it."""
    found: dict[int, dict[str, Any]] = {}
    state = past.view.thing(GOAL, metric).state
    for name in _OF_A_GOAL:
        if name in state.props:
            _, position, raw = state.props[name]
            found.setdefault(position, {})[name] = raw
    return [(row, found[row.position]) for row in past.rows if row.position in found]


# -- next steps --------------------------------------------------------------------------------------------------------
def trace_step(accounts: Accounts, past: Past, spec: NextSteps, rule_id: str) -> Traced:
    """Why a rule's step stands in the report, or does not: its conditions as of the end of the period."""
    program = next(one for one in past.view.program.rules if one.rule.id == rule_id)
    told = next((one for one in steps_json(past, spec, accounts.book) if one["rule"] == rule_id), None)
    rule, view, lines = program.rule, past.view, list[dict[str, Any]]()
    about = told["about"] if told is not None else []
    subjects: list[ThingView | None] = (
        [view.thing(rule.thing, one) for one in about] if program.way == "thing" else [None]
    )
    for subject in subjects:
        for word, written, ready in (
            ("when", rule.when, program.when_lines),
            ("unless", rule.unless, program.unless_lines),
        ):
            for line in asked_lines(program, written, ready, view, subject, list(past.rows), _EVERY):
                lines.append({"is": word, "about": subject.id if subject is not None else None, **line})
    ids = {event["id"] for line in lines for event in line["events"]}
    events = [event_json(row, None) for row in past.rows if row.event.id in ids]
    of = f" for {', '.join(about)}" if about else ""
    stands = f"rule {rule_id} held{of} at the end of {past.period.title}"
    if told is None:
        stands = f"rule {rule_id} gives no step: it did not hold then, is held out, or others come first"
    return Traced(
        told["next_step"] if told else rule_id, "", None, stands, events, (), {"lines": lines, "about": about}
    )


# -- what was paid -----------------------------------------------------------------------------------------------------
def trace_price(accounts: Accounts, past: Past, name: str) -> Traced:
    """What the account paid: its attribute at the end of each month, and the events that set it."""
    price = price_of(accounts, past, name)
    months, says = list[str](), dict[int, tuple[Happening, dict[str, Any]]]()
    for month in past.period.months():
        end = past.zone.start(month.last + 1) - 1
        for key in (name, "currency"):
            for row in setting(past, key, end):
                says.setdefault(row.position, (row, {}))[1][key] = row.event.properties[key]
        raw = setting(past, name, end)
        months.append(f"{raw[0].event.properties[name] if raw else 'unknown'} at the end of {month.title}")
    amount = None if price.amount is None else plain(float(price.amount))
    rows = sorted(says.values(), key=lambda pair: (pair[0].time, pair[0].position))
    events = [event_json(row, None, says=one) for row, one in rows]
    paid = price.unknown or f"{amount} {price.currency}"
    formula = f"{name}: {' + '.join(months)} = {paid}"
    return Traced("Price of the period", price.currency, amount, formula, events, (), {"measure": name})
