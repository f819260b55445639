"""POST /v1/events: what is taken, what is refused, and in which words."""

import json
import socket
import time
import zlib
from pathlib import Path

import pytest

from engine.stores import open_store
from tests.server.given import JSON, LINES, Server, event, lines, packed, stored_ids

pytestmark = pytest.mark.slow


def test_an_event_is_in_the_store_when_its_answer_comes(server: Server) -> None:
    answer = server.post(event("one"))
    assert (answer.status, answer.body["received"], answer.body["new"]) == (200, 1, 1)
    assert stored_ids(server.store).count(("acme", "one")) == 1


@pytest.mark.parametrize(
    ("name", "body", "kind", "headers"),
    [
        pytest.param("a", lambda rows: json.dumps(rows).encode(), JSON, {}, id="an array"),
        pytest.param("b", lines, LINES, {}, id="lines"),
        pytest.param("c", lambda rows: lines(rows).replace(b"\n", b"\r\n\r\n"), LINES, {}, id="lines with blank ones"),
        pytest.param("d", lambda rows: b"\xef\xbb\xbf" + lines(rows), LINES, {}, id="lines with a mark in front"),
        pytest.param("e", lambda rows: packed(lines(rows)), LINES, {"content_encoding": "gzip"}, id="gzip"),
        pytest.param(
            "f",
            lambda rows: packed(lines(rows[:1])) + packed(lines(rows[1:])),
            LINES,
            {"content_encoding": "gzip"},
            id="gzip in two members",
        ),
        pytest.param("g", lines, "application/jsonl; charset=utf-8", {}, id="another name for lines"),
    ],
)
def test_many_events_come_in_every_shape(server: Server, name, body, kind, headers) -> None:
    rows = [event(f"{name}{number}") for number in range(3)]
    answer = server.post(body(rows), kind, **headers)
    assert (answer.status, answer.body["received"], answer.body["new"]) == (200, 3, 3)


def test_a_body_in_chunks_is_read_to_its_end(server: Server) -> None:
    connection = server.connect()
    pieces = iter([lines([event("p1")])[:20], lines([event("p1")])[20:], lines([event("p2")])])
    connection.request("POST", "/v1/events", pieces, {"Content-Type": LINES}, encode_chunked=True)
    assert json.loads(connection.getresponse().read())["new"] == 2
    connection.close()


def test_a_repeat_is_no_new_event_and_another_content_is_counted(server: Server) -> None:
    server.post(event("twice", at=1_700_000_000_000, n=1))
    same = server.post(event("twice", at=1_700_000_000_000, n=1)).body
    other = server.post(event("twice", at=1_700_000_000_000, n=2)).body
    assert (same["new"], same["duplicates"], same["conflicting"]) == (0, 1, 0)
    assert (other["new"], other["duplicates"], other["conflicting"]) == (0, 1, 1)


def test_bad_events_go_to_the_dead_letters_and_the_good_ones_beside_them_are_taken(server: Server) -> None:
    rows = [event("good-1"), {"id": "x"}, event("good-2"), event("far", at=9_000_000_000_000)]
    answer = server.post(rows)
    assert (answer.status, answer.body["new"], answer.body["dead_letters"]) == (200, 2, 2)
    assert [one["index"] for one in answer.body["rejected"]] == [1, 3]
    assert "'type', 'account_id' and 'time' are missing" in answer.body["rejected"][0]["reason"]
    assert "ahead of the clock" in answer.body["rejected"][1]["reason"]
    kept = open_store(server.store, create=False)
    before = kept.dead_letters(source="http")
    assert [json.loads(one.raw) for one in before[-2:]] == [rows[1], rows[3]]
    server.post(rows)
    assert len(kept.dead_letters(source="http")) == len(before), "the same request again adds none"
    kept.close()


def test_a_request_without_one_good_event_does_not_look_like_success(server: Server) -> None:
    answer = server.post({"id": "x"})
    assert (answer.status, answer.body["dead_letters"]) == (422, 1)


def test_events_that_ringfirst_writes_itself_are_not_taken_from_others(server: Server) -> None:
    assert server.post(event("mine", "outreach.sent")).status == 422


@pytest.mark.parametrize(
    ("body", "headers", "status", "word"),
    [
        pytest.param(b"[{}, ", {}, 400, "not a JSON array", id="an array that breaks off"),
        pytest.param(b"[" * 100_000, {}, 400, "not a JSON array", id="brackets without end"),
        pytest.param(b"  ", {}, 400, "no event", id="nothing"),
        pytest.param(b"{}", {"kind": "text/plain"}, 415, "application/json", id="what a browser may send unasked"),
        pytest.param(b"{}", {"kind": ""}, 415, "application/json", id="no content type"),
        pytest.param(b"{}", {"content_encoding": "br"}, 415, "gzip", id="another packing"),
        pytest.param(b"{}", {"content_encoding": "gzip"}, 400, "damaged", id="no gzip at all"),
        pytest.param(packed(b"{}" * 50)[:-12], {"content_encoding": "gzip"}, 400, "no end", id="half a gzip"),
        pytest.param(b"{}\n" * 10_001, {"kind": LINES}, 413, "10,000 events", id="too many events"),
    ],
)
def test_what_cannot_be_read_is_refused_whole_with_what_to_do(server: Server, body, headers, status, word) -> None:
    kind = headers.pop("kind", JSON)
    before = len(stored_ids(server.store))
    answer = server.post(body, kind, **headers)
    assert answer.status == status
    assert word in answer.body["error"]
    assert len(stored_ids(server.store)) == before


def test_a_small_body_that_would_unpack_into_a_large_one_is_never_unpacked_whole(server: Server) -> None:
    def peak() -> int:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))

    packing = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    bomb = b"".join(packing.compress(bytes(2**20)) for _ in range(512)) + packing.flush()
    before = peak()
    answer = server.post(bomb, LINES, content_encoding="gzip")
    assert answer.status == 413
    assert "unpacked" in answer.body["error"]
    assert peak() - before < 100_000, "kilobytes; whole it has half a million"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server: Server) -> None:
    connection = server.connect()
    connection.putrequest("POST", "/v1/events")
    connection.putheader("Content-Type", JSON)
    connection.putheader("Content-Length", str(2**33))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_without_a_length_is_refused_when_it_has_become_too_large(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        raw.sendall(head.encode())
        piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        try:
            for _ in range(20):
                raw.sendall(piece)
        except OSError:
            pass  # it was refused while we were still talking
        assert server.get("/livez").status == 200
    assert server.post(event("after-large")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/events", 405), ("PUT", "/v1/events", 405), ("GET", "/", 404), ("OPTIONS", "/v1/events", 405)],
)
def test_other_ways_lead_nowhere(server: Server, method, path, status) -> None:
    assert server.ask(method, path).status == status


def test_one_connection_carries_many_requests(server: Server) -> None:
    connection = server.connect()
    for number in range(20):
        connection.request("POST", "/v1/events", json.dumps(event(f"kept-{number}")), {"Content-Type": JSON})
        assert json.loads(connection.getresponse().read())["new"] == 1
    connection.close()


def test_an_event_counts_as_recorded_when_it_came_whatever_day_it_is_from(server: Server) -> None:
    before = time.time_ns() // 1_000_000
    server.post(event("late", account="slow", at=before - 40 * 86_400_000))
    after = time.time_ns() // 1_000_000
    store = open_store(server.store, create=False)
    found = next(entry for entry in store.account_entries("slow") if hasattr(entry, "event"))
    store.close()
    assert before <= found.recorded_at <= after
