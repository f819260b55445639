"""Days, zones, dates and windows, worked out in the plainest way."""

import re
import zoneinfo
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from functools import cache, lru_cache
from typing import TypeGuard

from holidays import country_holidays

zoneinfo.reset_tzpath(to=())

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?\s?([Zz]|[+-]\d\d:?\d\d)?",
)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@cache
def zone_names() -> frozenset[str]:
    """All zones of the pinned tzdata."""
    return frozenset(zoneinfo.available_timezones())


@cache
def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name)


def is_zone(name: object) -> TypeGuard[str]:
    """Whether this is the name of a zone."""
    return isinstance(name, str) and name in zone_names()


def iso(at: int) -> str:
    """An instant as ISO in UTC, milliseconds only where there are some."""
    text = (EPOCH + timedelta(milliseconds=at)).replace(tzinfo=None, microsecond=0).isoformat()
    return f"{text}.{at % SECOND:03d}Z" if at % SECOND else f"{text}Z"


def millis(moment: datetime) -> int:
    """An aware ``datetime`` as an instant, finer parts cut."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def utc(text: str) -> int:
    """Read ``2026-03-02T09:00Z``: for tests and strategies."""
    return millis(datetime.fromisoformat(text))


@lru_cache(maxsize=1 << 16)
def local(at: int, zone: str) -> datetime:
    """The wall clock of a zone at an instant."""
    return (EPOCH + timedelta(milliseconds=at)).astimezone(_zone(zone))


def day_of(at: int, zone: str) -> date:
    """The local day of an instant."""
    return local(at, zone).date()


@lru_cache(maxsize=1 << 14)
def start_of(day: date, zone: str) -> int:
    """The first existing instant of a local day (of the next existing one, where a day was left out)."""
    guess = millis(datetime(day.year, day.month, day.day, tzinfo=_zone(zone)))
    at = guess - 3 * HOUR
    while day_of(at, zone) < day:
        at += MINUTE
    return at


def next_midnight(at: int, zone: str) -> int:
    """The first midnight strictly after an instant."""
    day = day_of(at, zone)
    while start_of(day, zone) <= at:
        day += timedelta(days=1)
    return start_of(day, zone)


@dataclass(frozen=True)
class Date:
    """A date: its instant, and its day as written if it was a bare one. Two spellings of one instant are equal."""

    at: int
    day: str | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """As an occasion and in stored values."""
        return self.day or iso(self.at)


@lru_cache(maxsize=1 << 14)
def read_date(text: str, zone: str) -> Date | None:
    """Read ``YYYY-MM-DD`` or an ISO instant; without an offset it is in the zone; None for anything else."""
    try:
        if _DAY.fullmatch(text):
            return Date(start_of(date.fromisoformat(text), zone), text)
        found = _INSTANT.fullmatch(text)
        return Date(_instant(found, zone)) if found else None
    except (ValueError, OverflowError):
        return None


def _instant(found: re.Match[str], zone: str) -> int:
    day, hour, minute, second, fraction, offset = found.groups()
    when = date.fromisoformat(day)
    micro = int((fraction or "").ljust(6, "0")[:6])
    moment = datetime(when.year, when.month, when.day, int(hour), int(minute), int(second or 0), micro)
    return millis(moment.replace(tzinfo=_offset(offset) if offset else _zone(zone)))


def _offset(text: str) -> timezone:
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError(text)
    size = timedelta(hours=hours, minutes=minutes)
    return timezone(-size if text[0] == "-" else size)


def duration(text: object) -> int:
    """``15m``, ``3d``, ``2w``: a length of time, a day being 24 hours."""
    found = re.fullmatch(r"(\d+)\s*([smhdw])", str(text).strip())
    if found is None:
        if str(text).strip() == "0":
            return 0
        raise ValueError(text)
    return int(found[1]) * UNITS[found[2]]


@dataclass(frozen=True)
class DayWindow:
    """Whole local days, both included."""

    zone: str
    first: date
    last: date

    def has(self, at: int) -> bool:
        """Whether an instant lies inside."""
        return self.first <= day_of(at, self.zone) <= self.last

    @property
    def begins(self) -> int:
        """The instant at which it begins."""
        return start_of(self.first, self.zone)

    @property
    def days(self) -> Fraction:
        """Its length in days."""
        return Fraction((self.last - self.first).days + 1)


@dataclass(frozen=True)
class ExactWindow:
    """(begins, ends]: without the instant at which it begins."""

    begins: int
    ends: int

    def has(self, at: int) -> bool:
        """Whether an instant lies inside."""
        return self.begins < at <= self.ends

    @property
    def days(self) -> Fraction:
        """Its length in days of 24 hours."""
        return Fraction(self.ends - self.begins, DAY)


Window = DayWindow | ExactWindow


def exact_lengths(spec: dict) -> list[int]:
    """The lengths after which an event enters and leaves the exact window of a measure; empty for day windows."""
    over = spec.get("over")
    found = re.fullmatch(r"\d+\s*[smh]", str(over))
    if not found:
        return []
    shift = _shift(spec.get("ending"))
    return [shift, shift + duration(over)]


def window_of(spec: dict, at: int, zone: str) -> Window | None:
    """The window of a measure as of an instant; None is all time."""
    over = spec.get("over")
    if over is None:
        return None
    words = str(over).split()
    if words[0] in ("this", "previous"):
        return _calendar(words[0], words[1], day_of(at, zone), zone)
    if exact_lengths(spec):
        end = at - _shift(spec.get("ending"))
        return ExactWindow(end - duration(over), end)
    last = day_of(at, zone) - timedelta(days=_shift(spec.get("ending")) // DAY)
    return DayWindow(zone, first=last - timedelta(days=duration(over) // DAY - 1), last=last)


def _shift(ending: object) -> int:
    return duration(str(ending).removesuffix("ago")) if ending is not None else 0


def _calendar(which: str, unit: str, today: date, zone: str) -> DayWindow:
    first = period_start(unit, today)
    if which == "this":
        return DayWindow(zone, first=first, last=today)
    last = first - timedelta(days=1)
    return DayWindow(zone, first=period_start(unit, last), last=last)


def period_start(unit: str, day: date) -> date:
    """The first day of the week (Monday), month, quarter or year of a day."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "month":
        return day.replace(day=1)
    if unit == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    return day.replace(month=1, day=1)


def due_at(at: int, settle: int, hours: dict, zone: str) -> int:
    """The first instant inside ``hours`` at or after ``at + settle``, rounded up to a full quarter of an hour."""
    quarter = 15 * MINUTE
    start = -(-(at + settle) // quarter) * quarter
    for minute in range(400 * 24 * 60):
        if _inside(local(start + minute * MINUTE, zone), hours):
            return start + minute * MINUTE
    msg = "hours that never come"
    raise ValueError(msg)


def inside_hours(at: int, hours: dict, zone: str) -> bool:
    """Whether an instant lies inside ``hours`` there."""
    return _inside(local(at, zone), hours)


def _inside(clock: datetime, hours: dict) -> bool:
    begins, ends = _minutes(hours.get("from", "08:00")), _minutes(hours.get("until", "18:00"))
    minute = clock.hour * 60 + clock.minute
    today = _is_open(clock.date(), hours)
    if begins < ends:
        return today and begins <= minute < ends
    yesterday = _is_open(clock.date() - timedelta(days=1), hours)
    return (today and minute >= begins) or (yesterday and minute < ends)


@lru_cache(maxsize=1 << 16)
def _is_holiday(day: date, code: str) -> bool:
    country, _, part = code.partition("-")
    return day in country_holidays(country, subdiv=part or None)


def _is_open(day: date, hours: dict) -> bool:
    places = hours.get("holidays", [])
    places = [places] if isinstance(places, str) else places
    if any(_is_holiday(day, code) for code in places):
        return False
    return day.weekday() in _days(hours.get("days", "mon-sun"))


def _minutes(text: str) -> int:
    hour, minute = str(text).split(":")
    return int(hour) * 60 + int(minute)


def _days(text: str | list) -> set[int]:
    found = set()
    for part in [text] if isinstance(text, str) else text:
        first, _, last = part.partition("-")
        begin, end = _WEEKDAYS.index(first), _WEEKDAYS.index(last or first)
        found |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return found
