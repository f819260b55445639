"""A made-up company for the demo: two hundred customers, a hundred and fifty days, the same events every time.

Most customers live their everyday life (``habits``); some live a story beside it (``stories``).
"""

import random
from collections.abc import Iterator

from ringfirst.made_company.arrivals import everybody, introduce, make_customer
from ringfirst.made_company.calendar import DAYS
from ringfirst.made_company.habits import live
from ringfirst.made_company.pen import Event, Pen
from ringfirst.made_company.stories import PLAIN, PLANS, SIZES, STORIES, Story
from ringfirst.made_company.words import COMPANIES

__all__ = ["DAYS", "SEED", "cast", "made_events"]
SEED = 7


def made_events(seed: int = SEED) -> list[Event]:
    """Every event of the company, by time; each a JSON object as an event file holds it.

    The same seed gives the same events, on every machine.
    """
    names = everybody(random.Random(f"{seed} names"))
    rows: list[Event] = []
    for number, (account, (story, turn)) in enumerate(cast(seed).items()):
        rows += _events(random.Random(f"{seed} {account}"), names, account, story, turn, number)
    rows.sort(key=lambda row: (row["time"], row["account_id"], row["id"]))
    return rows


def cast(seed: int = SEED) -> dict[str, tuple[Story, int]]:
    """Which customer lives which story, and the day on which it turns."""
    parts = [(story, turn) for story in STORIES for turn in story.days()]
    parts += [(PLAIN, 0)] * (len(COMPANIES) - len(parts))
    companies = list(COMPANIES)
    random.Random(f"{seed} cast").shuffle(companies)
    return dict(zip(companies, parts, strict=True))


def _events(
    chance: random.Random, names: Iterator[tuple[str, str]], account: str, story: Story, turn: int, number: int
) -> list[Event]:
    one = make_customer(
        chance,
        names,
        account,
        size=SIZES[number % len(SIZES)] if story is PLAIN else story.size,
        plan=PLANS[number % len(PLANS)] if story is PLAIN else PLANS[number % 2],
        joins=turn if story.joins else None,
        turn=turn,
        seats=story.seats,
        renews=story.renews,
    )
    pen = Pen(account, one.zone, chance)
    plot = story.tell(pen, one)
    introduce(pen, one, plot.ends)
    live(pen, one, plot)
    return pen.rows
