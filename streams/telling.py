"""What is told outside, as records of Kafka: a decision as a CloudEvent, a dead letter as it came."""

from typing import Annotated, Any

import msgspec

from engine.instants import iso
from engine.store import DeadLetter, Outgoing

Headers = list[tuple[str, str | bytes | None]]
TYPE = "ringfirst.decision."
"""Before the outcome: ``planned``, ``draft``, ``held_out`` or ``withdrawn``."""
CONTENT_TYPE = ("content-type", b"application/cloudevents+json; charset=UTF-8")


def _says(words: str) -> msgspec.Meta:
    return msgspec.Meta(description=words)


class Subject(msgspec.Struct):
    """What the rule looked at inside the account."""

    kind: Annotated[str, _says("`person`, `event`, or the name of a thing such as `ticket`")]
    id: Annotated[str, _says("its id")]


class Mail(msgspec.Struct):
    """A mail that the decision planned. Whether it leaves, and when, is not told here."""

    outreach_id: Annotated[str, _says("the mail's id, as in `ringfirst outreach list`")]
    audience: Annotated[str, _says("`customer` or `staff`")]
    to: Annotated[str | None, _says("the person's id; null for one of us, whose address is nobody else's business")]
    template: Annotated[str, _says("the folder of its words")]
    mail_class: Annotated[str, _says("`transactional`, `relationship`, `marketing` or `internal`")] = msgspec.field(
        name="class"
    )
    mode: Annotated[str, _says("`auto`, or `review`: somebody must approve it first")]
    due_at: Annotated[str, _says("when it may leave")]
    expires_at: Annotated[str, _says("after this it does not leave any more")]


class DecisionData(msgspec.Struct):
    """What was decided, as it stood after this change."""

    decision_id: Annotated[str, _says("the same for ever for one rule, account, subject and occasion")]
    revision: Annotated[int, _says("counts the changes of this decision from 1; the larger is the newer")]
    outcome: Annotated[str, _says("`planned`, `draft`, `held_out` or `withdrawn`")]
    rule: Annotated[str, _says("the rule's id")]
    kind: Annotated[str, _says("the rule's kind, such as `churn_risk`")]
    account_id: Annotated[str, _says("the account; `*` for a rule on all customers together")]
    subject: Annotated[Subject | None, _says("what the rule looked at inside the account; null: the account itself")]
    occasion: Annotated[str, _says("what used this decision up: the rule decides again for another one")]
    at: Annotated[str, _says("the instant of which it was decided")]
    withdrawn_at: Annotated[str | None, _says("when its reason was gone; null unless `withdrawn`")]
    values: Annotated[
        dict[str, Any], _says("the names that the rule and its template use, as of `at`; null is unknown")
    ]
    mails: Annotated[list[Mail], _says("the mails it planned; none leave of a draft, nor of what is held out")]


class DecisionEvent(msgspec.Struct):
    """A CloudEvent 1.0 in structured JSON. ``source`` and ``id`` together are the same whenever it is sent again."""

    specversion: Annotated[str, _says("`1.0`")]
    id: Annotated[str, _says("`decision_id`, a dot, `revision`: whenever it is sent again it is the same")]
    source: Annotated[str, _says("`/ringfirst/` and the workers' group (`RINGFIRST_KAFKA_GROUP`)")]
    type: Annotated[str, _says("`ringfirst.decision.` and the outcome")]
    subject: Annotated[str, _says("the account's id")]
    time: Annotated[str, _says("`withdrawn_at`, or else `at`")]
    datacontenttype: Annotated[str, _says("`application/json`")]
    partitionkey: Annotated[str, _says("the account's id, which is the record's key")]
    data: Annotated[DecisionData, _says("the decision")]


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
        data=data,
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
