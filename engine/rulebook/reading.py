"""Reading single values out of nodes, with a finding wherever one is not what it should be."""

import re
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.instants import DAY, HOUR, MINUTE, SECOND
from engine.rulebook import expressions
from engine.rulebook.expressions import ExpressionError
from engine.rulebook.findings import Findings, Place, listed, suggestion
from engine.rulebook.nodes import Node
from engine.rulebook.spec import NO_TERM, OPENS, Act, Line, Test, Types, Window, means_opens
from engine.rulebook.words import TEST, Key, Shape
from engine.values import KINDS

_SPAN = re.compile(r"(\d{1,9})\s*(s|m|h|d|w)", re.ASCII)
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_CALENDAR = re.compile(r"(this|previous) (week|month|quarter|year)")
_AGO = re.compile(r"(\S+(?: \S)?) ago")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,99}", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}", re.ASCII)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_SPAN = 3660 * DAY


class Reading:
    """Reads values of the language; every fault becomes a finding with its place, and reading goes on.

    Not ``dutiful`` is for rulebooks that a store holds: what decides nothing must not close the store afterwards.
    """

    def __init__(self, findings: Findings, *, dutiful: bool = True) -> None:
        self.findings = findings
        self._dutiful = dutiful

    def error(self, node: Node | Place, message: str) -> None:
        """Note a fault at a node."""
        self.findings.error(node if isinstance(node, Place) else node.at, message)

    def mapping(self, node: Node, what: str, shape: Shape) -> dict[str, Node]:
        """The keys of a mapping that the shape knows; unknown and missing ones become findings."""
        if node.keys is None:
            self.error(node, f"{what}: should be a mapping; found {node.kind}; write key: value, as {_example(shape)}")
            return {}
        known: dict[str, Node] = {}
        for key, (at, inner) in node.keys.items():
            if key in shape:
                known[key] = inner
            elif node.flow and inner.is_empty:
                alone = key == next(iter(node.keys))  # no comma before it can have cut it off
                remedy = f"write key: value, as {_example(shape)}" if alone else "quote an expression that has a comma"
                self.error(at, f"{what}: '{key[:60]}' stands without a value; {remedy}")
            else:
                near = suggestion(key, shape) or f"; it takes {listed(shape)}"
                self.error(at, f"{what}: unknown key '{key[:60]}'{near}")
        for key, rule in shape.items():
            if rule.required and key not in known:
                self.error(node, f"{what}: '{key}' is missing; {_wanted(key, rule)}")
        return known

    def named(self, node: Node, what: str) -> list[tuple[str, Place, Node]]:
        """The entries of a mapping from names of the author's own."""
        if node.keys is None:
            if node.value is not None or node.items is not None:
                self.error(node, f"{what}: should be a mapping from names; found {node.kind}")
            return []
        found = []
        for key, (at, inner) in node.keys.items():
            if _NAME.fullmatch(key) and not key.startswith("__"):
                found.append((key, at, inner))
            else:
                self.error(at, f"{what}: '{key[:60]}' is no name; use letters, digits and _")
        return found

    def items(self, node: Node, what: str) -> list[Node]:
        """The items of a list."""
        if node.items is None:
            self.error(node, f"{what}: should be a list; found {node.kind}; begin each item with '- '")
            return []
        return node.items

    def text(self, node: Node, what: str, most: int = 2_000) -> str:
        """A text."""
        if not isinstance(node.value, str) or node.keys is not None or node.items is not None:
            self.error(node, f"{what}: should be text; found {node.kind}; put it in quotes")
            return ""
        if len(node.value) > most:
            self.error(node, f"{what}: longer than {most} characters; found {len(node.value)}; shorten it")
            return ""
        return node.value

    def texts(self, node: Node, what: str) -> tuple[str, ...]:
        """A text, or a list of texts."""
        nodes = node.items if node.items is not None else [node]
        return tuple(self.text(item, what) for item in nodes)

    def slug(self, node: Node, what: str) -> str:
        """A kebab-case id."""
        text = self.text(node, what, 100)
        if text and not _SLUG.fullmatch(text):
            self.error(node, f"{what}: '{text}' is no id; use lower-case letters, digits and -")
        return text

    def word(self, node: Node, what: str, choices: Iterable[str]) -> str:
        """One of a few words."""
        choices = list(choices)
        text = node.text if node.keys is None and node.items is None else ""
        if text not in choices:
            near = suggestion(text, choices) or f"; it takes {listed(choices)}"
            self.error(node, f"{what}: found {text[:60]!r}{near}")
            return choices[0]
        return text

    def flag(self, node: Node, what: str) -> bool:
        """True or false."""
        if not isinstance(node.value, bool):
            self.error(node, f"{what}: should be true or false; found {node.text or node.kind}")
            return False
        return node.value

    def number(self, node: Node, what: str) -> float:
        """A number."""
        value = node.value
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, Decimal))
            or abs(float(value)) > expressions.MAX_CONSTANT
        ):
            self.error(node, f"{what}: should be a number within 9 x 10^12; found {node.text[:40] or node.kind}")
            return 0.0
        return float(value)

    def whole(self, node: Node, what: str, least: int = 0, most: int = 1_000_000) -> int:
        """A whole number within bounds."""
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.error(node, f"{what}: should be a whole number from {least} to {most}; found {node.text or node.kind}")
            return least
        return value

    def share(self, node: Node, what: str) -> float:
        """A share: ``10%`` or a number from 0 to 1."""
        text = node.text
        if text.endswith("%"):
            try:
                share = float(Decimal(text[:-1])) / 100
            except ArithmeticError:
                share = -1.0
        else:
            value = node.value
            numeric = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
            share = float(text) if numeric else -1.0
        if not 0 <= share <= 1:
            self.error(node, f"{what}: should be a share such as 10%; found {text[:40] or node.kind}")
            return 0.0
        return share

    def span(self, node: Node, what: str) -> int:
        """A span such as ``15m``, ``36h``, ``3d``, in milliseconds; a day is 24 h."""
        return self.span_of(node.text, node, what)

    def span_of(self, text: str, node: Node, what: str) -> int:
        """The same of a text that stands in ``node``."""
        found = _SPAN.fullmatch(text)
        span = int(found[1]) * _UNITS[found[2]] if found else None
        if span is None or span > MAX_SPAN:
            self.error(node, f"{what}: should be a span such as 15m, 36h, 3d or 2w; found {text[:40] or node.kind}")
            return 0
        return span

    def clock(self, node: Node, what: str) -> int:
        """A time of day as minutes past midnight."""
        if not _CLOCK.fullmatch(node.text):
            self.error(node, f'{what}: should be a time such as "08:00"; found {node.text[:40] or node.kind}')
            return 0
        return int(node.text[:2]) * 60 + int(node.text[3:])

    def weekdays(self, node: Node, what: str) -> tuple[int, ...]:
        """Weekdays: ``mon-fri``, ``sat``, or a list of these; 0 is Monday."""
        days: set[int] = set()
        for text in self.texts(node, what):
            first, _, last = text.partition("-")
            if first not in _WEEKDAYS or (last or first) not in _WEEKDAYS:
                self.error(node, f"{what}: should be days such as mon-fri; found {text[:40]!r}")
                return tuple(range(7))
            start, end = _WEEKDAYS.index(first), _WEEKDAYS.index(last or first)
            days.update(day % 7 for day in range(start, end + 1 if end >= start else end + 8))
        return tuple(sorted(days))

    def window(self, node: Node, ending: Node | None) -> Window:
        """``over`` and ``ending``."""
        calendar = _CALENDAR.fullmatch(node.text)
        if calendar:
            if ending is not None:
                self.error(ending, "ending: a calendar window has none; write previous month, or over: 28d")
            return Window("calendar", unit=calendar[2], previous=calendar[1] == "previous")
        kind, size = self._stretch(node, "over", node.text)
        if size == 0:
            self.error(node, "over: an empty window; write at least 1d or 1m")
        shift = 0
        if ending is not None:
            ago = _AGO.fullmatch(ending.text)
            ending_kind, shift = self._stretch(ending, "ending", ago[1] if ago else "")
            if ago and ending_kind != kind:
                self.error(ending, "ending: has another unit than over; both in d or w, or both in h, m or s")
        return Window("days" if kind == "days" else "exact", size, shift)

    def _stretch(self, node: Node, what: str, text: str) -> tuple[str, int]:
        found = _SPAN.fullmatch(text)
        if not found or int(found[1]) * _UNITS[found[2]] > MAX_SPAN:
            example = "14d ago" if what == "ending" else "28d, 4w, 36h, this month"
            self.error(node, f"{what}: should be such as {example}; found {node.text[:40] or node.kind}")
            return "days", 1
        if found[2] in "dw":
            return "days", int(found[1]) * (7 if found[2] == "w" else 1)
        return "exact", int(found[1]) * _UNITS[found[2]]

    def factor(self, node: Node) -> Fraction:
        """``times``: a number or a ratio such as ``1/60``."""
        text = node.text.replace(" ", "")
        try:
            factor = Fraction(text)
        except (ValueError, ZeroDivisionError):
            factor = Fraction(0)
        if factor == 0 or max(abs(factor.numerator), factor.denominator) > 10**12 or len(text) > 40:  # noqa: PLR2004
            self.error(node, f"times: should be a number or a ratio such as 1/60; found {node.text[:40] or node.kind}")
            return Fraction(1)
        return factor

    def types(self, node: Node, what: str) -> Types:
        """Event types: one, a list, or one ending in ``*``; ``any`` is all."""
        exact, beginnings = [], []
        for text in self.texts(node, what):
            if means_opens(text):
                self.error(node, f"{what}: {OPENS}; found '{text[:60]}'; name what you mean, such as outreach.clicked")
            elif text in {"any", "*"}:
                beginnings.append("")
            elif text.endswith("*") and "*" not in text[:-1]:
                beginnings.append(text[:-1])
            elif "*" in text or not text:
                self.error(node, f"{what}: '{text[:60]}' is no event type; a star may only stand at its end")
            else:
                exact.append(text)
        return Types(tuple(sorted(set(exact))), tuple(sorted(set(beginnings))))

    def where(self, node: Node) -> tuple[Test, ...]:
        """``where``: property: value, a list of values, or a mapping of tests."""
        if node.keys is None:
            self.error(node, f"where: should be a mapping such as {{feature: reports}}; found {node.kind}")
            return ()
        tests: list[Test] = []
        for key, (at, inner) in node.keys.items():
            path = tuple(key.split("."))
            if not all(path):
                self.error(at, f"where: '{key[:60]}' is no property; write its name, and dots between nested ones")
            elif node.flow and inner.is_empty:
                self.error(at, f"where: '{key[:60]}' stands without a value; write property: value, as {{plan: pro}}")
            elif inner.keys is not None:
                tests.extend(self._tests(path, inner))
            else:
                tests.append(Test(path, "is", self._operands(inner)))
        return tuple(tests)

    def _tests(self, path: tuple[str, ...], node: Node) -> list[Test]:
        tests: list[Test] = []
        for key, (at, inner) in (node.keys or {}).items():
            if key not in TEST:
                self.error(
                    at, f"where: unknown test '{key[:60]}'{suggestion(key, TEST) or '; it takes ' + listed(TEST)}"
                )
            elif key == "known":
                tests.append(Test(path, "known", (self.flag(inner, "known"),)))
            else:
                tests.append(Test(path, key, self._operands(inner)))  # type: ignore[arg-type]  # one of TEST
        return tests

    def _operands(self, node: Node) -> tuple[object, ...]:
        items = node.items if node.items is not None else [node]
        for item in items:
            if item.keys is not None or item.items is not None or item.value is None:
                self.error(item, f"where: should be text, a number, true or false; found {item.kind}")
        return tuple(item.value for item in items)

    def acts(self, node: Node, what: str) -> tuple[Act, ...]:
        """Events of a kind: a type, a list of types, or ``{event:, where:}``."""
        if node.keys is not None:
            event, where = node.keys.get("event"), node.keys.get("where")
            for key, (at, _) in node.keys.items():
                if key not in {"event", "where"}:
                    self.error(at, f"{what}: unknown key '{key[:60]}'; it takes event and where")
            if event is None:
                self.error(node, f"{what}: 'event' is missing; name the event type")
                return ()
            return (Act(self.types(event[1], what), self.where(where[1]) if where else ()),)
        if node.items is not None and any(item.keys is not None for item in node.items):
            return tuple(act for item in node.items for act in self.acts(item, what))
        return (Act(self.types(node, what)),)

    def line(self, node: Node, what: str) -> Line:
        """One condition. The traps of YAML are called by their names."""
        if node.keys is not None:
            braced = node.flow and all(inner.is_empty for _, inner in node.keys.values())
            remedy = "write the condition without { }" if braced else "quote the whole line (it has a ': ')"
            self.error(node, f"{what}: a mapping where a condition belongs; {remedy}")
            return Line("", NO_TERM, node.at)
        if node.items is not None:
            self.error(node, f"{what}: a list where one condition belongs; quote the whole line (it has brackets)")
            return Line("", NO_TERM, node.at)
        text = str(node.value).lower() if isinstance(node.value, bool) else node.text
        try:
            return Line(text, expressions.parse(text), node.at, node.quoted)
        except ExpressionError as err:
            cut = (
                "; the line is cut at ' #', quote it" if node.rest.lstrip().startswith("#") and "#" in node.rest else ""
            )
            torn = any(text.count(left) != text.count(right) for left, right in ("()", "[]"))
            comma = "; a comma has cut it in two, quote the whole line" if torn and not cut and not node.quoted else ""
            self.error(node.column(err.offset), f"{what}: {err}{cut}{comma}")
            return Line(text, NO_TERM, node.at)

    def lines(self, node: Node, what: str) -> tuple[Line, ...]:
        """Conditions: one, or a list of them."""
        items = node.items if node.items is not None else [node]
        if not items:
            self.error(node, f"{what}: is empty; write at least one condition")
        return tuple(self.line(item, what) for item in items)

    def kinds(self, node: Node, what: str) -> dict[str, str]:
        """A mapping from names to declared types."""
        return {name: self.word(inner, f"{what} {name}", KINDS) for name, _, inner in self.named(node, what)}

    def literals(self, node: Node, what: str) -> tuple[tuple[str, object], ...]:
        """Constants by name, lists and nested ones as they are."""
        if node.keys is None:
            self.error(node, f"{what}: should be a mapping; found {node.kind}; write name: value")
            return ()
        if self._dutiful:
            self.whole_literals(node, what)
        return tuple((key, _literal(inner.plain())) for key, (_, inner) in node.keys.items())

    def whole_literals(self, node: Node, what: str) -> None:
        """See that no text inside ``{ }`` was cut in two by its comma: the rest is a key without a value.

        A value that is meant to be nothing says so: ``null``.
        """
        for key, (at, inner) in (node.keys or {}).items():
            if node.flow and inner.is_empty:
                self.error(at, f"{what}: '{key[:60]}' stands without a value; quote a text that has a comma")
            self.whole_literals(inner, what)
        for item in node.items or ():
            self.whole_literals(item, what)


def _example(shape: Shape) -> str:
    """The first key that must be there, or the first: how such a mapping begins."""
    return f"'{next((key for key, rule in shape.items() if rule.required), next(iter(shape)))}: ...'"


def _wanted(key: str, rule: Key) -> str:
    """What to write for a key that is missing: its words where it takes one of a few, else what it is for."""
    says = f"{rule.says[:1].lower()}{rule.says[1:]}".removesuffix(".")
    if not rule.takes.startswith("word "):
        return f"add it ({says})"
    *words, last = rule.takes.removeprefix("word ").split("|")
    return f"add {key}: {', '.join(words)} or {last} ({says})" if words else f"add {key}: {last} ({says})"


def _literal(value: Any) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    return [_literal(item) for item in value] if isinstance(value, list) else value
