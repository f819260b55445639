"""The pen that writes one customer's events down, in the customer's own time."""

import random
from typing import Any

from engine.instants import HOUR, MINUTE, Instant, iso
from engine.zones import zone
from ringfirst.made_company.calendar import DAYS, MONDAY

Event = dict[str, Any]
"""One event as an event file holds it."""
_SIX = 6
"""From six o'clock on no clock is changed, so that hours can simply be added."""


class Pen:
    """Writes events of one account; what would happen after the last day is left out."""

    def __init__(self, account_id: str, zone_name: str, chance: random.Random) -> None:
        self.chance = chance
        self.rows: list[Event] = []
        self._account = account_id
        self._zone = zone(zone_name)
        self._end = self._zone.start(MONDAY + DAYS)
        self._mornings: dict[int, Instant] = {}

    def note(self, day: int, hour: float, kind: str, user: str | None = None, /, **properties: Any) -> None:
        """An event of a day, at an hour (6 to 24) of the customer's clock or a few minutes later."""
        time = self.instant(day, hour) + self.chance.randrange(9 * MINUTE)
        if time >= self._end:
            return
        mark = f"{self._account}-{len(self.rows) + 1}"
        row = {"id": mark, "type": kind, "account_id": self._account, "user_id": user, "time": iso(time)}
        self.rows.append({**row, "properties": properties})

    def instant(self, day: int, hour: float) -> Instant:
        """The instant at which the customer's clock shows this hour (6 to 24) of a day of the story."""
        if day not in self._mornings:
            self._mornings[day] = self._zone.wall(MONDAY + day, _SIX * 60)
        return self._mornings[day] + int((hour - _SIX) * HOUR)
