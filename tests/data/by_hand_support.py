"""What a service desk did for each caller in a week, from the raw file, by a script without any of the product.

Days and weeks are those of UTC; the desk works from Monday to Friday, 08:00 to 18:00.
"""

import gzip
import json
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

ANSWERS = {"ticket.acknowledged", "ticket.in_progress", "ticket.pending_customer"}
OPENS = {"ticket.opened", "ticket.reopened"}
CLOSES = {"ticket.solved", "ticket.closed"}


class Round:
    """From one opening of a ticket to its end."""

    def __init__(self, opened: datetime) -> None:
        self.opened = opened
        self.answered: datetime | None = None
        self.closed: datetime | None = None


class Caller:
    """The tickets of one account, as rounds; when it was first seen; and how many solutions were told."""

    def __init__(self) -> None:
        self.first = datetime.max.replace(tzinfo=UTC)
        self.now: dict[str, Round] = {}
        self.rounds: list[Round] = []
        self.opened: dict[str, int] = defaultdict(int)
        self.solved: dict[str, int] = defaultdict(int)

    def take(self, event: dict[str, Any]) -> None:
        at, kind, ticket = datetime.fromisoformat(event["time"]), event["type"], event["properties"]["ticket_id"]
        self.first = min(self.first, at)
        self.opened[week_of(at)] += kind == "ticket.opened"
        self.solved[week_of(at)] += kind == "ticket.solved"
        if ticket not in self.now:
            if kind in OPENS:
                self.now[ticket] = Round(at)
                self.rounds.append(self.now[ticket])
        elif kind in ANSWERS:
            self.now[ticket].answered = self.now[ticket].answered or at
        elif kind in CLOSES:
            self.now.pop(ticket).closed = at

    def knows(self, week: str, log: datetime) -> bool:
        """Was all that happened in the week in the log?"""
        return max(self.first, log) <= begin_of(week)

    def figures(self, week: str) -> dict[str, float | int | None]:
        """All figures of a week."""
        start = begin_of(week)
        end = start + timedelta(days=7)

        def inside(at: datetime) -> bool:
            return start <= at < end

        answers = [(one.opened, one.answered) for one in self.rounds if one.answered and inside(one.answered)]
        ends = [(one.opened, one.closed) for one in self.rounds if one.closed and inside(one.closed)]
        return {
            "opened": sum(inside(one.opened) for one in self.rounds),
            "solved": len(ends),
            "open": sum(one.opened < end and (one.closed is None or one.closed >= end) for one in self.rounds),
            "answer_hours": middle([(b - a).total_seconds() for a, b in answers]),
            "solve_hours": middle([(b - a).total_seconds() for a, b in ends]),
            "answer_working_hours": middle([working(a, b) for a, b in answers]),
            "solve_working_hours": middle([working(a, b) for a, b in ends]),
        }


def from_trace(figure: str, events: list[dict[str, Any]], told: dict[str, dict[str, Any]]) -> float | int | None:
    """A figure made of the events that a trace lists, looked up in the raw file (``told``) by their ids."""
    times = [datetime.fromisoformat(told[one["id"]]["time"]) for one in events]
    if not figure.endswith("hours"):
        return len(events)
    lasts = working if "working" in figure else lambda start, end: (end - start).total_seconds()
    return middle([lasts(start, end) for start, end in zip(times[::2], times[1::2], strict=True)])


def raw_events(stream: Path) -> dict[str, dict[str, Any]]:
    """Every event of the file by its id."""
    with gzip.open(stream, "rt", encoding="utf-8") as lines:
        return {event["id"]: event for event in map(json.loads, lines)}


def middle(seconds: list[float]) -> float | None:
    """The median, in hours with two decimals; what lies between two of these goes to the even one."""
    if not seconds:
        return None
    ordered, half = sorted(seconds), len(seconds) // 2
    value = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return float(round(Fraction(value) / 3600, 2))


def working(start: datetime, end: datetime) -> float:
    """Seconds on the desk's clock: how far it stands at the end, less how far at the beginning."""
    return _clock(end) - _clock(start)


def _clock(at: datetime) -> float:
    """Seconds that the desk has worked since Monday, 1 January 2001."""
    weeks, weekday = divmod((at.date() - date(2001, 1, 1)).days, 7)
    today = (at - datetime.combine(at.date(), time(8), UTC)).total_seconds()
    whole = weeks * 5 + min(weekday, 5)
    return whole * 36_000 + (min(max(today, 0), 36_000) if weekday < 5 else 0)


def week_of(at: datetime) -> str:
    """The name of the ISO week."""
    year, week, _ = at.isocalendar()
    return f"{year}-W{week:02d}"


def begin_of(week: str) -> datetime:
    """Monday, 00:00."""
    return datetime.combine(date.fromisocalendar(int(week[:4]), int(week[6:]), 1), time(), UTC)


def callers(stream: Path) -> tuple[dict[str, Caller], datetime]:
    """Every account of the file, and when the file begins."""
    found: dict[str, Caller] = defaultdict(Caller)
    with gzip.open(stream, "rt", encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    for event in sorted(events, key=lambda one: datetime.fromisoformat(one["time"])):
        found[event["account_id"]].take(event)
    return dict(found), min(datetime.fromisoformat(event["time"]) for event in events)
