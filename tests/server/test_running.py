"""``ringfirst run`` from start to stop, as a real process."""

import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from engine import replay
from engine.stores import open_store
from ringfirst.cli import main
from ringfirst.owners import owner_name
from tests.server.conftest import Start
from tests.server.given import LINES, Server, event, lines, stored_ids

pytestmark = pytest.mark.slow
TOKEN = "0123456789abcdef0123456789abcdef"
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def refused(server: Server) -> str:
    """Wait until it has ended by itself, as used wrongly, and give what it said."""
    assert server.process.wait(timeout=60) == 2
    return server.said


def wait_until(true: object, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


# -- how it is -----------------------------------------------------------------------------------------------------
def test_it_is_alive_and_ready_and_says_why(server: Server) -> None:
    assert server.get("/livez").status == 200
    found = server.get("/readyz")
    assert (found.status, found.body["ready"]) == (200, True)
    assert set(found.body["checks"]) == {"lanes", "owner", "store", "waiting", "clocks"}
    assert all(check["ok"] and check["found"] for check in found.body["checks"].values())


def test_the_metrics_count_and_name_nobody(server: Server) -> None:
    server.post([event("m1", account="who-is-this"), event("m1", account="who-is-this"), {"id": "bad"}])
    shown = server.get("/metrics").body
    for line in (
        r'ringfirst_events_total\{result="new"\} [1-9]',
        r'ringfirst_events_total\{result="duplicate"\} [1-9]',
        r'ringfirst_events_total\{result="dead_letter"\} [1-9]',
        r'ringfirst_requests_total\{status="200"\} [1-9]',
        r"ringfirst_batch_transaction_seconds_count [1-9]",
        r"ringfirst_batch_events_sum [1-9]",
        r"ringfirst_waiting_events 0",
        r"ringfirst_ready 1",
        r"ringfirst_decisions_total \d",
        r'ringfirst_lane_lag_seconds\{lane="\d"\} \d',
        r'ringfirst_build_info\{version="[\d.]+"\} 1',
        r"process_resident_memory_bytes \d",
    ):
        assert re.search(line, shown), line
    assert "who-is-this" not in shown
    labels = set(re.findall(r"(\w+)=\"", shown))
    assert labels <= {"result", "status", "lane", "state", "version", "le", "generation"} | {
        "implementation",
        "major",
        "minor",
        "patchlevel",
    }


# -- deciding and sending ------------------------------------------------------------------------------------------
def test_rules_decide_as_events_come_and_as_time_goes_by_and_mails_leave(start: Start, tmp_path: Path) -> None:
    with start().ready() as server:
        answer = server.post([event(f"u{number}") for number in range(3)])
        server.post(event("t1", "ticket.opened", "bolt", ticket_id="t1"))
        assert answer.body["new"] == 3
        outbox = tmp_path / "outbox"
        wait_until(lambda: len(list(outbox.glob("*.eml"))) == 2)
        mails = [path.read_text() for path in outbox.glob("*.eml")]
        wait_until(lambda: 'ringfirst_mails{state="accepted"} 2' in server.get("/metrics").body)
        assert "ringfirst_mails_sent_total 2.0" in server.get("/metrics").body
        assert server.stop() == 0
    assert sorted("Look at bolt" in mail for mail in mails) == [False, True]
    store = open_store(server.store, create=False)
    found = {row.rule: (row.account_id, row.state) for row in store.outreach()}
    assert found == {"busy": ("acme", "accepted"), "waits": ("bolt", "accepted")}
    verified = replay.verify(store)
    store.close()
    assert (verified["decisions"], verified["missing"], verified["extra"], verified["different"]) == (2, 0, 0, 0)


def test_a_second_start_sends_nothing_again_and_takes_no_repeat(start: Start, tmp_path: Path) -> None:
    rows = [event(f"u{number}") for number in range(3)]
    for expected in (3, 0):
        with start().ready() as server:
            assert server.post(rows).body["new"] == expected
            wait_until(lambda: len(list((tmp_path / "outbox").glob("*.eml"))) == 1)
            time.sleep(3 if expected == 0 else 0)
            assert server.stop() == 0
    assert len(list((tmp_path / "outbox").glob("*.eml"))) == 1


def test_a_sender_that_fails_never_stops_the_intake(start: Start, tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("this is no folder")
    with start().ready() as server:
        server.post([event(f"u{number}") for number in range(3)])
        server.until("outbox: it cannot be written to")
        assert server.post(event("afterwards")).body["new"] == 1
        found = server.get("/readyz")
        assert found.status == 200
        assert "outbox" in found.body["sender"]
        assert "ringfirst_sender_failures_total 1.0" in server.get("/metrics").body
        assert server.stop() == 0


def test_with_no_send_mails_wait_in_the_store(start: Start, tmp_path: Path) -> None:
    with start("--no-send").ready() as server:
        server.post([event(f"u{number}") for number in range(3)])
        time.sleep(3)
        assert server.stop() == 0
    store = open_store(server.store, create=False)
    assert [row.state for row in store.outreach()] == ["queued"]
    store.close()
    assert not (tmp_path / "outbox").exists()


# -- who owns the lanes --------------------------------------------------------------------------------------------
def test_a_second_server_on_the_same_store_is_refused_and_names_the_first(start: Start) -> None:
    with start().ready() as first:
        said = refused(start())
        assert f":{first.process.pid}:" in said
        assert "another owner holds it" in said
        assert first.post(event("e1")).body["new"] == 1


def test_an_import_is_refused_while_the_server_runs(start: Start, tmp_path: Path, live_book: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(lines([event("e1")]))
    with start().ready() as server:
        words = ["import", str(tmp_path / "events.jsonl"), "--store", server.store, "--rules", str(live_book)]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 2
        assert "another owner holds it" in done.output


def test_an_owner_elsewhere_keeps_the_lanes_unless_they_are_taken_over(start: Start, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    at = time.time_ns() // 1_000_000
    store.claim(range(store.lanes), "elsewhere.example:1:-", at=at, lease_seconds=3600)
    assert "elsewhere.example:1:-" in refused(start())
    with start("--take-over").ready() as server:
        assert server.post(event("e1")).body["new"] == 1
        assert server.stop() == 0
    store.close()


def test_a_server_that_lost_its_lanes_stops_instead_of_serving(start: Start, tmp_path: Path) -> None:
    with start().ready() as server:
        store = open_store(server.store, create=False)
        at = time.time_ns() // 1_000_000
        store.claim(range(store.lanes), owner_name(), at=at, lease_seconds=60, take_over=True)
        store.close()
        assert "lane" in refused(server)


# -- stopping ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_finishes_what_it_has_begun_and_gives_the_lanes_up(start: Start, number: int) -> None:
    server = start("--no-send").ready()
    acknowledged: list[str] = []
    refusals: list[int] = []
    stopping = threading.Event()

    def send(who: int) -> None:
        for round_ in range(10_000):
            rows = [event(f"{who}-{round_}-{index}", account=f"a{index}") for index in range(20)]
            try:
                answer = server.post(lines(rows), LINES)
            except OSError:
                return
            if answer.status == 200:
                acknowledged.extend(row["id"] for row in rows)
            else:
                refusals.append(answer.status)
            if stopping.is_set() and answer.status != 200:
                return

    threads = [threading.Thread(target=send, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) > 200)
    began = time.monotonic()
    stopping.set()
    assert server.stop(number) == 0
    assert time.monotonic() - began < 10
    for thread in threads:
        thread.join(30)
    assert server.said.rstrip().endswith("stopped")
    assert set(refusals) <= {503}
    stored = [mark for _, mark in stored_ids(server.store)]
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)
    store = open_store(server.store, create=False)
    assert all(info.owner is None for info in store.lane_infos(at=0))
    assert sum(len(list(store.snapshots(lane))) for lane in range(store.lanes)) == 20
    store.close()


def test_an_idle_client_and_one_that_stays_silent_do_not_hold_a_stop_up(start: Start) -> None:
    with start().ready() as server:
        kept = server.connect()
        kept.request("GET", "/livez")
        kept.getresponse().read()
        with socket.create_connection(("127.0.0.1", server.port)) as silent:
            silent.sendall(b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            body = b"Content-Length: 100\r\n\r\n{"
            with socket.create_connection(("127.0.0.1", server.port)) as half:
                half.sendall(
                    b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + body
                )
                time.sleep(0.2)
                began = time.monotonic()
                assert server.stop() == 0
                assert time.monotonic() - began < 10
        kept.close()


def test_a_second_signal_stops_at_once(start: Start, tmp_path: Path) -> None:
    with start().ready() as server:
        server.post(event("e1"))
        store = open_store(server.store, create=False)
        with store._driver.writing():  # type: ignore[attr-defined]  # the clean stop waits for its turn to write
            server.process.send_signal(signal.SIGTERM)
            server.until("stopping")
            time.sleep(1)
            assert server.process.poll() is None
            began = time.monotonic()
            assert server.stop() == 130
            assert time.monotonic() - began < 2
        store.close()
    assert stored_ids(server.store) == [("acme", "e1")]


def test_a_stop_that_cannot_finish_ends_within_ten_seconds_all_the_same(start: Start) -> None:
    with start().ready() as server:
        server.post(event("e1"))
        store = open_store(server.store, create=False)
        with store._driver.writing():  # type: ignore[attr-defined]
            assert server.stop() in {1, 2}
        store.close()
    assert stored_ids(server.store) == [("acme", "e1")]


# -- settings ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RINGFIRST_HOST": "0.0.0.0"}, "RINGFIRST_HOST: other machines could send events; found 0.0.0.0 and no token"),
        ({"RINGFIRST_HOST": "::"}, "RINGFIRST_HOST: other machines could send events"),
        ({"RINGFIRST_TOKEN": "short"}, "RINGFIRST_TOKEN: too short to be safe; found 5 characters"),
        ({"RINGFIRST_HOST": "203.0.113.7", "RINGFIRST_TOKEN": TOKEN}, "cannot listen there"),
        ({"RINGFIRST_PORT": "99999"}, "RINGFIRST_PORT: "),
    ],
)
def test_what_would_be_open_or_cannot_be_is_refused_before_anything_opens(
    start: Start, tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    assert said in refused(start(**environment))
    assert not (tmp_path / "store.db").exists() or "cannot listen" in said


def test_a_port_that_is_taken_is_named(start: Start) -> None:
    with start().ready() as first:
        said = refused(start("--port", str(first.port), store="sqlite:///other.db"))
        assert f"127.0.0.1:{first.port}: cannot listen there; Address already in use" in said


def test_with_a_token_others_may_come_in_and_only_with_it(start: Start, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    environment = {"RINGFIRST_HOST": "0.0.0.0", "RINGFIRST_TOKEN_FILE": str(tmp_path / "token")}
    with start("--no-send", **environment).ready() as server:
        assert server.post(event("e1")).status == 401
        assert server.post(event("e1"), authorization=f"Bearer {TOKEN}").body["new"] == 1
        assert server.get("/metrics").status == 401
        assert server.get("/readyz").status == 200
        assert server.stop() == 0
        assert TOKEN not in server.said


# -- the store goes away -------------------------------------------------------------------------------------------
@pytest.mark.postgres
def test_a_database_that_drops_its_connections_loses_nothing_and_the_server_goes_on(
    start: Start, fresh_postgres: str
) -> None:
    plain = sa.make_url(fresh_postgres).set(drivername="postgresql").render_as_string(hide_password=False)
    server = start("--no-send", store=fresh_postgres).ready()
    acknowledged: set[str] = set()
    statuses: list[int] = []
    with psycopg.connect(plain, autocommit=True) as admin:
        for number in range(3):
            rows = [event(f"{number}-{index}") for index in range(10)]
            with ThreadPoolExecutor() as pool, admin.transaction():
                admin.execute("LOCK TABLE events")  # so that the connection is lost in the middle of a transaction
                asked = pool.submit(server.post, lines(rows), LINES)
                wait_until(lambda: admin.execute(WAITING).fetchall())
                admin.execute(f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS waiting")
            answer = asked.result(30)
            statuses.append(answer.status)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            wait_until(lambda rows=rows: server.post(lines(rows), LINES).status == 200)
            acknowledged |= {row["id"] for row in rows}
    assert statuses == [503] * 3
    assert "the lanes are loaded again" in server.said
    assert server.get("/readyz").status == 200
    assert server.stop() == 0
    stored = [mark for _, mark in stored_ids(fresh_postgres)]
    assert sorted(stored) == sorted(acknowledged)
