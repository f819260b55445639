"""Parts of the portfolio kept from step to step: the same totals as reading every account anew, at every step."""

from fractions import Fraction
from random import Random
from typing import Any

import pytest

from engine import portfolio
from engine.columns.lane import ColumnLane
from engine.instants import DAY, HOUR, MINUTE, Instant
from engine.lane import Lane
from engine.log import EngineEntry, Event, Recorded
from engine.parts import Parts, exact_of
from engine.program import Program
from engine.rulebook.book import load_rulebook

START = 1_774_656_000_000  # 2026-03-28T00:00:00Z, the day before the clocks change in Berlin
ZONES = ("Europe/Berlin", "Asia/Kathmandu", "America/New_York")
TAKES = ("sum", "average", "median", "minimum", "maximum")
TYPES = ("used", "ticket.opened", "ticket.opened", "ticket.closed", "account.updated")
TICKET = "things:\n  ticket: {id: ticket_id, opened_by: ticket.opened, closed_by: ticket.closed}\n"
QUESTION = """
  question:
    id: question
    in: portfolio
    opened_by: ticket.opened
    measures: {asked: {%s}}
"""
RULES = """
segments: {pro: {when: 'waits < 30'}}
rules:
  - id: load
    for: portfolio
    when: [all_there == 0]
    notify: {template: n, to: rule owner}
    owner: o@ringfirst.example
"""
TOLD = {
    "days": "count: used, over: 2d",
    "days before": "count: used, over: 2d, ending: 4d ago",
    "full days": "sum: amount, of: used, over: 3d, full: true",
    "hours": "sum: amount, of: used, over: 5h",
    "hours before": "count: used, over: 3h, ending: 2h ago",
    "different people": "unique: user_id, of: used, over: 3d",
    "calendar": "count: used, over: this week, per: day",
    "all time": "sum: amount, of: used",
    "opened in hours": "opened: ticket, over: 26h",
    "closed in days": "closed: ticket, over: 2d",
    "time to solve": "average: solve_hours, of: ticket, over: 3d",
    "open": "open: ticket",
}
UNTOLD = {
    "open with a test": "open: ticket, where: {grade: red}",
    "open by its age": "open: ticket, where: {open_hours: {at_least: 30}}",
    "ages": "maximum: open_days, of: ticket",
    "an attribute": "attribute: level, as: number",
    "in a segment": "count: used, over: 2d",
}
THINGS = {
    "things by days": "count: ticket.opened, over: 5d, ending: 1d ago, per: day",
    "things by the calendar": "sum: amount, of: ticket.opened, over: this week",
}


def program_of(name: str) -> Program:
    """A rulebook whose portfolio has this measure alone: what one measure makes read anew hides no fault of another."""
    of = (TOLD | UNTOLD).get(name, "count: never, over: 2d")
    asked = TICKET + (QUESTION % THINGS[name] if name in THINGS else "")
    segment = ", segment: pro" if name == "in a segment" else ""
    whole = "".join(f"  {take}: {{portfolio: one, take: {take}{segment}}}\n" for take in TAKES)
    measures = f"measures:\n  waits: {{average: open_hours, of: ticket}}\n  one: {{{of}}}\n{whole}"
    text = asked + measures + RULES.replace("all_there", "average")
    book, findings = load_rulebook({"rules/a.yml": text, "templates/n/template.yml": "for: staff\n"}, duties=False)
    assert book is not None, [str(finding) for finding in findings]
    return Program(book)


class Walk:
    """A lane that takes made-up events, and steps at which its share is asked for."""

    def __init__(self, program: Program, kind: type[Lane], seed: int) -> None:
        self.program = program
        self.chance = Random(seed)
        self.stored: list[Recorded] = []
        self.lane = kind(lambda _mark: program, self._history)
        self.lane.take(EngineEntry(1, START, "rulebook.activated", None, {"fingerprint": ""}))

    def _history(self, account: str, position: int) -> list[Recorded]:
        return [one for one in self.stored if one.account_id == account and one.position <= position]

    def event(self, at: Instant) -> None:
        """One event, sometimes a late one."""
        chance = self.chance
        kind = chance.choice(TYPES)
        properties: dict[str, Any] = {"ticket_id": f"t{chance.randrange(4)}", "question": f"q{chance.randrange(3)}"}
        if kind == "account.updated":
            properties = {chance.choice(("timezone", "plan", "level")): chance.choice((*ZONES, "pro", "7"))}
        elif kind != "ticket.closed":
            properties |= {"amount": chance.randrange(5), "grade": chance.choice(("red", "green"))}
        late = chance.choice((0, 0, 0, HOUR, 2 * DAY))
        event = Event(
            f"e{len(self.stored)}", kind, f"a{chance.randrange(4)}", f"u{chance.randrange(3)}", at - late, properties
        )
        self.stored.append(Recorded(len(self.stored) + 2, at, event))
        self.lane.take(self.stored[-1])

    def shares(self, at: Instant) -> tuple[dict[str, Any], dict[str, Any]]:
        """The lane's share from what it kept, and from all accounts read anew."""
        self.lane.advance(at)
        anew = Parts().share(self.lane.accounts.values(), self.program, at)
        return portfolio.share(self.program, self.lane, at), anew

    def totals(self, at: Instant) -> None:
        """The step's totals enter the log, as they do at midnight."""
        body = portfolio.total(self.program, [portfolio.share(self.program, self.lane, at)], at)
        self.lane.take(EngineEntry(10**6, at, "portfolio.measured", None, {**body, "decides": False, "daily": True}))


@pytest.mark.parametrize("kind", [Lane, ColumnLane])
@pytest.mark.parametrize("name", [*TOLD, *UNTOLD, *THINGS])
def test_kept_parts_come_to_what_reading_everything_anew_comes_to(kind: type[Lane], name: str) -> None:
    program = program_of(name)
    assert program.tells_parts is (name not in UNTOLD)
    for seed in range(2):
        walk = Walk(program, kind, seed)
        for hour in range(1, 14 * 24):
            if hour < 4 * 24 and walk.chance.random() < 0.3:
                walk.event(START + hour * HOUR - 7 * MINUTE)
            kept, anew = walk.shares(START + hour * HOUR)
            assert kept == anew, (seed, hour)
            if hour % 24 == 0:
                walk.totals(START + hour * HOUR)


def test_only_accounts_in_which_something_may_have_changed_are_read() -> None:
    program = program_of("days")
    walk = Walk(program, ColumnLane, 1)
    for minute in range(40):
        walk.event(START + minute * MINUTE)
    walk.shares(START + HOUR)
    walk.event(START + HOUR + MINUTE)
    before = dict(walk.lane.parts.by_account)
    walk.shares(START + HOUR + 2 * MINUTE)
    after = walk.lane.parts.by_account
    assert len(before) > 1
    assert [name for name in after if after[name] is not before[name]] == [walk.stored[-1].account_id]


def test_exact_numbers_are_read_as_they_were_written() -> None:
    assert [exact_of(str(one)) for one in (0, -7, Fraction(-5, 7))] == [0, -7, Fraction(-5, 7)]
