"""What has changed in periods that were issued: the next report says it, and leaves them as they were."""

from collections.abc import Iterable
from typing import Any

from engine.errors import UsageError
from engine.instants import Instant, parse_instant
from engine.log import Recorded
from engine.reports import made
from engine.reports.families import families
from engine.reports.kept import Kept, before, issued_in, marks_of
from engine.reports.past import Accounts
from engine.reports.periods import Period, read_period
from engine.reports.schedule import EARLIEST, LATEST
from engine.rulebook.spec import OURS, Report

ABROAD = EARLIEST + LATEST
"""How much later a period may end for an account in another zone."""
LAST = 12
"""Periods that are looked back at."""
LATE, OTHERWISE = "events that came late", "it is counted otherwise now"


def changes_of(accounts: Accounts, account_id: str, report: Report, period: Period) -> list[dict[str, Any]]:
    """What is different by now in earlier periods that were issued, and was not told since.

    Each is ``{"period", "value", "label", "unit", "was", "is", "why"}``. Only periods are computed anew for which
    events came after they were closed, or whose values are counted or priced otherwise now.
    """
    events = accounts.recorded(account_id)
    kept = issued_in(events)
    told: dict[tuple[str, str], Any] = {}
    for one in kept:
        for change in one.figures.get("changes") or [] if one.report == report.id else []:
            told[change["period"], change["value"]] = change["is"]
    marks = marks_of(report, accounts.book)
    found: list[dict[str, Any]] = []
    for one in before(kept, report.id, period, LAST):
        ends = parse_instant(one.figures["period"]["ends"]) or 0
        past = read_period(one.period)
        with accounts.aside():
            below = families(accounts, report, past).below.get(account_id, ())
            others = [_events(accounts, name) for name in below]
        late = _late(events, one.closed, ends) or any(_late(rows, one.closed, ends + ABROAD) for rows in others)
        was = one.properties.get("counted") or {}
        otherwise = {name for name, mark in marks.items() if was.get(name, mark) != mark}
        if late or otherwise:
            now = made.preview(accounts, account_id, report, past)
            found += _of(one, now, told, otherwise) if _same(one.figures, now) else []
    return found


def _same(was: dict[str, Any], now: dict[str, Any]) -> bool:
    """Are they of the same accounts? Those of others are not the same report, whatever their figures."""
    before, after = ({part["account_id"] for part in one.get("parts") or []} for one in (was, now))
    return before <= after and len(before) + was.get("parts_left_out", 0) == len(after)


def _events(accounts: Accounts, account_id: str) -> list[Recorded]:
    try:
        return accounts.recorded(account_id)
    except UsageError:  # forgotten since
        return []


def _late(events: Iterable[Recorded], closed: Instant, ends: Instant) -> bool:
    """Came something of before ``ends`` after it was closed?"""
    return any(
        row.recorded_at > closed and row.event.time < ends and not row.event.type.startswith(OURS) for row in events
    )


def _of(
    one: Kept, now: dict[str, Any], told: dict[tuple[str, str], Any], otherwise: set[str]
) -> "list[dict[str, Any]]":
    found = []
    issued = {row["value"]: row for row in one.figures["values"]}
    for row in now["values"]:
        name = row["value"]
        if name not in issued:
            continue
        was = told.get((one.period, name), _plain(issued[name]["amount"]))
        if was == row["amount"]:
            continue
        found.append(
            {
                "period": one.period,
                "value": name,
                "label": row["label"],
                "unit": row["unit"],
                "was": was,
                "is": row["amount"],
                "why": OTHERWISE if name in otherwise else LATE,
            }
        )
    return found


def _plain(amount: Any) -> Any:
    """An amount as it was before it was stored: a double, or a whole number."""
    return amount if amount is None or isinstance(amount, int) else float(amount)
