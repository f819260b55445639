"""What came of a rule in plain words, and how sure that is."""

from collections.abc import Iterator

from engine.instants import DAY
from ringfirst.answers import plural
from ringfirst.intervals import FEW, Interval
from ringfirst.outcomes import Arm, Outcome

_HUNDRED = 100


def told(found: Outcome) -> Iterator[str]:
    """One sentence a line."""
    yield f"{found.rule.title or found.rule.id}."
    yield _mails(found)
    if found.rule.goal is not None and found.why_not is None:
        days = f"{found.rule.goal_within / DAY:g}"
        yield f"Its goal: {found.rule.goal.text}, within {days} {'day' if days == '1' else 'days'} of the decision."
        yield f"Meant to be written to: {_arm(found.written)}; {plural(found.got, 'of them', 'of them')} got a mail."
        yield f"Held out: {_arm(found.held_out)}."
        if found.uplift is not None and found.between is not None:
            yield f"Difference: {_points(found.uplift)} points ({_to(found.between)})."
        if found.waiting:
            yield f"Not counted yet: {plural(found.waiting, 'account')} whose time is not over."
        if found.already:
            yield f"Not counted: {plural(found.already, 'account')} that had reached it before."
    yield verdict(found)


def verdict(found: Outcome) -> str:
    """Did the mails do it? One sentence, and no more than the accounts bear."""
    if found.why_not is not None:
        return f"Nothing to compare: {found.why_not}."
    if not found.rule.holdout and not found.held_out.accounts:
        return "Nobody is held out, so nobody knows what would have come of it without the mails; write holdout: 10%."
    least, whose = min((found.written.accounts, "meant to be written to"), (found.held_out.accounts, "held out"))
    between = found.between
    if least < FEW or between is None:
        return f"Too few to say: {plural(least, 'account')} {whose}, {FEW} are the least{_three(found)}."
    if between[0] > 0:
        return "It helps: more reached the goal with the mails, and that is more than chance."
    if between[1] < 0:
        return "It does harm: fewer reached the goal with the mails, and that is more than chance."
    half = (between[1] - between[0]) / 2
    points = _points(half, sign="")
    return f"It cannot be told: with so many accounts a difference below about {points} points may be chance."


def _three(found: Outcome) -> str:
    """Where nobody of a few reached it, how many still might (the rule of three: about 3 in N)."""
    for arm, whose in ((found.held_out, "held out"), (found.written, "written to")):
        if arm.accounts and not arm.reached and arm.between is not None:
            return f"; that none {whose} reached it leaves up to {_percent(arm.between[1])} possible"
    return ""


def _mails(found: Outcome) -> str:
    sent = found.mails.get("sent", 0)
    rest = [f"{count:,} {kind}" for kind, count in found.mails.items() if kind != "sent" and (count or sent)]
    return ", ".join([f"{plural(sent, 'mail')} left", *rest]) + "."


def _arm(arm: Arm) -> str:
    if arm.share is None or arm.between is None:
        return "nobody"
    sure = f"{_percent(arm.share)}, {_percent(arm.between[0]).removesuffix(' %')} to {_percent(arm.between[1])}"
    return f"{plural(arm.accounts, 'account')}, {arm.reached:,} reached it ({sure})"


def _percent(share: float) -> str:
    return f"{share * _HUNDRED:.0f} %"


def _points(share: float, sign: str = "+") -> str:
    return f"{share * _HUNDRED:{sign}.0f}"


def _to(between: Interval) -> str:
    return f"{_points(between[0])} to {_points(between[1])}"
