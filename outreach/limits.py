"""Which limits mails leave under, as the settings say them: of the channel, of each domain written to, of a warm-up."""

import re
from collections.abc import Callable, Sequence

import msgspec

from engine.domains import wire
from engine.instants import DAY, HOUR, MINUTE, SECOND
from engine.pacing import LONGEST, Meter

EVERY = "*"
"""Stands for each domain that is not named."""
_LIMIT = re.compile(r"(\d{1,9})\s+per\s+(\d{1,5})\s*([smhd])", re.ASCII)
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


class Limit(msgspec.Struct, frozen=True):
    """At most ``most`` mails in any ``span`` (milliseconds)."""

    most: int
    span: int
    words: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How many mails may leave: by the channel, to each domain (its name, or ``*`` for every other one), and each day.

    ``warm_up`` are the ceilings of the first days of a sender's domain. Nothing said: no limit.
    """

    rate: tuple[Limit, ...] = ()
    per_domain: tuple[tuple[str, Limit], ...] = ()
    warm_up: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        """Is there any?"""
        return bool(self.rate or self.per_domain or self.warm_up)


def read_rate(text: str) -> tuple[Limit, ...]:
    """Read ``14 per 1s``, several with commas. Raises ``ValueError`` that says what is wrong.

    >>> [one.words for one in read_rate("14 per 1s, 50000 per 1d")]
    ['14 per 1s', '50000 per 1d']
    """
    return tuple(_limit(one) for one in text.split(","))


def read_per_domain(text: str) -> tuple[tuple[str, Limit], ...]:
    """Read ``gmail.com = 200 per 1h, * = 500 per 1h``. Raises ``ValueError`` that says what is wrong.

    >>> [(name, one.most) for name, one in read_per_domain("Gmail.com = 200 per 1h, * = 500 per 1h")]
    [('gmail.com', 200), ('*', 500)]
    """
    found = []
    for one in text.split(","):
        name, sign, limit = one.partition("=")
        domain = EVERY if name.strip() == EVERY else wire(name.strip())
        if not sign or domain is None:
            raise ValueError(f"it names no domain; found {one.strip()[:60]!r}; write gmail.com = 200 per 1h")
        found.append((domain, _limit(limit)))
    return tuple(found)


def read_warm_up(text: str) -> tuple[int, ...]:
    """Read ``50, 100, 200``: how many on the first day, the second, the third. Raises ``ValueError``.

    >>> read_warm_up("50, 100, 200")
    (50, 100, 200)
    """
    days = [one.strip() for one in text.split(",")]
    if not all(re.fullmatch(r"[1-9]\d{0,8}", one, re.ASCII) for one in days):
        raise ValueError("it is no row of numbers; write how many on each of the first days: 50, 100, 200, 400")
    return tuple(map(int, days))


class Metering:
    """Under which limits each mail of a channel leaves.

    ``key`` hides the domains: what is counted says of nobody that they were written to. A warm-up is that of the domain
    of the address ``sender``.
    """

    def __init__(self, limits: Limits, *, channel: str, sender: str, key: Callable[[str], str]) -> None:
        self._limits, self._channel, self._key = limits, channel, key
        self.rate = [self._meter(one, f"channel {channel}", f"by {channel}") for one in limits.rate]
        """The limits of the channel, which every mail leaves under."""
        ours = sender.rpartition("@")[2].lower()
        self._rising = Meter(key(f"warm-up {ours}"), DAY, 0, "warm-up: what its day allows has left", limits.warm_up)
        self._counted = msgspec.structs.replace(self._rising, most=None)

    def of(self, address: str, *, cold: bool) -> Sequence[Meter]:
        """The limits of a mail to an address, what the channel allows first; ``cold`` waits for no warm-up."""
        if not self._limits:
            return ()
        domain = address.rpartition("@")[2].lower()
        own = [one for name, one in self._limits.per_domain if name == domain]
        among = own or [one for name, one in self._limits.per_domain if name == EVERY]
        to = [self._meter(one, f"domain {self._channel} {domain}", "to one domain") for one in among]
        warm = [self._counted if cold else self._rising] if self._limits.warm_up else []
        return [*self.rate, *to, *warm]

    def _meter(self, limit: Limit, name: str, whose: str) -> Meter:
        return Meter(self._key(f"{name} {limit.span}"), limit.span, limit.most, f"limit of {limit.words} {whose}")


def _limit(text: str) -> Limit:
    found = _LIMIT.fullmatch(text.strip())
    if found is None or not int(found[1]) or not 0 < int(found[2]) * _UNITS[found[3]] <= LONGEST:
        raise ValueError(f"it is no limit of at most a day; found {text.strip()[:60]!r}; write 14 per 1s or 500 per 1h")
    return Limit(int(found[1]), int(found[2]) * _UNITS[found[3]], f"{found[1]} per {found[2]}{found[3]}")
