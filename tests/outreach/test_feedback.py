"""What follows from what SendGrid tells: facts that only come, suppressions at once, and the end of every doubt."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from engine.instants import DAY, HOUR, MINUTE, SECOND
from engine.lanes import lane_of
from engine.rulebook.spec import Topics
from engine.store import ALL_TOPICS, Stop
from outreach.addresses import address_key
from outreach.breaker import Guard
from outreach.channel import DeliveryError
from outreach.channels.sendgrid import SendGridChannel
from outreach.channels.sendgrid_account import SendGridAccount
from outreach.channels.sendgrid_events import checker, read_events
from outreach.doubts import QUIET, WAIT, Doubts, silent
from outreach.feedback import by_topic, settle, stopping, suppressing
from outreach.handing import MOST_DOUBTS
from outreach.sender import send_due
from tests.fakes.sendgrid import KEY, FakeSendGrid, serving
from tests.outreach.given import ADA, DUE, POLICY, SENDER, Deciding, keep, only, planned

LATER = DUE + WAIT


class Clock:
    """The instant at which what is told is heard."""

    at = DUE


@pytest.fixture
def fake(store: Any) -> Iterator[FakeSendGrid]:
    """A SendGrid that tells of its mails to our side, as the webhook takes it in; dates are those of the story."""
    with serving(FakeSendGrid()) as made:
        check = checker(made.signer.public)

        def hear(body: bytes, headers: Any) -> int:
            check(body, headers, int(headers["X-Twilio-Email-Event-Webhook-Timestamp"]) * SECOND)
            told = [{**one, "timestamp": Clock.at // SECOND} for one in json.loads(body)]
            found = by_topic(store, read_events(json.dumps(told).encode(), store.key, at=Clock.at), Topics)
            store.put_feedback(found, suppress=suppressing(found), stop=stopping(found))
            return 204

        made.webhook = hear
        Clock.at = DUE
        yield made


def sent(store: Any, templates: Any, fake: FakeSendGrid, *, at: int = DUE, **more: Any) -> Any:
    channel = SendGridChannel(SendGridAccount(key=KEY, host=fake.url))
    Clock.at = at
    return send_due(store, templates, channel, sender=SENDER, at=at, by="test", policy=POLICY, **more)


def heard(store: Any, fake: FakeSendGrid, *, at: int = DUE + MINUTE) -> None:
    Clock.at = at
    fake.flush()
    settle(store, at=at, by="webhook")


def events(store: Any, account: str = "acme") -> list[str]:
    rows = store.inbox(lane_of(account, store.lanes), after=0)
    return [json.loads(row.body).get("type", json.loads(row.body).get("kind")) for row in rows]


def in_doubt(store: Any, templates: Any, fake: FakeSendGrid, mode: Any, *facts: Any) -> None:
    """Mails that may or may not have been taken."""
    keep(store, *(facts or [planned()]))
    fake.mode = lambda _: mode
    assert sent(store, templates, fake).in_doubt == len(facts or [1])
    fake.mode = lambda _: "ok"


# -- facts -------------------------------------------------------------------------------------------------------------
def test_a_mail_that_was_delivered_is_known_to_be_and_rules_see_it_once(
    store: Any, templates: Any, fake: FakeSendGrid
) -> None:
    keep(store, planned())
    fake.twice = fake.mixed = True
    sent(store, templates, fake)
    heard(store, fake)
    heard(store, fake)
    mail = only(store)
    assert (mail.state, mail.provider_id) == ("accepted", next(iter(fake.taken)))
    assert store.facts([mail.outreach_id]) == {mail.outreach_id: {"processed": DUE + MINUTE, "delivered": DUE + MINUTE}}
    assert events(store) == ["outreach.sent", "outreach.delivered"]


@pytest.mark.parametrize(
    ("told", "reason", "event"),
    [
        ({"event": "bounce", "type": "bounce", "status": "5.1.1"}, "bounced", "outreach.bounced"),
        ({"event": "spamreport"}, "complained", "outreach.complained"),
        ({"event": "bounce", "type": "blocked"}, None, "outreach.bounced"),
        ({"event": "open"}, None, "outreach.opened"),
        ({"event": "click"}, None, "outreach.clicked"),
    ],
)
def test_bounce_complaint_and_goodbye_end_all_mail_to_the_address_at_once(
    store: Any, templates: Any, fake: FakeSendGrid, told: dict[str, Any], reason: str | None, event: str
) -> None:
    keep(store, planned(rule="one"))
    fake.becomes = lambda _: [told]
    sent(store, templates, fake)
    fake.flush()
    assert store.suppressed(address_key(store.key, ADA["email"])) == reason, "before anybody has learned anything"
    keep(store, planned(rule="two", account="other", due_at=DUE + DAY, expires_at=DUE + 2 * DAY))
    report = sent(store, templates, fake, at=DUE + DAY)
    assert (report.suppressed, report.mails) == ((1, 0) if reason else (0, 1))
    assert events(store) == ["outreach.sent", event]


def chosen(store: Any) -> dict[str, str]:
    return dict(store.wishes(address_key(store.key, ADA["email"])).choices)


@pytest.mark.parametrize(
    ("event", "topic", "mail_class", "stays"),
    [
        pytest.param("unsubscribe", ALL_TOPICS, "relationship", 0, id="from all"),
        pytest.param("group_unsubscribe", "moments", "relationship", 0, id="from a group, of a mail with a topic"),
        pytest.param("group_unsubscribe", ALL_TOPICS, "transactional", 0, id="from a group, of a transactional mail"),
    ],
)
def test_who_unsubscribes_there_still_gets_what_they_cannot_do_without(
    store: Any, templates: Any, fake: FakeSendGrid, event: str, topic: str, mail_class: Any, stays: int
) -> None:
    keep(store, planned(rule="one", mail_class=mail_class))
    fake.becomes = lambda _: [{"event": event, "asm_group_id": 7}]
    sent(store, templates, fake)
    heard(store, fake)
    assert (store.suppressions(), chosen(store)) == ([], {topic: "out"})
    word = json.loads(store.inbox(lane_of("acme", store.lanes), after=0)[-1].body)
    assert word["properties"]["topics"] == [topic]
    assert (word["properties"]["all"], word["properties"]["by"]) == (topic == ALL_TOPICS, "provider")
    soon: dict[str, Any] = {"account": "other", "due_at": DUE + DAY, "expires_at": DUE + 2 * DAY}
    keep(store, planned(rule="two", **soon), planned(rule="three", mail_class="transactional", **soon))
    fake.becomes = lambda _: []
    report = sent(store, templates, fake, at=DUE + DAY)
    assert (report.suppressed, report.mails) == (1, 1)


def test_a_goodbye_that_is_told_again_or_late_does_not_undo_a_readers_return(store: Any) -> None:
    back = {ALL_TOPICS: "in"}

    def told(name: str, when: int) -> dict[str, str]:
        one = {"event": "unsubscribe", "email": ADA["email"], "sg_event_id": name, "timestamp": when // SECOND}
        found = read_events(json.dumps([one, one]).encode(), store.key, at=DUE + 4 * HOUR)
        store.put_feedback(found, suppress=suppressing(found), stop=stopping(found))
        return chosen(store)

    assert told("first", DUE) == {ALL_TOPICS: "out"}
    store.choose(address_key(store.key, ADA["email"]), back, at=DUE + HOUR, by="page")
    assert told("first", DUE + 2 * HOUR) == back, "the same thing, told again"
    assert told("late", DUE + MINUTE) == back, "from before the return"
    assert told("new", DUE + 3 * HOUR) == {ALL_TOPICS: "out"}


def test_facts_in_any_order_and_number_come_to_the_same(store: Any, templates: Any, fake: FakeSendGrid) -> None:
    ways = list(itertools.permutations(["processed", "delivered", "bounce"]))
    keep(store, *(planned(account=f"a{n}") for n in range(len(ways))), people={"u1": ADA})
    sent(store, templates, fake)
    told = {one["x_outbox_id"]: one for one in fake.events()}
    mails = store.outreach()
    for mail, way in zip(mails, ways, strict=True):
        for name in (*way, *way):
            one = {
                **told[mail.outreach_id],
                "event": name,
                "type": "bounce",
                "sg_event_id": f"{mail.outreach_id}{name}",
                "timestamp": DUE // SECOND,
            }
            store.put_feedback(read_events(json.dumps([one]).encode(), store.key, at=DUE))
            settle(store, at=DUE, by="w")
    assert list(store.facts([mail.outreach_id for mail in mails]).values()) == [
        {"processed": DUE, "delivered": DUE, "bounced": DUE}
    ] * len(ways)
    assert all(
        sorted(events(store, mail.account_id)) == ["outreach.bounced", "outreach.delivered", "outreach.sent"]
        for mail in mails
    )


def test_a_bounce_without_our_id_is_found_by_theirs(store: Any, templates: Any, fake: FakeSendGrid) -> None:
    keep(store, planned())
    sent(store, templates, fake)
    (message,) = fake.taken
    fake.events()
    told = {
        "event": "bounce",
        "type": "bounce",
        "sg_event_id": "x",
        "sg_message_id": f"{message}.filter1",
        "email": ADA["email"],
    }
    store.put_feedback(read_events(json.dumps([told]).encode(), store.key, at=DUE))
    settle(store, at=DUE, by="w")
    assert "bounced" in store.facts([only(store).outreach_id])[only(store).outreach_id]


def test_what_is_about_nobody_s_mail_is_kept_and_stops_nothing(store: Any) -> None:
    told = {"event": "delivered", "sg_event_id": "x", "x_outbox_id": "nobody's"}
    store.put_feedback(read_events(json.dumps([told]).encode(), store.key, at=DUE))
    assert settle(store, at=DUE, by="w") == 1
    assert settle(store, at=DUE, by="w") == 0


# -- the end of a doubt ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["500-after", "drop-after"])
def test_a_mail_in_doubt_that_was_taken_is_accepted_when_it_is_told_and_never_sent_again(
    store: Any, templates: Any, fake: FakeSendGrid, mode: Any
) -> None:
    in_doubt(store, templates, fake, mode)
    heard(store, fake)
    assert only(store).state == "accepted"
    assert sent(store, templates, fake, at=LATER + HOUR).mails == 0
    assert (len(fake.taken), events(store)) == (1, ["outreach.sent", "outreach.delivered"])


def test_what_was_told_is_learned_before_anything_is_sent_again(store: Any, templates: Any, fake: FakeSendGrid) -> None:
    in_doubt(store, templates, fake, "500-after")
    Clock.at = LATER
    fake.flush()
    sent(store, templates, fake, at=LATER, doubts=Doubts(rules={"orientation-tomorrow": "resend"}))
    assert (only(store).state, len(fake.taken)) == ("accepted", 1)


def test_a_mail_that_the_provider_dropped_went_to_nobody(store: Any, templates: Any, fake: FakeSendGrid) -> None:
    in_doubt(store, templates, fake, "500-after")
    (one, *_) = fake.events()
    told = {**one, "event": "dropped", "timestamp": DUE // SECOND}
    store.put_feedback(read_events(json.dumps([told]).encode(), store.key, at=DUE))
    settle(store, at=DUE, by="w")
    assert (only(store).state, only(store).why) == ("failed", "sendgrid: it took the mail and dropped it")
    assert events(store) == []


def others(store: Any, templates: Any, fake: FakeSendGrid, *names: str, at: int = DUE + MINUTE) -> None:
    """Mails to others that leave after the one in doubt."""
    facts = [planned(account=name, due_at=at, expires_at=at + DAY) for name in names]
    keep(store, *facts, people={"u1": {"email": "bob@bolt.example"}}, clock=at)
    sent(store, templates, fake, at=at)


def test_silence_means_that_it_never_left_only_while_the_provider_is_known_to_tell(
    store: Any, templates: Any, fake: FakeSendGrid
) -> None:
    in_doubt(store, templates, fake, "500-before")
    assert sent(store, templates, fake, at=LATER).mails == 0, "nobody has told anything of any mail"
    others(store, templates, fake, "bolt")
    assert sent(store, templates, fake, at=LATER).mails == 0, "nor of the one that left since"
    heard(store, fake, at=DUE + 2 * MINUTE)
    assert sent(store, templates, fake, at=LATER - 1).mails == 0, "it may still be on its way"
    assert sent(store, templates, fake, at=LATER).mails == 1
    assert len(fake.ids()) == len(set(fake.ids())) == 2
    assert {row.state for row in store.outreach()} == {"accepted"}


def test_a_provider_that_told_of_others_before_the_doubt_and_not_since_proves_nothing(
    store: Any, templates: Any, fake: FakeSendGrid
) -> None:
    others(store, templates, fake, "bolt", at=DUE)
    heard(store, fake)
    fact = planned(due_at=DUE + 2 * MINUTE)
    keep(store, fact, clock=DUE + 2 * MINUTE)
    fake.mode = lambda _: "500-before"
    assert sent(store, templates, fake, at=DUE + 2 * MINUTE).in_doubt == 1
    fake.mode = lambda _: "ok"
    assert sent(store, templates, fake, at=DUE + 3 * HOUR).mails == 0
    assert only_in_doubt(store) == 1


def test_one_mail_that_is_missing_from_what_is_told_leaves_the_doubt_where_it_is(
    store: Any, templates: Any, fake: FakeSendGrid
) -> None:
    in_doubt(store, templates, fake, "500-after")
    fake.events()  # lost on the way, and with it the proof that the mail was taken
    others(store, templates, fake, "bolt")
    heard(store, fake, at=DUE + 2 * MINUTE)
    others(store, templates, fake, "corn", at=DUE + 2 * MINUTE)
    fake.events()  # this one too
    assert sent(store, templates, fake, at=LATER + 5 * MINUTE).mails == 0
    assert len(fake.ids()) == len(set(fake.ids()))


@pytest.mark.parametrize(("word", "copies"), [("hold", 1), ("resend", 2)])
def test_a_rule_may_have_a_word_of_its_own(
    store: Any, templates: Any, fake: FakeSendGrid, word: Any, copies: int
) -> None:
    in_doubt(store, templates, fake, "500-after")
    fake.events()
    doubts = Doubts(rules={"orientation-tomorrow": word})
    if word == "hold":
        others(store, templates, fake, "bolt")
        heard(store, fake, at=DUE + 2 * MINUTE)
    sent(store, templates, fake, at=LATER - 1, doubts=doubts)
    sent(store, templates, fake, at=LATER, doubts=doubts)
    assert fake.ids().count(next(row.outreach_id for row in store.outreach() if row.account_id == "acme")) == copies


@pytest.mark.parametrize(
    ("change", "state"),
    [
        pytest.param("old", "expired", id="too old by now"),
        pytest.param("gone", "suppressed", id="its reason is gone"),
        pytest.param("address", "suppressed", id="the address is suppressed by now"),
        pytest.param("night", "in_doubt", id="it is night"),
        pytest.param("stopped", "in_doubt", id="somebody stopped everything"),
    ],
)
def test_what_is_sent_again_is_asked_again_whether_it_may(
    store: Any, templates: Any, fake: FakeSendGrid, change: str, state: str
) -> None:
    fact = planned(expires_at=DUE + (10 * MINUTE if change == "old" else 2 * DAY))
    in_doubt(store, templates, fake, "500-before", fact)
    at = DUE + 10 * HOUR if change == "night" else LATER
    if change == "gone":
        keep(store, msgspec.structs.replace(fact, outcome="withdrawn", withdrawn_at=DUE))
    if change == "address":
        store.suppress(address_key(store.key, ADA["email"]), reason="complained", at=DUE)
    if change == "stopped":
        store.stop(Stop("all", "", DUE, "ann", "x"))
    sent(store, templates, fake, at=at, doubts=Doubts(rules={"orientation-tomorrow": "resend"}))
    assert (only(store).state, fake.ids()) == (state, [])


def person(store: Any) -> str:
    return address_key(store.key, ADA["email"])


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda store, _: store.suppress(person(store), reason="complained", at=DUE), id="suppressed"),
        pytest.param(
            lambda store, _: store.choose(person(store), {ALL_TOPICS: "out"}, at=DUE, by="page"), id="unsubscribed"
        ),
        pytest.param(lambda store, _: store.stop(Stop("all", "", DUE, "ann", "x")), id="stopped"),
        pytest.param(
            lambda store, _: keep(store, people={"u1": {"email": "b@acme.example"}}, accounts=["acme"]), id="moved"
        ),
        pytest.param(
            lambda store, fact: keep(store, msgspec.structs.replace(fact, outcome="withdrawn", withdrawn_at=DUE)),
            id="taken back",
        ),
    ],
)
def test_a_door_that_closes_right_before_a_mail_is_sent_again_keeps_it_here(
    store: Any, templates: Any, fake: FakeSendGrid, act: Any
) -> None:
    fact = planned(expires_at=DUE + 2 * DAY)
    in_doubt(store, templates, fake, "500-before", fact)
    doubts = Doubts(rules={"orientation-tomorrow": "resend"})
    sent(Deciding(store, 1, lambda: act(store, fact)), templates, fake, at=LATER, doubts=doubts)
    assert (only(store).state, fake.ids()) == ("in_doubt", [])


def test_a_mail_in_doubt_whose_reason_is_gone_is_not_sent_again(store: Any, templates: Any, fake: FakeSendGrid) -> None:
    in_doubt(store, templates, fake, "500-before", planned(expires_at=DUE + 2 * DAY))
    doubts, guard = Doubts(rules={"orientation-tomorrow": "resend"}), Guard(still=lambda _row, _at: "no longer true")
    sent(store, templates, fake, at=LATER, doubts=doubts, guard=guard)
    assert (only(store).state, fake.ids()) == ("suppressed", [])


def test_word_of_a_mail_that_was_sent_again_comes_too_late_to_send_it_a_third_time(
    store: Any, templates: Any, fake: FakeSendGrid
) -> None:
    in_doubt(store, templates, fake, "500-before")
    fake.mode = lambda _: "500-after"
    doubts = Doubts(rules={"orientation-tomorrow": "resend"})
    assert sent(store, templates, fake, at=LATER, doubts=doubts).in_doubt == 1
    heard(store, fake, at=LATER + MINUTE)
    assert sent(store, templates, fake, at=LATER + DAY, doubts=doubts).mails == 0
    assert (only(store).state, len(fake.taken)) == ("accepted", 1)


def test_where_one_mail_after_the_other_is_in_doubt_the_rest_waits(
    store: Any, templates: Any, fake: FakeSendGrid
) -> None:
    keep(store, *(planned(account=f"a{n}") for n in range(9)))
    fake.mode = lambda _: "500-before"
    with pytest.raises(DeliveryError, match="3 mails one after the other") as caught:
        sent(store, templates, fake)
    assert fake.requests == MOST_DOUBTS
    assert 30 <= (caught.value.wait_seconds or 0) <= 36
    states = [row.state for row in store.outreach()]
    assert (states.count("in_doubt"), states.count("queued")) == (MOST_DOUBTS, 9 - MOST_DOUBTS)


def only_in_doubt(store: Any) -> int:
    return len(store.outreach(states=["in_doubt"]))


# -- silence -----------------------------------------------------------------------------------------------------------
def test_a_provider_that_tells_nothing_for_half_an_hour_is_silent_and_one_word_ends_it(
    store: Any, templates: Any, fake: FakeSendGrid
) -> None:
    assert silent(store, "sendgrid", DUE) == 0, "no mail has left"
    others(store, templates, fake, "bolt")
    left = DUE + MINUTE
    assert silent(store, "sendgrid", left + QUIET - 1) == 0
    assert silent(store, "sendgrid", left + QUIET) == QUIET
    assert silent(store, "sendgrid", left + HOUR) == HOUR
    assert silent(store, "smtp", left + HOUR) == 0
    heard(store, fake, at=left + HOUR)
    assert silent(store, "sendgrid", left + 2 * HOUR) == 0


def test_a_provider_that_stops_telling_is_silent_from_the_first_mail_it_does_not_tell_of(
    store: Any, templates: Any, fake: FakeSendGrid
) -> None:
    others(store, templates, fake, "bolt", at=DUE)
    heard(store, fake)
    others(store, templates, fake, "corn", at=DUE + HOUR)
    others(store, templates, fake, "dune", at=DUE + HOUR + MINUTE)
    assert silent(store, "sendgrid", DUE + 2 * HOUR) == HOUR
    fake.events()
    others(store, templates, fake, "elm", at=DUE + 2 * HOUR)
    heard(store, fake, at=DUE + 2 * HOUR)
    assert silent(store, "sendgrid", DUE + 3 * HOUR) == 0, "two words were lost, and it tells again"
