"""Print what an event costs on its way in, with the made-up company or with the real streams where they are."""

import gzip
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from engine import replay
from engine.events import Arrived, decode
from engine.keeper import Keeper
from engine.rulebook.book import Rulebook, load_rulebook
from engine.stores import open_store

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("RINGFIRST_DATA") or ROOT.parent / "shared" / "data")
WALL = 2 * 10**12
STREAMS = {"learning": "learning_usage.jsonl.gz", "support": "support_incidents.jsonl.gz"}


def main() -> int:
    """Measure each stream that is here: decode, import into SQLite and PostgreSQL, replay, restart."""
    found = {name: DATA / file for name, file in STREAMS.items() if (DATA / file).is_file()}
    if not found:
        print("the real event streams are not here; set RINGFIRST_DATA to their folder")
        return 1
    print(f"{'stream':<10}{'step':<34}{'events':>9}{'CPU s':>9}{'us/event':>10}{'events/s':>11}")
    for name, path in found.items():
        measure(name, path)
    return 0


def measure(name: str, path: Path) -> None:
    """All steps of one stream, a line each."""
    lines = gzip.decompress(path.read_bytes()).splitlines()
    book = book_of(name)
    arrived: list[Arrived] = []
    show(name, "decode and validate", len(lines), lambda: arrived.extend(_good(lines)))
    with tempfile.TemporaryDirectory() as folder:
        urls = {"SQLite": f"sqlite:///{folder}/bench.db"}
        if "RINGFIRST_BENCH_POSTGRES" in os.environ:
            urls["PostgreSQL"] = os.environ["RINGFIRST_BENCH_POSTGRES"]
        for kind, url in urls.items():
            show(name, f"import into {kind}", len(lines), lambda url=url: imported(url, book, arrived))
            show(name, f"replay --verify from {kind}", len(lines), lambda url=url: verified(url))
            show(name, f"restart from snapshots, {kind}", len(lines), lambda url=url: imported(url, book, []))


def book_of(name: str) -> Rulebook:
    """The example rulebook of a stream."""
    root = ROOT / "examples" / name
    paths = [*root.glob("rules/**/*.yml"), *root.glob("templates/*/template.yml")]
    book, findings = load_rulebook({str(path.relative_to(root)): path.read_text() for path in paths})
    if book is None:
        sys.exit("\n".join(str(finding) for finding in findings))
    return book


def imported(url: str, book: Rulebook, arrived: list[Arrived]) -> None:
    """Import events as the command does, in batches of 5,000."""
    store = open_store(url)
    keeper = Keeper(store, book, "bench", at=WALL)
    for start in range(0, len(arrived), 5_000):
        keeper.take(arrived[start : start + 5_000], at=WALL)
    keeper.finish(at=WALL)
    keeper.stop()
    store.close()


def verified(url: str) -> None:
    """Replay, and stop when a decision is missing, extra or different: a figure counts only with equal decisions."""
    store = open_store(url)
    answer = replay.verify(store)
    store.close()
    if answer["missing"] or answer["extra"] or answer["different"]:
        sys.exit(f"the replay does not verify: {answer}")


def show(name: str, step: str, events: int, work: Callable[[], object]) -> None:
    """Do the work and print its line; CPU of this process, the database server's not included."""
    before = time.process_time()
    work()
    spent = time.process_time() - before
    print(f"{name:<10}{step:<34}{events:>9,}{spent:>9.1f}{spent / events * 1e6:>10.1f}{events / spent:>11,.0f}")


def _good(lines: list[bytes]) -> Iterator[Arrived]:
    for line in lines:
        found = decode(line, wall=WALL)
        if isinstance(found, Arrived):
            yield found


if __name__ == "__main__":
    sys.exit(main())
