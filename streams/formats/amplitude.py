"""Amplitude: an upload of events, or a single one."""

from collections.abc import Iterator

from streams.foreign import Draft, Foreign, Object, account_of, dotted, first, inside, mapping, named, time_of


def recognises(record: Foreign) -> bool:
    """An event, or the first of many, has a type and the id of its insertion."""
    found = _events(record.body)
    return bool(found) and {"event_type", "insert_id"} <= found[0].keys()


def events(record: Foreign) -> Iterator[Draft]:
    """Each event; what Amplitude itself writes (``$identify`` and the like) is passed over.

    The account is the group ``account`` or ``company``, or else the only group there is.
    """
    for event in _events(record.body):
        name = str(event.get("event_type"))
        if name.startswith("$"):
            continue
        yield Draft(
            id=named("amplitude", event.get("insert_id"), event),
            type=dotted(name),
            account_id=account_of(_account(mapping(event.get("groups"))), "groups"),
            user_id=first(event.get("user_id")),
            time=time_of(event.get("time"), "time"),
            properties=mapping(event.get("event_properties")),
        )


def _events(body: object) -> list[Object]:
    found = body.get("events", [body]) if isinstance(body, dict) else []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _account(groups: Object) -> str | None:
    only = list(groups.values()) if len(groups) == 1 else []
    wanted = [groups.get("account"), groups.get("company"), *only]
    return first(*(inside(one, 0) if isinstance(one, list) else one for one in wanted))
