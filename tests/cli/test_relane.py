"""``ringfirst relane`` as a person types it: half of the events through old topics, the rest through new ones."""

import json
from contextlib import closing

import pytest

from engine.stores import open_store
from tests.cli.given import company, lines
from tests.cli.test_worker import WORDS

NAMES = [f"customer-{number}" for number in range(12)]


@pytest.fixture
def topics(kafka, monkeypatch):
    """Sets topics of a test's own with so many partitions; what is in them stays."""
    monkeypatch.setenv("RINGFIRST_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("RINGFIRST_KAFKA_GROUP", kafka.name("workers"))

    def made(lanes, suffix=""):
        for word in WORDS:
            name = kafka.topic(f"{word.lower()}{suffix}", lanes, retention_ms="-1")
            monkeypatch.setenv(f"RINGFIRST_TOPIC_{word}", name)

    return made


def taken_in(process):
    worker = process("worker", "--history")
    said = worker.communicate(timeout=120)[1].decode()
    assert worker.returncode == 0, said


@pytest.mark.slow
def test_what_came_before_and_after_is_decided_as_if_the_store_had_had_its_lanes_from_the_start(
    topics, run, ask, process, monkeypatch
):
    told = lines(company(NAMES, days=12)).splitlines(keepends=True)
    first, rest = "".join(told[:90]), "".join(told[90:])
    monkeypatch.setenv("RINGFIRST_LANES", "2")
    topics(2)
    run("publish", "-", "--live", stdin=first)
    taken_in(process)
    run("publish", "-", "--live", stdin=told[89])  # known already, but it waits
    said = run("relane", 4, "--to", "sqlite:///more.db", code=2).stderr
    assert "1 records wait; stop the producers and let the workers take them in" in said
    taken_in(process)

    answer = ask("relane", 4, "--to", "sqlite:///more.db")
    assert (answer["before"], answer["after"], answer["events"]) == (2, 4, 90)
    assert "this store got more lanes; all that was in it is in sqlite:///" in run("decisions", "list", code=2).stderr
    monkeypatch.setenv("RINGFIRST_STORE", "sqlite:///more.db")
    assert "the store was made with 4, 2 were asked for" in run("worker", code=2).stderr
    monkeypatch.delenv("RINGFIRST_LANES")
    refused = run("worker", code=2).stderr
    assert "found 2, wanted 4" in refused
    assert "'ringfirst relane'" in refused
    topics(4, "-v2")
    run("publish", "-", "--live", stdin=rest)
    taken_in(process)

    run("replay", "--verify")
    assert ask("lag")["records"] == 0
    monkeypatch.setenv("RINGFIRST_LANES", "4")
    run("import", "-", "--store", "sqlite:///plain.db", stdin="".join(told))
    for words in (("decisions", "list"), ("outreach", "list")):
        found, wanted = (run(*words, "--json", "--store", f"sqlite:///{one}.db").stdout for one in ("more", "plain"))
        assert json.loads(wanted)
        assert found == wanted


def test_a_new_store_gets_the_lanes_that_are_set(run, monkeypatch):
    monkeypatch.setenv("RINGFIRST_LANES", "3")
    run("import", "-", stdin=lines(company()))
    with closing(open_store("sqlite:///ringfirst.db", create=False)) as store:
        assert store.lanes == 3
    monkeypatch.setenv("RINGFIRST_LANES", "0")
    assert "RINGFIRST_LANES" in run("import", "-", stdin="", code=2).stderr


def test_a_person_sees_what_went_where_and_what_to_do_next(run, monkeypatch):
    run("import", "-", stdin=lines(company()))
    done = run("relane", 16, "--to", "sqlite:///more.db")
    assert "went from 8 lanes into 16, as of 2026-" in done.stdout
    assert "set RINGFIRST_STORE to it" in done.stderr
    assert (
        "found 12, the store has 16 lanes; choose 32 or 48"
        in run("relane", 12, "--to", "sqlite:///x.db", "--store", "sqlite:///more.db", code=2).stderr
    )
    run("replay", "--verify", "--store", "sqlite:///more.db")
