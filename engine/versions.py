"""Since when each rule decides as it does now: what makes it new or changed (RULEBOOK 12)."""

from engine.instants import Instant
from engine.program import Program
from engine.rulebook.book import Rulebook
from engine.store import Store
from engine.stored import stored_program


def rule_versions(store: Store, book: Rulebook) -> dict[str, Instant]:
    """For each rule of a stored rulebook, when the oldest of the rulebooks was kept since which it decides the same.

    Rulebooks that were kept after this one do not count: who goes back to it goes back to its versions.
    """
    now = {rule.rule.id: rule.fingerprint for rule in Program(book).rules}
    kept = store.rulebooks()
    marks = [mark for _, mark in kept]
    if book.fingerprint not in marks:
        return {}
    here = marks.index(book.fingerprint)
    found = dict.fromkeys(now, kept[here][0])
    open_rules = set(now)
    for at, mark in reversed(kept[:here]):
        before = {rule.rule.id: rule.fingerprint for rule in stored_program(store, mark).rules}
        open_rules = {rule for rule in open_rules if before.get(rule) == now[rule]}
        found.update(dict.fromkeys(open_rules, at))
        if not open_rules:
            break
    return found
