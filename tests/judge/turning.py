"""When an account must be looked at though nothing happened to it. Too many instants do no harm."""

import ast
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from tests.judge import expression
from tests.judge.days import HOUR, exact_lengths, next_midnight, read_date
from tests.judge.kinds import is_number
from tests.judge.picture import Picture
from tests.judge.view import View, verb_of

_HOURS = ("open_hours", "waiting_hours")
_MIXED = ("sum", "average", "median")


def all_measures(books: dict) -> dict[str, dict]:
    """All measures, of the account by name and of things by ``THING.name``."""
    found = dict(books.get("measures") or {})
    for kind, spec in (books.get("things") or {}).items():
        found |= {f"{kind}.{name}": measure for name, measure in (spec.get("measures") or {}).items()}
    return found


def hour_names(books: dict) -> set[str]:
    """The names (without their thing) of values in hours that move with the clock."""
    found = set(_HOURS)
    measures = all_measures(books)
    for _ in measures:
        for name, spec in measures.items():
            verb = verb_of(spec)
            if verb in ("hours_since", "hours_to") or ("of" in spec and spec[verb] in found):
                found.add(name.rpartition(".")[2])
    return found


def constants(books: dict) -> set[Fraction]:
    """All numbers to which hours are compared, as they are and undone by each ``times``; and 0, where signs turn."""
    names = hour_names(books)
    found = {Fraction(0)}
    for line in _lines(books):
        for node in ast.walk(expression.parse(expression.source(line))):
            if isinstance(node, ast.Compare) and _tails(node) & names:
                values = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
                found |= {Fraction(value) for value in values if is_number(value)}
    for wanted in _wheres(books, names):
        found |= {Fraction(bound) for bound in _numbers(wanted)}
    scales = {Fraction(str(spec["times"])) for spec in all_measures(books).values() if "times" in spec}
    found |= {constant / scale for constant in found for scale in scales if scale}
    return found | {-constant for constant in found}


def _tails(node: ast.AST) -> set[str]:
    attributes = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    return attributes | {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _lines(books: dict) -> Iterator[Any]:
    for rule in [*(books.get("rules") or []), *(books.get("segments") or {}).values()]:
        for key in ("audience", "when", "unless", "clear_when"):
            lines = rule.get(key)
            yield from lines if isinstance(lines, list) else [] if lines is None else [lines]


def _wheres(books: dict, names: set[str]) -> Iterator[Any]:
    for spec in all_measures(books).values():
        yield from (wanted for name, wanted in (spec.get("where") or {}).items() if name in names)


def _numbers(wanted: Any) -> Iterator[Any]:
    if isinstance(wanted, dict):
        for bound in wanted.values():
            yield from _numbers(bound)
    elif isinstance(wanted, list):
        for item in wanted:
            yield from _numbers(item)
    elif is_number(wanted):
        yield wanted


def uses_hours(books: dict) -> bool:
    """Whether any hours are used at all (a quick no for most rulebooks)."""
    return len(hour_names(books)) > len(_HOURS) or any(name in repr(books) for name in _HOURS)


def _around(exact: Fraction) -> set[int]:
    return {math.floor(exact) - 1, math.floor(exact), math.ceil(exact), math.ceil(exact) + 1}


def bases(picture: Picture) -> set[int]:
    """All instants that an hour can be counted from or to."""
    found = {event.at for event in picture.events} | {picture.first_seen, picture.told_since}
    for event in picture.events:
        found |= {date.at for text in _texts(event.properties) if (date := read_date(text, picture.zone))}
    return found


def _texts(raw: Any) -> Iterator[str]:
    if isinstance(raw, str):
        yield raw
    for part in raw.values() if isinstance(raw, dict) else raw if isinstance(raw, list) else []:
        yield from _texts(part)


def _is_mixed(spec: dict, names: set[str]) -> bool:
    verb = verb_of(spec)
    return verb in _MIXED and spec[verb] in names


class Turns:
    """What of a rulebook makes values turn without an event."""

    def __init__(self, books: dict) -> None:
        """Read the rulebook once; nothing of the events is kept."""
        names = hour_names(books)
        self.constants = constants(books)
        self.mixed = [spec for spec in (books.get("measures") or {}).values() if _is_mixed(spec, names)]
        self.shifts = self._shifts(books)

    def _shifts(self, books: dict) -> set[int]:
        """All distances from an instant at which something may turn: hours compared, exact windows entered and left."""
        found: set[int] = set()
        if uses_hours(books):
            for constant in self.constants:
                found |= _around(constant * HOUR)
        for spec in all_measures(books).values():
            for length in exact_lengths(spec):
                found |= _around(Fraction(length))
        return found

    def fixed_instants(self, picture: Picture, after: int, until: int) -> set[int]:
        """The midnights and turning points in (after, until], as far as they follow from the events alone."""
        found = set()
        midnight = next_midnight(after, picture.zone)
        while midnight <= until:
            found.add(midnight)
            midnight = next_midnight(midnight, picture.zone)
        if self.shifts:
            found |= {base + shift for base in bases(picture) for shift in self.shifts}
        return {at for at in found if after < at <= until}

    def mixed_instants(self, view: View) -> set[int]:
        """The next turns of sums, averages and medians of hours, which move on straight lines between looks."""
        found: set[int] = set()
        soon = View(view.picture, view.at + 1)
        for spec in self.mixed:
            now, then = view.measure(spec, None), soon.measure(spec, None)
            if now is not None and then is not None and then != now:
                for constant in self.constants:
                    found |= _around(view.at + (constant - now) / (then - now))
        return {at for at in found if at > view.at}
