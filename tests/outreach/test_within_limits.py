"""A sender keeps to the limits of its channel and leaves alone a channel that is away: nothing is lost by either."""

import time

import msgspec
import pytest

from engine.instants import DAY, HOUR, MINUTE, SECOND
from engine.rulebook.spec import Cap, ContactPolicy, Hours, Policy
from outreach.allowance import Allowance
from outreach.channel import DeliveryError, Handful
from outreach.circuit import PROBE
from outreach.limits import Limits, read_per_domain, read_rate, read_warm_up
from tests.outreach.given import DUE, NOON, STAFF, keep, planned
from tests.outreach.test_sender import Remote, sent

TWO_EACH = Limits(per_domain=read_per_domain("* = 2 per 1h"))
AGES = NOON + 9 * DAY


def people(*domains):
    return {f"u{number}": {"email": f"a{number}@{domain}"} for number, domain in enumerate(domains)}


def waiting(store, *domains, **more):
    """A mail of one account to a person in each of these domains, due in this order."""
    rows = [
        planned(
            account=f"acc{n}",
            to=f"u{n}",
            at=NOON + n,
            due_at=DUE - (len(domains) - n) * MINUTE,
            expires_at=AGES,
            **more,
        )
        for n in range(len(domains))
    ]
    keep(store, *rows, people=people(*domains))


def states(store):
    rows = sorted(store.outreach(), key=lambda row: row.to)
    return {row.to: (row.state, row.why if row.state != "accepted" else None) for row in rows}


def test_what_goes_over_the_limit_of_its_domain_is_held_says_so_and_leaves_when_there_is_room(store, templates):
    waiting(store, "acme.example", "acme.example", "acme.example", "bolt.example", "ACME.example")
    channel = Remote()
    report = sent(store, templates, channel, limits=TWO_EACH)
    assert (report.mails, report.held) == (3, 2)
    assert report.reasons == {"limit of 2 per 1h to one domain": 2}
    assert [mail.to for mail in channel.mails] == ["a0@acme.example", "a1@acme.example", "a3@bolt.example"]
    assert states(store)["u2"] == ("held", "limit of 2 per 1h to one domain")
    steps = len(store.changes(store.outreach(account_id="acc2")[0].outreach_id))
    assert sent(store, templates, channel, at=DUE + MINUTE, limits=TWO_EACH).mails == 0
    assert len(store.changes(store.outreach(account_id="acc2")[0].outreach_id)) == steps, "to wait writes nothing"
    assert sent(store, templates, channel, at=DUE + HOUR + MINUTE, limits=TWO_EACH).mails == 2
    assert {state for state, _ in states(store).values()} == {"accepted"}


def test_what_goes_over_the_rate_of_the_channel_waits_as_it_is(store, templates):
    waiting(store, *["acme.example"] * 5)
    channel, limits = Remote(), Limits(rate=read_rate("2 per 1m, 3 per 1h"))
    report = sent(store, templates, channel, limits=limits)
    assert (report.mails, report.waiting, report.reasons) == (2, 3, {"limit of 2 per 1m by remote": 3})
    assert [state for state, _ in states(store).values()] == ["accepted"] * 2 + ["queued"] * 3
    assert len(store.changes(store.outreach(account_id="acc4")[0].outreach_id)) == 1
    assert sent(store, templates, channel, at=DUE + 2 * MINUTE, limits=limits).mails == 1
    assert sent(store, templates, channel, at=DUE + 4 * MINUTE, limits=limits).reasons == {
        "limit of 3 per 1h by remote": 2
    }


def test_a_new_domain_of_ours_writes_to_more_each_day_and_what_is_waited_for_leaves_at_once(store, templates):
    waiting(store, *["acme.example"] * 9)
    keep(
        store,
        planned(rule="code", account="z", to="u0", mail_class="transactional", expires_at=AGES),
        people=people("z.example"),
    )
    channel, limits = Remote(), Limits(warm_up=read_warm_up("3, 5"))
    report = sent(store, templates, channel, limits=limits)
    assert (report.mails, report.reasons) == (3, {"warm-up: what its day allows has left": 7})
    assert channel.mails[0].to == "a0@z.example", "it goes first, and counts"
    keep(
        store,
        planned(rule="another", account="z", to="u0", mail_class="transactional", expires_at=AGES),
        people=people("z.example"),
    )
    assert sent(store, templates, channel, at=DUE + MINUTE, limits=limits).mails == 1, "it is not held back"
    assert sent(store, templates, channel, at=DUE + DAY + HOUR, limits=limits).mails == 5
    assert sent(store, templates, channel, at=DUE + 2 * DAY, limits=limits).mails == 2, "the third day has no ceiling"


def test_who_does_not_leave_for_another_reason_takes_nobodys_place(store, templates):
    always = Policy(
        staff_domains=STAFF, hours=Hours(0, 1440), contact=ContactPolicy(caps_person=(Cap(1, 7 * DAY, "1"),))
    )
    domains = "bolt.example", "acme.example", "acme.example"
    keep(store, planned(rule="before", account="acc1", to="u1"), people=people(*domains))
    channel = Remote()
    sent(store, templates, channel, policy=always)
    waiting(store, *domains, occasion="next")  # the first batch is one mail, the other two are asked together
    one = Limits(per_domain=read_per_domain("acme.example = 1 per 1h"))
    report = sent(store, templates, channel, policy=always, limits=one)
    assert (report.mails, channel.mails[-1].to) == (2, "a2@acme.example")


def test_a_place_that_another_sender_took_meanwhile_is_not_taken_twice(store, templates):
    waiting(store, "acme.example", "acme.example", "acme.example")

    class Meanwhile:
        def __getattr__(self, name):
            return getattr(store, name)

        def pace(self, mails, *, at):
            other = Allowance(store, TWO_EACH, channel="remote", sender="", address=lambda _: "x@acme.example")
            other.take(store.outreach()[:1], at)
            return store.pace(mails, at=at)

    channel = Remote()
    report = sent(Meanwhile(), templates, channel, limits=TWO_EACH)
    assert report.mails == 1
    assert [state for state, _ in states(store).values()] == ["accepted", "held", "held"]
    assert store.outreach(states=["claimed", "posting"]) == []


def test_a_rate_of_seconds_is_waited_for_mail_in_hand(store, templates):
    waiting(store, *[f"d{number}.example" for number in range(9)])
    times = []

    class Timed(Remote):
        def deliver(self, mail):
            times.append(time.monotonic())
            return super().deliver(mail)

    report = sent(
        store, templates, Timed(), limits=Limits(rate=read_rate("4 per 1s")), seconds=20, live=True, at=clocked(store)
    )
    assert report.mails == 9
    assert all(after - before >= 0.95 for before, after in zip(times, times[4:], strict=False))


def clocked(store):
    """The lanes are as far as the sender."""
    keep(store, clock=DUE + MINUTE, accounts=[row.account_id for row in store.outreach()])
    return DUE + MINUTE


def test_a_channel_that_stays_here_knows_no_limit(store, templates):
    waiting(store, *["acme.example"] * 5)

    class Here(Remote):
        local = True

    assert sent(store, templates, Here(), limits=TWO_EACH).mails == 5


# -- the circuit -------------------------------------------------------------------------------------------------------
AWAY = DeliveryError("remote: it cannot be reached; nothing was sent", "down")
OURS = DeliveryError("remote: 401; the key is not good", "down", wait_seconds=300.0, ours=True)


class Asked(Remote):
    """A channel that counts how often it was asked."""

    def __init__(self, answer=None):
        super().__init__(answer)
        self.asked = 0

    def deliver(self, mail):
        self.asked += 1
        return super().deliver(mail)


def patiently(store, templates, channel, at):
    """What a sender that goes on and on does in one run; None when the channel took nothing."""
    try:
        return sent(store, templates, channel, at=at, patient=True)
    except DeliveryError:
        return None


@pytest.mark.parametrize("answer", [AWAY, OURS])
def test_a_channel_that_is_away_is_left_alone_by_every_sender_and_no_mail_is_tried_in_vain(store, templates, answer):
    waiting(store, *["acme.example"] * 9)
    channel = Asked(answer)
    assert patiently(store, templates, channel, DUE) is None
    (outage,) = store.outages()
    assert (outage.channel, outage.ours, outage.since, outage.why) == ("remote", answer.ours, DUE, str(answer))
    for at in range(DUE + SECOND, outage.until, 5 * SECOND):
        assert patiently(store, templates, channel, at) is None
    assert channel.asked == 1
    assert {(row.state, row.why) for row in store.outreach()} == {("queued", None)}, "as if nobody had tried"
    well = Asked()
    assert patiently(store, templates, well, outage.until).mails == 9
    assert store.outages() == []


def test_one_mail_tries_whether_it_is_back_and_the_next_wait_is_longer(store, templates):
    waiting(store, *["acme.example"] * 9)
    channel = Asked(AWAY)
    patiently(store, templates, channel, DUE)
    first = store.outages()[0].until
    patiently(store, templates, channel, first)
    assert channel.asked == 2
    assert store.outages()[0].until - first >= 60 * SECOND
    assert store.outages()[0].failures == 2


def test_a_mail_that_tries_the_way_and_is_in_doubt_is_the_only_one(store, templates):
    waiting(store, *["acme.example"] * 9)
    patiently(store, templates, Asked(AWAY), DUE)
    doubtful = Asked(DeliveryError("remote: no answer", "in_doubt"))
    assert patiently(store, templates, doubtful, store.outages()[0].until) is None
    assert doubtful.asked == 1
    assert [row.state for row in store.outreach()].count("in_doubt") == 1


def test_a_mail_that_is_refused_says_that_the_way_is_well(store, templates):
    waiting(store, *["acme.example"] * 3)
    patiently(store, templates, Asked(AWAY), DUE)
    refusing = Asked(DeliveryError("remote: 550", "failed"))
    assert patiently(store, templates, refusing, store.outages()[0].until).failed == 3
    assert store.outages() == []


def test_what_needs_no_channel_is_done_while_it_is_away(store, templates):
    waiting(store, "acme.example")
    keep(store, planned(account="old", expires_at=DUE + SECOND))
    patiently(store, templates, Asked(AWAY), DUE)
    patiently(store, templates, Asked(AWAY), DUE + 2 * SECOND)
    assert [row.state for row in store.outreach(account_id="old")] == ["expired"]


def test_who_sends_by_hand_tries_at_once(store, templates):
    waiting(store, "acme.example")
    patiently(store, templates, Asked(OURS), DUE)
    assert sent(store, templates, Asked(), at=DUE + SECOND).mails == 1
    assert store.outages() == []


def test_several_mails_at_once_find_it_away_together(store, templates):
    waiting(store, *["acme.example"] * 9)

    class Wide(Asked):
        handful = Handful(together=5, at_once=3)

        def deliver(self, mail):
            self.asked += 1
            if len(self.mails) >= 1:
                raise AWAY
            return Remote.deliver(self, mail)

    assert patiently(store, templates, Wide(), DUE) is None
    assert len(store.outages()) == 1
    assert {row.state for row in store.outreach()} == {"accepted", "queued"}
    assert patiently(store, templates, Asked(), DUE + PROBE).mails == 8
    assert msgspec.to_builtins(store.outages()) == []
