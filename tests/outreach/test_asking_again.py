"""A mail that waits past its time is asked once more whether it is true: nobody is written to on facts of last week."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.asking_again import no_longer
from engine.events import Arrived, encode_properties
from engine.instants import DAY, HOUR, MINUTE, SECOND
from engine.keeper import Keeper
from engine.live import LiveKeeper
from engine.log import Event
from engine.program import Program
from engine.replay import verify
from engine.rulebook.book import load_rulebook
from engine.store import Stop
from engine.stores import open_store
from outreach.breaker import Guard
from outreach.channels.memory import MemoryChannel
from outreach.sender import send_due
from ringfirst.leaving import guard_of
from tests.outreach.given import DUE, NOON, SENDER, made_template

BOOK = """
things:
  ticket:
    id: ticket_id
    opened_by: ticket.opened
    closed_by: ticket.closed
measures:
  uses_7d: {count: feature.used, over: 7d}
  tickets: {open: ticket}
rules:
  - id: busy
    owner: us@ringfirst.example
    why: They use it a lot.
    when: [uses_7d >= 2]
    unless: [tickets > 0]
    max_age: 9d
    re_entry: every time
    send: {template: hello, to: champion, class: relationship, mode: auto}
  - id: ticket
    owner: us@ringfirst.example
    why: A ticket is open.
    for: each ticket
    when: [ticket.open_days >= 0]
    once_per: ticket.grade
    send: {template: hello, to: champion, class: relationship, mode: auto}
  - id: asked
    owner: us@ringfirst.example
    why: They asked.
    for: each survey.answered
    when: [event.score <= 6]
    unless: [tickets > 1]
    send: {template: hello, to: event.person, class: relationship, mode: auto}
  - id: kept
    owner: us@ringfirst.example
    why: Once said, it is said.
    when: [uses_7d >= 2]
    unless: [tickets > 0]
    withdraw: never
    re_entry: every time
    send: {template: hello, to: champion, class: relationship, mode: auto}
"""


def book_of(text=BOOK):
    found, wrong = load_rulebook(
        {"rules/a.yml": text, "templates/hello/template.yml": "for: customer\nclass: relationship\n"}, duties=False
    )
    assert found is not None, wrong
    return found


def event(name, kind, at, user=None, **properties: Any):
    return Arrived(Event(name, kind, "acme", user, at, properties), encode_properties(properties))


def champion(at):
    return event("who", "user.updated", at, "u1", role="champion", email="ada@acme.example")


def lived(store, book, arrived, until):
    """Let a server's owner take events in as they happen, and come to ``until``."""
    keeper = LiveKeeper(store, book, "test", at=until, take_over=True)
    for one in arrived:
        keeper.take_parts([[one]], at=one.event.time)
    while keeper.tick(until + 2 * SECOND, at=until)[1]:
        pass
    keeper.stop()


@pytest.fixture
def store():
    made = open_store("sqlite://")
    yield made
    made.close()


def sent(store, book, at, *, guarded=True):
    channel = MemoryChannel()
    templates = {"hello": made_template("Words.")}
    guard = guard_of(store, book, at) if guarded else None
    return send_due(
        store, templates, channel, sender=SENDER, at=at, by="test", policy=book.policy, live=True, guard=guard
    )


def one_rule(name):
    head, *rules = BOOK.split("  - id: ")
    return book_of(head + "".join(f"  - id: {rule}" for rule in rules if rule.startswith(name)))


BUSY = [champion(NOON), event("a", "feature.used", NOON + 1), event("b", "feature.used", NOON + 2)]


def waiting(store, book, more=(), until=DUE + HOUR):
    """A mail that was stopped when it was due, and what came after that."""
    store.stop(Stop("all", "", NOON, "ann", "x"))
    lived(store, book, BUSY, DUE)
    assert sent(store, book, DUE).held == 1
    lived(store, book, more, until)
    store.go(Stop("all", "", until, "ann", "y"))


def test_a_mail_whose_reason_went_while_it_waited_does_not_leave(store):
    book = one_rule("busy")
    waiting(store, book, [event("t", "ticket.opened", DUE + MINUTE, ticket_id="t1")])
    (row,) = store.outreach()
    assert row.state == "held", "the engine takes back until it is due, and then no more"
    report = sent(store, book, DUE + HOUR)
    assert (report.mails, report.withdrawn) == (0, 1)
    (row,) = store.outreach()
    assert (row.state, row.why) == ("withdrawn", "no longer true")


def test_what_was_taken_back_so_comes_again_when_it_is_true_again(store):
    book = one_rule("busy")
    waiting(store, book, [event("t", "ticket.opened", DUE + MINUTE, ticket_id="t1")])
    sent(store, book, DUE + HOUR)
    again = [
        event("c", "feature.used", DUE + 2 * HOUR),
        event("closed", "ticket.closed", DUE + 2 * HOUR + 1, ticket_id="t1"),
    ]
    lived(store, book, again, DUE + 3 * HOUR)
    assert sent(store, book, DUE + 3 * HOUR).mails == 1
    assert verify(store)["different"] == 0


def test_a_mail_that_is_still_true_leaves_however_long_it_waited(store):
    book = one_rule("busy")
    waiting(store, book, [event("x", "other", DUE + MINUTE)], until=DUE + DAY)
    assert sent(store, book, DUE + DAY).mails == 1


def test_a_mail_that_is_on_time_is_not_asked(store):
    book = one_rule("busy")
    lived(store, book, [*BUSY, event("t", "ticket.opened", NOON + 20 * MINUTE, ticket_id="t1")], NOON + 21 * MINUTE)
    (row,) = store.outreach()
    asked = []
    guard = Guard(still=lambda row, at: asked.append(row))
    made, at = {"hello": made_template("Words.")}, row.due_at + 5 * MINUTE
    send_due(store, made, MemoryChannel(), sender=SENDER, at=at, by="x", policy=book.policy, guard=guard)
    assert asked == []
    assert row.outreach_id in {one.outreach_id for one in store.outreach(states=["accepted", "withdrawn"])}


def test_a_rule_that_never_withdraws_is_not_asked(store):
    book = one_rule("kept")
    waiting(store, book, [event("t", "ticket.opened", DUE + MINUTE, ticket_id="t1")])
    assert sent(store, book, DUE + HOUR).mails == 1


def test_a_rule_that_was_removed_writes_no_more(store):
    waiting(store, one_rule("busy"))
    report = sent(store, one_rule("kept"), DUE + HOUR)
    assert report.reasons == {"the rule was removed": 1}


def test_an_import_beside_a_life_leaves_what_waits_for_a_reviewer(store):
    """History mails nobody, and takes no mail out of the hands of those who look at it."""
    reviewed = BOOK.replace("class: relationship, mode: auto", "class: relationship, mode: review")
    book = book_of(reviewed)
    lived(store, book, BUSY, DUE + HOUR)
    assert {row.state for row in store.outreach()} == {"in_review"}
    seen = {row.outreach_id for row in store.outreach()}
    older = [event(f"birch{number}", "feature.used", DUE + DAY + number) for number in range(2)]
    keeper = Keeper(store, book, "import", at=DUE + 3 * DAY)
    keeper.take([_of("birch", one) for one in (champion(NOON - DAY), *older)], at=DUE + 3 * DAY)
    keeper.take([_of("birch", event("last", "other", DUE + 3 * DAY))], at=DUE + 3 * DAY)
    keeper.finish(at=DUE + 3 * DAY)
    keeper.stop()
    states = {row.outreach_id: row.state for row in store.outreach()}
    assert {states.pop(name) for name in seen} == {"in_review"}
    assert set(states.values()) == {"past"}, "what the import decided about the past"
    assert verify(store)["different"] == verify(store)["missing"] == 0


def _of(account, one):
    return msgspec.structs.replace(one, event=msgspec.structs.replace(one.event, account_id=account))


EVENING = NOON + 8 * HOUR
"""Out of hours: what is decided now is due tomorrow, so the engine can still take it back."""
STEPS = st.sampled_from(["use", "open 1", "open 2", "close 1", "close 2", "grade 1", "survey"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=1, max_size=9))
def test_it_takes_back_exactly_what_the_engine_would_take_back(steps):
    store, book = open_store("sqlite://"), book_of()
    program = Program(book)
    keeper = LiveKeeper(store, book, "test", at=EVENING)
    keeper.take_parts([[champion(EVENING), event("old", "feature.used", EVENING + 1)]], at=EVENING + 1)
    for number, step in enumerate(steps):
        at = EVENING + (number + 1) * MINUTE
        before = [one for one in store.decisions() if one.outcome == "planned"]
        what, _, which = step.partition(" ")
        kinds = {"use": "feature.used", "open": "ticket.opened", "close": "ticket.closed", "grade": "ticket.graded"}
        properties: dict[str, Any] = {"ticket_id": f"t{which}"} if which else {}
        if what == "survey":
            properties = {"score": 3}
        if what in {"open", "grade"}:
            properties["grade"] = "red" if what == "grade" else "low"
        kind, user = kinds.get(what, "survey.answered"), "u1" if what == "survey" else None
        keeper.take_parts([[event(f"e{number}", kind, at, user, **properties)]], at=at)
        now = {one.decision_id: one for one in store.decisions()}
        for one in before:
            taken = now[one.decision_id].outcome == "withdrawn" or now[one.decision_id].at != one.at
            assert (no_longer(store, program, one, at) is not None) is taken, (one.rule, step)
    keeper.stop()
    store.close()
