"""Who may come in: names, token, addresses, and connections that take their time. Real sockets, real HTTP."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import uvicorn

from ringfirst.server import app as pages
from ringfirst.server import door
from ringfirst.server.app import make_app
from ringfirst.server.bodies import Parcel
from ringfirst.server.health import Health
from ringfirst.server.metrics import Metrics
from ringfirst.server.refused import busy
from ringfirst.server.waiting import WaitingRoom
from ringfirst.server.web import config
from tests.server.given import JSON, event

TOKEN = "0123456789abcdef0123456789abcdef"


class Web:
    """The web alone, with a room that nobody calls in from: an owner that is very busy."""

    def __init__(self, *, most_events: int = 1_000, token: str | None = None, names: tuple[str, ...] = ()) -> None:
        self.health, self.room = Health(), WaitingRoom(most_events)
        self.health.say("owner", "holds all lanes")
        self.room.open()
        made = make_app(self.room, self.health, Metrics(self.health, self.room), names=names, token=token)
        self._server = uvicorn.Server(config(made, stop_seconds=4))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()

    def stop(self) -> None:
        for one in self.room.call(0, most_events=10**9):
            one.answer.set_exception(busy("the test is over"))
        self._server.should_exit = True
        self._thread.join(10)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            found = connection.getresponse()
            return found.status, {name.lower(): text for name, text in found.getheaders()}, found.read().decode()
        finally:
            connection.close()

    def post(self, **headers: str) -> tuple[int, dict[str, str], str]:
        return self.ask("POST", "/v1/events", json.dumps(event("e1")).encode(), content_type=JSON, **headers)

    def closed_after(self, sent: bytes, *, again: bytes = b"") -> float:
        """Seconds until the server hangs up on a client that sends this and then, now and then, ``again``."""
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), timeout=0.05) as raw:
            raw.sendall(sent)
            while time.monotonic() < began + 15:
                try:
                    raw.sendall(again)
                    if not raw.recv(4096):
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
        return time.monotonic() - began


@pytest.fixture
def web() -> Iterator[Callable[..., Web]]:
    started: list[Web] = []

    def start(**kind: object) -> Web:
        started.append(Web(**kind))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]", "10.1.2.3:8484", "ours.example"])
def test_names_of_this_machine_plain_addresses_and_allowed_names_are_answered(web, host) -> None:
    assert web(names=("ours.example",)).ask("GET", "/livez", host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[evil.example]"]
)
def test_a_foreign_name_that_points_here_is_not_answered(web, host) -> None:
    status, _, said = web().ask("GET", "/livez", host=host)
    assert status == 421
    assert "RINGFIRST_ALLOWED_HOSTS" in said


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", f"Basic {TOKEN}", "Bearer wrong", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"{TOKEN}"],
)
def test_without_the_token_nothing_is_taken_and_nothing_is_shown(web, given) -> None:
    one = web(token=TOKEN)
    headers = {"authorization": given} if given else {}
    for status, said, _ in (one.post(**headers), one.ask("GET", "/metrics", **headers)):
        assert (status, said["www-authenticate"]) == (401, "Bearer")
    assert one.room.depth()[0] == 0
    assert one.ask("GET", "/livez")[0] == one.ask("GET", "/readyz")[0] == 200


def test_with_the_token_the_door_is_open(web) -> None:
    one = web(token=TOKEN)
    assert one.ask("GET", "/metrics", authorization=f"Bearer {TOKEN}")[0] == 200
    assert one.ask("GET", "/metrics", authorization=f"bearer  {TOKEN}")[0] == 200


def test_a_full_room_says_come_again(web) -> None:
    one = web(most_events=1)
    one.room.enter(Parcel([], [], []))
    one.room.enter(Parcel([object()], [], []))  # type: ignore[list-item]
    status, headers, said = one.post()
    assert (status, headers["retry-after"]) == (503, "1")
    assert "wait already" in said
    assert one.ask("GET", "/livez")[0] == 200


def test_without_an_owner_nothing_is_let_in(web) -> None:
    one = web()
    one.room.pause()
    assert one.post()[0] == 503
    one.health.say("recovering", "loading the lanes again")
    assert "loading the lanes again" in one.post()[2]
    assert one.ask("GET", "/readyz")[0] == 503


def test_too_many_bytes_under_way_are_refused_and_given_back(web, monkeypatch) -> None:
    one = web()
    monkeypatch.setattr(pages, "MOST_BYTES", 10)
    assert "bytes of other requests" in one.post()[2]
    monkeypatch.setattr(pages, "MOST_BYTES", len(json.dumps(event("e1"))))
    monkeypatch.setattr(pages, "COMMIT_SECONDS", 0.2)
    assert "no commit within" in one.post()[2], "it came as far as the room: the bytes of the first are free again"


def test_an_owner_that_does_not_answer_keeps_nobody_waiting_for_ever(web, monkeypatch) -> None:
    monkeypatch.setattr(pages, "COMMIT_SECONDS", 0.3)
    one = web()
    began = time.monotonic()
    status, headers, _ = one.post()
    assert (status, headers["retry-after"]) == (503, "1")
    assert time.monotonic() - began < 5
    assert one.room.call(0, most_events=10) == [], "who has given up is not taken in later"


@pytest.mark.slow
def test_a_client_that_never_says_what_it_wants_is_hung_up_on(web, monkeypatch) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.5)
    one = web()
    assert one.closed_after(b"") < 5
    assert one.closed_after(b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\n", again=b"X-A: b\r\n") < 5
    assert one.closed_after(b"\r\n", again=b"\r\n") < 5
    first = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert one.closed_after(first, again=b"\r\n") < 5, "a second head has no more time than the first"


def test_a_head_without_end_is_cut(web) -> None:
    assert web().closed_after(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"a" * 70_000) < 5


@pytest.mark.slow
def test_a_body_that_drips_is_given_up(web, monkeypatch) -> None:
    monkeypatch.setattr(pages, "PIECE_SECONDS", 0.4)
    head = f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nContent-Length: 1000\r\n\r\n"
    one = web()
    assert one.closed_after(head.encode() + b"[") < 5
    monkeypatch.setattr(pages, "BODY_SECONDS", 0.8)
    assert one.closed_after(head.encode() + b"[", again=b" ") < 5


def test_idle_connections_however_many_keep_out_nobody_who_asks(web, monkeypatch) -> None:
    monkeypatch.setattr(door, "MAX_CONNECTIONS", 3)
    one = web()
    with ExitStack() as stack:
        many = [stack.enter_context(socket.create_connection(("127.0.0.1", one.port), timeout=2)) for _ in range(8)]
        assert [each.recv(10) for each in many[:5]] == [b""] * 5, "the oldest go"
        assert one.ask("GET", "/livez")[0] == 200, "who comes last is heard"
        many[-1].settimeout(0.2)
        with pytest.raises(TimeoutError):
            many[-1].recv(10)


def test_where_everybody_is_being_answered_who_comes_last_is_not_let_in(web, monkeypatch) -> None:
    monkeypatch.setattr(door, "MAX_CONNECTIONS", 2)
    one = web()
    head = f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nContent-Length: 9\r\n\r\n".encode()
    with ExitStack() as stack:
        busy = [stack.enter_context(socket.create_connection(("127.0.0.1", one.port), timeout=2)) for _ in range(2)]
        for each in busy:
            each.sendall(head)
        time.sleep(0.2)
        last = stack.enter_context(socket.create_connection(("127.0.0.1", one.port), timeout=2))
        assert last.recv(10) == b""
        busy[0].settimeout(0.2)
        with pytest.raises(TimeoutError):
            busy[0].recv(10)


@pytest.mark.parametrize(
    ("state", "size", "status"),
    [
        pytest.param("owner", 9_000_000, 413, id="too large"),
        pytest.param("recovering", 7_000_000, 503, id="not now"),
    ],
)
def test_a_client_that_is_still_sending_gets_to_see_why_it_was_refused(web, state, size, status) -> None:
    one = web()
    one.health.say(state, "for the test")
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=20)
    for _ in range(2):  # and the connection goes on
        connection.request("POST", "/v1/events", b" " * size, {"Content-Type": JSON})
        found = connection.getresponse()
        assert found.status == status
        assert "error" in json.loads(found.read())
    connection.close()


@pytest.mark.slow
def test_a_refused_body_is_not_read_for_ever(web, monkeypatch) -> None:
    one = web()
    head = f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nContent-Length: 10000000000\r\n\r\n"
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.5)
    assert one.closed_after(head.encode(), again=b" ") < 5
    monkeypatch.setattr(door, "HEAD_SECONDS", 60)
    assert one.closed_after(head.encode(), again=b" " * 2**20) < 10


def test_who_goes_silent_after_a_refused_body_is_hung_up_on(web, monkeypatch) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.5)
    one = web()
    head = f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nContent-Length: 9000000\r\n\r\n"
    assert one.closed_after(head.encode() + b" " * 9_000_000) < 5
