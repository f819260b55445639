"""The circuit: a channel that takes nothing is left alone by all senders, longer each time, until one trial."""

import pytest

from engine.instants import DAY, HOUR, MINUTE, SECOND
from outreach.channel import DeliveryError
from outreach.circuit import FIRST_SECONDS, LONGEST_SECONDS, PROBE, Circuit, serious, standing
from tests.outreach.given import NOON

AWAY = DeliveryError("smtp: it cannot be reached; nothing was sent", "down")
OURS = DeliveryError("sendgrid: 401; the key is not good", "down", wait_seconds=300.0, ours=True)


def circuit(store, *, chance=1.0):
    return Circuit(store, "smtp", "send:here", chance=lambda least, most: chance)


def until(store):
    return store.outages()[0].until


def test_a_channel_that_is_well_is_asked_nothing(store):
    one = circuit(store)
    assert one.open(NOON) is None
    one.answered()
    assert (one.trying, store.outages()) == (False, [])


def test_every_sender_leaves_alone_what_one_found_away_and_one_of_them_tries_it(store):
    first = circuit(store)
    first.open(NOON)
    told = first.broke(AWAY, NOON)
    assert (told.verdict, told.wait_seconds) == ("down", FIRST_SECONDS)
    second, third = circuit(store), circuit(store)
    said = second.open(NOON + SECOND)
    assert said is not None
    assert (str(said), said.wait_seconds) == (str(AWAY), FIRST_SECONDS - 1)
    at = until(store)
    assert second.open(at) is None
    assert second.trying
    waits = third.open(at)
    assert waits is not None, "the trial is taken"
    assert waits.wait_seconds == PROBE / SECOND
    second.answered()
    assert third.open(at) is None
    assert not third.trying
    assert store.outages() == []


def test_a_sender_that_dies_over_its_trial_leaves_it_to_another_one(store):
    circuit(store).broke(AWAY, NOON)
    at = until(store)
    assert circuit(store).open(at) is None
    assert circuit(store).open(at + PROBE - 1) is not None
    later = circuit(store)
    assert later.open(at + PROBE) is None
    assert later.trying


def test_waits_double_up_to_ten_minutes_and_since_stays(store):
    at, waits = NOON, []
    for _ in range(8):
        one = circuit(store)
        one.open(at)
        told = one.broke(AWAY, at)
        waits.append(told.wait_seconds)
        at = until(store)
    assert waits == [30, 60, 120, 240, 480, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]
    assert store.outages()[0].since == NOON
    one = circuit(store)
    assert one.open(at) is None
    one.answered()
    one.open(at)
    assert one.broke(AWAY, at).wait_seconds == FIRST_SECONDS, "a mail went through: it begins anew"


def test_waits_are_spread_and_never_shorter(store):
    waits = {Circuit(store, "smtp", "x").broke(AWAY, NOON).wait_seconds for _ in range(20)}
    assert len(waits) > 1
    assert all(FIRST_SECONDS <= wait <= 1.2 * FIRST_SECONDS for wait in waits if wait is not None)


def test_what_the_channel_asks_for_is_kept_to(store):
    assert circuit(store).broke(DeliveryError("429", "down", wait_seconds=7.0), NOON).wait_seconds == 7.0
    assert until(store) == NOON + 7 * SECOND


def test_who_asks_by_hand_tries_at_once(store):
    circuit(store).broke(OURS, NOON)
    waiting = circuit(store).open(NOON + SECOND)
    assert waiting is not None
    assert waiting.ours
    one = circuit(store)
    assert one.open(NOON + SECOND, at_once=True) is None
    assert one.trying


@pytest.mark.parametrize("jump", [-3 * DAY, -HOUR])
def test_a_clock_that_was_ahead_keeps_no_channel_shut(store, jump):
    circuit(store).broke(AWAY, NOON)
    assert circuit(store).open(NOON + jump) is None


def test_somebody_must_act_at_once_over_settings_and_later_over_a_channel_that_stays_away(store):
    circuit(store).broke(AWAY, NOON)
    (one,) = store.outages()
    assert not serious(one, NOON + 10 * MINUTE - 1)
    assert serious(one, NOON + 10 * MINUTE)
    circuit(store).broke(OURS, NOON)
    assert serious(store.outages()[0], NOON)


def test_a_channel_that_nobody_sends_by_any_more_wakes_nobody(store):
    circuit(store).broke(AWAY, NOON)
    assert len(standing(store.outages(), until(store) + HOUR - 1)) == 1
    assert standing(store.outages(), until(store) + HOUR) == []
