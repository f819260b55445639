"""The sender: what leaves, what stays, and that nothing leaves twice."""

import dataclasses
import logging
import time
from contextlib import nullcontext, suppress
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decision import Held, Subject
from engine.errors import UsageError
from engine.instants import DAY, HOUR, MINUTE, iso
from engine.lanes import lane_of
from engine.rulebook.spec import Cap
from engine.store import Batch, Trait
from engine.stores import open_store
from outreach import round as rounds
from outreach.addresses import address_key
from outreach.channel import DeliveryError
from outreach.channels.file import FileChannel
from outreach.channels.memory import MemoryChannel
from outreach.joining import write_mail
from outreach.sender import send_due
from outreach.simulation import simulate
from tests.outreach.given import ADA, DUE, NOON, POLICY, SENDER, keep, made_template, only, part_of, planned


def sent(store, templates, channel, *, at=DUE, **more):
    return send_due(store, templates, channel, **{"sender": SENDER, "at": at, "by": "test", "policy": POLICY, **more})


def inbox(store, account="acme"):
    return store.inbox(lane_of(account, store.lanes), after=0)


class Remote:
    """A channel that leaves the house; ``answer`` is what it does with a mail."""

    name = "remote"
    local = False

    def __init__(self, answer=None):
        self.mails, self._answer = [], answer

    def session(self):
        return nullcontext()

    def has(self, mail_id):
        return False

    def deliver(self, mail):
        if self._answer is not None:
            raise self._answer
        self.mails.append(mail)


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


class Dying:
    """A store whose process dies at the n-th move, before or after it is committed."""

    def __init__(self, store, moves, *, after):
        self._store, self._left, self._after = store, moves, after

    def __getattr__(self, name):
        return getattr(self._store, name)

    def move(self, *args, **kwargs):
        return self._step(self._store.move, *args, **kwargs)

    def move_mails(self, *args, **kwargs):
        return self._step(self._store.move_mails, *args, **kwargs)

    def claim_mails(self, *args, **kwargs):
        return self._step(self._store.claim_mails, *args, **kwargs)

    def _step(self, call, *args, **kwargs):
        self._left -= 1
        if self._left < 0:
            raise Killed
        if self._left == 0 and not self._after:
            raise Killed
        done = call(*args, **kwargs)
        if self._left == 0:
            raise Killed
        return done


def test_a_mail_that_is_due_leaves_once_and_says_so_in_the_inbox(store, templates):
    keep(store, planned())
    channel = MemoryChannel()
    assert sent(store, templates, channel).mails == 1
    assert sent(store, templates, channel, at=DUE + HOUR).mails == 0
    (mail,) = channel.mails
    message = message_from_bytes(mail.raw, policy=default)
    assert message["To"] == "Ada Lindqvist <ada@acme.example>"
    assert "Thursday, 12 March 2026, 10:00 CET" in part_of(mail.raw)
    row = only(store)
    assert (row.state, row.why) == ("accepted", f"by memory as {row.outreach_id}")
    (note,) = inbox(store)
    assert note.kind == "event"
    assert msgspec.json.decode(note.body) == {
        "id": f"outreach.sent:{row.outreach_id}",
        "type": "outreach.sent",
        "account_id": "acme",
        "user_id": "u1",
        "time": iso(DUE),
        "properties": {
            "rule": "orientation-tomorrow",
            "template": "orientation-tomorrow",
            "class": "relationship",
            "decision_id": row.decision_id,
            "outreach_id": row.outreach_id,
        },
    }
    assert [change.after for change in store.changes(row.outreach_id)] == ["queued", "claimed", "posting", "accepted"]


def test_a_mail_that_is_not_due_stays(store, templates):
    keep(store, planned())
    assert sent(store, templates, MemoryChannel(), at=DUE - 1).mails == 0
    assert only(store).state == "queued"


def test_a_mail_in_review_is_never_sent(store, templates):
    keep(store, planned(mode="review"))
    assert sent(store, templates, MemoryChannel(), at=DUE + HOUR).mails == 0
    assert only(store).state == "in_review"
    assert sent(store, templates, MemoryChannel(), at=DUE + 100 * DAY).mails == 0


def test_an_old_mail_expires_and_gives_its_occasion_back(store, templates):
    keep(store, planned(expires_at=DUE))
    report = sent(store, templates, MemoryChannel())
    row = only(store)
    assert (report.expired, row.state) == (1, "expired")
    (note,) = inbox(store)
    assert note.kind == "entry"
    assert msgspec.json.decode(note.body) == {
        "kind": "outreach.expired",
        "account_id": "acme",
        "decision_id": row.decision_id,
        "outreach_id": row.outreach_id,
    }


@pytest.mark.parametrize("email", [None, "", "nobody", "a@b", "a b@acme.example", "a@acme.example\nBcc: b@b.example"])
def test_somebody_without_a_usable_address_is_held_and_written_to_once_there_is_one(store, templates, email):
    keep(store, planned(), people={"u1": {"name": "Ada"} | ({"email": email} if email is not None else {})})
    channel = MemoryChannel()
    report = sent(store, templates, channel)
    assert (report.held, report.reasons) == (1, {"no address": 1})
    assert (only(store).state, only(store).why) == ("held", "no address")
    sent(store, templates, channel, at=DUE + 1)
    assert len(store.changes(only(store).outreach_id)) == 2, "holding again is no change"


def test_a_held_mail_leaves_when_its_reason_is_gone(store, templates):
    keep(store, planned(), people={})
    sent(store, templates, MemoryChannel())
    keep(store, planned(rule="another", occasion="later", due_at=DUE + DAY))
    assert sent(store, templates, MemoryChannel(), at=DUE + MINUTE).mails == 1


def test_a_mail_that_the_policy_holds_is_written_again_only_when_it_leaves(store, templates, monkeypatch):
    written = []

    def write(rows, *args, **more):
        written.append(rows[0].account_id)
        return write_mail(rows, *args, **more)

    monkeypatch.setattr(rounds, "write_mail", write)
    contact = dataclasses.replace(POLICY.contact, caps_account=(Cap(1, HOUR, "1 per 1h"),))
    strict = dataclasses.replace(POLICY, contact=contact)
    keep(
        store,
        planned(rule="before"),
        planned(rule="behind", to="u2"),
        people={"u1": ADA, "u2": {"email": "bob@acme.example"}},
    )
    channel = MemoryChannel()
    assert (sent(store, templates, channel, policy=strict).held, len(written)) == (1, 2)
    for minute in range(1, 4):
        assert sent(store, templates, channel, policy=strict, at=DUE + minute * MINUTE).held == 1
    assert len(written) == 2
    broken = {**templates, "orientation-tomorrow": made_template("{{ orientation.nothing }}")}
    for minute in (61, 62, 63):
        assert sent(store, broken, channel, policy=strict, at=DUE + minute * MINUTE).held == 1
    (row,) = store.outreach(states=["held"])
    assert row.why == "template misses orientation.nothing"
    assert len(store.changes(row.outreach_id)) == 4, "claimed once for it, and held"
    assert sent(store, templates, channel, policy=strict, at=DUE + 64 * MINUTE).mails == 1


@pytest.mark.parametrize(
    ("email", "audience", "to", "template", "why"),
    [
        pytest.param(
            "ada@ringfirst.example",
            "customer",
            "u1",
            "orientation-tomorrow",
            "a customer's mail to a staff address",
            id="customer mail to us",
        ),
        pytest.param(
            "",
            "staff",
            "ada@acme.example",
            "escalation-red",
            "a staff mail to an address that is not ours",
            id="staff mail to a customer",
        ),
        pytest.param(
            "ada@acme.example",
            "customer",
            "u1",
            "escalation-red",
            "a template for staff in a mail for customer",
            id="staff template to a customer",
        ),
        pytest.param(
            "",
            "staff",
            "ada@ringfirst.example",
            "we-miss-you",
            "a template for customer in a mail for staff",
            id="customer template to us",
        ),
    ],
)
def test_customers_and_staff_never_get_each_others_mail(store, templates, email, audience, to, template, why):
    keep(store, planned(audience=audience, to=to, template=template), people={"u1": {"email": email}})
    assert sent(store, templates, MemoryChannel()).suppressed == 1
    assert (only(store).state, only(store).why) == ("suppressed", why)


@pytest.mark.parametrize("ours", ["bücher.example", "xn--bcher-kva.example", "Bücher.example"])
def test_a_domain_of_ours_in_other_letters_is_ours_however_it_is_written(store, templates, ours):
    keep(store, planned(to="u1"), people={"u1": {"email": "ada@bücher.example"}})
    policy = dataclasses.replace(POLICY, staff_domains=(ours,))
    sent(store, templates, MemoryChannel(), policy=policy)
    assert only(store).why == "a customer's mail to a staff address"


def test_a_suppressed_address_is_never_written_to_whatever_its_case(store, templates):
    keep(store, planned(), people={"u1": {**ADA, "email": "Ada@Acme.Example"}})
    store.suppress(address_key(store.key, "ada@acme.example"), reason="complained", at=NOON)
    channel = MemoryChannel()
    assert sent(store, templates, channel).suppressed == 1
    assert (only(store).state, only(store).why, channel.mails) == ("suppressed", "complained", [])


def test_a_template_that_misses_a_value_holds_the_mail_and_names_it(store, templates):
    keep(store, planned(values={"orientation.starts_at": None}))
    report = sent(store, templates, MemoryChannel())
    assert report.held == 1
    assert (only(store).state, only(store).why) == ("held", "template misses orientation.starts_at")


def test_a_template_that_is_not_there_holds_the_mail(store):
    keep(store, planned())
    assert sent(store, {}, MemoryChannel()).reasons == {"template orientation-tomorrow cannot be used": 1}


def test_a_header_that_a_value_would_break_holds_the_mail(store):
    template = made_template("Words.", subject="About {{ orientation.name }}")
    keep(store, planned(template="made", values={"orientation.name": "x\r\nBcc: eve@evil.example"}))
    channel = MemoryChannel()
    assert sent(store, {"made": template}, channel).held == 1
    assert channel.mails == []


def test_a_name_with_a_line_break_is_left_out_and_the_mail_leaves(store, templates):
    keep(store, planned(), people={"u1": {**ADA, "name": "Ada\r\nBcc: eve@evil.example"}})
    channel = MemoryChannel()
    sent(store, templates, channel)
    message = message_from_bytes(channel.mails[0].raw, policy=default)
    assert (message["To"], message["Bcc"]) == ("ada@acme.example", None)


def test_mails_of_a_lane_that_is_behind_wait_when_live(store, templates):
    keep(store, planned())
    late = NOON + 5 * MINUTE + 1
    keep(store, planned(rule="now", due_at=NOON))
    assert sent(store, templates, MemoryChannel(), at=late, live=True).waiting == 1
    assert sent(store, templates, MemoryChannel(), at=late - 1, live=True).mails == 1


class Slow(Remote):
    """A channel that takes its time for each mail."""

    def deliver(self, mail):
        time.sleep(0.3)
        super().deliver(mail)


def test_a_long_run_lets_no_mail_leave_by_the_clock_of_its_beginning(store, templates):
    evening = DUE + 5 * HOUR - 200
    assert iso(evening + 200) == "2026-03-11T18:00:00Z"
    keep(store, planned(account="acme"), planned(account="bolt"), clock=evening)
    channel = Slow()
    report = sent(store, templates, channel, at=evening, live=True)
    assert (report.mails, report.reasons) == (1, {"outside hours": 1})


def test_a_mail_that_grows_too_old_in_a_long_run_expires(store, templates):
    end = DUE + 200
    keep(store, planned(account="acme", expires_at=end), planned(account="bolt", expires_at=end), clock=DUE)
    channel = Slow()
    report = sent(store, templates, channel, live=True)
    assert (report.mails, report.expired, len(channel.mails)) == (1, 1, 1)


def test_an_address_that_is_suppressed_in_a_long_run_is_not_written_to(store, templates):
    bob = {"email": "bob@bolt.example"}
    keep(store, planned(account="acme"))
    keep(store, planned(account="bolt"), people={"u1": bob})
    other = {ADA["email"]: bob["email"], bob["email"]: ADA["email"]}

    class Suppressing(Remote):
        def deliver(self, mail):
            store.suppress(address_key(store.key, other[mail.to]), reason="unsubscribed", at=DUE)

    report = sent(store, templates, Suppressing())
    assert (report.mails, report.reasons) == (1, {"unsubscribed": 1})


@pytest.mark.parametrize("held_before", [False, True])
def test_a_mail_that_the_engine_holds_while_a_run_lasts_does_not_leave(store, templates, held_before):
    facts = [planned(account="acme"), planned(account="bolt")]
    keep(store, *facts, people={"u1": ADA} if not held_before else {})
    if held_before:  # by the sender, for want of an address
        sent(store, templates, Remote())
        keep(store, accounts=["acme", "bolt"], people={"u1": ADA})

    class Holding(Remote):
        def deliver(self, mail):
            self.mails.append(mail)
            other = next(one for one in facts if one.mails[0].outreach_id != mail.mail_id)
            source_late(store, other)

    channel = Holding()
    report = sent(store, templates, channel)
    assert (report.mails, report.elsewhere, len(channel.mails)) == (1, 1, 1)
    (held,) = store.outreach(states=["held"])
    assert held.why == "source product is late"


def source_late(store, fact):
    lane = lane_of(fact.account_id, store.lanes)
    (claim,) = store.claim([lane], "engine", at=DUE, take_over=True)
    held = Held(fact.decision_id, fact.mails[0].outreach_id, DUE, "source product is late", DUE + 3 * DAY)
    store.commit([Batch(claim, claim.position, DUE, NOON, facts=[held])])


def test_a_run_ends_after_its_seconds_and_the_next_one_goes_on(store, templates):
    keep(store, planned(account="acme"), planned(account="bolt"))
    channel = Slow()
    assert sent(store, templates, channel, seconds=0.1).mails == 1
    assert sent(store, templates, channel, seconds=0.1).mails == 1
    assert sent(store, templates, channel).mails == 0


# -- joining ----------------------------------------------------------------------------------------------------------


def orientation(name, starts_at, **more):
    return planned(subject=Subject("orientation", name), values={"orientation.starts_at": starts_at}, **more)


def test_decisions_of_one_reader_and_instant_are_one_mail_with_the_id_of_the_first(store, templates):
    keep(store, orientation("m1", "2026-03-12T09:00:00Z"), orientation("m2", "2026-03-12T13:30:00Z"))
    channel = MemoryChannel()
    report = sent(store, templates, channel)
    assert (report.mails, report.rows) == (1, 2)
    (mail,) = channel.mails
    rows = store.outreach()
    assert mail.mail_id == min(row.outreach_id for row in rows)
    assert {row.state for row in rows} == {"accepted"}
    assert len(inbox(store)) == 2
    text = part_of(mail.raw)
    assert text.index("10:00 CET") < text.index("14:30 CET")


@pytest.mark.parametrize("other", [{"to": "u2"}, {"due_at": DUE - HOUR}, {"account": "beta"}, {"rule": "another"}])
def test_other_readers_times_accounts_and_rules_get_mails_of_their_own(store, templates, other):
    people = {"u1": ADA, "u2": {"email": "bo@acme.example"}}
    keep(store, orientation("m1", "2026-03-12T09:00:00Z"), orientation("m2", "2026-03-12", **other), people=people)
    assert sent(store, templates, MemoryChannel()).mails == 2


def test_a_withdrawn_decision_drops_out_of_the_joined_mail(store, templates):
    keep(store, orientation("m1", "2026-03-12T09:00:00Z"), orientation("m2", "2026-03-12T13:30:00Z"))
    gone = next(row for row in store.outreach() if row.subject_id == "m2")
    store.move(gone.outreach_id, ["queued"], "withdrawn", at=NOON, by="test")
    channel = MemoryChannel()
    sent(store, templates, channel)
    assert "14:30" not in part_of(channel.mails[0].raw)


def test_a_template_that_speaks_of_one_subject_is_not_joined(store):
    template = made_template("Starts {{ orientation.starts_at|date }}.")
    keep(store, *(orientation(name, "2026-03-12", template="made") for name in ("m1", "m2")))
    assert sent(store, {"made": template}, MemoryChannel()).mails == 2


# -- once ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        pytest.param(DeliveryError("mailbox: try later", "later"), "queued", id="try later"),
        pytest.param(DeliveryError("mailbox: refused", "failed"), "failed", id="refused"),
        pytest.param(DeliveryError("mailbox: no answer", "in_doubt"), "in_doubt", id="no answer"),
        pytest.param(RuntimeError("ada@acme.example"), "in_doubt", id="anything else"),
    ],
)
def test_what_a_channel_says_decides_where_the_mail_goes(store, templates, answer, state, caplog):
    keep(store, planned())
    with caplog.at_level(logging.DEBUG):
        sent(store, templates, Remote(answer))
    row = only(store)
    assert row.state == state
    assert "ada@" not in caplog.text + str(row.why)
    assert inbox(store) == []


@pytest.mark.parametrize("after", [True, False], ids=["after it is written", "before it is written"])
@pytest.mark.parametrize("moves", range(1, 4))
def test_killed_at_any_step_a_mail_in_a_folder_is_there_exactly_once(store, templates, tmp_path, moves, after):
    keep(store, orientation("m1", "2026-03-12T09:00:00Z"), orientation("m2", "2026-03-12T13:30:00Z"))
    with pytest.raises(Killed):
        sent(Dying(store, moves, after=after), templates, FileChannel(tmp_path))
    sent(store, templates, FileChannel(tmp_path), at=DUE + 1)
    sent(store, templates, FileChannel(tmp_path), at=DUE + HOUR)
    files = list(tmp_path.glob("*.eml"))
    told = [part_of(file.read_bytes()) for file in files]
    assert sum("10:00 CET" in text for text in told) == 1
    assert sum("14:30 CET" in text for text in told) == 1
    assert {row.state for row in store.outreach()} == {"accepted"}
    assert len(inbox(store)) == 2


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("moves", range(1, 4))
def test_killed_at_any_step_a_mail_that_leaves_the_house_leaves_at_most_once(store, templates, moves, after):
    keep(store, planned())
    channel = Remote()
    with pytest.raises(Killed):
        sent(Dying(store, moves, after=after), templates, channel)
    sent(store, templates, channel, at=DUE + MINUTE)
    sent(store, templates, channel, at=DUE + 20 * MINUTE)
    state = only(store).state
    assert len(channel.mails) <= 1
    assert state in {"accepted", "in_doubt"}
    assert state == "in_doubt" or len(channel.mails) == 1


def test_what_another_sender_is_just_posting_is_left_alone_for_its_lease(store, templates):
    keep(store, planned())
    row = only(store)
    store.move(row.outreach_id, ["queued"], "posting", at=DUE, by="other", why=f"by remote as {row.outreach_id}")
    assert sent(store, templates, Remote(), at=DUE + 4 * MINUTE).recovered == 0
    assert only(store).state == "posting"
    assert sent(store, templates, Remote(), at=DUE + 5 * MINUTE).in_doubt == 1


def test_what_left_by_another_channel_is_in_doubt_and_never_written_again(store, templates, tmp_path):
    keep(store, planned())
    row = only(store)
    store.move(row.outreach_id, ["queued"], "posting", at=DUE, by="other", why=f"by sendgrid as {row.outreach_id}")
    sent(store, templates, FileChannel(tmp_path))
    assert only(store).state == "posting", "the other channel may be at work on it right now"
    sent(store, templates, FileChannel(tmp_path), at=DUE + 301_000)
    assert only(store).state == "in_doubt"
    assert list(tmp_path.glob("*.eml")) == []


def test_a_mail_that_somebody_else_has_claimed_is_left_to_them(store, templates):
    class Faster:
        def __getattr__(self, name):
            return getattr(store, name)

        def claim_mails(self, wanted, **more):
            for row in wanted[0].rows:
                store.move(row, ["queued"], "claimed", at=DUE, by="faster")
            return store.claim_mails(wanted, **more)

    keep(store, planned())
    channel = MemoryChannel()
    assert sent(Faster(), templates, channel).elsewhere == 1
    assert channel.mails == []


def test_a_second_sender_is_kept_out_of_the_outbox(store, templates, tmp_path):
    with FileChannel(tmp_path).session(), pytest.raises(DeliveryError, match="another sender"):
        sent(store, templates, FileChannel(tmp_path))


# -- rehearsal -------------------------------------------------------------------------------------------------------


def test_a_rehearsal_walks_through_history_and_changes_nothing(store, templates, tmp_path):
    keep(
        store,
        orientation("m1", "2026-03-12T09:00:00Z"),
        orientation("m2", "2026-03-12T13:30:00Z"),
        planned(rule="review", mode="review"),
        planned(rule="stale", expires_at=DUE),
        planned(rule="nobody", to="u9"),
        planned(rule="poor", values={}),
        planned(rule="gone"),
    )
    for row in store.outreach():
        if row.rule == "orientation-tomorrow":
            store.move(row.outreach_id, ["queued"], "past", at=DUE, by="engine")
        if row.rule == "gone":
            store.move(row.outreach_id, ["queued"], "withdrawn", at=DUE, by="engine")
    before = store.outreach()
    rows = store.outreach()
    report = simulate(
        rows,
        templates,
        FileChannel(tmp_path),
        sender=SENDER,
        people=store.people,
        policy=POLICY,
    )
    assert (report.mails, report.rows, report.expired, report.held) == (2, 3, 1, 2)
    assert report.reasons == {
        "no address": 1,
        "older than the rule's max_age": 1,
        "template misses orientation.starts_at": 1,
    }
    assert len(list(tmp_path.glob("*.eml"))) == 2
    assert (store.outreach(), inbox(store)) == (before, [])
    again = simulate(rows, templates, FileChannel(tmp_path), sender=SENDER, people=store.people, policy=POLICY)
    assert again == report
    assert len(list(tmp_path.glob("*.eml"))) == 2


def test_a_rehearsal_never_uses_a_channel_that_leaves_the_house(store, templates):
    with pytest.raises(UsageError, match="would really leave"):
        simulate([], templates, Remote(), sender=SENDER, people=store.people)


# -- privacy ---------------------------------------------------------------------------------------------------------


def test_no_address_or_name_stands_in_logs_file_names_or_reasons(store, templates, tmp_path: Path, caplog):
    keep(
        store,
        planned(),
        planned(rule="poor", values={}),
        planned(rule="staff", to="u2"),
        people={
            "u1": ADA,
            "u2": {"email": "us@ringfirst.example"},
        },
    )
    with caplog.at_level(logging.DEBUG):
        report = sent(store, templates, FileChannel(tmp_path))
    told = caplog.text + str(report) + " ".join(path.name for path in tmp_path.iterdir())
    told += "".join(f"{change.why}{change.by}" for row in store.outreach() for change in store.changes(row.outreach_id))
    told += "".join(note.body.decode() for note in inbox(store))
    for secret in ("ada@", "acme.example", "Lindqvist", "us@"):
        assert secret not in told


@pytest.mark.slow
@settings(max_examples=25)
@given(kills=st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=5))
def test_kills_in_any_number_never_make_two_mails(kills, templates, tmp_path_factory):
    folder, store = tmp_path_factory.mktemp("outbox"), open_store("sqlite://")
    keep(store, orientation("m1", "2026-03-12T09:00:00Z"), planned(rule="b"), planned(rule="c", account="beta"))
    for moves, after in kills:
        with suppress(Killed):
            sent(Dying(store, moves, after=after), templates, FileChannel(folder))
    sent(store, templates, FileChannel(folder))
    assert len(list(folder.glob("*.eml"))) == 3
    assert {row.state for row in store.outreach()} == {"accepted"}
    store.close()


# -- readers who change while a run is under way ----------------------------------------------------------------------


def _meanwhile(store, templates, change):
    """Two mails are due in one run; ``change`` happens to the reader of the second while the first is handed over."""
    keep(store, planned(account="acme"), people={"u1": ADA})
    keep(store, planned(account="zenith", to="u7", at=NOON + 1), people={"u7": {"email": "zoe@zenith.example"}})

    class Slow(Remote):
        def deliver(self, mail):
            if not self.mails:
                (claim,) = store.claim([lane_of("zenith", store.lanes)], "other", at=NOON, take_over=True)
                change(claim)
            super().deliver(mail)

    channel = Slow()
    sent(store, templates, channel)
    return channel


def test_who_is_forgotten_while_a_run_goes_on_gets_nothing_and_nothing_is_kept(store, templates):
    channel = _meanwhile(
        store, templates, lambda claim: store.forget_person(claim, "zenith", "u7", properties=(), at=DUE)
    )
    assert [mail.to for mail in channel.mails] == ["ada@acme.example"]
    (row,) = store.outreach(account_id="zenith")
    assert (row.state, store.sent(row.outreach_id)) == ("queued", None)
    sent(store, templates, channel)
    (row,) = store.outreach(account_id="zenith")
    assert (row.state, row.why, len(channel.mails)) == ("held", "no address", 1)


def test_who_has_another_address_while_a_run_goes_on_gets_the_mail_there(store, templates):
    def moved(claim):
        trait = Trait("zenith", "u7", "email", "zoe@new.example", DUE, 2)
        store.commit([Batch(claim=claim, position=claim.position, clock_at=DUE, first_at=NOON, traits=[trait])])

    channel = _meanwhile(store, templates, moved)
    assert [mail.to for mail in channel.mails] == ["ada@acme.example"]
    sent(store, templates, channel)
    assert [mail.to for mail in channel.mails] == ["ada@acme.example", "zoe@new.example"]
