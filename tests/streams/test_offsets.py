"""What it means to go on elsewhere in a partition, in numbers."""

import pytest

from engine.errors import UsageError
from streams.offsets import Standing, skip


def meant(next_offset, first, end, to):
    found = skip(Standing("usage", 0, "a cluster", next_offset, first, end, None), to)
    assert (found.topic, found.lane, found.before) == ("usage", 0, next_offset)
    return found.after, found.given_up, found.again, found.waiting


@pytest.mark.parametrize(
    ("next_offset", "first", "end", "to", "expected"),
    [
        pytest.param(4, 0, 9, "latest", (9, 5, 0, 0), id="the rest is given up"),
        pytest.param(4, 0, 9, 6, (6, 2, 0, 3), id="a part is given up"),
        pytest.param(4, 0, 9, 4, (4, 0, 0, 5), id="it stands there already"),
        pytest.param(4, 1, 9, "earliest", (1, 0, 3, 8), id="read again"),
        pytest.param(2, 6, 9, "earliest", (6, 4, 0, 3), id="what retention took counts as given up"),
        pytest.param(2, 6, 9, "latest", (9, 7, 0, 0), id="what retention took and the rest"),
        pytest.param(50, 2, 9, "earliest", (2, 0, 7, 7), id="a shorter log from its beginning"),
        pytest.param(50, 2, 9, "latest", (9, 7, 0, 0), id="a shorter log from its end"),
        pytest.param(None, 3, 9, "earliest", (3, 0, 0, 6), id="never read, from the beginning"),
        pytest.param(None, 3, 9, 5, (5, 2, 0, 4), id="never read, the first ones given up"),
        pytest.param(None, 0, 0, "latest", (0, 0, 0, 0), id="nothing there"),
    ],
)
def test_what_is_given_up_and_what_is_read_again(next_offset, first, end, to, expected):
    assert meant(next_offset, first, end, to) == expected


def test_of_a_topic_that_was_made_anew_nothing_was_read():
    found = skip(Standing("usage", 0, "a cluster", 4, 0, 9, "made anew", "b", anew=True), "earliest")
    assert (found.before, found.after, found.given_up, found.again, found.waiting) == (4, 0, 0, 0, 9)


@pytest.mark.parametrize("to", [2, 10])
def test_an_offset_that_the_log_does_not_hold_is_refused(to):
    with pytest.raises(UsageError, match="name one from 3 to 9"):
        meant(4, 3, 9, to)
