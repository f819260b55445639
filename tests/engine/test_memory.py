"""What an account takes in memory: narrow columns that grow when they must, and nothing that grows without end."""

from itertools import count
from typing import Any

import msgspec
import pytest

from engine.account import Account
from engine.columns.lane import ColumnLane
from engine.columns.rows import KeptRow
from engine.decision import Decision
from engine.lane import Lane
from engine.occasions import Used
from engine.snapshot import freeze
from tests.engine.test_columns import Told, lane_of, rule, same
from tests.judge.product import decide

PAID = {
    "measures": {
        "week": {"sum": "amount", "of": "paid", "over": "7d"},
        "before": {"sum": "amount", "of": "paid", "over": "3d", "ending": "2d ago"},
    },
    "rules": [
        rule("much", "week >= 6000"),
        rule("little", "0 < week < 3000", "before >= 0"),
        rule("was", "before > 5"),
    ],
}


@pytest.mark.parametrize("late", [0, 1, 3])
def test_a_day_beyond_what_a_ring_holds_makes_the_ring_wider(late: int) -> None:
    told = Told(
        {
            "measures": {
                "day": {"count": "used", "over": "1d"},
                "before": {"count": "used", "over": "3d", "ending": "1d ago"},
                "people": {"unique": "user_id", "of": "used", "over": "3d"},
                "kinds": {"unique": "kind", "of": "used", "over": "2d"},
            },
            "rules": [
                rule("busy", "day >= 200"),
                rule("was", "before >= 300"),
                rule("many", "people >= 140"),
                rule("few", "people < 140", "people > 100"),
                rule("kinds", "kinds >= 150"),
            ],
        }
    )
    for day, number in ((0, 20), (2, 250), (3, 160), (6, 30)):
        for at in range(number):
            told.event(
                day + at / 1000,
                "used",
                {"kind": f"k{at}"},
                user_id=f"u{at}",
                time=told.log[0]["recorded_at"] + int((day - late * (at % 7 == 3) + at / 1000) * 86_400_000),
            )
    assert {row["rule"] for row in same(told.log, 15)} == {"busy", "was", "many", "few", "kinds"}
    table = lane_of(told.log)._sheets["UTC"].tables[""]
    assert {str(table.arrays[ring.name].dtype) for ring in table.scope.rings} == {"int16"}


@pytest.mark.parametrize("late", [0, 1, 4])
def test_a_sum_beyond_32_bits_makes_its_ring_and_its_windows_wider(late: int) -> None:
    told = Told(PAID)
    for day in range(9):
        told.event(day, "paid", {"amount": 7000 if day == 4 else 1}, time=told.log[0]["recorded_at"])
        told.log[-1]["event"]["time"] += (day - late * (day == 4)) * 86_400_000
    assert {row["rule"] for row in same(told.log, 20)} == {"much", "little", "was"}
    table = lane_of(told.log)._sheets["UTC"].tables[""]
    (ring,) = table.scope.rings
    assert {str(table.arrays[name].dtype) for name in (ring.name, *(run.name for run in ring.runs))} == {"int64"}


def test_a_window_of_the_busiest_days_fits_its_column() -> None:
    told = Told({"measures": {"long": {"count": "used", "over": "800d"}}, "rules": [rule("many", "long >= 34000")]})
    for at in range(34_000):
        told.event(at / 100_000, "used")
    lane = lane_of(told.log)
    table = lane._sheets["UTC"].tables[""]
    (ring,) = table.scope.rings
    assert str(table.arrays[ring.name].dtype) == "int32"
    assert str(table.arrays[ring.runs[0].name].dtype) == "int64"
    assert table.arrays[ring.runs[0].name][0] == 34_000
    assert "many" in lane.accounts["acme"].truths


def test_values_out_of_every_window_are_forgotten_and_those_inside_are_not() -> None:
    told = Told(
        {
            "measures": {
                "people": {"unique": "user_id", "of": "used", "over": "5d"},
                "kinds": {"unique": "kind", "of": "used", "over": "3d"},
            },
            "rules": [rule("twelve", "people >= 12"), rule("ten", "people <= 10"), rule("kinds", "kinds <= 6")],
        }
    )
    people = count()
    for at in range(600):
        late = {"time": told.log[-1]["recorded_at"] - 7 * 86_400_000} if at % 50 == 49 else {}
        who = next(people) if at % 100 < 80 else 3
        told.event(at / 3 + 0.01 * (at % 3), "used", {"kind": f"k{who}"}, user_id=f"u{who}", **late)
    assert len(same(told.log, 220)) > 10
    table = lane_of(told.log)._sheets["UTC"].tables[""]
    marks = [len(row) for rows in table.marks.values() for row in rows if row]
    assert len(marks) == 2
    assert max(marks) < 60


def tickets(**measures: Any) -> dict[str, Any]:
    ticket = {"id": "ticket_id", "opened_by": ["ticket.opened", "ticket.reopened"], "closed_by": "ticket.solved"}
    return {
        "things": {"ticket": ticket},
        "measures": {"use": {"count": "used", "over": "2d"}, **measures},
        "rules": [
            rule("red", 'ticket.grade == "red"', **{"for": "each ticket", "re_entry": "never"}),
            *(rule(name, f"{name} >= 3") for name in measures),
        ],
    }


def solved(told: Told, *days: float, kind: str = "ticket.opened", **properties: Any) -> None:
    for day in days:
        about = {"ticket_id": f"t{day}"}
        told.event(day, kind, about | properties)
        told.event(day + 0.5, "ticket.solved", about)


def test_a_closed_thing_is_forgotten_and_comes_back_as_it_was() -> None:
    told = Told(tickets(shut={"closed": "ticket", "over": "20d"}))
    solved(told, 1, 2, 3, grade="blue")
    solved(told, 4, 5, grade="red")
    solved(told, 50, 60)
    state = lane_of(told.log).accounts["acme"].state
    assert list(state.things["ticket"]) == ["t50", "t60"]
    assert len(state.forgotten["ticket"]) == 4 * 5
    told.event(70, "ticket.reopened", {"ticket_id": "t3"})
    told.event(71, "ticket.reopened", {"ticket_id": "t4"})  # it was red, and was written about once and for ever
    told.event(72, "ticket.opened", {"ticket_id": "new", "grade": "red"})
    solved(told, 73, kind="ticket.reopened", ticket_id="t3")
    decided = same(told.log, 90)
    assert [row["subject"]["id"] for row in decided if row["subject"]] == ["t4", "t5", "new"]
    account = lane_of(told.log).accounts["acme"]
    assert set(account.state.things["ticket"]) == {"t1", "t2", "t3", "t4", "t5", "t50", "t60", "new", "t73"}


def test_an_account_whose_closed_things_are_forgotten_comes_back_from_its_snapshot() -> None:
    told = Told(tickets(shut={"closed": "ticket", "over": "20d"}))
    solved(told, 1, 2, 3, grade="red")
    solved(told, 50, 60)
    told.event(70, "ticket.reopened", {"ticket_id": "t2"})
    told.event(70.5, "used")
    plain = decide(told.log, told.log[-1]["recorded_at"])
    for position in range(1, len(told.log)):
        assert decide(told.log, told.log[-1]["recorded_at"], frozenset([position]), ColumnLane) == plain


@pytest.mark.parametrize(
    ("measures", "kept"),
    [
        pytest.param({}, False, id="no window"),
        pytest.param({"m": {"opened": "ticket", "over": "90d"}}, True, id="a long window"),
        pytest.param({"m": {"opened": "ticket", "over": "10d", "ending": "80d ago"}}, True, id="a shifted window"),
        pytest.param({"m": {"closed": "ticket", "over": "2000h"}}, True, id="an exact window"),
        pytest.param({"m": {"closed": "ticket", "over": "previous quarter"}}, True, id="a window of the calendar"),
        pytest.param({"m": {"closed": "ticket", "over": "previous week"}}, False, id="a short one of the calendar"),
        pytest.param({"m": {"closed": "ticket"}}, True, id="all time"),
        pytest.param({"m": {"sum": "solve_hours", "of": "ticket"}}, True, id="hours of all time"),
        pytest.param({"m": {"moved_later": "ticket.due"}}, True, id="dates that were put off"),
        pytest.param({"m": {"sum": "n", "of": "ticket"}}, False, id="only open things"),
    ],
)
def test_a_closed_thing_is_kept_as_long_as_a_window_may_hold_it(measures: dict[str, Any], *, kept: bool) -> None:
    told = Told(tickets(**measures))
    solved(told, 1, 2, 3, due="2026-05-01")
    solved(told, 4, 62, 64, due="2026-06-01")
    same(told.log, 100)
    assert ("t1" in lane_of(told.log).accounts["acme"].state.things["ticket"]) is kept


def test_a_rulebook_with_a_longer_window_knows_what_was_forgotten() -> None:
    told = Told(tickets(shut={"closed": "ticket", "over": "20d"}))
    solved(told, 1, 2, 3)
    solved(told, 50, 60)
    at = told.log[-1]["recorded_at"] + 86_400_000
    longer = tickets(shut={"closed": "ticket", "over": "90d"})
    longer["rules"][-1] |= {"backfill": True}
    told.log.append({"position": len(told.log), "recorded_at": at, "rulebook": longer})
    solved(told, 63)
    assert len(same(told.log, 70)) == 2
    assert "t1" in lane_of(told.log).accounts["acme"].state.things["ticket"]


def test_more_acts_of_things_on_a_day_than_a_byte_holds_are_counted_and_so_are_their_hours() -> None:
    book = tickets(
        made={"opened": "ticket", "over": "3d"},
        shut={"closed": "ticket", "over": "3d"},
        slow={"sum": "solve_hours", "of": "ticket", "over": "9d"},
        before={"closed": "ticket", "over": "2d", "ending": "2d ago"},
    )
    book["rules"] = [rule(name, f"{name} >= 150") for name in ("made", "shut", "before")] + [
        rule("slow", f"slow >= {150 * 24 * 40}")
    ]
    told = Told(book)
    for at in range(160):
        told.event(at / 1000, "ticket.opened", {"ticket_id": f"t{at}"})
    for at in range(160):
        told.event(40 + at / 1000, "ticket.solved", {"ticket_id": f"t{at}"})
    assert {row["rule"] for row in same(told.log, 60)} == {"made", "shut", "before", "slow"}


STEADY = {
    "things": {"ticket": {"id": "ticket_id", "opened_by": "ticket.opened", "closed_by": "ticket.solved"}},
    "measures": {
        "uses": {"count": "used", "over": "7d"},
        "hour": {"count": "used", "over": "36h"},
        "away": {"hours_since": "used"},
        "people": {"unique": "user_id", "of": "used", "over": "14d"},
        "kinds": {"unique": "kind", "of": "used", "over": "28d"},
        "middle": {"median": "n", "of": "used", "over": "14d"},
        "shut": {"closed": "ticket", "over": "28d"},
        "slow": {"average": "solve_hours", "of": "ticket", "over": "14d"},
        "open_now": {"open": "ticket"},
    },
    "rules": [
        rule("busy", "uses >= 9", "hour >= 0"),
        rule("quiet", "uses <= 7", re_entry="every 7d"),
        rule("away", "away >= 700", "people >= 0", "kinds >= 0", "middle >= 0"),
        rule("slow", "slow >= 20", "shut >= 1", re_entry="every 3d"),
        rule("waits", "open_now >= 2", holds_for="20d"),
    ],
}


def test_memory_stays_as_it_is_while_customers_stay_as_they_are() -> None:
    told = Told(STEADY)
    sizes = []
    for weeks in (16, 32, 48):
        for day in range(weeks * 7 - 112, weeks * 7):
            for name in ("acme", "bolt"):
                for at in range(1 if day % 28 < 14 else 2):
                    who = {"user_id": f"u{day}-{at}", "account_id": name}
                    told.event(day + 0.1 + at / 10, "used", {"kind": f"k{day}-{at}", "n": day % 7}, **who)
                told.event(day + 0.3, "ticket.solved", {"ticket_id": f"t{day - 1}"}, account_id=name)
                told.event(day + 0.4, "ticket.opened", {"ticket_id": f"t{day}"}, account_id=name)
        lane = lane_of(told.log)
        assert all(account.seat for account in lane.accounts.values())
        assert all(len(account.used) >= 3 for account in lane.accounts.values())
        sizes.append(kept_of(lane))
    first, second, third = sizes
    assert first["objects"] > 200
    assert third["used"] <= first["used"]
    assert third["looks"] <= 200
    # What is looked through only once in a while goes up and down a little.
    assert max(second["objects"], third["objects"]) <= first["objects"] * 1.1
    # A thing that is forgotten leaves four bytes, by which it is known if it comes back.
    assert third["bytes"] - first["bytes"] <= 2 * 224 * 4 + 0.15 * first["bytes"]


def kept_of(lane: ColumnLane) -> dict[str, int]:
    """How many objects a lane keeps of its accounts, how many looks it means to take, and its snapshots in bytes."""
    waiting: list[Any] = [lane._due]
    for account in lane.accounts.values():
        waiting += [getattr(account, name) for name in ("state", "truths", "used", "open", "opened")]
        waiting += [account.seat.own, account.seat.things]
    for sheet in lane._sheets.values():
        waiting += [one for table in sheet.tables.values() for one in (table.marks, table.owners, table.free)]
    known: dict[int, Any] = {}
    while waiting:
        one = waiting.pop()
        if id(one) in known or isinstance(one, (Account, KeptRow)):
            continue
        known[id(one)] = one
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple)):
            waiting += one
        elif isinstance(one, msgspec.Struct):
            waiting += [getattr(one, name) for name in one.__struct_fields__]
    size = sum(len(freeze(account)) for account in lane.accounts.values())
    used = sum(type(one) is Used for one in known.values())
    return {"objects": len(known), "used": used, "looks": len(lane._due), "bytes": size}


@pytest.mark.parametrize("kind", [Lane, ColumnLane])
def test_looks_that_are_put_off_again_and_again_do_not_pile_up(kind: type[Lane]) -> None:
    book = {"measures": {"away": {"hours_since": "used"}}, "rules": [rule("away", "away >= 2000")]}
    told = Told(book)
    for at in range(400):
        told.event(at / 10, "used")
    lane = lane_of(told.log, kind)
    assert len(lane._due) <= 70
    facts = lane.advance(told.log[-1]["recorded_at"] + 3000 * 3_600_000)
    assert [fact.at for fact in facts if isinstance(fact, Decision)] == [told.log[-1]["recorded_at"] + 2000 * 3_600_000]
