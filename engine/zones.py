"""Local days: midnights, calendar windows and wall clocks of a time zone, from the pinned ``tzdata`` alone."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from engine.instants import DAY, MINUTE, Instant, from_datetime, to_datetime

Day = int
"""A calendar day as the number of days since 1970-01-01; which instants it holds depends on the zone."""

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_FIRST_DAY, _LAST_DAY = date.min.toordinal() - _EPOCH_ORDINAL, date.max.toordinal() - _EPOCH_ORDINAL
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


class Zone:
    """One time zone. A day starts at its first existing instant and ends where the next one starts."""

    __slots__ = ("_days", "_info", "_starts", "key")

    def __init__(self, key: str, info: ZoneInfo) -> None:
        self.key = key
        self._info = info
        self._starts: dict[Day, Instant] = {}
        self._days: dict[int, tuple[Instant, Instant, Day]] = {}

    def start(self, day: Day) -> Instant:
        """The first instant of a local day.

        >>> from engine.instants import iso
        >>> iso(zone("America/Sao_Paulo").start(day_of(date(2018, 11, 4))))  # midnight does not exist there
        '2018-11-04T03:00:00Z'
        """
        found = self._starts.get(day)
        if found is None:
            found = self._starts[day] = self.wall(day, 0) if _FIRST_DAY + 3 < day < _LAST_DAY - 3 else day * DAY
        return found

    def day(self, at: Instant) -> Day:
        """The local day an instant belongs to."""
        bucket = at // DAY
        if not _FIRST_DAY + 5 < bucket < _LAST_DAY - 5:
            return bucket  # at the ends of the calendar there are no local days, and nobody to have them
        found = self._days.get(bucket)
        if found is not None and found[0] <= at < found[1]:
            return found[2]
        day = bucket
        while self.start(day) > at:
            day -= 1
        while self.start(day + 1) <= at:
            day += 1
        self._days[bucket] = (self.start(day), self.start(day + 1), day)
        return day

    def day_around(self, at: Instant) -> tuple[Instant, Instant, Day]:
        """The local day an instant belongs to, between its first instant and that of the next."""
        day = self.day(at)
        found = self._days.get(at // DAY)
        return found if found is not None and found[2] == day else (self.start(day), self.start(day + 1), day)

    def next_midnight(self, at: Instant) -> Instant:
        """The first start of a local day after ``at``."""
        return self.start(self.day(at) + 1)

    def wall(self, day: Day, minutes: int) -> Instant:
        """The first instant at which the clock shows ``minutes`` past midnight of ``day``, or a gap ends."""
        local = datetime.combine(date_of(day), datetime.min.time()) + timedelta(minutes=minutes)
        at = from_datetime(local.replace(tzinfo=self._info).astimezone(UTC))
        if self._local(at) == local:
            return at
        return self._after_gap(local, at)

    def instant(self, local: datetime) -> Instant:
        """The instant of a wall-clock time without an offset (the earlier of two, the end of a gap)."""
        whole = local.replace(second=0, microsecond=0)
        at = from_datetime(local.replace(tzinfo=self._info).astimezone(UTC))
        if self._local(at) == local.replace(microsecond=local.microsecond // 1000 * 1000):
            return at
        return self._after_gap(whole, at)

    def local(self, at: Instant) -> datetime:
        """The aware local time of an instant, to show people."""
        return to_datetime(at).astimezone(self._info)

    def _local(self, at: Instant) -> datetime:
        return self.local(at).replace(tzinfo=None)

    def _after_gap(self, local: datetime, near: Instant) -> Instant:
        low, high = near - DAY - DAY // 2, near + DAY + DAY // 2
        while high - low > 1:
            middle = (low + high) // 2
            if self._local(middle) >= local:
                high = middle
            else:
                low = middle
        return high


@lru_cache(maxsize=1024)
def zone(key: str) -> Zone:
    """The zone of that name; raises ``KeyError`` for a name that ``tzdata`` does not have."""
    if key not in zone_names():
        raise KeyError(key)
    path = resources.files("tzdata").joinpath("zoneinfo", *key.split("/"))
    with path.open("rb") as file:
        return Zone(key, ZoneInfo.from_file(file, key=key))


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every zone name of the pinned ``tzdata``."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


def valid_zone(key: object, otherwise: Zone) -> Zone:
    """The zone a trait names, or ``otherwise`` when it names none."""
    return zone(key) if isinstance(key, str) and key in zone_names() else otherwise


def date_of(day: Day) -> date:
    """The calendar date of a day number.

    >>> date_of(20514).isoformat()
    '2026-03-02'
    """
    return date.fromordinal(min(max(day, _FIRST_DAY), _LAST_DAY) + _EPOCH_ORDINAL)


def day_of(day: date) -> Day:
    """The day number of a calendar date."""
    return day.toordinal() - _EPOCH_ORDINAL


def monday(day: Day) -> Day:
    """The Monday of the week that holds ``day``.

    >>> date_of(monday(20514 + 6)).isoformat()
    '2026-03-02'
    """
    return day - (day + 3) % 7


def calendar_window(unit: str, today: Day, *, previous: bool) -> tuple[Day, Day]:
    """First and last day of this (so far) or the previous week, month, quarter or year.

    >>> [date_of(day).isoformat() for day in calendar_window("quarter", 20514, previous=True)]
    ['2025-10-01', '2025-12-31']
    """
    if unit == "week":
        first = monday(today)
        return (first - 7, first - 1) if previous else (first, today)
    months = _MONTHS[unit]
    now = date_of(today)
    begin = (now.year * 12 + now.month - 1) // months * months
    if previous:
        return _month_start(begin - months), _month_start(begin) - 1
    return _month_start(begin), today


def round_up_quarter(at: Instant) -> Instant:
    """The next full quarter of an hour, or ``at`` if it is one."""
    return -(-at // (15 * MINUTE)) * 15 * MINUTE


def _month_start(months: int) -> Day:
    return day_of(date(months // 12, months % 12 + 1, 1))
