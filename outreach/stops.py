"""What a stop means for a mail, and how fast mails go on after one. Pure."""

from collections.abc import Iterable

from engine.instants import HOUR, Instant
from engine.store import OutreachRow, Ramp, Standing, Stop
from outreach.policy import No


def channel_kind(name: str) -> str:
    """The word by which people call a channel: folders have names of their own.

    >>> channel_kind("file-0a1b2c3d"), channel_kind("smtp")
    ('file', 'smtp')
    """
    return name.partition("-")[0]


def concerns(one: Stop, row: OutreachRow, channel: str) -> bool:
    """Is the mail among what is stopped, if it were to leave by this channel?"""
    names = {"all": "", "channel": channel, "rule": row.rule, "account": row.account_id, "review": row.rule}
    return one.name == names[one.scope]


def stopped(row: OutreachRow, stops: Iterable[Stop], channel: str, *, approved: bool = False) -> No | None:
    """Ask whether a mail is stopped; nobody knows when that ends. What a person approved passes a breaker."""
    return _first((one for one in stops if concerns(one, row, channel)), approved=approved)


def against(standing: Standing, at: Instant, *, approved: bool = False) -> No | None:
    """Ask what stands around a mail that is claimed whether it is stopped, or not its turn yet."""
    no = _first(standing.stops, approved=approved)
    if no is not None:
        return no
    turns = [turn(one, at) for one in standing.ramps]
    until = max(turns, default=at)
    if until <= at:
        return None
    slow = standing.ramps[turns.index(until)].stop
    return No("held", f"going on slowly after a stop of {slow.words}", until)


def turn(ramp: Ramp, at: Instant) -> Instant:
    """When the next mail may go of what had waited: evenly, so that there is time to stop again.

    A sender that was away does not make up for it: never more than so many in an hour.

    >>> slow = Stop("all", "", 0, "ann", "x", 60)
    >>> turn(Ramp(slow, since=0, hour=0), 9), turn(Ramp(slow, since=2, hour=2), 9), turn(Ramp(slow, 60, 60), 4_000_000)
    (0, 120000, 4060000)
    """
    per_hour = max(ramp.stop.per_hour or 1, 1)
    pace = -(-HOUR // per_hour)
    return at + pace if ramp.hour >= per_hour else ramp.stop.at + pace * ramp.since


def _first(stops: Iterable[Stop], *, approved: bool) -> No | None:
    """The first real stop, or else a breaker."""
    on = sorted((one for one in stops if one.per_hour is None), key=lambda one: one.scope == "review")
    for one in on:
        if one.scope != "review":
            return No("held", f"stopped: {one.words}")
        if not approved:
            return No("in_review", f"breaker: {one.why}")
    return None
