"""``ringfirst web`` as a process, and beside the server."""

import signal
import time
import urllib.error
import urllib.request

import pytest

from engine.errors import UsageError
from engine.stores import open_store
from outreach.filters import safe_url
from ringfirst.settings import read_settings
from tests.server.conftest import live_book, start
from tests.server.given import Server

__all__ = ["live_book", "start"]  # fixtures


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as err:
        return err.code, err.read().decode()


def outside_of(said: str) -> str:
    line = next(line for line in said.splitlines() if "serving the outside on " in line)
    return line.partition("serving the outside on ")[2].strip()


@pytest.mark.slow
def test_the_server_serves_the_outside_on_a_listener_of_its_own(start):
    server: Server = start("--no-send", RINGFIRST_WEB="127.0.0.1:0").ready()
    outside = outside_of(server.said)
    assert get(f"{outside}/robots.txt")[0] == 200
    assert get(f"{outside}/livez")[0] == get(f"{outside}/metrics")[0] == 404
    assert server.get("/livez").status == 200
    assert server.get("/robots.txt").status == 404
    assert "RINGFIRST_PUBLIC_URL" in server.said
    assert server.stop() == 0


@pytest.mark.slow
def test_the_web_alone_serves_until_it_is_asked_to_stop(tmp_path):
    import subprocess
    import sys

    url = f"sqlite:///{tmp_path / 'store.db'}"
    open_store(url).close()
    words = [sys.executable, "-m", "ringfirst", "web", "--listen", "0", "--store", url]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert get(f"{outside_of(said)}/robots.txt")[0] == 200
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://mail.acme.example", "https://mail.acme.example"),
        ("https://mail.acme.example/", "https://mail.acme.example"),
        ("https://acme.example/mail/", "https://acme.example/mail"),
        ("http://localhost:8485", "http://localhost:8485"),
        ("http://127.0.0.1:8485", "http://127.0.0.1:8485"),
    ],
)
def test_links_begin_with_the_public_url(given, kept):
    assert read_settings({"RINGFIRST_PUBLIC_URL": given}).public_url == kept
    assert safe_url(f"{kept}/p/x") == f"{kept}/p/x", "a mail with that link can be written"


@pytest.mark.parametrize(
    "given",
    [
        "http://mail.acme.example",
        "mail.acme.example",
        "https://",
        "https://a.example/?x=1",
        "https://a.example/#x",
        "https://me:secret@a.example",
        "ftp://a.example",
        "https://a.example/a b",
        "https://a.example:99999",
        "https://a.exampl\u00e9",
    ],
)
def test_what_no_link_can_begin_with_is_refused(given):
    with pytest.raises(UsageError, match=r"RINGFIRST_PUBLIC_URL: .*https://"):
        read_settings({"RINGFIRST_PUBLIC_URL": given})
