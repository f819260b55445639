"""YAML with places: a file becomes nodes that know their line and column. YAML 1.2 core scalars, nothing clever."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import yaml

from engine.rulebook.findings import Findings, Place

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
_INT = re.compile(r"[-+]?\d{1,40}|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.\d{1,40}|\d{1,40}(\.\d{0,40})?)([eE][-+]?\d{1,3})?", re.ASCII)
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Node:
    """One value of a file: a mapping, a list or a scalar, and where it stands."""

    __slots__ = ("at", "flow", "items", "keys", "quoted", "rest", "text", "value")

    def __init__(self, at: Place) -> None:
        self.at = at
        self.keys: dict[str, tuple[Place, Node]] | None = None
        self.items: list[Node] | None = None
        self.value: str | int | Decimal | bool | None = None
        self.text = ""
        self.quoted = False
        self.flow = False
        self.rest = ""

    @property
    def kind(self) -> str:
        """What it is, in the words of a message."""
        if self.keys is not None:
            return "a mapping"
        if self.items is not None:
            return "a list"
        if self.value is None:
            return "nothing"
        if isinstance(self.value, bool):
            return str(self.value).lower()
        return "text" if isinstance(self.value, str) else "a number"

    @property
    def is_empty(self) -> bool:
        """Is nothing written here at all? ``null`` is something."""
        return self.keys is None and self.items is None and self.value is None and not self.text

    def plain(self) -> Any:
        """The value without its places."""
        if self.keys is not None:
            return {key: node.plain() for key, (_, node) in self.keys.items()}
        if self.items is not None:
            return [node.plain() for node in self.items]
        return self.value

    def column(self, offset: int) -> Place:
        """The place ``offset`` characters into a scalar of one line."""
        start = self.at.column + (1 if self.quoted else 0)
        return Place(self.at.path, self.at.line, start + offset)


def load(path: str, text: str, findings: Findings) -> Node | None:
    """Read one file. Faults go to ``findings``; None when there is nothing to work with.

    Aliases, tags, duplicate keys, more than 256 KB and more than 20 levels are refused before anything is built.
    """
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        findings.error(Place(path), "not UTF-8: it has a lone surrogate; save the file as plain UTF-8 text")
        return None
    if len(text.encode()) > MAX_BYTES:
        findings.error(Place(path), "the file is larger than 256 KB; split it by theme")
        return None
    try:
        return _Reader(path, text, findings).document()
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        at = Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)
        findings.error(at, f"not YAML: {err.problem or err.context}; mend the line or quote the text")
    except yaml.YAMLError as err:
        findings.error(Place(path), f"not YAML: {str(err).splitlines()[0]}; save the file as plain UTF-8 text")
    except _RefusedError:
        pass
    return None


def scalar(text: str) -> str | int | Decimal | bool | None:
    """The value of an unquoted YAML 1.2 core scalar.

    >>> [scalar(text) for text in ("true", "on", "12", "1.50", "22:30", "2026-03-01", "~")]
    [True, 'on', 12, Decimal('1.50'), '22:30', '2026-03-01', None]
    """
    lower = text.lower()
    if lower in _WORDS and text in {lower, lower.upper(), lower.capitalize()}:
        return _WORDS[lower]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    return Decimal(text) if _FLOAT.fullmatch(text) else text


class _RefusedError(Exception):
    """The file is refused as a whole; the finding says why."""


class _Reader:
    def __init__(self, path: str, text: str, findings: Findings) -> None:
        self._path = path
        self._lines = text.split("\n")
        self._findings = findings
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)

    def document(self) -> Node | None:
        next(self._events)
        first = next(self._events)
        if isinstance(first, yaml.StreamEndEvent):
            return None
        root = self._node(next(self._events), 1)
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._findings.error(self._at(after), "a second document; keep one per file")
        return root

    def _at(self, event: Any) -> Place:
        return Place(self._path, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, event: Any, depth: int) -> Node:
        at = self._at(event)
        if depth > MAX_DEPTH:
            self._findings.error(at, f"nested deeper than {MAX_DEPTH}; write it flatter")
            raise _RefusedError
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._findings.error(at, "anchors and aliases are not allowed; write the value where it belongs")
            raise _RefusedError
        if event.tag is not None and not (isinstance(event, yaml.ScalarEvent) and event.tag == "!"):
            self._findings.error(at, f"tags are not allowed; found {event.tag[:40]}; write plain YAML")
            raise _RefusedError
        node = Node(at)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(node, event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._list(node, depth, flow=bool(event.flow_style))
        else:
            self._mapping(node, depth, flow=bool(event.flow_style))
        return node

    def _scalar(self, node: Node, event: Any) -> None:
        node.text = event.value
        node.quoted = event.style in {"'", '"'}
        node.value = scalar(event.value) if event.style is None or event.style == "" else event.value
        end = event.end_mark
        node.rest = self._lines[end.line][end.column :] if end.line < len(self._lines) else ""

    def _list(self, node: Node, depth: int, *, flow: bool) -> None:
        node.items = []
        node.flow = flow
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            node.items.append(self._node(event, depth + 1))

    def _mapping(self, node: Node, depth: int, *, flow: bool) -> None:
        node.keys = {}
        node.flow = flow
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if key.items is not None or key.keys is not None:
                self._findings.error(key.at, "a key must be a word; quote an expression that has brackets or commas")
                continue
            name = key.text
            if flow and not name:
                self._findings.error(key.at, "an empty key inside { }; quote the expression that has a comma or colon")
            elif name in node.keys:
                self._findings.error(key.at, f"'{name}' stands twice; keep one")
            else:
                node.keys[name] = (key.at, value)
