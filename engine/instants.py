"""Instants as the engine keeps them: whole milliseconds since 1970-01-01T00:00:00Z, and their ISO text."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Instant = int
"""Milliseconds since 1970 in UTC. One integer compares, stores and adds up exactly; ``iso`` makes it readable."""

_DAY_LONG = len("2026-03-02T")
_PLAIN = len("2026-03-02T09:00:00Z")
_FINE = len("2026-03-02T09:00:00.000Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK = {f"{minute // 60:02d}:{minute % 60:02d}:": minute * MINUTE for minute in range(24 * 60)}
_MINUTES = list(_CLOCK)
_SECONDS = {f"{second:02d}{end}": second * SECOND for second in range(60) for end in "Z."}
_FRACTIONS = {f"{part:03d}": part for part in range(1000)}
_DAYS: dict[str, Instant] = {}
_MOST_DAYS = 20_000
_DATE = re.compile(r"\d{4}-\d\d-\d\dT", re.ASCII)
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?\s?([Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


def iso(at: Instant) -> str:
    """Write an instant as ISO 8601 in UTC, milliseconds only where there are some.

    >>> iso(1772442000000), iso(1772442000001)
    ('2026-03-02T09:00:00Z', '2026-03-02T09:00:00.001Z')
    """
    day, rest = divmod(at, DAY)
    try:
        text = _day_text(day)
    except OverflowError:
        return f"{at} ms from 1970"  # beyond the years that have a spelling; only a refusal says such a thing
    minute, rest = divmod(rest, MINUTE)
    second, rest = divmod(rest, SECOND)
    return f"{text}{_MINUTES[minute]}{second:02d}.{rest:03d}Z" if rest else f"{text}{_MINUTES[minute]}{second:02d}Z"


def to_datetime(at: Instant) -> datetime:
    """Give the instant as an aware UTC ``datetime``."""
    return _EPOCH + timedelta(milliseconds=at)


def from_datetime(moment: datetime) -> Instant:
    """Take an aware ``datetime``; anything finer than a millisecond is cut."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def parse_iso(text: str) -> tuple[datetime, bool] | None:
    """Read ISO 8601 date and time: (wall clock or aware time, has it an offset), or None if it is no such text.

    >>> parse_iso("2026-03-02T10:00:00+01:00")[1], parse_iso("2026-03-02 10:00")[1], parse_iso("2 March")
    (True, False, None)
    """
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    micro = int((fraction or "0").ljust(6, "0")[:6])
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), micro)
        if offset is None:
            return moment, False
        return moment.replace(tzinfo=_offset(offset)), True
    except ValueError:
        return None


def parse_instant(text: str) -> Instant | None:
    """Read an ISO 8601 instant that names its offset; None for anything else.

    >>> parse_instant("2026-03-02T10:00:00+01:00") == parse_instant("2026-03-02T09:00:00Z")
    True
    """
    try:  # nearly every time of a stream is on a day and in a spelling that was met before
        if len(text) == _PLAIN:
            return _DAYS[text[:11]] + _CLOCK[text[11:17]] + _SECONDS[text[17:]]
        if len(text) == _FINE and text[23] == "Z":
            return _DAYS[text[:11]] + _CLOCK[text[11:17]] + _SECONDS[text[17:20]] + _FRACTIONS[text[20:23]]
    except KeyError:
        _note_day(text[:11])
    found = parse_iso(text)
    if found is None or not found[1]:
        return None
    try:
        return from_datetime(found[0])
    except OverflowError:
        return None


@lru_cache(maxsize=4_096)
def _day_text(day: int) -> str:
    """``YYYY-MM-DDT`` of a day in UTC; raises ``OverflowError`` for one that has no spelling."""
    return (_EPOCH + timedelta(days=day)).isoformat()[:_DAY_LONG]


def _note_day(text: str) -> None:
    """Remember the start of a day in UTC by its ``YYYY-MM-DDT``; the days of a stream are few."""
    if _DATE.fullmatch(text) is None or len(_DAYS) > _MOST_DAYS:
        return
    with suppress(ValueError):
        _DAYS[text] = from_datetime(datetime(int(text[:4]), int(text[5:7]), int(text[8:10]), tzinfo=UTC))


def _offset(text: str) -> timezone:
    if text in "Zz":
        return UTC
    sign = -1 if text[0] == "-" else 1
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 23 or minutes > 59:  # noqa: PLR2004
        msg = "an offset is at most 23:59"
        raise ValueError(msg)
    return timezone(sign * timedelta(hours=hours, minutes=minutes))
