"""The brief of an account as a page for its owner: to read, to print, and with the events behind each number."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from engine.reports.periods import read_period
from engine.reports.tracing import Tracing
from outreach.units import unit_text
from ringfirst.answers import plural
from ringfirst.report_blocks_shown import FIGURES, blocks_of, money_text
from ringfirst.report_mail import write_file
from ringfirst.reports_shown import notes_of

MOST_EVENTS = 100
"""Events of a trace on the page; the command lists all of them."""
_SHOWN = ("Next step", "Worth since")


def write_brief(path: Path, found: dict[str, Any], tracing: Tracing) -> None:
    """Write the page: one file that loads nothing. Raises ``UsageError`` where that cannot be done."""
    write_file(path, page_of(found, tracing).encode(), "--html")


def page_of(found: dict[str, Any], tracing: Tracing) -> str:
    """The page of a brief; ``tracing`` traces the figures that it shows."""
    import jinja2

    source = (resources.files("ringfirst") / "brief.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(source).render(b=brief_context(found, tracing))


def brief_context(found: dict[str, Any], tracing: Tracing) -> dict[str, Any]:
    """What the page is told."""
    period, owner = found["period"], found["contact"]
    money = [one for one in found["total"] if one["amount"]]
    return {
        "account": found["account_id"],
        "title": found["title"] or found["report"],
        "label": read_period(period["name"]).title,
        "days": f"{period['first_day']} to {period['last_day']}, {period['zone']}",
        "as_of": found["as_of"],
        "owner": (owner["name"] or owner["address"]) if owner else "nobody of ours is named",
        "notes": notes_of(found),
        "headline": money_text(money) if money else "",
        "headline_words": list(_paid(found)),
        "points": found["talking_points"],
        "parts": [part for part in _parts(found) if part["rows"] or part["lines"]],
        "traces": _traces(found, tracing),
    }


def _paid(found: dict[str, Any]) -> Iterator[str]:
    price, ratio = found["price"], found["value_to_price"]
    if price is not None:
        paid = price["unknown"] or f"{price['amount']:,} {price['currency']}"
        yield f"Price of the period: {paid}" + ("" if ratio is None else f"; the value is {ratio:,.2f} times that")
    ever = [one for one in found["total_ever"] if one["amount"]]
    if ever:
        yield f"{money_text(ever)} since {found['period']['known_since'][: len('2026-03-02')]}"


def _parts(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    beside = [one for value in found["values"] for one in value["compared"]]
    known = list(dict.fromkeys(one["with"] for one in beside if one["change"] is not None))
    columns = ["Value", "Amount", "Worth", *(word.capitalize() for word in known), "Since we know it"]
    why = {f"with the {one['with']}: {one['not_compared']}" for one in beside if one["not_compared"]}
    lines = [f"Not compared {one}" for one in sorted(why) if not one.startswith("with the goal")]
    assumed = [f"Assumed: {one['assumption']}" for one in found["values"] if one["assumption"]]
    yield _part("What they got", columns, (_value(one, known) for one in found["values"]), [*lines, *assumed])
    rows = (_row(f"measure.{one['measure']}", one["label"], one, one["amount"]) for one in found["changes"])
    unlike = found["changes_not_compared"]
    yield _part(
        "What changed most", ["Measure", "Now", "Before", "Change"], rows, [f"Not compared: {unlike}"] if unlike else []
    )
    goals = map(_goal, found["goals"])
    yield _part("Goals that were agreed", ["Goal", "Now", "Target", "Of the way", "Due"], goals)
    figures = [one for one in (found["support"] or {"figures": []})["figures"] if one["amount"] is not None]
    rows = (
        _row(f"support.{one['figure']}", FIGURES[one["figure"]].capitalize(), one, one["amount"]) for one in figures
    )
    yield _part("Support", ["Figure", "Now", "Before", "Change"], rows if any(one["amount"] for one in figures) else ())
    yield _part("Use", ["Figure", "Now", "Before"], _use(found["adoption"] or {}))
    health = (
        {
            "name": "",
            "label": one["score"],
            "cells": [number(one["value"]), one["band"] or "", number(one["before"]), one["worst"] or ""],
        }
        for one in found["health"]
    )
    yield _part("Health", ["Score", "Now", "Band", "When the period began", "Worst part"], health)
    owed = [f"{one['state'].capitalize()} on {one['at'][:10]}: {_promise(one)}" for one in found["exceptions"]]
    yield _part("What was promised or refused", [], (), owed)
    rest = [line for line in blocks_of(found) if line.startswith(_SHOWN)]
    yield _part("Next steps and the contract", [], (), rest)
    go = "Their report would go" if found["would_go"] else f"Their report would not go: {found['because']}"
    yield _part("Their report", [], (), [go])


def _part(title: str, columns: list[str], rows: Iterable[dict[str, Any]], lines: Iterable[str] = ()) -> dict[str, Any]:
    return {"title": title, "columns": columns, "rows": list(rows), "lines": list(lines)}


def _value(one: dict[str, Any], known: list[str]) -> dict[str, Any]:
    worth = money_text(one["worth"]["money"]) if one["worth"] else ""
    beside = {inner["with"]: inner for inner in one["compared"] if inner["change"] is not None}
    earlier = [_changed(beside[word]) if word in beside else "" for word in known]
    cells = [counted(one["amount"], one["unit"]), worth, *earlier, number(one["ever"]["amount"])]
    return {"name": one["value"], "label": one["label"], "cells": cells}


def _changed(inner: Mapping[str, Any]) -> str:
    percent = inner["percent"]
    return number(inner["amount"]) + ("" if not percent else f" ({'+' if percent > 0 else ''}{number(percent)} %)")


def _goal(one: Mapping[str, Any]) -> dict[str, Any]:
    way = one["unknown"] or ("reached" if one["reached"] else "")
    if one["percent"] is not None and not one["reached"]:
        way = f"{number(one['percent'])} %"
    cells = [number(one["current"]), counted(one["target"], one["unit"]), way, one["due"] or ""]
    return {"name": f"goal.{one['metric']}", "label": one["label"], "cells": cells}


def _row(name: str, label: str, one: Mapping[str, Any], amount: Any) -> dict[str, Any]:
    change = "" if one["change"] is None else f"{'+' if one['change'] > 0 else ''}{number(one['change'])}"
    before = "" if one["before"] is None else number(one["before"])
    return {"name": name, "label": label, "cells": [number(amount), before, change]}


def _use(adoption: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    people, features = adoption.get("people"), adoption.get("features")
    if people:
        of = "" if people["seats"] is None else f" of {number(people['seats'])} seats"
        before = "" if people["before"] is None else number(people["before"])
        yield {"name": "adoption.people", "label": "Active people", "cells": [number(people["active"]) + of, before]}
    if features and features["bought"]:
        unused = f"; not used: {', '.join(features['unused'])}" if features["unused"] else ""
        cell = f"{len(features['used'])} of {features['bought']}{unused}"
        yield {"name": "adoption.features", "label": "Used of what is paid for", "cells": [cell, ""]}


def _promise(one: Mapping[str, Any]) -> str:
    until = f", until {one['expires_at']}" if one["expires_at"] else ""
    why = f" ({one['reason']})" if one["reason"] else ""
    return f"{one['what'] or one['exception_id']}{why}{until}"


def _traces(found: dict[str, Any], tracing: Tracing) -> dict[str, dict[str, Any]]:
    names = [*tracing.names, *(f"measure.{one['measure']}" for one in found["changes"])]
    return {name: _trace(number, tracing.trace(name)) for number, name in enumerate(names, 1)}


def _trace(at: int, told: dict[str, Any]) -> dict[str, Any]:
    said = not told["unit"] or told["formula"].endswith(f" {told['unit']}")
    lines = [told["formula"] + ("" if said else f" ({told['unit']})")]
    if told["worth"] is not None:
        lines.append(f"worth {money_text(told['worth']['money'])}: {told['worth']['formula']}")
    lines += [f"{line['is']} {line['line']}: {line['truth']}" for line in told.get("lines") or []]
    lines += [f"{one['with']}, {one['period']}: {one['formula']}" for one in told["earlier"]]
    events = told["events"]
    more = ""
    if len(events) > MOST_EVENTS:
        more = f"the first {MOST_EVENTS} of {plural(len(events), 'event')}; the command lists all of them"
    rows = [[one["id"], one["type"], one["time"], _cell(one["counted"]), _with(one)] for one in events[:MOST_EVENTS]]
    return {"number": at, "label": told["label"], "lines": lines, "rows": rows, "more": more}


def _cell(counted: Any) -> str:
    return "" if counted is None else number(counted) if isinstance(counted, int | float) else str(counted)


def _with(one: Mapping[str, Any]) -> str:
    money, says = one.get("money"), one.get("says") or {}
    parts = [f"{money['amount']:,} {money['currency']}" if isinstance(money, dict) else str(money)] if money else []
    parts += [f"{name} = {value}" for name, value in says.items()]
    return ", ".join([*parts, *(str(one[key]) for key in ("thing", "figure") if key in one)])


def counted(amount: Any, unit: str) -> str:
    """An amount with its unit, in our language.

    >>> counted(2, "hour"), counted(1, "story"), counted(None, "hour"), counted(3, "")
    ('2 hours', '1 story', 'unknown', '3')
    """
    text = number(amount)
    return text if amount is None or not unit else unit_text(Decimal(text.replace(",", "")), unit, "en")


def number(amount: Any) -> str:
    """An amount for us, to four digits behind the point.

    >>> number(1224.5), number(58 / 3), number(None), number(0)
    ('1,224.5', '19.3333', 'unknown', '0')
    """
    return "unknown" if amount is None else f"{amount:,.4f}".rstrip("0").rstrip(".")
