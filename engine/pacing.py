"""How many mails may leave in a span of time: counted in the store, so that all senders count together. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from engine.instants import DAY, MINUTE, Instant

PARTS = 60
"""A span is counted in so many parts. One that has begun counts whole, so a limit is never gone over, and at most a
sixtieth of its span is given away."""
LONGEST = DAY
"""No limit looks further back."""
AHEAD = 5 * MINUTE
"""What was counted so much later than now, was counted by a clock that was ahead; clocks differ by less."""


class Meter(msgspec.Struct, frozen=True):
    """A limit on mails, counted in the store under ``name``: at most ``most`` in any ``span`` (milliseconds).

    ``days`` makes it a ceiling that rises: so many in any 24 hours of the first day since the first mail that was
    counted, so many of the second, and none after the last. ``most`` None: it is counted, and holds nothing back.
    ``words`` say it to people.
    """

    name: str
    span: int
    most: int | None
    words: str
    days: tuple[int, ...] = ()

    @property
    def step(self) -> int:
        """How long one part is, in milliseconds."""
        return max(1, self.span // PARTS)


class Counted(NamedTuple):
    """What was counted of a meter: mails by the instant at which their part begins, and when the first one left."""

    parts: Sequence[tuple[Instant, int]] = ()
    since: Instant | None = None


class Full(msgspec.Struct, frozen=True):
    """A meter that lets nothing through, and the first instant at which it may."""

    meter: Meter
    until: Instant


def part_of(meter: Meter, at: Instant) -> Instant:
    """When the part begins that ``at`` lies in."""
    return at - at % meter.step


def ceiling(meter: Meter, since: Instant | None, at: Instant) -> int | None:
    """How many may leave in the span that ends at ``at``; None: any number. A clock before ``since`` is its first day.

    >>> rising = Meter("x", DAY, 0, "", (50, 100))
    >>> [ceiling(rising, since, at) for since, at in ((None, 0), (0, DAY - 1), (0, DAY), (0, 2 * DAY), (DAY, 0))]
    [50, 50, 100, None, 50]
    """
    if meter.most is None or not meter.days:
        return meter.most
    day = 0 if since is None else max(0, at - since) // DAY
    return meter.days[day] if day < len(meter.days) else None


def left(meter: Meter, counted: Counted, at: Instant) -> int | None:
    """How many more mails a meter lets through at ``at``; None: any number.

    >>> left(Meter("x", 3_600_000, 5, "5 per 1h"), Counted([(0, 2)]), 0)
    3
    """
    most = ceiling(meter, counted.since, at)
    if most is None:
        return None
    inside = sum(mails for begins, mails in counted.parts if begins + meter.step + meter.span > at)
    return max(0, most - inside)


def full(meter: Meter, counted: Counted, at: Instant) -> Full | None:
    """Whether a meter lets no mail through at ``at``; None: it does.

    What was counted later than ``at`` counts too: a clock was ahead, or is behind now.

    >>> hourly = Meter("x", 3_600_000, 2, "2 per 1h")
    >>> full(hourly, Counted([(0, 1)]), 0), full(hourly, Counted([(0, 2)]), 3_659_999).until
    (None, 3660000)
    """
    most = ceiling(meter, counted.since, at)
    if most is None:
        return None
    ends = sorted((begins + meter.step + meter.span, mails) for begins, mails in counted.parts)
    inside = [(end, mails) for end, mails in ends if end > at]
    left = sum(mails for _, mails in inside)
    until = at
    for end, mails in inside:
        if left < most:
            break
        left, until = left - mails, end
    if until == at:
        return None
    higher = _higher(meter, counted.since, at)
    return Full(meter, until if higher is None else min(until, higher))


def _higher(meter: Meter, since: Instant | None, at: Instant) -> Instant | None:
    """When the ceiling rises next."""
    return None if since is None or not meter.days else since + (max(0, at - since) // DAY + 1) * DAY
