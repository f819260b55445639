"""What waits in the outbox comes onto its topics, on real brokers: at least once, in order, under the same id."""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict

import msgspec
import pytest
from confluent_kafka import KafkaError, KafkaException

from engine.lanes import lane_of
from engine.stores import open_store
from streams.outgoing import Publisher
from streams.producing import tireless
from streams.settings import KafkaSettings
from streams.telling import DecisionEvent
from tests.stores.made import T0, batch, decision, ended, letter, withdrawn
from tests.streams.crew import ROOT, until

LANES = 4
FOLLOW = frozenset({"decision", "dead-letter"})
ACCOUNTS = [f"account-{number}" for number in range(12)]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(url):
    made = open_store(url, lanes=LANES)
    yield made
    made.close()


@pytest.fixture
def publishers(store, kafka):
    """Starts publishers of this test's topics, and ends them."""
    started = []

    def start(topic, kind="decision", lanes=range(LANES), bootstrap=None):
        settings = KafkaSettings(servers=(bootstrap or kafka.bootstrap,), group="shop")
        publisher = Publisher(store, settings, {kind: topic}, lanes=lambda: lanes)
        publisher.start()
        started.append(publisher)
        return publisher

    yield start
    for one in started:
        one.stop(0)


class Owner:
    """The owner of all lanes, who decides what it is told to."""

    def __init__(self, store):
        self.store = store
        self.claims = store.claim(range(LANES), "owner", at=T0)

    def decide(self, *facts, letters=()):
        by_lane = defaultdict(list)
        for fact, account in facts:
            by_lane[lane_of(account, LANES)].append(fact)
        dead = defaultdict(list)
        for one in letters:
            dead[lane_of(one.account_id or "", LANES)].append(one)
        self.claims = self.store.commit(
            [
                batch(claim, facts=by_lane[claim.lane], dead_letters=dead[claim.lane], follow=FOLLOW)
                for claim in self.claims
            ]
        )


@pytest.fixture
def owner(store):
    return Owner(store)


def changes(account, turns=3):
    """A decision that is taken, withdrawn, taken again, and so on."""
    facts: list[object] = []
    for turn in range(turns):
        plan = decision(account=account, at=T0 + turn, values={"turn": turn})
        facts += [plan] if turn % 2 == 0 else [ended(plan, T0 + turn), withdrawn(plan, T0 + turn)]
    return [(fact, account) for fact in facts]


def emptied(store, kind="decision"):
    return until(lambda: store.outbox(range(LANES), kind, limit=1) == [], 30)


def read(kafka, topic):
    return [message for rows in kafka.read(topic).values() for message in rows]


def test_a_decision_comes_as_a_cloud_event_in_the_accounts_partition(kafka, store, owner, publishers):
    topic = kafka.topic("decisions", LANES)
    publishers(topic)
    owner.decide(*(one for account in ACCOUNTS for one in changes(account)))
    assert emptied(store)
    found = kafka.read(topic)
    for partition, messages in found.items():
        for message in messages:
            event = msgspec.json.decode(message.value(), type=DecisionEvent, strict=True)
            data = msgspec.to_builtins(event.data)
            assert message.key().decode() == event.subject == event.partitionkey == data["account_id"]
            assert lane_of(event.subject, LANES) == partition
            assert dict(message.headers()) == {"content-type": b"application/cloudevents+json; charset=UTF-8"}
            assert (event.specversion, event.source) == ("1.0", "/ringfirst/shop")
            assert event.id == f"{data['decision_id']}.{data['revision']}"
            assert event.type == f"ringfirst.decision.{data['outcome']}"
    for account in ACCOUNTS:
        mine = [json.loads(one.value()) for one in read(kafka, topic) if one.key().decode() == account]
        assert [(one["data"]["revision"], one["data"]["outcome"]) for one in mine] == [
            (1, "planned"),
            (2, "withdrawn"),
            (3, "planned"),
        ]


def test_who_is_killed_between_the_broker_and_the_store_leaves_equal_records(kafka, store, url, owner):
    topic = kafka.topic("decisions", LANES)
    owner.decide(*(one for account in ACCOUNTS for one in changes(account)))
    told = {"store": url, "brokers": kafka.bootstrap, "topic": topic}

    def start(dies):
        return subprocess.Popen(
            [sys.executable, "-m", "tests.streams.telling", json.dumps({**told, "dies": dies})],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    for _ in range(2):
        assert start(dies=True).wait(30) == -9
    last = start(dies=False)
    assert emptied(store)
    last.kill()
    last.wait()
    copies = defaultdict(list)
    for message in read(kafka, topic):
        copies[json.loads(message.value())["id"]].append((message.key(), message.value(), message.headers()))
    assert len(copies) == len(ACCOUNTS) * 3
    assert {len(rows) for rows in copies.values()} == {3}
    assert all(rows == rows[:1] * 3 for rows in copies.values())


def test_two_who_think_that_a_lane_is_theirs_change_nothing_for_who_knows_ids(kafka, store, owner, publishers):
    topic = kafka.topic("decisions", LANES)
    publishers(topic)
    publishers(topic)
    for turn in range(20):
        owner.decide(*((decision(f"r{turn}", account), account) for account in ACCOUNTS))
    assert emptied(store)
    for account in ACCOUNTS:
        mine = [json.loads(one.value())["data"]["rule"] for one in read(kafka, topic) if one.key().decode() == account]
        assert list(dict.fromkeys(mine)) == [f"r{turn}" for turn in range(20)]


def test_only_the_lanes_of_the_publisher_go_out(kafka, store, owner, publishers):
    topic = kafka.topic("decisions", LANES)
    publishers(topic, lanes=[1, 2])
    owner.decide(*((decision(account=account), account) for account in ACCOUNTS))
    assert until(lambda: store.outbox([1, 2], "decision", limit=1) == [], 30)
    time.sleep(0.5)
    told = {one.key().decode() for one in read(kafka, topic)}
    assert told == {account for account in ACCOUNTS if lane_of(account, LANES) in {1, 2}}
    assert len(store.outbox([0, 3], "decision", limit=100)) == len(ACCOUNTS) - len(told)


def test_a_dead_letter_comes_as_it_was_with_the_reason_in_its_headers(kafka, store, owner, publishers):
    topic = kafka.topic("dead", LANES)
    publishers(topic, kind="dead-letter")
    raw = b'\x00\xff{"broken'
    one = msgspec.structs.replace(
        letter(1, raw=raw, account="acme", source="usage-events"), where="3:17", headers=(("trace", b"\xfe"),)
    )
    owner.decide(letters=[one, letter(2, raw=b"")])
    assert emptied(store, "dead-letter")
    found = {message.key(): message for message in read(kafka, topic)}
    assert set(found) == {b"acme", b"a.jsonl"}
    assert found[b"acme"].value() == raw
    assert found[b"acme"].headers() == [
        ("trace", b"\xfe"),
        ("ringfirst-id", b"d1"),
        ("ringfirst-reason", b"no JSON"),
        ("ringfirst-topic", b"usage-events"),
        ("ringfirst-partition", b"3"),
        ("ringfirst-offset", b"17"),
        ("ringfirst-at", b"2026-03-02T09:00:00.001Z"),
    ]


def test_a_letter_that_was_dropped_before_it_was_told_is_not_told(kafka, store, owner, publishers):
    topic = kafka.topic("dead", LANES)
    owner.decide(letters=[letter(1), letter(2)])
    store.drop_dead_letters(["d1"])
    publishers(topic, kind="dead-letter")
    assert emptied(store, "dead-letter")
    assert [dict(one.headers())["ringfirst-id"] for one in read(kafka, topic)] == [b"d2"]


def test_while_the_broker_is_away_all_waits_and_then_comes_in_order(embedded_kafka, store, owner, publishers, caplog):
    topic = embedded_kafka.topic("decisions", LANES)
    publishers(topic, bootstrap=embedded_kafka.bootstrap)
    owner.decide(*changes("acme"))
    assert emptied(store)
    embedded_kafka.embedded.down()
    for turn in range(5):
        owner.decide((decision(f"r{turn}", "acme"), "acme"))
        time.sleep(0.3)
    assert len(store.outbox(range(LANES), "decision", limit=100)) == 5
    embedded_kafka.embedded.up()
    assert emptied(store)
    told = [json.loads(one.value())["data"]["rule"] for one in read(embedded_kafka, topic)]
    assert list(dict.fromkeys(told[3:])) == [f"r{turn}" for turn in range(5)]


def test_a_topic_that_is_gone_is_told_in_the_log_and_what_waits_stays(embedded_kafka, store, owner, publishers, caplog):
    publisher = publishers("nowhere", bootstrap=embedded_kafka.bootstrap)
    owner.decide(*changes("acme"))
    assert until(lambda: "nowhere: 3 records wait" in caplog.text, 45), caplog.text
    assert "acme" not in caplog.text
    publisher.stop(0)
    assert len(store.outbox(range(LANES), "decision", limit=100)) == 3


def test_a_fault_of_ours_is_logged_and_tried_again(embedded_kafka, store, owner, publishers, caplog, monkeypatch):
    topic = embedded_kafka.topic("decisions", LANES)
    whole, faults = store.outbox, iter([RuntimeError("no such thing")])

    def outbox(*words, **more):
        for fault in faults:
            raise fault
        return whole(*words, **more)

    owner.decide(*changes("acme"))
    monkeypatch.setattr(store, "outbox", outbox)
    publishers(topic, bootstrap=embedded_kafka.bootstrap)
    assert until(lambda: len(read(embedded_kafka, topic)) == 3, 30)
    assert "what was decided cannot be published; trying again" in caplog.text


class Dead:
    """A client after a fatal error, which cannot be had from a broker at will."""

    def produce(self, *_args, **_more):
        raise KafkaException(KafkaError(KafkaError._FATAL, "out of order", fatal=True))

    def poll(self, _seconds):
        return 0

    def purge(self):
        pass


def test_a_client_that_came_to_its_end_is_replaced(embedded_kafka, store, owner, publishers, monkeypatch):
    topic = embedded_kafka.topic("decisions", LANES)
    clients = iter([Dead()])
    monkeypatch.setattr("streams.outgoing.tireless", lambda kafka: next(clients, None) or tireless(kafka))
    owner.decide((decision(), "acme"))
    publishers(topic, bootstrap=embedded_kafka.bootstrap)
    assert emptied(store)
    assert len(read(embedded_kafka, topic)) == 1


def test_an_end_is_quick_while_the_broker_is_away(embedded_kafka, store, owner, publishers):
    topic = embedded_kafka.topic("decisions", LANES)
    embedded_kafka.embedded.down()
    publisher = publishers(topic, bootstrap=embedded_kafka.bootstrap)
    owner.decide(*changes("acme"))
    time.sleep(1)
    began = time.monotonic()
    publisher.stop(1)
    assert time.monotonic() - began < 2.5
    assert len(store.outbox(range(LANES), "decision", limit=100)) == 3
