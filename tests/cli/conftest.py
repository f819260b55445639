"""The commands as a person types them: in a folder of their own, nothing set from outside."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from outreach import templates
from outreach.templates import read_templates
from ringfirst.cli import main
from tests.cli.crew import Workers
from tests.cli.given import BOOK, lines
from tests.mailbox import Box

Run = Callable[..., Result]


@pytest.fixture(autouse=True, scope="session")
def templates_read_once() -> Iterator[None]:
    """Compile equal templates once for all tests: it takes longer than most commands do."""
    known: dict[Any, Any] = {}

    def read(files: dict[str, str], *, path: str) -> Any:
        key = (path, *sorted(files.items()))
        if key not in known:
            known[key] = read_templates(files, path=path)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templates, "read_templates", read)
        yield


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the test: empty. No setting comes from outside."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("RINGFIRST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RINGFIRST_RULES", str(BOOK))
    return tmp_path


@pytest.fixture
def run() -> Run:
    """Type a command and see that it ends with the expected code, without a traceback."""

    def typed(*words: object, code: int = 0, stdin: bytes | str | None = None) -> Result:
        result = CliRunner().invoke(main, [str(word) for word in words], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return typed


@pytest.fixture
def ask(run: Run) -> Callable[..., Any]:
    """Type a command with --json and read the answer."""

    def asked(*words: object, code: int = 0, stdin: bytes | str | None = None) -> Any:
        return json.loads(run(*words, "--json", code=code, stdin=stdin).stdout)

    return asked


@pytest.fixture
def process(place: Path) -> Callable[..., "subprocess.Popen[bytes]"]:
    """Start a real process of the command."""

    def started(*words: object) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", "from ringfirst.cli import main; main()", *(str(word) for word in words)]
        root = str(Path(__file__).resolve().parents[2])
        return subprocess.Popen(
            command,
            cwd=place,
            env={**os.environ, "PYTHONPATH": root},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return started


@pytest.fixture
def copied_book(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tests' rulebook, which commands take without being told."""
    shutil.copytree(BOOK, place / "book")
    monkeypatch.setenv("RINGFIRST_RULES", str(place / "book"))
    return place / "book"


@pytest.fixture
def imported(
    request: pytest.FixtureRequest, ask: Callable[..., Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events of the test's module (``EVENTS``) are in the store, by its rulebook (``BOOK``)."""
    (place / "rules").mkdir()
    (place / "rules" / "all.yml").write_text(request.module.BOOK)
    monkeypatch.setenv("RINGFIRST_RULES", str(place))
    (place / "events.jsonl").write_text(lines(sorted(request.module.EVENTS, key=lambda one: one["time"])))
    ask("import", "events.jsonl")


@pytest.fixture
def workers(place: Path) -> Iterator[Workers]:
    """Start workers; those that still run at the end of the test are killed."""
    crew = Workers(place)
    yield crew
    crew.close()


@pytest.fixture
def by_mail(monkeypatch: pytest.MonkeyPatch, mailbox: Box) -> None:
    """The settings of a sender that gives its mails to a server."""
    for name, value in {
        "SMTP": mailbox.address,
        "SMTP_SECURITY": "none",
        "SENDER": "Us <us@ringfirst.example>",
        "POSTAL_ADDRESS": "A street 1, Town",
    }.items():
        monkeypatch.setenv(f"RINGFIRST_{name}", value)
