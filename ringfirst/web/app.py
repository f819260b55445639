"""The application that faces outside: a few routes, everything else is hidden, and no page tells what runs here."""

import asyncio
import logging
from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.errors import RingfirstError
from ringfirst.server.refused import RETRY_SECONDS, Refused

ANSWER_SECONDS = 20.0
"""How long a request may take in all; who comes with a body that drips is given up."""
MAX_BODY = 1024 * 1024
"""Largest body in bytes. A provider's batch of events is the largest that comes (768 KB, DELIVERY 2)."""
POLICY = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
"""Nothing is loaded and nobody frames it; a page with a style adds the hash of that style."""
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",  # the address of a page is all that it takes to act on it
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow, noarchive",
}
_log = logging.getLogger("ringfirst.web")


def make_web(routes: Iterable[BaseRoute]) -> ASGIApp:
    """Make the application of these routes; to all else, and to all other methods, it says 404."""
    app = Starlette(
        routes=[Route("/robots.txt", _robots), *routes],
        exception_handlers={404: _hidden, 405: _hidden, Refused: _refused, Exception: _broken},
    )
    app.router.redirect_slashes = False  # one-click goes by POST, which nobody redirects (RFC 8058)
    return _Guard(app)


async def body_of(request: Request, most: int = MAX_BODY) -> bytes:
    """The whole body, as it came. Raises ``Refused`` (413) as soon as it is larger than ``most`` bytes."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most:
        raise _too_large(most)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise _too_large(most)
    except ClientDisconnect:
        raise Refused(400, "body: it has no end; nothing was taken; send it again, whole") from None
    return bytes(body)


class _Guard:
    """Gives every answer the headers of a page that nobody else may keep, frame or index; ends what takes too long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                there = {name.lower() for name, _ in message["headers"]}
                more = [(name.encode(), text.encode()) for name, text in _HEADERS.items()]
                message["headers"] = [*message["headers"], *((name, text) for name, text in more if name not in there)]
            await send(message)

        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._app(scope, receive, guarded)
        except TimeoutError:
            if not begun:
                await PlainTextResponse("It took too long.\n", 408, {"Connection": "close"})(scope, receive, guarded)
        except Exception as err:  # noqa: BLE001, the outermost loop: whatever it was, the others are still answered
            _log.error("a page failed: %s", err if isinstance(err, RingfirstError) else type(err).__name__)


async def _robots(_request: Request) -> Response:
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


async def _hidden(_request: Request, _err: Exception) -> Response:
    return PlainTextResponse("There is nothing here.\n", 404)


async def _refused(_request: Request, err: Exception) -> Response:
    status = err.status if isinstance(err, Refused) else 400
    return PlainTextResponse(f"{err}\n", status)


async def _broken(_request: Request, _err: Exception) -> Response:
    words = "This does not work right now. Please try again in a minute.\n"
    return PlainTextResponse(words, 503, {"Retry-After": str(RETRY_SECONDS)})


def _too_large(most: int) -> Refused:
    return Refused(413, f"body: larger than {most:,} bytes; nothing was taken; send less")
