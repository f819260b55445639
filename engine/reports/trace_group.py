"""The way back from a figure of several accounts: what each of them has of it, and the events of all."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.numbers import plain
from engine.reports.together import is_added
from engine.rulebook.spec import Measure


def gathered(
    told: dict[str, Any], others: Sequence[Mapping[str, Any]], names: Mapping[str, str], measure: Measure | None
) -> dict[str, Any]:
    """The trace of one account together with those of the parts of its report.

    ``accounts`` are all of them with their own figure, and each event names its account. What is added up is the sum of
    the amounts that are told; ``amount`` of another figure is left to who computes it from all events.
    """
    each = [told, *others]
    added = told["value"] is not None and measure is not None and is_added(measure)
    rows = [
        {
            "account_id": one["account_id"],
            "name": names[one["account_id"]],
            "amount": one["amount"],
            "formula": one["formula"],
            "worth": one["worth"],
        }
        for one in each
    ]
    events = [{"account_id": one["account_id"], **event} for one in each for event in one["events"]]
    return {
        **told,
        "formula": f"{_how(added=added)} of {len(each):,} accounts = ",
        "worth": None,
        "events": sorted(events, key=lambda one: (one["time"], one["account_id"], one["id"])),
        "earlier": [],
        "accounts": rows,
        "left_out": sum(one["left_out"] for one in each),
    }


def _how(*, added: bool) -> str:
    return "sum" if added else "from all events"


def with_amount(told: dict[str, Any], amount: Any) -> dict[str, Any]:
    """The same with the number of all accounts."""
    number = amount if amount is None or isinstance(amount, int) else plain(float(amount))
    return {**told, "amount": number, "formula": f"{told['formula']}{'unknown' if number is None else number}"}
