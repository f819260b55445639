"""One account at work: its state, what was true at the last look, and the decisions it remembers."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from engine.closed import EVERY, LEAST
from engine.decision import Decision, Ended, Fact, Mail, Outcome, Subject, decision_id, outreach_id
from engine.events import decode_properties, encode_properties
from engine.going_live import drop, let_in, next_release, occasion_now, subject_of
from engine.holding import born, expire, next_end, reconsider, release, waits
from engine.hours import due_at
from engine.instants import DAY, MINUTE, Instant, iso
from engine.log import Event, Recorded
from engine.logic import Truth, both, negate
from engine.measures.dates import Since
from engine.measures.measure import Happening, Moment
from engine.occasions import Occasions, Used, decision_of, named, outlive, spelled, use, used_in
from engine.program import Program, RuleProgram, account_zone, read_use
from engine.recipients import is_ours, owner_of, recipients
from engine.reported import class_of, due_of, leaves_at, report_in, shown_in, told_at, why_review
from engine.rulebook.spec import Rule
from engine.slots import KeptValue
from engine.state import PERSON, AccountState, happening_of
from engine.things import OutOfTurn
from engine.values import Value, occasion, read, to_json
from engine.views import AccountView, EventView, ThingView
from engine.zones import Zone, valid_zone, zone

MAX_OPEN = 10_000
FORGIVEN = 90 * MINUTE
OLD_LOG = 2 * DAY
OLDER = "may be older than our log"
PORTFOLIO = "*"
FOREVER: Instant = 2**62

History = Callable[[str, int], list[Recorded]]
"""All stored events of an account up to a position."""


class Memory(msgspec.Struct, gc=False):
    """What a rule was for a subject at the last look; kept only while it is true."""

    since: Instant
    held: bool
    seen: str | None = None


class Planned(msgspec.Struct):
    """A planned decision some of whose mails have not left: (mail id, due_at, gone).

    ``held`` names the late sources it waits for; then ``until``, when it expires, stands in the place of ``due_at``.
    """

    decision: Decision
    mails: list[list[Any]]
    event: list[Any] | None = None
    held: tuple[str, ...] = ()
    until: Instant = 0


NOTHING_TRUE: Mapping[str, Memory] = {}

Key = str
"""A subject as a key: empty for the account itself, else ``kind`` NUL ``id``."""


class Account:
    """One account of a lane. Every method that looks returns the facts of that look, in order."""

    __slots__ = (
        "clock",
        "id",
        "late",
        "log_began",
        "looks",
        "next_at",
        "open",
        "opened",
        "portfolio",
        "position",
        "program",
        "released",
        "seat",
        "state",
        "tidy_at",
        "truths",
        "used",
        "wild",
        "zone",
    )

    def __init__(self, account_id: str, program: Program, first_at: Instant) -> None:
        self.id = account_id
        self.program = program
        self.state: AccountState = program.shape.fresh()
        self.zone: Zone = program.zone
        self.position = 0
        self.seat: Any = None
        self.opened: Any = None
        self.wild = False
        self.clock: Instant = first_at
        self.tidy_at: Instant = first_at
        self.looks = 0
        self.next_at: Instant | None = None
        self.log_began = first_at
        self.portfolio: dict[str, Value] = {}
        self.late: tuple[str, ...] = ()
        self.truths: dict[str, dict[Key, Memory]] = {}
        self.used: Occasions = {}
        self.open: dict[str, dict[str, Planned]] = {}
        self.released: dict[str, Instant] | None = None

    # -- taking entries --------------------------------------------------------------------------------------------
    def take(self, recorded: Recorded, history: History) -> list[Fact]:
        """Fold an event and look, as of its recorded_at; everything due before must have been looked at."""
        at = recorded.recorded_at
        happening = happening_of(recorded, self.zone, at)
        self.position = recorded.position
        try:
            self.program.shape.fold(self.state, happening)
        except OutOfTurn:
            self.build(history, at)
        if recorded.event.type == "account.updated" and self.wanted_zone() is not self.zone:
            self.build(history, at)
        if recorded.event.type == "outreach.sent":
            self.left(recorded.event.properties.get("outreach_id"), at)
        return self.look(at, happening)

    def advance(self, until: Instant) -> list[Fact]:
        """All looks due up to ``until``: midnights and wake-ups, each as of its instant."""
        facts: list[Fact] = []
        while self.next_at is not None and self.next_at <= until:
            facts += self.look(self.next_at)
        return facts

    @property
    def next_look(self) -> Instant | None:
        """When it is looked at next: a midnight or a wake-up."""
        midnight = self.seat.sheet.midnight if self.seat is not None else None
        return min((at for at in (self.next_at, midnight) if at is not None), default=None)

    def ended(self, body: Mapping[str, Any]) -> None:
        """A mail expired or was rejected before it left: its occasion is given back once no mail of it is left."""
        for world in self.used:
            for used in used_in(self.used, world):
                if used.mails > 0 and decision_of(self.id, world, used) == body["decision_id"]:
                    used.mails -= 1
                    used.given_back = used.given_back or used.mails <= 0
        for rule_open in self.open.values():
            planned = rule_open.get(body["decision_id"])
            if planned is None:
                continue
            for mail in planned.mails:
                mail[2] = mail[2] or mail[0] == body.get("outreach_id")
            if all(mail[2] for mail in planned.mails):
                rule_open.pop(body["decision_id"])

    def switch(self, program: Program, at: Instant, history: History) -> list[Fact]:
        """Go over to another rulebook as of ``at`` (RULEBOOK 12)."""
        before = {rule.rule.id: rule.fingerprint for rule in self.program.rules}
        old_shape, self.program = self.program.shape, program
        if self.wanted_zone() is not self.zone:
            self.build(history, at)
        else:
            self.state, kept, things = program.shape.carry(old_shape, self.state)
            if kept or things:
                events = history(self.id, self.position)
                program.shape.fill(self.state, events, self.zone, at, kept=kept, things=things)
        facts = list(self._removed(at))
        changed = [rule for rule in program.rules if before.get(rule.rule.id) != rule.fingerprint]
        drop(self, (rule.rule.id for rule in changed))
        view = self.view(at)
        for rule in changed:
            self.settle(rule, view)
            self._strangers(rule.rule, at, facts)
        facts += self.look(at)
        return facts + self.weigh_holds(at)

    # -- looking ---------------------------------------------------------------------------------------------------
    def view(self, at: Instant, where: Zone | None = None) -> AccountView:
        """The account's values as of ``at``, in its own zone or another."""
        where = where or self.zone
        moment = Moment(at, where.day(at), where)
        return AccountView(self.program, self.state, moment, self.portfolio, self.id, self.log_began, self.opened)

    def look(self, at: Instant, happening: Happening | None = None) -> list[Fact]:
        """Look at every rule as of ``at``; ``happening`` is the event that was just folded, if any."""
        view = self.view(at)
        facts: list[Fact] = expire(self, at) if self.late and self.open else []
        for rule in self.program.rules:
            if rule.way == "account":
                if rule.plain(view, None) is True or self._remembers(rule.rule.id):
                    self.consider(rule, "", None, view, facts)
            elif rule.way == "thing":
                self._look_things(rule, view, facts)
            elif rule.way == "event":
                self.look_events(rule, view, happening, facts)
        if self.released:
            let_in(self, view, facts)
        self.clock = at
        self.looks += happening is not None or not self.program.tells_parts
        self.schedule(view)
        return facts

    def truth(self, rule: RuleProgram, view: AccountView, subject: ThingView | EventView | None, *, up: bool) -> Truth:
        """Truth of a rule for a subject, ``up``: its ``when`` lines are held up by ``clear_when``."""
        if up:
            audience = True if rule.audience is None else view[rule.audience]
            truth = both(audience, negate(rule.unless(view, subject)))
        else:
            truth = rule.plain(view, subject)
        if truth is not False and isinstance(subject, ThingView) and not subject.open:
            return False
        if truth is not True or rule.rule.outreach is None:
            return truth
        return True if recipients(rule.rule, rule.rule.outreach, view, subject) else None

    def held_up(
        self, rule: RuleProgram, view: AccountView, subject: ThingView | EventView | None, memory: Memory | None
    ) -> bool:
        """Does ``clear_when`` hold up the ``when`` lines?"""
        return rule.clear_when is not None and memory is not None and rule.clear_when(view, subject) is not True

    def consider(
        self,
        rule: RuleProgram,
        key: Key,
        subject: ThingView | EventView | None,
        view: AccountView,
        facts: list[Fact],
        *,
        plain: bool = False,
        free: bool = False,
    ) -> None:
        """One look at one rule for one subject: withdraw, then decide.

        ``plain``: its ``plain`` is known to be true. ``free``: so is it that its next occasion is free.
        """
        at = view.moment.at
        memory = self.truths.get(rule.rule.id, NOTHING_TRUE).get(key)
        readers: Sequence[str] | None = None
        if plain:
            outreach = rule.rule.outreach
            readers = rule.readers or (recipients(rule.rule, outreach, view, subject) if outreach else None)
            true = outreach is None or bool(readers)
        else:
            true = self.truth(rule, view, subject, up=self.held_up(rule, view, subject, memory)) is True
        value = occasion(read_use(rule.once_per, view, subject)) if true and rule.once_per else None
        self._withdraw(rule.rule, key, at, facts, true=true, value=value)
        if not true:
            self.forget(rule.rule.id, key)
            return
        if memory is None:
            memory = self.remember(rule.rule.id, key, Memory(at, held=False))
        begins = not memory.held and at >= memory.since + rule.rule.holds_for
        memory.held = memory.held or begins
        if not memory.held:
            return
        if rule.once_per is not None:
            if value is not None and value != memory.seen:
                memory.seen = value
                self._ask(rule, key, subject, view, value, facts, readers)
        elif begins:
            wanted = "once" if rule.rule.re_entry.kind == "never" else spelled(at)
            self._ask(rule, key, subject, view, wanted, facts, readers, free=free)

    def enter(self, rule: RuleProgram, key: Key, view: AccountView, facts: list[Fact]) -> None:
        """Decide for a subject that is inside already, as at an edge."""
        subject = subject_of(rule, key, view)
        wanted = occasion_now(rule, subject, view)
        if rule.once_per is not None:
            self.truths[rule.rule.id][key].seen = wanted
        self._ask(rule, key, subject, view, wanted, facts)

    def remember(self, rule_id: str, key: Key, memory: Memory) -> Memory:
        """From now on the rule is true for the subject."""
        self.truths.setdefault(rule_id, {})[key] = memory
        return memory

    def forget(self, rule_id: str, key: Key) -> None:
        """The rule is not true for the subject; nothing is kept of a rule that is true for none."""
        memories = self.truths.get(rule_id)
        if memories is not None and memories.pop(key, None) is not None and not memories:
            del self.truths[rule_id]

    def _subjects(self, rule: RuleProgram, view: AccountView) -> Iterator[tuple[Key, ThingView | None]]:
        kind = rule.rule.thing
        if not kind:
            yield "", None
            return
        views = {thing_key(kind, one.id): one for one in view.open_things(kind)}
        if len(views) > MAX_OPEN:
            return
        mailed = (key_of(planned.decision.subject) for planned in self.open.get(rule.rule.id, {}).values())
        for key in (*self.truths.get(rule.rule.id, ()), *mailed):
            if key not in views and key.startswith(f"{kind}\0"):
                views[key] = view.thing(kind, key.partition("\0")[2])
        for key in sorted(views):
            yield key, views[key]

    def _remembers(self, rule_id: str) -> bool:
        """Was the rule true for anything at the last look, or has it mail that could be taken back."""
        return bool(self.truths.get(rule_id)) or bool(self.open.get(rule_id))

    def _look_things(self, rule: RuleProgram, view: AccountView, facts: list[Fact]) -> None:
        views = view.open_things(rule.rule.thing)
        if not self._remembers(rule.rule.id):
            # Nearly always nothing was true and nothing is: then no key is made and nothing is remembered.
            for one in views:
                if rule.plain(view, one) is True:
                    break
            else:
                return
        for key, inner in self._subjects(rule, view):
            self.consider(rule, key, inner, view, facts)

    def look_events(
        self,
        rule: RuleProgram,
        view: AccountView,
        happening: Happening | None,
        facts: list[Fact],
    ) -> None:
        """One look at a rule about events: at the event that was just folded, and at what may be taken back."""
        at = view.moment.at
        opened = self.open.get(rule.rule.id)
        for planned in list(opened.values()) if opened else ():
            if at >= max(mail[1] for mail in planned.mails):
                self.open[rule.rule.id].pop(planned.decision.decision_id)
            elif rule.unless_lines and planned.event and rule.rule.withdraw:
                past = self._past_event(planned.event, rule, view)
                if rule.unless(view, past) is True:
                    self._take_back(rule.rule, planned, at, facts, "one of unless holds now")
        if happening is None or happening.event.type != rule.rule.each:
            return
        if at - happening.time > rule.rule.max_age and not rule.rule.report:  # a late report is seen not to leave
            return
        event = EventView(happening.event, happening.time, rule.event_names, self.zone)
        if self.truth(rule, view, event, up=False) is not True:
            return
        self._ask(
            rule, event_key(rule.rule, happening.event), event, view, self._event_occasion(rule, event, view), facts
        )

    def _event_occasion(self, rule: RuleProgram, event: EventView, view: AccountView) -> str | None:
        if rule.once_per is not None:
            return occasion(read_use(rule.once_per, view, event))
        return event.event.id if rule.rule.re_entry.kind == "never" else iso(view.moment.at)

    def _past_event(self, packed: list[Any], rule: RuleProgram, view: AccountView) -> EventView:
        event_id, event_type, user_id, time, body = packed
        event = Event(event_id, event_type, self.id, user_id, time, decode_properties(body))
        return EventView(event, time, rule.event_names, view.moment.zone)

    # -- deciding --------------------------------------------------------------------------------------------------
    def _ask(
        self,
        rule: RuleProgram,
        key: Key,
        subject: ThingView | EventView | None,
        view: AccountView,
        wanted: str | None,
        facts: list[Fact],
        readers: Sequence[str] | None = None,
        *,
        free: bool = False,
    ) -> None:
        if wanted is None or not (free or self.free(rule.rule, key, wanted, view.moment.at)):
            return
        decision = self.plan(rule, key, subject, view, wanted, readers)
        facts.append(decision)
        if key != f"event\0{wanted}":
            world, at = _world(rule.rule, key), view.moment.at
            if world in self.used and rule.rule.re_entry.kind in {"every", "every_time"}:
                waiting = self.open.get(rule.rule.id)
                outlive(self.used, world, at, {one.decision.at for one in waiting.values()} if waiting else ())
            use(self.used, world, wanted, Used(at, len(decision.mails)))
        if decision.outcome == "planned":
            self._watch(rule.rule, decision, subject)

    def _watch(self, rule: Rule, decision: Decision, subject: ThingView | EventView | None) -> None:
        """Remember a decision as long as one of its mails can be taken back."""
        late = waits(self, rule.id)
        if all(mail.due_at <= decision.at for mail in decision.mails) and not late:
            return
        packed = None
        if isinstance(subject, EventView):
            event = subject.event
            packed = [event.id, event.type, event.user_id, subject.time, encode_properties(event.properties)]
        mails: list[list[Any]] = [[mail.outreach_id, mail.held_until or mail.due_at, False] for mail in decision.mails]
        until = decision.mails[0].held_until or 0
        self.open.setdefault(rule.id, {})[decision.decision_id] = Planned(decision, mails, packed, late, until)

    def free(self, rule: Rule, key: Key, wanted: str, at: Instant) -> bool:
        """Is the occasion free: was it never used, or given back, and is the last one old enough?

        ``wanted`` empty: only whether the last one is old enough is asked.
        """
        used = [one for one in used_in(self.used, _world(rule, key)) if not one.given_back]
        if used and rule.re_entry.kind == "every":
            forgiven = FORGIVEN if rule.re_entry.unit in {"d", "w"} else 0
            if max([one.at for one in used]) > at - rule.re_entry.span + forgiven:
                return False
        return not wanted or wanted not in [one.occasion for one in used]

    def plan(
        self,
        rule: RuleProgram,
        key: Key,
        subject: ThingView | EventView | None,
        view: AccountView,
        wanted: str,
        readers: Sequence[str] | None = None,
    ) -> Decision:
        """The decision for a free occasion, with its mails and every value they will need.

        ``readers`` are those whom it would write to, if they are known already.
        """
        spec, at = rule.rule, view.moment.at
        about = Subject(*key.split("\0", 1)) if key else None
        draft = spec.status == "draft"
        name = decision_id(spec.id, self.id, about, f"draft:{wanted}" if draft else wanted)
        outcome: Outcome = "draft" if draft else "held_out" if in_holdout(spec, self.id) else "planned"
        values: dict[str, Any] = {}
        for one in rule.uses:
            value = view[one.index] if one.scope == "account" else read_use(one, view, subject)
            values[one.name] = None if value is None else to_json(value)
        if readers is None:
            readers = recipients(spec, spec.outreach, view, subject) if spec.outreach else []
        mails = self._mails(rule, name, readers, view, subject) if outcome == "planned" else ()
        mails = born(self, spec.id, mails, at)
        frozen = self._frozen(rule, readers, view, subject)
        return Decision(name, spec.id, spec.kind, self.id, about, wanted, at, outcome, values, frozen, mails)

    def _mails(
        self,
        rule: RuleProgram,
        decision: str,
        readers: Sequence[str],
        view: AccountView,
        subject: ThingView | EventView | None,
    ) -> tuple[Mail, ...]:
        spec, outreach, at = rule.rule, rule.rule.outreach, view.moment.at
        if outreach is None:
            return ()
        born, kind = subject.time if isinstance(subject, EventView) else at, outreach.mail_class
        why = OLDER if self._may_be_older(rule, view, subject) else None
        report = report_in(spec, subject)
        if report is not None:
            born = due_of(report)
            why = why_review(report) if outreach.audience == "customer" else None
            kind = class_of(report, kind) if outreach.audience == "customer" else kind
        return tuple(
            [
                Mail(
                    outreach_id(decision, to),
                    to,
                    outreach.audience,
                    outreach.template,
                    kind,
                    "review" if why else outreach.mode,
                    self._due_at(rule, to, view, report),
                    born + spec.max_age,
                    spec.priority,
                    why,
                )
                for to in readers
            ]
        )

    def _due_at(self, rule: RuleProgram, to: str, view: AccountView, report: EventView | None = None) -> Instant:
        outreach, policy = rule.rule.outreach, self.program.book.policy
        if outreach is None or outreach.audience == "staff" or outreach.mail_class == "transactional":
            return view.moment.at if report is None else told_at(report, view.moment.at, rule.rule.max_age)
        person = view.state.things[PERSON].get(to)
        kept = person.props.get("timezone") if person else None
        where = valid_zone(kept[2] if kept else None, self.zone)
        if report is not None:
            return leaves_at(report, view.moment.at, rule.rule.max_age, policy.hours, where)
        return due_at(view.moment.at, policy.settle, policy.hours, where)

    def _may_be_older(self, rule: RuleProgram, view: AccountView, subject: ThingView | EventView | None) -> bool:
        """Does the decision rest on an age, a "never" or an open count, of an account possibly older than the log?"""
        state = view.state
        first = state.first_event
        if not rule.ages or state.created is not None or first is None:
            return False
        if isinstance(state.trait("created_at"), str) or first > self.log_began + OLD_LOG:
            return False
        return any(self._rests(use, view, subject) for use in rule.ages)

    def _rests(self, use: Any, view: AccountView, subject: Any) -> bool:
        slots = (
            view.program.slots if use.scope == "account" else getattr(getattr(subject, "program", None), "slots", [])
        )
        slot = slots[use.index] if use.index < len(slots) else None
        kept = getattr(slot, "kept", None)
        if isinstance(kept, Since) and kept.spec.verb != "days_since_first":
            data = view.state.kept[slot.index] if isinstance(slot, KeptValue) else subject.state.kept[slot.index]  # type: ignore[union-attr]
            return kept.rests_on_never(data)
        return True

    def _frozen(
        self,
        rule: RuleProgram,
        readers: Iterable[str],
        view: AccountView,
        subject: ThingView | EventView | None,
    ) -> dict[str, Any]:
        spec = rule.rule
        account = self._traits()
        customer = spec.outreach is not None and spec.outreach.audience == "customer"
        people = {to: self._person(to, view) for to in readers} if customer else {}
        roles: dict[str, str | None] = {}
        if isinstance(subject, ThingView):
            for role, _ in subject.program.spec.people:
                value = subject.value(role)
                roles[role] = value if isinstance(value, str) else None
        for person in roles.values():
            if person:
                people[person] = self._person(person, view)
        return {
            "account": account,
            "people": people,
            "roles": roles,
            "zone": self.zone.key,
            "with": dict(spec.outreach.extra) if spec.outreach else {},
            "title": spec.title,
            "why": spec.why,
            "owner": spec.owner,
            **({"report": shown_in(report)} if (report := report_in(spec, subject)) is not None else {}),
            **({"writer": writer} if customer and (writer := self._writer(spec, view)) else {}),
        }

    def _writer(self, rule: Rule, view: AccountView) -> str | None:
        """Whose mail it is: the account's owner, else the segment's, else the rule's; None when that is no address."""
        found = owner_of(rule, view, "account owner")
        return found if is_ours(found, self.program.book.policy.staff_domains) else None

    def _traits(self) -> dict[str, Any]:
        rows, found = self.state.traits, dict[str, Any]()
        for name, declared in self.program.traits if rows else ():
            row = rows.get(name)
            value = None if row is None else read(row[2], declared, self.zone)
            if value is not None:
                found[name] = to_json(value)
        return found

    def _person(self, person: str, view: AccountView) -> dict[str, Any]:
        known = view.thing(PERSON, person)
        declared = self.program.book.person_attributes
        values = {
            name: read(row[2], declared[name], self.zone)
            for name, row in sorted(known.state.props.items())
            if declared.get(name, "personal") != "personal"
        }
        return {name: to_json(value) for name, value in values.items() if value is not None}

    # -- taking back -----------------------------------------------------------------------------------------------
    def _withdraw(
        self,
        rule: Rule,
        key: Key,
        at: Instant,
        facts: list[Fact],
        *,
        true: bool,
        value: str | None,
    ) -> None:
        open_now = self.open.get(rule.id)
        if not open_now:
            return
        for planned in list(open_now.values()):
            decision = planned.decision
            if key_of(decision.subject) != key:
                continue
            if at >= max(mail[1] for mail in planned.mails):
                open_now.pop(decision.decision_id)
            elif not rule.withdraw:
                continue
            elif not true:
                self._take_back(rule, planned, at, facts, "no longer true")
            elif rule.re_entry.kind == "once_per" and decision.occasion != value:
                self._take_back(rule, planned, at, facts, f"{rule.re_entry.name} changed")

    def _take_back(self, rule: Rule, planned: Planned, at: Instant, facts: list[Fact], why: str) -> None:
        decision = planned.decision
        left = False
        for mail in planned.mails:
            if mail[2]:
                continue
            if at < mail[1]:
                mail[2] = True
                facts.append(Ended(decision.decision_id, mail[0], at, why))
            else:
                left = True
        self.open[rule.id].pop(decision.decision_id)
        if left:
            return
        facts.append(msgspec.structs.replace(decision, outcome="withdrawn", withdrawn_at=at))
        used = named(self.used, f"live\0{rule.id}\0{key_of(decision.subject)}", decision.occasion)
        if used is not None:
            used.given_back = True

    # -- waiting for a late source ---------------------------------------------------------------------------------
    def weigh_holds(self, at: Instant) -> list[Fact]:
        """Hold what must wait now, and let go what need not: sources became late or well, or the rules others."""
        if not self.open:
            return []
        view = self.view(at)
        facts = reconsider(self, view)
        self.schedule(view)
        return facts

    def ask_again(self, planned: Planned, view: AccountView, facts: list[Fact]) -> None:
        """Let a held decision go if it is still true, whatever the rule says of withdrawing; else take it back."""
        decision, subject = planned.decision, planned.decision.subject
        rule = next(one for one in self.program.rules if one.rule.id == decision.rule)
        about: ThingView | EventView | None = None
        up = False
        if planned.event is not None:
            about = self._past_event(planned.event, rule, view)
        else:
            about = view.thing(subject.kind, subject.id) if subject is not None else None
            memory = self.truths.get(decision.rule, NOTHING_TRUE).get(key_of(subject))
            up = self.held_up(rule, view, about, memory)
        if self.truth(rule, view, about, up=up) is True:
            release(self, rule, planned, view, facts)
        else:
            self._take_back(rule.rule, planned, view.moment.at, facts, "no longer true")

    def due_anew(self, rule: RuleProgram, mail: Mail, view: AccountView, *, fresh: bool) -> Mail:
        """A mail that was held, with the times of one that is planned now; ``fresh``: its reason is of now.

        Also what leaves at once elsewhere lets the picture settle here: events that come in late still take it back.
        """
        at, policy = view.moment.at, self.program.book.policy
        at_once = mail.audience == "staff" or mail.mail_class == "transactional"
        due = at + policy.settle if at_once else self._due_at(rule, mail.to, view)
        expires = at + rule.rule.max_age if fresh else mail.expires_at
        return msgspec.structs.replace(mail, due_at=due, expires_at=expires, held=None, held_until=None)

    def _strangers(self, rule: Rule, at: Instant, facts: list[Fact]) -> None:
        """Open mail about what the rule is no longer about: another kind of thing, an event, the account."""
        for planned in list(self.open.get(rule.id, {}).values()):
            of_event, subject = planned.event is not None, planned.decision.subject
            same = (
                of_event
                if rule.subject == "event"
                else not of_event and (subject.kind if subject else "") == rule.thing
            )
            if not same:
                self._take_back(rule, planned, at, facts, "the rule is about something else now")

    def _removed(self, at: Instant) -> Iterator[Fact]:
        kept = {rule.rule.id for rule in self.program.rules}
        for rule_id in [rule_id for rule_id in sorted(self.open) if rule_id not in kept]:
            for planned in list(self.open[rule_id].values()):
                facts: list[Fact] = []
                self._take_back(Rule(rule_id), planned, at, facts, "the rule was removed")
                yield from facts
            self.open.pop(rule_id)
        for rule_id in [rule_id for rule_id in self.truths if rule_id not in kept]:
            self.truths.pop(rule_id)

    def left(self, gone: object, at: Instant) -> None:
        """The mail with this id is out, or on its way: it can no longer be taken back."""
        for rule_open in self.open.values():
            for planned in rule_open.values():
                for mail in planned.mails:
                    if mail[0] == gone:
                        mail[1] = min(mail[1], at)

    def tidy(self, at: Instant) -> None:
        """Once in a while, forget what nothing will ask for any more; it shows in no value and no decision."""
        if at < self.tidy_at:
            return
        self.tidy_at = at + EVERY
        if not any(self.state.things.values()):
            return
        subjects = (planned.decision.subject for rows in self.open.values() for planned in rows.values())
        self.program.shape.forget(self.state, at, needed={(one.kind, one.id) for one in subjects if one is not None})

    def list_thing(self, kind: str, key: str, *, is_open: bool) -> None:
        """Keep account of which things are open, while the account has a row; kinds of which none is are left out."""
        if is_open:
            self.opened.setdefault(kind, {})[key] = None
            return
        rows = self.opened.get(kind)
        if rows is None:
            return
        rows.pop(key, None)
        if not rows:
            del self.opened[kind]  # an emptied dictionary keeps its room

    # -- the rest --------------------------------------------------------------------------------------------------
    def settle(self, rule: RuleProgram, view: AccountView) -> None:
        """Set the truth of a new or changed rule silently to its value now; with ``backfill`` it counts as false."""
        spec, at = rule.rule, view.moment.at
        self.truths.pop(spec.id, None)
        if spec.backfill or spec.subject == "event" or (self.id != PORTFOLIO and rule.way == "whole"):
            return
        for key, subject in self._subjects(rule, view):
            if self.truth(rule, view, subject, up=False) is True:
                seen = occasion(read_use(rule.once_per, view, subject)) if rule.once_per else None
                self.remember(spec.id, key, Memory(at, held=spec.holds_for == 0, seen=seen))

    def schedule(self, view: AccountView) -> None:
        """When it must be looked at next, if no event comes; an account in columns has its sheet's midnights."""
        at = view.moment.at
        midnight = self.zone.start(view.moment.today + 1) if self.seat is None else FOREVER
        next_at = self.program.wakes(view, midnight) or midnight if self.program.moving else midnight
        for rule in self.program.holding:
            for memory in self.truths.get(rule.id, {}).values():
                end = memory.since + rule.holds_for
                if not memory.held and at < end < next_at:
                    next_at = end
        if self.late and self.open:
            next_at = min(next_at, next_end(self, at) or next_at)
        next_at = min(next_at, next_release(self) or next_at)
        self.next_at = next_at if next_at < FOREVER else None

    def wanted_zone(self) -> Zone:
        """The zone that its trait names, else the policy's."""
        return zone(account_zone(self.program.zone, self.state.trait("timezone")))

    def build(self, history: History, at: Instant) -> None:
        """State and zone anew from all stored events."""
        events = history(self.id, self.position)
        self.tidy_at = at + LEAST  # what came back may come back again
        self.state = self.program.shape.build(events, self.zone, at)
        wanted = self.wanted_zone()
        if wanted is not self.zone:
            self.zone = wanted
            self.state = self.program.shape.build(events, self.zone, at)


def account_view(
    program: Program, events: list[Recorded], at: Instant, portfolio: Mapping[str, Value], log_began: Instant
) -> AccountView:
    """The view of an account as of ``at``, built from its events; ``portfolio`` is the day's totals.

    ``log_began`` is when the log of its lane began.
    """
    where = program.zone
    state = program.shape.build(events, where, at)
    wanted = zone(account_zone(program.zone, state.trait("timezone")))
    if wanted is not where:
        where = wanted
        state = program.shape.build(events, where, at)
    account_id = events[0].account_id if events else ""
    return AccountView(program, state, Moment(at, where.day(at), where), portfolio, account_id, log_began)


def thing_key(kind: str, thing_id: str) -> Key:
    """A thing as a key; without a kind it is the account itself."""
    return f"{kind}\0{thing_id}" if kind else ""


def key_of(subject: Subject | None) -> Key:
    """A decision's subject as a key."""
    return thing_key(subject.kind, subject.id) if subject else ""


def event_key(rule: Rule, event: Event) -> Key:
    """The subject of an event rule: the event, or with a re-entry of its own the person, else the account."""
    if rule.re_entry.kind == "never":
        return f"event\0{event.id}"
    return f"{PERSON}\0{event.user_id}" if event.user_id else ""


def in_holdout(rule: Rule, account_id: str) -> bool:
    """Is the account in the rule's holdout? The same answer for ever, from the ids alone."""
    if not rule.holdout:
        return False
    mark = hashlib.sha256(f"{rule.id}\0{account_id}".encode()).digest()
    return int.from_bytes(mark[:8], "big") / 2**64 < rule.holdout


def _world(rule: Rule, key: Key) -> str:
    return f"{'draft' if rule.status == 'draft' else 'live'}\0{rule.id}\0{key}"
