"""The sender beside the intake: its clock, and how it is stopped."""

from pathlib import Path

import pytest

from engine.instants import DAY
from engine.stores import open_store
from outreach.channel import DeliveryError
from outreach.channels.file import FileChannel
from outreach.sender import send_due
from ringfirst.intake import now
from ringfirst.server.health import Health
from ringfirst.server.metrics import Metrics
from ringfirst.server.sending import Sending
from ringfirst.server.waiting import WaitingRoom
from tests.outreach.given import DUE, POLICY, SENDER, keep, planned, starter_templates
from tests.outreach.test_sender import Remote


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


def test_a_channel_that_is_away_stands_among_the_servers_metrics_until_it_is_back(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    at = now()
    keep(store, planned(at=at, due_at=at, expires_at=at + DAY, mail_class="transactional"), clock=at)
    health, room = Health(), WaitingRoom()
    metrics = Metrics(health, room)
    health.clocks = {lane: now() for lane in range(store.lanes)}
    channel = Remote(DeliveryError("remote: 401", "down", ours=True))
    sending = Sending(store, starter_templates(), channel, SENDER, health, metrics, policy=POLICY)
    with pytest.raises(DeliveryError) as caught:
        sending._sent()
    assert sending._failed(caught.value) >= 300
    assert b'ringfirst_channel_down_seconds{cause="settings",channel="remote"}' in metrics.text()
    store.end_outage("remote")
    channel._answer = None
    assert sending._sent() == 1
    assert b"channel_down_seconds{cause=" not in metrics.text()
    store.close()
