"""The blocks of a report below its values, as lines for us: goals, adoption, support, the contract and next steps."""

from typing import Any

from outreach.report_blocks import used_of
from ringfirst.answers import plural, shown

FIGURES = {
    "opened": "opened",
    "solved": "solved",
    "open": "open at the end",
    "answer_hours": "hours to the first answer",
    "solve_hours": "hours to the solution",
    "answer_working_hours": "working hours to the first answer",
    "solve_working_hours": "working hours to the solution",
}
"""By figure of support what it is, in a line for us."""


def blocks_of(found: dict[str, Any]) -> list[str]:
    """A line for each goal and each thing that is told of support, adoption, the contract and next steps."""
    return [
        *(_goal(one) for one in found["goals"]),
        *_left_out(found.get("goals_left_out")),
        *_adoption(found["adoption"]),
        *_support(found["support"]),
        *_contract(found["contract"]),
        *(_step(one) for one in found["next_steps"]),
    ]


def money_text(money: list[dict[str, Any]]) -> str:
    """Amounts by currency; nothing is a zero without one."""
    return " and ".join(f"{one['amount']:,} {one['currency']}" for one in money) or "0"


def _left_out(goals: int | None) -> list[str]:
    return [f"{plural(goals, 'more goal')}, which this report was too long for; --anew shows all"] if goals else []


def _names(names: list[str], more: int) -> str:
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _goal(goal: dict[str, Any]) -> str:
    """How far, and until when."""
    unit = f" {goal['unit']}" if goal["unit"] else ""
    far = "unknown" if goal["current"] is None else shown(goal["current"])
    start = "" if goal["baseline"] is None else f", from {shown(goal['baseline'])}"
    due = "" if goal["due"] is None else f", due {goal['due']}"
    word = {True: "; reached", False: "; not reached", None: f"; {goal['unknown']}"}[goal["reached"]]
    return f"Goal: {goal['label']}: {far} of {shown(goal['target'])}{unit}{start}{due}{word}"


def _support(support: dict[str, Any] | None) -> list[str]:
    if support is None:
        return []
    lines = []
    for one in support["figures"]:
        if one["amount"] is None:
            continue
        median = f" (median of {one['of']})" if one["of"] is not None else ""
        before = "" if one["before"] is None else f"; {shown(one['before'])} in {support['before']}"
        lines.append(f"Support: {FIGURES[one['figure']]}: {shown(one['amount'])}{median}{before}")
    if support["not_compared"]:
        lines.append(f"Support is not compared: {support['not_compared']}")
    return lines


def _adoption(adoption: dict[str, Any] | None) -> list[str]:
    if adoption is None:
        return []
    lines, people, features = [], adoption["people"], adoption["features"]
    if people is not None:
        seats = "" if people["seats"] is None else f" of {shown(people['seats'])} seats"
        percent = "" if people["percent"] is None else f" ({shown(people['percent'])} %)"
        before = "" if people["before"] is None else f"; {shown(people['before'])} before"
        lines.append(f"Adoption: {plural(people['active'], 'active person', 'active people')}{seats}{percent}{before}")
    if features is not None:
        more = (features.get("left_out") or {}).get("unused", 0)
        unused = f"; not used: {_names(features['unused'], more)}" if features["unused"] else ""
        lines.append(f"Adoption: {used_of(features)} of {features['bought']} that are paid for were used{unused}")
    return lines


def _contract(contract: dict[str, Any] | None) -> list[str]:
    if contract is None or not contract["total"]:
        return []
    day = contract["from"][: len("2026-03-02")]
    begins = "the contract began" if contract["whole"] else "what is known of the contract begins"
    return [f"Worth since {begins}, {day}: {money_text(contract['total'])}"]


def _step(step: dict[str, Any]) -> str:
    about = f" ({_names(step['about'], step.get('left_out', 0))})" if step["about"] else ""
    sells = "; it sells" if step["class"] == "marketing" else ""
    return f"Next step: {step['next_step']}{about} [rule {step['rule']}{sells}]"
