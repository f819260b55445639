"""What a template can do to a value: dates in the reader's zone, numbers, plurals, all in a locale, and safe links."""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from shlex import quote
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context, Undefined

from engine.errors import TemplateError
from engine.instants import from_datetime, parse_iso
from engine.zones import Zone, valid_zone, zone
from outreach.locales import LOCALE, OURS, language
from outreach.units import lasting_text, short_number_text, unit_name, unit_text
from outreach.writing import (
    PLURALS,
    both_text,
    clock_text,
    day_text,
    list_text,
    money_text,
    number_text,
    percent_text,
    plural_text,
    short_day_text,
    weekday_text,
)

LONGEST_TEXT = 10_000
"""Characters of a text that a template puts together by itself."""
_LONGEST_LIST = 1_000
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_URL = re.compile(
    r"(?:(?:https://[^\s/?#@:]+|http://(?:127\.0\.0\.1|localhost|\[::1\]))(?::\d+)?(?:[/?#]\S*)?|mailto:[^\s@]+@[^\s@]+)",
    re.IGNORECASE,
)
_FORMS = {form: form for form in PLURALS}
ZONE = "_zone"
"""Key of the context under which the reader's zone travels; a template cannot read it."""


@pass_context
def day(context: Context, value: Any) -> str:
    """Write the day of a date or instant: ``Thursday, 12 March 2026``, in the reader's zone.

    Raises ``TemplateError`` for anything that is neither ``YYYY-MM-DD`` nor an ISO 8601 instant.
    """
    return day_text(_moment(context, value), _locale(context))


@pass_context
def short_day(context: Context, value: Any) -> str:
    """Write the day of a date or instant in few letters, ``12 March 2026``: for subjects, which phones cut off."""
    return short_day_text(_moment(context, value), _locale(context))


@pass_context
def weekday(context: Context, value: Any) -> str:
    """Write the weekday of a date or instant: ``Thursday``, in the reader's zone."""
    return weekday_text(_moment(context, value), _locale(context))


@pass_context
def clock(context: Context, value: Any) -> str:
    """Write the time of day of an instant with its zone: ``10:00 CET``, in the reader's zone.

    Raises ``TemplateError`` for a date without a time.
    """
    moment = _moment(context, value)
    if not isinstance(moment, datetime):
        raise TemplateError("a date without a time has no time of day; use the filter 'date'")
    return clock_text(moment, _locale(context))


@pass_context
def day_and_clock(context: Context, value: Any) -> str:
    """Write an instant in full, ``Thursday, 12 March 2026, 10:00 CET``; of a bare date only the day."""
    return _with_clock(context, value, day(context, value))


@pass_context
def weekday_and_clock(context: Context, value: Any) -> str:
    """Write an instant that is near, ``Thursday, 10:00 CET``; of a bare date only the weekday."""
    return _with_clock(context, value, weekday(context, value))


@pass_context
def number(context: Context, value: Any, decimals: int | None = None) -> str:
    """Write a number with thousands apart, and with as many decimals as it has, at most two: ``1,234.5``."""
    return number_text(_exact(value), decimals, _locale(context))


@pass_context
def money(context: Context, value: Any, currency: Any) -> str:
    """Write an amount in a currency, whole ones without decimals: ``€1,250``. Raises ``TemplateError`` for no currency.

    ``currency`` is its three letters (ISO 4217), mostly ``account.currency``.
    """
    _known(currency)
    return money_text(_exact(value), str(currency), _locale(context))


@pass_context
def percent(context: Context, value: Any, decimals: int = 0) -> str:
    """Write a share of one as percent: 0.425 is ``42%``."""
    return percent_text(_exact(value), decimals, _locale(context))


@pass_context
def plural(context: Context, value: Any, one: str, many: str | None = None, **forms: str) -> str:
    """Write a number with the word it counts: ``1 report``, ``1,200 reports``, ``2 people``.

    English makes ``many`` of ``one`` by itself. Other languages need it, and some need more, by the names that CLDR has
    for them: ``n|plural("отчёт", few="отчёта", many="отчётов")``. Raises ``TemplateError`` when the word for this
    number is not there.
    """
    exact, locale = _exact(value), _locale(context)
    told = {"one": one, **forms}
    if many is not None:
        told["many"] = many
    elif language(locale) == OURS and "other" not in forms:
        told["other"] = f"{one}s"
    return f"{number_text(exact, None, locale)} {plural_text(exact, told, locale)}"


@pass_context
def plural_form(context: Context, value: Any) -> str:
    """Which plural a number asks for in the mail's language, by the name that CLDR has for it: ``one``, ``other``."""
    return plural_text(_exact(value), _FORMS, _locale(context))


@pass_context
def sums(context: Context, value: Any) -> str:
    """Put amounts of several currencies together as a sentence does: ``€1,250 and $300``.

    ``value`` is a list of ``{"amount", "currency"}``. Raises ``TemplateError`` for anything else.
    """
    _known(value)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise TemplateError("'sums' takes a list of amounts with their currencies; found something else; use 'money'")
    parts = [money_text(_exact(one.get("amount")), str(one.get("currency")), _locale(context)) for one in value]
    return list_text(parts, _locale(context)) if parts else ""


@pass_context
def unit(context: Context, value: Any, one: Any) -> str:
    """Write a number with its unit, given as one of them: ``24 hours``; without a unit the number alone."""
    _known(one)
    return unit_text(_exact(value), str(one), _locale(context))


@pass_context
def one_unit(context: Context, value: Any) -> str:
    """Write one of a unit without a number, as a rate names it: ``hour``, ``Stunde``."""
    _known(value)
    return unit_name(str(value), _locale(context))


@pass_context
def lasting(context: Context, value: Any, days: bool = True) -> str:  # noqa: FBT001, FBT002 - as templates write it
    """Write hours as how long something took: ``7 minutes``, ``33.5 hours``, with ``days`` also ``3.5 days``."""
    return lasting_text(_exact(value), _locale(context), days=days is True)


@pass_context
def short_number(context: Context, value: Any) -> str:
    """Write a number where there is little room: ``12.3K``."""
    return short_number_text(_exact(value), _locale(context))


@pass_context
def listed(context: Context, value: Any) -> str:
    """Put a list of texts together as a sentence does: ``Ada, Grace, and Edsger``; at most 1,000 of them."""
    parts = _texts(value, "listed")
    text = list_text(parts, _locale(context)) if parts else ""
    if len(text) > LONGEST_TEXT:
        raise TemplateError("'listed' makes at most 10,000 characters; these are more; loop over them")
    return text


def safe_url(value: Any) -> str:
    """Let a link pass if it is https or mailto; raises ``TemplateError`` otherwise.

    To this machine http will do, as it does for ``RINGFIRST_PUBLIC_URL``. Autoescaping does not stop ``javascript:``;
    this does.

    >>> safe_url("https://app.example/reports?a=1&b=2")
    'https://app.example/reports?a=1&b=2'
    """
    _known(value)
    text = str(value).strip()
    if not _URL.fullmatch(text) or any(ord(sign) < ord(" ") or sign in "\"'<>\\`" for sign in text):
        raise TemplateError("a link is neither https nor mailto; give the template a full https address")
    return text


def join(value: Any, between: str = ", ") -> str:
    """Join a list of texts or numbers, at most 1,000 of them.

    >>> join(["a", "b"])
    'a, b'
    """
    parts = _texts(value, "join")
    if sum(map(len, parts)) + len(parts) * len(between) > LONGEST_TEXT:
        raise TemplateError("'join' makes at most 10,000 characters; these are more; loop over them")
    return between.join(parts)


def rounded(value: Any, decimals: int = 0) -> Decimal:
    """Round half up, to at most six decimals (Jinja's own raises ten to any power it is given).

    >>> rounded(2.345, 2), rounded(2.5)
    (Decimal('2.35'), Decimal('3'))
    """
    return _exact(value).quantize(_PLACES[min(max(int(decimals), 0), 6)], ROUND_HALF_UP)


def share(value: Any, whole: Any) -> int:
    """How many percent of ``whole`` a number is, a whole number from 0 to 100: the width of a bar.

    >>> share(6, 21), share(30, 20), share(1, 0)
    (29, 100, 0)
    """
    part, all_of_it = _exact(value), _exact(whole)
    if all_of_it <= 0:
        return 0
    return int(min(max(rounded(part / all_of_it * 100), Decimal(0)), Decimal(100)))


def bar(value: Any, whole: Any, width: int = 20) -> str:
    """Draw a number as a bar beside ``whole`` for the text part; more than nothing is at least one block.

    >>> bar(6, 21), bar(0.1, 21), bar(0, 21)
    ('██████', '█', '')
    """
    blocks = int(rounded(Decimal(share(value, whole) * min(max(width, 1), 60)) / 100))
    return "█" * max(blocks, int(_exact(value) > 0 and _exact(whole) > 0))


def shell(value: Any) -> str:
    """Write a text as one word of a command that a reader may copy; an id can hold spaces, quotes or worse.

    >>> shell("acme"), shell("data export; ls")
    ('acme', "'data export; ls'")
    """
    _known(value)
    return quote(str(value))


FILTERS: dict[str, Callable[..., Any]] = {
    "date": day,
    "short_date": short_day,
    "weekday": weekday,
    "weekday_time": weekday_and_clock,
    "time": clock,
    "datetime": day_and_clock,
    "number": number,
    "money": money,
    "percent": percent,
    "plural": plural,
    "plural_form": plural_form,
    "sums": sums,
    "unit": unit,
    "one_unit": one_unit,
    "lasting": lasting,
    "short_number": short_number,
    "listed": listed,
    "safe_url": safe_url,
    "join": join,
    "share": share,
    "bar": bar,
    "shell": shell,
    "round": rounded,
}


_PLACES = [Decimal(1).scaleb(-number) for number in range(7)]


def _known(value: Any) -> None:
    if isinstance(value, Undefined):
        str(value)  # raises, and names what is missing


def _texts(value: Any, what: str) -> list[str]:
    _known(value)
    short = isinstance(value, list) and len(value) <= _LONGEST_LIST
    if not short or not all(isinstance(item, str | int) for item in value):
        raise TemplateError(f"'{what}' takes a list of at most 1,000 texts; loop over anything else")
    return [str(item) for item in value]


def _locale(context: Context) -> str:
    found = context.get(LOCALE)
    return found if isinstance(found, str) else OURS


def _with_clock(context: Context, value: Any, written: str) -> str:
    if not isinstance(_moment(context, value), datetime):
        return written
    return both_text(written, clock(context, value), _locale(context))


def _exact(value: Any) -> Decimal:
    if type(value) is int:
        return Decimal(value)
    if type(value) is Decimal:
        return value
    _known(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TemplateError(f"a number is wanted; found {type(value).__name__}; give the filter a number")
    return Decimal(str(value)) if isinstance(value, float) else Decimal(value)


def _moment(context: Context, value: Any) -> date | datetime:
    _known(value)
    found = _read_moment(value, _reader_zone(context)) if isinstance(value, str) else None
    if found is None:
        raise TemplateError("a date is wanted; found something else; give the filter YYYY-MM-DD or an ISO instant")
    return found


@lru_cache(maxsize=1024)
def _read_moment(text: str, where: Zone) -> date | datetime | None:
    """A date, or an instant as a clock in a zone shows it: a mail writes the same one several times."""
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
        found = parse_iso(text)
        if found is None:
            return None
        moment, aware = found
        return where.local(from_datetime(moment) if aware else where.instant(moment))
    except (ValueError, OverflowError):
        return None


def _reader_zone(context: Context) -> Zone:
    return valid_zone(context.get(ZONE), zone("UTC"))
