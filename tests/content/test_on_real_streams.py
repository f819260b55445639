"""The examples on the streams they are written for: each rule fires for some, and none fires for nearly everybody."""

import gzip
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from engine.events import Arrived, decode
from engine.instants import parse_instant
from engine.keeper import Keeper
from engine.stores import open_store
from ringfirst.rulebooks import checked, read_folder

ROOT = Path(__file__).resolve().parents[2]
WALL = parse_instant("2026-01-01T00:00:00Z") or 0
BATCH = 5_000
STREAMS = {"learning": ("learning_usage.jsonl.gz", 8), "support": ("support_incidents.jsonl.gz", 4)}
"""By example: the stream, and which part of its accounts is enough to see each rule fire."""


def some_accounts(path: Path, each: int) -> list[Arrived]:
    """The events of every so-manieth account, in order."""
    numbers: dict[str, int] = {}
    rows = []
    with gzip.open(path) as lines:
        for line in lines:
            account = msgspec.json.decode(line)["account_id"]
            if numbers.setdefault(account, len(numbers)) % each == 0:
                arrived = decode(line, wall=WALL)
                assert isinstance(arrived, Arrived)
                rows.append(arrived)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMS)
def test_every_rule_of_an_example_fires_for_some_and_not_for_all(name, shared_data):
    book, findings = checked(read_folder(ROOT / "examples" / name))
    assert book is not None, findings
    store = open_store("sqlite://")
    keeper = Keeper(store, book, "test", at=WALL)
    stream, each = STREAMS[name]
    rows = some_accounts(shared_data / stream, each)
    for start in range(0, len(rows), BATCH):
        keeper.take(rows[start : start + BATCH], at=WALL)
    keeper.finish(at=WALL)
    keeper.stop()
    accounts = defaultdict(set)
    for decision in store.decisions():
        accounts[decision.rule].add(decision.account_id)
    assert {rule.id for rule in book.rules} == set(accounts)
    everybody = len(store.accounts())
    assert max(len(some) for some in accounts.values()) < everybody / 2
    store.close()
