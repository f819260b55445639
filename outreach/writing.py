"""Numbers, money, dates and lists as readers of a locale write them.

Plain ``en``, the locale of a reader of whom none is known, has forms of our own: the day before the month by its name,
and 24 hours, which nobody in the world reads wrongly. Every other locale, ``en-US`` and ``en-GB`` among them, has what
CLDR says. Digits are 0 to 9 everywhere, since dates of CLDR have no others.
"""

from collections.abc import Mapping
from copy import copy
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from babel import dates, lists, numbers

from engine.errors import TemplateError
from outreach.locales import OURS, babel_locale

MOST_DECIMALS = 6
PLURALS = ("zero", "one", "two", "few", "many", "other")
"""The plurals that a language may have, as CLDR names them."""
_USUAL_DECIMALS = 2
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@lru_cache(maxsize=4096)  # a mail says a number in its HTML, its text, its subject and its preview
def number_text(exact: Decimal, decimals: int | None, locale: str) -> str:
    """Write a number, thousands apart, with ``decimals`` (at most 6), or as many as it has, at most two.

    >>> number_text(Decimal("1234567.5"), None, "en"), number_text(Decimal("1234567.5"), None, "de")
    ('1,234,567.5', '1.234.567,5')
    """
    least, most = _decimals(decimals)
    if locale == OURS:
        text = f"{exact:,.{most}f}"
        return text if least else text.rstrip("0").rstrip(".") if "." in text else text
    return str(_pattern(locale, least, most).apply(exact, babel_locale(locale)))


@lru_cache(maxsize=4096)
def money_text(exact: Decimal, currency: str, locale: str) -> str:
    r"""Write an amount in a currency (its three letters); whole amounts without decimals.

    >>> money_text(Decimal(1250), "EUR", "de"), money_text(Decimal("31.5"), "USD", "en")
    ('1.250\xa0€', '$31.50')
    """
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):  # noqa: PLR2004, ISO 4217
        raise TemplateError("a currency is three letters; found something else; give the filter EUR, USD, ...")
    pattern = copy(babel_locale(locale).currency_formats["standard"])
    if exact == exact.to_integral_value():
        pattern.frac_prec = (0, 0)
        return str(pattern.apply(exact, babel_locale(locale), currency=currency.upper(), currency_digits=False))
    return numbers.format_currency(exact, currency.upper(), locale=babel_locale(locale))


@lru_cache(maxsize=4096)
def percent_text(exact: Decimal, decimals: int, locale: str) -> str:
    r"""Write a share of one as percent.

    >>> percent_text(Decimal("0.425"), 0, "en"), percent_text(Decimal("0.425"), 1, "de")
    ('42%', '42,5\xa0%')
    """
    pattern = copy(babel_locale(locale).percent_formats[None])
    pattern.frac_prec = (min(max(decimals, 0), MOST_DECIMALS),) * 2
    return str(pattern.apply(exact, babel_locale(locale)))


def plural_text(exact: Decimal, forms: Mapping[str, str], locale: str) -> str:
    """Choose the word for a number by the plurals of the locale (CLDR: zero, one, two, few, many, other).

    A form that is not given is ``other``'s, or else ``many``'s. Raises ``TemplateError`` when that is not there either.

    >>> [plural_text(Decimal(n), {"one": "отчёт", "few": "отчёта", "many": "отчётов"}, "ru") for n in (1, 3, 7)]
    ['отчёт', 'отчёта', 'отчётов']
    """
    printed = round(exact, _USUAL_DECIMALS)
    whole = printed == printed.to_integral_value()
    kind = babel_locale(locale).plural_form(int(printed) if whole else printed.normalize())
    for form in (kind, "other", "many"):
        if form in forms:
            return forms[form]
    raise TemplateError(f"'plural' has no word for this number in {locale}; found no {kind!r}; write {kind}=\"...\"")


def weekday_text(moment: date, locale: str) -> str:
    """Write the day of the week.

    >>> weekday_text(date(2026, 3, 12), "de")
    'Donnerstag'
    """
    return _DAYS[moment.weekday()] if locale == OURS else _written_date(moment, "cccc", locale)


def short_day_text(moment: date, locale: str) -> str:
    """Write a day without its weekday.

    >>> [short_day_text(date(2026, 3, 12), one) for one in ("en", "en-US", "de")]
    ['12 March 2026', 'March 12, 2026', '12. März 2026']
    """
    return (
        f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
        if locale == OURS
        else _written_date(moment, "long", locale)
    )


def day_text(moment: date, locale: str) -> str:
    """Write a day in full.

    >>> [day_text(date(2026, 3, 12), one) for one in ("en", "de")]
    ['Thursday, 12 March 2026', 'Donnerstag, 12. März 2026']
    """
    if locale == OURS:
        return f"{weekday_text(moment, locale)}, {short_day_text(moment, locale)}"
    return _written_date(moment, "full", locale)


def clock_text(moment: datetime, locale: str) -> str:
    """Write the time of day of an aware instant, with its zone."""
    if locale == OURS:
        return f"{moment:%H:%M} {_zone_word(moment)}"
    written = dates.format_time(moment, "short", tzinfo=moment.tzinfo, locale=babel_locale(locale))
    known = dates.get_timezone_name(moment, "short", locale=babel_locale(locale))
    return f"{written} {known if known.isalpha() else _zone_word(moment)}"


def both_text(day: str, clock: str, locale: str) -> str:
    """Put a day and a time of day together.

    >>> both_text("Donnerstag", "10:00 MEZ", "de")
    'Donnerstag, 10:00 MEZ'
    """
    if locale == OURS:
        return f"{day}, {clock}"
    return str(dates.get_datetime_format("medium", babel_locale(locale))).replace("{1}", day).replace("{0}", clock)


def list_text(parts: list[str], locale: str) -> str:
    """Put texts together as a sentence does.

    >>> list_text(["a", "b", "c"], "en"), list_text(["a", "b", "c"], "de")
    ('a, b, and c', 'a, b und c')
    """
    return lists.format_list(parts, locale=babel_locale(locale))


def _decimals(asked: int | None) -> tuple[int, int]:
    if asked is None:
        return 0, _USUAL_DECIMALS
    exactly = min(max(asked, 0), MOST_DECIMALS)
    return exactly, exactly


@lru_cache(maxsize=256)
def _pattern(locale: str, least: int, most: int) -> numbers.NumberPattern:
    made: numbers.NumberPattern = copy(babel_locale(locale).decimal_formats[None])
    made.frac_prec = (least, most)
    return made


def _written_date(moment: date, form: str, locale: str) -> str:
    # Two instants in two zones may be equal and fall on two days: the day alone is remembered.
    return _written_day(moment.toordinal(), form, locale)


@lru_cache(maxsize=4096)
def _written_day(ordinal: int, form: str, locale: str) -> str:
    return str(dates.format_date(date.fromordinal(ordinal), form, locale=babel_locale(locale)))


def _zone_word(moment: datetime) -> str:
    name = moment.tzname() or "UTC"
    if name.isalpha():
        return name
    offset = f"{moment:%z}"
    return f"(UTC{offset[:3]}:{offset[3:5]})"
