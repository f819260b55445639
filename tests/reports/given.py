"""Customers with a few months of history, and a rulebook whose report is sent."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from engine.events import Arrived, encode_properties
from engine.instants import Instant, parse_instant
from engine.keeper import Keeper
from engine.log import Event
from engine.reports.issuing import Issued, Issuer, clock_of, walk
from engine.reports.periods import read_period
from engine.rulebook.book import Rulebook, load_rulebook
from engine.store import Store

BOOK = """
things: {ticket: {id: ticket_id, opened_by: ticket.opened, closed_by: ticket.solved}}
measures:
  hours: {sum: minutes, of: automation.run, times: 1/60}
  open_tickets: {open: ticket}
segments: {paying: {when: 'plan == "pro"', owner: bo@ours.example}}
values:
  hours: {measure: hours, label: Hours saved, unit: hour, worth: {rate: 45, currency: EUR, per: hour}}
reports:
  - id: monthly
    title: What you got
    audience: paying
    period: previous month
    values: [hours]
    price: mrr
    send_if: value_total > 20
    unless: [open_tickets > 0, value.hours > 100]
    review_if: value_to_price < 1
    schedule: {every: month, on_day: 2, at: "09:00"}
    to: [champion, billing or champion]
    mode: auto
policy:
  timezone: Europe/Berlin
  staff: {domains: [ours.example]}
  hours: {from: "08:00", until: "18:00", days: mon-fri}
"""
MARCH = read_period("2026-03")
CLOSED = "2026-03-31T22:00:00Z"
"""When March is over in Berlin; a day later it is closed."""


def instant(text: str) -> Instant:
    """An instant that is surely one."""
    found = parse_instant(text)
    assert found is not None
    return found


WALL = instant("2026-06-01T00:00:00Z")


@cache
def book_of(text: str = BOOK) -> Rulebook:
    """A rulebook without faults."""
    book, findings = load_rulebook({"rules/a.yml": text})
    assert book is not None, findings
    return book


def event(name: str, /, kind: str, time: str, account: str = "acme", user: str | None = None, **more: Any) -> Arrived:
    """One event that arrived."""
    return Arrived(Event(name, kind, account, user, instant(time), more), encode_properties(more))


def customer(account: str = "acme", *, plan: str = "pro", **traits: Any) -> list[Arrived]:
    """A customer since before Christmas, with a champion and somebody who pays."""
    since = "2025-12-20T09:00:00Z"
    return [
        event("a", "account.updated", since, account, **{"plan": plan, "mrr": 100, "currency": "EUR", **traits}),
        event("u", "user.updated", since, account, "u1", role="champion", email=f"ann@{account}.example"),
        event("v", "user.updated", since, account, "u2", role="billing", email=f"bill@{account}.example"),
    ]


def run(name: str, time: str, minutes: float = 60, account: str = "acme") -> Arrived:
    """Minutes that somebody saved."""
    return event(name, "automation.run", time, account, "u1", minutes=minutes)


def take(
    store: Store, events: Iterable[Arrived], *, until: str, book: Rulebook | None = None, history: bool = False
) -> None:
    """Take events in as they happen, and what lies in the inbox, and let all clocks come to ``until``."""
    keeper = Keeper(store, book or book_of(), "test", at=WALL, history=history)
    for one in sorted(events, key=lambda one: one.event.time):
        keeper.take([one], at=WALL)
    keeper.take([event(f"tick {until}", "tick", until, "clock")], at=WALL)
    keeper.finish(at=WALL)
    keeper.stop()


def issue(store: Store, book: Rulebook | None = None, *, put: bool = True, past: bool = False) -> list[Issued]:
    """Issue March for everybody, as far as it can be."""
    book = book or book_of()
    issuer, clock = Issuer(store, book), clock_of(store)
    assert clock is not None
    made = list(walk(issuer, book.reports[0], MARCH, store.accounts(), clock=clock, past=past))
    if put:
        issuer.put(made, at=WALL)
    return [one for one in made if one.account_id != "clock"]


def mails(store: Store) -> list[tuple[str, str, str]]:
    """The mails there are: rule, reader and state."""
    return sorted((row.rule, row.to, row.state) for row in store.outreach())
