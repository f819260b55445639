"""The fault programme: workers that are killed at random moments over a log that is complete, on both stores.

Each test runs small with all tests, and whole in ``make chaos``. Seeds are printed; a failing one stays as a test.
"""

import os
import random
import time
from functools import partial

import pytest

from tests.chaos.judge import imported, judge
from tests.chaos.scene import LANES, MANY_LANES, Scene, made

SIZES = [
    pytest.param("small", marks=pytest.mark.slow),
    pytest.param("whole", marks=pytest.mark.chaos),
]
SEED = int(os.environ.get("RINGFIRST_CHAOS_SEED", "1"))
KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture
def scene(kafka, tmp_path, request):
    kind = request.node.callspec.params.get("kind", "sqlite") if hasattr(request.node, "callspec") else "sqlite"
    url = f"sqlite:///{tmp_path / 'store.db'}" if kind == "sqlite" else request.getfixturevalue("fresh_postgres")
    whole = hasattr(request.node, "callspec") and request.node.callspec.params.get("size") == "whole"
    scene = Scene(kafka, tmp_path, url, lanes=MANY_LANES if whole and not kafka.is_real else LANES)
    yield scene
    scene.close()


def at_work(scene, worker, before):
    """Has it written anything?"""
    return worker.poll() is not None or scene.progress() > before


def shot(scene, kills, chance, **told):
    """Kill one worker after another while it reads a history: mostly at work, now and then on its way there."""
    done = 0
    for _ in range(kills):
        worker = scene.start("--history", **told)
        if chance.random() < 0.15:
            time.sleep(chance.uniform(0.2, 4.0))
        else:
            scene.wait(partial(at_work, scene, worker, scene.progress()))
            time.sleep(chance.uniform(0.0, 0.25))
        if worker.poll() is not None:
            assert worker.returncode == 0, scene.said(worker)
            break
        worker.kill()
        worker.wait()
        done += 1
    return done


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_kills_at_random_moments_lose_nothing_repeat_nothing_and_change_no_decision(scene, kind, size, tmp_path):
    events, kills = {"small": (3_000, 3), "whole": (100_000, 80 if kind == "sqlite" else 200)}[size]
    print(f"seed {SEED}: {events} events, {kills} kills, {kind}")
    scene.publish(made(events, seed=SEED))
    done = shot(scene, kills, random.Random(SEED), fetch=100)
    scene.finished()
    calm = imported(scene, tmp_path)
    assert judge(scene, calm=calm) == []
    assert done >= kills * 0.9, f"only {done} kills before the log was at its end"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "kills", "seen"),
    [("offsets first", 4, "I1 lost"), ("every event is new", 1, "I2 ")],
)
def test_a_build_with_a_mistake_does_not_pass(scene, mistake, kills, seen, tmp_path):
    print(f"seed {SEED}")
    scene.publish(made(3_000, seed=SEED))
    shot(scene, kills, random.Random(SEED), fetch=100, mistakes=[mistake])
    worker = scene.start("--history", mistakes=[mistake])
    scene.wait(lambda: worker.poll() is not None)
    found = judge(scene, calm=imported(scene, tmp_path))
    print("\n".join(one[:200] for one in found[:5]))
    assert any(one.startswith(seen) for one in found)
    assert any(one.startswith("I3") for one in found)
    assert any(one.startswith("I4 decisions") for one in found)
