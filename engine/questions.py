"""Questions asked of the store: who is inside a condition, and what is known of one account, as of any instant."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from engine.account import account_view
from engine.errors import UsageError
from engine.instants import Instant, iso
from engine.lanes import lane_of
from engine.log import EngineEntry, Entry, Event, Recorded
from engine.program import NameUse, Program, read_use
from engine.rulebook.agreed import DERIVED, GOAL
from engine.rulebook.book import Rulebook
from engine.rulebook.expressions import ExpressionError, parse
from engine.rulebook.findings import Findings, Place, listed, suggestion
from engine.rulebook.names import Conditions
from engine.rulebook.reporting import REPORTED
from engine.rulebook.spec import Line, Rule
from engine.state import PERSON
from engine.store import Store
from engine.things import ThingState
from engine.values import Value, to_json
from engine.views import AccountView, ThingView
from engine.whole import number

MOST_SUGGESTED = 20_000
"""Accounts of a store in which the nearest id is still looked for: in more it would keep somebody waiting."""


def now_of(store: Store, at: Instant | None) -> Instant:
    """The instant a question is about: ``at``, or the furthest clock of any lane; none: ``UsageError``."""
    if at is not None:
        return at
    clocks = [info.clock_at for info in store.lane_infos(at=0) if info.clock_at is not None]
    if not clocks:
        msg = "store: there are no events yet; import some first: ringfirst import FILE"
        raise UsageError(msg)
    return max(clocks)


def who(
    store: Store, book: Rulebook, text: str, *, each: str | None = None, at: Instant | None = None
) -> dict[str, Any]:
    """Accounts (or, with ``each``, things) for which a condition or segment is true as of ``at``.

    ``{"at", "count", "unknown": {name: n}, "accounts": [{"account_id", "subject", "values"}]}``; ``unknown`` counts,
    for each name, the accounts for which it left the condition unknown. Answers with the entries recorded by ``at``.
    """
    moment = now_of(store, at)
    rule = _question(book, text, each)
    program = Program(replace(book, rules=(rule,)))
    asked = program.rules[0]
    found: list[dict[str, Any]] = []
    unknown = Counter[str]()
    for view in views(store, program, moment):
        for subject in view.open_things(each) if each else [None]:
            truth = asked.when(view, subject)
            if truth is True:
                found.append(_answer(view, subject, asked.uses))
            elif truth is None:
                unknown.update(use.name for use in asked.uses if read_use(use, view, subject) is None)
    found.sort(key=lambda one: one["account_id"])
    return {"at": iso(moment), "count": len(found), "unknown": dict(sorted(unknown.items())), "accounts": found}


def account(store: Store, book: Rulebook, account_id: str, *, at: Instant | None = None) -> dict[str, Any]:
    """All that is known of one account as of ``at``: traits, measures, things, and its timeline.

    Raises ``UsageError`` when the store has never seen the account by then.
    """
    moment = now_of(store, at)
    program = Program(replace(book, rules=()), everything=True)
    for name in (*book.measures, *book.segments, *book.scores):
        program.slot(name)
    events = events_of(store, account_id, moment)
    if not events:
        raise unknown_account(store, account_id, moment)
    totals = totals_of(store.account_entries(account_id, until_at=moment), {})
    view = account_view(program, events, moment, totals, log_began(store, account_id) or moment)
    return {
        "account_id": account_id,
        "at": iso(moment),
        "zone": view.moment.zone.key,
        "first_seen": iso(view.seen) if view.seen is not None else None,
        "state": {name: row[2] for name, row in sorted(view.state.traits.items())},
        "measures": {name: to_json(view.value(name)) for name in sorted(program.index)},
        "things": {kind: [_thing(one) for one in view.open_things(kind)] for kind in sorted(program.things)},
        "timeline": list(timeline(store, account_id, events, moment)),
    }


def timeline(store: Store, account_id: str, events: Iterable[Recorded], until: Instant) -> Iterator[dict[str, Any]]:
    """What happened with an account and what was decided for it, oldest first."""
    rows = [
        (
            entry.event.time,
            0,
            {"at": iso(entry.event.time), "what": entry.event.type, "detail": _detail(entry.event)},
        )
        for entry in events
    ]
    for one in store.decisions(account_id=account_id, until=until):
        about = f" about {one.subject.kind} {one.subject.id}" if one.subject else ""
        detail = {"outcome": one.outcome, "decision_id": one.decision_id, "values": one.values}
        rows.append((one.at, 1, {"at": iso(one.at), "what": f"decided: {one.rule}{about}", "detail": detail}))
    return (row for _, _, row in sorted(rows, key=lambda row: (row[0], row[1])))


def _detail(event: Event) -> dict[str, Any]:
    """The properties of an event; of a report that was issued without its figures, which fill a page of their own."""
    left_out = {"figures", "value"} if event.type == REPORTED else ()
    return {name: value for name, value in event.properties.items() if name not in left_out}


def unknown_account(store: Store, account_id: str, at: Instant) -> UsageError:
    """What to say of an account that the store had not seen by ``at``: the nearest id, or that it came later."""
    known = store.accounts()
    near = suggestion(account_id, to_suggest(known)) or "; look at 'ringfirst who true'"
    near = "; it came later" if account_id in known else near
    return UsageError(f"account '{account_id[:60]}': not in the store by {iso(at)}{near}")


def to_suggest(accounts: list[str]) -> list[str]:
    """Ids to suggest from: all of a store, or none of a very large one."""
    return accounts if len(accounts) <= MOST_SUGGESTED else []


def events_of(store: Store, account_id: str, until: Instant) -> list[Recorded]:
    """An account's events recorded by ``until``, in the order of the log."""
    entries = store.account_entries(account_id, until_at=until)
    return [entry for entry in entries if isinstance(entry, Recorded) and entry.account_id == account_id]


def log_began(store: Store, account_id: str) -> Instant | None:
    """When the log of the account's lane began; None while nothing is in it."""
    lane = lane_of(account_id, store.lanes)
    return next((info.first_at for info in store.lane_infos(at=0) if info.lane == lane), None)


def views(store: Store, program: Program, at: Instant) -> Iterator[AccountView]:
    """Every account as of ``at``, from the entries recorded by then; only what the program asks is folded.

    They come lane by lane, and by id in each: no more than the events of one lane are held at a time.
    """
    began = {info.lane: info.first_at for info in store.lane_infos(at=0)}
    for lane in range(store.lanes):
        found: dict[str, list[Recorded]] = {}
        totals: dict[str, Value] = {}
        for entry in store.entries(lane, until_at=at):
            if isinstance(entry, Recorded):
                found.setdefault(entry.event.account_id, []).append(entry)
            else:
                totals_of([entry], totals)
        for account_id in sorted(found):
            yield account_view(program, found[account_id], at, totals, began.get(lane) or at)


def totals_of(entries: Iterable[Entry], known: dict[str, Value]) -> dict[str, Value]:
    """The portfolio's last daily values among these entries: what rules of accounts read."""
    for entry in entries:
        if isinstance(entry, EngineEntry) and entry.kind == "portfolio.measured" and entry.body.get("daily"):
            known.update({name: number(value) for name, value in entry.body["accounts"].items()})
    return known


def _question(book: Rulebook, text: str, each: str | None) -> Rule:
    if each is not None and each not in book.things:
        hint = suggestion(each, book.things) or f"; declared are {listed(book.things)}"
        msg = f"who --each: unknown thing '{each}'{hint}"
        raise UsageError(msg)
    place = Place("condition")
    try:
        line = Line(text, parse(text), place)
    except ExpressionError as err:
        msg = f"who: character {err.offset + 1}: {err}"
        raise UsageError(msg) from None
    findings = Findings()
    Conditions(book.names, findings, each or "").check(line, "who")
    if findings.errors:
        raise UsageError("\n".join(finding.message for finding in findings.errors))
    return Rule(
        "question", place, subject="thing" if each else "account", each=each or "", when=(line,), status="draft"
    )


def _answer(view: AccountView, subject: ThingView | None, uses: Iterable[NameUse]) -> dict[str, Any]:
    about = {"kind": subject.kind, "id": subject.id} if subject else None
    values: dict[str, Value] = {use.name: to_json(read_use(use, view, subject)) for use in uses}
    return {"account_id": view.account_id, "subject": about, "values": values}


def _thing(view: ThingView) -> dict[str, Any]:
    state: ThingState = view.state
    shown = {"id": view.id, "properties": {name: row[2] for name, row in sorted(state.props.items())}}
    waits = [] if view.kind in {PERSON, GOAL} else ["waiting_hours", "answered"]
    names = [*(measure.name for measure in view.program.spec.measures), "open_days", *waits]
    names += DERIVED if view.kind == GOAL else ()
    return {**shown, **{name: to_json(view.value(name)) for name in names}}
