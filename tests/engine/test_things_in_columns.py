"""Things in columns: random tickets, meetings and shelves give the same facts as plain state, late events included."""

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from engine.account import Account
from engine.columns.lane import ColumnLane
from engine.columns.trends import outlook
from engine.instants import DAY, HOUR
from engine.log import Event, Recorded
from engine.program import Program
from engine.state import happening_of
from tests.judge import product
from tests.judge.product import book_of, decide

START = 1_772_409_600_000  # 2026-03-02, a Monday
NOTE = {"template": "note", "to": "rule owner"}
THINGS: dict[str, Any] = {
    "ticket": {
        "id": "ticket_id",
        "opened_by": ["ticket.opened", "ticket.reopened"],
        "asked_by": {"event": "ticket.replied", "where": {"by": "customer"}},
        "answered_by": [{"event": "ticket.replied", "where": {"by": "agent"}}, "ticket.taken"],
        "closed_by": ["ticket.solved", "ticket.closed"],
        "updated_by": "ticket.updated",
        "people": {"requester": "user_id", "assignee": "assigned_to"},
        "properties": {"due": "date"},
        "measures": {
            "replies": {"count": "ticket.replied"},
            "touched_2d": {"count": "ticket.*", "over": "2d"},
            "days_quiet": {"days_since": "ticket.replied", "never": "unknown"},
            "worst": {"maximum": "weight", "of": "ticket.updated"},
            "days_left": {"days_to": "due"},
            "hours_quiet": {"hours_since": "ticket.replied"},
        },
    },
    "orientation": {
        "id": "meeting_id",
        "where": {"kind": "orientation"},
        "opened_by": ["meeting.scheduled", "meeting.rescheduled"],
        "closed_by": ["meeting.held", "meeting.cancelled"],
        "properties": {"starts_at": "date"},
    },
    "shelf": {"id": "shelf_id", "opened_by": "shelf.stocked", "properties": {"until": "date"}},
}
MEASURES: dict[str, Any] = {
    "open_tickets": {"open": "ticket"},
    "doubled": {"open": "ticket", "times": 2},
    "waiting": {"open": "ticket", "where": {"waiting": True}},
    "unanswered": {"open": "ticket", "where": {"answered": False}},
    "high": {"open": "ticket", "where": {"priority": ["high", "urgent"]}},
    "unweighed": {"open": "ticket", "where": {"weight": {"known": False}}},
    "deep": {"open": "ticket", "where": {"extra.level": {"at_least": 2}}},
    "dated": {"open": "ticket", "where": {"due": {"less_than": "2026-03-20"}}},
    "often_replied": {"open": "ticket", "where": {"replies": {"at_least": 2}}},
    "oldest": {"maximum": "open_days", "of": "ticket"},
    "newest": {"minimum": "open_days", "of": "ticket"},
    "oldest_high": {"maximum": "open_days", "of": "ticket", "where": {"priority": "high"}},
    "days_open": {"sum": "open_days", "of": "ticket"},
    "heaviest": {"maximum": "weight", "of": "ticket"},
    "longest_wait": {"maximum": "waiting_hours", "of": "ticket"},
    "opened_3d": {"opened": "ticket", "over": "3d"},
    "opened_ever": {"opened": "ticket"},
    "answered_5d": {"answered": "ticket", "over": "5d"},
    "closed_5d": {"closed": "ticket", "over": "5d", "ending": "1d ago"},
    "closed_high": {"closed": "ticket", "where": {"priority": "high"}},
    "answer_hours": {"average": "answer_hours", "of": "ticket", "over": "7d"},
    "solve_hours": {"maximum": "solve_hours", "of": "ticket", "over": "7d"},
    "meetings": {"open": "orientation"},
    "held_5d": {"closed": "orientation", "over": "5d"},
    "days_to_meeting": {"days_to": "orientation.starts_at"},
    "hours_to_meeting": {"hours_to": "orientation.starts_at"},
    "put_off": {"moved_later": "orientation.starts_at"},
    "shelves": {"open": "shelf"},
    "days_to_shelf": {"days_to": "shelf.until"},
    "events_3d": {"count": "ticket.*", "over": "3d"},
    "replies_2d": {"count": "ticket.replied", "where": {"by": "agent"}, "over": "2d"},
}
POLICY = {"staff": {"domains": ["ringfirst.example"]}}
BOOK_OF_ALL: dict[str, Any] = {"things": THINGS, "measures": MEASURES, "policy": POLICY}
OF_ACCOUNTS = [
    "open_tickets >= 2",
    "doubled >= 6",
    "waiting >= 2",
    "unanswered >= 2",
    "high >= 1",
    "unweighed == 1",
    "deep >= 1",
    "dated >= 1",
    "often_replied >= 1",
    "oldest >= 3",
    "newest >= 2",
    "oldest_high >= 2",
    "days_open >= 6",
    "heaviest >= 5",
    "longest_wait >= 20",
    "opened_3d >= 3",
    "opened_ever >= 4",
    "answered_5d >= 2",
    "closed_5d >= 1",
    "closed_high >= 1",
    "answer_hours >= 10",
    "solve_hours >= 30",
    "meetings >= 1",
    "held_5d >= 1",
    "0 <= days_to_meeting <= 2",
    "0 <= hours_to_meeting <= 30",
    "put_off >= 1",
    "shelves >= 2",
    "0 <= days_to_shelf <= 2",
    "events_3d >= 6",
    "replies_2d >= 2",
    "open_tickets > opened_3d",
    "waiting == open_tickets",
]
OF_TICKETS = [
    'ticket.priority in ["high", "urgent"]',
    "ticket.waiting_hours >= 12",
    "ticket.open_days >= 2",
    "ticket.replies >= 2",
    "ticket.touched_2d >= 3",
    "ticket.days_quiet >= 2",
    "ticket.hours_quiet >= 20",
    "ticket.worst >= 4",
    "0 <= ticket.days_left <= 3",
    "not ticket.answered",
    "ticket.weight >= 3 and open_tickets >= 2",
    "ticket.waiting",
    "known(ticket.assigned_to)",
    "ticket.extra.level >= 1",
]
OF_MEETINGS = ["orientation.open_days >= 1", "known(orientation.starts_at)", "orientation.open_hours >= 30"]
OF_SHELVES = ["shelf.open_days >= 3", "open_tickets >= 1"]


def scene(seed: int) -> tuple[list[dict[str, Any]], int, frozenset[int]]:
    """A log with its rulebook, the clock at its end, and where everything goes through snapshots."""
    chance = Random(seed)
    log: list[dict[str, Any]] = [{"position": 0, "recorded_at": START, "rulebook": _book(chance)}]
    clock, late = START, chance.choice((0.0, 0.0, 0.05, 0.25))
    for position in range(1, chance.randrange(20, 120)):
        clock += chance.choice((0, 60_000, HOUR, 3 * HOUR, 7 * HOUR, 20 * HOUR))
        time = clock - int(chance.choice((HOUR, 9 * HOUR, 3 * DAY, 9 * DAY)) * chance.random())
        kind, user, properties = _event(chance)
        event: dict[str, Any] = {
            "id": f"e{position}",
            "type": kind,
            "account_id": chance.choice(("acme", "acme", "brit")),
        }
        event |= {"user_id": user, "time": time if chance.random() < late else clock, "properties": properties}
        log.append({"position": position, "recorded_at": clock, "event": event})
        if chance.random() < 0.01:
            log.append({"position": position, "recorded_at": clock, "rulebook": _book(chance)})
    log = [{**row, "position": position} for position, row in enumerate(log)]
    restarts = frozenset(chance.randrange(len(log)) for _ in range(chance.randrange(3)))
    return log, clock + chance.choice((0, DAY // 2, 12 * DAY)), restarts


def _book(chance: Random) -> dict[str, Any]:
    rules = []
    for number in range(chance.randrange(1, 7)):
        about = chance.choice(("", "", "", "ticket", "ticket", "orientation", "shelf"))
        lines = {"": OF_ACCOUNTS, "ticket": OF_TICKETS, "orientation": OF_MEETINGS, "shelf": OF_SHELVES}[about]
        rule: dict[str, Any] = {"id": f"r{number}", "owner": "o@ringfirst.example", "notify": NOTE}
        rule |= {"when": chance.sample(lines, min(len(lines), chance.choice((1, 1, 2))))}
        rule |= {"for": f"each {about}", "each_alone": True} if about else {}
        rule["re_entry"] = chance.choice(("every time", "every time", "every 2d"))
        if chance.random() < 0.2:
            rule["unless"] = [chance.choice(("open_tickets >= 3", "opened_3d == 1", "waiting >= 2"))]
        if chance.random() < 0.1:
            rule["holds_for"] = "6h"
        if chance.random() < 0.1:
            rule["clear_when"] = chance.choice(("open_tickets <= 1", "unanswered == 0"))
        if about == "ticket" and chance.random() < 0.3:
            del rule["notify"], rule["re_entry"]
            rule["send"] = {
                "template": "mail",
                "class": "relationship",
                "to": chance.choice(("ticket.requester", "ticket.assignee")),
            }
            rule |= {"once_per": "ticket.waiting_since"} if chance.random() < 0.5 else {"re_entry": "every time"}
        rules.append(rule)
    if chance.random() < 0.3:
        rules.append(
            {"id": "back", "owner": "o@ringfirst.example", "notify": NOTE, "for": "each ticket.reopened"}
            | {"when": ["opened_ever >= 2"], "each_alone": True}
        )
    zone = chance.choice(("UTC", "Europe/Berlin", "Asia/Kolkata"))
    return {**BOOK_OF_ALL, "rules": rules, "policy": {**POLICY, "timezone": zone}}


def _rule_of(about: str, when: list[str]) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": "r",
        "owner": "o@ringfirst.example",
        "notify": NOTE,
        "when": when,
        "re_entry": "every time",
    }
    return {**rule, "for": f"each {about}", "each_alone": True} if about else rule


def _event(chance: Random) -> tuple[str, str | None, dict[str, Any]]:
    user = chance.choice((None, "ann", "bob"))
    about = chance.choice(("ticket",) * 6 + ("meeting", "shelf", "both", "other"))
    properties: dict[str, Any] = {}
    kind = "feature.used"
    if about in {"ticket", "both"}:
        properties["ticket_id"] = chance.choice(("t1", "t2", "t3", 4, "t5"))
        names = (
            "opened",
            "opened",
            "replied",
            "replied",
            "taken",
            "updated",
            "updated",
            "solved",
            "closed",
            "reopened",
        )
        kind = "ticket." + chance.choice(names)
        wild = {
            "by": ("agent", "customer", "nobody"),
            "priority": ("high", "low", "urgent", None),
            "weight": (1, 4, 6, "x"),
            "due": ("2026-03-10", "2026-03-05T10:00:00Z", "soon", None),
            "assigned_to": ("ann", "cid", None),
            "extra": ({"level": 1}, {"level": 3}, {}, "none"),
            "subject": ("Help", "Oh"),
        }
        for name, values in wild.items():
            if chance.random() < (0.9 if name == "by" else 0.3):
                properties[name] = chance.choice(values)
    if about in {"meeting", "both"}:
        properties["meeting_id"] = chance.choice(("m1", "m2", "m3"))
        kind = (
            "meeting." + chance.choice(("scheduled", "rescheduled", "held", "cancelled"))
            if about == "meeting"
            else kind
        )
        for name, values in (
            ("kind", ("orientation", "orientation", "review")),
            ("starts_at", ("2026-03-06", "2026-03-09T08:00:00Z", "2026-03-12")),
        ):
            if chance.random() < 0.5:
                properties[name] = chance.choice(values)
    if about == "shelf":
        kind, properties = "shelf.stocked", {"shelf_id": chance.choice("abc")}
        if chance.random() < 0.7:
            properties["until"] = chance.choice(("2026-03-04", "2026-03-08", "never"))
    if about == "other" and chance.random() < 0.5:
        properties["ticket_id"] = chance.choice(("t1", "t9"))
    return kind, user, properties


@pytest.mark.parametrize("seed", range(24))
def test_things_in_columns_decide_what_plain_things_decide(seed: int) -> None:
    log, until, restarts = scene(seed)
    assert decide(log, until, restarts, kind=ColumnLane) == decide(log, until, restarts)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(4))
def test_they_do_so_in_many_more_scenes(hundred: int) -> None:
    decided_alike(range(1_000 + hundred * 100, 1_100 + hundred * 100))


def decided_alike(seeds: Iterable[int]) -> None:
    for seed in seeds:
        log, until, restarts = scene(seed)
        assert decide(log, until, restarts, kind=ColumnLane) == decide(log, until, restarts), seed


def test_only_properties_that_something_reads_are_kept() -> None:
    book = {**BOOK_OF_ALL, "rules": [_rule_of("ticket", ["ticket.days_left == 2", "often_replied >= 1", "dated >= 1"])]}
    shape = Program(book_of(book)).shape.things["ticket"]
    assert sorted(shape.props or ()) == ["assigned_to", "due", "extra", "user_id"]
    assert shape.fingerprint != Program(book_of(book | {"rules": []})).things["ticket"].shape.fingerprint


def test_what_never_closes_keeps_its_first_opening_alone() -> None:
    program = Program(book_of({**BOOK_OF_ALL, "rules": [_rule_of("shelf", ["shelf.open_days >= 3"])]}))
    events = [
        Recorded(n, START, Event(f"e{n}", "shelf.stocked", "acme", None, START - n, {"shelf_id": "a"}))
        for n in range(9)
    ]
    account = program.shape.fresh()
    for event in events:  # each is older than the one before
        program.shape.fold(account, happening_of(event, program.zone, START))
    state = account.things["shelf"]["a"]
    assert [row[0] for row in state.steps] == [START - 8]
    assert state.spell is not None
    assert state.spell.opened_at == START - 8


@pytest.mark.parametrize("seed", range(100, 112))
def test_every_column_holds_what_the_plain_code_reads_after_each_event(seed: int) -> None:
    log, _, _ = scene(seed)
    programs: dict[str, Program] = {}
    stored: list[Recorded] = []
    lane: Any = ColumnLane(
        programs.__getitem__, lambda name, at: [e for e in stored if e.account_id == name and e.position <= at]
    )
    for row in log:
        entry = product._entry(row, programs)
        if isinstance(entry, Recorded):
            stored.append(entry)
        lane.take(entry)
        for one in lane.accounts.values():
            if one.seat is not None:
                _rows_are_right(one, row["recorded_at"])
        if row["position"] % 9 == 8:
            lane = product._again(lane, programs, lane._history)


def _rows_are_right(one: Account, at: int) -> None:
    """Rows of open things, counts of them, acts, cached values and trends."""
    seat, view = one.seat, one.view(at)
    for kind, table in seat.sheet.tables.items():
        rows = seat.things.get(kind, {}) if kind else {"": seat.row}
        assert not kind or sorted(rows) == [thing.id for thing in view.open_things(kind)]
        for key, row in rows.items():
            thing = view.thing(kind, key) if kind else None
            for leaf in table.scope.leaves.values():
                value, found = leaf.value(view, thing), table.arrays[leaf.name][row]
                if leaf.name[len(table.scope.prefix)] == "k":
                    assert found == {True: 1, False: 0}.get(value, 2), leaf
                else:
                    assert _number(value) == _number(found), leaf
            for trend in table.scope.trends.values():
                slot = seat.sheet.layout.slot((trend.scope, trend.slot))
                number, _, until = outlook(slot, thing or view)
                assert _number(number) == _number(table.arrays[trend.name][row]), slot
                assert table.arrays[f"{trend.name}_until"][row] <= until, slot
    scope, arrays = seat.sheet.layout.scopes[""], seat.sheet.tables[""].arrays
    for index, column in scope.opens.items():
        assert one.program.slots[index].read(view) == arrays[column][seat.row] * float(scope.times[index])
    for index, (count, _) in scope.act_runs.items():
        counted: Any = one.program.slots[index]
        if not counted.spec.prop:
            assert counted.read(view) == arrays[count.name][seat.row]


def _number(value: Any) -> float | None:
    return None if value is None or isinstance(value, str) or value != value else float(value)  # noqa: PLR0124 - nan


def _told(
    rule: dict[str, Any], *events: tuple[float, float, str, dict[str, Any]], hours: int = 1
) -> list[dict[str, Any]]:
    """What is decided of events at an hour, of an hour's time, and ``hours`` after it; both lanes must agree."""
    log: list[dict[str, Any]] = [{"position": 0, "recorded_at": START, "rulebook": {**BOOK_OF_ALL, "rules": [rule]}}]
    for number, (hour, time, kind, properties) in enumerate(events, 1):
        event: dict[str, Any] = {"id": f"e{number}", "type": kind, "account_id": "acme", "properties": properties}
        event |= {"user_id": None, "time": START + int(time * HOUR)}
        log.append({"position": number, "recorded_at": START + int(hour * HOUR), "event": event})
    until = log[-1]["recorded_at"] + hours * HOUR
    plain = decide(log, until)
    assert decide(log, until, kind=ColumnLane) == plain
    return plain


def test_an_answer_that_comes_late_on_the_same_day_is_an_answer_before_the_closing() -> None:
    ticket = {"ticket_id": "t1"}
    events = (1, 1, "ticket.opened", ticket), (5, 5, "ticket.solved", ticket), (6, 3, "ticket.taken", ticket)
    assert len(_told(_rule_of("", ["answered_5d >= 1"]), *events)) == 1


def test_a_meeting_that_becomes_an_orientation_brings_what_happened_to_it() -> None:
    review, orientation = {"meeting_id": "m1", "kind": "review"}, {"meeting_id": "m1", "kind": "orientation"}
    events = (1, 1, "meeting.scheduled", review), (2, 2, "meeting.held", {"meeting_id": "m1"})
    assert len(_told(_rule_of("", ["held_5d >= 1"]), *events, (3, 3, "meeting.scheduled", orientation))) == 1


def test_a_thing_that_was_never_answered_is_waited_for_since_it_opened() -> None:
    note: dict[str, Any] = {}
    events = (1, 1, "note.made", note), (2, 2, "ticket.opened", {"ticket_id": "t1"})
    (decision,) = _told(_rule_of("ticket", ["ticket.hours_quiet >= 4"]), *events, hours=9)
    assert decision["at"] == START + 6 * HOUR
