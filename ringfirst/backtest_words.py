"""A backtest in plain words: what a rule did, how it stands to what happened, and how sure that is."""

from collections.abc import Iterator, Sequence

from engine.outcomes import Judgement
from ringfirst.answers import plural
from ringfirst.backtests import RuleFound
from ringfirst.intervals import FEW, Interval, Intervals, intervals

LEAST = 5
"""With fewer hits than this a warning is not even called one that seems to be."""
TWICE = 2.0
"""When the outcome may follow more than twice as often as on any day, and may not, the accounts are too few."""
_NAMED = 5
_SMALL = 0.1


def told(found: RuleFound) -> Iterator[str]:
    """What a rule did and, where an outcome was named, what that is worth: one sentence a line."""
    yield f"{found.rule.title or found.rule.id}."
    yield _did(found)
    for name, count in found.unknown.items():
        what = "nobody to write to is known" if name == "to" else f"{name} is unknown"
        yield f"For {plural(count, 'account')} it could not be told: {what}."
    if found.judged is not None and found.outcome is not None:
        yield from judged(found.judged, found.outcome.event, found.outcome.within_days)


def judged(found: Judgement, event: str, days: int) -> Iterator[str]:
    """How a rule's fires stand to an outcome, with 95 % intervals, and whether it could be chance."""
    sure = intervals(found)
    if not found.fires:
        yield f"Nothing to judge: no fire lies before the first {event} of its account with {days} days of data ahead."
    else:
        yield f"{_followed(found, event, days, sure)}; {_any_day(found)}{_times(found, sure)}."
        yield verdict(found, sure)
    if found.outcomes:
        yield _caught(found, event, sure)


def verdict(found: Judgement, sure: Intervals) -> str:
    """Can the difference to any day be chance? One sentence, and no more than the accounts bear."""
    fired = sum(bool(one.fires) for one in found.accounts.values())
    base = found.base_rate or 0.0
    if fired < FEW:
        return f"Too few to say: {plural(fired, 'account')} fired, {FEW} are the least."
    low, high = sure.lift or _over(sure.precision, base)
    if low > 1 and found.hits < LEAST:
        return f"Too few to say: {plural(found.hits, 'hit')}."
    if low > 1 and found.hits < FEW:
        return f"It seems to warn, but on few hits: {found.hits:,}."
    if low > 1:
        return "It warns: that is more than chance."
    if high < 1:
        return "It does not warn: the outcome follows less often than on any day."
    if high > TWICE:
        return "Too few to say: it may warn, and it may be chance."
    return "It tells little: the outcome follows about as often as on any day."


def share(value: float) -> str:
    """A share for a person.

    >>> share(0.4146), share(0.0321), share(0.00502), share(0.0)
    ('41 %', '3.2 %', '0.5 %', '0 %')
    """
    percent = value * 100
    return f"{percent:.0f} %" if value >= _SMALL or not value else f"{max(percent, 0.1):.1f} %"


def named(accounts: Sequence[str]) -> str:
    """The first few of a list of accounts.

    >>> named(["acme"]), named([])
    ('acme', '')
    """
    return ", ".join(accounts[:_NAMED]) + (" ..." if len(accounts) > _NAMED else "")


def _did(found: RuleFound) -> str:
    fires = plural(len(found.fires), "fire")
    accounts = f" for {plural(found.accounts, 'account')}" if found.accounts else ""
    kinds = [
        f"{count:,} {word}"
        for outcome, word in (("draft", "as drafts"), ("held_out", "held out"))
        if (count := sum(one.outcome == outcome for one in found.fires))
    ]
    kept = "; ".join(f"{count:,} not sent, {why}" for why, count in sorted(found.mails.suppressed.items()))
    parts = [fires + accounts, *kinds, plural(found.mails.left, "mail"), kept]
    return ", ".join(part for part in parts if part) + "."


def _followed(found: Judgement, event: str, days: int, sure: Intervals) -> str:
    fired = sum(bool(one.fires) for one in found.accounts.values())
    precision = f"({share(found.precision or 0)}{_between(sure.precision)})"
    within = f"within {plural(days, 'day')}"
    if fired == found.fires:
        return f"Of {plural(fired, 'account')} that fired, {found.hits:,} had {event} {within} {precision}"
    many = f"{plural(found.fires, 'fire')} of {plural(fired, 'account')}"
    return f"Of {many}, {found.hits:,} were followed by {event} {within} {precision}"


def _any_day(found: Judgement) -> str:
    return f"any account on any day: {share(found.base_rate or 0)}"


def _times(found: Judgement, sure: Intervals) -> str:
    if not found.lift:
        return ""
    between = f" ({sure.lift[0]:.1f} to {sure.lift[1]:.1f})" if sure.lift else ""
    return f", so {found.lift:.1f} times as often{between}"


def _caught(found: Judgement, event: str, sure: Intervals) -> str:
    caught = f"It came before {len(found.leads):,} of {found.outcomes:,} first {event}"
    text = f"{caught} ({share(found.recall or 0)}{_between(sure.recall)})"
    if found.median_lead_days is None:
        return f"{text}."
    low_high = f" ({sure.median_lead_days[0]:.0f} to {sure.median_lead_days[1]:.0f})" if sure.median_lead_days else ""
    return f"{text}, half of these at least {found.median_lead_days:.1f} days ahead{low_high}."


def _between(interval: Interval | None) -> str:
    return f", {share(interval[0]).removesuffix(' %')} to {share(interval[1])}" if interval else ""


def _over(interval: Interval | None, base: float) -> Interval:
    if interval is None or not base:
        return 0.0, float("inf")
    return interval[0] / base, interval[1] / base
