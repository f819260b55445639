"""The loop somebody would write by hand instead of using the engine: the same 25 rules, the same decisions.

It knows the workload: 25 ifs in place of a language, events in the order of time, repeats apart, no explanations, and
a zone that only an account's first event may set. Counts are kept by day, in one of two ways: as one would write it
at first (a dict, and a window is a sum over its days), or with care (only the days that count, the newest at the end).
"""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from bench.engine import Decided

HOUR = 3_600_000
DAY = 24 * HOUR
KEEP = 38
"""Days that the longest window reaches back."""
EPOCH = date(1970, 1, 1).toordinal()

RULES = {
    "automations-underused": 30,
    "exports-underused": 30,
    "integrations-missing": 28,
    "api-stopped": 21,
    "search-heavy": 14,
    "alerts-many": 14,
    "usage-dropped": 28,
    "usage-rose": 28,
    "sessions-dropped": 21,
    "people-left": 21,
    "one-person-only": 30,
    "breadth-low": 30,
    "breadth-high": 28,
    "seats-idle": 28,
    "quiet": 28,
    "silent-start": 28,
    "busy-week": 28,
    "tickets-open": 7,
    "tickets-often": 14,
    "answers-slow": 21,
    "ticket-old": 7,
    "contract-late": 7,
    "orientation-near": 7,
    "renewal-near": 28,
    "health-red": 14,
}
"""The rules and for how many days each is quiet after it fired."""
NAMES = list(RULES)
QUIET = [days * DAY - 90 * 60_000 for days in RULES.values()]


class Wire(msgspec.Struct):
    """An event as it stands in the file."""

    id: str
    type: str
    account_id: str
    time: datetime
    user_id: str | None = None
    properties: dict[str, object] = {}


class Clock:
    """The local midnights of one zone."""

    def __init__(self, key: str, year: int) -> None:
        info = ZoneInfo(key)
        self.first = date(year - 1, 1, 1).toordinal() - EPOCH
        days = (datetime(year - 1, 1, 1, tzinfo=info) + timedelta(days=day) for day in range(365 * 5))
        self.starts = [int(start.timestamp() * 1000) for start in days]

    def start(self, day: int) -> int:
        """The first instant of a day."""
        return self.starts[day - self.first]

    def day(self, at: int) -> int:
        """The day an instant belongs to."""
        near = at // DAY
        return next(day for day in (near + 1, near, near - 1) if self.start(day) <= at)

    def midnight_after(self, at: int) -> int:
        """The first start of a day after an instant."""
        return self.starts[bisect_left(self.starts, at + 1)]


class Ticket:
    """An open ticket."""

    __slots__ = ("answered", "opened", "waiting")

    def __init__(self, opened: int) -> None:
        self.opened = opened
        self.answered = False
        self.waiting = True


class FirstCounts:
    """Counts by day, as one would write it at first."""

    def __init__(self) -> None:
        self.days: dict[int, int] = {}

    def add(self, today: int) -> None:
        """Count one for today."""
        self.days[today] = self.days.get(today, 0) + 1

    def total(self, first: int, last: int) -> int:
        """The count from one day to another."""
        return sum(self.days.get(day, 0) for day in range(first, last + 1))


class FirstValues:
    """The values of each day, as one would write it at first."""

    def __init__(self) -> None:
        self.days: dict[int, set[object]] = {}

    def note(self, today: int, value: object) -> None:
        """Note a value for today."""
        self.days.setdefault(today, set()).add(value)

    def different(self, first: int, last: int) -> int:
        """How many different values from one day to another."""
        found: set[object] = set()
        for day in range(first, last + 1):
            found |= self.days.get(day, set())
        return len(found)

    def active(self, first: int, last: int) -> int:
        """How many days have a value."""
        return sum(day in self.days for day in range(first, last + 1))


class CarefulCounts:
    """Counts by day, the newest at the end; what no window reaches is forgotten."""

    def __init__(self) -> None:
        self.days: deque[list[int]] = deque()

    def add(self, today: int) -> None:
        """Count one for today."""
        days = self.days
        if days and days[-1][0] == today:
            days[-1][1] += 1
            return
        days.append([today, 1])
        while days[0][0] <= today - KEEP:
            days.popleft()

    def total(self, first: int, last: int) -> int:
        """The count from one day to another."""
        count = 0
        for day, number in reversed(self.days):
            if day < first:
                break
            if day <= last:
                count += number
        return count


class CarefulValues:
    """The values of each day, the newest at the end; what no window reaches is forgotten."""

    def __init__(self) -> None:
        self.days: deque[tuple[int, set[object]]] = deque()

    def note(self, today: int, value: object) -> None:
        """Note a value for today."""
        days = self.days
        if days and days[-1][0] == today:
            days[-1][1].add(value)
            return
        days.append((today, {value}))
        while days[0][0] <= today - KEEP:
            days.popleft()

    def different(self, first: int, _last: int) -> int:
        """How many different values since a day; there is none after today."""
        found: set[object] = set()
        for day, values in reversed(self.days):
            if day < first:
                break
            found |= values
        return len(found)

    def active(self, first: int, _last: int) -> int:
        """How many days have a value since a day."""
        return sum(1 for day, _ in self.days if day >= first)


Counts = FirstCounts | CarefulCounts
Values = FirstValues | CarefulValues
WAYS: dict[str, tuple[type[Counts], type[Values]]] = {
    "first": (FirstCounts, FirstValues),
    "careful": (CarefulCounts, CarefulValues),
}
"""The two ways to keep counts by day."""


class Customer:
    """What is kept of an account."""

    __slots__ = (
        "all_features",
        "answers",
        "clock",
        "contracts",
        "features",
        "fired",
        "first_at",
        "first_day",
        "id",
        "last_session",
        "meetings",
        "on",
        "opened",
        "renewal",
        "seats",
        "sessions",
        "tickets",
        "users",
        "uses",
    )

    def __init__(self, id: str, at: int, clock: Clock, way: str) -> None:
        counts, values = WAYS[way]
        self.id = id
        self.clock = clock
        self.first_at = at
        self.first_day = clock.day(at)
        self.uses: Counts = counts()
        self.features: dict[str, Counts] = defaultdict(counts)
        self.all_features: Values = values()
        self.sessions: Counts = counts()
        self.users: Values = values()
        self.opened: Counts = counts()
        self.answers: deque[tuple[int, int]] = deque()
        self.last_session = self.first_day
        self.tickets: dict[object, Ticket] = {}
        self.contracts: dict[object, int] = {}
        self.meetings: dict[object, int] = {}
        self.seats: int | None = None
        self.renewal: int | None = None
        self.on = [False] * len(RULES)
        self.fired: list[int | None] = [None] * len(RULES)


def nearest(distances: list[int]) -> int | None:
    """The least that is not negative, else the greatest."""
    ahead = [days for days in distances if days >= 0]
    return min(ahead) if ahead else max(distances, default=None)


def health(week: float, before: float | None, users: int, tickets: int) -> float | None:
    """The score: half of it is use against the time before; without that nothing is said."""
    if not before:
        return None
    product = min(week / before, 1.0) * 100
    people = min(users / 4, 1.0) * 100
    support = max(min((tickets - 4) / -4, 1.0), 0.0) * 100
    mean = (product * 50.0 + people * 30.0 + support * 20.0) / 100.0
    return round(min(mean, min(product, people, support) + 30.0) * 1_000_000) / 1_000_000


def truths(c: Customer, day: int) -> tuple[bool, ...]:
    """All 25 rules for one customer as of a day."""
    feature, since = c.features, c.first_at
    start = c.clock.start
    uses_14 = c.uses.total(day - 13, day)
    uses_28 = uses_14 + (uses_before_14 := c.uses.total(day - 27, day - 14))
    usage_week = uses_14 / 2
    usage_before = uses_before_14 / 2 if start(day - 27) >= since else None
    sessions_7 = c.sessions.total(day - 6, day)
    sessions_before = c.sessions.total(day - 27, day - 7) / 3 if start(day - 27) >= since else None
    users_7, users_14 = c.users.different(day - 6, day), c.users.different(day - 13, day)
    users_28 = c.users.different(day - 27, day)
    features_14, features_28 = c.all_features.different(day - 13, day), c.all_features.different(day - 27, day)
    open_tickets = len(c.tickets)
    opened_7 = c.opened.total(day - 6, day)
    age = day - c.first_day
    renewal = None if c.renewal is None else c.renewal - day
    answers = [length for when, length in c.answers if when >= day - 27]
    signing = nearest([sign_by - day for sign_by in c.contracts.values()]) if c.contracts else None
    orientation = nearest([c.clock.day(starts) - day for starts in c.meetings.values()]) if c.meetings else None
    score = health(usage_week, usage_before, users_14, open_tickets)
    api = feature["api"]
    return (
        feature["reports"].total(day - 27, day) >= 8 and feature["automations"].total(day - 27, day) == 0,
        feature["dashboards"].total(day - 20, day) >= 6 and feature["exports"].total(day - 20, day) == 0,
        uses_28 >= 30 and open_tickets == 0 and feature["integrations"].total(day - 27, day) == 0,
        api.total(day - 6, day) == 0 and api.total(day - 27, day - 7) / 3 >= 2,
        feature["search"].total(day - 6, day) >= 8,
        features_14 <= 8 and feature["alerts"].total(day - 13, day) >= 10,
        usage_before is not None and usage_before >= 4 and usage_week < 0.5 * usage_before,
        usage_before is not None and usage_week >= 8 and usage_week > 2 * usage_before,
        sessions_before is not None
        and sessions_before >= 3
        and sessions_7 < 0.4 * sessions_before
        and not (renewal is not None and renewal > 60),
        users_28 >= 4 and users_7 <= 1,
        users_28 == 1 and uses_28 >= 6,
        uses_28 >= 6 and features_28 <= 4,
        features_28 >= 10 and users_14 >= 4 and open_tickets <= 1,
        c.seats is not None and c.seats >= 10 and users_28 < 0.2 * c.seats,
        day - c.last_session >= 10 and c.sessions.total(day - 37, day - 10) >= 4,
        10 <= age <= 28 and c.users.active(day - 13, day) <= 1,
        opened_7 == 0 and uses_14 + c.sessions.total(day - 13, day) >= 60,
        open_tickets >= 3,
        opened_7 >= 2 and c.opened.total(day - 27, day) >= 4,
        len(answers) >= 2 and sum(answers) / (len(answers) * HOUR) > 12,
        open_tickets > 0
        and max(day - c.clock.day(ticket.opened) for ticket in c.tickets.values()) >= 7
        and any(ticket.waiting for ticket in c.tickets.values()),
        signing is not None and 0 <= signing <= 2,
        orientation is not None and 0 <= orientation <= 1,
        renewal is not None and 0 <= renewal <= 28 and uses_28 < 12,
        score is not None and score < 20 and age >= 14,
    )


def fold(c: Customer, event: Wire, at: int, day: int) -> None:
    """Keep what the rules need of an event."""
    kind, told = event.type, event.properties
    if kind == "feature.used":
        c.uses.add(day)
        c.features[str(told["feature"])].add(day)
        c.all_features.note(day, told["feature"])
        c.users.note(day, event.user_id)
    elif kind == "session.started":
        c.sessions.add(day)
        c.users.note(day, event.user_id)
        c.last_session = day
    elif kind.startswith("ticket."):
        fold_ticket(c, kind, told, at, day)
    elif kind == "contract.sent":
        c.contracts[told["contract_id"]] = date.fromisoformat(str(told["sign_by"])).toordinal() - EPOCH
    elif kind == "contract.signed":
        c.contracts.pop(told["contract_id"], None)
    elif kind in {"meeting.scheduled", "meeting.rescheduled"}:
        c.meetings[told["meeting_id"]] = instant(datetime.fromisoformat(str(told["starts_at"])))
    elif kind in {"meeting.held", "meeting.cancelled"}:
        c.meetings.pop(told["meeting_id"], None)
    elif kind == "account.updated" and "seats" in told:
        c.seats = int(str(told["seats"]))
        c.renewal = date.fromisoformat(str(told["renewal"])).toordinal() - EPOCH


def fold_ticket(c: Customer, kind: str, told: dict[str, object], at: int, day: int) -> None:
    """Opened, answered, asked again, solved."""
    key = told["ticket_id"]
    if kind == "ticket.opened":
        c.tickets[key] = Ticket(at)
        c.opened.add(day)
    elif (ticket := c.tickets.get(key)) is None:
        return
    elif kind == "ticket.solved":
        del c.tickets[key]
    elif told["by"] == "customer":
        ticket.waiting = True
    else:
        ticket.waiting = False
        if not ticket.answered:
            ticket.answered = True
            c.answers.append((day, at - ticket.opened))
            while c.answers[0][0] <= day - KEEP:
                c.answers.popleft()


def instant(time: datetime) -> int:
    return (int(time.timestamp()) * 1000) + time.astimezone(UTC).microsecond // 1000


class Loop:
    """The loop over events and midnights; without ``after_events`` it looks at midnights only."""

    def __init__(self, *, after_events: bool = True, way: str = "first") -> None:
        self.way = way
        self.after_events = after_events
        self.decided: list[Decided] = []
        self.customers: dict[str, Customer] = {}
        self.clocks: dict[str, tuple[Clock, list[Customer]]] = {}
        self.midnights: dict[str, int] = {}
        self.next = 0

    def look(self, c: Customer, at: int, day: int) -> None:
        """Fire what has just become true and did not fire lately."""
        now = truths(c, day)
        before, fired = c.on, c.fired
        for index, true in enumerate(now):
            if true and not before[index]:
                last = fired[index]
                if last is None or at - last >= QUIET[index]:
                    fired[index] = at
                    self.decided.append((NAMES[index], c.id, "", at))
        c.on = list(now)

    def sweep(self, until: int) -> None:
        """Every midnight that is due, for every customer of its zone."""
        while self.next <= until:
            at = self.next
            for key, midnight in self.midnights.items():
                if midnight == at:
                    clock, customers = self.clocks[key]
                    day = clock.day(at)
                    for c in customers:
                        self.look(c, at, day)
                    self.midnights[key] = clock.start(day + 1)
            self.next = min(self.midnights.values())

    def customer(self, event: Wire, at: int) -> Customer:
        """A customer seen for the first time; the first event may say where it lives."""
        key = str(event.properties.get("timezone", "UTC"))
        if key not in self.clocks:
            clock = Clock(key, event.time.year)
            self.clocks[key] = clock, []
            self.midnights[key] = clock.midnight_after(at)
            self.next = min(self.midnights.values())
        clock, customers = self.clocks[key]
        c = self.customers[event.account_id] = Customer(event.account_id, at, clock, self.way)
        customers.append(c)
        return c

    def run(self, lines: Iterable[bytes]) -> list[Decided]:
        """All decisions for these lines."""
        decode = msgspec.json.Decoder(Wire).decode
        seen: set[str] = set()
        for event in map(decode, lines):
            if event.id in seen:
                continue
            seen.add(event.id)
            at = instant(event.time)
            if self.midnights:
                self.sweep(at)
            c = self.customers.get(event.account_id) or self.customer(event, at)
            day = c.clock.day(at)
            fold(c, event, at, day)
            if self.after_events:
                self.look(c, at, day)
        return self.decided


def plain_decisions(lines: Iterable[bytes], *, after_events: bool = True, way: str = "first") -> list[Decided]:
    """All decisions of the plain loop for these lines, in the order in which they fell."""
    return Loop(after_events=after_events, way=way).run(lines)
