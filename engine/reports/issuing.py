"""Issuing reports: once a period is closed, what each account gets of it is frozen in an event in its own lane.

What an event says depends on the account's events recorded by the closing alone: whoever makes it, and whenever, makes
the same one, with the same id. So it may be made twice, by two processes or after a crash, and is taken in once; what
becomes of it is decided by the owner of the lane.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

import msgspec

from engine.errors import StoreError, UsageError
from engine.events import MAX_BYTES, encode_properties
from engine.instants import Instant, iso
from engine.lanes import lane_of
from engine.reports import made
from engine.reports.changes import changes_of
from engine.reports.families import families, settled
from engine.reports.fitting import fitted
from engine.reports.kept import issued_in, marks_of, newest
from engine.reports.past import Accounts
from engine.reports.periods import Period, quarter_of
from engine.reports.rhythm import counts_until, gets, key_of
from engine.reports.schedule import closing, due
from engine.rulebook.book import Rulebook
from engine.rulebook.reporting import LATE_BY, REPORTED
from engine.rulebook.spec import Report, Sending
from engine.store import Store
from engine.zones import Zone, zone

AT_ONCE = 100
"""So many accounts are asked together whether they have their report already."""
FEW = 20
"""So many accounts are read one by one; more of them with the rest of the log."""
NOT_CHOSEN = "no reader of the account chose one report for the quarter"
"""Why an account has no report of a quarter beside those of its months."""
BY_MONTH = "each month has its own report: the account was not known for the whole quarter when the first of them ended"
"""Why an account of which a reader chose it has none of a quarter all the same."""
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


def correction_of(figures: Mapping[str, Any]) -> str:
    """The id of the event by which a report that was issued is corrected; ``figures`` are those that its mail shows."""
    return event_id(figures["report"], figures["period"]["name"], int(figures.get("number") or 1) + 1)


def event_of(issued: Issued) -> str:
    """The id of the event that issues it; nothing where there is none."""
    return _who(issued.body).id if issued.body else ""


def clock_of(store: Store) -> Instant | None:
    """The clock of the lane furthest behind; None while there is none."""
    clocks = [info.clock_at for info in store.lane_infos(at=0)]
    known = [clock for clock in clocks if clock is not None]
    return min(known) if known else None


class _Who(msgspec.Struct):
    id: str = ""
    account_id: str = ""


_who = msgspec.json.Decoder(_Who).decode


class Issuer:
    """Makes the reports of a rulebook for the accounts of a store. Nothing is written until ``put``."""

    def __init__(self, store: Store, book: Rulebook) -> None:
        self.store = store
        self.book = book
        self._accounts: dict[Instant, Accounts] = {}
        self._choosers: dict[tuple[str, str], frozenset[str]] = {}
        self._families: dict[object, Any] = {}

    @property
    def reports(self) -> list[tuple[Report, Sending]]:
        """The reports that are sent."""
        return [(one, one.sending) for one in self.book.reports if one.sending is not None]

    def make(self, report: Report, period: Period, account_id: str, *, clock: Instant, past: bool = False) -> Issued:
        """One account's report of a period as of the closing; ``past``: also one that was due too long ago to leave."""
        sending = report.sending
        if sending is None:
            raise UsageError(f"report {report.id}: it is not sent; give it schedule and to")
        told = (account_id, report.id, period.name)
        where, closes = self._closes(report, period, account_id, clock)
        leaves = due(sending.schedule, period, where, self.book.policy.hours)
        if closes >= clock:
            return Issued(*told, "waits", f"{period.title} is closed at {iso(closes)}", closes, leaves)
        if leaves + LATE_BY < clock and not past:
            return Issued(*told, "not due", f"it was due {iso(leaves)}, which is too long ago", closes, leaves)
        accounts = self.accounts(closes)
        try:
            found = made.preview(accounts, account_id, report, period)
        except UsageError as err:
            return Issued(*told, "none", str(err), closes, leaves)
        if not found["concerned"]:
            return Issued(*told, "none", found["because"], closes, leaves)
        found = self._turned(report, period, accounts, found)
        if report.instead_of and not found["period"]["by_quarter"]:
            return Issued(*told, "none", BY_MONTH, closes, leaves)
        found = fitted({**found, "changes": changes_of(accounts, account_id, report, period)})
        body = event(report, found, closes, leaves, self.book)
        return Issued(*told, "issued" if found["would_go"] else "kept back", found["because"], closes, leaves, body)

    def correct(self, report: Report, period: Period, account_id: str, *, clock: Instant, why: str) -> Issued:
        """A report that was issued already, once more with what is known at ``clock``; its number says so.

        Raises ``UsageError`` when it was not issued, when its figures are still the same, or when a correction of it
        lies in its lane's inbox: of two under one number the second would be lost.
        """
        accounts = self.accounts(clock)
        last = newest(issued_in(accounts.recorded(account_id)), report.id, period.name)
        if last is None:
            above = families(accounts, report, period).above.get(account_id)
            do = f"it is a part of that of {above[:60]}; correct that" if above else "send it first"
            raise UsageError(f"report {report.id}: {period.name} was not issued to {account_id[:60]}; {do}")
        if self._waits(account_id, event_id(report.id, period.name, last.number + 1)):
            message = f"number {last.number + 1} of {period.name} waits for its lane; try again when it was taken in"
            raise UsageError(f"report {report.id}: {message}")
        found = self._turned(report, period, accounts, made.preview(accounts, account_id, report, period))
        whole, found = found, fitted({**found, "changes": []})
        if _told(last.figures) in (_told(found), _told(whole)):
            raise UsageError(f"report {report.id}: the figures of {period.name} are those that were issued")
        body = event(report, found, clock, clock, self.book, number=last.number + 1, correction=why)
        outcome: Outcome = "issued" if found["would_go"] else "kept back"
        return Issued(account_id, report.id, period.name, outcome, found["because"], clock, clock, body)

    def _turned(self, report: Report, period: Period, accounts: Accounts, found: dict[str, Any]) -> dict[str, Any]:
        """A report of which readers may choose says whether its quarter can be told as a whole.

        It is what was known when the first month ended: were it asked anew for each report, what comes in late about
        the account's beginning would have a month told twice, or not at all.
        """
        if not (report.may_choose or report.instead_of):
            return found
        quarter = period if report.instead_of else quarter_of(period)
        whole = accounts.knew(found["account_id"], quarter.first, counts_until(quarter.months()[0]))
        return {**found, "period": {**found["period"], "by_quarter": whole}}

    def wanted(self, report: Report, period: Period, account_id: str) -> bool:
        """Does a reader of the account get this report? Of one that a reader may choose that is to be asked.

        It is known once the last month has ended anywhere: only what was chosen before that counts.
        """
        if not report.instead_of:
            return True
        sweep = report.id, period.name
        if sweep not in self._choosers:
            self._choosers = {sweep: self.store.with_rhythms(report.instead_of)}
        if not self._choosers[sweep]:
            return False
        emails = (traits.get("email") for traits in self.store.people(account_id).values())
        keys = {key for email in emails if (key := key_of(self.store.key, email)) in self._choosers[sweep]}
        wishes = self.store.wishes_of(keys).values()
        return any(gets(one.rhythms.get(report.instead_of, ()), period) for one in wishes)

    def _waits(self, account_id: str, event: str) -> bool:
        """Does an event of the account lie in its lane's inbox?"""
        rows = self.store.inbox(lane_of(account_id, self.store.lanes), after=0)
        told = (_who(row.body) for row in rows if row.kind == "event" and event.encode() in row.body)
        return any((one.account_id, one.id) == (account_id, event) for one in told)

    def closes(self, report: Report, period: Period, account_id: str, clock: Instant) -> tuple[Zone, Instant]:
        """The zone of an account at the end of a period, as far as it is known, and when the period is closed in it.

        The zone is read as of the closing where the policy says, so that most accounts are read once.
        """
        usual = zone(self.book.policy.timezone)
        first = closing(period, usual, report.close_after)
        try:
            where = self.accounts(min(first, clock)).zone_of(account_id, period)
        except UsageError:  # nobody knew it by then
            return usual, first
        return where, closing(period, where, report.close_after)

    def _closes(self, report: Report, period: Period, account_id: str, clock: Instant) -> tuple[Zone, Instant]:
        """The same for a report with parts: not before it is settled who they are, nor before it is closed for all."""
        where, closes = self.closes(report, period, account_id, clock)
        if not report.gathers:
            return where, closes
        first = settled(self.book, report, period)
        if first >= clock:
            return where, max(closes, first)
        who = families(self.accounts(first), report, period)
        return where, first if account_id in who.above else who.closes.get(account_id, max(closes, first))

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

    def accounts(self, at: Instant) -> Accounts:
        """What is known as of an instant; the same for all who ask in one sweep."""
        if at not in self._accounts:
            while len(self._accounts) > _INSTANTS:
                self._accounts.pop(next(iter(self._accounts)))
            self._accounts[at] = Accounts(self.store, self.book, at, self._families)
        return self._accounts[at]


def _told(found: dict[str, Any]) -> Any:
    """What a report shows of the period, as plain JSON."""
    shown = ("values", "total", "price", "goals", "support", "adoption", "parts")
    return msgspec.json.decode(encode_properties({key: found.get(key) for key in shown}))


def walk(
    issuer: Issuer,
    report: Report,
    period: Period,
    accounts: Sequence[str],
    *,
    clock: Instant,
    past: bool = False,
    failed: Callable[[str, Exception], None] | None = None,
) -> Iterator[Issued]:
    """The report of a period for each of these accounts; without those that have it already.

    Many are made in one reading of the log, by their ids' bytes. ``failed`` is told of an account whose report cannot
    be made, and the others go on; without it the first of them ends the walk.
    """
    todo: dict[str, None] = {}
    for start in range(0, len(accounts), AT_ONCE):
        some = accounts[start : start + AT_ONCE]
        known = issuer.known(report, period, some)
        todo.update(dict.fromkeys(account_id for account_id in some if account_id not in known))
    usual = min(closing(period, zone(issuer.book.policy.timezone), report.close_after), clock)
    if report.instead_of and counts_until(period.months()[-1]) < clock:
        for account_id in [one for one in todo if not issuer.wanted(report, period, one)]:
            del todo[account_id]
            yield Issued(account_id, report.id, period.name, "none", NOT_CHOSEN, usual)
    each = issuer.accounts(usual).each() if len(todo) > FEW else iter(list(todo))
    # At the end those whom nobody knew by then.
    for account_id in chain(each, (one for one in list(todo) if one in todo)):
        if account_id not in todo:
            continue
        del todo[account_id]
        try:
            one = issuer.make(report, period, account_id, clock=clock, past=past)
        except StoreError:
            raise
        except Exception as err:
            if failed is None:
                raise
            failed(account_id, err)
        else:
            yield one


def event(
    report: Report,
    found: dict[str, Any],
    at: Instant,
    leaves: Instant,
    book: Rulebook,
    *,
    number: int = 1,
    correction: str | None = None,
) -> bytes:
    """The event that issues a report: what was found, frozen whole, and what its conditions will ask of it.

    ``at`` is when it happens, ``book`` the rulebook that it was made by; ``correction`` says why it is issued again.
    Raises ``UsageError`` when it is larger than an event may be: it would be a dead letter, and nobody would get it.
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
        "rulebook": book.fingerprint,
        "counted": marks_of(report, book),
        "correction": correction,
        "figures": found,
    }
    body = _encode(
        {
            "id": event_id(report.id, found["period"]["name"], number),
            "type": REPORTED,
            "account_id": found["account_id"],
            "user_id": None,
            "time": iso(at),
            "properties": properties,
        }
    )
    if len(body) > MAX_BYTES:
        message = f"it is {len(body):,} bytes, and no event may be larger than {MAX_BYTES:,}; let it show fewer values"
        raise UsageError(f"report {report.id}: of {found['account_id'][:60]}: {message}")
    return body
