"""What kept a rule silent without being a no: the names whose values were not known."""

from collections import Counter

from engine.account import PORTFOLIO, Account
from engine.instants import Instant
from engine.log import Recorded
from engine.program import Program, RuleProgram, read_use
from engine.views import AccountView, EventView, ThingView

TO = "to"
"""Stands for the reader among the unknown names: nobody of ``to`` is known."""


class Silence:
    """For each rule and unknown name the accounts that it kept the rule silent for.

    Rules for accounts and things are asked once, of everything at the end of a history, as ``who`` does; a rule about
    events is asked of each of them (with ``events``). Rules over the whole portfolio are not asked.
    """

    def __init__(self, program: Program, *, events: bool) -> None:
        self._program = program
        self._found: set[tuple[str, str, str]] = set()
        self._of_events: dict[str, list[RuleProgram]] = {}
        for rule in program.rules if events else ():
            if rule.way == "event":
                self._of_events.setdefault(rule.rule.each, []).append(rule)

    def heard(self, account: Account, recorded: Recorded) -> None:
        """An event was just taken in by its account."""
        rules = self._of_events.get(recorded.event.type)
        if not rules:
            return
        view = account.view(recorded.recorded_at)
        for rule in rules:
            event = EventView(recorded.event, recorded.event.time, rule.event_names, account.zone)
            self._note(account, rule, view, event)

    def ask(self, account: Account, at: Instant, only: frozenset[int] | None = None) -> None:
        """Ask the standing rules of an account and its open things: all, or those that may be unknown."""
        if account.id == PORTFOLIO or (only is not None and not only):
            return
        view = account.view(at)
        for number, rule in enumerate(self._program.rules):
            if only is not None and number not in only:
                continue
            if rule.way == "account":
                self._note(account, rule, view, None)
            elif rule.way == "thing":
                for one in view.open_things(rule.rule.thing):
                    self._note(account, rule, view, one)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many accounts, by rule and name."""
        found: dict[str, Counter[str]] = {}
        for rule, name, _account in self._found:
            found.setdefault(rule, Counter())[name] += 1
        return {rule: dict(sorted(names.items())) for rule, names in sorted(found.items())}

    def _note(
        self, account: Account, rule: RuleProgram, view: AccountView, subject: ThingView | EventView | None
    ) -> None:
        if account.truth(rule, view, subject, up=False) is None:
            self._found.update((rule.rule.id, name, account.id) for name in silencing(rule, view, subject))


def silencing(rule: RuleProgram, view: AccountView, subject: ThingView | EventView | None) -> list[str]:
    """The names that leave a rule unknown for a subject; a line of known values that cannot be compared, as a whole."""
    found = [rule.rule.audience] if rule.audience is not None and view[rule.audience] is None else []
    for lines, ready in ((rule.rule.when, rule.when_lines), (rule.rule.unless, rule.unless_lines)):
        for line, holds in zip(lines, ready, strict=True):
            if holds(view, subject) is None:
                names = set(line.term.names())
                uses = [use for use in rule.uses if use.name in names]
                found += [use.name for use in uses if read_use(use, view, subject) is None] or [line.text]
    return sorted({*found}) or [TO]
