"""What is published is what its page says."""

import json
import re

import msgspec

from engine.store import Outgoing
from streams.telling import DecisionEvent, decision_message
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "reference" / "decision-events.md").read_text()
[EXAMPLE] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_on_the_page_is_one_and_comes_out_as_it_stands():
    shown = json.loads(EXAMPLE)
    event = msgspec.json.decode(EXAMPLE, type=DecisionEvent)
    assert msgspec.to_builtins(event, builtin_types=()) == shown, "no field is missing, and none too many"
    row = Outgoing(1, 0, "decision", shown["data"]["decision_id"], "acme", json.dumps(shown["data"]).encode())
    message = decision_message(row, shown["source"])
    assert json.loads(message.value) == shown
    assert message.key == shown["subject"]
