"""Counting the mails of one rule, for its breaker and its canaries."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from engine.instants import Instant
from engine.store import RuleMails, Stop, Watch
from engine.stores.mails import LEFT, MAIL
from engine.stores.tables import approvals, outreach, outreach_facts


def count(connection: sa.Connection, watch: Watch, stops: Sequence[Stop]) -> RuleMails:
    """Count; what left before its breaker was reset last counts for it no more."""
    c = outreach.c
    mine = [c.rule == watch.rule, c.audience == "customer"]
    out = [*mine, c.state.in_(LEFT)]
    reset = reset_at(stops)
    return RuleMails(
        _number(connection, MAIL, [*out, c.state_at > max(watch.since, reset)]),
        _number(connection, c.account_id, [*out, c.state_at > max(watch.day, reset)]),
        *_told(connection, watch, [*out, c.state_at > reset]),
        *_since_version(connection, watch, mine, out),
    )


def reset_at(stops: Sequence[Stop]) -> Instant:
    """When the breaker was reset last; 0: never."""
    return max((one.at for one in stops if one.scope == "review" and one.per_hour is not None), default=0)


def accounts_of(connection: sa.Connection, watch: Watch, stops: Sequence[Stop], among: Collection[str]) -> set[str]:
    """Those of these accounts that the count has in it already."""
    c = outreach.c
    since = max(watch.day, reset_at(stops))
    here = c.rule == watch.rule, c.audience == "customer", c.state.in_(LEFT), c.state_at > since
    return set(connection.execute(sa.select(c.account_id).where(*here, c.account_id.in_(among)).distinct()).scalars())


def _since_version(
    connection: sa.Connection,
    watch: Watch,
    mine: Sequence["sa.ColumnElement[bool]"],
    out: Sequence["sa.ColumnElement[bool]"],
) -> tuple[int, int]:
    """How many mails left, no more than are asked for, and how many wait for a person or go on from one."""
    if not watch.most:
        return 0, 0
    c = outreach.c
    few = sa.select(MAIL).where(*out, c.state_at >= watch.version).distinct().limit(watch.most).subquery()
    left = int(connection.execute(sa.select(sa.func.count()).select_from(few)).scalar_one())
    if left >= watch.most:
        return left, 0
    shown = _number(connection, c.outreach_id, [*mine, c.state == "in_review", c.state_at >= watch.version])
    return left, shown + _approved(connection, watch)


def _told(connection: sa.Connection, watch: Watch, out: Sequence["sa.ColumnElement[bool]"]) -> tuple[int, int]:
    """How many of the last mails bounced, and how many were complained about."""
    if not watch.last:
        return 0, 0
    c = outreach.c
    newest = sa.select(c.outreach_id, MAIL.label("mail")).where(*out).order_by(c.state_at.desc(), c.outreach_id)
    mails = newest.limit(watch.last).subquery()
    query = sa.select(outreach_facts.c.kind, sa.func.count(sa.distinct(mails.c.mail)))
    query = query.join(mails, mails.c.outreach_id == outreach_facts.c.outreach_id)
    query = query.where(outreach_facts.c.kind.in_(("bounced", "complained")))
    found = {row[0]: int(row[1]) for row in connection.execute(query.group_by(outreach_facts.c.kind))}
    return found.get("bounced", 0), found.get("complained", 0)


def _approved(connection: sa.Connection, watch: Watch) -> int:
    """Approved, and not on the way yet."""
    c = outreach.c
    query = sa.select(sa.func.count()).select_from(outreach.join(approvals, approvals.c.mail_id == c.outreach_id))
    query = query.where(c.rule == watch.rule, c.state.in_(("queued", "held")), c.state_at >= watch.version)
    return int(connection.execute(query).scalar_one())


def _number(connection: sa.Connection, of: "sa.ColumnElement[str]", where: Sequence["sa.ColumnElement[bool]"]) -> int:
    return int(connection.execute(sa.select(sa.func.count(sa.distinct(of))).where(*where)).scalar_one())
