"""Goals in a report: how much of the way lies behind never contradicts whether they are reached."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reports.goals import Goal, goal_json

AMOUNTS = st.decimals(-1000, 1000, places=2, allow_nan=False, allow_infinity=False).map(Fraction)


def told(baseline: Fraction | int | None, target: Fraction | int, current: Fraction | int | None):
    began, now = (None if one is None else Fraction(one) for one in (baseline, current))
    found = goal_json(Goal("runs", "Runs", "run", began, Fraction(target), now, None, None))
    return found["reached"], found["percent"]


@pytest.mark.parametrize(
    ("baseline", "target", "current", "expected"),
    [
        (10, 4, 7, (False, 50)),
        (10, 10, 10, (True, None)),
        (None, -5, -6, (False, None)),
        (None, -5, -4, (True, None)),
        (0, -5, -6, (True, 120)),
        (5, 10, 0, (False, -100)),
        (None, 10000, 9996, (False, 99.9)),
        (None, 3, None, (None, None)),
    ],
)
def test_the_way_is_measured_by_hand(baseline, target, current, expected):
    assert told(baseline, target, current) == expected


@given(st.none() | AMOUNTS, AMOUNTS, AMOUNTS)
def test_the_whole_way_is_made_where_a_goal_is_reached_and_nowhere_else(baseline, target, current):
    reached, percent = told(baseline, target, current)
    assert percent is None or (percent >= 100) is reached
