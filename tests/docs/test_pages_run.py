"""The tutorial, the how-to pages and the README's taste, typed as they stand: files, commands, answers."""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringfirst.cli import main
from tests.docs.pages import ROOT, blocks

pytestmark = pytest.mark.slow
TASTE = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial" / "first-rule.md"
AFTER_IT = [
    "author-a-rule",
    "write-in-other-languages",
    "judge-a-rule-on-history",
    "measure-outcomes",
    "read-an-explanation",
    "import-history",
    "forget-somebody",
    "value-reports",
    "let-people-unsubscribe",
    "let-mails-come-back",
]


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
        """Everything the command says. A plain ``ringfirst`` gets no process of its own: that is most of the time."""
        words = plain_words(command)
        code, said = self._called(words[1:]) if words[:1] == ["ringfirst"] else self._typed(command)
        assert "Traceback" not in said, said
        assert code == 0 or ": error: " in said, f"{command}: ended with {code}\n{said}"
        return said

    def _called(self, words: list[str]) -> tuple[int, str]:
        outside = dict.fromkeys(name for name in os.environ if name.startswith("RINGFIRST_"))
        with contextlib.chdir(self.place):
            done = CliRunner(env={**outside, **self._environment}).invoke(main, words, prog_name="ringfirst")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    def _typed(self, command: str) -> tuple[int, str]:
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
        self.place = Path(where.read_text().strip())
        where.unlink()
        return done.returncode, done.stdout


def plain_words(command: str) -> list[str]:
    """The words of a command that needs no shell; nothing for one that does."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    return [] if any(set(word) <= set("();<>|&") for word in words) else words


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


def test_the_way_of_a_newcomer(tmp_path):
    """The taste in the README, then the tutorial beside the demo's folder, then the pages that go on from it.

    In one test: each needs what the one before has made, and a second worker would make it again.
    """
    Typist(tmp_path).type(TASTE)
    after = Typist(tmp_path).type(TUTORIAL).place
    assert keys_of(json.loads(Typist(after).run("ringfirst explain acme usage-stopped --json"))) <= explained()
    for name in AFTER_IT:
        place = tmp_path / name / "my-rules"
        shutil.copytree(after, place)
        Typist(place).type(ROOT / "docs" / "how-to" / f"{name}.md")


@pytest.mark.parametrize("name", ["approve-mails", "go-live-safely"])
def test_a_page_that_begins_in_an_empty_folder(tmp_path, name):
    Typist(tmp_path).type(ROOT / "docs" / "how-to" / f"{name}.md")


def keys_of(answer: object) -> set[str]:
    """Every key of an answer, at any depth, but names that the rulebook chose."""
    if isinstance(answer, list):
        return set().union(*map(keys_of, answer))
    if not isinstance(answer, dict):
        return set()
    chosen = {"values", "because_unknown"}
    return set(answer).union(*(keys_of(inner) for key, inner in answer.items() if key not in chosen))


def explained() -> set[str]:
    """The keys that the reference page names for ``explain``."""
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    section = page.partition("## ringfirst explain\n")[2].partition("\n## ")[0]
    return set(re.findall(r'[`"](\w+)[`"]', section))


def test_every_how_to_page_for_users_is_typed():
    # By tests/server, tests/streams/test_page.py, and the tests of the compose file, and tests/ops.
    elsewhere = {
        "development",
        "add-a-channel",  # its channel is held to the contract by tests/outreach/test_channels.py
        "run-the-server",
        "run-on-kafka",
        "run-with-compose",
        "be-on-call",
        "follow-decisions",
        "send-mail",  # it has nothing to type: it speaks of servers that a reader has
        "take-foreign-events",
        "go-live-safely",
        "approve-mails",
    }
    assert {path.stem for path in (ROOT / "docs" / "how-to").glob("*.md")} == {*AFTER_IT, *elsewhere}


def test_a_line_that_is_not_there_is_missed():
    assert unseen(["a ... c"], "a b   c") is None
    assert unseen(["a  c", "..."], "a c") is None
    assert unseen(["a b"], "a b c") == "a b"


def test_a_command_with_a_pipe_is_left_to_the_shell():
    assert plain_words("ringfirst who 'a > 1' --json") == ["ringfirst", "who", "a > 1", "--json"]
    assert plain_words("ringfirst who true | wc -l") == []
