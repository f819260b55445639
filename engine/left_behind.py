"""Mails that a sender had in hand when it died: the owner of their lane lets go of them, so that it need not wait."""

from collections.abc import Collection

import msgspec

from engine.instants import MINUTE, Instant
from engine.store import OutreachRow, Store

CLAIM = MINUTE
"""How long a mail may be claimed before it counts as left behind. Nothing of it is out, and a sender that is slow, not
dead, finds it gone: it hands over only what is still claimed."""
LEASE = 5 * MINUTE
"""How long a mail may be on its way out: longer than any channel takes to hand one over."""
LEAVING = "outreach.leaving"
"""An engine entry: {decision_id, outreach_id}. The mail is being handed over, so it is too late to take it back."""
WHY = "the sender stopped while it handed the mail over"


def let_go(store: Store, lanes: Collection[int], *, at: Instant, by: str) -> int:
    """Let go of what was left behind in these lanes at ``at``, the wall clock; returns how many mails.

    A claimed one waits for its time again. One that was on its way out may have left: it is in doubt, and no lane waits
    for what becomes of that. One that is on its way now is left alone, and the lane is told so: else it would take the
    mail back, be refused, and stand still until the mail is out, or its sender is known to be dead.
    """
    freed, now = 0, store.clock(at) if lanes else at
    leaving: list[OutreachRow] = []
    for row in store.outreach(states=["claimed", "posting"]) if lanes else ():
        if row.lane not in lanes:
            continue
        if row.state == "claimed" and row.age(now) >= CLAIM:
            freed += store.move(row.outreach_id, ["claimed"], "queued", at=at, by=by)
        elif row.state == "posting" and row.age(now) >= LEASE:
            freed += store.move(row.outreach_id, ["posting"], "in_doubt", at=at, by=by, why=WHY)
        elif row.state == "posting":
            leaving.append(row)
    if leaving:
        store.put_inbox([(row.account_id, "entry", _told(row)) for row in leaving], at=at)
    return freed


def _told(row: OutreachRow) -> bytes:
    of = {"decision_id": row.decision_id, "outreach_id": row.outreach_id}
    return msgspec.json.encode({"kind": LEAVING, "account_id": row.account_id, **of})
