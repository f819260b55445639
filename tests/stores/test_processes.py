"""Several processes, some of them killed: a batch is in the store whole, or not at all."""

import random
import subprocess
import sys
import time

import pytest

from engine.store import Store
from engine.stores import open_store
from tests.stores.made import T0, account_in
from tests.stores.writer import EVENTS, LANES

pytestmark = pytest.mark.slow


def _start(what: str, url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.stores.writer", what, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_of_processes_that_claim_at_once_exactly_one_becomes_the_owner(durable: Store, durable_url: str) -> None:
    racing = [_start("claim", durable_url) for _ in range(3)]
    assert [_said(one) for one in racing] == ["ready"] * 3
    answers = sorted(one.communicate(f"p{n}\n", timeout=30)[0].strip() for n, one in enumerate(racing))
    assert answers == ["1", "taken", "taken"]
    assert durable.lane_infos(at=T0)[0].epoch == durable.lane_infos(at=T0)[1].epoch == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_process_killed_while_it_commits_leaves_whole_batches_only(
    durable: Store,
    durable_url: str,
    seed: int,
) -> None:
    del durable  # made, so that no process is killed while it makes the store
    chance = random.Random(seed)
    acknowledged = 0
    for _ in range(2):
        writer = _start("write", durable_url)
        for _ in range(chance.randint(2, 12)):
            acknowledged = int(_said(writer))
        time.sleep(chance.random() * 0.02)
        writer.kill()
        acknowledged = max([acknowledged, *(int(line) for line in writer.communicate()[0].split())])
        stored = _whole_batches(durable_url)
        assert stored in {acknowledged, acknowledged + 1}, "all that was acknowledged, and at most the one in flight"


def _whole_batches(url: str) -> int:
    store = open_store(url, create=False)
    found = {_batches_of(store, lane) for lane in LANES}
    store.close()
    assert len(found) == 1, "lanes that were committed together"
    return found.pop()


def _batches_of(store: Store, lane: int) -> int:
    account = account_in(lane)
    claim = store.lane_infos(at=T0)[lane]
    n, rest = divmod(claim.position, EVENTS + 1)
    assert rest == 0
    assert [one.position for one in store.entries(lane)] == list(range(1, claim.position + 1))
    rows = store.outreach(account_id=account)
    assert {row.rule: row.state for row in rows} == {
        f"r{k}": "withdrawn" if k % 2 else "queued" for k in range(1, n + 1)
    }
    assert {one.rule: one.outcome for one in store.decisions(account_id=account)} == {
        f"r{k}": "withdrawn" if k % 2 else "planned" for k in range(1, n + 1)
    }
    assert [len(store.changes(row.outreach_id)) for row in rows] == [
        2 if row.state == "withdrawn" else 1 for row in rows
    ]
    beside = store.people(account), store.touches(account), store.dead_letters(source=f"lane {lane}")
    assert [len(one) for one in beside] == [n, n, n]
    assert store.offsets()["import", "a.jsonl", lane] == n
    assert [one.values["n"] for one in store.shares() if one.lane == lane] == list(range(1, n + 1))
    return n
