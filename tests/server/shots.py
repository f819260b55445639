"""A server that is shot again and again while clients send, and what must be true afterwards."""

import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException

from engine import replay
from engine.stores import open_store
from tests.server.given import LINES, Server, answer_of, event, lines, stored_ids

PER_REQUEST = 25


class Client(threading.Thread):
    """Sends batches until told to stop; what got no answer is sent again, as a real client would."""

    def __init__(self, who: int, server: Callable[[], Server | None]) -> None:
        super().__init__(name=f"client-{who}")
        self._who, self._server = who, server
        self.stopping = threading.Event()
        self.acknowledged: list[str] = []
        self.sent: set[str] = set()
        self.strange: list[str] = []

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            rows = [
                event(f"{self._who}-{number}-{index}", account=f"a{(number + index) % 40}")
                for index in range(PER_REQUEST)
            ]
            self.sent |= {row["id"] for row in rows}
            while not self.stopping.is_set():
                if self._acknowledged(lines(rows)):
                    self.acknowledged += [row["id"] for row in rows]
                    break
                time.sleep(0.05)
            number += 1

    def _acknowledged(self, body: bytes) -> bool:
        server = self._server()
        if server is None:
            return False
        connection = server.connect(timeout=20)
        with suppress(OSError, HTTPException):
            connection.request("POST", "/v1/events", body, {"Content-Type": LINES})
            answer = answer_of(connection)
            connection.close()
            if answer.status == 200:
                if answer.body["new"] + answer.body["duplicates"] != PER_REQUEST:
                    self.strange.append(str(answer))
                return True
            if answer.status != 503:
                self.strange.append(str(answer))
        connection.close()
        return False


def shot(start: Callable[[], Server], seed: int, times: int, *, longest: float) -> Server:
    """Let clients send while the server is killed ``times`` at random moments; checks everything at the end."""
    chance = random.Random(seed)
    current: list[Server | None] = [None]
    clients = [Client(who, lambda: current[0]) for who in range(3)]
    for client in clients:
        client.start()
    try:
        for _ in range(times):
            with start() as server:
                began = time.monotonic()
                current[0] = server.ready()
                assert time.monotonic() - began < 30, "a killed owner is known to be dead: nobody waits for its lease"
                time.sleep(chance.uniform(0.05, longest))
                server.process.send_signal(signal.SIGKILL)
                current[0] = None
                server.process.wait()
        with start() as server:
            current[0] = server.ready()
            time.sleep(1)
            for client in clients:
                client.stopping.set()
            for client in clients:
                client.join(60)
            assert server.stop() == 0
    finally:
        for client in clients:
            client.stopping.set()
    judge(server.store, clients)
    return server


def judge(url: str, clients: list[Client]) -> None:
    """Nothing acknowledged is lost, nothing is there twice, nothing that nobody sent, and replay decides the same."""
    stored = [mark for _, mark in stored_ids(url)]
    acknowledged = {mark for client in clients for mark in client.acknowledged}
    assert acknowledged, "somebody was served"
    assert [found for client in clients for found in client.strange] == []
    assert acknowledged - set(stored) == set()
    assert len(stored) == len(set(stored))
    ours = {mark for mark in stored if mark.startswith("outreach.sent:")}
    assert set(stored) - ours <= {mark for client in clients for mark in client.sent}
    store = open_store(url, create=False)
    try:
        found = replay.verify(store)
        assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)
        accepted = {f"outreach.sent:{row.outreach_id}" for row in store.outreach(states=["accepted"])}
        waiting = [row for lane in range(store.lanes) for row in store.inbox(lane, after=0)]
        assert len(ours) + len(waiting) == len(accepted)
        assert ours <= accepted
    finally:
        store.close()
