"""The intake beside the workers: its topic, its store for dead letters, and how it ends."""

import logging
import signal
import threading
from typing import Any

from engine.errors import StreamError
from engine.store import Store
from ringfirst.intake import now
from streams import admin
from streams.intake import Intake
from streams.settings import KafkaSettings
from streams.stopping import Deadline

log = logging.getLogger(__name__)


def take_in(store: Store, kafka: KafkaSettings, *, once: bool) -> None:
    """Map and send on until a signal; with ``once`` to the end of what is there.

    Raises ``StreamError`` when a topic is missing or no broker answers.
    """
    with admin.opened(kafka) as broker:
        needed = [kafka.topics.intake, *kafka.topics.inbound]
        found = broker.topics([*needed, kafka.topics.dead_letters])
    missing = [name for name in needed if name not in found]
    if missing:
        raise StreamError(
            "\n".join(
                f"{name}: there is no such topic; make it with 'ringfirst topics create --intake'" for name in missing
            )
        )
    told = kafka.topics.dead_letters in found
    stop, deadline = threading.Event(), Deadline()

    def end(number: int, _frame: Any) -> None:
        log.info("%s: stopping", signal.Signals(number).name)
        deadline.start()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    intake = Intake(kafka, lambda letters: store.put_dead_letters(letters, follow=told), now=now)
    intake.run(stop, once=once)
    deadline.cancel()
    counts = intake.counts
    log.info(
        "stopped; %d records gave %d events, %d went to the dead letters, %d were passed over",
        counts.records,
        counts.events,
        counts.dead_letters,
        counts.passed_over,
    )
