"""What came of a contract so far, and whom of us its people can talk to."""

from collections.abc import Sequence
from typing import Any

from engine.instants import iso
from engine.recipients import is_ours
from engine.reports.money import added
from engine.reports.past import Accounts, Past
from engine.reports.together import figure_of
from engine.reports.told import amount_json, money_json
from engine.rulebook.spec import Policy, Report


def contract_json(accounts: Accounts, pasts: Sequence[Past], report: Report) -> dict[str, Any] | None:
    """All values from the day of ``subscription.created`` up to the end of the period; None while there was none.

    ``pasts`` are the account, whose contract it is, and the parts of its report.
    ``whole``: is all of that time in our log? If not, ``from`` is where what we know begins.
    """
    past = pasts[0]
    created = past.view.state.created
    if created is None or created > past.end:
        return None
    begins = max(created, past.since)
    first, book = past.zone.day(begins), accounts.book
    values = [book.values[name] for name in report.values]
    ledgers = [one.ledger for one in pasts]
    figures = [figure_of(one, book.measures[one.measure], ledgers, first, past.period.last) for one in values]
    return {
        "since": iso(created),
        "from": iso(begins),
        "whole": created >= past.since,
        "total": money_json(added(one.worth.money for one in figures if one.worth)),
        "values": [
            {"value": value.name, "label": value.label, "unit": value.unit, "amount": amount_json(one.amount)}
            for value, one in zip(values, figures, strict=True)
        ],
    }


def contact_of(past: Past, policy: Policy) -> dict[str, str] | None:
    """The owner of the account as of the question, by name (empty: not known) and address."""
    owner = past.now.state.trait("owner")
    if not isinstance(owner, str) or not is_ours(owner, policy.staff_domains):
        return None
    return {"name": dict(policy.staff_names).get(owner.lower(), ""), "address": owner}
