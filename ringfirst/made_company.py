"""A made-up company for the demo: thirty customers, sixty days, the same events every time."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from engine.instants import DAY, HOUR, MINUTE, Instant, from_datetime, iso

FIRST_DAY: Instant = from_datetime(datetime(2025, 3, 3, tzinfo=UTC))
"""A Monday; sixty days on, a daylight saving time begins on the way."""
DAYS = 60
SEED = 7
TREES = [
    "alder",
    "ash",
    "aspen",
    "beech",
    "birch",
    "bramble",
    "cedar",
    "cherry",
    "chestnut",
    "cypress",
    "elder",
    "elm",
    "fir",
    "hazel",
    "holly",
    "juniper",
    "larch",
    "laurel",
    "linden",
    "maple",
    "myrtle",
    "oak",
    "olive",
    "pear",
    "pine",
    "poplar",
    "rowan",
    "spruce",
    "walnut",
    "willow",
]
PEOPLE = [
    "Ada Lindqvist",
    "Bruno Keller",
    "Chioma Eze",
    "Dario Conti",
    "Elif Kaya",
    "Farah Nasser",
    "Goran Babic",
    "Hana Sato",
    "Ines Duarte",
    "Jonas Weber",
    "Kofi Mensah",
    "Lena Novak",
    "Mateo Ruiz",
    "Nora Byrne",
    "Omar Haddad",
    "Priya Nair",
]
ROLES = ("champion", "admin", "member")
STORIES = (
    "reports only",
    "steady",
    "fading",
    "reports only",
    "onboarding",
    "steady",
    "red ticket",
    "reports only",
    "contract",
    "steady",
)
_WEEKEND = 5
_FADES = 30
Event = dict[str, Any]


def made_events() -> list[Event]:
    """Every event of the company, by time; each a JSON object as an event file holds it."""
    rows = [row for number, name in enumerate(TREES) for row in _customer(number, name)]
    rows.sort(key=lambda row: (row["time"], row["account_id"], row["id"]))
    return rows


class _Pen:
    """Writes one customer's events down."""

    def __init__(self, account_id: str, chance: random.Random) -> None:
        self.chance = chance
        self.rows: list[Event] = []
        self._account = account_id

    def note(self, day: int, hour: float, kind: str, user: str | None = None, /, **properties: Any) -> None:
        """An event at an hour of a day, a few minutes and seconds off."""
        time = FIRST_DAY + day * DAY + int(hour * HOUR) + self.chance.randrange(20 * MINUTE)
        mark = f"{self._account}-{len(self.rows) + 1}"
        row = {"id": mark, "type": kind, "account_id": self._account, "user_id": user, "time": iso(time)}
        self.rows.append({**row, "properties": properties})


def _customer(number: int, name: str) -> Iterator[Event]:
    pen = _Pen(name, random.Random(f"{SEED} {name}"))  # noqa: S311 - a story, no secret
    story = STORIES[number % len(STORIES)]
    plan = ("pro", "enterprise", "pro", "free")[number % 4] if story == "steady" else ("pro", "enterprise")[number % 2]
    owner = ("lifecycle@ringfirst.example", "mara@ringfirst.example")[number % 2]
    pen.note(0, 5, "account.updated", plan=plan, seats=5 + number, mrr=90 * (1 + number % 7), owner=owner)
    for at, role in enumerate(ROLES):
        person = PEOPLE[(number + 5 * at) % len(PEOPLE)]
        mail = f"{person.split()[0].lower()}@{name}.example"
        pen.note(0, 6, "user.updated", f"u{at + 1}", role=role, name=person, email=mail)
    _days(pen, story)
    _moments(pen, story)
    yield from pen.rows


def _days(pen: _Pen, story: str) -> None:
    """The working days: sessions, reports, here and there an automation or a question."""
    for day in range(1, DAYS):
        if day % 7 >= _WEEKEND or (story == "fading" and day > _FADES):
            continue
        for user in ("u1", "u2", "u3"):
            if pen.chance.random() < 0.8:  # noqa: PLR2004 - most come on most days
                pen.note(day, 7, "session.started", user)
                for hour in range(8, 11 if story == "fading" else 9):
                    pen.note(
                        day, hour, "feature.used", user, feature=pen.chance.choice(["reports", "charts", "exports"])
                    )
        if story in {"steady", "fading"} and day % 3 == 0:
            pen.note(day, 10, "feature.used", "u1", feature="automations", minutes_saved=pen.chance.randrange(5, 40))
        if pen.chance.random() < 0.02:  # noqa: PLR2004 - about one question in ten weeks
            _question(pen, day, answered_after=pen.chance.choice([0.5, 3, 20]))


def _moments(pen: _Pen, story: str) -> None:
    """What makes a story: meetings that move, contracts that lie, tickets that burn."""
    if story == "onboarding":
        start, moved = (iso(FIRST_DAY + day * DAY + 9 * HOUR) for day in (10, 17))
        pen.note(2, 9, "meeting.scheduled", "u1", meeting_id="m1", kind="orientation", starts_at=start)
        pen.note(8, 9, "meeting.rescheduled", "u1", meeting_id="m1", kind="orientation", starts_at=moved)
        pen.note(17, 10, "meeting.held", "u1", meeting_id="m1", kind="orientation")
    if story == "contract":
        pen.note(37, 10, "contract.sent", None, contract_id="c1", signer="u2")
        pen.note(42, 9, "contract.viewed", "u2", contract_id="c1")
        pen.note(43, 9, "contract.signed", "u2", contract_id="c1")
    if story == "red ticket":
        pen.note(22, 9, "ticket.opened", "u1", ticket_id="red-1", subject="Exports fail since this morning")
        pen.note(22, 9.5, "ticket.escalated", None, ticket_id="red-1", grade="red")
        pen.note(22, 14, "ticket.replied", None, ticket_id="red-1", by="agent")
        pen.note(24, 9, "ticket.solved", None, ticket_id="red-1")


def _question(pen: _Pen, day: int, *, answered_after: float) -> None:
    ticket = f"t{day}"
    pen.note(day, 12, "ticket.opened", "u2", ticket_id=ticket, subject="How do I share a report?")
    pen.note(day, 12.5 + answered_after, "ticket.replied", None, ticket_id=ticket, by="agent")
    pen.note(day + 1, 12.5 + answered_after, "ticket.solved", None, ticket_id=ticket)
