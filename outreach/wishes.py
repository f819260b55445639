"""Whether the reader of a mail wants it: what the address's reader chose, topic by topic, and consent."""

from collections.abc import Mapping
from typing import Any

from engine.instants import parse_instant
from engine.reports.periods import quarter_of, read_period
from engine.reports.rhythm import gets
from engine.rulebook.spec import Policy
from engine.rulebook.topics import topic_of
from engine.store import ALL_TOPICS, OutreachRow, Wishes
from engine.zones import valid_zone, zone
from outreach.policy import No

UNSUBSCRIBED = "unsubscribed"
BY_QUARTER = "the reader chose one report for the quarter"
BY_MONTH = "the reader gets a report for each month"


def unwanted(row: OutreachRow, wishes: Wishes, policy: Policy, traits: Mapping[str, Any]) -> No | None:
    """Why a mail is not wanted, or None. ``traits`` are the reader's personal ones, as they are now.

    A suppressed address gets nothing at all. Transactional mails, and those to us, are not asked about topics. What was
    chosen for a topic counts before what was chosen for all.
    """
    if wishes.suppressed is not None:
        return No("suppressed", wishes.suppressed)
    if row.audience == "staff" or row.mail_class == "transactional":
        return None
    told = out_of_turn(row, wishes, policy)
    if told is not None:
        return told
    topic = topic_of(policy.topics, row.rule, row.kind)
    chosen = wishes.choices.get(topic.name)
    if chosen is None and wishes.choices.get(ALL_TOPICS) == "out":
        return No("suppressed", f"{UNSUBSCRIBED} from all but transactional mails")
    if chosen == "out":
        return No("suppressed", f"{UNSUBSCRIBED} from {topic.name}")
    if topic.needs_consent and chosen != "in" and not _asked_for(row, topic.trait, traits):
        return No("suppressed", f"no consent to {topic.name}")
    return None


def out_of_turn(row: OutreachRow, wishes: Wishes, policy: Policy) -> No | None:
    """Why the reader of a report does not get this one: each month is told once, by itself or with its quarter."""
    pair = next((one for one in policy.rhythms if row.rule in (one.monthly, one.quarterly)), None)
    figures = row.frozen.get("report")
    if pair is None or not isinstance(figures, dict):
        return None
    told = figures["period"]
    period, whole = read_period(told["name"]), told.get("by_quarter")
    if whole is None:  # it was issued when nobody could choose
        since = parse_instant(told["known_since"])
        whole = since is not None and since <= valid_zone(told["zone"], zone("UTC")).start(quarter_of(period).first)
    if gets(wishes.rhythms.get(pair.monthly, ()), period, whole=whole):
        return None
    return No("suppressed", BY_QUARTER if row.rule == pair.monthly else BY_MONTH)


def _asked_for(row: OutreachRow, trait: str, traits: Mapping[str, Any]) -> bool:
    if not trait:
        return False
    frozen = (row.frozen.get("people") or {}).get(row.to) or {}
    return traits.get(trait, frozen.get(trait)) is True
