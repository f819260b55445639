"""When a mail may leave: inside the hours, never early, the same for everybody who computes it."""

import subprocess
import sys
from dataclasses import replace
from datetime import date

import pytest
from holidays import country_holidays
from hypothesis import given
from hypothesis import strategies as st

from engine.hours import due_at, longest_closed
from engine.instants import DAY, HOUR, MINUTE, Instant, iso, parse_instant
from engine.rulebook.spec import Hours
from engine.zones import date_of, day_of, zone
from tests.judge.days import due_at as judges_due_at

WEEKDAYS = (0, 1, 2, 3, 4)
OFFICE = Hours(8 * 60, 18 * 60, WEEKDAYS)
NIGHT = Hours(22 * 60, 6 * 60, WEEKDAYS)
BAVARIA = Hours(8 * 60, 18 * 60, WEEKDAYS, ("DE-BY",))
GERMANY = Hours(8 * 60, 18 * 60, WEEKDAYS, ("DE",))
GERMAN_NIGHT = Hours(22 * 60, 6 * 60, WEEKDAYS, ("DE",))
NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe", "Antarctica/Troll")
INSTANTS = st.integers(30 * 365 * DAY, 60 * 365 * DAY)


@st.composite
def hours(draw: st.DrawFn) -> Hours:
    start = draw(st.integers(0, 95)) * 15
    end = draw(st.integers(0, 95).map(lambda quarter: quarter * 15).filter(lambda end: end != start))
    days = draw(st.sets(st.integers(0, 6), min_size=1))
    places = draw(st.sampled_from([(), (), ("DE",), ("DE-BY",), ("US-NY", "JP")]))
    return Hours(start, end, tuple(sorted(days)), places)


def is_off(day: date, place: str) -> bool:
    """A holiday, asked of the package itself."""
    country, _, part = place.partition("-")
    return day in country_holidays(country, subdiv=part or None, years=day.year)


def at(text: str) -> Instant:
    found = parse_instant(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("decided", "settle", "open_at", "key", "expected"),
    [
        pytest.param("2026-03-02T10:00:00Z", 15 * MINUTE, OFFICE, "UTC", "2026-03-02T10:15:00Z", id="in the middle"),
        pytest.param("2026-03-02T10:01:00Z", 15 * MINUTE, OFFICE, "UTC", "2026-03-02T10:30:00Z", id="rounded up"),
        pytest.param("2026-03-02T10:00:00.001Z", 0, OFFICE, "UTC", "2026-03-02T10:15:00Z", id="a millisecond late"),
        pytest.param("2026-03-02T10:00:00Z", 0, OFFICE, "UTC", "2026-03-02T10:00:00Z", id="on the quarter"),
        pytest.param("2026-03-02T05:00:00Z", 0, OFFICE, "UTC", "2026-03-02T08:00:00Z", id="before they begin"),
        pytest.param("2026-03-02T17:45:00Z", 0, OFFICE, "UTC", "2026-03-02T17:45:00Z", id="the last quarter"),
        pytest.param("2026-03-02T17:45:00Z", 15 * MINUTE, OFFICE, "UTC", "2026-03-03T08:00:00Z", id="as they end"),
        pytest.param("2026-03-06T18:00:00Z", 0, OFFICE, "UTC", "2026-03-09T08:00:00Z", id="over the weekend"),
        pytest.param("2026-03-02T23:30:00Z", 0, NIGHT, "UTC", "2026-03-02T23:30:00Z", id="before midnight"),
        pytest.param("2026-03-03T05:45:00Z", 0, NIGHT, "UTC", "2026-03-03T05:45:00Z", id="after midnight"),
        pytest.param("2026-03-07T03:00:00Z", 0, NIGHT, "UTC", "2026-03-07T03:00:00Z", id="Saturday is Friday's night"),
        pytest.param("2026-03-02T03:00:00Z", 0, NIGHT, "UTC", "2026-03-02T22:00:00Z", id="Monday has no Sunday night"),
        pytest.param("2026-03-27T20:00:00Z", 0, OFFICE, "Europe/Berlin", "2026-03-30T06:00:00Z", id="summer begins"),
        pytest.param("2026-10-23T20:00:00Z", 0, OFFICE, "Europe/Berlin", "2026-10-26T07:00:00Z", id="winter begins"),
        pytest.param("2026-03-02T10:00:00Z", 0, OFFICE, "Asia/Kathmandu", "2026-03-02T10:00:00Z", id="15:45 there"),
        pytest.param(
            "2011-12-29T10:00:00Z",
            0,
            Hours(8 * 60, 18 * 60, (4,)),
            "Pacific/Apia",
            "2012-01-05T18:00:00Z",
            id="a Friday that was not",
        ),
        pytest.param("2026-01-05T20:00:00Z", 0, GERMANY, "UTC", "2026-01-06T08:00:00Z", id="no holiday in Hamburg"),
        pytest.param("2026-01-05T20:00:00Z", 0, BAVARIA, "UTC", "2026-01-07T08:00:00Z", id="Epiphany in Bavaria"),
        pytest.param("2026-04-02T17:45:00Z", HOUR, GERMANY, "UTC", "2026-04-07T08:00:00Z", id="over Easter"),
        pytest.param(
            "2026-04-30T22:30:00Z", 0, GERMANY, "Europe/Berlin", "2026-05-04T06:00:00Z", id="already May Day there"
        ),
        pytest.param(
            "2026-05-01T23:00:00Z", 0, GERMANY, "Asia/Tokyo", "2026-05-03T23:00:00Z", id="Saturday there, on May Day"
        ),
        pytest.param(
            "2026-05-01T03:00:00Z", 0, GERMAN_NIGHT, "UTC", "2026-05-01T03:00:00Z", id="the night before May Day"
        ),
        pytest.param("2026-05-01T22:30:00Z", 0, GERMAN_NIGHT, "UTC", "2026-05-04T22:00:00Z", id="May Day's own night"),
    ],
)
def test_the_first_instant_inside_the_hours(decided: str, settle: int, open_at: Hours, key: str, expected: str) -> None:
    assert iso(due_at(at(decided), settle, open_at, zone(key))) == expected


def test_a_window_that_the_clock_skips_is_not_that_day() -> None:
    gap = Hours(2 * 60 + 15, 2 * 60 + 45)
    assert iso(due_at(at("2026-03-28T12:00:00Z"), 0, gap, zone("Europe/Berlin"))) == "2026-03-30T00:15:00Z"


def test_hours_that_never_come_are_closed_for_longer_than_any_mail_is_kept() -> None:
    sabbath = Hours(8 * 60, 18 * 60, (5,), ("IL",))
    never = replace(sabbath, start=0, end=1, days=())
    assert due_at(at("2026-03-02T10:00:00Z"), 0, never, zone("UTC")) >= at("2027-03-02T10:00:00Z")
    assert longest_closed(never) >= 365 * DAY
    assert due_at(at("2026-03-02T10:00:00Z"), 0, sabbath, zone("UTC")) < at("2026-04-02T10:00:00Z")


def test_the_ends_of_the_calendar_have_no_holidays_and_break_nothing() -> None:
    for far in (-62_135_596_800_000, 253_402_214_400_000):  # the years 1 and 9999
        assert due_at(far, 0, GERMANY, zone("UTC")) >= far


def test_a_country_is_not_asked_for_before_a_rulebook_names_one() -> None:
    code = (
        "import sys; from engine.hours import due_at; from engine.rulebook.spec import Hours; from engine.zones import "
        "zone; due_at(0, 0, Hours(), zone('UTC')); import ringfirst.cli; print('holidays' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


@given(INSTANTS, st.integers(0, 3 * DAY), hours(), st.sampled_from(ZONES))
def test_no_mail_leaves_before_it_has_settled(decided: Instant, settle: int, open_at: Hours, key: str) -> None:
    due = due_at(decided, settle, open_at, zone(key))
    assert due >= decided + settle
    assert due - decided - settle <= 40 * DAY


@given(INSTANTS, st.integers(0, 3 * DAY), hours(), st.sampled_from(ZONES))
def test_no_mail_leaves_outside_the_hours(decided: Instant, settle: int, open_at: Hours, key: str) -> None:
    where = zone(key)
    due = due_at(decided, settle, open_at, where)
    begins = [where.day(due), where.day(due) - 1]
    windows = [
        (where.wall(day, open_at.start), where.wall(day + (open_at.end <= open_at.start), open_at.end))
        for day in begins
        if date_of(day).weekday() in open_at.days and not any(is_off(date_of(day), one) for one in open_at.holidays)
    ]
    assert any(begin <= due < end for begin, end in windows)


@given(INSTANTS, st.integers(0, 3 * DAY), hours(), st.sampled_from(ZONES))
def test_asked_again_at_its_due_time_a_mail_leaves_then(
    decided: Instant, settle: int, open_at: Hours, key: str
) -> None:
    due = due_at(decided, settle, open_at, zone(key))
    if due % (15 * MINUTE) == 0:
        assert due_at(due, 0, open_at, zone(key)) == due


@given(INSTANTS, st.integers(0, 10 * HOUR), st.integers(0, 10 * HOUR), hours(), st.sampled_from(ZONES))
def test_what_is_decided_later_never_leaves_earlier(
    decided: Instant, later: int, settle: int, open_at: Hours, key: str
) -> None:
    where = zone(key)
    assert due_at(decided, settle, open_at, where) <= due_at(decided + later, settle, open_at, where)


@given(INSTANTS, st.integers(0, 3 * DAY), hours(), st.sampled_from(ZONES))
def test_the_judge_says_the_same(decided: Instant, settle: int, open_at: Hours, key: str) -> None:
    written = {
        "from": f"{open_at.start // 60:02d}:{open_at.start % 60:02d}",
        "until": f"{open_at.end // 60:02d}:{open_at.end % 60:02d}",
        "days": [NAMES[day] for day in open_at.days],
        "holidays": list(open_at.holidays),
    }
    assert due_at(decided, settle, open_at, zone(key)) == judges_due_at(decided, settle, written, key)


def test_a_week_of_mail_over_a_clock_change_leaves_at_eight() -> None:
    where = zone("Europe/Berlin")
    begin = day_of(date(2026, 3, 26))
    found = [where.local(due_at(where.start(begin + day), 0, Hours(), where)).strftime("%H:%M") for day in range(7)]
    assert found == ["08:00"] * 7
