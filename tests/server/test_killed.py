"""A real server, really killed under load: nothing acknowledged is lost, nothing is there twice."""

from pathlib import Path

import pytest

from tests.server.conftest import Start
from tests.server.shots import shot

SEED = 20261122


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_server_killed_under_load_loses_nothing(
    start: Start, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = None if kind == "sqlite" else str(request.getfixturevalue("fresh_postgres"))
    shot(lambda: start(store=url), SEED, 3, longest=1.5)
    outbox = [path.stem.rpartition("-")[2] for path in (tmp_path / "outbox").glob("*.eml")]
    assert len(outbox) == len(set(outbox))
