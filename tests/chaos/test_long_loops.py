"""Long loops: many seeds of the judge, many kills of an import. Seeds are printed; a failing one becomes a test."""

import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.data.test_real_streams import STREAMS, decisions, imported, killed, verified
from tests.engine import test_backtest, test_things_in_columns
from tests.judge.evaluator import judge
from tests.judge.product import decide
from tests.judge.test_absence import only_what_is_owed
from tests.judge.test_engine import scenes
from tests.judge.test_store import holds, journeys

pytestmark = pytest.mark.chaos
SEEDS = int(os.environ.get("RINGFIRST_CHAOS_SEEDS", "5"))
EXAMPLES = int(os.environ.get("RINGFIRST_CHAOS_EXAMPLES", "300"))
KILLS = int(os.environ.get("RINGFIRST_CHAOS_KILLS", "20"))
ANY_SPEED = settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=EXAMPLES, database=None)


@pytest.mark.parametrize("number", range(SEEDS))
def test_the_engine_decides_what_the_judge_decides(number: int) -> None:
    print(f"seed {number}, {EXAMPLES} scenes")

    @seed(number)
    @ANY_SPEED
    @given(scenes())
    def check(scene: Any) -> None:
        book, log, until, restarts = scene
        assert decide(log, until, restarts) == judge(book, log, until)

    check()


@pytest.mark.parametrize("number", range(SEEDS))
def test_missing_events_make_true_only_what_owes_it_to_them(number: int) -> None:
    print(f"seed {number}, {EXAMPLES} scenes")

    @seed(number)
    @ANY_SPEED
    @given(scenes(), st.data())
    def check(scene: Any, data: Any) -> None:
        only_what_is_owed(scene, data)

    check()


@pytest.mark.parametrize("number", range(SEEDS))
def test_a_backtest_decides_what_an_import_decides(number: int) -> None:
    print(f"seed {number}, {EXAMPLES // 2} scenes, {EXAMPLES * 4} histories")

    @seed(number)
    @settings(ANY_SPEED, max_examples=EXAMPLES // 2)
    @given(test_backtest.scenes().filter(lambda scene: bool(scene[1])))
    def check(scene: Any) -> None:
        test_backtest.same_as_an_import(*scene)

    @seed(number)
    @settings(ANY_SPEED, max_examples=EXAMPLES * 4)
    @given(test_backtest.histories())
    def check_judgement(history: dict[str, Any]) -> None:
        test_backtest.judged_alike(history)

    check()
    check_judgement()


@pytest.mark.parametrize("number", range(SEEDS))
def test_things_in_columns_decide_what_plain_things_decide(number: int) -> None:
    first = 10_000 + number * EXAMPLES * 2
    print(f"scenes {first} to {first + EXAMPLES * 2 - 1}")
    test_things_in_columns.decided_alike(range(first, first + EXAMPLES * 2))


@pytest.mark.parametrize("number", range(SEEDS))
def test_a_store_holds_what_the_judge_decides(number: int) -> None:
    from engine.stores import open_store

    print(f"seed {number}, {EXAMPLES // 4} journeys")

    @seed(number)
    @settings(ANY_SPEED, max_examples=EXAMPLES // 4)
    @given(journeys())
    def check(journey: list[tuple[str, Any]]) -> None:
        store = open_store("sqlite://", lanes=2)
        try:
            holds(store, journey)
        finally:
            store.close()

    check()


@pytest.mark.parametrize("name", sorted(STREAMS))
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_an_import_survives_many_kills(
    name: str,
    kind: str,
    shared_data: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    number = random.SystemRandom().randrange(2**32)
    print(f"seed {number}, {KILLS} kills")
    url = f"sqlite:///{tmp_path / 'shot.db'}" if kind == "sqlite" else request.getfixturevalue("fresh_postgres")
    calm = f"sqlite:///{tmp_path / 'calm.db'}"
    stream = shared_data / STREAMS[name]
    assert killed(stream, url, name, number, KILLS) > 0
    imported(stream, url, name)
    imported(stream, calm, name)
    found = verified(url)
    assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)
    assert decisions(url) == decisions(calm)
