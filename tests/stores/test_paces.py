"""What every store promises about limits: all senders count together, and no span ever holds more than it may."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from engine.instants import DAY, HOUR, MINUTE
from engine.pacing import Counted, Full, Meter
from engine.store import Store
from engine.stores import open_store, tables
from engine.stores.sql import SqlStore
from tests.stores.made import T0

HOURLY = Meter("hourly", HOUR, 3, "3 per 1h")
DAILY = Meter("daily", DAY, 4, "4 per 1d")
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
    assert store.paced([DAILY]) == {"daily": Counted()}
    assert taken(store, DAILY, mails=5) == [None] * 4 + [DAILY]


def test_a_ceiling_rises_by_the_days_since_the_first_mail_and_then_is_gone(store: Store) -> None:
    assert taken(store, WARM, mails=3) == [None, None, WARM]
    assert store.paced([WARM])["warm-up"].since == T0
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


def test_what_no_limit_looks_back_to_is_forgotten_but_when_the_first_mail_left(durable: Store) -> None:
    taken(durable, HOURLY, WARM)
    taken(durable, DAILY, at=T0 + 2 * DAY)
    assert isinstance(durable, SqlStore)
    with durable._driver.reading() as connection:
        names = {row.name for row in connection.execute(sa.select(tables.paces.c.name))}
    assert names == {"daily", "warm-up since"}


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


@pytest.mark.parametrize("ask", [lambda store: store.paced([]), lambda store: store.pace([[]], at=T0)])
def test_nothing_is_asked_of_what_has_no_limit(store: Store, ask: Callable[[Store], object]) -> None:
    assert ask(store) in ({}, [None])
