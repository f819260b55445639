"""A report made: each value over the period with its worth, compared, against the price, and whether it would go."""

from typing import Any

from engine.instants import iso
from engine.reports.adoption import adoption_json
from engine.reports.asked import audience_of, because_of, line_of, names_of, nobody_of
from engine.reports.contract import contact_of, contract_json
from engine.reports.goals import goal_json, goals_of
from engine.reports.money import added
from engine.reports.past import Accounts
from engine.reports.periods import Period
from engine.reports.steps import MARKETING, RELATIONSHIP, steps_json
from engine.reports.support import support_json
from engine.reports.told import money_json, period_json
from engine.reports.values import shown_of, value_json
from engine.reports.worths import price_json, price_of, to_price
from engine.rulebook.reports import TOTAL
from engine.rulebook.spec import Report


def preview(accounts: Accounts, account_id: str, report: Report, period: Period) -> dict[str, Any]:
    """The report of an account for a period, as JSON values, and whether it would go: ``would_go`` and ``because``.

    ``concerned``: would one be made for it at all, be it that it goes or that its owner is told why not. Raises
    ``UsageError`` for an account that is unknown, or was by then.
    """
    past = accounts.past(account_id, period)
    goals = goals_of(accounts, past)
    shown = [shown_of(accounts, past, accounts.book.values[name], report.compare, goals) for name in report.values]
    total = added(one.figure.worth.money for one in shown if one.figure.worth)
    price = price_of(accounts, past, report.price) if report.price else None
    ratio = to_price([one.figure for one in shown], total, price)
    names = names_of(shown, total, ratio)
    send_if = [line_of(line, past.view, names) for line in report.send_if]
    unless = [line_of(line, past.now, names) for line in report.unless]
    audience = audience_of(past.now, report)
    steps = steps_json(past, report.next_steps, accounts.book) if report.next_steps else []
    answer = {
        "account_id": account_id,
        "report": report.id,
        "title": report.title or None,
        "period": period_json(past, report.close_after),
        "as_of": iso(past.asked),
        "values": [value_json(past, one) for one in shown],
        "total": money_json(total),
        "total_ever": money_json(added(one.ever.worth.money for one in shown if one.ever.worth)),
        "price": None if price is None else price_json(price),
        "value_total": names[TOTAL],
        "value_to_price": ratio,
        "lead_with": report.lead_with or None,
        "goals": [goal_json(one) for one in goals],
        "support": support_json(past, report.support, accounts.book.policy) if report.support else None,
        "adoption": adoption_json(accounts, past, report.adoption) if report.adoption else None,
        "next_steps": steps,
        "class": MARKETING if any(one["class"] == MARKETING for one in steps) else RELATIONSHIP,
        "contract": contract_json(accounts, past, report),
        "contact": contact_of(past, accounts.book.policy),
        "left_out": past.left_out,
        "audience": audience,
        "send_if": send_if,
        "unless": unless,
    }
    nobody = nobody_of(accounts, past, answer)
    because = nobody or because_of(answer)
    review = [line_of(line, past.view, names) for line in report.sending.review_if] if report.sending else []
    return {
        **answer,
        "review_if": review,
        "concerned": not nobody,
        "would_go": not because,
        "because": because or "nothing speaks against it",
    }
