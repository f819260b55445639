"""What the template of a report is told beside its values: goals, adoption, support, next steps, the contract, us."""

from typing import Any

_DAY = len("2026-03-02")
_GOALS = 3


def blocks_context(found: dict[str, Any]) -> dict[str, Any]:
    """The blocks of a report; what it does not have is null or an empty list."""
    goals = [_goal(one) for one in found["goals"] if one["current"] is not None][:_GOALS]
    return {
        "goals": goals,
        "goals_first": bool(goals) and found["lead_with"] == "goals",
        "adoption": _adoption(found["adoption"]),
        "support": _support(found["support"]),
        "next_steps": [{"text": one["next_step"], "about": one["about"]} for one in found["next_steps"]],
        "contract": _contract(found["contract"]),
        "contact": found["contact"],
    }


def _goal(goal: dict[str, Any]) -> dict[str, Any]:
    """``way`` is how much of the way is made, in whole percent from 0 to 100: the width of a bar."""
    percent = 100 if goal["reached"] else goal["percent"] or 0
    told = {key: goal[key] for key in ("label", "unit", "baseline", "current", "target", "due", "reached")}
    return {**told, "way": int(min(max(percent, 0), 100))}


def _adoption(adoption: dict[str, Any] | None) -> dict[str, Any] | None:
    if adoption is None:
        return None
    people, features = adoption["people"] or {}, adoption["features"] or {}
    return {
        "active": people.get("active"),
        "active_before": people.get("before"),
        "seats": people.get("seats"),
        "used": used_of(features) if features.get("bought") else None,
        "bought": features.get("bought") or None,
        "unused": features.get("unused", []),
    }


def used_of(features: dict[str, Any]) -> int:
    """How many features were used: those that are named, and those that a long list was cut by."""
    return len(features["used"]) + int((features.get("left_out") or {}).get("used", 0))


def _support(support: dict[str, Any] | None) -> dict[str, Any] | None:
    """A period in which nothing was asked and nothing solved has no support to tell of."""
    if support is None:
        return None
    figures = {one["figure"]: one for one in support["figures"]}
    if not any(figures[name]["amount"] for name in ("opened", "solved", "open")):
        return None
    names = ("opened", "solved", "open", "answer_hours", "solve_hours", "answer_working_hours", "solve_working_hours")
    amounts = {name: figures[name]["amount"] if name in figures else None for name in names}
    before = {f"{name}_before": figures[name]["before"] if name in figures else None for name in names}
    return {**amounts, **before}


def _contract(contract: dict[str, Any] | None) -> dict[str, Any] | None:
    if contract is None:
        return None
    total = [one for one in contract["total"] if one["amount"] > 0]
    return {"from": contract["from"][:_DAY], "whole": contract["whole"], "total": total} if total else None
