"""Asking a process to stop: politely first, at once when somebody asks twice."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

KILLED = 130


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """Set when somebody asks to stop (SIGINT, SIGTERM); who asks twice gets it at once."""
    asked = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            os._exit(KILLED)
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
