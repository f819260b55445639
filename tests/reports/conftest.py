"""A store of each kind for reports."""

from collections.abc import Iterator

import pytest

from engine.store import Store
from engine.stores import open_store


@pytest.fixture(params=["memory", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store."""
    url = "sqlite://" if request.param == "memory" else str(request.getfixturevalue("fresh_postgres"))
    opened = open_store(url, lanes=2)
    yield opened
    opened.close()
