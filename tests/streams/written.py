"""A small handler of the tests' own: batches, offsets and epochs in one SQLite file, by compare-and-set."""

import os
import sqlite3
import time

from engine.errors import Fenced
from streams.batch import Claimed, Partition

SCHEMA = """
CREATE TABLE IF NOT EXISTS lanes (lane INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, read_until INTEGER, at_end INTEGER);
CREATE TABLE IF NOT EXISTS offsets (topic TEXT, partition INTEGER, next INTEGER, PRIMARY KEY (topic, partition));
CREATE TABLE IF NOT EXISTS log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, lane INTEGER, topic TEXT, partition INTEGER, offset INTEGER,
    timestamp INTEGER, value BLOB, epoch INTEGER, pid INTEGER
);
CREATE TABLE IF NOT EXISTS notes (seq INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER, what TEXT, at REAL);
"""


class SqliteHandler:
    """Everything a batch changes goes into one transaction, or nothing does."""

    threaded = False

    def __init__(self, path):
        self.db = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.executescript(SCHEMA)

    def claim(self, lanes, topics):
        claims = {}
        self.db.execute("BEGIN IMMEDIATE")
        for lane in lanes:
            self.db.execute(
                "INSERT INTO lanes VALUES (?, 1, NULL, 0) ON CONFLICT DO UPDATE SET epoch = epoch + 1, at_end = 0",
                [lane],
            )
            [epoch] = self.db.execute("SELECT epoch FROM lanes WHERE lane = ?", [lane]).fetchone()
            found = dict(self.db.execute("SELECT topic, next FROM offsets WHERE partition = ?", [lane]).fetchall())
            claims[lane] = Claimed(epoch, {Partition(topic, lane): found.get(topic) for topic in topics})
        self.note(f"claimed {sorted(lanes)}")
        self.db.execute("COMMIT")
        return claims

    def commit(self, batches):
        self.db.execute("BEGIN IMMEDIATE")
        try:
            for batch in batches:
                self._write(batch)
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def _write(self, batch):
        [epoch] = self.db.execute("SELECT epoch FROM lanes WHERE lane = ?", [batch.lane]).fetchone()
        if epoch != batch.epoch:
            raise Fenced(f"lane {batch.lane}: epoch {batch.epoch}; found {epoch}; stop")
        for (topic, partition), (start, end) in batch.ranges.items():
            self.db.execute("INSERT OR IGNORE INTO offsets VALUES (?, ?, ?)", [topic, partition, start])
            moved = self.db.execute(
                "UPDATE offsets SET next = ? WHERE topic = ? AND partition = ? AND next = ?",
                [end, topic, partition, start],
            )
            assert moved.rowcount == 1, f"{topic}[{partition}] does not stand at {start}"
        self.db.executemany(
            "INSERT INTO log (lane, topic, partition, offset, timestamp, value, epoch, pid) VALUES (?,?,?,?,?,?,?,?)",
            [
                (batch.lane, one.topic, one.partition, one.offset, one.timestamp, one.value, epoch, os.getpid())
                for one in batch.records
            ],
        )
        self.db.execute(
            "UPDATE lanes SET read_until = coalesce(?, read_until), at_end = ? WHERE lane = ?",
            [batch.read_until, batch.at_end, batch.lane],
        )

    def drop(self, lanes):
        self.note(f"dropped {sorted(lanes)}")

    def note(self, what):
        self.db.execute("INSERT INTO notes (pid, what, at) VALUES (?, ?, ?)", [os.getpid(), what, time.time()])
