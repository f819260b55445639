"""Who needs a call, and why: from the mails that rules wrote to us, as far as their reasons still hold."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from typing import Any

from engine.explain import explain
from engine.instants import Instant
from engine.rulebook.book import Rulebook
from engine.store import OutreachRow, Store
from outreach.mail import Outgoing
from ringfirst.answers import shown
from ringfirst.demo.mails import ALL, Walked

CALLS = ("churn_risk", "nervous_moment", "support_load")
"""Kinds of rules that ask one of us to ring somebody."""
MOST_NUMBERS = 4
LONGEST = 110
"""Letters of facts that one call may take up: little more than a line."""
SAID = ("Plan:", "Looked after by:", "Seats paid for:", "Account:")
_SPAN = re.compile(r"_(\d+)([dwh])(?=_|$)")
_UNITS = {"d": "days", "w": "weeks", "h": "hours"}


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody to ring: ``what`` happened, what to ``do`` and ``why`` it matters, as the mail says, and the numbers."""

    account_id: str
    rule: str
    kind: str
    about: str | None
    at: Instant
    what: str
    do: str
    why: str
    numbers: str
    traits: Mapping[str, Any]


def find_calls(store: Store, book: Rulebook, walked: Walked, since: Instant) -> list[Call]:
    """Who needs a call, for a reason that came up after ``since`` and still holds: the dearest customers first."""
    found: dict[str, Call] = {}
    for group, mail in walked:
        row = group[0]
        wanted = row.audience == "staff" and row.kind in CALLS and row.account_id != ALL and row.at > since
        if wanted and isinstance(mail, Outgoing) and _still(store, book, row):
            found.setdefault(row.account_id, _call(row, mail))
    return sorted(found.values(), key=lambda call: (-_money(call.traits), call.account_id))


def choose(calls: Sequence[Call], most: int) -> list[Call]:
    """As many calls as ``most``, of different rules and kinds as far as there are."""
    rules, kinds = Counter[str](), Counter[str]()
    ranked = []
    for at, call in enumerate(calls):
        ranked.append((rules[call.rule], kinds[call.kind], at, call))
        rules[call.rule] += 1
        kinds[call.kind] += 1
    return [call for *_, call in sorted(ranked, key=lambda one: one[:3])[:most]]


def facts(text: str) -> str:
    r"""The facts of a mail to us, which stand in it moved in: as many as fit, without what we say in other words.

    >>> facts("Ask them.\n\n     Before:  26 uses a week\n             #####\n     Now:     6\n\nWhy this rule: ...")
    'Before: 26 uses a week; Now: 6'
    """
    moved_in = [line for line in text.partition("\nWhy this rule:")[0].splitlines() if line.startswith("    ")]
    found = [" ".join(line.split()) for line in moved_in if any(sign.isalnum() for sign in line)]
    told = [fact for fact in found if not fact.startswith(SAID)]
    return "; ".join(one for at, one in enumerate(told) if len("; ".join(told[: at + 1])) <= LONGEST)


def in_words(values: Mapping[str, Any]) -> str:
    """The numbers that a decision rests on, for somebody who does not know the rulebook.

    >>> in_words({"usage_week": 9.5, "active_people_14d": 3, "ticket.waiting_hours": 1, "ticket.subject": None})
    'usage week 9.5, active people in 14 days 3, waiting hours 1'
    """
    found = [
        f"{_spelt(name)} {shown(value)}"
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return ", ".join(found[:MOST_NUMBERS])


def _still(store: Store, book: Rulebook, row: OutreachRow) -> bool:
    """Does the reason still hold? An event's reason is what happened, and that cannot be undone."""
    if row.subject_kind == "event":
        return True
    return bool(explain(store, book, row.account_id, row.rule, about=_about(row))["truth"] == "yes")


def _about(row: OutreachRow) -> str | None:
    return f"{row.subject_kind}:{row.subject_id}" if row.subject_kind else None


def _call(row: OutreachRow, mail: Outgoing) -> Call:
    message = message_from_bytes(mail.raw, policy=default)
    body = message.get_body(("plain",))
    text = "\n".join(str(body.get_content()).splitlines()) if body is not None else ""
    return Call(
        account_id=row.account_id,
        rule=row.rule,
        kind=row.kind,
        about=_about(row),
        at=row.at,
        what=str(message["Subject"]),
        do=" ".join(text.strip().partition("\n\n")[0].split()),
        why=str(row.frozen.get("why") or ""),
        numbers=facts(text) or in_words(row.values),
        traits=row.frozen.get("account") or {},
    )


def _spelt(name: str) -> str:
    words = name.rpartition(".")[2]
    words = _SPAN.sub(lambda found: f" in {found[1]} {_UNITS[found[2]]}", words)
    return words.replace("_", " ")


def _money(traits: Mapping[str, Any]) -> float:
    found = traits.get("mrr")
    return float(found) if isinstance(found, int | float) else 0.0
