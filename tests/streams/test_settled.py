"""What a worker does before its first record: it says what waits for nobody, and settles."""

import gc
from contextlib import closing, nullcontext

import pytest

from engine.stores import open_store
from ringfirst import worker
from streams.files import dead_letter
from streams.settings import KafkaSettings, Topics
from tests.engine.test_assigned import book_of


@pytest.fixture
def kafka(embedded_kafka):
    inbound = {word: embedded_kafka.topic(word, 2) for word in ("usage", "support", "lifecycle")}
    outbound = {word: embedded_kafka.name(word) for word in ("decisions", "dead_letters")}
    topics = Topics(**inbound, **outbound)
    return KafkaSettings(servers=(embedded_kafka.bootstrap,), group=embedded_kafka.name("g"), topics=topics)


def test_what_is_loaded_when_a_worker_begins_is_frozen_while_it_runs(kafka, monkeypatch):
    frozen = []

    def run(_app, *, loglevel):
        frozen.append(gc.get_freeze_count())
        return 0

    gc.unfreeze()  # what the tests froze when they were collected
    monkeypatch.setattr(worker, "run", run)
    with closing(open_store("sqlite://", lanes=2)) as store:
        assert worker.work(nullcontext(store), book_of(), kafka, history=False) == 0
    assert frozen[0] > 10_000
    assert gc.get_freeze_count() == 0


def test_what_waits_for_a_topic_that_is_not_there_is_told(kafka, monkeypatch, caplog):
    """It was there once: what was left for it then lies in the outbox, and no worker takes it."""
    monkeypatch.setattr(worker, "run", lambda _app, *, loglevel: 0)
    with closing(open_store("sqlite://", lanes=2)) as store:
        letter = dead_letter("usage", "0:1", "not JSON", b"{", 0, None)
        store.put_dead_letters([letter], follow=True)
        worker.work(nullcontext(store), book_of(), kafka, history=False)
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert [words.partition("; ")[0] for words in warned] == [
        f"{kafka.topics.dead_letters}: there is no such topic, and dead letters wait for it in the store"
    ]
