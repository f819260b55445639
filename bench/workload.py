"""The events that speed is measured with: a made-up product's use, in time order, the same for the same parameters."""

import argparse
import gzip
import hashlib
import itertools
import os
import sys
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

VERSION = 1
"""Counted up when the same parameters give other events, so that no old file is taken for a new one."""
START = datetime(2024, 1, 1, tzinfo=UTC)
"""A Monday; 720 days from it still lie in the past, and both changes of the clocks lie in any 300 days."""
HOUR = 3_600_000
DAY = 24 * HOUR
FEATURES = (
    "reports",
    "automations",
    "dashboards",
    "exports",
    "alerts",
    "forms",
    "calendar",
    "integrations",
    "templates",
    "comments",
    "search",
    "api",
)
PLANS = ("starter", "pro", "pro", "enterprise")
ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "Europe/Lisbon",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Asia/Singapore",
    "Australia/Sydney",
    "Pacific/Auckland",
    "Africa/Nairobi",
)

Row = tuple[int, str, int, int, str]
"""An event before it is written: time in ms since START, type, account, person (-1: nobody), properties as JSON."""


@dataclass(frozen=True)
class Workload:
    """The parameters of a workload; equal ones give equal bytes.

    72 % of the events are uses of 12 features, 22 % sessions, 5 % tickets, 1 % contracts, meetings and accounts. A few
    accounts do most (zipf 0.9). 1 % of the lines are events that come a second time. ``people`` is how many an account
    has in the mean. With 12 ``zones`` each account begins with an event that sets its zone.
    """

    events: int = 1_000_000
    accounts: int = 10_000
    days: int = 180
    zones: int = 1
    people: int = 4
    seed: int = 25

    def path(self) -> Path:
        """The file with these events, one JSON object a line; made once and kept in the temporary folder."""
        mark = hashlib.sha256(repr((VERSION, *astuple(self))).encode()).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"bench-workload-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{self.events}-{self.accounts}-{self.days}d-{self.zones}z-{mark}.jsonl"
        if not path.exists():
            half = path.with_suffix(f".{os.getpid()}")
            self.write(half)
            half.rename(path)
        return path

    def lines(self) -> Iterator[bytes]:
        """The events as lines of a file, without the line's end."""
        with self.path().open("rb") as file:
            for line in file:
                yield line[:-1]

    def write(self, path: Path) -> None:
        """Make the events and write them; a path that ends in ``.gz`` is packed."""
        packed = path.name.endswith(".gz")
        with gzip.open(path, "wb", compresslevel=1) if packed else path.open("wb") as file:
            rows = _Maker(self).lines()
            while batch := list(itertools.islice(rows, 10_000)):
                file.write(("\n".join(batch) + "\n").encode())


class _Maker:
    """Draws the events of one workload."""

    def __init__(self, of: Workload) -> None:
        self.of = of
        self.rng = Random(f"{of.seed}-{of.events}-{of.accounts}-{of.days}")
        ranks = range(1, of.accounts + 1)
        self.shares = list(itertools.accumulate(rank**-0.9 for rank in ranks))
        sizes = [rank**-0.35 for rank in ranks]
        scale = of.people * of.accounts / sum(sizes)
        self.people = [max(1, round(size * scale)) for size in sizes]
        self.lives = [self._life() for _ in ranks]

    def _life(self) -> tuple[float, float, float]:
        """When an account begins and ends, as shares of all days, and the day at which it is away for three weeks."""
        draw = self.rng.random()
        if draw < 0.55:
            return 0.0, 1.0, -1.0
        if draw < 0.7:
            return 0.0, self.rng.uniform(0.3, 0.9), -1.0
        if draw < 0.85:
            return self.rng.uniform(0.1, 0.8), 1.0, -1.0
        return 0.0, 1.0, self.rng.uniform(21, max(22, self.of.days - 21))

    def lines(self) -> Iterator[str]:
        """All events as text, in the order they come in."""
        rows, again = self._rows(), self.of.events // 100
        keys = array("q", (row[0] for row in rows))
        order = [(keys[at], at) for at in range(len(rows))]
        later = self.rng.randrange
        order += [(keys[at] + later(1_000, 6 * HOUR), at) for at in self.rng.sample(range(len(rows)), again)]
        order.sort()
        days = [(START + timedelta(days=day)).date().isoformat() for day in range(self.of.days + 2)]
        for _, at in order:
            time, kind, account, person, properties = rows[at]
            day, ms = divmod(time, DAY)
            seconds, ms = divmod(ms, 1000)
            minutes, seconds = divmod(seconds, 60)
            user = "" if person < 0 else f'"user_id":"a{account:06}-u{person}",'
            yield (
                f'{{"id":"e{at:08x}","type":"{kind}","account_id":"a{account:06}",{user}'
                f'"time":"{days[day]}T{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{ms:03}Z",'
                f'"properties":{properties}}}'
            )

    def _rows(self) -> list[Row]:
        of = self.of
        first = of.accounts if of.zones > 1 else 0
        body = of.events - of.events // 100 - first
        tickets, rest = body * 5 // 100, body // 100
        sessions = body * 22 // 100
        rows = self._usage(body - sessions - tickets - rest)
        rows += self._sessions(sessions)
        rows += itertools.islice(self._tickets(), tickets)
        rows += itertools.islice(self._others(), rest)
        if first:
            rows += self._zones(rows)
        return rows

    def _usage(self, count: int) -> list[Row]:
        bodies = [f'{{"feature":"{name}"}}' for name in FEATURES]
        random = self.rng.random
        return [
            (self._time(account), "feature.used", account, self._person(account), bodies[_habit(account, random())])
            for account in self._accounts(count)
        ]

    def _sessions(self, count: int) -> list[Row]:
        return [
            (self._time(account), "session.started", account, self._person(account), "{}")
            for account in self._accounts(count)
        ]

    def _tickets(self) -> Iterator[Row]:
        rng, end = self.rng, self.of.days * DAY
        for number in itertools.count():
            account = self._accounts(1)[0]
            time, body = self._time(account), f'"ticket_id":"t{number}"'
            person = self._person(account)
            yield time, "ticket.opened", account, person, f'{{{body},"subject":"How do I do this?"}}'
            answered = time + int(rng.expovariate(1 / (10 * HOUR)))
            if answered < end and rng.random() < 0.9:
                yield answered, "ticket.replied", account, -1, f'{{{body},"by":"agent"}}'
            if rng.random() < 0.2 and answered + HOUR < end:
                yield answered + HOUR, "ticket.replied", account, person, f'{{{body},"by":"customer"}}'
            solved = answered + int(rng.expovariate(1 / (50 * HOUR)))
            if solved < end and rng.random() < 0.95:
                yield solved, "ticket.solved", account, -1, f"{{{body}}}"

    def _others(self) -> Iterator[Row]:
        for number in itertools.count():
            account, draw = self._accounts(1)[0], self.rng.random()
            if draw < 0.2:
                yield from self._contract(number, account)
            elif draw < 0.45:
                yield from self._orientation(number, account)
            elif draw < 0.97:
                yield self._time(account), "account.updated", account, -1, self._traits()
            else:
                yield self._time(account), "user.removed", account, self._person(account), "{}"

    def _contract(self, number: int, account: int) -> Iterator[Row]:
        rng, end = self.rng, self.of.days * DAY
        time, person, body = self._time(account), self._person(account), f'"contract_id":"c{number}"'
        until = _date(time // DAY + rng.randrange(3, 30))
        yield time, "contract.sent", account, -1, f'{{{body},"sign_by":"{until}","signer":"a{account:06}-u{person}"}}'
        if (time := time + rng.randrange(HOUR, 6 * DAY)) < end:
            yield time, "contract.viewed", account, person, f"{{{body}}}"
        if (time := time + rng.randrange(HOUR, 20 * DAY)) < end:
            yield time, "contract.signed", account, person, f"{{{body}}}"

    def _orientation(self, number: int, account: int) -> Iterator[Row]:
        rng, end = self.rng, self.of.days * DAY
        time, person = self._time(account), self._person(account)
        body = f'"meeting_id":"m{number}"'
        starts = time // HOUR * HOUR + rng.randrange(24, 400) * HOUR
        told = f'{{{body},"kind":"orientation","starts_at":"{_iso(starts)}"}}'
        yield time, "meeting.scheduled", account, person, told
        if rng.random() < 0.25 and starts - 20 * HOUR < end and starts - 20 * HOUR > time:
            time, starts = starts - 20 * HOUR, starts + 70 * HOUR
            yield time, "meeting.rescheduled", account, person, f'{{{body},"starts_at":"{_iso(starts)}"}}'
        if starts + HOUR < end:
            kind = "meeting.held" if rng.random() < 0.9 else "meeting.cancelled"
            yield starts + HOUR, kind, account, -1, f"{{{body}}}"

    def _traits(self) -> str:
        rng = self.rng
        renewal = _date(rng.randrange(0, self.of.days + 90))
        seats = rng.randrange(3, 60)
        return f'{{"plan":"{rng.choice(PLANS)}","seats":{seats},"renewal":"{renewal}"}}'

    def _zones(self, rows: list[Row]) -> Iterator[Row]:
        """The zone of each account, a moment before anything else of it."""
        first = [self.of.days * DAY] * self.of.accounts
        for row in rows:
            first[row[2]] = min(first[row[2]], row[0])
        for account, time in enumerate(first):
            zone = ZONES[account % min(self.of.zones, len(ZONES))]
            yield max(time - 1, 0), "account.updated", account, -1, f'{{"timezone":"{zone}"}}'

    def _accounts(self, count: int) -> list[int]:
        return self.rng.choices(range(self.of.accounts), cum_weights=self.shares, k=count)

    def _person(self, account: int) -> int:
        return int(self.people[account] * self.rng.random() ** 2)

    def _time(self, account: int) -> int:
        """An instant in the account's life: fewer at week-ends, none in the night, none while it is away."""
        begin, end, away = self.lives[account]
        random = self.rng.random
        at = (begin + (end - begin) * random()) * self.of.days
        if 0 < away <= at < away + 21:
            at -= 21
        if at % 7 >= 5 and random() < 0.7 and at >= 2:
            at -= 2
        if at % 1 < 0.25:
            at += 0.375
        return int(at * DAY)


def _habit(account: int, draw: float) -> int:
    """Which feature: each account has favourites of its own and hardly touches some."""
    return (int(len(FEATURES) * draw**2.2) + account * 7) % len(FEATURES)


def _date(day: int) -> str:
    return date.fromordinal(START.toordinal() + day).isoformat()


def _iso(time: int) -> str:
    return (START + timedelta(milliseconds=time)).strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> int:
    """Write a workload into a file: ``python -m bench.workload --events 100000 --out events.jsonl.gz``."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in Workload.__dataclass_fields__.items():
        parser.add_argument(f"--{name}", type=int, default=value.default)
    parser.add_argument("--out", type=Path, help="a .jsonl or .jsonl.gz file; without it a kept one is made and named")
    given = vars(parser.parse_args())
    out = given.pop("out")
    workload = Workload(**given)
    if out is None:
        print(workload.path())
    else:
        workload.write(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
