"""A worker: the topics of Kafka in, decisions out; several share the lanes of one store."""

import gc
import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from engine.errors import StreamError
from engine.rulebook.book import Rulebook
from engine.store import OutgoingKind, Store
from ringfirst import owners
from ringfirst.intake import now
from ringfirst.oncall.herald import STOCK_SECONDS, Herald, Portrait
from ringfirst.oncall.pages import Place, pages_of
from streams import admin, topics
from streams.admin import Admin
from streams.app import Listening, make_app, run
from streams.batch import Partition
from streams.outgoing import Publisher
from streams.settings import KafkaSettings
from streams.tally import Tally
from streams.writer import LaneWriter

LAST_SECONDS = 1.0
"""How long a worker that ends waits for the brokers to confirm what it has just decided."""
log = logging.getLogger(__name__)


def work(
    opening: AbstractContextManager[Store],
    book: Rulebook,
    kafka: KafkaSettings,
    *,
    history: bool,
    place: Place | None = None,
) -> int:
    """Take the topics in until a signal; with ``history`` until everything in them is taken in. Gives the exit code.

    Kafka shares the lanes out among the workers of its group. The store is opened, and made, only when a broker has
    answered. ``place`` is where pages show how the worker is (None: nowhere). Raises ``StreamError`` when no broker
    answers, or when the inbound topics do not fit the store's lanes, and ``UsageError`` when ``place`` cannot be used.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(place.listening()) if place is not None else None
        with admin.opened(kafka) as broker:
            source = broker.cluster_id
            store = stack.enter_context(opening)
            _must_fit(broker, kafka, store.lanes)
            told = _told(broker, kafka, store)
        if not history and (sent := [one.id for one in book.reports if one.sending is not None]):
            log.info("reports are issued by senders: 'ringfirst send --watch'; this rulebook sends %s", ", ".join(sent))
        owner, tally = owners.owner_name(kafka.group), Tally()
        writer = LaneWriter(
            store,
            book,
            owner,
            source=source,
            now=now,
            gives_way=lambda other: owners.is_worker(other, kafka.group) or owners.is_dead(other),
            threaded=not store.url.startswith("sqlite"),
            ends=(lambda: _ends(kafka, store.lanes)) if history else None,
            tally=tally,
            follow=frozenset(told),
        )
        writer.logs = lambda: _ids(kafka)
        publisher = Publisher(store, kafka, told, lanes=lambda: writer.lanes)
        portrait = Portrait(tally, kafka.group)
        herald = Herald(store, owner, portrait.draw, stock_seconds=None if place is None else STOCK_SECONDS)

        def last() -> None:
            try:
                writer.stop()
            finally:
                herald.stop()

        with tempfile.TemporaryDirectory(prefix="ringfirst-worker-") as folder:
            listening = Listening(
                kafka=kafka,
                lanes=store.lanes,
                folder=Path(folder),
                history=history,
                key=writer.key if history else None,
            )
            app = make_app(listening, writer, beat=writer.tick, last=last, tally=tally)
            portrait.held = app.work.held
            if place is not None and listener is not None:
                pages = pages_of(app, tally, herald, portrait, clocks=writer.clocks, place=place, listener=listener)
                stack.callback(pages.stop)
                pages.start()
            stack.enter_context(_settled())
            publisher.start()
            herald.start()
            try:
                return run(app, loglevel=None)
            finally:
                # Also of an app that never came to its end: whoever still asks must not outlive the store.
                herald.stop()
                publisher.stop(LAST_SECONDS)


@contextmanager
def _settled() -> Iterator[None]:
    """Leave what is loaded by now out of Python's search for cycles, which holds all records up while it looks."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _must_fit(broker: Admin, kafka: KafkaSettings, lanes: int) -> None:
    inbound = [one for one in topics.wanted(kafka.topics, lanes) if one.partitions is not None]
    faults = [one.fault for one in topics.check(broker, inbound) if one.fault is not None]
    if faults:
        raise StreamError("\n".join(faults))


def _told(broker: Admin, kafka: KafkaSettings, store: Store) -> dict[OutgoingKind, str]:
    """Where decisions and dead letters are told, as far as there are topics for them; the store has both anyway."""
    found = broker.topics(kafka.topics.outbound)
    wanted: dict[OutgoingKind, str] = {"decision": kafka.topics.decisions, "dead-letter": kafka.topics.dead_letters}
    for kind, topic in wanted.items():
        if topic not in found:
            what = kind.replace("-", " ")
            if store.outbox(range(store.lanes), kind, limit=1):  # it was there once, or another worker sees it
                log.warning(
                    "%s: there is no such topic, and %ss wait for it in the store; nobody takes them from there until "
                    "it is back; make it with 'ringfirst topics create'",
                    topic,
                    what,
                )
            log.info(
                "%s: there is no such topic; %ss stay in the store; 'ringfirst topics create' makes it", topic, what
            )
    return {kind: topic for kind, topic in wanted.items() if topic in found}


def _ends(kafka: KafkaSettings, lanes: int) -> Mapping[Partition, int]:
    """Where every partition of the inbound topics ends."""
    places = [(topic, lane) for topic in kafka.topics.inbound for lane in range(lanes)]
    with admin.opened(kafka) as broker:
        return {Partition(*place): offset for place, offset in broker.next_offsets(places).items()}


def _ids(kafka: KafkaSettings) -> Mapping[str, str | None]:
    """Which topics they are: one that was deleted and made anew has another id."""
    with admin.opened(kafka) as broker:
        return {name: one.topic_id for name, one in broker.topics(kafka.topics.inbound).items()}
