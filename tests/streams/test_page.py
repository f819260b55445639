"""The page on Kafka, typed as it stands, on a broker of its own."""

import pytest

from tests.docs.pages import ROOT
from tests.docs.test_pages_run import Typist
from tools.kafka.broker import Broker

PAGE = ROOT / "docs" / "how-to" / "run-on-kafka.md"


@pytest.mark.slow
def test_the_page_can_be_typed(real_kafka, tmp_path, monkeypatch):
    broker = Broker(tmp_path / "kafka", quick=True)
    typist = Typist(tmp_path)
    typist._environment["RINGFIRST_KAFKA"] = broker.start()
    try:
        typist.type(PAGE)
    finally:
        broker.kill()
