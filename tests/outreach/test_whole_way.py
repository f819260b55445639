"""From events to mails in a folder: the engine decides and freezes, the sender writes from that alone."""

import msgspec

from engine.events import Arrived, decode
from engine.instants import DAY, HOUR, iso, parse_instant
from engine.keeper import Keeper
from engine.log import EngineEntry, Recorded
from engine.rulebook.book import Rulebook, load_rulebook
from outreach.channels.memory import MemoryChannel
from outreach.sender import send_due
from outreach.simulation import simulate
from tests.outreach.given import POLICY, ROOT, SENDER, part_of

RULES = """
things:
  ticket:
    id: ticket_id
    opened_by: [ticket.opened, ticket.reopened]
    answered_by: {event: ticket.replied, where: {by: agent}}
    closed_by: [ticket.solved, ticket.closed]
  orientation:
    id: meeting_id
    where: {kind: orientation}
    opened_by: [meeting.scheduled, meeting.rescheduled]
    closed_by: [meeting.cancelled, meeting.held]
    people: {host: user_id}
    measures: {days_to_start: {days_to: starts_at}}
measures:
  open_tickets: {open: ticket}
policy:
  timezone: Europe/Berlin
  staff: {domains: [ringfirst.example]}
rules:
  - id: orientation-tomorrow
    title: An orientation is tomorrow
    kind: nervous_moment
    why: People who come with a question stay.
    owner: lifecycle@ringfirst.example
    for: each orientation
    when: [orientation.days_to_start == 1]
    once_per: orientation.starts_at
    send: {template: orientation-tomorrow, to: orientation.host, class: relationship, mode: auto}
  - id: red-ticket-waits
    title: A red ticket waits
    kind: support_load
    why: A red ticket that waits for an hour turns into a phone call.
    owner: lifecycle@ringfirst.example
    for: each ticket
    when: ['ticket.grade == "red"', ticket.waiting_hours >= 1]
    once_per: ticket.waiting_since
    notify: {template: escalation-red, to: rule owner}
"""
START = parse_instant("2026-03-02T09:00:00Z") or 0
EVENTS = [
    ("user.updated", 0, {"email": "ada@acme.example", "name": "Ada Lindqvist"}),
    ("meeting.scheduled", 1, {"meeting_id": "m1", "kind": "orientation", "starts_at": "2026-03-05T09:00:00Z"}),
    ("meeting.scheduled", 2, {"meeting_id": "m2", "kind": "orientation", "starts_at": "2026-03-05T13:30:00Z"}),
    ("ticket.opened", 3, {"ticket_id": "t1", "grade": "red", "subject": "Exports fail"}),
    ("session.started", 120, {}),
]


def rulebook() -> Rulebook:
    files = {"rules/all.yml": RULES}
    files |= {
        f"templates/{path.parent.name}/template.yml": path.read_text() for path in ROOT.glob("templates/*/template.yml")
    }
    book, findings = load_rulebook(files, duties=False)
    assert book is not None, findings
    return book


def arrived() -> list[Arrived]:
    found = []
    for number, (kind, hours, properties) in enumerate(EVENTS):
        time = START + hours * HOUR
        wire = {"id": f"e{number}", "type": kind, "account_id": "acme", "user_id": "u1", "properties": properties}
        raw = msgspec.json.encode({**wire, "time": iso(time)})
        one = decode(raw, wall=START + 100 * DAY)
        assert isinstance(one, Arrived), one
        found.append(one)
    return found


def test_two_years_of_history_mail_nobody_and_can_be_rehearsed(store, templates):
    keeper = Keeper(store, rulebook(), "import", at=START)
    keeper.take(arrived(), at=START)
    keeper.finish(at=START)
    keeper.stop()
    assert {row.state for row in store.outreach()} == {"past"}
    assert send_due(store, templates, MemoryChannel(), sender=SENDER, at=START + 9 * DAY, by="t").mails == 0
    channel = MemoryChannel()
    rows = store.outreach()
    report = simulate(rows, templates, channel, sender=SENDER, people=store.people, policy=POLICY)
    assert (report.mails, report.rows, report.reasons) == (2, 3, {})
    staff, customer = (part_of(mail.raw) for mail in channel.mails)
    assert "t1: Exports fail" in staff
    assert "waiting for 1 hour" in staff
    assert "Hello Ada," in customer
    assert "Thursday, 5 March 2026, 10:00 CET" in customer
    assert "Thursday, 5 March 2026, 14:30 CET" in customer


def test_a_mail_that_expired_gives_its_occasion_back_through_the_log(store, templates):
    keeper = Keeper(store, rulebook(), "worker", at=START, history=False)
    keeper.take(arrived(), at=START)
    keeper.stop()
    assert {row.state for row in store.outreach()} == {"queued"}
    late = START + 30 * DAY
    report = send_due(store, templates, MemoryChannel(), sender=SENDER, at=late, by="t", policy=POLICY)
    assert (report.mails, report.expired) == (0, 3)
    keeper = Keeper(store, rulebook(), "worker", at=late, history=False)
    keeper.finish(at=late)
    keeper.stop()
    kinds = [
        entry.kind for lane in range(store.lanes) for entry in store.entries(lane) if isinstance(entry, EngineEntry)
    ]
    assert kinds.count("outreach.expired") == 3
    assert store.dead_letters() == []


def test_what_was_sent_comes_back_as_events(store, templates):
    keeper = Keeper(store, rulebook(), "worker", at=START, history=False)
    keeper.take(arrived(), at=START)
    keeper.stop()
    for row in store.outreach():
        send_due(store, templates, MemoryChannel(), sender=SENDER, at=row.due_at, by="t", policy=POLICY)
    keeper = Keeper(store, rulebook(), "worker", at=START + 9 * DAY, history=False)
    keeper.finish(at=START + 9 * DAY)
    keeper.stop()
    types = [entry.event.type for entry in store.account_entries("acme") if isinstance(entry, Recorded)]
    assert types.count("outreach.sent") == 3
    assert store.dead_letters() == []
