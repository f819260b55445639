"""What an event costs on its way from Kafka to a handler that does nothing: the readers of ``bench.streams``.

The batch transport beside stock Faust, aiokafka and confluent-kafka, on one broker; each in a process of its own,
whose CPU is counted from its first records to its last.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LANES = 8
WORDS = ("lifecycle", "support", "usage")


class Meter:
    """CPU and time from the first records to the last; ends the process when all are there."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._seen = self._from = 0
        self._began: tuple[float, float] | None = None
        self._half = 0.0

    def count(self, records: int) -> None:
        """So many more are there."""
        self._seen += records
        if self._began is None:
            self._began, self._from = (time.process_time(), time.perf_counter()), self._seen
        elif not self._half and self._seen >= self._events // 2:
            self._half = resident(os.getpid())
        elif self._seen >= self._events:
            cpu, wall = time.process_time() - self._began[0], time.perf_counter() - self._began[1]
            told = {"events": self._seen - self._from, "cpu": cpu, "wall": wall}
            told |= {"half": self._half, "end": resident(os.getpid())}
            os.write(1, json.dumps(told).encode())  # Faust has put a logger in the place of standard output
            os._exit(0)


def resident(pid: int) -> float:
    """MiB that a process holds now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


class Counting:  # the contract documents the methods
    """A handler that does nothing but count."""

    threaded = False

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def claim(self, lanes: Sequence[int], topics: Sequence[str]) -> Mapping[int, Any]:  # noqa: D102
        from streams.batch import Claimed, Partition

        return {lane: Claimed(1, {Partition(topic, lane): None for topic in topics}) for lane in lanes}

    def commit(self, batches: Sequence[Any]) -> None:  # noqa: D102
        self._meter.count(sum(len(batch.records) for batch in batches))

    def drop(self, lanes: Sequence[int]) -> None:  # noqa: D102
        pass


def batches(told: dict[str, Any], meter: Meter) -> None:
    """The batch transport, live."""
    from streams.app import Listening, make_app, run
    from streams.settings import KafkaSettings, Topics

    group = f"{told['topics'][0]}-batches"
    topics = dict(zip(WORDS, told["topics"], strict=True))
    with tempfile.TemporaryDirectory() as folder:
        listening = Listening(
            kafka=KafkaSettings(servers=(told["kafka"],), group=group, topics=Topics(**topics)),
            lanes=LANES,
            folder=Path(folder),
        )
        run(make_app(listening, Counting(meter)), loglevel="WARNING")


def _plain_app(told: dict[str, Any], group: str, folder: str) -> Any:
    """Faust as it comes, reading from the beginning."""
    import faust

    return faust.App(
        f"{told['topics'][0]}-{group}",
        broker=f"kafka://{told['kafka']}",
        datadir=folder,
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        value_serializer="raw",
    )


def stock(told: dict[str, Any], meter: Meter) -> None:
    """Faust as it comes: an agent that takes one event after another."""
    import faust

    with tempfile.TemporaryDirectory() as folder:
        app = _plain_app(told, "stock", folder)

        @app.agent(app.topic(*told["topics"], value_serializer="raw"))
        async def one_by_one(stream: Any) -> None:
            async for _event in stream:
                meter.count(1)

        faust.Worker(app, loglevel="WARNING", quiet=True).execute_from_commandline()


def client(told: dict[str, Any], meter: Meter) -> None:
    """The client that Faust stands on, alone."""
    from aiokafka import AIOKafkaConsumer

    async def read() -> None:
        group = f"{told['topics'][0]}-client"
        consumer = AIOKafkaConsumer(
            *told["topics"], bootstrap_servers=told["kafka"], group_id=group, auto_offset_reset="earliest"
        )
        await consumer.start()
        while True:
            for records in (await consumer.getmany(timeout_ms=200, max_records=2_000)).values():
                meter.count(len(records))

    asyncio.run(read())


def librdkafka(told: dict[str, Any], meter: Meter) -> None:
    """The client that is written in C."""
    from confluent_kafka import Consumer

    group = f"{told['topics'][0]}-librdkafka"
    settings = {"bootstrap.servers": told["kafka"], "group.id": group, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe(told["topics"])
    while True:
        if records := consumer.consume(2_000, timeout=0.2):
            meter.count(len(records))


def taken(told: dict[str, Any], meter: Meter) -> None:
    """Stock Faust in bundles, with the same handler over the same store and rules as a worker has."""
    import faust

    from bench.workers import writer_of

    handler, known, lanes = writer_of(told["kafka"], told["url"]), dict[int, int](), range(LANES)
    with tempfile.TemporaryDirectory() as folder:
        app = _plain_app(told, "taken", folder)

        @app.agent(app.topic(*told["topics"], value_serializer="raw"))
        async def in_bundles(stream: Any) -> None:
            async for events in stream.noack_take(500, within=0.1):
                if not known:
                    claims = handler.claim(lanes, told["topics"])
                    known.update({lane: claim.epoch for lane, claim in claims.items()})
                handler.commit(_by_lane(events, known))
                for event in events:
                    event.ack()
                meter.count(len(events))

        faust.Worker(app, loglevel="WARNING", quiet=True).execute_from_commandline()


class _Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[()] = ()


def _by_lane(events: Sequence[Any], epochs: Mapping[int, int]) -> list[Any]:
    """What a bundle holds of each lane, as a worker would get it."""
    from streams.batch import LaneBatch, Partition, Range

    records: dict[int, list[_Record]] = {}
    ranges: dict[int, dict[Partition, Range]] = {}
    for event in events:
        one = event.message
        record = _Record(one.topic, one.partition, one.offset, int(one.timestamp * 1000), one.key, one.value)
        records.setdefault(one.partition, []).append(record)
        moved, place = ranges.setdefault(one.partition, {}), Partition(one.topic, one.partition)
        moved[place] = Range(moved[place].start if place in moved else one.offset, one.offset + 1)
    return [LaneBatch(lane, epochs[lane], 1, found, ranges[lane]) for lane, found in records.items()]


KINDS: dict[str, Callable[[dict[str, Any], Meter], None]] = {
    "batches": batches,
    "stock": stock,
    "client": client,
    "librdkafka": librdkafka,
    "taken": taken,
}


def alone(kind: str, told: dict[str, Any]) -> dict[str, float]:
    """One reader in a process of its own; its CPU in microseconds an event, and its rate."""
    words = [sys.executable, "-m", "bench.kafka", kind, json.dumps(told)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    answers = re.findall(r'\{"events".*\}', done.stdout)
    if done.returncode or not answers:
        raise SystemExit(f"{kind}: ended with {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    found = json.loads(answers[-1])
    each, rate = found["cpu"] / found["events"] * 1e6, found["events"] / found["wall"]
    return {"us": each, "rate": rate, "half": found["half"], "end": found["end"]}


def topics_made(kafka: str, name: str) -> list[str]:
    """Three topics whose records stay, and no two runs share one."""
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    topics = [f"{name}-{word}" for word in WORDS]
    admin = AdminClient({"bootstrap.servers": kafka})
    new = [NewTopic(topic, LANES, 1, config={"retention.ms": "-1"}) for topic in topics]
    for made in admin.create_topics(new).values():
        made.result(30)
    return topics


def producer_of(kafka: str) -> Any:
    """A producer that keeps the order and puts keys where Kafka's own would."""
    from confluent_kafka import Producer

    return Producer(
        {
            "bootstrap.servers": kafka,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
            "linger.ms": 20,
        }
    )


def filled(kafka: str, name: str, events: int) -> list[str]:
    """Three topics with so many events of 139 bytes in all, published one topic after the other."""
    topics, producer = topics_made(kafka, name), producer_of(kafka)
    base = int(time.time() * 1000) - 3_000_000
    for number, topic in enumerate(topics):
        for turn in range(events // len(topics)):
            value = json.dumps({"id": f"{number}-{turn:08d}", "account_id": f"account-{turn % 997:05d}", "type": "x"})
            producer.produce(topic, value.ljust(139).encode(), key=f"{turn % 997}", timestamp=base + turn * 3 + number)
            if turn % 10_000 == 0:
                producer.poll(0)
        producer.flush(300)
    return topics


def started() -> str:
    """A broker that lives as long as this process."""
    from tools.kafka.broker import start_beside

    return start_beside(Path(tempfile.mkdtemp(prefix="ringfirst-bench-")) / "kafka", os.getpid()).bootstrap


if __name__ == "__main__":
    TOLD = json.loads(sys.argv[2])
    KINDS[sys.argv[1]](TOLD, Meter(TOLD["events"]))
