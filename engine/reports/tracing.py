"""The way back from a figure: the events behind it, what each adds, and the formula."""

from typing import Any

from engine.instants import iso
from engine.measures.measure import Happening
from engine.numbers import plain
from engine.reports.figures import Figure, counted, figure, money_of
from engine.reports.past import Accounts, Past
from engine.reports.periods import Period
from engine.reports.told import amount_json, decimal_of, period_json, worth_json
from engine.reports.worths import rate_text
from engine.rulebook.spec import Measure, NamedValue


def trace(accounts: Accounts, account_id: str, period: Period, value: NamedValue) -> dict[str, Any]:
    """The events behind one figure, what each adds, and the formula: enough to compute it once more by hand."""
    past = accounts.past(account_id, period)
    measure = accounts.book.measures[value.measure]
    found = figure(value, measure, past.ledger, period.first, period.last)
    return {
        "account_id": account_id,
        "value": value.name,
        "label": value.label,
        "unit": value.unit,
        "measure": measure.name,
        "period": period_json(past),
        "as_of": iso(past.asked),
        "amount": amount_json(found.amount),
        "formula": formula(measure, found),
        "worth": _worth_formula(value, found),
        "events": [_event_json(past, value, measure, row) for row in found.behind],
        "left_out": past.left_out,
    }


def formula(measure: Measure, found: Figure) -> str:
    """How the amount comes from its events, in words and numbers."""
    events = f"{len(found.behind):,} event{'' if len(found.behind) == 1 else 's'}"
    of = {
        "count": f"{events}",
        "sum": f"sum of {measure.prop} over {events}",
        "unique": f"different {measure.prop} in {events}",
        "days_active": f"different days of {events}",
    }.get(measure.verb, f"{measure.verb} of {measure.prop} over {events}")
    times = f", times {measure.times}" if measure.times != 1 else ""
    amount = "unknown" if found.amount is None else plain(float(found.amount))
    return f"{of}{times} = {amount}"


def _worth_formula(value: NamedValue, found: Figure) -> dict[str, Any] | None:
    told, worth = worth_json(found), found.worth
    if told is None or worth is None or value.worth is None:
        return None
    if worth.rate is None:
        return {**told, "formula": f"sum of {value.worth.prop} over its events, by currency, rounded once"}
    amount = amount_json(found.amount)
    whose = f" ({worth.rate.trait} of the account)" if worth.rate.trait else " (our assumption)"
    rate = f"{rate_text(worth.rate)} {worth.rate.currency} per {value.unit}{whose}"
    return {**told, "formula": f"{amount} x {rate}, rounded once"}


def _event_json(past: Past, value: NamedValue, measure: Measure, row: Happening) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": row.event.id,
        "type": row.event.type,
        "time": iso(row.time),
        "counted": counted(measure, row),
    }
    if value.worth is not None and value.worth.prop:
        found = money_of(value.worth, row.event, past.ledger.traits)
        told["money"] = found if isinstance(found, str) else {"amount": decimal_of(found[0]), "currency": found[1]}
    return told
