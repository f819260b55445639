"""Values as conditions see them: numbers, text, true and false, dates, lists, and the unknown."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from engine.instants import Instant, from_datetime, iso, parse_iso
from engine.numbers import millionths, plain, to_double
from engine.zones import Day, Zone, date_of, day_of
from engine.zones import zone as zone_of


class Date(msgspec.Struct, frozen=True, gc=False):
    """A date: its instant, and the day when it was written as a bare day (then ``at`` is that day's first instant)."""

    at: Instant
    bare: Day | None = None

    def text(self) -> str:
        """The one spelling under which a date is stored and compared as an occasion.

        >>> Date(1772442000000).text()
        '2026-03-02T09:00:00Z'
        """
        return iso(self.at) if self.bare is None else date_of(self.bare).isoformat()


Value = float | str | bool | Date | tuple[Any, ...] | None
"""None is the unknown."""

_LEAST = from_datetime(datetime(1, 1, 1, tzinfo=UTC))
_MOST = from_datetime(datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC))

KINDS = ("text", "number", "date", "list", "true/false", "personal")
"""The types an attribute may be declared with."""


def read(raw: object, declared: str | None, where: Zone) -> Value:
    """Read a JSON value as its declared type; without one, text, numbers and true/false as they are. Else unknown.

    >>> read("12", "number", zone_of("UTC")) is None, read(12, None, zone_of("UTC"))
    (True, 12.0)
    """
    if raw is None:
        return None
    if declared is None:
        return raw if isinstance(raw, (str, bool)) else number(raw)
    if declared == "date":
        return read_date(raw, where)
    if declared == "number":
        return number(raw)
    if declared == "list":
        return tuple(raw) if isinstance(raw, (list, tuple)) else None
    wanted = str if declared == "text" else bool
    return raw if isinstance(raw, wanted) else None


def number(raw: object) -> float | None:
    """The double of a JSON number within the limits, else unknown."""
    exact = millionths(raw)
    return None if exact is None else to_double(exact)


def number_in_text(raw: object) -> object:
    """The number that a text is exactly, for ``as: number``; anything else as it is.

    >>> number_in_text("12.5"), number_in_text("12 seats")
    (Decimal('12.5'), '12 seats')
    """
    if not isinstance(raw, str) or not _is_number(raw):
        return raw
    return Decimal(raw)


def read_date(raw: object, where: Zone) -> Date | None:
    """Read ``YYYY-MM-DD`` or an ISO instant (without an offset: in the account's zone); anything else is unknown."""
    return _date(raw, where.key) if isinstance(raw, str) else None


def nested(properties: Mapping[str, Any], path: tuple[str, ...]) -> object:
    """The value at a dotted path; None where there is nothing."""
    found: object = properties
    for name in path:
        if type(found) is not dict and not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def to_json(value: Value) -> Any:
    """A value as it is stored with a decision and printed by ``--json``."""
    if isinstance(value, float):
        return plain(value)
    if isinstance(value, Date):
        return value.text()
    if isinstance(value, tuple):
        return [_json_item(item) for item in value]
    return value


def occasion(value: Value) -> str | None:
    """The text that tells one value of ``once_per`` from another; None for the unknown."""
    if value is None or isinstance(value, tuple):
        return None
    if isinstance(value, str):
        return value
    return value.text() if isinstance(value, Date) else json.dumps(to_json(value))


def thing_id(raw: object) -> str | None:
    """The id of a thing as text; only text and numbers name one.

    >>> thing_id(12), thing_id(Decimal("12.0")), thing_id(None)
    ('12', '12', None)
    """
    if isinstance(raw, str):
        return raw or None
    if isinstance(raw, bool) or raw is None:
        return None
    exact = millionths(raw)
    return None if exact is None else str(plain(to_double(exact)))


def _json_item(item: object) -> object:
    if isinstance(item, (float, Date)):
        return to_json(item)
    return plain(to_double(exact)) if (exact := millionths(item)) is not None else item


def _is_number(text: str) -> bool:
    body = text[1:] if text[:1] == "-" else text
    whole, point, rest = body.partition(".")
    return whole.isascii() and whole.isdigit() and (not point or (rest.isascii() and rest.isdigit()))


@lru_cache(maxsize=65_536)
def _date(text: str, zone_key: str) -> Date | None:
    where = zone_of(zone_key)
    if len(text) == 10:  # noqa: PLR2004 - YYYY-MM-DD
        found = parse_iso(text + "T00:00")
        if found is None:
            return None
        day = day_of(found[0].date())
        try:
            return Date(where.start(day), day)
        except (OverflowError, ValueError):
            return None
    found = parse_iso(text)
    if found is None:
        return None
    moment, has_offset = found
    try:
        at = from_datetime(moment) if has_offset else where.instant(moment)
    except (OverflowError, ValueError):
        return None
    return Date(at) if _LEAST <= at <= _MOST else None  # an offset may lead out of the years that can be written
