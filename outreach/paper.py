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
from outreach.locales import language
from outreach.reported import period_label, unpriced
from outreach.units import unit_text
from outreach.writing import list_text, money_text, number_text, percent_text, short_day_text

FONTS = ("Noto Sans", "DejaVu Sans", "Libertinus Serif", "New Computer Modern", "DejaVu Sans Mono")
"""The first that is there is taken; the last three come with the typesetter."""
MOST_VALUES, LONGEST = 24, 400
_LETTER = frozenset({"US", "CA", "MX", "CL", "CO", "PH"})
"""Where paper is of the size that is called letter."""
_DAY = len("2026-03-02")
_GLYPH = re.compile(r'<symbol id="([^"]+)"')
_SUPPORT = {
    "opened": "Opened",
    "solved": "Solved",
    "open": "Open at the end",
    "answer_hours": "Hours to the first answer (median)",
    "solve_hours": "Hours to the solution (median)",
    "answer_working_hours": "Working hours to the first answer (median)",
    "solve_working_hours": "Working hours to the solution (median)",
}


class Paper(NamedTuple):
    """A report as pages. ``unwritable`` are the characters for which no font is installed: they print as boxes."""

    pages: bytes
    unwritable: str = ""


def pdf_of(found: Mapping[str, Any], locale: str, *, corrected: bool = False) -> Paper:
    """Lay a report (the JSON of a preview, or of one that was issued) out as a PDF.

    Its words are English; ``locale``, one of English, says how numbers, money and dates are written. ``corrected``: it
    was issued once more since, and says so. Raises ``TemplateError`` when the typesetter cannot do it.
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
    """Everything that is printed, as text in the locale; ``told`` is what stands before all figures."""
    write = _Writing(locale)
    period = read_period(found["period"]["name"])
    label = period_label(period, locale, short=False)
    values = [write.value(one) for one in found["values"][:MOST_VALUES]]
    headline, words = _headline(found, write)
    first, last = (write.day(found["period"][key]) for key in ("first_day", "last_day"))
    more = len(found["values"]) - MOST_VALUES
    shows = {"Worth": any(one["worth"] for one in values), "Change": any(one["changes"] for one in values)}
    goals = found.get("goals") or []
    return {
        "title": _cut(found["title"] or found["report"]),
        "account": _cut(found["account_id"]),
        "label": label,
        "headline": headline,
        "headline_words": words,
        "told": _told(found, label, corrected=corrected),
        "columns": ["", "Amount", *(name for name, there in shows.items() if there)],
        "shows": {name.lower(): there for name, there in shows.items()},
        "values": values,
        "notes": [*_notes(found), *([f"and {more} more"] if more > 0 else [])],
        "goals": [write.goal(one) for one in goals],
        "goals_first": found.get("lead_with") == "goals" and any(one["current"] is not None for one in goals),
        "facts": [part for part in (_support(found, write), _adoption(found, write)) if part["rows"]],
        "lists": [part for part in _lists(found, write) if part["lines"]],
        "words": {"charts": "Over time", "goals": "Goals"},
        "footer": f"{first} to {last}, {found['period']['zone']}. Every figure can be traced to its events.",
        "lang": language(locale),
        "paper": "us-letter" if locale.rpartition("-")[2] in _LETTER else "a4",
        "fonts": list(_known_fonts()),
    }


class _Writing:
    """Writes figures of a report in one locale."""

    def __init__(self, locale: str) -> None:
        self._locale = locale

    def number(self, amount: Any) -> str:
        return "not known" if amount is None else number_text(Decimal(str(amount)), None, self._locale)

    def counted(self, amount: Any, unit: str | None) -> str:
        return self.number(None) if amount is None else _cut(unit_text(Decimal(str(amount)), unit or "", self._locale))

    def money(self, money: Iterable[Mapping[str, Any]]) -> str:
        parts = [money_text(Decimal(str(one["amount"])), one["currency"], self._locale) for one in money]
        return list_text(parts, self._locale) if parts else ""

    def rate(self, one: Mapping[str, Any]) -> str:
        """How the money of a value comes about, as its reader is told it: without the names that we have for it."""
        assumed = one.get("assumed") or {}
        if assumed.get("rate") is None:
            return _cut(one["assumption"])
        whose = "as you told us" if assumed.get("trait") else "our assumption"
        money = self.money([{"amount": assumed["rate"], "currency": assumed["currency"]}])
        return _cut(f"{one['label']}: {money} for one {assumed.get('unit') or 'of them'}, {whose}")

    def day(self, text: str) -> str:
        return short_day_text(date.fromisoformat(text[:_DAY]), self._locale)

    def change(self, change: Any, percent: Any) -> str:
        sign = "+" if change > 0 else ""
        if percent is None:
            return f"{sign}{self.number(change)}"
        exact = Decimal(str(percent))
        return sign + percent_text(exact / 100, 0 if exact == exact.to_integral_value() else 1, self._locale)

    def value(self, one: Mapping[str, Any]) -> dict[str, Any]:
        known = [inner for inner in one["compared"] if inner["change"] is not None]
        changes = []
        for inner in known:
            than = f"{inner['with']}: {self.number(inner['amount'])}"
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
                    "label": period_label(read_period(step["period"]), self._locale, short=True),
                    "amount": self.number(step["amount"]),
                    "share": float(max(Decimal(str(step["amount"])) / most, Decimal(0))) if most > 0 else 0.0,
                    "last": step is series[-1],
                }
                for step in series
            ],
        }

    def correction(self, one: Mapping[str, Any]) -> str:
        """What is different by now in a period that was reported before; what became unknown is 0, as in the mail."""
        label = period_label(read_period(one["period"]), self._locale, short=False)
        return _cut(f"{one['label']} in {label}: {self.number(one['is'] or 0)}, and not {self.number(one['was'] or 0)}")

    def goal(self, one: Mapping[str, Any]) -> dict[str, Any]:
        due = f"due {self.day(one['due'])}" if one["due"] else ""
        began = f"began at {self.number(one['baseline'])}" if one["baseline"] is not None else ""
        reached = "reached" if one["reached"] else ""
        percent = one["percent"] if one["percent"] is not None else 0
        return {
            "label": _cut(one["label"] or one["metric"]),
            "text": f"{self.number(one['current'])} of {self.counted(one['target'], one['unit'])}",
            "note": ", ".join(part for part in (reached, began, due, one["unknown"] or "") if part),
            "share": min(max(float(percent) / 100, 0.0), 1.0),
        }


def _headline(found: Mapping[str, Any], write: _Writing) -> tuple[str, list[str]]:
    """The number that leads, and lines about it: the worth of all, or else the first value that is known."""
    price, times, paid = found["price"], found.get("value_to_price"), ""
    if price and times and times >= 1:  # of less the owner hears; the reader is not told that they overpaid
        paid = f": {write.number(round(Decimal(str(times)), 1))} times the {write.money([price])} you paid"
    ever = write.money(one for one in found["total_ever"] if one["amount"])
    since = f"{ever} since {write.day(found['period']['known_since'])}." if ever else ""
    money = [one for one in found["total"] if one["amount"]]
    if money:
        return write.money(money), [part for part in (f"is what it is worth{paid}.", since) if part]
    known = next((one for one in found["values"] if one["amount"] is not None), None)
    if known is None:
        return "Not known", ["Nothing is known of this period."]
    return write.counted(known["amount"], known["unit"]), [_cut(known["label"])]


def _told(found: Mapping[str, Any], label: str, *, corrected: bool) -> list[str]:
    """What counts instead of this report, and what this one counts instead of."""
    number = found.get("number") or 1
    told = [f"This is report {number} of {label}. It corrects the figures that you got before."] if number > 1 else []
    if corrected:
        told.append("A corrected report was made for this period since. These are the figures as they were sent first.")
    return told


def _notes(found: Mapping[str, Any]) -> list[str]:
    why = {
        f"Not compared with the {inner['with']}: {inner['not_compared']}"
        for one in found["values"]
        for inner in one["compared"]
        if inner["not_compared"] and inner["with"] != "goal"
    }
    period = found["period"]
    open_ = "" if period["over"] else "The period is not over: these are the figures so far"
    part = "" if period["full"] else "The period is known in part only"
    return [_cut(note) for note in (open_, part, *sorted(why)) if note]


def _support(found: Mapping[str, Any], write: _Writing) -> dict[str, Any]:
    """As in the mail: nothing of support where nobody asked, and no median of nothing."""
    figures = (found.get("support") or {"figures": []})["figures"]
    asked = any(one["amount"] for one in figures)
    rows = []
    for one in figures:
        if not asked or one["amount"] is None:
            continue
        before = f"{write.number(one['before'])} before" if one["before"] is not None else ""
        rows.append({"label": _SUPPORT[one["figure"]], "value": write.number(one["amount"]), "note": before})
    return {"title": "Support", "rows": rows}


def _adoption(found: Mapping[str, Any], write: _Writing) -> dict[str, Any]:
    adoption, rows = found.get("adoption") or {}, []
    people, features = adoption.get("people"), adoption.get("features")
    if people:
        of = f" of {write.counted(people['seats'], 'seat')}" if people["seats"] is not None else ""
        before = f"{write.number(people['before'])} before" if people["before"] is not None else ""
        rows.append({"label": "Active people", "value": write.number(people["active"]) + of, "note": before})
    if features:
        used, unused = ", ".join(features["used"]), ", ".join(features["unused"])
        rows.append({"label": "Used of what is paid for", "value": _cut(used) or "nothing", "note": ""})
        if unused:
            rows.append({"label": "Not used", "value": _cut(unused), "note": ""})
    return {"title": "Use", "rows": rows}


def _lists(found: Mapping[str, Any], write: _Writing) -> Iterator[dict[str, Any]]:
    changes = [write.correction(one) for one in found.get("changes") or []]
    yield {"title": "Known since we wrote last", "lines": changes}
    steps = found.get("next_steps") or []
    yield {"title": "Next steps", "lines": [_cut(line) for one in steps if (line := one["next_step"] or one["title"])]}
    money = [write.rate(one) for one in found["values"] if one["assumption"]]
    yield {"title": "How the money comes about", "lines": [*money, *map(_cut, unpriced(found["values"]))]}
    contact = found.get("contact")
    who = ", ".join(part for part in (contact["name"], contact["address"]) if part) if contact else ""
    yield {"title": "Questions?", "lines": [_cut(who)] if who else []}


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
    return sign >= "\u0250"


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
