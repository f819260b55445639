"""The tutorial, the how-to pages and the README's taste, typed as they stand: files, commands, answers."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks

pytestmark = pytest.mark.slow
TUTORIAL = ROOT / "docs" / "tutorial" / "first-rule.md"
AFTER_IT = ["author-a-rule", "read-an-explanation", "import-history", "forget-somebody"]


class Typist:
    """Types a page: writes its titled blocks as files, runs its console blocks, and looks for what they show."""

    def __init__(self, place: Path) -> None:
        self.place = place
        bin_folder = str(Path(sys.executable).parent)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGFIRST_")}
        self._environment = {
            **kept,
            "PATH": f"{bin_folder}{os.pathsep}{kept['PATH']}",
            "COLUMNS": "240",
            "NO_COLOR": "1",
        }

    def type(self, page: Path) -> "Typist":
        for block in blocks(page):
            if block.title:
                path = self.place / block.title
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
            elif block.language == "console":
                for command, shown in exchanges(block.text):
                    seen = self.run(command)
                    missing = unseen(shown, seen)
                    assert missing is None, f"{page.name}:{block.line}: {command}\nmissing: {missing}\nseen:\n{seen}"
        return self

    def run(self, command: str) -> str:
        where = self.place / ".where"
        script = f"{command}\nstatus=$?\npwd > '{where}'\nexit $status"
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=self.place,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stdout, done.stdout
        assert done.returncode == 0 or ": error: " in done.stdout, (
            f"{command}: ended with {done.returncode}\n{done.stdout}"
        )
        self.place = Path(where.read_text().strip())
        where.unlink()
        return done.stdout


def exchanges(text: str) -> Iterator[tuple[str, list[str]]]:
    """Commands of a console block, continued lines joined, each with the lines shown below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next((at for at, line in enumerate(lines[1:], 1) if not line.startswith("> ")), len(lines))
        yield "\n".join([lines[0], *(line[2:] for line in lines[1:end])]), lines[end:]


def unseen(shown: list[str], seen: str) -> str | None:
    """The first shown line that is nowhere in what was seen; ``...`` stands for anything, spaces do not count."""
    there = [" ".join(line.split()) for line in seen.splitlines()]
    for line in shown:
        parts = [re.escape(" ".join(part.split())) for part in line.split("...")]
        wanted = re.compile(r".*".join(parts).replace(r"\ .*", ".*").replace(r".*\ ", ".*"))
        if not any(wanted.fullmatch(one) for one in there):
            return line
    return None


def test_the_tutorial_and_the_how_to_pages_that_go_on_from_it(tmp_path):
    after = Typist(tmp_path).type(TUTORIAL).place  # in one test: a second worker would type the tutorial again
    for name in AFTER_IT:
        place = tmp_path / name / "my-rules"
        shutil.copytree(after, place)
        Typist(place).type(ROOT / "docs" / "how-to" / f"{name}.md")


def test_every_how_to_page_for_users_is_typed():
    assert {path.stem for path in (ROOT / "docs" / "how-to").glob("*.md")} == {*AFTER_IT, "development"}


def test_the_taste_in_the_readme(tmp_path):
    Typist(tmp_path).type(ROOT / "README.md")


def test_a_line_that_is_not_there_is_missed():
    assert unseen(["a ... c"], "a b   c") is None
    assert unseen(["a  c", "..."], "a c") is None
    assert unseen(["a b"], "a b c") == "a b"
