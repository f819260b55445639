"""Connections that break at COMMIT, again and again: nobody knows whether it was done, and the offsets tell."""

import os
import random
from contextlib import closing, suppress
from typing import Literal

import pytest

from engine import replay
from engine.assigned import AssignedKeeper, LanePart
from engine.errors import StoreError
from engine.store import Store
from engine.stores import open_store
from tests.engine.test_assigned import LANES, WALL, Topics, book_of, history, imported, told
from tests.postgres import Relay, relayed

pytestmark = pytest.mark.postgres
KILLS = int(os.environ.get("RINGFIRST_CHAOS_KILLS", "200"))


class Breaking:
    """Breaks every other transaction that wrote something, before or after the server did it, ``most`` times."""

    def __init__(self, seed: int, most: int) -> None:
        self.chance, self.most = random.Random(seed), most
        self.done = {"before": 0, "after": 0}

    def __call__(self) -> Literal["before", "after"] | None:
        if sum(self.done.values()) >= self.most or self.chance.random() < 0.5:
            return None
        deed: Literal["before", "after"] = self.chance.choice(["before", "after"])
        self.done[deed] += 1
        return deed


def held(store: Store, lane: int) -> tuple[AssignedKeeper, dict[tuple[str, int], int]]:
    """The lane in the hands of an owner that knows nothing yet, and where it goes on."""
    while True:
        with suppress(StoreError):
            keeper = AssignedKeeper(store, book_of(), "worker:1:a", source="log-1", at=WALL, history=True)
            return keeper, keeper.assign([lane], at=WALL)[0].offsets


def taken_in(store: Store, topics: Topics, lane: int, seed: int, size: int) -> None:
    chance = random.Random(seed)
    keeper, offsets = held(store, lane)
    while True:
        arrivals, moves = topics.next(lane, offsets, chance.randrange(1, size))
        if not arrivals:
            return
        try:
            keeper.take_parts([LanePart(lane=lane, arrivals=arrivals, moves=moves)], at=WALL)
            offsets.update({(one.topic, one.partition): one.new for one in moves})
        except StoreError:
            keeper, offsets = held(store, lane)


def settled(store: Store, until: int) -> None:
    """The last totals, also when the connection breaks while they are written."""
    while True:
        with suppress(StoreError):
            keeper = AssignedKeeper(store, book_of(), "worker:1:a", source="log-1", at=WALL, history=True)
            keeper.assign(range(LANES), at=WALL)
            for lane in range(LANES):
                keeper.move_clock(lane, until)
            while keeper.measure(at=WALL)[1]:
                pass
            keeper.stop()
            return


def judged(url: str, relay: Relay, seed: int, cuts: int, count: int) -> None:
    events = history(seed, count)
    breaking = Breaking(seed, cuts)
    open_store(url, lanes=LANES).close()
    with closing(open_store(relay.url, create=False)) as store:
        relay.at_commit = breaking
        for lane in range(LANES):
            taken_in(store, Topics(events), lane, seed, 4)
        settled(store, max(one.event.time for one in events))
        relay.at_commit = lambda: None
    print(breaking.done)
    assert min(breaking.done.values()) > cuts / 4
    with closing(open_store(url, create=False)) as store:
        assert store.count_events() == len(events)
        assert told(list(store.decisions())) == told(imported(events))
        found = replay.verify(store)
        assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)


@pytest.mark.slow
def test_what_is_decided_is_as_if_no_connection_had_broken(fresh_postgres: str) -> None:
    with relayed(fresh_postgres) as relay:
        judged(fresh_postgres, relay, 3, 30, 250)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(int(os.environ.get("RINGFIRST_CHAOS_SEEDS", "2"))))
def test_many_connections_that_break(fresh_postgres: str, seed: int) -> None:
    print(f"seed {seed}")
    with relayed(fresh_postgres) as relay:
        judged(fresh_postgres, relay, seed, KILLS, 10 * KILLS)
