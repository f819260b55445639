"""The engine against its judge: the same log, the same decisions, whatever the rulebook and whatever the history."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.instants import DAY
from tests.judge import strategies
from tests.judge.evaluator import judge
from tests.judge.product import decide

SLOW = settings(suppress_health_check=list(HealthCheck), deadline=None)


@st.composite
def scenes(draw: Any) -> tuple[dict[str, Any], list[dict[str, Any]], int, frozenset[int]]:
    """A rulebook, a log, the clock at its end, and positions at which the process starts again from snapshots."""
    book = draw(strategies.rulebooks())
    log = draw(strategies.histories(book))
    until = log[-1]["recorded_at"] + draw(st.sampled_from([0, DAY // 2, 3 * DAY, 10 * DAY]))
    positions = [row["position"] for row in log]
    restarts = draw(st.frozensets(st.sampled_from(positions), max_size=3))
    return book, log, until, restarts


@given(scenes())
@SLOW
def test_the_engine_decides_what_the_judge_decides(scene: Any) -> None:
    book, log, until, restarts = scene
    assert decide(log, until, restarts) == judge(book, log, until)
