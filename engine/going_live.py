"""Who was inside a rule before it could write, let in by hand: each decided at a time of its own, if it is still true.

A rule that is new, changed or no longer a draft counts as already true for whoever is inside (RULEBOOK 12): that is no
edge, so nobody is written to. ``rule.released`` in the log makes up for the edge. The functions work on an ``Account``,
which keeps in ``released`` what is still to come.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from engine.decision import Fact
from engine.instants import Instant
from engine.occasions import spelled, used_in
from engine.program import RuleProgram, read_use
from engine.rulebook.spec import Rule
from engine.values import occasion

if TYPE_CHECKING:  # an account calls these functions
    from engine.account import Account
    from engine.views import AccountView, ThingView

RELEASED = "rule.released"
"""An engine entry about one subject of a rule: {rule, subject_kind, subject_id, at}; empty ones: the account itself.

``at``: not asked before it; None takes a release back whose time has not come."""


def note(account: "Account", body: Mapping[str, Any]) -> None:
    """Remember a release until its time comes; of two for the same subject the first stays."""
    name = _name(body["rule"], body["subject_kind"], body["subject_id"])
    coming = dict(account.released or {})
    if body["at"] is None:
        coming.pop(name, None)
    else:
        coming.setdefault(name, body["at"])
    account.released = coming or None


def next_release(account: "Account") -> Instant | None:
    """When the next one's time comes."""
    return min(account.released.values()) if account.released else None


def let_in(account: "Account", view: "AccountView", facts: list[Fact]) -> None:
    """Decide for those whose time has come, if they are still inside; the account was looked at just now."""
    coming = account.released or {}
    due = sorted(name for name, at in coming.items() if at <= view.moment.at)
    if not due:
        return
    account.released = {name: at for name, at in coming.items() if name not in due} or None
    rules = {rule.rule.id: rule for rule in account.program.rules}
    for name in due:
        rule_id, kind, thing = name.split("\0", 2)
        rule = rules.get(rule_id)
        key = f"{kind}\0{thing}" if kind else ""
        if rule is not None and rule.rule.thing == kind and may_enter(account, rule, key, view):
            account.enter(rule, key, view, facts)


def drop(account: "Account", rules: Iterable[str]) -> None:
    """Forget what is to come of rules that are others now: somebody released people of another rule."""
    gone = set(rules)
    if account.released:
        account.released = {n: at for n, at in account.released.items() if n.partition("\0")[0] not in gone} or None


def may_enter(account: "Account", rule: RuleProgram, key: str, view: "AccountView") -> bool:
    """Is the rule true for a subject without having decided for it since? Then a release would decide."""
    memory = account.truths.get(rule.rule.id, {}).get(key)
    if rule.rule.status == "draft" or memory is None or not memory.held:
        return False
    wanted = occasion_now(rule, subject_of(rule, key, view), view)
    if wanted is None or not account.free(rule.rule, key, wanted, view.moment.at):
        return False
    used = used_in(account.used, f"live\0{rule.rule.id}\0{key}")
    decided = any(one.at >= memory.since and not one.given_back for one in used)
    return rule.once_per is not None or not decided


def inside(account: "Account", rule: RuleProgram) -> Iterator[str]:
    """The keys of the subjects for which the rule is true, and has been for as long as ``holds_for`` says."""
    return (key for key, memory in sorted(account.truths.get(rule.rule.id, {}).items()) if memory.held)


def coming(account: "Account", rule: Rule) -> dict[str, Instant]:
    """Of a rule's releases whose time has not come: subject's key to instant."""
    rows = account.released or {}
    mine = ((name.split("\0", 2), at) for name, at in rows.items())
    return {f"{kind}\0{thing}" if kind else "": at for (rule_id, kind, thing), at in mine if rule_id == rule.id}


def occasion_now(rule: RuleProgram, subject: "ThingView | None", view: "AccountView") -> str | None:
    """The occasion that a decision of this instant would use; None: nothing can be decided."""
    if rule.once_per is not None:
        return occasion(read_use(rule.once_per, view, subject))
    return "once" if rule.rule.re_entry.kind == "never" else spelled(view.moment.at)


def subject_of(rule: RuleProgram, key: str, view: "AccountView") -> "ThingView | None":
    """The thing that a key names; None for the account itself."""
    return view.thing(rule.rule.thing, key.partition("\0")[2]) if key else None


def _name(rule: str, kind: str, thing: str) -> str:
    return f"{rule}\0{kind}\0{thing}"
