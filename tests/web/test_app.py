"""What faces outside: a few routes, everything else hidden, and nothing that an attacker could wear it out with."""

import asyncio
import logging
import socket
import time

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from engine.errors import StoreError
from ringfirst.web import app
from ringfirst.web.app import body_of
from tests.web.given import Outside


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse((await body_of(request, 1_000)).decode())


def broken(_request: Request) -> PlainTextResponse:
    raise StoreError("postgresql://db: the database did not do it")


async def slow(_request: Request) -> PlainTextResponse:
    await asyncio.sleep(30)
    return PlainTextResponse("never")


@pytest.fixture(scope="module")
def outside():
    routes = [Route("/echo", echo, methods=["POST"]), Route("/broken", broken), Route("/slow", slow)]
    with Outside(routes) as started:
        yield started


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1/events"),
        ("POST", "/v1/events"),
        ("GET", "/metrics"),
        ("GET", "/livez"),
        ("GET", "/status.json"),
        ("GET", "/.env"),
        ("GET", "/echo"),
        ("DELETE", "/echo"),
        ("OPTIONS", "/echo"),
        ("POST", "/echo/"),
        ("POST", "/robots.txt"),
    ],
)
def test_what_is_not_for_outside_is_not_there(outside, method, path):
    said = outside.ask(method, path)
    assert (said.status, said.text) == (404, "There is nothing here.\n")
    assert "location" not in said.headers
    assert "allow" not in said.headers


@pytest.mark.parametrize("path", ["/robots.txt", "/nothing", "/broken"])
def test_every_answer_forbids_to_keep_frame_index_and_load(outside, path):
    headers = outside.ask("GET", path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "noindex" in headers["x-robots-tag"]
    assert (headers["referrer-policy"], headers["x-content-type-options"]) == ("no-referrer", "nosniff")
    assert not {"server", "set-cookie", "x-powered-by"} & set(headers)


def test_robots_are_told_to_stay_away(outside):
    assert outside.ask("GET", "/robots.txt").text == "User-agent: *\nDisallow: /\n"


def test_a_body_within_the_limit_is_read_and_a_larger_one_is_refused(outside):
    assert outside.ask("POST", "/echo", b"x" * 1_000).text == "x" * 1_000
    assert outside.ask("POST", "/echo", b"x" * 1_001).status == 413


def test_a_body_that_does_not_say_its_size_is_cut_at_the_limit(outside):
    with socket.create_connection(("127.0.0.1", outside.port), timeout=5) as raw:
        raw.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        raw.sendall(b"400\r\n" + b"x" * 0x400 + b"\r\n")
        assert b" 413 " in raw.recv(4096).split(b"\r\n")[0]


def test_a_page_that_fails_says_come_again_and_nothing_of_why(outside, caplog):
    with caplog.at_level(logging.ERROR):
        said = outside.ask("GET", "/broken")
    assert (said.status, said.headers["retry-after"]) == (503, "1")
    assert "database" not in said.text
    end = time.monotonic() + 5
    while "the database did not do it" not in caplog.text:  # said once the answer is out
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_takes_too_long_is_given_up(outside, monkeypatch):
    monkeypatch.setattr(app, "ANSWER_SECONDS", 0.3)
    began = time.monotonic()
    assert outside.ask("GET", "/slow").status == 408
    assert time.monotonic() - began < 5


def test_a_body_that_drips_is_given_up(outside, monkeypatch):
    monkeypatch.setattr(app, "ANSWER_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", outside.port), timeout=5) as raw:
        raw.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx")
        assert b" 408 " in raw.recv(4096).split(b"\r\n")[0]
