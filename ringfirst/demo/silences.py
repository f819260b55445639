"""What was not sent, or not at once, and why: how often, and one case of each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.decision import Decision, Subject
from engine.instants import DAY, Instant
from engine.program import Program, RuleProgram
from engine.questions import views
from engine.rulebook.book import Rulebook
from engine.store import Store
from engine.views import AccountView


@dataclass(frozen=True, slots=True)
class Silence:
    """One way in which something was not sent: how often, in words, and one case of it."""

    count: int
    unit: str
    words: str
    example: str = ""


def find_silences(store: Store, book: Rulebook, end: Instant) -> list[Silence]:
    """What was not even decided, and why; only what happened at least once."""
    decided = store.decisions()
    found = [
        _nothing_held(store, decided),
        *_still_so(store, book, decided, end),
    ]
    return [one for one in found if one.count]


def _nothing_held(store: Store, decided: Iterable[Decision]) -> Silence:
    quiet = set(store.accounts()) - {one.account_id for one in decided}
    return Silence(len(quiet), "customer", "heard nothing at all: no rule ever held")


def _still_so(store: Store, book: Rulebook, decided: Iterable[Decision], end: Instant) -> Iterator[Silence]:
    """As of ``end``: what holds and was said before, what an ``unless`` keeps quiet, and what cannot be told."""
    told = {(one.rule, one.account_id, one.subject) for one in decided if one.at <= end - DAY}
    again, quiet, unknown = list[str](), list[str](), list[str]()
    program = Program(book)
    for view in sorted(views(store, program, end), key=lambda one: one.account_id):
        for rule in program.rules:
            if rule.way not in {"account", "thing"} or rule.rule.status == "draft":
                continue
            if rule.audience is not None and view[rule.audience] is not True:
                continue
            for subject, thing in _subjects(rule, view):
                name = f"{view.account_id}, {rule.rule.id}"
                when = rule.when(view, thing)
                if when is True and rule.unless(view, thing) is True:
                    quiet.append(f"{name}: {_holding(rule, view, thing)}")
                elif when is True and (rule.rule.id, view.account_id, subject) in told:
                    again.append(name)
                elif when is None and subject is None:
                    unknown.append(f"{name}: {_holding(rule, view, thing)}")
    yield Silence(len(again), "reason", "still there today, but told before: once is enough", next(iter(again), ""))
    yield Silence(len(quiet), "reason", "kept quiet by an 'unless'", next(iter(quiet), ""))
    yield Silence(len(unknown), "reason", "undecided: a number is unknown", next(iter(unknown), ""))


def _subjects(rule: RuleProgram, view: AccountView) -> Iterator[tuple[Subject | None, Any]]:
    if rule.way == "account":
        yield None, None
        return
    for thing in view.open_things(rule.rule.each):
        yield Subject(thing.kind, thing.id), thing


def _holding(rule: RuleProgram, view: AccountView, thing: Any) -> str:
    """The line that decides: the first ``unless`` that holds, else the first ``when`` that cannot be told."""
    for line, asked in zip(rule.rule.unless, rule.unless_lines, strict=True):
        if asked(view, thing) is True:
            return line.text
    lines = zip(rule.rule.when, rule.when_lines, strict=True)
    return next((line.text for line, asked in lines if asked(view, thing) is None), "")
