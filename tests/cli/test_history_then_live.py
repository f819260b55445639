"""A history is loaded from the topics, and workers go on from there as events come."""

import shutil
from contextlib import closing

import pytest

from engine.instants import MINUTE
from engine.stores import open_store
from ringfirst.intake import now
from tests.cli.given import company, lines
from tests.cli.test_worker import LANES, WORDS, waiting
from tests.streams.crew import until

pytestmark = pytest.mark.slow


@pytest.fixture
def topics(kafka, monkeypatch):
    """The topics of a test's own; what is in them stays."""
    monkeypatch.setenv("RINGFIRST_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("RINGFIRST_KAFKA_GROUP", kafka.name("workers"))
    for word in WORDS:
        monkeypatch.setenv(f"RINGFIRST_TOPIC_{word}", kafka.topic(word.lower(), LANES, retention_ms="-1"))


def decided(url):
    with closing(open_store(url, create=False)) as store:
        return {row.decision_id: row for row in store.decisions()}


@pytest.mark.usefixtures("topics")
def test_the_past_stays_as_it_was_decided_and_what_comes_is_taken_in_as_it_comes(run, ask, workers, place):
    told, url = lines(company()), f"sqlite:///{place / 'ringfirst.db'}"
    run("publish", "-", stdin=told)
    history = workers.start("--history")
    assert history.wait(120) == 0, workers.said(history)
    shutil.copy(place / "ringfirst.db", place / "past.db")
    past = decided(f"sqlite:///{place / 'past.db'}")
    assert past
    with closing(open_store(url)) as store:
        (end,) = {info.clock_at or 0 for info in store.lane_infos(at=now())}
        count, gone = store.count_events(), store.mail_counts()["past"]
    assert end < now() - 60 * MINUTE

    worker = workers.start()
    assert until(lambda: "caught up" in workers.said(worker), 60), workers.said(worker)
    began = now()
    run("publish", "-", "--live", stdin=waiting("dune"))
    assert until(lambda: "dune" in {row.account_id for row in decided(url).values()}, 60, every=0.5)
    worker.terminate()
    assert worker.wait(20) == 0, workers.said(worker)

    found = decided(url)
    assert {key: row.at for key, row in found.items() if row.at <= end} == {key: row.at for key, row in past.items()}
    with closing(open_store(url)) as store:
        assert store.count_events() == count + 1, "what the history took in is not read again"
        assert store.mail_counts()["past"] == gone, "from here on mails leave, or expire"
        (event,) = [one for one in store.account_entries("dune") if one.account_id]
        assert event.recorded_at >= began - MINUTE, "it counts from when its record came"
        assert min(info.clock_at or 0 for info in store.lane_infos(at=now())) > end, "the clocks go with the wall now"
    run("replay", "--verify")
    assert ask("lag")["records"] == 0
