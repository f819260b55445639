"""Zendesk's event webhooks about tickets."""

from collections.abc import Iterator

from streams.foreign import Draft, Foreign, Object, account_of, first, inside, mapping, named, text_of, time_of, told

_BEFORE = "zen:event-type:"
_DONE = frozenset({"solved", "closed"})
_NAMES = {
    "ticket.created": "ticket.opened",
    "ticket.comment_added": "ticket.replied",
    "ticket.tags_changed": "ticket.tagged",
}
_STATUS = "ticket.status_changed"


def recognises(record: Foreign) -> bool:
    """Its type begins as Zendesk's do."""
    return isinstance(record.body, dict) and str(record.body.get("type", "")).startswith(_BEFORE)


def events(record: Foreign) -> Iterator[Draft]:
    """The change of a ticket; a status that neither opens, solves nor closes it is passed over.

    The account is the organization; the person is the requester.
    """
    body = record.body
    detail = mapping(body.get("detail"))
    name = str(body["type"]).removeprefix(_BEFORE)
    kind = _status(body) if name == _STATUS else _NAMES.get(name, name)
    if kind is None:
        return
    yield Draft(
        id=named("zendesk", body.get("id"), body),
        type=kind,
        account_id=account_of(
            first(detail.get("organization_id")), "detail.organization_id (the requester's organization)"
        ),
        user_id=first(detail.get("requester_id")),
        time=time_of(body.get("time"), "time"),
        properties=told(
            ticket_id=first(detail.get("id")),
            status=_lower(detail.get("status")),
            priority=_lower(detail.get("priority")),
            channel=text_of(inside(detail, "via", "channel")),
            subject=text_of(detail.get("subject")),
            tags=detail.get("tags") if isinstance(detail.get("tags"), list) else None,
            by=_by(detail) if kind == "ticket.replied" else None,
        ),
    )


def _status(body: Object) -> str | None:
    before, now = (_lower(inside(body, "event", name)) for name in ("previous", "current"))
    if now in _DONE:
        return f"ticket.{now}"
    return "ticket.reopened" if before in _DONE else None


def _by(detail: Object) -> str:
    """Who wrote: the requester, or one of us."""
    actor = first(detail.get("actor_id"))
    return "customer" if actor is not None and actor == first(detail.get("requester_id")) else "agent"


def _lower(value: object) -> str | None:
    # The case of these words differs from place to place in Zendesk's own messages.
    return value.lower() if isinstance(value, str) and value else None
