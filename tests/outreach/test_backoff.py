"""A mail that its channel puts off is tried again later each time, and many of them do not come back as one."""

import pytest

from engine.instants import DAY, HOUR, MINUTE
from outreach.backoff import AGAIN, LONGEST, SPREAD, again_at
from outreach.channel import DeliveryError
from tests.outreach.given import DUE, keep, only, planned
from tests.outreach.test_sender import Remote, sent

LATER = DeliveryError("remote: the server refused the reader (451)", "later")


def test_each_wait_is_twice_the_one_before_up_to_two_hours(store, templates):
    keep(store, planned(mail_class="transactional", expires_at=DUE + 9 * DAY))
    at, waits = DUE, []
    for tries in range(1, 9):
        assert sent(store, templates, Remote(LATER), at=at).later == 1
        row = only(store)
        assert row.tries == tries
        again = again_at(row)
        assert again is not None
        waits.append(again - at)
        assert sent(store, templates, Remote(), at=again - 1).waiting == 1
        at = again
    for number, wait in enumerate(waits):
        plain = min(AGAIN * 2**number, LONGEST)
        assert plain <= wait <= plain * (1 + SPREAD)
    assert sent(store, templates, Remote(), at=at).mails == 1
    assert only(store).tries is None


def test_many_that_were_put_off_together_do_not_come_back_together(store, templates):
    keep(store, *(planned(account=f"a{number}") for number in range(9)))
    sent(store, templates, Remote(LATER))
    assert len({again_at(row) for row in store.outreach()}) == 9


def test_a_mail_put_off_by_a_clock_that_was_ahead_is_tried_when_it_is_put_right(store, templates):
    keep(store, planned(expires_at=DUE + 9 * DAY))
    assert sent(store, templates, Remote(LATER), at=DUE + 3 * DAY).later == 1
    assert sent(store, templates, Remote(), at=DUE + HOUR).mails == 1


def test_senders_whose_clocks_differ_put_it_off_together(store, templates):
    keep(store, planned())
    assert sent(store, templates, Remote(LATER), at=DUE + 25 * MINUTE).later == 1
    assert sent(store, templates, Remote(), at=DUE + MINUTE).waiting == 1


def test_a_channel_that_is_away_costs_no_mail_a_try(store, templates):
    keep(store, planned())
    with pytest.raises(DeliveryError):
        sent(store, templates, Remote(DeliveryError("remote: away", "down")))
    assert (only(store).tries, again_at(only(store))) == (None, None)


def test_a_mail_over_which_the_channel_went_down_waits_itself(store, templates):
    keep(store, planned())
    with pytest.raises(DeliveryError):
        sent(store, templates, Remote(DeliveryError("remote: 421", "down", over_it=True)))
    assert only(store).tries == 1
    assert sent(store, templates, Remote(), at=DUE + 4 * MINUTE).waiting == 1
    assert sent(store, templates, Remote(), at=DUE + HOUR).mails == 1
