"""The way back from every figure of a report: its name, the events behind it, what each adds, and the formula.

Nothing here is read from what a report shows: a trace is made from the log, and is the same number, or one of them is
wrong.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from engine.errors import UsageError
from engine.instants import iso
from engine.reports.families import families
from engine.reports.goals import goals_of
from engine.reports.made import preview
from engine.reports.past import Accounts, Past
from engine.reports.periods import Period
from engine.reports.together import figure_of, name_of, pasts_of
from engine.reports.told import amount_json, period_json
from engine.reports.trace_blocks import trace_features, trace_goal, trace_people, trace_price, trace_step
from engine.reports.trace_group import gathered, with_amount
from engine.reports.trace_support import LABELS, figures_of, trace_support
from engine.reports.trace_values import (
    contract_day,
    trace_ever,
    trace_to_price,
    trace_total,
    trace_value,
)
from engine.reports.traced import Traced
from engine.rulebook.findings import suggestion
from engine.rulebook.reports import ADDED, TO_PRICE, TOTAL
from engine.rulebook.spec import NamedValue, Report
from engine.zones import Day

EVER, CONTRACT = ".ever", ".contract"
"""What stands behind the name of a value or of the total: since the beginning of what is known, or of the contract."""
_TAKEN = frozenset({TOTAL, TO_PRICE, "price"})
Way = Callable[[], Traced | None]


class Tracing:
    """What can be traced of an account for a period: the figures of a report, or without one the values alone."""

    def __init__(
        self,
        accounts: Accounts,
        account_id: str,
        period: Period,
        report: Report | None,
        contract: Callable[[Past, Report], Day | None] | None = None,
    ) -> None:
        """``contract`` gives the day on which that of an account begins, for who is a part of another one's report.

        Raises ``UsageError`` for an account that is unknown, or was by the end of the period.
        """
        self.report = report
        self._contract = contract or partial(contract_day, accounts)
        self.account_id = account_id
        self.period = period
        self._accounts = accounts
        self._past = accounts.past(account_id, period)
        self._ways: dict[str, tuple[str, Way]] = {}
        self._values = frozenset(accounts.book.values)
        if report is not None:
            self._of_report(report)
        self.shown = frozenset(self._ways)
        """Those that stand in the report; beside them the other values of the rulebook can be traced."""
        for value in accounts.book.values.values():
            self._add(_name(value), value.label, partial(trace_value, accounts, self._past, value, report))

    @property
    def names(self) -> dict[str, str]:
        """The figures that can be traced, and what each is."""
        return {name: label for name, (label, _) in self._ways.items()}

    @property
    def alike(self) -> frozenset[str]:
        """Those that are the same in every report of the account: its values, also since it is known, and goals."""
        return frozenset(name for name in self._ways if name.startswith("goal.") or _value_of(name) in self._values)

    def trace(self, name: str) -> dict[str, Any]:
        """The events behind a figure, what each adds, and the formula: enough to compute it once more by hand.

        A measure of the rulebook that counts is traced as ``measure.NAME``. Raises ``UsageError`` for another name.
        """
        found = self._ways[name][1]() if name in self._ways else self._measure(name)
        if found is None:
            near = suggestion(name, self._ways) or "; 'reports trace ACCOUNT PERIOD' lists them"
            raise UsageError(f"figure '{name[:60]}': not in the report or the values of the rulebook{near}")
        return self._with_parts(name, self._told(name, found))

    def _with_parts(self, name: str, told: dict[str, Any]) -> dict[str, Any]:
        """The same of all accounts that the report tells of; steps are the account's own."""
        report, accounts = self.report, self._accounts
        below = families(accounts, report, self.period).below.get(self.account_id, ()) if report is not None else ()
        if report is None or not below or name.startswith("step."):
            return told
        alone, others, names = replace(report, gathers=False), [], {self.account_id: name_of(self._past)}
        pasts, began = [self._past], self._contract(self._past, report)
        with accounts.aside():
            for past in pasts_of(accounts, self._past, report)[1:]:
                one = Tracing(accounts, past.account_id, self.period, alone, lambda *_: began)
                names[past.account_id] = name_of(past)
                others += one._as_part(name)
                pasts.append(past)
        measure = accounts.book.measures.get(str(told["measure"]))
        found = gathered(told, others, names, measure)
        if told["value"] is None or measure is None or name.endswith((EVER, CONTRACT)):
            return with_amount(found, printed(preview(accounts, self.account_id, report, self.period), name))
        value, ledgers = NamedValue(name, name, measure.name), [one.ledger for one in pasts]
        return with_amount(
            found, amount_json(figure_of(value, measure, ledgers, self.period.first, self.period.last).amount)
        )

    def _as_part(self, name: str) -> list[dict[str, Any]]:
        """What the account adds to a figure of the report that it is a part of; nothing where it has none of it."""
        kind, _, metric = name.partition(".")
        value = self._accounts.book.values.get(metric) if kind == "goal" else None
        if value is not None:  # the goal is that of the account above, and what is held against it is of all
            return [{**self.trace(_name(value)), "worth": None}]
        return [self.trace(name)] if name in self._ways or kind == "measure" else []

    def _told(self, name: str, found: Traced) -> dict[str, Any]:
        past = self._past
        return {
            "account_id": past.account_id,
            "figure": name,
            "report": self.report.id if self.report is not None else None,
            "label": found.label,
            "unit": found.unit,
            "value": None,
            "measure": None,
            "period": period_json(past, *([] if self.report is None else [self.report.close_after])),
            "as_of": iso(past.asked),
            "amount": found.amount,
            "formula": found.formula,
            "worth": None,
            "events": found.events,
            "earlier": list(found.earlier),
            **found.more,
            "left_out": past.left_out,
        }

    def _add(self, name: str, label: str, way: Way) -> None:
        self._ways.setdefault(name, (label, way))

    def _of_report(self, report: Report) -> None:
        accounts, past = self._accounts, self._past
        since = self._contract(past, report)
        for value in (accounts.book.values[name] for name in report.values):
            name, ever = _name(value), partial(trace_ever, accounts, past, value)
            self._add(name, value.label, partial(trace_value, accounts, past, value, report))
            self._add(name + EVER, f"{value.label}, ever", partial(ever, None))
            if since is not None:
                self._add(name + CONTRACT, f"{value.label}, since the contract began", partial(ever, since))
        if any(accounts.book.values[name].worth for name in report.values):
            self._totals(report, since)
        if report.price:
            self._add("price", "Price of the period", partial(trace_price, accounts, past, report.price))
        self._blocks(report)

    def _totals(self, report: Report, since: Day | None) -> None:
        accounts, past = self._accounts, self._past
        total = partial(trace_total, accounts, past, report)
        self._add(TOTAL, "Worth in all", partial(total, None, whole=False))
        self._add(TOTAL + EVER, "Worth in all, ever", partial(total, None, whole=True))
        if since is not None:
            self._add(TOTAL + CONTRACT, "Worth in all, since the contract began", partial(total, since, whole=True))
        if report.price:
            self._add(TO_PRICE, "Value against price", partial(trace_to_price, accounts, past, report))

    def _blocks(self, report: Report) -> None:
        accounts, past = self._accounts, self._past
        support, adoption, steps = report.support, report.adoption, report.next_steps
        for goal in goals_of(accounts, past):
            self._add(f"goal.{goal.metric}", f"Goal: {goal.label}", partial(trace_goal, accounts, past, goal.metric))
        if support is not None:
            for name in figures_of(support):
                way = partial(trace_support, past, support, accounts.book.policy, name)
                self._add(f"support.{name}", f"Support: {LABELS[name]}", way)
        if adoption is not None and adoption.people:
            self._add("adoption.people", "Active people", partial(trace_people, accounts, past, adoption))
        if adoption is not None and adoption.features:
            way = partial(trace_features, accounts, past, adoption)
            self._add("adoption.features", "Used of what is paid for", way)
        if steps is not None:
            for rule in steps.from_rules:
                self._add(f"step.{rule}", f"Next step of rule {rule}", partial(trace_step, accounts, past, steps, rule))

    def _measure(self, name: str) -> Traced | None:
        kind, _, rest = name.partition(".")
        measure = self._accounts.book.measures.get(rest) if kind == "measure" else None
        if measure is None or measure.verb not in ADDED or measure.thing or measure.types is None:
            return None
        return trace_value(self._accounts, self._past, NamedValue(rest, rest, rest), None)


def _name(value: NamedValue) -> str:
    """What a value is traced as: its own name, but where the report has a figure that is called so."""
    return f"value.{value.name}" if value.name in _TAKEN else value.name


def _value_of(name: str) -> str:
    """The value that a name begins with, if it does with one."""
    return name.removeprefix("value.").partition(".")[0]


def printed(figures: dict[str, Any], name: str) -> Any:
    """The number that a report shows for a figure, in the JSON of a preview or of what was issued; None: none."""
    own, _, rest = name.partition(".")
    if own == "support":
        rows = (figures["support"] or {"figures": []})["figures"]
        return next((one["amount"] for one in rows if one["figure"] == rest), None)
    if own == "goal":
        return next((one["current"] for one in figures["goals"] if one["metric"] == rest), None)
    adoption = figures["adoption"] or {}
    if name == "adoption.people":
        return (adoption.get("people") or {}).get("active")
    if name == "adoption.features":
        return len((adoption.get("features") or {"used": []})["used"])
    if name in {TOTAL, TO_PRICE}:
        return figures[name]
    if name == "price":
        return (figures["price"] or {}).get("amount")
    if own == TOTAL:
        money = figures["total_ever"] if rest == "ever" else (figures["contract"] or {"total": []})["total"]
        return money[0]["amount"] if len(money) == 1 else None if money else 0
    if own == "value":
        own, _, rest = rest.partition(".")
    rows = (figures["contract"] or {"values": []})["values"] if rest == "contract" else figures["values"]
    found = next((one for one in rows if one["value"] == own), None)
    return None if found is None else found["ever"]["amount"] if rest == "ever" else found["amount"]
