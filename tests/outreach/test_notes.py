"""Notes to us: at any hour, at most 20 an hour for each of us, and the rest in one mail that lists them."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decision import Subject
from engine.instants import DAY, HOUR, MINUTE, parse_instant
from engine.store import Stop
from engine.stores import open_store
from outreach.channels.memory import MemoryChannel
from outreach.folding import ALIKE, DIGEST, FOLDED, LISTED
from outreach.sender import post_of, send_due
from ringfirst.reviews import approve, read
from tests.outreach.given import DUE, NOON, POLICY, SENDER, keep, part_of, planned

MARA, BEN = "mara@ringfirst.example", "ben@ringfirst.example"


def note(number: int, *, to: str = MARA, **more):
    """A red ticket of an account of its own."""
    values = {"ticket.subject": f"Help {number}", "ticket.waiting_hours": 1, "open_tickets": 1}
    more = {"values": {**values, "ticket.waiting_since": "2026-03-11T11:00:00Z"}, "due_at": NOON, **more}
    more = {"rule": "red-ticket-waits", "account": f"a{number:03}", **more}
    about = Subject("ticket", f"t{number}")
    return planned(to=to, subject=about, audience="staff", template="escalation-red", **more)


def notes(count: int, **more):
    return [note(number, **more) for number in range(count)]


def sent(store, templates, channel, *, at=NOON):
    return send_due(store, templates, channel, sender=SENDER, at=at, by="test", policy=POLICY)


def states(store):
    return sorted({(row.state, row.why if row.state == "held" else None) for row in store.outreach()})


def test_what_is_more_than_twenty_an_hour_comes_in_one_mail_that_lists_it(store, templates):
    keep(store, *notes(25))
    channel = MemoryChannel()
    report = sent(store, templates, channel)
    assert (report.mails, report.held, report.reasons) == (20, 5, {FOLDED: 5})
    late = [row.account_id for row in store.outreach(states=["held"])]
    assert sent(store, templates, channel, at=NOON + HOUR - 1).mails == 0
    report = sent(store, templates, channel, at=NOON + HOUR)
    assert (report.mails, report.rows) == (1, 5)
    digest = channel.mails[-1]
    assert digest.subject == "5 notes in one mail, since Wednesday, 12:00 UTC"
    text = part_of(digest.raw)
    assert [name for name in late if f"{name}: red ticket t{int(name[1:])} has waited 1 hour" not in text] == []
    assert states(store) == [("accepted", None)]
    assert sent(store, templates, channel, at=NOON + 9 * DAY).mails == 0


def test_each_of_us_has_a_cap_of_their_own_at_any_hour(store, templates):
    night = parse_instant("2026-03-15T02:00:00Z") or 0
    times = {"at": night, "due_at": night, "expires_at": night + DAY}
    keep(store, *notes(20, **times), *notes(20, to=BEN, rule="for-ben", **times), clock=night)
    assert sent(store, templates, MemoryChannel(), at=night).mails == 40, "a Sunday at two"


def test_one_note_that_was_held_back_comes_as_it_is(store, templates):
    keep(store, *notes(21))
    channel = MemoryChannel()
    sent(store, templates, channel)
    assert sent(store, templates, channel, at=NOON + HOUR).mails == 1
    assert channel.mails[-1].rule == "red-ticket-waits"


def test_a_storm_of_new_notes_keeps_no_digest_waiting(store, templates):
    keep(store, *notes(25))
    channel = MemoryChannel()
    sent(store, templates, channel)
    keep(store, *notes(30, rule="later", at=NOON + HOUR, due_at=NOON + HOUR), clock=NOON + HOUR)
    report = sent(store, templates, channel, at=NOON + HOUR)
    assert (report.mails, report.rows, report.held) == (20, 24, 11)
    assert channel.mails[20].rule == DIGEST


def test_a_digest_that_is_too_long_says_how_much_it_leaves_out(store, templates):
    keep(store, *notes(20 + LISTED + 7))
    channel = MemoryChannel()
    sent(store, templates, channel)
    sent(store, templates, channel, at=NOON + HOUR)
    digest = channel.mails[-1]
    assert digest.subject.startswith("107 notes")
    assert "And 7 more, which are not listed here." in part_of(digest.raw)
    assert len(part_of(digest.raw, "html")) < 90 * 1024


def test_a_note_that_could_not_be_written_is_listed_by_its_title(store, templates):
    keep(store, *notes(21), note(30, values={}, frozen={"title": "A red ticket waits"}, at=NOON - 1))
    channel = MemoryChannel()
    for row in store.outreach():
        if row.account_id in {"a020", "a030"}:
            store.move(row.outreach_id, ["queued"], "held", at=NOON, by="test", why=FOLDED)
    sent(store, templates, channel, at=NOON + HOUR)
    assert channel.mails[0].rule == DIGEST
    text = part_of(channel.mails[0].raw)
    assert "A red ticket waits\n" in text
    assert "a020: red ticket t20" in text


def test_a_note_that_somebody_approved_is_sent_as_it_was_approved(store, templates):
    keep(store, *notes(22, mode="review"))
    post = post_of(store, templates, SENDER, POLICY)
    for one in read(post, store.outreach()):
        assert approve(store, post, one, at=NOON, who="mara") is None
    channel = MemoryChannel()
    assert sent(store, templates, channel).mails == 20
    assert sent(store, templates, channel, at=NOON + HOUR).mails == 2


def test_without_the_digest_s_template_notes_wait_their_turn(store, templates):
    keep(store, *notes(45))
    known = {name: one for name, one in templates.items() if name != DIGEST}
    mails = [sent(store, known, MemoryChannel(), at=NOON + hour * HOUR).mails for hour in range(4)]
    assert mails == [20, 20, 5, 0]


def test_a_digest_that_a_crash_left_half_done_is_written_again_with_the_same_bytes(store, templates):
    class Dies(MemoryChannel):
        def deliver(self, mail):
            if mail.rule == DIGEST and not hasattr(self, "lost"):
                self.lost = mail
                raise KeyboardInterrupt
            return super().deliver(mail)

    keep(store, *notes(26))
    channel = Dies()
    sent(store, templates, channel)
    with suppress(KeyboardInterrupt):
        sent(store, templates, channel, at=NOON + HOUR)
    assert {row.state for row in store.outreach()} == {"accepted", "posting"}
    assert sent(store, templates, channel, at=NOON + HOUR + MINUTE).recovered == 6
    assert channel.mails[-1].raw == channel.lost.raw
    assert states(store) == [("accepted", None)]


@pytest.mark.slow
@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 19, 21, 35]), st.sampled_from([MINUTE, 10 * MINUTE, HOUR, -HOUR])), max_size=6
    )
)
def test_nobody_of_us_ever_gets_more_than_twenty_an_hour_and_nothing_is_lost(templates, rounds):
    store, channel, at = open_store("sqlite://"), MemoryChannel(), DUE
    out = []
    for number, (count, step) in enumerate(rounds):
        times = {"at": at, "due_at": at, "expires_at": at + 9 * DAY}
        keep(store, *notes(count, rule=f"rule-{number}", **times), clock=at)
        out += [at] * sent(store, templates, channel, at=at).mails
        at += step
    for _ in range(3):
        at = max([at, *out]) + HOUR
        out += [at] * sent(store, templates, channel, at=at).mails
    assert all(sum(one - HOUR < other <= one for other in out) <= 20 for one in out)
    assert {row.state for row in store.outreach()} <= {"accepted"}
    store.close()


@pytest.mark.parametrize("folder", ["without templates", "of its own"])
def test_a_rulebook_without_the_digest_gets_ours(tmp_path, folder):
    from ringfirst.rulebooks import read_folder

    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yml").write_text("rules: []\n")
    if folder == "of its own":
        (tmp_path / "templates").mkdir()
    assert DIGEST in read_folder(tmp_path).sent_templates


def test_a_stop_of_one_account_keeps_its_notes_out_of_the_digest(store, templates):
    keep(store, *notes(25))
    channel = MemoryChannel()
    sent(store, templates, channel)
    late = [row.account_id for row in store.outreach(states=["held"])]
    store.stop(Stop("account", late[0], NOON, "mara", "they asked us to"))
    report = sent(store, templates, channel, at=NOON + HOUR)
    assert (report.mails, report.rows) == (1, 4)
    assert f"{late[0]}: red ticket" not in part_of(channel.mails[-1].raw)


def word(number, *, account="acme", rule="reader-answered", of="outreach.replied", **more):
    """A reader of an account did something with a mail of ours."""
    values = {"event.rule": "first-steps", "event.person": None}
    frozen = {"title": "Somebody answered", "with": {"advice": "Answer."}, "people": {}, "account": {}}
    about = Subject("event", f"{of}:{account}{number}")
    more = {"due_at": NOON, "values": values, "frozen": frozen, **more}
    return planned(
        to=MARA, subject=about, audience="staff", template="word-from-reader", account=account, rule=rule, **more
    )


def test_what_readers_of_an_account_do_comes_once_an_hour_and_then_in_a_digest(store, templates):
    later = {"at": NOON + MINUTE, "due_at": NOON + MINUTE}
    keep(store, word(1), word(2), word(3, **later), word(4, account="bolt"), word(5, rule="reader-stopped-mails"))
    channel = MemoryChannel()
    assert sent(store, templates, channel).mails == 3, "the first of each account and rule"
    assert sent(store, templates, channel, at=NOON + MINUTE).reasons == {ALIKE: 2}
    assert sent(store, templates, channel, at=NOON + HOUR - 1).mails == 0
    report = sent(store, templates, channel, at=NOON + HOUR)
    assert (report.mails, report.rows) == (1, 2)
    assert channel.mails[-1].rule == DIGEST
    assert states(store) == [("accepted", None)]


def test_events_of_customers_are_told_each_by_itself(store, templates):
    keep(store, *(word(number, of="evt") for number in range(3)), *(note(1, rule="red") for _ in range(1)))
    assert sent(store, templates, MemoryChannel()).mails == 4
