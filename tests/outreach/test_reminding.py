"""Owners are told what waits for them: each morning, before it expires, when a breaker trips; and each thing once."""

import threading
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest

from engine.instants import DAY, HOUR, MINUTE
from engine.rulebook.spec import Breaker, Cap, Policy
from outreach.channel import DeliveryError
from outreach.channels.memory import MemoryChannel
from outreach.reminding import TEMPLATE
from outreach.sender import send_due
from tests.outreach.given import NOON, SENDER, STAFF, keep, part_of, planned, starter_templates
from tests.outreach.test_sender import Remote

POLICY = Policy(staff_domains=STAFF, timezone="Europe/Berlin")
MORNING = NOON + 20 * HOUR
"""Nine in the morning in Berlin, the day after."""
MARA = {"owner": "mara@ringfirst.example"}


def sent(store, channel, at, policy=POLICY, **more):
    return send_due(store, starter_templates(), channel, sender=SENDER, at=at, by="x", policy=policy, **more)


def waiting(store, count=2, rule="we-miss-you", expires_at=NOON + 9 * DAY, frozen=None):
    more = {"mode": "review", "frozen": MARA if frozen is None else frozen, "expires_at": expires_at}
    keep(store, *(planned(account=f"{rule}-{n}", rule=rule, due_at=MORNING, **more) for n in range(count)))


def read(channel):
    return [(message_from_bytes(one.raw, policy=default)["Subject"], one.to) for one in channel.mails]


def test_an_owner_gets_one_list_a_day_at_nine(store):
    waiting(store)
    waiting(store, 1, rule="usage-dropped")
    channel = MemoryChannel()
    sent(store, channel, MORNING - 1)
    assert channel.mails == []
    for after in (0, MINUTE, 5 * HOUR):
        sent(store, channel, MORNING + after)
    assert read(channel) == [("3 mails to approve or reject", "mara@ringfirst.example")]
    text = part_of(channel.mails[0].raw)
    assert "we-miss-you\n\n    2 mails, the first expires" in text.replace("\r\n", "\n").replace("     ", "    ")
    assert "ringfirst outreach approve --rule we-miss-you" in text
    sent(store, channel, MORNING + DAY)
    assert len(channel.mails) == 2, "and again the day after"


def test_an_owner_hears_of_mails_that_expire_soon_once(store):
    end = MORNING + 9 * HOUR
    waiting(store, 1, expires_at=end)
    channel = MemoryChannel()
    sent(store, channel, MORNING)
    for before in (4 * HOUR + 1, 4 * HOUR, HOUR):
        sent(store, channel, end - before)
    assert [subject for subject, _ in read(channel)] == [
        "1 mail to approve or reject",
        "1 mail will expire soon if nobody approves",
    ]


def test_an_owner_hears_when_the_breaker_of_their_rule_trips(store):
    policy = Policy(staff_domains=STAFF, breaker=Breaker(rule=Cap(1, HOUR, "1 per 1h")))
    facts = [planned(account=f"a{n}", frozen=MARA, due_at=NOON + HOUR) for n in range(3)]
    keep(store, *facts)
    channel = MemoryChannel()
    sent(store, channel, NOON + HOUR, policy)
    (note,) = [one for one in read(channel) if one[1] == "mara@ringfirst.example"]
    assert note[0] == "The breaker of orientation-tomorrow has tripped"
    assert "1 per 1h mails of the rule are out" in " ".join(part_of(channel.mails[-1].raw).split())


@pytest.mark.parametrize("owner", ["somebody@acme.example", None, "no address"])
def test_nobody_but_us_is_told(store, owner):
    waiting(store, frozen={"owner": owner})
    channel = MemoryChannel()
    sent(store, channel, MORNING)
    assert channel.mails == []


def test_nobody_outside_the_allowed_domains_is_told(store):
    waiting(store)
    channel = Remote()
    sent(store, channel, MORNING, only_to=["other.example"])
    assert channel.mails == []


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (DeliveryError("smtp: later", "later"), 1),
        (DeliveryError("smtp: away", "down"), 1),
        (DeliveryError("smtp: no", "failed"), 0),
        (DeliveryError("smtp: no answer", "in_doubt"), 0),
    ],
)
def test_what_is_surely_not_told_is_told_later_and_the_rest_is_not(store, answer, again):
    waiting(store)
    sent(store, Remote(answer), MORNING)
    channel = MemoryChannel()
    sent(store, channel, MORNING + MINUTE)
    assert len(channel.mails) == again


def test_two_senders_tell_it_once(store):
    waiting(store)
    sent(store, Remote(DeliveryError("smtp: later", "later")), MORNING)
    (one,) = store.reminders()
    moved = []
    start = threading.Barrier(2)

    def move():
        start.wait()
        moved.append(store.move_reminder(one.reminder_id, "waiting", "posting"))

    threads = [threading.Thread(target=move) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(moved) == [False, True]


def test_the_template_is_the_starter_s_where_a_rulebook_has_none(tmp_path):
    from ringfirst.rulebooks import read_folder

    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yml").write_text("policy: {timezone: UTC}\n")
    assert TEMPLATE in read_folder(tmp_path).sent_templates


def broken_mails(store, count=2, **values):
    known = {"orientation.starts_at": None, **values}
    keep(store, *(planned(account=f"a{n}", values=known, frozen=MARA, expires_at=NOON + 9 * DAY) for n in range(count)))


def test_the_owner_hears_of_a_template_that_misses_a_value_once_a_day(store):
    broken_mails(store)
    channel = MemoryChannel()
    for after in (HOUR, 2 * HOUR):
        sent(store, channel, NOON + after)
    assert {(row.state, row.why) for row in store.outreach()} == {("held", "template misses orientation.starts_at")}
    assert read(channel) == [("A mail of orientation-tomorrow cannot be written", "mara@ringfirst.example")]
    text = " ".join(part_of(channel.mails[0].raw).split())
    assert "it cannot be written: template misses orientation.starts_at." in text
    assert "ringfirst outreach list --state held --rule orientation-tomorrow" in text
    assert "outreach approve" not in text


def test_a_template_that_is_not_there_is_told_too_and_by_day_again(store):
    for day in (0, 1):
        due, end = NOON + day * DAY, NOON + 9 * DAY
        keep(store, planned(account=f"b{day}", template="gone", frozen=MARA, due_at=due, expires_at=end), clock=due)
        channel = MemoryChannel()
        sent(store, channel, due)
        assert read(channel) == [("A mail of orientation-tomorrow cannot be written", "mara@ringfirst.example")]


def test_nobody_outside_hears_of_a_broken_template(store):
    keep(store, planned(values={"orientation.starts_at": None}, frozen={"owner": "ada@acme.example"}))
    channel = MemoryChannel()
    sent(store, channel, NOON + HOUR)
    assert channel.mails == []


def test_an_owner_hears_of_readers_without_an_address_once_a_day_for_each_rule(store):
    at = MORNING + HOUR
    more: dict[str, Any] = {"due_at": at, "expires_at": at + 9 * DAY, "frozen": MARA}
    mails = [
        planned(account=f"{rule}-{n}", rule=rule, **more) for rule in ("usage-dropped", "we-miss-you") for n in (1, 2)
    ]
    keep(store, *mails, people={"u1": {"name": "Ada"}})
    channel = MemoryChannel()
    for after in (0, MINUTE, HOUR):
        sent(store, channel, at + after)
    assert {(row.state, row.why) for row in store.outreach()} == {("held", "no address")}
    rules = ["usage-dropped", "we-miss-you"]
    assert read(channel) == [(f"A mail of {rule} cannot be written", "mara@ringfirst.example") for rule in rules]
    text = " ".join(part_of(channel.mails[0].raw).split())
    assert "no address of its reader is known" in text
    assert "2 mails" in text
    assert "ringfirst outreach list --state held --rule usage-dropped" in text
    sent(store, channel, at + DAY)
    assert len(channel.mails) == 4, "and again the day after, as long as they wait"
