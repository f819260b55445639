"""The embedded broker: librdkafka's mock cluster out of the confluent-kafka wheel, in a process of its own.

It speaks Kafka's protocol and keeps everything in memory: enough for a demo and for tests, and for nothing else. A
mistake in it ends its process, so it never lives in ours. It can be told to misbehave.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.errors import StreamError

KEPT_BYTES = 5 * 1024 * 1024
KEPT_BATCHES = 100_000
"""What a partition holds; beyond it the oldest batches go without a word (``check_kept`` finds out)."""
MARK = "mockCluster"
"""How its cluster id begins."""

_PRODUCER = 0
_ALL = -1


class EmbeddedBroker:
    """A running embedded broker; it ends with ``close``, and with the process that started it.

    ``nodes`` brokers make the cluster. Raises ``StreamError`` when it does not start, and by every method once its
    process is gone.
    """

    def __init__(self, nodes: int = 1) -> None:
        root = str(Path(__file__).resolve().parent.parent)
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(  # noqa: S603 - our own module in our own interpreter
            [sys.executable, "-P", "-m", "streams.embedded", str(nodes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C is for us; its standard input tells it when we are gone
        )
        self.bootstrap: str = self._answer()
        """``host:port`` for clients."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def close(self) -> None:
        """End it; everything it held is gone."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not sent yet cannot be, when it is gone
                    pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def check(self) -> None:
        """Raise ``StreamError`` when its process is gone."""
        if self._process.poll() is not None:
            raise StreamError(self._gone())

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic. It has no such request on the wire; one made by asking for it has 4 partitions."""
        self._ask("create_topic", name, partitions)

    def down(self, node: int = _ALL) -> None:
        """Take a node (or all) away: its connections break, and new ones are refused."""
        self._ask("down", node)

    def up(self, node: int = _ALL) -> None:
        """Bring it back, with what it had."""
        self._ask("up", node)

    def round_trip(self, milliseconds: int, node: int = _ALL) -> None:
        """Let each answer take so long."""
        self._ask("round_trip", node, milliseconds)

    def fail(self, api: int, codes: Sequence[int]) -> None:
        """Answer the next requests of this kind (0 produce, 1 fetch, ...) with these error codes; 0 is none."""
        self._ask("fail", api, list(codes))

    def lead(self, topic: str, partition: int, node: int) -> None:
        """Make a node the leader of a partition."""
        self._ask("lead", topic, partition, node)

    def _ask(self, *words: object) -> None:
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(words).encode() + b"\n")
                self._process.stdin.flush()
        except (OSError, ValueError) as err:
            raise StreamError(self._gone()) from err
        code = int(self._answer())
        if code:
            raise StreamError(f"embedded broker: it refused {words[0]}; found error {code}; see Kafka's error codes")

    def _answer(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout is not None else b""
        if not line:
            raise StreamError(self._gone())
        return line.decode().strip()

    def _gone(self) -> str:
        self.close()
        code = self._process.returncode
        return f"embedded broker: its process is gone; found exit code {code}; start it anew and publish again"


def is_embedded(cluster_id: str | None) -> bool:
    """Is this cluster an embedded broker?

    >>> is_embedded("mockCluster7f1c"), is_embedded("AGLoGpnHq4BXSnBCz0Lx7w")
    (True, False)
    """
    return cluster_id is not None and cluster_id.startswith(MARK)


def check_kept(earliest: Mapping[tuple[str, int], int]) -> None:
    """Raise ``StreamError`` when an embedded broker has dropped records: each (topic, partition) must begin at 0."""
    overrun = sorted(place for place, offset in earliest.items() if offset > 0)
    if overrun:
        topic, partition = overrun[0]
        raise StreamError(
            f"embedded broker: it dropped the oldest records; found {topic} partition {partition} beginning at "
            f"{earliest[overrun[0]]} ({len(overrun)} of {len(earliest)} partitions have lost some); a partition holds "
            f"{KEPT_BYTES // 1024 // 1024} MiB: publish less at a time, or set RINGFIRST_KAFKA to a real broker"
        )


def serve(nodes: int) -> None:
    """Be the broker: say ``host:port``, then do what each line asks for, and end when no more can come."""
    import confluent_kafka.cimpl  # noqa: PLC0415 - in this process only

    library = ctypes.CDLL(confluent_kafka.cimpl.__file__)  # librdkafka's symbols are found through the one linked to it
    cluster = _cluster(library, nodes)
    deeds = _deeds(library, cluster)
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    print(library.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)  # noqa: T201 - the answer
    for line in sys.stdin:
        word, *rest = json.loads(line)
        print(deeds[word](*rest), flush=True)  # noqa: T201 - the answer
    os._exit(0)  # an orderly end may wait for clients


def _cluster(library: ctypes.CDLL, nodes: int) -> ctypes.c_void_p:
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    said = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(library.rd_kafka_conf_new())
    handle = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, conf, said, ctypes.c_size_t(len(said))))
    if handle.value is None:
        sys.exit(f"embedded broker: librdkafka cannot make a cluster; it said: {said.value.decode()}")
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(handle, nodes))
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
    return cluster


def _deeds(library: ctypes.CDLL, cluster: ctypes.c_void_p) -> dict[str, Callable[..., int]]:
    def fail(api: int, codes: list[int]) -> int:
        errors = (ctypes.c_int * len(codes))(*codes)
        library.rd_kafka_mock_push_request_errors_array(
            cluster, ctypes.c_int16(api), ctypes.c_size_t(len(codes)), errors
        )
        return 0

    def asked(name: str, *words: Any) -> int:
        found = [word.encode() if isinstance(word, str) else word for word in words]
        return int(getattr(library, f"rd_kafka_mock_{name}")(cluster, *found))

    return {
        "create_topic": lambda name, partitions: asked("topic_create", name, partitions, 1),
        "down": lambda node: asked("broker_set_down", node),
        "up": lambda node: asked("broker_set_up", node),
        "round_trip": lambda node, milliseconds: asked("broker_set_rtt", node, milliseconds),
        "lead": lambda topic, partition, node: asked("partition_set_leader", topic, partition, node),
        "fail": fail,
    }


if __name__ == "__main__":
    serve(int(sys.argv[1]))
