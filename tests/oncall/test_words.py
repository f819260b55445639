"""One word for a lane: from what waited at the first look, and what moved until the last."""

import pytest

from ringfirst.oncall.words import Look, left, word


def look(at=0.0, **offsets):
    return Look(at, offsets)


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        pytest.param(look(usage=(7, 7)), look(usage=(7, 7)), "OK", id="quiet for as long as you like"),
        pytest.param(look(usage=(7, 7)), look(usage=(7, 9)), "OK", id="records came only now: no stall"),
        pytest.param(look(usage=(7, 9)), look(usage=(9, 500)), "OK", id="what waited is in, whatever came since"),
        pytest.param(look(usage=(0, 900)), look(usage=(400, 5_000)), "catching up", id="it moves, and falls behind"),
        pytest.param(look(usage=(7, 8)), look(usage=(7, 8)), "stalled", id="one record waits and nothing moves"),
        pytest.param(look(usage=(7, 9)), look(usage=(7, 99)), "stalled", id="records come and nothing moves"),
        pytest.param(
            look(usage=(7, 9), support=(3, 3)), look(usage=(7, 9), support=(4, 4)), "catching up", id="one topic moves"
        ),
        pytest.param(
            look(usage=(9, 9), support=(3, 5)), look(usage=(9, 9), support=(5, 5)), "OK", id="each topic to its end"
        ),
        pytest.param(look(), look(), "OK", id="no topics at all: a store without Kafka"),
        pytest.param(look(usage=(7, 9)), look(), "OK", id="a topic that is gone tells nothing"),
    ],
)
def test_a_lane_that_has_an_owner(first, last, said):
    assert word(first, last, owned=True) == said


def test_nobody_owns_it_whatever_waits():
    assert word(look(usage=(7, 7)), look(usage=(7, 7)), owned=False) == "stopped"
    assert word(look(usage=(7, 9)), look(usage=(8, 9)), owned=False, halted=True) == "stopped"


def test_a_halted_lane_is_stalled_also_when_nothing_waits():
    assert word(look(usage=(7, 7)), look(usage=(7, 7)), owned=True, halted=True) == "stalled"


def test_an_owner_that_reads_its_accounts_or_is_in_a_long_transaction_is_no_stall():
    assert word(look(usage=(7, 9)), look(usage=(7, 9)), owned=True, moving=True) == "catching up"


def test_who_falls_behind_never_catches_up():
    assert left(100, 20.0, 10.0) is None
    assert left(100, 10.0, 10.0) is None
    assert left(0, 0.0, 10.0) == 0
