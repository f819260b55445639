"""Whether the reader of a mail wants it: what the address's reader chose, topic by topic, and consent."""

from collections.abc import Mapping
from typing import Any

from engine.rulebook.spec import Policy
from engine.rulebook.topics import topic_of
from engine.store import ALL_TOPICS, OutreachRow, Wishes
from outreach.policy import No

UNSUBSCRIBED = "unsubscribed"


def unwanted(row: OutreachRow, wishes: Wishes, policy: Policy, traits: Mapping[str, Any]) -> No | None:
    """Why a mail is not wanted, or None. ``traits`` are the reader's personal ones, as they are now.

    A suppressed address gets nothing at all. Transactional mails, and those to us, are not asked about topics. What was
    chosen for a topic counts before what was chosen for all.
    """
    if wishes.suppressed is not None:
        return No("suppressed", wishes.suppressed)
    if row.audience == "staff" or row.mail_class == "transactional":
        return None
    topic = topic_of(policy.topics, row.rule, row.kind)
    chosen = wishes.choices.get(topic.name)
    if chosen is None and wishes.choices.get(ALL_TOPICS) == "out":
        return No("suppressed", f"{UNSUBSCRIBED} from all but transactional mails")
    if chosen == "out":
        return No("suppressed", f"{UNSUBSCRIBED} from {topic.name}")
    if topic.needs_consent and chosen != "in" and not _asked_for(row, topic.trait, traits):
        return No("suppressed", f"no consent to {topic.name}")
    return None


def _asked_for(row: OutreachRow, trait: str, traits: Mapping[str, Any]) -> bool:
    if not trait:
        return False
    frozen = (row.frozen.get("people") or {}).get(row.to) or {}
    return traits.get(trait, frozen.get(trait)) is True
