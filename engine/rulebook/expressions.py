"""Conditions: one line of text becomes a checked tree, and the tree becomes Python that names nothing from the file."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from engine.values import Value

MAX_LENGTH = 1_000
MAX_NODES = 200
MAX_DEPTH = 25
MAX_CONSTANT = 9e12

Kind = Literal["number", "text", "true/false", "date", "list", "any"]


class ExpressionError(Exception):
    """A condition that cannot be read; ``offset`` is the character it is about."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Term:
    """One node of a checked condition: ``op`` is ``constant``, ``name``, ``list`` or a function of ``engine.logic``."""

    op: str
    args: tuple["Term", ...] = ()
    value: Value = None
    offset: int = field(default=0, compare=False)

    def walk(self) -> Iterator["Term"]:
        """The node and all below it."""
        yield self
        for arg in self.args:
            yield from arg.walk()

    def names(self) -> list[str]:
        """Every name it reads, in order, once."""
        found = dict.fromkeys(str(term.value) for term in self.walk() if term.op == "name")
        return list(found)


_COMPARE = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
}
_ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
_CALLS = {
    "min": ("least", 1, 20),
    "max": ("greatest", 1, 20),
    "abs": ("absolute", 1, 1),
    "round": ("rounded", 1, 2),
    "len": ("size", 1, 1),
    "known": ("known", 1, 1),
    "coalesce": ("coalesce", 2, 20),
}
_WORDS = {"true": True, "false": False}
COMPARISONS = frozenset(_COMPARE.values())
ARITHMETIC = frozenset({*_ARITHMETIC.values(), "minus", "least", "greatest", "absolute", "rounded", "size"})
TRUTHS = frozenset({*COMPARISONS, "both", "either", "negate", "among", "known"})


def parse(text: str) -> Term:
    """Read one condition. Raises ``ExpressionError`` with the character and what to do.

    >>> parse("reports_28d >= 10").names()
    ['reports_28d']
    """
    if len(text) > MAX_LENGTH:
        msg = f"longer than {MAX_LENGTH} characters; split it into lines"
        raise ExpressionError(msg)
    if not text.strip():
        msg = "an empty condition; write a comparison such as usage_7d == 0"
        raise ExpressionError(msg)
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
        offset = (getattr(err, "offset", None) or 1) - 1
        raise ExpressionError(_syntax_message(text), offset) from None
    lead = len(text) - len(text.lstrip())
    return _Reader(lead).term(tree.body, 1)


def source(term: Term, slot: Callable[[str], str], texts: list[str]) -> str:
    """Print a tree as Python. ``slot`` turns a name into its place; texts go into the table ``texts``, by index.

    Nothing of the file's text reaches the result: names become slots, text becomes ``T[i]``, numbers are printed anew.
    """
    if term.op == "name":
        return slot(str(term.value))
    if term.op == "constant":
        return _constant(term.value, texts)
    inner = ", ".join(source(arg, slot, texts) for arg in term.args)
    if term.op == "list":
        return f"({inner},)"
    return f"{term.op}({inner})"


def shown(term: Term, replace: Callable[[str], str] = str) -> str:
    """Print a tree in one canonical spelling; ``replace`` may put something else in place of each name."""
    if term.op == "name":
        return replace(str(term.value))
    if term.op == "constant":
        return repr(term.value)
    return f"{term.op}({', '.join(shown(arg, replace) for arg in term.args)})"


def _constant(value: Value, texts: list[str]) -> str:
    if isinstance(value, str):
        if value not in texts:
            texts.append(value)
        return f"T[{texts.index(value)}]"
    return repr(value)


def _syntax_message(text: str) -> str:
    if "=" in text.replace("==", "").replace("<=", "").replace(">=", "").replace("!=", ""):
        return "not a condition: a single '='; compare with =="
    if "&" in text or "|" in text:
        return "not a condition; write 'and' and 'or' as words"
    return "not a condition; write a comparison such as usage_7d == 0"


class _Reader:
    """Turns Python's tree into ours, refusing everything that is not on the list."""

    def __init__(self, lead: int) -> None:
        self._lead = lead
        self._nodes = 0

    def term(self, node: ast.expr, depth: int) -> Term:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            self._refuse(node, "too long or too deeply nested; name a part of it as a segment")
        offset = self._lead + node.col_offset
        if isinstance(node, ast.Constant):
            return self._constant(node, offset)
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._name(node, offset)
        if isinstance(node, ast.BoolOp):
            op = "both" if isinstance(node.op, ast.And) else "either"
            return Term(op, self._all(node.values, depth), offset=offset)
        if isinstance(node, ast.UnaryOp):
            return self._unary(node, depth, offset)
        if isinstance(node, ast.BinOp):
            arithmetic = _ARITHMETIC.get(type(node.op))
            if arithmetic is None:
                self._refuse(node, "this operator is not known; use + - * /")
            return Term(str(arithmetic), self._all([node.left, node.right], depth), offset=offset)
        if isinstance(node, ast.Compare):
            return self._compare(node, depth, offset)
        if isinstance(node, ast.Call):
            return self._call(node, depth, offset)
        what = next((words for kinds, words in _NO_PLACE if isinstance(node, kinds)), "this")
        return self._refuse(node, f"{what} has no place in a condition; {_ALLOWED}")

    def _all(self, nodes: list[ast.expr], depth: int) -> tuple[Term, ...]:
        return tuple(self.term(node, depth + 1) for node in nodes)

    def _constant(self, node: ast.Constant, offset: int) -> Term:
        value = node.value
        if isinstance(value, (bool, str)):
            return Term("constant", value=value, offset=offset)
        if isinstance(value, (int, float)):
            if not abs(value) <= MAX_CONSTANT:
                self._refuse(node, "a number beyond 9 x 10^12; no measure reaches it")
            return Term("constant", value=float(value), offset=offset)
        if value is None:
            self._refuse(node, "there is no 'none'; write not known(x)")
        return self._refuse(node, f"this is no value; {_ALLOWED}")

    def _name(self, node: ast.Name | ast.Attribute, offset: int) -> Term:
        parts: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            self._refuse(node, "a dot may only follow a name")
        else:
            parts.append(inner.id)
        name = ".".join(reversed(parts))
        if name in _WORDS:
            return Term("constant", value=_WORDS[name], offset=offset)
        if name in {"none", "null", "None"}:
            self._refuse(node, "there is no 'none'; write not known(x)")
        return Term("name", value=name, offset=offset)

    def _unary(self, node: ast.UnaryOp, depth: int, offset: int) -> Term:
        inner = self.term(node.operand, depth + 1)
        if isinstance(node.op, ast.Not):
            return Term("negate", (inner,), offset=offset)
        if isinstance(node.op, ast.USub):
            if inner.op == "constant" and isinstance(inner.value, float):
                return Term("constant", value=-inner.value, offset=offset)
            return Term("minus", (inner,), offset=offset)
        if isinstance(node.op, ast.UAdd):
            return inner
        return self._refuse(node, "this operator is not known; use + - * /")

    def _compare(self, node: ast.Compare, depth: int, offset: int) -> Term:
        links: list[Term] = []
        left = self.term(node.left, depth + 1)
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, (ast.In, ast.NotIn)):
                choices = self._choices(right_node, depth)
                link = Term("among", (left, choices), offset=offset)
                links.append(Term("negate", (link,), offset=offset) if isinstance(op, ast.NotIn) else link)
                left = choices
                continue
            name = _COMPARE.get(type(op))
            if name is None:
                self._refuse(node, "'is' is not known; compare with ==, or write known(x)")
            right = self.term(right_node, depth + 1)
            links.append(Term(str(name), (left, right), offset=offset))
            left = right
        return links[0] if len(links) == 1 else Term("both", tuple(links), offset=offset)

    def _choices(self, node: ast.expr, depth: int) -> Term:
        if isinstance(node, (ast.List, ast.Tuple)):
            items = self._all(node.elts, depth)
            if not items or any(item.op != "constant" for item in items):
                self._refuse(node, '\'in\' wants a list of constants, such as ["pro", "team"]')
            return Term("list", items, offset=self._lead + node.col_offset)
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self.term(node, depth + 1)
        return self._refuse(node, "'in' wants a list in brackets, or an attribute that is a list")

    def _call(self, node: ast.Call, depth: int, offset: int) -> Term:
        if not isinstance(node.func, ast.Name) or node.func.id not in _CALLS or node.keywords:
            self._refuse(node, f"only {', '.join(sorted(_CALLS))} can be called; a measure counts and sums")
        name, least, most = _CALLS[node.func.id]  # type: ignore[attr-defined]  # refused above
        if not least <= len(node.args) <= most:
            many = f"{least} to {most} values" if least < most else "one value"
            self._refuse(node, f"{node.func.id} takes {many}; found {len(node.args)}")  # type: ignore[attr-defined]
        args = self._all(node.args, depth)
        if name == "rounded" and len(args) > 1 and not _small(args[1]):
            self._refuse(node, "round takes a number of digits from 0 to 6")
        return Term(name, args, offset=offset)

    def _refuse(self, node: ast.expr, message: str) -> Term:
        raise ExpressionError(message, self._lead + node.col_offset)


_NO_PLACE: tuple[tuple[tuple[type[ast.expr], ...], str], ...] = (
    ((ast.Tuple,), "a list of values with commas"),
    ((ast.List,), "a list that stands alone"),
    ((ast.Dict, ast.Set, ast.DictComp, ast.SetComp), "something in { }"),
    ((ast.Subscript,), "a name with [ ] behind it"),
    ((ast.ListComp, ast.GeneratorExp), "a loop"),
    ((ast.IfExp,), "if ... else"),
    ((ast.JoinedStr,), "text with a letter before its quotes"),
    ((ast.Starred,), "a star before a name"),
    ((ast.NamedExpr,), "':='"),
)
"""What Python can say and a condition cannot, in an author's words."""
_ALLOWED = "use numbers, text, names, + - * /, comparisons, in [...], and, or, not"
_MOST_DIGITS = 6


def _small(term: Term) -> bool:
    value = term.value
    return term.op == "constant" and isinstance(value, float) and value.is_integer() and 0 <= value <= _MOST_DIGITS
