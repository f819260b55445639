"""Asking Kafka about topics and offsets, and making topics: a small contract, and kafka-python behind it."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import msgspec

from engine.errors import StreamError
from streams.embedded import is_embedded
from streams.settings import KafkaSettings

Place = tuple[str, int]
"""A topic and one of its partitions."""
TIMEOUT_SECONDS = 10.0

_ASK_SECONDS = 2.0  # after so long we look whether there is any use in asking on

_EMBEDDED_VERSION = (2, 3)  # kafka-python cannot read how the embedded broker tells its versions
_T = TypeVar("_T")


class Topic(msgspec.Struct, frozen=True):
    """A topic as Kafka knows it; one that was deleted and made anew has another ``topic_id`` (None = not told)."""

    name: str
    partitions: int
    topic_id: str | None = None


class Admin(Protocol):
    """What we ask of Kafka. Every method raises ``StreamError`` when it does not answer or refuses."""

    @property
    def cluster_id(self) -> str:
        """Which cluster it is: offsets in the store are kept by it."""
        ...

    def topics(self, names: Collection[str]) -> dict[str, Topic]:
        """Those of the topics that exist."""
        ...

    def settings(self, names: Collection[str]) -> dict[str, dict[str, str]]:
        """The topics' settings (``retention.ms`` and the like); empty where the broker does not tell."""
        ...

    def create(self, partitions: Mapping[str, int], *, replicas: int | None, settings: Mapping[str, str]) -> None:
        """Make topics, by name and number of partitions. ``replicas`` None takes the broker's default."""

    def first_offsets(self, places: Collection[Place]) -> dict[Place, int]:
        """The oldest offset that is kept of each partition."""
        ...

    def next_offsets(self, places: Collection[Place]) -> dict[Place, int]:
        """The offset after the last record that may be read (committed, if it was written in a transaction)."""
        ...


@contextmanager
def opened(settings: KafkaSettings, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator["KafkaAdmin"]:
    """A connection, closed afterwards. Raises ``StreamError`` when nobody answers."""
    admin = KafkaAdmin(settings, timeout_seconds=timeout_seconds)
    try:
        yield admin
    finally:
        admin.close()


class KafkaAdmin:
    """The contract over kafka-python."""

    def __init__(self, settings: KafkaSettings, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        from kafka.admin import KafkaAdminClient  # takes a fifth of a second

        self._where = settings.where
        self._cluster_id = cluster_id(settings, timeout_seconds=timeout_seconds)
        special = {"api_version": _EMBEDDED_VERSION} if is_embedded(self._cluster_id) else {}
        self._client: Any = self._told(
            lambda: KafkaAdminClient(
                **settings.for_kafka_python(), **special, bootstrap_timeout_ms=int(timeout_seconds * 1_000)
            )
        )

    @property
    def cluster_id(self) -> str:
        return self._cluster_id

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def topics(self, names: Collection[str]) -> dict[str, Topic]:
        found = self._told(lambda: self._client.describe_topics(sorted(names)))
        return {
            one["name"]: Topic(one["name"], len(one["partitions"]), one.get("topic_id"))
            for one in found
            if not one["error_code"]
        }

    def settings(self, names: Collection[str]) -> dict[str, dict[str, str]]:
        if is_embedded(self._cluster_id):
            return {}
        from kafka.admin import ConfigResource, ConfigResourceType

        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(names)]
        found = self._told(lambda: self._client.describe_configs(asked, config_filter="all")) if asked else {}
        return {name: {key: one["value"] for key, one in told.items()} for name, told in found.get("topic", {}).items()}

    def create(self, partitions: Mapping[str, int], *, replicas: int | None, settings: Mapping[str, str]) -> None:
        if is_embedded(self._cluster_id):
            raise StreamError(f"{self._where}: an embedded broker makes no topics; found one; whoever starts it does")
        wanted = {
            name: {"num_partitions": count, "replication_factor": replicas or -1, "configs": dict(settings)}
            for name, count in partitions.items()
        }
        made = self._told(lambda: self._client.create_topics(wanted, raise_errors=False))
        faults = [
            f"{one['name']}: Kafka did not make the topic; {one['error_message'] or one['error_code']}; "
            "change what it names and type the same again"
            for one in made["topics"]
            if one["error_code"]
        ]
        if faults:
            raise StreamError("\n".join(faults))
        self._told(lambda: self._client.wait_for_topics(list(partitions)))

    def first_offsets(self, places: Collection[Place]) -> dict[Place, int]:
        return self._offsets(places, "EARLIEST")

    def next_offsets(self, places: Collection[Place]) -> dict[Place, int]:
        return self._offsets(places, "LATEST")

    def _offsets(self, places: Collection[Place], which: str) -> dict[Place, int]:
        from kafka import IsolationLevel, TopicPartition
        from kafka.admin import OffsetSpec

        if not places:
            return {}
        asked = {TopicPartition(*place): OffsetSpec[which] for place in places}
        level = IsolationLevel.READ_COMMITTED
        found = self._told(lambda: self._client.list_partition_offsets(asked, isolation_level=level))
        return {(place.topic, place.partition): one.offset for place, one in found.items()}

    def _told(self, ask: Callable[[], _T]) -> _T:
        from kafka.errors import KafkaError

        try:
            return ask()
        except (KafkaError, OSError) as err:
            raise StreamError(unanswered(self._where, err)) from err


def cluster_id(settings: KafkaSettings, *, timeout_seconds: float = TIMEOUT_SECONDS) -> str:
    """Which cluster answers there. Raises ``StreamError`` when none does, with what stood in the way.

    Who is not let in is told so at once; a broker that cannot be reached is waited for.
    """
    from confluent_kafka import KafkaError, KafkaException  # takes a tenth of a second
    from confluent_kafka.admin import AdminClient

    said: list[KafkaError] = []
    config = {**settings.for_confluent(), "log_level": 0, "error_cb": said.append}
    client = AdminClient(config)
    until = time.monotonic() + timeout_seconds
    while True:
        left = until - time.monotonic()
        try:
            return str(client.list_topics(timeout=max(0.1, min(_ASK_SECONDS, left))).cluster_id)
        except KafkaException as err:
            client.poll(0.1)  # what stood in the way is told to whoever asks
            for one in said:
                if one.code() in {KafkaError._AUTHENTICATION, KafkaError._SSL}:  # noqa: SLF001 - so they are called
                    login = one.code() == KafkaError._AUTHENTICATION  # noqa: SLF001
                    raise StreamError(_shut(settings.where, one.str(), login=login)) from err
            if left <= _ASK_SECONDS:
                raise StreamError(unanswered(settings.where, (said or [err.args[0]])[0].str())) from err


def _shut(where: str, why: str, *, login: bool) -> str:
    """The message for a broker that is there and lets us not in."""
    if login:
        names = "RINGFIRST_KAFKA_USER, RINGFIRST_KAFKA_PASSWORD and RINGFIRST_KAFKA_MECHANISM"
        return f"{where}: Kafka lets nobody in by that name and password; {why}; are {names} right?"
    names = "RINGFIRST_KAFKA_TLS, RINGFIRST_KAFKA_CA and RINGFIRST_KAFKA_CERTIFICATE"
    return f"{where}: no safe connection to Kafka comes about; {why}; are {names} right?"


def unanswered(where: str, why: object) -> str:
    """The message for a broker that does not answer as it should."""
    return f"{where}: Kafka does not answer; {why}; is it running, and are RINGFIRST_KAFKA and its settings right?"


def places_of(topics: Sequence[Topic]) -> list[Place]:
    """Every partition of the topics."""
    return [(topic.name, partition) for topic in topics for partition in range(topic.partitions)]
