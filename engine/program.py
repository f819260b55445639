"""A rulebook made ready to run: names become slots, conditions become Python functions that can be read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.agreed import IsReached, OfMetric
from engine.closed import keep_of
from engine.instants import Instant
from engine.logic import FUNCTIONS, Truth
from engine.measures.counts import Counting
from engine.measures.dates import HeldDays, MovedLater, Since
from engine.measures.measure import Kept, Moment, hour_turns, matches
from engine.rulebook.absence import owed
from engine.rulebook.agreed import CURRENT, DERIVED, GOAL, is_derived
from engine.rulebook.book import Rulebook
from engine.rulebook.expressions import COMPARISONS, Term, shown, source
from engine.rulebook.sections import is_address
from engine.rulebook.spec import Line, Measure, Rule, Test, Thing, Types, fingerprint
from engine.rulebook.words import MOMENTS, SPELL_NAMES
from engine.slots import (
    Computed,
    KeptOfThing,
    KeptValue,
    ListOfThings,
    MovedLaterOfThings,
    OfOpenThings,
    OpenThings,
    Property,
    ScoreValue,
    Spells,
    ThingTest,
    ToDate,
    ToDateOfThings,
    Trait,
    property_at,
)
from engine.state import PERSON, Shape, ThingShape
from engine.things import ThingState
from engine.uses import needs_of, properties_of, uses_of
from engine.values import Date, Value, read, thing_id
from engine.views import AccountView, EventView, Slot, ThingView
from engine.zones import Zone, calendar_window, date_of, monday, zone, zone_names

Condition = Callable[[Any, Any], Truth]
COUNTING = frozenset(
    {
        "count",
        "unique",
        "sum",
        "average",
        "median",
        "minimum",
        "maximum",
        "first",
        "last",
        "days_active",
    }
)
SINCE = frozenset({"days_since", "hours_since", "days_since_first"})
NOTHING = ThingState()
AGED_COUNTS = frozenset({"count", "unique", "sum", "days_active", "opened", "answered", "closed", "days_since_first"})


@dataclass(frozen=True, slots=True)
class NameUse:
    """A name that a rule uses and where it is read: ``scope`` is ``account``, ``thing``, ``event`` or ``moment``."""

    name: str
    scope: str
    index: int


@dataclass(frozen=True, slots=True)
class RuleProgram:
    """A rule ready to run. Each condition takes the account's view and the subject's."""

    rule: Rule
    audience: int | None
    plain: Condition
    """Audience, every ``when``, no ``unless``: all in one, left as soon as one of them is false."""
    when: Condition
    unless: Condition
    clear_when: Condition | None
    when_lines: tuple[Condition, ...]
    unless_lines: tuple[Condition, ...]
    event_names: tuple[str, ...]
    uses: tuple[NameUse, ...]
    once_per: NameUse | None
    ages: tuple[NameUse, ...]
    readers: tuple[str, ...]
    """Whom it writes to whatever is the case: one of us, by address. Empty: that depends, or there is no mail."""
    fingerprint: str
    way: Literal["account", "thing", "event", "whole"]
    """How it is looked at: for the account, each open thing, each event, or over all accounts at fixed instants."""


class ThingProgram:
    """One kind of thing: which are open, and the slots of its names."""

    def __init__(self, spec: Thing, shape: ThingShape, dates: dict[str, str]) -> None:
        self.spec = spec
        self.shape = shape
        self.slots: list[Slot] = []
        self.names: dict[str, int] = {}
        self._declared = dates
        self._measures = {measure.name: measure for measure in spec.measures}
        self.metrics: Callable[[], tuple[Mapping[str, int], Sequence[Slot]]] = lambda: ({}, ())
        """By value the account's slot of its measure, and those slots: what goals are about."""
        self._kept = {kept.spec.name: at for at, kept in enumerate(shape.kept)}

    def slot(self, name: str) -> int:
        """The index of a name's slot, made when first asked for."""
        if name not in self.names:
            self.names[name] = len(self.slots)
            self.slots.append(self._make(name))
        return self.names[name]

    def is_such(self, view: ThingView) -> bool:
        """Do the thing's newest properties pass the kind's ``where``?"""
        return all(matches(test, property_at(view.state, test.path)) for test in self.spec.where)

    def is_open(self, view: ThingView) -> bool:
        """Is it open now?"""
        if self.spec.each_in:
            return view.id in self._elements(view.account) and self.is_such(view)
        return view.state.open and (not self.spec.where or self.is_such(view))

    def open_views(self, account: AccountView) -> list[ThingView]:
        """The open things, by id."""
        if self.spec.each_in:
            views = [self.view(account, key) for key in self._elements(account)]
        else:
            name = self.spec.name
            states = account.state.things[name]
            known = account.opened
            keys = [key for key, one in states.items() if one.open] if known is None else known.get(name, ())
            views = [ThingView(account, name, key, states[key]) for key in sorted(keys)]
        return [view for view in views if self.is_such(view)] if self.spec.where else views

    def all_views(self, account: AccountView) -> list[ThingView]:
        """Every thing ever seen, by id."""
        states = account.state.things[self.spec.name]
        return [ThingView(account, self.spec.name, key, state) for key, state in sorted(states.items())]

    def view(self, account: AccountView, key: str) -> ThingView:
        """One thing, known or not."""
        return ThingView(account, self.spec.name, key, account.state.things[self.spec.name].get(key, NOTHING))

    def _elements(self, account: AccountView) -> list[str]:
        value = read(account.state.trait(self.spec.each_in), "list", account.moment.zone)
        found = {key for item in value if (key := thing_id(item)) is not None} if isinstance(value, tuple) else ()
        return sorted(found)

    def _make(self, name: str) -> Slot:
        measure = self._measures.get(name)
        if measure is not None:
            return self._measure(measure)
        if self.spec.name == GOAL and name in DERIVED:
            return OfMetric(*self.metrics()) if name == CURRENT else IsReached(*self.metrics(), ThingView.value)
        if name in HOUR_SLOTS:
            return HOUR_SLOTS[name]()
        if name in _THING_READERS:
            return Computed(_THING_READERS[name], daily=name == "open_days", of_open=_OF_OPEN.get(name))
        if name == "last_seen" and self.spec.name == PERSON:
            return Computed(lambda view: _date(view.state.last), recent=True)
        if name in dict(self.spec.people):
            return Computed(lambda view: role_of(self.spec, view, name))
        return self._property(name)

    def _property(self, name: str, *, as_number: bool = False) -> Property:
        declared = "date" if name in self.spec.dates else self._declared.get(name)
        return Property(tuple(name.split(".")), declared, as_number=as_number)

    def _measure(self, measure: Measure) -> Slot:
        if measure.verb == "attribute":
            return self._property(measure.prop, as_number=measure.as_number)
        if measure.verb in {"days_to", "hours_to"}:
            return ToDate(measure, Property(tuple(measure.prop.split(".")), "date"))
        at = self._kept[measure.name]
        return KeptOfThing(at, self.shape.kept[at])


def waiting_for(book: Rulebook) -> dict[str, list[str]]:
    """For each source of the policy, the rules that could fire because its events are missing: they wait for it."""
    mailing = [rule for rule in book.rules if rule.outreach is not None]
    return {one.name: [rule.id for rule in mailing if owed(book, rule, one.types)] for one in book.policy.sources}


def _waiters(book: Rulebook) -> dict[str, frozenset[str]]:
    """For each rule that waits, the names of the sources it waits for."""
    found = waiting_for(book)
    rules = {rule for waiting in found.values() for rule in waiting}
    return {rule: frozenset(name for name, waiting in found.items() if rule in waiting) for rule in rules}


class Program:
    """A rulebook ready to run; made once, used for every account.

    Only what some rule uses is kept of events; ``everything`` keeps whatever the rulebook names, for questions.
    """

    def __init__(self, book: Rulebook, *, everything: bool = False) -> None:
        self.book = book
        self.used = uses_of(book) if not everything else None
        self.mark = ""
        """The fingerprint of how state is kept, once it was asked for."""
        self.columns: Any = None
        """What ``engine.columns`` printed for it, for all lanes; False when columns cannot hold it."""
        self.zone = zone(book.policy.timezone)
        self.slots: list[Slot] = []
        self.index: dict[str, int] = {}
        self.texts: list[str] = []
        self.listing: list[str] = []
        self._constants: dict[tuple[str, int], set[float]] = {}
        ours = [m for m in book.measures.values() if _is_kept(m) and (self.used is None or m.name in self.used.names)]
        once = {measure.fingerprint: measure for measure in reversed(ours)}
        kept = [_kept(measure, _ACCOUNT_TRAITS, book.account_attributes) for measure in reversed(once.values())]
        at_mark = {one.spec.fingerprint: at for at, one in enumerate(kept)}
        self._kept = {measure.name: at_mark[measure.fingerprint] for measure in ours}
        self.things = {name: self._thing(thing) for name, thing in book.things.items()}
        kinds = {
            name: thing.shape for name, thing in self.things.items() if self.used is None or name in self.used.kinds
        }
        self.shape = Shape(kept, kinds)
        self.rules = [self._rule(rule) for rule in book.rules]
        self.holding = [rule for rule in book.rules if rule.holds_for]
        self.traits = sorted(book.account_attributes.items())
        """The declared attributes of accounts and their types, as decisions keep them."""
        self.waits = _waiters(book)
        self.whole = [measure for measure in book.measures.values() if measure.verb == "portfolio"]
        for measure in self.whole:
            self.slot(measure.prop)
            if measure.segment:
                self.slot(measure.segment)
        self.tells_parts = self._tells_parts()
        """Does an account's part of the portfolio change only with events, and at instants that can be told?"""
        self.moving = self._moving()
        for rule in book.rules:
            self._register_needs(rule)
        for thing in self.things.values():
            for measure in thing.spec.measures if thing.spec.portfolio else ():
                thing.slot(measure.name)

    # -- names -----------------------------------------------------------------------------------------------------
    def slot(self, name: str) -> int:
        """The index of an account's name, made when first asked for."""
        if name not in self.index:
            at = self.index[name] = len(self.slots)
            self.slots.append(Computed(lambda _view: None))  # holds the place while names refer to each other
            self.slots[at] = self._make(name)
        return self.index[name]

    def place(self, name: str, thing: str = "", events: list[str] | None = None) -> NameUse:
        """Where the value of a rule's name is read."""
        if name in MOMENTS:
            return NameUse(name, "moment", MOMENTS.index(name))
        owner, _, rest = name.partition(".")
        if events is not None and owner == "event":
            if rest not in events:
                events.append(rest)
            return NameUse(name, "event", events.index(rest))
        if thing and owner == thing:
            return NameUse(name, "thing", self.things[thing].slot(rest))
        return NameUse(name, "account", self.slot(name))

    def condition(self, line: Line, label: str, thing: str = "", events: list[str] | None = None) -> Condition:
        """One condition as a function."""
        return self._function([line], label, "both", thing, events)

    def wakes(self, view: AccountView, until: Instant) -> Instant | None:
        """The first instant after the view's moment, up to ``until``, at which a value may turn without an event."""
        at = view.moment.at
        best: Instant | None = None
        for turn in self._turns(view):
            if at < turn <= until and (best is None or turn < best):
                best = turn
        return best

    def show(self) -> str:
        """The generated code, with the slots it reads."""
        slots = [f"# v[{at}] = {name}" for name, at in self.index.items()]
        inner = [
            f"# s[{at}] = {kind}.{name}" for kind, thing in self.things.items() for name, at in thing.names.items()
        ]
        texts = [f"# T[{at}] = {text!r}" for at, text in enumerate(self.texts)]
        return "\n".join([*slots, *inner, *texts, "", *self.listing])

    def _turns(self, view: AccountView) -> Iterable[Instant]:
        for scope, index, constants in self.moving:
            if not scope:
                yield from self.slots[index].turns(view, constants)
                continue
            slot = self.things[scope].slots[index]
            for one in view.open_things(scope):
                yield from slot.turns(one, constants)

    def _tells_parts(self) -> bool:
        names = [name for measure in self.whole for name in (measure.prop, measure.segment) if name]
        slots = [self.slots[self.slot(name)] for name in names]
        for thing in self.things.values():
            slots += [thing.slots[thing.slot(one.name)] for one in thing.spec.measures if thing.spec.portfolio]
        return all(isinstance(slot, (KeptValue, KeptOfThing, OpenThings, Spells)) and slot.tells for slot in slots)

    def _moving(self) -> list[tuple[str, int, list[float]]]:
        found = [("", at, slot) for at, slot in enumerate(self.slots)]
        each = {rule.thing for rule in self.book.rules if rule.thing}
        found += [(kind, at, slot) for kind in sorted(each) for at, slot in enumerate(self.things[kind].slots)]
        return [(scope, at, sorted(self._constants.get((scope, at), ()))) for scope, at, slot in found if slot.moves]

    def _make(self, name: str) -> Slot:
        book = self.book
        if name == "account_age_days":
            return Computed(_account_age, daily=True)
        if name in book.measures:
            return self._measure(book.measures[name])
        if name in book.segments:
            segment = book.segments[name]
            function = self._function(segment.when, f"segment {name}", "both", "", None)
            return Computed(lambda view: function(view, None))
        owner, _, part = name.partition(".")
        if owner in book.scores:
            return self._score(owner, part)
        return Trait((name,), book.account_attributes.get(name))

    def _measure(self, measure: Measure) -> Slot:
        if measure.verb == "portfolio":
            return Computed(lambda view: view.portfolio.get(measure.name))
        if measure.verb == "attribute":
            path = tuple(measure.prop.split("."))
            declared = self.book.account_attributes.get(measure.prop) if len(path) == 1 else None
            return Trait(path, declared, as_number=measure.as_number)
        if measure.thing:
            return self._over_things(measure)
        if measure.verb in {"days_to", "hours_to"}:
            return ToDate(measure, Trait((measure.prop,), "date"))
        at = self._kept[measure.name]
        return KeptValue(at, self.shape.kept[at])

    def _over_things(self, measure: Measure) -> Slot:
        thing = self.things[measure.thing]
        tests = [self._test(thing, test) for test in measure.where]
        if measure.verb == "open":
            return OpenThings(measure, tests)
        if measure.verb in {"opened", "answered", "closed"} or measure.prop in SPELL_NAMES:
            return Spells(measure, tests)
        if measure.verb == "moved_later":
            at = next(i for i, kept in enumerate(thing.shape.kept) if _same_history(kept, measure))
            return MovedLaterOfThings(measure, at, thing.shape.kept[at])  # type: ignore[arg-type]
        if measure.verb in {"days_to", "hours_to"}:
            return ToDateOfThings(measure, tests, Property(tuple(measure.prop.split(".")), "date"))
        value = thing.slots[thing.slot(measure.prop)]
        if measure.verb == "list":
            personal = thing.spec.name == PERSON and self.book.person_attributes.get(measure.prop) == "personal"
            return ListOfThings(measure, tests, value, personal=personal)
        return OfOpenThings(measure, tests, value)

    def _test(self, thing: ThingProgram, test: Test) -> ThingTest:
        slot = thing.slots[thing.slot(test.path[0])] if len(test.path) == 1 else None
        return ThingTest(test, slot)

    def _score(self, owner: str, part: str) -> Slot:
        spec = self.book.scores[owner]
        parts = []
        for one in spec.parts:
            function = self.value_function(one.value, f"score {owner}.{one.name}")
            parts.append((one, lambda view, function=function: function(view, None)))
        return ScoreValue(spec, parts, part)

    # -- code ------------------------------------------------------------------------------------------------------
    def _function(
        self,
        lines: Sequence[Line],
        label: str,
        join: str,
        thing: str,
        events: list[str] | None,
    ) -> Condition:
        bodies = [source(line.term, lambda name: self._place_text(name, thing, events), self.texts) for line in lines]
        for line in lines:
            self._note_constants(line.term, thing)
        if len(bodies) < 2:  # noqa: PLR2004 - nothing to leave early
            return self._compile(label, [f"return {join}({', '.join(bodies)})"])
        decides = "False" if join == "both" else "True"
        steps = []
        for at, body in enumerate(bodies):
            steps += [f"l{at} = {body}", f"if l{at} is {decides}:", f"    return {decides}"]
        return self._compile(label, [*steps, f"return {join}({', '.join(f'l{at}' for at in range(len(bodies)))})"])

    def value_function(self, line: Line, label: str, thing: str = "") -> Callable[[Any, Any], Value]:
        """An expression as a function of the account's view and the thing's."""
        body = source(line.term, lambda name: self._place_text(name, thing, None), self.texts)
        return self._compile(label, [f"return {body}"])

    def _compile(self, label: str, body: Sequence[str]) -> Condition:
        name = f"c{len(self.listing)}"
        text = "\n    ".join([f"def {name}(v, s):", *body]) + "\n"
        scope: dict[str, Any] = {"__builtins__": {}, "T": self.texts, **FUNCTIONS}
        exec(compile(text, f"<{name}>", "exec"), scope)  # noqa: S102 - built from the checked tree alone
        self.listing.append("# " + label.replace("\n", " ") + "\n" + text)
        function: Condition = scope[name]
        return function

    def _place_text(self, name: str, thing: str, events: list[str] | None) -> str:
        use = self.place(name, thing, events)
        return f"v[{use.index}]" if use.scope == "account" else f"s[{use.index}]"

    def _note_constants(self, term: Term, thing: str) -> None:
        for part in term.walk():
            if part.op not in COMPARISONS:
                continue
            left, right = part.args
            for name, other in ((left, right), (right, left)):
                if name.op == "name" and other.op == "constant" and isinstance(other.value, float):
                    owner, _, rest = str(name.value).partition(".")
                    if thing and owner == thing:
                        key = (thing, self.things[thing].slot(rest))
                    elif owner == "event":
                        continue
                    else:
                        key = ("", self.slot(str(name.value)))
                    self._constants.setdefault(key, set()).add(other.value)

    # -- things and rules ------------------------------------------------------------------------------------------
    def _thing(self, spec: Thing) -> ThingProgram:
        sources = Types(("user.updated",)) if spec.name == PERSON else spec.family
        declared = self.book.person_attributes if spec.name == PERSON else dict(spec.declared)
        used = self.used
        mine = [m for m in spec.measures if used is None or spec.portfolio or f"{spec.name}.{m.name}" in used.names]
        kept = [_kept(measure, sources, declared) for measure in mine if _is_kept(measure)]
        for measure in self.book.measures.values():
            hidden = measure.verb == "moved_later" and measure.thing == spec.name
            hidden = hidden and (used is None or measure.name in used.names)
            if hidden and not any(_same_history(one, measure) for one in kept):
                kept.append(MovedLater(measure, sources))
        tests = [
            test for measure in self.book.measures.values() if measure.thing == spec.name for test in measure.where
        ]
        inner = [test.path[0] for test in tests if len(test.path) > 1]
        props = None if used is None or spec.name == PERSON else properties_of(spec, used.names, inner)
        shape = ThingShape(spec, kept, self.zone if spec.portfolio else None, props)
        shape.keep = keep_of(spec, self.book.measures.values())
        found = ThingProgram(spec, shape, dict(declared))
        found.metrics = self._metrics
        return found

    def _metrics(self) -> tuple[Mapping[str, int], Sequence[Slot]]:
        return {value.name: self.slot(value.measure) for value in self.book.values.values()}, self.slots

    def _rule(self, rule: Rule) -> RuleProgram:
        events: list[str] | None = [] if rule.subject == "event" else None
        label = rule.id

        def lines(section: str) -> tuple[Condition, ...]:
            return tuple(
                self.condition(line, f"{label} {section} {at + 1}: {line.text}", rule.thing, events)
                for at, line in enumerate(getattr(rule, section))
            )

        when = self._function(rule.when, f"{label} when", "both", rule.thing, events)
        unless = self._function(rule.unless, f"{label} unless", "either", rule.thing, events)
        plain = self._function(whole_of(rule), f"{label}", "both", rule.thing, events)
        clear = self.condition(rule.clear_when, f"{label} clear_when", rule.thing, events) if rule.clear_when else None
        names = [name for line in (*rule.when, *rule.unless) for name in line.term.names()]
        names += rule.clear_when.term.names() if rule.clear_when else []
        names += [rule.re_entry.name] if rule.re_entry.name else []
        names += self.needs(rule)
        uses = tuple(self.place(name, rule.thing, events) for name in dict.fromkeys(names))
        once = self.place(rule.re_entry.name, rule.thing, events) if rule.re_entry.name else None
        audience = self.slot(rule.audience) if rule.audience else None
        mark = fingerprint(self._meaning(rule))
        when_lines, unless_lines = lines("when"), lines("unless")
        ages = tuple(use for use in uses if self._aged(use.name, rule.thing))
        return RuleProgram(
            rule,
            audience,
            plain,
            when,
            unless,
            clear,
            when_lines,
            unless_lines,
            tuple(events or ()),
            uses,
            once,
            ages,
            always_read_by(rule),
            mark,
            "whole" if self.book.over_all(rule) else rule.subject,  # type: ignore[arg-type]  # no portfolio is left
        )

    def needs(self, rule: Rule) -> list[str]:
        """The names that the rule's template needs beside the rule's own."""
        template = self.book.templates.get(rule.outreach.template) if rule.outreach else None
        return needs_of(rule, template.needs) if template else []

    def _register_needs(self, rule: Rule) -> None:
        for name in self.needs(rule):
            self.place(name, rule.thing, [] if rule.subject == "event" else None)

    def _aged(self, name: str, thing: str) -> bool:
        if name == "account_age_days":
            return True
        owner, _, rest = name.partition(".")
        if thing == GOAL and is_derived(name):
            return any(self._aged(value.measure, "") for value in self.book.values.values())
        inner = thing == PERSON and owner == PERSON
        measures = {m.name: m for m in self.book.things[PERSON].measures} if inner else self.book.measures
        measure = measures.get(rest if inner else name)
        if measure is None:
            return False
        if measure.verb in {"days_since", "hours_since", "days_since_first"}:
            return True
        return measure.verb in AGED_COUNTS and measure.window.kind == "ever"

    def _meaning(self, rule: Rule) -> str:
        """Everything that makes a rule *changed* when it changes (RULEBOOK 12)."""
        parts = [rule.subject, rule.each, rule.audience and self._mean(rule.audience, rule.thing), str(rule.holds_for)]
        lines = (*rule.when, None, *rule.unless, None, rule.clear_when)
        parts += [shown(line.term, lambda name: self._mean(name, rule.thing)) if line else "|" for line in lines]
        if rule.thing:
            spec = self.book.things[rule.thing]
            parts.append(repr((spec.id, spec.where, spec.opened_by, spec.closed_by, spec.each_in)))
        return "\n".join(parts)

    def _mean(self, name: str, thing: str) -> str:
        book = self.book
        owner, _, rest = name.partition(".")
        if thing and owner == thing:
            measures = {measure.name: measure for measure in book.things[thing].measures}
            return measures[rest].fingerprint if rest in measures else self._mean_thing(thing) + rest
        if name in book.measures:
            measure = book.measures[name]
            inner = self._mean_thing(measure.thing) if measure.thing else ""
            below = self._mean(measure.prop, "") if measure.verb == "portfolio" else ""
            return measure.fingerprint + inner + below
        if name in book.segments:
            return "&".join(shown(line.term, lambda one: self._mean(one, "")) for line in book.segments[name].when)
        if owner in book.scores:
            score = book.scores[owner]
            parts = [shown(part.value.term, lambda one: self._mean(one, "")) for part in score.parts]
            numbers = [(p.start, p.end, p.weight, p.if_unknown) for p in score.parts]
            return repr((parts, numbers, score.cap_above_worst, score.needs, score.bands, rest))
        return f"{name}:{book.account_attributes.get(name, '')}"

    def _mean_thing(self, thing: str) -> str:
        """A thing's own definition; a goal is also what the values are that it may be about."""
        values = self.book.values.values() if thing == GOAL else ()
        return self.book.things[thing].fingerprint + "".join(
            f"{value.name}={self.book.measures[value.measure].fingerprint};" for value in values
        )


# -- reading -----------------------------------------------------------------------------------------------------------
def read_use(use: NameUse, view: AccountView, subject: ThingView | EventView | None) -> Value:
    """The value of a rule's name."""
    if use.scope == "account":
        return view[use.index]
    if use.scope == "moment":
        return moment_text(use.name, view.moment)
    return subject[use.index] if subject is not None else None


def always_read_by(rule: Rule) -> tuple[str, ...]:
    """Whom a rule writes to whatever is the case, as ``recipients`` finds them; empty: that depends, or nobody."""
    outreach, found = rule.outreach, dict[str, None]()
    for reader in outreach.to if outreach is not None and outreach.audience == "staff" else ():
        for text in reader.alternatives:
            if text != "rule owner" and not is_address(text):
                return ()
            address = rule.owner if text == "rule owner" else text
            if address:
                found[address] = None
                break
    return tuple(found)


def whole_of(rule: Rule) -> list[Line]:
    """The lines of a rule's truth in one list: its audience, each ``when``, and the opposite of each ``unless``."""
    audience = [Line(rule.audience, Term("name", value=rule.audience))] if rule.audience else []
    return [*audience, *rule.when, *(Line(line.text, Term("negate", (line.term,))) for line in rule.unless)]


def moment_text(name: str, moment: Moment) -> str:
    """``today``, ``this_week`` or ``this_month`` as the text of an occasion: the first day of it."""
    day = moment.today
    if name == "this_week":
        day = monday(day)
    if name == "this_month":
        day = calendar_window("month", day, previous=False)[0]
    return date_of(day).isoformat()


def role_of(spec: Thing, view: ThingView, role: str) -> str | None:
    """The person id that a thing names in a role."""
    prop = dict(spec.people)[role]
    if prop == "user_id":
        spells = view.state.spells
        return spells[-1].opener if spells else None
    return thing_id(property_at(view.state, tuple(prop.split("."))))


def account_zone(book_zone: Zone, raw: object) -> str:
    """The name of an account's zone: its trait if valid, else the policy's."""
    return raw if isinstance(raw, str) and raw in zone_names() else book_zone.key


_ACCOUNT_TRAITS = Types(("account.updated",))


def _is_kept(measure: Measure) -> bool:
    if measure.thing:
        return False
    return measure.verb in COUNTING | SINCE | {"held_days", "moved_later"}


def _kept(measure: Measure, sources: Types, declared: Mapping[str, str]) -> Kept:
    if measure.verb in COUNTING:
        return Counting(measure)
    if measure.verb in SINCE:
        return Since(measure)
    if measure.prop == "owner" and sources is _ACCOUNT_TRAITS:
        sources = Types(("account.updated", "owner.changed"))
    if measure.verb == "held_days":
        return HeldDays(measure, sources, declared.get(measure.prop))
    return MovedLater(measure, sources)


def _same_history(kept: Kept, measure: Measure) -> bool:
    return isinstance(kept, MovedLater) and kept.spec.prop == measure.prop


def _date(at: Instant | None) -> Date | None:
    return None if at is None else Date(at)


def _account_age(view: AccountView) -> Value:
    seen = view.seen
    return None if seen is None else float(view.moment.today - view.moment.zone.day(seen))


def _spell_of(view: ThingView) -> Any:
    return view.state.spell if view.open else None


def _opened_at(view: ThingView) -> Value:
    spell = _spell_of(view)
    return Date(spell.opened_at) if spell else None


def _open_days(view: ThingView) -> Value:
    spell = _spell_of(view)
    return float(view.moment.today - view.moment.zone.day(spell.opened_at)) if spell else None


def _answered(view: ThingView) -> Value:
    spell = _spell_of(view)
    return spell.answered_at is not None if spell else None


def _waiting(view: ThingView) -> Value:
    return view.state.waiting_since is not None if _spell_of(view) else None


def _waiting_since(view: ThingView) -> Value:
    return _date(view.state.waiting_since) if _spell_of(view) else None


def _closed_at(view: ThingView) -> Value:
    spells = view.state.spells
    return _date(spells[-1].closed_at) if spells and not view.state.open else None


class _Hours:
    """``open_hours`` and ``waiting_hours``: they move with the clock."""

    moves = True

    def __init__(self, base: Callable[[ThingView], Value]) -> None:
        self._base = base

    def read(self, view: ThingView) -> Value:
        date = self._base(view)
        return (view.moment.at - date.at) / 3_600_000 if isinstance(date, Date) else None

    def turns(self, view: ThingView, constants: Sequence[float]) -> Iterable[Instant]:
        date = self._base(view)
        return hour_turns(date.at, constants) if isinstance(date, Date) else ()


_THING_READERS: dict[str, Callable[[ThingView], Value]] = {
    "id": lambda view: view.id,
    "open": lambda view: view.open,
    "opened_at": _opened_at,
    "open_days": _open_days,
    "answered": _answered,
    "waiting": _waiting,
    "waiting_since": _waiting_since,
    "closed_at": _closed_at,
}
_OF_OPEN: dict[str, Callable[[ThingState], Value]] = {
    "answered": lambda state: state.spells[-1].answered_at is not None,
    "waiting": lambda state: state.waiting_since is not None,
}
HOUR_SLOTS: dict[str, Callable[[], Slot]] = {
    "open_hours": lambda: _Hours(_opened_at),
    "waiting_hours": lambda: _Hours(_waiting_since),
}
