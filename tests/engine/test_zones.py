"""Days of time zones: where clocks change, where midnights do not exist, and where whole days do not."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.instants import DAY, HOUR, MINUTE, Instant, iso, parse_instant
from engine.values import read_date
from engine.zones import (
    Day,
    calendar_window,
    date_of,
    day_of,
    monday,
    round_up_quarter,
    valid_zone,
    zone,
    zone_names,
)
from tests.judge.days import Date as JudgesDate
from tests.judge.days import local as judges_local
from tests.judge.days import next_midnight as judges_midnight
from tests.judge.days import read_date as judges_date

ODD = (
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/Scoresbysund",
    "Antarctica/Troll",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Asia/Gaza",
    "Africa/Cairo",
    "Africa/Monrovia",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
)
INSTANTS = st.integers(at_least := -40 * 365 * DAY, 80 * 365 * DAY)
ZONES = st.sampled_from(ODD) | st.sampled_from(sorted(zone_names()))


def day(text: str) -> Day:
    return day_of(date.fromisoformat(text))


def at(text: str) -> Instant:
    found = parse_instant(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("key", "of", "start", "length"),
    [
        pytest.param("UTC", "2026-03-02", "2026-03-02T00:00:00Z", 24 * HOUR, id="UTC"),
        pytest.param("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z", 23 * HOUR, id="an hour is left out"),
        pytest.param("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z", 25 * HOUR, id="an hour comes twice"),
        pytest.param("Asia/Kathmandu", "2026-03-02", "2026-03-01T18:15:00Z", 24 * HOUR, id="a quarter of an hour"),
        pytest.param("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00:00Z", 24 * HOUR + 30 * MINUTE, id="half"),
        pytest.param(
            "Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30:00Z", 24 * HOUR - 30 * MINUTE, id="half back"
        ),
        pytest.param("Antarctica/Troll", "2026-03-29", "2026-03-29T00:00:00Z", 22 * HOUR, id="two hours are left out"),
        pytest.param("Antarctica/Troll", "2026-10-25", "2026-10-24T22:00:00Z", 26 * HOUR, id="two hours come twice"),
        pytest.param(
            "America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z", 23 * HOUR, id="midnight does not exist"
        ),
        pytest.param("America/Sao_Paulo", "2018-02-17", "2018-02-17T02:00:00Z", 25 * HOUR, id="23 o'clock comes twice"),
        pytest.param("Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00Z", 24 * HOUR, id="before the day that was not"),
        pytest.param("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", 0, id="a day that was not"),
        pytest.param("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z", 24 * HOUR, id="after the day that was not"),
        pytest.param(
            "Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00Z", 23 * HOUR, id="the clock goes on at midnight"
        ),
    ],
)
def test_a_day_begins_at_its_first_instant_and_is_as_long_as_it_is(key: str, of: str, start: str, length: int) -> None:
    where = zone(key)
    assert iso(where.start(day(of))) == start
    assert where.start(day(of) + 1) - where.start(day(of)) == length


@given(INSTANTS, ZONES)
def test_every_instant_belongs_to_one_day(instant: Instant, key: str) -> None:
    where = zone(key)
    today = where.day(instant)
    assert where.start(today) <= instant < where.start(today + 1)
    assert where.next_midnight(instant) > instant


@given(INSTANTS, ZONES)
def test_the_day_is_the_date_that_the_clock_on_the_wall_shows(instant: Instant, key: str) -> None:
    where = zone(key)
    shown = day_of(where.local(instant).date())
    # Where a clock goes back over midnight its second yesterday belongs to the day that has begun.
    assert where.day(instant) - shown in ((0,) if where.day(instant) == shown else (1,))


@given(INSTANTS, ZONES)
def test_days_never_overlap_and_leave_nothing_out(instant: Instant, key: str) -> None:
    where = zone(key)
    today = where.day(instant)
    starts = [where.start(today + step) for step in range(-3, 4)]
    assert starts == sorted(starts)


@given(INSTANTS, st.sampled_from(ODD))
def test_the_next_midnight_is_the_judges_next_midnight(instant: Instant, key: str) -> None:
    assert zone(key).next_midnight(instant) == judges_midnight(instant, key)


@given(INSTANTS, ZONES, st.integers(0, 1439))
def test_a_wall_clock_shows_its_time_or_the_first_after_a_gap(instant: Instant, key: str, minutes: int) -> None:
    where = zone(key)
    today = where.day(instant)
    found = where.wall(today, minutes)
    wanted = datetime.combine(date_of(today), datetime.min.time()) + timedelta(minutes=minutes)
    shown = where.local(found).replace(tzinfo=None)
    assert shown >= wanted
    assert where.local(found - 1).replace(tzinfo=None) < wanted


@pytest.mark.parametrize(
    ("key", "of", "minutes", "expected"),
    [
        pytest.param("Europe/Berlin", "2026-03-29", 150, "2026-03-29T01:00:00Z", id="half past two does not exist"),
        pytest.param("Europe/Berlin", "2026-10-25", 150, "2026-10-25T00:30:00Z", id="half past two, the first"),
        pytest.param("America/Sao_Paulo", "2018-11-04", 30, "2018-11-04T03:00:00Z", id="half past midnight was not"),
        pytest.param("Pacific/Apia", "2011-12-30", 720, "2011-12-30T10:00:00Z", id="noon of a day that was not"),
        pytest.param("Australia/Lord_Howe", "2026-10-04", 135, "2026-10-03T15:30:00Z", id="a quarter past two was not"),
    ],
)
def test_a_time_that_was_not_is_the_end_of_its_gap(key: str, of: str, minutes: int, expected: str) -> None:
    assert iso(zone(key).wall(day(of), minutes)) == expected


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        pytest.param("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:00:00Z", id="in a gap"),
        pytest.param("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00Z", id="twice"),
        pytest.param("2026-10-25T02:30:15.5", "Europe/Berlin", "2026-10-25T00:30:15.500Z", id="with parts of a second"),
        pytest.param("2026-03-02", "Asia/Kathmandu", "2026-03-01T18:15:00Z", id="a bare day"),
        pytest.param("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z", id="a bare day without a midnight"),
        pytest.param("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z", id="a bare day that was not"),
        pytest.param("2026-03-02T10:00+02:00", "Europe/Berlin", "2026-03-02T08:00:00Z", id="its own offset"),
    ],
)
def test_a_date_without_an_offset_is_in_the_accounts_zone(text: str, key: str, expected: str) -> None:
    found = read_date(text, zone(key))
    assert found is not None
    assert iso(found.at) == expected


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)), st.sampled_from(ODD), st.sampled_from([10, 16, 19, 26])
)
def test_dates_are_read_as_the_judge_reads_them(moment: datetime, key: str, length: int) -> None:
    text = moment.isoformat(timespec="microseconds")[:length]
    found, other = read_date(text, zone(key)), judges_date(text, key)
    assert found is not None
    assert isinstance(other, JudgesDate)
    assert found.at == other.at


@given(
    st.text(max_size=30) | st.from_regex(r"\d{4}-\d\d-\d\d[T ]?(\d\d:\d\d)?(:\d\d)?(Z|\+\d\d:\d\d)?", fullmatch=True)
)
def test_no_text_whatever_breaks_a_date(text: str) -> None:
    found, other = read_date(text, zone("Pacific/Apia")), judges_date(text, "Pacific/Apia")
    far = found is not None and found.at < -62_100_000_000_000  # the first year: at its edge the judge gives up earlier
    assert far or not text.isascii() or (found is None) == (other is None)


def test_digits_of_another_script_are_no_date() -> None:
    assert read_date("٢٠٢٦-03-01", zone("UTC")) is None
    assert parse_instant("٢٠٢٦-03-01T09:00:00.5Z") is None


@pytest.mark.parametrize("text", ["0001-01-01", "0001-06-01"])
def test_a_day_of_the_first_year_is_that_day_or_unknown(text: str) -> None:
    found = read_date(text, zone("UTC"))
    assert found is None or iso(found.at) == f"{text}T00:00:00Z"


@pytest.mark.parametrize(
    ("unit", "today", "previous", "first", "last"),
    [
        pytest.param("week", "2026-03-08", False, "2026-03-02", "2026-03-08", id="this week on its Sunday"),
        pytest.param("week", "2026-03-09", False, "2026-03-09", "2026-03-09", id="this week on its Monday"),
        pytest.param("week", "2026-03-09", True, "2026-03-02", "2026-03-08", id="the previous week"),
        pytest.param("month", "2026-03-31", False, "2026-03-01", "2026-03-31", id="this month"),
        pytest.param("month", "2024-03-15", True, "2024-02-01", "2024-02-29", id="a leap February"),
        pytest.param("month", "2026-01-01", True, "2025-12-01", "2025-12-31", id="the previous month in January"),
        pytest.param("quarter", "2026-06-30", False, "2026-04-01", "2026-06-30", id="this quarter"),
        pytest.param("quarter", "2026-02-01", True, "2025-10-01", "2025-12-31", id="the previous quarter"),
        pytest.param("year", "2026-02-01", False, "2026-01-01", "2026-02-01", id="this year"),
        pytest.param("year", "2025-02-01", True, "2024-01-01", "2024-12-31", id="the previous year"),
    ],
)
def test_windows_of_the_calendar(unit: str, today: str, previous: bool, first: str, last: str) -> None:
    assert calendar_window(unit, day(today), previous=previous) == (day(first), day(last))


@given(st.integers(0, 40_000), st.sampled_from(["week", "month", "quarter", "year"]))
def test_the_previous_window_ends_where_this_one_begins(today: Day, unit: str) -> None:
    this, before = calendar_window(unit, today, previous=False), calendar_window(unit, today, previous=True)
    assert this[0] <= today == this[1]
    assert before[1] + 1 == this[0]
    assert calendar_window(unit, before[1], previous=False) == before


@given(st.integers(-100_000, 100_000))
def test_weeks_begin_on_monday(today: Day) -> None:
    assert date_of(monday(today)).weekday() == 0
    assert 0 <= today - monday(today) < 7


@given(INSTANTS)
def test_a_quarter_of_an_hour_is_never_early_and_never_a_quarter_late(instant: Instant) -> None:
    found = round_up_quarter(instant)
    assert found % (15 * MINUTE) == 0
    assert 0 <= found - instant < 15 * MINUTE


@pytest.mark.parametrize("key", [None, 7, "", "Mars/Base", "europe/berlin", "../../etc/passwd", "Europe", ["UTC"]])
def test_what_names_no_zone_falls_back(key: object) -> None:
    assert valid_zone(key, zone("Europe/Berlin")).key == "Europe/Berlin"


def test_every_zone_of_tzdata_has_days() -> None:
    instant = at("2026-03-02T12:00:00Z")
    for key in zone_names():
        where = zone(key)
        assert where.start(where.day(instant)) <= instant < where.next_midnight(instant)
        assert where.local(instant).replace(tzinfo=None) == judges_local(instant, key).replace(tzinfo=None)
