"""What keeps a rule that goes wrong from writing to many: a breaker that trips it to review, and canaries. Pure."""

from collections.abc import Callable, Mapping

import msgspec

from engine.instants import DAY, Instant
from engine.rulebook.spec import Breaker, Policy
from engine.store import OutreachRow, RuleMails, Watch
from outreach.policy import No

FEWEST = 10
"""Accounts that any rule may write to in a day, however small a share of the base that is."""


class Guard(msgspec.Struct, frozen=True):
    """What a sender is told: since when each rule decides as it does now, and how many accounts there are.

    ``still`` says why a mail that has waited since it was due is not true any more, or None: it is.
    """

    versions: Mapping[str, Instant] = {}
    base: int = 0
    still: Callable[[OutreachRow, Instant], str | None] | None = None


def watch_of(row: OutreachRow, policy: Policy, guard: Guard, *, at: Instant) -> Watch | None:
    """What must be known of a rule's mails before one more leaves; None: nothing, as of notes to us."""
    breaker = policy.breaker
    if row.audience == "staff" or (breaker == Breaker() and not policy.canary):
        return None
    last = max((of for _, of in (breaker.bounces, breaker.complaints) if of), default=0)
    span = breaker.rule.span if breaker.rule else 0
    return Watch(row.rule, at - span, at - DAY, last, guard.versions.get(row.rule, 0), policy.canary)


def tripped(mails: RuleMails, breaker: Breaker, guard: Guard) -> str | None:
    """Why a rule must not write by itself any more, before one more mail of it leaves."""
    if breaker.rule is not None and mails.within >= breaker.rule.most:
        return f"{breaker.rule.text} mails of the rule are out"
    if breaker.base is not None and mails.accounts >= max(FEWEST, breaker.base * guard.base):
        return f"it wrote to {mails.accounts:,} of {guard.base:,} accounts in 24 hours"
    for word, (share, of), found in (
        ("bounced", breaker.bounces, mails.bounced),
        ("were complained about", breaker.complaints, mails.complained),
    ):
        if of and found > share * of:
            return f"{found:,} of its last {of:,} mails {word}"
    return None


def canary(mails: RuleMails, most: int) -> No | None:
    """Ask whether a mail is among the first of a new or changed rule, which wait for a person.

    ``most`` are shown to one; as long as these have not left, the others wait.
    """
    if mails.left >= most:
        return None
    if mails.left + mails.asked < most:
        return No("in_review", f"canary: among the first {most} mails of a new or changed rule")
    return No("held", f"canary: waits until the first {most} mails of the rule have left")
