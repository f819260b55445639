"""Notes to us: at most 20 an hour reach each of us as mails of their own; what is more comes in one, the digest.

So does what the readers of one account do with our mails after the first of it in an hour: three clicks on the page of
choices are one story, and so is a thread of answers.
"""

from collections.abc import Iterable, Mapping, Sequence

from engine.instants import HOUR, Instant
from engine.store import NOTE, Contact, OutreachRow
from outreach.policy import No
from outreach.templates import Template

MOST, SPAN = 20, HOUR
DIGEST = "notes-digest"
"""The template of the mail that lists what was folded into it; its rule's name too."""
LISTED = 100
"""How many notes a digest lists; it says how many more there are."""
FOLDED = "more than 20 notes in an hour; it comes in the next digest"
ALIKE = "another like it left within the hour; it comes in the next digest"


def too_many(past: Iterable[Contact], at: Instant) -> No | None:
    """Ask whether one of us has had enough notes for now; ``past`` are those that went to them."""
    notes = sorted(one.at for one in past if one.channel == NOTE and one.at > at - SPAN)
    return No("held", FOLDED, notes[-MOST] + SPAN) if len(notes) >= MOST else None


def told_already(row: OutreachRow, past: Iterable[Contact], at: Instant) -> No | None:
    """Ask whether one of us has just heard that a reader of this account did such a thing with a mail of ours."""
    if row.subject_kind != "event" or not (row.subject_id or "").startswith("outreach."):
        return None
    alike = (one.at for one in past if (one.channel, one.kind, one.account_id) == (NOTE, row.rule, row.account_id))
    last = max((when for when in alike if when > at - SPAN), default=None)
    return None if last is None else No("held", ALIKE, last + SPAN)


def is_folded(group: Sequence[OutreachRow]) -> bool:
    """Whether these notes were held back: they go before others, or a storm of new ones would keep them waiting."""
    return all(row.state == "held" and row.why in {FOLDED, ALIKE} for row in group)


def fold(groups: Sequence[list[OutreachRow]], templates: Mapping[str, Template]) -> list[list[OutreachRow]]:
    """Put what was held back for one of us into one mail each; all else stays as it is.

    Without the digest's template the notes leave one by one, when their time comes. A note that somebody approved is
    sent as it was approved, so it is never folded.
    """
    if DIGEST not in templates:
        return list(groups)
    found: list[list[OutreachRow]] = []
    digests: dict[str, list[OutreachRow]] = {}
    for group in groups:
        first = group[0]
        if not is_folded(group) or any(row.mode == "review" for row in group):
            found.append(group)
        elif first.to in digests:
            digests[first.to].extend(group)
        else:
            digests[first.to] = list(group)
            found.append(digests[first.to])
    return found
