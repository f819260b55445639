"""Instants as the engine keeps them: whole milliseconds since 1970-01-01T00:00:00Z, and their ISO text."""

import re
from datetime import UTC, datetime, timedelta, timezone

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Instant = int
"""Milliseconds since 1970 in UTC. One integer compares, stores and adds up exactly; ``iso`` makes it readable."""

_PLAIN = len("2026-03-02T09:00:00Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?\s?([Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


def iso(at: Instant) -> str:
    """Write an instant as ISO 8601 in UTC, milliseconds only where there are some.

    >>> iso(1772442000000), iso(1772442000001)
    ('2026-03-02T09:00:00Z', '2026-03-02T09:00:00.001Z')
    """
    moment = _EPOCH + timedelta(milliseconds=at)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S") if moment.year > 999 else moment.isoformat()[:19]  # noqa: PLR2004
    rest = at % SECOND
    return f"{text}.{rest:03d}Z" if rest else f"{text}Z"


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
    if len(text) == _PLAIN and text[10] == "T" and text[19] == "Z" and text[4] == text[7] == "-":
        try:
            return from_datetime(datetime.fromisoformat(text))
        except ValueError:
            return None
    found = parse_iso(text)
    if found is None or not found[1]:
        return None
    try:
        return from_datetime(found[0])
    except OverflowError:
        return None


def _offset(text: str) -> timezone:
    if text in "Zz":
        return UTC
    sign = -1 if text[0] == "-" else 1
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 23 or minutes > 59:  # noqa: PLR2004
        msg = "an offset is at most 23:59"
        raise ValueError(msg)
    return timezone(sign * timedelta(hours=hours, minutes=minutes))
