"""What a sender looks up of accounts and addresses, for many mails at once."""

from collections.abc import Iterable
from functools import lru_cache

from engine.instants import Instant
from engine.store import OutreachRow, Store, Wishes
from outreach.addresses import address_key
from outreach.context import People, reader_address

MOST = 4_096
"""Accounts whose people are remembered."""


class Lookups:
    """Who people are is looked up once a run; what they wish, and who cancelled, anew with each ``fetch``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._people: dict[str, People] = {}
        self._wishes: dict[str, Wishes] = {}
        self._cancelled: dict[str, bool] = {}
        self.key = lru_cache(maxsize=MOST)(lambda address: address_key(store.key, address))
        """The key of an address, under which it is counted and suppressed."""

    def fetch(self, rows: Iterable[OutreachRow], at: Instant) -> None:
        """Look up all that these mails will be asked, in three questions."""
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

    def let_go(self) -> None:
        """Ask anew from now on what may change at any time."""
        self._wishes, self._cancelled = {}, {}

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
