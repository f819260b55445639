"""``ringfirst worker`` over a PostgreSQL that is cut, crashes, falls silent: it decides as if nothing had been."""

import itertools
import random
import shutil
import signal
import time
from contextlib import closing

import pytest

from engine.stores import open_store
from tests.cli.given import BOOK
from tests.cli.test_worker import DESK, LANES, WORDS, history, waiting
from tests.postgres import Server, cut_all, relayed
from tests.streams.crew import until


@pytest.fixture
def topics(kafka, place, monkeypatch):
    """The topics of a test's own; what is in them stays."""
    monkeypatch.setenv("RINGFIRST_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("RINGFIRST_KAFKA_GROUP", kafka.name("workers"))
    for word in WORDS:
        monkeypatch.setenv(f"RINGFIRST_TOPIC_{word}", kafka.name(word.lower()))
        kafka.topic(word.lower(), LANES, retention_ms="-1")
    return kafka


@pytest.fixture
def desk(place, monkeypatch):
    """A rulebook with a rule over all accounts too."""
    shutil.copytree(BOOK, place / "book")
    (place / "book" / "rules" / "desk.yml").write_text(DESK)
    monkeypatch.setenv("RINGFIRST_RULES", str(place / "book"))


@pytest.fixture
def relay(fresh_postgres):
    with relayed(fresh_postgres) as found:
        yield found


@pytest.fixture
def server(tmp_path):
    found = Server(tmp_path / "postgres")
    yield found
    found.close()


@pytest.fixture
def judge(ask, run, place):
    """The decisions and mails of a store are those of an import of the same file; nothing is lost or there twice."""

    def judged(told, url):
        (place / "events.jsonl").write_text(told)
        ask("import", "events.jsonl", "--store", "sqlite:///import.db")
        for words in (("decisions", "list"), ("outreach", "list")):
            found, wanted = (run(*words, "--json", "--store", one).stdout for one in (url, "sqlite:///import.db"))
            assert found == wanted
        with closing(open_store(url, create=False)) as store, closing(open_store("sqlite:///import.db")) as wanted:
            assert store.count_events() == wanted.count_events()
        run("replay", "--verify", "--store", url)
        assert ask("lag", "--store", url)["records"] == 0

    return judged


def cutting(relay, seed, chance):
    """Cut at so many of all commits that wrote something, half of them before the server did it; counts them."""
    dice, count = random.Random(seed), itertools.count()
    relay.cuts = 0

    def deed():
        if dice.random() >= chance:
            return None
        relay.cuts = next(count) + 1
        return dice.choice(["before", "after"])

    relay.at_commit = deed


@pytest.mark.slow
@pytest.mark.usefixtures("desk")
def test_connections_that_break_at_the_commit_change_nothing(topics, run, relay, fresh_postgres, workers, judge):
    told = history(400)
    run("publish", "-", "--live", stdin=told)
    worker = workers.start("--history", "--store", relay.url)
    assert until(lambda: "joined" in workers.said(worker), 60), workers.said(worker)
    cutting(relay, 7, 0.5)
    assert worker.wait(180) == 0, workers.said(worker)
    relay.at_commit = lambda: None
    assert relay.cuts >= 3, workers.said(worker)
    judge(told, fresh_postgres)


@pytest.mark.slow
def test_sessions_that_end_at_any_moment_change_nothing(topics, run, fresh_postgres, workers, judge):
    told = history(400)
    run("publish", "-", "--live", stdin=told)
    worker = workers.start("--history", "--store", fresh_postgres)
    cut, dice = 0, random.Random(7)
    while worker.poll() is None:
        time.sleep(dice.uniform(0.05, 1.2))
        if cut < 12 and "claimed lanes" in workers.said(worker):
            cut += cut_all(fresh_postgres) > 0
    assert worker.returncode == 0, workers.said(worker)
    assert cut > 2
    judge(told, fresh_postgres)


@pytest.mark.slow
def test_a_server_that_crashes_under_load_is_waited_for_and_that_is_said_once(topics, run, server, workers, judge):
    told = history(400)
    run("publish", "-", "--live", stdin=told)
    worker = workers.start("--history", "--store", server.url)
    assert until(lambda: "claimed lanes" in workers.said(worker), 60), workers.said(worker)
    server.down()
    assert until(lambda: "trying again until it is done" in workers.said(worker), 20), workers.said(worker)
    time.sleep(5)
    # The publisher and the heartbeat have a line of their own; that lanes wait is said once.
    assert workers.said(worker).count("their batches were not written") == 1, workers.said(worker)
    server.up()
    assert worker.wait(120) == 0, workers.said(worker)
    assert "the store answers again, after" in workers.said(worker)
    judge(told, server.url)


@pytest.mark.slow
def test_a_worker_over_a_silent_database_goes_on_when_it_speaks_and_ends_in_time_when_it_does_not(
    topics, run, ask, place, relay, fresh_postgres, workers
):
    def decided(account):
        return account in {row["account_id"] for row in ask("decisions", "list", "--store", fresh_postgres)}

    def comes(account):
        return until(lambda: decided(account), 60, every=0.5)

    open_store(fresh_postgres, lanes=LANES).close()
    worker = workers.start("--store", relay.url)
    run("publish", "-", "--live", stdin=waiting("acme"))
    assert comes("acme"), workers.said(worker)
    relay.hole.set()
    run("publish", "-", "--live", stdin=waiting("birch"))
    assert until(lambda: "the database did not do it" in workers.said(worker), 15), workers.said(worker)
    relay.hole.clear()
    assert comes("birch"), workers.said(worker)
    assert until(lambda: "the store answers again" in workers.said(worker), 10), workers.said(worker)

    relay.hole.set()
    time.sleep(2)  # it waits for an answer
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) in {0, 143}, workers.said(worker)
    assert time.monotonic() - began < 11
