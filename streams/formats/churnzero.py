"""Calls in the manner of ChurnZero's HTTP interface."""

from collections.abc import Iterator

from streams.foreign import Draft, Foreign, Unmapped, account_of, derived, dotted, first, text_of, time_of, told


def recognises(record: Foreign) -> bool:
    """It says what to do, and for which account."""
    return isinstance(record.body, dict) and "action" in record.body and "accountExternalId" in record.body


def events(record: Foreign) -> Iterator[Draft]:
    """The event of a ``trackEvent``. Its ``appKey`` goes no further."""
    body = record.body
    if body["action"] != "trackEvent":
        raise Unmapped(f"action: only trackEvent is an event; found {body['action']!r:.40}; send those")
    name = first(body.get("eventName"))
    if name is None:
        raise Unmapped("eventName: missing; name what happened; send it")
    account, person = first(body["accountExternalId"]), first(body.get("contactExternalId"))
    yield Draft(
        id=f"churnzero:{derived(body.get('eventDate'), name, account, person, body.get('description'))}",
        type=dotted(name),
        account_id=account_of(account, "accountExternalId"),
        user_id=person,
        time=time_of(body.get("eventDate"), "eventDate"),
        properties=told(description=text_of(body.get("description")), quantity=body.get("quantity")),
    )
