"""The pages as tests read them: their code blocks, in order, with what stands beside the fence."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SHARED = ROOT.parent / "shared"
_FENCE = re.compile(r"^( *)```(\w+)([^\n`]*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    """A code block: its language, the file it is the text of (or nothing), its text, and where it stands."""

    page: str
    line: int
    language: str
    title: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """Every code block of a page that names a language, in order."""
    text = page.read_text()
    for found in _FENCE.finditer(text):
        title = _TITLE.search(found[3])
        yield Block(
            page.name,
            text.count("\n", 0, found.start()) + 1,
            found[2],
            title[1] if title else "",
            textwrap.dedent(found[4]),
        )
