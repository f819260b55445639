"""Two rulebooks held against each other: which rules changed, and who enters and leaves each."""

from collections.abc import Iterator
from typing import Any

from engine.program import Program, RuleProgram
from engine.questions import now_of, views
from engine.rulebook.book import Rulebook
from engine.store import Store
from engine.views import AccountView


def changes(before: Rulebook, after: Rulebook, store: Store | None) -> list[dict[str, Any]]:
    """Every rule that is new, changed or removed: ``{"rule", "change", "enters", "leaves"}``.

    ``enters`` and ``leaves`` are subjects (``acme``, ``acme ticket:t1``) whose truth differs as of the store's clock;
    None without a store, and for rules on events and on the portfolio, which have no standing truth.
    """
    old, new = Program(before), Program(after)
    marks = [{one.rule.id: one.fingerprint for one in program.rules} for program in (old, new)]
    changed = sorted(rule for rule in {*marks[0], *marks[1]} if marks[0].get(rule) != marks[1].get(rule))
    inside = [_inside(program, store, changed) if changed else {} for program in (old, new)]
    return [_row(rule, marks, inside) for rule in changed]


def _row(rule: str, marks: list[dict[str, str]], inside: list[dict[str, set[str] | None]]) -> dict[str, Any]:
    word = "new" if rule not in marks[0] else "removed" if rule not in marks[1] else "changed"
    was, now = (found.get(rule, set()) for found in inside)
    if was is None or now is None:
        return {"rule": rule, "change": word, "enters": None, "leaves": None}
    return {"rule": rule, "change": word, "enters": sorted(now - was), "leaves": sorted(was - now)}


def _inside(program: Program, store: Store | None, wanted: list[str]) -> dict[str, set[str] | None]:
    """For each rule the subjects for which it is true now, ``clear_when`` and ``holds_for`` aside."""
    asked = [one for one in program.rules if one.rule.id in wanted]
    standing = [one for one in asked if one.rule.subject in {"account", "thing"}]
    if store is None or not standing:
        return {one.rule.id: None for one in asked}
    found: dict[str, set[str]] = {one.rule.id: set() for one in standing}
    for view in views(store, program, now_of(store, None)):
        for one in standing:
            found[one.rule.id].update(_true(one, view))
    return {one.rule.id: found.get(one.rule.id) for one in asked}


def _true(rule: RuleProgram, view: AccountView) -> Iterator[str]:
    if rule.audience is not None and view[rule.audience] is not True:
        return
    for subject in view.open_things(rule.rule.thing) if rule.rule.thing else [None]:
        if rule.when(view, subject) is True and rule.unless(view, subject) is not True:
            yield f"{view.account_id} {subject.kind}:{subject.id}" if subject else view.account_id
