"""The page on which a reader chooses mails, and the address that one-click posts to (RFC 8058).

Only a POST ever changes anything: mail servers fetch every link of a mail to look for malware.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jinja2
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from engine.rulebook.spec import Policy, Topic
from engine.rulebook.topics import named_topic, shown_topics
from engine.store import ALL_TOPICS, Choice, Every, Store, Wishes
from outreach.context import Sender, reader_locale
from outreach.links import TRIAL_TOPIC, Token, unseal
from outreach.locales import direction
from ringfirst.intake import now
from ringfirst.unsubscribing import choose, choose_rhythm, stop
from ringfirst.web.app import POLICY, body_of
from ringfirst.web.wording import Words, words_for, words_in

MOST_FORM = 16 * 1024
"""Bytes of the form, or of what a mailbox provider posts."""
POLICY_SECONDS = 10.0
"""How old the list of topics on a page may be."""
_HERE = Path(__file__).parent
_STYLE = (_HERE / "style.css").read_text()
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {"content-security-policy": f"{POLICY}; style-src 'sha256-{_HASH}'"}
_pages = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
)
_ACTS = ("stop", "start", "stop_all", "start_all", "save", "rhythm")
_EVERY: dict[str, Every] = {"month": "month", "quarter": "quarter"}


class Row(msgspec.Struct, frozen=True):
    """A topic as the page shows it; ``on``: its mails come."""

    name: str
    title: str
    on: bool


class Often(msgspec.Struct, frozen=True):
    """A report of which the reader may choose how often it comes; ``quarter``: they chose one for each quarter."""

    report: str
    title: str
    quarter: bool


class Choices:
    """The pages of one store. ``policy`` gives the rulebook's policy as it is now."""

    def __init__(self, store: Store, sender: Sender, policy: Callable[[], Policy]) -> None:
        self._store, self._sender = store, sender
        self._policy = _kept_for(POLICY_SECONDS, policy)

    def routes(self) -> list[BaseRoute]:
        """``/p/TOKEN`` is the page, ``/u/TOKEN`` what one-click posts to; shown in a browser it is the page too."""
        return [
            Route("/p/{token}", self._get, methods=["GET"]),
            Route("/p/{token}", self._post, methods=["POST"]),
            Route("/u/{token}", self._get, methods=["GET"]),
            Route("/u/{token}", self._one_click, methods=["POST"]),
        ]

    async def _get(self, request: Request) -> Response:
        return await self._answered(request, lambda token: self._page(token, ""))

    async def _one_click(self, request: Request) -> Response:
        # The address says it all. What stands in the body ("List-Unsubscribe=One-Click") differs among providers.
        await body_of(request, MOST_FORM)
        return await self._answered(request, self._stopped)

    async def _post(self, request: Request) -> Response:
        body = await body_of(request, MOST_FORM)
        form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=1_000)
        return await self._answered(request, lambda token: self._acted(token, form))

    async def _answered(self, request: Request, act: Callable[[Token], Response]) -> Response:
        def answer() -> Response:
            token = unseal(request.path_params["token"], self._store.key)
            if token is None:
                words = words_in(reader_locale({}, {}, self._sender))
                return self._html("lost.html", words, words.by_name["lost_title"], status=404)
            if token.topic == TRIAL_TOPIC:
                words = words_in(reader_locale({}, {}, self._sender))
                return self._html("trial.html", words, words.by_name["trial_title"])
            return act(token)

        return await run_in_threadpool(answer)

    def _stopped(self, token: Token) -> Response:
        stop(self._store, token, by="one-click", at=now())
        return self._page(token, "stop_all" if token.topic == ALL_TOPICS else "stop")

    def _acted(self, token: Token, form: Mapping[str, list[str]]) -> Response:
        act = form.get("act", ["save"])[0]
        if act == "rhythm":
            self._often(token, form)
            return self._page(token, act)
        chosen = self._asked(act, token, form)
        if chosen and self._store.wishes(token.address_key).suppressed is None:
            choose(self._store, token, chosen, by="page", at=now())
        return self._page(token, act if act in _ACTS else "")

    def _often(self, token: Token, form: Mapping[str, list[str]]) -> None:
        """Keep how often a report is to come: of one that the page shows, and where it is another than it showed."""
        report, every = form.get("report", [""])[0], _EVERY.get(form.get("every", [""])[0])
        if every is None or report not in {one.report for one in self._rhythms(token)}:
            return
        if self._store.wishes(token.address_key).suppressed is None:
            choose_rhythm(self._store, token, report, every, by="page", at=now())

    def _rhythms(self, token: Token) -> list[Often]:
        """The reports that the reader of the mail gets, or chose for, and of which there is one for quarters."""
        pairs = self._policy().rhythms
        rows = self._store.outreach(outreach_id=token.mail_id) if pairs else []
        chosen = self._store.wishes(token.address_key).rhythms if pairs else {}
        got = {
            one.rule
            for row in rows
            for pair in pairs
            for rule in (pair.monthly, pair.quarterly)
            for one in self._store.outreach(account_id=row.account_id, rule=rule)
            if one.to == row.to
        }
        return [
            Often(pair.monthly, pair.title, quarter=bool(history) and history[-1][1] == "quarter")
            for pair in pairs
            if (history := chosen.get(pair.monthly, ())) or not got.isdisjoint((pair.monthly, pair.quarterly))
        ]

    def _asked(self, act: str, token: Token, form: Mapping[str, list[str]]) -> dict[str, Choice]:
        """What a form asks for. Of the list only what differs from what the page showed: it may be an old one."""
        single = token.topic != ALL_TOPICS
        if act in {"stop_all", "start_all"}:
            return {ALL_TOPICS: "out" if act == "stop_all" else "in"}
        if act in {"stop", "start"}:
            return {token.topic: "out" if act == "stop" else "in"} if single else {}
        ticked, were = set(form.get("topic", ())), set(form.get("was", ()))
        known = {topic.name for topic in self._topics(token)}
        asked = (known & set(form.get("shown", ()))) if act == "save" else set()
        return {name: "in" if name in ticked else "out" for name in sorted(asked) if (name in ticked) != (name in were)}

    def _page(self, token: Token, done: str) -> Response:
        wishes = self._store.wishes(token.address_key)
        rows = [Row(one.name, one.title, _comes(one, wishes)) for one in self._topics(token)]
        here = next((row for row in rows if row.name == token.topic), None)
        words = words_for(self._store, self._sender, token.mail_id)
        said = words.by_name[f"done_{done}"] if done else ""
        return self._html(
            "choices.html",
            words,
            words.by_name["title"],
            done=said.replace("{title}", here.title if here else ""),
            here=here,
            topics=rows if len(rows) > 1 or here is None else [],
            rhythms=self._rhythms(token),
            all_off=not any(row.on for row in rows),
            never=wishes.suppressed is not None,
            action="",
        )

    def _topics(self, token: Token) -> list[Topic]:
        """Those of the rulebook; the one of the mail comes first, also when no rule has it any more."""
        topics = self._policy().topics
        shown = [one for one in shown_topics(topics) if one.name != token.topic]
        if token.topic == ALL_TOPICS:
            return shown
        return [named_topic(topics, token.topic), *shown]

    def _html(self, name: str, words: Words, title: str, *, status: int = 200, **more: Any) -> Response:
        page = _pages.get_template(name)
        shown = {"w": words.by_name, "lang": words.locale, "dir": direction(words.locale), "title": title}
        html = page.render(**shown, style=_STYLE, sender=self._sender, **more)
        return HTMLResponse(html, status, _HEADERS)


def _comes(topic: Topic, wishes: Wishes) -> bool:
    chosen = wishes.choices.get(topic.name)
    if chosen is not None:
        return chosen == "in"
    return not topic.needs_consent and wishes.choices.get(ALL_TOPICS) != "out"


def _kept_for(seconds: float, get: Callable[[], Policy]) -> Callable[[], Policy]:
    kept: list[tuple[float, Policy]] = []

    def fresh() -> Policy:
        if not kept or kept[0][0] < time.monotonic() - seconds:
            kept[:] = [(time.monotonic(), get())]
        return kept[0][1]

    return fresh
