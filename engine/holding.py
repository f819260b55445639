"""Mails that wait because a source is late: held, asked again when it is well, and expired if that takes too long.

A decision that could rest on missing events must not be mailed while they may be missing (RULEBOOK 10). The functions
work on an ``Account``, which has the lane's late sources in ``late``; in ``Planned`` they keep what a decision waits
for. As long as it waits, its mails have not left, whatever their ``due_at`` was.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from engine.decision import Ended, Fact, Held, Mail, Released
from engine.instants import Instant

if TYPE_CHECKING:  # an account calls these functions
    from engine.account import Account, Planned
    from engine.program import RuleProgram
    from engine.views import AccountView

TOO_LONG = "held longer than hold_for"
TOO_OLD = "its reason grew too old while it was held"


def reason(sources: Sequence[str]) -> str:
    """Why a mail waits, as everybody reads it.

    >>> reason(["product"]), reason(["product", "support"])
    ('source product is late', 'sources product, support are late')
    """
    return f"source {sources[0]} is late" if len(sources) == 1 else f"sources {', '.join(sources)} are late"


def waits(account: "Account", rule_id: str) -> tuple[str, ...]:
    """The late sources whose missing events a rule could take for an answer."""
    owed = account.program.waits.get(rule_id)
    return tuple([name for name in account.late if name in owed]) if owed else ()


def born(account: "Account", rule_id: str, mails: tuple[Mail, ...], at: Instant) -> tuple[Mail, ...]:
    """The mails of a new decision, held if it has to wait."""
    late = waits(account, rule_id) if account.late and mails else ()
    if not late:
        return mails
    until = _until(account, at)
    return tuple([msgspec.structs.replace(mail, held=reason(late), held_until=until) for mail in mails])


def next_end(account: "Account", at: Instant) -> Instant | None:
    """The first instant after ``at`` at which a held mail expires."""
    return min((one.until for one in _held(account) if one.until > at), default=None)


def expire(account: "Account", at: Instant) -> list[Fact]:
    """End what was held until ``at`` or before; its occasions are given back."""
    facts: list[Fact] = []
    for planned in [one for one in _held(account) if one.until <= at]:
        _end(account, planned, planned.until, facts, TOO_LONG)
    return facts


def reconsider(account: "Account", view: "AccountView") -> list[Fact]:
    """Hold, go on holding or let go what is open, after a source became late or well, or another rulebook active.

    What may leave again is asked once more whether it is true. The account must have been looked at.
    """
    facts: list[Fact] = []
    for rule_id in sorted(account.open):
        late = waits(account, rule_id)
        for planned in list(account.open[rule_id].values()):
            if late:
                _hold(account, planned, late, view.moment.at, facts)
            elif planned.held:
                account.ask_again(planned, view, facts)
    return facts


def release(
    account: "Account", rule: "RuleProgram", planned: "Planned", view: "AccountView", facts: list[Fact]
) -> None:
    """A decision waits no longer: its mails become due anew, so that what comes in late can still take them back."""
    at = view.moment.at
    plans = {mail.outreach_id: mail for mail in planned.decision.mails}
    rows = [
        (row, account.due_anew(rule, plans[row[0]], view, fresh=planned.event is None)) for row in _waiting(planned)
    ]
    if any(mail.expires_at <= mail.due_at for _, mail in rows) and planned.event is not None:
        _end(account, planned, at, facts, TOO_OLD)
        return
    for row, mail in rows:
        row[1] = mail.due_at
        facts.append(Released(planned.decision.decision_id, at, mail))
    planned.held, planned.until = (), 0


def _until(account: "Account", at: Instant) -> Instant:
    return at + max(account.program.book.policy.hold_for, 1)


def _held(account: "Account") -> "Iterator[Planned]":
    return (one for rows in account.open.values() for one in rows.values() if one.held)


def _waiting(planned: "Planned") -> list[list[Any]]:
    """Its mails that have not left; nothing else stands there until the end of the hold."""
    return [row for row in planned.mails if not row[2] and row[1] == planned.until]


def _hold(account: "Account", planned: "Planned", late: tuple[str, ...], at: Instant, facts: list[Fact]) -> None:
    if planned.held == late:
        return
    if not planned.held:
        rows = [row for row in planned.mails if not row[2] and at < row[1]]
        if not rows:
            return
        planned.until = _until(account, at)
        for row in rows:
            row[1] = planned.until
    planned.held = late
    name = planned.decision.decision_id
    facts += [Held(name, row[0], at, reason(late), planned.until) for row in _waiting(planned)]


def _end(account: "Account", planned: "Planned", at: Instant, facts: list[Fact], why: str) -> None:
    name = planned.decision.decision_id
    why = f"{reason(planned.held)}; {why}"
    planned.held = ()
    for row in _waiting(planned):
        facts.append(Ended(name, row[0], at, why, "expired"))
        account.ended({"decision_id": name, "outreach_id": row[0]})
