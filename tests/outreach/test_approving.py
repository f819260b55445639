"""Approvals: exactly what a person saw leaves, to whom they saw it go, or nothing does."""

import threading
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from email.policy import default

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decision import Ended
from engine.instants import DAY, HOUR, MINUTE
from engine.lanes import lane_of
from engine.rulebook.spec import Policy
from engine.store import Batch
from engine.stores import open_store
from outreach.approving import CHANGED, JOINED, NO_SENDER, NOT_APPROVED, READER, TOO_OLD
from outreach.channels.file import FileChannel
from outreach.channels.memory import MemoryChannel
from outreach.sender import post_of, send_due
from ringfirst.reviews import approve, changed, draft, named, outliers, read, reject
from tests.outreach.given import ADA, DUE, NOON, POLICY, SENDER, Deciding, keep, made_template, only, part_of, planned
from tests.outreach.test_sender import Dying, Killed, Remote, inbox, orientation, sent

LATER = NOON + 20 * MINUTE


def desk(store, templates, policy=POLICY):
    return post_of(store, templates, SENDER, policy)


def waiting(store, templates, policy=POLICY):
    return read(desk(store, templates, policy), store.outreach(states=["in_review"]))


def approved(store, templates, *, at=LATER, policy=POLICY):
    """Approve all that waits; gives why some of it could not be."""
    post = desk(store, templates, policy)
    return [approve(store, post, one, at=at, who="ann") for one in waiting(store, templates, policy)]


def test_an_approved_mail_leaves_word_for_word_whatever_becomes_of_its_template(store):
    keep(store, planned(mode="review", template="made"))
    first = {"made": made_template("As it was shown.", subject="Seen")}
    assert approved(store, first) == [None]
    assert only(store).state == "queued"
    channel = MemoryChannel()
    other = {"made": made_template("Something else, {{ orientation.name }}.", subject="Unseen")}
    assert sent(store, other, channel).mails == 1
    message = message_from_bytes(channel.mails[0].raw, policy=default)
    assert (message["Subject"], part_of(channel.mails[0].raw)) == ("Seen", "As it was shown.\n")
    steps = [(one.after, one.why, one.by) for one in store.changes(only(store).outreach_id)]
    assert steps[:2] == [("in_review", None, "engine"), ("queued", "approved", "ann")]


def test_what_was_approved_without_a_sender_reaches_no_server(store, templates):
    keep(store, planned(mode="review"))
    assert approved(store, templates) == [None]
    ours = msgspec.structs.replace(SENDER, name="Acme", postal_address="1 Example Street, Exampletown")
    channel = Remote()
    send_due(store, templates, channel, sender=ours, at=DUE, by="test", policy=POLICY)
    assert (channel.mails, only(store).state, only(store).why) == ([], "in_review", NO_SENDER)


@pytest.mark.parametrize(
    ("setting", "change"),
    [
        pytest.param("RINGFIRST_SENDER", {"address": "other@ringfirst.example"}, id="From"),
        pytest.param("RINGFIRST_SENDER", {"name": "Somebody else"}, id="name"),
        pytest.param("RINGFIRST_REPLY_TO", {"reply_to": ("other@ringfirst.example",)}, id="answers"),
        pytest.param("RINGFIRST_POSTAL_ADDRESS", {"postal_address": "2 Other Street"}, id="postal address"),
        pytest.param("RINGFIRST_PUBLIC_URL", {"public_url": "https://other.example"}, id="links"),
        pytest.param("RINGFIRST_UNSUBSCRIBE_TO", {"unsubscribe_to": "stop@other.example"}, id="unsubscribing"),
    ],
)
def test_what_was_approved_under_another_sender_comes_back_and_says_why(store, templates, setting, change):
    decision = planned(mode="review")
    frozen = {**decision.frozen, "writer": "mara@ringfirst.example"}  # in whose name it leaves is bound with the rest
    keep(store, msgspec.structs.replace(decision, frozen=frozen))
    ours = msgspec.structs.replace(SENDER, address="success@acme.example", public_url="https://acme.example")
    post = post_of(store, templates, msgspec.structs.replace(ours, **change), POLICY)
    (one,) = read(post, store.outreach(states=["in_review"]))
    assert approve(store, post, one, at=LATER, who="ann") is None
    channel = MemoryChannel()
    send_due(store, templates, channel, sender=ours, at=DUE, by="test", policy=POLICY)
    why = f"approved with another {setting} than the sender has; approve it where that is set alike"
    assert (channel.mails, only(store).state, only(store).why) == ([], "in_review", why)
    post = post_of(store, templates, ours, POLICY)
    (again,) = read(post, store.outreach(states=["in_review"]))
    assert again.digest != one.digest, "somebody who wants to see exactly that mail leave sees that it is another"
    assert approve(store, post, again, at=DUE, who="ann") is None
    send_due(store, templates, channel, sender=ours, at=DUE + MINUTE, by="test", policy=POLICY)
    assert only(store).state == "accepted"


@pytest.mark.parametrize("mode", ["review", "auto"])
def test_nothing_in_review_leaves_and_nothing_that_was_never_approved(store, templates, mode):
    keep(store, planned(mode=mode))
    row = only(store)
    store.move(row.outreach_id, [row.state], "queued", at=NOON, by="a hand in the database")
    channel = Remote()
    sent(store, templates, channel)
    assert len(channel.mails) == (mode == "auto")
    if mode == "review":
        assert (only(store).state, only(store).why) == ("in_review", NOT_APPROVED)


def test_an_approval_that_is_gone_when_the_mail_is_claimed_lets_nothing_leave(store, templates):
    """It goes when somebody is forgotten who stands in the words, while a sender is at work."""
    keep(store, planned(mode="review"))
    assert approved(store, templates) == [None]

    class Forgetting:
        """A store in which approvals are gone after they were asked for once."""

        asked = 0

        def __getattr__(self, name):
            return getattr(store, name)

        def approvals(self, ids):
            self.asked += 1
            return store.approvals(ids) if self.asked == 1 else {}

    channel = Remote()
    sent(Forgetting(), templates, channel)
    assert (channel.mails, only(store).state, only(store).why) == ([], "in_review", NOT_APPROVED)


def test_another_decision_that_joins_a_mail_brings_it_back_into_review(store, templates):
    keep(store, orientation("m1", "2026-03-12T09:00:00Z", mode="review"))
    approved(store, templates)
    keep(store, orientation("m2", "2026-03-12T13:30:00Z", mode="review"))
    channel = MemoryChannel()
    assert sent(store, templates, channel).in_review == 1
    assert {(row.subject_id, row.state, row.why) for row in store.outreach()} == {
        ("m1", "in_review", JOINED),
        ("m2", "in_review", None),
    }
    assert approved(store, templates, at=LATER + MINUTE) == [None], "both as one mail"
    assert sent(store, templates, channel).rows == 2
    assert "14:30 CET" in part_of(channel.mails[0].raw)


def test_a_decision_that_is_taken_back_brings_the_rest_of_its_mail_back(store, templates):
    facts = [
        orientation("m1", "2026-03-12T09:00:00Z", mode="review"),
        orientation("m2", "2026-03-12T13:30:00Z", mode="review"),
    ]
    keep(store, *facts)
    approved(store, templates)
    withdraw(store, facts[0])
    channel = Remote()
    sent(store, templates, channel)
    assert channel.mails == []
    states = {row.subject_id: (row.state, row.why) for row in store.outreach()}
    assert states["m1"][0] == "withdrawn"
    assert states["m2"][0] == "in_review"
    assert states["m2"][1] in {CHANGED, NOT_APPROVED}


def withdraw(store, fact, at=LATER + MINUTE):
    lane = lane_of(fact.account_id, store.lanes)
    (claim,) = store.claim([lane], "engine", at=at, take_over=True)
    gone = msgspec.structs.replace(fact, outcome="withdrawn", withdrawn_at=at)
    ended = Ended(fact.decision_id, fact.mails[0].outreach_id, at, "no longer true")
    store.commit([Batch(claim, claim.position, at, NOON, facts=[ended, gone])])


def test_a_decision_that_becomes_true_again_is_asked_for_again(store, templates):
    fact = planned(mode="review")
    keep(store, fact)
    approved(store, templates)
    withdraw(store, fact)
    values = {"orientation.starts_at": "2026-03-13T09:00:00Z"}
    keep(store, msgspec.structs.replace(fact, at=NOON + 30 * MINUTE, values=values))
    assert only(store).state == "in_review"
    store.move(only(store).outreach_id, ["in_review"], "queued", at=NOON, by="a hand in the database")
    channel = Remote()
    sent(store, templates, channel)
    assert (channel.mails, only(store).why) == ([], CHANGED)


def test_an_approval_is_for_the_address_it_was_given_for(store, templates):
    keep(store, planned(mode="review"))
    approved(store, templates)
    keep(store, accounts=["acme"], people={"u1": {**ADA, "email": "ada@other.example"}})
    channel = Remote()
    sent(store, templates, channel)
    assert (channel.mails, only(store).why) == ([], READER)


def test_an_approval_grows_old(store, templates):
    policy = Policy(staff_domains=POLICY.staff_domains, hold_for=HOUR)
    keep(store, planned(mode="review", expires_at=NOON + 9 * DAY))
    approved(store, templates, at=DUE - HOUR, policy=policy)
    assert sent(store, templates, Remote()).in_review == 1
    assert only(store).why == TOO_OLD


@pytest.mark.parametrize(
    ("expires_at", "at", "why"),
    [
        (DUE + HOUR, DUE + HOUR, "older than the rule's max_age"),
        (NOON + 30 * DAY, DUE + 3 * DAY, "nobody approved it in time"),
    ],
)
def test_what_nobody_approves_expires_and_gives_its_occasion_back(store, templates, expires_at, at, why):
    keep(store, planned(mode="review", expires_at=expires_at))
    assert sent(store, templates, MemoryChannel(), at=at - 1).expired == 0
    assert sent(store, templates, MemoryChannel(), at=at).expired == 1
    assert (only(store).state, only(store).why) == ("expired", why)
    assert [note.kind for note in inbox(store)] == ["entry"]


def test_what_was_approved_is_asked_whether_it_may_go_like_any_other(store, templates):
    keep(store, planned(mode="review", expires_at=NOON + 3 * DAY))
    approved(store, templates)
    evening = DUE + 6 * HOUR
    assert sent(store, templates, MemoryChannel(), at=evening).reasons == {"outside hours": 1}
    assert only(store).state == "held"
    assert sent(store, templates, MemoryChannel(), at=DUE + DAY).mails == 1


def test_a_mail_that_changed_while_somebody_read_it_is_not_approved(store, templates):
    fact = planned(mode="review")
    keep(store, fact)
    (seen,) = waiting(store, templates)
    withdraw(store, fact)
    keep(store, msgspec.structs.replace(fact, at=LATER + 2 * MINUTE))
    assert "look at it again" in str(approve(store, desk(store, templates), seen, at=LATER, who="ann"))
    assert only(store).state == "in_review"
    assert store.approvals([only(store).outreach_id]) == {}


def test_a_mail_that_cannot_be_written_is_not_approved(store, templates):
    keep(store, planned(mode="review", values={}))
    assert approved(store, templates) == ["template misses orientation.starts_at"]
    keep(store, planned(mode="review", to="u7", rule="b"))
    assert {*approved(store, templates)} == {"no address", "template misses orientation.starts_at"}


def test_a_rejected_mail_never_leaves_and_gives_its_occasion_back(store, templates):
    keep(store, planned(mode="review"), planned(mode="review", rule="b"))
    approved(store, templates)
    rows = store.outreach()
    done, late = reject(store, rows, at=LATER, who="ann", why="not now")
    assert (len(done), late) == (2, [])
    assert reject(store, rows, at=LATER, who="ann", why="again")[0] == []
    assert sent(store, templates, MemoryChannel()).mails == 0
    told = [msgspec.json.decode(note.body) for note in inbox(store)]
    assert [one["kind"] for one in told] == ["outreach.rejected"] * 2


# -- in other words --------------------------------------------------------------------------------------------------


def reworded(store, templates, **words):
    post = desk(store, templates)
    (one,) = waiting(store, templates)
    subject, text = draft(post, one)
    words = {"subject": subject, "text": text, **words}
    assert approve(store, post, one, at=LATER, who="ann", words=changed(post, one, **words)) is None
    channel = MemoryChannel()
    assert sent(store, templates, channel).mails == 1
    return channel.mails[0].raw


def test_an_edited_letter_leaves_in_its_frame_and_both_texts_are_kept(store, templates):
    keep(store, planned(mode="review"))
    raw = reworded(store, templates, subject="Tomorrow", text="Dear Ada,\n\nsee you <b>tomorrow</b> & bring tea.\nAnn")
    text, html = part_of(raw), part_of(raw, "html")
    assert text.startswith("Dear Ada,\n\nsee you <b>tomorrow</b> & bring tea.\nAnn\n")
    assert SENDER.postal_address in text
    assert SENDER.postal_address in html
    assert "see you &lt;b&gt;tomorrow&lt;/b&gt; &amp; bring tea.<br />Ann" in html
    assert "10:00 CET" not in text + html
    (known,) = store.approvals([only(store).outreach_id]).values()
    assert "10:00 CET" in known.was["text"]
    assert known.words["subject"] == "Tomorrow"


def test_nothing_in_an_edited_letter_is_carried_out(store, templates):
    keep(store, planned(mode="review"))
    raw = reworded(store, templates, text="{{ account.plan }} {% for x in y %} <mj-raw> [[ body ]]")
    assert part_of(raw).startswith("{{ account.plan }} {% for x in y %} <mj-raw> [[ body ]]\n")


def test_an_unchanged_letter_is_the_mail_as_it_was(store, templates):
    keep(store, planned(mode="review"))
    (one,) = waiting(store, templates)
    reworded(store, templates)
    (known,) = store.approvals([only(store).outreach_id]).values()
    assert (known.words["subject"], known.words["text"]) == (one.words.subject, one.words.text)


def test_a_letter_from_right_to_left_arrives_as_it_was_written(store, templates):
    keep(store, planned(mode="review"))
    letter = "\u05e9\u05dc\u05d5\u05dd Ada,\n\n\u05ea\u05d5\u05d3\u05d4."
    assert part_of(reworded(store, templates, text=letter)).startswith(letter + "\n")


@settings(max_examples=40, deadline=None)
@given(text=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=200).filter(str.strip))
def test_any_letter_arrives_as_it_was_written(templates, text):
    store = open_store("sqlite://")
    keep(store, planned(mode="review"))
    post = desk(store, templates)
    (one,) = waiting(store, templates)
    words = changed(post, one, subject="x", text=text)
    assert words.text.split()[: len(text.split())] == text.split()
    store.close()


# -- together with others --------------------------------------------------------------------------------------------


def test_what_stands_out_among_many(store, templates):
    usual = [planned(mode="review", account=f"a{n}", values={"seats": 10 + n % 3}) for n in range(20)]
    keep(store, *usual, planned(mode="review", account="odd", values={"seats": 900}))
    (line,) = outliers(waiting(store, templates))
    assert line == "seats = 900 for odd; in the middle it is 11"


def test_what_one_approves_is_named_by_any_row_of_its_mail(store, templates):
    keep(
        store,
        orientation("m1", "2026-03-12T09:00:00Z", mode="review"),
        orientation("m2", "2026-03-12T13:30:00Z", mode="review"),
    )
    first = store.outreach()[0].outreach_id
    assert len(named(store, desk(store, templates), [first])) == 2


@pytest.mark.parametrize("step", [1, 2, 3])
def test_rejected_or_out_and_never_both(store, templates, step):
    keep(store, planned(mode="review"))
    approved(store, templates)
    told = []
    channel = Remote()

    def act():
        told.append(reject(store, store.outreach(), at=DUE, who="ann", why="no"))

    sent(Deciding(store, step, act), templates, channel)
    ((done, late),) = told
    assert len(done) + len(late) == 1
    assert len(channel.mails) == len(late)
    assert only(store).state == ("rejected" if done else "accepted")


@pytest.mark.parametrize("kills", [1, 2, 3])
def test_a_killed_sender_changes_nothing_about_what_was_approved(store, tmp_path, kills):
    keep(store, planned(mode="review", template="made"))
    approved(store, {"made": made_template("As it was shown.")})
    other = {"made": made_template("Something else.")}
    with pytest.raises(Killed):
        sent(Dying(store, kills, after=True), other, FileChannel(tmp_path))
    sent(store, other, FileChannel(tmp_path), at=DUE + MINUTE)
    (file,) = tmp_path.glob("*.eml")
    assert part_of(file.read_bytes()) == "As it was shown.\n"


@pytest.mark.slow
def test_two_people_who_approve_at_once_approve_once(tmp_path, templates):
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    keep(store, *(planned(mode="review", account=f"a{n}") for n in range(20)))
    post, mails = desk(store, templates), waiting(store, templates)
    start = threading.Barrier(2)

    def all_of(who):
        start.wait()
        return sum(approve(store, post, one, at=LATER, who=who) is None for one in mails)

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(all_of, ("ann", "bob"))) == 20
    store.close()
