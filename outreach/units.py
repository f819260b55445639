"""Amounts with their units as readers of a locale write them: ``24 hours``, ``1.234,5 Stunden``, ``3 stories``."""

from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from babel import numbers
from babel.units import format_unit

from outreach.locales import OURS, babel_locale, language
from outreach.writing import number_text, plural_text

_SPANS = frozenset({"second", "minute", "hour", "day", "week", "month", "quarter", "year"})
"""Units that CLDR has words for in every language."""
_ODD = {"person": "people", "child": "children", "man": "men", "woman": "women"}
_HISSING = ("s", "x", "z", "ch", "sh")
_SHORT = 10_000


def unit_text(exact: Decimal, unit: str, locale: str) -> str:
    r"""Write an amount with its unit, which is given as one of them.

    Spans of time have their words in every language. Of other units English makes the plural; in other languages they
    stay as the rulebook writes them.

    >>> [unit_text(Decimal(3), one, "en") for one in ("hour", "story", "person", "branch", "")]
    ['3 hours', '3 stories', '3 people', '3 branches', '3']
    >>> [unit_text(Decimal("1.5"), *one) for one in (("hour", "de"), ("day", "fr"), ("km", "de"))]
    ['1,5 Stunden', '1,5\xa0jour', '1,5 km']
    """
    if unit in _SPANS:
        return _span(exact, unit, locale)
    number = number_text(exact, None, locale)
    if not unit:
        return number
    if language(locale) != OURS or not unit.isascii() or not unit[-1].isalpha():
        return f"{number} {unit}"
    return f"{number} {plural_text(exact, {'one': unit, 'other': _plural(unit)}, locale)}"


def unit_name(unit: str, locale: str) -> str:
    """One of a unit without its number, as a rate names it; other units than spans of time as the rulebook writes them.

    >>> unit_name("hour", "en"), unit_name("hour", "de"), unit_name("day", "fr"), unit_name("order", "de")
    ('hour', 'Stunde', 'jour', 'order')
    """
    if unit not in _SPANS:
        return unit
    return _span(Decimal(1), unit, locale).replace(number_text(Decimal(1), None, locale), "").strip()


def lasting_text(hours: Decimal, locale: str, *, days: bool) -> str:
    """Write how long something took: in minutes below an hour, with ``days`` in days from two of them on.

    >>> [lasting_text(Decimal(n), "en", days=True) for n in ("0.12", "1", "33.5", "84")]
    ['7 minutes', '1 hour', '33.5 hours', '3.5 days']
    """
    if hours < 1:
        return _span((hours * 60).quantize(Decimal(1), ROUND_HALF_EVEN), "minute", locale)
    whole_days = days and hours >= 48  # noqa: PLR2004 - two days
    amount = hours / 24 if whole_days else hours
    return _span(amount.quantize(Decimal("0.1"), ROUND_HALF_EVEN), "day" if whole_days else "hour", locale)


def short_number_text(exact: Decimal, locale: str) -> str:
    r"""Write a number in the room that a bar has: large ones by thousands and millions.

    >>> [short_number_text(Decimal(n), "en") for n in ("12.25", "9999", "12345", "4200000")]
    ['12.25', '9,999', '12.3K', '4.2M']
    >>> short_number_text(Decimal("12345.6"), "de"), short_number_text(Decimal(4200000), "de")
    ('12.346', '4,2\xa0Mio.')
    """
    if abs(exact) < _SHORT:
        return number_text(exact, None, locale)
    text = numbers.format_compact_decimal(exact, locale=babel_locale(locale), fraction_digits=1)
    return text if any(sign.isalpha() for sign in text) else number_text(exact, 0, locale)


@lru_cache(maxsize=4096)
def _span(exact: Decimal, unit: str, locale: str) -> str:
    return format_unit(round(exact, 2).normalize(), f"duration-{unit}", "long", locale=babel_locale(locale))


def _plural(one: str) -> str:
    if one in _ODD:
        return _ODD[one]
    if one.endswith("y") and one[-2:-1] not in "aeiou":
        return f"{one[:-1]}ies"
    return f"{one}es" if one.endswith(_HISSING) else f"{one}s"
