"""What a person lets leave: words, reader and class of one mail, and nothing else. Pure."""

import hashlib
from collections.abc import Mapping, Sequence

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


def digest(words: Rendered, *, person: str, mail_class: str) -> str:
    """The hash of what would be sent: subject, text, HTML, the key of the address, and the class."""
    raw = msgspec.json.encode([words.subject, words.text, words.html, words.preview, person, mail_class])
    return hashlib.sha256(raw).hexdigest()


def approval_of(
    rows: Sequence[OutreachRow],
    words: Rendered,
    *,
    person: str,
    at: Instant,
    who: str,
    until: Instant,
    was: Rendered | None = None,
) -> Approval:
    """Let these words leave to one person, for exactly these decisions, until then; ``was``: before an edit."""
    return Approval(
        mail_id=rows[0].outreach_id,
        account_id=rows[0].account_id,
        rows=tuple((row.outreach_id, row.at) for row in rows),
        at=at,
        who=who,
        until=until,
        digest=digest(words, person=person, mail_class=rows[0].mail_class),
        words=msgspec.to_builtins(words),
        was=None if was is None else msgspec.to_builtins(was),
    )


def words_of(words: Mapping[str, str]) -> Rendered:
    """The words of an approval, as they leave."""
    return msgspec.convert(dict(words), Rendered)


def signed_by_example(words: Rendered, sender: Sender) -> bool:
    """Whether words that were approved carry the address of the example, and not that of who really writes."""
    return SENDER.postal_address != sender.postal_address and SENDER.postal_address in words.text


def void(
    approvals: Sequence[Approval],
    rows: Sequence[OutreachRow],
    others: Sequence[OutreachRow],
    *,
    person: str,
    at: Instant,
) -> str | None:
    """Why what was approved may not leave as these rows, or None: it may.

    ``others`` are open mails that would have joined this one, ``person`` the key of the address as it is now.
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
    if digest(words_of(approval.words), person=person, mail_class=rows[0].mail_class) != approval.digest:
        return READER
    return TOO_OLD if approval.until <= at else None
