"""What is overridden or relied upon in Faust and aiokafka, word for word: an upgrade that moves it fails here."""

import hashlib
import inspect
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.serializers.schemas import Schema
from faust.transport.drivers import aiokafka as driver
from mode.worker import Worker as ModeWorker

from streams.app import Listening, make_app
from streams.consuming import ConsumerThread
from streams.stopping import Worker
from streams.transport import Consumer, Transport, Undecoded
from tests.streams.test_agent import KAFKA, Handler, loop_of

VERSIONS = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}
SOURCES = {
    "faust.transport.consumer:Consumer.getmany": "4b168d84882a",
    "faust.transport.consumer:Consumer.commit": "a354437baaa0",
    "faust.transport.consumer:Consumer.perform_seek": "0e8c130ff4b0",
    "faust.transport.consumer:Consumer.on_partitions_revoked": "d04b7ae72c6f",
    "faust.transport.consumer:Consumer.on_partitions_assigned": "29ce96596f05",
    "faust.transport.consumer:Consumer._drain_messages": "44a2500309e8",
    "faust.transport.consumer:Consumer.on_stop": "45b1d2210ce2",
    "faust.transport.consumer:ThreadDelegateConsumer.seek_to_committed": "f1d483b861b0",
    "faust.transport.conductor:ConductorCompiler.build": "837cf521368c",
    "faust.transport.drivers.aiokafka:Consumer._new_consumer_thread": "0870ec53dea7",
    "faust.transport.drivers.aiokafka:ConsumerRebalanceListener": "f3d04f29dfb3",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.on_start": "38b4e8bd1e10",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.on_thread_stop": "8dfc004e258b",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._create_worker_consumer": "c2701bfc3e6f",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.seek_to_committed": "775ab0adc4b0",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._commit": "932852ce7a23",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.verify_event_path": "b983e7735f64",
    "faust.transport.base:Transport.__init__": "cfa0f03f4af2",
    "faust.transport.base:Transport.create_consumer": "46cc2bf5ab14",
    "faust.serializers.schemas:Schema.compile": "d46eec5ce319",
    "faust.app.base:BootStrategy.kafka_producer": "54a789df64f6",
    "faust.app.base:App._on_partitions_revoked": "d5c895bbe57d",
    "faust.app.base:App._on_partitions_assigned": "de932b7927db",
    "faust.tables.recovery:Recovery._resume_streams": "d986a6710c1a",
    "mode.worker:Worker._schedule_shutdown": "1a6a5dfc88c2",
    "mode.worker:Worker.install_signal_handlers": "5cb3d584d58f",
    "mode.worker:Worker.execute_from_commandline": "212e98f635d7",
    "aiokafka.consumer.consumer:AIOKafkaConsumer.start": "2f1ba7044332",
    "aiokafka.consumer.consumer:AIOKafkaConsumer.getmany": "bc6d248e42a4",
    "aiokafka.consumer.consumer:AIOKafkaConsumer.seek": "a9430f1f3b9a",
    "aiokafka.consumer.consumer:AIOKafkaConsumer.end_offsets": "f4b190785818",
    "aiokafka.consumer.fetcher:Fetcher.fetched_records": "be4348896b9b",
    "aiokafka.consumer.fetcher:Fetcher._get_actions_per_node": "1dab2cf937d1",
    "aiokafka.consumer.fetcher:Fetcher.seek_to": "f0ba6aba6c22",
    "aiokafka.consumer.subscription_state:TopicPartitionState": "2b83334afadf",
    "aiokafka.consumer.group_coordinator:GroupCoordinator.check_errors": "ba6ca51ad348",
}
OVERRIDDEN = [
    (Consumer, driver.Consumer),
    (ConsumerThread, driver.AIOKafkaConsumerThread),
    (Transport, driver.Transport),
    (Undecoded, Schema),
    (Worker, ModeWorker),
]
OURS = set(
    """
    ask mirror begin rest fetch ends bounds counts _hold_still _state _flows _turned _turn _fetch
    _start_what_is_due _ask _claim _go_on _is_news _put_off _unfit _carrying __init__
    """.split()  # noqa: SIM905 - a list of names is read more easily in lines
)


def source(name):
    module, _, path = name.partition(":")
    found: Any = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return inspect.getsource(inspect.unwrap(found))


@pytest.mark.parametrize("package", VERSIONS)
def test_the_versions_are_those_that_were_read(package):
    assert version(package) == VERSIONS[package]


@pytest.mark.parametrize("name", SOURCES)
def test_upstream_is_word_for_word_what_was_read(name):
    digest = hashlib.sha256(source(name).encode()).hexdigest()[:12]
    assert digest == SOURCES[name], f"{name} changed: read it, see that streams/ still fits it, then note {digest}"


@pytest.mark.parametrize(("ours", "theirs"), OVERRIDDEN, ids=lambda one: one.__name__)
def test_every_override_overrides_something_and_takes_what_it_takes(ours, theirs):
    methods = {name: method for name, method in vars(ours).items() if inspect.isfunction(method) and name not in OURS}
    for name, method in methods.items():
        upstream = inspect.signature(inspect.unwrap(getattr(theirs, name)))
        kinds = {parameter.kind for parameter in inspect.signature(method).parameters.values()}
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            assert list(inspect.signature(method).parameters) == list(upstream.parameters), name


def test_our_own_methods_hide_none_of_upstream():
    for ours, theirs in OVERRIDDEN:
        assert not [name for name in vars(ours) if name in OURS - {"__init__"} and hasattr(theirs, name)]


@pytest.fixture
def app(tmp_path):
    return make_app(Listening(kafka=KAFKA, lanes=4, folder=tmp_path), Handler())


def test_the_consumer_reads_what_is_committed_shares_by_range_and_never_resets(app):
    async def made():
        consumer = app.consumer._thread._create_worker_consumer(app.transport)
        await consumer.stop()
        return vars(consumer)

    with loop_of(app) as loop:
        kept = loop.run_until_complete(made())
    assert kept["_partition_assignment_strategy"] == [RangePartitionAssignor]
    assert kept["_isolation_level"] == "read_committed"
    assert kept["_fetch_max_wait_ms"] == 100
    assert kept["_auto_offset_reset"] == "none"
    assert kept["_enable_auto_commit"] is False
    assert kept["_max_partition_fetch_bytes"] == 1024 * 1024


def test_the_three_settings_that_are_put_in_afterwards_are_read_at_the_start_only():
    start = inspect.getsource(AIOKafkaConsumer.start)
    for name in ("_partition_assignment_strategy", "_isolation_level", "_fetch_max_wait_ms"):
        assert f"self.{name}" in start
