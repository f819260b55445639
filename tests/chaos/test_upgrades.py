"""A store of the first version whose upgrade is killed at random moments, while another process reads it."""

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from alembic import command

from engine.errors import StoreError
from engine.stores import open_store, schema
from tests.chaos import tables

ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("RINGFIRST_CHAOS_SEED", "1"))
OPEN = "import sys; from engine.stores import open_store; open_store(sys.argv[1], create=False).close()"
ROWS = 20_000


@pytest.mark.parametrize("kills", [pytest.param(3, marks=pytest.mark.slow), pytest.param(40, marks=pytest.mark.chaos)])
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_an_upgrade_that_is_killed_is_whole_or_not_there(kind, kills, tmp_path, request, monkeypatch):
    print(f"seed {SEED}: {kills} kills, {kind}")
    chance = random.Random(SEED)
    url = f"sqlite:///{tmp_path / 'store.db'}" if kind == "sqlite" else request.getfixturevalue("fresh_postgres")
    newest = command.upgrade
    with monkeypatch.context() as then:
        then.setattr(command, "upgrade", lambda config, _: newest(config, "0001"))
        then.setattr(schema, "HEAD", "0001")
        open_store(url, lanes=3).close()
    filled(url)
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import engine.stores, alembic.command"], cwd=ROOT, check=True)
    start = time.monotonic() - began
    versions = []
    reading, stop = threading.Event(), threading.Event()

    def read():
        while not stop.is_set():
            reading.set()
            assert tables.rows(url, "SELECT count(*) FROM events") == [(ROWS,)]
            time.sleep(0.02)

    reader = threading.Thread(target=read)
    reader.start()
    reading.wait(10)
    for _ in range(kills):
        with subprocess.Popen([sys.executable, "-c", OPEN, url], cwd=ROOT, stderr=subprocess.DEVNULL) as child:
            time.sleep(start + chance.uniform(-0.1, 0.5))
            child.kill()
        [(version,)] = tables.rows(url, "SELECT version_num FROM ringfirst_version")
        versions.append(version)
    stop.set()
    reader.join(30)
    print(f"versions after each kill: {versions}")
    assert set(versions) <= {"0001", schema.HEAD}, "nothing between two versions is ever seen"
    store = open_store(url, create=False)
    assert (store.lanes, store.count_events(), store.is_current()) == (3, ROWS, True)
    store.close()
    with pytest.raises(StoreError, match="never changes"):
        open_store(url, lanes=4)


def filled(url):
    """Rows as the first version kept them."""
    row = "0, {n}, 1, 1, 'e{n}', 'feature.used', 'acme', NULL, {blob}, {blob}"
    blob = "x'00'" if url.startswith("sqlite") else "'\\x00'::bytea"
    values = ", ".join(f"({row.format(n=n, blob=blob)})" for n in range(1, ROWS + 1))
    names = "lane, position, recorded_at, time, id, type, account_id, user_id, digest, body"
    tables.write(url, f"INSERT INTO events ({names}) VALUES {values}")
    tables.write(url, f"UPDATE lanes SET position = {ROWS} WHERE lane = 0")
