"""The engine against its judge: the same log, the same decisions, whatever the rulebook and whatever the history."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.columns.lane import ColumnLane
from engine.instants import DAY, HOUR
from tests.judge import strategies
from tests.judge.days import next_midnight, utc
from tests.judge.evaluator import judge, outreach_id
from tests.judge.product import decide
from tests.judge.test_evaluator import Log, books, rule

ANY_SPEED = settings(suppress_health_check=list(HealthCheck), deadline=None)
OFTEN = settings(ANY_SPEED, max_examples=settings().max_examples * 2 // 5)


@st.composite
def scenes(draw: Any) -> tuple[dict[str, Any], list[dict[str, Any]], int, frozenset[int]]:
    """A rulebook, a log, the clock at its end, and positions at which the process starts again from snapshots."""
    book = draw(strategies.rulebooks())
    log = draw(strategies.histories(book))
    if draw(st.integers(0, 3)) == 3:
        log = draw(with_ends(book, log))
    until = log[-1]["recorded_at"] + draw(st.sampled_from([0, DAY // 2, 3 * DAY, 10 * DAY]))
    positions = [row["position"] for row in log]
    restarts = draw(st.frozensets(st.sampled_from(positions), max_size=3))
    return book, log, until, restarts


@st.composite
def with_ends(draw: Any, book: dict[str, Any], log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The log with one or two mails that expired or were rejected, each after its decision and before it left."""
    seen: set[tuple[str, int]] = set()
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(2, len(log)))
        before = log[place - 1]["recorded_at"]
        after = log[place]["recorded_at"] if place < len(log) else before + DAY
        at = draw(st.sampled_from((before, (before + after) // 2)))
        planned = [
            (decision, outreach_id(decision["decision_id"], mail["to"]))
            for decision in judge(book, log[:place], at)
            for mail in decision["mails"]
            if decision["outcome"] == "planned" and mail["state"] == "planned"
        ]
        planned = [(decision, mail) for decision, mail in planned if (mail, decision["at"]) not in seen]
        if not planned:
            continue
        decision, mail = draw(st.sampled_from(planned))
        seen.add((mail, decision["at"]))
        ended = {"account_id": decision["account_id"], "decision_id": decision["decision_id"], "outreach_id": mail}
        ended["why"] = draw(st.sampled_from(("expired", "rejected")))
        log = [*log[:place], {"recorded_at": at, "ended": ended}, *log[place:]]
        log = [{**row, "position": position} for position, row in enumerate(log)]
    return log


@given(scenes())
@settings(ANY_SPEED, max_examples=12)
def test_the_engine_decides_what_the_judge_decides(scene: Any) -> None:
    book, log, until, restarts = scene
    judged = judge(book, log, until)
    assert decide(log, until, restarts) == judged
    assert decide(log, until, restarts, ColumnLane) == judged


@pytest.mark.slow
@given(scenes())
@OFTEN
def test_the_engine_decides_what_the_judge_decides_in_many_more_scenes(scene: Any) -> None:
    book, log, until, restarts = scene
    judged = judge(book, log, until)
    assert decide(log, until, restarts) == judged
    assert decide(log, until, restarts, ColumnLane) == judged


@pytest.mark.parametrize(("day", "days"), [("2011-12-29", -2), ("2011-12-30", -1), ("2011-12-31", 0)])
def test_a_date_is_the_day_it_names_also_one_that_its_zone_never_had(day: str, days: int) -> None:
    """Apia had no 30 December 2011: its 31st began where that day would have."""
    start = next_midnight(utc("2011-12-29T20:00Z"), "Pacific/Apia") + HOUR
    meeting = {"id": "meeting_id", "opened_by": "meeting.scheduled", "measures": {"left": {"days_to": "starts_at"}}}
    asked = rule(f"meeting.left == {days}", **{"for": "each meeting"})
    log = Log(books(asked, things={"meeting": meeting}), at=start - 2 * DAY)
    for at, type_, properties in (
        (start - DAY, "account.updated", {"timezone": "Pacific/Apia"}),
        (start, "meeting.scheduled", {"meeting_id": "m1", "starts_at": day}),
    ):
        event = {
            "id": type_,
            "type": type_,
            "account_id": "acme",
            "user_id": None,
            "time": at,
            "properties": properties,
        }
        log.entries.append({"position": len(log.entries), "recorded_at": at, "event": event})
    judged = judge({}, log.entries, start)
    assert [one["at"] for one in judged] == [start]
    assert decide(log.entries, start, frozenset()) == judged
    assert decide(log.entries, start, frozenset(), ColumnLane) == judged
