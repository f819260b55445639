"""Sources: how much is heard of each stream, hour by hour, and when its silence is the stream's and not the customers'.

Every lane counts what it records of each source of the policy; when all lanes have passed a full hour, their counts are
added, and the source is judged as of that hour (RULEBOOK 10). No clock, no store: both come in as arguments.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import msgspec

from engine.instants import DAY, HOUR, MINUTE, Instant
from engine.rulebook.spec import Source

SOURCES = "sources"
"""Under this name a lane's share has what it heard."""
EVERY_LANE = "*"
"""Stands there too when one owner counted all lanes: one that wrote nothing of the hour heard nothing."""
WEEKS = 4
FEWEST_WEEKS = 2
"""So many of the four weeks before must lie in the log, or nobody can say what is usual."""
REMEMBERED = (7 * WEEKS + 2) * DAY
"""What lies further back is never asked for."""
FEWEST_USUAL = 20
"""Where usually fewer events come in 24 hours, a few less are chance: a source that is well stays so."""
BAD_SHARE = 100
"""More than one record in so many among the dead letters makes a source late."""
FEWEST_RECORDS = 100
"""Of fewer records in an hour, dead letters say nothing about the stream."""


class Hour(msgspec.Struct, array_like=True):
    """What was heard of a source in an hour: recorded events, dead letters, and the age of the oldest record.

    ``age`` (milliseconds) is how old a record was when it was taken in, if that was longer than ``late_after``; else 0.
    """

    events: int = 0
    letters: int = 0
    age: int = 0

    def plus(self, other: "Hour") -> "Hour":
        """Both together."""
        return Hour(self.events + other.events, self.letters + other.letters, max(self.age, other.age))


SILENT = Hour()


class _Letter(msgspec.Struct):
    """As much of a dead letter as tells where it belongs."""

    type: str


_type_of = msgspec.json.Decoder(_Letter).decode


class Listener:
    """One lane's count of the hour that runs."""

    def __init__(self, sources: Sequence[Source], begun: Mapping[str, Any] | None = None) -> None:
        """``begun`` is what the lane has written of this hour already."""
        self._sources = sources
        self.patience = min((source.late_after for source in sources), default=0)
        """A record that is older than this when it is taken in may make a source late."""
        self._types: dict[str, int] = {}
        self._hours = {mark: msgspec.convert(row, Hour) for mark, row in (begun or {}).items() if mark != EVERY_LANE}
        self.changed = False
        """Was anything heard since it was written last?"""

    def hear(self, event_type: str) -> None:
        """An event was recorded."""
        self._types[event_type] = self._types.get(event_type, 0) + 1
        self.changed = True

    def old(self, event_type: str, age: int) -> None:
        """A live record was ``age`` milliseconds old when it was taken in."""
        for source in self._sources:
            if age > source.late_after and source.types.match(event_type):
                self._add(source, Hour(age=age))

    def letter(self, raw: bytes) -> None:
        """A record went to the dead letters; one whose type cannot be read may have been of any source."""
        try:
            event_type = _type_of(raw).type
        except (msgspec.DecodeError, msgspec.ValidationError):
            event_type = None
        for source in self._sources:
            if event_type is None or source.types.match(event_type):
                self._add(source, Hour(letters=1))

    def heard(self) -> dict[str, Hour]:
        """What was heard of each source so far, by its mark."""
        for event_type, count in self._types.items():
            for source in self._sources:
                if source.types.match(event_type):
                    self._add(source, Hour(count))
        self._types.clear()
        return {source.mark: self._hours.get(source.mark, Hour()) for source in self._sources}

    def turn(self) -> dict[str, Hour]:
        """The hour is full: what was heard in it; the next one begins."""
        found = self.heard()
        self._hours = {}
        self.changed = False
        return found

    def _add(self, source: Source, more: Hour) -> None:
        self._hours[source.mark] = self._hours.get(source.mark, Hour()).plus(more)
        self.changed = True


class Ledger:
    """What all lanes heard, hour by hour, and what that says of each source."""

    def __init__(self, sources: Sequence[Source], *, live: bool) -> None:
        """``live``: dead letters and the age of records count; in history records are old by nature."""
        self._sources = sources
        self._live = live
        self._began: dict[str, Instant] = {}
        self._sums: dict[str, list[int]] = {}
        """Of each source, from the hour in which its count began: all events up to the end of each hour."""
        self._last: dict[str, Hour] = {}
        self.until: Instant | None = None
        """The hour that was added last."""

    def add(self, hour: Instant, parts: Sequence[Mapping[str, Any] | None]) -> None:
        """Add what each lane heard in the hour that ended at ``hour``; None: nobody knows what a lane heard."""
        for source in self._sources:
            mark = source.mark
            rows = [None if part is None else part.get(mark) for part in parts]
            if None in rows or self._began.get(mark, hour) + len(self._sums.get(mark, ())) * HOUR != hour:
                self._began.pop(mark, None)  # an hour is missing: what is usual is learned anew
                self._sums.pop(mark, None)
            if None in rows:
                continue
            whole = Hour()
            for row in rows:
                whole = whole.plus(row if isinstance(row, Hour) else msgspec.convert(row, Hour))
            self._began.setdefault(mark, hour)
            sums = self._sums.setdefault(mark, [])
            sums.append((sums[-1] if sums else 0) + whole.events)
            self._last[mark] = whole
        self.until = hour

    def changes(self, late: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
        """The entries that bring lanes, for which the sources ``late`` are late, to what holds after the last hour."""
        found: list[tuple[str, dict[str, Any]]] = []
        for source in self._sources:
            why = self.why_late(source, was=source.name in late)
            if why is not None and source.name not in late:
                found.append(("source.late", {"source": source.name, "why": why, "since": self.until}))
            elif why is None and source.name in late:
                found.append(("source.well", {"source": source.name}))
        return found

    def why_late(self, source: Source, *, was: bool = False) -> str | None:
        """Why a source, which ``was`` late or well an hour before, is late now; None: it is well, or nobody can say."""
        if self._live and (why := _why_now(self._last.get(source.mark, Hour()))) is not None:
            return why
        day = self._day(source.mark, 0)
        weeks = [one for week in range(1, WEEKS + 1) if (one := self._day(source.mark, week * 7 * 24)) is not None]
        if day is None or len(weeks) < FEWEST_WEEKS:
            return None
        usual = median(weeks)
        if usual < FEWEST_USUAL and not was:
            return None
        return f"{day:,} events in 24 hours, usually {usual:,.0f}" if day < source.least * usual else None

    def _day(self, mark: str, hours_ago: int) -> int | None:
        """Events of the 24 hours that ended so many hours ago; None if they do not lie wholly within what was heard."""
        sums = self._sums.get(mark, ())
        end = len(sums) - 1 - hours_ago
        return sums[end] - sums[end - 24] if end >= 24 else None  # noqa: PLR2004 - hours of a day


def _why_now(hour: Hour) -> str | None:
    records = hour.events + hour.letters
    if records >= FEWEST_RECORDS and hour.letters * BAD_SHARE > records:
        return f"{hour.letters:,} of {records:,} records of an hour are dead letters"
    if hour.age:
        return f"a record was {hour.age // MINUTE:,} minutes old when it came"
    return None


def hour_after(at: Instant) -> Instant:
    """The end of the hour that runs at ``at``; what is recorded at a full hour belongs to the next one.

    >>> hour_after(0) == HOUR, hour_after(HOUR - 1) == HOUR
    (True, True)
    """
    return (at // HOUR + 1) * HOUR


def written(heard: Mapping[str, Hour]) -> dict[str, list[int]]:
    """What was heard, as a share has it."""
    return {mark: [hour.events, hour.letters, hour.age] for mark, hour in heard.items()}
