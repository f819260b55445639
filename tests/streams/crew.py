"""Workers in processes of their own over one small store, and the judge of what they wrote."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LANES = 4
WORDS = ("lifecycle", "support", "usage")


def until(true, seconds=30.0, every=0.05):
    """Wait until something is true; False when it never was."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(every)
    return true()


class Crew:
    """The topics of one test, its store, and the workers it started."""

    def __init__(self, kafka, folder, **more):
        self.kafka = kafka
        self.folder = folder
        self.store = folder / "written.db"
        self.more = more
        self.workers = []
        self.sent = {}
        self.topics = [kafka.topic(word, LANES) for word in WORDS]
        self.base = int(time.time() * 1000) - 3_600_000

    def told(self, **more):
        return {
            "brokers": self.kafka.bootstrap,
            "group": self.kafka.name("crew"),
            "topics": self.topics,
            "lanes": LANES,
            "store": str(self.store),
            "session_seconds": 3.0,
            **self.more,
            **more,
        }

    def put(self, each, start=0):
        """Publish so many records to each topic, topic after topic; their times interleave."""
        for number, topic in enumerate(self.topics):
            records = []
            for turn in range(start, start + each):
                at = self.base + turn * 3 + number
                value = json.dumps({"id": f"{number}-{turn}", "time": at}).encode()
                records.append((f"account-{turn % 53}", value, at))
                self.sent[topic, value] = at
            self.kafka.put(topic, *records)

    def start(self, **more):
        number = len(self.workers)
        told = self.told(folder=str(self.folder / f"worker-{number}"), **more)
        with (self.folder / f"worker-{number}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.streams.work", json.dumps(told)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    def log(self, number=-1):
        return (self.folder / f"worker-{number % len(self.workers)}.log").read_text()

    def ask(self, question, *values):
        if not self.store.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=20)) as db:
            try:
                return db.execute(question, values).fetchall()
            except sqlite3.OperationalError:  # it is just being made
                return []

    def count(self):
        return (self.ask("SELECT count(*) FROM log") or [(0,)])[0][0]

    def holders(self):
        """The processes that wrote something, in order of appearance."""
        return [pid for (pid,) in self.ask("SELECT pid FROM log GROUP BY pid ORDER BY min(seq)")]

    def all_written(self, seconds=60.0):
        return until(lambda: self.count() >= len(self.sent), seconds)

    def stop(self, worker, seconds=15.0):
        """End a worker gently; its exit code and how long that took."""
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        return worker.wait(seconds), time.monotonic() - began

    def close(self):
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()

    # -- the judge -------------------------------------------------------------------------------------------------
    def judge(self):
        """Everything once, each partition in the order of its offsets, the store standing behind the last one."""
        rows = self.ask("SELECT topic, partition, offset, value FROM log ORDER BY seq")
        assert sorted((topic, value) for topic, _, _, value in rows) == sorted(self.sent)
        offsets: dict[tuple, int] = {}
        for topic, partition, offset, _ in rows:
            assert offset > offsets.get((topic, partition), -1)
            offsets[topic, partition] = offset
        stands = {(topic, partition): end for topic, partition, end in self.ask("SELECT * FROM offsets")}
        assert all(stands[one] >= offset + 1 for one, offset in offsets.items())

    def judge_order(self):
        """Every lane in the order of time."""
        for lane in range(LANES):
            times = [at for (at,) in self.ask("SELECT timestamp FROM log WHERE lane = ? ORDER BY seq", lane)]
            assert times
            assert times == sorted(times)
