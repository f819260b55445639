"""The stop switch: nothing that is stopped leaves, from the moment on in which the stop stands in the store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.instants import DAY, HOUR, MINUTE
from engine.store import Ramp, Standing, Stop
from outreach.channels.file import FileChannel
from outreach.channels.memory import MemoryChannel
from outreach.stops import against
from tests.outreach.given import DUE, NOON, Deciding, keep, only, planned
from tests.outreach.test_sender import Dying, Killed, Remote, orientation, sent


def stop(scope="all", name="", *, at=NOON, per_hour=None):
    return Stop(scope, name, at, "ann", "a wrong number in the mail", per_hour)


@pytest.mark.parametrize(
    ("scope", "name", "said"),
    [
        ("all", "", "stopped: everything"),
        ("channel", "remote", "stopped: channel remote"),
        ("rule", "orientation-tomorrow", "stopped: rule orientation-tomorrow"),
        ("account", "acme", "stopped: account acme"),
    ],
)
def test_what_is_stopped_stays_and_says_why_and_leaves_when_it_goes_on(store, templates, scope, name, said):
    keep(store, planned())
    assert store.stop(stop(scope, name))
    channel = Remote()
    report = sent(store, templates, channel)
    assert (report.mails, report.held, report.reasons, channel.mails) == (0, 1, {said: 1}, [])
    assert (only(store).state, only(store).why) == ("held", said)
    store.go(stop(scope, name))
    assert sent(store, templates, channel, at=DUE + MINUTE).mails == 1


@pytest.mark.parametrize(("scope", "name"), [("channel", "smtp"), ("rule", "another"), ("account", "bolt")])
def test_what_is_not_stopped_leaves(store, templates, scope, name):
    keep(store, planned())
    store.stop(stop(scope, name))
    assert sent(store, templates, Remote()).mails == 1


def stopping(store, step):
    """A store in which somebody turns the stop switch right before the n-th step of a sender."""
    return Deciding(store, step, lambda: store.stop(stop()))


@pytest.mark.parametrize("step", [1, 2])
def test_a_stop_while_a_mail_is_claimed_keeps_it_here_whole(store, templates, step):
    keep(store, orientation("m1", "2026-03-12T09:00:00Z"), orientation("m2", "2026-03-12T13:30:00Z"))
    channel = Remote()
    sent(stopping(store, step), templates, channel)
    assert channel.mails == []
    assert {row.state for row in store.outreach()} <= {"queued", "held"}
    sent(store, templates, channel, at=DUE + MINUTE)
    assert {row.why for row in store.outreach()} == {"stopped: everything"}
    store.go(stop())
    assert sent(store, templates, channel, at=DUE + HOUR).mails == 1
    assert {row.state for row in store.outreach()} == {"accepted"}


def test_a_mail_that_was_being_handed_over_before_the_stop_is_not_taken_for_stopped(store, templates):
    keep(store, orientation("m1", "2026-03-12T09:00:00Z"))
    channel = Remote()
    sent(stopping(store, 3), templates, channel)
    assert len(channel.mails) == 1
    assert only(store).state == "accepted"


def test_what_a_dead_sender_left_half_done_in_a_folder_waits_too(store, templates, tmp_path):
    keep(store, planned())
    with pytest.raises(Killed):
        sent(Dying(store, 2, after=True), templates, FileChannel(tmp_path))
    assert only(store).state == "posting"
    store.stop(stop())
    sent(store, templates, FileChannel(tmp_path))
    assert list(tmp_path.glob("*.eml")) == []
    store.go(stop())
    sent(store, templates, FileChannel(tmp_path), at=DUE + MINUTE)
    assert len(list(tmp_path.glob("*.eml"))) == 1


def test_a_stopped_mail_that_grows_too_old_expires_and_gives_its_occasion_back(store, templates):
    keep(store, planned(expires_at=DUE + HOUR))
    store.stop(stop())
    sent(store, templates, MemoryChannel())
    assert only(store).state == "held"
    assert sent(store, templates, MemoryChannel(), at=DUE + HOUR).expired == 1


def test_what_waited_goes_on_slowly_and_what_comes_new_at_once(store, templates):
    keep(store, *(planned(account=f"a{number}", expires_at=NOON + 3 * DAY) for number in range(10)))
    store.stop(stop())
    sent(store, templates, MemoryChannel())
    store.go(stop(at=DUE + HOUR, per_hour=6))
    left = [sent(store, templates, MemoryChannel(), at=DUE + HOUR + minutes * MINUTE).mails for minutes in range(31)]
    assert [minutes for minutes, mails in enumerate(left) if mails] == [0, 10, 20, 30]
    assert set(left) == {0, 1}
    waiting = [row for row in store.outreach() if row.state == "held"]
    assert {row.why for row in waiting} == {"going on slowly after a stop of everything"}
    keep(store, planned(account="new", due_at=DUE + HOUR + MINUTE, expires_at=NOON + 3 * DAY))
    assert sent(store, templates, MemoryChannel(), at=DUE + HOUR + 31 * MINUTE).mails == 1


def test_a_long_pause_of_the_sender_is_no_reason_for_a_burst(store, templates):
    keep(store, *(planned(account=f"a{number}", expires_at=NOON + 3 * DAY) for number in range(10)))
    store.stop(stop())
    store.go(stop(at=NOON, per_hour=2))
    later = DUE  # what had waited before the stop, and an hour has gone by
    keep(store, *(planned(account=f"b{number}", due_at=NOON, expires_at=NOON + 3 * DAY) for number in range(10)))
    left = [sent(store, templates, MemoryChannel(), at=later + 3 * HOUR + n).mails for n in range(3)]
    assert sum(left) == 10 + 2, "what was due after it went on, and two of what had waited"


@given(st.integers(1, 500), st.integers(0, 2_000), st.integers(0, 2_000), st.integers(0, 10 * HOUR))
def test_never_more_than_so_many_in_an_hour(per_hour, since, hour, after):
    slow = stop(at=NOON, per_hour=per_hour)
    no = against(Standing((), (slow,), (Ramp(slow, max(since, hour), hour),)), NOON + after)
    if hour >= per_hour:
        assert no is not None
    if no is not None:
        assert no.until is not None
        assert no.until > NOON + after
