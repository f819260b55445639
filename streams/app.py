"""The Faust app of a worker, made by a function, and the worker around it."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faust
import msgspec
from faust.app.base import BootStrategy
from yarl import URL

from streams.batch import Handler
from streams.consuming import ConsumerThread
from streams.held import HeldLanes
from streams.merge import Key
from streams.settings import KafkaSettings
from streams.stopping import FAUST, Deadline, Worker
from streams.tally import Tally
from streams.transport import Transport, Undecoded
from streams.watchdog import Beat, Limits, Signs, Watchdog, fatal
from streams.writing import Work

SESSION_SECONDS = 10.0
BEAT_SECONDS = 1.0
log = logging.getLogger(__name__)


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker listens to: the inbound topics of ``kafka``, as a member of its group.

    ``lanes`` is what the store was made with; Faust keeps what little it keeps in ``folder``. With ``history`` each
    lane is taken in by ``key`` (the event's own time), and the worker stops when all of its lanes are read to their
    end.
    """

    kafka: KafkaSettings
    lanes: int
    folder: Path
    history: bool = False
    key: Key | None = None
    session_seconds: float = SESSION_SECONDS


class _Boot(BootStrategy):
    """Faust without its producer: what is published goes out from the outbox, behind the transaction."""

    enable_kafka_producer = False


class App(faust.App):
    """A Faust app with the work of its lanes."""

    logger = FAUST
    BootStrategy = _Boot
    work: Work
    turned_at: float | None = None
    """When the watchdog last saw the event loop turn (monotonic); None before it runs."""
    lanes: Any
    """The agent that writes one round of batches after another."""


def make_app(
    listening: Listening,
    handler: Handler,
    *,
    beat: Callable[[], bool] | None = None,
    last: Callable[[], None] | None = None,
    tally: Tally | None = None,
) -> App:
    """Make the app of a worker; nothing is opened and nobody is asked before it is started.

    ``beat`` is called every second between the batches; True ends the worker. Without it a worker of a history ends
    when its own lanes are read to their end. ``last`` ends the handler, in place of ``drop``. ``tally`` is what the
    worker counts in.
    """
    app = App(
        listening.kafka.group,
        autodiscover=False,
        datadir=str(listening.folder),
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        stream_buffer_maxsize=64,
        broker_credentials=listening.kafka.for_faust(),
        broker_max_poll_records=2000,
        broker_session_timeout=listening.session_seconds,
        broker_heartbeat_interval=listening.session_seconds / 4,
        broker_rebalance_timeout=listening.session_seconds * 2,
        broker_request_timeout=max(30.0, listening.session_seconds),
        consumer_auto_offset_reset="none",
        consumer_metadata_max_age_ms=30_000,
        web_enabled=False,
        web_bind="127.0.0.1",
        web_tables_enabled=False,
        web_router_enabled=False,
        worker_redirect_stdouts=False,
    )
    held = HeldLanes(listening.kafka.topics.inbound, history=listening.history, key=listening.key)
    app.work = Work(held, handler, lanes=listening.lanes, fatal=fatal, tally=tally)
    app.transport = Transport([URL(f"kafka://{server}") for server in listening.kafka.servers], app, app.work)
    schema = Undecoded()
    topic = app.topic(*held.topics, acks=False, schema=schema)

    async def lanes(stream: Any) -> None:
        async for batches in stream:
            await app.work.write(batches)
            app.work.through(batches)

    app.lanes = app.agent(topic, name="lanes")(lanes)
    app.work.beat, app.work.last = beat, last
    if beat is not None:
        app.timer(BEAT_SECONDS)(app.work.between)
    return app


def run(app: App, *, loglevel: str | int | None = "INFO", limits: Limits | None = None) -> int:
    """Run a worker until a signal, or the end of its history; returns its exit code.

    ``loglevel`` lets Faust set logging up; None leaves it as it is. A process that no longer works ends with 70, one
    that cannot stop in 10 s with 143; both are safe at any moment. After a signal the 10 s go on until the process has
    ended: whoever called has things to close too, and they may hang as well.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = Worker(app, loop=loop, loglevel=loglevel, override_logging=loglevel is not None, quiet=True, daemon=True)
    logging.getLogger("mode.timers").setLevel(logging.ERROR)  # that a beat takes longer than its pause is no fault
    worker.spinner = None  # it would draw on standard output, which is for answers
    worker.deadline = Deadline()
    app.work.finished = lambda: _finished(worker)
    watchdog = Watchdog(Eyes(app, loop).signs, limits)
    app.finalize()
    watchdog.start()
    try:
        worker.execute_from_commandline()
    except SystemExit as err:
        code = err.code if isinstance(err.code, int) else 1
    finally:
        watchdog.stop()
        if not worker.signalled:  # nobody waits: what the handler still has to write may take its time
            worker.deadline.cancel()
        app.work.close()
    log.info("stopped; %d records were taken in", app.work.records)
    return code


def _finished(worker: Worker) -> None:
    log.info("the history is taken in: stopping")
    worker.deadline.start()
    asyncio.ensure_future(worker.stop())  # noqa: RUF006 - the loop runs until it is through


class Eyes:
    """Sees the signs of a worker that the watchdog judges."""

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = Beat(loop)
        self._thread: Beat | None = None
        self._turned = -1.0

    def signs(self) -> Signs | None:
        """What there is to see now, from any thread; None when the worker stops: that has a deadline of its own."""
        if self._app.should_stop:
            return None
        work = self._app.work
        consumer = self._app._consumer  # noqa: SLF001 - the property would make one
        thread: ConsumerThread | None = getattr(consumer, "_thread", None)
        running = getattr(thread, "_consumer", None)
        if thread is not None and self._thread is None and running is not None:
            self._thread = Beat(thread.thread_loop)
        coordinator = getattr(running, "_coordinator", None)
        fetcher = getattr(running, "_fetcher", None)
        turned = time.monotonic() if work.claiming else self._loop.read()
        if turned != self._turned:
            self._turned, self._app.turned_at = turned, time.monotonic()
        idle = coordinator is None or self._app.rebalancing or work.writing_since is not None
        return Signs(
            loop_beat=turned,
            thread_beat=None if self._thread is None else self._thread.read(),
            progress=turned if idle else work.polled_at + work.batches,
            dead=_ended("coordination", getattr(coordinator, "_coordination_task", None))
            or _ended("fetching", getattr(fetcher, "_fetch_task", None)),
            parked=_words(getattr(coordinator, "_pending_exception", None)),
            rebalancing=bool(self._app.rebalancing and getattr(coordinator, "coordinator_id", None) is not None),
            fenced=bool(work.held.fenced_at),
        )


def _ended(name: str, task: "asyncio.Task[Any] | None") -> str | None:
    if task is None or not task.done():
        return None
    return f"{name} was cancelled" if task.cancelled() else f"{name}: {task.exception()!r}"


def _words(err: BaseException | None) -> str | None:
    return None if err is None else repr(err)


__all__ = ["App", "Listening", "make_app", "run"]
