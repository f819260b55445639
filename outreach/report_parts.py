"""The parts of a report that tells of several accounts: for a mail the largest of them, for a page all."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from outreach.bidi import isolated
from outreach.words import Wording

IN_A_MAIL = 5
"""So many accounts a mail shows; it is read in ten seconds, and the page behind its link has all."""
LONGEST = 80
"""So many letters of a name stand in a mail."""
ABREAST = 3
"""Values that stand side by side on paper; more of them begin another table."""


class Writes(Protocol):
    """Writes figures in one locale, with the words of its language."""

    words: Wording

    def number(self, amount: Any) -> str:
        """A number, or that it is not known."""
        ...

    def counted(self, amount: Any, unit: str | None) -> str:
        """A number of something."""
        ...

    def money(self, money: Any) -> str:
        """Amounts by currency."""
        ...

    def change(self, change: Any, percent: Any) -> str:
        """How much more or less."""
        ...


def parts_context(found: Mapping[str, Any], words: Wording) -> dict[str, Any]:
    """What the template of a mail is told of the parts: the largest, how many there are, and how many it leaves out."""
    parts = [one for one in found.get("parts") or [] if not (one["own"] and _is_nothing(one))]
    return {
        "parts": [_mail_part(one, words) for one in parts[:IN_A_MAIL]],
        "parts_in_all": _in_all(found),
        "parts_left_out": max(0, len(parts) - IN_A_MAIL) + _left_out(found),
        "not_added": [one["label"] for one in _not_added(found)],
        "parts_apart": _is_apart(found),
    }


def _left_out(found: Mapping[str, Any]) -> int:
    """How many accounts are in the sums, and too many to be told of."""
    return int(found.get("parts_left_out") or 0)


def _in_all(found: Mapping[str, Any]) -> int:
    return len(found.get("parts") or []) + _left_out(found)


def _is_nothing(part: Mapping[str, Any]) -> bool:
    """Did the account itself do nothing of its own, as one that only holds others?"""
    return not any(one["amount"] for one in part["values"])


def _is_apart(found: Mapping[str, Any]) -> bool:
    """Is there money in several currencies, so that there is no sum of it?"""
    return bool(found.get("parts")) and len(found["total"]) > 1


def called(part: Mapping[str, Any], words: Wording) -> str:
    """The name of an account; one that was forgotten since has none."""
    return str(part["name"] or words.say("part-forgotten"))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _not_added(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in found["values"] if found.get("parts") and not one.get("added", True)]


def _mail_part(part: Mapping[str, Any], words: Wording) -> dict[str, Any]:
    known = [one for one in part["values"] if one["amount"] is not None]
    change = next((one for value in known[:1] for one in value["compared"][:1] if one["change"] is not None), None)
    return {
        "name": _short(called(part, words)),
        "money": [one for one in part["total"] if one["amount"]],
        "figures": [{key: one[key] for key in ("label", "unit", "amount")} for one in known[:ABREAST]],
        "change": None if change is None else {"amount": change["amount"], "percent": change["percent"]},
    }


def parts_tables(found: Mapping[str, Any], write: Writes, cut: Any) -> list[dict[str, Any]]:
    """All parts as text, in as many tables as their values need; the last row of each is all of them together."""
    parts = found.get("parts") or []
    values = found["values"]
    tables = []
    for start in range(0, len(values) if parts else 0, ABREAST):
        some = slice(start, start + ABREAST)
        worth = start == 0 and any(one["worth"] for one in values)
        rows = [
            {
                "name": cut(called(one, write.words)),
                "cells": _cells(one["values"][some], one["total"], write, worth=worth),
            }
            for one in parts
        ]
        every = {
            "name": write.words.say("parts-all", Decimal(_in_all(found)), n=write.number(_in_all(found))),
            "cells": _cells(values[some], found["total"], write, worth=worth),
        }
        heads = [*(cut(one["label"]) for one in values[some]), *([write.words.say("column-worth")] if worth else [])]
        tables.append({"columns": heads, "rows": rows, "all": every})
    return tables


def parts_notes(found: Mapping[str, Any], write: Writes, cut: Any) -> list[str]:
    """What must be said of sums, so that nobody adds up what cannot be."""
    names = ", ".join(isolated(cut(one["label"]), write.words.direction) for one in _not_added(found))
    told = [write.words.say("parts-read", names=names)] if names else []
    if _left_out(found):
        more = _left_out(found)
        told.append(write.words.say("parts-more-reply", Decimal(more), n=write.number(more)))
    return [*told, *([write.words.say("parts-apart")] if _is_apart(found) else [])]


def _cells(
    values: Sequence[Mapping[str, Any]], total: Sequence[Mapping[str, Any]], write: Writes, *, worth: bool
) -> list[dict[str, str]]:
    cells = [{"text": write.counted(one["amount"], one["unit"]), "note": _change(one, write)} for one in values]
    return [*cells, {"text": write.money(one for one in total if one["amount"]), "note": ""}] if worth else cells


def _change(one: Mapping[str, Any], write: Writes) -> str:
    """The change against what the report compares with first."""
    first = next(iter(one["compared"]), None)
    known = first is not None and first["change"] is not None and first["with"] != "goal"
    return write.change(first["change"], first["percent"]) if first is not None and known else ""
