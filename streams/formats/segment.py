"""Segment and RudderStack: ``track``, ``identify``, ``group``, ``page`` and ``screen``."""

from collections.abc import Iterator

from streams.foreign import (
    Draft,
    Foreign,
    Object,
    Unmapped,
    account_of,
    dotted,
    first,
    inside,
    mapping,
    named,
    snake,
    time_of,
)

_CALLS = frozenset({"track", "identify", "group", "page", "screen", "alias"})
_KNOWN = {
    "Signed In": "session.started",
    "Invite Sent": "user.invited",
    "Account Removed User": "user.removed",
}
"""Events of Segment's plan for business software that the engine has words of its own for."""


def recognises(record: Foreign) -> bool:
    """It is one of the six calls, with the id that every message has."""
    body = record.body
    return isinstance(body, dict) and first(body.get("type")) in _CALLS and "messageId" in body


def events(record: Foreign) -> Iterator[Draft]:
    """The call as an event. ``alias`` joins two ids of one person, which is nothing that happened."""
    body = record.body
    call = body["type"]
    if call == "alias":
        return
    stamp = next(
        (body[name] for name in ("timestamp", "originalTimestamp", "sentAt", "receivedAt") if body.get(name)), None
    )
    kind, properties = _event(call, body)
    yield Draft(
        id=named("segment", body["messageId"], body),
        type=kind,
        account_id=account_of(
            first(body.get("groupId"), inside(body, "context", "groupId")), "groupId or context.groupId"
        ),
        user_id=None if call == "group" else first(body.get("userId")),
        time=time_of(stamp, "timestamp"),
        properties=properties,
    )


def _event(call: str, body: Object) -> tuple[str, Object]:
    if call == "track":
        name = first(body.get("event"))
        if name is None or not dotted(name):
            raise Unmapped("event: a track call without a name; found none; name what happened")
        return _KNOWN.get(name, dotted(name)), mapping(body.get("properties"))
    if call in {"page", "screen"}:
        named_page = {"name": body["name"]} if first(body.get("name")) else {}
        return f"{call}.viewed", {**mapping(body.get("properties")), **named_page}
    if call == "identify" and first(body.get("userId")) is None:
        raise Unmapped("userId: an identify call of nobody; found none; traits belong to a person")
    traits = {snake(name): value for name, value in mapping(body.get("traits")).items() if snake(name)}
    if "created" in traits:
        traits.setdefault("created_at", traits.pop("created"))
    return ("user.updated" if call == "identify" else "account.updated"), traits
