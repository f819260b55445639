"""What every client needs to know of Kafka: where it is, how to log in, which topics and group are ours."""

from pathlib import Path
from typing import Any, Literal

import msgspec

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class Topics(msgspec.Struct, frozen=True):
    """The names of the topics. Any inbound topic may carry any type of event; the split is for people."""

    usage: str = "usage-events"
    support: str = "support-events"
    lifecycle: str = "lifecycle-events"
    decisions: str = "outreach-decisions"
    dead_letters: str = "dead-letters"
    intake: str = "intake-events"

    @property
    def inbound(self) -> tuple[str, ...]:
        """Those a worker reads; each has as many partitions as there are lanes."""
        return (self.usage, self.support, self.lifecycle)

    @property
    def outbound(self) -> tuple[str, ...]:
        """Those it writes."""
        return (self.decisions, self.dead_letters)


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where Kafka is and how to come in.

    ``servers`` are ``host:port``. ``user`` and ``password`` log in by SASL; ``tls`` hides what goes over the wire, and
    trusts ``ca`` (PEM) or else the system; ``certificate`` and ``certificate_key`` show who we are.
    """

    servers: tuple[str, ...]
    group: str = "ringfirst"
    topics: Topics = Topics()
    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None
    user: str | None = None
    password: str | None = None
    mechanism: Mechanism = "PLAIN"

    def __repr__(self) -> str:
        """Without the password: settings end up in logs."""
        return f"KafkaSettings({self.where}, group={self.group!r})"

    @property
    def where(self) -> str:
        """The servers, for a message.

        >>> KafkaSettings(servers=("a:9092", "b:9092")).where
        'a:9092,b:9092'
        """
        return ",".join(self.servers)

    @property
    def protocol(self) -> str:
        """Kafka's word for how to connect.

        >>> KafkaSettings(servers=("a:9092",)).protocol
        'PLAINTEXT'
        >>> KafkaSettings(servers=("a:9092",), tls=True, user="us", password="x").protocol
        'SASL_SSL'
        """
        return ("SASL_" if self.user else "") + ("SSL" if self.tls else "PLAINTEXT")

    def for_confluent(self) -> dict[str, Any]:
        """Settings of a client of confluent-kafka."""
        found = {
            "bootstrap.servers": self.where,
            "security.protocol": self.protocol,
            "ssl.ca.location": _text(self.ca),
            "ssl.certificate.location": _text(self.certificate),
            "ssl.key.location": _text(self.certificate_key),
        }
        if self.user:
            found |= {
                "sasl.mechanisms": self.mechanism,
                "sasl.username": self.user,
                "sasl.password": self.password,
            }
        return {key: value for key, value in found.items() if value is not None}

    def for_kafka_python(self) -> dict[str, Any]:
        """Settings of a client of kafka-python."""
        found: dict[str, Any] = {
            "bootstrap_servers": list(self.servers),
            "security_protocol": self.protocol,
            "ssl_cafile": _text(self.ca),
            "ssl_certfile": _text(self.certificate),
            "ssl_keyfile": _text(self.certificate_key),
        }
        if self.user:
            found |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return {key: value for key, value in found.items() if value is not None}

    def for_faust(self) -> Any:
        """Faust's credentials; None for a plain connection."""
        from faust import SASLCredentials, SSLCredentials  # Faust takes half a second to import
        from faust.types.auth import SASLMechanism

        context = self._context() if self.tls else None
        if self.user:
            return SASLCredentials(
                username=self.user,
                password=self.password,
                ssl_context=context,
                mechanism=SASLMechanism(self.mechanism),
            )
        return SSLCredentials(context=context) if context is not None else None

    def _context(self) -> Any:
        import ssl  # only those who hide the wire need it

        context = ssl.create_default_context(cafile=_text(self.ca))
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.certificate_key)
        return context


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
