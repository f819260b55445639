"""The engine alone, in memory: lines in, decisions out. No store and no batches."""

from collections.abc import Iterable, Iterator

from engine.backtest import Trial
from engine.columns.lane import ColumnLane
from engine.decision import Decision, Fact
from engine.events import Arrived, decode
from engine.lane import Lane
from engine.log import EngineEntry, Event, Recorded
from engine.program import Program
from engine.rulebook.book import Rulebook
from engine.snapshot import freeze

Decided = tuple[str, str, str, int]
"""Rule, account, subject (empty: the account) and instant in milliseconds."""
WALL = 2 * 10**12
"""A wall clock after every event of a workload."""
REMEMBERED = 100_000


def events_of(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events of these lines, repeats left out; ids are remembered for the last 100,000 to 200,000 events."""
    newer: set[tuple[str, str]] = set()
    older: set[tuple[str, str]] = set()
    for line in lines:
        arrived = decode(line, wall=WALL)
        if not isinstance(arrived, Arrived):
            raise TypeError(f"the workload has a bad event: {line!r}: {arrived.reason}")
        event = arrived.event
        key = (event.account_id, event.id)
        if key in newer or key in older:
            continue
        newer.add(key)
        if len(newer) >= REMEMBERED:
            newer, older = set(), newer
        yield event


def numbered_events_of(lines: Iterable[bytes], most: int) -> Iterator[Event]:
    """The same of a workload's lines, whose ids are numbers below ``most``: a bit for each is all that it remembers.

    What ``events_of`` remembers lies among what the engine keeps; the memory of neither could be measured then.
    """
    known = bytearray(most)
    for line in lines:
        arrived = decode(line, wall=WALL)
        if not isinstance(arrived, Arrived):
            raise TypeError(f"the workload has a bad event: {line!r}: {arrived.reason}")
        number = int(arrived.event.id[1:], 16)
        if not known[number]:
            known[number] = 1
            yield arrived.event


class Run:
    """One pass over a workload on one lane, of columns or plain; it stays, so that its memory can be looked at."""

    def __init__(self, book: Rulebook, *, lane: type[Lane] = ColumnLane) -> None:
        program = Program(book)
        self.lane = lane(lambda _fingerprint: program, self._history)
        self.events = 0
        self.decided: list[Decided] = []
        self._book = book
        self._now: Recorded | None = None

    def take(self, lines: Iterable[bytes]) -> None:
        """Decode, leave out repeats, fold, decide; midnights come when their time has come."""
        self.take_events(events_of(lines))

    def take_events(self, events: Iterable[Event]) -> None:
        """Fold and decide; midnights come when their time has come."""
        lane = self.lane
        for event in events:
            at = event.time if lane.clock is None else max(lane.clock, event.time)
            if not self.events:
                body = {"fingerprint": self._book.fingerprint}
                lane.take(EngineEntry(1, at, "rulebook.activated", None, body))
            self.events += 1
            self._now = Recorded(self.events + 1, at, event)
            self._keep(lane.take(self._now))

    def snapshots(self) -> int:
        """The size of all accounts' snapshots in bytes."""
        return sum(len(freeze(account)) for account in self.lane.accounts.values())

    def _history(self, account_id: str, position: int) -> list[Recorded]:
        """An account is built anew only when its zone is set, which a workload does with an account's first event."""
        now = self._now
        if now is None or now.event.account_id != account_id or self.lane.accounts[account_id].looks > 1:
            raise LookupError(f"account {account_id}: its history is asked for at {position}, and none is kept here")
        return [now]

    def _keep(self, facts: list[Fact]) -> None:
        self.decided += [_decided(fact) for fact in facts if isinstance(fact, Decision)]


def engine_decisions(lines: Iterable[bytes], book: Rulebook, *, lane: type[Lane] = ColumnLane) -> list[Decided]:
    """All decisions of the engine for these lines, in the order in which they fell."""
    run = Run(book, lane=lane)
    run.take(lines)
    return run.decided


def backtest_decisions(lines: Iterable[bytes], book: Rulebook, *, midnights: bool) -> list[Decided]:
    """All decisions of a backtest over these lines; with ``midnights`` accounts are looked at only then."""
    trial = Trial(book, midnights=midnights)
    until = 0
    for event in events_of(lines):
        trial.take(event)
        until = max(until, event.time)
    trial.finish(until)
    return [_decided(decision) for decision in trial.decisions.values()]


def _decided(decision: Decision) -> Decided:
    return decision.rule, decision.account_id, decision.subject.id if decision.subject else "", decision.at
