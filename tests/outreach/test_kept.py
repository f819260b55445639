"""What was sent is kept to the byte, for as long as somebody wants it."""

from email import message_from_bytes
from email.utils import parsedate_to_datetime

import pytest
from msgspec.structs import replace

from engine.instants import DAY, HOUR, MINUTE, to_datetime
from outreach.channel import DeliveryError
from outreach.channels.file import FileChannel
from outreach.channels.memory import MemoryChannel
from outreach.sender import send_due
from tests.outreach.given import ADA, DUE, POLICY, SENDER, keep, planned
from tests.outreach.test_sender import Dying, Killed, sent


def send(store, templates, channel, *, at=DUE, days=365):
    return send_due(
        store, templates, channel, sender=replace(SENDER, keep_sent_days=days), at=at, by="test", policy=POLICY
    )


def test_what_is_kept_is_what_left_for_every_decision_in_it(store, templates):
    from engine.decision import Subject

    keep(store, planned(subject=Subject("orientation", "m1")), planned(subject=Subject("orientation", "m2")))
    channel = MemoryChannel()
    assert send(store, templates, channel).rows == 2
    (mail,) = channel.mails
    assert {store.sent(row.outreach_id) for row in store.outreach()} == {mail.raw}


def test_a_mail_in_doubt_is_kept_for_it_may_be_out(store, templates):
    class Dropping(MemoryChannel):
        def deliver(self, mail):
            self.raw = mail.raw
            raise DeliveryError("no answer", "in_doubt")

    keep(store, planned())
    channel = Dropping()
    send(store, templates, channel)
    (row,) = store.outreach()
    assert (row.state, store.sent(row.outreach_id)) == ("in_doubt", channel.raw)


def test_what_never_left_is_not_kept(store, templates):
    keep(store, planned(), people={"u1": {**ADA, "email": None}})
    send(store, templates, MemoryChannel())
    (row,) = store.outreach()
    assert (row.state, store.sent(row.outreach_id)) == ("held", None)


def test_after_the_days_that_were_set_it_is_gone(store, templates):
    keep(store, planned())
    send(store, templates, MemoryChannel(), days=30)
    (row,) = store.outreach()
    send(store, templates, MemoryChannel(), at=DUE + 30 * DAY, days=30)
    assert store.sent(row.outreach_id) is not None
    send(store, templates, MemoryChannel(), at=DUE + 30 * DAY + MINUTE, days=30)
    assert store.sent(row.outreach_id) is None


def test_nothing_is_kept_when_nobody_wants_it(store, templates):
    keep(store, planned())
    channel = MemoryChannel()
    assert send(store, templates, channel, days=0).mails == 1
    (row,) = store.outreach()
    assert (row.state, store.sent(row.outreach_id)) == ("accepted", None)


def test_a_mail_is_dated_when_it_leaves_and_not_when_it_was_due(store, templates):
    keep(store, planned(expires_at=DUE + 3 * DAY))
    channel = MemoryChannel()
    sent(store, templates, channel, at=DUE + 2 * HOUR + 1234)
    (left,) = channel.mails
    assert parsedate_to_datetime(message_from_bytes(left.raw)["Date"]) == to_datetime(DUE + 2 * HOUR + 1000)
    row = store.outreach()[0]
    posting = next(one for one in store.changes(row.outreach_id) if one.after == "posting")
    assert left.dated == posting.at
    assert store.sent(row.outreach_id) == left.raw


def test_a_mail_that_a_crash_left_half_done_is_written_again_with_the_date_it_had(store, templates, tmp_path):
    keep(store, planned(expires_at=DUE + 3 * DAY))
    with pytest.raises(Killed):
        sent(Dying(store, 2, after=True), templates, FileChannel(tmp_path), at=DUE + HOUR)
    sent(store, templates, FileChannel(tmp_path), at=DUE + 2 * HOUR)
    (file,) = tmp_path.glob("*.eml")
    assert parsedate_to_datetime(message_from_bytes(file.read_bytes())["Date"]) == to_datetime(DUE + HOUR)
    assert store.sent(store.outreach()[0].outreach_id) == file.read_bytes()
