"""Breaker and canary: a rule that goes wrong reaches a person before it reaches the base."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.feedback import Feedback, Learned, MailFact
from engine.instants import DAY, HOUR, MINUTE
from engine.rulebook.book import load_rulebook
from engine.rulebook.spec import Breaker, Cap, Policy
from engine.store import RuleMails, Stop
from engine.stores import open_store
from engine.versions import rule_versions
from outreach.breaker import Guard, canary, tripped
from outreach.channels.memory import MemoryChannel
from outreach.sender import send_due
from ringfirst.reviews import approve, read
from tests.outreach.given import DUE, NOON, POLICY, SENDER, keep, planned, starter_templates
from tests.outreach.test_approving import desk

RULE = "orientation-tomorrow"
HOURLY = Policy(staff_domains=POLICY.staff_domains, breaker=Breaker(rule=Cap(3, HOUR, "3 per 1h")))
CANARY = Policy(staff_domains=POLICY.staff_domains, canary=2)


def sent(store, policy, *, at=DUE, guard=None, channel=None):
    channel = MemoryChannel() if channel is None else channel
    return send_due(
        store, starter_templates(), channel, sender=SENDER, at=at, by="test", policy=policy, guard=guard or Guard()
    )


def many(store, count, first=0, **more):
    more = {"expires_at": NOON + 9 * DAY, **more}
    keep(store, *(planned(account=f"a{n}", **more) for n in range(first, first + count)))


def states(store):
    found: dict[str, int] = {}
    for row in store.outreach():
        found[row.state] = found.get(row.state, 0) + 1
    return found


def test_a_rule_that_writes_too_much_in_an_hour_waits_for_a_person_until_somebody_resets_it(store):
    many(store, 5)
    report = sent(store, HOURLY)
    assert (report.mails, report.in_review) == (3, 2)
    assert report.reasons == {"breaker: 3 per 1h mails of the rule are out": 2}
    (trip,) = store.stops()
    assert (trip.scope, trip.name, trip.who) == ("review", RULE, "breaker")
    many(store, 1, first=5, due_at=DUE + 5 * HOUR - MINUTE)
    assert sent(store, HOURLY, at=DUE + 5 * HOUR - MINUTE).in_review == 1, "also when the hour is over"
    keep(store, planned(rule="another", account="b"))
    assert sent(store, HOURLY, at=DUE + MINUTE).mails == 1, "the other rules write"
    store.go(Stop("review", RULE, DUE + DAY, "ann", "looked at it", 0))
    many(store, 2, first=6, due_at=DUE + DAY)
    assert sent(store, HOURLY, at=DUE + DAY).mails == 2


def test_what_left_before_a_reset_trips_it_no_more(store):
    many(store, 5)
    sent(store, HOURLY)
    store.go(Stop("review", RULE, DUE + MINUTE, "ann", "looked at it", 0))
    many(store, 2, first=6)
    assert sent(store, HOURLY, at=DUE + 2 * MINUTE).mails == 2


def test_what_a_person_approves_passes_the_breaker(store):
    many(store, 5)
    sent(store, HOURLY)
    post = desk(store, starter_templates(), HOURLY)
    for one in read(post, store.outreach(states=["in_review"])):
        assert approve(store, post, one, at=DUE + MINUTE, who="ann") is None
    assert sent(store, HOURLY, at=DUE + 2 * MINUTE).mails == 2


def test_a_stop_comes_before_a_breaker(store):
    many(store, 5)
    sent(store, HOURLY)
    store.stop(Stop("rule", RULE, DUE, "ann", "x"))
    many(store, 1, first=8)
    assert sent(store, HOURLY, at=DUE + MINUTE).reasons == {f"stopped: rule {RULE}": 1}


@pytest.mark.parametrize(("kind", "trips"), [("bounced", True), ("complained", True), ("delivered", False)])
def test_mails_that_bounce_or_annoy_trip_it(store, kind, trips):
    policy = Policy(staff_domains=POLICY.staff_domains, breaker=Breaker(bounces=(0.05, 20), complaints=(0.05, 20)))
    many(store, 4)
    assert sent(store, policy).mails == 4
    for row in store.outreach()[:2]:
        told = Feedback(
            provider="x", event_id=row.outreach_id, kind=kind, at=DUE, heard_at=DUE, mail_id=row.outreach_id
        )
        store.put_feedback([told])
    for heard in store.feedback(limit=9):
        assert heard.mail_id is not None
        facts = (MailFact(outreach_id=heard.mail_id, kind=kind, at=DUE),)
        store.learn([Learned(seq=heard.seq, account_id="a0", facts=facts)], at=DUE, by="test")
    many(store, 1, first=4)
    report = sent(store, policy, at=DUE + MINUTE)
    assert (report.in_review, report.mails) == ((1, 0) if trips else (0, 1))


def test_a_share_of_the_base_counts_accounts_of_a_day(store):
    policy = Policy(staff_domains=POLICY.staff_domains, breaker=Breaker(base=0.05))
    many(store, 14)
    assert sent(store, policy, guard=Guard({}, 240)).mails == 12
    many(store, 3, first=20, due_at=DUE + DAY + MINUTE)
    store.go(Stop("review", RULE, DUE + MINUTE, "ann", "x", 0))
    assert sent(store, policy, at=DUE + DAY + MINUTE, guard=Guard({}, 240)).mails == 3


def test_the_first_mails_of_a_rule_wait_for_a_person_and_the_others_for_them(store):
    many(store, 4)
    report = sent(store, CANARY)
    assert (report.mails, report.in_review, report.held) == (0, 2, 2)
    assert sent(store, CANARY, at=DUE + MINUTE).mails == 0, "asking again shows it to nobody else"
    assert states(store) == {"in_review": 2, "held": 2}
    post = desk(store, starter_templates(), CANARY)
    first, second = read(post, store.outreach(states=["in_review"]))
    approve(store, post, first, at=DUE + 2 * MINUTE, who="ann")
    assert sent(store, CANARY, at=DUE + 3 * MINUTE).mails == 1
    assert states(store) == {"in_review": 1, "held": 2, "accepted": 1}
    approve(store, post, second, at=DUE + 4 * MINUTE, who="ann")
    assert sent(store, CANARY, at=DUE + 5 * MINUTE).mails >= 1
    sent(store, CANARY, at=DUE + 6 * MINUTE)
    assert states(store) == {"accepted": 4}


def test_a_canary_that_is_rejected_is_followed_by_another(store):
    many(store, 3)
    sent(store, CANARY)
    one = store.outreach(states=["in_review"])[0]
    store.move(one.outreach_id, ["in_review"], "rejected", at=DUE, by="ann")
    assert sent(store, CANARY, at=DUE + MINUTE).in_review == 1
    assert states(store) == {"in_review": 2, "rejected": 1}


def test_a_rule_that_decides_otherwise_than_before_is_new_again(store):
    many(store, 2)
    sent(store, Policy(staff_domains=POLICY.staff_domains))
    many(store, 1, first=2)
    old, changed = Guard({RULE: NOON}, 0), Guard({RULE: DUE + MINUTE}, 0)
    assert sent(store, CANARY, at=DUE + 2 * MINUTE, guard=changed).in_review == 1
    many(store, 1, first=3)
    assert sent(store, CANARY, at=DUE + 3 * MINUTE, guard=old).mails == 1


def test_notes_to_us_are_neither_counted_nor_kept(store):
    policy = Policy(staff_domains=POLICY.staff_domains, canary=5, breaker=HOURLY.breaker)
    us: dict[str, Any] = {"audience": "staff", "to": "us@ringfirst.example", "template": "escalation-red"}
    values = {
        "ticket.subject": "x",
        "ticket.waiting_hours": 1,
        "ticket.waiting_since": "2026-03-11T09:00:00Z",
        "open_tickets": 1,
    }
    keep(store, *(planned(account=f"a{n}", values=values, **us) for n in range(5)))
    assert sent(store, policy).in_review == 0


COUNTS = st.integers(0, 300)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_more_never_makes_it_safer(within, accounts, bounced, complained):
    breaker = Breaker(Cap(30, HOUR, "30 per 1h"), 0.05, (0.05, 200), (0.001, 200))
    counted = RuleMails(within, accounts, bounced, complained)
    more = RuleMails(within + 1, accounts + 1, bounced + 1, complained + 1)
    guard = Guard({}, 1_000)
    if tripped(counted, breaker, guard) is not None:
        assert tripped(more, breaker, guard) is not None
    bad = within >= 30 or accounts >= 50 or bounced > 10 or complained > 0
    assert (tripped(counted, breaker, guard) is not None) is bad


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_no_more_canaries_are_shown_than_are_wanted(left, asked, most):
    no = canary(RuleMails(left=left, asked=asked), most)
    assert (no is None) is (left >= most)
    if no is not None and no.state == "in_review":
        assert left + asked < most


BOOK = """
rules:
  - id: one
    owner: us@ringfirst.example
    why: x
    status: draft
    when: [account_age_days >= {days}]
  - id: two
    title: {title}
    owner: us@ringfirst.example
    why: x
    status: draft
    when: [account_age_days >= 9]
"""


def book(days=3, title="a"):
    found, _ = load_rulebook({"rules/a.yml": BOOK.format(days=days, title=title)})
    assert found is not None
    return found


def test_a_rule_s_version_is_as_old_as_the_first_rulebook_that_decides_the_same():
    store = open_store("sqlite://")
    books = [book(), book(title="b"), book(days=4, title="b"), book(days=4, title="c")]
    for at, one in enumerate(books, 1):
        store.put_rulebook(one.fingerprint, one.files, at=at)
    assert rule_versions(store, books[3]) == {"one": 3, "two": 1}, "a title is no change"
    assert rule_versions(store, books[1]) == {"one": 1, "two": 1}, "who goes back goes back"
    assert rule_versions(store, book(days=7)) == {}, "never kept"
    store.close()
