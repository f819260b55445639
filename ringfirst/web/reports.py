"""The page of a report behind its reader's link, and the same as PDF: to look at and to forward, and not to act on."""

import base64
import hashlib
from pathlib import Path

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from engine.store import Store
from outreach.context import Sender, reader_locale
from outreach.paper import paper_context, pdf_of
from outreach.words import wording
from ringfirst.hosted import Hosted, hosted
from ringfirst.intake import now
from ringfirst.web.app import POLICY

_HERE = Path(__file__).parent
_STYLE = (_HERE / "style.css").read_text() + (_HERE / "report.css").read_text()
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PRIVATE = {"cache-control": "private, no-store"}
_HEADERS = {**_PRIVATE, "content-security-policy": f"{POLICY}; style-src 'sha256-{_HASH}'"}
_pages = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
)


class Reports:
    """The reports of one store, for who has a link."""

    def __init__(self, store: Store, sender: Sender) -> None:
        self._store, self._sender = store, sender

    def routes(self) -> list[BaseRoute]:
        """``/r/TOKEN`` is the page, ``/r/TOKEN/report.pdf`` the PDF; both only show."""
        return [
            Route("/r/{token}", self._page, methods=["GET"]),
            Route("/r/{token}/report.pdf", self._pdf, methods=["GET"]),
        ]

    async def _page(self, request: Request) -> Response:
        return await run_in_threadpool(self._shown, request.path_params["token"])

    async def _pdf(self, request: Request) -> Response:
        return await run_in_threadpool(self._printed, request.path_params["token"])

    def _shown(self, token: str) -> Response:
        found = self._found(token)
        if found is None:
            return self._lost()
        report = paper_context(found.figures, found.locale, corrected=found.corrected)
        page = _pages.get_template("report.html")
        html = page.render(
            r=report,
            lang=report["lang"],
            dir=report["dir"],
            title=f"{report['title']}, {report['label']}",
            style=_STYLE,
            sender=self._sender,
            pdf=f"/r/{token}/report.pdf",
        )
        return HTMLResponse(html, 200, _HEADERS)

    def _printed(self, token: str) -> Response:
        found = self._found(token)
        if found is None:
            return self._lost()
        name = f"report-{found.figures['period']['name']}.pdf"
        headers = {**_PRIVATE, "content-disposition": f'inline; filename="{name}"'}
        return Response(
            pdf_of(found.figures, found.locale, corrected=found.corrected).pages, 200, headers, "application/pdf"
        )

    def _found(self, token: str) -> Hosted | None:
        return hosted(self._store, self._sender, token, at=now())

    def _lost(self) -> Response:
        words = wording(reader_locale({}, {}, self._sender))
        html = _pages.get_template("gone.html").render(
            lang=words.locale,
            dir=words.direction,
            title=words.say("gone"),
            why=words.say("gone-why"),
            style=_STYLE,
            sender=self._sender,
        )
        return HTMLResponse(html, 404, _HEADERS)
