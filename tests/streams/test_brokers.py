"""The brokers the tests stand on: what they keep, how they misbehave when told to, and that none is left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from engine.errors import StreamError
from engine.lanes import lane_of
from streams.embedded import EmbeddedBroker, check_kept, is_embedded
from tools.kafka.broker import Broker

ACCOUNTS = [f"account-{number}" for number in range(40)]


def is_alive(pid: int) -> bool:
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(shown) and not shown.startswith("Z")


def gone(pid: int, within: float = 10) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until and is_alive(pid):
        time.sleep(0.05)
    return not is_alive(pid)


def producer(kafka, **config):
    settings = {"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True, "log_level": 0}
    return Producer(settings | {key.replace("_", "."): value for key, value in config.items()})


def test_a_broker_gives_back_what_was_published_in_order_and_on_the_account_s_lane(each_kafka):
    topic = each_kafka.topic("usage", 8)
    each_kafka.put(
        topic, *[(account, f"{account} {turn}".encode(), 1_000 + turn) for turn in range(3) for account in ACCOUNTS]
    )
    for partition, messages in each_kafka.read(topic).items():
        assert [one.offset() for one in messages] == list(range(len(messages)))
        expected = [account for account in ACCOUNTS if lane_of(account, 8) == partition]
        assert [one.value() for one in messages] == [f"{a} {turn}".encode() for turn in range(3) for a in expected]
        assert [one.timestamp()[1] for one in messages] == [1_000 + turn for turn in range(3) for _ in expected]


def test_the_two_kinds_can_be_told_apart(each_kafka):
    cluster = AdminClient({"bootstrap.servers": each_kafka.bootstrap}).list_topics(timeout=10).cluster_id
    assert is_embedded(cluster) is not each_kafka.is_real


def test_an_embedded_broker_goes_away_and_comes_back_with_what_it_had(embedded_kafka):
    topic = embedded_kafka.topic("usage", 1)
    embedded_kafka.put(topic, ("acme", b"before", 1))
    embedded_kafka.embedded.down()
    away = producer(embedded_kafka)
    away.produce(topic, b"while away")
    assert away.flush(1) == 1
    embedded_kafka.embedded.up()
    assert away.flush(20) == 0
    assert [one.value() for one in embedded_kafka.read(topic)[0]] == [b"before", b"while away"]


def test_an_embedded_broker_takes_its_time_when_told(embedded_kafka):
    topic = embedded_kafka.topic("usage", 1)
    client = producer(embedded_kafka, linger_ms=0)
    client.produce(topic, b"first")
    client.flush(10)
    embedded_kafka.embedded.round_trip(400)
    started = time.monotonic()
    client.produce(topic, b"second")
    assert client.flush(10) == 0
    assert time.monotonic() - started >= 0.4


def test_an_embedded_broker_answers_with_errors_when_told(embedded_kafka):
    topic = embedded_kafka.topic("usage", 1)
    faults = []
    embedded_kafka.embedded.fail(0, [10])  # the message is too large
    client = producer(embedded_kafka)
    for _ in range(2):
        client.produce(topic, b"x", on_delivery=lambda err, _message: faults.append(err and err.code()))
        client.flush(10)
    assert faults == [10, None]


def test_an_embedded_broker_refuses_what_it_cannot_do(embedded_kafka):
    with pytest.raises(StreamError, match="it refused lead; found error"):
        embedded_kafka.embedded.lead("no-such-topic", 0, 77)


def test_an_embedded_broker_that_is_gone_says_so():
    with EmbeddedBroker() as broker:
        os.kill(broker.pid, signal.SIGKILL)
        with pytest.raises(StreamError, match="its process is gone; found exit code -9"):
            broker.down()


def test_an_embedded_broker_ends_with_whoever_started_it():
    script = "from streams.embedded import EmbeddedBroker; import time; "
    script += "print(EmbeddedBroker().pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert is_alive(pid)
        starter.kill()
    assert gone(pid)


@pytest.mark.slow
def test_an_embedded_broker_drops_its_oldest_records_and_we_notice(embedded_kafka):
    topic = embedded_kafka.topic("usage", 1)
    client = producer(embedded_kafka, linger_ms=50)
    for _ in range(8_000):
        client.produce(topic, b"x" * 1_000)
    assert client.flush(30) == 0
    earliest = embedded_kafka.watermarks(topic)[0][0]
    assert earliest > 0
    with pytest.raises(StreamError, match=f"usage partition 0 beginning at {earliest}"):
        check_kept({("usage", 0): earliest, ("usage", 1): 0})


def test_a_broker_that_dropped_nothing_is_fine():
    check_kept({("usage", 0): 0, ("usage", 1): 0})


@pytest.mark.slow
def test_a_real_broker_that_was_killed_comes_back_with_what_it_had(real_kafka, tmp_path):
    broker = Broker(tmp_path / "kafka", quick=True)
    mine = type(real_kafka)(broker.start())
    try:
        topic = mine.topic("usage", 1)
        mine.put(topic, ("acme", b"before", 1_000))
        first = broker.pid
        broker.kill()
        assert broker.pid is None
        assert first is not None
        assert gone(first)
        assert broker.start() == mine.bootstrap
        mine.put(topic, ("acme", b"after", 2_000))
        assert [one.value() for one in mine.read(topic)[0]] == [b"before", b"after"]
    finally:
        broker.kill()


@pytest.mark.slow
def test_a_real_broker_ends_with_the_process_it_serves(real_kafka, tmp_path):
    with subprocess.Popen(["sleep", "600"]) as served:
        script = "import sys; from pathlib import Path; from tools.kafka.broker import start_beside; "
        script += "print(start_beside(Path(sys.argv[1]), int(sys.argv[2])).pid)"
        words = [sys.executable, "-c", script, str(tmp_path / "kafka"), str(served.pid)]
        pid = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        assert is_alive(pid)
        served.kill()
    assert gone(pid)


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["gzip", "lz4", "snappy", "zstd"])
def test_the_worker_s_client_reads_every_compression_a_producer_may_use(real_kafka, packing):
    import asyncio

    from aiokafka import AIOKafkaConsumer

    if packing != "gzip":
        pytest.importorskip("cramjam", reason="the environment is older than the lock; run make setup")
    topic = real_kafka.topic(packing, 1)
    values = [b"acme " * 100 + str(turn).encode() for turn in range(50)]
    real_kafka.put(topic, *[("acme", value, 1_000) for value in values], compression_type=packing, linger_ms=50)

    async def read():
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=real_kafka.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in values]
        finally:
            await consumer.stop()

    assert asyncio.run(read()) == values
