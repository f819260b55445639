"""CloudEvents 1.0 on Kafka, structured (the value is the event) and binary (the headers are, the value is its data)."""

from collections.abc import Iterator
from typing import Any

from streams.foreign import Draft, Foreign, Unmapped, account_of, first, named, time_of, without

_HEADER = "ce_"


def recognises(record: Foreign) -> bool:
    """It says which version of the specification it is of."""
    inside = isinstance(record.body, dict) and isinstance(record.body.get("specversion"), str)
    return inside or f"{_HEADER}specversion" in record.headers


def events(record: Foreign) -> Iterator[Draft]:
    """The event; source and id together are its id, and ``data`` its properties.

    The account is ``account_id`` in the data, or else the extension ``partitionkey``, or else the subject.
    """
    told, data = _parts(record)
    if not str(told["specversion"]).startswith("1."):
        raise Unmapped(f"specversion: not 1.x; found {told['specversion']!r:.20}; send CloudEvents 1.0")
    missing = [name for name in ("id", "source", "type") if first(told.get(name)) is None]
    if missing:
        raise Unmapped(f"{missing[0]}: missing; a CloudEvent has one; send it")
    account = first(data.get("account_id"), told.get("partitionkey"), told.get("subject"))
    yield Draft(
        id=named(str(told["source"]), told["id"]),
        type=str(told["type"]),
        account_id=account_of(account, "data.account_id, partitionkey or subject"),
        user_id=first(data.get("user_id"), told.get("userid")),
        time=record.at if told.get("time") is None else time_of(told["time"], "time"),
        properties=without(data, ("account_id", "user_id")),
    )


def _parts(record: Foreign) -> tuple[dict[str, Any], dict[str, Any]]:
    """The attributes, and the data."""
    if f"{_HEADER}specversion" in record.headers:
        told: dict[str, Any] = {
            name.removeprefix(_HEADER): value.decode(errors="replace")
            for name, value in record.headers.items()
            if name.startswith(_HEADER)
        }
        data = record.body
    else:
        told, data = record.body, record.body.get("data")
        if "data_base64" in told:
            raise Unmapped("data_base64: the data is no JSON; found bytes; send data as a JSON object")
    if data is not None and not isinstance(data, dict):
        raise Unmapped(f"data: no JSON object; found {type(data).__name__}; send an object")
    return told, data or {}
