"""Stripe's events about subscriptions and invoices."""

from collections.abc import Iterator
from decimal import Decimal

from streams.foreign import (
    Draft,
    Foreign,
    Object,
    account_of,
    first,
    inside,
    iso_of,
    mapping,
    named,
    text_of,
    time_of,
    told,
)

_NAMES = {
    "customer.subscription.created": "subscription.created",
    "customer.subscription.updated": "subscription.updated",
    "customer.subscription.deleted": "subscription.cancelled",
    "customer.subscription.trial_will_end": "trial.ending",
}
_MONTHS = {"day": Decimal(12) / 365, "week": Decimal(12 * 7) / 365, "month": Decimal(1), "year": Decimal(12)}
_WHOLE = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")
)
"""Currencies without a hundredth: Stripe sends their amounts as they are."""


def recognises(record: Foreign) -> bool:
    """It says so, and has Stripe's envelope."""
    body = record.body
    return isinstance(body, dict) and body.get("object") == "event" and isinstance(body.get("data"), dict)


def events(record: Foreign) -> Iterator[Draft]:
    """The event; of another kind than subscriptions with its own type, its object's id and status.

    The account is ``account_id`` in the object's metadata, or else Stripe's customer.
    """
    body = record.body
    thing = mapping(inside(body, "data", "object"))
    kind = str(body.get("type", ""))
    account = first(inside(thing, "metadata", "account_id"), thing.get("customer"), inside(thing, "customer", "id"))
    subscription = thing.get("object") == "subscription"
    yield Draft(
        id=named("stripe", body.get("id"), body),
        type=_NAMES.get(kind, kind),
        account_id=account_of(account, "data.object.metadata.account_id or data.object.customer"),
        time=time_of(body.get("created"), "created"),
        properties=_subscription(thing) if subscription else _other(thing),
    )


def _subscription(thing: Object) -> dict[str, object]:
    items = [mapping(item) for item in inside(thing, "items", "data") or []]
    price = mapping(items[0].get("price")) if items else {}
    end = next((item["current_period_end"] for item in items if item.get("current_period_end")), None)
    details = mapping(thing.get("cancellation_details"))
    return told(
        subscription_id=first(thing.get("id")),
        status=text_of(thing.get("status")),
        plan=first(price.get("nickname"), price.get("lookup_key"), price.get("id")),
        seats=sum(item["quantity"] for item in items if isinstance(item.get("quantity"), int)) or None,
        mrr=_monthly(items),
        currency=text_of(str(price.get("currency") or "").upper()),
        # Until March 2025 the period stood on the subscription, since then on its items.
        period_end=iso_of(thing.get("current_period_end") or end),
        cancel_at_period_end=thing.get("cancel_at_period_end"),
        feedback=text_of(details.get("feedback")),
        reason=text_of(details.get("reason")),
    )


def _monthly(items: list[Object]) -> float | None:
    """What a month of all items is worth; None where one has no price that can be said so."""
    total = Decimal(0)
    for item in items:
        price, count = mapping(item.get("price")), item.get("quantity", 1)
        amount, every = price.get("unit_amount"), mapping(price.get("recurring"))
        months = _MONTHS.get(str(every.get("interval")))
        times = every.get("interval_count", 1)
        if (
            not isinstance(amount, int)
            or not isinstance(count, int)
            or months is None
            or not isinstance(times, int)
            or times < 1
        ):
            return None
        hundredths = 1 if str(price.get("currency")).lower() in _WHOLE else 100
        total += Decimal(amount) * count / hundredths / (months * times)
    return float(round(total, 2)) if items else None


def _other(thing: Object) -> dict[str, object]:
    names = {"object": "object", "object_id": "id", "status": "status", "subscription_id": "subscription"}
    return told(**{name: first(thing.get(key)) for name, key in names.items()}, attempts=thing.get("attempt_count"))
