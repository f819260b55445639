"""What came of a rule's mails: who was written to, who of them reached the goal, and who of those held out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import hypot
from typing import Any

from engine.decision import Decision
from engine.goals import Goals, why_not
from engine.instants import DAY, Instant, iso
from engine.rulebook.book import Rulebook
from engine.rulebook.spec import Rule
from engine.store import OutreachRow, Store
from ringfirst.intervals import Interval, wilson

TOLD = ("delivered", "bounced", "blocked", "dropped", "complained", "unsubscribed", "replied")
"""What is counted of mails that are out, as far as a provider told of it."""
_ASKED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Arm:
    """Accounts of one side of the comparison, and how many of them reached the goal in time."""

    accounts: int = 0
    reached: int = 0

    @property
    def share(self) -> float | None:
        """The share that reached it; None where there is nobody."""
        return self.reached / self.accounts if self.accounts else None

    @property
    def between(self) -> Interval | None:
        """Where the true share lies with 95 % confidence (Wilson)."""
        return wilson(self.reached, self.accounts)

    def answer(self) -> dict[str, Any]:
        """As JSON."""
        low, high = self.between or (None, None)
        share = None if self.share is None else round(self.share, 4)
        return {"accounts": self.accounts, "reached": self.reached, "share": share, "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one rule. Each account counts once, with its first decision since ``since``.

    ``written`` are all that were meant to be written to, also those whose mail did not leave: among the held out nobody
    knows whose would not have. ``already`` had reached the goal before the decision, ``waiting`` still have time;
    neither counts. ``why_not`` says why there is nothing to compare.
    """

    rule: Rule
    since: Instant | None = None
    mails: Mapping[str, int] = field(default_factory=dict)
    written: Arm = Arm()
    got: int = 0
    held_out: Arm = Arm()
    already: int = 0
    waiting: int = 0
    why_not: str | None = None

    @property
    def uplift(self) -> float | None:
        """How much more of those written to reached the goal than of those held out, as a share of 1."""
        written, held = self.written.share, self.held_out.share
        return None if written is None or held is None else written - held

    @property
    def between(self) -> Interval | None:
        """Where the true uplift lies with 95 % confidence: Newcombe's hybrid score interval (1998, method 10)."""
        return newcombe(self.written, self.held_out)

    def answer(self, verdict: str) -> dict[str, Any]:
        """As JSON; ``verdict`` is what a person is told."""
        low, high = self.between or (None, None)
        return {
            "rule": self.rule.id,
            "goal": self.rule.goal.text if self.rule.goal else None,
            "within_days": self.rule.goal_within / DAY if self.rule.goal else None,
            "since": None if self.since is None else iso(self.since),
            "mails": dict(self.mails),
            "written": {**self.written.answer(), "got_a_mail": self.got},
            "held_out": self.held_out.answer(),
            "uplift": None if self.uplift is None else {"share": round(self.uplift, 4), "low": low, "high": high},
            "already": self.already,
            "waiting": self.waiting,
            "verdict": verdict,
        }


def newcombe(one: Arm, other: Arm) -> Interval | None:
    """The interval of the difference of two shares, from Wilson's of each.

    >>> newcombe(Arm(0, 0), Arm(4, 2)) is None
    True
    >>> newcombe(Arm(70, 56), Arm(80, 48))  # Newcombe's own example (a)
    (0.0524, 0.3339)
    """
    first, second = one.between, other.between
    if first is None or second is None or one.share is None or other.share is None:
        return None
    gap = one.share - other.share
    low = gap - hypot(one.share - first[0], second[1] - other.share)
    high = gap + hypot(first[1] - one.share, other.share - second[0])
    return round(low, 4), round(high, 4)


def outcome_of(store: Store, book: Rulebook, rule: Rule, goals: Goals, since: Instant | None) -> Outcome:
    """Count what came of a rule since an instant, or since its first mail that left, whichever is later."""
    rows = store.outreach(rule=rule.id)
    left = [row for row in rows if row.state == "accepted"]
    began = min((row.at for row in left), default=None)
    counted = _told(store, [row for row in left if since is None or row.at >= since])
    reason = why_not(book, rule)
    if reason is None and began is None:
        reason = "none of its mails has left yet"
    if reason is not None or began is None:
        return Outcome(rule, since, counted, why_not=reason)
    begin = began if since is None else max(began, since)
    return _compared(rule, begin, counted, _first(store.decisions(rule=rule.id, since=begin), rows), rows, goals, store)


def _first(decisions: Iterable[Decision], rows: Sequence[OutreachRow]) -> list[Decision]:
    """Each account's first decision; those whose mails lay in an imported past are no trial of anything."""
    past = {row.decision_id for row in rows if row.state == "past"}
    found: dict[str, Decision] = {}
    for one in decisions:
        if one.outcome != "draft" and one.decision_id not in past:
            found.setdefault(one.account_id, one)
    return list(found.values())


def _compared(
    rule: Rule,
    begin: Instant,
    mails: Mapping[str, int],
    first: Sequence[Decision],
    rows: Sequence[OutreachRow],
    goals: Goals,
    store: Store,
) -> Outcome:
    until = _known_until(store)
    fresh = [one for one in first if not goals.held(one)]
    done = [one for one in fresh if one.at + rule.goal_within <= until]
    held = [one for one in done if one.outcome == "held_out"]
    meant = [one for one in done if one.outcome != "held_out"]
    out = {row.decision_id for row in rows if row.state == "accepted"}
    return Outcome(
        rule,
        begin,
        mails,
        Arm(len(meant), sum(goals.reached(one) for one in meant)),
        sum(one.decision_id in out for one in meant),
        Arm(len(held), sum(goals.reached(one) for one in held)),
        len(first) - len(fresh),
        len(fresh) - len(done),
    )


def _known_until(store: Store) -> Instant:
    """Up to when everything is known: the clock of the lane that is furthest behind."""
    return min((info.clock_at for info in store.lane_infos(at=0) if info.clock_at is not None), default=0)


def _told(store: Store, left: Sequence[OutreachRow]) -> dict[str, int]:
    found: Counter[str] = Counter()
    ids = [row.outreach_id for row in left]
    for start in range(0, len(ids), _ASKED_AT_ONCE):
        for facts in store.facts(ids[start : start + _ASKED_AT_ONCE]).values():
            found.update(kind for kind in facts if kind in TOLD)
    return {"sent": len(ids), **{kind: found[kind] for kind in TOLD if kind == "delivered" or found[kind]}}
