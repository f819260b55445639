"""Who has cancelled is not written to, and nobody is near a meeting; both from what the stream told last."""

import msgspec
import pytest

from engine.events import Arrived, decode
from engine.instants import DAY, HOUR, MINUTE, iso
from engine.keeper import Keeper
from engine.rulebook.book import load_rulebook, must_load
from engine.rulebook.spec import ContactPolicy, Hours, Policy
from engine.store import APPOINTMENT, OVER
from outreach.channels.memory import MemoryChannel
from outreach.sender import send_due
from outreach.simulation import simulate
from tests.outreach.given import DUE, NOON, SENDER, STAFF, keep, only, planned

ALWAYS = Hours(0, 24 * 60)
STAYS = Policy(staff_domains=STAFF, hours=ALWAYS, contact=ContactPolicy(exclude_cancelled=True))
NEAR = Policy(staff_domains=STAFF, hours=ALWAYS, contact=ContactPolicy(near_meeting=2 * HOUR))


def told(store, *events, zone="UTC"):
    """Let the owner of the lanes take events in: (type, hours before or after the mail is due, properties)."""
    book = must_load({"rules/a.yml": f"policy: {{timezone: {zone}}}\n"})
    keeper = Keeper(store, book, "given", at=NOON, history=False, take_over=True)
    keeper.take([arrived(number, *one) for number, one in enumerate(events)], at=NOON)
    keeper.stop()


def arrived(number, kind, hours, properties):
    wire = {"id": f"{kind}-{number}", "type": kind, "account_id": "acme", "properties": properties}
    found = decode(msgspec.json.encode({**wire, "time": iso(DUE + int(hours * HOUR))}), wall=DUE + DAY)
    assert isinstance(found, Arrived)
    return found


def meeting(kind, hours, starts, **more):
    """What is told of the meeting m1, so many hours from when the mail is due; it starts in ``starts`` hours."""
    at = {} if starts is None else {"starts_at": iso(DUE + int(starts * HOUR))}
    return (f"meeting.{kind}", hours, {"meeting_id": "m1", **at, **more})


def sent(store, templates, policy, *, at=DUE):
    return send_due(store, templates, MemoryChannel(), sender=SENDER, at=at, by="test", policy=policy)


CANCELLED, RENEWED, CREATED = (f"subscription.{word}" for word in ("cancelled", "renewed", "created"))


@pytest.mark.parametrize(
    ("events", "why"),
    [
        pytest.param([(CREATED, -90, {}), (CANCELLED, -9, {})], "the account has cancelled", id="cancelled"),
        pytest.param([(CANCELLED, -9, {}), (CREATED, -3, {})], None, id="and back again"),
        pytest.param([(CANCELLED, -9, {}), (RENEWED, -3, {})], None, id="and renewed"),
        pytest.param([(CREATED, -3, {}), (CANCELLED, -9, {})], None, id="told late"),
        pytest.param([(CANCELLED, 3, {})], None, id="not yet"),
        pytest.param([], None, id="nothing is known"),
    ],
)
def test_who_has_cancelled_is_not_written_to(store, templates, events, why):
    keep(store, planned())
    told(store, *events)
    report = sent(store, templates, STAYS)
    assert (report.mails, report.reasons) == ((0, {why: 1}) if why else (1, {}))
    assert only(store).state == ("suppressed" if why else "accepted")


def test_without_the_policy_s_word_and_for_transactional_mails_it_does_not_matter(store, templates):
    keep(store, planned(rule="one"), planned(rule="two", mail_class="transactional"))
    told(store, (CANCELLED, -9, {}))
    assert sent(store, templates, STAYS).reasons == {"the account has cancelled": 1}
    keep(store, planned(rule="three"))
    assert sent(store, templates, NEAR).mails == 1


@pytest.mark.parametrize(
    ("events", "free_in"),
    [
        pytest.param([meeting("scheduled", -90, 1)], 3, id="in an hour"),
        pytest.param([meeting("scheduled", -90, -1)], 1, id="an hour ago, and nobody said that it is over"),
        pytest.param([meeting("scheduled", -90, 2)], 4, id="in two hours"),
        pytest.param([meeting("scheduled", -90, 2.01)], 0, id="later"),
        pytest.param([meeting("scheduled", -90, -2)], 0, id="two hours ago"),
        pytest.param([meeting("scheduled", -90, 1), meeting("rescheduled", -80, 50)], 0, id="moved away"),
        pytest.param([meeting("scheduled", -90, 50), meeting("rescheduled", -80, 1)], 3, id="moved here"),
        pytest.param([meeting("scheduled", -90, 1), meeting("cancelled", -80, None)], 0, id="called off"),
        pytest.param([meeting("scheduled", -90, -1), meeting("held", -0.5, None)], 0, id="held"),
        pytest.param([meeting("scheduled", -90, 1, starts_at="soon")], 0, id="at no time"),
    ],
)
def test_no_mail_leaves_near_a_meeting(store, templates, events, free_in):
    keep(store, planned(expires_at=DUE + 9 * DAY))
    told(store, *events)
    report = sent(store, templates, NEAR)
    assert (report.mails, report.reasons) == ((0, {"near a meeting": 1}) if free_in else (1, {}))
    if free_in:
        assert sent(store, templates, NEAR, at=DUE + free_in * HOUR - 1).mails == 0
        assert sent(store, templates, NEAR, at=DUE + free_in * HOUR).mails == 1


def test_a_meeting_s_time_without_an_offset_is_in_its_zone_else_the_policy_s(store):
    local = "2026-03-11 14:00"
    told(
        store,
        meeting("scheduled", -9, None, starts_at=local, timezone="Europe/Berlin"),
        ("meeting.scheduled", -8, {"meeting_id": "m2", "starts_at": local}),
        zone="America/New_York",
    )
    ahead = {one.kind: one.at - NOON for one in store.touches("acme") if one.channel == APPOINTMENT}
    assert ahead == {"m1": HOUR, "m2": 6 * HOUR}


def test_appointments_and_cancellations_are_no_contact(store, templates):
    capped = ContactPolicy(caps_account=load_caps(), gap=HOUR)
    told(store, meeting("scheduled", -9, 1), (CREATED, -8, {}), meeting("cancelled", -1, None))
    keep(store, planned())
    assert [one.at for one in store.touches("acme")][-1] == OVER
    assert sent(store, templates, Policy(staff_domains=STAFF, hours=ALWAYS, contact=capped)).mails == 1


def load_caps():
    book, _ = load_rulebook({"rules/a.yml": "policy: {caps: {account: 1 per 30d}}\n"}, duties=False)
    assert book is not None
    return book.policy.contact.caps_account


def test_a_meeting_long_ahead_is_still_known_when_it_comes_near(store, templates):
    keep(store, planned(due_at=DUE + 60 * DAY, expires_at=DUE + 99 * DAY), clock=NOON + 60 * DAY)
    told(store, meeting("scheduled", -1, 60 * 24 + 1))
    assert sent(store, templates, NEAR, at=DUE + 60 * DAY).reasons == {"near a meeting": 1}


def test_a_rehearsal_knows_of_both(store, templates):
    keep(store, planned(expires_at=DUE + 9 * DAY))
    told(store, meeting("scheduled", -9, 1), (CANCELLED, 2, {}))
    walk = {"sender": SENDER, "people": store.people, "contacts": lambda account: store.contacts(account, "", since=0)}
    channel = MemoryChannel()
    assert simulate(store.outreach(), templates, channel, policy=NEAR, **walk).mails == 1
    walk["cancelled"] = lambda account, at: store.cancelled(account, at=at)
    both = Policy(
        staff_domains=STAFF, hours=ALWAYS, contact=ContactPolicy(near_meeting=2 * HOUR, exclude_cancelled=True)
    )
    assert simulate(store.outreach(), templates, channel, policy=both, **walk).reasons == {
        "the account has cancelled": 1
    }


def test_the_policy_s_words_are_read():
    book, findings = load_rulebook(
        {"rules/a.yml": "policy: {near_meeting: 90m, exclude: {cancelled: true}}\n"}, duties=False
    )
    assert book is not None, findings
    assert (book.policy.contact.near_meeting, book.policy.contact.exclude_cancelled) == (90 * MINUTE, True)
    _, findings = load_rulebook(
        {"rules/a.yml": "policy: {near_meeting: soon, exclude: {cancelled: 1}}\n"}, duties=False
    )
    assert len(findings) == 2
