"""The columns of one lane's accounts in one zone, and the printed code that runs over them."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np

from engine.columns.code import NARROW, WIDE, Coder, score_text
from engine.columns.layout import (
    Acts,
    Layout,
    Leaf,
    OddError,
    Ring,
    Run,
    Scope,
    Trend,
    is_inert,
    is_plain_text,
    touches,
)
from engine.columns.moves import Plan, Stirred, plans_of, stirred
from engine.columns.table import Table, WildError, forget_outdated
from engine.columns.trends import NEVER, Outlook, outlook
from engine.columns.turns import Asks
from engine.instants import Instant
from engine.log import Event
from engine.measures.counts import different
from engine.measures.measure import LONG_AGO, passes
from engine.numbers import millionths
from engine.program import Program, RuleProgram
from engine.rulebook.expressions import Term, shown
from engine.rulebook.spec import Test
from engine.slots import KeptValue
from engine.values import nested
from engine.views import AccountView, ThingView
from engine.zones import Zone

Check = Callable[..., list[int]]
SPECIAL = frozenset({"account.updated", "owner.changed", "subscription.created", "user.updated", "user.removed"})
"""Event types after which more than measures may have changed."""


@dataclass(slots=True)
class Touched:
    """What must be read anew after an event: cached values and trends, by scope, and the rules to ask."""

    leaves: dict[str, list[Leaf]]
    trends: dict[str, list[Trend]]
    rules: dict[str, list[int]]
    moves: bool
    check: Mapping[str, Check]


class Checks(dict[str, Check]):
    """By scope a function that asks rules; printed when it is first asked for."""

    def __init__(self, prints: Callable[[str, Iterable[int]], Check], rules: Mapping[str, Iterable[int]]) -> None:
        super().__init__()
        self._prints = prints
        self._rules = rules

    def __missing__(self, kind: str) -> Check:
        found = self[kind] = self._prints(kind, self._rules[kind])
        return found


@dataclass(slots=True)
class Handler:
    """How an event type is taken in, the common way: in its turn, about nothing but measures."""

    prop: str = ""
    by_value: dict[str, "Narrow"] = field(default_factory=dict)
    default: "Narrow | None" = None
    inert: tuple[tuple[str, tuple[str, ...], tuple[int, ...], bool], ...] = ()
    """Kinds whose things stay as they are: where the id stands, the measures concerned, is it an element of a list."""
    active: tuple[tuple[str, tuple[str, ...]], ...] = ()
    events: tuple[int, ...] = ()
    ids: frozenset[str] = frozenset()
    """Properties that name a thing."""
    person: bool = False
    plans: dict[str, Plan] = field(default_factory=dict)
    """By kind how things move that such an event may open, answer, close or change."""
    lone: bool = False
    """Does a person stay as it is, so that nothing else need be looked at where no other thing is named?"""
    routed: bool = False
    """Do measures of people count it?"""

    def narrow(self, event: Event) -> "Narrow | None":
        """The printed code for an event; None: its type has none."""
        value = event.properties.get(self.prop) if self.prop else None
        return self.by_value.get(value, self.default) if type(value) is str else self.default


@dataclass(slots=True)
class Narrow:
    """The printed code of one event type (and one value of its telling property).

    ``take`` folds and gives the rules to consider, unless something must be read in between: then ``touched`` asks.
    """

    take: Callable[..., Sequence[int]]
    own: tuple[int, ...]
    touched: Touched | None
    later: tuple[tuple[str, int], ...]
    """Trends of windows that end before today: what happens today enters them only so many days from now."""
    things: dict[str, Callable[..., Sequence[int]]]
    """The same by kind for the row of a thing, which is given the account's row too."""
    all_things: dict[str, Check]
    more: bool
    """Is there more to do than ``take`` does: values to be read anew, things of the account to be asked?"""


class Printed:
    """What a layout prints: conditions for rows and for nights. Raises ``OddError`` when columns cannot hold a rule."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.yes: dict[int, str] = {}
        self.nights: list[tuple[int, str, bool]] = []
        """Rule, condition over arrays, and whether a midnight alone may turn it."""
        self.doubts: list[tuple[int, str]] = []
        """Rule, and a condition over arrays that is true wherever it may be unknown."""
        self.codes: dict[str, Any] = {}
        self._asks: dict[tuple[tuple[int, ...], frozenset[tuple[str, int]], str], Asks] = {}
        for at, term in layout.terms.items():
            kind = layout.program.rules[at].rule.thing
            narrow, wide = Coder(layout, kind, wide=False), Coder(layout, kind, wide=True)
            self.yes[at] = narrow.yes(term).replace("{A}", "r").replace("{S}", "s")
            text = wide.yes(term)
            account, thing = ("p", ":n") if kind else (":n", "")
            text = text.replace("{A}", account).replace("{S}", thing)
            self.nights.append((at, text, not layout.still(term, kind)))
            doubt = _doubt(layout.program.rules[at], wide, term)
            self.doubts.append((at, doubt.replace("{A}", account).replace("{S}", thing)))

    def code(self, text: str) -> Any:
        """Compiled text, once for all sheets."""
        found = self.codes.get(text)
        if found is None:
            found = self.codes[text] = compile(text, "<columns>", "exec")
        return found

    def asks(self, rules: Iterable[int], changed: Iterable[tuple[str, int]], kind: str = "") -> Asks:
        """What to ask of rules when what is read there changes: thought through once, for the sheets of all lanes."""
        key = tuple(rules), frozenset(changed), kind
        found = self._asks.get(key)
        if found is None:
            found = self._asks[key] = Asks.of(self.layout, self.yes, *key)
        return found


def printed_of(program: Program) -> Printed | None:
    """A program's columns, printed once; None when there is something in it that columns cannot hold."""
    if program.columns is None:
        try:
            program.columns = Printed(Layout(program))
        except OddError:
            program.columns = False
    return program.columns or None


def print_ahead(program: Program, at: Instant) -> None:
    """Print what the events that a rulebook names will ask for: else the first of each type waits, in every lane."""
    printed = printed_of(program)
    if printed is None:
        return
    sheet = Sheet(printed, program.zone, at)
    types = [getattr(one, "sources", None) or one.spec.types for one in program.shape.kept]
    for event_type in sorted({name for one in types if one is not None for name in one.exact}):
        sheet.handler(event_type)
    for kind in printed.layout.scopes:
        sheet.check[kind]


def show(program: Program) -> str:
    """What runs over columns, to be read: each column and what it holds, and each rule for a row and for a night."""
    printed = printed_of(program)
    if printed is None:
        return "# columns cannot hold this rulebook: its accounts are kept plainly"
    lines = [
        "# columns: r[] one account, k1_...[] one thing; p is the account's row of a thing, n how many rows there are"
    ]
    for scope in printed.layout.scopes.values():
        names = program.things[scope.kind].names if scope.kind else program.index
        slots = {at: name for name, at in names.items()}
        kept = [one.spec.name for one in scope.kept]
        for ring in scope.rings:
            runs = ", ".join(f"{run.name} over {run.size or 'all'} ending {run.shift} days ago" for run in ring.runs)
            lines.append(
                f"# {ring.name}: {ring.spec.verb} by day of {ring.spec.name or 'what happened to things'}; {runs}"
            )
        lines += [f"# {column}: the instant of {kept[at]}" for at, column in scope.since.items()]
        lines += [f"# {one.name}: {slots[at]}, by the day" for at, one in scope.trends.items()]
        lines += [f"# {column}: {slots[at]}" for at, column in scope.opens.items()]
        lines += [f"# {leaf.name}: {shown(leaf.term)}" for leaf in scope.leaves.values()]
        lines += [f"# kept plainly: {kept[at]}" for at in scope.own]
    nights = {at: text for at, text, turns in printed.nights if turns}
    for at, text in printed.yes.items():
        lines += ["", f"# {program.rules[at].rule.id}, for a row", text]
        lines += [f"# {program.rules[at].rule.id}, for a night", nights[at]] if at in nights else []
    return "\n".join(lines)


class Sheet:
    """All rows of one lane in one zone. ``midnight`` is when its next day begins."""

    every_night = False
    """Is each rule asked at midnight, also those that only events can turn?"""

    def __init__(self, printed: Printed, zone: Zone, at: Instant) -> None:
        self.printed = printed
        self.layout = printed.layout
        self.zone = zone
        self.today = zone.day(at)
        self.start = zone.start(self.today)
        self.midnight = zone.start(self.today + 1)
        self.tables = {kind: Table(scope) for kind, scope in self.layout.scopes.items()}
        for table in self.tables.values():
            table.today, table.zone, table.moved = self.today, zone, self.bind
        self.handlers: dict[str, Handler] = {}
        self.restless: dict[str, Any] = {}
        self.sticky = {
            rule.rule.id
            for rule in self.layout.program.rules
            if rule.clear_when is not None or self._restless_value(rule)
        }
        self._touched: dict[Any, Touched] = {}
        self._stirred: dict[tuple[str, frozenset[str]], Stirred] = {}
        self._moving: Touched | None = None
        self._totals: Touched | None = None
        self.simple = frozenset(at for at, rule in enumerate(self.layout.program.rules) if _simple(rule))
        """Rules of which a used occasion can be told without reading anything: the commonest ones."""
        self.memory: dict[int, Any] = {}
        """By rule what is remembered of each row: 0 nothing, 1 it is true, 2 it is, but nobody to write to is known."""
        self._tests: list[tuple[Test, ...]] = []
        self._paths: list[Any] = []
        self._names = 0
        scores = [self.layout.program.book.scores[name] for name in sorted(self.layout.program.book.scores)]
        self.narrow: dict[str, Any] = {
            "__builtins__": {},
            **NARROW,
            "passes": passes,
            "millionths": millionths,
            "different": different,
            "nested": nested,
            "W": self._tests,
            "P": self._paths,
            "Wild": WildError,
            "ValueError": ValueError,
            "intern": sys.intern,
            "widen": self._widen,
            "forget": forget_outdated,
            **{f"{scope.prefix}asked": self._asking(kind) for kind, scope in self.layout.scopes.items()},
        }
        self.wide: dict[str, Any] = {"__builtins__": {}, **WIDE, "scores": scores}
        for number, spec in enumerate(scores):
            for coverage in (False, True):
                exec(printed.code(score_text(spec, number, coverage=coverage)), self.narrow)  # noqa: S102 - numbers only
        self._grown = -1
        self.bind()
        self.check = Checks(self._check, {kind: scope.rules for kind, scope in self.layout.scopes.items()})
        conditions: dict[str, list[tuple[int, str]]] = {}
        for rule, text, turns in printed.nights:
            if turns or self.every_night:
                conditions.setdefault(self.layout.program.rules[rule].rule.thing, []).append((rule, text))
        self._nights = {kind: self._night(kind, rows) for kind, rows in conditions.items()}

    # -- arrays under the names that printed code uses ---------------------------------------------------------------
    def bind(self) -> None:
        """Give the printed code the arrays as they are now (after growth, after a new day)."""
        grown = self._growth()
        for table in self.tables.values():
            if grown != self._grown:
                for name, array in table.arrays.items():
                    self.narrow[name] = _view(array)
                    self.wide[name] = array
                for rule in table.scope.rules:
                    self.memory[rule] = self.narrow[f"{table.scope.prefix}m{rule}"]
                self.narrow.update({f"{name}_of": marks for name, marks in table.marks.items()})
                self.narrow[f"{table.scope.prefix}size"] = table.size
            for ring in table.scope.rings:
                if ring.days:
                    self.narrow[f"{ring.name}_at"] = self.today % ring.days * table.size
        self.narrow["today"] = self.wide["today"] = self.today
        self._grown = grown

    def add(self, kind: str, owner: Any) -> int:
        """A row in one of the tables."""
        row = self.tables[kind].add(owner)
        if self._growth() != self._grown:
            self.bind()
        return row

    def _widen(self, name: str, amount: int) -> None:
        """Make a ring wider: an amount of a day has outgrown it."""
        for table in self.tables.values():
            for ring in table.scope.rings:
                if ring.name == name:
                    table.widen(ring, amount)

    def _growth(self) -> int:
        return sum(table.grown for table in self.tables.values())

    # -- midnight ----------------------------------------------------------------------------------------------------
    def turn(self) -> None:
        """The next local day begins."""
        self.today += 1
        self.start = self.midnight
        self.midnight = self.zone.start(self.today + 1)
        for table in self.tables.values():
            table.turn(self.today)
        self.bind()

    def night(self) -> list[tuple[int, Any]]:
        """Rules (``~rule`` for those now untrue) and owners for which the night changed a truth: [(rule, owner)]."""
        found: list[tuple[int, Any]] = []
        with np.errstate(all="ignore"):
            for kind, ask in self._nights.items():
                table = self.tables[kind]
                if not table.rows:
                    continue
                prefix = table.scope.prefix
                parent = self.wide[f"{prefix}parent"][: table.rows] if kind else None
                alive = self.wide[f"{prefix}alive"]
                for at, turned in ask(table.rows, parent):
                    memory = self.memory[at]
                    rows = [row for row in turned.nonzero()[0].tolist() if alive[row]]
                    found += [(~at if memory[row] else at, table.owners[row]) for row in rows]
        return found

    def doubts(self) -> Iterator[tuple[int, Any]]:
        """Rules that may be unknown now, with the owners of the rows: (rule, owner). There may be too many of them."""
        with np.errstate(all="ignore"):
            for rule, text in self.printed.doubts:
                kind = self.layout.program.rules[rule].rule.thing
                table, prefix = self.tables[kind], self.layout.scopes[kind].prefix
                if not table.rows:
                    continue
                parent = self.wide[f"{prefix}parent"][: table.rows] if kind else None
                code = self.printed.code(f"def doubt(n, p): return {text}\n")
                exec(code, self.wide)  # noqa: S102 - checked trees alone
                found = self.wide.pop("doubt")(table.rows, parent) & (self.wide[f"{prefix}alive"][: table.rows] != 0)
                yield from ((rule, table.owners[row]) for row in found.nonzero()[0].tolist())

    def _night(self, kind: str, conditions: Iterable[tuple[int, str]]) -> Callable[..., list[tuple[int, Any]]]:
        """A function that gives, for each rule of a kind with a changed truth, the rows as true and false."""
        prefix = self.layout.scopes[kind].prefix
        lines = ["def night(n, p):", "    h = []"]
        for at, text in conditions:
            lines.append(f"    t = turned({text}, {prefix}m{at}[:n])")
            lines.append(f"    if some(t): h.append(({at}, t))")
        exec(self.printed.code("\n".join([*lines, "    return h", ""])), self.wide)  # noqa: S102 - checked trees alone
        found: Callable[..., list[tuple[int, Any]]] = self.wide.pop("night")
        return found

    # -- rows --------------------------------------------------------------------------------------------------------
    def _check(self, kind: str, rules: Iterable[int]) -> Check:
        """A function that gives the rules whose truth is not what is remembered: ``~rule`` for those now untrue.

        ``q``: people or the thing itself have changed, and with them perhaps whom a rule writes to.
        """
        args = "r, s, q" if kind else "r, q"
        prefix, at = self.layout.scopes[kind].prefix, "s" if kind else "r"
        lines = [f"def check({args}):", "    h = []"]
        for rule in rules:
            memory = f"{prefix}m{rule}[{at}]"
            if self.layout.program.rules[rule].once_per is not None:
                lines.append(f"    if (t := {self.printed.yes[rule]}) or {memory}: h.append({rule} if t else {~rule})")
            else:
                turned = f"(t := {self.printed.yes[rule]}) != (m := {memory}) and (m != 2 or q or not t)"
                if fickle(self.layout.program.rules[rule]):
                    turned += " or (q and t)"
                lines.append(f"    if {turned}: h.append({rule} if t else {~rule})")
        return self._function([*lines, "    return h"], "check")

    def _function(self, lines: list[str], name: str) -> Callable[..., Any]:
        exec(self.printed.code("\n".join(lines) + "\n"), self.narrow)  # noqa: S102 - printed from checked trees alone
        found: Callable[..., Any] = self.narrow.pop(name)
        return found

    def touched(self, event_type: str, kinds: frozenset[str], *, all_: bool = False) -> Touched:
        """What an event of a type, of things of these kinds, may change."""
        key = (event_type, kinds, all_)
        found = self._touched.get(key)
        if found is None:
            ask = touches(self.layout, event_type, kinds)
            found = self._touched[key] = self.touched_by((lambda _read: True) if all_ else ask)
            found.moves = found.moves or any(scope in kinds for scope, _, _ in self.layout.program.moving)
        return found

    def touched_by(self, ask: Callable[[tuple[str, int]], bool]) -> Touched:
        """What must be read anew, and which rules asked, when what is read at these places has changed."""
        layout = self.layout
        leaves = {
            k: [one for one in s.leaves.values() if any(ask(r) for r in one.reads)] for k, s in layout.scopes.items()
        }
        lines = {k: [one for one in s.trends.values() if ask((k, one.slot))] for k, s in layout.scopes.items()}
        rules = {k: [at for at in s.rules if any(ask(r) for r in layout.reads[at])] for k, s in layout.scopes.items()}
        moves = any(ask((scope, index)) for scope, index, _ in layout.program.moving)
        return Touched(leaves, lines, rules, moves, Checks(self._check, rules))

    def stirred(self, event_type: str, kinds: frozenset[str]) -> Stirred:
        """What such an event changes when it moves things of these kinds in their turn."""
        found = self._stirred.get((event_type, kinds))
        if found is None:
            found = self._stirred[event_type, kinds] = stirred(self, event_type, kinds)
        return found

    def _restless_value(self, rule: Any) -> bool:
        """May the value of ``once_per`` change with no event?"""
        use = rule.once_per
        if use is None or use.scope == "event":
            return False
        if use.scope == "moment":
            return True
        term = self.layout.expand(Term("name", value=use.name))
        return not self.layout.still(term, rule.rule.thing)

    def moving(self) -> Touched | None:
        """What must be read anew when an account wakes up; None when nothing moves by the clock."""
        if self._moving is None and self.layout.program.moving:
            reads = {(scope, index) for scope, index, _ in self.layout.program.moving}
            self._moving = self.touched_by(reads.__contains__)
        return self._moving

    def totals(self) -> Touched | None:
        """What must be read anew when the portfolio's totals enter the log; None when no rule reads them."""
        program = self.layout.program
        reads = {("", program.index[one.name]) for one in program.whole if one.name in program.index}
        used = {read for found in self.layout.reads.values() for read in found}
        if not reads & used:
            return None
        if self._totals is None:
            self._totals = self.touched_by(reads.__contains__)
        return self._totals

    def read(
        self, leaves: Iterable[Leaf], trends: Iterable[Trend], row: int, view: AccountView, one: ThingView | None
    ) -> None:
        """Read cached values and trends of a row anew."""
        for leaf in leaves:
            value = leaf.value(view, one)
            array = self.narrow[leaf.name]
            if leaf.name[len(self.layout.scopes[leaf.scope].prefix)] == "k":
                array[row] = 1 if value is True else 0 if value is False else 2
            else:
                array[row] = value if isinstance(value, float) else nan
        for trend in trends:
            slot = self.layout.slot((trend.scope, trend.slot))
            self.set_trend(trend, row, outlook(slot, one if trend.scope else view))

    def set_trend(self, trend: Trend, row: int, now: Outlook) -> None:
        """Write down how a number of a row will move."""
        narrow, name = self.narrow, trend.name
        narrow[name][row], narrow[f"{name}_step"][row], narrow[f"{name}_until"][row] = now
        soonest = self.tables[trend.scope].soonest
        if now[2] < soonest.get(name, NEVER):
            soonest[name] = now[2]

    # -- event types -------------------------------------------------------------------------------------------------
    def handler(self, event_type: str) -> Handler:
        """How events of a type are taken in; printed when the first one comes."""
        found = self.handlers.get(event_type)
        if found is None:
            found = self.handlers[event_type] = self._handler(event_type)
        return found

    def _handler(self, event_type: str) -> Handler:
        layout, program = self.layout, self.layout.program
        events = tuple(
            at for at, rule in enumerate(program.rules) if rule.way == "event" and rule.rule.each == event_type
        )
        if event_type in SPECIAL or event_type.startswith("outreach."):
            return Handler(events=events)
        inert, active = [], []
        for kind, thing in program.things.items():
            if kind not in program.shape.things:
                continue
            path = () if kind == "person" else tuple(thing.spec.id.split("."))
            if is_inert(layout, kind, event_type):
                inert.append((kind, path, tuple(thing.shape.route(event_type)), bool(thing.spec.each_in)))
            else:
                active.append((kind, path))
        routed = program.shape.route(event_type)
        prop = self._telling(layout.scopes[""], routed)
        handler = Handler(prop=prop, inert=tuple(inert), active=tuple(active), events=events)
        handler.ids = frozenset([path[0] for _, path, _, _ in inert if path] + [path[0] for _, path in active if path])
        handler.person = "person" in [kind for kind, _, _, _ in inert] + [kind for kind, _ in active]
        handler.plans = plans_of(self, event_type, active)
        handler.lone = any(kind == "person" and not listed for kind, _, _, listed in inert)
        handler.routed = any(kind == "person" and counted for kind, _, counted, _ in inert)
        values = self._values(layout.scopes[""], routed, prop) if prop else []
        handler.by_value = {value: self._narrow(event_type, prop, value) for value in values}
        handler.default = self._narrow(event_type, prop, None)
        return handler

    @staticmethod
    def _telling(scope: Scope, routed: Iterable[int]) -> str:
        """The property that most tests of these measures compare with a text; nothing if there is none."""
        counts: dict[str, int] = {}
        for index in routed:
            for test in scope.kept[index].spec.where:
                if is_plain_text(test):
                    counts[test.path[0]] = counts.get(test.path[0], 0) + 1
        return max(sorted(counts), key=lambda name: counts[name], default="")

    @staticmethod
    def _values(scope: Scope, routed: Iterable[int], prop: str) -> list[str]:
        tests = [test for index in routed for test in scope.kept[index].spec.where]
        return sorted(
            {str(text) for test in tests if is_plain_text(test) and test.path == (prop,) for text in test.operands}
        )

    def _narrow(self, event_type: str, prop: str, value: str | None) -> Narrow:
        layout = self.layout
        scope = layout.scopes[""]
        counted = counted_by(layout, event_type, prop, value)
        own = tuple(at for at in counted if at in scope.own)
        reads = {
            ("", index)
            for index, slot in enumerate(layout.program.slots)
            if getattr(slot, "index", None) in counted and hasattr(slot, "kept")
        }
        touched = self.touched_by(reads.__contains__)
        later = {one.name: shift for one in touched.trends[""] if (shift := self._shift(one.slot)) and not one.since}
        touched.trends = {
            k: [one for one in rows if not one.since and one.name not in later] for k, rows in touched.trends.items()
        }
        slow = any(touched.leaves.values()) or any(touched.trends.values()) or touched.moves or own
        asks = Asks() if slow or self.every_night else self.printed.asks(touched.rules[""], reads)
        take = self._take(scope, counted, prop, value, asks)
        things: dict[str, Callable[..., Sequence[int]]] = {}
        for kind, inner in layout.scopes.items():
            if kind:
                routed = layout.program.things[kind].shape.route(event_type)
                seen = {
                    (kind, at)
                    for at, slot in enumerate(layout.program.things[kind].slots)
                    if hasattr(slot, "kept") and getattr(slot, "index", None) in routed
                }
                # Rules that read what changed of the account are asked about each of its things anyway.
                rules = [at for at in inner.rules if layout.reads[at] & seen and not layout.reads[at] & reads]
                inner_asks = Asks() if self.every_night else self.printed.asks(rules, seen, kind)
                things[kind] = self._take(inner, routed, "", None, inner_asks)
        many = {k: touched.check[k] for k, rows in touched.rules.items() if k and rows}
        slowly, more = touched if slow else None, bool(slow or many)
        return Narrow(take, own, slowly, tuple(later.items()), things, many, more)

    def _shift(self, index: int) -> int:
        """How many days before today a measure's window ends; 0 where today is in it."""
        slot = self.layout.program.slots[index]
        window = slot.kept.spec.window if isinstance(slot, KeptValue) else None
        return window.shift if window is not None and window.kind == "days" else 0

    def postpone(self, later: Iterable[tuple[str, int]], row: int) -> None:
        """Note that trends of a row will have to be read anew when today enters their windows."""
        table = self.tables[""]
        for name, shift in later:
            until, day = self.narrow[f"{name}_until"], self.today + shift
            if until[row] > day:
                until[row] = day
                if day < table.soonest.get(name, NEVER):
                    table.soonest[name] = day

    def _take(
        self, scope: Scope, counted: Iterable[int], prop: str, value: str | None, asks: Asks
    ) -> Callable[..., Sequence[int]]:
        """The printed folding of measures for an event of today, and the asking of what it may have turned.

        ``e`` is the event, ``x`` its time, ``i`` the row (and ``r`` the account's, of a thing), ``k`` the rules to ask,
        ``h`` those to consider.
        """
        lines: list[str] = []
        gates = {column: self._kept_as("G", rules) for column, rules in asks.gates.items()}
        rings: dict[str, Ring] = {}
        for index in counted:
            if index in scope.runs:
                rings[scope.runs[index][0].name] = scope.runs[index][0]
            if index in scope.since:
                column = scope.since[index]
                trends = [one.name for one in scope.trends.values() if one.since == column]
                now = [line for name in trends for line in _zeroed(name, gates.get(name))]
                if scope.kept[index].spec.verb == "days_since":
                    body = [f"if x > {column}[i]: {column}[i] = x", *now]
                else:
                    body = [f"if {column}[i] == {LONG_AGO}:", f"    {column}[i] = x", *("    " + line for line in now)]
                lines += self._under(scope.kept[index].spec.where, prop, value, body)
        for ring in rings.values():
            lines += self._under(
                ring.spec.where, prop, value, _counted(ring, scope.prefix, self._raw(ring, prop, value), gates)
            )
        head = ["def take(i, e, x, r):" if scope.kind else "def take(i, e, x):", "    p = e.properties"]
        head += ["    k = ()"] if gates else []
        asked = f"{scope.prefix}asked(k, r, i)" if scope.kind else "asked(k, i)"
        tail = [f"    h = {asked} if k else ()"] if gates else ["    h = ()"] if asks.lines else []
        tail += ["    " + line for line in asks.lines]
        return self._function([*head, *lines, *tail, "    return h" if tail else "    return ()"], "take")

    def _asking(self, kind: str) -> Callable[..., Sequence[int]]:
        """A function that gives of these rules those to consider for a row."""
        checks: dict[int, Check] = {}

        def asked(rules: tuple[int, ...], *rows: int) -> Sequence[int]:
            found: list[int] = []
            for rule in rules if len(rules) == 1 else dict.fromkeys(rules):
                check = checks.get(rule)
                if check is None:
                    check = checks[rule] = self._check(kind, [rule])
                found += check(*rows, False)
            return found

        return asked

    def _kept_as(self, letter: str, value: object) -> str:
        """A value under a name that printed code can use."""
        name = f"{letter}{self._names}"
        self._names += 1
        self.narrow[name] = value
        return name

    def printed_acts(self, those: Iterable[Acts]) -> Callable[[int, int], None]:
        """The printed counting of one act of a thing today: ``i`` is the row, ``v`` how long it took."""
        lines = ["def act(i, v):"]
        for acts in those:
            for ring, amount in ((acts.count, "1"), (acts.length, "v")):
                runs = [f"{run.name}[i]" for run in ring.runs if not run.shift]
                cells = [f"{ring.name}[{ring.name}_at + i]"] if ring.days else []
                lines += [f"    {line}" for line in (_added(ring, amount) if cells else ())]
                lines += [f"    {cell} += {amount}" for cell in runs]
                lines += [f"    if not -{ring.limit} < {cell} < {ring.limit}: raise Wild" for cell in cells or runs]
        return self._function(lines, "act")

    def _raw(self, ring: Ring, prop: str, value: str | None) -> str:
        """The text that reads what a ring counts; names stay in a table, no text of a rulebook is printed.

        ``value`` is that of the property ``prop``, known before the event comes; None: it is not.
        """
        if ring.path == ("user_id",) or not ring.path:
            return "e.user_id"
        if value is not None and ring.path == (prop,) and ring.spec.verb == "unique":
            return self._kept_as("V", different(value))
        self._paths.append(ring.path[0] if len(ring.path) == 1 else ring.path)
        at = len(self._paths) - 1
        raw = f"p.get(P[{at}])" if len(ring.path) == 1 else f"nested(p, P[{at}])"
        return f"different({raw})" if ring.spec.verb == "unique" else raw

    def _under(self, where: tuple[Test, ...], prop: str, value: str | None, body: list[str]) -> list[str]:
        """A body under the tests that are still open."""
        tests = open_tests(where, prop, value)
        if not tests:
            return ["    " + line for line in body]
        self._tests.append(tests)
        head = f"    if passes(W[{len(self._tests) - 1}], e):"
        return [head, *("        " + line for line in body)]


def _doubt(rule: RuleProgram, wide: Coder, term: Term) -> str:
    """Where a rule may be unknown: neither true nor false, or true with perhaps nobody to write to."""
    try:
        no = wide.no(term)
    except OddError:
        return "unsettled(False)"
    return f"unsettled({no}, {wide.yes(term)})" if _has_reader(rule) else f"unsettled({no})"


def _has_reader(rule: RuleProgram) -> bool:
    """Does it write to nobody, or to one of us who is always known?"""
    outreach = rule.rule.outreach
    return outreach is None or (outreach.audience == "staff" and bool(rule.rule.owner))


def _simple(rule: RuleProgram) -> bool:
    """Once, or once in a while, at once, to one of us who is always known?"""
    spec = rule.rule
    known = _has_reader(rule)
    at_once = not spec.holds_for and rule.clear_when is None
    return known and at_once and spec.re_entry.kind in {"never", "every"} and rule.way in {"account", "thing"}


def fickle(rule: RuleProgram) -> bool:
    """May everybody it writes to go away while its conditions hold? Then it is asked whenever people have changed."""
    outreach = rule.rule.outreach
    if outreach is None or outreach.audience == "staff":
        return False
    return not any("person" in reader.alternatives for reader in outreach.to)


def _view(array: Any) -> Any:
    """An array as a flat run of plain numbers: reading one of them is several times as fast as from the array."""
    return memoryview(array.reshape(-1)) if array.size else array


def counted_by(layout: Layout, event_type: str, prop: str, value: str | None) -> list[int]:
    """The account's measures that events of a type, with this value of the telling property, may enter."""
    kept = layout.scopes[""].kept
    return [at for at in layout.program.shape.route(event_type) if _may(kept[at].spec.where, prop, value)]


def open_tests(where: Iterable[Test], prop: str, value: str | None) -> tuple[Test, ...]:
    """The tests that the value of the telling property (None: any other) does not settle."""
    return tuple(test for test in where if not (value is not None and test.path == (prop,) and is_plain_text(test)))


def _may(where: Iterable[Test], prop: str, value: str | None) -> bool:
    """May an event with this value of the telling property (None: any other) pass the tests?"""
    tests = [test for test in where if prop and test.path == (prop,) and is_plain_text(test)]
    return all(value is not None and value in test.operands for test in tests)


def _counted(ring: Ring, prefix: str, raw: str, gates: Mapping[str, str]) -> list[str]:
    """The lines that count an event of today in a ring and its windows."""
    verb, at = ring.spec.verb, f"{ring.name}[{ring.name}_at + i]"
    runs = [run for run in ring.runs if not run.shift]
    if verb == "sum":
        return _summed(ring, raw)
    rises = [line for run in runs for line in _risen(run, gates)]
    if verb == "count":
        return [*(_added(ring, "1") if ring.days else []), *rises] or ["pass"]
    if verb == "days_active":
        if ring.days:
            return [f"if not {at}:", f"    {at} = 1", *("    " + line for line in rises)]
        new = ["    d[today] = 1", *("    " + line for line in rises)]
        return [f"d = {ring.name}_of[i]", f"if d is None: d = {ring.name}_of[i] = " + "{}", "if today not in d:", *new]
    return _different(ring, prefix, raw, gates)


def _added(ring: Ring, amount: str) -> list[str]:
    """The lines that add to today in a ring; a ring that is too narrow for it refuses, and is made wider."""
    at = f"{ring.name}[{ring.name}_at + i]"
    return [f"try: {at} += {amount}", f"except ValueError: widen('{ring.name}', {at} + {amount}); {at} += {amount}"]


def _risen(run: Run, gates: Mapping[str, str]) -> list[str]:
    """The lines that add one to a running count, and ask what turns at the count that is reached."""
    gate = gates.get(run.name)
    if gate is None:
        return [f"{run.name}[i] += 1"]
    return [f"{run.name}[i] = n = {run.name}[i] + 1", f"if n in {gate}: k += {gate}[n]"]


def _zeroed(trend: str, gate: str | None) -> list[str]:
    """The lines that set days since an event to 0, and ask what turns where they were not."""
    if gate is None:
        return [f"{trend}[i] = 0.0"]
    return [f"if {trend}[i] != 0.0:", f"    {trend}[i] = 0.0", f"    k += {gate}[None]"]


def _summed(ring: Ring, raw: str) -> list[str]:
    runs = [run.name for run in ring.runs if not run.shift]
    guards = [f"{ring.name}[{ring.name}_at + i]"] if ring.days else [f"{name}[i]" for name in runs]
    limit = ring.limit
    adds = [f"if not -{limit} < v < {limit}: raise Wild", *(_added(ring, "v") if ring.days else [])]
    adds += [f"{name}[i] += v" for name in runs]
    adds += [f"if not -{limit} < {one} < {limit}: raise Wild" for one in guards]
    return [f"v = millionths({raw})", "if v is not None:", *("    " + line for line in adds)]


def _different(ring: Ring, prefix: str, value: str, gates: Mapping[str, str]) -> list[str]:
    rises = [line for run in ring.runs if not run.shift for line in _risen(run, gates)]
    lines = [
        f"u = {value}",
        "if u is not None:",
        f"    d = {ring.name}_of[i]",
        f"    if d is None: d = {ring.name}_of[i] = " + "{}",
    ]
    if not ring.days:
        return [*lines, "    if u not in d:", "        d[u] = 0", *("        " + line for line in rises)]
    longest = max(ring.runs, key=lambda run: run.size).name
    lines += [
        "    y = d.get(u)",
        "    if y != today:",
        "        if y is None:",
        f"            forget(d, {longest}[i], today - {ring.days})",
        "            u = intern(u)",
        "        d[u] = today",
        *(f"        {line}" for line in _added(ring, "1")),
        "        if y is None:",
        *("            " + line for line in rises),
        "        else:",
        f"            if y > today - {ring.days}: {ring.name}[y % {ring.days} * {prefix}size + i] -= 1",
    ]
    for run in ring.runs:
        lines.append(f"            if y <= today - {run.size}:")
        lines += ["                " + line for line in _risen(run, gates)]
    return lines
