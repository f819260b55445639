"""Logging in to a real Kafka over TLS, by every mechanism: what works, and what is said when it does not."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from engine.errors import StreamError
from streams.admin import cluster_id
from streams.settings import KafkaSettings
from tests.brokers import chosen
from tests.cli.given import company, lines
from tools.kafka.broker import Broker

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
USER, PASSWORD, WRONG = "mara", "open-sesame-77", "close-sesame-88"
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
_SECURITY = "org.apache.kafka.common.security"


class Papers:
    """Two authorities, the broker's certificate by the first, a client's by the first and one by the second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("authority", "stranger"):
            self._openssl(
                *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
                *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
            )
        self.sign("broker", "authority", "subjectAltName=IP:127.0.0.1")
        self.sign("client", "authority", "extendedKeyUsage=clientAuth")
        self.sign("impostor", "stranger", "extendedKeyUsage=clientAuth")
        both = "".join(self.path(f"broker.{part}").read_text() for part in ("key", "pem"))
        self.path("both.pem").write_text(both)

    def path(self, name: str) -> Path:
        return self.folder / name

    def sign(self, name: str, authority: str, extension: str) -> None:
        self.path(f"{name}.ext").write_text(extension)
        request = ("-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key")
        self._openssl("req", *request, "-out", f"{name}.csr")
        signed = ("-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", "2")
        self._openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-extfile", f"{name}.ext", "-out", f"{name}.pem")

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here to make certificates with")
    return Papers(tmp_path_factory.mktemp("papers") / "of")


@pytest.fixture(scope="module")
def broker(papers, tmp_path_factory):
    """A broker with two more doors: one asks for a password behind TLS, the other for a certificate."""
    if chosen() == "embedded":
        pytest.skip("there is no real Kafka here; install Java 17 and Maven to run this")
    tls = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(papers.path("both.pem")),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(papers.path("authority.pem")),
    }
    modules = {
        "plain": f'{_SECURITY}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        "scram-sha-256": f"{_SECURITY}.scram.ScramLoginModule required;",
        "scram-sha-512": f"{_SECURITY}.scram.ScramLoginModule required;",
    }
    settings = {
        **{f"listener.name.{door}.{key}": value for door in ("secure", "mutual") for key, value in tls.items()},
        "listener.name.secure.sasl.enabled.mechanisms": ",".join(MECHANISMS),
        **{f"listener.name.secure.{name}.sasl.jaas.config": module for name, module in modules.items()},
        "listener.name.mutual.ssl.client.auth": "required",
    }
    doors = {"SECURE": "SASL_SSL", "MUTUAL": "SSL"}
    broker = Broker(tmp_path_factory.mktemp("secure") / "kafka", quick=True, doors=doors, settings=settings)
    try:
        admin = AdminClient({"bootstrap.servers": broker.start()})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):  # not two in one request
            known = UserScramCredentialUpsertion(USER, ScramCredentialInfo(mechanism, 4096), PASSWORD.encode())
            for made in admin.alter_user_scram_credentials([known]).values():
                made.result(30)
        yield broker
    finally:
        broker.kill()


class Person:
    """Somebody who types commands with settings of their own."""

    def __init__(self, place: Path, group: str, settings: dict[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if name != "RINGFIRST_KAFKA"}
        topics = {
            f"RINGFIRST_TOPIC_{word}": f"{group}-{word.lower()}"
            for word in ("USAGE", "SUPPORT", "LIFECYCLE", "DECISIONS", "DEAD_LETTERS")
        }
        self._environment = {**kept, **topics, **settings, "RINGFIRST_KAFKA_GROUP": group, "PYTHONPATH": str(ROOT)}
        self._place = place

    def types(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ringfirst", *words],
            cwd=self._place,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said, said
        assert PASSWORD not in said
        assert WRONG not in said
        assert "PRIVATE KEY" not in said
        return said


def behind_a_password(broker, papers, mechanism, **more):
    return {
        "RINGFIRST_KAFKA": broker.door("SECURE"),
        "RINGFIRST_KAFKA_TLS": "true",
        "RINGFIRST_KAFKA_CA": str(papers.path("authority.pem")),
        "RINGFIRST_KAFKA_USER": USER,
        "RINGFIRST_KAFKA_PASSWORD": PASSWORD,
        "RINGFIRST_KAFKA_MECHANISM": mechanism,
        **more,
    }


def behind_a_certificate(broker, papers, name="client"):
    return {
        "RINGFIRST_KAFKA": broker.door("MUTUAL"),
        "RINGFIRST_KAFKA_TLS": "true",
        "RINGFIRST_KAFKA_CA": str(papers.path("authority.pem")),
        "RINGFIRST_KAFKA_CERTIFICATE": str(papers.path(f"{name}.pem")),
        "RINGFIRST_KAFKA_CERTIFICATE_KEY": str(papers.path(f"{name}.key")),
    }


@pytest.mark.parametrize("way", [*MECHANISMS, "certificate"])
def test_everything_goes_through_a_door_that_asks_who_is_there(broker, papers, place, way):
    if way == "certificate":
        person = Person(place, "by-certificate", behind_a_certificate(broker, papers))
    else:
        person = Person(place, f"by-{way.lower()}", behind_a_password(broker, papers, way))
    (place / "events.jsonl").write_text(lines(company(["acme", "birch"], days=3)))
    person.types("topics", "create", "--lanes", "8", "--history")
    person.types("publish", "events.jsonl")
    assert "the history is taken in" in person.types("worker", "--history")
    assert "nothing is waiting" in person.types("lag")


WORDS = [("topics", "check", "--lanes", "8"), ("publish", "events.jsonl"), ("lag",), ("worker",)]


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[0])
def test_a_wrong_password_is_said_and_is_never_shown(broker, papers, place, words, run):
    (place / "events.jsonl").write_text(lines(company(["acme"], days=1)))
    run("import", "events.jsonl")
    settings = behind_a_password(broker, papers, "SCRAM-SHA-512", RINGFIRST_KAFKA_PASSWORD=WRONG)
    said = Person(place, "wrong", settings).types(*words, code=2)
    assert f"{broker.door('SECURE')}: Kafka lets nobody in by that name and password; " in said
    assert "RINGFIRST_KAFKA_USER" in said


def test_who_is_not_let_in_hears_so_at_once_however_long_a_broker_would_be_waited_for(broker, papers):
    wrong = KafkaSettings(
        servers=(broker.door("SECURE"),), tls=True, ca=papers.path("authority.pem"), user=USER, password=WRONG
    )
    began = time.monotonic()
    with pytest.raises(StreamError, match="lets nobody in by that name and password"):
        cluster_id(wrong, timeout_seconds=120)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("words", [WORDS[0], WORDS[3]], ids=lambda words: words[0])
def test_an_authority_that_is_not_known_is_said(broker, papers, place, words):
    strange = {"RINGFIRST_KAFKA_CA": str(papers.path("stranger.pem"))}
    settings = behind_a_password(broker, papers, "PLAIN", **strange)
    said = Person(place, "strange", settings).types(*words, code=2)
    assert f"{broker.door('SECURE')}: no safe connection to Kafka comes about; " in said
    assert "certificate verify failed" in said
    assert "RINGFIRST_KAFKA_CA" in said


def test_a_certificate_of_somebody_else_is_refused(broker, papers, place):
    settings = behind_a_certificate(broker, papers, "impostor")
    said = Person(place, "impostor", settings).types("topics", "check", "--lanes", "8", code=2)
    assert f"{broker.door('MUTUAL')}: " in said
    assert "right?" in said


def test_a_door_with_tls_is_not_opened_without(broker, papers, place):
    said = Person(place, "open", {"RINGFIRST_KAFKA": broker.door("SECURE")}).types(
        "topics", "check", "--lanes", "8", code=2
    )
    assert f"{broker.door('SECURE')}: Kafka does not answer; " in said
    assert "RINGFIRST_KAFKA and its settings right?" in said
