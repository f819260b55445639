"""Conditions: parsed by ``ast``, walked with three values (True, False, None for unknown)."""

import ast
import math
import operator
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.judge.kinds import is_number, kind_of

Lookup = Callable[[str], Any]
_ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_ORDER = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
_LITERALS = {"true": True, "false": False}


@cache
def parse(text: str) -> ast.expr:
    """Parse one line."""
    return ast.parse(text.strip(), mode="eval").body


def source(line: object) -> str:
    """A line as text, also where YAML made it a number or true/false."""
    return {True: "true", False: "false"}[line] if isinstance(line, bool) else str(line)


def names(line: object) -> list[str]:
    """All names of a line as they are written, in order, each once."""
    found: dict[str, None] = {}
    _collect(parse(source(line)), found)
    return list(found)


def evaluate(line: object, lookup: Lookup) -> Any:
    """The value of a line, None if unknown."""
    return _walk(parse(source(line)), lookup)


def dotted(node: ast.expr) -> str:
    """``ticket.waiting_hours`` of a tree."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Name):
        return node.id
    raise TypeError(ast.dump(node))


def _collect(node: ast.AST, found: dict[str, None]) -> None:
    if isinstance(node, ast.Name | ast.Attribute):
        if dotted(node) not in _LITERALS:
            found[dotted(node)] = None
        return
    children = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
    for child in children:
        _collect(child, found)


def both(values: list[Any]) -> bool | None:
    """Three-valued ``and``."""
    if any(value is False for value in values):
        return False
    return True if all(value is True for value in values) else None


def negate(value: Any) -> bool | None:
    """Three-valued ``not``."""
    return not value if isinstance(value, bool) else None


def _walk(node: ast.expr, lookup: Lookup) -> Any:
    if isinstance(node, ast.Constant):
        return float(node.value) if is_number(node.value) else node.value
    if isinstance(node, ast.Name | ast.Attribute):
        return _name(dotted(node), lookup)
    if isinstance(node, ast.BoolOp):
        return _bool(node, lookup)
    if isinstance(node, ast.UnaryOp):
        return _unary(node, lookup)
    if isinstance(node, ast.BinOp):
        return _binary(node, lookup)
    if isinstance(node, ast.Compare):
        return _compare(node, lookup)
    if isinstance(node, ast.Call):
        return _call(node, lookup)
    if isinstance(node, ast.List | ast.Tuple):
        return tuple(_walk(item, lookup) for item in node.elts)
    raise TypeError(ast.dump(node))


def _name(name: str, lookup: Lookup) -> Any:
    if name in _LITERALS:
        return _LITERALS[name]
    value = lookup(name)
    return float(value) if is_number(value) else value


def _bool(node: ast.BoolOp, lookup: Lookup) -> bool | None:
    values = [_walk(part, lookup) for part in node.values]
    if isinstance(node.op, ast.And):
        return both(values)
    return negate(both([negate(value) for value in values]))


def _unary(node: ast.UnaryOp, lookup: Lookup) -> Any:
    value = _walk(node.operand, lookup)
    if isinstance(node.op, ast.Not):
        return negate(value)
    if not is_number(value):
        return None
    return -value if isinstance(node.op, ast.USub) else value


def _binary(node: ast.BinOp, lookup: Lookup) -> float | None:
    left, right = _walk(node.left, lookup), _walk(node.right, lookup)
    if not (is_number(left) and is_number(right)):
        return None
    try:
        return _finite(_ARITHMETIC[type(node.op)](left, right))
    except (ZeroDivisionError, OverflowError):
        return None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _compare(node: ast.Compare, lookup: Lookup) -> bool | None:
    sides = [_walk(side, lookup) for side in (node.left, *node.comparators)]
    return both([_pair(op, sides[i], sides[i + 1]) for i, op in enumerate(node.ops)])


def _pair(op: ast.cmpop, left: Any, right: Any) -> bool | None:
    if isinstance(op, ast.In | ast.NotIn):
        found = _in(left, right)
        return found if isinstance(op, ast.In) else negate(found)
    if left is None or right is None:
        return None
    if isinstance(op, ast.Eq | ast.NotEq):
        return _equal(left, right) == isinstance(op, ast.Eq)
    kind = kind_of(left)
    if kind != kind_of(right) or kind not in ("number", "text", "date"):
        return None
    if kind == "date":
        left, right = left.at, right.at
    return _ORDER[type(op)](left, right)


def _equal(left: Any, right: Any) -> bool:
    return kind_of(left) == kind_of(right) and left == right


def _in(left: Any, right: Any) -> bool | None:
    if left is None or not isinstance(right, tuple):
        return None
    return any(item is not None and _equal(left, float(item) if is_number(item) else item) for item in right)


def _call(node: ast.Call, lookup: Lookup) -> Any:
    name = dotted(node.func)
    values = [_walk(part, lookup) for part in node.args]
    if name == "known":
        return values[0] is not None
    if name == "coalesce":
        return next((value for value in values if value is not None), None)
    if name == "len":
        return float(len(values[0])) if isinstance(values[0], str | tuple) else None
    if not all(is_number(value) for value in values):
        return None
    if name == "round":
        return float(round(values[0], int(values[1]) if len(values) > 1 else None))
    functions: dict[str, Callable[..., float]] = {"min": min, "max": max, "abs": abs}
    return functions[name](*values)
