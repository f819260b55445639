"""The pages of a worker: alive, ready and why not, metrics with bounded labels; also while its loop is blocked."""

import asyncio
import contextlib
import json
import re
import threading
import time
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.errors import StoreError, UsageError
from engine.instants import HOUR, MINUTE, SECOND
from engine.store import LetterCount
from engine.stores import open_store
from ringfirst.intake import now
from ringfirst.oncall.herald import Herald, Portrait, Stock
from ringfirst.oncall.metrics import RESULTS
from ringfirst.oncall.pages import Place, pages_of
from streams.app import Eyes
from streams.batch import Partition, Range
from streams.watchdog import Limits, Watchdog
from tests.streams.crew import until
from tests.streams.test_agent import TOPICS, Handler, given_app, loop_of

USAGE = Partition("usage", 0)


class Desk:
    """A worker that never meets a broker, and its pages."""

    def __init__(self, folder, *, turn_seconds=30.0, **place):
        self.app = given_app(folder, Handler(), lanes=(0, 1))
        self.tally = self.app.work.tally
        self.store = open_store(f"sqlite:///{folder / 'desk.db'}")
        self.portrait = Portrait(self.tally, "crew")
        self.portrait.held = self.app.work.held
        self.herald = Herald(self.store, "desk:1:x", self.portrait.draw, every_seconds=0.05, stock_seconds=0.05)
        self.clocks = {0: now() - 2_000, 1: 5_000, 7: 1}
        self.stack = contextlib.ExitStack()
        at = Place("127.0.0.1", 0, **place)
        listener = self.stack.enter_context(at.listening())
        self.pages = pages_of(
            self.app,
            self.tally,
            self.herald,
            self.portrait,
            clocks=lambda: self.clocks,
            place=at,
            listener=listener,
            turn_seconds=turn_seconds,
        )
        self.pages.start()
        self.at_work()

    def at_work(self):
        """As a worker is that works."""
        self.app.turned_at = time.monotonic()
        self.herald.wrote = time.monotonic()
        self.herald.probed = self.herald.wrote, None
        self.tally.well("kafka")
        self.tally.well("store")

    def ask(self, path, **headers):
        request = urllib.request.Request(self.pages.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as err:
            return err.code, err.read().decode()

    def checks(self):
        status, body = self.ask("/readyz")
        told = json.loads(body)
        assert told["ready"] == (status == 200)
        return {name: one["found"] for name, one in told["checks"].items() if not one["ok"]}

    def metrics(self):
        status, text = self.ask("/metrics")
        assert status == 200
        return {
            (sample.name, *(sample.labels[one] for one in sorted(sample.labels, reverse=True))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def close(self):
        self.pages.stop()
        self.pages.join(10)
        self.herald.stop()
        self.stack.close()
        self.store.close()


@pytest.fixture
def desk(tmp_path):
    made = []

    def make(**place):
        made.append(Desk(tmp_path, **place))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_worker_that_works_is_alive_and_ready(desk):
    worker = desk()
    assert worker.ask("/livez")[0] == 200
    assert worker.checks() == {}
    told = json.loads(worker.ask("/status.json")[1])
    assert (told["ready"], [one["lane"] for one in told["worker"]["lanes"]]) == (True, [0, 1])
    assert told["worker"]["health"] == worker.pages.url
    assert worker.ask("/nothing")[0] == 404


def away(worker):
    worker.herald.wrote = time.monotonic() - 21
    worker.herald.probed = time.monotonic(), "db: the database did not do it"


def silent(worker):
    worker.tally.succeeded["kafka"] = now() - 31 * SECOND


def behind(worker):
    worker.tally.began_at = now() - HOUR
    worker.tally.begun({USAGE: 0})
    worker.tally.ends({USAGE: 4}, {USAGE: now() - 3 * MINUTE})


def slow_but_moving(worker):
    behind(worker)
    worker.tally.moved(0, {USAGE: Range(0, 1)})


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        (away, "store", "written to 21.* s ago; db: the database did not do it"),
        (lambda one: setattr(one.herald, "wrote", None), "store", "not written to yet"),
        (lambda one: setattr(one.herald, "current", False), "tables", "another version changed them"),
        (silent, "kafka", "answered 31.* s ago"),
        (lambda one: one.tally.succeeded.pop("kafka"), "kafka", "has not answered yet"),
        (lambda one: one.app.work.held.put_off(1, "halted: usage[1]: x", 0), "lanes", "lane 1: halted"),
        (behind, "commits", "nothing was committed for 2 minutes in lanes 0"),
        (lambda one: setattr(one.app, "turned_at", time.monotonic() - 31), "loop", "turned 31.* s ago"),
    ],
)
def test_each_thing_that_is_wrong_is_said_and_the_others_are_not(desk, wrong, check, words):
    worker = desk()
    wrong(worker)
    found = worker.checks()
    assert list(found) == [check]
    assert re.search(words, found[check])


def test_a_group_that_is_shared_out_makes_nobody_dead(desk):
    worker = desk()
    worker.app.work.held.revoked()
    assert set(worker.checks()) == {"group", "lanes"}
    assert worker.ask("/livez")[0] == 200


def test_a_worker_for_whom_no_lane_is_left_is_ready_to_take_over(desk):
    worker = desk()
    worker.app.work.held.assigned([], 2, 0.0)
    worker.tally.succeeded.clear()
    assert worker.checks() == {}


def test_a_lane_that_moves_is_slow_and_not_stuck(desk):
    worker = desk()
    slow_but_moving(worker)
    assert worker.checks() == {}


@pytest.mark.parametrize("wrong", [away, silent, behind])
def test_liveness_never_asks_store_or_broker(desk, wrong):
    worker = desk()
    wrong(worker)
    assert worker.ask("/livez")[0] == 200


def test_a_blocked_event_loop_is_seen_from_outside_and_so_is_its_return(desk, tmp_path):
    worker = desk(turn_seconds=1.0)
    ended: list[str] = []
    with loop_of(worker.app) as loop:
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        dog = Watchdog(Eyes(worker.app, loop).signs, Limits(), end=ended.append, every=0.1)
        dog.start()
        try:
            assert until(lambda: worker.ask("/livez")[0] == 200)
            loop.call_soon_threadsafe(time.sleep, 3)
            assert until(lambda: worker.ask("/livez")[0] == 503, 3)
            assert until(lambda: worker.ask("/livez")[0] == 200, 10)
        finally:
            dog.stop()
            dog.join(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
    assert ended == []


def test_metrics_tell_what_was_counted(desk):
    worker = desk()
    tally = worker.tally
    tally.consumed.update({("usage", "new"): 5, ("usage", "dlq"): 2})
    tally.committed(0.03, 7)
    tally.latency.add_all([0.2, 400.0])
    tally.shared_out([0, 1])
    tally.begun({USAGE: 3})
    tally.ends({USAGE: 9}, {USAGE: now() - 10_000})
    tally.failed(StoreError("away"), retried="commit")
    worker.app.work.held.put_off(1, "halted: x", 0)
    worker.herald.stock = Stock(
        [LetterCount("usage", 0, 2, now() - HOUR), LetterCount("a.jsonl", None, 3, 0)], {"queued": 4}, 2_400.0
    )
    found = worker.metrics()
    expected = {
        ("ringfirst_events_consumed_total", "usage", "new"): 5,
        ("ringfirst_events_consumed_total", "usage", "dlq"): 2,
        ("ringfirst_events_consumed_total", "support", "late"): 0,
        ("ringfirst_batch_transaction_seconds_bucket", "0.025"): 0,
        ("ringfirst_batch_transaction_seconds_bucket", "0.05"): 1,
        ("ringfirst_batch_transaction_seconds_bucket", "+Inf"): 1,
        ("ringfirst_batch_transaction_seconds_sum",): 0.03,
        ("ringfirst_batch_events_bucket", "10.0"): 1,
        ("ringfirst_end_to_end_latency_seconds_bucket", "0.25"): 1,
        ("ringfirst_end_to_end_latency_seconds_count",): 2,
        ("ringfirst_rebalances_total",): 1,
        ("ringfirst_fenced_batches_total",): 0,
        ("ringfirst_db_retries_total", "commit"): 1,
        ("ringfirst_consumer_lag_records", "usage", "0"): 6,
        ("ringfirst_assigned_partitions",): 2 * len(TOPICS),
        ("ringfirst_lanes", "going"): 1,
        ("ringfirst_lanes", "halted"): 1,
        ("ringfirst_event_time_watermark_timestamp_seconds", "1"): 5,
        ("ringfirst_dlq_records", "usage"): 2,
        ("ringfirst_dlq_records", "other"): 3,
        ("ringfirst_mails", "queued"): 4,
        ("ringfirst_webhook_silent_seconds",): 2_400,
        ("ringfirst_ready",): 0,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert 10 <= found["ringfirst_consumer_lag_seconds", "usage", "0"] < 20
    assert found["ringfirst_dlq_oldest_age_seconds",] > HOUR / SECOND
    assert abs(found["ringfirst_last_error_timestamp_seconds", "store"] - time.time()) < 10
    assert ("ringfirst_event_time_watermark_timestamp_seconds", "7") not in found, "another worker's lane"
    assert {key[0] for key in found} >= {"process_resident_memory_bytes", "ringfirst_build_info"}


def test_labels_are_bounded(desk):
    worker = desk()
    worker.tally.consumed["ann@shop.example", "new"] = 1
    worker.herald.stock = Stock([LetterCount(f"file-{n}", None, 1, 0) for n in range(50)], {})
    found = worker.metrics()
    assert len([key for key in found if key[0] == "ringfirst_events_consumed_total"]) == len(TOPICS) * len(RESULTS)
    assert len([key for key in found if key[0] == "ringfirst_dlq_records"]) == len(TOPICS) + 1
    assert "ann@" not in worker.ask("/metrics")[1]


def test_what_the_store_holds_is_looked_at_beside_the_batches(desk):
    worker = desk()
    assert ("ringfirst_dlq_oldest_age_seconds",) not in worker.metrics()
    worker.herald.start()
    assert until(lambda: ("ringfirst_dlq_oldest_age_seconds",) in worker.metrics())


def test_with_a_token_only_probes_go_without(desk):
    token = "t" * 40
    worker = desk(token=token)
    assert [worker.ask(path)[0] for path in ("/livez", "/readyz")] == [200, 200]
    assert [worker.ask(path)[0] for path in ("/metrics", "/status.json")] == [401, 401]
    assert worker.ask("/metrics", Authorization=f"Bearer {token}")[0] == 200


def test_a_foreign_name_is_refused(desk):
    assert desk().ask("/metrics", Host="evil.example")[0] == 421


def test_a_port_that_is_taken_is_wrong_use(desk):
    worker = desk()
    port = int(worker.pages.url.rpartition(":")[2])
    with pytest.raises(UsageError, match="set RINGFIRST_HEALTH or --health"), Place("127.0.0.1", port).listening():
        pass


def test_the_loop_of_the_pages_is_their_own(desk):
    worker = desk()
    assert worker.pages.name == "ringfirst-pages"
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
