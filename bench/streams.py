"""What streams cost: one table, side by side in one run on one broker. ``make bench-streams``.

CPU an event is the figure to trust. Readers that do nothing are counted from their first records to their last; so are
workers with real work (25 rules, deduplication, log, decisions and offsets in one transaction).
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench.__main__ import Database, databases
from bench.alone import family_cpu
from bench.kafka import LANES, alone, filled, started, topics_made
from bench.machine import slowness
from bench.table import figure, head, row, section
from bench.workers import Crew, published, streamed
from bench.workload import Workload


class Asked(NamedTuple):
    """Where and how much."""

    kafka: str
    events: int
    few: int
    long: int


def readers(asked: Asked) -> None:
    """A handler that does nothing."""
    name = f"bench-{os.getpid()}"
    told = {"kafka": asked.kafka, "topics": filled(asked.kafka, name, asked.events)}
    print(f"{asked.events:,} events of 139 bytes in 3 topics of {LANES} partitions; stock Faust reads {asked.few:,}")
    found = {
        kind: alone(kind, {**told, "events": asked.few if kind == "stock" else asked.events})
        for kind in ("librdkafka", "client", "batches", "stock")
    }
    ours = found["batches"]["us"]
    row("confluent-kafka, consume", shown(found["librdkafka"]))
    row("aiokafka, getmany", shown(found["client"]))
    row("Faust with the batch transport, merged by time", shown(found["batches"]))
    row("stock Faust, async for", shown(found["stock"]), ratio=found["stock"]["us"] / ours, at_least=15)
    figure("the batch transport", ours, "us/event", at_most=6)


def worked(asked: Asked) -> None:
    """Workers with real work, on SQLite and on PostgreSQL, one and two; stock Faust's noack_take with the same."""
    workload = Workload(events=asked.events, accounts=max(10, asked.events // 100))
    topics, count = published(asked.kafka, f"work-{os.getpid()}", workload)
    print(f"{count:,} events of {workload.accounts:,} accounts, published topic after topic; 25 rules")
    with databases() as found:
        for kind, database in found.items():
            one = single(asked, topics, kind, database, count)
            few = min(asked.few, count)
            fresh(database)
            stock = alone("taken", {"kafka": asked.kafka, "topics": topics, "url": database.url, "events": few})
            told = f"{kind}: stock Faust, noack_take, the same handler, {few:,} of them"
            row(told, shown(stock), ratio=stock["us"] / one["us"])
            fresh(database)
            with (
                tempfile.TemporaryDirectory() as folder,
                Crew(asked.kafka, topics, database.url, Path(folder), 2) as crew,
            ):
                two = crew.measured(count)
            row(f"{kind}: two workers against one", shown(two), ratio=two["us"] / one["us"], at_most=1.15)


def single(asked: Asked, topics: list[str], kind: str, database: Database, count: int) -> dict[str, float]:
    """One worker, and where its time goes."""
    before = family_cpu(database.server)
    fresh(database)
    with tempfile.TemporaryDirectory() as folder, Crew(asked.kafka, topics, database.url, Path(folder)) as crew:
        one = crew.measured(count)
        [answer] = crew.answers()
    beside = family_cpu(database.server) - before
    row(f"{kind}: one worker", shown(one))
    figure(f"{kind}: one worker", one["us"], "us/event", at_most=25)
    parts = answer["parts"]
    whole = parts.pop("all of it")
    for name, spent in parts.items():
        row(f"  {name}", f"{spent:8.1f} us")
    row("  the rest of the writing: keeping lanes, clocks, leases", f"{whole - sum(parts.values()):8.1f} us")
    row("  beside the writing: fetching, merging, Faust, threads", f"{one['us'] - whole:8.1f} us")
    if beside:
        row("  the server's own CPU", f"{beside / count * 1e6:8.1f} us")
    return one


def fresh(database: Database) -> None:
    """Make the store empty."""
    if database.url.startswith("sqlite"):
        for path in Path(database.url.removeprefix("sqlite:///")).parent.glob("bench.db*"):
            path.unlink()
        return
    import psycopg

    with psycopg.connect(database.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def waits(asked: Asked) -> None:
    """How long an event waits until it and what it decided are committed, and what that costs."""
    with databases() as found:
        for kind, database in found.items():
            quick = at_rate(asked, kind, database, 2_000, 30)
            figure(f"{kind}: 2,000 a second, 99 of 100 within", quick["p99"], "ms", at_most=250)
            figure(f"{kind}: 2,000 a second", quick["us"], "us/event", at_most=110)
            workload = Workload(events=asked.events, accounts=max(10, asked.events // 100))
            topics, count = published(asked.kafka, f"top-{os.getpid()}-{kind.lower()}", workload)
            fresh(database)
            with tempfile.TemporaryDirectory() as folder, Crew(asked.kafka, topics, database.url, Path(folder)) as crew:
                top = crew.measured(count)["rate"]
            half = at_rate(asked, kind, database, top / 2, 30)
            figure(
                f"{kind}: {top / 2:,.0f} a second, half of the top; 99 of 100 within", half["p99"], "ms", at_most=1_000
            )
            figure(f"{kind}: {top / 2:,.0f} a second", half["us"], "us/event")


def at_rate(asked: Asked, kind: str, database: Database, rate: float, seconds: float) -> dict[str, Any]:
    """A worker that is up, and events that come at a steady rate."""
    fresh(database)
    workload = Workload(events=max(10_000, int(rate * seconds * 1.2)), accounts=1_000)
    workload.path()
    topics = topics_made(asked.kafka, f"rate-{os.getpid()}-{kind.lower()}-{int(rate)}")
    with tempfile.TemporaryDirectory() as folder, Crew(asked.kafka, topics, database.url, Path(folder)) as crew:
        crew.begin()
        time.sleep(12)  # it claims lanes that nothing is in
        cpu = crew.cpu
        sent = streamed(asked.kafka, topics, workload, rate, seconds)
        crew.until(sent)
        spent = crew.cpu - cpu
        [answer] = crew.answers()
    row(f"{kind}: {sent:,} events, {rate:,.0f} a second; half of them within", f"{answer['p50']:.0f} ms")
    return {**answer, "us": spent / sent * 1e6}


def memory(asked: Asked) -> None:
    """What the transport holds while many events go through it."""
    topics = filled(asked.kafka, f"long-{os.getpid()}", asked.long)
    one = alone("batches", {"kafka": asked.kafka, "topics": topics, "events": asked.long // 3 * 3})
    row(f"the batch transport after {asked.long // 2:,} events", f"{one['half']:,.1f} MiB")
    row(f"after {asked.long:,}", f"{one['end']:,.1f} MiB")
    figure("its growth", (one["end"] - one["half"]) / (asked.long / 2) * 1e6, "MiB a million", at_most=1)


def long(asked: Asked) -> None:
    """What a worker with real work holds, the state of 1,000 accounts included."""
    workload = Workload(events=asked.long, accounts=1_000, days=180)
    topics, count = published(asked.kafka, f"worked-{os.getpid()}", workload)
    held = []
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        url = f"sqlite:///{place}/bench.db"
        with tempfile.TemporaryDirectory() as folder, Crew(asked.kafka, topics, url, Path(folder)) as crew:
            crew.begin()
            for share in (4, 5, 6, 7, 8):
                crew.until(count * share // 8, 7_200)
                held.append((crew.read, crew.resident))
                row(f"after {held[-1][0]:,} events", f"{held[-1][1]:,.0f} MiB")
    slope = (held[-1][1] - held[0][1]) / (held[-1][0] - held[0][0]) * 1e6
    figure("its growth after the first half", slope, "MiB a million", at_most=1)


PARTS: dict[str, Callable[[Asked], None]] = {
    "readers": readers,
    "worked": worked,
    "waits": waits,
    "memory": memory,
    "long": long,
}


def shown(one: dict[str, float]) -> str:
    """CPU an event, and the rate by the clock."""
    return f"{one['us']:8.1f} us {one['rate']:10,.0f}/s"


def main() -> int:
    """Run the parts that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="make bench-streams", description=__doc__)
    parser.add_argument("--kafka", help="host:port of a broker; without it one is started by Maven and Java")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--events", type=int, default=240_000)
    parser.add_argument("--stock-events", type=int, default=30_000, help="how many of them stock Faust reads")
    parser.add_argument("--long-events", type=int, default=2_000_000, help="how many the part on memory reads")
    given = parser.parse_args()
    times, _ = slowness()
    print(
        f"this machine: {times:.1f} times slower than the one of the figures to reach, by the median of single steps\n"
    )
    asked = Asked(given.kafka or started(), given.events, min(given.stock_events, given.events), given.long_events)
    head()
    for name in given.only or PARTS:
        section(f"{name}: {PARTS[name].__doc__}")
        PARTS[name](asked)
    return 0


if __name__ == "__main__":
    sys.exit(main())
