"""Freshdesk's simple automation webhook."""

from collections.abc import Iterator

from streams.foreign import Draft, Foreign, account_of, derived, first, mapping, text_of, time_of, told

_KEY = "freshdesk_webhook"
_NAMES = {"resolved": "ticket.solved", "closed": "ticket.closed"}


def recognises(record: Foreign) -> bool:
    """Its only key says so."""
    return isinstance(record.body, dict) and _KEY in record.body


def events(record: Foreign) -> Iterator[Draft]:
    """The ticket as it stands: opened, solved, closed, or updated.

    The account is the company's name. Freshdesk tells of a person nothing but the address, which is no id: the
    event is nobody's.
    """
    ticket = mapping(record.body[_KEY])
    number, status = first(ticket.get("ticket_id")), str(ticket.get("ticket_status", "")).lower()
    made, changed = ticket.get("ticket_created_at"), ticket.get("ticket_updated_at")
    opened = status == "open" and made == changed
    tags = [tag.strip() for tag in str(ticket.get("ticket_tags") or "").split(",") if tag.strip()]
    yield Draft(
        id=f"freshdesk:{derived(number, status, changed)}",
        type="ticket.opened" if opened else _NAMES.get(status, "ticket.updated"),
        account_id=account_of(first(ticket.get("ticket_company_name")), "ticket_company_name"),
        time=time_of(changed, "ticket_updated_at"),
        properties=told(
            ticket_id=number,
            status=status or None,
            priority=text_of(str(ticket.get("ticket_priority") or "").lower()),
            channel=text_of(str(ticket.get("ticket_source") or "").lower()),
            subject=text_of(ticket.get("ticket_subject")),
            tags=tags or None,
        ),
    )
