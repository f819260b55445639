"""The judge: what must be decided, recomputed from the whole log at every look.

``judge`` keeps only what the language itself demands to be remembered: whether a rule was true at the last look and
since when, which ``once_per`` value was seen last in this stretch of truth, and the decisions made. Everything else is
computed anew from all events at each look, and there are more looks than needed.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple, cast

from engine.decision import decision_id
from engine.rulebook.absence import owed
from engine.rulebook.spec import Types
from tests.judge import expression
from tests.judge.days import MINUTE, due_at, duration, iso
from tests.judge.kinds import plain
from tests.judge.picture import Happening, Picture, Thing, happening
from tests.judge.product import book_of
from tests.judge.turning import Turns, all_measures
from tests.judge.view import View

FORGIVEN = 90 * MINUTE
CONDITIONS = ("audience", "when", "unless", "clear_when", "holds_for", "for")


class Subject(NamedTuple):
    """What a decision is about inside its account."""

    kind: str
    id: str


@dataclass
class Mail:
    """A mail of a decision."""

    to: str
    due_at: int
    state: str = "planned"
    ended: bool = False
    until: int | None = None
    """It waits for a late source; at this instant it expires."""

    def may_leave(self, at: int) -> bool:
        """Whether it can still be taken back at an instant."""
        return self.state == "planned" and not self.ended and at < (self.until or self.due_at)

    @property
    def shown(self) -> str:
        """Its state in words."""
        return "held" if self.state == "planned" and self.until is not None else self.state


@dataclass
class Decision:
    """A decision and what became of it."""

    decision_id: str
    rule: str
    subject: Subject | None
    occasion: str
    at: int
    outcome: str
    values: dict[str, Any]
    mails: list[Mail]
    event: Happening | None = None
    withdrawn_at: int | None = None
    given_back: bool = False
    expires_at: int = 0
    waits: bool = False

    @property
    def world(self) -> str:
        """Drafts count among drafts only."""
        return "draft" if self.outcome == "draft" else "live"


@dataclass
class Memory:
    """What is remembered of a rule and subject whose truth was true at the last look."""

    since: int
    asked: bool = False
    seen: str | None = None


@dataclass
class Account:
    """One account on its way through the log."""

    id: str
    books: dict
    log_began: int
    events: list[Happening] = field(default_factory=list)
    clock: int = 0
    truths: dict[tuple[str, Subject | None], Memory] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    late: frozenset[str] = frozenset()
    picture: Picture = field(init=False)
    turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        """Read the rulebook for what turns without an event."""
        self.turns = Turns(self.books)

    # the walk through time

    def advance(self, until: int) -> None:
        """Take all looks after the last one, up to and with ``until``."""
        if not self.events:
            return
        waiting = self.turns.fixed_instants(self.picture, self.clock, until)
        while True:
            waiting |= self.turns.mixed_instants(View(self.picture, self.clock))
            ahead = [
                at for at in (*waiting, *self._ends_of_holds(), *self._ends_of_waits()) if self.clock < at <= until
            ]
            if not ahead:
                return
            self._look(min(ahead))

    def fold(self, entry: dict) -> None:
        """Take in an event and look."""
        event = happening(entry)
        self.events.append(event)
        self.picture = Picture(self.books, self.events, self.log_began)
        self._look(entry["recorded_at"], event)

    def switch(self, books: dict, at: int) -> None:
        """Go over to another rulebook and look with it."""
        before, self.books, self.turns = self.books, books, Turns(books)
        self.late &= frozenset((books.get("policy") or {}).get("sources") or {})
        if not self.events:
            return
        self.picture = Picture(books, self.events, self.log_began)
        view = View(self.picture, at)
        old = {rule["id"]: rule for rule in rules(before)}
        self._remove_all_but({rule["id"] for rule in rules(books)}, at)
        for rule in rules(books):
            known = old.get(rule["id"])
            if known is None or essence(before, known) != essence(books, rule):
                self._start_over(view, rule)
                self._withdraw_of_other_kinds(rule, at)
        self._look(at)
        self._weigh(at)

    # waiting for late sources

    def stream(self, entry: dict, at: int) -> None:
        """A source became late or well."""
        rest = self.late - {entry["source"]}
        self.late = rest | {entry["source"]} if entry["kind"] == "late" else rest
        if self.events:
            self._look(at)
            self._weigh(at)

    def _waits(self, rule: dict) -> bool:
        """Whether the rule could be true because events of a late source are missing."""
        sources = (self.books.get("policy") or {}).get("sources") or {}
        return any(rule["id"] in owing(self.books, tuple(sources[name]["events"])) for name in self.late & set(sources))

    def _hold_until(self, at: int) -> int:
        return at + max(duration((self.books.get("policy") or {}).get("hold_for", "3d")), 1)

    def _ends_of_waits(self) -> Iterator[int]:
        for decision in self.decisions.values():
            if decision.waits:
                yield from (mail.until for mail in decision.mails if mail.until and mail.state == "planned")

    def _weigh(self, at: int) -> None:
        """Everything that has not left either has to wait now, or is asked once more."""
        by_id = {rule["id"]: rule for rule in rules(self.books)}
        for decision in self.decisions.values():
            mails = [mail for mail in decision.mails if mail.may_leave(at)]
            if decision.outcome != "planned" or not mails:
                continue
            waits = self._waits(by_id[decision.rule])
            if waits and not decision.waits:
                decision.waits = True
                for mail in mails:
                    mail.until = self._hold_until(at)
            elif decision.waits and not waits:
                self._ask_once_more(by_id[decision.rule], decision, mails, View(self.picture, at))

    def _ask_once_more(self, rule: dict, decision: Decision, mails: list[Mail], view: View) -> None:
        if decision.event is not None:
            true = view.holds(rule.get("when") or [], decision.event) is True
            true = true and self._others_hold(view, rule, decision.event)
        else:
            about = decision.subject
            thing = self.picture.things(about.kind).get(about.id) if about else None
            true = self._is_true(view, rule, about, thing)
        if not true:
            withdraw(decision, view.at)
            return
        anew = {mail.to: mail.due_at for mail in self._mails(view, rule, [mail.to for mail in mails], waited=True)}
        if decision.event is not None and any(decision.expires_at <= anew[mail.to] for mail in mails):
            self._expire(decision, mails)
            return
        decision.waits = False
        for mail in mails:
            mail.due_at, mail.until = anew[mail.to], None

    def _expire_waiting(self, at: int) -> None:
        for decision in self.decisions.values():
            mails = [mail for mail in decision.mails if mail.state == "planned" and not mail.ended and mail.until]
            if decision.waits and any((mail.until or 0) <= at for mail in mails):
                self._expire(decision, mails)

    @staticmethod
    def _expire(decision: Decision, mails: list[Mail]) -> None:
        for mail in mails:
            mail.state, mail.ended = "expired", True
        decision.waits = False
        if all(mail.ended or mail.state == "withdrawn" for mail in decision.mails):
            decision.given_back = True

    def _withdraw_of_other_kinds(self, rule: dict, at: int) -> None:
        """A rule that is about something else now keeps no mail about what it was about before."""
        for decision in self.decisions.values():
            of_event = decision.event is not None
            kind = decision.subject.kind if decision.subject else None
            same = of_event if is_event_rule(self.picture, rule) else not of_event and kind == thing_kind(rule)
            if decision.rule == rule["id"] and not same:
                withdraw(decision, at)

    def _remove_all_but(self, kept: set[str], at: int) -> None:
        """Open mail of removed rules is withdrawn, their truth forgotten; their occasions stay."""
        for decision in self.decisions.values():
            if decision.rule not in kept:
                withdraw(decision, at)
        self.truths = {key: truth for key, truth in self.truths.items() if key[0] in kept}

    def end(self, ended: dict) -> None:
        """A mail ended before it left: the occasion is given back if no other mail has left or can leave."""
        decision = self.decisions.get(ended["decision_id"])
        if decision is None:
            return
        for mail in decision.mails:
            if outreach_id(decision.decision_id, mail.to) == ended["outreach_id"]:
                mail.ended = True
        if all(mail.ended or mail.state == "withdrawn" for mail in decision.mails):
            decision.given_back = True

    def _ends_of_holds(self) -> Iterator[int]:
        for rule in rules(self.books):
            if "holds_for" in rule:
                hold = duration(rule["holds_for"])
                yield from (truth.since + hold for key, truth in self.truths.items() if key[0] == rule["id"])

    def _forget(self, rule_id: str) -> None:
        self.truths = {key: truth for key, truth in self.truths.items() if key[0] != rule_id}

    def _start_over(self, view: View, rule: dict) -> None:
        """A new or changed rule: its truth is set silently (with ``backfill`` it counts as not true)."""
        self._forget(rule["id"])
        if rule.get("backfill") or is_event_rule(self.picture, rule):
            return
        for subject, thing in self._subjects(rule):
            if self._is_true(view, rule, subject, thing):
                seen = view.occasion_value(rule["once_per"], thing) if "once_per" in rule else None
                self.truths[rule["id"], subject] = Memory(view.at, asked="holds_for" not in rule, seen=seen)

    # a look

    def _look(self, at: int, event: Happening | None = None) -> None:
        self.clock = at
        self._expire_waiting(at)
        view = View(self.picture, at)
        for rule in rules(self.books):
            if is_event_rule(self.picture, rule):
                self._look_at_event_rule(view, rule, event)
            else:
                for subject, thing in self._subjects(rule):
                    self._look_at_subject(view, rule, subject, thing)

    def _subjects(self, rule: dict) -> list[tuple[Subject | None, Thing | None]]:
        """The account; or the open things and those whose last truth was true."""
        kind = thing_kind(rule)
        if kind is None:
            return [(None, None)]
        things = self.picture.things(kind)
        remembered = {key[1].id for key in self.truths if key[0] == rule["id"] and key[1] and key[1].kind == kind}
        remembered |= {
            decision.subject.id
            for decision in self.decisions.values()
            if decision.rule == rule["id"] and decision.subject and decision.subject.kind == kind
            if decision.outcome == "planned" and any(mail.may_leave(self.clock) for mail in decision.mails)
        }
        ids = {id_ for id_, thing in things.items() if thing.open} | remembered
        return [(Subject(kind, id_), things.get(id_)) for id_ in sorted(ids)]

    def _is_true(self, view: View, rule: dict, subject: Subject | None, thing: Thing | None) -> bool:
        if subject is not None and not (thing and thing.open):
            return False
        before = (rule["id"], subject) in self.truths
        held_up = before and "clear_when" in rule and view.holds(rule["clear_when"], thing) is not True
        return self._others_hold(view, rule, thing) and (held_up or view.holds(rule.get("when") or [], thing) is True)

    @staticmethod
    def _others_hold(view: View, rule: dict, subject: Thing | Happening | None) -> bool:
        """Audience, ``unless``, and somebody to write to."""
        if "audience" in rule and view.holds(rule["audience"], None) is not True:
            return False
        exceptions = [view.holds(line, subject) for line in listed(rule.get("unless"))]
        if any(exception is not False for exception in exceptions):
            return False
        return bool(view.recipients(rule, subject)) or not ("send" in rule or "notify" in rule)

    def _look_at_subject(self, view: View, rule: dict, subject: Subject | None, thing: Thing | None) -> None:
        key = (rule["id"], subject)
        if not self._is_true(view, rule, subject, thing):
            self.truths.pop(key, None)
            self._withdraw(rule, subject, view.at, None)
            return
        truth = self.truths.setdefault(key, Memory(view.at))
        value = view.occasion_value(rule["once_per"], thing) if "once_per" in rule else None
        if "once_per" in rule:
            self._withdraw(rule, subject, view.at, value)
        if view.at < truth.since + duration(rule.get("holds_for", "0s")):
            return
        if "once_per" in rule:
            if value is not None and value != truth.seen:
                truth.seen = value
                self._ask(view, rule, subject, thing, value)
        elif not truth.asked:
            truth.asked = True
            self._ask(view, rule, subject, thing, None)

    def _look_at_event_rule(self, view: View, rule: dict, event: Happening | None) -> None:
        for decision in self.decisions.values():
            if decision.rule == rule["id"] and decision.event and decision.outcome == "planned":
                unless = [view.holds(line, decision.event) for line in listed(rule.get("unless"))]
                if True in unless and rule.get("withdraw") != "never":
                    withdraw(decision, view.at)
        if event is None or event.type != rule["for"].removeprefix("each ").strip():
            return
        if view.at - event.at > duration(rule.get("max_age", "1d")):
            return
        if view.holds(rule.get("when") or [], event) is True and self._others_hold(view, rule, event):
            self._ask_event(view, rule, event)

    def _ask_event(self, view: View, rule: dict, event: Happening) -> None:
        if "once_per" not in rule and rule.get("re_entry", "never") == "never":
            self._ask(view, rule, Subject("event", event.id), event, event.id)
            return
        subject = Subject("person", event.user_id) if event.user_id is not None else None
        value = view.occasion_value(rule["once_per"], event) if "once_per" in rule else None
        if "once_per" not in rule or value is not None:
            self._ask(view, rule, subject, event, value)

    # decisions

    def _withdraw(self, rule: dict, subject: Subject | None, at: int, value: str | None) -> None:
        """Take back what has not left and is no longer true, or of another ``once_per`` value."""
        if rule.get("withdraw") == "never":
            return
        for decision in self.decisions.values():
            same = decision.rule == rule["id"] and decision.subject == subject and decision.event is None
            if same and (value is None or decision.occasion != value):
                withdraw(decision, at)

    def _ask(
        self, view: View, rule: dict, subject: Subject | None, scope: Thing | Happening | None, value: str | None
    ) -> None:
        """An occasion is asked for: decide if it is free."""
        again = rule.get("re_entry", "never")
        edge = "once" if again == "never" else iso(view.at)
        occasion = edge if value is None else value
        draft = rule.get("status") == "draft"
        id_ = decision_id(rule["id"], self.id, cast("Any", subject), f"draft:{occasion}" if draft else occasion)
        known = self.decisions.get(id_)
        if known and not known.given_back:
            return
        world = "draft" if draft else "live"
        if value is None and again.startswith("every ") and self._too_soon(rule, subject, world, view.at):
            return
        outcome = "draft" if draft else "held_out" if self._held_out(rule) else "planned"
        mails = self._mails(view, rule, view.recipients(rule, scope)) if outcome == "planned" else []
        event = scope if isinstance(scope, Happening) else None
        values = {name: plain(view.name(name, scope)) for name in names_of(rule)}
        decision = Decision(id_, rule["id"], subject, occasion, view.at, outcome, values, mails, event)
        decision.expires_at = (event.at if event else view.at) + duration(rule.get("max_age", "1d"))
        decision.waits = bool(mails) and self._waits(rule)
        for mail in mails if decision.waits else ():
            mail.until = self._hold_until(view.at)
        self.decisions[id_] = decision

    def _too_soon(self, rule: dict, subject: Subject | None, world: str, at: int) -> bool:
        found = re.fullmatch(r"every (\d+\s*[smhdw])", rule["re_entry"])
        if found is None:
            return False
        forgiven = FORGIVEN if found[1][-1] in "dw" else 0
        latest = at - duration(found[1]) + forgiven
        return any(
            decision.rule == rule["id"]
            and decision.subject == subject
            and decision.world == world
            and not decision.given_back
            and decision.at > latest
            for decision in self.decisions.values()
        )

    def _held_out(self, rule: dict) -> bool:
        share = Fraction(str(rule.get("holdout", "0%")).rstrip("%")) / 100
        digest = hashlib.sha256(f"{rule['id']}\0{self.id}".encode()).digest()
        return Fraction(int.from_bytes(digest[:8], "big"), 2**64) < share

    def _mails(self, view: View, rule: dict, readers: list[str], *, waited: bool = False) -> list[Mail]:
        """Mails to these readers; if they waited, even those that are due at once settle first."""
        at_once = "send" not in rule or rule["send"].get("class") == "transactional"
        policy = self.books.get("policy") or {}
        settle, hours = duration(policy.get("settle", "15m")), policy.get("hours") or {}
        at = view.at + settle if waited else view.at
        return [
            Mail(to, at if at_once else due_at(view.at, settle, hours, self.picture.person_zone(to))) for to in readers
        ]


def withdraw(decision: Decision, at: int) -> None:
    """Take back the mails of a planned decision that have not left; it is withdrawn if none of them had."""
    taken = [mail for mail in decision.mails if mail.may_leave(at)]
    if decision.outcome != "planned" or not taken:
        return
    for mail in taken:
        mail.state = "withdrawn"
    if all(mail.ended or mail.state == "withdrawn" for mail in decision.mails):
        decision.outcome, decision.withdrawn_at, decision.given_back = "withdrawn", at, True


def owing(books: dict, types: tuple[str, ...]) -> frozenset[str]:
    """The rules that could fire because events of these types are missing; ``test_absence`` judges who tells it."""
    key = json.dumps([books, types], sort_keys=True, default=str)
    if key not in _OWING:
        missing = Types(
            tuple(sorted({one for one in types if not one.endswith("*")})),
            tuple(sorted({one[:-1] for one in types if one.endswith("*")})),
        )
        book = book_of(books)
        _OWING[key] = frozenset(rule.id for rule in book.rules if owed(book, rule, missing))
    return _OWING[key]


_OWING: dict[str, frozenset[str]] = {}


def rules(books: dict) -> list[dict]:
    """The rules of a rulebook (portfolio rules are not judged)."""
    return [rule for rule in books.get("rules") or [] if rule.get("for") != "portfolio"]


def listed(lines: object) -> list:
    """Lines, also where there is one or none."""
    return lines if isinstance(lines, list) else [] if lines is None else [lines]


def thing_kind(rule: dict) -> str | None:
    """The kind of thing of a rule ``for: each THING``."""
    kind = rule.get("for", "account")
    return None if kind == "account" else kind.removeprefix("each ").strip()


def is_event_rule(picture: Picture, rule: dict) -> bool:
    """Whether a rule is ``for: each EVENT.TYPE``."""
    kind = thing_kind(rule)
    return kind is not None and not picture.is_kind(kind)


def names_of(rule: dict) -> list[str]:
    """Every name used in when, unless, clear_when and once_per."""
    lines = [line for key in ("when", "unless", "clear_when", "once_per") for line in listed(rule.get(key))]
    return list(dict.fromkeys(name for line in lines for name in expression.names(line)))


def essence(books: dict, rule: dict) -> str:
    """What makes a rule another one when it changes: its truth's parts and all definitions that it uses."""
    parts: dict[str, Any] = {key: rule.get(key) for key in CONDITIONS}
    lines = [line for key in ("audience", "when", "unless", "clear_when") for line in listed(rule.get(key))]
    todo = [name for line in lines for name in expression.names(line)]
    kind = thing_kind(rule)
    todo += [f"{kind}."] if kind else []
    while todo:
        name = todo.pop()
        if name not in parts:
            parts[name], more = _definition(books, name)
            todo += more
    return json.dumps(parts, sort_keys=True, default=str)


def _definition(books: dict, name: str) -> tuple[Any, list[str]]:
    """The definition behind a name and the names that it uses in turn; ``THING.`` stands for the thing itself."""
    head, dot, _ = name.partition(".")
    things, segments, scores = (books.get(section) or {} for section in ("things", "segments", "scores"))
    if name in segments:
        lines = listed(segments[name]["when"])
        return lines, [other for line in lines for other in expression.names(line)]
    if head in scores:
        lines = [part["value"] for part in scores[head]["parts"].values()]
        return scores[head], [other for line in lines for other in expression.names(line)]
    if dot and name == f"{head}." and head in things:
        return {key: value for key, value in things[head].items() if key not in ("measures", "people")}, []
    measure = all_measures(books).get(name)
    if measure is not None:
        return measure, _kinds_and_names(books, measure)
    return None, []


def _kinds_and_names(books: dict, measure: dict) -> list[str]:
    """The things that a measure counts, and those of their names that it asks for."""
    found = []
    for verb in ("open", "opened", "answered", "closed", "of", "days_to", "hours_to", "moved_later"):
        kind = str(measure.get(verb)).partition(".")[0]
        if kind in (books.get("things") or {}) or kind == "person":
            asked = [*(measure.get("where") or {}), *(value for value in measure.values() if isinstance(value, str))]
            found += [f"{kind}.", *(f"{kind}.{name}" for name in asked)]
    return found


def outreach_id(decision: str, to: str) -> str:
    """A mail's id."""
    return hashlib.sha256(f"{decision}\0{to}".encode()).hexdigest()[:32]


def judge(books: dict, log: list, until: int) -> list[dict]:
    """Decide everything a log demands, up to and with ``until``.

    ``log`` is one lane in position order. An activation's ``rulebook`` is the data itself or a key of ``books``.
    """
    accounts: dict[str, Account] = {}
    active: dict = {}
    late: frozenset[str] = frozenset()
    for entry in log:
        at = entry["recorded_at"]
        if "rulebook" in entry:
            active = entry["rulebook"] if isinstance(entry["rulebook"], dict) else books[entry["rulebook"]]
            late &= frozenset((active.get("policy") or {}).get("sources") or {})
            for account in accounts.values():
                account.advance(at)
                account.switch(active, at)
            continue
        if "stream" in entry:
            late = late - {entry["stream"]["source"]}
            late |= {entry["stream"]["source"]} if entry["stream"]["kind"] == "late" else set()
            for account in accounts.values():
                account.advance(at)
                account.stream(entry["stream"], at)
            continue
        about = entry.get("ended") or entry["event"]
        if about["account_id"] not in accounts:
            fresh = Account(about["account_id"], active, log[0]["recorded_at"], late=late)
            accounts[about["account_id"]] = fresh
        account = accounts[about["account_id"]]
        account.advance(at)
        if "ended" in entry:
            account.end(entry["ended"])
        else:
            account.fold(entry)
    for account in accounts.values():
        account.advance(until)
    found = [_written(account, decision) for account in accounts.values() for decision in account.decisions.values()]
    return sorted(found, key=lambda written: (written["at"], written["decision_id"]))


def _written(account: Account, decision: Decision) -> dict:
    subject = decision.subject
    return {
        "decision_id": decision.decision_id,
        "rule": decision.rule,
        "account_id": account.id,
        "subject": None if subject is None else {"kind": subject.kind, "id": subject.id},
        "occasion": decision.occasion,
        "at": decision.at,
        "outcome": decision.outcome,
        "withdrawn_at": decision.withdrawn_at,
        "values": decision.values,
        "mails": [
            {"to": mail.to, "due_at": mail.due_at, "state": mail.shown}
            for mail in sorted(decision.mails, key=lambda mail: mail.to)
        ],
    }
