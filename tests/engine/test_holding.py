"""A silent stream is not read as silent customers: mails that could rest on its silence wait until it is well."""

from collections.abc import Sequence
from typing import Any

import pytest

from engine.columns.lane import ColumnLane
from engine.decision import Decision, Ended, Fact, Held, Released
from engine.instants import DAY, HOUR, MINUTE, Instant
from engine.lane import Lane
from engine.log import EngineEntry, Event, Recorded
from engine.program import Program
from engine.rulebook.book import load_rulebook
from engine.snapshot import freeze, thaw

MONDAY = 1_772_409_600_000  # 2026-03-02T00:00:00Z
SOURCES = """
  sources:
    product: {events: [feature.used, session.started]}
    support: {events: ["ticket.*"]}
"""
BOOK = """
things:
  ticket: {id: ticket_id, opened_by: ticket.opened, closed_by: ticket.solved}
measures:
  uses_7d: {count: feature.used, over: 7d}
  open_tickets: {open: ticket}
rules:
  - id: quiet
    owner: lifecycle@ringfirst.example
    when: [uses_7d == 0]
    %(rule)s
    send: {template: quiet, to: champion, class: relationship, mode: %(mode)s}
  - id: busy
    owner: lifecycle@ringfirst.example
    when: [uses_7d >= 3]
    send: {template: quiet, to: champion, class: relationship, mode: auto}
  - id: both
    owner: lifecycle@ringfirst.example
    when: [uses_7d == 0, open_tickets > 0]
    notify: {template: ours, to: rule owner}
policy:
  staff: {domains: [ringfirst.example]}
  hold_for: %(hold_for)s
"""
TEMPLATES = {"templates/quiet/template.yml": "for: customer", "templates/ours/template.yml": "for: staff"}


class Walk:
    """One lane on its way through a log that a test tells."""

    def __init__(
        self, kind: type[Lane], *, rule: str = "priority: 1", mode: str = "auto", hold_for: str = "3d"
    ) -> None:
        self.programs: dict[str, Program] = {}
        self.events: list[Recorded] = []
        self.position = 0
        self.told = {"rule": rule, "mode": mode, "hold_for": hold_for}
        self.lane = kind(self.programs.__getitem__, self._history)
        self.activate(MONDAY)

    def _history(self, account: str, position: int) -> list[Recorded]:
        return [one for one in self.events if one.account_id == account and one.position <= position]

    def activate(self, at: Instant, text: str = BOOK + SOURCES, **told: str) -> list[Fact]:
        self.told |= told
        book, findings = load_rulebook({"rules/all.yml": text % self.told, **TEMPLATES}, duties=False)
        assert book is not None, findings
        self.programs[book.fingerprint] = Program(book)
        return self.entry("rulebook.activated", at, {"fingerprint": book.fingerprint})

    def entry(self, kind: str, at: Instant, body: dict[str, Any]) -> list[Fact]:
        self.position += 1
        return list(self.lane.take(EngineEntry(self.position, at, kind, None, body)))

    def late(self, at: Instant, source: str = "product") -> list[Fact]:
        return self.entry("source.late", at, {"source": source, "why": "few", "since": at})

    def well(self, at: Instant, source: str = "product") -> list[Fact]:
        return self.entry("source.well", at, {"source": source})

    def event(
        self, kind: str, at: Instant, *, time: Instant | None = None, user: str = "u1", **more: Any
    ) -> list[Fact]:
        self.position += 1
        event = Event(f"e{self.position}", kind, "acme", user, time or at, more)
        self.events.append(Recorded(self.position, at, event))
        return list(self.lane.take(self.events[-1]))

    def again(self) -> None:
        """The process starts again from its snapshots."""
        old, new = self.lane, type(self.lane)(self.programs.__getitem__, self._history)
        restored = [thaw(one.id, one.position, one.program, freeze(one)) for one in old.accounts.values()]
        new.clock = old.clock
        new.resume([one for one in restored if one is not None])
        new.settle()
        self.lane = new

    def until(self, at: Instant) -> list[Fact]:
        return list(self.lane.advance(at))


@pytest.fixture(params=[pytest.param(Lane, id="plain"), pytest.param(ColumnLane, id="columns")])
def kind(request: pytest.FixtureRequest) -> type[Lane]:
    found: type[Lane] = request.param
    return found


def quiet_soon(walk: Walk) -> Instant:
    """An account that used the product on Monday and not since: it is quiet from the next Monday's midnight on."""
    walk.event("feature.used", MONDAY + HOUR)
    walk.event("user.updated", MONDAY + 2 * HOUR, role="champion")
    return MONDAY + 7 * DAY


def only(facts: Sequence[Fact], kind: type[Any]) -> Any:
    found = [fact for fact in facts if isinstance(fact, kind)]
    assert len(found) == 1, facts
    return found[0]


def test_a_decision_that_rests_on_a_late_source_is_born_held(kind: type[Lane]) -> None:
    walk = Walk(kind)
    midnight = quiet_soon(walk)
    assert walk.late(midnight - HOUR) == []
    decision = only(walk.until(midnight), Decision)
    mail = decision.mails[0]
    assert (decision.rule, decision.outcome) == ("quiet", "planned")
    assert (mail.held, mail.held_until) == ("source product is late", midnight + 3 * DAY)
    assert mail.due_at == midnight + 8 * HOUR, "when it would have left"


def test_a_decision_that_missing_events_only_keep_silent_is_not_held(kind: type[Lane]) -> None:
    walk = Walk(kind)
    quiet_soon(walk)
    walk.late(MONDAY + 3 * HOUR)
    walk.event("feature.used", MONDAY + 4 * HOUR)
    decision = only(walk.event("feature.used", MONDAY + 5 * HOUR), Decision)
    assert (decision.rule, decision.mails[0].held) == ("busy", None)


def test_a_decision_of_another_source_is_not_held(kind: type[Lane]) -> None:
    walk = Walk(kind)
    midnight = quiet_soon(walk)
    walk.late(midnight - HOUR, "support")
    assert only(walk.until(midnight), Decision).mails[0].held is None


@pytest.mark.parametrize("restart", [False, True])
def test_an_open_mail_is_held_and_released_with_a_new_time(kind: type[Lane], *, restart: bool) -> None:
    walk = Walk(kind, mode="review")
    midnight = quiet_soon(walk)
    decision = only(walk.until(midnight), Decision)
    held = only(walk.late(midnight + HOUR), Held)
    name = decision.mails[0].outreach_id
    assert (held.outreach_id, held.why) == (name, "source product is late")
    assert held.until == midnight + HOUR + 3 * DAY
    if restart:
        walk.again()
    assert walk.until(midnight + 30 * HOUR) == [], "it is past its time and has not left"
    released = only(walk.well(midnight + 30 * HOUR), Released)
    assert (released.mail.outreach_id, released.mail.mode) == (name, "review")
    assert released.mail.due_at == midnight + 32 * HOUR, "08:00 the next day"
    assert released.mail.expires_at == midnight + 30 * HOUR + DAY, "its reason is of now"
    assert released.mail.held is None


@pytest.mark.parametrize("restart", [False, True])
def test_what_is_no_longer_true_is_taken_back_while_it_is_held(kind: type[Lane], *, restart: bool) -> None:
    walk = Walk(kind)
    midnight = quiet_soon(walk)
    walk.late(midnight - HOUR)
    walk.until(midnight + 40 * HOUR)
    if restart:
        walk.again()
    facts = walk.event("feature.used", midnight + 40 * HOUR, time=midnight - 5 * HOUR)
    assert only(facts, Ended).why == "no longer true"
    assert only(facts, Decision).outcome == "withdrawn"
    assert walk.well(midnight + 41 * HOUR) == []


def test_events_that_come_after_the_release_still_take_it_back(kind: type[Lane]) -> None:
    walk = Walk(kind)
    midnight = quiet_soon(walk)
    walk.late(midnight - HOUR)
    walk.until(midnight)
    released = only(walk.well(midnight + 33 * HOUR), Released)
    assert released.mail.due_at == midnight + 33 * HOUR + 15 * MINUTE
    facts = walk.event("feature.used", midnight + 33 * HOUR + MINUTE, time=midnight - 5 * HOUR)
    assert only(facts, Ended).outreach_id == released.mail.outreach_id


def test_a_rule_that_never_withdraws_is_asked_again_all_the_same(kind: type[Lane]) -> None:
    walk = Walk(kind, rule="withdraw: never")
    midnight = quiet_soon(walk)
    walk.late(midnight - HOUR)
    walk.until(midnight)
    assert walk.event("feature.used", midnight + HOUR) == []
    facts = walk.well(midnight + 2 * HOUR)
    assert (only(facts, Ended).state, only(facts, Decision).outcome) == ("withdrawn", "withdrawn")


@pytest.mark.parametrize("restart", [False, True])
def test_a_mail_held_too_long_expires_and_gives_its_occasion_back(kind: type[Lane], *, restart: bool) -> None:
    walk = Walk(kind, hold_for="6h")
    midnight = quiet_soon(walk)
    walk.late(midnight - HOUR)
    walk.until(midnight)
    if restart:
        walk.again()
    ended = only(walk.until(midnight + 6 * HOUR), Ended)
    assert (ended.state, ended.at) == ("expired", midnight + 6 * HOUR)
    assert ended.why == "source product is late; held longer than hold_for"
    walk.event("feature.used", midnight + 7 * HOUR)
    again = [fact for fact in walk.until(midnight + 9 * DAY) if isinstance(fact, Decision) and fact.rule == "quiet"]
    assert again[0].outcome == "planned", "re_entry is never, and yet it is decided again"


def test_a_mail_that_waits_for_two_sources_waits_for_both(kind: type[Lane]) -> None:
    # Tickets that were never heard to be solved stay open: this rule owes to both.
    walk = Walk(kind)
    midnight = quiet_soon(walk)
    walk.event("ticket.opened", midnight - 2 * HOUR, user="u2", ticket_id="t1")
    walk.late(midnight - HOUR, "support")
    born = [one for one in walk.until(midnight) if isinstance(one, Decision) and one.rule == "both"]
    assert born[0].mails[0].held == "source support is late"
    held = [one for one in walk.late(midnight + HOUR) if one.decision_id == born[0].decision_id]
    assert only(held, Held).why == "sources product, support are late"
    assert only(held, Held).until == midnight + 3 * DAY, "the hold does not begin anew"
    held = [one for one in walk.well(midnight + 2 * HOUR, "support") if one.decision_id == born[0].decision_id]
    assert only(held, Held).why == "source product is late"
    facts = [one for one in walk.well(midnight + 3 * HOUR) if one.decision_id == born[0].decision_id]
    assert only(facts, Released).mail.due_at == midnight + 3 * HOUR + 15 * MINUTE, "also what is due at once settles"


def test_a_mail_that_left_is_not_held(kind: type[Lane]) -> None:
    walk = Walk(kind)
    midnight = quiet_soon(walk)
    walk.until(midnight)
    assert walk.late(midnight + 8 * HOUR) == []


def test_a_source_that_the_rulebook_names_no_more_is_well(kind: type[Lane]) -> None:
    walk = Walk(kind)
    midnight = quiet_soon(walk)
    walk.late(midnight - HOUR)
    walk.until(midnight)
    assert only(walk.activate(midnight + HOUR, BOOK), Released).at == midnight + HOUR
    assert walk.lane.late == ()


def test_a_rule_that_is_edited_goes_on_waiting(kind: type[Lane]) -> None:
    walk = Walk(kind)
    midnight = quiet_soon(walk)
    walk.late(midnight - HOUR)
    walk.until(midnight)
    assert walk.activate(midnight + HOUR, mode="review") == []
    assert only(walk.well(midnight + 2 * HOUR), Released).at == midnight + 2 * HOUR


def test_the_portfolio_waits_for_its_next_instant() -> None:
    book = """
measures: {uses: {count: feature.used, over: 1d}, all_uses: {portfolio: uses}}
rules:
  - id: nobody
    for: portfolio
    when: [all_uses == 0]
    re_entry: every time
    owner: lifecycle@ringfirst.example
    notify: {template: ours, to: rule owner}
policy: {staff: {domains: [ringfirst.example]}, sources: {product: {events: feature.used}}, hold_for: 9h}
"""
    walk = Walk(Lane)
    walk.activate(MONDAY + 1, book.replace("%", "%%"))

    def measured(at: Instant, uses: int) -> list[Fact]:
        body = {"at": at, "accounts": {"all_uses": uses}, "things": {}, "decides": True, "daily": False}
        return walk.entry("portfolio.measured", at, body)

    walk.late(MONDAY + HOUR)
    assert only(measured(MONDAY + 2 * HOUR, 0), Decision).mails[0].held == "source product is late"
    assert walk.well(MONDAY + 2 * HOUR + 1) == []
    assert only(measured(MONDAY + 3 * HOUR, 0), Released).mail.due_at == MONDAY + 3 * HOUR + 15 * MINUTE
    measured(MONDAY + 4 * HOUR, 1)
    walk.late(MONDAY + 5 * HOUR)
    only(measured(MONDAY + 6 * HOUR, 0), Decision)
    assert only(walk.until(MONDAY + 16 * HOUR), Ended).at == MONDAY + 15 * HOUR


def test_a_decision_about_an_event_is_asked_again_whole(kind: type[Lane]) -> None:
    book = """
measures: {uses: {count: feature.used, over: 7d}}
rules:
  - id: detractor
    for: each survey.answered
    when: [event.score <= 6, uses == 0]
    owner: lifecycle@ringfirst.example
    send: {template: quiet, to: event.person, class: relationship, mode: auto}
policy: {sources: {product: {events: feature.used}}}
"""
    walk = Walk(kind)
    walk.activate(MONDAY + 1, book.replace("%", "%%"))
    walk.event("user.updated", MONDAY + HOUR, role="champion")
    walk.late(MONDAY + 2 * HOUR)
    first = only(walk.event("survey.answered", MONDAY + 9 * HOUR, score=3), Decision)
    assert first.mails[0].held == "source product is late"
    released = only(walk.well(MONDAY + 10 * HOUR), Released)
    assert released.mail.expires_at == MONDAY + 9 * HOUR + DAY, "an event is as old as it is"
    walk.late(MONDAY + 11 * HOUR)
    only(walk.event("survey.answered", MONDAY + 12 * HOUR, score=3), Decision)
    assert walk.event("feature.used", MONDAY + 13 * HOUR, time=MONDAY + HOUR) == []
    assert only(walk.well(MONDAY + 14 * HOUR), Ended).state == "withdrawn"
    walk.late(MONDAY + 8 * DAY)
    only(walk.event("survey.answered", MONDAY + 9 * DAY, score=3), Decision)
    ended = only(walk.well(MONDAY + 10 * DAY + HOUR), Ended)
    assert (ended.state, ended.why) == ("expired", "source product is late; its reason grew too old while it was held")
