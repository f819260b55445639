"""What a rule owes to silence, held to the engine: take events away, and only rules that owe it may come true."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.account import Account
from engine.lane import Lane
from engine.log import Recorded
from engine.program import Program, RuleProgram
from engine.rulebook.absence import overlap, owed
from engine.rulebook.book import Rulebook, load_rulebook
from engine.rulebook.spec import Types
from tests.judge import product
from tests.judge.test_engine import scenes

HEAD = """
attributes: {account: {plan: text, seats: number, renewal: date}}
things:
  ticket:
    {id: ticket_id, opened_by: ticket.opened, closed_by: ticket.closed, answered_by: ticket.replied}
measures:
  uses: {count: feature.used, over: 7d}
  uses_before: {count: feature.used, over: 7d, ending: 7d ago}
  quiet: {days_since: feature.used}
  minutes: {sum: minutes, of: feature.used, over: 7d}
  mean: {average: minutes, of: feature.used, over: 7d}
  people: {unique: user_id, of: session.started, over: 7d}
  any: {days_since: any}
  tickets: {open: ticket}
  opened: {opened: ticket, over: 7d}
  red: {open: ticket, where: {grade: red}}
  paid: {attribute: plan}
  to_renewal: {days_to: renewal}
  less: {count: feature.used, over: 7d, times: -1}
  all_uses: {portfolio: uses}
  mean_uses: {portfolio: uses, take: average}
segments: {silent: {when: [uses < 3]}}
scores:
  health:
    parts: {use: {value: uses, from: 0, to: 10, weight: 1}, calm: {value: tickets, from: 5, to: 0, weight: 1}}
rules:
"""


def rule(words: str) -> tuple[Rulebook, Any]:
    text = HEAD + f"- {{id: r, {words}, notify: {{template: n, to: rule owner}}, owner: o@ringfirst.example}}\n"
    book, findings = load_rulebook({"rules/a.yml": text, "templates/n/template.yml": "for: staff\n"}, duties=False)
    assert book is not None, [str(one) for one in findings]
    return book, book.rules[0]


USES, TICKETS = Types(("feature.used",)), Types(beginnings=("ticket.",))


@pytest.mark.parametrize(
    ("words", "missing", "found"),
    [
        ("when: [uses == 0]", USES, ["uses == 0"]),
        ("when: [uses < 3]", USES, ["uses < 3"]),
        ("when: [uses >= 3]", USES, []),
        ("when: [uses < 3]", TICKETS, []),
        ("when: [less > -3]", USES, ["less > -3"]),
        ("when: [less < -3]", USES, []),
        ("when: [3 > uses]", USES, ["3 > uses"]),
        ("when: [not (uses >= 3)]", USES, ["not (uses >= 3)"]),
        ("when: [uses < uses_before]", USES, ["uses < uses_before"]),
        ("when: [uses * 2 >= 6, uses / 2 >= 3, -uses <= -3, 10 - uses <= 7]", USES, []),
        ("when: [10 - uses > 7]", USES, ["10 - uses > 7"]),
        ("when: [uses > 3 or quiet > 4]", USES, ["uses > 3 or quiet > 4"]),
        ("when: [quiet >= 5]", USES, ["quiet >= 5"]),
        ("when: [quiet < 5]", USES, []),
        ("when: [any >= 5]", USES, ["any >= 5"]),
        ("when: [any >= 5]", TICKETS, ["any >= 5"]),
        ("when: [people <= 1]", USES, []),
        ("when: [people <= 1]", Types(beginnings=("",)), ["people <= 1"]),
        ("when: [minutes >= 3]", USES, ["minutes >= 3"]),
        ("when: [mean >= 3]", USES, ["mean >= 3"]),
        ("when: [tickets > 0]", Types(("ticket.opened",)), []),
        ("when: [tickets > 0]", Types(("ticket.closed",)), ["tickets > 0"]),
        ("when: [tickets == 0]", Types(("ticket.opened",)), ["tickets == 0"]),
        ("when: [opened >= 2]", TICKETS, []),
        ("when: [opened < 2]", TICKETS, ["opened < 2"]),
        ("when: [red > 0]", TICKETS, ["red > 0"]),
        ("when: [uses >= 3], unless: [tickets > 0]", TICKETS, ["unless tickets > 0"]),
        ("when: [uses >= 3], unless: [tickets == 0]", Types(("ticket.closed",)), ["unless tickets == 0"]),
        ("when: [uses >= 3], unless: [uses >= 9]", USES, ["unless uses >= 9"]),
        ("when: [paid == 1]", USES, []),
        ('when: [plan == "pro"]', USES, []),
        ('when: [plan == "pro"]', Types(("account.updated",)), ['plan == "pro"']),
        ("when: [0 <= to_renewal <= 3]", Types(("account.updated",)), ["0 <= to_renewal <= 3"]),
        ("when: [0 <= to_renewal <= 3]", USES, []),
        ("when: [health < 20]", USES, ["health < 20"]),
        ("when: [health > 80]", USES, []),
        ("when: [health > 80]", TICKETS, ["health > 80"]),
        ("when: [silent]", USES, ["silent"]),
        ("when: [not silent]", USES, []),
        ("audience: silent, when: [tickets > 0]", USES, ["audience silent"]),
        ("for: each ticket, when: [ticket.open_days > 3]", TICKETS, ["ticket.open_days > 3", "the ticket is open"]),
        ("for: each ticket, when: [ticket.open_days > 3]", USES, []),
        ("for: each ticket, when: [uses < 3]", USES, ["uses < 3"]),
        ('for: each feature.used, when: [event.feature == "x", uses < 3]', USES, ["uses < 3"]),
        ("for: portfolio, when: [all_uses < 9]", USES, ["all_uses < 9"]),
        ("for: portfolio, when: [all_uses > 9]", USES, []),
        ("for: portfolio, when: [mean_uses > 9]", USES, ["mean_uses > 9"]),
        ("when: [known(mean)]", USES, ["known(mean)"]),
        ("when: ['coalesce(mean, 0) > 3']", USES, ["coalesce(mean, 0) > 3"]),
    ],
)
def test_what_a_rule_owes_to_missing_events(words: str, missing: Types, found: list[str]) -> None:
    assert owed(*rule(words), missing) == found


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (Types(("a.b",)), Types(("a.b", "c")), True),
        (Types(("a.b",)), Types(("a.c",)), False),
        (Types(beginnings=("a.",)), Types(("a.c",)), True),
        (Types(beginnings=("a.",)), Types(beginnings=("a.b.",)), True),
        (Types(beginnings=("",)), Types(beginnings=("x.",)), True),
        (Types(beginnings=("",)), Types(("outreach.sent",)), False),
        (Types(beginnings=("",)), Types(beginnings=("outreach.",)), False),
        (Types(), Types(beginnings=("",)), False),
    ],
)
def test_whether_an_event_can_be_of_both(one: Types, other: Types, meet: bool) -> None:
    assert overlap(one, other) is meet
    assert overlap(other, one) is meet


def true_of(log: list[dict[str, Any]], until: int) -> dict[tuple[str, str, str], bool]:
    """By rule, account and thing whether the rule is true for it at the end."""
    programs: dict[str, Program] = {}
    stored: dict[str, list[Recorded]] = {}
    lane = Lane(programs.__getitem__, lambda account, _position: list(stored.get(account, [])))
    for row in log:
        entry = product._entry(row, programs)
        if isinstance(entry, Recorded):
            stored.setdefault(entry.account_id, []).append(entry)
        lane.take(entry)
    lane.advance(until)
    found = {}
    for account in lane.accounts.values():
        for one in account.program.rules:
            found.update(_true(account, one, until))
    return found


def _true(account: Account, one: RuleProgram, until: int) -> dict[tuple[str, str, str], bool]:
    view = account.view(until)
    if one.way == "account":
        return {(one.rule.id, account.id, ""): one.plain(view, None) is True}
    if one.way == "thing":
        things = view.open_things(one.rule.thing)
        return {(one.rule.id, account.id, thing.id): one.plain(view, thing) is True for thing in things}
    return {}


@pytest.mark.slow
@given(scenes(), st.data())
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=50)
def test_missing_events_make_true_only_what_owes_it_to_them(scene: Any, data: Any) -> None:
    only_what_is_owed(scene, data)


def only_what_is_owed(scene: Any, data: Any) -> None:
    _, log, until, _ = scene
    log = [row for row in log if "event" in row or "rulebook" in row]
    types = sorted({row["event"]["type"] for row in log if "event" in row})
    if not types:
        return
    missing = Types(tuple(data.draw(st.lists(st.sampled_from(types), min_size=1, max_size=3, unique=True))))
    seen: dict[str, int] = {}
    for row in log:
        if "event" in row:
            account, time = row["event"]["account_id"], min(row["event"]["time"], row["recorded_at"])
            seen[account] = min(seen.get(account, time), time)
    kept = []
    for row in log:
        gone = "event" in row and missing.match(row["event"]["type"])
        first = gone and min(row["event"]["time"], row["recorded_at"]) == seen[row["event"]["account_id"]]
        if not gone or first or data.draw(st.booleans()):
            kept.append(row)
    whole, without = true_of(log, until), true_of(kept, until)
    book = product.book_of(next(row["rulebook"] for row in reversed(log) if "rulebook" in row))
    rules = {one.id: one for one in book.rules}
    for key, true in without.items():
        if true and not whole.get(key, False):
            assert owed(book, rules[key[0]], missing), key
