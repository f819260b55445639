"""The whole way: a mail leaves, something comes back about it, and what follows holds for the mails after it."""

from email import message_from_bytes
from email.policy import default

import pytest

from engine.feedback import Step
from engine.instants import HOUR
from engine.lanes import lane_of
from engine.stores import open_store
from outreach.channels.memory import MemoryChannel
from outreach.sender import send_due
from ringfirst.coming_back import take_mail
from tests.outreach.given import DUE, POLICY, SENDER, keep, planned, starter_templates
from tests.outreach.test_incoming import OURS, dsn, mail
from tests.stores.made import move_mail

TEMPLATES = starter_templates()


@pytest.fixture
def store():
    made = open_store("sqlite://")
    yield made
    made.close()


def left(store, *, at=DUE):
    channel = MemoryChannel()
    send_due(store, TEMPLATES, channel, sender=SENDER, at=at, by="test", policy=POLICY)
    return channel.mails


def id_of(one) -> bytes:
    return str(message_from_bytes(one.raw, policy=default)["Message-ID"]).encode()


def about(raw: bytes, one) -> bytes:
    return raw.replace(OURS.encode(), id_of(one))


def test_after_a_hard_bounce_nothing_is_sent_to_that_address(store):
    keep(store, planned(), planned(occasion="next", due_at=DUE + HOUR), planned(account="other", due_at=DUE + HOUR))
    (first,) = left(store)
    assert take_mail(store, about(dsn("5.1.1"), first), at=DUE + 1) == "bounced"
    assert left(store, at=DUE + HOUR) == []
    assert {row.why for row in store.outreach(states=["suppressed"])} == {"bounced"}
    (row,) = store.outreach(states=["accepted"])
    assert set(store.facts([row.outreach_id])[row.outreach_id]) == {"bounced", "processed"}
    kinds = [one.body for one in store.inbox(lane_of("acme", store.lanes), after=0)]
    assert any(b'"outreach.bounced"' in body for body in kinds), "rules hear of it"


def test_after_a_soft_one_the_next_mail_leaves(store):
    keep(store, planned(), planned(occasion="next", due_at=DUE + HOUR))
    (first,) = left(store)
    assert take_mail(store, about(dsn("5.2.2"), first), at=DUE + 1) == "blocked"
    assert len(left(store, at=DUE + HOUR)) == 1


def test_an_answer_is_joined_to_the_mail_it_answers(store):
    keep(store, planned())
    (first,) = left(store)
    assert take_mail(store, about(mail("Re: hello", "Thanks"), first), at=DUE + 1) == "replied"
    assert take_mail(store, mail("Re: hello", "Thanks"), at=DUE + 1) == "unknown"


def test_the_message_id_of_a_mail_cannot_be_worked_out_without_the_stores_secret(store):
    keep(store, planned())
    elsewhere = open_store("sqlite://")
    keep(elsewhere, planned())
    (here,), (there,) = left(store), left(elsewhere)
    assert here.mail_id == there.mail_id
    assert id_of(here) != id_of(there)
    elsewhere.close()


def test_an_answer_of_one_of_us_is_no_contact_with_the_customer(store):
    keep(store, planned(audience="staff", to="us@ringfirst.example", template="account-at-risk"))
    (row,) = store.outreach()
    store.move(row.outreach_id, ["queued"], "accepted", at=DUE, by="test")
    with_id = Step(outreach_id=row.outreach_id, before=("accepted",), after="accepted")
    move_mail(store, [with_id], at=DUE, by="test", known={"message_id": OURS})
    assert take_mail(store, mail("Re: look", "I will call them"), at=DUE + 1) == "replied"
    assert store.inbox(lane_of("acme", store.lanes), after=0) == []
