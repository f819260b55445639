"""What any provider tells as plain JSON: let in by its token, taken whole or not at all, in force at once."""

import json

import msgspec
import pytest

from engine.errors import UsageError
from engine.feedback import Step
from engine.lanes import lane_of
from engine.store import ALL_TOPICS
from engine.stores import open_store
from outreach.addresses import address_key
from ringfirst.settings import read_settings
from ringfirst.web.told import MOST, PATH, told_routes
from tests.outreach.given import ADA, DUE, keep, only, planned
from tests.stores.made import claim_mail, move_mail
from tests.web.given import Outside

TOKEN = "0123456789abcdef0123456789abcdef"
OURS = "<0123@ringfirst.example>"
WHEN = "2026-03-12T10:00:00Z"


def settings(token=TOKEN):
    return read_settings({"RINGFIRST_FEEDBACK_TOKEN": token})


@pytest.fixture
def store():
    made = open_store("sqlite://")
    keep(made, planned())
    row, key = only(made), address_key(made.key, ADA["email"])
    claim_mail(made, [row.outreach_id], account_id="acme", person=key, since=0, at=DUE, by="t", may=lambda _: None)
    step = Step(outreach_id=row.outreach_id, before=("claimed",), after="posting")
    move_mail(made, [step], at=DUE, by="t", known={"message_id": OURS})
    yield made
    made.close()


@pytest.fixture
def outside(store):
    with Outside(told_routes(store, settings())) as started:
        yield started


def posted(outside, *told, token=TOKEN):
    body = json.dumps([{"id": "e1", "time": WHEN, **one} for one in told]).encode()
    return outside.ask("POST", PATH, body, authorization=f"Bearer {token}", content_type="application/json")


def wishes(store):
    return store.wishes(address_key(store.key, ADA["email"]))


@pytest.mark.parametrize("by", ["mail_id", "message_id", "address"])
@pytest.mark.parametrize(("event", "reason"), [("bounced", "bounced"), ("complained", "complained"), ("blocked", None)])
def test_a_dead_address_is_never_written_to_again(store, outside, by, event, reason):
    name = {"mail_id": only(store).mail_id, "message_id": OURS, "address": "ADA@acme.example"}[by]
    for _ in range(2):
        said = posted(outside, {"event": event, by: name, "status": "5.1.1"})
        assert (said.status, json.loads(said.text)) == (200, {"taken": 1, "unknown": 0})
    assert wishes(store).suppressed == reason
    (kept,) = store.feedback(limit=10)
    assert (kept.provider, kept.kind, kept.person) == ("json", event, address_key(store.key, ADA["email"]))
    assert b"ada" not in kept.body.lower()


def test_who_unsubscribes_at_the_provider_gets_transactional_mails_alone(store, outside):
    posted(outside, {"event": "unsubscribed", "message_id": OURS})
    assert wishes(store).choices == {ALL_TOPICS: "out"}
    rows = store.inbox(lane_of("acme", store.lanes), after=0)
    word = msgspec.json.decode(rows[-1].body)
    assert (word["type"], word["properties"]["by"]) == ("outreach.unsubscribed", "provider")
    store.choose(address_key(store.key, ADA["email"]), {ALL_TOPICS: "in"}, at=DUE, by="page")
    posted(outside, {"event": "unsubscribed", "message_id": OURS})
    assert wishes(store).choices == {ALL_TOPICS: "in"}, "told again, it does not undo a reader's return"
    assert store.inbox(lane_of("acme", store.lanes), after=0) == rows


def test_an_answer_is_told_to_the_rules(store, outside):
    posted(outside, {"event": "replied", "message_id": OURS}, {"event": "left", "message_id": OURS, "id": "e2"})
    rows = [msgspec.json.decode(row.body) for row in store.inbox(lane_of("acme", store.lanes), after=0)]
    assert [row["type"] for row in rows] == ["outreach.replied", "outreach.auto_replied"]


def test_what_is_about_no_mail_of_ours_is_counted_and_changes_nothing(store, outside):
    said = posted(outside, {"event": "bounced", "message_id": "<else@x.example>"}, {"event": "bounced", "mail_id": "x"})
    assert json.loads(said.text) == {"taken": 0, "unknown": 2}
    assert (store.suppressions(), store.feedback(limit=1)) == ([], [])


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN])
def test_without_the_token_nothing_is_taken(store, outside, given):
    body = json.dumps([{"id": "e1", "event": "bounced", "time": WHEN, "message_id": OURS}]).encode()
    said = outside.ask("POST", PATH, body, **({"authorization": given} if given else {}))
    assert (said.status, said.headers["www-authenticate"]) == (401, "Bearer")
    assert wishes(store).suppressed is None


@pytest.mark.parametrize(
    "bad",
    [
        {"event": "exploded"},
        {"event": "bounced", "time": "yesterday"},
        {"event": "bounced", "time": "2999-01-01T00:00:00Z"},
        {"event": "bounced", "message_id": None},
        {"event": "bounced", "adress": "a@b.example"},
        {"event": "bounced", "address": "no address"},
        {"event": "bounced", "status": "nope"},
        {"event": "bounced", "id": ""},
    ],
)
def test_a_request_is_taken_whole_or_not_at_all(store, outside, bad):
    said = posted(outside, {"event": "bounced", "message_id": OURS}, {"id": "e2", "message_id": OURS, **bad})
    assert said.status == 400
    assert "nothing was taken" in said.text
    assert wishes(store).suppressed is None


@pytest.mark.parametrize("body", [b"", b"no json", b"[", b"\xff", b"{}", b"null", b"[" * 5_000, b"{},{}"])
def test_what_is_no_feedback_is_refused(outside, body):
    assert outside.ask("POST", PATH, body, authorization=f"Bearer {TOKEN}").status == 400


def test_more_than_fits_into_the_time_of_an_answer_is_refused(store, outside):
    many = [{"id": f"e{number}", "event": "bounced", "message_id": "<else@x.example>"} for number in range(MOST + 1)]
    assert posted(outside, *many).status == 400
    assert posted(outside, *many[1:]).status == 200


def test_one_thing_needs_no_array(store, outside):
    body = json.dumps({"id": "e1", "event": "bounced", "time": WHEN, "message_id": OURS}).encode()
    assert outside.ask("POST", PATH, body, authorization=f"Bearer {TOKEN}").status == 200
    assert wishes(store).suppressed == "bounced"


def test_there_is_no_such_door_without_a_token_and_none_with_a_weak_one(store):
    assert told_routes(store, read_settings({})) == []
    with pytest.raises(UsageError, match="RINGFIRST_FEEDBACK_TOKEN: too short"):
        told_routes(store, settings("short"))
