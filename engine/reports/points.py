"""What an owner can say to a customer: sentences made of facts of a brief, and of nothing else."""

from collections.abc import Iterator
from typing import Any


def points_of(found: dict[str, Any]) -> list[str]:
    """The talking points of a brief: the good first, then what is owed, then what is wrong."""
    parts = (_worth, _goals, _changes, _use, _answers, _owed, _ill)
    return [point for part in parts for point in part(found)]


def _worth(found: dict[str, Any]) -> Iterator[str]:
    ratio, month = found["value_to_price"], found["period"]["name"]
    for one in found["total"]:
        if one["amount"] > 0:
            times = "" if ratio is None else f", {ratio:.1f} times what they paid"
            yield f"What they got in {month} is worth {one['amount']:,} {one['currency']}{times}."
    if ratio is not None and ratio < 1:
        yield "That is less than they paid: say what would change it before they ask."


def _goals(found: dict[str, Any]) -> Iterator[str]:
    for one in found["goals"]:
        if one["current"] is None:
            yield f"A goal was agreed that nothing measures: {one['label']}, {_number(one['target'])}."
            continue
        far = f"{one['label']}: {_number(one['current'])} of {_number(one['target'])}"
        if one["reached"]:
            yield f"The goal is reached. {far}."
        else:
            due = "" if one["due"] is None else f", due {one['due']} (in {one['days_to_due']} days at the period's end)"
            yield f"The goal is not reached. {far}{due}."


def _changes(found: dict[str, Any]) -> Iterator[str]:
    for one in found["changes"][:2]:
        word = "up" if one["change"] > 0 else "down"
        percent = "" if one["percent"] is None else f" ({one['percent']:+g} %)"
        yield f"{one['label']}: {word}, from {_number(one['before'])} to {_number(one['amount'])}{percent}."


def _use(found: dict[str, Any]) -> Iterator[str]:
    adoption = found["adoption"] or {}
    people, features = adoption.get("people") or {}, adoption.get("features") or {}
    if people.get("seats") and people["active"] < people["seats"]:
        yield f"{people['active']} of {_number(people['seats'])} seats were active."
    if features.get("unused"):
        yield f"Paid for and not used: {', '.join(features['unused'])}."


def _answers(found: dict[str, Any]) -> Iterator[str]:
    support = found["support"] or {"figures": []}
    for one in support["figures"]:
        words = {"answer_hours": "First answers", "solve_hours": "Solutions"}.get(one["figure"])
        if words and one["change"]:
            slower = "longer" if one["change"] > 0 else "less long"
            yield f"{words} took {slower}: {_number(one['amount'])} hours, {_number(one['before'])} before (medians)."


def _owed(found: dict[str, Any]) -> Iterator[str]:
    for one in found["exceptions"]:
        what = one["what"] or one["exception_id"]
        until = f", until {one['expires_at']}" if one["expires_at"] else ""
        why = f": {one['reason']}" if one["reason"] else ""
        yield f"{one['state'].capitalize()} on {one['at'][:10]}{until}: {what}{why}."


def _ill(found: dict[str, Any]) -> Iterator[str]:
    for one in found["health"]:
        if one["value"] is None:
            continue
        band = f" ({one['band']})" if one["band"] else ""
        worst = f"; its worst part is {one['worst']}" if one["worst"] else ""
        before = "" if one["before"] is None else f", {_number(one['before'])} when the period began"
        yield f"{one['score']} is {_number(one['value'])}{band}{before}{worst}."
    if not found["would_go"]:
        yield f"They would get no report: {found['because']}."


def _number(amount: Any) -> str:
    return f"{amount:,.2f}".rstrip("0").rstrip(".")
