"""``offsets show`` and ``offsets skip``: a lane halts, somebody decides, and it goes on from there."""

import json
import re
import shlex
import sqlite3
import time
from contextlib import closing

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from engine.errors import StoreError
from engine.instants import iso
from engine.lanes import lane_of
from engine.store import Batch, Offset
from engine.stores import open_store
from ringfirst.intake import now
from ringfirst.owners import owner_name
from streams.admin import opened
from streams.batch import Clocks, LaneBatch, Partition, Range
from streams.held import Bounds, HeldLanes
from streams.settings import KafkaSettings, Topics
from streams.writer import LaneWriter
from tests.engine.test_assigned import book_of
from tests.streams.crew import until

LANES = 2
ACCOUNTS = {lane_of(name, LANES): name for name in ("acme", "birch", "cedar", "dune")}
TABLES = ("lanes", "offsets", "audit")


class Site:
    """A store, the topics on one broker, and what a worker finds when it claims a lane."""

    def __init__(self, kafka, path):
        self.kafka = kafka
        self.path = path
        names = {field: kafka.topic(field, LANES) for field in ("usage", "support", "lifecycle")}
        self.topics = Topics(**names)
        self.settings = KafkaSettings(servers=(kafka.bootstrap,), topics=self.topics)
        self.usage = self.topics.usage
        self.store = open_store(f"sqlite:///{path}", lanes=LANES)
        with opened(self.settings) as admin:
            self.cluster = admin.cluster_id

    def put(self, count, lane=1, topic=None, size=1):
        at = now()
        row = {
            "type": "feature.used",
            "account_id": ACCOUNTS[lane],
            "time": iso(at),
            "properties": {"text": "x" * size},
        }
        values = [json.dumps({"id": f"{topic}-{number}", **row}).encode() for number in range(count)]
        self.kafka.put(topic or self.usage, *((ACCOUNTS[lane], value, at) for value in values))

    def read(self, offset, lane=1, topic=None, source=None, old=None):
        """The store has read up to here."""
        (claim,) = self.store.claim([lane], "w", at=now())
        move = Offset(source or self.cluster, topic or self.usage, lane, old, offset)
        self.store.commit([Batch(claim, claim.position, claim.clock_at, claim.first_at, offsets=[move])])
        self.store.release([claim])

    def overtaken(self, lane=1):
        """Records are put, and the oldest of them are gone before anybody read them; gives the first that is left."""
        if self.kafka.is_real:
            self.put(10, lane)
            admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
            for done in admin.delete_records([TopicPartition(self.usage, lane, 6)]).values():
                done.result(20)
        else:
            self.put(70, lane, size=100_000)
        return self.kafka.watermarks(self.usage)[lane][0]

    def worker(self, lane=1):
        """A worker claims the lane: why it halts (None = it goes on), and where it begins to read."""
        with opened(self.settings) as admin:
            places = [Partition(topic, lane) for topic in self.topics.inbound]
            firsts, ends = admin.first_offsets(places), admin.next_offsets(places)
            ids = {name: one.topic_id for name, one in admin.topics(self.topics.inbound).items()}
        writer = LaneWriter(self.store, book_of(), "w", source=self.cluster, now=now, gives_way=lambda _: False)
        writer.logs = lambda: ids
        bounds = {place: Bounds(firsts[place], ends[place]) for place in places}
        held = HeldLanes(self.topics.inbound)
        held.assigned(places, 1, 0.0)
        claimed = writer.claim([lane], held.topics)[lane]
        positions = held.claimed(lane, claimed, bounds, Clocks(0.0, now()))
        moves = {place: Range(start, ends[place]) for place, start in positions.items() if start < ends[place]}
        if moves:
            writer.commit([LaneBatch(lane, claimed.epoch, 1, [], moves)])
        writer.drop([lane])
        return held.troubles.get(lane), positions

    def rows(self):
        """Everything that a skip could change."""
        with closing(sqlite3.connect(self.path)) as db:
            return {table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall() for table in TABLES}

    def audit(self):
        with closing(sqlite3.connect(self.path)) as db:
            found = db.execute("SELECT who, what, detail FROM audit ORDER BY seq").fetchall()
        return [(who, what, json.loads(detail)) for who, what, detail in found]


def site_on(kafka, place, monkeypatch):
    monkeypatch.setenv("RINGFIRST_KAFKA", kafka.bootstrap)
    for name in ("USAGE", "SUPPORT", "LIFECYCLE", "DECISIONS", "DEAD_LETTERS"):
        monkeypatch.setenv(f"RINGFIRST_TOPIC_{name}", kafka.name(name.lower()))
    return Site(kafka, place / "ringfirst.db")


@pytest.fixture
def site(each_kafka, place, monkeypatch):
    """A site on one broker after the other."""
    found = site_on(each_kafka, place, monkeypatch)
    yield found
    found.store.close()


@pytest.fixture
def small(embedded_kafka, place, monkeypatch):
    """A site on an embedded broker, for what is no matter of brokers."""
    found = site_on(embedded_kafka, place, monkeypatch)
    yield found
    found.store.close()


def named_in(trouble):
    """The commands that a message names."""
    return [shlex.split(one)[1:] for one in re.findall(r"'(ringfirst offsets skip [^']+)'", trouble)]


# -- the three halts -------------------------------------------------------------------------------------------------
def test_what_retention_took_is_given_up_by_the_command_that_the_message_names(site, run, ask):
    site.read(2)
    first = site.overtaken()
    end = site.kafka.watermarks(site.usage)[1][1]
    assert first > 2
    trouble, _ = site.worker()
    assert "retention overtook the store" in trouble
    (words,) = named_in(trouble)
    assert [one["fault"] for one in ask("lag", code=1)["lanes"] if one["fault"]] == [trouble.removeprefix("halted: ")]
    said = run(*words, stdin="y\n").stderr
    assert f"from offset 2 to offset {first}: {first - 2} records given up, 0 read again, {end - first} waiting" in said
    trouble, positions = site.worker()
    assert (trouble, positions[Partition(site.usage, 1)]) == (None, first)
    assert site.store.offsets() == {(site.cluster, site.usage, 1): end}


def test_a_log_that_is_shorter_is_begun_by_the_command_that_the_message_names(site, run):
    site.put(3)
    site.read(50)
    trouble, _ = site.worker()
    assert "the log shrank or is another one" in trouble
    (words,) = named_in(trouble)
    assert "to offset 0: 0 records given up, 3 read again, 3 waiting" in run(*words, stdin="y\n").stderr
    trouble, positions = site.worker()
    assert (trouble, positions[Partition(site.usage, 1)]) == (None, 0)
    assert site.store.offsets() == {(site.cluster, site.usage, 1): 3}


def test_topics_that_moved_to_another_cluster_are_begun_by_the_commands_that_the_message_names(site, run, ask):
    site.put(3)
    site.read(40, source="old-cluster")
    before = site.rows()["offsets"]
    for lane in range(LANES):
        trouble, _ = site.worker(lane)
        assert f"found {site.cluster}, the store's offsets are of old-cluster" in trouble
        commands = named_in(trouble)
        assert sorted(words[2] for words in commands) == sorted(site.topics.inbound)
        for words in commands:
            run(*words, stdin="y\n")
        trouble, positions = site.worker(lane)
        assert (trouble, set(positions.values())) == (None, {0})
    assert site.store.offsets()[site.cluster, site.usage, 1] == 3
    assert set(before) < set(site.rows()["offsets"]), "what was read of the old one stays written"
    assert [one["fault"] for one in ask("offsets", "show")["lanes"]] == [None] * 6


@pytest.mark.slow
def test_a_topic_that_was_made_anew_halts_though_its_log_is_longer_and_is_begun_by_the_command(
    real_kafka, place, monkeypatch, run, ask
):
    site = site_on(real_kafka, place, monkeypatch)
    for lane in range(LANES):
        site.put(3, lane)
        assert site.worker(lane)[0] is None
    admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap})
    admin.delete_topics([site.usage])[site.usage].result(20)
    assert until(lambda: site.usage not in admin.list_topics(timeout=10).topics, 30)
    real_kafka.topic("usage", LANES)
    for lane in range(LANES):
        site.put(9, lane)
        trouble, _ = site.worker(lane)
        assert "the topic was deleted and made anew; found the id " in trouble
    (words,) = named_in(trouble)
    faults = [one["fault"] for one in ask("lag", code=1)["lanes"] if one["fault"]]
    assert trouble.removeprefix("halted: ") in faults
    assert {one["records"] for one in ask("lag", code=1)["lanes"] if one["topic"] == site.usage} == {9}
    assert "0 records given up, 0 read again, 9 waiting from there" in run(*words, stdin="y\n").stderr
    trouble, positions = site.worker(1)
    assert (trouble, positions[Partition(site.usage, 1)]) == (None, 0)
    assert site.store.offsets()[site.cluster, site.usage, 1] == 9
    assert "made anew" in str(site.worker(0)[0]), "nobody decided about this one"
    run("offsets", "skip", site.usage, 0, "--to", 3, "--why", "where it stood is right", "--yes")
    assert site.worker(0)[0] is None
    site.store.close()


def test_a_skip_and_its_line_in_the_audit_are_one_transaction(small, run, monkeypatch):
    small.put(9)
    small.read(4)
    before = small.rows()

    def fails(*_given):
        raise StoreError("no room")

    monkeypatch.setattr("engine.stores.persons.note", fails)
    assert "no room" in run("offsets", "skip", small.usage, 1, "--to", 7, "--why", "x", "--yes", code=2).stderr
    assert [small.rows()[table] for table in ("offsets", "audit")] == [before["offsets"], []]
    assert small.store.offsets() == {(small.cluster, small.usage, 1): 4}


def test_all_lanes_of_a_topic_move_in_one_go(site, ask):
    site.put(3)
    site.read(40, source="old-cluster")
    for topic in site.topics.inbound:
        moved = ask("offsets", "skip", topic, "--all", "--to", "latest", "--why", "moved", "--yes")["moved"]
        assert [one["lane"] for one in moved] == [0, 1]
    assert [site.worker(lane)[0] for lane in range(LANES)] == [None, None]
    assert site.store.offsets()[site.cluster, site.usage, 1] == 3


@pytest.mark.slow
def test_a_worker_that_halted_goes_on_once_somebody_decided(site, run, process, monkeypatch):
    monkeypatch.setenv("RINGFIRST_KAFKA_GROUP", site.kafka.name("group"))
    site.put(3)
    site.read(50)
    halted = process("worker")
    assert until(lambda: all(one.owner for one in site.store.lane_infos(at=now())), 60)
    words = ["offsets", "skip", site.usage, 1, "--to", "earliest", "--why", "TEXT", "--yes"]
    assert "another owner holds it" in run(*words, code=2).stderr
    time.sleep(1)
    halted.terminate()
    said = halted.communicate(timeout=30)[1].decode()
    assert shlex.join(["ringfirst", *(str(word) for word in words[:-1])]) in said
    assert site.store.count_events() == 0
    run(*words)
    after = process("worker", "--history")
    said = after.communicate(timeout=90)[1].decode()
    assert after.returncode == 0, said
    assert site.store.count_events() == 3
    assert site.store.offsets()[site.cluster, site.usage, 1] == 3


# -- what it does, and what it leaves alone --------------------------------------------------------------------------
def test_a_skip_moves_one_offset_writes_the_audit_and_nothing_else(site, ask):
    site.put(9)
    site.read(4)
    before, at = site.rows(), site.store.lane_infos(at=now())
    answer = ask("offsets", "skip", site.usage, 1, "--to", 7, "--why", "they are broken", "--yes")
    move = {"topic": site.usage, "lane": 1, "before": 4, "after": 7, "given_up": 3, "again": 0, "waiting": 2}
    assert answer == {"cluster": site.cluster, "moved": [move]}
    ((who, what, detail),) = site.audit()
    assert (who, what) == (owner_name(), "skip offsets")
    assert detail == {
        "source": site.cluster,
        "topic": site.usage,
        "lane": 1,
        "from": 4,
        "to": 7,
        "given_up": 3,
        "why": "they are broken",
    }
    assert site.store.offsets() == {(site.cluster, site.usage, 1): 7}
    after = site.store.lane_infos(at=now())
    assert [(one.position, one.clock_at, one.first_at, one.owner) for one in after] == [
        (one.position, one.clock_at, one.first_at, None) for one in at
    ]
    assert [one.epoch for one in after] == [at[0].epoch, at[1].epoch + 1], "the lane was taken, the other one was not"
    assert site.rows()["lanes"][0] == before["lanes"][0]


def test_a_skip_backwards_reads_again(small, ask):
    small.put(9)
    small.read(8)
    moved = ask("offsets", "skip", small.usage, 1, "--to", 5, "--why", "again", "--yes")["moved"]
    assert [(one["given_up"], one["again"], one["waiting"]) for one in moved] == [(0, 3, 4)]


def test_a_store_on_postgresql_is_moved_just_the_same(small, fresh_postgres, ask):
    small.put(9)
    store = open_store(fresh_postgres, lanes=LANES)
    words = ["--why", "x", "--yes", "--store", fresh_postgres]
    for to, before in ((7, None), (5, 7)):
        (moved,) = ask("offsets", "skip", small.usage, 1, "--to", to, *words)["moved"]
        assert (moved["before"], store.offsets()) == (before, {(small.cluster, small.usage, 1): to})
    assert [one.owner for one in store.lane_infos(at=now())] == [None] * LANES
    store.close()


def test_a_store_that_stands_there_already_is_left_alone(small, run):
    small.put(9)
    small.read(9)
    before = small.rows()
    assert "stands there already" in run("offsets", "skip", small.usage, 1, "--to", "latest", "--why", "x").stderr
    assert small.rows() == before


# -- what it refuses -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["USAGE", 1, "--to", 10], "name one from 0 to 9, or 'earliest' or 'latest'", id="behind the end"),
        pytest.param(["USAGE", 1, "--to", "first"], "write 'earliest', 'latest' or a number", id="no offset"),
        pytest.param(["USAGE", 2, "--to", 1], "has no lane 2; found 0 to 1; name one of them", id="no such lane"),
        pytest.param(["USAGEE", 1, "--to", 1], "a worker reads no topic", id="no such topic"),
        pytest.param(["USAGE", "--to", 1], "it takes a lane or --all; found neither", id="no lane"),
        pytest.param(["USAGE", 1, "--all", "--to", 1], "it takes a lane or --all; found both", id="a lane and all"),
        pytest.param(["USAGE", "--all", "--to", 5], "[0] does not hold that offset", id="not in every lane"),
        pytest.param(["USAGE", 1, "--to", 1, "--why", " "], "--why: it says nothing", id="no reason"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(small, run, words, said):
    small.put(9)
    small.read(4)
    before = small.rows()
    typed = [str(word).replace("USAGE", small.usage) for word in words]
    assert said in run("offsets", "skip", "--why", "x", "--yes", *typed, code=2).stderr
    assert small.rows() == before


def test_before_the_log_begins_there_is_nothing_to_go_on_from(site, run):
    site.read(2)
    first = site.overtaken()
    before = site.rows()
    said = run("offsets", "skip", site.usage, 1, "--to", first - 1, "--why", "x", "--yes", code=2).stderr
    assert f"it begins at {first}" in said
    assert site.rows() == before


def test_whoever_says_no_changes_nothing(small, run):
    small.put(9)
    before = small.rows()
    said = run("offsets", "skip", small.usage, 1, "--to", "latest", "--why", "x", stdin="n\n", code=1).stderr
    assert "from the beginning to offset 9: 9 records given up" in said
    assert small.rows() == before


@pytest.mark.parametrize("owner", ["elsewhere.example:1:-", "elsewhere.example:1:-:worker:ringfirst"])
def test_a_lane_whose_owner_is_alive_is_left_to_it(small, run, owner):
    small.put(9)
    small.read(4)
    small.store.claim([1], owner, at=now())
    before = small.rows()
    words = ["offsets", "skip", small.usage, "--all", "--to", "earliest", "--why", "x", "--yes"]
    said = run(*words, code=2).stderr
    assert owner in said
    assert "stop that process first" in said
    assert small.rows() == before
    run(*words, "--take-over")
    assert small.store.offsets()[small.cluster, small.usage, 1] == 0


def test_another_lanes_owner_is_nobodys_business(small, run):
    small.put(9)
    small.store.claim([0], "elsewhere.example:1:-:worker:ringfirst", at=now())
    small.store.claim([1], owner_name().replace(owner_name().split(":")[1], "999999999", 1), at=now())  # surely dead
    run("offsets", "skip", small.usage, 1, "--to", "latest", "--why", "x", "--yes")
    assert small.store.offsets() == {(small.cluster, small.usage, 1): 9}


@pytest.mark.parametrize("stood", [None, 2])
def test_an_offset_that_moved_while_somebody_thought_is_not_overwritten_and_no_lane_moves(
    small, run, monkeypatch, stood
):
    for lane in range(LANES):
        small.put(9, lane)
        if stood is not None:
            small.read(stood, lane)
    before = small.store.offsets()
    monkeypatch.setattr("click.confirm", lambda *_words, **_more: small.read(3, old=stood))
    said = run("offsets", "skip", small.usage, "--all", "--to", "latest", "--why", "x", code=2).stderr
    assert "another owner has read on" in said
    assert small.store.offsets() == {**before, (small.cluster, small.usage, 1): 3}
    assert small.audit() == []
    assert [one.owner for one in small.store.lane_infos(at=now())] == [None, None]


# -- show ------------------------------------------------------------------------------------------------------------
def test_show_says_where_every_lane_goes_on_and_what_would_halt(site, run, ask):
    site.put(9)
    site.read(4)
    found = ask("offsets", "show")
    row = {"topic": site.usage, "lane": 1, "source": site.cluster, "next_offset": 4, "first": 0, "end": 9}
    with opened(site.settings) as admin:
        row["log"] = admin.topics([site.usage])[site.usage].topic_id
    assert (row["log"] is not None) == site.kafka.is_real
    assert {**row, "fault": None, "anew": False} in found["lanes"]
    assert (found["cluster"], len(found["lanes"]), found["elsewhere"]) == (site.cluster, 6, [])
    site.read(70, lane=0)
    site.read(5, lane=0, source="old-cluster")
    found = ask("offsets", "show", code=1)
    assert found["elsewhere"] == [{"topic": site.usage, "lane": 0, "source": "old-cluster", "next_offset": 5}]
    faults = [(one["topic"], one["lane"]) for one in found["lanes"] if one["fault"]]
    assert (site.usage, 0) in faults
    assert (site.usage, 1) not in faults
    said = run("offsets", "show", code=1)
    assert "the log shrank or is another one" in said.stderr
    assert "old-cluster" in said.stdout
