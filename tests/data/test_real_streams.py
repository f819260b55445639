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
from ringfirst.rulebooks import checked, read_folder

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


def test_the_learning_stream_whole(shared_data: Path, tmp_path: Path) -> None:
    calm = f"sqlite:///{tmp_path / 'calm.db'}"
    answer = imported(shared_data / STREAMS["learning"], calm, "learning")
    assert (answer["read"], answer["new"], answer["dead_letters"]) == (188_908, 188_908, 0)
    found = verified(calm)
    assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)
    each_rule_fires_for_some(calm, "learning", accounts=748)


@pytest.mark.postgres
def test_the_support_stream_whole_and_killed_again_and_again_decides_the_same(
    shared_data: Path,
    tmp_path: Path,
    fresh_postgres: str,
) -> None:
    stream, calm = shared_data / STREAMS["support"], f"sqlite:///{tmp_path / 'calm.db'}"
    answer = imported(stream, calm, "support")
    assert (answer["read"], answer["new"], answer["dead_letters"]) == (59_518, 59_518, 0)
    assert killed(stream, fresh_postgres, "support", seed=7, times=2) >= 1
    again = imported(stream, fresh_postgres, "support")
    assert again["new"] + again["duplicates"] == answer["new"]
    for url in (calm, fresh_postgres):
        found = verified(url)
        assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)
        assert found["events"] == answer["new"]
    assert decisions(calm) == decisions(fresh_postgres)
    each_rule_fires_for_some(calm, "support", accounts=3_306)


def each_rule_fires_for_some(url: str, name: str, accounts: int) -> None:
    """A rule that fires for nobody or for nearly everybody is no example."""
    found: dict[str, set[str]] = {}
    for decision in decisions(url):
        found.setdefault(decision.rule, set()).add(decision.account_id)
    book, findings = checked(read_folder(ROOT / "examples" / name))
    assert book is not None, findings
    assert {rule.id for rule in book.rules} == set(found)
    assert max(len(some) for some in found.values()) < accounts / 2
