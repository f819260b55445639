"""Events as other systems send them: what a format must do, and what all formats need to do it."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from engine.events import MAX_ID
from engine.instants import SECOND, Instant, iso, parse_instant

Object = Mapping[str, Any]
_MILLISECONDS = 10**11
"""From here on epoch time is in milliseconds: as seconds it would be after the year 5138."""
_NO_INSTANT = 10**15
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Foreign(msgspec.Struct, frozen=True):
    """A record of the intake topic: its JSON, its headers, and when it was published."""

    body: Any
    headers: Mapping[str, bytes]
    at: Instant


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a format has mapped it; the engine has still to find it good."""

    id: str
    type: str
    account_id: str
    time: Instant
    user_id: str | None = None
    properties: Object = {}


class Unmapped(Exception):
    """The record is of this format, and cannot be mapped; the message says why, what was found and what to do."""


class Format(Protocol):
    """A module of ``streams.formats``: one system's events."""

    def recognises(self, record: Foreign) -> bool:
        """Is the record of this format? Two formats never both say yes."""
        ...

    def events(self, record: Foreign) -> Iterator[Draft]:
        """Its events; none for what is known and of no use. Raises ``Unmapped``, after what comes before it."""
        ...


def dotted(name: str) -> str:
    """Write a name as a type of event.

    >>> dotted("Report Exported"), dotted("feature.used"), dotted("order_PAID"), dotted("reportExported")
    ('report.exported', 'feature.used', 'order.paid', 'report.exported')
    """
    return ".".join(_WORD.findall(_HUMP.sub(" ", name))).lower()[:MAX_ID]


def snake(name: str) -> str:
    """Write a name as that of a property.

    >>> snake("createdAt"), snake("Company Size"), snake("mrr")
    ('created_at', 'company_size', 'mrr')
    """
    return "_".join(_WORD.findall(_HUMP.sub(" ", name))).lower()


def text_of(value: object) -> str | None:
    """An id as text: systems send the same one as text or as a number.

    >>> text_of("a"), text_of(42), text_of(""), text_of(True), text_of({})
    ('a', '42', None, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    return value or None if isinstance(value, str) else None


def first(*values: object) -> str | None:
    """The first that is an id."""
    return next((found for found in map(text_of, values) if found is not None), None)


def inside(value: object, *keys: str | int) -> Any:
    """What lies at the end of a path; None where it breaks off.

    >>> inside({"a": [{"b": 1}]}, "a", 0, "b"), inside({"a": []}, "a", 0, "b")
    (1, None)
    """
    for key in keys:
        if isinstance(key, int) and isinstance(value, list) and len(value) > key:
            value = value[key]
        elif isinstance(key, str) and isinstance(value, dict):
            value = value.get(key)
        else:
            return None
    return value


def mapping(value: object) -> Object:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def account_of(found: str | None, where: str) -> str:
    """The account's id. Raises ``Unmapped`` when there is none."""
    if found is None:
        raise Unmapped(f"no account: {where} is missing; send the account's id there")
    return found


def time_of(value: object, where: str) -> Instant:
    """ISO text, or seconds or milliseconds since 1970, told apart by their size. Raises ``Unmapped``.

    >>> time_of("2026-03-01T10:00:00Z", "t") == time_of(1772359200, "t") == time_of(1772359200000, "t")
    True
    """
    found: Instant | None = None
    if isinstance(value, str):
        found = parse_instant(value)
    elif isinstance(value, int | Decimal) and not isinstance(value, bool) and 0 <= value < _NO_INSTANT:
        found = int(value * SECOND) if value < _MILLISECONDS else int(value)
    if found is None:
        raise Unmapped(f"{where}: no instant; found {value!r:.60}; send ISO 8601 with its offset, or epoch time")
    return found


def iso_of(value: object) -> str | None:
    """An instant as a property: ISO text, or None where there is none."""
    try:
        return iso(time_of(value, ""))
    except Unmapped:
        return None


def derived(*parts: object) -> str:
    """An id made of what tells an event from all others, for a source that sends none.

    >>> derived("freshdesk", 42, "Open") == derived("freshdesk", 42, "Open") != derived("freshdesk", 42, "Closed")
    True
    """
    return hashlib.sha256(msgspec.json.encode([str(part) for part in parts])).hexdigest()[:32]


def named(system: str, name: object, *else_of: object) -> str:
    """An event's id with its system before it; derived from the rest where the source sent none, or one too long.

    >>> named("stripe", "evt_1"), named("stripe", None, "a") == named("stripe", None, "a")
    ('stripe:evt_1', True)
    """
    found = text_of(name)
    if found is None:
        return f"{system}:{derived(*else_of)}"
    whole = f"{system}:{found}"
    return whole if len(whole) <= MAX_ID else f"{system}:{derived(found)}"


def told(**properties: object) -> dict[str, object]:
    """Properties without those that are not known."""
    return {name: value for name, value in properties.items() if value is not None}


def without(body: Object, names: Sequence[str]) -> dict[str, Any]:
    """An object without some of its keys."""
    return {name: value for name, value in body.items() if name not in names}
