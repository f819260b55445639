"""Who owns a lane: a name that tells host and process, so that a dead owner is known to be dead."""

import os
import socket
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from engine.errors import LaneTaken
from engine.instants import Instant
from engine.keeper import Keeper
from engine.live import LiveKeeper
from engine.rulebook.book import Rulebook
from engine.store import Claim, Store

_T = TypeVar("_T")
_UNKNOWN = "-"
_WORKER = "worker"
_STARTED = 19  # the field of /proc/PID/stat behind the name in brackets, proc(5) calls it (22) starttime


def owner_name(group: str = "") -> str:
    """Name this process as an owner: ``host:pid:start``, and of a worker ``host:pid:start:worker:GROUP``."""
    name = f"{socket.gethostname()}:{os.getpid()}:{_start(os.getpid())}"
    return f"{name}:{_WORKER}:{group}" if group else name


def person_name() -> str:
    """Name who types, for the audit: ``user@host``."""
    import getpass

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def is_worker(owner: str, group: str) -> bool:
    """Is the owner a worker of this consumer group, from which Kafka takes lanes as it likes?

    >>> is_worker(owner_name("ringfirst"), "ringfirst"), is_worker(owner_name("other"), "ringfirst")
    (True, False)
    >>> is_worker(owner_name(), "ringfirst")
    False
    """
    return owner.split(":", 3)[3:] == [f"{_WORKER}:{group}"]


def is_dead(owner: str) -> bool:
    """Is the owner surely gone? True only for a process of this host that no longer runs.

    >>> is_dead(owner_name()), is_dead(owner_name("ringfirst")), is_dead("elsewhere.example:1:-"), is_dead("somebody")
    (False, False, False, False)
    """
    host, pid, start, *_ = (*owner.split(":", 3), "", "")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False  # it lives, under another user
    now = _start(int(pid))
    return _UNKNOWN not in {start, now} and start != now  # the number was given to another process


def keep(store: Store, book: Rulebook, *, at: Instant, take_over: bool = False) -> Keeper:
    """Own all lanes; from owners that are surely dead they are taken over without a word. Raises ``LaneTaken``."""
    return _kept(Keeper, store, book, at, take_over=take_over)


def keep_live(store: Store, book: Rulebook, *, at: Instant, take_over: bool = False) -> LiveKeeper:
    """Own all lanes for events that come in as they happen; the same rule about dead owners. Raises ``LaneTaken``."""
    return _kept(LiveKeeper, store, book, at, take_over=take_over)


def _kept(kind: Callable[..., _T], store: Store, book: Rulebook, at: Instant, *, take_over: bool) -> _T:
    return _owned(
        store,
        range(store.lanes),
        at,
        lambda over: kind(store, book, owner_name(), at=at, take_over=over),
        take_over=take_over,
    )


def claim(store: Store, lanes: Sequence[int], *, at: Instant, take_over: bool = False) -> list[Claim]:
    """Own some lanes for a short while, all or none; the same rule about dead owners. Raises ``LaneTaken``."""
    return _owned(
        store,
        lanes,
        at,
        lambda over: store.claim(lanes, owner_name(), at=at, take_over=over),
        take_over=take_over,
    )


def _owned(store: Store, lanes: Collection[int], at: Instant, own: Callable[[bool], _T], *, take_over: bool) -> _T:
    try:
        return own(take_over)
    except LaneTaken:
        if not _all_dead(store, lanes, at):
            raise
    return own(True)


def _all_dead(store: Store, lanes: Collection[int], at: Instant) -> bool:
    owners = [info.owner for info in store.lane_infos(at=at) if info.lane in lanes]
    return all(owner is None or is_dead(owner) for owner in owners)


def _start(pid: int) -> str:
    """When a process began, in ticks since the machine did; ``-`` where that cannot be told."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[_STARTED]
    return _UNKNOWN
