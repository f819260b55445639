"""A real Chromium, driven over the two pipes it offers (no driver package): sizes, colours, scripts, pictures."""

import base64
import fcntl
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # root and containers have no user namespaces; what is opened here is our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
)


def find_browser() -> str | None:
    """The browser of this machine: the one ``RINGFIRST_TEST_BROWSER`` names, or the first that is on the path."""
    given = os.environ.get("RINGFIRST_TEST_BROWSER")
    return given or next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab. ``loaded`` are the addresses it asked, those left out that its own policy kept it from asking."""

    def __init__(self, reading: int, writing: int) -> None:
        self._asked: dict[str, str] = {}
        self._reading, self._writing = reading, writing
        self._left = b""
        self._number = 0
        self._session: str | None = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self._call(f"{domain}.enable")

    @property
    def loaded(self) -> set[str]:
        """What was loaded since the last look, from the network or the disk."""
        self.value("new Promise((done) => setTimeout(done, 200))")  # what is under way gets its answer
        return {address for address in self._asked.values() if not address.startswith(("about:", "data:"))}

    def look(self, path: Path, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Open a file as a screen of that width shows it, and wait until it stands."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", media="screen", features=[scheme])
        self._asked.clear()
        self._call("Page.navigate", url=path.absolute().as_uri())
        while self._read().get("method") != "Page.loadEventFired":
            pass

    def value(self, script: str) -> Any:
        """What an expression gives on the page."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, *, whole: bool = True) -> bytes:
        """The page as a PNG; ``whole`` goes beyond the screen's lower end."""
        return base64.b64decode(self._call("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def _call(self, method: str, **given: Any) -> Any:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": given}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self) -> Any:
        while b"\0" not in self._left:
            more = os.read(self._reading, 1 << 16)
            assert more, "the browser ended"
            self._left += more
        raw, _, self._left = self._left.partition(b"\0")
        message = json.loads(raw)
        given = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self._asked[given["requestId"]] = given["request"]["url"]
        if message.get("method") == "Network.loadingFailed" and given.get("blockedReason"):
            self._asked.pop(given["requestId"], None)
        return message


@contextmanager
def opened_page(browser: str) -> Iterator[Page]:
    """Start the browser with a profile of its own and one empty tab; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ringfirst-browser-", ignore_cleanup_errors=True) as profile:
        to_read, from_us = os.pipe()
        from_it, to_write = os.pipe()
        reads, writes = (fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (to_read, to_write))  # 3 and 4 may be taken
        process = os.posix_spawn(
            browser,
            [browser, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, reads, 3),  # where --remote-debugging-pipe looks: 3 to read, 4 to write
                (os.POSIX_SPAWN_DUP2, writes, 4),
            ],
        )
        for one in (to_read, to_write, reads, writes):
            os.close(one)
        try:
            yield Page(from_it, from_us)
        finally:
            os.close(from_us)
            os.close(from_it)
            os.kill(process, signal.SIGTERM)
            os.waitpid(process, 0)
