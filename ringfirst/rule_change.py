"""Two rulebooks held against each other: which rules changed, and who enters and leaves each."""

from typing import Any

from engine.program import Program
from engine.questions import now_of, views
from engine.rulebook.book import Rulebook
from engine.store import Store


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
    known = was is not None and now is not None
    return {
        "rule": rule,
        "change": word,
        "enters": sorted(now - was) if was is not None and now is not None else None,
        "leaves": sorted(was - now) if known and was is not None and now is not None else None,
    }


def _inside(program: Program, store: Store | None, wanted: list[str]) -> dict[str, set[str] | None]:
    """For each rule the subjects for which it is true now, ``clear_when`` and ``holds_for`` aside."""
    asked = [one for one in program.rules if one.rule.id in wanted]
    standing = [one for one in asked if store is not None and one.rule.subject in {"account", "thing"}]
    found: dict[str, set[str] | None] = {one.rule.id: None for one in asked} | {one.rule.id: set() for one in standing}
    if store is None or not standing:
        return found
    for view in views(store, program, now_of(store, None)):
        for one in standing:
            if one.audience is not None and view[one.audience] is not True:
                continue
            for subject in view.open_things(one.rule.thing) if one.rule.thing else [None]:
                if one.when(view, subject) is True and one.unless(view, subject) is not True:
                    name = f"{view.account_id} {subject.kind}:{subject.id}" if subject else view.account_id
                    (found[one.rule.id] or set()).add(name)
                    rows = found[one.rule.id]
                    if rows is not None:
                        rows.add(name)
    return found
