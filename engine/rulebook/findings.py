"""Findings: what is wrong in a rulebook, where, and what to do about it."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

import msgspec


class Place(msgspec.Struct, frozen=True):
    """A place in a file; line and column count from 1."""

    path: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class Finding(msgspec.Struct, frozen=True, order=True):
    """One fault (``error``) or one thing worth a look (``warning``)."""

    path: str
    line: int
    column: int
    severity: Literal["error", "warning"]
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.severity}: {self.message}"


class Findings:
    """Collects all findings of a folder at once; the same one is kept once."""

    def __init__(self) -> None:
        self._found: dict[Finding, None] = {}

    def error(self, at: Place, message: str) -> None:
        """Note a fault."""
        self._add(at, "error", message)

    def warning(self, at: Place, message: str) -> None:
        """Note something that is allowed and probably not meant."""
        self._add(at, "warning", message)

    def all(self) -> list[Finding]:
        """Everything found, by place."""
        return sorted(self._found)

    @property
    def errors(self) -> list[Finding]:
        """The faults only."""
        return [finding for finding in self.all() if finding.severity == "error"]

    def _add(self, at: Place, severity: Literal["error", "warning"], message: str) -> None:
        self._found[Finding(at.path, at.line, at.column, severity, message)] = None


def suggestion(word: str, choices: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the nearest choice, or nothing.

    >>> suggestion("usge_14d", ["usage_14d", "plan"])
    "; did you mean 'usage_14d'?"
    """
    near = get_close_matches(word, sorted(choices), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def listed(choices: Iterable[str]) -> str:
    """Words for a message, in order: ``a, b, c``."""
    return ", ".join(sorted(choices))
