"""A report made: each value over the period with its worth, compared, against the price, and whether it would go."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.instants import iso
from engine.reports.adoption import adoption_json
from engine.reports.asked import audience_of, because_of, line_of, names_of, nobody_of
from engine.reports.contract import contact_of, contract_json
from engine.reports.families import families
from engine.reports.goals import goal_json, goals_of
from engine.reports.money import added
from engine.reports.past import Accounts, Past
from engine.reports.periods import Period
from engine.reports.steps import MARKETING, RELATIONSHIP, steps_json
from engine.reports.support import support_json
from engine.reports.together import (
    by_size,
    goals_together,
    part_json,
    part_of,
    pasts_of,
    price_together,
    together,
    total_json,
)
from engine.reports.told import money_json, period_json
from engine.reports.values import value_json
from engine.reports.worths import price_json, to_price
from engine.rulebook.reports import TOTAL
from engine.rulebook.spec import Report
from engine.values import Value


def preview(accounts: Accounts, account_id: str, report: Report, period: Period) -> dict[str, Any]:
    """The report of an account for a period, as JSON values, and whether it would go: ``would_go`` and ``because``.

    ``concerned``: would one be made for it at all, be it that it goes or that its owner is told why not. ``parts`` are
    the accounts that are told of in it, the account itself first; none where it tells of itself alone. ``part_of`` is
    the account in whose report this one is a part. Raises ``UsageError`` for an account that is unknown, or was by
    then.
    """
    past = accounts.past(account_id, period)
    pasts = pasts_of(accounts, past, report)
    goals = goals_of(accounts, past)
    told = goals_together(accounts, pasts, goals) if pasts[1:] else goals
    with accounts.aside():
        others = [part_of(accounts, one, report, ()) for one in pasts[1:]]
    parts = by_size([part_of(accounts, past, report, goals), *others])
    shown = [together(accounts, parts, at, told) for at in range(len(report.values))] if others else parts[0].shown
    price = price_together(parts, report.price) if others and report.price else parts[0].price
    total = added(one.figure.worth.money for one in shown if one.figure.worth)
    ratio = to_price([one.figure for one in shown], total, price)
    names = names_of(shown, total, ratio)
    who = families(accounts, report, period)
    steps = steps_json(past, report.next_steps, accounts.book) if report.next_steps else []
    answer = {
        "account_id": account_id,
        "report": report.id,
        "title": report.title or None,
        "period": period_json(past, report.close_after),
        "as_of": iso(past.asked),
        "values": [
            total_json(past, one, [part.shown[at] for part in parts], accounts.book.measures[one.value.measure])
            if others
            else value_json(past, one)
            for at, one in enumerate(shown)
        ],
        "total": money_json(total),
        "total_ever": money_json(added(one.ever.worth.money for one in shown if one.ever.worth)),
        "price": None if price is None else price_json(price),
        "value_total": names[TOTAL],
        "value_to_price": ratio,
        "lead_with": report.lead_with or None,
        "goals": [goal_json(one) for one in told],
        "support": support_json(pasts, report.support, accounts.book.policy) if report.support else None,
        "adoption": adoption_json(accounts, pasts, report.adoption) if report.adoption else None,
        "next_steps": steps,
        "class": MARKETING if any(one["class"] == MARKETING for one in steps) else RELATIONSHIP,
        "contract": contract_json(accounts, pasts, report),
        "contact": contact_of(past, accounts.book.policy),
        "left_out": sum(one.left_out for one in pasts),
        "parts": [part_json(part, report, own=part is parts[0]) for part in parts] if others else [],
        "part_of": who.above.get(account_id),
        "stands_alone": who.alone.get(account_id),
        "audience": audience_of(past.now, report),
        "send_if": [line_of(line, past.view, names) for line in report.send_if],
        "unless": _unless(pasts, report, names),
    }
    nobody, against = _against(accounts, past, answer)
    because = nobody or against or because_of(answer)
    review = [line_of(line, past.view, names) for line in report.sending.review_if] if report.sending else []
    return {
        **answer,
        "review_if": review,
        "concerned": not nobody,
        "would_go": not because,
        "because": because or "nothing speaks against it",
    }


def _against(accounts: Accounts, past: Past, answer: dict[str, Any]) -> tuple[str, str]:
    """Why there is no report for the account, and why one that there is does not go.

    With parts there is one whatever became of the account since it was settled: else nobody would be told of them.
    """
    nobody = nobody_of(accounts, past, answer)
    if answer["part_of"]:
        return f"it is in the report of {answer['part_of']}", ""
    if answer["parts"] and past.over:
        return "", nobody
    return nobody, ""


def _unless(pasts: Sequence[Past], report: Report, names: Mapping[str, Value]) -> list[dict[str, Any]]:
    """Each condition of the account; and of its parts those that do not say no, with the account they were asked of."""
    found = [line_of(line, pasts[0].now, names) for line in report.unless]
    theirs = [line for line in report.unless if set(line.term.names()) - set(names)]
    for part in pasts[1:]:
        asked = [line_of(line, part.now, names) for line in theirs]
        found += [{**one, "account_id": part.account_id} for one in asked if one["truth"] != "no"]
    return found
