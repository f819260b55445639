"""A report that is frozen fits into an event: of long lists the beginning is kept, and how much was left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.events import encode_properties

BOUNDS = 100, 30, 10, 3, 0
"""So many of each list are kept; the first of these with which the whole is small enough."""
PARTS = 5
"""So many times as many of the accounts that a report tells of: they are what it is about."""
ROOM = 160 * 1024
"""What the figures may take of the 256 KB of an event; the rest is for what has changed, and for its conditions."""


def fitted(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures as they are frozen: the same figures give the same, whoever freezes them.

    Cut are parts (the account itself and the largest stay), the conditions that were asked of them, goals (those that
    are known stay first), the things a next step is about, features and what has changed (the newest stays). What is
    cut says so as ``left_out`` beside its list (``goals_left_out``, ``changes_left_out``, ``parts_left_out``,
    ``unless_left_out``);
    every count and every sum stays that of all. The whole is there as long as its events are.
    """
    for most in BOUNDS:
        found = _cut(figures, most)
        if len(encode_properties({**found, "changes": None})) <= ROOM:
            break
    return found


def _cut(figures: Mapping[str, Any], most: int) -> dict[str, Any]:
    found = dict(figures)
    goals, changes = figures.get("goals") or [], figures.get("changes") or []
    if len(goals) > most:
        known = sorted(range(len(goals)), key=lambda place: (goals[place]["current"] is None, place))
        found["goals"] = [goals[place] for place in sorted(known[:most])]
        found["goals_left_out"] = len(goals) - most
    if len(changes) > BOUNDS[0]:
        found["changes"] = changes[-BOUNDS[0] :]
        found["changes_left_out"] = len(changes) - BOUNDS[0]
    if any(len(one["about"]) > most for one in figures.get("next_steps") or []):
        found["next_steps"] = [_about(one, most) for one in figures["next_steps"]]
    parts = figures.get("parts") or []
    if len(parts) > PARTS * most + 1:
        found["parts"] = parts[: PARTS * most + 1]
        found["parts_left_out"] = len(parts) - len(found["parts"])
    theirs = [one for one in figures.get("unless") or [] if "account_id" in one]
    if len(theirs) > most + 1:  # the first may be why it does not go
        own = [one for one in figures["unless"] if "account_id" not in one]
        found["unless"] = [*own, *theirs[: most + 1]]
        found["unless_left_out"] = len(theirs) - most - 1
    adoption = figures.get("adoption")
    if adoption and adoption["features"]:
        found["adoption"] = {**adoption, "features": _features(adoption["features"], most)}
    return found


def _about(step: Mapping[str, Any], most: int) -> dict[str, Any]:
    about, left = _first(step["about"], most)
    return {**step, "about": about, **({"left_out": left} if left else {})}


def _features(features: Mapping[str, Any], most: int) -> dict[str, Any]:
    used, more = _first(features["used"], most)
    unused, beside = _first(features["unused"], most)
    left = {"left_out": {"used": more, "unused": beside}} if more or beside else {}
    return {**features, "used": used, "unused": unused, **left}


def _first(rows: Sequence[Any], most: int) -> tuple[list[Any], int]:
    return list(rows[:most]), max(0, len(rows) - most)
