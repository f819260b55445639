"""A sender's batches: caps hold inside of one, people's doors stay open to the last, and nothing waits in hand."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest

from engine.errors import StoreError
from engine.instants import HOUR
from engine.rulebook.spec import ContactPolicy, Policy
from engine.store import Stop
from engine.stores import open_store
from outreach import joining as writing
from outreach import sender as sending
from outreach.addresses import address_key
from outreach.channel import DeliveryError, Handful
from outreach.channels.memory import MemoryChannel
from outreach.sender import send_due
from tests.outreach.given import ADA, DUE, POLICY, SENDER, STAFF, Deciding, keep, planned


class Away:
    """A channel that leaves this machine, takes several mails at once, and does as it is told."""

    name, local = "away", False

    def __init__(self, act=lambda _: None, *, together=25, at_once=1):
        self.handful = Handful(together=together, at_once=at_once)
        self.mails, self._act, self._lock = [], act, threading.Lock()

    def session(self):
        return nullcontext()

    def has(self, mail_id):
        return False

    def deliver(self, mail):
        self._act(mail)
        with self._lock:
            self.mails.append(mail)
        return f"their-{mail.mail_id}"


def sent(store, templates, channel, policy=POLICY, *, at=DUE, **more):
    return send_due(store, templates, channel, sender=SENDER, at=at, by="test", policy=policy, **more)


def many(store, count, **more):
    keep(store, *(planned(account=f"a{n}", **more) for n in range(count)))


def states(store):
    found: dict[str, int] = {}
    for row in store.outreach():
        found[row.state] = found.get(row.state, 0) + 1
    return found


def test_a_batch_holds_the_gap_between_mails_to_one_person(store, templates):
    first = planned(account="bolt", mail_class="transactional")  # the batch of one; two of Ada's are in the next
    keep(store, first, people={"u1": {"email": "bea@bolt.example"}})
    keep(store, *(planned(rule=f"r{n}") for n in range(9)))
    channel = Away()
    spaced = Policy(staff_domains=STAFF, contact=ContactPolicy(gap=20 * HOUR))
    report = sent(store, templates, channel, spaced)
    assert channel.mails[0].to == "bea@bolt.example"
    assert (report.mails, report.held, len(channel.mails)) == (2, 8, 2)


def test_every_mail_of_many_leaves_once_with_all_its_steps_and_the_other_side_s_id(store, templates):
    many(store, 60)
    channel = Away(lambda _: time.sleep(0.001), at_once=4)
    assert sent(store, templates, channel).mails == 60
    rows = store.outreach()
    assert sorted(mail.mail_id for mail in channel.mails) == sorted(row.outreach_id for row in rows)
    for row in rows:
        assert row.provider_id == f"their-{row.outreach_id}"
        steps = [change.after for change in store.changes(row.outreach_id)]
        assert steps == ["queued", "claimed", "posting", "accepted"]
        assert store.sent(row.outreach_id) is not None
    assert sum(len(store.inbox(lane, after=0)) for lane in range(store.lanes)) == 60


def test_several_mails_are_on_their_way_at_once_as_the_channel_likes_it(store, templates):
    many(store, 40)
    now, most, lock = [0], [0], threading.Lock()

    def act(_):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1

    sent(store, templates, Away(act, at_once=3))
    assert most == [3]


@pytest.mark.parametrize(
    ("act", "state"),
    [
        (lambda store: store.suppress(address_key(store.key, ADA["email"]), reason="complained", at=DUE), "suppressed"),
        (lambda store: store.stop(Stop("all", "", DUE, "ann", "x")), "held"),
    ],
    ids=["the reader wants no mail", "the stop switch"],
)
def test_a_door_that_closes_while_a_mail_is_claimed_keeps_it_here(store, templates, act, state):
    keep(store, planned())
    channel = Away()
    report = sent(Deciding(store, 2, lambda: act(store)), templates, channel)
    assert (channel.mails, report.mails, report.elsewhere, states(store)) == ([], 0, 1, {"queued": 1})
    sent(store, templates, channel)
    assert (channel.mails, states(store)) == ([], {state: 1})


def test_a_crash_leaves_no_more_than_a_handful_in_doubt(store, templates):
    class Killed(BaseException):
        """Stands for SIGKILL."""

    many(store, 60)
    count = []

    def act(_):
        count.append(1)
        if len(count) == 40:
            raise Killed

    with pytest.raises(Killed):
        sent(store, templates, Away(act, together=5))
    assert states(store)["posting"] <= 5
    assert sent(store, templates, Away(), at=DUE + HOUR).in_doubt <= 5


@pytest.mark.parametrize("written", [False, True], ids=["it failed", "only its answer was lost"])
@pytest.mark.parametrize("failing", [["accepted"], ["accepted", "posting"]], ids=["alone", "with the next ones"])
def test_a_store_that_fails_once_leaves_nothing_in_doubt_that_was_handed_over(
    store, templates, monkeypatch, written, failing
):
    monkeypatch.setattr("outreach.handing.PAUSE_SECONDS", 0.0)
    calls = []

    class Failing:
        def __getattr__(self, name):
            return getattr(store, name)

        def move_mails(self, moves, **more):
            calls.append(sorted({step.after for move in moves for step in move.steps}))
            fails = calls[-1] == failing and calls.count(failing) == 1
            done = store.move_mails(moves, **more) if written or not fails else []
            if fails:
                raise StoreError("the database did not do it")
            return done

    many(store, 7)
    channel = Away(together=2)  # batches of 1, 2 and 4 mails: the last one has two handfuls
    try:
        report = sent(Failing(), templates, channel)
    except StoreError:
        assert len(failing) == 2, "the run ends, for the next ones could not be written down"
        assert (len(channel.mails), states(store)["accepted"]) == (5, 5)
    else:
        assert (report.mails, len(channel.mails), states(store)) == (7, 7, {"accepted": 7})
    assert any(call == failing for call in calls)
    assert sum(len(store.inbox(lane, after=0)) for lane in range(store.lanes)) == len(channel.mails)


def failing_once(store, name):
    """The store, of which one question fails for the first time it is asked."""
    left = [StoreError("the database is away")]

    class Failing:
        def __getattr__(self, other):
            found = getattr(store, other)

            def ask(*args, **more):
                if left:
                    raise left.pop()
                return found(*args, **more)

            return ask if other == name else found

    return Failing()


def test_a_store_that_fails_as_the_channel_is_well_again_leaves_nothing_in_doubt(store, templates):
    many(store, 3)
    down = DeliveryError("the server is away", "down")
    with pytest.raises(DeliveryError):
        sent(store, templates, Away(lambda _: (_ for _ in ()).throw(down)))
    channel = Away()
    report = sent(failing_once(store, "end_outage"), templates, channel)
    assert (report.mails, len(channel.mails), states(store)) == (3, 3, {"accepted": 3})
    assert store.outages() == [], "what could not be written down at the first mail is at the next"


def test_a_store_that_fails_while_many_answers_are_written_down_loses_none_of_them(store, templates, monkeypatch):
    monkeypatch.setattr("outreach.handing.PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("outreach.round.MANY", 2)
    many(store, 7)
    failed: list[int] = []

    class Failing:
        def __getattr__(self, name):
            return getattr(store, name)

        def move_mails(self, moves, **more):
            if not failed and len(moves) > 1 and all(step.after == "accepted" for one in moves for step in one.steps):
                failed.append(len(moves))
                raise StoreError("the database is away")
            return store.move_mails(moves, **more)

    channel = Away()
    report = sent(Failing(), templates, channel)
    assert failed
    assert (report.mails, len(channel.mails), states(store)) == (7, 7, {"accepted": 7})


def test_when_the_channel_goes_down_the_others_of_its_handful_are_as_if_nobody_had_tried(store, templates):
    many(store, 60)
    count = []

    def act(_):
        count.append(1)
        if len(count) > 20:
            raise DeliveryError("it is full", "down")

    channel = Away(act)
    with pytest.raises(DeliveryError, match="it is full"):
        sent(store, templates, channel)
    assert (len(count), states(store)) == (21, {"accepted": 20, "queued": 40})
    assert {row.why for row in store.outreach(states=["queued"])} == {None}
    assert sent(store, templates, Away()).mails == 40, "none has to wait"


def test_what_a_slow_server_does_not_come_to_is_given_back(store, templates, monkeypatch):
    monkeypatch.setattr(sending, "BATCH_SECONDS", 1.0)
    many(store, 15)
    began = {}

    def act(mail):
        began[mail.mail_id] = store.outreach(outreach_id=mail.mail_id)[0].state
        time.sleep(0.4 if len(began) > 7 else 0)  # from its batch of eight on

    report = sent(store, templates, Away(act, together=10))
    assert 7 < report.mails < 15
    assert states(store) == {"accepted": report.mails, "queued": 15 - report.mails}
    assert set(began.values()) == {"posting"}


def test_a_stop_is_in_force_before_the_next_handful(store, templates):
    many(store, 60)
    count = []

    def act(_):
        count.append(1)
        if len(count) == 8:  # in the batch of eight, the first of its handful of five
            store.stop(Stop("all", "", DUE, "ann", "x"))

    sent(store, templates, Away(act, together=5))
    assert len(count) == 12
    assert states(store).get("claimed") is None


def test_who_stops_a_sender_stops_it_between_two_mails(store, templates):
    many(store, 60)
    channel = Away()
    report = sent(store, templates, channel, stop=lambda: len(channel.mails) >= 10)
    assert (report.mails, states(store)) == (10, {"accepted": 10, "queued": 50})


def test_a_mail_is_written_once(store, templates, monkeypatch):
    many(store, 10)
    made: list[str] = []
    write = writing.write_mail

    def once(*args, mail_id, **more):
        made.append(mail_id)
        return write(*args, mail_id=mail_id, **more)

    monkeypatch.setattr("outreach.round.write_mail", once)
    assert sent(store, templates, MemoryChannel()).mails == 10
    assert len(made) == 10


@pytest.mark.slow
@pytest.mark.postgres
def test_several_senders_at_once_hold_the_gap_and_send_no_mail_twice(fresh_postgres, templates):
    mine = open_store(fresh_postgres)
    for n in range(15):
        person = {"u1": {"email": f"ada@a{n}.example"}}
        keep(mine, *(planned(rule=f"r{rule}", account=f"a{n}") for rule in range(3)), people=person)
    spaced = Policy(staff_domains=STAFF, contact=ContactPolicy(gap=20 * HOUR))
    channel = Away(at_once=2, together=4)

    def run(name):
        own = open_store(fresh_postgres)
        try:
            return send_due(own, templates, channel, sender=SENDER, at=DUE, by=name, policy=spaced).mails
        finally:
            own.close()

    with ThreadPoolExecutor(3) as pool:
        left = list(pool.map(run, ["one", "two", "three"]))
    rows = mine.outreach()
    mine.close()
    assert sum(left) == len(channel.mails) == len({mail.mail_id for mail in channel.mails})
    out = [row for row in rows if row.state == "accepted"]
    assert sorted(mail.mail_id for mail in channel.mails) == sorted(row.outreach_id for row in out)
    assert len(out) == len({row.person for row in out}) == 15, "one to each person, whoever sent it"
    assert {row.state for row in rows} <= {"accepted", "held", "queued"}
