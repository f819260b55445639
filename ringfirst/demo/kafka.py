"""The demo's events the way of production: over the topics of an embedded broker into a worker beside us."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.errors import StreamError
from engine.store import Store
from ringfirst.intake import Tell, now
from ringfirst.settings import PREFIX
from streams.admin import opened
from streams.embedded import EmbeddedBroker
from streams.files import EventFiles, Progress
from streams.publish import Published, publish
from streams.settings import KafkaSettings
from streams.topics import wanted

LOOK_SECONDS = 0.2
STILL_SECONDS = 120.0
"""A worker that takes nothing in for so long has met something that it waits for, and its log says what."""
END_SECONDS = 3.0
"""A worker that has lost its broker takes longer to end; nobody needs it any more, and to kill it is safe."""
_SAID = 5  # lines of the worker's log that a message carries


class WorkerBeside:
    """A ``ringfirst worker --history`` in a process of its own that ends with ours; what it says goes into ``log``.

    It gets ready at once, and begins with ``go``.
    """

    def __init__(self, folder: Path, store_url: str, log: Path) -> None:
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        words = ["worker", "--history", "--rules", str(folder), "--store", store_url]
        self._log = log
        self._works = False
        with log.open("wb") as said:
            self._process = subprocess.Popen(  # noqa: S603 - our own module in our own interpreter
                [sys.executable, "-P", "-m", "ringfirst.demo.beside", *words],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                env={**kept, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # Ctrl-C is for us; its standard input tells it when we are gone
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def go(self, servers: str) -> None:
        """Begin, on this broker. Raises ``StreamError`` when it is gone."""
        self._works = True
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(f"{servers}\n".encode())
                self._process.stdin.flush()
        except OSError as err:
            raise StreamError(self._ended(self._process.wait(END_SECONDS))) from err

    def is_through(self) -> bool:
        """Has it taken everything in, and ended? Raises ``StreamError`` when it ended otherwise."""
        code = self._process.poll()
        if code:
            raise StreamError(self._ended(code))
        return code == 0

    def stuck(self) -> StreamError:
        """What to raise when it goes on for ever."""
        return StreamError(f"{self._log}: the worker took nothing in for {STILL_SECONDS:.0f} seconds; {self._last()}")

    def close(self) -> None:
        """End it, gently at first when it has begun."""
        if not self._works:
            self._process.kill()
        if self._process.stdin is not None:
            with suppress(OSError):  # what was not sent yet cannot be, when it is gone
                self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ended(self, code: int) -> str:
        return f"{self._log}: the worker ended before its time, with code {code}; {self._last()}"

    def _last(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_SAID:]
        return "\n  ".join(["it said last:", *lines]) if lines else "it said nothing"


def publish_events(
    path: Path,
    broker: EmbeddedBroker,
    lanes: int,
    *,
    progress: Progress,
    stop: Callable[[], bool],
) -> tuple[str, Published]:
    """Make the topics on a new embedded broker, and publish a file to them; gives the cluster's id, and what became.

    Raises ``StreamError``.
    """
    kafka = KafkaSettings(servers=(broker.bootstrap,))
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters of it is raised, and said in our words
    for topic in wanted(kafka.topics, lanes):
        broker.create_topic(topic.name, topic.partitions or lanes)
    with opened(kafka) as admin, EventFiles([str(path)]) as files:
        return admin.cluster_id, publish(files, admin, kafka, at=now(), progress=progress, stop=stop)


def watch(
    worker: WorkerBeside,
    broker: EmbeddedBroker,
    store: Store,
    source: str,
    *,
    tell: Tell,
    stop: Callable[[], bool],
) -> None:
    """Wait until a worker is through, telling how many records it has taken in, or until ``stop`` says so.

    Raises ``StreamError`` when it, or the broker, ends before its time, and when it goes on for ever.
    """
    taken, since = 0, time.monotonic()
    while not worker.is_through() and not stop():
        broker.check()
        found = sum(store.offsets(source).values())
        if found != taken:
            taken, since = found, time.monotonic()
            tell(taken)
        elif time.monotonic() - since > STILL_SECONDS:
            raise worker.stuck()
        time.sleep(LOOK_SECONDS)
