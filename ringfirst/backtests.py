"""A backtest from end to end: history read once, rulebooks tried on it, their mails rehearsed, each rule judged."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.account import PORTFOLIO
from engine.backtest import Story, Trial, compared
from engine.decision import Decision
from engine.errors import UsageError
from engine.events import Arrived
from engine.instants import Instant, iso
from engine.log import Event
from engine.outcomes import Ground, Judgement, Outcome, Period
from engine.rulebook.spec import Rule
from engine.store import DeadLetter
from engine.zones import Zone, zone
from outreach.gate import Post
from ringfirst.rehearsal import Mails, rehearse


@dataclass(frozen=True)
class RuleFound:
    """What a rule did on trial: its fires of the period, by instant, what became of its mails, and the judgement."""

    rule: Rule
    fires: tuple[Decision, ...]
    mails: Mails
    unknown: dict[str, int]
    judged: Judgement | None
    outcome: Outcome | None

    @property
    def accounts(self) -> int:
        """For how many accounts it fired."""
        return len({one.account_id for one in self.fires} - {PORTFOLIO})

    def answer(self) -> dict[str, Any]:
        """The rule's row of ``backtest --json``."""
        return {
            "rule": self.rule.id,
            "fires": len(self.fires),
            "subjects": len({(one.account_id, one.subject) for one in self.fires}),
            "accounts": self.accounts,
            "mails": self.mails.left,
            "suppressed": dict(sorted(self.mails.suppressed.items())),
            "unknown": self.unknown,
            "outcome": self._outcome(),
        }

    def _outcome(self) -> dict[str, Any] | None:
        if self.judged is None or self.outcome is None:
            return None
        return {
            "event": self.outcome.event,
            "within_days": self.outcome.within_days,
            "fired_with_outcome": self.judged.hits,
            "precision": self.judged.precision,
            "base_rate": self.judged.base_rate,
            "lift": self.judged.lift,
            "recall": self.judged.recall,
            "median_lead_days": self.judged.median_lead_days,
        }


@dataclass(frozen=True, slots=True)
class Side:
    """A rulebook that was tried, and what a sender of its mails would work with."""

    trial: Trial
    post: Post


class Found:
    """What a backtest found: the period, and each rule asked for; ``before`` is the other rulebook, if there is one."""

    def __init__(
        self, story: Story, period: Period, outcome: Outcome | None, now: Side, before: Side | None = None
    ) -> None:
        self.story, self.period, self.outcome = story, period, outcome
        self._now, self._before = now, before

    @property
    def zone(self) -> Zone:
        """The policy's zone: weeks of charts begin on its Mondays."""
        return zone(self._now.trial.book.policy.timezone)

    @cached_property
    def rules(self) -> list[RuleFound]:
        """The rules of the rulebook on trial, in its order."""
        return self._found(self._now)

    @cached_property
    def before(self) -> list[RuleFound]:
        """The rules of the other rulebook."""
        return self._found(self._before) if self._before else []

    def answer(self) -> dict[str, Any]:
        """The shape of ``backtest --json``; ``against`` is there only where two rulebooks were held together."""
        answer = {
            "from": iso(self.period.since),
            "to": iso(self.period.until),
            "events": self.story.events,
            "accounts": len(self.story.first),
            "rules": [one.answer() for one in self.rules],
        }
        return answer | ({"against": self.changes()} if self._before else {})

    def changes(self) -> list[dict[str, Any]]:
        """For each rule of either rulebook: for whom it fires now and did not before, and the other way round."""
        was = {one.rule.id: one for one in self.before}
        rules = [*(one.rule.id for one in self.rules), *(one for one in was if one not in self._names)]
        return [
            {
                "rule": rule,
                "before": was[rule].answer() if rule in was else None,
                **compared(self._fires(self.before, rule), self._fires(self.rules, rule)),
            }
            for rule in rules
        ]

    @cached_property
    def _names(self) -> set[str]:
        return {one.rule.id for one in self.rules}

    @staticmethod
    def _fires(found: Sequence[RuleFound], rule: str) -> Iterable[Decision]:
        return next((one.fires for one in found if one.rule.id == rule), ())

    def _found(self, side: Side) -> list[RuleFound]:
        trial = side.trial
        decided = sorted(trial.decisions.values(), key=lambda one: (one.at, one.decision_id))
        inside = [one for one in decided if self.period.holds(one.at)]
        mails = rehearse(trial, inside, side.post)
        ground = Ground(self.story.lives(trial.zone_of), self.outcome, self.period) if self.outcome else None
        unknown = trial.unknown()
        fires: dict[str, list[Decision]] = {}
        for one in inside:
            fires.setdefault(one.rule, []).append(one)
        return [
            RuleFound(
                rule,
                tuple(fires.get(rule.id, ())),
                mails.get(rule.id, Mails()),
                unknown.get(rule.id, {}),
                # A fire before the period may still have warned of an outcome inside it.
                ground.judge((one.account_id, one.at) for one in decided if one.rule == rule.id) if ground else None,
                self.outcome,
            )
            for rule in trial.book.rules
        ]


def tried(
    events: Iterable[Event],
    trials: Sequence[Trial],
    outcome: str | None,
    since: Instant | None,
    until: Instant | None,
) -> tuple[Story, Period]:
    """Let all trials take the events in, and say what there was. Raises ``UsageError`` when nothing is left to judge.

    Events dated after ``until`` are left out; what came before ``since`` is known, and not counted.
    """
    story, more = Story(outcome), False
    for event in events:
        if until is not None and event.time > until:
            more = True
            continue
        story.take(event)
        for trial in trials:
            trial.take(event)
    if story.began is None or story.ended is None:
        where = f" up to {iso(until)}" if until is not None and more else ""
        msg = (
            f"backtest: there are no events{where}; name a file of events, or import some first: ringfirst import FILE"
        )
        raise UsageError(msg)
    end = until if until is not None and more else story.ended
    for trial in trials:
        trial.finish(end)
    if since is not None and since > end:
        raise UsageError(f"backtest --from: lies after the events, which end at {iso(end)}; name an earlier time")
    return story, Period(max(since or story.began, story.began), end)


def good_ones(items: Iterable[Arrived | DeadLetter], letters: list[DeadLetter]) -> Iterator[Event]:
    """The events of files, each id once: the first wins, as in a store. What is no event goes to ``letters``."""
    seen: dict[str, set[str]] = {}
    for item in items:
        if isinstance(item, DeadLetter):
            letters.append(item)
            continue
        ids = seen.setdefault(item.event.account_id, set())
        if item.event.id not in ids:
            ids.add(item.event.id)
            yield item.event
