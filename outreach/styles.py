"""As much of CSS as mails have: which rule wins for an element, on a desktop, in light or in dark.

Selectors may have tags, classes, ids, attributes, ``:first-child``, ``:last-child`` and ``:root``, side by side, in one
another and right in one another (``>``). A rule with anything else in its selector is as if it were not there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outreach.page import Element

WIDTH = 640
"""Pixels of the window that a mail is looked at in."""
_COMMENT = re.compile(r"/\*.*?\*/|<!--|-->", re.DOTALL)
_SIMPLE = re.compile(r"([#.]?[\w-]+|\*|\[[\w-]+(?:[~|^$*]?=\"?[^\]\"]*\"?)?\]|::?[\w-]+(?:\([^)]*\))?)")
_FEATURE = re.compile(r"\(\s*([\w-]+)\s*(?::\s*([^)]+?)\s*)?\)")
_WHOLE = {"background": "background-color"}
_LEAST = (0, 0, 0)
Said = tuple[tuple[str, str, bool], ...]
"""Properties with their values, and whether each is important."""
_PSEUDO = frozenset({":first-child", ":last-child", ":root"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One selector with what it says: compounds from the inmost out, and how each stands in the next."""

    compounds: tuple[tuple[str, ...], ...]
    joins: tuple[str, ...]
    weight: tuple[int, int, int]
    said: Said


def read_rules(sheets: list[str], scheme: str) -> list[Rule]:
    """The rules of a mail's style sheets that hold in a scheme, ``light`` or ``dark``, in order."""
    return [rule for sheet in sheets for rule in _rules(_COMMENT.sub("", sheet), scheme)]


def read_declarations(text: str) -> Said:
    """Properties of a style, each with its value and whether it is important; ``background`` is its colour alone."""
    found = []
    for part in text.split(";"):
        name, colon, value = part.partition(":")
        plain, mark, _ = value.strip().lower().partition("!important")
        if colon and plain.strip():
            found.append((_WHOLE.get(name.strip().lower(), name.strip().lower()), plain.strip(), bool(mark)))
    return tuple(found)


def style_of(one: Element, rules: list[Rule]) -> Mapping[str, str]:
    """What is said of an element itself; of several that say the same property the one that wins."""
    best: dict[str, tuple[tuple[Any, ...], str]] = {}
    told = [(_LEAST, -1, _by_attributes(one))]
    told += [(rule.weight, at, rule.said) for at, rule in enumerate(rules) if _fits(one, rule, 0)]
    told.append(((1, 0, 0), len(rules), read_declarations(one.given.get("style", ""))))
    for number, (weight, at, said) in enumerate(told):
        inline = number == len(told) - 1
        for name, value, important in said:
            rank = (important, inline, weight, at)
            if name not in best or rank >= best[name][0]:
                best[name] = (rank, value)
    return {name: value for name, (_, value) in best.items()}


def _by_attributes(one: Element) -> Said:
    """What old attributes say of its colours."""
    names = {"bgcolor": "background-color"} | ({"color": "color"} if one.tag == "font" else {})
    return tuple((name, one.given[given], False) for given, name in names.items() if given in one.given)


def holds(query: str, scheme: str) -> bool:
    """Whether a media query holds on a desktop in that scheme.

    >>> holds("(prefers-color-scheme: dark)", "dark"), holds("only screen and (max-width: 480px)", "dark")
    (True, False)
    """
    return any(_holds(part.strip().lower(), scheme) for part in query.split(","))


def _holds(query: str, scheme: str) -> bool:
    kind = _FEATURE.sub("", query).replace("only", "").replace("and", "").strip()
    if kind not in ("", "all", "screen"):
        return False
    return all(_has(name, value, scheme) for name, value in _FEATURE.findall(query))


def _has(name: str, value: str, scheme: str) -> bool:
    pixels = float(found[1]) if (found := re.match(r"(\d+(?:\.\d+)?)(?:px)?$", value)) else None
    match name:
        case "prefers-color-scheme":
            return value == scheme
        case "max-width":
            return pixels is not None and pixels >= WIDTH
        case "min-width":
            return pixels is not None and pixels <= WIDTH
        case _:
            return False


def _rules(sheet: str, scheme: str) -> Iterator[Rule]:
    at = 0
    while (start := sheet.find("{", at)) >= 0:
        head, end = sheet[at:start].strip(), _end(sheet, start)
        inner = sheet[start + 1 : end]
        at = end + 1
        head = head.rpartition(";")[2].strip()
        if head.startswith("@media"):
            if holds(head.removeprefix("@media"), scheme):
                yield from _rules(inner, scheme)
        elif not head.startswith("@"):
            said = read_declarations(inner)
            yield from (rule for one in head.split(",") if (rule := _rule(one.strip(), said)) is not None)


def _end(sheet: str, start: int) -> int:
    depth = 0
    for at in range(start, len(sheet)):
        depth += (sheet[at] == "{") - (sheet[at] == "}")
        if depth == 0:
            return at
    return len(sheet)


def _rule(selector: str, said: Said) -> Rule | None:
    compounds: list[tuple[str, ...]] = []
    joins: list[str] = []
    for word in re.sub(r"\s*>\s*", " > ", selector).split():
        if word == ">":
            joins[-1:] = [">"]
            continue
        parts = tuple(_SIMPLE.findall(word))
        if "".join(parts) != word or any(part.startswith(":") and part not in _PSEUDO for part in parts):
            return None
        compounds.append(parts)
        joins.append(" ")
    if not compounds:
        return None
    flat = [part for parts in compounds for part in parts]
    ids = sum(part.startswith("#") for part in flat)
    classes = sum(part[0] in ".[:" for part in flat)
    tags = sum(part[0] not in "#.[:*" for part in flat)
    return Rule(tuple(reversed(compounds)), tuple(reversed(joins[:-1])), (ids, classes, tags), said)


def _fits(one: Element, rule: Rule, at: int) -> bool:
    if not all(_is(one, part) for part in rule.compounds[at]):
        return False
    if at + 1 == len(rule.compounds):
        return True
    if rule.joins[at] == ">":
        return one.parent is not None and _fits(one.parent, rule, at + 1)
    return any(_fits(other, rule, at + 1) for other in one.above)


def _is(one: Element, part: str) -> bool:
    match part[0]:
        case "*":
            return True
        case ".":
            return part[1:] in one.classes
        case "#":
            return one.given.get("id") == part[1:]
        case "[":
            name, equals, value = part[1:-1].partition("=")
            return name in one.given and (not equals or one.given[name] == value.strip('"'))
        case ":":
            return _is_placed(one, part)
        case _:
            return one.tag == part.lower()


def _is_placed(one: Element, part: str) -> bool:
    if part == ":root":
        return one.tag == "html"
    beside = one.parent.children if one.parent is not None else [one]
    return one is beside[0 if part == ":first-child" else -1]
