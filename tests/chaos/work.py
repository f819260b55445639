"""``ringfirst worker`` in a child process: small fetches, a short session, stacks on demand, and mistakes on purpose.

The first argument is a JSON object; the rest is typed after ``ringfirst``.
"""

import faulthandler
import json
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec


def prepare(told: dict[str, Any]) -> None:
    """Change what a test needs to be otherwise, before anything of the worker runs."""
    import streams.held
    import streams.transport
    from ringfirst import worker
    from streams.app import Listening

    setattr(worker, "Listening", partial(Listening, session_seconds=told.get("session", 2.0)))  # noqa: B010
    if "fetch" in told:
        streams.transport.POLL_RECORDS = told["fetch"]
        streams.held.ROUND_RECORDS = told["fetch"]
    if "clock" in told:
        shift_clock(Path(told["clock"]))
    for mistake in told.get("mistakes", ()):
        MISTAKES[mistake]()


def shift_clock(path: Path) -> None:
    """Take the wall clock from a file with two numbers: a shift in seconds, and how fast it runs since now."""
    from ringfirst import worker

    real, began = time.time, time.time()

    def wall() -> float:
        shift, speed = map(float, path.read_text().split())
        return began + (real() - began) * speed + shift

    time.time = wall
    setattr(worker, "now", lambda: int(wall() * 1000))  # noqa: B010


# -- mistakes, each of which the judge must find ---------------------------------------------------------------------
def offsets_first() -> None:
    """Commit how far the topics are read before what was read, in a transaction of its own."""
    from engine.stores import ownership
    from engine.stores.sql import SqlStore

    commit, move = SqlStore.commit, ownership.move_offsets

    def committed(self: Any, batches: Any) -> Any:
        with self._driver.writing() as connection:
            ownership.fence(connection, (batch.claim for batch in batches), exact=True)
            move(connection, self._driver, [one for batch in batches for one in batch.offsets])
        for batch in batches:
            batch.offsets = []
        time.sleep(0.1)  # so that a few kills are enough to show it
        return commit(self, batches)

    SqlStore.commit = committed  # type: ignore[method-assign]


def every_event_is_new() -> None:
    """Take an event in again when its id comes again, under a name that no index knows."""
    import streams.writer
    from engine.events import Arrived, decode

    seen: dict[tuple[str, str], int] = {}

    def decoded(raw: bytes, **more: Any) -> Any:
        found = decode(raw, **more)
        if isinstance(found, Arrived):
            key = found.event.account_id, found.event.id
            seen[key] = seen.get(key, 0) + 1
            if seen[key] > 1:
                event = msgspec.structs.replace(found.event, id=f"{found.event.id}+{seen[key]}")
                return msgspec.structs.replace(found, event=event)
        return found

    setattr(streams.writer, "decode", decoded)  # noqa: B010


MISTAKES = {"offsets first": offsets_first, "every event is new": every_event_is_new}


def main() -> None:
    """Be the command."""
    from ringfirst import cli

    faulthandler.register(signal.SIGRTMIN, all_threads=True)
    prepare(json.loads(sys.argv[1]))
    sys.argv = ["ringfirst", *sys.argv[2:]]
    cli.main()


if __name__ == "__main__":
    main()
