"""What the printed code asks after an event: no rule too few, and hardly one too many."""

import itertools
import random
from math import nan
from typing import Any

import pytest

from engine.columns.code import NARROW, score_text
from engine.columns.lane import ColumnLane
from engine.columns.layout import Layout
from engine.columns.sheet import Printed, Sheet, print_ahead, printed_of
from engine.columns.table import GROWTH, Table
from engine.columns.turns import BOTH, DOWN, UP, Asks, Turns
from engine.instants import DAY
from engine.lane import Lane
from engine.program import Program
from tests.judge import product
from tests.judge.product import decide

MEASURES = {
    "uses": {"count": "used", "over": "7d"},
    "pace": {"count": "used", "over": "14d", "per": "week"},
    "less": {"count": "used", "over": "7d", "times": -1},
    "before": {"count": "used", "over": "7d", "ending": "7d ago"},
    "people": {"unique": "user_id", "of": "used", "over": "7d"},
    "paid": {"sum": "amount", "of": "used", "over": "7d"},
    "since": {"days_since": "used"},
    "others": {"count": "other", "over": "7d"},
    "whole": {"count": "used", "over": "5d", "full": True},
}
SCORES = {
    "up": {
        "parts": {
            "use": {"value": "uses / before", "from": 0, "to": 2, "weight": 1},
            "more": {"value": "people", "from": 0, "to": 3, "weight": 2, "if_unknown": 20},
        },
        "cap_above_worst": 10,
        "needs": "30%",
    },
    "down": {"parts": {"use": {"value": "uses", "from": 9, "to": 0, "weight": 1}}},
}


def turns_of(condition: str) -> tuple[Turns, Layout]:
    rule = {
        "id": "r",
        "when": [condition],
        "owner": "o@ringfirst.example",
        "notify": {"template": "n", "to": "rule owner"},
    }
    layout = Layout(Program(product.book_of({"measures": MEASURES, "scores": SCORES, "rules": [rule]})))
    program = layout.program
    changed = {("", program.index[name]) for name in MEASURES if name != "others" and name in program.index}
    return Turns(layout, frozenset(changed)), layout


@pytest.mark.parametrize(
    ("condition", "counts"),
    [
        ("uses >= 8", {8}),
        ("uses > 8", {9}),
        ("uses < 8", {8}),
        ("uses <= 8", {9}),
        ("uses == 8", {8, 9}),
        ("uses != 8", {8, 9}),
        ("8 <= uses", {8}),
        ("8 > uses", {8}),
        ("uses >= 7.5", {8}),
        ("uses == 7.5", {8}),
        ("not uses >= 8", {8}),
        ("2 <= uses <= 4", {2, 5}),
        ("uses >= 0", set()),
        ("uses > 0", {1}),
        ("uses >= -3", set()),
        ("uses > 8000000000000", {8_000_000_000_001}),
        ("pace >= 2.5", {5}),
        ("pace > 0.3", {1}),
        ("whole == 0", {1}),
        ("others >= 3", set()),
        ("before >= 3", set()),
        ("uses >= 3 or plan == 'pro'", {3}),
    ],
)
def test_a_count_turns_a_comparison_at_its_bound_and_nowhere_else(condition: str, counts: set[int]) -> None:
    turns, layout = turns_of(condition)
    marks = turns.marks(layout.terms[0])
    assert marks is not None
    assert set().union(*marks.values()) == counts


@pytest.mark.parametrize(
    ("condition", "way"),
    [
        ("uses > before", UP),
        ("before > uses", DOWN),
        ("uses < 0.5 * before", DOWN),
        ("uses * -2 < before", UP),
        ("uses * 0 < before", BOTH),
        ("uses / 2 >= before", UP),
        ("uses / before >= 2", UP),
        ("before / uses >= 2", BOTH),
        ("uses * others > 4", UP),
        ("uses * seats > 4", BOTH),
        ("uses - people > 0", BOTH),
        ("uses - others > 0", UP),
        ("others - uses > 0", DOWN),
        ("-uses > others", DOWN),
        ("abs(uses - 5) > others", BOTH),
        ("max(uses, others) > before", UP),
        ("coalesce(seats, uses) > before", UP),
        ("round(uses / 3) >= 1", UP),
        ("uses == before", BOTH),
        ("uses in [2, 3]", BOTH),
        ("known(uses / before)", BOTH),
        ("not uses > before", DOWN),
        ("uses > before and people > before", UP),
        ("uses > before or people < before", BOTH),
        ("up >= 50", UP),
        ("up < 50", DOWN),
        ("down < 50", UP),
        ("others > before", 0),
        ("uses * 3 * 3 * 3 > before", UP),
        ("uses * 3 * 3 * 3 * 3 > before", BOTH),
        ("uses * 8000000000000 > before", BOTH),
    ],
)
def test_a_rule_is_asked_only_in_the_way_in_which_it_can_turn(condition: str, way: int) -> None:
    turns, layout = turns_of(condition)
    assert turns.way(layout.terms[0]) == way


@pytest.mark.parametrize("condition", ["paid >= 3", "less > -3", "uses >= 2 and paid >= 3"])
def test_what_does_not_grow_one_by_one_is_asked_after_each_event(condition: str) -> None:
    turns, layout = turns_of(condition)
    assert not turns.followed(0)
    asks = Asks.of(layout, {0: "(yes)"}, [0], turns.changed)
    assert not asks.gates
    assert asks.lines == ["if (t := (yes)) != (m := m0[i]) and (m != 2 or not t): h = (*h, 0 if t else -1)"]


def test_days_since_an_event_are_asked_about_when_they_become_none() -> None:
    _, layout = turns_of("since == 0 and uses > 2")
    Printed(layout)  # which names the columns
    turns = Turns(layout, frozenset({("", layout.program.index["since"]), ("", layout.program.index["uses"])}))
    (column,) = turns.set.values()
    (run,) = (run.name for run in turns.rising.values())
    assert turns.followed(0)
    assert turns.marks(layout.terms[0]) == {column: {None}, run: {3}}


CONDITIONS = (
    "uses >= 3",
    "uses < 4",
    "uses == 2",
    "pace > 1.4",
    "whole <= 2",
    "2 <= people <= 2",
    "uses < 0.5 * before",
    "uses > before",
    "uses / before >= 1.5",
    "uses - others >= 2",
    "people * others > uses",
    "up >= 40",
    "up < 70",
    "down < 60",
    "round(uses / 3) == 1",
    "coalesce(uses / before, 2) > 1",
    "uses != 3 and people > 1",
    "paid >= 4 or uses >= 5",
    "since == 0 and uses > 2",
    "less < -2",
)


def test_as_counts_grow_a_condition_turns_only_where_and_as_it_was_foretold() -> None:
    for condition in CONDITIONS:
        turns, layout = turns_of(condition)
        if not turns.followed(0):
            continue
        marks, way = turns.marks(layout.terms[0]), turns.way(layout.terms[0])
        names = {run.name for run in turns.rising.values()}
        scope: dict[str, Any] = {"__builtins__": {}, **NARROW, "r": 0, "today": 100, "g": [90], "nan": nan}
        for number, spec in enumerate(layout.program.book.scores[name] for name in sorted(layout.program.book.scores)):
            exec(score_text(spec, number, coverage=False), scope)
        code = compile(Printed(layout).yes[0], "<rule>", "eval")
        for fixed in itertools.product((0, 1, 5), repeat=2):
            values = {name: [0] for _, name in _columns(layout)}
            others = [name for name in values if name not in names]
            values.update({name: [fixed[at % 2]] for at, name in enumerate(others)})
            before = None
            for count in range(12):
                values.update({name: [count] for name in names})
                now = bool(eval(code, {**scope, **values}))
                if before is not None and now != before:
                    assert way & (UP if now else DOWN), condition
                    assert marks is None or any(count in found for found in marks.values()), condition
                before = now


def _columns(layout: Layout) -> list[tuple[Any, str]]:
    return [(ring, run.name) for ring in layout.scopes[""].rings for run in ring.runs]


def test_columns_decide_as_plain_state_does_whatever_turns_a_rule() -> None:
    staff = {"owner": "o@ringfirst.example", "notify": {"template": "n", "to": "rule owner"}, "re_entry": "every time"}
    rules = [{"id": f"r{at}", "when": [text], **staff} for at, text in enumerate(CONDITIONS)]
    book = {"measures": MEASURES, "scores": SCORES, "rules": rules}
    start, rng = 1_772_409_600_000, random.Random(5)
    log: list[dict[str, Any]] = [{"position": 0, "recorded_at": start, "rulebook": book}]
    times = sorted(start + int(rng.random() * 40 * DAY) for _ in range(160))
    for number, at in enumerate(times, 1):
        event: dict[str, Any] = {
            "id": f"e{number}",
            "account_id": f"a{rng.randrange(2)}",
            "user_id": rng.choice(("u1", "u2", "u3")),
        }
        event |= {"type": rng.choice(("used", "used", "other")), "time": at, "properties": {"amount": rng.randrange(4)}}
        log.append({"position": number, "recorded_at": at, "event": event})
    plain = decide(log, start + 50 * DAY, kind=Lane)
    assert decide(log, start + 50 * DAY, kind=ColumnLane) == plain
    assert {row["rule"] for row in plain} == {rule["id"] for rule in rules}


def test_columns_decide_as_plain_state_does_about_each_person() -> None:
    person = {
        "measures": {
            "quiet": {"days_since": "used"},
            "here": {"days_since_first": "any"},
            "uses": {"count": "used", "over": "7d"},
            "before": {"count": "used", "over": "7d", "ending": "7d ago"},
            "kinds": {"unique": "kind", "of": "used", "over": "7d"},
        }
    }
    conditions = [
        "person.quiet == 0",
        "person.quiet >= 3 and person.uses >= 1",
        "person.here <= 4 and person.uses >= 2",
        "person.uses >= 2",
        "person.uses < 0.5 * person.before",
        "person.uses > person.before",
        "person.kinds == 2",
        "person.uses > others",
        "others >= 3 and person.quiet <= 2",
    ]
    staff = {"owner": "o@ringfirst.example", "notify": {"template": "n", "to": "rule owner"}, "re_entry": "every time"}
    rules = [{"id": f"r{at}", "for": "each person", "when": [text], **staff} for at, text in enumerate(conditions)]
    book = {"things": {"person": person}, "measures": {"others": MEASURES["others"]}, "rules": rules}
    start, rng = 1_772_409_600_000, random.Random(6)
    log: list[dict[str, Any]] = [{"position": 0, "recorded_at": start, "rulebook": book}]
    times = sorted(start + int(rng.random() * 40 * DAY) for _ in range(160))
    for number, at in enumerate(times, 1):
        event: dict[str, Any] = {"id": f"e{number}", "account_id": "acme", "user_id": rng.choice(("u1", "u2", None))}
        event |= {"type": rng.choice(("used", "used", "other")), "time": at, "properties": {"kind": rng.randrange(3)}}
        log.append({"position": number, "recorded_at": at, "event": event})
    plain = decide(log, start + 50 * DAY, kind=Lane)
    assert decide(log, start + 50 * DAY, kind=ColumnLane) == plain
    assert {row["rule"] for row in plain} == {rule["id"] for rule in rules}


def test_what_to_ask_is_thought_through_once_for_all_sheets() -> None:
    turns, layout = turns_of("uses >= 8")
    printed = Printed(layout)
    asks = printed.asks([0], turns.changed)
    assert asks == Asks.of(layout, printed.yes, [0], turns.changed)
    assert printed.asks((0,), frozenset(turns.changed)) is asks
    assert printed.asks((), turns.changed) is not asks
    assert printed.asks((0,), frozenset()) is not asks


def test_what_events_will_ask_for_is_printed_before_the_first_of_them_comes() -> None:
    _, layout = turns_of("uses >= 8")
    program = layout.program
    program.columns = None
    print_ahead(program, 0)
    printed = printed_of(program)
    assert printed is not None
    before = dict(printed.codes)
    sheet = Sheet(printed, program.zone, 0)
    sheet.handler("used")
    assert list(sheet.check[""](sheet.add("", object()), False)) == []
    assert printed.codes == before
    program.columns = False  # columns cannot hold it
    print_ahead(program, 0)


def test_a_small_table_doubles_and_a_large_one_grows_by_an_eighth() -> None:
    table = Table(Printed(turns_of("uses >= 8")[1]).layout.scopes[""])
    sizes = []
    for _ in range(3_000):
        table.add(object())
        if table.size not in sizes:
            sizes.append(table.size)
    assert sizes[:6] == [16, 32, 64, 128, 256, 384]
    assert all(after <= before * GROWTH + 1 for before, after in itertools.pairwise(sizes) if before > 1_100)
