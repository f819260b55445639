"""The blocks of a report below its values, as lines for us: goals and support."""

from typing import Any

from ringfirst.answers import shown

_FIGURES = {
    "opened": "opened",
    "solved": "solved",
    "open": "open at the end",
    "answer_hours": "hours to the first answer",
    "solve_hours": "hours to the solution",
    "answer_working_hours": "working hours to the first answer",
    "solve_working_hours": "working hours to the solution",
}


def blocks_of(found: dict[str, Any]) -> list[str]:
    """A line for each goal and each figure of support."""
    return [*(_goal(one) for one in found["goals"]), *_support(found["support"])]


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
        lines.append(f"Support: {_FIGURES[one['figure']]}: {shown(one['amount'])}{median}{before}")
    if support["not_compared"]:
        lines.append(f"Support is not compared: {support['not_compared']}")
    return lines
