"""The pages of the server: /v1/events takes events in, /livez, /readyz and /metrics tell how it is."""

import asyncio
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from engine.keeper import Taken
from ringfirst.intake import now
from ringfirst.server.bodies import MAX_BODY, Parcel, Unpacking, kind_of, read_parcel, too_large
from ringfirst.server.door import Door
from ringfirst.server.health import Health
from ringfirst.server.metrics import Metrics
from ringfirst.server.refused import RETRY_SECONDS, Refused, busy
from ringfirst.server.waiting import WaitingRoom

MOST_BYTES = 64 * 1024 * 1024
"""How many bytes of bodies are held at a time; more are refused until there is room."""
PIECE_SECONDS = 10.0
"""How long a body may take to the next piece."""
BODY_SECONDS = 60.0
"""How long a body may take in all."""
COMMIT_SECONDS = 30.0
"""How long a request waits for its commit."""
SHOWN = 100
"""How many bad events an answer names one by one; it always counts them all."""
SMALL = 32 * 1024
"""Bodies up to this size are read at once; larger ones in a thread, so that others are answered meanwhile."""
_TOO_SLOW, _LATER = 408, 503


def make_app(
    room: WaitingRoom,
    health: Health,
    metrics: Metrics,
    *,
    names: Collection[str] = (),
    token: str | None = None,
) -> ASGIApp:
    """Make the application; events go into ``room``."""
    intake = _Intake(room, health, metrics)

    async def livez(_request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_request: Request) -> Response:
        checks = health.checks(room)
        ready = all(ok for ok, _ in checks.values())
        body = {
            "ready": ready,
            "checks": {name: {"ok": ok, "found": found} for name, (ok, found) in checks.items()},
            "sender": health.sender,
        }
        return JSONResponse(body, status_code=200 if ready else 503)

    async def show(_request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    routes = [
        Route("/v1/events", intake.post, methods=["POST"]),
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/metrics", show),
    ]
    return Door(Starlette(routes=routes), names=names, token=token)


class _Intake:
    """``POST /v1/events``."""

    def __init__(self, room: WaitingRoom, health: Health, metrics: Metrics) -> None:
        self._room, self._health, self._metrics = room, health, metrics
        self._held = 0
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")

    async def post(self, request: Request) -> Response:
        """Take events in; the answer comes after their commit."""
        held = [0]
        try:
            answer = await self._taken(request, held)
        except ClientDisconnect:
            answer = Response(status_code=400)  # nobody reads it
        except Refused as err:
            answer = refusal(err)
        except asyncio.CancelledError:  # by a stop that waits no longer; the owner may still commit it
            answer = refusal(busy("the server is stopping; what became of this request is not known"))
        finally:
            self._held -= held[0]
        self._metrics.requests.labels(str(answer.status_code)).inc()
        return answer

    async def _taken(self, request: Request, held: list[int]) -> Response:
        kind = kind_of(request.headers.get("content-type", ""))
        packing = request.headers.get("content-encoding", "identity").strip().lower()
        if packing not in {"identity", "gzip"}:
            raise Refused(415, f"Content-Encoding: not one we read; found {packing[:100]!r}; send gzip or none")
        told = request.headers.get("content-length")
        if told is not None and int(told) > MAX_BODY:
            raise too_large(f"{int(told):,}")
        if self._health.state != "owner":
            raise busy(self._health.why)
        body = await self._body(request, Unpacking(gzip=packing == "gzip"), held)
        parcel = await self._read(body, kind)
        # Whatever the client does meanwhile: what is committed is committed, and a repeat of it is ignored.
        waiting = self._room.enter(parcel)
        try:
            taken = await asyncio.wait_for(asyncio.wrap_future(waiting.answer), COMMIT_SECONDS)
        except TimeoutError:
            raise busy(f"no commit within {COMMIT_SECONDS:.0f} s; what became of this request is not known") from None
        return _answer(parcel, taken)

    async def _body(self, request: Request, unpacking: Unpacking, held: list[int]) -> bytes:
        """The body, unpacked; ``held`` counts its bytes as they come."""
        pieces = request.stream().__aiter__()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    async with asyncio.timeout(PIECE_SECONDS):
                        piece = await anext(pieces, b"")
                    if not piece:
                        return unpacking.whole()
                    grown = unpacking.feed(piece)
                    held[0] += grown
                    self._held += grown
                    if self._held > MOST_BYTES:
                        raise busy(f"{self._held:,} bytes of other requests are held")
        except TimeoutError:
            raise Refused(
                408, "body: it came too slowly; nothing was taken; send it again, or less at a time"
            ) from None

    async def _read(self, body: bytes, kind: frozenset[str]) -> Parcel:
        wall = now()
        if len(body) <= SMALL:
            return read_parcel(body, kind, wall=wall)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, lambda: read_parcel(body, kind, wall=wall))


def refusal(err: Refused) -> Response:
    """The answer that says no, with the status and what to do."""
    headers = {"Connection": "close"} if err.status == _TOO_SLOW else {}
    if err.status == _LATER:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return JSONResponse({"error": str(err)}, status_code=err.status, headers=headers)


def _answer(parcel: Parcel, taken: Taken) -> Response:
    """What became of a request; 422 when not one event of it was good, for senders that only look at the status."""
    rejected = zip(parcel.places, parcel.letters, strict=True)
    body: dict[str, Any] = {
        "received": len(parcel),
        "new": taken.new,
        "duplicates": taken.duplicates,
        "conflicting": taken.conflicting,
        "forgotten": taken.forgotten,
        "dead_letters": len(parcel.letters),
        "rejected": [{"index": place, "reason": letter.reason} for place, letter in list(rejected)[:SHOWN]],
    }
    return JSONResponse(body, status_code=200 if parcel.good else 422)
