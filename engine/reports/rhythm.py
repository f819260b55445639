"""Which report of a period a reader gets who may choose: one for each month, or one for the quarter.

Each month of a quarter is told once: by its own report, or in that of the quarter. What a reader had chosen when a
month ended, wherever that is first, says which. From the first month on that is told by the quarter all others of that
quarter are: who goes back to months in the middle has the rest of the quarter in one.
"""

from collections.abc import Callable, Sequence

from engine.domains import wire
from engine.instants import Instant
from engine.reports.periods import Period, quarter_of
from engine.reports.schedule import EARLIEST
from engine.store import Every
from engine.zones import zone

History = Sequence[tuple[Instant, Every]]
"""What a reader chose, and when, oldest first; without any it is a report for each month."""


def counts_until(month: Period) -> Instant:
    """Until when a choice says how a month is told: its end where it ends first, so that no zone is asked.

    >>> from engine.instants import iso
    >>> from engine.reports.periods import read_period
    >>> iso(counts_until(read_period("2026-03")))
    '2026-03-31T10:00:00Z'
    """
    return zone("UTC").start(month.last + 1) - EARLIEST


def told_by_quarter(history: History, quarter: Period) -> Period | None:
    """The first month of a quarter that is told in the report of the quarter; None: all have their own."""
    return next((one for one in quarter.months() if _chosen(history, counts_until(one)) == "quarter"), None)


def gets(history: History, period: Period, *, whole: bool = True) -> bool:
    """Does a reader get the report of this month or quarter?

    ``whole``: the quarter is known from its beginning. In one that is not there is no report of the quarter, so each
    month has its own.
    """
    if period.unit == "quarter":
        return whole and told_by_quarter(history, period) is not None
    first = told_by_quarter(history, quarter_of(period)) if whole else None
    return first is None or period.first < first.first


def key_of(key: Callable[[str], str], address: object) -> str | None:
    """The keyed hash under which the reader of an address chooses; None for what is none. ``key`` is the store's."""
    local, at, domain = address.strip().rpartition("@") if isinstance(address, str) else ("", "", "")
    where = wire(domain) if at else None
    return None if where is None else key("address:" + f"{local}@{where}".casefold())


def _chosen(history: History, at: Instant) -> Every:
    return next((every for since, every in reversed(history) if since <= at), "month")
