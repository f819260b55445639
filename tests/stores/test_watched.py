"""What the store keeps for somebody on call: the last words of workers, and how many dead letters there are."""

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command

from engine.instants import HOUR
from engine.store import Heartbeat, LetterCount, Store
from engine.stores import open_store, schema
from tests.stores.made import T0, claimed, committed, event, letter


def test_a_worker_is_known_by_its_last_words_until_it_stops(store: Store) -> None:
    store.put_heartbeat(Heartbeat("desk:7:x", T0, b'{"lanes": [0]}'))
    store.put_heartbeat(Heartbeat("desk:8:y", T0 + 1, b"{}"))
    store.put_heartbeat(Heartbeat("desk:7:x", T0 + 2, b'{"lanes": [1]}'))
    assert store.heartbeats() == [
        Heartbeat("desk:7:x", T0 + 2, b'{"lanes": [1]}'),
        Heartbeat("desk:8:y", T0 + 1, b"{}"),
    ]
    store.drop_heartbeat("desk:7:x")
    store.drop_heartbeat("nobody")
    assert [one.owner for one in store.heartbeats()] == ["desk:8:y"]


def test_what_a_killed_worker_said_goes_an_hour_after_it(store: Store) -> None:
    store.put_heartbeat(Heartbeat("killed", T0, b"{}"))
    store.put_heartbeat(Heartbeat("alive", T0 + HOUR, b"{}"))
    assert [one.owner for one in store.heartbeats()] == ["alive", "killed"]
    store.put_heartbeat(Heartbeat("alive", T0 + HOUR + 1, b"{}"))
    assert [one.owner for one in store.heartbeats()] == ["alive"]


def test_a_heartbeat_moves_no_lane(store: Store) -> None:
    claim = committed(store, claimed(store), events=[event(1)])
    store.put_heartbeat(Heartbeat("desk:7:x", T0, b"{}"))
    assert committed(store, claim, events=[event(2)]).position == 2


def test_dead_letters_are_counted_by_source_and_partition(store: Store) -> None:
    def at(n: int, source: str, where: str) -> None:
        store.put_dead_letters([msgspec.structs.replace(letter(n, source=source), where=where)])

    assert store.dead_letter_counts() == []
    places = [("usage", "3:17"), ("usage", "3:5"), ("usage", "12:5"), ("a.jsonl", "7"), ("a.jsonl", "8"), ("b", "x:1")]
    for number, (source, where) in enumerate(places):
        at(number, source, where)
    assert store.dead_letter_counts() == [
        LetterCount("a.jsonl", None, 2, T0 + 3),
        LetterCount("b", None, 1, T0 + 5),
        LetterCount("usage", 3, 2, T0),
        LetterCount("usage", 12, 1, T0 + 2),
    ]


def test_a_store_knows_that_a_newer_program_changed_it(durable: Store, durable_url: str) -> None:
    assert durable.is_current()
    engine = sa.create_engine(durable_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE ringfirst_version SET version_num = '9999'"))
    engine.dispose()
    assert not durable.is_current()


def test_a_store_of_the_first_version_is_brought_up(durable_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = command.upgrade
    with monkeypatch.context() as then:
        then.setattr(command, "upgrade", lambda config, _: newest(config, "0001"))
        then.setattr(schema, "HEAD", "0001")
        open_store(durable_url, lanes=3).close()
    found = open_store(durable_url, create=False)
    found.put_heartbeat(Heartbeat("desk:7:x", T0, b"{}"))
    assert (found.lanes, len(found.heartbeats())) == (3, 1)
    found.close()
