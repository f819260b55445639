"""Which names a template reads: a walk over its syntax tree that also makes every read strict.

The tree is a template's whole power, so it is also where that power ends: node types that are not in ``_ALLOWED``
(calls, macros, includes, ``~``) are refused before anything runs. What is left can read values, test them, loop and
print, and each of these is counted or capped in ``outreach.sandbox``.
"""

from collections.abc import Iterator

import msgspec
from jinja2 import nodes
from jinja2.visitor import NodeTransformer

_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.For,
    nodes.If,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Filter,
    nodes.Test,
    nodes.Const,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.CondExpr,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Pow,
    nodes.Neg,
    nodes.Pos,
    nodes.List,
    nodes.Assign,
    nodes.Call,
    nodes.Keyword,
)
_WORDS = {"Call": "a call", "Concat": "'~'", "Macro": "a macro", "Include": "an include", "Tuple": "a pair"}
_LOOP = "\0loop"
_OTHER = "\0other"
"""Marks of local names that stand for no name of the context: the loop's own counters, and computed values."""


class Read(msgspec.Struct, frozen=True, order=True):
    """A dotted name that a template reads, and the line on which it does."""

    line: int
    name: str


class Refusal(msgspec.Struct, frozen=True, order=True):
    """Something a template may not do, and the line on which it does."""

    line: int
    message: str


class Reader(NodeTransformer):
    """Collects ``reads`` and ``refusals`` of a tree, and wraps what it reads, prints and loops over.

    A read becomes ``read|value_of("its.name")``, a printed expression ``...|shown("its.name")``, what is looped over
    ``...|counted``. A loop variable stands for the name it runs over: in ``{% for o in orders %}{{ o.id }}`` the name
    read is ``orders.id``.
    """

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.refusals: list[Refusal] = []
        self._scopes: list[dict[str, str]] = [{}]

    def visit(self, node: nodes.Node, *args: object, **kwargs: object) -> nodes.Node:
        """Visit a node if templates may hold its kind, and refuse it otherwise."""
        if not isinstance(node, _ALLOWED):
            kind = type(node).__name__
            return self._refuse(node, f"{_WORDS.get(kind, f'{kind.lower()!r}')} is not for templates; read, test, loop")
        visited: nodes.Node = super().visit(node, *args, **kwargs)
        return visited

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802, the visitor's own spelling
        """Wrap each printed expression in ``shown``."""
        node.nodes = [self._shown(child) for child in node.nodes]
        return node

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802
        """Record a read of a whole name."""
        return self._read(node)

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        """Record a read of a dotted name."""
        return self._read(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        """Record a read written with brackets; only constants stand in them."""
        if not isinstance(node.arg, nodes.Const):
            return self._refuse(node, "a computed name cannot be checked; write the name with dots")
        return self._read(node)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        """Give the loop variable the name it runs over, within the loop."""
        if node.recursive or not isinstance(node.target, nodes.Name):
            return self._refuse(node, "a loop has one variable and is not recursive; write 'for x in xs'")
        name = self._name(node.iter) or _OTHER
        node.iter = _filtered(self.visit(node.iter), "counted")
        self._scopes.append({node.target.name: name, "loop": _LOOP})
        node.body = [self.visit(child) for child in node.body]
        if node.test is not None:
            node.test = self.visit(node.test)
        self._scopes.pop()
        node.else_ = [self.visit(child) for child in node.else_]
        return node

    def visit_Assign(self, node: nodes.Assign) -> nodes.Node:  # noqa: N802
        """Let a ``set`` variable stand for what it was set to."""
        if not isinstance(node.target, nodes.Name):
            return self._refuse(node, "'set' takes one name; write 'set x = ...'")
        name = self._name(node.node) or _OTHER
        node.node = self.visit(node.node)
        self._scopes[-1][node.target.name] = name
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        """Let ``range`` pass, with its arguments, and refuse every other call."""
        if not isinstance(node.node, nodes.Name) or node.node.name != "range" or node.dyn_args or node.dyn_kwargs:
            return self._refuse(node, "a call is not for templates; only range(...) may be called")
        node.args = [self._expression(argument) for argument in node.args]
        return node

    def _expression(self, node: nodes.Expr) -> nodes.Expr:
        visited = self.visit(node)
        return visited if isinstance(visited, nodes.Expr) else nodes.Const(None)

    def _shown(self, node: nodes.Expr) -> nodes.Expr:
        if isinstance(node, nodes.TemplateData):
            return node
        label = self._name(node) or "an expression"
        return _filtered(self._expression(node), "shown", label)

    def _read(self, node: nodes.Name | nodes.Getattr | nodes.Getitem) -> nodes.Node:
        private = next((part for part in _parts(node) if part.startswith("_")), None)
        if private is not None:
            return self._refuse(node, f"{private!r} begins with an underscore; such names are not for templates")
        name = self._name(node)
        inner = _root(node)
        if not isinstance(inner, nodes.Name):
            self.visit(inner)
        if name is None or name.startswith("\0"):
            return node
        self.reads.append(Read(node.lineno, name))
        return _filtered(node, "value_of", name)

    def _name(self, node: nodes.Node) -> str | None:
        match node:
            case nodes.Name():
                return next((scope[node.name] for scope in reversed(self._scopes) if node.name in scope), node.name)
            case nodes.Filter(node=nodes.Node() as inner):
                return self._name(inner)
            case nodes.Getattr():
                return _joined(self._name(node.node), node.attr)
            case nodes.Getitem(arg=nodes.Const(value=value)):
                return _joined(self._name(node.node), value if isinstance(value, str) else "")
            case _:
                return None

    def _refuse(self, node: nodes.Node, message: str) -> nodes.Node:
        self.refusals.append(Refusal(node.lineno, message))
        return node


def _joined(name: str | None, part: str) -> str | None:
    if name is None or name.startswith("\0") or not part:
        return name
    return f"{name}.{part}"


def _parts(node: nodes.Node) -> Iterator[str]:
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr):
            yield node.attr
        elif isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            yield node.arg.value
        node = node.node
    if isinstance(node, nodes.Name):
        yield node.name


def _root(node: nodes.Node) -> nodes.Node:
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        node = node.node
    return node


def _filtered(node: nodes.Node, name: str, *arguments: str) -> nodes.Filter:
    constants = [nodes.Const(argument, lineno=node.lineno) for argument in arguments]
    return nodes.Filter(node, name, constants, [], None, None, lineno=node.lineno, environment=node.environment)
