"""Serving the outside in a thread of its own, beside whatever else the process does."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from engine.store import Store
from ringfirst.server.web import config, listening, shown
from ringfirst.settings import Settings, place_of
from ringfirst.web.app import make_web
from ringfirst.web.routes import routes_of

STOP_SECONDS = 4
"""What requests under way get when it stops."""


class Web(threading.Thread):
    """Serves an application until it is stopped."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        super().__init__(name="ringfirst-web", daemon=True)
        self._listener = listener
        self._web = uvicorn.Server(config(app, stop_seconds=STOP_SECONDS))

    def run(self) -> None:
        """Serve."""
        self._web.run([self._listener])

    def stop(self) -> None:
        """Take no more requests, and wait for those under way."""
        self._web.should_exit = True
        self.join(STOP_SECONDS + 1)


@contextmanager
def facing_outside(store: Store, found: Settings, *, at: str | None, tell: Callable[[str], None]) -> Iterator[None]:
    """Serve what faces outside while it is open; ``at`` None serves nothing.

    Raises ``UsageError`` when the place cannot be used.
    """
    if at is None:
        yield
        return
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below it, any stranger could fill the log
    host, port = place_of(at)
    with listening(host, port, "RINGFIRST_WEB") as listener:
        web = Web(make_web(routes_of(store, found)), listener)
        web.start()
        tell(f"serving the outside on http://{shown(listener)}")
        if found.public_url is None:
            tell("mails carry no links yet: set RINGFIRST_PUBLIC_URL to the address that leads here from outside")
        try:
            yield
        finally:
            web.stop()
