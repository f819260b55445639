"""A report as the mail that its reader would get: what was computed, in the words of the template ``monthly-value``."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from engine.errors import TemplateError, UsageError
from engine.reports.periods import Period, read_period
from engine.rulebook.words import COMPARISONS
from engine.zones import date_of
from outreach.context import Sender, reader_locale, sender_words
from outreach.filters import ZONE
from outreach.locales import LOCALE, format_locale
from outreach.rendering import Rendered, render
from ringfirst.reports_shown import unpriced
from ringfirst.rulebooks import REPORT, Folder

BEFORE = COMPARISONS[0]
_DAY = len("2026-03-02")
_SHOWN = 3
"""Values of a mail: it is read in ten seconds, and the rest stands where it can be traced."""


def write_mail(path: Path, found: dict[str, Any], traits: Mapping[str, object], folder: Folder, sender: Sender) -> None:
    """Write the HTML of a report's mail. Raises ``UsageError`` where that cannot be done."""
    try:
        html = report_mail(found, traits, folder, sender).html
    except TemplateError as err:
        raise UsageError(f"templates/{REPORT}: {err}") from err
    try:
        path.write_text(html, encoding="utf-8")
    except OSError as err:
        raise UsageError(f"{path}: cannot be written; {err.strerror or err}; name another file with --html") from err


def report_mail(found: dict[str, Any], traits: Mapping[str, object], folder: Folder, sender: Sender) -> Rendered:
    """Render the mail of a preview, for a reader of whom only the account is known. Raises ``TemplateError``."""
    template = folder.report_template
    account = {**traits, "id": found["account_id"]}
    locale = format_locale(reader_locale({}, account, sender), template.locale)
    context = {
        "you": {"id": "reader"},
        "account": account,
        "report": report_context(found, locale),
        "sender": sender_words(sender),
        "links": {},
        "rule": found["report"],
        LOCALE: locale,
        ZONE: found["period"]["zone"],
    }
    return render(template, context)


def report_context(found: dict[str, Any], locale: str) -> dict[str, Any]:
    """What a template is told of a report: figures as they were computed, periods with their names in the locale."""
    period = read_period(found["period"]["name"])
    money = found["total"][0] if len(found["total"]) == 1 and found["total"][0]["amount"] > 0 else None
    values = [_value(one, locale) for one in found["values"] if one["amount"] is not None]
    if not values:
        raise UsageError(f"report {found['report']}: none of its values is known for {period.name}; there is no mail")
    price = found["price"] if found["price"] and found["price"]["amount"] is not None else None
    return {
        "title": found["title"] or found["report"],
        "label": period_label(period, locale, short=False),
        "first_day": found["period"]["first_day"],
        "last_day": found["period"]["last_day"],
        "since": found["period"]["known_since"][:_DAY],
        "money": money,
        "total_ever": [one for one in found["total_ever"] if one["amount"] > 0],
        "price": price,
        "assumptions": [
            *(one["assumption"] for one in found["values"] if one["assumption"]),
            *unpriced(found["values"]),
        ],
        "lead": {key: values[0][key] for key in ("label", "unit", "amount")},
        "figures": values[:_SHOWN],
    }


def period_label(period: Period, locale: str, *, short: bool) -> str:
    """The name of a period as the locale writes it; a week by its number, as the commands do.

    >>> period_label(read_period("2026-10"), "en", short=False), period_label(read_period("2026-W40"), "en", short=True)
    ('October 2026', '2026-W40')
    """
    from babel.dates import format_skeleton

    day: date = date_of(period.first)
    if period.unit == "week":
        return period.name
    skeleton = "yQQQ" if period.unit == "quarter" else "yMMM" if short else "yMMMM"
    return format_skeleton(skeleton, day, locale=locale.replace("-", "_"))


def _value(one: dict[str, Any], locale: str) -> dict[str, Any]:
    """A known value, its last periods, and the one before; a period of which it is unknown is left out."""
    series = [
        {"label": period_label(read_period(step["period"]), locale, short=True), "amount": step["amount"]}
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
