"""What was not sent, or not at once, and why: how often, and one case of each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.decision import Decision, Subject
from engine.instants import DAY, HOUR, Instant
from engine.log import Recorded
from engine.program import Program, RuleProgram
from engine.questions import views
from engine.rulebook.book import Rulebook
from engine.store import OutreachRow, Store
from engine.views import AccountView
from engine.zones import zone
from outreach.policy import No
from ringfirst.demo.mails import Walked


@dataclass(frozen=True, slots=True)
class Silence:
    """One way in which something was not sent: how often, in words, and one case of it."""

    count: int
    unit: str
    words: str
    example: str = ""


def find_silences(store: Store, book: Rulebook, walked: Walked, end: Instant) -> list[Silence]:
    """What was not sent, or not at once, and why; only what happened at least once."""
    decided = store.decisions()
    found = [
        _nothing_held(store, decided),
        _taken_back(store),
        _of_outcome(decided, "held_out", "held out, to see what the mail is worth"),
        _of_outcome(decided, "draft", "only drafts: the rule says what it would do"),
        *_stopped(walked),
        _waited(walked),
        _reviewed(walked),
        *_still_so(store, book, decided, end),
    ]
    return [one for one in found if one.count]


def _nothing_held(store: Store, decided: Iterable[Decision]) -> Silence:
    quiet = set(store.accounts()) - {one.account_id for one in decided}
    return Silence(len(quiet), "customer", "heard nothing at all: no rule ever held")


def _taken_back(store: Store) -> Silence:
    rows = store.outreach(states=["withdrawn"])
    return Silence(
        len(rows),
        "mail",
        "taken back before leaving: the reason was gone",
        _how_taken_back(store, rows[0]) if rows else "",
    )


def _how_taken_back(store: Store, row: OutreachRow) -> str:
    """What came in between the decision and the hour at which the mail would have left."""
    entries = store.account_entries(row.account_id, until_at=row.state_at)
    last = [one.event.type for one in entries if isinstance(one, Recorded) and one.recorded_at == row.state_at]
    came = (
        f"{last[-1]} came in at {_clock(row, row.state_at)}" if last else f"it was gone at {_clock(row, row.state_at)}"
    )
    return (
        f"{row.account_id}, {row.rule}: decided {_day(row, row.at)} at {_clock(row, row.at)}, due at "
        f"{_clock(row, row.due_at)}; {came}"
    )


def _of_outcome(decided: Iterable[Decision], outcome: str, words: str) -> Silence:
    rows = [one for one in decided if one.outcome == outcome]
    return Silence(len(rows), "mail", words, _named(rows[0]) if rows else "")


def _stopped(walked: Walked) -> Iterator[Silence]:
    """What the gate said no to, by its reason."""
    found: dict[str, list[OutreachRow]] = {}
    for group, mail in walked:
        if isinstance(mail, No):
            found.setdefault(mail.why, []).extend(group)
    for why, rows in sorted(found.items()):
        yield Silence(len(rows), "mail", f"stopped on the way out: {why}", _named(rows[0]))


def _waited(walked: Walked) -> Silence:
    rows = [group[0] for group, mail in walked if not isinstance(mail, No) and group[0].due_at - group[0].at > HOUR]
    far = max(rows, key=lambda row: (row.due_at - row.at, row.outreach_id), default=None)
    example = ""
    if far is not None:
        example = f"{far.account_id}: decided {_day(far, far.at)} at {_clock(far, far.at)} in {_zone(far)}, due at "
        example += _clock(far, far.due_at)
    return Silence(len(rows), "mail", "kept until it was day where the reader lives", example)


def _reviewed(walked: Walked) -> Silence:
    rows = [group[0] for group, mail in walked if not isinstance(mail, No) and group[0].mode == "review"]
    return Silence(
        len(rows),
        "mail",
        "in need of a person's yes before it leaves for real",
        _named(rows[0]) if rows else "",
    )


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


def _named(one: Decision | OutreachRow) -> str:
    return f"{one.account_id}, {one.rule}"


def _zone(row: OutreachRow) -> str:
    return str(row.frozen.get("zone") or "UTC")


def _clock(row: OutreachRow, at: Instant) -> str:
    return f"{zone(_zone(row)).local(at):%H:%M}"


def _day(row: OutreachRow, at: Instant) -> str:
    moment = zone(_zone(row)).local(at)
    return f"{moment:%a} {moment.day} {moment:%b}"
