"""One lane at work: entries in log order go in, facts come out. No clock, no store: both come in as arguments."""

import heapq
from collections.abc import Callable, Iterator

from engine.account import PORTFOLIO, Account, History
from engine.decision import Fact
from engine.going_live import RELEASED, note
from engine.instants import Instant
from engine.left_behind import LEAVING
from engine.log import EngineEntry, Entry, Recorded
from engine.parts import Parts
from engine.program import Program
from engine.values import Value
from engine.whole import Whole, number

SPARE_LOOKS = 64
Programs = Callable[[str], Program]
"""From a rulebook's fingerprint to its program."""

ENDED = frozenset({"outreach.expired", "outreach.rejected", "outreach.withdrawn"})
"""A mail ended before it left, by the hand of a sender or a person: its occasion is given back."""


class Lane:
    """The accounts of one lane and when each must be looked at next.

    ``history`` gives the stored events of an account up to a position, this batch's included. ``programs`` finds a
    rulebook by its fingerprint.
    """

    def __init__(self, programs: Programs, history: History) -> None:
        self._programs = programs
        self._history = history
        self._due: list[tuple[Instant, str]] = []
        self.program: Program | None = None
        self.accounts: dict[str, Account] = {}
        self.clock: Instant | None = None
        self.first_at: Instant | None = None
        self.portfolio: dict[str, Value] = {}
        self.late: tuple[str, ...] = ()
        """The sources that are late, by name."""
        self.parts = Parts()

    def take(self, entry: Entry) -> list[Fact]:
        """Take the next entry of the log: first all looks due up to its recorded_at, then the entry itself."""
        at = entry.recorded_at
        facts = self.advance(at)
        if self.first_at is None:
            self.first_at = at
        if isinstance(entry, Recorded):
            facts += self._event(entry)
        else:
            facts += self._entry(entry)
        return facts

    def advance(self, until: Instant) -> list[Fact]:
        """Move the clock to ``until``, with all midnights and wake-ups on the way, in the order of time."""
        facts: list[Fact] = []
        while self._due and self._due[0][0] <= until:
            at, account_id = heapq.heappop(self._due)
            account = self.accounts[account_id]
            if account.next_at != at:
                continue
            facts += account.look(at)
            self._schedule(account)
        self.clock = until if self.clock is None else max(self.clock, until)
        return facts

    def adopt(self, account: Account) -> None:
        """Take in an account that was restored."""
        self.accounts[account.id] = account
        self._schedule(account)

    def resume(self, accounts: list[Account]) -> None:
        """Take in accounts from their snapshots; the lane goes on where the earliest of them stood."""
        earliest = min(accounts, key=lambda account: account.position)
        self.program, self.portfolio, self.late = earliest.program, earliest.portfolio, earliest.late
        self.first_at = earliest.log_began
        for account in accounts:
            self.adopt(account)

    def settle(self) -> None:
        """Every restored account is where the lane's clock is; nothing is to be done for plain ones."""

    def program_of(self, fingerprint: str) -> Program:
        """The program of a rulebook by its fingerprint."""
        return self._programs(fingerprint)

    def alone(self) -> "Lane":
        """An empty lane beside this one, with the same rulebooks and history."""
        lane = Lane(self._programs, self._history)
        lane.first_at = self.first_at
        return lane

    def doubts(self) -> Iterator[tuple[Account, frozenset[int] | None]]:
        """Accounts with the rules that may be unknown for them as of the lane's clock; None: any of them may be."""
        return ((account, None) for account in self.accounts.values())

    def _event(self, entry: Recorded) -> list[Fact]:
        if self.program is None:
            return []
        account = self.accounts.get(entry.account_id)
        if account is None:
            account = Account(entry.account_id, self.program, self.first_at or entry.recorded_at)
            account.portfolio, account.late = self.portfolio, self.late
            self.accounts[entry.account_id] = account
        facts = account.take(entry, self._history)
        self._schedule(account)
        return facts

    def _entry(self, entry: EngineEntry) -> list[Fact]:
        if entry.kind == "rulebook.activated":
            return self._activate(entry)
        if entry.kind == "portfolio.measured":
            return self._measured(entry)
        if entry.kind in {"source.late", "source.well"}:
            return self._source(entry)
        account = self.accounts.get(entry.account_id or "")
        if account is None or account.position >= entry.position:
            return []
        if entry.kind in ENDED:
            account.position = entry.position
            account.ended(entry.body)
        elif entry.kind == LEAVING:
            account.position = entry.position
            account.left(entry.body["outreach_id"], entry.recorded_at)
        elif entry.kind == RELEASED:
            account.position = entry.position
            note(account, entry.body)
            facts = self.looked_at(account, entry.recorded_at)
            self._schedule(account)
            return facts
        return []

    def looked_at(self, account: Account, at: Instant) -> list[Fact]:
        """Look at everything of an account."""
        return account.look(at)

    def _activate(self, entry: EngineEntry) -> list[Fact]:
        self.program = self._programs(entry.body["fingerprint"])
        self.parts = Parts()
        named = {source.name for source in self.program.book.policy.sources}
        self.late = tuple(name for name in self.late if name in named)
        facts: list[Fact] = []
        for account in self._in_order():
            if account.program is not self.program and account.position < entry.position:
                account.position = entry.position
                account.late = self.late
                facts += account.switch(self.program, entry.recorded_at, self._history)
                self._schedule(account)
        return facts

    def _measured(self, entry: EngineEntry) -> list[Fact]:
        facts: list[Fact] = []
        if entry.body.get("decides") and self.program is not None:
            whole = self.accounts.get(PORTFOLIO)
            if not isinstance(whole, Whole):
                whole = Whole(self.program, self.first_at or entry.recorded_at)
                whole.late = self.late
                self.accounts[PORTFOLIO] = whole
            if whole.position < entry.position:
                whole.position = entry.position
                facts += whole.measured(entry.body, entry.body["at"])
                self._schedule(whole)
        if entry.body.get("daily"):
            self.portfolio = {name: number(value) for name, value in entry.body["accounts"].items()}
            for account in self._in_order():
                if account.id != PORTFOLIO and account.position < entry.position:
                    account.position = entry.position
                    account.portfolio = self.portfolio
                    facts += self.daily_totals(account, entry.recorded_at)
                    self._schedule(account)
        return facts

    def daily_totals(self, account: Account, at: Instant) -> list[Fact]:
        """An account gets the portfolio's new totals and is looked at."""
        return account.look(at)

    def _source(self, entry: EngineEntry) -> list[Fact]:
        """A source became late or well: mails that rest on its silence wait, or are asked again."""
        late = entry.kind == "source.late"
        rest = {name for name in self.late if name != entry.body["source"]}
        self.late = tuple(sorted(rest | {entry.body["source"]} if late else rest))
        facts: list[Fact] = []
        for account in self._in_order():
            if account.position >= entry.position:
                continue
            account.position, account.late = entry.position, self.late
            if account.open:
                facts += self.weighed(account, entry.recorded_at, look=not late)
                self._schedule(account)
        return facts

    def weighed(self, account: Account, at: Instant, *, look: bool) -> list[Fact]:
        """What its open mails must do now that other sources are late; with ``look`` it is looked at first."""
        facts = account.look(at) if look else []
        return facts + account.weigh_holds(at)

    def _in_order(self) -> Iterator[Account]:
        return (self.accounts[key] for key in sorted(self.accounts))

    def _schedule(self, account: Account) -> None:
        if account.next_at is None:
            return
        heapq.heappush(self._due, (account.next_at, account.id))
        if len(self._due) > 2 * len(self.accounts) + SPARE_LOOKS:
            # Looks that were put off stand here until their time comes, which may be a year away.
            self._due = [(one.next_at, one.id) for one in self.accounts.values() if one.next_at is not None]
            heapq.heapify(self._due)
