"""A real server as a process of its own, and a real client that talks to it."""

import gzip
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self

from engine.instants import iso
from engine.stores import open_store

ROOT = Path(__file__).resolve().parents[2]
JSON, LINES = "application/json", "application/x-ndjson"
BOOK = """
things:
  ticket: {id: ticket_id, opened_by: ticket.opened, answered_by: ticket.replied, closed_by: ticket.solved}
measures:
  uses: {count: feature.used, over: 7d}
rules:
  - id: busy
    title: Three uses
    kind: internal
    why: They use it.
    owner: us@ringfirst.example
    when: [uses >= 3]
    notify: {template: hello, to: rule owner}
    cases:
      - name: three
        given: [{day: 1, until: 3, event: feature.used}]
        expect: sends
      - name: two
        given: [{day: 1, until: 2, event: feature.used}]
        expect: silent
  - id: waits
    title: A ticket waits for a second
    kind: internal
    for: each ticket
    why: Nobody answers.
    owner: us@ringfirst.example
    when: [ticket.waiting_hours >= 0.0003]
    notify: {template: hello, to: rule owner}
    each_alone: true
    cases:
      - name: a ticket
        given: [{day: 1, event: ticket.opened, with: {ticket_id: t1}}]
        expect: sends
      - name: no ticket
        given: [{day: 1, event: feature.used}]
        expect: silent
policy:
  staff: {domains: [ringfirst.example]}
"""
TEMPLATE = {
    "template.yml": "for: staff\nexample:\n  you: {id: us@ringfirst.example, email: us@ringfirst.example}\n"
    "  account: {id: acme}\n  why: They use it.\n  title: Three uses\n  rule: busy\n",
    "subject.txt": "Look at {{ account.id }}\n",
    "body.txt": "Look at {{ account.id }}: {{ title }}\n",
    "body.mjml": "<mj-section><mj-column><mj-text>Look at {{ account.id }}: {{ title }}</mj-text></mj-column>"
    "</mj-section>",
}


class Answer(NamedTuple):
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: Any


def write_book(place: Path) -> Path:
    """A rulebook of two rules and one template: it is read in a moment."""
    (place / "rules").mkdir(parents=True)
    (place / "rules" / "live.yml").write_text(BOOK)
    shutil.copytree(ROOT / "templates" / "_base", place / "templates" / "_base")
    (place / "templates" / "hello").mkdir()
    for name, text in TEMPLATE.items():
        (place / "templates" / "hello" / name).write_text(text)
    return place


def event(
    mark: str, kind: str = "feature.used", account: str = "acme", at: int | None = None, **properties: Any
) -> Any:
    """One event as its JSON object; it happened just now, if nothing else is said."""
    when = time.time_ns() // 1_000_000 if at is None else at
    return {"id": mark, "type": kind, "account_id": account, "time": iso(when), "properties": properties}


def lines(rows: Iterable[Any]) -> bytes:
    """Events as JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


class Server:
    """``ringfirst run`` as a process; leaving it kills what is left."""

    def __init__(self, book: Path, store: str, place: Path, *words: str, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGFIRST_")}
        self.store = store
        self.place = place
        self._log = place / f"server-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ringfirst", "run", "--port", "0", "--store", store, *words],
                cwd=place,
                env={**kept, "PYTHONPATH": str(ROOT), "RINGFIRST_RULES": str(book), **environment},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.port = 0
        self.host = environment.get("RINGFIRST_HOST", "127.0.0.1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=30)

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def ready(self, seconds: float = 60) -> "Server":
        """Wait until it takes events in."""
        self.until("ready: events are taken in", seconds)
        address = next(line for line in self.said.splitlines() if line.startswith("listening on http://"))
        self.port = int(address.rpartition(":")[2])
        return self

    def until(self, text: str, seconds: float = 30) -> None:
        """Wait until it has said this."""
        end = time.monotonic() + seconds
        while text not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.02)

    def connect(self, timeout: float = 30) -> http.client.HTTPConnection:
        """A connection of its own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """One request on a new connection; underscores in header names stand for dashes."""
        connection = self.connect()
        try:
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            return answer_of(connection)
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        """Ask a page."""
        return self.ask("GET", path, b"", **headers)

    def post(self, body: bytes | list[Any] | dict[str, Any], kind: str = JSON, **headers: str) -> Answer:
        """Send events."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", "/v1/events", raw, content_type=kind, **headers)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10) -> int:
        """Ask it to stop and give its exit code; it may take as long as it promises."""
        self.process.send_signal(number)
        return self.process.wait(timeout=seconds)


def answer_of(connection: http.client.HTTPConnection) -> Answer:
    """Read the answer on a connection."""
    found = connection.getresponse()
    raw = found.read()
    headers = {name.lower(): value for name, value in found.getheaders()}
    body = json.loads(raw) if headers.get("content-type", "").startswith(JSON) else raw.decode()
    return Answer(found.status, headers, body)


def packed(raw: bytes) -> bytes:
    """The same, gzipped."""
    return gzip.compress(raw)


def stored_ids(url: str) -> list[tuple[str, str]]:
    """Every (account, event id) in the store's log, in any order; twice when it is there twice."""
    store = open_store(url, create=False)
    try:
        return [
            (entry.event.account_id, entry.event.id)
            for lane in range(store.lanes)
            for entry in store.entries(lane)
            if hasattr(entry, "event")
        ]
    finally:
        store.close()
