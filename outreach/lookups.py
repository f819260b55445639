"""What a sender looks up of accounts and addresses, for many mails at once."""

from collections.abc import Iterable
from functools import lru_cache

from engine.instants import Instant
from engine.reports.issuing import correction_of
from engine.store import OutreachRow, Store, Wishes
from outreach.addresses import address_key
from outreach.context import People, reader_address

MOST = 4_096
"""Accounts whose people are remembered."""


class Lookups:
    """Who people are is looked up once a run; what they wish, who cancelled, and what was corrected, anew with each.

    ``fetch`` asks for many mails at once.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._people: dict[str, People] = {}
        self._wishes: dict[str, Wishes] = {}
        self._cancelled: dict[str, bool] = {}
        self._corrected: dict[tuple[str, str], bool] = {}
        self.key = lru_cache(maxsize=MOST)(lambda address: address_key(store.key, address))
        """The key of an address, under which it is counted and suppressed."""

    def fetch(self, rows: Iterable[OutreachRow], at: Instant) -> None:
        """Look up all that these mails will be asked, in a few questions."""
        rows = list(rows)
        accounts = {row.account_id for row in rows}
        if len(self._people) > MOST:
            self._people.clear()
        unknown = sorted(accounts - self._people.keys())
        found = self._store.people_of(unknown) if unknown else {}
        self._people |= {one: found.get(one, {}) for one in unknown}
        addresses = {reader_address(row, self._people[row.account_id]) for row in rows}
        self._wishes = self._store.wishes_of({self.key(one) for one in addresses if one is not None})
        cancelled = self._store.cancelled_of(accounts, at=at)
        self._cancelled = {one: one in cancelled for one in accounts}
        later = {asked for row in rows if (asked := _correction(row)) is not None}
        there = self._store.existing(sorted(later)) if later else ()
        self._corrected = {one: one in there for one in later}

    def let_go(self) -> None:
        """Ask anew from now on what may change at any time."""
        self._wishes, self._cancelled, self._corrected = {}, {}, {}

    def people(self, account_id: str) -> People:
        """Personal traits of an account's people."""
        if account_id not in self._people:
            self._people[account_id] = self._store.people(account_id)
        return self._people[account_id]

    def wishes(self, address: str) -> Wishes:
        """What the reader of an address wishes."""
        key = self.key(address)
        return self._wishes[key] if key in self._wishes else self._store.wishes(key)

    def cancelled(self, account_id: str, at: Instant) -> bool:
        """Whether an account had cancelled by then."""
        known = self._cancelled.get(account_id)
        return self._store.cancelled(account_id, at=at) if known is None else known

    def corrected(self, row: OutreachRow) -> bool:
        """Was the report that a mail shows issued once more since? Of any other mail it is false."""
        later = _correction(row)
        if later is None:
            return False
        known = self._corrected.get(later)
        return bool(self._store.existing([later])) if known is None else known


def _correction(row: OutreachRow) -> tuple[str, str] | None:
    """The account and the event that would correct what a reader's mail shows; None: it shows no report."""
    figures = row.frozen.get("report")
    if not isinstance(figures, dict) or figures.get("report") != row.rule:  # a note to us goes by another rule
        return None
    return row.account_id, correction_of(figures)
