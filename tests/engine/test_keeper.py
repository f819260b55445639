"""The keeper: what an owner of lanes promises, through a real store."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from engine import account as account_at_work
from engine import explain, questions, replay
from engine.errors import Conflict, Fenced, LaneTaken
from engine.events import Arrived, BadEvent, decode, encode_properties
from engine.instants import DAY, HOUR, MINUTE, parse_instant
from engine.keeper import Keeper
from engine.log import Event, Recorded
from engine.rulebook.book import Rulebook, load_rulebook
from engine.store import Store
from engine.stores import open_store
from engine.zones import zone

MONDAY = parse_instant("2026-03-02T09:00:00Z") or 0
WALL = MONDAY + 400 * DAY
BOOK = """
things:
  ticket: {id: ticket_id, opened_by: ticket.opened, closed_by: ticket.closed}
measures:
  uses_7d: {count: feature.used, over: 7d}
  quiet: {days_since: feature.used}
  tickets: {open: ticket}
rules:
  - id: busy
    owner: us@ringfirst.example
    why: They use it a lot.
    when: [uses_7d >= 2]
    unless: [tickets > 0]
    send: {template: hello, to: champion, class: relationship, mode: auto}
"""
SILENCE = """
  - id: silent
    owner: us@ringfirst.example
    why: They stopped.
    when: [quiet >= 5]
    re_entry: every time
    send: {template: hello, to: champion, class: relationship, mode: auto}
"""


def book_of(text: str) -> Rulebook:
    book, findings = load_rulebook(
        {"rules/a.yml": text, "templates/hello/template.yml": "for: customer\n"}, duties=False
    )
    assert book is not None, findings
    return book


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://", lanes=2)
    yield opened
    opened.close()


def event(name: str, kind: str, at: int, account: str = "acme", user: str | None = None, **properties: Any) -> Arrived:
    return Arrived(Event(name, kind, account, user, at, properties), encode_properties(properties))


def champion(account: str = "acme", at: int = MONDAY) -> Arrived:
    return event(f"who-{account}", "user.updated", at, account, "u1", role="champion", email="ada@acme.example")


def uses(number: int, since: int = MONDAY + HOUR, account: str = "acme") -> list[Arrived]:
    return [event(f"use-{account}-{since}-{at}", "feature.used", since + at * MINUTE, account) for at in range(number)]


def live(store: Store, *pieces: list[Arrived], book: Rulebook | None = None) -> None:
    keeper = Keeper(store, book or book_of(BOOK), "test", at=WALL)
    for piece in pieces:
        keeper.take(piece, at=WALL)
    keeper.finish(at=WALL)
    keeper.stop()


def outcomes(store: Store) -> list[tuple[str, str]]:
    return [(row.rule, row.outcome) for row in store.decisions()]


def states(store: Store) -> list[dict[str, Any]]:
    found = [questions.account(store, book_of(BOOK), name, at=WALL) for name in store.accounts()]
    return [{key: value for key, value in one.items() if key != "timeline"} for one in found]


def test_what_was_taken_is_in_the_store_whatever_happens_next(store: Store) -> None:
    keeper = Keeper(store, book_of(BOOK), "test", at=WALL)
    keeper.take([champion(), *uses(3)], at=WALL)
    keeper.abandon()
    assert store.count_events() == 4


def test_a_repeat_is_ignored_and_another_content_under_the_same_id_is_counted(store: Store) -> None:
    keeper = Keeper(store, book_of(BOOK), "test", at=WALL)
    first = event("e1", "feature.used", MONDAY, feature="a")
    taken = keeper.take([first, first, event("e1", "feature.used", MONDAY, feature="b")], at=WALL)
    assert (taken.new, taken.duplicates, taken.conflicting) == (1, 2, 1)
    taken = keeper.take([event("e1", "feature.used", MONDAY, feature="c")], at=WALL)
    assert (taken.new, taken.conflicting) == (0, 1)
    keeper.stop()
    stored = [entry.event.properties for entry in store.account_entries("acme") if isinstance(entry, Recorded)]
    assert stored == [{"feature": "a"}]


def test_pieces_and_their_order_change_no_state() -> None:
    history = [
        champion(),
        champion("bolt"),
        *uses(3),
        *uses(4, MONDAY + 3 * DAY, "bolt"),
        event("t1", "ticket.opened", MONDAY + 2 * DAY, ticket_id="t1"),
    ]
    found = []
    for pieces in ([history], [history[:4], history[4:]], [history[4:], history[:4]], [history, history]):
        store = open_store("sqlite://", lanes=2)
        live(store, *pieces)
        found.append(states(store))
        store.close()
    assert found[0] == found[1] == found[2] == found[3]


def test_a_new_rule_knows_the_past_and_says_nothing_about_it(store: Store) -> None:
    live(store, [champion(), *uses(1)], [event("late", "other", MONDAY + 20 * DAY)])
    live(store, [event("later", "other", MONDAY + 21 * DAY)], book=book_of(BOOK + SILENCE))
    assert outcomes(store) == []
    answer = explain.explain(store, book_of(BOOK + SILENCE), "acme", "silent")
    assert answer["truth"] == "yes"
    assert answer["when"][0]["values"] == {"quiet": 21}


def test_a_new_rule_with_backfill_fires_for_those_inside(store: Store) -> None:
    live(store, [champion(), *uses(1)], [event("late", "other", MONDAY + 20 * DAY)])
    changed = book_of(BOOK + SILENCE.replace("re_entry: every time", "re_entry: every time\n    backfill: true"))
    live(store, [event("later", "other", MONDAY + 21 * DAY)], book=changed)
    assert outcomes(store) == [("silent", "planned")]


def test_an_owner_that_lost_its_lane_writes_nothing(store: Store) -> None:
    first = Keeper(store, book_of(BOOK), "first", at=WALL)
    first.take([champion()], at=WALL)
    with pytest.raises(LaneTaken, match="first"):
        Keeper(store, book_of(BOOK), "second", at=WALL)
    second = Keeper(store, book_of(BOOK), "second", at=WALL, take_over=True)
    with pytest.raises(Fenced):
        first.take(uses(2), at=WALL)
    assert store.count_events() == 1
    second.take(uses(2), at=WALL)
    second.stop()
    assert outcomes(store) == [("busy", "planned")]


def test_a_mail_whose_reason_is_gone_is_taken_back_before_it_leaves(store: Store) -> None:
    at = MONDAY + 12 * HOUR  # after hours: due tomorrow at eight
    live(store, [champion(), *uses(2, at)], [event("t1", "ticket.opened", at + HOUR, ticket_id="t1")])
    assert outcomes(store) == [("busy", "withdrawn")]
    (mail,) = store.outreach()
    assert (mail.state, mail.why) == ("withdrawn", "no longer true")
    assert replay.verify(store)["different"] == 0


def test_a_mail_that_is_out_is_not_taken_back_by_older_events(store: Store) -> None:
    at = MONDAY + 12 * HOUR
    live(store, [champion(), *uses(2, at)])
    (mail,) = store.outreach()
    sent = Event("outreach.sent:1", "outreach.sent", "acme", "u1", WALL - DAY, {"outreach_id": mail.outreach_id})
    body = msgspec.json.encode(
        {
            "id": sent.id,
            "type": sent.type,
            "account_id": "acme",
            "user_id": "u1",
            "time": "2027-04-01T00:00:00Z",
            "properties": sent.properties,
        }
    )
    for before, after, inbox in (
        (["queued"], "claimed", []),
        (["claimed"], "posting", []),
        (["posting"], "accepted", [("acme", "event", body)]),
    ):
        assert store.move(mail.outreach_id, before, after, at=WALL, by="test", inbox=inbox)  # type: ignore[arg-type]
    live(store, [event("t1", "ticket.opened", at + HOUR, ticket_id="t1")])
    assert outcomes(store) == [("busy", "planned")]
    assert store.outreach()[0].state == "accepted"
    assert replay.verify(store) == {"events": 5, "decisions": 1, "missing": 0, "extra": 0, "different": 0}


def test_a_mail_that_somebody_has_claimed_is_taken_back_before_it_is_handed_over(store: Store) -> None:
    at = MONDAY + 12 * HOUR
    live(store, [champion(), *uses(2, at)])
    (mail,) = store.outreach()
    assert store.move(mail.outreach_id, ["queued"], "claimed", at=WALL, by="test")
    live(store, [event("t1", "ticket.opened", at + HOUR, ticket_id="t1")])
    assert (outcomes(store), store.outreach()[0].state) == ([("busy", "withdrawn")], "withdrawn")
    assert not store.move(mail.outreach_id, ["claimed"], "posting", at=WALL, by="test"), "its sender finds that"
    assert replay.verify(store)["different"] == 0


def test_a_mail_that_is_just_being_handed_over_stops_its_lane_for_no_longer_than_loading_it_takes(
    store: Store,
) -> None:
    at = MONDAY + 12 * HOUR
    live(store, [champion(), *uses(2, at)])
    (mail,) = store.outreach()
    keeper = Keeper(store, book_of(BOOK), "test", at=WALL)
    assert store.move(mail.outreach_id, ["queued"], "posting", at=WALL, by="test")
    with pytest.raises(Conflict):
        keeper.take([event("t1", "ticket.opened", at + HOUR, ticket_id="t1")], at=WALL)
    keeper.abandon()
    assert store.count_events() == 3
    live(store, [event("t1", "ticket.opened", at + HOUR, ticket_id="t1")])
    assert (outcomes(store), store.outreach()[0].state) == ([("busy", "planned")], "posting")
    for plain in (False, True):
        assert replay.verify(store, plain=plain)["different"] == 0


def test_a_rejected_mail_gives_its_occasion_back_and_is_not_asked_for_again(store: Store) -> None:
    at = MONDAY + 12 * HOUR
    live(store, [champion(), *uses(2, at)])
    (mail,) = store.outreach()
    told = {"account_id": "acme", "decision_id": mail.decision_id, "outreach_id": mail.outreach_id}
    body = msgspec.json.encode({"kind": "outreach.rejected", **told})
    assert store.move(mail.outreach_id, ["queued"], "rejected", at=WALL, by="ann", inbox=[("acme", "entry", body)])
    live(store, [event("x", "other", MONDAY + 10 * DAY)], uses(2, MONDAY + 11 * DAY + 3 * HOUR))
    (decision,) = store.decisions()
    assert decision.at > MONDAY + 10 * DAY, "it was true anew, and was decided anew"
    assert store.outreach()[0].state == "rejected", "somebody said no to this very mail"
    assert replay.verify(store)["different"] == 0


def test_an_expired_mail_gives_its_occasion_back(store: Store) -> None:
    at = MONDAY + 12 * HOUR
    live(store, [champion(), *uses(2, at)])
    (mail,) = store.outreach()
    body = msgspec.json.encode(
        {
            "kind": "outreach.expired",
            "account_id": "acme",
            "decision_id": mail.decision_id,
            "outreach_id": mail.outreach_id,
        }
    )
    assert store.move(mail.outreach_id, ["queued"], "expired", at=WALL, by="test", inbox=[("acme", "entry", body)])
    live(store, [event("x", "other", MONDAY + 10 * DAY)], uses(2, MONDAY + 11 * DAY + 3 * HOUR))
    (decision,) = store.decisions()
    assert decision.at > MONDAY + 10 * DAY, "the same decision again, with its new instant"
    assert replay.verify(store)["different"] == 0


def test_replaying_the_whole_log_writes_and_sends_nothing(store: Store) -> None:
    live(store, [champion(), *uses(2)])
    before = (store.decisions(), store.outreach(), store.count_events())
    assert replay.verify(store) == {"events": 3, "decisions": 1, "missing": 0, "extra": 0, "different": 0}
    assert (store.decisions(), store.outreach(), store.count_events()) == before


def test_a_forgotten_account_does_not_come_back(store: Store) -> None:
    live(store, [champion(), *uses(2), *uses(1, account="bolt")])
    (claim,) = [one for one in store.claim([0, 1], "forget", at=WALL) if one.position and _has(store, one.lane, "acme")]
    store.forget_account(claim, "acme", at=WALL)
    store.release([claim])
    keeper = Keeper(store, book_of(BOOK), "test", at=WALL, take_over=True)
    taken = keeper.take(uses(1, MONDAY + DAY), at=WALL)
    keeper.stop()
    assert (taken.forgotten, taken.new) == (1, 0)
    assert store.accounts() == ["bolt"]
    assert replay.verify(store)["extra"] == 0


def _has(store: Store, lane: int, account: str) -> bool:
    return any(getattr(entry, "account_id", None) == account for entry in store.entries(lane))


def test_a_decision_on_an_age_that_the_log_cannot_know_goes_to_review(store: Store) -> None:
    old = BOOK.replace("uses_7d >= 2", "quiet >= 3")
    live(store, [champion()], [event("x", "other", MONDAY + 10 * DAY)], book=book_of(old))
    (decision,) = store.decisions()
    assert (decision.mails[0].mode, decision.mails[0].why) == ("review", "may be older than our log")


def test_an_account_whose_beginning_is_known_needs_no_review(store: Store) -> None:
    old = BOOK.replace("uses_7d >= 2", "quiet >= 3")
    born = event("born", "subscription.created", MONDAY)
    live(store, [born, champion()], [event("x", "other", MONDAY + 10 * DAY)], book=book_of(old))
    (decision,) = store.decisions()
    assert (decision.mails[0].mode, decision.mails[0].why) == ("auto", None)


def test_a_rule_pauses_where_an_account_has_too_many_open_things(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(account_at_work, "MAX_OPEN", 3)
    each = (
        BOOK
        + """
  - id: each-ticket
    for: each ticket
    owner: us@ringfirst.example
    why: It waits.
    when: ['ticket.grade == "red"']
    send: {template: hello, to: champion, class: relationship, mode: auto}
"""
    )
    tickets = [
        event(f"t{at}", "ticket.opened", MONDAY + at * MINUTE, ticket_id=f"t{at}", grade="red") for at in range(5)
    ]
    live(store, [champion(), *tickets], book=book_of(each))
    assert len(store.decisions()) == 3


def test_personal_traits_are_split_off_before_anything_is_stored(store: Store) -> None:
    live(store, [champion()])
    stored = [entry.event for entry in store.account_entries("acme") if isinstance(entry, Recorded)]
    assert stored[0].properties == {"role": "champion", "email": True}
    assert store.people("acme") == {"u1": {"email": "ada@acme.example"}}


TICKETS = """
things:
  ticket: {id: ticket_id, opened_by: OPENED, closed_by: ticket.closed}
measures:
  tickets: {open: ticket}
rules:
  - id: rr
    owner: us@ringfirst.example
    why: It is open.
    FOR
    send: {template: hello, to: champion, class: relationship, mode: auto}
"""
EACH, WHOLE = "for: each ticket\n    when: [ticket.open == true]", "when: [tickets > 0]"


def tickets(what: str, opened: str = "ticket.opened") -> Rulebook:
    return book_of(TICKETS.replace("FOR", what).replace("OPENED", opened))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(tickets(EACH), tickets(WHOLE), id="from each ticket to the account"),
        pytest.param(tickets(WHOLE), tickets(EACH), id="from the account to each ticket"),
        pytest.param(tickets(EACH), tickets(EACH, "ticket.raised"), id="what opens a ticket is another event"),
    ],
)
def test_a_rule_that_is_about_something_else_takes_its_open_mail_back(
    store: Store, before: Rulebook, after: Rulebook
) -> None:
    at = MONDAY + 12 * HOUR
    live(store, [champion(), event("t1", "ticket.opened", at, ticket_id="t1")], book=before)
    first = store.outreach()[0].outreach_id
    live(store, [event("x", "other", at + MINUTE)], book=after)
    live(store, [event("t2", "ticket.closed", at + 2 * MINUTE, ticket_id="t1")], book=after)
    states = {mail.outreach_id: mail.state for mail in store.outreach()}
    assert states[first] == "withdrawn"
    assert "queued" not in states.values()
    assert replay.verify(store)["different"] == 0


def test_a_forgotten_person_does_not_come_back_by_name_or_by_traits(store: Store) -> None:
    roles = TICKETS.replace("FOR", WHOLE).replace("OPENED", "ticket.opened, people: {signer: signer}")
    live(store, [champion()], book=book_of(roles))
    claims = store.claim([0, 1], "forget", at=WALL)
    (claim,) = [one for one in claims if _has(store, one.lane, "acme")]
    store.forget_person(claim, "acme", "u1", properties=["signer"], at=WALL)
    store.release(claims)
    again = event("again", "user.updated", MONDAY + DAY, "acme", "u1", role="champion", email="ada@acme.example")
    signed = event("signed", "ticket.opened", MONDAY + DAY, "acme", "u2", ticket_id="t1", signer="u1")
    live(store, [again, signed], book=book_of(roles))
    stored = [entry.event for entry in store.account_entries("acme") if isinstance(entry, Recorded)]
    assert all("u1" not in (row.user_id, *row.properties.values()) for row in stored)
    assert stored[1].properties == {}
    assert store.people("acme") == {}


def test_a_zero_time_is_no_event_and_hangs_nothing() -> None:
    raw = b'{"id":"e","type":"t","account_id":"a","time":"0001-01-01T00:00:00Z"}'
    found = decode(raw, wall=WALL)
    assert isinstance(found, BadEvent)
    assert found.reason.startswith("time: before 1970")
    assert zone("Europe/Berlin").day(parse_instant("0001-01-02T00:00:00Z") or 0) < 0


def test_questions_read_the_totals_that_the_rules_read(store: Store) -> None:
    load = BOOK.replace("measures:\n", "measures:\n  all_open: {portfolio: tickets}\n")
    opened = [event(f"t{at}", "ticket.opened", MONDAY + at * MINUTE, f"a{at}", ticket_id="t") for at in range(3)]
    live(store, opened, [event("x", "other", MONDAY + 2 * DAY)], book=book_of(load))
    assert questions.account(store, book_of(load), "acme")["measures"]["all_open"] == 3
    assert questions.who(store, book_of(load), "all_open == 3")["count"] == 4
