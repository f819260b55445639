"""A worker and Python's search for cycles: what was loaded before the first record is not looked through again."""

import gc
from contextlib import closing

from engine.stores import open_store
from ringfirst import worker
from streams.settings import KafkaSettings, Topics
from tests.engine.test_assigned import book_of


def test_what_is_loaded_when_a_worker_begins_is_frozen_while_it_runs(embedded_kafka, monkeypatch):
    inbound = {word: embedded_kafka.topic(word, 2) for word in ("usage", "support", "lifecycle")}
    kafka = KafkaSettings(servers=(embedded_kafka.bootstrap,), group=embedded_kafka.name("g"), topics=Topics(**inbound))
    frozen = []

    def run(_app, *, loglevel):
        frozen.append(gc.get_freeze_count())
        return 0

    monkeypatch.setattr(worker, "run", run)
    code = worker.work(closing(open_store("sqlite://", lanes=2)), book_of(), kafka, history=False)
    assert code == 0
    assert frozen[0] > 10_000
    assert gc.get_freeze_count() == 0
