"""What a rulebook's rules use: only that is kept of events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.rulebook.agreed import GOAL, REACHED, is_derived
from engine.rulebook.book import Rulebook
from engine.rulebook.spec import Measure, Rule, Thing
from engine.rulebook.words import THING_NAMES

OF_PROPERTIES = frozenset({"attribute", "days_to", "hours_to"})
"""Measures of a thing that are read from its properties; others keep what they need of its events."""


@dataclass(frozen=True, slots=True)
class Uses:
    """Names that rules read, also by way of others (a thing's: ``ticket.grade``), and the kinds of things they need."""

    names: frozenset[str]
    kinds: frozenset[str]


def uses_of(book: Rulebook) -> Uses:
    """Everything that the rules of a rulebook read, follow, or hand to their templates."""
    names: dict[str, None] = {}
    kinds: set[str] = set()
    todo = [name for rule in book.rules for name in _of_rule(book, rule)]
    for measure in book.measures.values():
        if measure.verb == "portfolio":
            todo += [measure.name, measure.prop, *([measure.segment] if measure.segment else [])]
    kinds.update(name for name, thing in book.things.items() if thing.portfolio)
    while todo:
        name = todo.pop()
        if name not in names:
            names[name] = None
            todo += _below(book, name)
    for rule in book.rules:
        if rule.thing:
            kinds.add(rule.thing)
        people = bool(rule.thing) and bool(book.things[rule.thing].people)
        if people or (rule.outreach is not None and rule.outreach.audience == "customer"):
            kinds.add("person")
    kinds.update(book.measures[name].thing for name in names if name in book.measures and book.measures[name].thing)
    return Uses(frozenset(names), frozenset(kinds))


def _of_rule(book: Rulebook, rule: Rule) -> Iterator[str]:
    lines = [*rule.when, *rule.unless, *([rule.clear_when] if rule.clear_when else [])]
    for line in lines:
        yield from line.term.names()
    if rule.audience:
        yield rule.audience
    if rule.re_entry.name:
        yield rule.re_entry.name
    template = book.templates.get(rule.outreach.template) if rule.outreach else None
    yield from needs_of(rule, template.needs) if template else ()


def needs_of(rule: Rule, needs: Iterable[str]) -> list[str]:
    """The names that a template needs of an account; what a report shows comes with what was issued."""
    return [name for name in needs if not (rule.report and name == "report")]


def parts_of(book: Rulebook, name: str) -> list[str] | None:
    """The names that a segment or score is made of; None for any other name."""
    if name in book.segments:
        return [inner for line in book.segments[name].when for inner in line.term.names()]
    score = book.scores.get(name.partition(".")[0])
    return None if score is None else [inner for part in score.parts for inner in part.value.term.names()]


def _below(book: Rulebook, name: str) -> Iterable[str]:
    """What a name is made of."""
    if is_derived(name):
        measures = [value.measure for value in book.values.values()]
        return [*measures, *([f"{GOAL}.target", f"{GOAL}.baseline"] if name.endswith(REACHED) else [])]
    return _of_measure(book.measures[name]) if name in book.measures else parts_of(book, name) or ()


def _of_measure(measure: Measure) -> Iterator[str]:
    if measure.thing:
        yield f"{measure.thing}.{measure.prop}"
        for test in measure.where:
            yield f"{measure.thing}.{test.path[0]}"


def properties_of(thing: Thing, names: Iterable[str], nested: Iterable[str]) -> frozenset[str]:
    """The properties of a thing that are read when rules use these names: its own, its roles', its ``where``'s.

    ``nested``: properties that measures over things look into.
    """
    measures = {one.name: one.prop if one.verb in OF_PROPERTIES else "" for one in thing.measures}
    rests = [rest for name in names for owner, _, rest in [name.partition(".")] if owner == thing.name]
    wanted = [*nested, *(measures.get(rest, rest) for rest in rests if rest not in THING_NAMES)]
    wanted += [measures[one] for one in measures if thing.portfolio]
    wanted += [prop for _, prop in thing.people] + [test.path[0] for test in thing.where]
    return frozenset(one.partition(".")[0] for one in wanted if one)
