"""Kafka for the tests: the best broker present, and which one that is.

``RINGFIRST_TEST_KAFKA`` chooses: ``real`` (fail where it cannot be had), ``embedded``, or ``host:port`` of one that
runs already. Without it: Apache Kafka where Java and Maven are, else the embedded broker.

Ask for one of the fixtures in ``conftest.py``:

- ``kafka``: the best one present; the test counts as slow, since a real one takes some seconds to start;
- ``each_kafka``: the test runs twice, on the embedded broker and (slow) on a real one;
- ``embedded_kafka``: one of the test's own, which can be told to misbehave (``kafka.embedded``).

A real broker is shared by all tests and test workers of a run: give topics and groups the names that ``kafka.name``
makes. Whoever kills a broker starts one of its own (``tools.kafka.broker.Broker(tmp_path)``).
"""

import fcntl
import os
import shutil
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.embedded import EmbeddedBroker
from tools.kafka.broker import VERSION, Broker, Unavailable, start_beside

_CHOICE = "RINGFIRST_TEST_KAFKA"
_ASKED = os.environ.get(_CHOICE, "")  # now: tests of commands begin with an environment that is swept
_tests = count(1)


class Kafka:
    """A broker as one test sees it. ``embedded`` is its process if it is embedded, to make it misbehave."""

    def __init__(self, bootstrap: str, embedded: EmbeddedBroker | None = None) -> None:
        self.bootstrap = bootstrap
        self.embedded = embedded
        self._prefix = f"t{os.getpid()}-{next(_tests)}-"

    @property
    def is_real(self) -> bool:
        return self.embedded is None

    def name(self, word: str) -> str:
        """A name for a topic or a group that no other test has."""
        return self._prefix + word

    def topic(self, word: str, partitions: int = 4, **config: str) -> str:
        """Make a topic of this test's own; returns its name."""
        name = self.name(word)
        if self.embedded is not None:
            self.embedded.create_topic(name, partitions)
            return name
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        dotted = {key.replace("_", "."): value for key, value in config.items()}
        for made in admin.create_topics([NewTopic(name, partitions, 1, config=dotted)]).values():
            made.result(30)
        until = time.monotonic() + 30
        while time.monotonic() < until:  # a topic that was made is not known at once
            found = admin.list_topics(name, timeout=10).topics[name].partitions
            if len(found) == partitions and all(one.leader >= 0 for one in found.values()):
                return name
            time.sleep(0.05)
        raise AssertionError(f"{name}: made, and not there after 30 s")

    def put(self, topic: str, *records: tuple[str | None, bytes, int], **config: Any) -> None:
        """Publish (key, value, timestamp) and wait until the broker has them."""
        settings = {"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True}
        producer = Producer(settings | {key.replace("_", "."): value for key, value in config.items()})
        faults: list[object] = []

        def tell(err: object, _message: object) -> None:
            if err is not None:
                faults.append(err)

        for key, value, timestamp in records:
            producer.produce(topic, value, key=key, timestamp=timestamp, on_delivery=tell)
        assert producer.flush(30) == 0
        assert faults == []

    def watermarks(self, topic: str) -> dict[int, tuple[int, int]]:
        """The first offset kept, and the next one to come, by partition."""
        client = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.name("asker")})
        try:
            partitions = sorted(client.list_topics(topic, timeout=10).topics[topic].partitions)
            places = [TopicPartition(topic, partition) for partition in partitions]
            return {place.partition: client.get_watermark_offsets(place, timeout=10) for place in places}
        finally:
            client.close()

    def read(self, topic: str) -> dict[int, list[Message]]:
        """Everything in a topic: by partition, in order."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": self.name("reader"), "enable.auto.commit": False}
        )
        try:
            found: dict[int, list[Message]] = {}
            for partition, (low, high) in self.watermarks(topic).items():
                consumer.assign([TopicPartition(topic, partition, low)])
                found[partition] = []
                while len(found[partition]) < high - low:
                    found[partition] += consumer.consume(high - low - len(found[partition]), timeout=10)
            return found
        finally:
            consumer.close()


def chosen() -> str:
    """``real``, ``embedded``, or the ``host:port`` that somebody set."""
    if _ASKED:
        return _ASKED
    return "real" if shutil.which("java") and shutil.which("mvn") else "embedded"


def told() -> str:
    """One line for the head of a test run."""
    words = {
        "real": f"Apache Kafka {VERSION} from Maven",
        "embedded": "the embedded broker only; Java 17 and Maven would give a real one",
    }
    return f"kafka: {words.get(chosen(), chosen())}"


def real_bootstrap(factory: pytest.TempPathFactory) -> str:
    """``host:port`` of the run's real broker, started by whoever comes first. Skips or fails where there is none."""
    choice = chosen()
    if choice == "embedded":
        pytest.skip("there is no real Kafka here; install Java 17 and Maven to run this")
    if choice != "real":
        return choice
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    owner = os.getppid() if run else os.getpid()  # a test worker's parent is the run itself
    folder = Path(tempfile.gettempdir()) / f"ringfirst-kafka-{run or owner}"
    with (factory.getbasetemp().parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        broker = Broker(folder)
        if broker.pid is None:
            try:
                broker = start_beside(folder, owner)
            except Unavailable as err:
                pytest.fail(f"{err}\n{_CHOICE}=embedded does without", pytrace=False)
        return broker.bootstrap
