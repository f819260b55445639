"""Answers on stdout, talk on stderr: JSON for programs, tables for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import click

from engine.rulebook.findings import Finding

_WIDE = 10_000
_LAST = 30  # no column is narrower than this because of ids beside it: those are for copying


def print_json(value: object) -> None:
    """Print an answer as JSON; numbers keep every digit."""
    import msgspec

    text = msgspec.json.Encoder(decimal_format="number").encode(value)
    click.echo(msgspec.json.format(text, indent=2))


def talk(text: str) -> None:
    """Say something to the person, beside the answer."""
    click.echo(text, err=True)


def shown(value: Any) -> str:
    r"""A value for a person: unknown is a dash, and nothing in it can steer a terminal.

    >>> shown(None), shown(12), shown(1 / 3), shown(Decimal("7.5000")), shown(True), shown("a\x1b[2J"), shown(["x", 2])
    ('-', '12', '0.3333', '7.5', 'yes', 'a\\x1b[2J', 'x, 2')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | Decimal):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        return ", ".join(f"{shown(name)} {shown(inner)}" for name, inner in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(shown(inner) for inner in value) or "-"
    text = value if isinstance(value, str) else str(value)
    return text if text.isprintable() else "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under their headings, numbers to the right; on a terminal the last column is folded to fit."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for at, name in enumerate(columns):
        right = _is_number([row[at] for row in listed])
        table.add_column(
            Text(name), justify="right" if right else "left", overflow="fold", no_wrap=at < len(columns) - 1
        )
    for row in listed:
        table.add_row(*(Text(shown(cell)) for cell in row))
    console = Console(highlight=False)
    fixed = sum(max(len(shown(row[at])) for row in [columns, *listed]) + 2 for at in range(len(columns) - 1))
    Console(highlight=False, width=max(console.width, fixed + _LAST) if console.is_terminal else _WIDE).print(table)


def _is_number(cells: Iterable[Any]) -> bool:
    known = [one for one in cells if one is not None]
    return bool(known) and all(isinstance(one, int | float) and not isinstance(one, bool) for one in known)


def say_none(kind: str, word: str, fact: str, known: Iterable[str]) -> None:
    """Say that an answer is empty because nothing here has that ``word``, and the nearest one that something has."""
    from engine.rulebook.findings import suggestion

    talk(shown(f"{kind} '{word}': {fact}{suggestion(word, known)}"))


def print_findings(findings: Iterable[Finding], *, err: bool = False) -> None:
    """One line each, ``path:line:column: severity: message``."""
    for one in findings:
        click.echo(shown(str(one)), err=err)


def plain_finding(one: Finding) -> dict[str, Any]:
    """A finding for ``--json``."""
    return {"path": one.path, "line": one.line, "column": one.column, "severity": one.severity, "message": one.message}


def plural(count: int, one: str, many: str = "") -> str:
    """A number and its word.

    >>> plural(1, "mail"), plural(2_000, "mail"), plural(2, "reply", "replies")
    ('1 mail', '2,000 mails', '2 replies')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _escaped(sign: str) -> str:
    return json.dumps(sign)[1:-1] if ord(sign) > 0xFF else f"\\x{ord(sign):02x}"  # noqa: PLR2004 - one byte


def at_text(at: int | None) -> str:
    """An instant for a table."""
    from engine.instants import iso

    return "-" if at is None else iso(at)
