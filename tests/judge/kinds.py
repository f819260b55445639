"""Kinds of values, exact numbers, properties, and ``where``.

A value is None (unknown), a bool, a Fraction or float, a str, a Date, or a tuple (a list attribute).
"""

import json
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeGuard

from tests.judge.days import Date, read_date

_MILLION = 1_000_000
_MOST_WHOLE = 9 * 10**12
_MOST_DECIMAL = 9 * 10**9
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?")


def is_number(raw: object) -> TypeGuard[Any]:
    """Whether a raw value is a number; true is not 1."""
    return isinstance(raw, int | float | Decimal | Fraction) and not isinstance(raw, bool)


def number(raw: Any) -> Fraction | None:
    """An event's number as a whole number of millionths (half-even), None outside the limits."""
    exact = Fraction(Decimal(repr(raw)) if isinstance(raw, float) else raw)
    if abs(exact) > (_MOST_WHOLE if exact.denominator == 1 else _MOST_DECIMAL):
        return None
    return Fraction(round(exact * _MILLION), _MILLION)


def number_text(text: str) -> Fraction | None:
    """``as: number``: text that is exactly a number."""
    return number(Decimal(text)) if _NUMBER.fullmatch(text) else None


def there(raw: object) -> bool:
    """Whether a property is there: not null, and no number outside the limits."""
    return number(raw) is not None if is_number(raw) else raw is not None


def scalar(raw: object) -> Any:
    """A property without a declared type: number, text or true/false; lists and objects are no values."""
    if is_number(raw):
        return number(raw)
    return raw if isinstance(raw, bool | str) else None


def typed(raw: object, kind: str | None, zone: str) -> Any:
    """A property or trait of a declared type; unknown if it is not of it."""
    if kind == "personal":
        return True if raw is not None else None
    if kind == "list":
        return tuple(scalar(item) for item in raw) if isinstance(raw, list) else None
    value = scalar(raw)
    if kind == "date":
        return read_date(value, zone) if isinstance(value, str) else None
    wanted = {"text": "text", "number": "number", "true/false": "bool"}.get(kind or "")
    return value if wanted is None or kind_of(value) == wanted else None


def dig(properties: object, path: str) -> Any:
    """A property by its dotted path; None where there is none."""
    for step in path.split("."):
        if not isinstance(properties, dict):
            return None
        properties = properties.get(step)
    return properties


def id_text(raw: object) -> str | None:
    """An id, compared as text: a text or a number."""
    if isinstance(raw, str):
        return raw
    exact = number(raw) if is_number(raw) else None
    return None if exact is None else as_text(exact)


def kind_of(value: object) -> str | None:
    """The kind of a known value."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "bool"
    if is_number(value):
        return "number"
    return {str: "text", Date: "date", tuple: "list"}.get(type(value), "other")


def plain(value: object) -> Any:
    """A value as it is stored with a decision: JSON, numbers whole where they are."""
    if isinstance(value, Date):
        return value.text
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if is_number(value):
        double = float(value)
        return int(double) if double.is_integer() else double
    return value


def as_text(value: object) -> str | None:
    """A value as an occasion; None if unknown."""
    stored = plain(value)
    return stored if stored is None or isinstance(stored, str) else json.dumps(stored)


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "at_least": operator.ge,
    "more_than": operator.gt,
    "at_most": operator.le,
    "less_than": operator.lt,
}


def matches(value: object, is_there: bool, wanted: object, zone: str) -> bool:
    """Whether one property satisfies its ``where``.

    ``value`` is typed (a Date for a declared date); ``is_there`` also holds for what is there but is no value.
    """
    if isinstance(wanted, dict):
        return all(_operator(value, is_there, name, bound, zone) for name, bound in wanted.items())
    return is_there and _any_of(value, wanted, zone)


def _operator(value: object, is_there: bool, name: str, bound: object, zone: str) -> bool:
    if name == "known":
        return is_there == bound
    if not is_there:
        return False
    if name == "not":
        return not _any_of(value, bound, zone)
    bound = _bound(value, bound, zone)
    kind = kind_of(value)
    return kind in ("number", "text", "date") and kind == kind_of(bound) and _ORDER[name](_key(value), _key(bound))


def _any_of(value: object, wanted: object, zone: str) -> bool:
    if isinstance(wanted, list):
        return any(_any_of(value, item, zone) for item in wanted)
    bound = _bound(value, wanted, zone)
    return value is not None and kind_of(value) == kind_of(bound) and value == bound


def _bound(value: object, raw: object, zone: str) -> Any:
    if isinstance(value, Date) and isinstance(raw, str):
        return read_date(raw, zone)
    return Fraction(Decimal(repr(raw))) if isinstance(raw, float) else raw


def _key(value: Any) -> Any:
    return value.at if isinstance(value, Date) else value
