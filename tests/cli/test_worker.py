"""``ringfirst worker`` as a person starts it: on a broker, in processes of its own, over a store on the disk."""

import json
import random
import re
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from engine.instants import DAY, HOUR
from engine.stores import open_store
from ringfirst.intake import now
from tests.cli.given import START, company, event, lines
from tests.streams.crew import until

LANES = 8
WORDS = ("USAGE", "SUPPORT", "LIFECYCLE", "DECISIONS", "DEAD_LETTERS")
ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR|CRITICAL) [^\s\[]")
"""Ours: what Faust says of its services begins with a bracket."""
DESK = """
measures:
  opened_2h: {count: ticket.opened, over: 2h}
  closed_2h: {closed: ticket, over: 2h}
  all_open: {portfolio: open_tickets}
  all_opened_2h: {portfolio: opened_2h}
  all_closed_2h: {portfolio: closed_2h}

rules:
  - id: load
    title: Four tickets are open at once
    kind: support_load
    why: A desk that is full for hours needs a decision about what waits.
    owner: support@ringfirst.example
    for: portfolio
    when: [all_open >= 4]
    clear_when: all_open < 3
    re_entry: every time
    notify: {template: desk-load, to: rule owner, with: {advice: Decide what may wait.}}
    cases:
      - name: four of two customers
        given:
          - {day: 1, at: "09:00", event: ticket.opened, account: one, with: {ticket_id: a}}
          - {day: 1, at: "10:00", event: ticket.opened, account: one, with: {ticket_id: b}}
          - {day: 2, at: "09:00", event: ticket.opened, account: two, with: {ticket_id: c}}
          - {day: 2, at: "10:00", event: ticket.opened, account: two, with: {ticket_id: d}}
        expect: [{day: 2}]
      - name: three
        given:
          - {day: 1, at: "09:00", event: ticket.opened, account: one, with: {ticket_id: a}}
          - {day: 1, at: "10:00", event: ticket.opened, account: one, with: {ticket_id: b}}
          - {day: 2, at: "09:00", event: ticket.opened, account: two, with: {ticket_id: c}}
        expect: silent
"""


@pytest.fixture(autouse=True)
def book(copied_book):
    """The tests' rulebook with a rule on all customers together."""
    (copied_book / "rules" / "desk.yml").write_text(DESK)


@pytest.fixture
def kafka_set(kafka, monkeypatch):
    """The settings of a test's own topics and group."""
    monkeypatch.setenv("RINGFIRST_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("RINGFIRST_KAFKA_GROUP", kafka.name("workers"))
    for word in WORDS:
        monkeypatch.setenv(f"RINGFIRST_TOPIC_{word}", kafka.name(word.lower()))
    return kafka


@pytest.fixture
def inbound(kafka_set):
    """The topics, for a store of as many lanes; what is in them stays."""
    for word in WORDS:
        kafka_set.topic(word.lower(), LANES, retention_ms="-1")
    return kafka_set


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request, place):
    """Where workers write, on SQLite and on PostgreSQL."""
    if request.param == "postgres":
        return request.getfixturevalue("fresh_postgres")
    return f"sqlite:///{place / 'worker.db'}"


def history(tickets):
    """Customers who build reports, and tickets of theirs that wait; three lines between them are bad."""
    names, pick = [f"customer-{number}" for number in range(10)], random.Random(7)
    rows = company(names, days=20)
    for number in range(tickets):
        name, at = pick.choice(names), START + DAY + pick.randrange(20 * DAY)
        grade = pick.choice(["red", "yellow"])
        rows.append(event(f"o{number}", name, "ticket.opened", at, "u1", ticket_id=f"w{number}", grade=grade))
        solved = at + pick.randrange(12 * HOUR)
        rows.append(event(f"s{number}", name, "ticket.solved", solved, ticket_id=f"w{number}"))
    told = lines(sorted(rows, key=lambda row: row["time"])).splitlines()
    told[40:40] = ['{"id": "x", "account_id": "customer-1"}', "no json at all"]
    told.append('{"id": "y", "type": "feature.used", "account_id": "customer-2", "time": "yesterday"}')
    return "\n".join(told) + "\n"


def waiting(account):
    """A red ticket that has waited for two hours when it becomes known."""
    return lines([event(account, account, "ticket.opened", now() - 2 * HOUR, "u1", ticket_id="t1", grade="red")])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("store_url", "count"),
    [
        pytest.param("sqlite", 1, id="sqlite, one worker"),
        pytest.param("postgres", 2, id="postgres, two workers", marks=pytest.mark.postgres),
    ],
    indirect=["store_url"],
)
def test_a_history_from_the_topics_gives_the_decisions_of_an_import(
    inbound, run, ask, place, workers, store_url, count
):
    told = history(500)
    (place / "events.jsonl").write_text(told)
    for tickets in (True, False):  # topic after topic, dated now: only the events tell their order
        part = [line for line in told.splitlines(keepends=True) if ('"ticket.' in line) is tickets]
        assert ask("publish", "-", "--live", stdin="".join(part))["bad"] == (0 if tickets else 3)
    with closing(open_store(store_url)) as store:  # held, so that nobody begins before all have joined
        held = store.claim(range(LANES), "the-test", at=now(), lease_seconds=600)
        at_once = [workers.start("--history", "--store", store_url) for _ in range(count)]
        parts = ["0, 1, 2, 3, 4, 5, 6, 7"] if count == 1 else ["0, 1, 2, 3", "4, 5, 6, 7"]
        assert until(lambda: sorted(workers.joined()) == parts, 60), workers.joined()
        store.release(held)
    for worker in at_once:
        assert worker.wait(120) == 0, workers.said(worker)
        assert "claimed lanes" in workers.said(worker)
    ask("import", "events.jsonl", "--store", "sqlite:///import.db")

    for words in (("decisions", "list"), ("outreach", "list")):
        found, wanted = (run(*words, "--json", "--store", url).stdout for url in (store_url, "sqlite:///import.db"))
        assert {"load", "many-reports", "red-ticket-waits"} == {row["rule"] for row in json.loads(wanted)}
        assert found == wanted
    run("replay", "--verify", "--store", store_url)
    assert ask("lag", "--store", store_url)["records"] == 0
    letters = ask("dead-letters", "list", "--store", store_url)
    assert len(letters) == 3
    assert {one["source"] for one in letters} <= {inbound.name(word.lower()) for word in WORDS}
    kept = {topic: inbound.read(topic) for topic in {one["source"] for one in letters}}
    for one in letters:
        partition, offset = map(int, one["where"].split(":"))
        assert kept[one["source"]][partition][offset].value().decode() == one["raw"]
    with closing(open_store(store_url, create=False)) as store:
        assert [info.owner for info in store.lane_infos(at=now())] == [None] * LANES


@pytest.mark.slow
def test_a_running_worker_takes_in_what_comes_and_a_polite_kill_ends_it_whole(inbound, run, ask, place, workers):
    (place / "first.jsonl").write_text(waiting("acme"))
    (place / "second.jsonl").write_text(waiting("birch"))
    (place / "third.jsonl").write_text(waiting("cedar"))

    def decided():
        return sorted(row["account_id"] for row in ask("decisions", "list", "--rule", "red-ticket-waits"))

    def comes(*accounts):
        return until(lambda: decided() == sorted(accounts), 60, every=0.5)

    run("publish", "first.jsonl", "--live")
    worker = workers.start()
    assert until(lambda: "caught up" in workers.said(worker), 60), workers.said(worker)
    assert comes("acme"), workers.said(worker)
    run("publish", "second.jsonl", "--live")
    assert comes("acme", "birch"), workers.said(worker)

    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0, workers.said(worker)
    assert time.monotonic() - began < 10
    with closing(open_store("sqlite:///ringfirst.db", create=False)) as store:
        assert [info.owner for info in store.lane_infos(at=now())] == [None] * LANES
        kept = [snapshot.account_id for lane in range(LANES) for snapshot in store.snapshots(lane)]
        assert {"acme", "birch"} <= set(kept)

    run("publish", "third.jsonl", "--live")
    following = workers.start()
    assert comes("acme", "birch", "cedar"), workers.said(following)
    assert until(lambda: "caught up" in workers.said(following), 30), workers.said(following)
    following.send_signal(signal.SIGINT)
    assert following.wait(15) == 0, workers.said(following)
    run("replay", "--verify")
    for one in (worker, following):
        judge_talk(workers.said(one))
        assert workers.answered(one) == ""


def judge_talk(said):
    """Each line has its time and level, the steps are told in their order, and nobody is named."""
    assert [line for line in said.splitlines() if not LINE.match(line)] == []
    steps = ["joined the group", "claimed lanes 0, 1, 2, 3, 4, 5, 6, 7", "caught up", "stopping", "stopped"]
    found = [said.find(step) for step in steps]
    assert -1 not in found, said
    assert found == sorted(found), said
    assert "@" not in said
    assert not any(name in said for name in ("acme", "birch", "cedar"))


@pytest.mark.slow
def test_topics_that_do_not_fit_the_lanes_are_refused_before_anything(kafka_set, workers):
    kafka_set.topic("usage", 4)
    kafka_set.topic("support", LANES)
    worker = workers.start()
    assert worker.wait(30) == 2
    said = workers.said(worker)
    assert f"{kafka_set.name('usage')}: its partitions are not the lanes; found 4, wanted 8; " in said
    assert f"{kafka_set.name('lifecycle')}: there is no such topic; make it with 'ringfirst topics create'" in said
    assert kafka_set.name("support") not in said
    with closing(open_store("sqlite:///ringfirst.db", create=False)) as store:
        assert {info.epoch for info in store.lane_infos(at=now())} == {0}


def test_without_a_broker_that_is_named_nothing_is_opened(run, place):
    assert "RINGFIRST_KAFKA: no broker is named" in run("worker", code=2).stderr
    assert not (place / "ringfirst.db").exists()


@pytest.mark.slow
def test_without_a_broker_that_answers_nothing_is_opened(run, place, monkeypatch):
    monkeypatch.setenv("RINGFIRST_KAFKA", "127.0.0.1:9")
    said = run("worker", code=2).stderr
    assert "127.0.0.1:9: Kafka does not answer; " in said
    assert "is it running, and are RINGFIRST_KAFKA and its settings right?" in said
    assert not (place / "ringfirst.db").exists()
