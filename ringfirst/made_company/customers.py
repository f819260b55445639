"""The customers of the story: who they are, who works there on which days, and what is unusual about them."""

from dataclasses import dataclass, field

from ringfirst.made_company.calendar import DAYS

PRICES = {"free": 0, "pro": 39, "enterprise": 59}
"""Euros for a seat and month."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works at a customer. ``days`` are weekdays, in every ``weeks``-th week; ``since`` a day."""

    id: str
    name: str
    role: str
    email: str
    days: frozenset[int]
    weeks: int
    uses: int
    holiday: range
    since: int = 0

    def is_here(self, day: int) -> bool:
        """Has the person joined, and is not on holiday?"""
        return day >= self.since and day not in self.holiday

    def means_to_come(self, day: int) -> bool:
        """Is this one of the days on which the person usually comes?"""
        return self.is_here(day) and day % 7 in self.days and (day // 7 + len(self.id)) % self.weeks == 0


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer. ``first_day`` is 0 for those who were there before the story begins; days may lie behind its end."""

    id: str
    zone: str
    plan: str
    size: str
    seats: int
    modules: tuple[str, ...]
    owner: str
    first_day: int
    created: int
    renewal: int
    people: tuple[Person, ...]
    turn: int = 0

    @property
    def monthly(self) -> int:
        """Euros a month."""
        return self.seats * PRICES[self.plan]

    def with_role(self, role: str) -> Person:
        """The first person of a role."""
        return next(person for person in self.people if person.role == role)


@dataclass(slots=True)
class Plot:
    """What is unusual about a customer's use.

    ``shares`` are (from which day, what share of their usual days people come); ``unused`` features are never used,
    ``until`` some only until a day, ``only`` some by one person alone; ``gone`` people come until a day; ``ends`` is
    the day on which the customer cancels.
    """

    shares: list[tuple[int, float]] = field(default_factory=list)
    unused: frozenset[str] = frozenset()
    until: dict[str, int] = field(default_factory=dict)
    only: dict[str, str] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)
    ends: int = DAYS

    def share(self, day: int) -> float:
        """The share of usual days on which people come."""
        return next((share for begin, share in reversed(self.shares) if day >= begin), 1.0)

    def open_to(self, person: Person, day: int, features: tuple[str, ...]) -> list[str]:
        """The features that this person uses on this day."""
        return [
            name
            for name in features
            if name not in self.unused
            and day <= self.until.get(name, DAYS)
            and self.only.get(name, person.id) == person.id
        ]
