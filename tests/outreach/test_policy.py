"""The contact policy: caps, gaps, pauses and hours over all rules, and when to ask again."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.instants import DAY, HOUR, MINUTE, parse_instant
from engine.lanes import lane_of
from engine.rulebook.spec import Cap, ContactPolicy, Hours, Policy
from engine.store import Batch, Contact, Touch
from engine.zones import zone
from outreach.channels.memory import MemoryChannel
from outreach.policy import Asked, No, counted, passes, verdict
from outreach.sender import send_due
from outreach.simulation import simulate
from tests.outreach.given import ADA, DUE, NOON, POLICY, SENDER, STAFF, keep, only, planned
from tests.stores.made import claim_mail

BERLIN = zone("Europe/Berlin")
WEEK = 7 * DAY
ALWAYS = Hours(0, 24 * 60)
MONDAY = parse_instant("2026-03-02T00:00:00Z") or 0


def policy(*, hours: Hours = ALWAYS, hold_for: int = 3 * DAY, **contact) -> Policy:
    return Policy(staff_domains=STAFF, hours=hours, hold_for=hold_for, contact=ContactPolicy(**contact))


def asked(**more) -> Asked:
    given = {"account_id": "acme", "person": "ada", "mail_class": "relationship", "due_at": NOON, "zone": BERLIN}
    return Asked(**{**given, **more})


def mail(at: int, *, person: str = "ada", account: str = "acme", rule: str = "other") -> Contact:
    return Contact(at, "mail", rule, account, person)


def call(at: int, *, person: str | None = "ada", kind: str = "call.answered") -> Contact:
    return Contact(at, kind.partition(".")[0], kind, "acme", person)


def held(one: Asked, past: list[Contact], strict: Policy, at: int) -> tuple[str, int | None]:
    """Why it has to wait, and until when."""
    no = verdict(one, past, strict, at)
    assert isinstance(no, No)
    assert no.state == "held"
    return no.why, no.until


# -- one question ------------------------------------------------------------------------------------------------------
def test_without_a_policy_only_the_hours_stand_against_a_mail():
    past = [mail(NOON - MINUTE), call(NOON - MINUTE)]
    assert verdict(asked(), past, policy(), NOON) is None
    night = parse_instant("2026-03-11T19:00:00Z") or 0
    assert held(asked(), past, Policy(), night) == ("outside hours", parse_instant("2026-03-12T07:00:00Z"))


def test_a_cap_counts_over_all_rules_and_lets_the_next_one_out_when_a_place_is_free():
    capped = policy(caps_person=(Cap(2, WEEK, "2 per 7d"),))
    past = [mail(NOON - 6 * DAY), mail(NOON - DAY)]
    assert held(asked(), past, capped, NOON) == ("cap of 2 per 7d for the person", NOON + DAY)
    assert verdict(asked(), past, capped, NOON + DAY) is None
    assert verdict(asked(person="bob"), past, capped, NOON) is None


def test_a_cap_of_the_account_counts_all_its_people():
    capped = policy(caps_account=(Cap(2, WEEK, "2 per 7d"),))
    past = [mail(NOON - DAY, person="bob"), mail(NOON - DAY, person="eve")]
    assert held(asked(), past, capped, NOON)[0] == "cap of 2 per 7d for the account"
    assert verdict(asked(account_id="zenith"), past, capped, NOON) is None


def test_human_contact_counts_once_a_day_by_each_channel():
    past = [call(NOON - 3 * HOUR, kind=f"ticket.{word}") for word in ("opened", "replied", "solved")]
    past += [call(NOON - HOUR), mail(NOON - 2 * HOUR)]
    assert [one.channel for one in counted(past, BERLIN)] == ["ticket", "mail", "call"]
    capped = policy(caps_person=(Cap(3, WEEK, "3 per 7d"),))
    assert held(asked(), past, capped, NOON)[1] == NOON - 3 * HOUR + WEEK
    assert verdict(asked(), past, policy(caps_person=(Cap(4, WEEK, "4 per 7d"),)), NOON) is None


def test_the_gap_lies_between_two_mails_of_one_person():
    spaced = policy(gap=20 * HOUR)
    assert verdict(asked(), [call(NOON - HOUR)], spaced, NOON) is None
    assert verdict(asked(), [mail(NOON - HOUR, person="bob")], spaced, NOON) is None
    assert held(asked(), [mail(NOON - HOUR)], spaced, NOON) == ("gap between mails", NOON + 19 * HOUR)


def test_after_contact_the_account_is_left_alone():
    paused = policy(pause_after=(("call.answered", 2 * DAY), ("ticket.solved", DAY)))
    past = [call(NOON - DAY), call(NOON - HOUR, person="bob", kind="ticket.solved")]
    assert held(asked(), past, paused, NOON) == ("pause after call.answered", NOON + DAY)
    assert verdict(asked(), past, paused, NOON + DAY) is None


def test_who_left_since_this_one_was_due_is_named():
    spaced = policy(gap=20 * HOUR)
    assert held(asked(), [mail(NOON, rule="renewal-near")], spaced, NOON)[0] == "lost to renewal-near"


def test_what_is_transactional_leaves_at_once_at_any_hour():
    strict = policy(hours=Hours(8 * 60, 18 * 60), gap=20 * HOUR, caps_person=(Cap(1, WEEK, "1 per 7d"),))
    assert verdict(asked(mail_class="transactional"), [mail(NOON - 1)], strict, NOON + 12 * HOUR) is None


CONTACTS = st.lists(
    st.builds(
        Contact,
        st.integers(0, 40 * 24).map(lambda hour: MONDAY + hour * HOUR),
        st.just("mail"),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["acme", "zenith"]),
        st.sampled_from(["ada", "bob"]),
    )
    | st.builds(
        lambda at, kind, person: Contact(at, kind.partition(".")[0], kind, "acme", person),
        st.integers(0, 40 * 24).map(lambda hour: MONDAY + hour * HOUR),
        st.sampled_from(["call.answered", "ticket.opened", "ticket.replied", "meeting.held"]),
        st.sampled_from(["ada", "bob", None]),
    ),
    max_size=30,
)
POLICIES = st.builds(
    policy,
    hours=st.sampled_from(
        [ALWAYS, Hours(), Hours(22 * 60, 6 * 60, (0, 1, 4)), Hours(9 * 60, 17 * 60, (0, 1, 2, 3, 4))]
    ),
    caps_person=st.lists(st.builds(Cap, st.integers(1, 3), st.sampled_from([DAY, WEEK])), max_size=2).map(tuple),
    caps_account=st.lists(st.builds(Cap, st.integers(1, 5), st.sampled_from([WEEK, 30 * DAY])), max_size=1).map(tuple),
    gap=st.sampled_from([0, 20 * HOUR, 3 * DAY]),
    pause_after=st.sampled_from(
        [(), (("call.answered", 2 * DAY),), (("ticket.opened", DAY), ("ticket.replied", HOUR))]
    ),
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]).map(zone)


@given(CONTACTS, POLICIES, st.integers(30 * 24, 45 * 24), ZONES)
def test_the_answer_says_when_to_ask_again_neither_too_early_nor_too_late(past, strict, hour, where):
    at = MONDAY + hour * HOUR
    past = [one for one in past if one.at <= at]
    no = verdict(asked(zone=where), past, strict, at)
    if no is None:
        return
    assert no.until is not None
    assert no.until > at
    assert verdict(asked(zone=where), past, strict, no.until) is None
    for part in range(10):
        between = at + (no.until - at) * part // 10
        assert verdict(asked(zone=where), past, strict, between) is not None


@given(CONTACTS, POLICIES, st.lists(st.integers(0, 30 * 24), min_size=1, max_size=25), ZONES)
def test_whatever_is_asked_and_when_no_cap_gap_pause_or_hour_is_ever_broken(past, strict, hours, where):
    """The judge counts mails alone, window by window, and knows nothing of how the policy counts."""
    human = [one for one in past if one.channel != "mail"]
    out: list[Contact] = []
    for hour in sorted(hours):
        at = MONDAY + hour * HOUR
        person = "ada" if hour % 3 else "bob"
        if verdict(asked(person=person, zone=where), [*human, *out], strict, at) is None:
            out.append(mail(at, person=person))
    rules = strict.contact
    for one in out:
        mine = [other for other in out if other.person == one.person]
        for cap in rules.caps_person:
            assert sum(one.at - cap.span < other.at <= one.at for other in mine) <= cap.most
        for cap in rules.caps_account:
            assert sum(one.at - cap.span < other.at <= one.at for other in out) <= cap.most
        assert all(other is one or abs(other.at - one.at) >= rules.gap for other in mine)
        for kind, span in rules.pause_after:
            assert not any(other.kind == kind and other.at <= one.at < other.at + span for other in human)
        local = where.local(one.at)
        if strict.hours.start < strict.hours.end:
            assert local.weekday() in strict.hours.days
            assert strict.hours.start <= local.hour * 60 + local.minute < strict.hours.end


# -- the sender --------------------------------------------------------------------------------------------------------
def sent(store, templates, channel, strict, *, at=DUE):
    return send_due(store, templates, channel, sender=SENDER, at=at, by="test", policy=strict)


def states(store):
    return {row.rule: (row.state, row.why) for row in store.outreach()}


@pytest.mark.parametrize("names", [("one", "two"), ("two", "one")])
def test_of_two_mails_to_one_person_the_more_important_one_leaves_and_the_other_waits(store, templates, names):
    small, important = names
    first, second = planned(rule=small), planned(rule=important)
    (letter,) = second.mails
    second = msgspec.structs.replace(second, mails=(msgspec.structs.replace(letter, priority=80),))
    keep(store, first, second)
    channel = MemoryChannel()
    spaced = policy(gap=20 * HOUR)
    report = sent(store, templates, channel, spaced)
    assert (report.mails, report.held, report.reasons) == (1, 1, {f"lost to {important}": 1})
    assert states(store)[small] == ("held", f"lost to {important}")
    assert sent(store, templates, channel, spaced, at=DUE + 20 * HOUR - 1).mails == 0
    assert sent(store, templates, channel, spaced, at=DUE + 20 * HOUR).mails == 1


def test_a_mail_that_no_cap_lets_out_in_time_expires_and_gives_its_occasion_back(store, templates):
    keep(store, planned(rule="one"), planned(rule="two"))
    capped = policy(caps_person=(Cap(1, WEEK, "1 per 7d"),))
    sent(store, templates, MemoryChannel(), capped)
    assert sent(store, templates, MemoryChannel(), capped, at=NOON + DAY).expired == 1
    assert sorted(row.state for row in store.outreach()) == ["accepted", "expired"]
    kinds = [row.kind for row in store.inbox(lane_of("acme", store.lanes), after=0)]
    assert sorted(kinds) == ["entry", "event"], "what left, and what expired"


def test_held_mails_wait_no_longer_than_the_policy_says(store, templates):
    keep(store, planned(rule="one", expires_at=NOON + 9 * DAY), planned(rule="two", expires_at=NOON + 9 * DAY))
    capped = policy(caps_person=(Cap(1, WEEK, "1 per 7d"),))
    sent(store, templates, MemoryChannel(), capped)
    assert sent(store, templates, MemoryChannel(), capped, at=DUE + 3 * DAY - 1).held == 1
    assert sent(store, templates, MemoryChannel(), capped, at=DUE + 3 * DAY).expired == 1


def test_a_mail_that_is_late_never_leaves_at_night(store, templates):
    keep(store, planned())
    night = parse_instant("2026-03-11T22:30:00Z") or 0
    report = sent(store, templates, MemoryChannel(), POLICY, at=night)
    assert (report.mails, report.reasons) == (0, {"outside hours": 1})
    morning = parse_instant("2026-03-12T08:00:00Z") or 0
    assert sent(store, templates, MemoryChannel(), POLICY, at=morning).mails == 1


def test_two_ids_with_one_mailbox_are_one_person(store, templates):
    keep(
        store,
        planned(rule="one"),
        planned(rule="two", to="u2"),
        people={"u1": ADA, "u2": {"email": "ADA@acme.example"}},
    )
    assert sent(store, templates, MemoryChannel(), policy(gap=HOUR)).mails == 1


def test_one_person_of_two_accounts_is_one_person(store, templates):
    keep(store, planned(rule="one"), planned(rule="two", account="zenith"))
    assert sent(store, templates, MemoryChannel(), policy(gap=HOUR)).mails == 1


def test_a_mail_that_failed_does_not_count(store, templates):
    keep(store, planned(rule="one"), planned(rule="two"))
    (row, _) = store.outreach()
    store.move(row.outreach_id, ["queued"], "failed", at=DUE, by="test")
    assert sent(store, templates, MemoryChannel(), policy(gap=HOUR)).mails == 1


@pytest.mark.parametrize("state", ["claimed", "posting", "in_doubt"])
def test_a_mail_that_may_be_out_counts(store, templates, state):
    keep(store, planned(rule="one"), planned(rule="two"))
    (row, _) = store.outreach()
    person = store.key("address:ada@acme.example")
    claim_mail(store, [row.outreach_id], account_id="acme", person=person, since=0, at=DUE, by="x", may=lambda _: None)
    if state != "claimed":
        store.move(row.outreach_id, ["claimed"], state, at=DUE, by="x", why=f"by other as {row.outreach_id}")

    class Elsewhere(MemoryChannel):
        local = False

    assert sent(store, templates, Elsewhere(), policy(gap=HOUR)).mails == 0


def test_contact_that_the_stream_told_counts(store, templates):
    keep(store, planned())
    (claim,) = store.claim([lane_of("acme", store.lanes)], "given", at=NOON, take_over=True)
    touches = [Touch("acme", "u1", NOON - HOUR, "call", "call.answered")]
    store.commit([Batch(claim=claim, position=claim.position, clock_at=NOON, first_at=NOON, touches=touches)])
    paused = policy(pause_after=(("call.answered", 2 * HOUR + 1),))
    assert sent(store, templates, MemoryChannel(), paused).reasons == {"pause after call.answered": 1}
    capped = policy(caps_person=(Cap(1, WEEK, "1 per 7d"),))
    assert sent(store, templates, MemoryChannel(), capped).reasons == {"cap of 1 per 7d for the person": 1}
    assert sent(store, templates, MemoryChannel(), policy(gap=DAY)).mails == 1


@pytest.mark.parametrize(
    ("strict", "email", "traits", "why"),
    [
        pytest.param(
            {"exclude_domains": ("acme.example",)}, "ada@eu.acme.example", {}, "an excluded domain", id="domain"
        ),
        pytest.param(
            {"exclude_accounts": (("test", True),)},
            "a@b.example",
            {"test": True},
            "an excluded account: test",
            id="account",
        ),
        pytest.param({"exclude_accounts": (("test", True),)}, "a@b.example", {"test": 1}, None, id="another kind"),
        pytest.param({}, "NoReply@acme.example", {}, "an address of a role, which nobody reads as a person", id="role"),
    ],
)
def test_who_is_excluded_is_never_written_to(store, templates, strict, email, traits, why):
    keep(store, planned(frozen={"account": traits}), people={"u1": {"email": email}})
    report = sent(store, templates, MemoryChannel(), policy(**strict))
    assert (report.mails, report.reasons) == ((0, {why: 1}) if why else (1, {}))
    assert only(store).state == ("suppressed" if why else "accepted")


# -- walking through the past ------------------------------------------------------------------------------------------
def test_a_walk_through_the_past_holds_and_lets_out_as_the_sender_would(store, templates):
    rows = [planned(rule=f"rule-{number}", due_at=DUE + number * HOUR, expires_at=DUE + WEEK) for number in range(3)]
    keep(store, *rows)
    channel = MemoryChannel()
    spaced = policy(gap=20 * HOUR)
    walk = {"sender": SENDER, "people": store.people, "policy": spaced}
    report = simulate(store.outreach(), templates, channel, **walk)
    assert (report.mails, report.expired) == (3, 0)
    short = simulate(store.outreach(), templates, MemoryChannel(), **(walk | {"policy": replace(spaced, hold_for=DAY)}))
    assert (short.mails, short.expired, short.reasons) == (2, 1, {"lost to rule-1": 1})
    early = simulate(store.outreach(), templates, MemoryChannel(), **walk, until=DUE + 10 * HOUR)
    assert (early.mails, early.held) == (1, 2)


def test_a_walk_knows_the_contact_that_there_was(store, templates):
    keep(store, planned())
    walk = {"sender": SENDER, "people": store.people, "contacts": lambda _: [call(DUE - HOUR, person=None)]}
    paused = policy(pause_after=(("call.answered", 2 * DAY),))
    report = simulate(store.outreach(), templates, MemoryChannel(), policy=paused, **walk)
    assert (report.mails, report.reasons) == (0, {"pause after call.answered": 1})


@given(CONTACTS, st.integers(0, 7 * DAY))
def test_whatever_the_policy_says_is_a_reason_that_passes(past, later):
    strict = policy(
        caps_person=(Cap(1, WEEK, "1 per 7d"),),
        gap=20 * HOUR,
        pause_after=(("call.answered", DAY),),
        hours=Hours(8 * 60, 18 * 60),
    )
    no = verdict(asked(), past, strict, MONDAY + later)
    assert no is None or (passes(no.why) and not passes(f"template {no.why}"))
