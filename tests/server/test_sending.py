"""The sender beside the intake: its clock, and how it is stopped."""

from pathlib import Path

import pytest

from engine.stores import open_store
from outreach.channels.file import FileChannel
from outreach.sender import send_due
from tests.outreach.given import DUE, POLICY, SENDER, keep, planned, starter_templates


@pytest.mark.slow
def test_a_sender_that_is_asked_to_stop_stops_between_two_mails(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    keep(store, *(planned(rule=f"rule-{number}", account=f"a{number}") for number in range(5)))
    outbox = tmp_path / "outbox"
    send_due(
        store,
        starter_templates(),
        FileChannel(outbox),
        sender=SENDER,
        at=DUE,
        by="test",
        policy=POLICY,
        stop=lambda: len(list(outbox.glob("*.eml"))) == 2,
    )
    assert store.mail_counts() == {"accepted": 2, "queued": 3}
    store.close()
