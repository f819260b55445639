"""Workers with real work, each in a process of its own: 25 rules, deduplication, log, decisions, offsets, one store.

What they cost is read from outside; where it goes they say themselves when they are told to stop.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

from bench.alone import family_cpu
from bench.kafka import LANES, ROOT, WORDS, producer_of, resident, topics_made
from bench.workload import Workload

QUIET_SECONDS = 6
LIFECYCLE = ("account", "contract", "meeting", "user")


# -- in the worker's process -------------------------------------------------------------------------------------------
def writer_of(kafka: str, url: str) -> Any:
    """What a worker writes with, for a reader that is none of ours."""
    from bench.books import rules25
    from engine.stores import open_store
    from ringfirst.intake import now
    from streams.writer import LaneWriter

    gives_way: Callable[[str], bool] = lambda _: True  # noqa: E731
    return LaneWriter(open_store(url), rules25(), "bench", source=kafka, now=now, gives_way=gives_way)


class Parts:
    """Where the time of the writing thread goes, and how long records wait until they are committed."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}
        self.waits: list[int] = []
        self.records = 0

    def of(self, owner: Any, method: str, name: str) -> None:
        """Count the CPU of a method under a name."""
        inner = getattr(owner, method)

        def timed(*args: Any, **more: Any) -> Any:
            began = time.thread_time()
            try:
                return inner(*args, **more)
            finally:
                self.cpu[name] = self.cpu.get(name, 0.0) + time.thread_time() - began

        setattr(owner, method, timed)

    def watch(self) -> None:
        """Measure every worker of this process from now on."""
        from engine.assigned import AssignedKeeper
        from engine.stores.sql import SqlStore
        from streams.writer import LaneWriter

        self.of(LaneWriter, "_part", "decode")
        self.of(AssignedKeeper, "_known_of", "which ids are known")
        self.of(AssignedKeeper, "_take_part", "fold, look, decide")
        self.of(SqlStore, "commit", "write and commit")
        self.of(LaneWriter, "commit", "all of it")
        commit = LaneWriter.commit

        def committed(writer: Any, batches: Sequence[Any]) -> None:
            commit(writer, batches)
            at = time.time_ns() // 1_000_000
            for batch in batches:
                self.records += len(batch.records)
                self.waits += [at - record.timestamp for record in batch.records]

        setattr(LaneWriter, "commit", committed)  # noqa: B010

    def answer(self) -> dict[str, Any]:
        """What there is to tell, in microseconds of a record and in milliseconds."""
        each = {name: spent / max(1, self.records) * 1e6 for name, spent in self.cpu.items()}
        waits = statistics.quantiles(self.waits, n=100) if len(self.waits) > 1 else []
        return {"parts": each, "p50": waits[49] if waits else 0, "p99": waits[98] if waits else 0}


def work(told: dict[str, Any]) -> None:
    """Be a worker; the answer goes into a file, since it may end at once."""
    from bench.books import rules25
    from engine.stores import open_store
    from ringfirst import worker
    from streams.settings import KafkaSettings, Topics

    parts = Parts()
    parts.watch()

    def tell() -> None:
        while not Path(told["ask"]).exists():
            time.sleep(0.1)
        threads = {one.name: _thread_cpu(one) for one in threading.enumerate()}
        half = Path(told["answer"]).with_suffix(".half")
        half.write_text(json.dumps({**parts.answer(), "threads": threads}))
        half.rename(told["answer"])

    threading.Thread(target=tell, daemon=True).start()
    topics = Topics(**dict(zip(WORDS, told["topics"], strict=True)), decisions=told["topics"][0] + "-decisions")
    kafka = KafkaSettings(servers=(told["kafka"],), group=told["group"], topics=topics)
    sys.exit(worker.work(closing(open_store(told["url"])), rules25(), kafka, history=False))


def _now() -> int:
    return time.time_ns() // 1_000_000


def _thread_cpu(thread: threading.Thread) -> float:
    with suppress(OSError):
        return time.clock_gettime(time.pthread_getcpuclockid(thread.ident or 0))
    return 0.0


# -- outside of it -----------------------------------------------------------------------------------------------------
class Crew:
    """Some workers over one store; a context manager."""

    def __init__(self, kafka: str, topics: Sequence[str], url: str, folder: Path, count: int = 1) -> None:
        from engine.stores import open_store

        self._folder = folder
        self._store = open_store(url, lanes=LANES)
        self._held = self._store.claim(range(LANES), "bench", at=_now(), lease_seconds=3_600)
        told = {"kafka": kafka, "topics": topics, "url": url, "group": f"{topics[0]}-{os.urandom(3).hex()}"}
        self._told = [
            {**told, "ask": f"{folder}/ask", "answer": f"{folder}/answer-{number}.json"} for number in range(count)
        ]
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for told in self._told:
            log = (self._folder / "workers.log").open("ab")
            words = [sys.executable, "-m", "bench.workers", json.dumps(told)]
            self._workers.append(subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log))
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self._workers:
            worker.wait(30)
        self._store.close()

    @property
    def read(self) -> int:
        """How many records the store has."""
        return sum(self._store.offsets().values())

    @property
    def cpu(self) -> float:
        """CPU seconds of all of them so far."""
        return sum(family_cpu(worker.pid) for worker in self._workers)

    @property
    def resident(self) -> float:
        """MiB that the first of them holds now."""
        return resident(self._workers[0].pid)

    def until(self, records: int, seconds: float = 1_800) -> None:
        """Wait until so many records are read."""
        end = time.monotonic() + seconds
        while self.read < records:
            if time.monotonic() > end or any(worker.poll() is not None for worker in self._workers):
                raise SystemExit(
                    f"workers: {self.read} of {records}\n{(self._folder / 'workers.log').read_text()[-3000:]}"
                )
            time.sleep(0.1)

    def begin(self) -> None:
        """Let the lanes go, once all have started, joined and shared them out: that is not what an event costs."""
        last, quiet = self.cpu, 0
        while quiet < QUIET_SECONDS:
            time.sleep(1)
            cpu = self.cpu
            quiet = quiet + 1 if cpu - last < 0.1 * len(self._workers) else 0
            last = cpu
        self._store.release(self._held)

    def measured(self, records: int) -> dict[str, float]:
        """What an event costs from the first records to the last, and how many came a second."""
        self.begin()
        cpu, wall = self.cpu, time.monotonic()
        self.until(records)
        return {"us": (self.cpu - cpu) / records * 1e6, "rate": records / (time.monotonic() - wall)}

    def answers(self) -> list[dict[str, Any]]:
        """Where their time went."""
        (self._folder / "ask").touch()
        found = []
        for told in self._told:
            path = Path(told["answer"])
            while not path.exists():
                time.sleep(0.1)
            found.append(json.loads(path.read_text()))
        return found


def published(kafka: str, name: str, workload: Workload) -> tuple[list[str], int]:
    """A workload in three topics, one after the other; the topics, and how many records.

    Records have their events' own times, and the last of them is of an hour ago: so no clock has years to go.
    """
    from engine.instants import HOUR, iso, parse_instant

    topics, producer, count = topics_made(kafka, name), producer_of(kafka), 0
    events = [json.loads(line) for line in workload.lines()]
    times = [parse_instant(event["time"]) or 0 for event in events]
    later = time.time_ns() // 1_000_000 - HOUR - max(times)
    for word, topic in dict(zip(WORDS, topics, strict=True)).items():
        for event, at in zip(events, times, strict=True):
            if word_of(event["type"]) == word:
                line = json.dumps({**event, "time": iso(at + later)}).encode()
                producer.produce(topic, line, key=event["account_id"], timestamp=at + later)
                count += 1
                if count % 5_000 == 0:
                    producer.poll(0)
        producer.flush(300)
    return topics, count


def word_of(kind: str) -> str:
    """Which of the topics an event goes to."""
    family = kind.partition(".")[0]
    return "support" if family == "ticket" else "lifecycle" if family in LIFECYCLE else "usage"


def streamed(kafka: str, topics: Sequence[str], workload: Workload, rate: float, seconds: float) -> int:
    """Publish events as if they happened now, so many a second; gives how many."""
    from engine.instants import iso

    producer, places, lines = producer_of(kafka), dict(zip(WORDS, topics, strict=True)), workload.lines()
    sent, began = 0, time.monotonic()
    mark = os.urandom(3).hex()
    while (passed := time.monotonic() - began) < seconds:
        while sent < passed * rate:
            event = json.loads(next(lines))
            at = time.time_ns() // 1_000_000
            event |= {"id": f"{mark}-{sent}", "time": iso(at)}
            topic = places[word_of(event["type"])]
            producer.produce(topic, json.dumps(event).encode(), key=event["account_id"], timestamp=at)
            sent += 1
        producer.poll(0)
        time.sleep(0.002)
    producer.flush(60)
    return sent


if __name__ == "__main__":
    work(json.loads(sys.argv[1]))
