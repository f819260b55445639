"""What a person lets leave: words, reader, class and sender of one mail, and nothing else. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.instants import Instant
from engine.store import Approval, OutreachRow
from outreach.context import Sender
from outreach.examples import SENDER
from outreach.rendering import Rendered

FRESH = (None, "approved", "approved with changes")
"""Why a mail is queued that no channel has put off."""
NOT_APPROVED = "nobody has approved it"
JOINED = "approved before another decision joined this mail"
CHANGED = "approved before a decision in it was taken back or changed"
READER = "approved for another address or class"
TOO_OLD = "its approval is too old"
NO_SENDER = "approved where no RINGFIRST_SENDER was set, so it carries an example of one; approve it where that is set"
_SETTINGS = {
    "address": "RINGFIRST_SENDER",
    "name": "RINGFIRST_SENDER",
    "domain": "RINGFIRST_SENDER",
    "person": "policy.staff",
    "reply_to": "RINGFIRST_REPLY_TO",
    "postal_address": "RINGFIRST_POSTAL_ADDRESS",
    "public_url": "RINGFIRST_PUBLIC_URL",
    "unsubscribe_to": "RINGFIRST_UNSUBSCRIBE_TO",
}
"""What a mail's reader sees of who sends it, by the setting that says it."""


def signature(sender: Sender) -> dict[str, Any]:
    """Who a mail is from, where answers go and where its links lead: what an approval binds beside the words."""
    found = {name: getattr(sender, name) for name in _SETTINGS}
    return {**found, "reply_to": list(sender.reply_to)}


def digest(words: Rendered, *, person: str, mail_class: str, sender: Sender) -> str:
    """The hash of what would be sent: subject, text, HTML, the key of the address, the class, and who it is from."""
    told = [words.subject, words.text, words.html, words.preview, person, mail_class, signature(sender)]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


def approval_of(
    rows: Sequence[OutreachRow],
    words: Rendered,
    *,
    person: str,
    sender: Sender,
    at: Instant,
    who: str,
    until: Instant,
    was: Rendered | None = None,
) -> Approval:
    """Let these words leave to one person, for exactly these decisions, until then; ``was``: before an edit.

    ``sender`` is who writes this mail, with the colleague in whose name it goes out.
    """
    return Approval(
        mail_id=rows[0].outreach_id,
        account_id=rows[0].account_id,
        rows=tuple((row.outreach_id, row.at) for row in rows),
        at=at,
        who=who,
        until=until,
        digest=digest(words, person=person, mail_class=rows[0].mail_class, sender=sender),
        sender=signature(sender),
        words=msgspec.to_builtins(words),
        was=None if was is None else msgspec.to_builtins(was),
    )


def words_of(words: Mapping[str, str]) -> Rendered:
    """The words of an approval, as they leave."""
    return msgspec.convert(dict(words), Rendered)


def another_sender(approval: Approval, sender: Sender) -> str | None:
    """Why what was approved would now come from somebody else, or lead elsewhere; None: it would not."""
    now = signature(sender)
    before = approval.sender or {}
    other = sorted({_SETTINGS[name] for name in now if before.get(name) != now[name]})
    if not other:
        return None
    if before.get("address") == SENDER.address:
        return NO_SENDER
    return f"approved with another {', '.join(other)} than the sender has; approve it where that is set alike"


def void(
    approvals: Sequence[Approval],
    rows: Sequence[OutreachRow],
    others: Sequence[OutreachRow],
    *,
    person: str,
    sender: Sender,
    at: Instant,
) -> str | None:
    """Why what was approved may not leave as these rows, or None: it may.

    ``others`` are open mails that would have joined this one, ``person`` the key of the address as it is now, and
    ``sender`` who would write it now.
    """
    if not approvals:
        return NOT_APPROVED
    approval = approvals[0]
    there = {row.outreach_id: row.at for row in rows}
    approved = dict(approval.rows)
    if len(approvals) > 1 or there.keys() - approved.keys() or any(one.outreach_id not in approved for one in others):
        return JOINED
    if there != approved:
        return CHANGED
    elsewhere = another_sender(approval, sender)
    if elsewhere is not None:
        return elsewhere
    words = words_of(approval.words)
    if digest(words, person=person, mail_class=rows[0].mail_class, sender=sender) != approval.digest:
        return READER
    return TOO_OLD if approval.until <= at else None
