"""The pieces of work that are measured, each run in a process of its own by ``bench.alone``."""

import ctypes
import gc
import gzip
import itertools
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import books
from bench.alone import Meter
from bench.engine import WALL, Run, backtest_decisions, engine_decisions, numbered_events_of
from bench.plain import Loop
from bench.workload import Workload
from engine import replay
from engine.events import Arrived, decode
from engine.keeper import Keeper
from engine.rulebook.book import Rulebook
from engine.stores import open_store
from engine.zones import zone

Parameters = dict[str, int]
BATCH = 5_000
"""As ``ringfirst import`` takes them."""

BOOKS: dict[str, Callable[[], Rulebook]] = {
    "25": books.rules25,
    "200": lambda: books.rules(200),
    "people": books.people5,
}


def engine(meter: Meter, workload: Parameters, book: str = "25") -> tuple[Any, list[Any]]:
    """The engine in memory; the answer is the number of lines."""
    made, rules = Workload(**workload), BOOKS[book]()
    made.path()
    with meter.running():
        decided = engine_decisions(made.lines(), rules)
    return made.events, decided


def plain(meter: Meter, workload: Parameters, way: str) -> tuple[Any, list[Any]]:
    """The plain loop, written in one of ``bench.plain.WAYS``."""
    made, loop = Workload(**workload), Loop(way=way)
    made.path()
    with meter.running():
        decided = loop.run(made.lines())
    return made.events, decided


def memory(meter: Meter, workload: Parameters, book: str = "25") -> tuple[Any, list[Any]]:
    """Bytes an account in memory and in its snapshot, once all events are in."""
    made, rules = Workload(**workload), BOOKS[book]()
    made.path()
    Run(rules).take(list(_some(made, 1_000)))  # what is there once for all accounts is not counted
    before = _resident()
    run = Run(rules)
    events = numbered_events_of(made.lines(), made.events)
    while batch := list(itertools.islice(events, BATCH)):
        run.take_events(batch)
        run.decided.clear()
    held = _resident() - before
    accounts = len(run.lane.accounts)
    with meter.running():
        size = run.snapshots()
    return {"accounts": accounts, "bytes": held / accounts, "snapshot": size / accounts}, []


def backtest(meter: Meter, workload: Parameters, *, midnights: bool) -> tuple[Any, list[Any]]:
    """A backtest of the 25 rules, decoding included; its peak memory is the process's."""
    made = Workload(**workload)
    with meter.running():
        decided = backtest_decisions(made.lines(), books.rules25(), midnights=midnights)
    where = _zones(made)
    return None, sorted((rule, account, where[account].day(at)) for rule, account, _, at in decided)


def duck(meter: Meter, workload: Parameters, *, threads: int = 1) -> tuple[Any, list[Any]]:
    """The DuckDB query, loading included."""
    from bench.duck import duck_decisions

    path = Workload(**workload).path()
    with meter.running():
        decided = duck_decisions(path, threads=threads)
    return None, sorted(decided)


def decoded(meter: Meter, file: str) -> tuple[Any, list[Any]]:
    """Decoding and validating a real stream."""
    lines = gzip.decompress(Path(file).read_bytes()).splitlines()
    with meter.running():
        arrived = _arrived(lines)
    return len(arrived), []


def in_memory(meter: Meter, file: str, rules: str) -> tuple[Any, list[Any]]:
    """A real stream through a backtest: what an import costs without its store."""
    lines = gzip.decompress(Path(file).read_bytes()).splitlines()
    book = book_at(rules)
    with meter.running():
        decided = backtest_decisions(lines, book, midnights=False)
    return len(lines), decided


def imported(meter: Meter, file: str, rules: str, url: str) -> tuple[Any, list[Any]]:
    """A real stream into a store, decoding and decisions included; the answer: events, and decisions in the store."""
    lines = gzip.decompress(Path(file).read_bytes()).splitlines()
    book = book_at(rules)
    with meter.running():
        store = open_store(url)
        keeper = Keeper(store, book, "bench", at=WALL)
        for start in range(0, len(lines), BATCH):
            keeper.take(_arrived(lines[start : start + BATCH]), at=WALL)
        keeper.finish(at=WALL)
        keeper.stop()
    rows = [(row.rule, row.account_id, row.subject.id if row.subject else "", row.at) for row in store.decisions()]
    store.close()
    return len(lines), rows


def filled(meter: Meter, workload: Parameters, url: str) -> tuple[Any, list[Any]]:
    """A workload into a store with the 25 rules, for questions."""
    made = Workload(**workload)
    store = open_store(url)
    with meter.running():
        keeper = Keeper(store, books.rules25(), "bench", at=WALL)
        lines: list[bytes] = []
        for line in made.lines():
            lines.append(line)
            if len(lines) == BATCH:
                keeper.take(_arrived(lines), at=WALL)
                lines = []
        keeper.take(_arrived(lines), at=WALL)
        keeper.finish(at=WALL)
        keeper.stop()
    first = next(iter(store.decisions()))
    store.close()
    return [first.account_id, first.rule], []


def replayed(meter: Meter, url: str) -> tuple[Any, list[Any]]:
    """``replay --verify``; anything missing, extra or different ends the run: a figure counts only with equal ones."""
    store = open_store(url)
    with meter.running():
        answer = replay.verify(store)
    store.close()
    if answer["missing"] or answer["extra"] or answer["different"]:
        sys.exit(f"the replay does not verify: {answer}")
    return answer["events"], []


def restarted(meter: Meter, url: str, rules: str) -> tuple[Any, list[Any]]:
    """Opening a store and taking its lanes from their snapshots."""
    book = book_at(rules)
    store = open_store(url)
    with meter.running():
        keeper = Keeper(store, book, "bench", at=WALL)
    keeper.abandon()
    store.close()
    return None, []


def book_at(folder: str) -> Rulebook:
    """The rulebook of a folder."""
    root = Path(folder)
    paths = [*root.glob("rules/**/*.yml"), *root.glob("templates/*/template.yml")]
    return books.loaded({path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths})


def _arrived(lines: list[bytes]) -> list[Arrived]:
    found = (decode(line, wall=WALL) for line in lines)
    return [one for one in found if isinstance(one, Arrived)]


def _some(made: Workload, count: int) -> list[bytes]:
    return [line for line, _ in zip(made.lines(), range(count), strict=False)]


def _zones(made: Workload) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in made.lines():
        arrived = decode(line, wall=WALL)
        if isinstance(arrived, Arrived) and arrived.event.account_id not in found:
            found[arrived.event.account_id] = zone(arrived.event.properties.get("timezone", "UTC"))
    return found


def _resident() -> int:
    """Memory of this process in bytes, after giving back what is free."""
    gc.collect()
    if not sys.platform.startswith("linux"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
