"""``ringfirst status`` as somebody on call types it: with everything there, and with this or that away."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from engine.store import DEFAULT_LANES
from engine.stores import open_store
from ringfirst.cli import main
from ringfirst.intake import now
from ringfirst.owners import owner_name
from tests.cli.given import company, event, lines
from tests.cli.test_worker import ROOT, book, inbound, kafka_set, store_url
from tests.streams.crew import until

__all__ = ["book", "inbound", "kafka_set", "store_url"]  # fixtures


@pytest.fixture
def a_store(place, monkeypatch):
    """A store without Kafka."""
    url = f"sqlite:///{place / 'status.db'}"
    monkeypatch.setenv("RINGFIRST_STORE", url)
    store = open_store(url)
    yield store
    store.close()


def test_a_store_without_a_broker_has_lanes_owners_and_mails(a_store, ask, run):
    a_store.claim(range(DEFAULT_LANES - 1), owner_name(), at=now())
    told = ask("status", code=1)
    assert [one["state"] for one in told["lanes"]] == ["OK"] * 7 + ["stopped"]
    assert (told["kafka_used"], told["records"], told["mails"], told["alive_workers"]) == (False, None, {}, 0)
    shown = run("status", code=1).stdout
    assert "no broker is set: nothing is told of topics" in shown
    assert "lane 7: nobody owns it" in shown
    a_store.claim([7], owner_name(), at=now())
    assert "STOPPED" not in run("status").stdout


def test_where_there_is_no_store_and_no_broker_it_is_wrong_use(run):
    assert "there is no store here" in run("status", code=2).stderr


def test_a_broker_that_is_away_is_said_and_the_store_is_shown(a_store, ask, run, monkeypatch):
    monkeypatch.setenv("RINGFIRST_KAFKA", "127.0.0.1:1")
    a_store.claim(range(DEFAULT_LANES), owner_name(), at=now())
    began = time.monotonic()
    told = ask("status", code=1)
    assert time.monotonic() - began < 10
    assert "127.0.0.1:1" in told["kafka"]
    assert [one["owner"] for one in told["lanes"]] == [owner_name()] * 8
    assert "Kafka does not answer" in run("status", code=1).stdout


def test_a_store_that_is_away_is_said_and_the_topics_are_shown(inbound, place, ask, run, monkeypatch):
    (place / "e.jsonl").write_text(lines([event("e1", "one", "feature.used", now() - 60_000)]))
    run("publish", "e.jsonl")
    monkeypatch.setenv("RINGFIRST_STORE", "postgresql://ringfirst:geheim@127.0.0.1:1/x")
    told = ask("status", code=1)
    assert (told["state"], told["records"]) == ("stalled", 1)
    shown = run("status", code=1).stdout
    assert "the store does not answer: postgresql://ringfirst@127.0.0.1:1/x" in shown
    assert "geheim" not in shown


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_workers_from_the_start_to_the_end_of_their_shift(inbound, place, ask, run, workers, store_url, monkeypatch):
    """Nobody, one at work, one suspended, one dead: each in its word, with what waits meanwhile."""
    monkeypatch.setenv("RINGFIRST_STORE", store_url)
    (place / "history.jsonl").write_text(lines(company(["one", "two", "three"])))
    (place / "bad.jsonl").write_text('{"id": "x"}\n')
    run("publish", "history.jsonl", "--live")
    run("publish", "bad.jsonl", code=0)
    open_store(store_url, create=True).close()
    before = ask("status", code=1)
    assert {one["state"] for one in before["lanes"]} == {"stopped"}
    assert before["records"] == len(company(["one", "two", "three"])) + 1

    worker = workers.start("--store", store_url)
    assert until(lambda: seen()["state"] == "OK", 180, 1), workers.said(worker)
    # A lane to which nothing came has no clock until its owner moves it.
    assert until(lambda: all(one["clock_age_seconds"] is not None for one in ask("status")["lanes"]), 30, 1)
    at_work = ask("status")
    assert (at_work["records"], at_work["alive_workers"], at_work["dead_letters"]) == (0, 1, 1)
    assert {one["owner"].split(":")[1] for one in at_work["lanes"]} == {str(worker.pid)}
    assert sum(one["dead_letters"] for one in at_work["lanes"]) == 1
    assert until(lambda: ask("status")["rebalances_24h"] == 1, 20, 1)
    assert max(one["clock_age_seconds"] for one in at_work["lanes"]) < 30

    worker.send_signal(signal.SIGSTOP)
    run("publish", "history.jsonl", "--live")
    assert until(lambda: seen()["state"] in {"stalled", "stopped"}, 120, 2)
    worker.send_signal(signal.SIGCONT)
    assert until(lambda: seen()["state"] == "OK", 180, 1)

    worker.kill()
    worker.wait()
    dead = ask("status", code=1)
    assert (dead["state"], dead["alive_workers"], dead["workers"][0]["alive"]) == ("stopped", 0, False)
    assert {one["why"] for one in dead["lanes"]} <= {"its owner is dead", "nobody owns it"}

    last = workers.start("--store", store_url)
    assert until(lambda: seen()["alive_workers"] == 1, 120, 1), workers.said(last)
    last.terminate()
    assert last.wait(15) == 0
    after = ask("status", code=1)
    assert (after["alive_workers"], after["state"]) == (0, "stopped")
    assert str(last.pid) not in {one["owner"].split(":")[1] for one in after["workers"]}


def test_a_lane_that_halted_is_stalled_with_the_command_that_helps(inbound, place, ask, run, workers, monkeypatch):
    if not inbound.is_real:
        pytest.skip("the embedded broker deletes no records")
    monkeypatch.setenv("RINGFIRST_STORE", f"sqlite:///{place / 'w.db'}")
    (place / "history.jsonl").write_text(lines(company(["one", "two", "three"])))
    run("publish", "history.jsonl", "--live")
    worker = workers.start()
    assert until(lambda: seen()["state"] == "OK", 180, 1), workers.said(worker)
    worker.kill()
    worker.wait()
    run("publish", "history.jsonl", "--live")
    topic = inbound.name("usage")
    ends = {number: end for number, (_, end) in inbound.watermarks(topic).items()}
    lane = max(ends, key=ends.__getitem__)
    admin = AdminClient({"bootstrap.servers": inbound.bootstrap})
    for future in admin.delete_records([TopicPartition(topic, lane, ends[lane])]).values():
        future.result(30)
    workers.start()
    assert until(lambda: "retention overtook" in str(seen()["lanes"][lane]["why"]), 120, 1)
    assert until(lambda: seen()["state"] == "stalled", 120, 1), seen()
    told = seen()
    assert told["lanes"][lane]["state"] == "stalled"
    assert f"ringfirst offsets skip {topic} {lane}" in told["lanes"][lane]["why"]
    assert until(lambda: {one["state"] for one in seen()["lanes"] if one["lane"] != lane} == {"OK"}, 120, 1)


def seen():
    """How everything is, whatever the exit code; in this process, for starting Python takes longer than to look."""
    return json.loads(CliRunner().invoke(main, ["status", "--json"]).stdout)


def watching(place, *words, **more):
    command = [sys.executable, "-m", "ringfirst", "status", "--watch", *words]
    return subprocess.Popen(command, cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)}, **more)


@pytest.mark.slow
def test_who_watches_without_a_terminal_gets_a_line_or_a_screen_each_time(a_store, place):
    a_store.claim(range(8), owner_name(), at=now())
    with watching(place, "--json", stdout=subprocess.PIPE) as told:
        assert [json.loads(told.stdout.readline())["state"] for _ in range(2)] == ["OK", "OK"]
        told.send_signal(signal.SIGINT)
        assert told.wait(30) == 0
    with watching(place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as told:
        seen = [told.stdout.readline() for _ in range(14)]
        told.send_signal(signal.SIGINT)
        out, err = told.communicate(timeout=90)
    assert (told.returncode, err) == (0, "")
    assert "\x1b" not in "".join(seen) + out


@pytest.mark.slow
def test_who_watches_on_a_terminal_sees_one_screen_that_is_left_with_ctrl_c(a_store, place):
    a_store.claim(range(8), owner_name(), at=now())
    ours, theirs = pty.openpty()
    told = watching(place, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = b""

    def more():
        nonlocal seen
        if select.select([ours], [], [], 0.2)[0]:
            try:
                seen += os.read(ours, 65_536)
            except OSError:
                return True
        return seen.count(b" OK ") >= 16

    try:
        assert until(more, 30, 0)
        told.send_signal(signal.SIGINT)
        assert until(lambda: more() and told.poll() is not None, 30, 0) is not None
        assert told.wait(30) == 0
    finally:
        told.kill()
        told.wait()
        os.close(ours)
    text = seen.decode(errors="replace")
    assert "\x1b[?1049h" in text, "on a screen of its own"
    assert "\x1b[?25l" in text
    assert "Traceback" not in text
    assert not re.search(r"\x1b\[2J.*\x1b\[2J", text), "it is not cleared between two looks: that would flicker"
