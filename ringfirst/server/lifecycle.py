"""The server from start to stop: one thread for the web, one for the lanes, one for mails; the main one watches."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import uvicorn

from engine.errors import UsageError
from engine.rulebook.book import Rulebook
from engine.store import Store
from outreach.channel import Channel
from outreach.context import Sender
from outreach.limits import Limits
from outreach.templates import Template
from ringfirst.leaving import doubts_of, guard_of
from ringfirst.reporting import Rounds
from ringfirst.server.app import make_app
from ringfirst.server.door import is_address
from ringfirst.server.health import Health
from ringfirst.server.metrics import Metrics
from ringfirst.server.owner import Owner
from ringfirst.server.sending import Sending
from ringfirst.server.stopping import asked_to_stop
from ringfirst.server.waiting import WaitingRoom
from ringfirst.server.web import config, listening, shown

STOP_SECONDS = 9.0
"""How long a clean stop may take; supervisors commonly kill after ten seconds."""
WEB_SECONDS = 4
"""How much of it requests under way get to be read, committed and answered."""
LATE = 1
_log = logging.getLogger("ringfirst.server")


@dataclass(frozen=True)
class Post:
    """What the sender beside the intake works with."""

    templates: dict[str, Template]
    channel: Channel
    sender: Sender
    only_to: tuple[str, ...] = ()
    limits: Limits | None = None


@dataclass(frozen=True)
class Address:
    """Where the server listens, who it answers to, and the token that clients carry."""

    host: str = "127.0.0.1"
    port: int = 8484
    token: str | None = None
    names: tuple[str, ...] = field(default=())

    def checked(self) -> "Address":
        """The same. Raises ``UsageError`` when it would be open to others without a token."""
        if not is_loopback(self.host) and self.token is None:
            raise UsageError(
                f"RINGFIRST_HOST: other machines could send events; found {self.host} and no token; set "
                "RINGFIRST_TOKEN or RINGFIRST_TOKEN_FILE too, or leave the host at 127.0.0.1"
            )
        return self


def is_loopback(host: str) -> bool:
    """Does only this machine reach it?

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    return host in {"localhost", "::1"} or (is_address(host) and host.startswith("127."))


def serve(
    store: Store,
    book: Rulebook,
    address: Address,
    *,
    post: Post | None,
    take_over: bool = False,
    tell: Callable[[str], None],
) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. ``post`` None sends nothing.

    Raises ``LaneTaken`` when another owner is alive, ``Fenced`` when one took over, ``UsageError`` when the address
    cannot be used.
    """
    with (
        listening(address.host, address.port, "RINGFIRST_HOST or RINGFIRST_PORT") as listener,
        asked_to_stop() as asked,
    ):
        server = _Server(store, book, address, post, listener, take_over=take_over)
        tell(f"listening on http://{shown(listener)}")
        return server.run(asked, tell)


class _Server:
    """The three threads and what they share."""

    def __init__(
        self,
        store: Store,
        book: Rulebook,
        address: Address,
        post: Post | None,
        listener: socket.socket,
        *,
        take_over: bool,
    ) -> None:
        self._health, self._room = Health(), WaitingRoom()
        metrics = Metrics(self._health, self._room)
        app = make_app(self._room, self._health, metrics, names=(address.host, *address.names), token=address.token)
        self._web = uvicorn.Server(config(app, stop_seconds=WEB_SECONDS))
        self._web_thread = threading.Thread(target=self._web.run, args=([listener],), name="web", daemon=True)
        self._owner = Owner(store, book, self._room, self._health, metrics, take_over=take_over)
        self._sending: Sending | None = None
        if post is not None:
            self._sending = Sending(
                store,
                post.templates,
                post.channel,
                post.sender,
                self._health,
                metrics,
                policy=book.policy,
                doubts=doubts_of(book),
                only_to=post.only_to,
                limits=post.limits,
                guard=lambda at: guard_of(store, book, at),
                reports=Rounds(store, lambda: book),
            )

    def run(self, asked: threading.Event, tell: Callable[[str], None]) -> int:
        self._web_thread.start()
        self._owner.start()
        while not self._owner.settled.wait(0.1) and not asked.is_set():
            pass
        if self._owner.failed is None and not asked.is_set():
            if self._sending is not None:
                self._sending.start()
            tell("ready: events are taken in")
            while not asked.wait(0.5) and self._owner.is_alive() and self._web_thread.is_alive():
                pass
        return self._stop(tell)

    def _stop(self, tell: Callable[[str], None]) -> int:
        """Stop in order: new requests, those under way, the sender, the lanes. Everything acknowledged is stored."""
        until = time.monotonic() + STOP_SECONDS
        tell("stopping")
        self._web.should_exit = True
        if self._sending is not None:
            self._sending.stop()
        self._join(self._web_thread, until)
        self._room.close()
        if self._sending is not None:
            self._join(self._sending, until)
        self._join(self._owner, until)
        if self._owner.failed is not None:
            raise self._owner.failed
        if self._owner.is_alive() or (self._sending is not None and self._sending.is_alive()):
            tell("could not finish in time; everything acknowledged is stored, the next start takes a little longer")
            os._exit(LATE)
        tell("stopped")
        return 0

    def _join(self, thread: threading.Thread, until: float) -> None:
        if thread.ident is not None:
            thread.join(max(0.0, until - time.monotonic()))
