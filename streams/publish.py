"""Files of events onto the topics: keyed by account, dated by the event's own time, each record once."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import StreamError
from engine.events import MAX_BYTES, Arrived
from engine.instants import Instant, iso
from engine.store import DeadLetter
from streams.admin import Admin, Topic, places_of
from streams.embedded import check_kept, is_embedded
from streams.files import EventFiles, Progress
from streams.producing import IN_ORDER
from streams.settings import KafkaSettings, Topics
from streams.topics import retention

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Producer

_SUPPORT = ("ticket.", "call.", "survey.", "review.")
_LIFECYCLE = (
    "account.",
    "contract.",
    "exception.",
    "goal.",
    "meeting.",
    "owner.",
    "subscription.",
    "user.updated",
    "user.removed",
)
_SAID = 10  # so many messages about lines, and then only their number
_WAIT_SECONDS = 1.0
_NOW = 0  # what the client takes for the moment of sending


class Published(msgspec.Struct):
    """What became of the files: lines ``read``, records ``published``, of which ``bad`` are no good events.

    ``refused`` lines are too large for Kafka and were not published; ``topics`` counts records by topic, ``problems``
    has a sentence for each of the first bad and refused lines.
    """

    read: int = 0
    published: int = 0
    bad: int = 0
    refused: int = 0
    topics: Counter[str] = msgspec.field(default_factory=Counter)
    problems: list[str] = msgspec.field(default_factory=list)


def topic_of(event_type: str, topics: Topics) -> str:
    """The topic for a type of event; what belongs to no family is usage.

    >>> topic_of("ticket.opened", Topics()), topic_of("user.invited", Topics()), topic_of("goal.set", Topics())
    ('support-events', 'usage-events', 'lifecycle-events')
    """
    if event_type.startswith(_SUPPORT):
        return topics.support
    if event_type.startswith(_LIFECYCLE):
        return topics.lifecycle
    return topics.usage


def publish(
    files: EventFiles,
    admin: Admin,
    settings: KafkaSettings,
    *,
    at: Instant,
    only: str | None = None,
    live: bool = False,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Published:
    """Publish every line, files merged by event time; returns when the brokers have all of them.

    The key is the account, the timestamp the event's own time, at most ``at`` (Kafka 4 refuses what lies more than an
    hour ahead); with ``live`` it is the moment of publishing. ``only`` puts everything on that topic. A line that is no
    good event is published as it is, dated like the line before it: the worker keeps it in the dead letters with its
    reason. Only what is larger than 256 KB stays behind.

    The same files again are safe: workers know events by their ids. Raises ``StreamError`` when a topic does not fit,
    would drop the records for their age, or a record was not taken.
    """
    names = [only] if only is not None else list(settings.topics.inbound)
    topics = _fitting(admin, names)
    kept = {name: retention(found) for name, found in admin.settings(names).items()}
    report = Published()
    embedded = is_embedded(admin.cluster_id)
    with _producer(settings, embedded=embedded) as send:
        for time, raw, item in files.lines(wall=at, progress=progress):
            report.read += 1
            if not _is_sent(raw, item, report):
                continue
            topic = only or (topic_of(item.event.type, settings.topics) if isinstance(item, Arrived) else names[0])
            stamp = at if time < 0 else max(min(time, at), 1)  # 0 would mean now
            if not live:
                _refuse_old(topic, stamp, kept.get(topic), at)
            send(topic, raw, _account(item), _NOW if live else stamp)
            report.published += 1
            report.topics[topic] += 1
            if stop():
                break
    if embedded:
        check_kept(admin.first_offsets(places_of(topics)))
    return report


def _fitting(admin: Admin, names: list[str]) -> list[Topic]:
    """The topics, all there and all with the same number of partitions: an account has one lane."""
    found = admin.topics(names)
    missing = [
        f"{name}: there is no such topic; make it with 'ringfirst topics create'" for name in names if name not in found
    ]
    if missing:
        raise StreamError("\n".join(missing))
    topics = [found[name] for name in names]
    if len({topic.partitions for topic in topics}) > 1:
        counts = ", ".join(f"{topic.name} {topic.partitions}" for topic in topics)
        raise StreamError(
            f"{names[0]}: the topics have different numbers of partitions; found {counts}; "
            "an account would have several lanes: make them anew with 'ringfirst topics create'"
        )
    return topics


def _is_sent(raw: bytes, item: Arrived | DeadLetter, report: Published) -> bool:
    """Count a line; False for one that Kafka would not take."""
    if isinstance(item, Arrived):
        return True
    refused = len(raw) >= MAX_BYTES and item.reason.startswith("larger than")
    if refused:
        report.refused += 1
    else:
        report.bad += 1
    if len(report.problems) < _SAID:
        report.problems.append(f"{item.source}: {item.where}: {item.reason}")
    return not refused


def _account(item: Arrived | DeadLetter) -> str | None:
    return item.event.account_id if isinstance(item, Arrived) else item.account_id


def _refuse_old(topic: str, stamp: Instant, kept: int | None, at: Instant) -> None:
    if kept is not None and stamp < at - kept:
        raise StreamError(
            f"{topic}: Kafka would drop these events at once; found one of {iso(stamp)}, and retention.ms {kept} "
            "counts from that time; set the topic's retention.ms to -1 (as 'ringfirst topics create --history' does), "
            "or publish with --live"
        )


Send = Callable[[str, bytes, str | None, Instant], None]


@contextmanager
def _producer(settings: KafkaSettings, *, embedded: bool) -> Iterator[Send]:
    """Give a way to send; at the end everything sent is with the brokers, or ``StreamError`` says what is not."""
    from confluent_kafka import Producer

    faults: list[str] = []

    def missed(err: "KafkaError | None", message: Any) -> None:
        if err is not None:
            faults.append(f"{message.topic()} partition {message.partition()}: {err.str()}")

    producer = Producer({**settings.for_confluent(), **_manner(embedded=embedded), "on_delivery": missed})

    def send(topic: str, raw: bytes, account_id: str | None, stamp: Instant) -> None:
        while True:
            try:
                producer.produce(topic, raw, account_id, timestamp=stamp)
                return
            except BufferError:
                producer.poll(_WAIT_SECONDS)  # the brokers are slower than the file
                _complain(faults)

    try:
        yield send
    except BaseException:
        producer.purge()
        raise
    _drain(producer, faults)


def _manner(*, embedded: bool) -> dict[str, Any]:
    return {
        **IN_ORDER,
        "linger.ms": 20,
        "batch.size": 512 * 1024,
        "delivery.report.only.error": True,
        # the embedded broker keeps 5 MiB of a partition as they were sent
        "compression.type": "gzip" if embedded else "none",
    }


def _drain(producer: "Producer", faults: list[str]) -> None:
    while producer.flush(_WAIT_SECONDS):
        _complain(faults)
    _complain(faults)


def _complain(faults: list[str]) -> None:
    if faults:
        raise StreamError(
            f"{faults[0]}; found {len(faults)} records that Kafka did not take; "
            "mend it and publish the same files again: what is there already is known by its id"
        )
