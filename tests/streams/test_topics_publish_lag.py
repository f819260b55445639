"""Topics made and compared, files published, lag measured: on the embedded broker and on a real one."""

import gzip
import json
from itertools import count

import msgspec
import pytest

from engine.errors import StreamError
from engine.events import MAX_BYTES
from engine.instants import DAY, HOUR, iso, parse_instant
from engine.lanes import lane_of
from streams import topics as needed
from streams.admin import Topic, opened
from streams.files import EventFiles
from streams.lag import lag, peeking
from streams.publish import publish
from streams.settings import KafkaSettings, Topics
from tools.kafka.broker import LOGIN, Broker

NOON = parse_instant("2026-03-02T12:00:00Z") or 0
SOURCE = "a cluster"
_marks = count(1)


def line(account="acme", type="feature.used", at=NOON, **more):
    return json.dumps({"id": f"e{next(_marks)}", "type": type, "account_id": account, "time": iso(at), **more}).encode()


def settings_for(kafka):
    names = {field: kafka.name(field) for field in Topics.__struct_fields__}
    return KafkaSettings(servers=(kafka.bootstrap,), topics=Topics(**names))


@pytest.fixture
def wire(each_kafka):
    """Settings with topics of the test's own, made with 4 lanes for history."""
    settings = settings_for(each_kafka)
    for field in ("usage", "support", "lifecycle"):
        each_kafka.topic(field, 4, **({"retention_ms": "-1"} if each_kafka.is_real else {}))
    return settings


def put(settings, path, *lines, at=NOON, **more):
    path.write_bytes(b"".join(one + b"\n" for one in lines))
    with opened(settings) as admin, EventFiles([str(path)]) as files:
        return publish(files, admin, settings, at=at, **more)


def measured(settings, taken, at=NOON):
    with opened(settings) as admin:
        by_source = {(admin.cluster_id, *place): offset for place, offset in taken.items()}
        return {
            (one.topic, one.lane): one
            for one in lag(admin, peeking(settings), settings.topics.inbound, by_source, {}, at=at)
        }


# -- publishing ------------------------------------------------------------------------------------------------------
def test_events_go_to_their_family_s_topic_on_their_account_s_lane_dated_by_their_own_time(each_kafka, wire, tmp_path):
    accounts = [f"account-{number}" for number in range(20)]
    lines = {
        wire.topics.usage: [line(account, "feature.used", NOON - HOUR + turn) for turn, account in enumerate(accounts)],
        wire.topics.support: [line(account, "ticket.opened", NOON - DAY) for account in accounts],
        wire.topics.lifecycle: [line(account, "subscription.renewed", NOON) for account in accounts],
    }
    report = put(wire, tmp_path / "events.jsonl", *[one for group in lines.values() for one in group])
    assert (report.read, report.published, report.bad) == (60, 60, 0)
    for topic, group in lines.items():
        assert report.topics[topic] == 20
        for partition, messages in each_kafka.read(topic).items():
            expected = [one for one in group if lane_of(json.loads(one)["account_id"], 4) == partition]
            assert [one.value() for one in messages] == expected
            for one in messages:
                event = json.loads(one.value())
                assert one.key() == event["account_id"].encode()
                assert one.timestamp()[1] == parse_instant(event["time"])


def test_files_are_merged_by_time_and_may_be_packed(each_kafka, wire, tmp_path):
    early, late = line(at=NOON - 2), line(at=NOON - 1)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(late))
    (tmp_path / "b.jsonl").write_bytes(early)
    with opened(wire) as admin, EventFiles([str(tmp_path / name) for name in ("a.jsonl.gz", "b.jsonl")]) as files:
        publish(files, admin, wire, at=NOON, only=wire.topics.usage)
    assert [one.value() for one in each_kafka.read(wire.topics.usage)[lane_of("acme", 4)]] == [early, late]


def test_a_bad_line_reaches_the_topic_and_one_that_is_too_large_is_told(each_kafka, wire, tmp_path):
    good, bad = line(at=NOON - 5), b'{"account_id": "acme", "id": 7}'
    report = put(wire, tmp_path / "events.jsonl", good, bad, b"x" * (MAX_BYTES + 10), line(at=NOON - 4))
    assert (report.read, report.published, report.bad, report.refused) == (4, 3, 1, 1)
    assert [one.split(": ")[1] for one in report.problems] == ["line 2", "line 3"]
    there = each_kafka.read(wire.topics.usage)[lane_of("acme", 4)]
    assert [(one.value(), one.timestamp()[1]) for one in there[:2]] == [(good, NOON - 5), (bad, NOON - 5)]


def test_an_event_dated_ahead_counts_from_now_since_kafka_takes_no_later_time(each_kafka, wire, tmp_path):
    from ringfirst.intake import now

    at = now()
    put(wire, tmp_path / "events.jsonl", line(at=at + 20 * HOUR), at=at)
    assert each_kafka.read(wire.topics.usage)[lane_of("acme", 4)][0].timestamp()[1] == at


def test_live_records_count_from_the_moment_of_publishing(each_kafka, wire, tmp_path):
    from ringfirst.intake import now

    before = now()
    put(wire, tmp_path / "events.jsonl", line(at=NOON), at=before, live=True)
    stamp = each_kafka.read(wire.topics.usage)[lane_of("acme", 4)][0].timestamp()[1]
    assert before <= stamp <= now()


def test_a_missing_topic_is_named_and_nothing_is_published(each_kafka, tmp_path):
    with pytest.raises(StreamError, match=r"usage: there is no such topic; make it with 'ringfirst topics create'"):
        put(settings_for(each_kafka), tmp_path / "events.jsonl", line())


def test_topics_with_different_numbers_of_partitions_take_nothing(each_kafka, tmp_path):
    settings = settings_for(each_kafka)
    for field, partitions in (("usage", 4), ("support", 3), ("lifecycle", 4)):
        each_kafka.topic(field, partitions)
    with pytest.raises(StreamError, match=r"different numbers of partitions; found .*usage 4, .*support 3"):
        put(settings, tmp_path / "events.jsonl", line())


@pytest.mark.slow
def test_a_topic_that_would_drop_old_events_takes_none(real_kafka, tmp_path):
    settings = settings_for(real_kafka)
    for field in ("usage", "support", "lifecycle"):
        real_kafka.topic(field, 2, retention_ms=str(DAY))
    with pytest.raises(StreamError, match="would drop these events at once; found one of 2026-02-28T12:00:00"):
        put(settings, tmp_path / "events.jsonl", line(at=NOON - 2 * DAY))
    put(settings, tmp_path / "events.jsonl", line(at=NOON - 2 * DAY), live=True)


@pytest.mark.slow
def test_what_an_embedded_broker_dropped_is_found(embedded_kafka, tmp_path):
    settings = settings_for(embedded_kafka)
    for field in ("usage", "support", "lifecycle"):
        embedded_kafka.topic(field, 1)
    import random

    chance = random.Random(7)
    lines = [line(properties={"noise": chance.randbytes(60_000).hex()}) for _ in range(120)]
    with pytest.raises(StreamError, match="embedded broker: it dropped the oldest records"):
        put(settings, tmp_path / "events.jsonl", *lines)


def test_a_broker_that_refuses_is_told_and_not_taken_for_success(embedded_kafka, tmp_path):
    settings = settings_for(embedded_kafka)
    for field in ("usage", "support", "lifecycle"):
        embedded_kafka.topic(field, 1)
    assert embedded_kafka.embedded is not None
    embedded_kafka.embedded.fail(0, [10])
    with pytest.raises(StreamError, match="found 1 records that Kafka did not take"):
        put(settings, tmp_path / "events.jsonl", line())


# -- lag -------------------------------------------------------------------------------------------------------------
def test_lag_is_counted_in_records_and_in_the_age_of_the_next_one(each_kafka, wire, tmp_path):
    lines = [line(at=NOON - 60_000 + turn * 1_000) for turn in range(10)]
    put(wire, tmp_path / "events.jsonl", *lines)
    mine = (wire.topics.usage, lane_of("acme", 4))
    for taken, records, seconds in ((None, 10, 60), (4, 6, 56), (10, 0, 0)):
        found = measured(wire, {} if taken is None else {mine: taken})
        assert (found[mine].next_offset, found[mine].records, found[mine].seconds) == (taken, records, seconds)
        others = [one for place, one in found.items() if place != mine]
        assert len(others) == 11
        assert all((one.records, one.seconds, one.fault) == (0, 0, None) for one in others)


def test_a_store_that_is_ahead_of_the_log_is_a_fault(each_kafka, wire, tmp_path):
    put(wire, tmp_path / "events.jsonl", line())
    mine = (wire.topics.usage, lane_of("acme", 4))
    found = measured(wire, {mine: 5})[mine]
    assert found.records == 0
    assert "the store has read up to offset 5, the log ends at 1" in str(found.fault)


def test_offsets_of_another_cluster_count_for_nothing(wire, tmp_path):
    put(wire, tmp_path / "events.jsonl", line())
    mine = (wire.topics.usage, lane_of("acme", 4))
    with opened(wire) as admin:
        found = lag(admin, peeking(wire), wire.topics.inbound, {("another", *mine): 1}, {}, at=NOON)
    assert sum(one.records for one in found) == 1


@pytest.mark.slow
def test_records_that_were_dropped_before_they_were_taken_in_are_a_fault(real_kafka, tmp_path):
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    settings = settings_for(real_kafka)
    for field in ("usage", "support", "lifecycle"):
        real_kafka.topic(field, 1, retention_ms="-1")
    put(settings, tmp_path / "events.jsonl", *[line() for _ in range(10)])
    mine = (settings.topics.usage, 0)
    admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap})
    for done in admin.delete_records([TopicPartition(*mine, 6)]).values():
        done.result(10)
    found = measured(settings, {mine: 2})[mine]
    assert found.records == 4
    assert "4 records are gone" in str(found.fault)


@pytest.mark.slow
def test_markers_of_a_transaction_are_no_records_that_wait(real_kafka):
    from confluent_kafka import Producer

    settings = settings_for(real_kafka)
    for field in ("usage", "support", "lifecycle"):
        real_kafka.topic(field, 1, retention_ms="-1")
    producer = Producer({"bootstrap.servers": real_kafka.bootstrap, "transactional.id": real_kafka.name("t")})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(settings.topics.usage, line())
    producer.flush(10)
    producer.abort_transaction(20)
    found = measured(settings, {(settings.topics.usage, 0): 0})[(settings.topics.usage, 0)]
    assert (found.records, found.seconds) == (2, None)  # the record that is no more, and its marker; nothing to read


# -- topics ----------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_topics_are_made_once_with_the_lanes_and_for_ever(real_kafka):
    settings = settings_for(real_kafka)
    asked = needed.wanted(settings.topics, 6)
    with opened(settings) as admin:
        assert [one.fault and one.fault.split(": ")[1] for one in needed.check(admin, asked)] == [
            "there is no such topic; make it with 'ringfirst topics create'"
        ] * 5
        assert needed.create(admin, asked, lanes=6, replicas=None, history=True) == [one.name for one in asked]
        states = needed.check(admin, asked)
        assert [(one.found and one.found.partitions, one.retention_days, one.fault) for one in states] == [
            (6, None, None)
        ] * 5
        assert len({one.found and one.found.topic_id for one in states}) == 5
        assert needed.create(admin, asked, lanes=6, replicas=None, history=True) == []


@pytest.mark.slow
def test_topics_that_do_not_fit_are_found(real_kafka):
    settings = settings_for(real_kafka)
    real_kafka.topic("usage", 3)
    real_kafka.topic("support", 4, cleanup_policy="compact")
    real_kafka.topic("lifecycle", 4, retention_ms=str(7 * DAY))
    with opened(settings) as admin:
        usage, support, lifecycle, *_ = needed.check(admin, needed.wanted(settings.topics, 4))
    assert "its partitions are not the lanes; found 3, wanted 4" in str(usage.fault)
    assert "keeps only the last event of each account; found cleanup.policy compact" in str(support.fault)
    assert (lifecycle.fault, lifecycle.retention_days) == (None, 7)


@pytest.mark.slow
def test_what_kafka_refuses_to_make_is_said(real_kafka):
    settings = settings_for(real_kafka)
    with (
        opened(settings) as admin,
        pytest.raises(StreamError, match=r"usage: Kafka did not make the topic; .*replicat"),
    ):
        needed.create(admin, needed.wanted(settings.topics, 1), lanes=1, replicas=3, history=False)


def test_an_embedded_broker_makes_no_topics(embedded_kafka):
    settings = settings_for(embedded_kafka)
    with opened(settings) as admin:
        assert admin.topics(settings.topics.inbound) == {}
        with pytest.raises(StreamError, match="an embedded broker makes no topics"):
            needed.create(admin, needed.wanted(settings.topics, 1), lanes=1, replicas=None, history=False)
        embedded_kafka.topic("usage", 3)
        assert admin.topics(settings.topics.inbound) == {settings.topics.usage: Topic(settings.topics.usage, 3)}


# -- coming in -------------------------------------------------------------------------------------------------------
def test_a_broker_that_is_not_there_is_named():
    with (
        pytest.raises(StreamError, match=r"127.0.0.1:9: Kafka does not answer; .*refused"),
        opened(KafkaSettings(servers=("127.0.0.1:9",)), timeout_seconds=2),
    ):
        pass


@pytest.mark.slow
def test_a_door_with_a_password_opens_to_those_who_have_it(real_kafka, tmp_path):
    broker = Broker(tmp_path / "kafka", quick=True)
    broker.start()
    try:
        user, password = LOGIN
        settings = KafkaSettings(servers=(broker.login,), user=user, password=password)
        with opened(settings) as admin:
            needed.create(admin, needed.wanted(settings.topics, 2), lanes=2, replicas=None, history=True)
        assert put(settings, tmp_path / "events.jsonl", line()).published == 1
        assert sum(one.records for one in measured(settings, {}).values()) == 1
        wrong = msgspec.structs.replace(settings, password="guessed")
        with pytest.raises(StreamError, match="Authentication failed"), opened(wrong, timeout_seconds=5):
            pass
    finally:
        broker.kill()


def test_a_password_is_in_no_log():
    assert "secret" not in repr(KafkaSettings(servers=("a:1",), user="us", password="secret"))
