"""Import: files of events taken in by the owner of all lanes, batch by batch, until they are read to their end."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec

from engine.decision import OPEN_STATES
from engine.errors import StoreError, UsageError
from engine.events import Arrived
from engine.instants import Instant
from engine.keeper import Keeper, Taken
from engine.rulebook.book import Rulebook
from engine.store import DeadLetter, Store
from ringfirst import owners

BATCH = 5_000

Tell = Callable[[int], None]
"""Called with the number of lines read so far, after each batch is written."""


class ImportReport(msgspec.Struct):
    """What an import did.

    ``read`` counts lines (``new`` + ``duplicates`` + ``dead_letters`` + those of ``forgotten`` accounts), ``decisions``
    all that were taken, ``past`` the mails that counted as gone, ``waiting`` those that still wait. ``stopped`` when
    somebody asked it to stop, ``fault`` when a file broke off.
    """

    read: int = 0
    new: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    decisions: int = 0
    past: int = 0
    seconds: float = 0.0
    waiting: int = 0
    conflicting: int = 0
    forgotten: int = 0
    stopped: bool = False
    fault: str | None = None

    def answer(self) -> dict[str, object]:
        """The shape of ``import --json``."""
        names = ("read", "new", "duplicates", "dead_letters", "decisions", "past", "seconds")
        return {name: getattr(self, name) for name in names}


def now() -> Instant:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def take_items(
    store: Store,
    book: Rulebook,
    items: Iterable[Arrived | DeadLetter],
    *,
    take_over: bool = False,
    stop: Callable[[], bool] = lambda: False,
    tell: Tell = lambda _: None,
) -> ImportReport:
    """Take everything in under ``book`` and bring all lanes to the largest time seen.

    When ``stop`` says so, or a file breaks off, everything read so far is written and the lanes stay where they are:
    the same import again goes on as if nothing had been. Raises ``LaneTaken``.
    """
    began = time.monotonic()
    before = _past(store)
    keeper = owners.keep(store, book, at=now(), take_over=take_over)
    try:
        report = _take(keeper, items, stop, tell)
        keeper.stop()
    except BaseException:
        with suppress(StoreError):
            keeper.abandon()
        raise
    report.past = _past(store) - before
    report.waiting = len(store.outreach(states=sorted(OPEN_STATES)))  # type: ignore[arg-type]
    report.seconds = round(time.monotonic() - began, 3)
    return report


def _take(keeper: Keeper, items: Iterable[Arrived | DeadLetter], stop: Callable[[], bool], tell: Tell) -> ImportReport:
    report = ImportReport()
    good: list[Arrived] = []
    bad: list[DeadLetter] = []
    try:
        for item in items:
            (bad.append(item) if isinstance(item, DeadLetter) else good.append(item))
            if len(good) + len(bad) >= BATCH:
                _write(keeper, good, bad, report)
                tell(report.read)
                good, bad = [], []
                if stop():
                    report.stopped = True
                    return report
    except UsageError as err:
        report.fault = str(err)
    _write(keeper, good, bad, report)
    report.stopped = stop()
    if not report.stopped and report.fault is None:
        _add(report, keeper.finish(at=now()))
    tell(report.read)
    return report


def _write(keeper: Keeper, good: list[Arrived], bad: list[DeadLetter], report: ImportReport) -> None:
    report.read += len(good) + len(bad)
    report.dead_letters += len(bad)
    _add(report, keeper.take(good, bad, at=now()))


def _add(report: ImportReport, taken: Taken) -> None:
    for name in ("new", "duplicates", "decisions", "conflicting", "forgotten"):
        setattr(report, name, getattr(report, name) + getattr(taken, name))


def _past(store: Store) -> int:
    return len(store.outreach(states=["past"]))
