"""The web that faces outside, on a real listener in a thread, and a client that sends what it is told."""

import http.client
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple, Self

import uvicorn
from starlette.routing import BaseRoute

from ringfirst.server.web import config, listening
from ringfirst.web.app import make_web


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    text: str


class Outside:
    """The application of these routes, served."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._server = uvicorn.Server(config(make_web(routes), stop_seconds=1))
        self._stack = ExitStack()
        self.port = 0

    def __enter__(self) -> Self:
        listener = self._stack.enter_context(listening("127.0.0.1", 0, "the test"))
        self.port = listener.getsockname()[1]
        thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._stack.callback(thread.join, 10)
        thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.should_exit = True
        self._stack.close()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Said:
        """One request; underscores in header names stand for dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            found = connection.getresponse()
            told = {name.lower(): text for name, text in found.getheaders()}
            return Said(found.status, told, found.read().decode())
        finally:
            connection.close()
