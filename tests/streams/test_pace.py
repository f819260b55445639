"""How much a live worker lets come together before it is fetched."""

import pytest

from streams.pace import TOGETHER_BYTES, Pace


def given_rate(events_a_second, seconds=10.0, step=0.05):
    pace = Pace()
    for turn in range(int(seconds / step)):
        pace.count(round(events_a_second * step * (turn + 1)) - round(events_a_second * step * turn), turn * step)
    return pace


@pytest.mark.parametrize(
    ("rate", "least"),
    [
        pytest.param(0, 1, id="idle: the next record at once"),
        pytest.param(10, 1, id="few: each has a transaction of its own"),
        pytest.param(100, TOGETHER_BYTES, id="some"),
        pytest.param(60_000, TOGETHER_BYTES, id="a flood"),
    ],
)
def test_as_much_comes_together_as_makes_transactions_cheap(rate, least):
    assert given_rate(rate).least == least


def test_a_burst_is_forgotten_in_seconds():
    pace = given_rate(5_000)
    for turn in range(200):
        pace.count(0, 10.0 + turn * 0.05)
    assert pace.least == 1
