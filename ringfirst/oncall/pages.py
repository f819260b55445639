"""The pages of a worker, in a thread with an event loop of its own: a worker whose loop is blocked still answers."""

import logging
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from engine.instants import Instant
from ringfirst.oncall.health import TURN_SECONDS, Checks, WorkerHealth
from ringfirst.oncall.herald import Herald, Portrait
from ringfirst.oncall.metrics import WorkerMetrics
from ringfirst.oncall.told import WorkerTold
from ringfirst.server.door import Door
from ringfirst.server.web import config, listening, shown
from streams.app import App
from streams.tally import Tally

STOP_SECONDS = 1
TEXT = "text/plain; version=0.0.4; charset=utf-8"
log = logging.getLogger(__name__)


class Place(msgspec.Struct, frozen=True):
    """Where the pages are, who may ask: with a ``token`` only who carries it sees more than /livez and /readyz."""

    host: str
    port: int
    token: str | None = None
    names: tuple[str, ...] = ()

    @contextmanager
    def listening(self) -> Iterator[socket.socket]:
        """The socket. Raises ``UsageError`` when it cannot be had."""
        with listening(self.host, self.port, "RINGFIRST_HEALTH or --health") as listener:
            yield listener


def make_pages(
    health: WorkerHealth,
    metrics: WorkerMetrics,
    draw: Callable[[], WorkerTold],
    *,
    names: Collection[str] = (),
    token: str | None = None,
) -> ASGIApp:
    """Make the application: /livez, /readyz, /metrics, /status.json."""

    async def livez(_request: Request) -> Response:
        alive, found = health.alive()
        return PlainTextResponse(f"{found}\n", status_code=200 if alive else 503)

    async def readyz(_request: Request) -> Response:
        checks = health.checks()
        ready = all(ok for ok, _ in checks.values())
        return JSONResponse(_told(checks), status_code=200 if ready else 503)

    async def show(_request: Request) -> Response:
        return Response(metrics.text(), media_type=TEXT)

    async def status(_request: Request) -> Response:
        body = {**_told(health.checks()), "worker": draw()}
        return Response(msgspec.json.encode(body), media_type="application/json")

    pages = {"/livez": livez, "/readyz": readyz, "/metrics": show, "/status.json": status}
    return Door(Starlette(routes=[Route(path, page) for path, page in pages.items()]), names=names, token=token)


class Pages(threading.Thread):
    """Serves the pages until it is stopped; it ends with the process at the latest."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        super().__init__(name="ringfirst-pages", daemon=True)
        self._listener = listener
        self._web = uvicorn.Server(config(app, stop_seconds=STOP_SECONDS))
        self.url = f"http://{shown(listener)}"

    def run(self) -> None:
        """Serve."""
        log.info("how this worker is: %s/readyz, /livez, /metrics and /status.json", self.url)
        self._web.run([self._listener])

    def stop(self) -> None:
        """Take no more questions; nobody waits for it."""
        self._web.should_exit = True


def pages_of(
    app: App,
    tally: Tally,
    herald: Herald,
    portrait: Portrait,
    *,
    clocks: Callable[[], Mapping[int, Instant]],
    place: Place,
    listener: socket.socket,
    turn_seconds: float = TURN_SECONDS,
) -> Pages:
    """Make the pages of a worker, not started yet; its portrait says where they are."""
    health, held = WorkerHealth(app, tally, herald, turn_seconds=turn_seconds), app.work.held
    metrics = WorkerMetrics(tally, held, held.topics, clocks=clocks, health=health, stock=lambda: herald.stock)
    names = (place.host, *place.names)
    pages = Pages(make_pages(health, metrics, portrait.draw, names=names, token=place.token), listener)
    portrait.health = pages.url
    return pages


def _told(checks: Checks) -> dict[str, object]:
    return {
        "ready": all(ok for ok, _ in checks.values()),
        "checks": {name: {"ok": ok, "found": found} for name, (ok, found) in checks.items()},
    }
