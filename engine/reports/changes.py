"""What has changed in periods that were issued: the next report says it, and leaves them as they were."""

from typing import Any

from engine.instants import parse_instant
from engine.reports import made
from engine.reports.kept import Kept, before, issued_in, marks_of
from engine.reports.past import Accounts
from engine.reports.periods import Period, read_period
from engine.rulebook.spec import OURS, Report

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
        late = any(
            row.recorded_at > one.closed and row.event.time < ends and not row.event.type.startswith(OURS)
            for row in events
        )
        was = one.properties.get("counted") or {}
        otherwise = {name for name, mark in marks.items() if was.get(name, mark) != mark}
        if late or otherwise:
            now = made.preview(accounts, account_id, report, read_period(one.period))
            found += _of(one, now, told, otherwise)
    return found


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
