"""Print how many events a second the embedded server takes in over HTTP: ``python -m bench.http``.

The server is a real process on one core, the client is pinned to another; every event is acknowledged after its
commit into SQLite with ``synchronous=FULL``. Beside each figure stands what the server's process spent of its core.
"""

import argparse
import gzip
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[1]
SMALL = """
measures:
  uses_7d: {count: feature.used, over: 7d}
  quiet_days: {days_since: feature.used}
rules:
  - id: keen
    title: Many uses
    kind: internal
    why: A rule that is looked at after every event.
    owner: us@ringfirst.example
    status: draft
    when: [uses_7d >= 100000]
  - id: quiet
    title: Nothing for a week
    kind: internal
    why: A rule that is looked at at midnight.
    owner: us@ringfirst.example
    status: draft
    when: [quiet_days >= 7]
"""
NONE = "measures:\n  uses_7d: {count: feature.used, over: 7d}\n"
Packing = Callable[[bytes], bytes]


def main() -> int:
    """Measure each way of sending."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--events", type=int, default=60_000, help="events in each run of batches")
    asked.add_argument("--accounts", type=int, default=1_000)
    asked.add_argument("--seconds", type=float, default=6.0, help="the longest that one way of sending goes on")
    asked.add_argument("--rules", type=Path, help="measure with this rulebook too")
    words = asked.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    mine, theirs = cores[0], cores[-1]
    os.sched_setaffinity(0, {mine})
    print(f"server on core {theirs}, client on core {mine}; {words.accounts:,} accounts")
    head = f"{'rulebook':<12}{'in one request':<24}{'clients':>8}{'events':>9}"
    print(f"{head}{'seconds':>9}{'events/s':>10}{'CPU us/event':>14}")
    books: dict[str, str | Path] = {"no rule": NONE, "two rules": SMALL}
    if words.rules:
        books[words.rules.name] = words.rules
    for name, book in books.items():
        measure(name, book, theirs, words)
    return 0


def measure(name: str, book: str | Path, core: int, words: argparse.Namespace) -> None:
    """All ways of sending to one server."""
    with tempfile.TemporaryDirectory() as folder, Running(Path(folder), book, core) as server:
        server.send("warm", events(2_000, words.accounts, "warm"), 500, 2, words.seconds)
        for each, clients, packed in (
            (1_000, 4, False),
            (1_000, 4, True),
            (100, 8, False),
            (10, 8, False),
            (1, 16, False),
        ):
            count = words.events if each >= 100 else max(each * 2_000, 4_000) if each > 1 else 4_000
            rows = events(count, words.accounts, f"{each}{packed}")
            pack = gzip.compress if packed else None
            taken, seconds, spent = server.send(name, rows, each, clients, words.seconds, pack)
            shape = f"{each:,} as {'gzipped ' if packed else ''}lines" if each > 1 else "1 as JSON"
            rate = f"{taken / seconds:>10,.0f}{spent / taken * 1e6:>14.1f}"
            print(f"{name:<12}{shape:<24}{clients:>8}{taken:>9,}{seconds:>9.2f}{rate}", flush=True)


def events(count: int, accounts: int, mark: str) -> list[bytes]:
    """Made-up events of now, as JSON lines."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    features = ("reports", "automations", "exports", "search")
    return [
        json.dumps(
            {
                "id": f"{mark}-{number}",
                "type": "feature.used",
                "account_id": f"account-{number * 7919 % accounts}",
                "user_id": f"u{number % 5}",
                "time": now,
                "properties": {"feature": features[number % 4], "minutes_saved": number % 60},
            },
            separators=(",", ":"),
        ).encode()
        for number in range(count)
    ]


class Running:
    """A server on one core, and clients that send to it."""

    def __init__(self, place: Path, book: str | Path, core: int) -> None:
        rules = book if isinstance(book, Path) else place / "book"
        if isinstance(book, str):
            (rules / "rules").mkdir(parents=True)
            (rules / "rules" / "bench.yml").write_text(book)
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "ringfirst",
                "run",
                "--port",
                "0",
                "--store",
                f"sqlite:///{place}/bench.db",
                "--no-send",
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT), "RINGFIRST_RULES": str(rules)},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509, no thread runs here yet
            cwd=place,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.startswith("listening"):
                self._port = int(line.rpartition(":")[2])
            if line.startswith("ready"):
                return self
        sys.exit("the server did not start")

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)

    def send(
        self, name: str, rows: list[bytes], each: int, clients: int, longest: float, pack: Packing | None = None
    ) -> tuple[int, float, float]:
        """Send as much as goes in ``longest`` seconds: how many events, the seconds, and the server's CPU seconds."""
        bodies = [b"\n".join(rows[at : at + each]) for at in range(0, len(rows), each)]
        bodies = [pack(body) for body in bodies] if pack else bodies
        headers = {"Content-Type": "application/x-ndjson" if each > 1 else "application/json"}
        if pack:
            headers["Content-Encoding"] = "gzip"
        parts: list[Iterator[bytes]] = [iter(bodies[who::clients]) for who in range(clients)]
        sent: list[int] = []
        before, began = self._spent(), time.monotonic()
        given = headers, began + longest, sent
        threads = [threading.Thread(target=self._client, args=(part, *given)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return min(sum(sent) * each, len(rows)), time.monotonic() - began, self._spent() - before

    def _client(self, bodies: Iterator[bytes], headers: dict[str, str], until: float, sent: list[int]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        done = 0
        for body in bodies:
            if time.monotonic() > until:
                break
            done += 1
            while True:
                connection.request("POST", "/v1/events", body, headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status == 200:
                    break
                if answer.status != 503:
                    os.write(2, text)
                    os._exit(1)
                time.sleep(0.05)
        sent.append(done)
        connection.close()

    def _spent(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
