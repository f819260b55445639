"""Several senders, each with a clock of its own: how old a mail is, the store says."""

import time
from collections.abc import Iterator

import pytest

from engine.feedback import Feedback
from engine.instants import HOUR, MINUTE, SECOND, Instant
from engine.left_behind import let_go
from engine.store import Store
from engine.stores import open_store
from outreach.doubts import Doubts, sendable, silent
from outreach.feedback import settle
from ringfirst.intake import now
from tests.outreach.given import keep, planned
from tests.stores.made import claim_mail

SKEWS = [pytest.param(skew * MINUTE, id=f"{skew} minutes") for skew in (-25, 0, 25)]


@pytest.fixture
def store(fresh_postgres: str) -> Iterator[Store]:
    opened = open_store(fresh_postgres, create=True, lanes=2)
    yield opened
    opened.close()


def handed_over(store: Store, account: str, *, at: Instant, ends: str | None = "in_doubt") -> str:
    """A mail that a sender with this clock hands over."""
    keep(store, planned(account=account))
    (row,) = store.outreach(account_id=account)
    claim_mail(store, [row.outreach_id], account_id=account, person=account, since=0, at=at, by="a", may=lambda _: None)
    for before, after in (("claimed", "posting"), ("posting", ends)):
        if after is not None:
            store.move(row.outreach_id, [before], after, at=at, by="a")  # type: ignore[list-item,arg-type]
    with store._driver.writing() as connection:  # type: ignore[attr-defined]  # what a sender writes when it hands over
        connection.exec_driver_sql("UPDATE outreach SET channel = 'sendgrid' WHERE account_id = %s", (account,))
    return row.outreach_id


def told(store: Store, mail_id: str, *, at: Instant) -> None:
    one = Feedback(provider="sendgrid", event_id=mail_id, kind="processed", at=at, heard_at=at, mail_id=mail_id)
    store.put_feedback([one])
    settle(store, at=at, by="webhook")


@pytest.mark.parametrize("writers", SKEWS)
@pytest.mark.parametrize("readers", SKEWS)
def test_a_doubt_is_as_old_as_it_is_whatever_the_senders_clocks_say(
    store: Store, writers: Instant, readers: Instant
) -> None:
    doubt = handed_over(store, "acme", at=now() + writers)
    told(store, handed_over(store, "bolt", at=now() + readers, ends="accepted"), at=now() + readers)
    assert sendable(store, "sendgrid", Doubts(), now() + readers) == []
    assert sendable(store, "sendgrid", Doubts(rules={"orientation-tomorrow": "resend"}), now() + readers) == []
    time.sleep(0.05)
    ((row,),) = sendable(store, "sendgrid", Doubts(wait=50), now() + readers)
    assert row.outreach_id == doubt


@pytest.mark.parametrize("writers", SKEWS)
def test_a_word_of_a_mail_that_left_before_a_doubt_proves_nothing(store: Store, writers: Instant) -> None:
    told(store, handed_over(store, "bolt", at=now(), ends="accepted"), at=now())
    handed_over(store, "acme", at=now() + writers)
    time.sleep(0.05)
    assert sendable(store, "sendgrid", Doubts(wait=50), now()) == []


@pytest.mark.parametrize("skew", SKEWS)
def test_nobody_lets_go_of_what_another_has_in_hand_because_of_a_clock(store: Store, skew: Instant) -> None:
    handed_over(store, "acme", at=now() + skew, ends=None)
    assert let_go(store, [0, 1], at=now(), by="owner") == 0
    assert let_go(store, [0, 1], at=now() + HOUR, by="owner") == 0, "nor because of its own"


def test_silence_is_as_long_as_it_is(store: Store) -> None:
    handed_over(store, "acme", at=now() - HOUR, ends="accepted")
    assert silent(store, "sendgrid", now() + HOUR) == 0


def test_the_stores_clock_is_the_servers(store: Store) -> None:
    assert abs(store.clock(0) - now()) < 10 * SECOND
