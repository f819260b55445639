"""Intercom's notifications about conversations."""

from collections.abc import Iterator

from streams.foreign import Draft, Foreign, account_of, first, inside, mapping, named, time_of, told

_NAMES = {
    "conversation.user.created": ("ticket.opened", None),
    "conversation.user.replied": ("ticket.replied", "customer"),
    "conversation.admin.replied": ("ticket.replied", "agent"),
    "conversation.admin.closed": ("ticket.solved", None),
    "conversation_part.tag.created": ("ticket.tagged", None),
}


def recognises(record: Foreign) -> bool:
    """It says so."""
    return isinstance(record.body, dict) and record.body.get("type") == "notification_event"


def events(record: Foreign) -> Iterator[Draft]:
    """What happened to a conversation, as a ticket; any other topic keeps its name. ``ping`` is passed over.

    The account is the company's id, as you gave it or as Intercom did; the person is the contact's.
    """
    body = record.body
    topic = str(body.get("topic", ""))
    if topic == "ping":
        return
    item = mapping(inside(body, "data", "item"))
    kind, by = _NAMES.get(topic, (topic, None))
    company = next((found for found in (item.get("company"), inside(item, "companies", "companies", 0)) if found), None)
    contact = inside(item, "contacts", "contacts", 0)
    tags = [tag["name"] for tag in inside(item, "tags", "tags") or [] if first(inside(tag, "name"))]
    yield Draft(
        id=named("intercom", body.get("id"), body),
        type=kind,
        account_id=account_of(first(inside(company, "company_id"), inside(company, "id")), "data.item.company"),
        user_id=first(inside(contact, "external_id"), inside(contact, "id")),
        time=time_of(body.get("created_at"), "created_at"),
        properties=told(
            ticket_id=first(item.get("id")),
            by=by,
            tags=tags or None,
            reopens=inside(item, "statistics", "count_reopens"),
        ),
    )
