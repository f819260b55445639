#!/usr/bin/env python3
"""An Apache Kafka of one node on this machine, without Docker: fetched by Maven, verified, started, stopped.

``python tools/kafka/broker.py start`` needs Java 17 and Maven and nothing of Ringfirst; the tests use the same class.
"""

import argparse
import base64
import hashlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSION = "4.2.0"
JAVA = 17
FOLDER = HERE.parent.parent / "build" / "kafka"
_PROPERTIES = "server.properties"
_LOG = "server.log"
_PID = "broker.pid"
_OPTIONS = "java.options"
_QUICK = "-Xmx512m -XX:TieredStopAtLevel=1"
_ATTEMPTS = 3  # a free port may be taken between the question and the start

SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    # a topic made by accident has the wrong number of partitions, and the partitions are the lanes
    "auto.create.topics.enable": "false",
    # one broker keeps one copy
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # a killed node registers again after the session of its former life: 12.5 s by default, 3.7 s with these
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
    # groups come together at once, and notice a dead member as soon as its own settings say
    "group.min.session.timeout.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
}
LOGIN = ("ringfirst", "on-this-machine-only")
"""Name and password at the door that asks for them (SASL PLAIN); it stands open to this machine only."""

DOORS: Mapping[str, str] = {"PLAINTEXT": "PLAINTEXT", "LOGIN": "SASL_PLAINTEXT"}
"""Listeners for clients, each with its protocol."""

_LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c)%n%throwable
"""


class Unavailable(Exception):
    """Kafka cannot be had here; the message says what is missing."""


@lru_cache
def jars() -> Path:
    """The folder with Kafka's jars, fetched by Maven where they are missing. Raises ``Unavailable``.

    They lie in the user's cache, so that several checkouts share them; each is compared with ``SHA256SUMS``.
    """
    _java()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ringfirst" / f"kafka-{VERSION}"
    if _wrong(cache):
        _fetch(cache)
    return cache


def _wrong(folder: Path) -> list[str]:
    """Which jars are missing or are not those that were measured and tested."""
    wrong = []
    for line in (HERE / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        jar = folder / name
        if not jar.is_file() or hashlib.sha256(jar.read_bytes()).hexdigest() != digest:
            wrong.append(name)
    return wrong


def _fetch(cache: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable("Maven: there is no mvn here; install Maven, or name a running broker in RINGFIRST_KAFKA")
    cache.parent.mkdir(parents=True, exist_ok=True)
    fresh = cache.with_name(f"{cache.name}-{os.getpid()}")
    words = ["-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(
            [maven, *words, f"-DoutputDirectory={fresh}"], capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode:
            raise Unavailable(f"Maven: fetching Kafka {VERSION} failed; it said:\n{done.stdout[-2000:]}")
        if wrong := _wrong(fresh):
            raise Unavailable(
                f"Maven: what it fetched is not what SHA256SUMS names; found {', '.join(wrong)} different"
            )
        shutil.rmtree(cache, ignore_errors=True)
        fresh.replace(cache)
    except subprocess.TimeoutExpired as err:
        raise Unavailable(f"Maven: fetching Kafka {VERSION} took more than ten minutes; is there a network?") from err
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@lru_cache
def _java() -> str:
    java = shutil.which("java")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr if java else ""
    found = re.search(r'version "(\d+)', said)
    if java is None or found is None or int(found[1]) < JAVA:
        raise Unavailable(f"Java: Kafka {VERSION} needs Java {JAVA} or newer; found {found[1] if found else 'none'}")
    return java


class Broker:
    """One node with all its files in ``folder``, on loopback ports that stay the same over restarts.

    ``port`` 0 takes a free one. ``doors`` are more listeners, ``settings`` go over those above. With ``quick`` it
    starts at half the cost and is slower later (Java's first compiler alone). A folder that has a broker already
    keeps what it was made with.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        quick: bool = False,
        doors: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self._port = port
        self._quick = quick
        self._doors = {**DOORS, **(doors or {})}
        self._settings = dict(settings or {})

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients."""
        return self.door("PLAINTEXT")

    @property
    def login(self) -> str:
        """``host:port`` of the door that asks for name and password."""
        return self.door("LOGIN")

    @property
    def pid(self) -> int | None:
        """The process, if it runs."""
        try:
            pid = int((self.folder / _PID).read_text())
        except (OSError, ValueError):
            return None
        question = ["/bin/ps", "-ww", "-o", "stat=,args=", "-p", str(pid)]
        shown = subprocess.run(question, capture_output=True, text=True, check=False)
        ours = str(self.folder / _PROPERTIES) in shown.stdout and not shown.stdout.startswith("Z")
        return pid if ours else None

    def start(self, *, timeout_seconds: float = 60) -> str:
        """Start it and wait until it answers; returns ``bootstrap``. Nothing happens if it runs already.

        Raises ``Unavailable``, with the end of its log, when it does not come up.
        """
        attempts = 1
        if self._port == 0 and not (self.folder / _PROPERTIES).exists():
            attempts = _ATTEMPTS
        while True:
            attempts -= 1
            if self.pid is None:
                self._make()
                self._launch()
            try:
                return self._wait(timeout_seconds)
            except Unavailable as err:
                self.kill()
                if attempts == 0 or "already in use" not in str(err):
                    raise
                shutil.rmtree(self.folder)

    def stop(self, *, timeout_seconds: float = 20) -> None:
        """Let it close its files; after ``timeout_seconds`` it is killed."""
        self._end(signal.SIGTERM, timeout_seconds)
        self.kill()

    def kill(self) -> None:
        """End it as a power cut would; ``start`` brings it back with what it had."""
        self._end(signal.SIGKILL, 10)

    def signal(self, number: int) -> None:
        """Send it a signal, such as SIGSTOP or SIGCONT."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, number)

    def _end(self, number: int, timeout_seconds: float) -> None:
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, number)
        until = time.monotonic() + timeout_seconds
        while time.monotonic() < until:
            if self.pid is None:
                return
            time.sleep(0.05)

    def door(self, name: str) -> str:
        """``host:port`` of a listener."""
        found = re.search(rf"^advertised.listeners=.*{name}://([^,\s]+)", self._properties(), re.MULTILINE)
        if found is None:
            raise Unavailable(f"{self.folder / _PROPERTIES}: names no {name} listener; remove the folder, start anew")
        return found[1]

    def _properties(self) -> str:
        return (self.folder / _PROPERTIES).read_text()

    def _make(self) -> None:
        """Write the settings and format the log folder, once."""
        if (self.folder / _PROPERTIES).exists():
            return
        controller, *ports = _free_ports(0, self._port, *[0] * (len(self._doors) - 1))
        name, password = LOGIN
        doors = ",".join(f"{door}://127.0.0.1:{port}" for door, port in zip(self._doors, ports, strict=True))
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        settings = {
            **SETTINGS,
            "listeners": f"{doors},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": doors,
            "listener.security.protocol.map": ",".join(
                f"{door}:{protocol}" for door, protocol in {**self._doors, "CONTROLLER": "PLAINTEXT"}.items()
            ),
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "listener.name.login.plain.sasl.jaas.config": f'{module} required user_{name}="{password}";',
            "log.dirs": str(self.folder / "data"),
            **self._settings,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        properties = self.folder / _PROPERTIES
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        (self.folder / _OPTIONS).write_text(_QUICK if self._quick else "-Xmx512m")
        words = ["kafka.tools.StorageTool", "format", "--standalone", "-t", _cluster_id(), "-c", str(properties)]
        done = subprocess.run(self._command(_QUICK, *words), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            properties.unlink()
            raise Unavailable(f"{self.folder}: Kafka cannot format it; it said:\n{done.stdout}{done.stderr}")

    def _launch(self) -> None:
        """Start the process as nobody's child: whoever started it may end, and need not wait for it."""
        java = self._command((self.folder / _OPTIONS).read_text(), "kafka.Kafka", str(self.folder / _PROPERTIES))
        behind = 'log=$1; shift; "$@" >>"$log" 2>&1 </dev/null & echo $!'
        started = subprocess.run(
            ["/bin/sh", "-c", behind, "sh", str(self.folder / _LOG), *java],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            start_new_session=True,  # Ctrl-C is for whoever started it
        )
        (self.folder / _PID).write_text(started.stdout)

    def _command(self, options: str, *words: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        return [_java(), "-Xms64m", "-XX:+UseSerialGC", logging, "-cp", f"{jars()}/*", *options.split(), *words]

    def _wait(self, timeout_seconds: float) -> str:
        until = time.monotonic() + timeout_seconds
        while time.monotonic() < until:
            if answers(self.bootstrap):
                return self.bootstrap
            if self.pid is None:
                raise Unavailable(f"{self.folder}: Kafka ended at its start; its log ends so:\n{self._log()}")
            time.sleep(0.1)
        raise Unavailable(
            f"{self.folder}: Kafka did not answer in {timeout_seconds:g} s; its log ends so:\n{self._log()}"
        )

    def _log(self) -> str:
        return (self.folder / _LOG).read_text(errors="replace")[-3000:]


def answers(bootstrap: str) -> bool:
    """Does a broker that takes part in its cluster answer there? Asks for the brokers (Metadata, version 1)."""
    host, _, port = bootstrap.rpartition(":")
    question = struct.pack(">hhihi", 3, 1, 1, -1, 0)  # api, version, correlation, no client id, no topics
    try:
        with socket.create_connection((host, int(port)), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(question)) + question)
            reply = connection.recv(12)
    except OSError:
        return False
    return len(reply) == 12 and struct.unpack(">iii", reply)[2] > 0  # noqa: PLR2004 - length, correlation, brokers


def _free_ports(*wanted: int) -> list[int]:
    """Ports of loopback, free ones for 0; all are held until all are known, so that they differ."""
    held = [socket.create_server(("127.0.0.1", port)) for port in wanted]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def _cluster_id() -> str:
    """Sixteen random bytes in the letters Kafka uses; it may not begin with a dash."""
    return base64.urlsafe_b64encode(b"\0" + os.urandom(15)).decode().rstrip("=")


def _watch(broker: Broker, pid: int) -> None:
    """Stop the broker and throw its folder away as soon as the process ``pid`` is gone."""
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.5)
    broker.kill()
    shutil.rmtree(broker.folder, ignore_errors=True)


def start_beside(folder: Path, pid: int) -> Broker:
    """A broker that lives as long as the process ``pid``, however that one ends. Raises ``Unavailable``."""
    words = ["start", "--folder", str(folder), "--port", "0", "--quick", "--beside", str(pid)]
    done = subprocess.run(
        [sys.executable, __file__, *words],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # Ctrl-C in the middle would leave a broker that nobody watches
    )
    if done.returncode:
        raise Unavailable(done.stderr.removeprefix("broker: ").strip())
    return Broker(folder)


def _start(broker: Broker, beside: int | None) -> str:
    bootstrap = broker.start()
    if beside is not None:
        words = ["watch", "--folder", str(broker.folder), "--beside", str(beside)]
        quiet = subprocess.DEVNULL
        subprocess.Popen(
            [sys.executable, __file__, *words], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
    return bootstrap


def main() -> int:
    """Answer on stdout, talk on stderr; 2 where Kafka cannot be had."""
    parser = argparse.ArgumentParser(description="An Apache Kafka of one node on this machine, without Docker.")
    parser.add_argument("word", choices=["start", "stop", "status", "fetch", "watch"])
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where its data and its log lie  [{FOLDER}]")
    parser.add_argument("--port", type=int, default=9092, help="the port of a broker made anew; 0: a free one  [9092]")
    parser.add_argument("--quick", action="store_true", help="a broker made anew starts at half the cost, works slower")
    parser.add_argument("--beside", type=int, metavar="PID", help="stop it and drop its folder when PID is gone")
    asked = parser.parse_args()
    broker = Broker(asked.folder, port=asked.port, quick=asked.quick)
    try:
        if asked.word == "fetch":
            print(jars())
        elif asked.word == "start":
            print(_start(broker, asked.beside))
        elif asked.word == "stop":
            broker.stop()
        elif asked.word == "watch":
            _watch(broker, asked.beside)
        else:
            running = broker.pid is not None
            print(broker.bootstrap if running else "not running")
            return 0 if running else 1
    except (Unavailable, OSError) as err:
        print(f"broker: {err}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
