"""The intake: events keyed by anything, in our format or another's, mapped and sent on to the topics of the lanes."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from engine.errors import StoreError, StreamError
from engine.events import MAX_BYTES
from engine.instants import Instant
from engine.store import DeadLetter
from streams.files import dead_letter
from streams.mapping import mapped
from streams.producing import produce, tireless
from streams.publish import topic_of
from streams.settings import KafkaSettings
from streams.writer import kept_headers

MOST = 500
"""How many records are mapped, sent on and confirmed at once."""
POLL_SECONDS = 0.5
PAUSE_SECONDS = 2.0
log = logging.getLogger(__name__)


class Counts(msgspec.Struct):
    """What became of the records: events sent on, records passed over, dead letters."""

    records: int = 0
    events: int = 0
    passed_over: int = 0
    dead_letters: int = 0


class Intake:
    """Takes records from the intake topic, as one of a group; each goes on or is a dead letter, at least once.

    ``keep`` stores dead letters; its ``StoreError`` is waited for. The offsets of a batch are committed when the
    brokers have confirmed its events and the store has its dead letters. What comes twice is known by its id further
    down.
    """

    def __init__(
        self, kafka: KafkaSettings, keep: Callable[[Sequence[DeadLetter]], object], *, now: Callable[[], Instant]
    ) -> None:
        self._kafka, self._keep, self._now = kafka, keep, now
        self._topic = kafka.topics.intake
        self.counts = Counts()
        self._ended = set[int | None]()

    def run(self, stop: threading.Event, *, once: bool = False) -> None:
        """Go on until ``stop`` is set; with ``once`` until everything that this member was given is read to its end.

        Raises ``StreamError`` where Kafka will never take an event.
        """
        consumer, producer = self._consumer(once=once), tireless(self._kafka)
        try:
            consumer.subscribe([self._topic])
            log.info("joined the group %s-intake for %s", self._kafka.group, self._topic)
            while not stop.is_set() and not (once and self._through(consumer)):
                records = self._records(consumer)
                if records and self._forwarded(producer, records, stop):
                    self._commit(consumer, records)
        finally:
            producer.purge()
            consumer.close()

    def _records(self, consumer: Consumer) -> list[Message]:
        found = []
        for message in consumer.consume(MOST, POLL_SECONDS):
            err = message.error()
            if err is None:
                found.append(message)
            elif err.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - so the client names it for everybody
                self._ended.add(message.partition())
            elif err.fatal():
                raise StreamError(f"{self._topic}: the client cannot go on; {err.str()}; start the intake again")
            else:
                log.info("%s: %s; trying again", self._topic, err.str())
        return found

    def _through(self, consumer: Consumer) -> bool:
        given = {place.partition for place in consumer.assignment()}
        return bool(given) and given <= self._ended

    def _forwarded(self, producer: Producer, records: Sequence[Message], stop: threading.Event) -> bool:
        """Send on what a batch holds; True when all of it is with the brokers or in the store."""
        letters, faults = list[DeadLetter](), list[str]()
        waiting = [0]

        def confirmed(err: KafkaError | None, _message: Any) -> None:
            waiting[0] -= 1
            if err is not None:
                faults.append(err.str())

        counts = Counts(records=len(records))
        for record in records:
            at = self._published(record)
            found = mapped(record.value(), _headers(record), at=at, wall=self._now())
            for raw, arrived in found.events:
                waiting[0] += 1
                event = arrived.event
                topic, more = topic_of(event.type, self._kafka.topics), {"timestamp": at, "on_delivery": confirmed}
                produce(producer, topic, raw, event.account_id, wait=POLL_SECONDS, **more)
            counts.events += len(found.events)
            counts.passed_over += not found.events and found.bad is None
            if found.bad is not None:
                letters.append(self._letter(record, found.bad.reason, found.bad.account_id))
        counts.dead_letters = len(letters)
        while waiting[0] and not stop.is_set():
            producer.poll(POLL_SECONDS)
        if faults:
            raise StreamError(
                f"{self._topic}: Kafka did not take {len(faults)} events; {faults[0]}; mend it and start the intake "
                "again: it goes on from there"
            )
        if waiting[0] or not self._kept(letters, stop):
            return False
        for name in Counts.__struct_fields__:
            setattr(self.counts, name, getattr(self.counts, name) + getattr(counts, name))
        return True

    def _kept(self, letters: Sequence[DeadLetter], stop: threading.Event) -> bool:
        while letters and not stop.is_set():
            try:
                self._keep(letters)
            except StoreError as err:
                log.warning("%d dead letters wait: %s; trying again", len(letters), err)
                stop.wait(PAUSE_SECONDS)
            else:
                return True
        return not letters

    def _commit(self, consumer: Consumer, records: Sequence[Message]) -> None:
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as err:  # another took the partition over, and does the same batch again
            log.info("%d records may come again: %s", len(records), err.args[0].str())

    def _published(self, record: Message) -> Instant:
        """When the record was published, as far as its clock can be believed."""
        _, stamp = record.timestamp()
        return min(stamp, self._now()) if stamp >= 0 else self._now()

    def _letter(self, record: Message, reason: str, account: str | None) -> DeadLetter:
        where = f"{record.partition()}:{record.offset()}"
        raw = record.value() or b""
        letter = dead_letter(self._topic, where, reason, raw[:MAX_BYTES], self._now(), account)
        return msgspec.structs.replace(letter, headers=kept_headers(_headers(record)))

    def _consumer(self, *, once: bool) -> Consumer:
        return Consumer(
            {
                **self._kafka.for_confluent(),
                "group.id": f"{self._kafka.group}-intake",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "session.timeout.ms": 10_000,
                "fetch.wait.max.ms": 100,
                "enable.partition.eof": once,
                "log_level": 0,
            }
        )


def _headers(record: Message) -> list[tuple[str, bytes]]:
    found = record.headers() or []
    rows = found.items() if isinstance(found, dict) else found
    return [(name, value.encode() if isinstance(value, str) else value or b"") for name, value in rows]


__all__ = ["Counts", "Intake"]
