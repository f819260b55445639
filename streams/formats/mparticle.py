"""mParticle: a batch of one person's events."""

from collections.abc import Iterator

from streams.foreign import Draft, Foreign, Object, account_of, dotted, first, inside, mapping, named, time_of

_NAMES = {"session_start": "session.started"}


def recognises(record: Foreign) -> bool:
    """Its events have a type, and data with a time."""
    return isinstance(inside(record.body, "events", 0, "event_type"), str) and isinstance(
        inside(record.body, "events", 0, "data"), dict
    )


def events(record: Foreign) -> Iterator[Draft]:
    """Each event of the batch; the account is ``account_id`` or ``company_id`` among the attributes of the user."""
    body = record.body
    account = first(*(inside(body, "user_attributes", name) for name in ("account_id", "company_id")))
    for event in body["events"]:
        data, kind = mapping(inside(event, "data")), str(inside(event, "event_type"))
        name = first(data.get("event_name")) if kind == "custom_event" else None
        yield Draft(
            id=named("mparticle", data.get("source_message_id"), body, event),
            type=_NAMES.get(kind) or dotted(name or kind),
            account_id=account_of(account, "user_attributes.account_id"),
            user_id=_customer(body),
            time=time_of(data.get("timestamp_unixtime_ms"), "data.timestamp_unixtime_ms"),
            properties=mapping(data.get("custom_attributes")),
        )


def _customer(body: Object) -> str | None:
    """The customer's id; the identities are a list or an object, by version."""
    found = body.get("user_identities")
    if isinstance(found, dict):
        return first(found.get("customer_id"), found.get("customerid"))
    rows = [row for row in found or [] if isinstance(row, dict) and row.get("identity_type") == "customer_id"]
    return first(*(row.get("identity") for row in rows))
