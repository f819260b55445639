"""The page on the server, typed as it stands, on a port that is free."""

import re
import socket
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.docs.test_pages_run import Typist

PAGE = ROOT / "docs" / "how-to" / "run-the-server.md"


@pytest.mark.slow
def test_the_page_can_be_typed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    page = tmp_path / PAGE.name
    page.write_text(
        PAGE.read_text().replace("ringfirst run >", f"ringfirst run --port {port} >").replace("8484", str(port))
    )
    Typist(tmp_path).type(page)


def test_the_page_names_every_metric_and_no_other() -> None:
    from ringfirst.server.health import Health
    from ringfirst.server.metrics import Metrics
    from ringfirst.server.waiting import WaitingRoom

    shown = Metrics(Health(), WaitingRoom()).text().decode()
    there = set(re.findall(r"^# TYPE (ringfirst_\w+)", shown, re.MULTILINE)) - {"ringfirst_build_info"}
    assert set(re.findall(r"`(ringfirst_\w+)", PAGE.read_text())) == there
