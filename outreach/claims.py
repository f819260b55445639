"""Claiming mails for a sender: what is asked of each while nobody else can claim for its account or its person."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from engine.store import OutreachRow, Standing, Stop, Wanted, Watch
from outreach.breaker import canary, tripped, watch_of
from outreach.gate import across_since, asking, looks_back, person_of
from outreach.policy import No
from outreach.reminding import tripped as breaker_tripped
from outreach.round import Round
from outreach.stops import against

_log = logging.getLogger("outreach.sender")


def claim(run: Round, groups: Sequence[Sequence[OutreachRow]]) -> list[list[OutreachRow]]:
    """Claim mails in one transaction; of each the rows that are ours now, none when something stands against it."""
    batch = _Batch(run)
    found = run.store.claim_mails(
        [batch.wanted(group) for group in groups],
        since=batch.at - looks_back(run.post.policy),
        at=batch.at,
        by=run.by,
        channel=run.kind,
    )
    for row, why in batch.tripped.values():
        _trip(run, row, why)
    claimed: list[list[OutreachRow]] = []
    for group, (ids, no) in zip(groups, found, strict=True):
        if no is not None:
            for row in group:
                run.end(row, no.state, no.why)
        else:
            run.tally["elsewhere"] += len(group) - len(ids)
        claimed.append([row for row in group if row.outreach_id in ids])
    return claimed


class _Batch:
    """The questions of mails that are claimed together, and what they showed."""

    def __init__(self, run: Round) -> None:
        self._run, self.at = run, run.at
        self._shown: Counter[str] = Counter()
        self.tripped: dict[str, tuple[OutreachRow, str]] = {}
        """The rules whose breaker tripped, with the mail over which it did, and why."""

    def wanted(self, group: Sequence[OutreachRow]) -> Wanted:
        first, policy = group[0], self._run.post.policy
        watch = self._watch(first)
        return Wanted(
            rows=tuple(row.outreach_id for row in group),
            account_id=first.account_id,
            person=person_of(first, self._run.post),
            may=self._objection(group, watch),
            ours=first.audience == "staff",
            watch=watch,
            across=across_since(first, policy, at=self.at),
        )

    def _watch(self, first: OutreachRow) -> Watch | None:
        """What is counted of a rule whose mail nobody has approved."""
        if self._run.needs_word(first):
            return None
        return watch_of(first, self._run.post.policy, self._run.guard, at=self.at)

    def _objection(self, group: Sequence[OutreachRow], watch: Watch | None) -> Callable[[Standing], No | None]:
        """What is asked while the mail is claimed; all that it needs beside what stands there is known by now."""
        first, at, policy, guard = group[0], self.at, self._run.post.policy, self._run.guard
        ask = asking(first, self._run.post, at=at)
        approved = first.outreach_id in self._run.approvals

        def may(standing: Standing) -> No | None:
            no = against(standing, at, approved=approved) or ask(standing)
            no = no or (guarded(standing) if watch is not None else None)
            return no or self._run.allowance.against(first)  # last: who does not leave takes nobody's place

        def guarded(standing: Standing) -> No | None:
            why = tripped(standing.mails, policy.breaker, guard)
            if why is not None:
                self.tripped.setdefault(first.rule, (first, why))
                return No("in_review", f"breaker: {why}")
            asked = standing.mails.asked + self._shown[first.rule]
            no = canary(msgspec.structs.replace(standing.mails, asked=asked), policy.canary)
            if no is not None and no.state == "in_review":
                self._shown[first.rule] += len(group)
            return no

        return may


def _trip(run: Round, row: OutreachRow, why: str) -> None:
    """From now on every mail of the rule waits for a person, in every sender; its owner is told."""
    if run.store.stop(Stop("review", row.rule, run.at, "breaker", why)):
        _log.error("the breaker of rule %s has tripped: %s; its mails wait for a person", row.rule, why)
        run.store.put_reminders(breaker_tripped(row, why, run.post.policy, run.at))
    run.stops = run.store.stops()
