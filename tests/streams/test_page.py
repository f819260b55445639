"""The pages on Kafka, typed as they stand, each on a broker of its own."""

import shlex

import pytest

from tests.docs.pages import ROOT
from tests.docs.test_pages_run import Typist
from tools.kafka.broker import Broker

PAGES = ["run-on-kafka", "follow-decisions", "take-foreign-events"]


class OnKafka(Typist):
    """Types a worker into a shell: it takes the signals and the event loop of its process."""

    def _called(self, words):
        return self._typed(shlex.join(["ringfirst", *words])) if words[0] == "worker" else super()._called(words)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_page_can_be_typed(real_kafka, tmp_path, monkeypatch, page):
    broker = Broker(tmp_path / "kafka", quick=True)
    typist = OnKafka(tmp_path)
    typist._environment["RINGFIRST_KAFKA"] = broker.start()
    try:
        typist.type(ROOT / "docs" / "how-to" / f"{page}.md")
    finally:
        broker.kill()
