"""What a worker tells outside: its decisions and its dead letters, on topics of their own."""

import json
import signal
from contextlib import closing
from typing import Any

import pytest

from engine.instants import iso
from engine.lanes import lane_of
from engine.log import Recorded
from engine.stores import open_store
from ringfirst.intake import now
from tests.cli.given import company, lines
from tests.cli.test_worker import LANES, WORDS, waiting
from tests.streams.crew import until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("copied_book")]


@pytest.fixture
def topics(kafka, monkeypatch):
    """The topics of a test; ``without`` leaves some out."""

    def make(*, without=()):
        monkeypatch.setenv("RINGFIRST_KAFKA", kafka.bootstrap)
        monkeypatch.setenv("RINGFIRST_KAFKA_GROUP", kafka.name("workers"))
        for word in WORDS:
            monkeypatch.setenv(f"RINGFIRST_TOPIC_{word}", kafka.name(word.lower()))
            if word not in without:
                kafka.topic(word.lower(), LANES, retention_ms="-1")
        return kafka

    return make


def told(kafka, word):
    return [message for rows in kafka.read(kafka.name(word)).values() for message in rows]


def events(kafka):
    return [json.loads(message.value()) for message in told(kafka, "decisions")]


def outbox():
    with closing(open_store("sqlite:///ringfirst.db", create=False)) as store:
        return [row for kind in ("decision", "dead-letter") for row in store.outbox(range(LANES), kind, limit=100)]


def test_what_a_worker_decides_comes_onto_the_topic_of_decisions(topics, run, ask, place, workers):
    kafka = topics()
    (place / "first.jsonl").write_text(waiting("acme") + "no json\n")
    (place / "second.jsonl").write_text(waiting("birch"))
    worker = workers.start()
    assert until(lambda: "caught up" in workers.said(worker), 60), workers.said(worker)
    run("publish", "first.jsonl", "--live")
    assert until(lambda: events(kafka) and told(kafka, "dead_letters"), 60, every=0.5), workers.said(worker)
    run("publish", "second.jsonl", "--live")
    assert until(lambda: len(events(kafka)) == 2, 60, every=0.5), workers.said(worker)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0, workers.said(worker)

    decided = {row["decision_id"]: row for row in ask("decisions", "list")}
    assert len(decided) == 2
    for event in events(kafka):
        row = decided[event["data"]["decision_id"]]
        assert event["type"] == "ringfirst.decision.planned"
        assert event["source"] == f"/ringfirst/{kafka.name('workers')}"
        assert {name: event["data"][name] for name in ("rule", "account_id", "subject", "at", "kind", "values")} == {
            name: row[name] for name in ("rule", "account_id", "subject", "at", "kind", "values")
        }
    (letter,) = told(kafka, "dead_letters")
    (kept,) = ask("dead-letters", "list")
    headers = {name: value.decode() for name, value in letter.headers()}
    assert letter.value() == b"no json"
    assert headers["ringfirst-topic"] == kept["source"]
    assert f"{headers['ringfirst-partition']}:{headers['ringfirst-offset']}" == kept["where"]
    assert headers["ringfirst-reason"] == kept["reason"]
    assert outbox() == []


def test_a_history_tells_no_decision_of_the_past_and_every_dead_letter(topics, run, ask, place, workers):
    kafka = topics()
    (place / "events.jsonl").write_text(lines(company()) + "no json\n{}\n")
    run("publish", "events.jsonl")
    worker = workers.start("--history")
    assert worker.wait(60) == 0, workers.said(worker)
    assert len(ask("decisions", "list")) > 3
    assert events(kafka) == []
    assert len(told(kafka, "dead_letters")) == 2
    assert outbox() == []

    decided = ask("decisions", "list")
    assert ask("decisions", "publish", "--since", "2026-01-01") == {"waiting": len(decided)}
    following = workers.start()
    assert until(lambda: len(events(kafka)) == len(decided), 60, every=0.5), workers.said(following)
    wanted = {(row["decision_id"], row["outcome"]) for row in decided}
    assert {(one["data"]["decision_id"], one["data"]["outcome"]) for one in events(kafka)} == wanted


def test_without_the_topics_everything_stays_in_the_store_and_nothing_grows(topics, run, ask, place, workers):
    kafka = topics(without=("DECISIONS", "DEAD_LETTERS"))
    (place / "events.jsonl").write_text(waiting("acme") + "no json\n")
    run("publish", "events.jsonl", "--live")
    worker = workers.start()
    assert until(lambda: "caught up" in workers.said(worker), 60), workers.said(worker)
    assert len(ask("decisions", "list")) == len(ask("dead-letters", "list")) == 1
    said = workers.said(worker)
    assert f"{kafka.name('decisions')}: there is no such topic; decisions stay in the store; " in said
    assert f"{kafka.name('dead_letters')}: there is no such topic; dead letters stay in the store; " in said
    assert outbox() == []
    assert "there is no such topic" in run("decisions", "publish", "--since", "2026-01-01", code=2).stderr
    assert outbox() == []


def test_a_worker_that_died_leaves_its_news_to_the_next(topics, run, ask, place, workers, kafka):
    topics()
    (place / "events.jsonl").write_text(waiting("acme"))
    run("publish", "events.jsonl", "--live")
    worker = workers.start()
    assert until(lambda: events(kafka), 60, every=0.5), workers.said(worker)
    worker.kill()
    worker.wait()
    with closing(open_store("sqlite:///ringfirst.db", create=False)) as store:
        assert store.tell_again(since=0, until=now()) == 1, "as if it had died before the store knew"
    workers.start()
    assert until(lambda: len(told(kafka, "decisions")) == 2, 60, every=0.5)
    first, second = told(kafka, "decisions")
    assert (first.key(), first.value()) == (second.key(), second.value())


def test_a_worker_that_runs_takes_in_the_dead_letters_that_are_tried_again(topics, run, ask, place, workers):
    kafka = topics()
    good = waiting("acme")
    broken = waiting("birch").replace('"time"', '"when"')
    key, stray = "cedar", waiting("cedar").strip().encode()
    (place / "events.jsonl").write_text(good + broken + "no json\n")
    run("publish", "events.jsonl", "--live")
    wrong = next(name for name in ("a", "b", "c", "d", "e") if lane_of(name, LANES) != lane_of(key, LANES))
    kafka.put(kafka.name("usage"), (wrong, stray, now()))
    worker = workers.start()
    assert until(lambda: "caught up" in workers.said(worker), 60), workers.said(worker)
    letters = {row["raw"].strip(): row for row in ask("dead-letters", "list")}
    assert len(letters) == 3
    strayed = letters[stray.decode()]
    assert "it belongs to partition" in ask("dead-letters", "show", strayed["dead_letter_id"][:10])["reason"]

    found = ask("dead-letters", "retry")
    assert found == {"tried": 3, "taken": 1, "left": 2, "waiting": 0, "decisions": None}, workers.said(worker)
    mended = place / "mended.json"
    mended.write_text(waiting("birch"))
    found = ask("dead-letters", "retry", letters[broken.strip()]["dead_letter_id"], "--with", "mended.json")
    assert found["taken"] == 1
    assert [row["raw"] for row in ask("dead-letters", "list")] == ["no json"]
    accounts = {"acme", "birch", "cedar"}
    assert until(lambda: {row["account_id"] for row in ask("decisions", "list")} == accounts, 30, every=0.5)
    assert until(lambda: {one["data"]["account_id"] for one in events(kafka)} == accounts, 30, every=0.5)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0, workers.said(worker)
    run("replay", "--verify")

    (name,) = (row["dead_letter_id"] for row in ask("dead-letters", "list"))
    mended.write_text(waiting("dune"))
    said = run("dead-letters", "retry", name, "--with", "mended.json").stdout
    assert "0 of 1 dead letter taken in, 0 left, 1 wait for the owners of their lanes" in said
    workers.start()
    assert until(lambda: ask("dead-letters", "list") == [], 60, every=0.5)


def test_foreign_events_come_to_the_workers_and_their_dead_letters_back(topics, run, ask, place, workers, monkeypatch):
    kafka = topics()
    monkeypatch.setenv("RINGFIRST_TOPIC_INTAKE", kafka.name("intake"))
    assert "there is no such topic; make it with 'ringfirst topics create --intake'" in run("intake", code=2).stderr
    run("topics", "create", "--intake", "--lanes", LANES)
    worker = workers.start()
    assert until(lambda: "caught up" in workers.said(worker), 60), workers.said(worker)
    intake = workers.start_command("intake")
    at = iso(now() - 60_000)
    ticket: dict[str, Any] = {
        "type": "track",
        "messageId": "m1",
        "event": "Ticket Opened",
        "userId": "u1",
        "timestamp": at,
        "context": {"groupId": "acme"},
        "properties": {"ticket_id": "t1", "grade": "red"},
    }
    lost = {**ticket, "messageId": "m2", "context": {}}
    rows = [("u1", json.dumps(one).encode(), now()) for one in (ticket, ticket, lost)]
    kafka.put(kafka.name("intake"), *rows)
    assert until(lambda: told(kafka, "dead_letters"), 60, every=0.5), workers.said(intake)
    (letter,) = ask("dead-letters", "list")
    assert letter["source"] == kafka.name("intake")
    assert letter["reason"].startswith("Segment or RudderStack: no account: ")

    (place / "mended.json").write_text(json.dumps({**lost, "context": {"groupId": "birch"}}))
    assert ask("dead-letters", "retry")["left"] == 1
    assert ask("dead-letters", "retry", letter["dead_letter_id"], "--with", "mended.json")["taken"] == 1
    for one in (intake, worker):
        one.send_signal(signal.SIGTERM)
        assert one.wait(15) == 0, workers.said(one)
    assert "stopped; 3 records gave 2 events, 1 went to the dead letters, 0 were passed over" in workers.said(intake)
    with closing(open_store("sqlite:///ringfirst.db", create=False)) as store:
        assert (store.accounts(), store.count_events()) == (["acme", "birch"], 2)
        [entry] = [one for one in store.account_entries("birch") if isinstance(one, Recorded)]
        assert (entry.event.type, entry.event.id) == ("ticket.opened", "segment:m2")
    run("replay", "--verify")
