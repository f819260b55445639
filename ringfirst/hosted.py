"""A report that was sent, opened again by its link: the figures as they were issued, whatever happened since."""

from typing import Any, NamedTuple

from engine.instants import Instant
from engine.reports.issuing import correction_of
from engine.store import OutreachRow, Store
from outreach.context import Sender, reader_locale
from outreach.report_links import mark_of, unseal_report


class Hosted(NamedTuple):
    """A report as its reader got it; ``locale`` is the reader's, ``corrected``: a later one was issued."""

    figures: dict[str, Any]
    locale: str
    corrected: bool


def hosted(store: Store, sender: Sender, text: str, *, at: Instant) -> Hosted | None:
    """What a link opens; None for one that is over, taken back, of somebody who was forgotten, or none of ours."""
    link = unseal_report(text, store.key, at=at)
    row = next(iter(store.outreach(outreach_id=link.outreach_id)), None) if link is not None else None
    if link is None or row is None or row.audience != "customer" or mark_of(row, store.key) != link.mark:
        return None
    figures = row.frozen.get("report")
    if not isinstance(figures, dict):
        return None
    report, period = figures["report"], figures["period"]["name"]
    over = store.revoked(row.account_id, report, period)
    if over is not None and row.at <= over:
        return None
    later = (row.account_id, correction_of(figures))
    return Hosted(figures, _locale(store, sender, row), bool(store.existing([later])))


class Mails(NamedTuple):
    """How many mails of a report there are, and when the last of them was decided, by its lane's clock."""

    number: int
    last: Instant


def reports_sent(store: Store, account_id: str, period: str) -> dict[str, Mails]:
    """By report, the mails to customers that an account has for a period."""
    found: dict[str, Mails] = {}
    for row in store.outreach(account_id=account_id):
        figures = row.frozen.get("report")
        if isinstance(figures, dict) and row.audience == "customer" and figures["period"]["name"] == period:
            number, last = found.get(figures["report"], Mails(0, row.at))
            found[figures["report"]] = Mails(number + 1, max(last, row.at))
    return found


def _locale(store: Store, sender: Sender, row: OutreachRow) -> str:
    account = row.frozen.get("account")
    frozen = (row.frozen.get("people") or {}).get(row.to) or {}
    you = {**frozen, **store.people(row.account_id).get(row.to, {})}
    return reader_locale(you, account if isinstance(account, dict) else {}, sender)
