"""A report on paper: a PDF to forward, made of the report's figures alone, the same bytes for the same figures.

The page is laid out by ``paper.typ``. It gets text and numbers as data: whatever a customer wrote is printed as it is.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from engine.errors import TemplateError
from engine.reports.periods import read_period
from outreach.bidi import isolated
from outreach.locales import format_locale, language
from outreach.report_parts import parts_notes, parts_tables
from outreach.reported import period_label, rates_of, unpriced
from outreach.units import short_number_text, unit_name, unit_text
from outreach.words import Wording, wording
from outreach.writing import list_text, money_text, number_text, percent_text, short_day_text

FONTS = ("Noto Sans", "Noto Sans Hebrew", "DejaVu Sans", "Libertinus Serif", "New Computer Modern", "DejaVu Sans Mono")
"""The first that is there is taken; the last three come with the typesetter."""
MOST_VALUES, LONGEST = 24, 400
_LETTER = frozenset({"US", "CA", "MX", "CL", "CO", "PH"})
"""Where paper is of the size that is called letter."""
LRM = "\u200e"
"""Keeps a sign before its number where words run the other way."""
_DAY = len("2026-03-02")
_GLYPH = re.compile(r'<symbol id="([^"]+)"')
_COMPARED = {"previous period": "previous-period", "same period last year": "year-before", "goal": "goal"}


class Paper(NamedTuple):
    """A report as pages. ``unwritable`` are the characters for which no font is installed: they print as boxes."""

    pages: bytes
    unwritable: str = ""


def pdf_of(found: Mapping[str, Any], locale: str, *, corrected: bool = False) -> Paper:
    """Lay a report (the JSON of a preview, or of one that was issued) out as a PDF.

    Its words are in the language of ``locale`` where reports are written in it, else in English. ``corrected``: it was
    issued once more since, and says so. Raises ``TemplateError`` when the typesetter cannot do it.
    """
    context = paper_context(found, locale, corrected=corrected)
    (pages,) = _typeset(context, "pdf")
    return Paper(pages, unwritable(context))


def pictures_of(found: Mapping[str, Any], locale: str) -> list[bytes]:
    """The same pages as PNG, one for each: to look at."""
    return _typeset(paper_context(found, locale), "png")


def unwritable(context: Mapping[str, Any]) -> str:
    """The characters of a page that no font here can write, in order; a sign of each is typeset to find out."""
    asked = sorted({sign for text in _texts(context) for sign in text if _in_doubt(sign)})
    return "".join(sign for sign, is_box in zip(asked, _boxes(tuple(asked)), strict=True) if is_box)


# -- what is printed ---------------------------------------------------------------------------------------------------
def paper_context(found: Mapping[str, Any], locale: str, *, corrected: bool = False) -> dict[str, Any]:
    """Everything that is printed, as text in the locale, or in English where reports do not speak its language.

    ``told`` is what stands before all figures.
    """
    words = wording(locale)
    locale = format_locale(locale, words.locale)
    write = _Writing(words, locale)
    period = read_period(found["period"]["name"])
    values = [write.value(one) for one in found["values"][:MOST_VALUES]]
    headline, lines = _headline(found, write)
    first, last = (write.day(found["period"][key]) for key in ("first_day", "last_day"))
    more = Decimal(len(found["values"]) - MOST_VALUES)
    shows = {"worth": any(one["worth"] for one in values), "change": any(one["changes"] for one in values)}
    goals, beside = found.get("goals") or [], Decimal(found.get("goals_left_out") or 0)
    left_out = [f"{words.say('goals')}: {words.say('more-values', beside, n=str(beside))}"] if beside else []
    return {
        "title": _cut(found["title"] or found["report"]),
        "account": _cut(found["account_id"]),
        "label": period_label(period, locale, short=False),
        "headline": headline,
        "headline_words": lines,
        "told": _told(found, write, corrected=corrected),
        "columns": ["", *(words.say(f"column-{name}") for name in ("amount", *(one for one in shows if shows[one])))],
        "shows": shows,
        "values": values,
        "parts": parts_tables(found, write, _cut),
        "notes": [
            *_notes(found, write),
            *parts_notes(found, write, _cut),
            *([words.say("more-values", more, n=str(more))] if more > 0 else []),
            *left_out,
        ],
        "goals": [write.goal(one) for one in goals],
        "goals_first": found.get("lead_with") == "goals" and any(one["current"] is not None for one in goals),
        "facts": [part for part in (_support(found, write), _adoption(found, write)) if part["rows"]],
        "lists": [part for part in _lists(found, write) if part["lines"]],
        "words": {name: words.say(name) for name in ("charts", "goals", "parts", "as-pdf")},
        "footer": words.say("footer", first=first, last=last, zone=found["period"]["zone"]),
        "lang": language(words.locale),
        "dir": words.direction,
        "paper": "us-letter" if locale.rpartition("-")[2] in _LETTER else "a4",
        "fonts": list(_known_fonts()),
    }


class _Writing:
    """Writes figures of a report in one locale, with the words of its language."""

    def __init__(self, words: Wording, locale: str) -> None:
        self.words = words
        self._locale = locale

    def number(self, amount: Any) -> str:
        return self.words.say("unknown") if amount is None else number_text(Decimal(str(amount)), None, self._locale)

    def counted(self, amount: Any, unit: str | None) -> str:
        return self.number(None) if amount is None else _cut(unit_text(Decimal(str(amount)), unit or "", self._locale))

    def money(self, money: Iterable[Mapping[str, Any]]) -> str:
        parts = [money_text(Decimal(str(one["amount"])), one["currency"], self._locale) for one in money]
        return list_text(parts, self._locale) if parts else ""

    def before(self, amount: Any) -> str:
        return "" if amount is None else self.words.say("before", amount=self.number(amount))

    def rate(self, one: Mapping[str, Any], assumed: Mapping[str, Any]) -> str:
        """How the money of a value comes about, as its reader is told it: without the names that we have for it."""
        label = _cut(one["label"])
        if assumed.get("sum"):
            return self.words.say("rate-sum", label=label, sum=_cut(assumed["sum"].replace("_", " ")))
        if assumed.get("rate") is None:
            return _cut(one["assumption"])
        money = self.money([{"amount": assumed["rate"], "currency": assumed["currency"]}])
        name = "rate-told" if assumed.get("trait") else "rate-ours"
        unit = unit_name(assumed.get("unit") or one["unit"], self._locale)
        return self.words.say(name, label=label, money=money, unit=_cut(unit))

    def day(self, text: str) -> str:
        return short_day_text(date.fromisoformat(text[:_DAY]), self._locale)

    def period(self, name: str, *, short: bool = False) -> str:
        return period_label(read_period(name), self._locale, short=short)

    def change(self, change: Any, percent: Any) -> str:
        mark = LRM if self.words.direction == "rtl" else ""
        sign = f"{mark}+" if change > 0 else mark  # a minus, too, stays before its number
        if percent is None:
            return f"{sign}{self.number(change)}"
        exact = Decimal(str(percent))
        return sign + percent_text(exact / 100, 0 if exact == exact.to_integral_value() else 1, self._locale)

    def value(self, one: Mapping[str, Any]) -> dict[str, Any]:
        known = [inner for inner in one["compared"] if inner["change"] is not None]
        changes = []
        for inner in known:
            what = self.words.say(_COMPARED[inner["with"]])
            than = self.words.say("compared", what=what, amount=self.number(inner["amount"]))
            changes += [{"strong": True, "text": self.change(inner["change"], inner["percent"])}]
            changes += [{"strong": False, "text": than}]
        series = [step for step in one["series"] if step["amount"] is not None]
        most = max((Decimal(str(step["amount"])) for step in series), default=Decimal(0))
        return {
            "label": _cut(one["label"]),
            "amount": self.counted(one["amount"], one["unit"]),
            "worth": self.money(one["worth"]["money"]) if one["worth"] else "",
            "changes": changes,
            "series": [
                {
                    "label": self.period(step["period"], short=True),
                    "amount": short_number_text(Decimal(str(step["amount"])), self._locale),
                    "share": float(max(Decimal(str(step["amount"])) / most, Decimal(0))) if most > 0 else 0.0,
                    "last": step is series[-1],
                }
                for step in series
            ],
        }

    def correction(self, one: Mapping[str, Any]) -> str:
        """What is different by now in a period that was reported before; what became unknown is 0, as in the mail."""
        now, was = (self.number(one[key] or 0) for key in ("is", "was"))
        told = {"label": _cut(one["label"]), "period": self.period(one["period"]), "now": now, "was": was}
        return self.words.say("changed", **told)

    def goal(self, one: Mapping[str, Any]) -> dict[str, Any]:
        due = self.words.say("due", day=self.day(one["due"])) if one["due"] else ""
        began = self.words.say("began", amount=self.number(one["baseline"])) if one["baseline"] is not None else ""
        reached = self.words.say("reached") if one["reached"] else ""
        unknown = self.words.say("nothing-of-it") if one["current"] is None else ""
        percent = one["percent"] if one["percent"] is not None else 0
        target = self.counted(one["target"], one["unit"])
        return {
            "label": _cut(one["label"] or one["metric"]),
            "text": self.words.say("compared", what=self.words.say("goal"), amount=target)
            if one["current"] is None
            else self.words.say("of", current=self.number(one["current"]), target=target),
            "note": ", ".join(part for part in (reached, began, due, unknown) if part),
            "share": min(max(float(percent) / 100, 0.0), 1.0),
        }


def _headline(found: Mapping[str, Any], write: _Writing) -> tuple[str, list[str]]:
    """The number that leads, and lines about it: the worth of all, or else the first value that is known."""
    price, times, words = found["price"], found.get("value_to_price"), write.words
    worth = words.say("worth")
    if price and times and times >= 1:  # of less the owner hears; the reader is not told that they overpaid
        often = write.number(round(Decimal(str(times)), 1))
        worth = words.say("worth-times", times=often, price=write.money([price]))
    ever = write.money(one for one in found["total_ever"] if one["amount"])
    since = words.say("ever", money=ever, day=write.day(found["period"]["known_since"])) if ever else ""
    money = [one for one in found["total"] if one["amount"]]
    if money:
        return write.money(money), [part for part in (worth, since) if part]
    known = next((one for one in found["values"] if one["amount"] is not None), None)
    if known is None:
        unknown = words.say("unknown")
        return unknown[:1].upper() + unknown[1:], [words.say("nothing-known")]
    return write.counted(known["amount"], known["unit"]), [isolated(_cut(known["label"]), words.direction)]


def _told(found: Mapping[str, Any], write: _Writing, *, corrected: bool) -> list[str]:
    """What counts instead of this report, and what this one counts instead of."""
    number, period = found.get("number") or 1, write.period(found["period"]["name"])
    told = [write.words.say("correction", number=write.number(number), period=period)] if number > 1 else []
    return [*told, write.words.say("corrected-since")] if corrected else told


def _notes(found: Mapping[str, Any], write: _Writing) -> list[str]:
    """What is to be known of the period, and with what it is not compared; of a part of one only that it is one."""
    period, words = found["period"], write.words
    if not period["over"] or not period["full"]:
        told = {"not-over": not period["over"], "in-part": not period["full"]}
        return [words.say(name) for name, so in told.items() if so]
    why: dict[str, None] = {}
    for one in found["values"]:
        for inner in one["compared"]:
            if not inner["not_compared"] or inner["with"] == "goal":
                continue
            other = inner.get("period")
            because = words.say("known-in-part", period=write.period(other)) if other else words.say("no-such-week")
            why[words.say("not-compared", what=words.say(_COMPARED[inner["with"]]), why=because)] = None
    return sorted(why)


def _support(found: Mapping[str, Any], write: _Writing) -> dict[str, Any]:
    """As in the mail: nothing of support where nobody asked, and no median of nothing."""
    figures = (found.get("support") or {"figures": []})["figures"]
    asked = any(one["amount"] for one in figures)
    rows = [
        {
            "label": write.words.say(one["figure"]),
            "value": write.number(one["amount"]),
            "note": write.before(one["before"]),
        }
        for one in figures
        if asked and one["amount"] is not None
    ]
    return {"title": write.words.say("support"), "rows": rows}


def _adoption(found: Mapping[str, Any], write: _Writing) -> dict[str, Any]:
    adoption, rows, words = found.get("adoption") or {}, [], write.words
    people, features = adoption.get("people"), adoption.get("features")
    if people:
        active, seats = write.number(people["active"]), people["seats"]
        if seats is not None:
            active = words.say("seats", Decimal(str(seats)), active=active, n=write.number(seats))
        rows.append({"label": words.say("active"), "value": active, "note": write.before(people["before"])})
    if features:
        used, unused = ", ".join(features["used"]), ", ".join(features["unused"])
        rows.append({"label": words.say("used-of-paid"), "value": _cut(used) or words.say("nothing"), "note": ""})
        if unused:
            rows.append({"label": words.say("not-used-label"), "value": _cut(unused), "note": ""})
    return {"title": words.say("use"), "rows": rows}


def _lists(found: Mapping[str, Any], write: _Writing) -> Iterator[dict[str, Any]]:
    words = write.words
    yield {"title": words.say("known-since"), "lines": [write.correction(one) for one in found.get("changes") or []]}
    steps = [line for one in found.get("next_steps") or [] if (line := one["next_step"] or one["title"])]
    yield {"title": words.say("next-steps"), "lines": [isolated(_cut(line), words.direction) for line in steps]}
    priced = [one for one in found["values"] if one["assumption"]]
    money = [write.rate(one, rate) for one in priced for rate in rates_of(one) or [{}]]
    yield {"title": words.say("money"), "lines": [*money, *unpriced(found["values"], words)]}
    contact = found.get("contact")
    who = ", ".join(part for part in (contact["name"], contact["address"]) if part) if contact else ""
    yield {"title": words.say("questions"), "lines": [isolated(_cut(who), words.direction)] if who else []}


def _cut(text: str) -> str:
    """Text of at most 400 characters, on one line, without signs that steer the direction or print as nothing."""
    kept = "".join(sign for sign in text if unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
    return kept if len(kept) <= LONGEST else f"{kept[: LONGEST - 1]}…"


# -- the typesetter ----------------------------------------------------------------------------------------------------
def _typeset(context: Mapping[str, Any], form: Literal["pdf", "png", "svg"]) -> list[bytes]:
    return _compiled(Path(__file__).with_suffix(".typ").read_bytes(), {"report": json.dumps(context)}, form)


def _compiled(source: bytes, inputs: dict[str, str], form: Literal["pdf", "png", "svg"]) -> list[bytes]:
    import typst  # noqa: PLC0415 - it takes long to load

    try:
        made = typst.compile(source, format=form, sys_inputs=inputs, font_paths=_fonts())
    except typst.TypstError as err:
        raise TemplateError(f"the report cannot be laid out; {str(err)[:200]}; report this with the figures") from err
    return [] if made is None else [made] if isinstance(made, bytes) else list(made)


@lru_cache(maxsize=1)
def _fonts() -> Any:
    import typst  # noqa: PLC0415 - it takes long to load

    return typst.Fonts()


def _known_fonts() -> Iterator[str]:
    families = set(_fonts().families())
    return (one for one in FONTS if one in families)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _in_doubt(sign: str) -> bool:
    """Latin letters and what is printed beside them come with the typesetter."""
    return sign >= "\u0250" and unicodedata.category(sign) != "Cf"


@lru_cache(maxsize=256)
def _boxes(signs: tuple[str, ...]) -> tuple[bool, ...]:
    """Is the glyph of each sign the one that stands for what a font does not have?"""
    if not signs:
        return ()
    source = b"""#set page(width: auto, height: auto, margin: 0pt)
#let given = json(bytes(sys.inputs.given))
#set text(font: given.fonts)
#for sign in given.signs { page[#sign] }"""
    nowhere = "\U000f1234"
    given = {"fonts": list(_known_fonts()), "signs": [nowhere, *signs]}
    pages = [_glyphs(page) for page in _compiled(source, {"given": json.dumps(given)}, "svg")]
    return tuple(bool(page & pages[0]) for page in pages[1:])


def _glyphs(page: bytes) -> frozenset[str]:
    """The glyphs that are drawn, by the names that a picture gives them: of one font the same for the same glyph."""
    return frozenset(_GLYPH.findall(page.decode()))
