"""What a rule owes to silence: the lines that could hold only because events of some types did not come in.

A stream that stops must not be read as customers who stop (RULEBOOK 10). Each value is followed to the events it is
made of, and it is asked in which direction it goes wrong when some of them are missing.
"""

from collections.abc import Iterable, Sequence
from enum import Flag

from engine.rulebook.agreed import DERIVED, GOAL
from engine.rulebook.book import Rulebook
from engine.rulebook.expressions import Term
from engine.rulebook.spec import OURS, Act, Line, Measure, Rule, Score, Thing, Types
from engine.rulebook.words import MOMENTS


class Wrong(Flag):
    """How a value may be wrong while events are missing: less than it is, or more; of a truth: untrue, or true."""

    NOT = 0
    LESS = 1
    MORE = 2
    ANY = 3


NOT, LESS, MORE, ANY = Wrong.NOT, Wrong.LESS, Wrong.MORE, Wrong.ANY
_FEWER = frozenset({"count", "unique", "days_active", "maximum", "days_since_first"})
_LONGER = frozenset({"days_since", "hours_since", "minimum"})
_TRAITS = Types(("account.updated", "owner.changed", "subscription.created"))
_PEOPLE = Types(("user.updated", "user.removed"))
_BUILT_IN = frozenset({"account_age_days", *MOMENTS})


def owed(book: Rulebook, rule: Rule, missing: Types) -> list[str]:
    """The parts of a rule that could hold because events of these types are missing; nothing: it needs them to fire.

    >>> from engine.rulebook.book import load_rulebook
    >>> text = (
    ...     "measures: {uses: {count: feature.used, over: 7d}}"
    ...     + chr(10)
    ...     + (
    ...         "rules: [{id: a, when: [uses == 0], notify: {template: n, to: rule owner}, owner: a@b.example},"
    ...         "{id: b, when: [uses >= 9], notify: {template: n, to: rule owner}, owner: a@b.example}]"
    ...     )
    ... )
    >>> files = {"rules/a.yml": text, "templates/n/template.yml": "for: staff"}
    >>> book, _ = load_rulebook(files, duties=False)
    >>> [owed(book, rule, Types(("feature.used",))) for rule in book.rules]
    [['uses == 0'], []]
    """
    reader = _Reader(book, missing, rule.thing)
    found = [line.text for line in rule.when if MORE in reader.truth(line.term)]
    found += [f"unless {line.text}" for line in rule.unless if LESS in reader.truth(line.term)]
    if rule.audience and MORE in reader.lines(book.segments[rule.audience].when):
        found.append(f"audience {rule.audience}")
    if rule.thing and _acts(book.things[rule.thing].closed_by, missing):
        found.append(f"the {rule.thing} is open")
    return found


def overlap(one: Types, other: Types) -> bool:
    """May an event be of both?

    >>> overlap(Types(("ticket.opened",)), Types(beginnings=("ticket.",)))
    True
    >>> overlap(Types(beginnings=("call.",)), Types(beginnings=("ticket.",)))
    False
    """
    if any(other.match(name) for name in one.exact) or any(one.match(name) for name in other.exact):
        return True
    pairs = [(a, b) for a in one.beginnings for b in other.beginnings]
    return any((a.startswith(b) or b.startswith(a)) and a.startswith(OURS) == b.startswith(OURS) for a, b in pairs)


def _acts(acts: Iterable[Act], missing: Types) -> bool:
    return any(overlap(act.types, missing) for act in acts)


def _turned(wrong: Wrong) -> Wrong:
    """The same of the opposite."""
    return (MORE if LESS in wrong else NOT) | (LESS if MORE in wrong else NOT)


def _all(found: Iterable[Wrong]) -> Wrong:
    whole = NOT
    for one in found:
        whole |= one
    return whole


def _any(found: Iterable[Wrong]) -> Wrong:
    """Wrong in whatever direction, if anything is wrong at all."""
    return ANY if _all(found) else NOT


class _Reader:
    """Reads the terms of one rule."""

    def __init__(self, book: Rulebook, missing: Types, thing: str) -> None:
        self._book = book
        self._missing = missing
        self._thing = thing

    # -- truths ----------------------------------------------------------------------------------------------------
    def lines(self, lines: Sequence[Line]) -> Wrong:
        """All of these hold."""
        return _all(self.truth(line.term) for line in lines)

    def truth(self, term: Term) -> Wrong:
        """``MORE``: it may hold though it would not; ``LESS``: it may not hold though it would."""
        op, args = term.op, term.args
        if op in {"lt", "le"}:
            return _turned(self.number(args[0])) | self.number(args[1])
        if op in {"gt", "ge"}:
            return self.number(args[0]) | _turned(self.number(args[1]))
        if op in {"both", "either"}:
            return _all(self.truth(arg) for arg in args)
        if op == "negate":
            return _turned(self.truth(args[0]))
        if op == "name" and str(term.value) in self._book.segments:
            return self.lines(self._book.segments[str(term.value)].when)
        return _any(self.number(arg) for arg in args) if args else _any([self.number(term)])

    # -- numbers ---------------------------------------------------------------------------------------------------
    def number(self, term: Term) -> Wrong:
        """In which direction may the value be wrong?"""
        op, args = term.op, term.args
        if op == "name":
            return self.name(str(term.value))
        parts = [self.number(arg) for arg in args]
        if op in {"add", "least", "greatest"}:
            return _all(parts)
        if op == "sub":
            return parts[0] | _turned(parts[1])
        if op == "minus":
            return _turned(parts[0])
        if op == "rounded":
            return parts[0]
        if op in {"mul", "div"}:
            return self._scaled(op, args, parts)
        return _any(parts)

    def _scaled(self, op: str, args: Sequence[Term], parts: Sequence[Wrong]) -> Wrong:
        constants = [arg.value for arg in args if arg.op == "constant" and isinstance(arg.value, int | float)]
        if len(constants) != 1 or (op == "div" and args[1].op != "constant"):
            return _any(parts)
        return _all(parts) if constants[0] >= 0 else _turned(_all(parts))

    # -- names -----------------------------------------------------------------------------------------------------
    def name(self, name: str) -> Wrong:
        """In which direction may a name's value be wrong?"""
        book = self._book
        owner, _, rest = name.partition(".")
        if name in book.measures:
            return self.measure(book.measures[name])
        if name in book.segments:
            return self.lines(book.segments[name].when)
        if self._thing and owner == self._thing and rest:
            return self._of_thing(book.things[owner], rest)
        if owner in book.scores and (rest or name not in book.account_attributes):
            return self._score(book.scores[owner], rest)
        if name in _BUILT_IN or owner == "event":
            return NOT
        return self._if(overlap(_TRAITS, self._missing) or overlap(_PEOPLE, self._missing))

    def measure(self, measure: Measure) -> Wrong:
        """Of a measure, by its verb."""
        found = self._unscaled(measure)
        return _turned(found) if measure.times < 0 else found

    def _unscaled(self, measure: Measure) -> Wrong:
        missing = self._missing
        if measure.verb == "portfolio":
            inner = self.name(measure.prop)
            members = self.lines(self._book.segments[measure.segment].when) if measure.segment else NOT
            return _any([inner, members]) if members or measure.take in {"average", "median"} else inner
        if measure.thing:
            return self._over_things(measure, self._book.things[measure.thing])
        if measure.types is None:
            return self._if(overlap(_TRAITS, missing))
        if not overlap(measure.types, missing):
            return NOT
        return LESS if measure.verb in _FEWER else MORE if measure.verb in _LONGER else ANY

    def _over_things(self, measure: Measure, thing: Thing) -> Wrong:
        missing = self._missing
        opened, closed = _acts(thing.opened_by, missing), _acts(thing.closed_by, missing)
        tested = bool(measure.where) or bool(thing.where) or bool(thing.each_in) or thing.name == "person"
        if tested or measure.verb not in {"open", "opened", "closed"}:
            return self._if(self._touched(thing))
        if measure.verb == "open":
            return (LESS if opened else NOT) | (MORE if closed else NOT)
        return LESS if opened or closed else NOT

    def _of_thing(self, thing: Thing, rest: str) -> Wrong:
        inner = next((measure for measure in thing.measures if measure.name == rest), None)
        if inner is not None and inner.types is not None:
            return self.measure(inner)
        if rest == "id":
            return NOT
        if thing.name == GOAL and rest in DERIVED:
            found = _any(self.measure(self._book.measures[one.measure]) for one in self._book.values.values())
            return self._if(bool(found) or self._touched(thing))
        return self._if(self._touched(thing))

    def _touched(self, thing: Thing) -> bool:
        """May a missing event have been about such a thing? Every event may be about a person."""
        acts = (*thing.opened_by, *thing.asked_by, *thing.answered_by, *thing.closed_by)
        traits = bool(thing.each_in) and overlap(_TRAITS, self._missing)
        return thing.name == "person" or traits or _acts(acts, self._missing) or overlap(thing.family, self._missing)

    def _score(self, score: Score, rest: str) -> Wrong:
        parts = [
            self.number(part.value.term) if part.start < part.end else _turned(self.number(part.value.term))
            for part in score.parts
        ]
        return _any(parts) if rest else _all(parts)

    def _if(self, concerned: bool) -> Wrong:  # noqa: FBT001 - the only thing it is asked
        return ANY if concerned else NOT
