"""The pages and the log of a worker as somebody on call meets them: on a broker that goes away and comes back."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from sqlalchemy import make_url

from engine.stores import open_store
from streams.embedded import EmbeddedBroker
from tests.cli.given import company, lines
from tests.cli.test_worker import ROOT, book, inbound, kafka_set
from tests.streams.crew import until
from tools.kafka.broker import Broker

__all__ = ["book", "inbound", "kafka_set"]  # fixtures


def ask(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as err:
        return err.code, err.read().decode()


@pytest.mark.slow
def test_a_worker_whose_broker_goes_away_is_alive_and_not_ready_until_it_is_back(
    real_kafka_bootstrap, place, run, workers, monkeypatch, tmp_path
):
    broker = Broker(tmp_path / "kafka", quick=True)
    monkeypatch.setenv("RINGFIRST_KAFKA", broker.start())
    monkeypatch.setenv("RINGFIRST_STORE", f"sqlite:///{place / 'w.db'}")
    try:
        run("topics", "create", "--lanes", "2", "--history")
        open_store(os.environ["RINGFIRST_STORE"], lanes=2).close()
        (place / "events.jsonl").write_text(lines(company()))
        run("publish", "events.jsonl", "--live")
        worker = workers.start("--health", "0", "--log-format", "json")
        assert until(lambda: "how this worker is" in workers.said(worker), 180)
        (url,) = re.findall(r"how this worker is: (http://127\.0\.0\.1:\d+)/", workers.said(worker))
        assert until(lambda: ask(f"{url}/readyz")[0] == 200, 180, 0.2), ask(f"{url}/readyz")
        assert until(lambda: consumed(url) == len(company()), 30, 0.5), consumed(url)
        told = json.loads(ask(f"{url}/status.json")[1])
        assert [one["lane"] for one in told["worker"]["lanes"]] == [0, 1]

        broker.kill()
        assert until(lambda: ask(f"{url}/readyz")[0] == 503, 120, 0.5)
        assert ask(f"{url}/livez")[0] == 200
        broker.start()
        assert until(lambda: ask(f"{url}/readyz")[0] == 200, 180, 0.5), ask(f"{url}/readyz")
        assert worker.poll() is None
        worker.terminate()
        assert worker.wait(15) == 0
        said = [json.loads(line) for line in workers.said(worker).splitlines()]
        assert {"joined the group ringfirst; its lanes here: 0, 1"} <= {one["message"] for one in said}
    finally:
        broker.kill()


@pytest.mark.slow
def test_a_worker_that_is_stopped_while_its_broker_is_away_ends_well(workers, monkeypatch, place):
    with EmbeddedBroker() as broker:
        for word in ("usage", "support", "lifecycle"):
            broker.create_topic(f"{word}-events", 2)
        monkeypatch.setenv("RINGFIRST_KAFKA", broker.bootstrap)
        open_store(f"sqlite:///{place}/ringfirst.db", lanes=2).close()
        worker = workers.start()
        assert until(lambda: "claimed lanes 0, 1" in workers.said(worker), 60), workers.said(worker)
    assert until(lambda: "Kafka does not answer" in workers.said(worker), 60), workers.said(worker)
    worker.terminate()
    assert worker.wait(15) == 0
    assert "Traceback" not in workers.said(worker)


def consumed(url):
    """How many records were taken in as new or late, over all topics."""
    rows = re.findall(r"^ringfirst_events_consumed_total\{(.*)\} (\S+)$", ask(f"{url}/metrics")[1], re.MULTILINE)
    return sum(float(count) for labels, count in rows if 'result="new"' in labels or 'result="late"' in labels)


NAMES = re.compile(r"\b(?:ada|king|acme|birch|cedar|champion)\b|\.example\b|geheim", re.IGNORECASE)
"""Customers, people and addresses of the events, and the password of the store."""


def test_no_customer_no_address_and_no_password_is_in_any_log_of_everything(
    inbound, place, run, monkeypatch, workers, fresh_postgres
):
    """At DEBUG, of every library there is: no setting gives so much, a frightened person may."""
    url = make_url(fresh_postgres).set(drivername="postgresql", password="geheim")
    monkeypatch.setenv("RINGFIRST_STORE", url.render_as_string(hide_password=False))
    (place / "events.jsonl").write_text(lines(company()))
    (place / "bad.jsonl").write_text('{"id": "ada", "account_id": "acme", "user": "ada@acme.example"}\n')
    run("import", "events.jsonl")  # so that a worker has rows to read
    run("publish", "events.jsonl", "--live")
    run("publish", "bad.jsonl")
    (place / "everything.py").write_text(EVERYTHING)
    log = place / "everything.log"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [sys.executable, "everything.py"],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT), "RINGFIRST_LOG": "json"},
            stderr=out,
        )
    try:
        assert until(lambda: "caught up" in log.read_text(), 180), log.read_text()[-2_000:]
    finally:
        worker.terminate()
        worker.wait(20)
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(said) > 100
    assert {one["level"] for one in said} >= {"DEBUG", "INFO"}
    assert [one for one in said if NAMES.search(one["message"] + one.get("error", ""))] == []


EVERYTHING = """
import logging, sys
from ringfirst import logs
ours = logs.log_to_stderr
def everything(form, *names):
    ours(form, *names)
    for name in ["", *logging.root.manager.loggerDict]:
        logging.getLogger(name).setLevel(logging.DEBUG)
logs.log_to_stderr = everything
sys.argv = ["ringfirst", "worker"]
from ringfirst.cli import main
main()
"""
