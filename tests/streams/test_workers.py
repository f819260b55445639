"""Workers on a broker: everything published is written once and in order, whatever happens to them meanwhile."""

import signal
import sqlite3
import time
from contextlib import closing

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.streams.crew import LANES, Crew, until

pytestmark = pytest.mark.slow


@pytest.fixture
def crew(kafka, tmp_path):
    crew = Crew(kafka, tmp_path)
    yield crew
    crew.close()


@pytest.fixture
def embedded_crew(embedded_kafka, tmp_path):
    crew = Crew(embedded_kafka, tmp_path)
    yield crew
    crew.close()


@pytest.fixture
def real_crew(real_kafka, tmp_path):
    crew = Crew(real_kafka, tmp_path)
    yield crew
    crew.close()


@pytest.fixture(params=["embedded", "real"])
def each_crew(request):
    return request.getfixturevalue(f"{request.param}_crew")


def test_a_history_published_topic_after_topic_is_written_in_the_order_of_time_and_the_worker_stops(each_crew):
    each_crew.put(2_000)
    assert each_crew.start(history=True).wait(60) == 0
    each_crew.judge()
    each_crew.judge_order()
    assert each_crew.ask("SELECT DISTINCT at_end FROM lanes") == [(1,)]


def test_what_is_written_after_the_end_of_a_history_may_take_its_time(crew):
    crew.put(20)
    assert crew.start(history=True, thorough=True).wait(60) == 0
    assert crew.ask("SELECT count(*) FROM notes WHERE what LIKE 'dropped%'") == [(1,)]


def test_a_worker_stops_within_seconds_and_the_next_one_goes_on_where_it_stopped(each_crew):
    each_crew.put(500)
    worker = each_crew.start()
    assert each_crew.all_written()
    code, took = each_crew.stop(worker)
    assert (code, took < 6) == (0, True)
    each_crew.put(500, start=500)
    each_crew.start()
    assert each_crew.all_written()
    each_crew.judge()
    each_crew.judge_order()


def test_a_killed_worker_leaves_nothing_half_done(crew):
    crew.put(6_000)
    for _ in range(3):
        worker = crew.start()
        before = crew.count()
        until(lambda before=before: crew.count() > before, 20)
        worker.kill()
        worker.wait()
    crew.start()
    assert crew.all_written()
    crew.judge()
    crew.judge_order()


def test_a_store_whose_connection_breaks_before_and_at_commits_has_everything_once(crew):
    crew.put(300)
    worker = crew.start(unsure=True)
    for turn in range(8):
        crew.put(50, start=300 + turn * 50)
        time.sleep(0.3)
    assert crew.all_written(120), crew.log()
    crew.judge()
    assert until(lambda: "broke before the commit" in crew.log() and "broke at the commit" in crew.log())
    crew.judge()
    assert crew.stop(worker)[0] == 0


def test_two_workers_share_the_lanes_and_give_them_up_again(real_crew):
    real_crew.put(300)
    first = real_crew.start()
    assert real_crew.all_written()
    real_crew.start()
    assert until(lambda: "claimed [0, 1]" in str(real_crew.ask("SELECT what FROM notes")), 30), real_crew.log(0)
    for turn in range(5):
        real_crew.put(200, start=300 + turn * 200)
        time.sleep(0.2)
    assert real_crew.all_written(), real_crew.log()
    assert len(real_crew.holders()) == 2
    assert real_crew.stop(first)[0] == 0
    real_crew.put(300, start=2_000)
    assert real_crew.all_written(), real_crew.log()
    real_crew.judge()


def test_a_worker_that_was_suspended_and_comes_back_writes_nothing_that_another_wrote(real_crew):
    real_crew.put(300)
    zombie = real_crew.start()
    assert real_crew.all_written()
    real_crew.start()
    assert until(lambda: "claimed [2, 3]" in str(real_crew.ask("SELECT what FROM notes")), 30)
    for turn in range(2):
        real_crew.put(500, start=1_000 * (turn + 1))
        zombie.send_signal(signal.SIGSTOP)
        time.sleep(5)  # longer than its session: the other one has its lanes now
        real_crew.put(500, start=1_000 * (turn + 1) + 500)
        zombie.send_signal(signal.SIGCONT)
        time.sleep(1)
    assert real_crew.all_written(), real_crew.log()
    real_crew.judge()
    assert zombie.poll() is None


def test_sigterm_ends_a_worker_within_ten_seconds_while_the_broker_is_away(embedded_crew):
    embedded_crew.put(100)
    worker = embedded_crew.start()
    assert embedded_crew.all_written()
    embedded_crew.kafka.embedded.down()
    time.sleep(2)
    code, took = embedded_crew.stop(worker, 20)
    assert took < 11.5
    assert code in {0, 143}


def test_sigterm_ends_a_worker_within_ten_seconds_while_its_event_loop_hangs(crew):
    crew.put(100)
    worker = crew.start(block=True)
    assert until(lambda: crew.ask("SELECT 1 FROM notes WHERE what = 'hanging'"))
    code, took = crew.stop(worker, 20)
    assert (code, took < 11.5) == (143, True)


def test_the_watchdog_ends_a_worker_whose_event_loop_hangs(crew):
    crew.put(100)
    assert crew.start(block=True, limits={"loop": 3}).wait(30) == 70
    assert "the event loop is blocked" in crew.log()


def test_a_worker_waits_for_a_broker_that_is_not_there_yet(embedded_crew):
    embedded_crew.put(100)
    embedded_crew.kafka.embedded.down()
    worker = embedded_crew.start()
    assert until(lambda: "Kafka cannot be reached" in embedded_crew.log(), 20)
    time.sleep(1)
    assert worker.poll() is None
    embedded_crew.kafka.embedded.up()
    assert embedded_crew.all_written(), embedded_crew.log()
    embedded_crew.judge()


def test_a_worker_that_waits_for_a_broker_stops_when_told(embedded_crew):
    embedded_crew.kafka.embedded.down()
    worker = embedded_crew.start()
    assert until(lambda: "Kafka cannot be reached" in embedded_crew.log(), 20)
    code, took = embedded_crew.stop(worker, 20)
    assert took < 11.5
    assert code in {0, 143}


def test_a_broker_that_goes_away_and_comes_back_costs_nothing_and_the_clock_stands_still_meanwhile(embedded_crew):
    def clock():
        return min(at or 0 for (at,) in embedded_crew.ask("SELECT read_until FROM lanes"))

    embedded_crew.put(200)
    worker = embedded_crew.start()
    assert embedded_crew.all_written()
    assert until(lambda: clock() > time.time() * 1000 - 4_000, 10)
    embedded_crew.kafka.embedded.down()
    time.sleep(1.5)
    stood = clock()
    time.sleep(4)
    assert clock() == stood
    embedded_crew.kafka.embedded.up()
    embedded_crew.put(200, start=200)
    assert embedded_crew.all_written(), embedded_crew.log()
    assert until(lambda: clock() > stood + 5_000, 10)
    embedded_crew.judge()
    assert worker.poll() is None


def test_what_a_transaction_took_back_never_comes_in(real_crew):
    real_crew.put(50)
    producer = Producer(
        {"bootstrap.servers": real_crew.kafka.bootstrap, "transactional.id": real_crew.kafka.name("tx")}
    )
    producer.init_transactions(20)
    for _ in range(4):
        producer.begin_transaction()
        for partition in range(LANES):
            producer.produce(real_crew.topics[0], b"taken back", key=b"acme", partition=partition)
        producer.flush(20)
        producer.abort_transaction(20)
    real_crew.put(50, start=50)
    assert real_crew.start(history=True).wait(60) == 0
    real_crew.judge()


def test_a_lane_halts_where_retention_overtook_it_and_the_others_go_on(real_crew):
    real_crew.put(400)
    worker = real_crew.start()
    assert real_crew.all_written()
    real_crew.stop(worker)
    written = real_crew.count()
    real_crew.put(400, start=400)
    topic = real_crew.topics[1]
    [(stands,)] = real_crew.ask("SELECT next FROM offsets WHERE topic = ? AND partition = 2", topic)
    admin = AdminClient({"bootstrap.servers": real_crew.kafka.bootstrap})
    for done in admin.delete_records([TopicPartition(topic, 2, stands + 5)]).values():
        done.result(20)
    real_crew.start()
    assert until(lambda: "retention overtook the store" in real_crew.log(), 30)
    assert f"ringfirst offsets skip {topic} 2" in real_crew.log()
    assert until(lambda: real_crew.count() > written)
    time.sleep(1)
    assert real_crew.ask("SELECT DISTINCT lane FROM log WHERE seq > ? ORDER BY lane", written) == [(0,), (1,), (3,)]


def test_a_lane_halts_where_the_log_is_shorter_than_what_the_store_has_read(crew):
    crew.put(100)
    worker = crew.start()
    assert crew.all_written()
    crew.stop(worker)
    with closing(sqlite3.connect(crew.store)) as db, db:
        db.execute("UPDATE offsets SET next = next + 1000 WHERE partition = 1")
    crew.start()
    assert until(lambda: "the log shrank or is another one" in crew.log(), 30)


def test_topics_that_do_not_fit_the_lanes_are_reported_and_nothing_is_claimed(crew):
    crew.topics[0] = crew.kafka.topic("other", LANES + 1)
    crew.put(20)
    crew.start()
    assert until(lambda: f"{crew.topics[0]} has {LANES + 1} partitions" in crew.log(), 30)
    assert crew.ask("SELECT * FROM lanes") == []
