"""Whether goals were reached: the log read once more, with each rule's goal in place of its conditions.

Goals are read by the engine that decides, as of what was recorded when; so a measure means the same in a goal as in a
condition, and a goal written today knows the past.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from engine.decision import Decision, Subject
from engine.instants import Instant
from engine.program import Program
from engine.replay import Progress, read_lane
from engine.rulebook.book import Rulebook
from engine.rulebook.spec import ReEntry, Rule
from engine.store import Store

_TRUE, _FALSE = " is reached", " is not"
"""What is put behind a rule's id; no rule's own id holds a space."""
Key = tuple[str, str, str, str]
"""Rule, account, and the subject's kind and id (empty: the account itself)."""


@dataclass(frozen=True, slots=True)
class Goals:
    """When the goals of rules began and ceased to hold: by rule, account and subject, (instant, holds) in order."""

    turns: Mapping[Key, tuple[tuple[Instant, bool], ...]]
    asked: Mapping[str, Rule]

    def held(self, one: Decision) -> bool:
        """Did the goal hold already when the decision was taken?"""
        turns = self._of(one)
        before = bisect_right(turns, one.at, key=lambda turn: turn[0])
        return before > 0 and turns[before - 1][1]

    def reached(self, one: Decision) -> bool:
        """Did the goal begin to hold after the decision, within the rule's time?"""
        rule = self.asked[one.rule]
        return any(holds and one.at < at <= one.at + rule.goal_within for at, holds in self._of(one))

    def _of(self, one: Decision) -> tuple[tuple[Instant, bool], ...]:
        rule = self.asked[one.rule]
        subject = one.subject if of_thing(rule) else None
        return self.turns.get(_key(one.rule, one.account_id, subject), ())


def why_not(book: Rulebook, rule: Rule) -> str | None:
    """Say why a rule's goal cannot be measured; None: it can."""
    if rule.goal is None:
        return "it has no goal; say what the mail is for: goal: {when: ..., within: 14d}"
    if book.over_all(rule):
        return "it is about all accounts together, and nobody is left to compare them with"
    if any(name.startswith("event.") for name in rule.goal.term.names()):
        return "its goal speaks of the event, which is over when the mail leaves; name a measure of the account"
    return None


def of_thing(rule: Rule) -> bool:
    """Does the goal speak of the rule's thing? Otherwise it is asked of the account, also when the thing is closed."""
    names = rule.goal.term.names() if rule.goal else ()
    return bool(rule.thing) and any(name.startswith(f"{rule.thing}.") for name in names)


def read_goals(store: Store, book: Rulebook, progress: Progress | None = None) -> Goals:
    """Read the whole log for the goals of a rulebook's rules. Nothing is written."""
    asked = {rule.id: rule for rule in book.rules if why_not(book, rule) is None}
    turns: dict[Key, list[tuple[Instant, bool]]] = {}
    if asked:
        program = Program(replace(book, rules=tuple(one for rule in asked.values() for one in _asking(rule))))
        for number in range(store.lanes):
            _, found = read_lane(store, number, lambda _: program, progress)
            for one in found.values():
                rule, _, _ = one.rule.partition(" ")
                key = _key(rule, one.account_id, one.subject)
                turns.setdefault(key, []).append((one.at, one.rule.endswith(_TRUE)))
    return Goals({key: tuple(sorted(rows)) for key, rows in turns.items()}, asked)


def _asking(rule: Rule) -> tuple[Rule, Rule]:
    """Two drafts that fire when the goal begins to hold, and when it ceases to."""
    each = rule.each if of_thing(rule) else ""
    subject: Literal["thing", "account"] = "thing" if each else "account"
    bare = Rule(rule.id, rule.at, subject=subject, each=each, re_entry=ReEntry("every_time"), status="draft")
    goal = (rule.goal,) if rule.goal is not None else ()
    return replace(bare, id=rule.id + _TRUE, when=goal), replace(bare, id=rule.id + _FALSE, unless=goal)


def _key(rule: str, account_id: str, subject: Subject | None) -> Key:
    return rule, account_id, subject.kind if subject else "", subject.id if subject else ""
