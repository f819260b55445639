"""Adoption in a report: active people against seats, and which of the things that are paid for were used."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from engine.measures.measure import Happening, passes
from engine.numbers import MILLION, exactly, millionths
from engine.reports.figures import amount_of
from engine.reports.past import Accounts, Past
from engine.reports.periods import Period
from engine.reports.told import amount_json
from engine.reports.values import not_compared
from engine.rulebook.spec import Adoption, Measure, Thing
from engine.values import nested, read, thing_id
from engine.zones import Zone


def adoption_json(accounts: Accounts, pasts: Sequence[Past], spec: Adoption) -> dict[str, Any]:
    """Who and what was active in the period, beside the period before; seats and bought things as of its end.

    People and seats of the account and of the parts of its report are added up. What one of them bought all may use.
    """
    before = pasts[0].period.before()
    why = next((why for one in pasts if (why := not_compared(one, before))), "")
    return {
        "people": _people(accounts, pasts, spec, None if why else before) if spec.people else None,
        "features": _features(pasts, accounts.book.things, spec.features) if spec.features else None,
        "not_compared": why or None,
    }


def _people(accounts: Accounts, pasts: Sequence[Past], spec: Adoption, before: Period | None) -> dict[str, Any]:
    measure = accounts.book.measures[spec.people]
    period = pasts[0].period
    active = sum((_counted(measure, past, period) for past in pasts), Fraction(0))
    known = [seats for past in pasts if (seats := _number(past.ledger.traits.get(spec.seats))) is not None]
    seats = sum(known, Fraction(0)) if known else None
    share = None if not seats else Fraction(round(1000 * active / seats), 10)
    earlier = None if before is None else sum((_counted(measure, past, before) for past in pasts), Fraction(0))
    return {
        "active": amount_json(active),
        "before": amount_json(earlier),
        "seats": amount_json(seats),
        "percent": amount_json(share),
    }


def _counted(measure: Measure, past: Past, period: Period) -> Fraction:
    """How many people: a scale of the measure is none of theirs."""
    return (amount_of(measure, past.ledger, period.first, period.last) or Fraction(0)) / measure.times


def _number(raw: object) -> Fraction | None:
    found = exactly(raw) if isinstance(raw, float) else millionths(raw)
    return None if found is None else Fraction(found, MILLION)


def _features(pasts: Sequence[Past], things: Mapping[str, Thing], name: str) -> dict[str, Any]:
    kind, _, word = name.partition(".")
    thing = things[kind]
    measure = next(one for one in thing.measures if one.name == word)
    bought: set[str] = set()
    used: set[str] = set()
    for past in pasts:
        start, end = past.zone.start(past.period.first), past.zone.start(past.period.last + 1)
        bought |= _bought(past.ledger.traits.get(thing.each_in), past.zone)
        used |= _used(thing, measure, (row for row in past.ledger.rows if start <= row.time < end))
    used &= bought
    return {"used": sorted(used), "unused": sorted(bought - used), "bought": len(bought)}


def _bought(raw: object, where: Zone) -> set[str]:
    value = read(raw, "list", where)
    return {key for item in value if (key := thing_id(item)) is not None} if isinstance(value, tuple) else set()


def _used(thing: Thing, measure: Measure, rows: Iterable[Happening]) -> set[str]:
    path = tuple(thing.id.split("."))
    found = set()
    for row in rows:
        event = row.event
        if measure.types is not None and measure.types.match(event.type) and passes(measure.where, event):
            key = thing_id(nested(event.properties, path))
            if key is not None:
                found.add(key)
    return found
