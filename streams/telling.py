"""What is told outside, as records of Kafka: a decision as a CloudEvent, a dead letter as it came."""

from typing import Any

import msgspec

from engine.instants import iso
from engine.store import DeadLetter, Outgoing

Headers = list[tuple[str, str | bytes | None]]
TYPE = "ringfirst.decision."
"""Before the outcome: ``planned``, ``draft``, ``held_out`` or ``withdrawn``."""
CONTENT_TYPE = ("content-type", b"application/cloudevents+json; charset=UTF-8")


class Subject(msgspec.Struct):
    """What the rule looked at inside the account: a thing, an event or a person, by its id."""

    kind: str
    id: str


class Mail(msgspec.Struct):
    """A mail that was planned; ``to`` is a person's id, and null where one of us gets it."""

    outreach_id: str
    audience: str
    to: str | None
    template: str
    mail_class: str = msgspec.field(name="class")
    mode: str
    due_at: str
    expires_at: str


class DecisionData(msgspec.Struct):
    """A decision as it became. ``revision`` counts from 1: of two of one decision the larger is the newer."""

    decision_id: str
    revision: int
    outcome: str
    rule: str
    kind: str
    account_id: str
    subject: Subject | None
    occasion: str
    at: str
    withdrawn_at: str | None
    values: dict[str, Any]
    mails: list[Mail]


class DecisionEvent(msgspec.Struct):
    """A CloudEvent 1.0 in structured JSON. ``source`` and ``id`` together are the same whenever it is sent again."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    partitionkey: str
    data: msgspec.Raw


class Message(msgspec.Struct, frozen=True):
    """A record to publish."""

    key: str
    value: bytes
    headers: Headers


_decode = msgspec.json.Decoder(DecisionData).decode


def decision_message(row: Outgoing, source: str) -> Message:
    """Write a change of a decision as a CloudEvent; the same row and source give the same bytes."""
    data = _decode(row.body)
    event = DecisionEvent(
        specversion="1.0",
        id=f"{data.decision_id}.{data.revision}",
        source=source,
        type=TYPE + data.outcome,
        subject=data.account_id,
        time=data.withdrawn_at or data.at,
        datacontenttype="application/json",
        partitionkey=data.account_id,
        data=msgspec.Raw(row.body),
    )
    return Message(data.account_id, msgspec.json.encode(event), [CONTENT_TYPE])


def letter_message(letter: DeadLetter) -> Message:
    """A dead letter as its record came, headers included; ours begin with ``ringfirst-`` and say why and whence.

    >>> letter = DeadLetter("d1", "usage-events", "3:17", "not an event", b"{", 0)
    >>> [name for name, _ in letter_message(letter).headers]
    ['ringfirst-id', 'ringfirst-reason', 'ringfirst-topic', 'ringfirst-partition', 'ringfirst-offset', 'ringfirst-at']
    """
    partition, _, offset = letter.where.partition(":")
    told = {
        "id": letter.dead_letter_id,
        "reason": letter.reason,
        "topic": letter.source,
        "partition": partition,
        "offset": offset,
        "at": iso(letter.at),
    }
    ours: Headers = [(f"ringfirst-{name}", text.encode()) for name, text in told.items()]
    return Message(letter.account_id or letter.source, letter.raw, [*letter.headers, *ours])
