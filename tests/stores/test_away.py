"""A PostgreSQL server that does not answer, cuts connections or crashes: no call waits for long, and none lies."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from engine.errors import StoreError
from engine.store import Store
from engine.stores import open_store
from tests.postgres import Relay, Server, cut_all, relayed
from tests.stores.made import T0, claimed, committed, event

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
DEADLINE = 10.0


@pytest.fixture
def relay(fresh_postgres: str) -> Iterator[Relay]:
    with relayed(fresh_postgres) as found:
        yield found


@pytest.fixture
def store(relay: Relay) -> Iterator[Store]:
    made = open_store(relay.url, lanes=2)
    yield made
    made.close()


def seconds_until_it_says_so(store: Store) -> tuple[float, str]:
    began = time.monotonic()
    with pytest.raises(StoreError) as caught:
        store.lane_infos(at=T0)
    return time.monotonic() - began, str(caught.value)


def test_a_server_that_takes_every_byte_and_never_answers_holds_nobody_up(relay: Relay, store: Store) -> None:
    claim = claimed(store)
    relay.hole.set()
    for _ in range(2):  # with a connection that was there before, and with a new one
        took, said = seconds_until_it_says_so(store)
        assert took < DEADLINE
        assert "the database did not do it" in said
        assert "see that it is reachable" in said
    relay.hole.clear()
    relay.cut()
    committed(store, claim, events=[event(1)])
    assert store.count_events() == 1


def test_a_server_that_falls_silent_in_the_middle_of_a_transaction_holds_nobody_up(relay: Relay, store: Store) -> None:
    claim = claimed(store)
    rows = [event(number) for number in range(1, 30_000)]
    threading.Timer(0.05, relay.hole.set).start()
    began = time.monotonic()
    with pytest.raises(StoreError, match="no answer within"):
        committed(store, claim, events=rows)
    assert time.monotonic() - began < DEADLINE + 3, "what it did before it fell silent, and the deadline"
    relay.hole.clear()
    relay.cut()
    assert store.count_events() == 0
    assert claimed(store).position == claim.position


def test_a_lock_that_somebody_keeps_is_told_by_the_server_itself(relay: Relay, store: Store) -> None:
    claim = claimed(store)
    with store._driver.writing() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("SELECT * FROM lanes FOR UPDATE")
        began = time.monotonic()
        with pytest.raises(StoreError, match="timeout"):
            committed(store, claim, events=[event(1)])
        assert time.monotonic() - began < DEADLINE


def test_sessions_that_were_ended_are_replaced_without_a_word(relay: Relay, store: Store, fresh_postgres: str) -> None:
    claim = claimed(store)
    for number in range(1, 6):
        assert cut_all(fresh_postgres) > 0
        claim = committed(store, claim, events=[event(number)])
    assert store.count_events() == 5


@pytest.mark.parametrize(("deed", "stored"), [("before", 0), ("after", 1)])
def test_a_connection_that_breaks_at_the_commit_leaves_the_answer_to_the_next_claim(
    relay: Relay, store: Store, deed: Literal["before", "after"], stored: int
) -> None:
    claim = claimed(store)
    relay.at_commit = lambda: deed
    with pytest.raises(StoreError):
        committed(store, claim, events=[event(1)])
    relay.at_commit = lambda: None
    assert store.count_events() == stored
    assert claimed(store).position == stored


def test_a_server_that_crashed_has_what_was_committed_and_the_store_goes_on(tmp_path: Path) -> None:
    server = Server(tmp_path / "postgres")
    try:
        store = open_store(server.url, lanes=2)
        claim = committed(store, claimed(store), events=[event(1)])
        server.down()
        assert seconds_until_it_says_so(store)[0] < 1
        server.up()
        committed(store, claim, events=[event(2)])
        assert store.count_events() == 2
        store.close()
    finally:
        server.close()
