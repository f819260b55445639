"""What any provider tells of mails as plain JSON, behind a token: for those that have no webhook of their own here."""

import hmac
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from engine.errors import UsageError
from engine.instants import MINUTE, Instant, parse_instant
from engine.store import Store
from outreach.addresses import address_key, clean_address
from outreach.incoming import Came
from ringfirst.coming_back import take
from ringfirst.intake import now
from ringfirst.settings import Settings
from ringfirst.web.app import body_of

PATH = "/webhooks/feedback"
MOST = 200
"""Most things told in one request: each is a transaction of its own, and all of them have the time of one answer."""
_AHEAD = 5 * MINUTE
Kind = Literal[
    "processed", "delivered", "deferred", "bounced", "blocked", "complained", "unsubscribed", "replied", "away", "left"
]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing told: ``id`` is the provider's own, the same when it tells it again; ``time`` is ISO 8601.

    Which mail it is about stands in ``mail_id`` (ours) or ``message_id``; ``address`` may stand beside or instead.
    """

    id: _Text
    event: Kind
    time: _Text
    mail_id: _Text | None = None
    message_id: _Text | None = None
    address: _Text | None = None
    status: Annotated[str, msgspec.Meta(pattern=r"^[245]\.\d{1,3}\.\d{1,3}$")] | None = None


_decode = msgspec.json.Decoder(Annotated[list[Told], msgspec.Meta(min_length=1, max_length=MOST)]).decode


def told_routes(store: Store, found: Settings) -> Sequence[BaseRoute]:
    """The webhook, when the settings hold a token for it."""
    if found.feedback_token is None:
        return []
    token = found.feedback_token.get_secret_value().encode()

    async def feedback(request: Request) -> Response:
        kind, _, given = request.headers.get("authorization", "").encode().partition(b" ")
        if not hmac.compare_digest(given.strip(), token) or kind.lower() != b"bearer":
            words = "Authorization: the token is missing or wrong; send 'Authorization: Bearer TOKEN'\n"
            return PlainTextResponse(words, 401, {"WWW-Authenticate": "Bearer"})
        body, at = await body_of(request), now()
        try:
            came = read_told(body, at=at)
        except UsageError as err:
            return PlainTextResponse(f"{err}\n", 400)
        return JSONResponse(await run_in_threadpool(_taken, store, came, at))

    return [Route(PATH, feedback, methods=["POST"])]


def read_told(body: bytes, *, at: Instant) -> list[tuple[Told, Came]]:
    """Read a request: one thing, or an array of them; all or none. Raises ``UsageError`` that says what is wrong."""
    text = body.strip()
    try:
        told = _decode(text if text.startswith(b"[") else b"[%s]" % text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as err:
        raise UsageError(
            f"body: not what this takes; {str(err)[:200]}; nothing was taken; mend it and send it"
        ) from err
    return [(one, _came(number, one, at)) for number, one in enumerate(told)]


def _came(number: int, one: Told, at: Instant) -> Came:
    when = parse_instant(one.time)
    if when is None or when > at + _AHEAD:
        why = "is no instant" if when is None else "lies ahead"
        raise UsageError(f"body: $[{number}].time {why}; nothing was taken; write it as 2026-03-02T09:00:00Z")
    if one.address is not None and clean_address(one.address) is None:
        raise UsageError(f"body: $[{number}].address is no address; nothing was taken; write it plainly")
    if one.mail_id is None and one.message_id is None and one.address is None:
        raise UsageError(f"body: $[{number}] names no mail; nothing was taken; send mail_id, message_id or address")
    ids = (one.message_id,) if one.message_id is not None else ()
    return Came(
        kind=one.event,
        event_id=f"json:{one.id}",
        at=min(when, at),
        mail_id=one.mail_id,
        message_ids=ids,
        status=one.status,
    )


def _taken(store: Store, came: Sequence[tuple[Told, Came]], at: Instant) -> dict[str, int]:
    counts = {"taken": 0, "unknown": 0}
    for told, one in came:
        address = clean_address(told.address) if told.address is not None else None
        person = address_key(store.key, address) if address is not None else None
        found = take(store, one, at=at, provider="json", person=person)
        counts["unknown" if found == "unknown" else "taken"] += 1
    return counts
