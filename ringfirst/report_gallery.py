"""Reports of many accounts on one page: each as the mail that it would be, and whether it would go."""

import base64
import hashlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from engine.errors import TemplateError, UsageError
from engine.reports.many import reports_of
from engine.reports.past import Accounts
from engine.reports.periods import Period, period_before
from engine.rulebook.spec import Report
from engine.zones import zone
from outreach.context import Sender
from ringfirst.answers import plural
from ringfirst.report_mail import report_mail, write_file
from ringfirst.rulebooks import Folder

MOST = 200
"""Mails on a page: more of them no browser likes to open, and nobody looks at."""


class Card(NamedTuple):
    """One account on the page; without ``html`` there is no mail, and ``why`` says so."""

    account_id: str
    would_go: bool
    because: str
    html: str
    why: str = ""


class Cards(NamedTuple):
    """What was made: those that are shown, and how many there were in all and would go."""

    shown: list[Card]
    total: int
    going: int


def newest_over(accounts: Accounts, report: Report) -> Period:
    """The newest period that is over where the policy is at home."""
    return period_before(report.unit, zone(accounts.book.policy.timezone).day(accounts.asked))


def cards(
    accounts: Accounts, report: Report, period: Period, folder: Folder, sender: Sender, *, tell: Callable[[int], object]
) -> Cards:
    """Compute the reports of all accounts, and the mails of the first ones; ``tell`` is called with each count."""
    found: list[Card] = []
    count = going = 0
    for one in reports_of(accounts, report, period):
        count += 1
        going += one["would_go"]
        if len(found) < MOST:
            html, why = "", ""
            try:
                html = report_mail(one, accounts.past(one["account_id"], period).ledger.traits, folder, sender).html
            except (TemplateError, UsageError) as err:
                why = str(err)
            found.append(Card(one["account_id"], one["would_go"], one["because"], html, why))
        tell(count)
    return Cards(found, count, going)


def write_page(path: Path, made: Cards, report: Report, period: Period) -> None:
    """Write the page: one file that loads nothing, with each mail in a frame of its own. Raises ``UsageError``."""
    import jinja2

    here = resources.files("ringfirst")
    source = (here / "report_gallery.html").read_text(encoding="utf-8")
    script = (here / "gallery.js").read_text(encoding="utf-8")  # frames as high as their mails; none runs in them
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    page = environment.from_string(source).render(
        report=report.title or report.id,
        label=period.title,
        shown=made.shown,
        told=told(made),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    write_file(path, page.encode(), "--html")


def told(made: Cards) -> str:
    """How many there are, and how many of them are on the page."""
    first = f"; the first {len(made.shown):,} are shown" if made.total > len(made.shown) else ""
    return f"{plural(made.total, 'report')}, {made.going:,} would go{first}"
