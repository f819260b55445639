"""The whole way through a store: whatever pieces, restarts and switches, what is stored is what the judge decides."""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import replay
from engine.decision import Decision
from engine.events import Arrived, encode_properties
from engine.keeper import Keeper
from engine.log import Event, Recorded
from engine.store import Store
from engine.stores import open_store
from tests.judge import strategies
from tests.judge.evaluator import judge
from tests.judge.product import book_of, exact

WALL = 2 * 10**12
BETWEEN = [("stop", None), ("crash", None), ("forget snapshots", None)]


@st.composite
def journeys(draw: Any) -> list[tuple[str, Any]]:
    """What happens to a store: rulebooks, pieces of history, clean stops, crashes, lost snapshots."""
    book = draw(strategies.rulebooks())
    log = draw(strategies.histories(book))
    events = [row["event"] for row in log if "event" in row and not row["event"]["type"].startswith("outreach.")]
    steps: list[tuple[str, Any]] = [("rulebook", book)]
    while events:
        size = draw(st.integers(1, len(events)))
        steps.append(("take", events[:size]))
        events = events[size:]
        steps += draw(st.lists(st.sampled_from(BETWEEN), max_size=2))
        if draw(st.integers(0, 3)) == 0:
            steps.append(("rulebook", draw(strategies.mutations(book))))
    return [*steps, ("finish", None)]


def lived(store: Store, journey: list[tuple[str, Any]]) -> dict[str, dict[str, Any]]:
    """Let a store live through a journey; gives the rulebooks by fingerprint."""
    books: dict[str, dict[str, Any]] = {}
    keepers: list[Keeper] = []
    for what, given_ in journey:
        if what == "rulebook":
            book = book_of(given_)
            books[book.fingerprint] = given_
        if what in {"rulebook", "stop", "crash"} and keepers:
            keeper = keepers.pop()
            keeper.abandon() if what == "crash" else keeper.stop()
        if what == "forget snapshots":
            store.delete_snapshots()
        if what in {"take", "finish"} and not keepers:
            keepers.append(Keeper(store, book, "test", at=WALL))
        if what == "take":
            keepers[0].take([arrived(event) for event in given_], at=WALL)
    keepers[0].finish(at=WALL)
    keepers[0].stop()
    return books


def arrived(event: dict[str, Any]) -> Arrived:
    """An event of the judge's as it comes in."""
    properties = {name: exact(value) for name, value in event["properties"].items()}
    row = Event(event["id"], event["type"], event["account_id"], event["user_id"], event["time"], properties)
    return Arrived(row, encode_properties(properties))


def judged(store: Store, books: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """What the judge decides from the logs as they are stored."""
    found: list[dict[str, Any]] = []
    for info in store.lane_infos(at=WALL):
        log = []
        for entry in store.entries(info.lane):
            row: dict[str, Any] = {"position": entry.position, "recorded_at": entry.recorded_at}
            if isinstance(entry, Recorded):
                event = entry.event
                row["event"] = {
                    "id": event.id,
                    "type": event.type,
                    "account_id": event.account_id,
                    "user_id": event.user_id,
                    "time": event.time,
                    "properties": event.properties,
                }
            else:
                row["rulebook"] = books[entry.body["fingerprint"]]
            log.append(row)
        if log and info.clock_at is not None:
            found += judge(books, log, info.clock_at)
    return sorted(found, key=lambda row: row["decision_id"])


def kept(store: Store) -> list[dict[str, Any]]:
    """What the store holds, in the judge's shape."""
    return sorted((shown(store, row) for row in store.decisions()), key=lambda row: row["decision_id"])


def shown(store: Store, row: Decision) -> dict[str, Any]:
    """One stored decision with what became of its mails."""
    mails = [
        {"to": mail.to, "due_at": mail.due_at, "state": "withdrawn" if mail.state == "withdrawn" else "planned"}
        for mail in store.outreach(decision_id=row.decision_id)
    ]
    return {
        "decision_id": row.decision_id,
        "rule": row.rule,
        "account_id": row.account_id,
        "subject": {"kind": row.subject.kind, "id": row.subject.id} if row.subject else None,
        "occasion": row.occasion,
        "at": row.at,
        "outcome": row.outcome,
        "withdrawn_at": row.withdrawn_at,
        "values": row.values,
        "mails": sorted(mails, key=lambda mail: mail["to"]),
    }


def holds(store: Store, journey: list[tuple[str, Any]]) -> None:
    """The journey's decisions are the judge's, and the replay verifies."""
    books = lived(store, journey)
    assert kept(store) == judged(store, books)
    found = replay.verify(store)
    assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)
    clocks = {info.lane: info.clock_at or 0 for info in store.lane_infos(at=WALL)}
    early = [row for row in store.outreach() if row.state == "queued" and row.due_at <= clocks[row.lane]]
    assert not early, "a mail whose time has passed in history is past, and never queued"


@pytest.mark.slow
@given(journeys())
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=20)
def test_sqlite_holds_what_the_judge_decides(journey: list[tuple[str, Any]]) -> None:
    store = open_store("sqlite://", lanes=2)
    try:
        holds(store, journey)
    finally:
        store.close()


@pytest.mark.slow
@pytest.mark.postgres
def test_postgres_holds_what_the_judge_decides(fresh_postgres: str) -> None:
    @given(journeys())
    @settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=5, database=None)
    def check(journey: list[tuple[str, Any]]) -> None:
        emptied(fresh_postgres)
        store = open_store(fresh_postgres, lanes=2)
        try:
            holds(store, journey)
        finally:
            store.close()

    check()


def emptied(url: str) -> None:
    """One database serves all examples: making one takes longer than living a journey."""
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
