"""A report made: each value over the period with its worth, compared, against the price, and whether it would go."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from engine.instants import iso
from engine.logic import FUNCTIONS, Truth
from engine.measures.measure import Happening
from engine.numbers import MILLION, millionths, plain
from engine.reports.figures import Figure, Rate, counted, currency_in, figure, money_of
from engine.reports.money import Money, added
from engine.reports.past import Accounts, Past, excluded
from engine.reports.periods import Period
from engine.rulebook.expressions import Term
from engine.rulebook.reports import TO_PRICE, TOTAL
from engine.rulebook.spec import Line, Measure, NamedValue, Report
from engine.values import Value, to_json
from engine.views import AccountView
from engine.zones import date_of

LAST = 6
"""Periods of a chart."""
_WORDS = {True: "yes", False: "no", None: "unknown"}


class Shown(NamedTuple):
    """One value of a report: over the period, over the periods it is compared with, and from the beginning."""

    value: NamedValue
    figure: Figure
    earlier: tuple[tuple[str, Period | None, Figure | None, str], ...]
    ever: Figure
    series: tuple[tuple[Period, Fraction | None], ...]


class Price(NamedTuple):
    """What the account paid in the period, as its attribute says at the end of each month; or why that is unknown."""

    amount: Decimal | None
    currency: str
    unknown: str = ""


def preview(accounts: Accounts, account_id: str, report: Report, period: Period) -> dict[str, Any]:
    """The report of an account for a period, as JSON values, and whether it would go: ``would_go`` and ``because``.

    Raises ``UsageError`` for an account that is unknown, or was by then.
    """
    past = accounts.past(account_id, period)
    shown = [_shown(accounts, past, accounts.book.values[name], report.compare) for name in report.values]
    total = added(one.figure.worth.money for one in shown if one.figure.worth)
    price = _price(accounts, past, report.price) if report.price else None
    ratio = _to_price(shown, total, price)
    names = _names(shown, total, ratio)
    send_if = [_line(line, past.view, names) for line in report.send_if]
    unless = [_line(line, past.now, names) for line in report.unless]
    audience = _audience(past.now, report)
    answer = {
        "account_id": account_id,
        "report": report.id,
        "title": report.title or None,
        "period": period_json(past),
        "as_of": iso(past.asked),
        "values": [_value_json(past, one) for one in shown],
        "total": _money_json(total),
        "total_ever": _money_json(added(one.ever.worth.money for one in shown if one.ever.worth)),
        "price": None if price is None else _price_json(price),
        "value_to_price": ratio,
        "left_out": past.left_out,
        "audience": audience,
        "send_if": send_if,
        "unless": unless,
    }
    because = _because(accounts, past, answer)
    return {**answer, "would_go": not because, "because": because or "nothing speaks against it"}


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
        "amount": _amount_json(found.amount),
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
    told, worth = _worth_json(found), found.worth
    if told is None or worth is None or value.worth is None:
        return None
    if worth.rate is None:
        return {**told, "formula": f"sum of {value.worth.prop} over its events, by currency, rounded once"}
    amount = _amount_json(found.amount)
    whose = f" ({worth.rate.trait} of the account)" if worth.rate.trait else " (our assumption)"
    rate = f"{rate_text(worth.rate)} {worth.rate.currency} per {value.unit}{whose}"
    return {**told, "formula": f"{amount} x {rate}, rounded once"}


def assumption(value: NamedValue, rate: Rate | None) -> str:
    """How the money comes about, as it must stand beside it."""
    if value.worth is None:
        return ""
    if rate is None:
        fixed = f"; {value.worth.currency} where an event names no currency" if value.worth.currency else ""
        return f"{value.label}: the {value.worth.prop.replace('_', ' ')} of each, added up{fixed}"
    whose = f", as the account says ({rate.trait})" if rate.trait else ", our assumption"
    return f"{value.label}: {rate_text(rate)} {rate.currency} per {value.unit}{whose}"


def rate_text(rate: Rate) -> str:
    """The rate as it was written.

    >>> rate_text(Rate(Fraction(91, 2), "EUR")), rate_text(Rate(Fraction(45), "EUR"))
    ('45.5', '45')
    """
    return f"{Decimal(rate.amount.numerator) / Decimal(rate.amount.denominator):f}"


def period_json(past: Past) -> dict[str, Any]:
    """Which days they are, and how far one can rely on them."""
    period = past.period
    return {
        "name": period.name,
        "first_day": date_of(period.first).isoformat(),
        "last_day": date_of(period.last).isoformat(),
        "zone": past.zone.key,
        "starts": iso(past.zone.start(period.first)),
        "ends": iso(past.end + 1),
        "over": past.over,
        "closed": past.closed,
        "full": past.full(period),
        "known_since": iso(past.since),
    }


def _shown(accounts: Accounts, past: Past, value: NamedValue, compare: tuple[str, ...]) -> Shown:
    measure = accounts.book.measures[value.measure]
    period, ledger = past.period, past.ledger
    earlier = []
    for word in compare:
        other = period.before() if word == "previous period" else period.year_before()
        why = _not_compared(past, other)
        found = None if why or other is None else figure(value, measure, ledger, other.first, other.last)
        earlier.append((word, other, found, why))
    return Shown(
        value,
        figure(value, measure, ledger, period.first, period.last),
        tuple(earlier),
        figure(value, measure, ledger, None, period.last),
        tuple((one, figure(value, measure, ledger, one.first, one.last).amount) for one in _last_whole(past)),
    )


def _last_whole(past: Past) -> list[Period]:
    """The last six periods up to this one, oldest first, without those that are parts."""
    found: list[Period] = []
    one = past.period
    while len(found) < LAST and past.full(one):
        if one is not past.period or past.over:
            found.append(one)
        one = one.before()
    return found[::-1]


def _not_compared(past: Past, other: Period | None) -> str:
    """Why two periods are not compared; a part of one never is."""
    if other is None:
        return "that year has no such week"
    if not past.over:
        return f"{past.period.title} is not over"
    if not past.full(past.period):
        return f"{past.period.title} is known in part only"
    if not past.full(other):
        return f"{other.title} is not known, or in part only"
    return ""


def _price(accounts: Accounts, past: Past, name: str) -> Price:
    """The attribute as of the last instant of each month of the period, added up."""
    total, currencies = Fraction(0), set()
    for month in past.period.months():
        end = past.zone.start(month.last + 1) - 1
        traits = past.ledger.traits if end == past.end else accounts.traits_at(past.account_id, end)
        amount = millionths(traits.get(name))
        if amount is None:
            return Price(None, "", f"{name} is unknown at the end of {month.title}")
        total += Fraction(amount, MILLION)
        currencies.add(currency_in(traits))
    if currencies == {""} or len(currencies) > 1:
        return Price(None, "", "the currency of the account is unknown, or changed in the period")
    return Price(Decimal(total.numerator) / Decimal(total.denominator), currencies.pop())


def _to_price(shown: list[Shown], total: Money, price: Price | None) -> float | None:
    """Value against price; unknown where either is, where one is in another currency, and of a price of nothing."""
    if price is None or not price.amount or not _whole(shown) or set(total) - {price.currency}:
        return None
    return float(total.get(price.currency, Decimal(0)) / price.amount)


def _whole(shown: list[Shown]) -> bool:
    """Could all that has a worth be priced?"""
    return all(one.figure.worth is None or one.figure.worth.whole for one in shown)


def _names(shown: list[Shown], total: Money, ratio: float | None) -> dict[str, Value]:
    names: dict[str, Value] = {}
    for one in shown:
        names[f"value.{one.value.name}"] = None if one.figure.amount is None else float(one.figure.amount)
    alone = len(total) <= 1 and _whole(shown)
    names[TOTAL] = float(sum(total.values(), Decimal(0))) if alone else None
    names[TO_PRICE] = ratio
    return names


def _line(line: Line, view: AccountView, names: Mapping[str, Value]) -> dict[str, Any]:
    def read(name: str) -> Value:
        return names[name] if name in names else view.value(name)

    values = {name: to_json(read(name)) for name in line.term.names()}
    return {"line": line.text, "truth": _WORDS[_truth(evaluated(line.term, read))], "values": values}


def evaluated(term: Term, read: Callable[[str], Value]) -> Value:
    """A condition's value, by the same functions that rules are decided by."""
    if term.op == "name":
        return read(str(term.value))
    if term.op == "constant":
        return term.value
    args = [evaluated(arg, read) for arg in term.args]
    return tuple(args) if term.op == "list" else FUNCTIONS[term.op](*args)


def _truth(value: Value) -> Truth:
    return value if isinstance(value, bool) else None


def _audience(view: AccountView, report: Report) -> dict[str, Any] | None:
    if not report.audience:
        return None
    return {"segment": report.audience, "truth": _WORDS[_truth(view.value(report.audience))]}


def _because(accounts: Accounts, past: Past, answer: dict[str, Any]) -> str:
    """Why no report would go; nothing when one would."""
    policy = accounts.book.policy
    trait = excluded(past.now, policy)
    gone = policy.contact.exclude_cancelled and accounts.store.cancelled(past.account_id, at=past.asked)
    reasons = [
        f"the account is excluded by its trait {trait}" if trait else "",
        "the account has cancelled" if gone else "",
        "" if past.over else f"{past.period.title} is not over",
        "" if past.full(past.period) else f"the account is known since {iso(past.since)}, so the period is only a part",
    ]
    audience = answer["audience"]
    if audience is not None and audience["truth"] != "yes":
        reasons.append(f"audience {audience['segment']} is {audience['truth']}")
    reasons += [f"send_if {one['line']} is {one['truth']}" for one in answer["send_if"] if one["truth"] != "yes"]
    reasons += [f"unless {one['line']} is {one['truth']}" for one in answer["unless"] if one["truth"] != "no"]
    return next((reason for reason in reasons if reason), "")


def _value_json(past: Past, one: Shown) -> dict[str, Any]:
    found = one.figure
    return {
        "value": one.value.name,
        "label": one.value.label,
        "unit": one.value.unit,
        "amount": _amount_json(found.amount),
        "worth": _worth_json(found),
        "assumption": assumption(one.value, found.worth.rate if found.worth else None) or None,
        "events": len(found.behind),
        "compared": [_earlier_json(found, *row) for row in one.earlier],
        "series": [{"period": period.name, "amount": _amount_json(amount)} for period, amount in one.series],
        "ever": {"since": iso(past.since), "amount": _amount_json(one.ever.amount), "worth": _worth_json(one.ever)},
    }


def _earlier_json(found: Figure, word: str, other: Period | None, earlier: Figure | None, why: str) -> dict[str, Any]:
    change = percent = None
    if earlier is not None and earlier.amount is not None and found.amount is not None:
        difference = found.amount - earlier.amount
        change = _amount_json(difference)
        percent = plain(round(float(100 * difference / abs(earlier.amount)), 1)) if earlier.amount else None
    return {
        "with": word,
        "period": other.name if other else None,
        "amount": _amount_json(earlier.amount) if earlier else None,
        "worth": _worth_json(earlier) if earlier else None,
        "change": change,
        "percent": percent,
        "not_compared": why or None,
    }


def _worth_json(found: Figure) -> dict[str, Any] | None:
    if found.worth is None:
        return None
    unpriced = [{"why": why, "events": count} for why, count in found.worth.unpriced]
    return {"money": _money_json(found.worth.money), "unpriced": unpriced}


def _price_json(price: Price) -> dict[str, Any]:
    return {"amount": price.amount, "currency": price.currency or None, "unknown": price.unknown or None}


def _money_json(money: Money) -> list[dict[str, Any]]:
    return [{"amount": amount, "currency": currency} for currency, amount in money.items()]


def _event_json(past: Past, value: NamedValue, measure: Measure, row: Happening) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": row.event.id,
        "type": row.event.type,
        "time": iso(row.time),
        "counted": counted(measure, row),
    }
    if value.worth is not None and value.worth.prop:
        found = money_of(value.worth, row.event, past.ledger.traits)
        told["money"] = found if isinstance(found, str) else {"amount": _decimal(found[0]), "currency": found[1]}
    return told


def _decimal(amount: Fraction) -> Decimal:
    return Decimal(amount.numerator) / Decimal(amount.denominator)


def _amount_json(amount: Fraction | None) -> int | float | None:
    return None if amount is None else plain(float(amount))
