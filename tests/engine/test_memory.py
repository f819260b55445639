"""What an account takes in memory: narrow columns that grow when they must, and nothing that grows without end."""

from itertools import count

import pytest

from tests.engine.test_columns import Told, lane_of, rule, same

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
