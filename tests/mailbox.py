"""A real SMTP server with one mailbox, for tests that let mails leave."""

import asyncio
import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.smtp import SMTP


class Box:
    """A server's mailbox; ``answers`` says what it answers to RCPT and DATA, ``drop`` closes without an answer."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.sessions: set[int] = set()
        self.answers: dict[str, str] = {}
        self.drop = ""
        self.address = ""
        """Where it can be reached, as ``host:port``."""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.drop == "RCPT":
            server.transport.close()
        if "RCPT" in self.answers:
            return self.answers["RCPT"].format(address=address)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if "DATA" in self.answers:
            return self.answers["DATA"]
        self.mails.append(envelope)
        self.sessions.add(id(session))
        if self.drop == "DATA":
            server.transport.close()
        if self.drop == "after":
            self.drop = ""
            server.loop.call_soon(server.transport.close)
        return "250 2.0.0 taken"


@contextmanager
def serving(factory: Callable[[], SMTP], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server of SMTP on a free port, in a thread of its own; gives the port."""
    ready: queue.Queue[tuple[int, Callable[[], object]]] = queue.Queue()

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=context)
        ready.put((server.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(stop.set)))
        async with server:
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    port, stop = ready.get(timeout=30)
    yield port
    stop()
    thread.join(30)
