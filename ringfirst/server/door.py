"""Who may come in: the names we answer to, the token, and connections that take their time."""

import asyncio
import hmac
import ipaddress
from collections.abc import Collection

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
"""How long a connection may take to say what it wants."""
MAX_HEAD = 64 * 1024
MAX_REST = 16 * 1024 * 1024
"""How much of a refused body is read and thrown away, within the same time."""
MAX_CONNECTIONS = 512
OPEN_PATHS = frozenset({"/livez", "/readyz"})
"""What may be asked without the token: probes carry none, and the answers tell nothing of customers."""


class Door:
    """Lets a request through when its ``Host`` is a name of ours and, where there is a token, it carries it.

    A browser can be led to a server on this machine by a foreign name that points to 127.0.0.1 (DNS rebinding); then
    ``Host`` is the foreign name. Plain addresses are always ours: nobody can rebind them.
    """

    def __init__(self, app: ASGIApp, *, names: Collection[str], token: str | None) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names) | {"localhost"}
        self._token = token.encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or say why not."""
        if scope["type"] != "http":
            return
        headers = scope["headers"]
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self._ours(hosts[0]):
            found = repr(hosts[0][:100]) if hosts else "none"
            said = f"Host: not a name of this server; found {found}; name it in RINGFIRST_ALLOWED_HOSTS if it is one"
            await _no(421, said)(scope, receive, send)
        elif self._token and scope["path"] not in OPEN_PATHS and not self._has_token(headers):
            said = "Authorization: the token is missing or wrong; send 'Authorization: Bearer TOKEN'"
            await _no(401, said, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _ours(self, host: str) -> bool:
        name = host_name(host)
        return name in self._names or is_address(name)

    def _has_token(self, headers: list[tuple[bytes, bytes]]) -> bool:
        sent = [value for name, value in headers if name == b"authorization"]
        kind, _, given = (sent[0] if len(sent) == 1 else b"").partition(b" ")
        # The comparison always takes the same time: how much of a guess is right cannot be measured.
        return hmac.compare_digest(given.strip(), self._token or b"") and kind.lower() == b"bearer"


def host_name(host: str) -> str:
    """The name in a ``Host`` header, without its port.

    >>> host_name("Localhost:8484"), host_name("[::1]:8484"), host_name("a.example.")
    ('localhost', '::1', 'a.example')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().removesuffix(".")


def is_address(name: str) -> bool:
    """Is it a plain IP address?

    >>> is_address("127.0.0.1"), is_address("::1"), is_address("example.com")
    (True, True, False)
    """
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _no(status: int, said: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": said}, status_code=status, headers=headers)


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with what it leaves out: limits on a request's head, and on what nobody reads any more.

    Without them a few hundred connections that send a byte now and then (slow loris) keep everybody else out. The rest
    of a body that was refused is read and thrown away, up to a limit: a client that is cut off while it still sends
    does not get to see the answer.
    """

    since = 0.0
    """When it was last asked for something, or began, by the loop's clock."""
    _limit: asyncio.TimerHandle | None = None
    _counted = 0
    _in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head.

        Above the limit of connections the one goes that has asked for nothing for longest: idle ones, however many,
        keep out nobody who has something to ask. Where all are being answered the new one goes.
        """
        super().connection_made(transport)
        self.since = self.loop.time()
        self._wait()
        if len(self.connections) > MAX_CONNECTIONS:
            silent = (one for one in self.connections if isinstance(one, GuardedProtocol) and one.silent)
            min(silent, key=lambda one: one.since, default=self).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head, or to a body that nobody reads any more."""
        if self._limit is None and self._idle():
            self._wait()
            self.since = self.loop.time()
        self._counted += len(data)
        super().data_received(data)
        if self._limit is not None and self._counted > (MAX_REST if self._in_body else MAX_HEAD):
            self.transport.abort()
        elif self._limit is None and self._idle() and self.timeout_keep_alive_task is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """The head is there; its body has deadlines of its own."""
        self._forget()
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is there."""
        self._forget()
        self._in_body = False
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._forget()
        super().connection_lost(exc)

    @property
    def silent(self) -> bool:
        """Is nobody waiting for an answer on it, nor is one being read?"""
        return self._idle() and not self._in_body and not self.transport.is_closing()

    def _idle(self) -> bool:
        """Is no request being answered?"""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._counted = 0
        self._limit = self.loop.call_later(HEAD_SECONDS, self._late)

    def _forget(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _late(self) -> None:
        self._limit = None
        self.transport.abort()


__all__ = ["Door", "GuardedProtocol", "host_name", "is_address"]
