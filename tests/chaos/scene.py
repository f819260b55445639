"""The fault programme's scene: made-up events, their topics, a store, workers in processes of their own."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from engine.instants import iso, parse_instant
from engine.lanes import lane_of
from engine.stores import open_store
from tests.brokers import Kafka
from tests.chaos import tables

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "tests" / "chaos" / "book"
LANES = 4
MANY_LANES = 16
"""For large logs on the embedded broker, which drops what a partition holds beyond 5 MiB."""
WORDS = ("usage", "support", "lifecycle", "decisions", "dead_letters")
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = parse_instant("2026-01-05T00:00:00Z") or 0
STALL_SECONDS = 60.0
Row = dict[str, Any]


def made(
    count: int, *, seed: int, start: int = START, accounts: int = 120, days: int = 60, again: float = 0.05
) -> list[Row]:
    """So many events from ``start`` on, by time, no two at one; a share of them (``again``) comes a second time.

    A third of the customers are away for two weeks or more, so that silences are decided on.
    """
    chance = random.Random(seed)
    away = {n: chance.uniform(0, 0.6) * days * DAY for n in range(0, accounts, 3)}
    shares = [1 / (n + 3) for n in range(accounts)]
    rows: list[tuple[int, Row]] = []
    at, step = 0, days * DAY // max(1, count)
    number = 0
    pending: list[tuple[int, Row]] = []
    while len(rows) < count:
        at += max(1, int(chance.expovariate(1 / step)))
        while pending and pending[0][0] <= at and len(rows) < count:
            rows.append(pending[0])
            pending.pop(0)
        [n] = chance.choices(range(accounts), shares)
        if n in away and away[n] <= at < away[n] + 16 * DAY:
            continue
        number += 1
        row = _event(chance, number, n)
        rows.append((at, row))
        if row["type"] == "ticket.opened":
            told = {"ticket_id": row["properties"]["ticket_id"]}
            answered = at + int(chance.expovariate(1 / (3 * HOUR)))
            solved = answered + int(chance.expovariate(1 / DAY))
            agent = {**told, "by": "agent"}
            reply: Row = {**row, "id": f"r{number}", "type": "ticket.replied", "user_id": None, "properties": agent}
            done: Row = {**row, "id": f"s{number}", "type": "ticket.solved", "user_id": None, "properties": told}
            insort(pending, (answered, reply), key=_time)
            insort(pending, (solved, done), key=_time)
    last, told_rows = -1, []
    in_order = sorted(rows[:count], key=_time)
    share = days * DAY / (in_order[-1][0] + count)
    for at, row in in_order:
        last = max(int(at * share), last + 1)
        told_rows.append({**row, "time": iso(start + last)})
    return _repeated(told_rows, chance, again)


def _time(one: tuple[int, Row]) -> int:
    return one[0]


def _event(chance: random.Random, number: int, account: int) -> Row:
    name, user = f"customer-{account:03d}", f"u{chance.randrange(4)}"
    [kind] = chance.choices(("feature.used", "session.started", "ticket.opened", "account.updated"), (70, 24, 4, 2))
    properties = {
        "feature.used": {"feature": chance.choice(["reports", "exports", "search"])},
        "session.started": {},
        "ticket.opened": {"ticket_id": f"t{number}", "grade": chance.choice(["red", "yellow"])},
        "account.updated": {"plan": chance.choice(["pro", "starter"]), "seats": chance.randrange(3, 60)},
    }[kind]
    return {"id": f"e{number}", "type": kind, "account_id": name, "user_id": user, "properties": properties}


def _repeated(rows: list[Row], chance: random.Random, share: float) -> list[Row]:
    """Some rows a second time, up to a few hundred rows later."""
    keyed = list(enumerate(rows))
    keyed += [
        (at + chance.randrange(1, 400), rows[at]) for at in chance.sample(range(len(rows)), int(len(rows) * share))
    ]
    return [row for _, row in sorted(keyed, key=_time)]


def shuffled(rows: list[Row], by: int, *, seed: int) -> list[Row]:
    """The rows in the order they would come in if each were late by up to ``by`` milliseconds."""
    chance = random.Random(seed)
    keyed = [((parse_instant(row["time"]) or 0) + chance.randrange(by), row) for row in rows]
    return [row for _, row in sorted(keyed, key=_time)]


def word_of(row: Row) -> str:
    """The topic an event goes to."""
    family = row["type"].partition(".")[0]
    return {"ticket": "support", "account": "lifecycle"}.get(family, "usage")


class Stalled(AssertionError):
    """Nothing moves any more, and not everything is in: behind without end, which is not the same as lost."""


class Scene:
    """Topics of one test, what was published to them, one store, and the workers over it."""

    def __init__(self, kafka: Kafka, folder: Path, url: str, *, lanes: int = LANES) -> None:
        self.kafka, self.folder, self.url, self.lanes = kafka, folder, url, lanes
        self.rows: list[Row] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self.names = {word: kafka.topic(word, lanes, retention_ms="-1") for word in WORDS}
        self.group = kafka.name("workers")
        self._asker = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": kafka.name("asker")})
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("RINGFIRST_")}
        self.environment |= {
            "PYTHONPATH": str(ROOT),
            "RINGFIRST_KAFKA": kafka.bootstrap,
            "RINGFIRST_KAFKA_GROUP": self.group,
            "RINGFIRST_RULES": str(BOOK),
            **{f"RINGFIRST_TOPIC_{word.upper()}": name for word, name in self.names.items()},
        }
        open_store(url, lanes=lanes).close()

    # -- publishing ------------------------------------------------------------------------------------------------
    def publish(self, rows: Sequence[Row], *, live: bool = False) -> None:
        """Publish events in their order; their records carry the events' times, or with ``live`` the moment."""
        self.rows += rows
        by_topic: dict[str, list[tuple[str | None, bytes, int]]] = {}
        for row in rows:
            at = int(time.time() * 1000) if live else parse_instant(row["time"]) or 0
            record = row["account_id"], json.dumps(row).encode(), at
            by_topic.setdefault(self.names[word_of(row)], []).append(record)
        for topic, records in by_topic.items():
            for start in range(0, len(records), 20_000):
                self.kafka.put(topic, *records[start : start + 20_000])
        if not self.kafka.is_real:
            lows = [low for topic in by_topic for low, _ in self.kafka.watermarks(topic).values()]
            assert not any(lows), "the embedded broker dropped records: the test itself would lose them"

    def ends(self) -> dict[tuple[str, int], int]:
        """Where every inbound partition ends."""
        inbound = [self.names[word] for word in ("usage", "support", "lifecycle")]
        places = [TopicPartition(topic, lane) for topic in inbound for lane in range(self.lanes)]
        return {(place.topic, place.partition): self._end(place) for place in places}

    def _end(self, place: TopicPartition) -> int:
        """Where a partition ends; asked again while a new topic has no leader, or a broker is away."""
        for left in reversed(range(30)):
            try:
                return int(self._asker.get_watermark_offsets(place, timeout=10)[1])
            except KafkaException:
                if not left:
                    raise
                time.sleep(1)
        raise AssertionError

    # -- workers and commands --------------------------------------------------------------------------------------
    def start(self, *words: str, url: str | None = None, **told: Any) -> "subprocess.Popen[bytes]":
        """Start ``ringfirst worker``; ``told`` says what is otherwise than in production."""
        command = [sys.executable, "-m", "tests.chaos.work", json.dumps(told), "worker", "--store", url or self.url]
        with (self.folder / f"worker-{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                [*command, *words],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    def said(self, worker: "subprocess.Popen[bytes] | None" = None) -> str:
        """What a worker has written so far; without one, the last lines of the last three."""
        if worker is not None:
            return (self.folder / f"worker-{self.workers.index(worker)}.log").read_text(errors="replace")
        return "\n---\n".join(self.said(one)[-3_000:] for one in self.workers[-3:])

    def said_by_all(self) -> list[str]:
        """Every line of every worker."""
        return [line for worker in self.workers for line in self.said(worker).splitlines()]

    def run(self, *words: str, code: int | None = 0) -> str:
        """Type a command; gives what it answered."""
        command = [sys.executable, "-m", "ringfirst", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert code is None or done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def ask(self, *words: str, url: str | None = None) -> Any:
        """Type a command with --json over the store and read the answer."""
        return json.loads(self.run(*words, "--store", url or self.url, "--json"))

    def close(self) -> None:
        """End every worker."""
        with suppress(RuntimeError):  # a test that kills its broker closes before that
            self._asker.close()
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
            worker.wait()

    # -- waiting ---------------------------------------------------------------------------------------------------
    def progress(self) -> int:
        """A number that grows while lanes write."""
        found = tables.rows(self.url, "SELECT sum(position), sum(epoch) FROM lanes")
        return int(found[0][0] or 0)

    def behind(self) -> int:
        """How many records the store has not taken in."""
        return sum(end - self.next_offsets().get(place, 0) for place, end in self.ends().items())

    def next_offsets(self) -> dict[tuple[str, int], int]:
        """How far the store has read each partition."""
        found = tables.rows(self.url, 'SELECT topic, "partition", next FROM offsets')
        return {(topic, int(partition)): int(offset) for topic, partition, offset in found}

    def drain(self, stall: float = STALL_SECONDS) -> None:
        """Wait until the store has read everything; when nothing moves for ``stall`` seconds, say where all stand."""
        self.wait(lambda: self.behind() == 0, stall)

    def wait(self, true: Callable[[], bool], stall: float = STALL_SECONDS) -> None:
        """Wait until something is true, as long as anything moves."""
        seen, since = None, time.monotonic()
        while not true():
            now = self.progress(), self.next_offsets()
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > stall:
                raise Stalled(f"nothing moved for {stall:g} s, {self.behind()} records behind\n{self.stacks()}")
            time.sleep(0.2)

    def stacks(self) -> str:
        """Let every living worker write where each of its threads stands; gives the ends of their logs."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGRTMIN)
        time.sleep(1)
        return self.said()

    def stop(self, worker: "subprocess.Popen[bytes]", seconds: float = 20) -> float:
        """End a worker gently; how many seconds that took."""
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        worker.wait(seconds)
        return time.monotonic() - began

    def finished(self) -> None:
        """Read the history to its end with one worker that nobody disturbs."""
        worker = self.start("--history")
        self.wait(lambda: worker.poll() is not None)
        assert worker.returncode == 0, self.said(worker)

    def unique(self) -> Iterator[Row]:
        """What was published, each event once."""
        seen = set()
        for row in self.rows:
            if (key := (row["account_id"], row["id"])) not in seen:
                seen.add(key)
                yield row

    def lane(self, account: str) -> int:
        """The lane of an account."""
        return lane_of(account, self.lanes)
