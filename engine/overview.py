"""All rules of an account on one page: what holds now, what does not and why, and what was decided."""

from collections.abc import Iterator, Sequence
from typing import Any

from engine.account import MAX_OPEN
from engine.decision import Decision
from engine.explain import Scene, explained, seen
from engine.instants import Instant, iso
from engine.questions import now_of
from engine.rulebook.book import Rulebook
from engine.rulebook.spec import Rule
from engine.store import Store

ORDER = ("yes", "unknown", "no", "")


def overview(store: Store, book: Rulebook, account_id: str, *, at: Instant | None = None) -> dict[str, Any]:
    """Each rule for the account as of ``at``; what holds comes first, then what is unknown.

    ``{"account_id", "at", "zone", "rules": [{"rule", "title", "about", "truth", "because", "decisions"}]}``. A rule for
    each thing has a row for each open one; a rule about events is asked when one comes, and of the portfolio's rules
    there is nothing to say. Raises ``UsageError`` for an unknown account.
    """
    scene = seen(store, book, account_id, now_of(store, at))
    decided: dict[str, list[Decision]] = {}
    for one in store.decisions(account_id=account_id, until=scene.moment):
        decided.setdefault(one.rule, []).append(one)
    rows = [row for rule in book.rules for row in _rows(scene, rule, decided.get(rule.id, []))]
    rows.sort(key=lambda row: ORDER.index(row["truth"]))
    return {"account_id": account_id, "at": iso(scene.moment), "zone": scene.view.moment.zone.key, "rules": rows}


def _rows(scene: Scene, rule: Rule, decided: Sequence[Decision]) -> Iterator[dict[str, Any]]:
    if rule.subject == "portfolio":
        return
    if rule.subject == "account":
        yield _row(scene, rule, None, decided)
        return
    if rule.subject == "event":
        yield _told(rule, None, "", f"asked of each {rule.each} when it comes{_last(decided)}", decided)
        return
    things = scene.view.open_things(rule.each)
    if len(things) > MAX_OPEN:
        yield _told(rule, None, "no", f"it pauses: more than {MAX_OPEN:,} are open", decided)
        return
    for thing in things:
        mine = [one for one in decided if one.subject is not None and one.subject.id == thing.id]
        yield _row(scene, rule, f"{rule.each}:{thing.id}", mine)
    if not things:
        yield _told(rule, None, "no", f"no {rule.each} is open{_last(decided)}", decided)


def _row(scene: Scene, rule: Rule, about: str | None, decided: Sequence[Decision]) -> dict[str, Any]:
    answer = explained(scene, rule, about, decided, most=0)
    return _told(rule, about, answer["truth"], answer["because"], decided)


def _told(rule: Rule, about: str | None, truth: str, why: str, decided: Sequence[Decision]) -> dict[str, Any]:
    return {
        "rule": rule.id,
        "title": rule.title,
        "about": about,
        "truth": truth,
        "because": why,
        "decisions": len(decided),
    }


def _last(decided: Sequence[Decision]) -> str:
    return f"; decided {iso(decided[-1].at)} ({decided[-1].outcome})" if decided else ""
