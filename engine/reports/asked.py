"""The conditions of a report: read of the account and of the report's own figures, by the functions of rules."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.instants import iso
from engine.logic import FUNCTIONS, Truth
from engine.reports.money import Money
from engine.reports.past import Accounts, Past, excluded
from engine.reports.values import Shown
from engine.reports.worths import wholly
from engine.rulebook.expressions import Term
from engine.rulebook.reports import TO_PRICE, TOTAL
from engine.rulebook.spec import Line, Report
from engine.values import Value, to_json
from engine.views import AccountView

_WORDS = {True: "yes", False: "no", None: "unknown"}


def names_of(shown: Sequence[Shown], total: Money, ratio: float | None) -> dict[str, Value]:
    """The report's own names that its conditions may use."""
    names: dict[str, Value] = {}
    for one in shown:
        names[f"value.{one.value.name}"] = None if one.figure.amount is None else float(one.figure.amount)
    alone = len(total) <= 1 and wholly([one.figure for one in shown])
    names[TOTAL] = float(sum(total.values(), Decimal(0))) if alone else None
    names[TO_PRICE] = ratio
    return names


def line_of(line: Line, view: AccountView, names: Mapping[str, Value]) -> dict[str, Any]:
    """A condition with its truth and the values it was read from."""

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


def audience_of(view: AccountView, report: Report) -> dict[str, Any] | None:
    """Is the account in the report's segment?"""
    if not report.audience:
        return None
    return {"segment": report.audience, "truth": _WORDS[_truth(view.value(report.audience))]}


def kept_from(accounts: Accounts, past: Past, audience: dict[str, Any] | None) -> tuple[str, str]:
    """Why nothing of an account is reported to anybody, and why it is sent no report itself; nothing where it is."""
    policy = accounts.book.policy
    trait = excluded(past.now, policy)
    gone = policy.contact.exclude_cancelled and accounts.cancelled(past.account_id)
    at_all = f"the account is excluded by its trait {trait}" if trait else "the account has cancelled" if gone else ""
    if not past.full(past.period):
        return at_all, f"the account is known since {iso(past.since)}, so the period is only a part"
    out = audience is not None and audience["truth"] != "yes"
    return at_all, f"audience {audience['segment']} is {audience['truth']}" if audience and out else ""


def nobody_of(accounts: Accounts, past: Past, answer: dict[str, Any]) -> str:
    """Why the account is none that a report of the period is made for; nothing when it is one."""
    at_all, itself = kept_from(accounts, past, answer["audience"])
    return at_all or ("" if past.over else f"{past.period.title} is not over") or itself


def because_of(answer: dict[str, Any]) -> str:
    """Why a report that was made does not go; nothing when it does."""
    reasons = [shows_nothing(answer)]
    reasons += [_send_if(one, answer) for one in answer["send_if"] if one["truth"] != "yes"]
    reasons += [_unless(one) for one in answer["unless"] if one["truth"] != "no"]
    return next((reason for reason in reasons if reason), "")


def _send_if(one: dict[str, Any], answer: dict[str, Any]) -> str:
    said = f"send_if {one['line']} is {one['truth']}"
    if one["truth"] == "no" or "value_t" not in one["line"]:
        return said
    currencies = [money["currency"] for money in answer["total"]]
    several = f", for its worth is in {' and '.join(currencies)}, which are never added" if len(currencies) > 1 else ""
    return said + several


def _unless(one: dict[str, Any]) -> str:
    where = f" in {one['account_id']}" if "account_id" in one else ""
    return f"unless {one['line']} is {one['truth']}{where}"


def shows_nothing(answer: dict[str, Any]) -> str:
    """Why a report is not worth opening, whatever its conditions say: one that shows nothing never leaves."""
    if not any(one["amount"] for one in answer["values"]):
        return "it would show nothing: each of its values is 0 or unknown"
    worths = [one["worth"] for one in answer["values"] if one["worth"]]
    if worths and not any(one["unpriced"] for one in worths) and not any(one["amount"] for one in answer["total"]):
        return "it would show nothing: what it is worth in all is 0"
    return ""
