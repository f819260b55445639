"""Mails that a sender had in hand when it died: the owner of their lane lets go of them, so that it need not wait."""

from collections.abc import Collection

from engine.instants import MINUTE, Instant
from engine.store import Store

CLAIM = MINUTE
"""How long a mail may be claimed before it counts as left behind. Nothing of it is out, and a sender that is slow, not
dead, finds it gone: it hands over only what is still claimed."""
LEASE = 5 * MINUTE
"""How long a mail may be on its way out: longer than any channel takes to hand one over."""
WHY = "the sender stopped while it handed the mail over"


def let_go(store: Store, lanes: Collection[int], *, at: Instant, by: str) -> int:
    """Let go of what was left behind in these lanes at ``at``, the wall clock; returns how many mails.

    A claimed one waits for its time again. One that was on its way out may have left: it is in doubt, and no lane waits
    for what becomes of that. Without this a lane that must take such a mail back would wait until a sender comes.
    """
    freed, now = 0, store.clock(at) if lanes else at
    for row in store.outreach(states=["claimed", "posting"]) if lanes else ():
        if row.lane not in lanes:
            continue
        if row.state == "claimed" and row.age(now) >= CLAIM:
            freed += store.move(row.outreach_id, ["claimed"], "queued", at=at, by=by)
        elif row.state == "posting" and row.age(now) >= LEASE:
            freed += store.move(row.outreach_id, ["posting"], "in_doubt", at=at, by=by, why=WHY)
    return freed
