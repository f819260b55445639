"""Senders whose clocks jump, race or stand on a night that is an hour short: no cap, gap, pause or hour is broken."""

from hypothesis import given
from hypothesis import strategies as st

from engine.instants import DAY, HOUR, MINUTE, Instant, parse_instant
from engine.rulebook.spec import Cap, Hours
from engine.store import Contact
from engine.zones import zone
from outreach.policy import Asked, verdict
from tests.judge.days import inside_hours
from tests.outreach.test_policy import CONTACTS, MONDAY, WEEK, call, mail, policy

NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
STARTS = st.sampled_from(
    [
        MONDAY,
        parse_instant("2026-03-28T20:00:00Z") or 0,  # the night before Europe's summer begins
        parse_instant("2026-10-24T20:00:00Z") or 0,  # the night before its winter begins
        parse_instant("2026-04-04T12:00:00Z") or 0,  # Lord Howe turns back by half an hour
        parse_instant("2026-12-24T12:00:00Z") or 0,  # Christmas
    ]
)
STEPS = st.sampled_from([MINUTE, 15 * MINUTE, HOUR, 7 * HOUR, 20 * HOUR, 2 * DAY, 2 * HOUR, -3 * DAY, -2 * HOUR, -DAY])
"""How far the sender's clock goes between two looks: on, 20 times as fast, and back."""
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu"]
)
POLICIES = st.builds(
    policy,
    hours=st.builds(
        Hours,
        st.sampled_from([0, 8 * 60, 22 * 60, 2 * 60 + 15]),
        st.sampled_from([18 * 60, 6 * 60, 2 * 60 + 45]),
        st.sampled_from([(0, 1, 2, 3, 4), (5, 6), (0, 1, 2, 3, 4, 5, 6)]),
        st.sampled_from([(), ("DE",), ("DE-BY", "US-NY")]),
    ),
    caps_person=st.lists(st.builds(Cap, st.integers(1, 3), st.sampled_from([DAY, WEEK])), max_size=2).map(tuple),
    caps_account=st.lists(st.builds(Cap, st.integers(1, 4), st.sampled_from([WEEK, 30 * DAY])), max_size=1).map(tuple),
    gap=st.sampled_from([0, 20 * HOUR, 3 * DAY]),
    pause_after=st.sampled_from([(), (("call.answered", 2 * DAY),), (("ticket.opened", DAY),)]),
)


def test_a_mail_of_an_hour_that_is_still_to_come_counts():
    """The clock was three days ahead when it left, and was put right: it is no reason to write again."""
    once = policy(caps_person=(Cap(1, WEEK, "1 per 7d"),), gap=HOUR)
    noon = MONDAY + 12 * HOUR
    asked = Asked(account_id="acme", person="ada", mail_class="relationship", due_at=noon, zone=zone("UTC"))
    no = verdict(asked, [mail(noon + 3 * DAY)], once, noon)
    assert no is not None
    assert no.until == noon + 3 * DAY + WEEK
    paused = policy(pause_after=(("call.answered", DAY),))
    assert verdict(asked, [call(noon + MINUTE)], paused, noon) is not None


@given(
    STARTS,
    st.lists(st.tuples(STEPS, st.sampled_from(["ada", "bob"]), st.sampled_from(["acme", "zenith"])), max_size=40),
    CONTACTS,
    POLICIES,
    ZONES,
)
def test_however_a_clock_jumps_nothing_of_the_policy_is_ever_broken(start, steps, human, strict, name):
    human = [one for one in human if one.channel != "mail"]
    human = [Contact(start - MONDAY + one.at, one.channel, one.kind, one.account_id, one.person) for one in human]
    out: list[Contact] = []
    at = start
    for step, person, account in steps:
        at += step
        asked = Asked(account_id=account, person=person, mail_class="relationship", due_at=start, zone=zone(name))
        theirs = [one for one in [*human, *out] if one.person == person or one.account_id == account]
        if verdict(asked, theirs, strict, at) is None:
            out.append(mail(at, person=person, account=account))
    never_broken(out, human, strict, name)


def never_broken(out: list[Contact], human: list[Contact], strict, name: str) -> None:
    """Judge what left by the clock that it left by; the judge counts mails alone and has hours of its own."""
    for one in out:
        mine = [other for other in out if other.person == one.person]
        ours = [other for other in out if other.account_id == one.account_id]
        for cap in strict.contact.caps_person:
            assert within(mine, one.at, cap.span) <= cap.most
        for cap in strict.contact.caps_account:
            assert within(ours, one.at, cap.span) <= cap.most
        assert all(other is one or abs(other.at - one.at) >= strict.contact.gap for other in mine)
        for kind, span in strict.contact.pause_after:
            theirs = [other for other in human if other.account_id == one.account_id and other.kind == kind]
            assert not any(other.at <= one.at < other.at + span for other in theirs)
        assert inside_hours(one.at, written(strict.hours), name)


def within(mails: list[Contact], until: Instant, span: int) -> int:
    return sum(until - span < one.at <= until for one in mails)


def written(hours: Hours) -> dict:
    """Hours as a rulebook has them."""
    return {
        "from": f"{hours.start // 60:02d}:{hours.start % 60:02d}",
        "until": f"{hours.end // 60:02d}:{hours.end % 60:02d}",
        "days": [NAMES[day] for day in hours.days],
        "holidays": list(hours.holidays),
    }
