"""Our own events, keyed by whatever their sender likes."""

from collections.abc import Iterator

from streams.foreign import Draft, Foreign, mapping, time_of


def recognises(record: Foreign) -> bool:
    """It has an account of ours."""
    body = record.body
    return (
        isinstance(body, dict)
        and isinstance(body.get("account_id"), str)
        and {"id", "type", "time"} <= body.keys()
        and "specversion" not in body
    )


def events(record: Foreign) -> Iterator[Draft]:
    """The event, as it is: the engine says what is wrong with it."""
    body = record.body
    yield Draft(
        id=body["id"],
        type=body["type"],
        account_id=body["account_id"],
        user_id=body.get("user_id"),
        time=time_of(body["time"], "time"),
        properties=mapping(body.get("properties")),
    )
