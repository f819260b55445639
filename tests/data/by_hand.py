"""What students got out of a month, counted from the raw file by a script that imports nothing of the product."""

import gzip
import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
PAGES = {"oucontent", "resource", "url", "subpage"}


class Student:
    """The days, clicks and kinds of material of one account, by local month."""

    def __init__(self) -> None:
        self.first = datetime.max.replace(tzinfo=LONDON)
        self.days: dict[str, set[str]] = defaultdict(set)
        self.pages: dict[str, int] = defaultdict(int)
        self.forum: dict[str, int] = defaultdict(int)
        self.materials: dict[str, set[str]] = defaultdict(set)
        self.events: dict[str, set[str]] = defaultdict(set)

    def take(self, event: dict[str, Any]) -> None:
        """Count one event in the month of its local day."""
        at = datetime.fromisoformat(event["time"]).astimezone(LONDON)
        self.first = min(self.first, at)
        if event["type"] != "feature.used":
            return
        month, feature, count = f"{at:%Y-%m}", event["properties"]["feature"], event["properties"]["count"]
        self.days[month].add(f"{at:%Y-%m-%d}")
        self.materials[month].add(feature)
        self.events[month].add(event["id"])
        if feature in PAGES:
            self.pages[month] += count
        if feature == "forumng":
            self.forum[month] += count

    def figures(self, month: str) -> dict[str, int]:
        """The four figures of a month."""
        return {
            "days_here": len(self.days.get(month, ())),
            "pages_read": self.pages.get(month, 0),
            "forum_steps": self.forum.get(month, 0),
            "materials": len(self.materials.get(month, ())),
        }

    def ever(self, last: str) -> dict[str, int]:
        """The same from the beginning to the end of a month."""
        return {
            "days_here": sum(len(days) for month, days in self.days.items() if month <= last),
            "pages_read": sum(count for month, count in self.pages.items() if month <= last),
            "forum_steps": sum(count for month, count in self.forum.items() if month <= last),
            "materials": len({one for month, kinds in self.materials.items() if month <= last for one in kinds}),
        }

    def knows(self, month: str) -> bool:
        """Was the account there from the first instant of the month on?"""
        year, number = month.split("-")
        return self.first <= datetime(int(year), int(number), 1, tzinfo=LONDON)


def before(month: str) -> str:
    """The month before.

    >>> before("2014-01"), before("2014-10")
    ('2013-12', '2014-09')
    """
    year, number = map(int, month.split("-"))
    return f"{year - 1}-12" if number == 1 else f"{year}-{number - 1:02d}"


def a_year_before(month: str) -> str:
    """The same month of the year before."""
    return f"{int(month[:4]) - 1}{month[4:]}"


def students(stream: Path) -> dict[str, Student]:
    """Every account of the file."""
    found: dict[str, Student] = defaultdict(Student)
    with gzip.open(stream, "rt", encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            found[event["account_id"]].take(event)
    return dict(found)
