"""What an event says of an account that a sender must know without folding: contact, appointments, a cancellation."""

from collections.abc import Iterator

from engine.instants import Instant, from_datetime, parse_iso
from engine.log import Event
from engine.rulebook.words import CONTACTS, MEETINGS, SUBSCRIPTIONS
from engine.store import APPOINTMENT, OVER, SUBSCRIPTION, Touch
from engine.zones import Zone, valid_zone


def touches_of(event: Event, where: Zone) -> Iterator[Touch]:
    """What is kept of an event, in ``touches``; ``where`` is for a meeting's time without offset and zone.

    Of a meeting that is called off, held, or has no time that can be read, it is kept that it is over.
    """
    channel = CONTACTS.get(event.type)
    if channel is not None:
        yield Touch(event.account_id, event.user_id, event.time, channel, event.type)
    if event.type in SUBSCRIPTIONS:
        yield Touch(event.account_id, None, event.time, SUBSCRIPTION, event.type)
    meeting = event.properties.get("meeting_id")
    if event.type in MEETINGS and isinstance(meeting, str | int) and not isinstance(meeting, bool):
        begins = _begins(event, where) if MEETINGS[event.type] else None
        yield Touch(event.account_id, None, OVER if begins is None else begins, APPOINTMENT, str(meeting))


def _begins(event: Event, where: Zone) -> Instant | None:
    text = event.properties.get("starts_at")
    found = parse_iso(text) if isinstance(text, str) else None
    if found is None:
        return None
    moment, aware = found
    return from_datetime(moment) if aware else valid_zone(event.properties.get("timezone"), where).instant(moment)
