"""The two real streams, whole: imported, killed at random moments, replayed, on both stores."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine.stores import open_store

ROOT = Path(__file__).parents[2]
STREAMS = {"learning": "learning_usage.jsonl.gz", "support": "support_incidents.jsonl.gz"}
pytestmark = [pytest.mark.slow, pytest.mark.data]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "ringfirst", *words]


def imported(stream: Path, store: str, name: str) -> dict[str, Any]:
    rules = str(ROOT / "examples" / name / "rules")
    done = subprocess.run(
        command("import", str(stream), "--store", store, "--rules", rules, "--json"),
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return dict(json.loads(done.stdout))


def killed(stream: Path, store: str, name: str, seed: int, times: int) -> int:
    """Start the import and SIGKILL it at random moments; gives how often it was still running when it was shot."""
    chance, shot = random.Random(seed), 0
    rules = str(ROOT / "examples" / name / "rules")
    for _ in range(times):
        with subprocess.Popen(
            command("import", str(stream), "--store", store, "--rules", rules, "--json"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        ) as running:
            time.sleep(chance.uniform(2, 9))
            if running.poll() is None:
                os.kill(running.pid, signal.SIGKILL)
                shot += 1
    return shot


def verified(store: str) -> dict[str, Any]:
    done = subprocess.run(
        command("replay", "--verify", "--store", store, "--json"),
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return dict(json.loads(done.stdout))


def decisions(url: str) -> list[Any]:
    store = open_store(url)
    try:
        return store.decisions()
    finally:
        store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_stream_imported_whole_and_one_killed_again_and_again_decide_the_same(
    name: str,
    shared_data: Path,
    tmp_path: Path,
    fresh_postgres: str,
) -> None:
    stream = shared_data / STREAMS[name]
    calm = f"sqlite:///{tmp_path / 'calm.db'}"
    answer = imported(stream, calm, name)
    assert answer["read"] == answer["new"]
    assert answer["dead_letters"] == 0
    assert answer["decisions"] > 0
    assert killed(stream, fresh_postgres, name, seed=len(name), times=3) >= 1
    again = imported(stream, fresh_postgres, name)
    assert again["new"] + again["duplicates"] == answer["new"]
    for url in (calm, fresh_postgres):
        found = verified(url)
        assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)
        assert found["events"] == answer["new"]
    assert decisions(calm) == decisions(fresh_postgres)


def test_sqlite_survives_kills_of_an_import(shared_data: Path, tmp_path: Path) -> None:
    stream = shared_data / STREAMS["support"]
    shot, calm = f"sqlite:///{tmp_path / 'shot.db'}", f"sqlite:///{tmp_path / 'calm.db'}"
    assert killed(stream, shot, "support", seed=5, times=3) >= 1
    imported(stream, shot, "support")
    imported(stream, calm, "support")
    found = verified(shot)
    assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)
    assert decisions(shot) == decisions(calm)
