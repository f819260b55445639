"""The table that is printed, line by line as the figures come, and the check that stands before each of them."""

import sys
from collections.abc import Sequence
from typing import Any

WIDTHS = (58, 24, 10, 16)


def head() -> None:
    """The names of the columns."""
    _print("what", "measured", "ratio", "to reach", "")


def section(title: str) -> None:
    """A line between the parts."""
    print(f"\n{title}", flush=True)


def row(what: str, measured: str, *, ratio: float | None = None, at_least: float = 0, at_most: float = 0) -> None:
    """One figure; ``at_least`` and ``at_most`` are what its ratio should reach."""
    reach = f">= {at_least:g}x" if at_least else f"<= {at_most:g}x" if at_most else ""
    short = ratio is not None and (ratio < at_least or (at_most and ratio > at_most))
    told = "" if ratio is None else f"{ratio:.2f}x" if ratio < 10 else f"{ratio:,.0f}x"
    _print(what, measured, told, reach, "falls short" if short else "")


def figure(what: str, value: float, unit: str, *, at_most: float = 0, at_least: float = 0) -> None:
    """One absolute figure and what it should reach."""
    bound = at_least or at_most
    reach = f"{'>=' if at_least else '<='} {bound:,g} {unit}" if bound else ""
    short = value < at_least or (at_most and value > at_most)
    _print(what, f"{_plain(value)} {unit}", "", reach, "falls short" if short else "")


def same(what: str, ours: Sequence[Any], theirs: Sequence[Any], whose: str) -> None:
    """Say that two lists of decisions are equal, or show the first that are not and end: figures need equal ones."""
    left, right = {tuple(one) for one in ours}, {tuple(one) for one in theirs}
    if left == right and len(ours) == len(left) and len(theirs) == len(right):
        print(f"{what}: {len(left):,} decisions, equal to those of {whose}", flush=True)
        return
    print(f"{what}: the decisions differ; ours {len(ours):,}, {whose} {len(theirs):,}", file=sys.stderr)
    for title, found in (("only ours", left - right), (f"only {whose}", right - left)):
        for one in sorted(found, key=lambda decided: (decided[-1], decided))[:10]:
            print(f"  {title}: {' '.join(str(part) for part in one)}", file=sys.stderr)
    sys.exit(1)


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _print(*cells: str) -> None:
    padded = [cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=False)]
    print(*padded, *cells[len(WIDTHS) :], flush=True)
