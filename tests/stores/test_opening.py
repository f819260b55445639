"""Opening a store: what is made, what is refused, and what the message says."""

import importlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from engine.errors import StoreError
from engine.store import Store
from engine.stores import open_store, schema
from engine.stores.driver import columns
from engine.stores.sql import SqlStore
from engine.stores.tables import metadata
from tests.stores.made import ACME, T0, claimed, committed, event


def _engine(url: str) -> sa.Engine:
    return sa.create_engine(url)


def _run(url: str, *statements: str) -> None:
    engine = _engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def test_a_store_is_made_once_and_found_again(durable_url: str) -> None:
    made = open_store(durable_url, lanes=3)
    committed(made, claimed(made), events=[event(1)])
    key = made.key("a")
    made.close()
    found = open_store(durable_url, create=False)
    assert (found.lanes, found.key("a"), found.count_events(), found.accounts()) == (3, key, 1, [ACME])
    assert [one.lane for one in found.lane_infos(at=T0)] == [0, 1, 2]
    found.close()


def test_a_store_in_memory_has_eight_lanes_and_is_gone_when_closed() -> None:
    first = open_store("sqlite://")
    committed(first, claimed(first), events=[event(1)])
    first.close()
    second = open_store("sqlite:///:memory:")
    assert (second.lanes, second.count_events()) == (8, 0)
    second.close()


def test_where_nothing_is_nothing_is_made_unless_asked(durable_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no store here; .*ringfirst import"):
        open_store(durable_url, create=False)
    assert list(tmp_path.iterdir()) == []
    open_store(durable_url).close()


@pytest.mark.parametrize("lanes", [0, -1, 5_000])
def test_a_store_has_a_sensible_number_of_lanes(lanes: int) -> None:
    with pytest.raises(StoreError, match="a store has 1 to 1024 lanes"):
        open_store("sqlite://", lanes=lanes)


def test_the_number_of_lanes_never_changes(durable_url: str) -> None:
    open_store(durable_url, lanes=3).close()
    with pytest.raises(StoreError, match="made with 3, 8 were asked for; set it to 3"):
        open_store(durable_url, lanes=8)
    open_store(durable_url, lanes=3).close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("mysql://u:geheim@h/d", "no store of kind 'mysql'; use sqlite:///FILE", id="another database"),
        pytest.param("ringfirst.db", "the address cannot be read", id="no address"),
        pytest.param("", "the address cannot be read", id="nothing"),
        pytest.param(
            "postgresql://u:geheim@127.0.0.1:1/d",
            "postgresql://u@127.0.0.1:1/d: the database did not do it",
            id="nobody there",
        ),
        pytest.param("sqlite:////nowhere/at/all.db", "sqlite:////nowhere/at/all.db: ", id="no such folder"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_without_its_password(url: str, words: str) -> None:
    with pytest.raises(StoreError) as refused:
        open_store(url)
    assert words in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_the_url_of_a_store_does_not_carry_its_password(fresh_postgres: str) -> None:
    url = (
        sa.make_url(fresh_postgres).set(drivername="postgres", password="geheim").render_as_string(hide_password=False)
    )
    store = open_store(url)
    assert store.url.startswith("postgresql://")
    assert "geheim" not in store.url
    store.close()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("This is no database at all.\n" * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        open_store(f"sqlite:///{file}")
    assert file.read_text().startswith("This is no database")


def test_a_database_of_somebody_else_is_refused_and_left_alone(durable_url: str) -> None:
    _run(durable_url, "CREATE TABLE songs (title TEXT)")
    with pytest.raises(StoreError, match="this is no Ringfirst store; it holds other tables, such as 'songs'"):
        open_store(durable_url)
    engine = _engine(durable_url)
    assert sa.inspect(engine).get_table_names() == ["songs"]
    engine.dispose()


def test_a_store_of_a_newer_program_is_refused(durable_url: str) -> None:
    open_store(durable_url).close()
    _run(durable_url, "UPDATE ringfirst_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer than this program; its tables are of version 9999"):
        open_store(durable_url)


def test_a_store_whose_making_was_interrupted_is_made_anew(durable_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(schema, "_fill", interrupted)
        with pytest.raises(KeyboardInterrupt):
            open_store(durable_url)
    store = open_store(durable_url, lanes=2)
    assert [one.lane for one in store.lane_infos(at=T0)] == [0, 1]
    store.close()


def test_migrations_and_tables_agree(durable_url: str) -> None:
    open_store(durable_url).close()
    engine = _engine(durable_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "version_table": schema.VERSION_TABLE},
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_one_the_program_asks_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_text_is_ordered_by_bytes_in_every_column(fresh_postgres: str) -> None:
    open_store(fresh_postgres).close()
    engine = _engine(fresh_postgres)
    query = "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'text'"
    with engine.connect() as connection:
        texts = connection.execute(sa.text(query)).all()
        loose = connection.execute(sa.text(f"{query} AND collation_name IS DISTINCT FROM 'C'")).all()
    engine.dispose()
    assert (len(texts) > 50, loose) == (True, [])


def test_every_connection_to_postgresql_has_deadlines(fresh_postgres: str) -> None:
    store = open_store(fresh_postgres)
    assert isinstance(store, SqlStore)
    with store._driver.reading() as connection:
        shown = [
            connection.execute(sa.text(f"SHOW {name}")).scalar()
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        ]
    assert shown == ["8s", "8s", "1min"], "it says so before the client gives up"
    store.close()


def test_a_lane_locked_by_a_hung_process_is_an_error_with_a_deadline(
    fresh_postgres: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.stores.postgres.SESSION", ("SET lock_timeout = '200ms'",))
    store = open_store(fresh_postgres)
    engine = _engine(fresh_postgres)
    with engine.connect() as hung:
        hung.execute(sa.text("SELECT * FROM lanes FOR UPDATE"))
        with pytest.raises(StoreError, match="lock timeout"):
            claimed(store)
    engine.dispose()
    assert claimed(store).epoch == 1
    store.close()


def test_a_store_survives_the_loss_of_its_connection(fresh_postgres: str) -> None:
    store = open_store(fresh_postgres)
    claim = committed(store, claimed(store), events=[event(1)])
    _run(
        fresh_postgres,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database()",
    )
    assert committed(store, claim, events=[event(2)]).position == 2
    store.close()


def test_sqlite_writes_through_to_the_disk(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    assert isinstance(store, SqlStore)
    with store._driver.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 10_000,
    }
    store.close()


def test_a_reader_of_sqlite_never_waits_for_the_writer(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    store = open_store(f"sqlite:///{file}")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert store.count_events() == 0
    other.execute("ROLLBACK")
    other.close()
    store.close()


def test_processes_that_make_the_store_at_once_make_one(durable_url: str) -> None:
    code = "import sys; from engine.stores import open_store; print(open_store(sys.argv[1]).key('a'))"
    running = [
        subprocess.Popen([sys.executable, "-c", code, durable_url], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    keys = {one.communicate(timeout=60)[0] for one in running}
    assert [one.returncode for one in running] == [0, 0, 0]
    assert len(keys) == 1


def test_opening_a_store_that_is_up_to_date_does_not_load_the_migrations(durable_url: str) -> None:
    open_store(durable_url).close()
    code = (
        "import sys; from engine.stores import open_store; open_store(sys.argv[1]).close(); "
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, durable_url], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_store_in_a_file_does_not_load_psycopg() -> None:
    code = (
        "import sys; from engine.stores import open_store; open_store('sqlite://').close(); "
        "print('psycopg' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_every_public_method_of_the_contract_is_there() -> None:
    contract = {name for name in vars(Store) if not name.startswith("_")}
    assert contract <= set(dir(SqlStore))
    assert importlib.import_module("engine.stores").__all__ == ["Relaning", "open_store"]


def test_a_row_to_insert_has_every_column_but_the_counting_one() -> None:
    assert columns(metadata.tables["touches"]) == ["account_id", "user_id", "at", "channel", "kind"]
    assert columns(metadata.tables["offsets"]) == ["source", "topic", "partition", "next", "log"]
