"""A worker in a process of its own, writing into a small SQLite file; what it is told comes as one JSON argument."""

import json
import random
import sys
import time
from pathlib import Path

from engine.errors import StoreError
from streams.app import Listening, make_app, run
from streams.settings import KafkaSettings, Topics
from streams.watchdog import Limits
from tests.streams.written import SqliteHandler


def event_time(record):
    return json.loads(record.value).get("time")


class Hanging(SqliteHandler):
    def commit(self, batches):
        self.note("hanging")
        time.sleep(3600)


class Unsure(SqliteHandler):
    """A store behind a network that breaks: often before a commit, often after it, sometimes at a claim."""

    threaded = True

    def __init__(self, path):
        super().__init__(path)
        self.chance = random.Random(7)

    def claim(self, lanes, topics):
        if self.chance.random() < 0.2:
            raise StoreError("the store is away")
        return super().claim(lanes, topics)

    def commit(self, batches):
        before, after = self.chance.random() < 0.2, self.chance.random() < 0.2
        if before:
            raise StoreError("the connection broke before the commit")
        super().commit(batches)
        if after:
            raise StoreError("the connection broke at the commit")


class Thorough(SqliteHandler):
    def drop(self, lanes):
        time.sleep(11)  # longer than a worker that was told to stop may take
        super().drop(lanes)


def main():
    told = json.loads(sys.argv[1])
    folder = Path(told["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    limits = Limits(**told.get("limits", {}))
    listening = Listening(
        kafka=KafkaSettings(
            servers=tuple(told["brokers"].split(",")),
            group=told["group"],
            topics=Topics(**dict(zip(("lifecycle", "support", "usage"), told["topics"], strict=True))),
        ),
        lanes=told["lanes"],
        folder=folder,
        history=told.get("history", False),
        key=event_time if told.get("history") else None,
        session_seconds=told.get("session_seconds", 6.0),
    )
    handler = SqliteHandler(told["store"])
    if told.get("unsure"):
        handler = Unsure(told["store"])
    if told.get("thorough"):
        handler = Thorough(told["store"])
    if told.get("block"):  # the loop hangs, as it would in a call that never comes back
        handler = Hanging(told["store"])
    sys.exit(run(make_app(listening, handler), limits=limits))


if __name__ == "__main__":
    main()
