"""Mails in doubt: which may be sent again, and when.

A mail in doubt may have left. What the provider tells settles it. Where it tells nothing, silence means that the mail
never left only as long as it is known to tell of the others.
"""

from collections.abc import Mapping, Sequence

import msgspec

from engine.instants import DAY, HOUR, MINUTE, Instant
from engine.rulebook.spec import InDoubt
from engine.store import OutreachRow, Store

SENDGRID = "sendgrid"
"""The channel whose provider tells what becomes of mails."""
WAIT = 15 * MINUTE
"""How long what a provider tells may be on its way."""
QUIET = 30 * MINUTE
LOOKS_BACK = HOUR
"""From how long before the doubt on a provider must have told of every mail."""


class Doubts(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about mails in doubt.

    ``rules`` says it for rules that have a word of their own: ``hold``: never send one again; ``resend``: send it again
    after ``wait`` (milliseconds), though it may arrive twice. The others are sent again when their provider is proven
    to tell of mails, and told nothing of this one.
    """

    rules: Mapping[str, InDoubt] = {}
    wait: int = WAIT


def sendable(store: Store, channel: str, doubts: Doubts, at: Instant) -> list[list[OutreachRow]]:
    """The mails in doubt of a channel that may be sent again at ``at``, each as the rows joined in it.

    How old a doubt is, and what left after it, is told by the store's clock: that of one of several senders may be half
    an hour behind or ahead.
    """
    mails, now = doubtful(store, channel), store.clock(at)
    ready = [mail for mail in mails if is_one(mail) and min(row.age(now) for row in mail) >= doubts.wait]
    return [mail for mail in ready if _may(store, channel, doubts, mail, now)]


def doubtful(store: Store, channel: str) -> list[list[OutreachRow]]:
    """The mails in doubt of a channel, each as the rows joined in it; the row that gave the mail its id is the first.

    The id of a row is that of its mail where nobody wrote down in which mail it was.
    """
    rows = [row for row in store.outreach(states=["in_doubt"]) if row.channel == channel]
    mails: dict[str, list[OutreachRow]] = {}
    for row in sorted(rows, key=lambda row: (row.outreach_id != row.mail_id, row.due_at, row.outreach_id)):
        mails.setdefault(row.mail_id or row.outreach_id, []).append(row)
    return list(mails.values())


def is_one(mail: Sequence[OutreachRow]) -> bool:
    """Can the mail be written again from these rows? Not a digest, nor one of whose rows some are settled."""
    return len({(row.rule, row.account_id, row.to) for row in mail}) == 1 and mail[0].mail_id == mail[0].outreach_id


def _may(store: Store, channel: str, doubts: Doubts, mail: Sequence[OutreachRow], at: Instant) -> bool:
    words = {doubts.rules.get(row.rule) for row in mail}
    if "hold" in words:
        return False
    return words == {"resend"} or proven(
        store, channel, since=at - max(row.age(at) for row in mail), at=at, wait=doubts.wait
    )


def proven(store: Store, channel: str, *, since: Instant, at: Instant, wait: int) -> bool:
    """Is it proven that a mail of ``since`` of which nothing was told never left? Both instants by the store's clock.

    The provider must have told of a mail that left after it, and of every mail since an hour before it, but for those
    of which it may still tell. One that is missing says that what it tells gets lost.
    """
    heard = store.heard(channel, since=since - LOOKS_BACK, until=at - wait)
    return heard.untold == 0 and heard.last_at is not None and heard.last_at >= since


def silent(store: Store, channel: str, at: Instant) -> int:
    """For how long, in milliseconds, mails have left by a channel without a word of any from its provider; 0: it tells.

    Less than ``QUIET`` is no silence: what it tells comes in batches. Mails of more than a day ago are not looked at.
    """
    at = store.clock(at)
    until, since = at - QUIET, at - DAY
    heard = store.heard(channel, since=since, until=until)
    if heard.untold and heard.last_at is not None:  # some were told of: is anything told of those that left after?
        heard = store.heard(channel, since=heard.last_at + 1, until=until)
    return 0 if heard.untold_since is None else at - heard.untold_since
