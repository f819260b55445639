"""One calm server for all who only ask it something; who kills or stops one starts it for itself."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.server.given import Server, write_book

Start = Callable[..., Server]


@pytest.fixture(scope="session")
def live_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_book(tmp_path_factory.mktemp("book"))


@pytest.fixture(scope="session")
def server(live_book: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes events in and sends nothing."""
    place = tmp_path_factory.mktemp("server")
    with Server(live_book, f"sqlite:///{place / 'store.db'}", place, "--no-send") as started:
        yield started.ready()


@pytest.fixture
def start(live_book: Path, tmp_path: Path) -> Iterator[Start]:
    """Start servers on the test's own store, or on the one it names."""
    with ExitStack() as stack:

        def started(*words: str, store: str | None = None, **environment: str) -> Server:
            url = store or f"sqlite:///{tmp_path / 'store.db'}"
            return stack.enter_context(Server(live_book, url, tmp_path, *words, **environment))

        yield started
