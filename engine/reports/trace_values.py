"""The way back from values: the events behind an amount, what each adds, what they are worth, and the sums of that."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from engine.instants import iso
from engine.measures.measure import Happening
from engine.numbers import plain
from engine.reports.contract import contract_json
from engine.reports.figures import Figure, counted, figure, money_of
from engine.reports.money import Money, added
from engine.reports.past import Accounts, Past
from engine.reports.spells import Acted, act_of
from engine.reports.told import amount_json, decimal_of, money_json, worth_json
from engine.reports.traced import Traced, event_json, events_text
from engine.reports.values import not_compared
from engine.reports.worths import price_of, rate_text, to_price, wholly
from engine.rulebook.agreed import GOAL
from engine.rulebook.reports import TO_PRICE, TOTAL
from engine.rulebook.spec import Measure, NamedValue, Report
from engine.zones import Day, date_of


def trace_value(accounts: Accounts, past: Past, value: NamedValue, report: Report | None) -> Traced:
    """A value over the period, and over those that the report compares it with."""
    measure = accounts.book.measures[value.measure]
    found = figure(value, measure, past.ledger, past.period.first, past.period.last)
    earlier = []
    for word in report.compare if report is not None and value.name in report.values else ():
        other = past.period.before() if word == "previous period" else past.period.year_before()
        if word == GOAL or other is None or not_compared(past, other):
            continue
        then = figure(value, measure, past.ledger, other.first, other.last)
        events = _events_json(past, value, measure, then.behind)
        told = {"amount": amount_json(then.amount), "formula": formula(measure, then), "events": events}
        earlier.append({"with": word, "period": other.name, **told, "worth": _worth_formula(value, then)})
    return _traced(past, value, measure, found, value.label, earlier)


def trace_ever(accounts: Accounts, past: Past, value: NamedValue, since: Day | None) -> Traced:
    """A value up to the end of the period: of all that is known, or from a day on."""
    measure = accounts.book.measures[value.measure]
    found = figure(value, measure, past.ledger, since, past.period.last)
    began = iso(past.since)[: len("2026-03-02")] if since is None else date_of(since).isoformat()
    return _traced(past, value, measure, found, f"{value.label} since {began}", ())


def contract_day(accounts: Accounts, past: Past, report: Report) -> Day | None:
    """The local day from which figures of the contract count; None: there is none."""
    if contract_json(accounts, [past], report) is None:
        return None
    return past.zone.day(max(past.view.state.created or past.since, past.since))


def trace_total(accounts: Accounts, past: Past, report: Report, since: Day | None, *, whole: bool) -> Traced:
    """The worth of all values of a report: over the period, or (``whole``) from a day or from the beginning on."""
    values = [accounts.book.values[name] for name in report.values]
    first = since if whole else past.period.first
    measures = [accounts.book.measures[one.measure] for one in values]
    found = [
        figure(one, measure, past.ledger, first, past.period.last)
        for one, measure in zip(values, measures, strict=True)
    ]
    parts, events = [], list[dict[str, Any]]()
    for value, measure, one in zip(values, measures, found, strict=True):
        if one.worth is None:
            continue
        parts.append({"figure": value.name, "amount": amount_json(one.amount), "worth": _worth_formula(value, one)})
        events += [{**row, "figure": value.name} for row in _events_json(past, value, measure, one.behind)]
    total = added(one.worth.money for one in found if one.worth)
    sums = [
        f"{_money_text(one.worth.money)} ({value.name})" for value, one in zip(values, found, strict=True) if one.worth
    ]
    alone = len(total) <= 1 and (whole or wholly(found))
    amount = plain(float(sum(total.values(), Decimal(0)))) if alone else None
    unknown = "" if alone else "; not one number: there are several currencies, or not all could be priced"
    label = "Worth in all" if not whole else f"Worth in all since {_began(past, since)}"
    more = {"money": money_json(total), "parts": parts}
    unit = next(iter(total), "")
    return Traced(
        label, unit if alone else "", amount, f"{' + '.join(sums)} = {_money_text(total)}{unknown}", events, (), more
    )


def trace_to_price(accounts: Accounts, past: Past, report: Report) -> Traced:
    """How many times the price the worth is."""
    values = [accounts.book.values[name] for name in report.values]
    found = [
        figure(one, accounts.book.measures[one.measure], past.ledger, past.period.first, past.period.last)
        for one in values
    ]
    total = added(one.worth.money for one in found if one.worth)
    price = price_of(accounts, past, report.price)
    ratio = to_price(found, total, price)
    paid = price.unknown or f"{price.amount} {price.currency}"
    told = "unknown" if ratio is None else ratio
    worth = sum(total.values(), Decimal(0)) if len(total) == 1 else None
    parts = [{"figure": TOTAL, "amount": worth}, {"figure": "price", "amount": price.amount}]
    formula = f"{_money_text(total)} ({TOTAL}) / {paid} (price) = {told}"
    return Traced("Value against price", "", ratio, formula, [], (), {"parts": parts, "measure": TO_PRICE})


def _began(past: Past, since: Day | None) -> str:
    return iso(past.since)[: len("2026-03-02")] if since is None else date_of(since).isoformat()


def _traced(
    past: Past, value: NamedValue, measure: Measure, found: Figure, label: str, earlier: Sequence[dict[str, Any]]
) -> Traced:
    events = _events_json(past, value, measure, found.behind)
    more = {"value": value.name, "measure": measure.name, "worth": _worth_formula(value, found)}
    return Traced(label, value.unit, amount_json(found.amount), formula(measure, found), events, earlier, more)


def formula(measure: Measure, found: Figure) -> str:
    """How the amount comes from its events, in words and numbers."""
    events = events_text(len(found.behind))
    of = {
        "count": f"{events}",
        "sum": f"sum of {measure.prop} over {events}",
        "unique": f"different {measure.prop} in {events}",
        "days_active": f"different days of {events}",
    }.get(measure.verb, f"{measure.verb} of {measure.prop} over {events}")
    if measure.thing:
        of = f"{measure.thing}: {act_of(measure)} in {events}"
        if measure.prop:
            of = (
                f"{measure.verb} of {events_text(len(found.behind), 'time')} from opened to {act_of(measure)}, in hours"
            )
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


def _events_json(past: Past, value: NamedValue, measure: Measure, rows: Sequence[Happening]) -> list[dict[str, Any]]:
    """The events of a value; of a time that a thing took its opening stands before what ended it, and adds nothing."""
    found = []
    for row in rows:
        told = event_json(row, counted(measure, row))
        if isinstance(row, Acted):
            told["thing"] = row.thing_id
        if isinstance(row, Acted) and measure.prop:
            found.append(event_json(row.opened, None, thing=row.thing_id))
            told["milliseconds"] = row.lasted
        if value.worth is not None and value.worth.prop:
            held = money_of(value.worth, row, past.ledger.traits)
            told["money"] = held if isinstance(held, str) else {"amount": decimal_of(held[0]), "currency": held[1]}
        found.append(told)
    return found


def _money_text(money: Money) -> str:
    return " and ".join(f"{amount:,} {currency}" for currency, amount in money.items()) or "0"
