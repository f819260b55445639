"""What readers do comes to the rules: who stops mails, answers or has left, and the pause after an answer."""

import pytest

from engine.instants import HOUR, MINUTE
from engine.keeper import Keeper
from engine.rulebook.book import load_rulebook
from engine.stores import open_store
from outreach.channels.memory import MemoryChannel
from outreach.links import Token
from outreach.sender import send_due
from ringfirst.coming_back import take_mail
from ringfirst.unsubscribing import choose
from tests.outreach.given import ROOT, SENDER, starter_templates
from tests.outreach.test_incoming import OURS, mail
from tests.outreach.test_whole_way import START, arrived

OWNER = "us@ringfirst.example"
TEMPLATES = starter_templates()
RULES = """
things:
  orientation:
    id: meeting_id
    where: {kind: orientation}
    opened_by: [meeting.scheduled, meeting.rescheduled]
    closed_by: [meeting.cancelled, meeting.held]
    people: {host: user_id}
    measures: {days_to_start: {days_to: starts_at}}
policy:
  staff: {domains: [ringfirst.example]}
  pause_after: {outreach.replied: 5d}
rules:
  - id: orientation-tomorrow
    title: An orientation is tomorrow
    kind: nervous_moment
    why: People who come with a question stay.
    owner: us@ringfirst.example
    for: each orientation
    when: [orientation.days_to_start <= 3, orientation.days_to_start >= 0]
    max_age: 3d
    send: {template: orientation-tomorrow, to: orientation.host, class: relationship, mode: auto}
  - id: stopped-mails
    title: Somebody stopped our mails
    kind: internal
    why: Who stops mails may be about to stop more than that.
    owner: us@ringfirst.example
    for: each outreach.unsubscribed
    when: [event.all == false]
    notify: {template: note, to: rule owner}
  - id: answered
    title: Somebody answered
    kind: internal
    why: An answer that waits is worse than no mail.
    owner: us@ringfirst.example
    for: each outreach.replied
    when: [event.by_reader == true]
    notify: {template: note, to: rule owner}
  - id: has-left
    title: The reader works there no more
    kind: internal
    why: Somebody must find out who follows.
    owner: us@ringfirst.example
    for: each outreach.auto_replied
    when: [event.left == true]
    notify: {template: note, to: rule owner}
"""


def book():
    made, findings = load_rulebook({"rules/a.yml": RULES, **templates()}, duties=False)
    assert made is not None, findings
    return made


def templates():
    note = "for: staff\nexample: {you: {id: us@ringfirst.example}}\n"
    path = "templates/orientation-tomorrow/template.yml"
    return {"templates/note/template.yml": note, path: (ROOT / path).read_text()}


@pytest.fixture
def store():
    made = open_store("sqlite://")
    yield made
    made.close()


def told(store, *, at, events=()):
    """The lanes take in what waits for them, and go on until then."""
    keeper = Keeper(store, book(), "worker", at=at, history=False)
    if events:
        keeper.take(events, at=at)
    keeper.finish(at=at)
    keeper.stop()


def left(store, *, at):
    channel = MemoryChannel()
    send_due(store, TEMPLATES, channel, sender=SENDER, at=at, by="t", policy=book().policy)
    return channel.mails


def decided(store):
    return [one.rule for one in store.decisions() if one.rule != "orientation-tomorrow"]


@pytest.fixture
def sent(store):
    """A mail that left."""
    told(store, at=START + 3 * HOUR, events=arrived()[:2])
    (row,) = store.outreach()
    assert len(left(store, at=row.due_at)) == 1
    told(store, at=row.due_at + MINUTE)
    (row,) = store.outreach()
    return row


def about(row, raw: bytes) -> bytes:
    return raw.replace(OURS.encode(), row.message_id.encode())


def test_who_stops_mails_is_told_to_whoever_looks_after_them(store, sent):
    token = Token(sent.outreach_id, sent.person, "moments")
    choose(store, token, {"moments": "out"}, by="page", at=sent.due_at + HOUR)
    choose(store, token, {"moments": "out"}, by="page", at=sent.due_at + 2 * HOUR)
    told(store, at=sent.due_at + 3 * HOUR)
    assert decided(store) == ["stopped-mails"]
    assert store.dead_letters() == []


def test_an_answer_and_one_of_somebody_who_has_left_are_told(store, sent):
    at = sent.due_at + HOUR
    take_mail(store, about(sent, mail("Re: hello", "Thanks", Date="")), at=at)
    for words in ("I have left the company", "Back on Monday"):
        take_mail(store, about(sent, mail("Automatic reply", words, Auto_Submitted="auto-replied")), at=at)
    take_mail(store, about(sent, mail("Re: hello", "I am Jo", From="jo@acme.example")), at=at)
    told(store, at=at + HOUR)
    assert sorted(decided(store)) == ["answered", "has-left"]
    assert store.dead_letters() == []


@pytest.mark.parametrize("answers", [True, False])
def test_after_an_answer_no_mail_goes_to_the_account_for_as_long_as_the_policy_says(store, sent, answers):
    at = sent.due_at + HOUR
    if answers:
        take_mail(store, about(sent, mail("Re: hello", "Thanks", Date="")), at=at)
    told(store, at=at + MINUTE, events=arrived()[2:3])
    (row,) = store.outreach(rule="orientation-tomorrow", states=["queued"])
    left(store, at=row.due_at)
    (row,) = store.outreach(outreach_id=row.outreach_id)
    assert row.state == ("held" if answers else "accepted")
    assert not answers or row.why == "pause after outreach.replied"
