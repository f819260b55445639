"""``topics``, ``publish`` and ``lag`` as a person types them."""

import json

import pytest

from engine.instants import iso
from ringfirst.intake import now


@pytest.fixture
def kafka_set(each_kafka, monkeypatch):
    """The settings of a test's own topics."""
    monkeypatch.setenv("RINGFIRST_KAFKA", each_kafka.bootstrap)
    for name in ("USAGE", "SUPPORT", "LIFECYCLE", "DECISIONS", "DEAD_LETTERS"):
        monkeypatch.setenv(f"RINGFIRST_TOPIC_{name}", each_kafka.name(name.lower()))
    return each_kafka


def event(mark, type="feature.used", **more):
    return json.dumps({"id": mark, "type": type, "account_id": "acme", "time": iso(now()), **more}) + "\n"


def test_the_way_from_topics_to_lag(kafka_set, run, ask, place):
    missing = ask("topics", "check", "--lanes", 8, code=1)["topics"]
    assert [one["partitions"] for one in missing] == [None] * 5
    assert [one["wanted"] for one in missing] == [8, 8, 8, None, None]
    if kafka_set.is_real:
        assert len(ask("topics", "create", "--lanes", 8, "--history")["created"]) == 5
        assert ask("topics", "create", "--lanes", 8)["created"] == []
    else:
        for name in ("usage", "support", "lifecycle", "decisions", "dead_letters"):
            kafka_set.topic(name, 8)
    assert [one["fault"] for one in ask("topics", "check", "--lanes", 8)["topics"]] == [None] * 5
    assert "wanted 4" in run("topics", "check", "--lanes", 4, code=1).stderr

    (place / "events.jsonl").write_text(event("e1") + "{]\n" + event("e2", "ticket.opened"))
    report = ask("publish", "events.jsonl")
    assert (report["read"], report["published"], report["bad"], report["refused"]) == (3, 3, 1, 0)
    assert report["topics"] == {kafka_set.name("usage"): 2, kafka_set.name("support"): 1}
    assert report["problems"][0].startswith("events.jsonl: line 2: ")

    assert "or say --lanes N" in run("topics", "check", code=2).stderr
    ask("import", "events.jsonl")
    assert [one["fault"] for one in ask("topics", "check")["topics"]] == [None] * 5
    found = ask("lag")
    assert (found["records"], len(found["lanes"])) == (3, 24)
    assert 0 <= found["seconds"] < 300
    assert "3 records behind, the oldest by" in run("lag").stderr


def test_a_line_that_is_too_large_stays_behind_and_ends_with_one(kafka_set, run, place):
    for name in ("usage", "support", "lifecycle"):
        kafka_set.topic(name, 1)
    (place / "events.jsonl").write_text(event("e1", properties={"text": "x" * 300_000}) + event("e2"))
    said = run("publish", "events.jsonl", "--live", code=1)
    assert "line 1: larger than 256 KB" in said.stderr
    assert "left behind              1" in said.stdout


@pytest.mark.parametrize("words", [["topics", "check", "--lanes", "8"], ["publish", "-"], ["lag"]], ids=" ".join)
def test_without_a_broker_it_is_said_what_to_set(run, words):
    assert "RINGFIRST_KAFKA: no broker is named" in run(*words, code=2).stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"KAFKA": "localhost"}, "RINGFIRST_KAFKA: it names no brokers; write host:port", id="no port"),
        pytest.param({"KAFKA_USER": "us"}, "RINGFIRST_KAFKA_USER: is set alone", id="no password"),
        pytest.param({"KAFKA_PASSWORD": "x"}, "RINGFIRST_KAFKA_PASSWORD: is set alone", id="no user"),
        pytest.param({"KAFKA_CA": "x"}, "RINGFIRST_KAFKA_CA: is of no use without TLS", id="no TLS"),
        pytest.param(
            {"KAFKA_CA": "x", "KAFKA_TLS": "true"}, "RINGFIRST_KAFKA_CA: the file is not there; found x", id="no file"
        ),
        pytest.param({"KAFKA_MECHANISM": "GUESS"}, "RINGFIRST_KAFKA_MECHANISM: Input should be", id="no mechanism"),
        pytest.param({"TOPIC_USAGE": "a b"}, "RINGFIRST_TOPIC_USAGE: Kafka takes no such name", id="no name"),
        pytest.param(
            {"TOPIC_SUPPORT": "usage-events"},
            "RINGFIRST_TOPIC_SUPPORT: the same topic as RINGFIRST_TOPIC_USAGE; found usage-events",
            id="one topic twice",
        ),
        pytest.param({"KAFKAA": "a:1"}, "RINGFIRST_KAFKAA: there is no such setting", id="misspelt"),
    ],
)
def test_wrong_settings_are_said_before_anybody_is_asked(run, monkeypatch, given, said):
    for name, value in given.items():
        monkeypatch.setenv(f"RINGFIRST_{name}", value)
    monkeypatch.setenv("RINGFIRST_TEST_KAFKA", "embedded")  # the tests' own, and no misspelling
    lines = run("lag", code=2).stderr.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
