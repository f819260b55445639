"""The reports of all accounts for a period, one after the other, in the memory of a few."""

from collections.abc import Iterator
from typing import Any

from engine.reports.made import preview
from engine.reports.past import Accounts, NotYetKnown
from engine.reports.periods import Period
from engine.rulebook.spec import Report


def reports_of(accounts: Accounts, report: Report, period: Period, *, after: str = "") -> Iterator[dict[str, Any]]:
    """``preview`` of each account behind ``after``, by its id's bytes; those that nobody knew by then are left out.

    The log is read once. While one is told, ``accounts`` answers what is asked of it without reading again.
    """
    for account_id in accounts.each(after=after):
        try:
            found = preview(accounts, account_id, report, period)
        except NotYetKnown:
            continue
        yield found
