"""The intake on real brokers: foreign records keyed by anything in, events keyed by account out, at least once."""

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from engine.errors import StoreError, StreamError
from engine.events import MAX_BYTES
from engine.lanes import lane_of
from ringfirst.intake import now
from streams.intake import Intake
from streams.settings import KafkaSettings, Topics
from tests.streams.crew import ROOT, until
from tests.streams.test_formats import AMPLITUDE, EXAMPLES, TRACK, ZENDESK, changed

LANES = 4
NAMES = ("usage", "support", "lifecycle")


class Site:
    """The topics of one test, and an intake between them."""

    def __init__(self, kafka, *, partitions=3):
        self.kafka = kafka
        for name in NAMES:
            kafka.topic(name, LANES)
        self.topic = kafka.topic("intake", partitions)
        names = {name: kafka.name(name) for name in NAMES}
        self.settings = KafkaSettings(
            servers=(kafka.bootstrap,), group=kafka.name("shop"), topics=Topics(**names, intake=self.topic)
        )
        self.letters = []
        self.stop = threading.Event()
        self.faults = []
        self.thread = None
        self.intake: Any = None

    def put(self, *bodies, at=None, **config):
        values = [body if isinstance(body, bytes | None) else json.dumps(body).encode() for body in bodies]
        rows = ((f"person-{number}", value, at or now()) for number, value in enumerate(values))
        self.kafka.put(self.topic, *rows, **config)

    def start(self, keep=None):
        self.intake = Intake(self.settings, keep or self.letters.extend, now=now)
        self.stop = threading.Event()

        def run():
            try:
                self.intake.run(self.stop)
            except StreamError as err:
                self.faults.append(err)

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def end(self):
        self.stop.set()
        if self.thread is not None:
            self.thread.join(15)
            assert not self.thread.is_alive()

    def events(self):
        found: dict[str, list[Any]] = {}
        for name in NAMES:
            for partition, rows in self.kafka.read(self.kafka.name(name)).items():
                for row in rows:
                    found.setdefault(name, []).append((partition, row.key().decode(), json.loads(row.value()), row))
        return found

    def through(self, count):
        return until(lambda: self.intake.counts.records >= count, 40)


@pytest.fixture
def site(kafka):
    made = Site(kafka)
    yield made
    made.end()


def test_every_format_comes_out_keyed_by_account_on_the_topic_of_its_type(site):
    at = now() - 60_000
    site.put(*EXAMPLES.values(), at=at)
    site.start()
    assert site.through(len(EXAMPLES))
    found = site.events()
    wanted = {"usage": 6, "support": 3, "lifecycle": 1}
    assert {name: len(rows) for name, rows in found.items()} == wanted
    for rows in found.values():
        for partition, key, event, row in rows:
            assert key == event["account_id"]
            assert partition == lane_of(key, LANES)
            assert row.timestamp()[1] == at
            assert row.headers() is None
    assert site.letters == []


def test_what_cannot_be_mapped_is_a_dead_letter_with_its_place_and_headers(site):
    bad = changed(TRACK, "context", to=...)
    site.put(TRACK, bad, b"{broken", {**AMPLITUDE, "events": [AMPLITUDE["events"][0], {"event_type": 7}]}, None)
    site.start()
    assert site.through(5)
    assert len(site.letters) == 4
    kept = site.kafka.read(site.topic)
    for one in site.letters:
        partition, offset = map(int, one.where.split(":"))
        record = kept[partition][offset]
        assert one.source == site.topic
        assert one.raw == (record.value() or b"")[:MAX_BYTES]
    assert [event["type"] for _, _, event, _ in site.events()["usage"]].count("report.exported") == 1


def test_the_next_intake_goes_on_where_the_last_one_stopped(site):
    site.put(TRACK)
    site.start()
    assert site.through(1)
    site.end()
    site.put(ZENDESK)
    site.start()
    assert site.through(1)
    time.sleep(0.5)
    assert site.intake.counts.records == 1
    assert {name: len(rows) for name, rows in site.events().items()} == {"usage": 1, "support": 1}


def test_once_ends_when_everything_that_is_there_is_taken_in(site):
    site.put(*EXAMPLES.values(), b"{broken")
    for wanted in (len(EXAMPLES) + 1, 0):
        intake = Intake(site.settings, site.letters.extend, now=now)
        intake.run(threading.Event(), once=True)
        assert intake.counts.records == wanted
    assert len(site.letters) == 1


def test_records_are_taken_again_while_the_store_has_not_their_dead_letters(site):
    tries = []

    def keep(letters):
        tries.append(letters)
        if len(tries) < 3:
            raise StoreError("the store is away")
        site.letters.extend(letters)

    site.put(b"{broken", TRACK)
    site.start(keep)
    assert site.through(2)
    assert len(tries) == 3
    assert len(site.letters) == 1


def test_an_intake_that_was_told_to_stop_while_the_store_is_away_forgets_nothing(site):
    def away(_letters):
        raise StoreError("the store is away")

    site.put(b"{broken", TRACK)
    site.start(away)
    assert until(lambda: site.events().get("usage"), 40)
    site.end()
    site.start()
    assert site.through(2)
    assert len(site.letters) == 1
    events = [event for _, _, event, _ in site.events()["usage"]]
    assert len(events) in {1, 2}
    assert all(event == events[0] for event in events)


def test_who_is_killed_before_it_says_how_far_it_is_leaves_equal_events(site):
    site.put(*EXAMPLES.values())
    told = {
        "brokers": site.kafka.bootstrap,
        "group": site.settings.group,
        "topics": {name: getattr(site.settings.topics, name) for name in (*NAMES, "intake")},
    }
    for _ in range(2):
        dying = subprocess.run(
            [sys.executable, "-m", "tests.streams.dying_intake", json.dumps(told)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=60,
            check=False,
        )
        assert dying.returncode == -9
    site.start()
    assert site.through(len(EXAMPLES))
    copies: dict[str, list[bytes]] = {}
    for rows in site.events().values():
        for _, _, event, row in rows:
            copies.setdefault(event["id"], []).append(row.value())
    assert len(copies) == len(EXAMPLES)
    assert all(len(rows) == 3 and len(set(rows)) == 1 for rows in copies.values())


def test_while_the_broker_is_away_nothing_is_lost(embedded_kafka):
    site = Site(embedded_kafka)
    try:
        site.start()
        site.put(TRACK)
        assert site.through(1)
        embedded_kafka.embedded.down()
        time.sleep(2)
        embedded_kafka.embedded.up()
        site.put(ZENDESK)
        assert site.through(2)
        assert {name: len(rows) for name, rows in site.events().items()} == {"usage": 1, "support": 1}
    finally:
        site.end()


def test_a_topic_that_is_gone_ends_the_intake_with_a_word_and_no_record_is_lost(embedded_kafka):
    site = Site(embedded_kafka)
    gone = KafkaSettings(
        servers=site.settings.servers,
        group=site.settings.group,
        topics=Topics(usage="nowhere", support="nowhere-2", lifecycle="nowhere-3", intake=site.topic),
    )
    whole, site.settings = site.settings, gone
    site.put(TRACK)
    site.start()
    assert until(lambda: site.faults, 60)
    assert "Kafka did not take 1 events; " in str(site.faults[0])
    site.settings = whole
    site.start()
    assert site.through(1)
    site.end()
    assert len(site.events()["usage"]) == 1
