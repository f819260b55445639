"""How long a live worker waits between two fetches."""

import pytest

from streams.pace import LONGEST, Pace


def given_rate(events_a_second, seconds=10.0, step=0.05):
    pace = Pace()
    for turn in range(int(seconds / step)):
        pace.count(round(events_a_second * step * (turn + 1)) - round(events_a_second * step * turn), turn * step)
    return pace


@pytest.mark.parametrize(
    ("rate", "waits"),
    [
        pytest.param(0, 0.0, id="idle: the next record at once"),
        pytest.param(10, 0.0, id="few: each has a transaction of its own"),
        pytest.param(100, LONGEST, id="some"),
        pytest.param(2_000, 0.03, id="many"),
        pytest.param(60_000, 0.001, id="a flood"),
    ],
)
def test_a_worker_waits_as_long_as_makes_transactions_cheap(rate, waits):
    assert given_rate(rate).wait(full=False) == pytest.approx(waits, rel=0.05, abs=1e-6)


def test_a_worker_that_is_behind_never_waits():
    assert given_rate(2_000).wait(full=True) == 0.0


def test_a_burst_is_forgotten_in_seconds():
    pace = given_rate(5_000)
    for turn in range(200):
        pace.count(0, 10.0 + turn * 0.05)
    assert pace.wait(full=False) == 0.0
