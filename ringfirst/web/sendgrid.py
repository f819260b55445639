"""What SendGrid posts: checked, kept, answered at once, and learned from after the answer."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from engine.errors import RingfirstError, UsageError
from engine.rulebook.spec import Policy
from engine.store import Store
from outreach.channels.sendgrid_events import SIGNATURE, TIMESTAMP, NotSignedError, checker, read_events
from outreach.feedback import by_topic, settle, stopping, suppressing
from ringfirst.intake import now
from ringfirst.settings import Settings
from ringfirst.web.app import body_of

PATH = "/webhooks/sendgrid"
LEARNER = "webhook:sendgrid"
_log = logging.getLogger("ringfirst.web")


def sendgrid_routes(store: Store, found: Settings, policy: Callable[[], Policy]) -> Sequence[BaseRoute]:
    """The webhook, when the settings hold the key that its batches are signed with. Raises ``UsageError``.

    ``policy`` gives the rulebook's policy as it is now.
    """
    if found.sendgrid_webhook_key is None:
        return []
    check = checker(found.sendgrid_webhook_key)
    waiting = threading.Event()
    learners = ThreadPoolExecutor(1, "webhook-learner")

    def take(body: bytes) -> None:
        told = by_topic(store, read_events(body, store.key, at=now()), lambda: policy().topics)
        store.put_feedback(told, suppress=suppressing(told), stop=stopping(told))
        waiting.set()
        learners.submit(learn)

    def learn() -> None:
        """All that has come by now; what fails is learned by the next one, or by the sender before it sends."""
        if not waiting.is_set():
            return
        waiting.clear()
        try:
            settle(store, at=now(), by=LEARNER)
        except RingfirstError as err:
            _log.error("what SendGrid told waits: %s", err)

    async def events(request: Request) -> Response:
        body = await body_of(request)
        headers = {name: request.headers.get(name, "") for name in (SIGNATURE, TIMESTAMP)}
        try:
            check(body, headers, now())
        except NotSignedError as err:
            return PlainTextResponse(f"{err}\n", 401)
        try:
            await run_in_threadpool(take, body)
        except UsageError as err:
            return PlainTextResponse(f"{err}\n", 400)
        return Response(status_code=204)

    return [Route(PATH, events, methods=["POST"])]
