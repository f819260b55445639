"""The fault programme: brokers, databases, clocks and people that misbehave while workers take events in.

Each test runs small with all tests, and whole in ``make chaos``. Seeds are printed; a failing one stays as a test.
"""

import os
import random
import signal
import threading
import time
from contextlib import contextmanager, suppress

import psycopg
import pytest
from confluent_kafka import KafkaException

from engine.instants import iso, parse_instant
from tests.brokers import Kafka
from tests.chaos import tables
from tests.chaos.judge import imported, judge
from tests.chaos.scene import DAY, HOUR, LANES, MANY_LANES, MINUTE, Scene, made, shuffled
from tests.chaos.wire import Wire
from tools.kafka.broker import Broker, Unavailable

SIZES = [pytest.param("small", marks=pytest.mark.slow), pytest.param("whole", marks=pytest.mark.chaos)]
RARE = [pytest.param("small", marks=pytest.mark.chaos), pytest.param("whole", marks=pytest.mark.chaos)]
SEED = int(os.environ.get("RINGFIRST_CHAOS_SEED", "1"))


@pytest.fixture
def play(tmp_path, request):
    """Makes a scene over a broker and a store; all its workers end with the test."""
    scenes = []

    def begin(kafka, url=None, lanes=None):
        lanes = lanes or (LANES if kafka.is_real else MANY_LANES)
        scenes.append(Scene(kafka, tmp_path, url or f"sqlite:///{tmp_path / 'store.db'}", lanes=lanes))
        return scenes[-1]

    yield begin
    for scene in scenes:
        scene.close()


def now():
    return int(time.time() * 1000)


def recent(count, **more):
    """Events of the last sixty days, up to three hours ago."""
    return made(count, seed=SEED, start=now() - 60 * DAY - 3 * HOUR, **more)


@contextmanager
def publishing(scene, rows, every):
    """Publish rows beside whatever else happens, in pieces, so many seconds apart; all are out at the end."""
    size, faults = max(50, len(rows) // 60), []
    pieces = [rows[at : at + size] for at in range(0, len(rows), size)]
    hurry = threading.Event()

    def go():
        for piece in pieces:
            try:
                scene.publish(piece, live=True)
            except (AssertionError, KafkaException) as err:
                faults.append(err)
            hurry.wait(every)

    beside = threading.Thread(target=go)
    beside.start()
    try:
        yield
    finally:
        hurry.set()
        beside.join(300)
    assert faults == []


def settled(scene):
    """Let workers read to the end, stop them all, and judge what is left."""
    scene.drain()
    alive = [worker for worker in scene.workers if worker.poll() is None]
    for worker in alive:
        took = scene.stop(worker)
        assert took < 11.5, scene.said(worker)
        assert worker.returncode in {0, 143}, scene.said(worker)
    assert [line for line in scene.said_by_all() if "Traceback" in line] == []
    assert judge(scene) == []


# -- members of the group come and go ----------------------------------------------------------------------------------
@pytest.mark.parametrize("size", RARE)
def test_workers_that_are_killed_added_stopped_and_suspended_keep_everything_once(play, real_kafka, size):
    events, changes = {"small": (3_000, 5), "whole": (20_000, 20)}[size]
    print(f"seed {SEED}: {events} events, {changes} changes")
    chance, scene = random.Random(SEED), play(real_kafka)
    alive, suspended, gaps = [scene.start(), scene.start()], [], []
    with publishing(scene, recent(events), every=0.3):
        for _ in range(changes):
            time.sleep(chance.uniform(1.0, 6.0))
            deed = chance.choice(["kill", "add", "stop", "suspend", "resume"])
            if deed == "kill" and len(alive) > 1:
                victim = alive.pop(chance.randrange(len(alive)))
                victim.kill()
                gaps.append(resumed(scene))
            elif deed == "stop" and len(alive) > 1:
                assert scene.stop(alive.pop(chance.randrange(len(alive)))) < 11.5
            elif deed == "suspend" and len(alive) > 1:
                suspended.append(alive.pop(chance.randrange(len(alive))))
                suspended[-1].send_signal(signal.SIGSTOP)
            elif suspended:
                alive.append(suspended.pop())
                alive[-1].send_signal(signal.SIGCONT)
            else:
                alive.append(scene.start())
    for worker in suspended:
        worker.send_signal(signal.SIGCONT)
    print(f"the longest wait for the lanes of a killed one: {max(gaps, default=0):.1f} s")
    settled(scene)


def resumed(scene):
    """How long it takes until every lane moves again."""
    began, before = time.monotonic(), dict(tables.rows(scene.url, "SELECT lane, clock_at FROM lanes"))

    def all_moved():
        clocks = dict(tables.rows(scene.url, "SELECT lane, clock_at FROM lanes"))
        return all(clocks[lane] is not None and clocks[lane] != before[lane] for lane in clocks)

    scene.wait(all_moved)
    return time.monotonic() - began


# -- the broker --------------------------------------------------------------------------------------------------------
SILENCES = "SELECT rule, account_id, at FROM decisions WHERE rule NOT IN ('much-use', 'desk-full')"
OUTAGES = [
    pytest.param(3, marks=pytest.mark.slow),
    pytest.param(20, marks=pytest.mark.chaos),
    pytest.param(120, marks=pytest.mark.chaos),
]


@pytest.mark.parametrize("seconds", OUTAGES)
def test_a_broker_that_is_away_is_waited_for_and_caught_up_with(play, embedded_kafka, seconds):
    rows = recent(3_000 if seconds == 3 else 20_000)
    print(f"seed {SEED}: {len(rows)} records, the broker is away for {seconds} s")
    scene = play(embedded_kafka)
    worker = scene.start()
    scene.publish(rows[: len(rows) // 2], live=True)
    scene.wait(lambda: scene.progress() > 100)
    embedded_kafka.embedded.down()
    time.sleep(seconds)
    assert worker.poll() is None, scene.said(worker)
    embedded_kafka.embedded.up()
    began = time.monotonic()
    scene.publish(rows[len(rows) // 2 :], live=True)
    scene.drain()
    print(f"caught up {time.monotonic() - began:.1f} s after its return, publishing the other half included")
    assert worker.poll() is None, scene.said(worker)
    settled(scene)


@pytest.mark.chaos
def test_errors_of_the_broker_to_one_question_in_ten_change_nothing(play, embedded_kafka):
    rows, chance = recent(3_000), random.Random(SEED)
    print(f"seed {SEED}")
    not_leader, timed_out, not_available = 6, 7, 8
    for api in (0, 1):
        codes = [chance.choice([not_leader, timed_out, not_available]) for _ in range(500)]
        embedded_kafka.embedded.fail(api, [code if chance.random() < 0.1 else 0 for code in codes])
    scene = play(embedded_kafka)
    scene.start()
    with publishing(scene, rows, every=0.1):
        pass
    settled(scene)


@pytest.mark.parametrize("size", RARE)
def test_a_broker_that_is_killed_loses_nothing_that_was_confirmed(play, tmp_path, size):
    events, kills = {"small": (2_000, 1), "whole": (20_000, 5)}[size]
    print(f"seed {SEED}: {events} events, {kills} kills of the broker")
    chance, broker = random.Random(SEED), Broker(tmp_path / "kafka", quick=True)
    try:
        broker.start()
    except Unavailable as err:
        pytest.skip(str(err))
    try:
        scene = play(Kafka(broker.bootstrap))
        worker = scene.start()
        scene.wait(lambda: "claimed lanes" in scene.said(worker))
        with publishing(scene, recent(events), every=0.2):
            for _ in range(kills):
                time.sleep(chance.uniform(2, 5))
                broker.kill()
                time.sleep(chance.uniform(0, 4))
                broker.start()
        assert worker.poll() is None, scene.said(worker)
        settled(scene)
    finally:
        scene.close()
        broker.kill()


# -- the database ------------------------------------------------------------------------------------------------------
@pytest.mark.postgres
@pytest.mark.parametrize("size", SIZES)
def test_connections_that_are_cut_at_commit_leave_no_doubt(play, kafka, fresh_postgres, size, tmp_path):
    events, cuts = {"small": (2_000, 6), "whole": (40_000, 200)}[size]
    with Wire(fresh_postgres) as wire:
        scene = play(kafka, fresh_postgres, lanes=LANES)
        scene.publish(made(events, seed=SEED))
        worker = scene.start("--history", url=wire.url, fetch=30)
        scene.wait(lambda: "claimed lanes" in scene.said(worker))
        wire.cut(cuts, 0.1, SEED)
        scene.wait(lambda: worker.poll() is not None)
        print(f"seed {SEED}: {events} events, cut {wire.cut_before} times before and {wire.cut_after} after the commit")
        assert worker.returncode == 0, scene.said(worker)
        assert judge(scene, calm=imported(scene, tmp_path)) == []
        assert wire.cuts == cuts


@pytest.mark.postgres
@pytest.mark.parametrize("size", RARE)
def test_two_owners_among_kills_ended_sessions_and_deadlocks(play, real_kafka, fresh_postgres, size):
    events, faults = {"small": (3_000, 8), "whole": (60_000, 45)}[size]
    print(f"seed {SEED}: {events} events, {faults} faults")
    chance, scene = random.Random(SEED), play(real_kafka, fresh_postgres)
    alive = [scene.start(), scene.start()]
    with publishing(scene, recent(events), every=0.3 if size == "small" else 0.15):
        for _ in range(faults):
            time.sleep(chance.uniform(0.3, 3.0))
            deed = chance.choice(["kill", "pause", "sessions", "deadlock", "locks"])
            if deed == "kill":
                alive.pop(chance.randrange(2)).kill()
                alive.append(scene.start())
            elif deed == "pause":
                victim = chance.choice(alive)
                victim.send_signal(signal.SIGSTOP)
                time.sleep(chance.uniform(0.5, 4.0))
                victim.send_signal(signal.SIGCONT)
            else:
                DATABASE[deed](fresh_postgres.replace("+psycopg", ""), chance)
    settled(scene)


def end_sessions(url, chance):
    """End every other session of the database, whatever it is at."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def cross(url, chance):
    """Lock the lanes in the order that nobody else uses."""
    with suppress(psycopg.Error), psycopg.connect(url) as db:
        db.execute("SET deadlock_timeout = '5s'")  # so that it is the worker whose transaction ends
        for lane in reversed(range(LANES)):
            db.execute("SELECT 1 FROM lanes WHERE lane = %s FOR UPDATE", [lane])
            time.sleep(chance.uniform(0.0, 0.3))


def hold(url, chance):
    """Hold all lanes for a while."""
    with suppress(psycopg.Error), psycopg.connect(url) as db:
        db.execute("SELECT 1 FROM lanes ORDER BY lane FOR UPDATE")
        time.sleep(chance.uniform(0.5, 3.0))


DATABASE = {"sessions": end_sessions, "deadlock": cross, "locks": hold}


@pytest.mark.slow
@pytest.mark.postgres
def test_a_database_that_swallows_everything_holds_nobody_up_for_more_than_its_deadline(play, kafka, fresh_postgres):
    with Wire(fresh_postgres) as wire:
        scene = play(kafka, fresh_postgres)
        worker = scene.start(url=wire.url)
        rows = recent(1_000)
        scene.publish(rows[:500], live=True)
        scene.drain()
        wire.swallow()
        began = time.monotonic()
        scene.publish(rows[500:], live=True)
        while "the database did not do it" not in scene.said(worker):
            assert time.monotonic() - began < 25, scene.stacks()
            time.sleep(0.2)
        print(f"noticed after {time.monotonic() - began:.1f} s")
        wire.heal()
        settled(scene)


@pytest.mark.slow
@pytest.mark.postgres
def test_sigterm_ends_a_worker_within_ten_seconds_while_its_database_swallows_everything(play, kafka, fresh_postgres):
    with Wire(fresh_postgres) as wire:
        scene = play(kafka, fresh_postgres)
        worker = scene.start(url=wire.url)
        rows = recent(600)
        scene.publish(rows[:300], live=True)
        scene.drain()
        wire.swallow()
        scene.publish(rows[300:], live=True)
        time.sleep(2)
        took = scene.stop(worker)
        print(f"ended after {took:.1f} s with {worker.returncode}")
        assert took < 11.5
        assert worker.returncode in {0, 143}
        wire.heal()
        scene.start()
        settled(scene)


@pytest.mark.chaos
def test_sigterm_ends_a_worker_within_ten_seconds_while_its_broker_swallows_everything(play, tmp_path):
    broker = Broker(tmp_path / "kafka", quick=True)
    try:
        broker.start()
    except Unavailable as err:
        pytest.skip(str(err))
    try:
        scene = play(Kafka(broker.bootstrap))
        worker = scene.start()
        rows = recent(600)
        scene.publish(rows[:300], live=True)
        scene.drain()
        broker.signal(signal.SIGSTOP)  # its sockets stay open, and nothing answers
        time.sleep(4)
        took = scene.stop(worker)
        print(f"ended after {took:.1f} s with {worker.returncode}")
        assert took < 11.5
        broker.signal(signal.SIGCONT)
        scene.start()
        scene.publish(rows[300:], live=True)
        settled(scene)
    finally:
        scene.close()
        broker.kill()


# -- time --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", RARE)
def test_a_clock_that_jumps_and_runs_decides_nothing_twice(play, kafka, size, tmp_path):
    events = {"small": 2_000, "whole": 20_000}[size]
    clock, scene = tmp_path / "clock", play(kafka)
    print(f"seed {SEED}: {events} events; two hours ahead, three days behind, twenty times as fast")
    clock.write_text("0 1")
    worker = scene.start(clock=str(clock))
    rows = recent(events)
    with publishing(scene, rows, every=0.1):
        for told in ("7200 1", "0 1", "-259200 1", "0 20", "0 1"):
            time.sleep(4 if size == "small" else 15)
            clock.write_text(told)
    assert worker.poll() is None, scene.said(worker)
    settled(scene)
    spans = {"much-use": 14, "gone-quiet": 21, "use-dropped": 21}
    last: dict[tuple, int] = {}
    for rule, account, at in tables.rows(scene.url, "SELECT rule, account_id, at FROM decisions ORDER BY at"):
        if rule in spans:
            assert at - last.get((rule, account), 0) >= (spans[rule] - 1) * DAY
            last[rule, account] = at


@pytest.mark.parametrize("size", SIZES)
def test_events_that_are_late_by_up_to_seven_days_leave_the_same_state(play, kafka, size):
    events = {"small": 3_000, "whole": 50_000}[size]
    print(f"seed {SEED}: {events} events, each up to seven days late")
    scene = play(kafka)
    scene.publish(shuffled(made(events, seed=SEED), 7 * DAY, seed=SEED))
    scene.finished()
    assert judge(scene) == []


@pytest.mark.parametrize("size", SIZES)
def test_a_whole_log_that_is_read_again_sends_nothing_again(play, kafka, size, tmp_path):
    events = {"small": 2_000, "whole": 100_000}[size]
    scene = play(kafka)
    scene.publish(recent(events), live=True)
    worker = scene.start()
    scene.drain()
    scene.stop(worker)
    rows = "SELECT decision_id, at, outcome, withdrawn_at FROM decisions ORDER BY decision_id"
    before, sent, moment = tables.rows(scene.url, rows), mailed(scene), now()
    for word in ("usage", "support", "lifecycle"):
        words = ("offsets", "skip", scene.names[word], "--all", "--to", "earliest", "--why", "a test", "--yes")
        scene.run(*words, "--store", scene.url)
    assert scene.behind() > events
    worker = scene.start()
    settled(scene)
    new = [row for row in tables.rows(scene.url, rows) if row not in before and row[1] < moment]
    assert new == []
    assert sent
    assert len(mailed(scene) - sent) <= len(tables.rows(scene.url, rows)) - len(before)
    print(f"{events} events read again, {len(sent)} mails, none of them again")


def mailed(scene):
    """Send what is due; the names of all mails that ever left."""
    scene.run("send", "--store", scene.url, "--outbox", str(scene.folder / "outbox"))
    return {path.name for path in (scene.folder / "outbox").glob("*.eml")}


@pytest.mark.slow
def test_days_without_a_worker_are_no_silence_of_customers(play, kafka, tmp_path):
    """Workers are away for eleven days, and a backlog of eleven days waits for them; nobody was silent on any day."""
    scene, clock, away = play(kafka), tmp_path / "clock", 11 * DAY
    begin = now() - away - 16 * DAY
    rows = list(busy(begin, days=27))
    old = [row for row in rows if (parse_instant(row["time"]) or 0) < now() - away]
    clock.write_text(f"{-away / 1000} 1")
    worker = scene.start(clock=str(clock))
    scene.publish(old)
    scene.drain()
    time.sleep(3)  # the clock goes on for as long as nobody is behind
    scene.stop(worker)
    scene.publish(rows[len(old) :])
    scene.start()
    settled(scene)
    assert tables.rows(scene.url, SILENCES) == []


def busy(begin, days):
    """Customers who come every day, and whose red tickets are answered within the hour."""
    for at in range(begin, begin + days * DAY - 2 * HOUR, DAY):
        for n in range(40):
            name, time_ = f"customer-{n}", at + n * MINUTE
            red = {"ticket_id": f"t{time_}", "grade": "red"}
            for kind, properties, later in (
                ("session.started", {}, 0),
                ("feature.used", {"feature": "reports"}, 1),
                ("ticket.opened", red, 2),
                ("ticket.replied", {**red, "by": "agent"}, 50 * MINUTE),
                ("ticket.solved", red, 55 * MINUTE),
            ):
                moment = {"id": f"{kind}-{time_}", "time": iso(time_ + later), "properties": properties}
                yield {**moment, "type": kind, "account_id": name, "user_id": "u1"}
