"""Who is a part of whose report: accounts whose trait ``parent_id`` names another one, as one look at all of them says.

Every account of a report is asked at the same instant, when the period is closed in the policy's zone. So no account
can be in two reports or in none, whatever comes late, and whatever zones a family lives in.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from engine.errors import UsageError
from engine.instants import Instant
from engine.log import Recorded
from engine.reports.asked import audience_of, kept_from
from engine.reports.past import Accounts
from engine.reports.periods import Period
from engine.reports.schedule import closing
from engine.rulebook.book import Rulebook
from engine.rulebook.spec import Report
from engine.zones import zone

PARENT = "parent_id"
"""The trait by which an account names the one above it."""


class Families(NamedTuple):
    """``above``: the account in whose report another one is a part; ``below``: the parts of a report, by their ids.

    ``closes`` is when a period is closed for all accounts of a report with parts. ``alone`` says why an account that
    names a parent has a report of its own all the same.
    """

    above: Mapping[str, str]
    below: Mapping[str, tuple[str, ...]]
    closes: Mapping[str, Instant]
    alone: Mapping[str, str]


NOBODY = Families({}, {}, {}, {})


def settled(book: Rulebook, report: Report, period: Period) -> Instant:
    """When it is settled who belongs to whom: what is recorded later changes nothing of the period's reports."""
    return closing(period, zone(book.policy.timezone), report.close_after)


def families(accounts: Accounts, report: Report, period: Period) -> Families:
    """Who is a part of whose report, as it was known when that was settled, or is now if that is earlier.

    The highest account above one that gets a report has it as a part. An account that names itself has nobody above
    it, nor has one whose way up comes back to where it was. Who is excluded or has cancelled is no part.
    """
    if not report.gathers:
        return NOBODY
    at = min(settled(accounts.book, report, period), accounts.asked)
    key = accounts.book.fingerprint, report.id, period, at
    if key not in accounts.families:
        accounts.families[key] = _families(Accounts(accounts.store, accounts.book, at), report, period)
    found: Families = accounts.families[key]
    return found


def _families(accounts: Accounts, report: Report, period: Period) -> Families:
    named = dict(_named(accounts, period))
    asked = _Asked(accounts, report, period)
    above: dict[str, str] = {}
    alone: dict[str, str] = {}
    for child in named:
        ways = list(_way_up(named, child))
        if not ways:
            alone[child] = f"its {PARENT} leads back to where it was"
        elif not asked.is_part(child):
            continue
        elif (top := next((one for one in reversed(ways) if asked.has_one(one)), None)) is not None:
            above[child] = top
        else:
            alone[child] = f"no account above it gets this report: {asked.why(ways[-1])}"
    below: dict[str, list[str]] = {}
    for child in sorted(above):
        below.setdefault(above[child], []).append(child)
    closes = {
        top: max(closing(period, accounts.zone_of(one, period), report.close_after) for one in (top, *parts))
        for top, parts in below.items()
    }
    return Families(above, {top: tuple(parts) for top, parts in below.items()}, closes, alone)


def _named(accounts: Accounts, period: Period) -> Iterator[tuple[str, str]]:
    """Each account with the one it names as of its period's last instant; who names itself names nobody."""
    rows: dict[str, list[Recorded]] = {}
    for one in accounts.store.naming(PARENT, until_at=accounts.asked):
        rows.setdefault(one.account_id, []).append(one)
    for account_id, updates in rows.items():
        parent = _last(updates, accounts.end_of(account_id, period))
        if isinstance(parent, str) and parent and parent != account_id:
            yield account_id, parent


def _last(updates: Iterable[Recorded], end: Instant) -> object:
    """What the newest of the updates up to an instant says, in the order in which a state reads them."""
    turns = [(min(one.event.time, one.recorded_at), one.position, one.event.properties[PARENT]) for one in updates]
    known = [one for one in turns if one[0] <= end]
    return max(known, key=lambda one: one[:2])[2] if known else None


def _way_up(named: Mapping[str, str], child: str) -> Iterator[str]:
    """The accounts above one, the nearest first; none where the way comes back to where it was."""
    way: dict[str, None] = {}
    one = named.get(child)
    while one is not None:
        if one in way or one == child:
            return
        way[one] = None
        one = named.get(one)
    yield from way


class _Asked:
    """What accounts are asked, each once."""

    def __init__(self, accounts: Accounts, report: Report, period: Period) -> None:
        self._accounts, self._report, self._period = accounts, report, period
        self._known: dict[str, tuple[str, str]] = {}

    def is_part(self, account_id: str) -> bool:
        """May it be a part of somebody's report?"""
        return not self._reasons(account_id)[0]

    def has_one(self, account_id: str) -> bool:
        """Does it get the report, whatever its figures are?"""
        return not any(self._reasons(account_id))

    def why(self, account_id: str) -> str:
        """Why it gets none."""
        return next((reason for reason in self._reasons(account_id) if reason), "")

    def _reasons(self, account_id: str) -> tuple[str, str]:
        """Why an account is no part, and why it has no report itself."""
        if account_id not in self._known:
            try:
                past = self._accounts.past(account_id, self._period)
            except UsageError:
                self._known[account_id] = ("nobody knew it then", "")
            else:
                self._known[account_id] = kept_from(self._accounts, past, audience_of(past.now, self._report))
        return self._known[account_id]
