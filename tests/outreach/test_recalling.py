"""A recall: nothing more leaves, who got it is known, and a correction goes to them alone."""

import msgspec
import pytest

from engine.events import Arrived, decode
from engine.instants import DAY, HOUR, MINUTE
from engine.keeper import Keeper
from engine.lanes import lane_of
from engine.replay import verify
from engine.rulebook.book import load_rulebook
from ringfirst.recalls import recall, tell
from tests.outreach.given import DUE, NOON, Deciding, keep, planned
from tests.outreach.test_sender import Remote, orientation, sent

RULE = "orientation-tomorrow"
WALL = NOON + 30 * DAY


def taken_back(store, at=DUE + HOUR, since=NOON):
    return recall(store, RULE, since=since, at=at, who="ann", why="wrong numbers")


def test_what_is_here_stays_and_who_got_it_is_listed_once(store, templates):
    keep(store, orientation("m1", "2026-03-12T09:00:00Z"), orientation("m2", "2026-03-12T13:30:00Z"))
    keep(store, planned(account="bolt"), planned(account="other", rule="another"))
    assert sent(store, templates, Remote()).mails == 3
    keep(store, planned(account="late", due_at=DUE + 2 * HOUR), planned(account="read", mode="review"))
    done = taken_back(store)
    assert done.stopped
    assert len(done.taken_back) == 2
    assert [(one.account_id, one.to, one.mails, one.surely) for one in done.got] == [
        ("acme", "u1", 1, True),
        ("bolt", "u1", 1, True),
    ]
    assert taken_back(store, since=DUE + 1).got == [], "only since then"
    assert sent(store, templates, Remote(), at=DUE + 3 * HOUR).mails == 0
    mine = store.outreach(rule=RULE)
    assert {row.state for row in mine} == {"accepted", "withdrawn"}
    assert {row.why for row in mine if row.state == "withdrawn"} == {"recalled: wrong numbers"}


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_recall_while_a_mail_is_claimed_takes_it_back_or_lists_it(store, templates, step):
    keep(store, planned())
    channel, told = Remote(), []
    sent(Deciding(store, step, lambda: told.append(taken_back(store, at=DUE))), templates, channel)
    (done,) = told or [taken_back(store, at=DUE)]
    assert len(done.taken_back) + len(done.got) == 1
    assert len(channel.mails) == len(done.got)


def test_a_mail_in_doubt_may_have_arrived(store, templates):
    keep(store, planned())
    sent(store, templates, Remote(RuntimeError("away")))
    (one,) = taken_back(store).got
    assert (one.surely, one.mails) == (False, 1)


BOOK = """
rules:
  - id: correction
    owner: us@ringfirst.example
    why: Who was told something wrong is told so.
    for: each outreach.recalled
    when: ['event.rule == "orientation-tomorrow"']
    send: {template: sorry, to: event.person, class: relationship, mode: review}
"""


def test_a_rule_writes_one_correction_to_exactly_those_who_got_it(store, templates):
    found, wrong = load_rulebook(
        {"rules/a.yml": BOOK, "templates/sorry/template.yml": "for: customer\nclass: relationship\n"}, duties=False
    )
    assert found is not None, wrong
    names = ("acme", "bolt", "calm")
    events = [
        {
            "id": f"{name}-1",
            "type": "user.updated",
            "account_id": name,
            "user_id": "u1",
            "time": "2026-03-10T09:00:00Z",
            "properties": {"email": f"u1@{name}.example"},
        }
        for name in names
    ]
    keeper = Keeper(store, found, "test", at=WALL)
    arrived = [decode(msgspec.json.encode(event), wall=WALL) for event in events]
    keeper.take([one for one in arrived if isinstance(one, Arrived)], at=WALL)
    keeper.stop()
    keep(store, planned(account="acme"), planned(account="bolt", due_at=DUE + 2 * HOUR))
    assert sent(store, templates, Remote()).mails == 1
    for again in (1, 2):
        done = taken_back(store, at=DUE + again * MINUTE)
        assert tell(store, done.got, at=DUE + again * MINUTE, why="wrong numbers") == 1
    keeper = Keeper(store, found, "test", at=WALL, take_over=True)
    keeper.finish(at=WALL)
    keeper.stop()
    corrections = store.outreach(rule="correction")
    assert [(row.account_id, row.to, row.template) for row in corrections] == [("acme", "u1", "sorry")]
    assert store.inbox(lane_of("acme", store.lanes), after=99) == []
    assert verify(store)["different"] == 0
