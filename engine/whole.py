"""The portfolio as one more account, ``*``: the rules over all accounts, looked at only at fixed instants."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.account import PORTFOLIO, Account, History, Planned, thing_key
from engine.decision import Fact
from engine.holding import expire, next_end, release, waits
from engine.instants import Instant
from engine.measures.measure import Happening
from engine.program import Program, RuleProgram
from engine.values import Value
from engine.views import AccountView, ThingView


class Sum:
    """A thing of the portfolio: its measures added over all accounts. It is always open."""

    def __init__(self, names: Mapping[int, str], kind: str, thing_id: str, values: Mapping[str, Value]) -> None:
        self._names = names
        self._values = values
        self.kind = kind
        self.id = thing_id

    def __getitem__(self, index: int) -> Value:
        return self.value(self._names[index])

    def value(self, name: str) -> Value:
        """One of its names."""
        if name == "id":
            return self.id
        return True if name == "open" else self._values.get(name)


class Whole(Account):
    """Memory and decisions of the rules over all accounts; values come from ``portfolio.measured`` entries alone."""

    __slots__ = ("sums",)

    def __init__(self, program: Program, first_at: Instant) -> None:
        super().__init__(PORTFOLIO, program, first_at)
        self.sums: dict[str, dict[str, dict[str, Value]]] = {}

    def measured(self, body: Mapping[str, Any], at: Instant) -> list[Fact]:
        """Look at the rules whose step this is, with the totals of an entry."""
        self.portfolio = {name: number(value) for name, value in body["accounts"].items()}
        self.sums = {
            kind: {key: {name: number(value) for name, value in row.items()} for key, row in rows.items()}
            for kind, rows in body["things"].items()
        }
        view = self.view(at)
        facts = expire(self, at)
        for rule in self._rules():
            if at % rule.rule.every == 0:
                for key, subject in self._subjects(rule, view):
                    self.consider(rule, key, subject, view, facts)
                for planned in list(self.open.get(rule.rule.id, {}).values()):
                    if planned.held and not waits(self, rule.rule.id):
                        release(self, rule, planned, view, facts)
        self.clock = at
        self.schedule(view)
        return facts

    def look(self, at: Instant, happening: Happening | None = None) -> list[Fact]:
        """Between its instants only what is held too long comes to its end."""
        del happening
        facts = expire(self, at)
        self.schedule(self.view(at))
        return facts

    def schedule(self, view: AccountView) -> None:
        """When something that is held expires: nothing else happens between its instants."""
        self.next_at = next_end(self, view.moment.at)

    def ask_again(self, planned: Planned, view: AccountView, facts: list[Fact]) -> None:
        """Wait for the rule's next instant: until then the totals are those of the time before."""

    def switch(self, program: Program, at: Instant, history: History) -> list[Fact]:
        """Go over to another rulebook; what a new rule is true for now stays silent."""
        del history
        before = {rule.rule.id: rule.fingerprint for rule in self.program.rules}
        self.program, self.zone, self.state = program, program.zone, program.shape.fresh()
        facts = list(self._removed(at))
        view = self.view(at)
        for rule in self._rules():
            if before.get(rule.rule.id) != rule.fingerprint:
                self.settle(rule, view)
        return facts + self.weigh_holds(at)

    def _rules(self) -> list[RuleProgram]:
        return [rule for rule in self.program.rules if rule.way == "whole"]

    def _subjects(self, rule: RuleProgram, view: AccountView) -> Iterator[tuple[str, ThingView | None]]:
        kind = rule.rule.thing
        if not kind:
            yield "", None
            return
        names = {at: name for name, at in view.program.things[kind].names.items()}
        rows = self.sums.get(kind, {})
        known = {key.partition("\0")[2] for key in self.truths.get(rule.rule.id, {})}
        for thing_id in sorted({*rows, *known}):
            thing: Any = Sum(names, kind, thing_id, rows.get(thing_id, {}))
            yield thing_key(kind, thing_id), thing


def number(value: object) -> Value:
    """A number of an entry as conditions read it; stored ones may come back as exact decimals."""
    return None if value is None else float(str(value))
