"""How we listen, and how uvicorn is set: the same for the server and for the pages of a worker."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from engine.errors import UsageError
from ringfirst.server.door import GuardedProtocol


def config(app: object, *, stop_seconds: int) -> uvicorn.Config:
    """How uvicorn is to run an application; ``stop_seconds`` is what requests under way get when it stops."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=GuardedProtocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=stop_seconds,
    )


@contextmanager
def listening(host: str, port: int, settings: str) -> Iterator[socket.socket]:
    """The socket, before anything else is touched: a wrong address shows at once.

    Raises ``UsageError`` that names the ``settings`` to change.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as err:
        raise _unusable(host, port, settings, err) from err
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(256)
        except OSError as err:
            raise _unusable(host, port, settings, err) from err
        yield listener


def shown(listener: socket.socket) -> str:
    """Where a socket listens, for a person."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _unusable(host: str, port: int, settings: str, err: OSError) -> UsageError:
    why = err.strerror or type(err).__name__
    return UsageError(f"{host}:{port}: cannot listen there; {why}; set {settings}")
