"""Judging a rule on what happened afterwards: account-days, the fires among them, and the outcomes they came before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from engine.instants import DAY, Instant
from engine.zones import Zone


@dataclass(frozen=True, slots=True)
class Outcome:
    """The event a rule is judged by, and within how many days (of 24 h) it must follow a fire to count for it."""

    event: str
    within_days: int

    @property
    def span(self) -> int:
        """The days as milliseconds."""
        return self.within_days * DAY


@dataclass(frozen=True, slots=True)
class Period:
    """The part of history that is judged, both ends included; no later than the data reach."""

    since: Instant
    until: Instant

    def holds(self, at: Instant) -> bool:
        """Does the instant lie in it?"""
        return self.since <= at <= self.until


@dataclass(frozen=True, slots=True)
class Life:
    """What an account is judged by: its first event, its first outcome if there was one, and its zone."""

    first_at: Instant
    outcome_at: Instant | None
    zone: Zone


@dataclass(frozen=True, slots=True)
class Counted:
    """One account's share: account-days, those followed by the outcome, fires that count, those followed by it."""

    days: int
    followed: int
    fires: int
    hits: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a rule's fires stand to what happened. Shares are None where nothing is there to divide by.

    ``accounts`` holds every account with account-days or fires that count: accounts are independent of each other, the
    days of one account are not. ``leads`` are the times from the earliest fire in the days before to the outcome.
    """

    accounts: Mapping[str, Counted]
    outcomes: int
    leads: tuple[int, ...]

    @property
    def fires(self) -> int:
        """Fires that count."""
        return sum(one.fires for one in self.accounts.values())

    @property
    def hits(self) -> int:
        """Fires that count and were followed by the outcome."""
        return sum(one.hits for one in self.accounts.values())

    @property
    def precision(self) -> float | None:
        """Share of the fires that were followed by the outcome."""
        return _share(self.hits, self.fires)

    @property
    def base_rate(self) -> float | None:
        """Share of all account-days that were followed by the outcome."""
        return _share(
            sum(one.followed for one in self.accounts.values()), sum(one.days for one in self.accounts.values())
        )

    @property
    def lift(self) -> float | None:
        """How many times as often the outcome followed a fire as any account-day."""
        base, precision = self.base_rate, self.precision
        return precision / base if base and precision is not None else None

    @property
    def recall(self) -> float | None:
        """Share of the first outcomes that had a fire in the days before."""
        return _share(len(self.leads), self.outcomes)

    @property
    def median_lead_days(self) -> float | None:
        """The middle lead in days of 24 h."""
        return median(self.leads) / DAY if self.leads else None


class Ground:
    """What a stretch of history says whatever a rule said: who lived when, and who came to the outcome.

    An instant of an account counts when it is after its first event, before its first outcome, and has its days lying
    inside the period. Local midnights that count are the account-days; fires count by the same words.
    """

    def __init__(self, lives: Mapping[str, Life], outcome: Outcome, period: Period) -> None:
        self.outcome = outcome
        self._lives = lives
        self._period = period
        self._days = {account: found for account, life in lives.items() if (found := self._account_days(life))[0]}

    def judge(self, fires: Iterable[tuple[str, Instant]]) -> Judgement:
        """Judge a rule by its fires: (account, instant), in any order."""
        counted: dict[str, list[int]] = {}
        caught: dict[str, Instant] = {}
        for account, at in fires:
            life = self._lives.get(account)
            if life is None:
                continue
            if self._counts(life, at):
                row = counted.setdefault(account, [0, 0])
                row[0] += 1
                row[1] += self._follows(life, at)
            if self._is_judged(life) and self._follows(life, at):
                caught[account] = max(caught.get(account, 0), (life.outcome_at or 0) - at)
        accounts = {
            account: Counted(*self._days.get(account, (0, 0)), *counted.get(account, (0, 0)))
            for account in sorted({*self._days, *counted})
        }
        outcomes = sum(self._is_judged(life) for life in self._lives.values())
        return Judgement(accounts, outcomes, tuple(sorted(caught.values())))

    def _counts(self, life: Life, at: Instant) -> bool:
        began = life.first_at < at and self._period.since <= at
        ended = life.outcome_at is not None and at >= life.outcome_at
        return began and not ended and at + self.outcome.span <= self._period.until

    def _follows(self, life: Life, at: Instant) -> bool:
        return life.outcome_at is not None and at < life.outcome_at <= at + self.outcome.span

    def _is_judged(self, life: Life) -> bool:
        return life.outcome_at is not None and self._period.holds(life.outcome_at)

    def _account_days(self, life: Life) -> tuple[int, int]:
        """How many local midnights count, and how many of them the outcome follows; none of them is walked over."""
        after = max(life.first_at, self._period.since - 1)
        last = self._period.until - self.outcome.span
        if life.outcome_at is None:
            return _midnights(life.zone, after, last), 0
        last = min(last, life.outcome_at - 1)
        near = max(after, life.outcome_at - self.outcome.span - 1)
        return _midnights(life.zone, after, last), _midnights(life.zone, near, last)


def _midnights(zone: Zone, after: Instant, until: Instant) -> int:
    """How many local days begin after ``after``, up to and with ``until``."""
    return zone.day(until) - zone.day(after) if until > after else 0


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
