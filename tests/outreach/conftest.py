"""A real store in memory for each test, and the templates read once."""

from collections.abc import Iterator

import pytest

from engine.store import Store
from engine.stores import open_store
from outreach.templates import Template
from tests.outreach.given import starter_templates


@pytest.fixture
def store() -> Iterator[Store]:
    made = open_store("sqlite://")
    yield made
    made.close()


@pytest.fixture(scope="session")
def templates() -> dict[str, Template]:
    return starter_templates()
