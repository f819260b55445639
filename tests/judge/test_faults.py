"""The judge sees every fault that is sown into the engine."""

import pytest

from tests.judge.evaluator import judge
from tests.judge.faults import FAULTS, Fault, caught, differs, sown
from tests.judge.product import decide

SCENES = caught()


def test_there_is_a_scene_for_every_fault_and_none_too_many() -> None:
    assert set(SCENES) == {fault.name for fault in FAULTS}, "run: python -m tests.judge.faults --search"
    assert len(FAULTS) >= 100


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in FAULTS])
def test_the_judge_sees_that(fault: Fault) -> None:
    book, log, until, restarts = SCENES[fault.name]
    right = judge(book, log, until)
    assert decide(log, until, restarts) == right
    with sown(fault):
        assert differs(SCENES[fault.name])
    assert decide(log, until, restarts) == right, "the fault is still in the engine"
