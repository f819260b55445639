"""``ringfirst outreach recall``, as somebody types it who has seen a wrong number."""

from typing import Any

import msgspec

from engine.instants import DAY, HOUR, MINUTE
from engine.lanes import lane_of
from engine.stores import open_store
from ringfirst.intake import now
from tests.outreach.given import keep, planned

RULE = "orientation-tomorrow"


def test_the_command_asks_stops_lists_and_tells(run, ask, place):
    store = open_store(f"sqlite:///{place / 'ringfirst.db'}")
    at = now()
    soon: dict[str, Any] = {"at": at - MINUTE, "expires_at": at + DAY, "mail_class": "transactional"}
    keep(store, planned(due_at=at, **soon), planned(account="bolt", due_at=at + HOUR, **soon), clock=at)
    run("send")
    words = ("outreach", "recall", RULE, "--since", "2026-01-01", "--why", "x", "--by", "ann")
    run(*words, stdin="n\n", code=1)
    assert store.stops() == []
    said = run(*words, "--correct", stdin="y\n")
    assert f"stopped: rule {RULE}\ntaken back: 1 mail\n" in said.stdout
    assert "got one since 2026-01-01T00:00:00Z: 1 reader" in said.stdout
    assert "1 reader will be known to rules" in said.stderr
    answer = ask(*words, "--yes")
    assert (answer["stopped"], answer["taken_back"], answer["told"]) == (False, [], 0)
    (one,) = answer["got"]
    assert (one["account_id"], one["to"], one["mails"], one["surely"]) == ("acme", "u1", 1, True)
    assert "there is no rule 'orientation'" in run("outreach", "recall", "orientation", *words[3:], code=2).stderr
    notes = [msgspec.json.decode(row.body) for row in store.inbox(lane_of("acme", store.lanes), after=0)]
    assert notes[-1]["properties"]["mails"] == 1
    store.close()
