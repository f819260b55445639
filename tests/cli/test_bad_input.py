"""Bad records among good ones, at full speed on a real broker: each a dead letter in its place, and no more."""

import json
import random
from itertools import cycle

import pytest
from confluent_kafka import Producer

from engine.events import MAX_BYTES
from engine.instants import DAY, iso
from ringfirst.intake import now
from tests.cli.given import START, company, event, lines
from tests.cli.test_worker import LANES, WORDS

pytestmark = pytest.mark.usefixtures("copied_book")

LARGE = 10 * 1024 * 1024
BAD_SHARE = 100
"""One bad record on so many good ones."""


@pytest.fixture
def topics(real_kafka, monkeypatch):
    monkeypatch.setenv("RINGFIRST_KAFKA", real_kafka.bootstrap)
    monkeypatch.setenv("RINGFIRST_KAFKA_GROUP", real_kafka.name("workers"))
    for word in WORDS:
        monkeypatch.setenv(f"RINGFIRST_TOPIC_{word}", real_kafka.name(word.lower()))
        real_kafka.topic(word.lower(), LANES, retention_ms="-1", max_message_bytes=str(2 * LARGE))
    return real_kafka


def bad_records(count):
    """So many bad records of every kind: (key, value, how its reason begins). A few are very large."""

    def told(**more):
        row = {"id": "bad", "type": "feature.used", "account_id": "customer-1", "time": iso(START), **more}
        return json.dumps(row).encode()

    nested = b'{"id":"d","type":"t","account_id":"a","time":"2026-03-02T09:00:00Z","properties":' + b'{"a":' * 60
    endless = b'{"id":"d","type":"t","account_id":"a","time":"2026-03-02T09:00:00Z","properties":' + b"[" * 100_000
    kinds = [
        (b"{broken", "not an event"),
        (b'{"id": "x"', "not an event"),
        (b"", "not an event"),
        (None, "a record without a value"),
        (b"[]", "not an event"),
        (b'{"hello": "world"}', "not an event"),
        (told(id=7), "not an event"),
        (told(account_id="*"), "account_id: '*'"),
        (told(type="outreach.sent"), "type: outreach.sent"),
        (told(properties={"n": float("nan")}), "not an event"),
        (told(properties={"n": float("inf")}), "not an event"),
        (told(id="\ud800"), ""),
        (told().replace(b"customer-1", b"customer-\xff\xfe"), "not an event"),
        (told(time=iso(now() + 3 * DAY)), "time: more than 24 h ahead"),
        (told(time="1969-12-31T23:59:59Z"), "time: before 1970"),
        (told(time="yesterday"), "time: not an ISO 8601"),
        (nested + b"1" + b"}" * 60 + b"}", "properties: nested deeper"),
        (endless + b"]" * 100_000 + b"}", ""),
        (told(properties={"text": "x" * MAX_BYTES}), "larger than 256 KB"),
    ]
    large = [(told(properties={"text": "x" * LARGE}), "larger than 256 KB")] * min(5, count // 10)
    found = [*large, *(kind for _, kind in zip(range(count - len(large)), cycle(kinds), strict=False))]
    return [(f"customer-{number % 7}" if number % 3 else None, *one) for number, one in enumerate(found)]


def good_lines(count):
    """Customers who build reports and have tickets, and a great many clicks."""
    names, pick = [f"customer-{number}" for number in range(20)], random.Random(11)
    rows = company(names, days=20)
    for number in range(count - len(rows)):
        at = START + DAY + pick.randrange(20 * DAY)
        rows.append(event(f"click-{number}", pick.choice(names), "feature.used", at, "u1", feature="search"))
    return lines(sorted(rows, key=lambda row: (row["time"], row["id"]))).splitlines()


def publish(kafka, good, bad):
    """Publish good lines with bad records strewn among them; the places of the bad ones, by (topic, place)."""
    topics = [kafka.name(word.lower()) for word in WORDS[:3]]
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "message.max.bytes": 2 * LARGE,
            "linger.ms": 20,
        }
    )
    places = {}

    def note(one):
        def delivered(err, message):
            assert err is None, err
            places[message.topic(), f"{message.partition()}:{message.offset()}"] = one

        return delivered

    pick = random.Random(5)
    where = sorted(pick.randrange(len(good)) for _ in bad)
    at, strewn = now(), list(zip(where, bad, strict=True))
    for number, line in enumerate(good):
        while strewn and strewn[0][0] == number:
            _, (key, value, reason) = strewn.pop(0)
            while True:
                try:
                    topic = topics[number % 3]
                    producer.produce(topic, value, key, timestamp=at, on_delivery=note((value, reason)))
                    break
                except BufferError:
                    producer.poll(0.1)
        topic = topics[1] if '"ticket.' in line else topics[0]
        while True:
            try:
                producer.produce(topic, line.encode(), json.loads(line)["account_id"], timestamp=at)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(120) == 0
    return places


@pytest.mark.slow
@pytest.mark.parametrize("count", [5_000, pytest.param(50_000, marks=pytest.mark.chaos)])
def test_bad_records_are_dead_letters_in_their_places_and_change_nothing_else(topics, run, ask, place, workers, count):
    good, bad = good_lines(count), bad_records(count // BAD_SHARE)
    (place / "good.jsonl").write_text("\n".join(good) + "\n")
    places = publish(topics, good, bad)
    assert len(places) == count // BAD_SHARE
    worker = workers.start("--history")
    assert worker.wait(60 + count // 200) == 0, workers.said(worker)
    assert f"{count + len(bad)} records were taken in" in workers.said(worker)

    letters = ask("dead-letters", "list")
    assert {(one["source"], one["where"]) for one in letters} == set(places)
    for one in letters:
        value, reason = places[one["source"], one["where"]]
        assert one["reason"].startswith(reason)
        assert "; " in one["reason"] or one["reason"].count(":") > 0, "it says what was found"
        assert one["raw"] == (value or b"")[:MAX_BYTES].decode(errors="replace")
    assert ask("lag")["records"] == 0
    ask("import", "good.jsonl", "--store", "sqlite:///good.db")
    for words in (("decisions", "list"), ("outreach", "list")):
        found, wanted = (
            run(*words, "--json", "--store", f"sqlite:///{name}.db").stdout for name in ("ringfirst", "good")
        )
        assert found == wanted
        assert len(json.loads(wanted)) > 20
    run("replay", "--verify")
    mirrored = [message for rows in topics.read(topics.name("dead_letters")).values() for message in rows]
    assert len({dict(one.headers())["ringfirst-id"] for one in mirrored}) == len(bad)
