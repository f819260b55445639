"""A ringfirst command in a process beside the demo, which ends when the demo does, however that ends.

It gets ready while the demo makes its events, and begins when a line on its standard input names the broker; when no
more lines can come, nobody waits for it any longer.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

_AHEAD = ("ringfirst.worker", "confluent_kafka.admin", "kafka.admin", "engine.stores")
"""What takes a second or more to import."""


def _warm(folder: Path) -> None:
    """Do now what would have to be waited for later."""
    from ringfirst.commands.options import checked_book

    for name in _AHEAD:
        import_module(name)
    checked_book(folder)


def _end_with_the_demo() -> None:
    while os.read(0, 1):  # sys.stdin has a lock, which would be waited for at the end of the process
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(words: Sequence[str]) -> None:
    """Run ``ringfirst WORDS`` when told to."""
    _warm(Path(words[words.index("--rules") + 1]))
    servers = sys.stdin.readline().strip()
    if not servers:
        return
    os.environ["RINGFIRST_KAFKA"] = servers
    threading.Thread(target=_end_with_the_demo, daemon=True).start()
    from ringfirst.cli import main as command

    command(list(words), prog_name="ringfirst")


if __name__ == "__main__":
    main(sys.argv[1:])
