"""Explanations: why a rule did or did not fire for an account, condition by condition, then or now."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from engine.account import MAX_OPEN, Account, event_key, in_holdout, key_of
from engine.decision import Decision
from engine.errors import UsageError
from engine.holding import reason, waits
from engine.instants import DAY, HOUR, Instant, iso
from engine.lane import Lane
from engine.log import Recorded
from engine.logic import Truth
from engine.measures.measure import Happening
from engine.program import Program, RuleProgram, read_use
from engine.questions import events_of, log_began, now_of, unknown_account
from engine.recipients import recipients
from engine.rulebook.book import Rulebook
from engine.rulebook.findings import suggestion
from engine.rulebook.spec import Line, Measure, Rule
from engine.state import in_order
from engine.store import Store
from engine.stored import stored_program
from engine.unknowns import grounds, why_unknown
from engine.values import to_json
from engine.views import AccountView, EventView, ThingView

MOST_EVIDENCE = 10
_WORDS = {True: "yes", False: "no", None: "unknown"}
Subject = ThingView | EventView | None


def explain(
    store: Store,
    book: Rulebook,
    account_id: str,
    rule_id: str,
    *,
    about: str | None = None,
    at: Instant | None = None,
    most: int = MOST_EVIDENCE,
) -> dict[str, Any]:
    """Why the rule did or did not fire for the account (and ``about``: ``ticket:t1``, ``event:evt-1``), as of ``at``.

    Each line with its truth, the values it read, why one of them is unknown, and the events behind them: the newest
    ``most``, and how many are left off (``more``); the audience, the reader, the occasion and the holdout; and what was
    decided by then. Answers with the entries recorded by ``at``; the rulebook may be one that
    is not active. Raises ``UsageError`` for an unknown account or subject.
    """
    rule = book.rule(rule_id)
    scene = seen(store, book, account_id, _when_asked(store, account_id, rule, about) if at is None else at)
    decided = _decided(store, account_id, rule_id, about, scene.moment)
    return explained(scene, rule, about, decided, most=most)


class Scene(NamedTuple):
    """An account as of an instant, with all its events by then, in the order of time."""

    account: Account
    view: AccountView
    moment: Instant
    events: list[Recorded]
    rows: list[Happening]


def seen(store: Store, book: Rulebook, account_id: str, moment: Instant) -> Scene:
    """The account as the engine had it at an instant. Raises ``UsageError`` for an unknown one."""
    events = events_of(store, account_id, moment)
    if not events:
        raise unknown_account(store, account_id, moment)
    account = replayed(store, book, account_id, moment)
    view = account.view(moment)
    return Scene(account, view, moment, events, in_order(events, view.moment.zone, view.moment.at))


def explained(
    scene: Scene, rule: Rule, about: str | None, decided: Sequence[Decision], *, most: int = MOST_EVIDENCE
) -> dict[str, Any]:
    """The same of an account that was read already; ``decided`` is what the rule decided about it by then."""
    account, view, rows = scene.account, scene.view, scene.rows
    asked = next(one for one in account.program.rules if one.rule.id == rule.id)
    key, subject = _subject(asked, view, scene.events, about)
    memory = account.truths.get(rule.id, {}).get(key)
    up = account.held_up(asked, view, subject, memory)
    answer = {
        "account_id": account.id,
        "rule": rule.id,
        "title": rule.title,
        "at": iso(scene.moment),
        "about": about,
        "truth": _WORDS[account.truth(asked, view, subject, up=up)],
        "zone": view.moment.zone.key,
        "audience": _audience(asked, view, rows),
        "open": subject.open if isinstance(subject, ThingView) else None,
        "paused": bool(rule.thing) and len(view.open_things(rule.thing)) > MAX_OPEN,
        "when": asked_lines(asked, rule.when, asked.when_lines, view, subject, rows, most),
        "unless": asked_lines(asked, rule.unless, asked.unless_lines, view, subject, rows, most),
        "held_up_by_clear_when": up,
        "to": recipients(rule, rule.outreach, view, subject) if rule.outreach else [],
        "true_since": iso(memory.since) if memory else None,
        "holds_for_hours": rule.holds_for / 3_600_000 if rule.holds_for else None,
        "again": _again(rule),
        "holdout": in_holdout(rule, account.id),
        "status": rule.status,
        "decisions": [_decision(one) for one in decided],
        "waits": _waits(account, rule, key),
    }
    return {**answer, "because": because(answer, decided)}


def replayed(store: Store, book: Rulebook, account_id: str, at: Instant, *, program: Program | None = None) -> Account:
    """The account as the engine had it at ``at``: its part of the log read again, then the given rulebook.

    With the active rulebook the memory is the real one; with another, it is as if that were activated at ``at``.
    ``program`` is that of the rulebook, where somebody has made it already.
    """
    programs: dict[str, Program] = {book.fingerprint: program or Program(book)}
    entries = store.account_entries(account_id, until_at=at)
    recorded = [entry for entry in entries if isinstance(entry, Recorded)]

    def of(mark: str) -> Program:
        if mark not in programs:
            programs[mark] = stored_program(store, mark)
        return programs[mark]

    def history(_account: str, position: int) -> list[Recorded]:
        return [entry for entry in recorded if entry.position <= position]

    lane = Lane(of, history)
    lane.first_at = log_began(store, account_id)
    for entry in entries:
        lane.take(entry)
    lane.advance(at)
    account = lane.accounts[account_id]
    if account.program.book.fingerprint != book.fingerprint:
        account.switch(programs[book.fingerprint], at, history)
    return account


def _again(rule: Rule) -> str:
    """When the rule may decide for the same subject once more."""
    if rule.subject == "event" and rule.re_entry.kind == "never":
        return "once for each event"
    return {
        "never": "once for ever, it does not fire for it again",
        "every_time": "it fires again when it has become untrue and true again",
        "every": f"it fires again at an edge at least {span_words(rule.re_entry.span)} later",
        "once_per": f"it fires again when {rule.re_entry.name} has another value",
    }[rule.re_entry.kind]


def span_words(span: int) -> str:
    """A span of milliseconds in the words of a person: days from two full ones on.

    >>> span_words(60 * 86_400_000), span_words(36 * 3_600_000), span_words(3_600_000)
    ('60 days', '36 hours', '1 hour')
    """
    whole = span % DAY == 0 and span >= 2 * DAY
    count = span / (DAY if whole else HOUR)
    return f"{count:,g} {'day' if whole else 'hour'}{'' if count == 1 else 's'}"


def _when_asked(store: Store, account_id: str, rule: Rule, about: str | None) -> Instant:
    """Now; for a rule about events the instant at which it was asked of the event."""
    now = now_of(store, None)
    if rule.subject != "event":
        return now
    name = (about or "").partition(":")[2]
    rows = [row for row in events_of(store, account_id, now) if row.event.type == rule.each]
    asked = [row.recorded_at for row in rows if not name or row.event.id == name]
    return asked[-1] if asked else now


def _waits(account: Account, rule: Rule, key: str) -> dict[str, Any] | None:
    """Which late sources the rule waits for, and until when what it has decided is held at most."""
    late = waits(account, rule.id)
    if not late:
        return None
    ours = (one for one in account.open.get(rule.id, {}).values() if not key or key_of(one.decision.subject) == key)
    until = max((one.until for one in ours if one.held), default=None)
    return {"sources": list(late), "why": reason(late), "held_until": iso(until) if until is not None else None}


def because(answer: dict[str, Any], decided: Sequence[Decision]) -> str:
    """One sentence that says it."""
    if decided and answer["truth"] == "yes":
        last = decided[-1]
        return f"true now; decided {iso(last.at)} ({last.outcome}); {answer['again']}"
    if decided:
        last = decided[-1]
        return f"decided {iso(last.at)} ({last.outcome}); not true now: {_first_no(answer)}"
    if answer["truth"] == "yes":
        if answer["holds_for_hours"]:
            span = span_words(round(answer["holds_for_hours"] * HOUR))
            return f"true since {answer['true_since']}, and must hold for {span}"
        return "true, and counted as already true when the rule was new or changed; it fires when it becomes true again"
    return _first_no(answer)


def lines(answer: dict[str, Any]) -> list[str]:
    """The explanation as lines of plain text."""
    about = f" about {answer['about']}" if answer["about"] else ""
    text = [f"{answer['rule']} for {answer['account_id']}{about}, as of {answer['at']} ({answer['zone']})"]
    text.append(f"  {answer['because']}")
    if answer["audience"] is not None:
        text.append(f"  audience {answer['audience']['segment']}: {answer['audience']['truth']}")
        text += _values(answer["audience"])
    if answer["open"] is not None:
        text.append(f"  open: {_WORDS[answer['open']]}")
    for section in ("when", "unless"):
        for line in answer[section]:
            text.append(f"  {section} {line['line']}: {line['truth']}")
            text += _values(line)
            text += [f"      - {event['time']} {event['type']} ({event['id']})" for event in line["events"]]
            if line["more"]:
                every = len(line["events"]) + line["more"]
                text.append(f"      - and {line['more']:,} older; --events {every} lists them all")
    if answer["to"] or answer["truth"] != "no":
        text.append(f"  writes to: {', '.join(answer['to']) or 'nobody known'}")
    if answer["holdout"]:
        text.append("  the account is in the rule's holdout: it is never written to")
    for one in answer["decisions"]:
        mails = "; ".join(f"mail to {mail['to']} due {mail['due_at']}" for mail in one["mails"])
        text.append(f"  decided {one['at']}: {one['outcome']}{', ' + mails if mails else ''}")
    if answer["waits"]:
        held = answer["waits"]["held_until"]
        what = f"its mail is held until it is well, at most until {held}" if held else "what it decides now is held"
        text.append(f"  {answer['waits']['why']}: missing events could make the rule true, so {what}")
    return text


def _first_no(answer: dict[str, Any]) -> str:
    if answer["open"] is False:
        return "the thing is not open"
    if answer["paused"]:
        return f"the rule pauses: the account has more than {MAX_OPEN:,} such things open"
    rows = [] if answer["held_up_by_clear_when"] else [("when", line, "yes") for line in answer["when"]]
    rows += [("unless", line, "no") for line in answer["unless"]]
    if answer["audience"] is not None:
        line = {**answer["audience"], "line": answer["audience"]["segment"]}
        rows.insert(0, ("audience", line, "yes"))
    failed = [row for row in rows if row[1]["truth"] != row[2]]
    # A plain no says more than an unknown: mending what is unknown would change nothing.
    for section, line, _ in sorted(failed, key=lambda row: row[1]["truth"] == "unknown"):
        unknown = [name for name, value in line["values"].items() if value is None]
        told = "; ".join(f"{name}, {line['because_unknown'][name]}" for name in unknown)
        why = f" (unknown: {told})" if line["truth"] == "unknown" and unknown else ""
        return f"{section} {line['line']} is {line['truth']}{why}"
    return "nobody of 'to' is known" if not answer["to"] else "all conditions hold"


def _values(line: dict[str, Any]) -> list[str]:
    why = line["because_unknown"]
    rows = ((name, f"unknown: {why[name]}" if value is None else value) for name, value in line["values"].items())
    return [f"      {name} = {_WORDS[value] if isinstance(value, bool) else value}" for name, value in rows]


def _subject(rule: RuleProgram, view: AccountView, events: list[Recorded], about: str | None) -> tuple[str, Subject]:
    spec = rule.rule
    if spec.subject in {"account", "portfolio"}:
        if about:
            msg = f"explain: rule {spec.id} is about the whole account; leave --about out"
            raise UsageError(msg)
        return "", None
    kind, _, name = (about or "").partition(":")
    if spec.subject == "thing":
        if kind != spec.each or not name:
            known = ", ".join(f"{spec.each}:{one.id}" for one in view.open_things(spec.each)[:5]) or "none is open"
            msg = f"explain: rule {spec.id} is for each {spec.each}; say --about {spec.each}:ID ({known})"
            raise UsageError(msg)
        if name not in view.state.things[kind] and not view.program.things[kind].spec.each_in:
            known = suggestion(name, view.state.things[kind]) or "; look at 'ringfirst accounts show'"
            msg = f"explain: the account has no {kind} '{name[:60]}'{known}"
            raise UsageError(msg)
        return f"{kind}\0{name}", view.thing(kind, name)
    rows = [row for row in events if row.event.type == spec.each and (not name or row.event.id == name)]
    if not rows:
        msg = f"explain: rule {spec.id} is for each {spec.each}; no such event of the account; say --about event:ID"
        raise UsageError(msg)
    row = rows[-1]
    event = EventView(row.event, min(row.event.time, row.recorded_at), rule.event_names, view.moment.zone)
    return event_key(spec, row.event), event


def _audience(rule: RuleProgram, view: AccountView, rows: list[Happening]) -> dict[str, Any] | None:
    if rule.audience is None:
        return None
    value = view[rule.audience]
    lines = view.program.book.segments[rule.rule.audience].when
    names = grounds(view.program, [name for line in lines for name in line.term.names()])
    values = {name: to_json(view.value(name)) for name in names}
    return {
        "segment": rule.rule.audience,
        "truth": _WORDS[value if isinstance(value, bool) else None],
        "values": values,
        "because_unknown": _because_unknown(view, None, values, rows),
    }


def _because_unknown(
    view: AccountView, subject: Subject, values: Mapping[str, Any], rows: list[Happening]
) -> dict[str, str]:
    return {name: why_unknown(view, subject, name, rows) for name, value in values.items() if value is None}


def asked_lines(
    rule: RuleProgram,
    written: Sequence[Line],
    ready: Sequence[Any],
    view: AccountView,
    subject: Subject,
    rows: list[Happening],
    most: int,
) -> list[dict[str, Any]]:
    """Each line as it is ``written``, of the ``ready`` function made of it: its truth, values and events, ``most``."""
    found = []
    for line, function in zip(written, ready, strict=True):
        truth: Truth = function(view, subject)
        uses = [use for use in rule.uses if use.name in line.term.names()]
        values = {use.name: to_json(read_use(use, view, subject)) for use in uses}
        behind = evidence(view, subject, line.term.names(), rows)
        found.append(
            {
                "line": line.text,
                "truth": _WORDS[truth if isinstance(truth, bool) else None],
                "values": values,
                "because_unknown": _because_unknown(view, subject, values, rows),
                "events": [_event(row) for row in behind[len(behind) - most if len(behind) > most else 0 :]],
                "more": max(len(behind) - most, 0),
            }
        )
    return found


def evidence(view: AccountView, subject: Subject, names: Sequence[str], rows: list[Happening]) -> list[Happening]:
    """Of the account's events those behind the values of these names, in order: by the plain path."""
    found: dict[int, Happening] = {}
    for name in grounds(view.program, names):
        for row in _behind(view, subject, name, rows):
            found[row.position] = row
    return sorted(found.values(), key=lambda row: (row.time, row.position))


def _behind(view: AccountView, subject: Subject, name: str, rows: list[Happening]) -> list[Happening]:
    owner, _, rest = name.partition(".")
    if isinstance(subject, ThingView) and owner == subject.kind:
        own = [row for row in rows if subject.program.shape.thing_of(row.event) == subject.id]
        slot = subject.program.slots[subject.program.slot(rest)]
        kept = getattr(slot, "kept", None)
        return kept.evidence(own, view.moment) if kept is not None else own
    if isinstance(subject, EventView) and owner == "event":
        return [row for row in rows if row.event.id == subject.event.id]
    measure = view.program.book.measures.get(name)
    if measure is None:
        return [row for row in rows if row.event.type == "account.updated" and owner in row.event.properties][-1:]
    kept = getattr(view.program.slots[view.program.slot(name)], "kept", None)
    if kept is not None:
        return list(kept.evidence(rows, view.moment))
    return _of_things(view, measure, rows)


def _of_things(view: AccountView, measure: Measure, rows: list[Happening]) -> list[Happening]:
    if not measure.thing:
        top = measure.prop.partition(".")[0]
        return [row for row in rows if row.event.type == "account.updated" and top in row.event.properties][-1:]
    program = view.program.things[measure.thing]
    ids = {one.id for one in view.open_things(measure.thing)}
    if measure.verb in {"opened", "answered", "closed"} or measure.prop in {"answer_hours", "solve_hours"}:
        ids = set(view.state.things[measure.thing])
    steps = {step[1] for key in ids for step in (program.view(view, key).state.steps)}
    return [row for row in rows if row.position in steps]


def _event(row: Happening) -> dict[str, Any]:
    return {"id": row.event.id, "type": row.event.type, "time": iso(row.time)}


def _decided(store: Store, account_id: str, rule_id: str, about: str | None, at: Instant) -> list[Decision]:
    name = (about or "").partition(":")[2]
    rows = store.decisions(account_id=account_id, rule=rule_id, until=at)
    return [row for row in rows if not name or (row.subject is not None and row.subject.id == name)]


def _decision(one: Decision) -> dict[str, Any]:
    return {
        "decision_id": one.decision_id,
        "at": iso(one.at),
        "occasion": one.occasion,
        "outcome": one.outcome,
        "subject": {"kind": one.subject.kind, "id": one.subject.id} if one.subject else None,
        "mails": [
            {"to": mail.to, "due_at": iso(mail.due_at), "why": mail.why, "held": mail.held} for mail in one.mails
        ],
    }


__all__ = ["Scene", "asked_lines", "because", "explain", "explained", "lines", "replayed", "seen"]
