"""Many kills of the embedded server under load, on both stores. Seeds are printed; a failing one becomes a test."""

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.server.given import Server, write_book
from tests.server.shots import shot

pytestmark = pytest.mark.chaos
KILLS = int(os.environ.get("RINGFIRST_CHAOS_KILLS", "20"))


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return write_book(tmp_path / "book")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_server_survives_many_kills(
    kind: str,
    book: Path,
    stack: ExitStack,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}, {KILLS} kills")
    url = f"sqlite:///{tmp_path / 'shot.db'}" if kind == "sqlite" else str(request.getfixturevalue("fresh_postgres"))
    shot(lambda: stack.enter_context(Server(book, url, tmp_path)), seed, KILLS, longest=3)
    mails = [path.stem.rpartition("-")[2] for path in (tmp_path / "outbox").glob("*.eml")]
    assert len(mails) == len(set(mails))
