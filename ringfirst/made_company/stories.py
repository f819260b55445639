"""The stories of single customers: what happens to them beside everyday life, and when it turns."""

from collections.abc import Callable
from dataclasses import dataclass

from ringfirst.made_company import cooling, meetings, paper, support, unused
from ringfirst.made_company.calendar import TODAY
from ringfirst.made_company.customers import Customer, Plot
from ringfirst.made_company.pen import Pen

Tell = Callable[[Pen, Customer], Plot]


@dataclass(frozen=True, slots=True)
class Story:
    """A story, how many customers live it, and their size.

    ``turns`` are the first and last day on which it may turn, spread evenly; with ``today`` the last one turns so many
    days before the end that it comes to a head on the last day. A ``joins`` customer is new on the day it turns.
    """

    tell: Tell
    times: int
    size: str = "middle"
    turns: tuple[int, int] = (0, 0)
    today: int | None = None
    joins: bool = False
    seats: int | None = None
    renews: int | None = None

    def days(self) -> list[int]:
        """The day on which each of its customers turns."""
        first, last = self.turns
        found = [first + (last - first) * at // max(self.times - 1, 1) for at in range(self.times)]
        return found if self.today is None else [*found[:-1], TODAY - self.today]


STORIES = (
    # bought and not used
    Story(unused.no_automations, 4, "busy", turns=(20, 110)),
    Story(unused.asked_first, 1, "busy", turns=(118, 118)),
    Story(unused.never_opened, 2),
    Story(unused.one_hand, 2),
    Story(unused.dropped, 2, "busy", turns=(60, 100)),
    Story(unused.narrow, 3, "busy", turns=(10, 60)),
    Story(unused.idle_seats, 3, "small", seats=14),
    # going
    Story(cooling.fades, 7, "busy", turns=(45, 115), today=10, seats=9),
    Story(cooling.saved, 4, "busy", turns=(50, 100)),
    Story(cooling.champion_leaves, 3, turns=(50, 100), today=0),
    Story(cooling.champion_silent, 3, turns=(50, 120)),
    Story(cooling.person_stops, 2, "large", turns=(45, 100)),
    Story(cooling.back_in_the_morning, 2, "large", turns=(60, 100)),
    Story(cooling.in_trouble, 3, turns=(55, 105)),
    Story(cooling.bought_out, 4, "small", turns=(35, 125)),
    # nervous moments
    Story(paper.unread, 2, "small", turns=(20, 120)),
    Story(paper.unread_in_the_evening, 2, "small", turns=(50, 100)),
    Story(paper.unread_without_address, 1, "small", turns=(80, 80)),
    Story(paper.read_again, 3, turns=(40, 120), today=-1),
    Story(paper.put_off, 3, "small", turns=(30, 110)),
    Story(paper.renewal_near, 3, "small", turns=(80, 130), today=-7, renews=50),
    Story(meetings.first_days, 3, "small", turns=(12, 125), joins=True),
    Story(meetings.moved, 3, "small", turns=(20, 120), joins=True),
    Story(meetings.crowded, 2, turns=(25, 115), joins=True),
    Story(meetings.silent_start, 4, "small", turns=(15, 120), joins=True),
    Story(meetings.no_meeting, 8, "small", turns=(10, 140), joins=True),
    # support
    Story(support.red, 3, turns=(25, 120), today=0),
    Story(support.red_again, 2, "small", turns=(60, 115)),
    Story(support.piles_up, 2, "small", turns=(40, 120)),
    Story(support.waits, 3, "small", turns=(35, 125)),
    Story(support.nobody_takes_the_call, 3, "small", turns=(30, 110), today=0),
    Story(support.detractor, 3, "busy", turns=(40, 120)),
    Story(support.outage, 22, "small", turns=(99, 99)),
)
"""What happens beside everyday life."""


def nothing(pen: Pen, one: Customer) -> Plot:
    """No story: everyday life."""
    return Plot()


PLAIN = Story(nothing, 0)
SIZES = (*["small"] * 7, "middle", *["small"] * 7, "large")
"""The sizes of those who have no story, in turn."""
PLANS = ("pro", "enterprise", "pro", "pro", "free")
"""Their plans; nobody with a story is on the free one."""
