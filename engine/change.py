"""What a change of rulebooks means: which rules are new, changed or removed, and who enters and leaves each."""

from dataclasses import replace
from typing import Any

from engine.instants import Instant
from engine.program import Program
from engine.questions import views
from engine.rulebook.book import Rulebook
from engine.store import Store


def changes(old: Rulebook, new: Rulebook) -> dict[str, str]:
    """Rule id to ``new``, ``changed`` or ``removed``; rules that decide the same are left out (RULEBOOK 12)."""
    before = {rule.rule.id: rule.fingerprint for rule in Program(old).rules}
    after = {rule.rule.id: rule.fingerprint for rule in Program(new).rules}
    found = {rule_id: "removed" for rule_id in before if rule_id not in after}
    found.update({rule_id: "new" for rule_id in after if rule_id not in before})
    found.update({rule_id: "changed" for rule_id, mark in after.items() if before.get(rule_id, mark) != mark})
    return dict(sorted(found.items()))


def movements(store: Store, old: Rulebook, new: Rulebook, at: Instant) -> list[dict[str, Any]]:
    """For each rule that changes: ``{"rule", "change", "enters": [subject], "leaves": [subject]}`` as of ``at``.

    A subject is ``account`` or ``account kind:id``. Rules about events and the portfolio have no inside.
    """
    found = changes(old, new)
    before, after = _inside(store, old, set(found), at), _inside(store, new, set(found), at)
    return [
        {
            "rule": rule_id,
            "change": change,
            "enters": sorted(after.get(rule_id, set()) - before.get(rule_id, set())),
            "leaves": sorted(before.get(rule_id, set()) - after.get(rule_id, set())),
        }
        for rule_id, change in found.items()
    ]


def _inside(store: Store, book: Rulebook, rules: set[str], at: Instant) -> dict[str, set[str]]:
    wanted = tuple(rule for rule in book.rules if rule.id in rules and rule.subject in {"account", "thing"})
    program = Program(replace(book, rules=wanted))
    found: dict[str, set[str]] = {rule.id: set() for rule in wanted}
    for view in views(store, program, at):
        for rule in program.rules:
            audience = True if rule.audience is None else view[rule.audience]
            for subject in view.open_things(rule.rule.thing) if rule.rule.thing else [None]:
                inside = audience is True and rule.when(view, subject) is True and rule.unless(view, subject) is False
                if inside:
                    about = f" {subject.kind}:{subject.id}" if subject else ""
                    found[rule.rule.id].add(view.account_id + about)
    return found
