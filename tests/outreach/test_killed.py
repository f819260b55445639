"""A real sender, really killed: SQLite on disk, an outbox on disk, SIGKILL at any moment."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.stores import open_store
from tests.outreach.given import ROOT, keep, part_of, planned

MAILS = 40
PROGRAM = """
import sys
from pathlib import Path
from engine.stores import open_store
from outreach.channels.file import FileChannel
from outreach.sender import send_due
from tests.outreach.given import DUE, POLICY, SENDER, POLICY, starter_templates
store = open_store(sys.argv[1])
print("ready", flush=True)
outbox = FileChannel(Path(sys.argv[2]))
send_due(store, starter_templates(), outbox, sender=SENDER, at=DUE, by="child", policy=POLICY)
"""


def run(url: str, outbox: Path, seconds: float | None) -> bool:
    """Run a sender, kill it after so many seconds of work, and say whether it came to its end."""
    command = [sys.executable, "-c", PROGRAM, url, str(outbox)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        if seconds is not None:
            time.sleep(seconds)
            child.send_signal(signal.SIGKILL)
        return child.wait(timeout=60) == 0


@pytest.mark.slow
def test_a_sender_killed_at_random_moments_writes_every_mail_once(tmp_path):
    url, outbox = f"sqlite:///{tmp_path / 'store.db'}", tmp_path / "outbox"
    store = open_store(url)
    keep(store, *(planned(rule=f"rule-{number}", account=f"a{number % 7}") for number in range(MAILS)))
    chance = random.Random(20260312)
    ended = [run(url, outbox, chance.uniform(0.01, 0.6)) for _ in range(8)]
    assert not all(ended), "somebody was killed on the way"
    assert run(url, outbox, None)
    files = sorted(outbox.glob("*.eml"))
    assert len(files) == MAILS
    assert len({path.stem.rpartition("-")[2] for path in files}) == MAILS
    assert all("10:00 CET" in part_of(path.read_bytes()) for path in files)
    assert {row.state for row in store.outreach()} == {"accepted"}
    assert sum(len(store.inbox(lane, after=0)) for lane in range(store.lanes)) == MAILS
    store.close()
