"""Workers on a real broker that are killed, suspended, stopped and started at random while events come in."""

import os
import random
import signal
import time

import pytest

from tests.streams.crew import Crew

pytestmark = pytest.mark.chaos

SEEDS = int(os.environ.get("RINGFIRST_CHAOS_SEEDS", "5"))
TURNS = int(os.environ.get("RINGFIRST_CHAOS_KILLS", "20"))
EACH = 250


@pytest.fixture
def crew(real_kafka, tmp_path):
    crew = Crew(real_kafka, tmp_path)
    yield crew
    crew.close()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_lost_and_nothing_is_taken_in_twice(crew, seed):
    print(f"seed {seed}")
    chance = random.Random(seed)
    alive = [crew.start(), crew.start()]
    suspended = []
    for turn in range(TURNS):
        crew.put(EACH, start=turn * EACH)
        time.sleep(chance.uniform(0.2, 4.0))
        deed = chance.choice(["kill", "suspend", "resume", "stop", "start"])
        if deed == "kill" and alive:
            victim = alive.pop(chance.randrange(len(alive)))
            victim.kill()
            victim.wait()
        elif deed == "suspend" and alive:
            suspended.append(alive.pop(chance.randrange(len(alive))))
            suspended[-1].send_signal(signal.SIGSTOP)
        elif deed == "resume" and suspended:
            alive.append(suspended.pop(0))
            alive[-1].send_signal(signal.SIGCONT)
        elif deed == "stop" and alive:
            victim = alive.pop(chance.randrange(len(alive)))
            code, took = crew.stop(victim, 20)
            assert code in {0, 143}, f"{deed}: {code}"
            assert took < 12
        if len(alive) < (3 if deed == "start" else 1):
            alive.append(crew.start())
    for worker in suspended:
        worker.send_signal(signal.SIGCONT)
    assert crew.all_written(120), f"seed {seed}: {crew.count()} of {len(crew.sent)}"
    crew.judge()
    assert all(worker.poll() is None for worker in alive), f"seed {seed}: a worker ended by itself"
    assert len(crew.holders()) > 1
