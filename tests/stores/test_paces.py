"""What every store promises about limits: all senders count together, and no span ever holds more than it may."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.instants import DAY, HOUR, MINUTE
from engine.pacing import Counted, Full, Meter
from engine.store import Store
from engine.stores import open_store, tables
from engine.stores.sql import SqlStore
from tests.stores.made import T0

HOURLY = Meter("hourly", HOUR, 3, "3 per 1h")
DAILY = Meter("daily", DAY, 4, "4 per 1d")
_NUMBERS = count()
WARM = Meter("warm-up", DAY, 0, "warm-up", (2, 3))


def taken(store: Store, *meters: Meter, at: int = T0, mails: int = 1) -> list[Meter | None]:
    return [no.meter if no is not None else None for no in store.pace([meters] * mails, at=at)]


def test_a_mail_is_counted_until_its_limit_is_full_and_told_when_there_is_room(store: Store) -> None:
    assert taken(store, HOURLY, mails=5) == [None, None, None, HOURLY, HOURLY]
    (no,) = store.pace([[HOURLY]], at=T0 + MINUTE)
    assert no == Full(HOURLY, T0 - T0 % MINUTE + MINUTE + HOUR)
    assert taken(store, HOURLY, at=no.until - 1) == [HOURLY]
    assert taken(store, HOURLY, at=no.until) == [None]


def test_a_mail_over_one_of_its_limits_is_counted_under_none(store: Store) -> None:
    taken(store, HOURLY, mails=3)
    assert taken(store, DAILY, HOURLY) == [HOURLY]
    assert store.paced([DAILY], at=T0) == {"daily": Counted()}
    assert taken(store, DAILY, mails=5) == [None] * 4 + [DAILY]


def test_a_ceiling_rises_by_the_days_since_the_first_mail_and_then_is_gone(store: Store) -> None:
    assert taken(store, WARM, mails=3) == [None, None, WARM]
    assert store.paced([WARM], at=T0)["warm-up"].since == T0
    assert taken(store, WARM, at=T0 + DAY, mails=2) == [None, WARM], "two of the last 24 hours, and three may be"
    (no,) = store.pace([[WARM]], at=T0 + DAY)
    assert no is not None
    assert no.until <= T0 + 2 * DAY
    assert taken(store, WARM, at=T0 + 2 * DAY, mails=9) == [None] * 9


def test_what_passes_a_ceiling_is_counted_under_it(store: Store) -> None:
    passing = Meter(WARM.name, WARM.span, None, WARM.words, WARM.days)
    assert taken(store, passing, mails=4) == [None] * 4
    assert taken(store, WARM) == [WARM]


def test_a_clock_that_was_ahead_lets_nobody_out_twice(store: Store) -> None:
    assert taken(store, HOURLY, at=T0 + 2 * HOUR, mails=3) == [None] * 3
    assert taken(store, HOURLY, at=T0) == [HOURLY]
    assert taken(store, HOURLY, at=T0 + HOUR) == [HOURLY]
    assert taken(store, HOURLY, at=T0 + 3 * HOUR + MINUTE) == [None]


def test_a_clock_that_was_days_ahead_is_no_reason_to_wait_for_days(store: Store) -> None:
    assert taken(store, HOURLY, DAILY, at=T0 + 3 * DAY, mails=3) == [None] * 3
    assert store.paced([HOURLY], at=T0 + 3 * DAY)["hourly"].parts == ((part(T0 + 3 * DAY), 3),)
    assert store.paced([HOURLY], at=T0)["hourly"].parts == ((part(T0), 3),), "it was put right, they left just now"
    assert taken(store, HOURLY, at=T0 + 30 * MINUTE) == [HOURLY]
    assert taken(store, HOURLY, at=T0 + HOUR + MINUTE) == [None]
    assert taken(store, HOURLY, at=T0 + 3 * DAY + MINUTE) == [HOURLY], "or it was this one that was wrong"
    assert taken(store, HOURLY, at=T0 - DAY) == [HOURLY], "further back than before"


def test_a_clock_that_was_days_ahead_makes_nothing_forgotten(store: Store) -> None:
    assert taken(store, DAILY, mails=3) == [None] * 3
    for days in range(1, 30):
        taken(store, DAILY, at=T0 + days * DAY)
    assert taken(store, DAILY, at=T0 + MINUTE, mails=2) == [DAILY, DAILY]


def test_what_no_clock_can_bring_back_is_forgotten_but_when_the_first_mail_left(durable: Store) -> None:
    quick = Meter("quick", MINUTE, 3_000, "3000 per 1m")
    taken(durable, HOURLY, WARM)
    assert isinstance(durable, SqlStore)
    with durable._driver.writing() as connection:
        durable._driver.insert(connection, tables.paces, [("quick", T0 + n * quick.step, 1) for n in range(1_700)])
    for one in range(1_700, 1_717):
        taken(durable, quick, at=T0 + one * quick.step)

    def kept() -> dict[str, int]:
        with durable._driver.reading() as connection:
            return Counter(row.name for row in connection.execute(sa.select(tables.paces.c.name)))

    assert kept() == {"hourly": 1, "warm-up": 1, "warm-up since": 1, "quick": kept()["quick"]}
    assert 1_500 <= kept()["quick"] <= 1_520
    for one in range(17):
        taken(durable, quick, at=T0 + 40 * DAY + one * quick.step)
    assert kept() == {"warm-up since": 1, "quick": 17}


JUMPS = st.sampled_from([1, MINUTE, 20 * MINUTE, HOUR, 20 * HOUR, 2 * HOUR, 3 * DAY, -2 * HOUR, -3 * DAY, -20 * MINUTE])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(JUMPS, st.integers(0, 4)), max_size=20))
def test_however_a_clock_jumps_what_left_in_the_span_before_a_mail_is_never_more_than_it_may_be(
    one_for_all: Store, steps: list[tuple[int, int]]
) -> None:
    meters, at = fresh(HOURLY, DAILY), T0
    left: list[int] = []
    for jump, mails in steps:
        at += jump
        one_for_all.paced(meters, at=at)
        left += [at for no in one_for_all.pace([meters] * mails, at=at) if no is None]
    for number, one in enumerate(left, 1):
        for meter in meters:
            assert sum(one - meter.span < other <= one for other in left[:number]) <= (meter.most or 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 2 * HOUR, 3 * DAY]), st.integers(1, 40), st.integers(0, 4)), max_size=20))
def test_once_a_clock_that_was_ahead_is_right_it_counts_what_left_meanwhile(
    one_for_all: Store, steps: list[tuple[int, int, int]]
) -> None:
    meters, now = fresh(HOURLY), T0
    left: list[tuple[int, bool]] = []
    for ahead, minutes, mails in steps:
        now += minutes * MINUTE
        left += [(now, not ahead) for no in one_for_all.pace([meters] * mails, at=now + ahead) if no is None]
    for one, right in left:
        if right:
            assert sum(one - HOUR < other <= one for other, _ in left) <= max(3, ahead_of(left, one))


@pytest.fixture(scope="module")
def one_for_all() -> Iterator[Store]:
    with closing(open_store("sqlite://")) as store:
        yield store


def fresh(*meters: Meter) -> list[Meter]:
    """The same limits, of which nothing is counted yet."""
    return [msgspec.structs.replace(one, name=f"{one.name} {next(_NUMBERS)}") for one in meters]


def ahead_of(left: list[tuple[int, bool]], one: int) -> int:
    """What left in that hour while the clock was wrong: it does not know what left before by another one."""
    return sum(one - HOUR < other <= one for other, right in left if not right)


def part(at: int) -> int:
    return at - at % MINUTE


def test_two_senders_share_a_limit(durable: Store, durable_url: str) -> None:
    many = Meter("many", HOUR, 50, "50 per 1h")

    def sender(_: int) -> int:
        other = open_store(durable_url)
        try:
            return sum(taken(other, many, DAILY if one % 7 == 0 else HOURLY) == [None] for one in range(20)) + sum(
                taken(other, many) == [None] for _ in range(20)
            )
        finally:
            other.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(sender, range(4))) == 50


@pytest.mark.parametrize("ask", [lambda store: store.paced([], at=T0), lambda store: store.pace([[]], at=T0)])
def test_nothing_is_asked_of_what_has_no_limit(store: Store, ask: Callable[[Store], object]) -> None:
    assert ask(store) in ({}, [None])
