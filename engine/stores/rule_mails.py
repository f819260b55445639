"""Counting the mails of one rule, for its breaker and its canaries."""

from collections.abc import Sequence

import sqlalchemy as sa

from engine.store import RuleMails, Stop, Watch
from engine.stores.stops import LEFT
from engine.stores.tables import approvals, outreach, outreach_facts

_MAIL = sa.func.coalesce(outreach.c.mail_id, outreach.c.outreach_id)


def count(connection: sa.Connection, watch: Watch, stops: Sequence[Stop]) -> RuleMails:
    """Count; what left before its breaker was reset last counts for it no more."""
    c = outreach.c
    mine = [c.rule == watch.rule, c.audience == "customer"]
    out = [*mine, c.state.in_(LEFT)]
    reset = max((one.at for one in stops if one.scope == "review" and one.per_hour is not None), default=0)
    return RuleMails(
        _number(connection, _MAIL, [*out, c.state_at > max(watch.since, reset)]),
        _number(connection, c.account_id, [*out, c.state_at > max(watch.day, reset)]),
        *_told(connection, watch, [*out, c.state_at > reset]),
        _number(connection, _MAIL, [*out, c.state_at >= watch.version]),
        _number(connection, c.outreach_id, [*mine, c.state == "in_review", c.state_at >= watch.version])
        + _approved(connection, watch),
    )


def _told(connection: sa.Connection, watch: Watch, out: Sequence["sa.ColumnElement[bool]"]) -> tuple[int, int]:
    """How many of the last mails bounced, and how many were complained about."""
    if not watch.last:
        return 0, 0
    last = sa.select(_MAIL.label("mail"), sa.func.max(outreach.c.state_at).label("at")).where(*out).group_by(_MAIL)
    mails = last.order_by(sa.desc("at"), "mail").limit(watch.last).subquery()
    query = sa.select(outreach_facts.c.kind, sa.func.count(sa.distinct(_MAIL)))
    query = query.join(outreach, outreach.c.outreach_id == outreach_facts.c.outreach_id)
    query = query.join(mails, mails.c.mail == _MAIL).where(outreach_facts.c.kind.in_(("bounced", "complained")))
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
