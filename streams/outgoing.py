"""The way out: what the outbox holds goes to its topics, and leaves the outbox when the brokers have confirmed it."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from engine.errors import StoreError
from engine.store import Outgoing, OutgoingKind, Store
from streams.producing import produce, tireless
from streams.settings import KafkaSettings
from streams.telling import Message, decision_message, letter_message

EVERY_SECONDS = 0.25
MOST: Mapping[OutgoingKind, int] = {"decision": 1_000, "dead-letter": 100}
"""How many rows are read, sent and confirmed at once; a dead letter may have 256 KB."""
TELL_EVERY_SECONDS = 60.0
_POLL_SECONDS = 0.1

log = logging.getLogger(__name__)


class Publisher:
    """Publishes the outbox of the lanes that ``lanes`` names, in a thread of its own, at least once and in order.

    ``topics`` says where each kind goes. A row goes from the outbox when the brokers have it; who dies between the two
    leaves it to the lane's next owner, who sends the same bytes under the same id again.
    """

    def __init__(
        self,
        store: Store,
        kafka: KafkaSettings,
        topics: Mapping[OutgoingKind, str],
        *,
        lanes: Callable[[], Collection[int]],
    ) -> None:
        self._store, self._kafka, self._topics, self._lanes = store, kafka, topics, lanes
        self._source = source_of(kafka)
        self._known: Collection[int] = ()
        self._end = threading.Event()
        self._last = float("inf")
        self._told: dict[str, float] = {}
        self._dead = False
        """Did the client come to an end of its own? It takes nothing any more; only a new one does."""
        self._thread = threading.Thread(target=self._run, name="ringfirst-outgoing", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """End; what can be confirmed within ``seconds`` still goes out. The rest waits in the store."""
        self._last = time.monotonic() + seconds
        self._end.set()
        self._thread.join(seconds + 1)

    def _run(self) -> None:
        producer = tireless(self._kafka)
        while True:
            ending = self._end.is_set()  # asked first: what was written before the end is still seen
            if self._dead:
                producer, self._dead = tireless(self._kafka), False
            full = self._turned(producer)
            if ending and not (full and time.monotonic() < self._last):
                break
            if not full:
                self._end.wait(EVERY_SECONDS)
        producer.purge()

    def _turned(self, producer: Producer) -> bool:
        try:
            return self._turn(producer)
        except Exception:  # what waits, waits; but nobody would see that the thread is gone
            if self._is_due("fault"):
                log.exception("what was decided cannot be published; trying again")
            self._end.wait(1)
            return False

    def _turn(self, producer: Producer) -> bool:
        """Publish what waits; True when there may be more."""
        self._known = self._lanes() or self._known
        if not self._known:
            return False
        full = False
        for kind in self._topics:
            try:
                rows = self._store.outbox(self._known, kind, limit=MOST[kind])
                self._publish(producer, kind, rows)
            except StoreError as err:
                self._say(kind, f"{self._topics[kind]}: the outbox cannot be read or cleared: {err}; trying again")
                return False
            full = full or len(rows) == MOST[kind]
        return full

    def _publish(self, producer: Producer, kind: OutgoingKind, rows: list[Outgoing]) -> None:
        """Send rows, wait for the brokers however long they are away, and clear what they confirmed."""
        done = [row.seq for row in rows if kind == "dead-letter" and row.letter is None]
        faults: list[str] = []
        waiting = [0]
        for row in rows:
            message = self._message(row)
            if message is not None:
                waiting[0] += 1
                confirmed = _Confirmed(row.seq, done, faults, waiting, self._died)
                self._send(producer, self._topics[kind], message, confirmed)
        began = time.monotonic()
        while waiting[0] and time.monotonic() < self._last:
            producer.poll(_POLL_SECONDS)
            if time.monotonic() - began > TELL_EVERY_SECONDS / 6:
                self._say(kind, f"{self._topics[kind]}: {waiting[0]} records wait for Kafka to confirm them")
        if waiting[0]:
            producer.purge()
            producer.poll(0)
        if faults and time.monotonic() < self._last:
            self._say(kind, f"{self._topics[kind]}: {len(faults)} records wait in the outbox; {faults[0]}")
            self._end.wait(1)
        if done:
            self._store.published(done)

    def _message(self, row: Outgoing) -> Message | None:
        if row.kind == "decision":
            return decision_message(row, self._source)
        return None if row.letter is None else letter_message(row.letter)

    def _send(self, producer: Producer, topic: str, message: Message, confirmed: "_Confirmed") -> None:
        more = {"headers": message.headers, "on_delivery": confirmed}
        try:
            produce(producer, topic, message.value, message.key, wait=_POLL_SECONDS, **more)
        except KafkaException as err:
            confirmed(err.args[0], None)

    def _died(self) -> None:
        self._dead = True

    def _say(self, what: str, words: str) -> None:
        if self._is_due(what):
            log.warning("%s", words)

    def _is_due(self, what: str) -> bool:
        now = time.monotonic()
        due = now - self._told.get(what, float("-inf")) >= TELL_EVERY_SECONDS
        if due:
            self._told[what] = now
        return due


class _Confirmed:
    """Called by the client when the brokers have a record, or when they will not take it."""

    def __init__(
        self, seq: int, done: list[int], faults: list[str], waiting: list[int], died: Callable[[], None]
    ) -> None:
        self._seq, self._done, self._faults, self._waiting, self._died = seq, done, faults, waiting, died

    def __call__(self, err: KafkaError | None, _message: Any) -> None:
        self._waiting[0] -= 1
        if err is None:
            self._done.append(self._seq)
        else:
            self._faults.append(err.str())
            if err.fatal():
                self._died()


def source_of(kafka: KafkaSettings) -> str:
    """The ``source`` of our CloudEvents: an installation is known by its group.

    >>> source_of(KafkaSettings(servers=("a:9092",)))
    '/ringfirst/ringfirst'
    """
    return f"/ringfirst/{kafka.group}"
