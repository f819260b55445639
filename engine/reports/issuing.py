"""Issuing reports: once a period is closed, what each account gets of it is frozen in an event in its own lane.

What an event says depends on the account's events recorded by the closing alone: whoever makes it, and whenever, makes
the same one, with the same id. So it may be made twice, by two processes or after a crash, and is taken in once; what
becomes of it is decided by the owner of the lane.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from engine.errors import UsageError
from engine.instants import Instant, iso
from engine.reports import made
from engine.reports.past import Accounts
from engine.reports.periods import Period
from engine.reports.schedule import closing, due
from engine.rulebook.book import Rulebook
from engine.rulebook.reporting import LATE_BY, REPORTED
from engine.rulebook.spec import Report, Sending
from engine.store import Store
from engine.zones import zone

AT_ONCE = 100
"""So many accounts are asked together whether they have their report already."""
_INSTANTS = 4
"""Closings kept at hand: those of the zones that accounts of one sweep live in, most of them in one."""
_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode
Outcome = Literal["issued", "kept back", "waits", "not due", "none"]


class Issued(NamedTuple):
    """What became of one account's report of a period.

    ``issued``: it was put into the lane; ``kept back``: it too, but it does not go, and the owner is told; ``waits``:
    the period is not closed for it; ``not due``: it was due too long ago to leave; ``none``: there is none, and
    ``because`` says why. ``due`` is when it should leave, ``body`` the event.
    """

    account_id: str
    report: str
    period: str
    outcome: Outcome
    because: str
    closes: Instant
    due: Instant | None = None
    body: bytes = b""


def event_id(report: str, period: str, number: int = 1) -> str:
    """The id of the event by which a report is issued, for the ``number``-th time.

    >>> event_id("monthly", "2026-10"), event_id("monthly", "2026-10", 2)
    ('outreach.reported:monthly:2026-10', 'outreach.reported:monthly:2026-10:2')
    """
    return f"{REPORTED}:{report}:{period}" + (f":{number}" if number > 1 else "")


def clock_of(store: Store) -> Instant | None:
    """The clock of the lane furthest behind; None while there is none."""
    clocks = [info.clock_at for info in store.lane_infos(at=0)]
    known = [clock for clock in clocks if clock is not None]
    return min(known) if known else None


class Issuer:
    """Makes the reports of a rulebook for the accounts of a store. Nothing is written until ``put``."""

    def __init__(self, store: Store, book: Rulebook) -> None:
        self.store = store
        self.book = book
        self._accounts: dict[Instant, Accounts] = {}

    @property
    def reports(self) -> list[tuple[Report, Sending]]:
        """The reports that are sent."""
        return [(one, one.sending) for one in self.book.reports if one.sending is not None]

    def make(self, report: Report, period: Period, account_id: str, *, clock: Instant, past: bool = False) -> Issued:
        """One account's report of a period as of the closing; ``past``: also one that was due too long ago to leave."""
        sending = report.sending
        if sending is None:
            raise UsageError(f"report {report.id}: it is not sent; give it schedule and to")
        first = closing(period, zone(self.book.policy.timezone))
        closes, found = first, None
        try:
            found = self._preview(report, period, account_id, min(first, clock))
            closes = closing(period, zone(found["period"]["zone"]))
            if closes != first and closes < clock:
                found = self._preview(report, period, account_id, closes)
        except UsageError as err:
            return Issued(account_id, report.id, period.name, "none", str(err), closes)
        leaves = due(sending.schedule, period, zone(found["period"]["zone"]), self.book.policy.hours)
        told = (account_id, report.id, period.name)
        if not found["concerned"] and closes < clock:
            return Issued(*told, "none", found["because"], closes, leaves)
        if closes >= clock:
            return Issued(*told, "waits", f"{period.title} is closed at {iso(closes)}", closes, leaves)
        if leaves + LATE_BY < clock and not past:
            return Issued(*told, "not due", f"it was due {iso(leaves)}, which is too long ago", closes, leaves)
        body = event(report, found, closes, leaves, mark=self.book.fingerprint)
        return Issued(*told, "issued" if found["would_go"] else "kept back", found["because"], closes, leaves, body)

    def put(self, made: Sequence[Issued], *, at: Instant) -> int:
        """Put what was issued into the lanes' inboxes; ``at`` is the wall clock. Gives how many there were."""
        rows = [(one.account_id, one.body) for one in made if one.body]
        if rows:
            self.store.put_inbox([(account_id, "event", body) for account_id, body in rows], at=at)
        return len(rows)

    def known(self, report: Report, period: Period, accounts: Sequence[str]) -> frozenset[str]:
        """The accounts among these whose lane has taken the report in."""
        asked = [(account_id, event_id(report.id, period.name)) for account_id in accounts]
        return frozenset(account_id for account_id, _ in self.store.existing(asked))

    def _preview(self, report: Report, period: Period, account_id: str, at: Instant) -> dict[str, Any]:
        if at not in self._accounts:
            while len(self._accounts) > _INSTANTS:
                self._accounts.pop(next(iter(self._accounts)))
            self._accounts[at] = Accounts(self.store, self.book, at)
        return made.preview(self._accounts[at], account_id, report, period)


def walk(
    issuer: Issuer, report: Report, period: Period, accounts: Sequence[str], *, clock: Instant, past: bool = False
) -> Iterator[Issued]:
    """The report of a period for each of these accounts, in turn; without those that have it already."""
    for start in range(0, len(accounts), AT_ONCE):
        some = accounts[start : start + AT_ONCE]
        known = issuer.known(report, period, some)
        for account_id in some:
            if account_id not in known:
                yield issuer.make(report, period, account_id, clock=clock, past=past)


def event(report: Report, found: dict[str, Any], at: Instant, leaves: Instant, *, mark: str, number: int = 1) -> bytes:
    """The event that issues a report: what was found, frozen whole, and what its conditions will ask of it.

    ``at`` is when it happens, ``mark`` the fingerprint of the rulebook that it was made by.
    """
    review = [one["line"] for one in found["review_if"] if one["truth"] != "no"]
    properties = {
        "report": report.id,
        "period": found["period"]["name"],
        "number": number,
        "goes": found["would_go"],
        "because": None if found["would_go"] else found["because"],
        "review": f"review_if {review[0]}" if review else None,
        "due": iso(leaves),
        "class": found["class"],
        "value": {one["value"]: one["amount"] for one in found["values"]},
        "value_total": found["value_total"],
        "value_to_price": found["value_to_price"],
        "rulebook": mark,
        "figures": found,
    }
    return _encode(
        {
            "id": event_id(report.id, found["period"]["name"], number),
            "type": REPORTED,
            "account_id": found["account_id"],
            "user_id": None,
            "time": iso(at),
            "properties": properties,
        }
    )
