"""How a customer comes to be: the team, what they bought, and how the systems beside ours introduce them."""

import random
from collections.abc import Iterator

from ringfirst.made_company.calendar import DAYS, SATURDAY, date_text, workday
from ringfirst.made_company.customers import Customer, Person
from ringfirst.made_company.pen import Pen
from ringfirst.made_company.words import FIRST_NAMES, LAST_NAMES, MODULES, OWNERS, ZONES

TEAMS = {
    "small": (("champion", 2, 1, 1), ("admin", 1, 3, 1), ("member", 1, 3, 1)),
    "middle": (("champion", 3, 1, 1), ("admin", 1, 1, 1), ("member", 1, 1, 1), ("member", 1, 2, 1)),
    "busy": (("champion", 4, 1, 3), ("admin", 2, 1, 3), ("member", 3, 1, 3), *[("member", 1, 2, 2)] * 2),
    "large": (("champion", 4, 1, 2), ("admin", 2, 1, 1), *[("member", 3, 1, 1)] * 2, *[("member", 1, 2, 1)] * 6),
}
"""Role, days a week, every how many weeks, uses at a time: for everybody in a team of that size."""
MORE_MODULES = {"small": 0, "middle": 1, "busy": 1, "large": 2}
"""How many modules a team of that size has bought beside automations."""


def everybody(chance: random.Random) -> Iterator[tuple[str, str]]:
    """First and last names, no pair twice."""
    pairs = [(first, last) for first in FIRST_NAMES for last in LAST_NAMES]
    chance.shuffle(pairs)
    yield from pairs


def make_people(chance: random.Random, names: Iterator[tuple[str, str]], account: str, size: str) -> tuple[Person, ...]:
    """The team of a customer; in larger ones one or two join on the way."""
    found = []
    for at, (role, days, weeks, uses) in enumerate(TEAMS[size]):
        first, last = next(names)
        away = chance.randrange(DAYS // 7) * 7
        late = role == "member" and weeks > 1 and size != "small" and at % 3 == 0
        person = Person(
            id=f"{first}-{last}".lower(),
            name=f"{first} {last}",
            role=role,
            email=f"{first}.{last}@{account}.example".lower(),
            days=frozenset(chance.sample(range(SATURDAY), days)),
            weeks=weeks,
            uses=uses,
            holiday=range(away, away + (7 if role == "member" else 0)),
            since=chance.randrange(20, 110) if late else 0,
        )
        found.append(person)
    return tuple(found)


def choose_modules(chance: random.Random, size: str) -> tuple[str, ...]:
    """Automations, and with a larger team one or two more."""
    more = chance.sample(MODULES[1:], MORE_MODULES[size])
    return ("automations", *sorted(more))


def introduce(pen: Pen, one: Customer, ends: int) -> None:
    """Who the customer is, as the systems beside ours tell it on the first day."""
    pen.note(
        one.first_day,
        6,
        "account.updated",
        name=one.id.capitalize(),
        plan=one.plan,
        seats=one.seats,
        mrr=one.monthly,
        currency="EUR",
        modules=list(one.modules),
        owner=one.owner,
        created_at=date_text(one.created),
        renewal=date_text(one.renewal),
        timezone=one.zone,
    )
    if one.first_day > 0:
        pen.note(one.first_day, 6.2, "subscription.created", plan=one.plan, seats=one.seats)
    for person in one.people:
        day = max(one.first_day, workday(person.since, one.zone) if person.since else 0)
        if day >= ends:
            continue
        if person.since:
            pen.note(day, 6.1, "user.invited", None, role=person.role)
        pen.note(day, 6.4, "user.updated", person.id, role=person.role, name=person.name, email=person.email)


def make_customer(
    chance: random.Random,
    names: Iterator[tuple[str, str]],
    account: str,
    *,
    size: str,
    plan: str,
    joins: int | None,
    turn: int,
    seats: int | None = None,
    renews: int | None = None,
) -> Customer:
    """A customer of that size and plan who ``joins`` on a day of the story, or was there before it began."""
    later = renews + turn if renews is not None else next_renewal(chance, size)
    created = joins if joins is not None else -chance.randrange(90, 1_400)
    return Customer(
        id=account,
        zone=chance.choice(ZONES),
        plan=plan,
        size=size,
        seats=seats or len(TEAMS[size]),
        modules=choose_modules(chance, size),
        owner=chance.choice(OWNERS),
        first_day=joins or 0,
        created=created,
        renewal=created + 365 if joins is not None else later,
        people=make_people(chance, names, account, size),
        turn=turn,
    )


def next_renewal(chance: random.Random, size: str) -> int:
    """A renewal in the second half of the story for some, for most long after it."""
    soon = size != "small" and chance.random() < 0.4
    return chance.randrange(85, DAYS - 5) if soon else chance.randrange(DAYS + 70, DAYS + 300)
