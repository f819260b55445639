"""Connections to one server of HTTP that carry mail after mail, and no layer between a mail and what is known of it.

Not a byte of a mail leaves before there is a connection: a failure until then is no doubt, any later one is. Nothing is
tried again and no redirect is followed; a mail that was posted twice is sent twice.
"""

import select
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from threading import Lock
from typing import NamedTuple
from urllib.parse import urlsplit

from outreach.channels.deadline import Limit

MOST_BYTES = 65_536
"""Of an answer nobody reads more."""


class Unreached(Exception):
    """There was no connection, so nothing was said."""


class Unanswered(Exception):
    """There was one, and no whole head of an answer came by it: what was said may have been heard."""


class Answered(NamedTuple):
    """What a server said. ``body`` is what came of it in time, None: not all of it, or more than 64 KiB."""

    status: int
    headers: HTTPMessage
    body: bytes | None


class Connections:
    """Connections to the host of a URL; each thread that posts has one of its own meanwhile."""

    def __init__(self, url: str, *, connect_seconds: float, answer_seconds: float) -> None:
        found = urlsplit(url)
        self._host, self._port = found.hostname or "", found.port
        self._trust = ssl.create_default_context() if found.scheme == "https" else None
        self._connect_seconds, self._answer_seconds = connect_seconds, answer_seconds
        self._lock = Lock()
        self._free: list[HTTPConnection] = []

    def post(self, path: str, body: bytes, headers: Mapping[str, str], limit: Limit) -> Answered:
        """Post once; ``limit`` cuts it off. Raises ``Unreached`` or ``Unanswered``, caused by what happened."""
        connection = self._open_one() or self._connected()
        limit.sock = connection.sock
        try:
            connection.request("POST", path, body, dict(headers))
            answer = connection.getresponse()
        except (HTTPException, OSError) as err:
            connection.close()
            raise Unanswered from err
        except ValueError as err:  # a header that cannot be written: not a byte has left
            connection.close()
            raise Unreached from err
        return Answered(answer.status, answer.headers, self._rest(connection, answer))

    def close(self) -> None:
        """Close those that are not in use."""
        with self._lock:
            free, self._free = self._free, []
        for one in free:
            one.close()

    def _open_one(self) -> HTTPConnection | None:
        """One that the other side has not closed meanwhile."""
        while True:
            with self._lock:
                if not self._free:
                    return None
                found = self._free.pop()
            if found.sock is not None and not _has_something(found.sock):
                return found
            found.close()

    def _connected(self) -> HTTPConnection:
        made = (
            HTTPConnection(self._host, self._port, timeout=self._connect_seconds)
            if self._trust is None
            else HTTPSConnection(self._host, self._port, timeout=self._connect_seconds, context=self._trust)
        )
        try:
            made.connect()
            made.sock.settimeout(self._answer_seconds)
        except (HTTPException, OSError, UnicodeError) as err:
            made.close()
            raise Unreached from err
        return made

    def _rest(self, connection: HTTPConnection, answer: HTTPResponse) -> bytes | None:
        """Read an answer to its end, so that its connection carries the next mail; what was said stands in any case."""
        try:
            body = answer.read(MOST_BYTES)
            whole = answer.isclosed() or not answer.read(1)
        except (HTTPException, OSError):
            connection.close()
            return None
        if not whole or connection.sock is None:
            connection.close()
            return body if whole else None
        with self._lock:
            self._free.append(connection)
        return body


def _has_something(sock: socket.socket) -> bool:
    """Nobody says anything on a connection that waits for a question: it was closed, or is out of step."""
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))
