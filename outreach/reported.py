"""What the template of a report is told: its figures, with the names of periods in the reader's language."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from engine.errors import UsageError
from engine.reports.periods import Period, read_period
from engine.rulebook.words import COMPARISONS
from engine.zones import date_of
from outreach.report_blocks import blocks_context
from outreach.report_parts import parts_context
from outreach.words import Wording, wording
from outreach.writing import number_text

BEFORE = COMPARISONS[0]
_DAY = len("2026-03-02")
_NO_NUMBER = "no number in "
"""How the engine says which property of an event is no number."""
_SHOWN = 3
"""Values of a mail: it is read in ten seconds, and the rest stands where it can be traced."""


def report_context(found: dict[str, Any], locale: str, *, link: str | None = None) -> dict[str, Any]:
    """What a template is told of a report: figures as they were computed, periods with their names in the locale.

    ``link`` leads to the page that says how everything was counted. Raises ``UsageError`` where nothing is known.
    """
    period = read_period(found["period"]["name"])
    money = found["total"][0] if len(found["total"]) == 1 and found["total"][0]["amount"] > 0 else None
    values = [_value(one, locale) for one in found["values"] if one["amount"] is not None]
    if not values:
        raise UsageError(f"report {found['report']}: none of its values is known for {period.name}; there is no mail")
    price = found["price"] if found["price"] and found["price"]["amount"] is not None else None
    paid = None if price is None else {"amount": price["amount"], "currency": price["currency"]}
    return {
        "title": found["title"] or found["report"],
        "label": period_label(period, locale, short=False),
        "before": period_label(period.before(), locale, short=False),
        "first_day": found["period"]["first_day"],
        "last_day": found["period"]["last_day"],
        "since": found["period"]["known_since"][:_DAY],
        "money": money,
        "times": found["value_to_price"] if money else None,
        "total_ever": [one for one in found["total_ever"] if one["amount"] > 0],
        "price": paid,
        "assumptions": [one["assumption"] for one in found["values"] if one["assumption"]],
        "rates": [_assumed(one, rate) for one in found["values"] for rate in rates_of(one)],
        "unpriced": unpriced(found["values"], wording(locale)),
        "lead": {key: values[0][key] for key in ("label", "unit", "amount")},
        "figures": values[:_SHOWN],
        **blocks_context(found),
        **parts_context(found, wording(locale)),
        "link": link,
        "corrects": (found.get("number") or 1) > 1,
        "changes": [_change(one, locale) for one in found.get("changes") or []],
    }


def rates_of(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How the money of a value comes about: one way, or in a report with parts each that one of them has."""
    rates = one.get("rates") or [one.get("assumed")]
    return [rate for rate in rates if rate]


def _assumed(one: dict[str, Any], assumed: dict[str, Any]) -> dict[str, Any]:
    """One of these: a rate of ours, one that the account told, or a sum."""
    return {
        "label": one["label"],
        "rate": assumed.get("rate"),
        "currency": assumed["currency"],
        "unit": assumed.get("unit"),
        "told": bool(assumed.get("trait")),
        "sum": assumed.get("sum", "").replace("_", " ") or None,
    }


def _change(one: dict[str, Any], locale: str) -> dict[str, Any]:
    """What is different by now in a period that was reported; what became unknown is told as 0."""
    label = period_label(read_period(one["period"]), locale, short=False)
    return {"label": one["label"], "period": label, "was": one["was"] or 0, "is": one["is"] or 0}


def note_context(found: dict[str, Any], locale: str) -> dict[str, Any]:
    """What a note to us is told of a report that does not go: whose, and why; no reason: one that came up since."""
    return {
        "id": found["report"],
        "title": found["title"] or found["report"],
        "period": found["period"]["name"],
        "label": period_label(read_period(found["period"]["name"]), locale, short=False),
        "because": found["against"],
    }


@lru_cache(maxsize=1024)
def period_label(period: Period, locale: str, *, short: bool) -> str:
    """The name of a period as the locale writes it; a week by its number, as the commands do.

    >>> period_label(read_period("2026-10"), "en", short=False), period_label(read_period("2026-W40"), "en", short=True)
    ('October 2026', '2026-W40')
    """
    from babel.dates import format_skeleton  # noqa: PLC0415 - it takes long to import

    if period.unit == "week":
        return period.name
    skeleton = "yQQQ" if period.unit == "quarter" else "yMMM" if short else "yMMMM"
    return format_skeleton(skeleton, date_of(period.first), locale=locale.replace("-", "_"))


@lru_cache(maxsize=1024)
def bar_label(period: Period, locale: str) -> str:
    """The name of a period below a narrow bar, without its year.

    >>> [bar_label(read_period(one), "de") for one in ("2026-10", "2026-Q3", "2026-W40")]
    ['Okt', 'Q3', 'W40']
    """
    from babel.dates import format_date  # noqa: PLC0415 - it takes long to import

    if period.unit == "week":
        return period.name.partition("-")[2]
    form = "QQQ" if period.unit == "quarter" else "LLL"
    return format_date(date_of(period.first), form, locale=locale.replace("-", "_"))


def named_periods(example: Any, locale: str, where: str = "") -> Any:
    """A report as the example of a template has it, with its periods by their names in the locale; other text stays.

    ``where`` is the list that ``example`` stands in.

    >>> named_periods({"label": "2026-10", "before": "the month before", "period": "2026-10"}, "de")
    {'label': 'Oktober 2026', 'before': 'the month before', 'period': '2026-10'}
    """
    if isinstance(example, list):
        return [named_periods(one, locale, where) for one in example]
    if not isinstance(example, dict):
        return example
    return {
        key: _named(one, _PERIODS[where, key], locale)
        if isinstance(one, str) and (where, key) in _PERIODS
        else named_periods(one, locale, key)
        for key, one in example.items()
    }


def _named(text: str, label: Callable[[Period, str], str], locale: str) -> str:
    try:
        period = read_period(text)
    except UsageError:
        return text
    return label(period, locale)


def _long_label(period: Period, locale: str) -> str:
    return period_label(period, locale, short=False)


def _short_label(period: Period, locale: str) -> str:
    return period_label(period, locale, short=True)


_PERIODS: dict[tuple[str, str], Callable[[Period, str], str]] = {
    ("", "label"): _long_label,
    ("", "before"): _long_label,
    ("changes", "period"): _long_label,
    ("series", "label"): _short_label,
    ("series", "short"): bar_label,
}
"""How periods are written, by the list they stand in and their key; ``report_context`` writes them so."""


def _value(one: dict[str, Any], locale: str) -> dict[str, Any]:
    """A known value, its last periods, and the one before; a period of which it is unknown is left out."""
    series = [
        {
            "label": period_label(read_period(step["period"]), locale, short=True),
            "short": bar_label(read_period(step["period"]), locale),
            "amount": step["amount"],
        }
        for step in one["series"]
        if step["amount"] is not None
    ]
    before = (inner for inner in one["compared"] if inner["with"] == BEFORE and inner["change"] is not None)
    earlier = next(before, None)
    change = None if earlier is None else {"amount": earlier["amount"], "percent": earlier["percent"]}
    return {
        "label": one["label"],
        "unit": one["unit"],
        "amount": one["amount"],
        "money": one["worth"]["money"] if one["worth"] else [],
        "change": change,
        "most": max((step["amount"] for step in series), default=0),
        "series": series,
    }


def unpriced(values: list[dict[str, Any]], words: Wording) -> list[str]:
    """What the worth of each value lacks, in a line each."""
    return [
        words.say(
            "unpriced",
            Decimal(inner["events"]),
            label=" ".join(one["label"].split()),
            n=number_text(Decimal(inner["events"]), None, words.locale),
            why=_lacking(inner["why"], words),
        )
        for one in values
        if one["worth"]
        for inner in one["worth"]["unpriced"]
    ]


def _lacking(why: str, words: Wording) -> str:
    """What an event lacks, as the engine says it, in the words of the reader."""
    name = why.removeprefix(_NO_NUMBER)
    if name == why:
        return words.say("unpriced-currency")
    return words.say("unpriced-number", name=name.replace("_", " "))
