"""What every event store promises about lanes, the log, decisions and mails."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.decision import Ended, Held, Released, Subject
from engine.errors import Conflict, Fenced, LaneTaken, StoreError
from engine.feedback import Step
from engine.instants import DAY, HOUR
from engine.lanes import lane_of
from engine.store import (
    ALL_TOPICS,
    Chosen,
    Move,
    Note,
    Offset,
    Share,
    Snapshot,
    Standing,
    Stop,
    StopScope,
    Store,
    Suppression,
    Touch,
    Trait,
    Watch,
    Wishes,
)
from engine.stores import open_store, tables
from engine.stores.sql import SqlStore
from tests.stores.made import (
    ACME,
    MINUTE,
    OTHER,
    OWNER,
    T0,
    account_in,
    batch,
    claim_mail,
    claimed,
    committed,
    decision,
    ended,
    entry,
    event,
    letter,
    move_mail,
    offset,
    withdrawn,
)


def noted(store: Store) -> list[str]:
    """What the audit holds."""
    assert isinstance(store, SqlStore)
    with store._driver.reading() as connection:
        return list(connection.execute(sa.select(tables.audit.c.what).order_by(tables.audit.c.seq)).scalars())


# -- ownership ---------------------------------------------------------------------------------------------------------


def test_a_claim_raises_the_epoch_and_tells_how_far_the_lane_is(store: Store) -> None:
    first = claimed(store)
    assert (first.lane, first.epoch, first.position, first.clock_at, first.inbox_seq) == (0, 1, 0, None, 0)
    committed(store, first, events=[event(1)])
    again = claimed(store)
    assert (again.epoch, again.position, again.clock_at, again.first_at) == (2, 1, T0 + 1, T0 + 1)


def test_a_lane_of_a_living_owner_is_taken_and_the_message_says_the_way_round(store: Store) -> None:
    store.claim([3], "desk:7:x", at=T0, lease_seconds=30)
    with pytest.raises(LaneTaken, match=r"lane 3: .*'desk:7:x'.* 12 more seconds.*--take-over"):
        store.claim([2, 3], OWNER, at=T0 + 18_000)
    assert store.lane_infos(at=T0)[2].epoch == 0, "all lanes or none"


def test_a_lane_is_free_when_the_lease_has_run_out_or_it_is_taken_over_or_released(store: Store) -> None:
    first = store.claim([0], "desk:7:x", at=T0, lease_seconds=30)
    assert claimed(store, at=T0 + 30_000).epoch == 2
    other = store.claim([0], "desk:8:y", at=T0 + 30_000, take_over=True)
    store.release(first)
    assert store.lane_infos(at=T0 + 30_000)[0].owner == "desk:8:y", "only the newest claim gives a lane up"
    store.release(other)
    assert store.lane_infos(at=T0 + 30_000)[0].owner is None
    assert claimed(store, at=T0 + 30_000).epoch == 4


def test_a_renewed_lease_runs_longer_and_a_lost_one_cannot_be_renewed(store: Store) -> None:
    claims = store.claim([0, 1], "desk:7:x", at=T0)
    store.renew(claims, at=T0 + 25_000)
    with pytest.raises(LaneTaken):
        store.claim([0], OWNER, at=T0 + 54_000)
    claimed(store, 1, at=T0 + 54_000, take_over=True)
    with pytest.raises(Fenced, match="lane 1"):
        store.renew(claims, at=T0 + 54_000)


def test_readers_see_every_lane_and_who_is_alive(store: Store) -> None:
    store.claim([5], OWNER, at=T0, lease_seconds=30)
    alive = store.lane_infos(at=T0 + 29_999)
    assert [one.lane for one in alive] == list(range(8))
    assert (alive[5].owner, alive[5].lease_until) == (OWNER, T0 + 30_000)
    assert (store.lane_infos(at=T0 + 30_000)[5].owner, store.lane_infos(at=T0 + 30_000)[5].lease_until) == (None, None)


def test_there_is_no_lane_beyond_the_last(store: Store) -> None:
    with pytest.raises(StoreError, match="lane 8: there is no such lane"):
        store.claim([0, 8], OWNER, at=T0)
    with pytest.raises(StoreError, match="lane 9"):
        list(store.entries(9))


# -- the fence ---------------------------------------------------------------------------------------------------------


def test_an_owner_that_lost_its_lane_writes_nothing(store: Store) -> None:
    old = claimed(store)
    new = claimed(store, owner="desk:2:b", take_over=True)
    with pytest.raises(Fenced, match="lane 0: this owner has lost it"):
        committed(store, old, events=[event(1)])
    with pytest.raises(Fenced):
        store.put_snapshots(old, [Snapshot(0, ACME, 1, "f", b"s")])
    with pytest.raises(Fenced):
        store.forget_account(old, ACME, at=T0)
    assert committed(store, new, events=[event(1)]).position == 1


def test_a_batch_from_another_position_is_fenced(store: Store) -> None:
    first = claimed(store)
    committed(store, first, events=[event(1)])
    with pytest.raises(Fenced, match="at position 0, the lane is in epoch 1 at 1"):
        committed(store, first, events=[event(1, id="other")])


def test_a_released_claim_writes_nothing(store: Store) -> None:
    claim = claimed(store)
    store.release([claim])
    with pytest.raises(Fenced, match="without an owner"):
        committed(store, claim, events=[event(1)])


@pytest.mark.parametrize(
    ("stored", "moved"),
    [
        pytest.param(None, offset(5, 7), id="there is no row yet"),
        pytest.param(offset(None, 7), offset(5, 9), id="it stands elsewhere"),
        pytest.param(offset(None, 7), offset(None, 9), id="there is a row already"),
    ],
)
def test_an_offset_that_is_not_where_the_owner_thinks_fences_the_whole_batch(
    store: Store,
    stored: Any,
    moved: Any,
) -> None:
    claim = claimed(store)
    if stored:
        claim = committed(store, claim, offsets=[stored])
    before = store.offsets()
    with pytest.raises(Fenced, match=r"import a.jsonl 0: another owner has read on"):
        committed(store, claim, events=[event(1)], offsets=[offset(None, 1, partition=1), moved])
    assert (store.count_events(), store.offsets()) == (0, before)


@pytest.mark.parametrize("stands", [pytest.param(8, id="elsewhere"), pytest.param(9, id="where it was to go")])
def test_one_offset_of_many_that_is_elsewhere_fences_all(store: Store, stands: int) -> None:
    first = [offset(None, 5), offset(None, stands, partition=1), offset(None, 5, partition=2)]
    claim = committed(store, claimed(store), offsets=first)
    before = store.offsets()
    with pytest.raises(Fenced, match="another owner has read on"):
        committed(store, claim, offsets=[offset(5, 6), offset(7, 9, partition=1), offset(5, 6, partition=2)])
    assert store.offsets() == before


@pytest.mark.parametrize("odd", [",", "],[", '","', '"],["', ":", "\\", '"'])
def test_ids_that_look_like_json_are_ids(store: Store, odd: str) -> None:
    lane = lane_of(odd, store.lanes)
    one = event(1, odd, id=odd)
    committed(store, claimed(store, lane), events=[one])
    asked = [(odd, odd), (ACME, "e1"), (odd, "e2"), (ACME, odd)]
    assert store.existing(asked) == {(odd, odd): one.digest}


def test_lanes_that_are_written_together_keep_their_own(store: Store) -> None:
    near, far = account_in(0), account_in(1)
    claims = store.claim([0, 1], OWNER, at=T0)
    follow = frozenset({"decision"})
    parts = [
        batch(claim, events=[event(1, account)], facts=[decision(account=account)], follow=follow)
        for claim, account in zip(claims, (near, far), strict=True)
    ]
    done = store.commit(parts[::-1])
    assert [(one.lane, one.position) for one in done] == [(1, 1), (0, 1)]
    for lane, account in enumerate((near, far)):
        assert [one.account_id for one in store.entries(lane)] == [account]
        assert [one.account_id for one in store.decisions(lane=lane)] == [account]
        assert [one.lane for one in store.outreach(account_id=account)] == [lane]
        assert [one.account_id for one in store.outbox([lane], "decision", limit=9)] == [account]


def test_of_many_inboxes_those_with_something_new_are_named(store: Store) -> None:
    assert store.waiting({0: 0, 1: 0}) == frozenset()
    store.put_inbox([(account_in(0), "entry", b"{}"), (account_in(1), "entry", b"{}")], at=T0)
    assert store.waiting({0: 0, 1: 1}) == {0}
    assert store.waiting({1: 0}) == {1}


def test_offsets_move_with_the_batch(store: Store) -> None:
    claim = committed(store, claimed(store), offsets=[offset(None, 10), offset(None, 3, partition=1)])
    committed(store, claim, offsets=[offset(10, 12)])
    assert store.offsets("import") == {("import", "a.jsonl", 0): 12, ("import", "a.jsonl", 1): 3}
    assert store.offsets("kafka") == {}


# -- the log -----------------------------------------------------------------------------------------------------------


def test_events_come_back_exactly_as_they_went_in(store: Store) -> None:
    body = (
        '{"n":1.50,"whole":2,"big":123456789012345678901234567890,"tiny":1e-7,"zero":-0.0,"huge":1E+400,'
        '"text":"Grüße 🦜 \\u00e9","list":[null,true,{"x":0.1}]}'
    ).encode()
    sent = event(1, body=body, user=None, type="Täst.📦")
    committed(store, claimed(store), events=[sent])
    (found,) = list(store.entries(0))
    assert found == sent.recorded
    numbers = found.event.properties
    assert isinstance(numbers["whole"], int)
    assert isinstance(numbers["n"], Decimal)
    assert str(numbers["n"]) == "1.50"
    assert str(numbers["zero"]) == "-0.0"


def test_engine_entries_stand_between_events_by_position(store: Store) -> None:
    claim = committed(
        store,
        claimed(store),
        events=[event(1), event(3, OTHER), event(5)],
        entries=[
            entry(2, "outreach.withdrawn", ACME, decision_id="d"),
            entry(4, at=T0, values={"mrr": Decimal("1.5")}),
        ],
    )
    committed(store, claim, entries=[entry(6, "source.late", source="usage")])
    assert [one.position for one in store.entries(0)] == [1, 2, 3, 4, 5, 6]
    assert [one.position for one in store.account_entries(ACME)] == [1, 2, 4, 5, 6]
    assert [one.position for one in store.account_entries(OTHER)] == [3, 4, 6]
    assert next(one for one in store.entries(0) if one.position == 4) == entry(
        4,
        at=T0,
        values={"mrr": Decimal("1.5")},
    )


def test_the_log_can_be_read_from_and_until_a_point(store: Store) -> None:
    committed(store, claimed(store), events=[event(n) for n in (1, 2, 4)], entries=[entry(3), entry(5)])
    assert [one.position for one in store.entries(0, after=1, until_position=4)] == [2, 3, 4]
    assert [one.position for one in store.entries(0, until_at=T0 + 3)] == [1, 2, 3]
    assert [one.position for one in store.account_entries(ACME, until_position=3)] == [1, 2, 3]
    assert [one.position for one in store.account_entries(ACME, until_at=T0 + 1)] == [1]
    assert list(store.entries(1)) == []


def test_a_long_log_is_read_whole_over_many_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.stores.log.PAGE", 7)
    entries = [entry(n) for n in range(1, 101) if n % 3 == 0 or n > 90]
    taken = {one.position for one in entries}
    committed(store, claimed(store), events=[event(n) for n in range(1, 101) if n not in taken], entries=entries)
    assert [one.position for one in store.entries(0)] == list(range(1, 101))
    reading = store.entries(0, after=10)
    assert next(reading).position == 11
    committed(store, claimed(store), events=[event(101)])
    assert [one.position for one in reading] == list(range(12, 101)), "as it stood when reading began"


def test_histories_come_account_by_account_whole_and_in_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [account_in(lane, name=name) for lane in (0, 3) for name in ("acme", "globex", "Ümlaut")]
    for lane in (0, 3):
        own = [name for name in names if lane_of(name, store.lanes) == lane]
        events = [event(n, own[n % 3], id=f"e{n * 37 % 23}") for n in range(1, 23)]
        committed(store, claimed(store, lane), events=events)
    told = {name: list(store.account_entries(name)) for name in store.accounts()}
    for page in (1, 2, 7, 8, 5_000):
        monkeypatch.setattr("engine.stores.log.PAGE", page)
        assert list(store.histories()) == [(name, told[name]) for name in sorted(names, key=str.encode)]
    last = max(names, key=str.encode)
    assert [name for name, _ in store.histories(after=sorted(names, key=str.encode)[-2])] == [last]
    assert list(store.histories(after=last)) == []
    assert sum(len(events) for _, events in store.histories(until_at=T0 + 5)) == 10, "those recorded by then"


def test_links_are_taken_back_by_report_and_period_and_last_longest(store: Store) -> None:
    assert store.revoked(ACME, "monthly", "2026-03") is None
    assert store.revoke(ACME, "monthly", "2026-03", note=Note(T0, "ann", "revoke report", {}))
    assert not store.revoke(ACME, "monthly", "2026-03", note=Note(T0 - 1, "ann", "revoke report", {})), "done already"
    assert store.revoke(ACME, "monthly", "2026-03", note=Note(T0 + 1, "ann", "revoke report", {}))
    assert store.revoked(ACME, "monthly", "2026-03") == T0 + 1
    others = ((OTHER, "monthly", "2026-03"), (ACME, "weekly", "2026-03"), (ACME, "monthly", "2026-04"))
    assert [store.revoked(*one) for one in others] == [None, None, None]
    assert noted(store) == ["revoke report", "revoke report"], "only what was done"


def test_many_accounts_are_asked_at_once_what_one_is_asked(store: Store) -> None:
    names = [account_in(0, name=name) for name in ("acme", "globex", "umbra")]
    traits = [
        Trait(names[0], "u1", "email", "a@acme.example", T0, 1),
        Trait(names[0], "u2", "name", None, T0, 1),
        Trait(names[1], "u1", "email", "g@globex.example", T0, 1),
    ]
    told = ["subscription.created", "subscription.cancelled", "subscription.renewed"]
    touches = [Touch(names[n], None, T0 + at, "subscription", told[at]) for n in range(3) for at in range(n + 1)]
    committed(store, claimed(store), events=[event(1)], traits=traits, touches=touches)
    people = store.people_of(names)
    assert people == {name: store.people(name) for name in names[:2]}
    for at in range(-1, 4):
        cancelled = {name for name in names if store.cancelled(name, at=T0 + at)}
        assert store.cancelled_of(names, at=T0 + at) == cancelled
    assert store.cancelled_of(names, at=T0 + 1) == {names[1], names[2]}


def test_stored_events_are_known_by_account_and_id(store: Store) -> None:
    sent = [event(1, id="é"), event(2, OTHER, id="é"), event(3, id='q"\\')]
    committed(store, claimed(store), events=sent)
    asked = [(ACME, "é"), (OTHER, "é"), (ACME, 'q"\\'), (OTHER, 'q"\\'), (ACME, "e")]
    assert store.existing(asked) == {
        (ACME, "é"): sent[0].digest,
        (OTHER, "é"): sent[1].digest,
        (ACME, 'q"\\'): sent[2].digest,
    }
    assert store.existing([]) == {}


def test_a_repeat_that_nobody_asked_about_is_refused_and_nothing_of_its_batch_stays(store: Store) -> None:
    claim = committed(store, claimed(store), events=[event(1, id="same")])
    with pytest.raises(Conflict) as refused:
        committed(store, claim, events=[event(2), event(3, id="same")], dead_letters=[letter(1)])
    assert ACME not in str(refused.value), "an error names no customer"
    assert (store.count_events(), store.dead_letters(), store.lane_infos(at=T0)[0].position) == (1, [], 1)
    assert committed(store, claim, events=[event(2)]).position == 2


@pytest.mark.parametrize("positions", [(0, 1), (2, 2), (5,)])
def test_positions_outside_the_batch_or_twice_are_refused(store: Store, positions: tuple[int, ...]) -> None:
    events = [event(position, id=f"x{n}") for n, position in enumerate(positions)]
    with pytest.raises(Conflict, match="positions"):
        committed(store, claimed(store), position=3, events=events)


def test_ids_are_ordered_by_their_bytes(store: Store) -> None:
    names = ["Z", "a", "B", "ä", "z", "é", "_", "10", "9", "\U0001f99c", "\uffee", "a b", "a-b", "ab"]
    committed(store, claimed(store), events=[event(n, name) for n, name in enumerate(names, start=1)])
    by_bytes = sorted(names, key=str.encode)
    assert store.accounts() == by_bytes
    assert store.count_accounts() == len(by_bytes)
    claim = claimed(store)
    store.put_snapshots(claim, [Snapshot(0, name, 1, "f", b"s") for name in names])
    assert [one.account_id for one in store.snapshots(0)] == by_bytes
    traits = [Trait(ACME, name, "name", name, T0, 1) for name in names]
    committed(store, claim, traits=traits)
    assert list(store.people(ACME)) == by_bytes


def test_several_lanes_commit_as_one(store: Store) -> None:
    claims = store.claim([2, 0, 1], OWNER, at=T0)
    assert [one.lane for one in claims] == [0, 1, 2]
    back = [batch(claims[2], events=[event(1, account_in(2))]), batch(claims[0], events=[event(1)])]
    assert [one.lane for one in store.commit(back)] == [2, 0]
    torn = [batch(claims[1], events=[event(1, account_in(1))]), batch(claims[0], events=[event(1, id="z")])]
    with pytest.raises(Fenced):
        store.commit(torn)
    assert store.count_events() == 2


def test_a_clock_may_move_without_events(store: Store) -> None:
    claim = committed(store, claimed(store), clock_at=T0 + 5)
    assert (claim.clock_at, claim.position) == (T0 + 5, 0)
    assert claimed(store) == msgspec.structs.replace(claim, epoch=2)


# -- decisions and mails -----------------------------------------------------------------------------------------------


def test_a_planned_decision_comes_back_whole_with_its_mails(store: Store) -> None:
    planned = decision(
        to=("u1", "ü2"),
        subject=Subject("ticket", "t1"),
        values={"rate": 0.1, "since": None},
        frozen={"account": {"plan": "gold"}},
    )
    committed(store, claimed(store), facts=[planned])
    assert store.decisions() == [planned]
    rows = store.outreach(decision_id=planned.decision_id)
    assert {row.to for row in rows} == {"u1", "ü2"}
    assert {(row.state, row.why, row.lane, row.rule, row.subject_id) for row in rows} == {
        ("queued", None, 0, "unused", "t1"),
    }
    assert rows[0].values == planned.values
    assert rows[0].frozen == planned.frozen
    assert [(c.seq, c.before, c.after, c.by) for c in store.changes(rows[0].outreach_id)] == [
        (1, None, "queued", "engine"),
    ]


def test_a_mail_for_review_waits_with_its_reason_and_a_draft_makes_no_mail(store: Store) -> None:
    facts = [
        decision("review", review=True),
        decision("draft", outcome="draft"),
        decision("out", outcome="held_out"),
    ]
    committed(store, claimed(store), facts=facts)
    (row,) = store.outreach()
    assert (row.rule, row.state, row.why) == ("review", "in_review", "looks odd")
    assert {one.outcome for one in store.decisions()} == {"planned", "draft", "held_out"}


def test_decisions_and_mails_can_be_asked_for(store: Store) -> None:
    claims = store.claim([0, 1], OWNER, at=T0)
    far = account_in(1)
    one, two = decision("a", at=T0), decision("b", OTHER, at=T0 + 2, due_at=T0)
    three = decision("a", far, at=T0 + 1)
    store.commit([batch(claims[0], facts=[two, one]), batch(claims[1], facts=[three])])
    assert store.decisions() == [one, three, two], "by instant"
    assert store.decisions(account_id=far) == store.decisions(lane=1) == [three]
    assert store.decisions(rule="a", limit=1) == [one]
    assert store.decisions(since=T0 + 1, until=T0 + 1) == [three]
    assert store.outreach()[0].rule == "b", "by due time"
    assert [row.rule for row in store.outreach(due_by=T0)] == ["b"]
    assert len(store.outreach(states=["queued"], rule="a")) == 2
    assert store.outreach(states=["accepted"]) == store.outreach(states=[]) == []
    assert [row.account_id for row in store.outreach(account_id=far, limit=5)] == [far]
    assert store.outreach(outreach_id=one.mails[0].outreach_id)[0].decision_id == one.decision_id


def test_a_withdrawn_decision_takes_its_mail_back_and_a_revived_one_brings_it_again(store: Store) -> None:
    planned = decision()
    claim = committed(store, claimed(store), facts=[planned])
    claim = committed(store, claim, facts=[ended(planned, T0 + 1), withdrawn(planned, T0 + 1)])
    (row,) = store.outreach()
    assert (row.state, row.why, row.state_at) == ("withdrawn", "used again", T0 + 1)
    assert store.decisions() == [withdrawn(planned, T0 + 1)]

    again = decision(at=T0 + 2, due_at=T0 + 9 * MINUTE, values={"usage": 0})
    claim = committed(store, claim, facts=[again])
    (row,) = store.outreach()
    assert (row.state, row.why, row.state_at, row.due_at, row.values) == (
        "queued",
        None,
        T0 + 2,
        T0 + 9 * MINUTE,
        {"usage": 0},
    )
    assert store.decisions() == [again]
    committed(store, claim, facts=[ended(again, T0 + 3), withdrawn(again, T0 + 3)])
    assert [(c.before, c.after, c.at) for c in store.changes(row.outreach_id)] == [
        (None, "queued", T0),
        ("queued", "withdrawn", T0 + 1),
        ("withdrawn", "queued", T0 + 2),
        ("queued", "withdrawn", T0 + 3),
    ]


def test_planned_ended_withdrawn_and_revived_within_one_batch_is_the_same_as_in_four(store: Store) -> None:
    there = account_in(0, name="initech")
    facts = [
        [
            (one := decision(account=account)),
            ended(one, T0 + 1),
            withdrawn(one, T0 + 1),
            decision(account=account, at=T0 + 2),
        ]
        for account in (ACME, there)
    ]
    claim = committed(store, claimed(store), facts=facts[0])
    for fact in facts[1]:
        claim = committed(store, claim, facts=[fact])
    here, far = (store.outreach(account_id=account)[0] for account in (ACME, there))
    assert [(c.seq, c.at, c.before, c.after, c.why, c.by) for c in store.changes(here.outreach_id)] == [
        (c.seq, c.at, c.before, c.after, c.why, c.by) for c in store.changes(far.outreach_id)
    ]
    assert (here.state, here.state_at, here.why) == (far.state, far.state_at, far.why) == ("queued", T0 + 2, None)


def test_a_revival_leaves_alone_what_the_sender_has_ended_otherwise(store: Store) -> None:
    planned = decision(to=("u1", "u2"))
    claim = committed(store, claimed(store), facts=[planned])
    sent, over = (mail.outreach_id for mail in planned.mails)
    store.move(sent, ["queued"], "accepted", at=T0 + 1, by="sender")
    store.move(over, ["queued"], "expired", at=T0 + 1, by="sender", why="too old")
    committed(store, claim, facts=[decision(at=T0 + 2, to=("u1", "u2", "u3"), values={"usage": 0})])
    states = {row.to: (row.state, row.values["usage"]) for row in store.outreach()}
    assert states == {"u1": ("accepted", 3), "u2": ("queued", 0), "u3": ("queued", 0)}


@pytest.mark.parametrize("state", ["posting", "accepted", "past", "withdrawn"])
def test_a_mail_on_its_way_cannot_be_taken_back_and_nothing_of_the_batch_stays(store: Store, state: Any) -> None:
    planned = decision()
    claim = committed(store, claimed(store), facts=[planned])
    store.move(planned.mails[0].outreach_id, ["queued"], state, at=T0 + 1, by="sender")
    late = decision("other", OTHER)
    with pytest.raises(Conflict, match=f"it is {state}"):
        committed(
            store,
            claim,
            events=[event(1)],
            entries=[entry(2)],
            facts=[late, withdrawn(planned, T0 + 2), ended(planned, T0)],
            traits=[Trait(ACME, "u1", "email", "a@b.c", T0, 1)],
            touches=[Touch(ACME, "u1", T0, "mail", "sent")],
            dead_letters=[letter(1)],
            offsets=[offset(None, 5)],
            shares=[Share(0, T0, {})],
        )
    assert store.decisions() == [planned]
    assert len(store.outreach()) == 1
    assert (list(store.entries(0)), store.offsets(), store.people(ACME), store.touches(ACME)) == ([], {}, {}, [])
    assert (store.dead_letters(), store.shares(), store.lane_infos(at=T0)[0].position) == ([], [], 0)


def test_a_mail_is_held_and_released_with_its_new_times(store: Store) -> None:
    planned = decision(review=True)
    name = planned.mails[0].outreach_id
    claim = committed(store, claimed(store), facts=[planned])
    claim = committed(store, claim, facts=[Held(planned.decision_id, name, T0 + 1, "source a is late", T0 + DAY)])
    (row,) = store.outreach()
    assert (row.state, row.why, row.due_at, row.expires_at) == ("held", "source a is late", T0 + DAY, T0 + DAY)
    assert store.outreach(due_by=T0 + DAY - 1) == [], "no sender asks for it"
    anew = msgspec.structs.replace(planned.mails[0], due_at=T0 + 5, expires_at=T0 + 9)
    committed(store, claim, facts=[Released(planned.decision_id, T0 + 2, anew)])
    (row,) = store.outreach()
    assert (row.state, row.why, row.due_at, row.expires_at) == ("in_review", "looks odd", T0 + 5, T0 + 9)
    assert [(c.before, c.after, c.at, c.why) for c in store.changes(name)] == [
        (None, "in_review", T0, "looks odd"),
        ("in_review", "held", T0 + 1, "source a is late"),
        ("held", "in_review", T0 + 2, "looks odd"),
    ]


def test_a_mail_that_is_born_held_waits_and_history_does_not_let_it_pass(store: Store) -> None:
    planned = decision()
    mail = msgspec.structs.replace(planned.mails[0], held="source a is late", held_until=T0 + DAY)
    planned = msgspec.structs.replace(planned, mails=(mail,))
    claim = committed(store, claimed(store), facts=[planned], clock_at=T0 + HOUR, history=True)
    (row,) = store.outreach()
    assert (row.state, row.why, row.due_at, row.expires_at) == ("held", "source a is late", T0 + DAY, T0 + DAY)
    assert store.decisions() == [planned]
    gone = Ended(planned.decision_id, mail.outreach_id, T0 + DAY, "held too long", "expired")
    claim = committed(store, claim, facts=[gone], clock_at=T0 + 2 * DAY, history=True)
    assert [(row.state, row.why) for row in store.outreach()] == [("expired", "held too long")]
    committed(store, claim, facts=[decision(at=T0 + 2 * DAY, due_at=T0 + 3 * DAY)])
    assert [(row.state, row.due_at) for row in store.outreach()] == [("queued", T0 + 3 * DAY)]


@pytest.mark.parametrize("state", ["posting", "accepted", "past"])
def test_a_mail_on_its_way_cannot_be_held(store: Store, state: Any) -> None:
    planned = decision()
    name = planned.mails[0].outreach_id
    claim = committed(store, claimed(store), facts=[planned])
    store.move(name, ["queued"], state, at=T0 + 1, by="sender")
    with pytest.raises(Conflict, match=f"it is {state}") as refused:
        committed(store, claim, facts=[Held(planned.decision_id, name, T0 + 1, "source a is late", T0 + DAY)])
    assert ("within five minutes" in str(refused.value)) == (state == "posting")


def test_a_mail_that_is_only_claimed_is_held_or_taken_back_and_whoever_claimed_it_finds_that(store: Store) -> None:
    plans = [decision("held"), decision("ended"), decision("anew")]
    names = [one.mails[0].outreach_id for one in plans]
    claim = committed(store, claimed(store), facts=plans)
    for name in names:
        store.move(name, ["queued"], "claimed", at=T0 + 1, by="sender")
    held = Held(plans[0].decision_id, names[0], T0 + 1, "source a is late", T0 + DAY)
    claim = committed(
        store,
        claim,
        facts=[held, *(fact for one in plans[1:] for fact in (ended(one, T0 + 1), withdrawn(one, T0 + 1)))],
    )
    anew = msgspec.structs.replace(plans[2], at=T0 + 2)
    committed(store, claim, facts=[anew])
    store.move(names[2], ["queued"], "claimed", at=T0 + 3, by="another sender")
    for name, plan in zip(names, plans, strict=True):
        step = Step(outreach_id=name, before=("claimed",), after="posting", planned_at=plan.at)
        assert not move_mail(store, [step], at=T0 + 4, by="sender"), "not even the one that another has claimed since"
    step = Step(outreach_id=names[2], before=("claimed",), after="posting", planned_at=anew.at)
    assert move_mail(store, [step], at=T0 + 4, by="another sender")
    assert {row.rule: row.state for row in store.outreach()} == {
        "held": "held",
        "ended": "withdrawn",
        "anew": "posting",
    }


def test_a_mail_in_doubt_whose_decision_is_taken_back_is_not_handed_over_again(store: Store) -> None:
    plan = decision()
    claim = committed(store, claimed(store), facts=[plan])
    name = plan.mails[0].outreach_id
    store.move(name, ["queued"], "in_doubt", at=T0 + 1, by="sender")
    again = Move(steps=(Step(outreach_id=name, before=("in_doubt",), after="posting"),), still=True)
    claim = committed(store, claim, facts=[ended(plan, T0 + 1), withdrawn(plan, T0 + 1)])
    assert store.move_mails([again], at=T0 + 2, by="sender") == [False]
    committed(store, claim, facts=[msgspec.structs.replace(plan, at=T0 + 3)])
    assert store.move_mails([again], at=T0 + 4, by="sender") == [True]


@pytest.mark.parametrize("state", ["suppressed", "failed", "in_doubt"])
def test_what_ended_without_a_word_to_the_engine_stops_no_lane(store: Store, state: Any) -> None:
    planned = decision()
    mail = planned.mails[0]
    claim = committed(store, claimed(store), facts=[planned])
    store.move(mail.outreach_id, ["queued"], state, at=T0 + 1, by="sender", why="said no")
    claim = committed(store, claim, facts=[Held(planned.decision_id, mail.outreach_id, T0 + 1, "late", T0 + DAY)])
    claim = committed(store, claim, facts=[Released(planned.decision_id, T0 + 2, mail)])
    committed(store, claim, facts=[ended(planned, T0 + 3), withdrawn(planned, T0 + 3)])
    assert [(row.state, row.why) for row in store.outreach()] == [(state, "said no")]


def test_a_mail_that_was_never_planned_cannot_be_taken_back(store: Store) -> None:
    with pytest.raises(Conflict, match="is not there"):
        committed(store, claimed(store), facts=[ended(decision(), T0)])


def test_history_lets_mails_pass_at_their_own_due_time(store: Store) -> None:
    soon, later = decision("soon", review=True), decision("later", due_at=T0 + 5 * MINUTE)
    claim = committed(store, claimed(store), facts=[soon, later], clock_at=T0 + MINUTE - 1, history=True)
    assert {row.state for row in store.outreach()} == {"in_review", "queued"}
    claim = committed(store, claim, clock_at=T0 + MINUTE, history=True)
    gone, waits = store.outreach()
    assert (gone.state, gone.why, gone.state_at, waits.state) == ("past", None, T0 + MINUTE, "queued")
    assert [(c.seq, c.before, c.after, c.at) for c in store.changes(gone.outreach_id)][1:] == [
        (2, "in_review", "past", T0 + MINUTE),
    ]
    committed(store, claim, clock_at=T0 + 9 * MINUTE)
    assert store.outreach()[1].state == "queued", "live, the sender decides"


def test_what_is_too_old_as_it_is_decided_waits_for_nobody(store: Store) -> None:
    old = decision("old", due_at=T0 - 2 * HOUR, review=True)
    held = msgspec.structs.replace(old.mails[0], held="late", held_until=T0 + HOUR, outreach_id="held")
    claim = committed(store, claimed(store), facts=[msgspec.structs.replace(old, mails=(old.mails[0], held))])
    assert [(row.outreach_id, row.state) for row in store.outreach()] == [
        (old.mails[0].outreach_id, "past"),
        ("held", "held"),
    ]
    (step,) = store.changes(old.mails[0].outreach_id)
    assert (step.before, step.after, step.at) == (None, "past", T0 - 2 * HOUR)
    committed(store, claim, facts=[Released(old.decision_id, T0, msgspec.structs.replace(held, held=None))])


def test_history_passes_only_its_own_lane(store: Store) -> None:
    here, far = store.claim([0, 1], OWNER, at=T0)
    committed(store, far, facts=[decision(account=account_in(1))], clock_at=T0, history=True)
    committed(store, here, facts=[decision()], clock_at=T0 + MINUTE, history=True)
    assert {row.lane: row.state for row in store.outreach()} == {0: "past", 1: "queued"}


def test_history_lets_pass_nothing_that_was_decided_live(store: Store) -> None:
    def imports(*facts: Any, clock_at: int) -> None:
        claim = committed(store, claimed(store, owner="import"), facts=facts, clock_at=clock_at, history=True)
        store.release([claim])

    def states() -> dict[str, str]:
        return {row.rule: row.state for row in store.outreach()}

    imports(decision("first", due_at=T0 + 2 * MINUTE), clock_at=T0 + 1)
    imports(clock_at=T0 + 2 * MINUTE)
    assert states() == {"first": "past"}, "a history in two pieces is one history"
    # What still waits when somebody begins to live there is looked at, and sent, like all that comes after it.
    imports(decision("waits", due_at=T0 + 3 * MINUTE), clock_at=T0 + 2 * MINUTE + 1)
    assert not any(info.lived for info in store.lane_infos(at=T0)), "nobody lived here yet"
    mine = claimed(store, owner="worker")
    claim = committed(store, mine, facts=[decision("live", review=True), decision("again", due_at=T0 + DAY)])
    again = decision("again", due_at=T0 + DAY)
    claim = committed(store, claim, facts=[ended(again, T0 + MINUTE), withdrawn(again, T0 + MINUTE)])
    store.release([claim])
    revived = decision("again", at=T0 + 2 * HOUR, due_at=T0 + 3 * HOUR)
    imports(decision("past", due_at=T0 + 2 * HOUR), revived, clock_at=T0 + 4 * HOUR)
    imports(clock_at=T0 + 2 * DAY)
    assert states() == {"first": "past", "waits": "queued", "live": "in_review", "again": "past", "past": "past"}
    assert [info.lane for info in store.lane_infos(at=T0) if info.lived] == [0]


def test_a_live_owner_that_wrote_nothing_leaves_history_as_it_is(store: Store) -> None:
    store.release([committed(store, claimed(store), facts=[decision()], clock_at=T0, history=True)])
    store.release([claimed(store, owner="worker")])
    committed(store, claimed(store), clock_at=T0 + DAY, history=True)
    assert {row.state for row in store.outreach()} == {"past"}


# -- the sender's side -------------------------------------------------------------------------------------------------


def test_a_mail_moves_only_from_a_state_it_is_in(store: Store) -> None:
    planned = decision()
    committed(store, claimed(store), facts=[planned])
    mail = planned.mails[0].outreach_id
    assert not store.move(mail, ["claimed"], "posting", at=T0 + 1, by="sender", inbox=[(ACME, "event", b"{}")])
    assert not store.move("nobody", ["queued"], "claimed", at=T0 + 1, by="sender")
    assert store.inbox(0, after=0) == []
    assert store.move(mail, ["held", "queued"], "held", at=T0 + 1, by="sender", why="quiet hours")
    assert store.move(mail, ["held"], "claimed", at=T0 + 2, by="sender", inbox=[(ACME, "event", b"{}")])
    row = store.outreach()[0]
    assert (row.state, row.why, row.state_at) == ("claimed", None, T0 + 2)
    assert [(c.before, c.after, c.why, c.by) for c in store.changes(mail)][1:] == [
        ("queued", "held", "quiet hours", "sender"),
        ("held", "claimed", None, "sender"),
    ]
    assert [(one.seq, one.kind, one.at, one.body) for one in store.inbox(0, after=0)] == [(1, "event", T0 + 2, b"{}")]


def test_of_two_senders_exactly_one_claims_a_mail(store: Store) -> None:
    plans = [decision(f"r{n}") for n in range(20)]
    committed(store, claimed(store), facts=plans)
    start = threading.Barrier(2)
    won: dict[str, list[str]] = {"a": [], "b": []}

    def send(name: str) -> None:
        start.wait()
        for plan in plans:
            mail = plan.mails[0].outreach_id
            if store.move(mail, ["queued"], "claimed", at=T0, by=name, inbox=[(ACME, "event", name.encode())]):
                won[name].append(mail)

    threads = [threading.Thread(target=send, args=(name,)) for name in won]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won["a"] + won["b"]) == sorted(plan.mails[0].outreach_id for plan in plans)
    assert {c.by for plan in plans for c in store.changes(plan.mails[0].outreach_id)[1:]} == {
        name for name, mails in won.items() if mails
    }
    assert [one.seq for one in store.inbox(0, after=0)] == list(range(1, 21))


def test_a_mail_is_claimed_with_all_its_rows_unless_somebody_objects(store: Store) -> None:
    one, two, early = decision("one", due_at=T0), decision("two", due_at=T0), decision("three", due_at=T0 + 1)
    committed(store, claimed(store), facts=[one, two, early])
    first, second, third = (fact.mails[0].outreach_id for fact in (one, two, early))
    known: dict[str, Any] = {"account_id": ACME, "person": "ada", "since": T0 - 1, "at": T0, "by": "sender"}
    seen: list[Any] = []

    def no(standing: Any) -> str:
        seen.append((standing.contacts, standing.wishes))
        return "no"

    assert claim_mail(store, [first, second], may=no, **known) == ([], "no")
    assert seen == [([], Wishes())]
    assert {row.state for row in store.outreach()} == {"queued"}
    assert claim_mail(store, [first, third, second], may=lambda _: None, **known) == ([first, second], None)
    assert claim_mail(store, [first], may=no, **known) == ([], "no")
    assert claim_mail(store, [first], may=lambda _: None, **known) == ([], None), "it is claimed already"
    (contact,) = [one for one in store.contacts("elsewhere", "ada", since=T0) if one.kind == "one"]
    assert (contact.at, contact.channel, contact.account_id, contact.person, contact.user_id) == (
        T0,
        "mail",
        ACME,
        "ada",
        "u1",
    )
    assert store.contacts(ACME, "", since=T0 + 1) == []
    store.move(first, ["claimed"], "queued", at=T0, by="sender")
    store.move(second, ["claimed"], "failed", at=T0, by="sender")
    assert store.contacts(ACME, "ada", since=T0) == []


def test_notes_to_one_of_us_are_counted_by_mail_over_all_accounts(store: Store) -> None:
    plans = [
        decision(name, account=account, due_at=T0) for name, account in (("one", ACME), ("two", OTHER), ("three", ACME))
    ]
    ours = [
        msgspec.structs.replace(plan, mails=(msgspec.structs.replace(plan.mails[0], audience="staff"),))
        for plan in plans
    ]
    committed(store, claimed(store), facts=ours)
    first, second, third = (one.mails[0].outreach_id for one in ours)
    known: Any = {"account_id": ACME, "person": "mara", "since": T0, "at": T0, "by": "sender", "ours": True}
    seen: list[Any] = []

    def may(past: Any) -> None:
        seen.append([(one.at, one.channel, one.person) for one in past.contacts])

    assert claim_mail(store, [first, second], may=may, **known) == ([first, second], None)
    assert claim_mail(store, [third], may=may, **known) == ([third], None)
    assert seen == [[], [(T0, "note", "mara")]], "two notes of two accounts were one mail"
    assert store.contacts(ACME, "mara", since=T0) == [], "no contact with a customer"


def test_human_contact_stands_beside_the_mails(store: Store) -> None:
    kinds = {"call.answered": "call", "outreach.sent": "mail", "outreach.replied": "mail"}
    touches = [Touch(ACME, "u1", T0 + at, channel, kind) for at, (kind, channel) in enumerate(kinds.items())]
    committed(store, claimed(store), touches=touches)
    found = store.contacts(ACME, "ada", since=T0)
    assert [(one.channel, one.kind, one.user_id) for one in found] == [
        ("call", "call.answered", "u1"),
        ("reply", "outreach.replied", "u1"),
    ]


@pytest.mark.slow
def test_two_senders_at_once_never_count_the_same_past(durable: Store) -> None:
    facts = [decision(f"rule-{number}", due_at=T0) for number in range(12)]
    committed(durable, claimed(durable), facts=facts)

    def claim(sender: str) -> int:
        known: dict[str, Any] = {"account_id": ACME, "person": "ada", "since": T0 - 1, "at": T0, "by": sender}
        rows = [fact.mails[0].outreach_id for fact in facts]
        if sender == "b":
            rows.reverse()

        def may(standing: Any) -> str | None:
            time.sleep(0.01)  # wide open for the other one, if it could come in
            return "enough" if len(standing.contacts) >= 3 else None

        return sum(len(claim_mail(durable, [row], may=may, **known)[0]) for row in rows)

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(claim, "ab")) == 3


def test_an_owner_and_a_sender_at_once_never_both_have_a_mail(durable: Store) -> None:
    store = durable
    plans = [decision(f"r{n}") for n in range(20)]
    claim = committed(store, claimed(store), facts=plans)
    start = threading.Barrier(2)
    sent: list[str] = []

    def send() -> None:
        start.wait()
        mails = [plan.mails[0].outreach_id for plan in plans]
        mine = [one for one in mails if store.move(one, ["queued"], "claimed", at=T0, by="sender")]
        sent.extend(one for one in mine if store.move(one, ["claimed"], "posting", at=T0, by="sender"))

    sender = threading.Thread(target=send)
    sender.start()
    start.wait()
    taken = []
    for plan in reversed(plans):
        mail = plan.mails[0].outreach_id
        try:
            claim = committed(store, claim, facts=[ended(plan, T0), withdrawn(plan, T0)])
        except Conflict:
            assert store.outreach(outreach_id=mail)[0].state == "posting"
        else:
            taken.append(mail)
    sender.join()
    assert sorted(sent + taken) == sorted(plan.mails[0].outreach_id for plan in plans)


def test_owners_of_different_lanes_and_a_sender_do_not_disturb_each_other(durable: Store) -> None:
    store = durable
    failed: list[BaseException] = []

    def own(lane: int) -> None:
        account = account_in(lane)
        claim = claimed(store, lane, f"desk:{lane}:x")
        for n in range(1, 13):
            moved = offset(n - 1 if n > 1 else None, n, partition=lane)
            claim = committed(
                store, claim, events=[event(n, account)], facts=[decision(f"r{n}", account)], offsets=[moved]
            )

    def send() -> None:
        for n in range(30):
            lane = n % 2
            store.put_inbox([(account_in(1 - lane), "entry", b"{}"), (account_in(lane), "event", b"{}")], at=T0)
            for row in store.outreach(states=["queued"], limit=2):
                store.move(
                    row.outreach_id, ["queued"], "claimed", at=T0, by="s", inbox=[(row.account_id, "event", b"")]
                )

    def guarded(work: Callable[..., None], *given_: int) -> None:
        try:
            work(*given_)
        except BaseException as err:  # noqa: BLE001 a thread's failure must fail the test
            failed.append(err)

    threads = [threading.Thread(target=guarded, args=args) for args in ((own, 0), (own, 1), (send,), (send,))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert store.count_events() == 24
    for lane in (0, 1):
        seqs = [one.seq for one in store.inbox(lane, after=0)]
        assert seqs == list(range(1, len(seqs) + 1))


def test_letters_wait_in_order_until_the_owner_has_taken_them_in(store: Store) -> None:
    far = account_in(1)
    store.put_inbox([(ACME, "event", b"1"), (far, "entry", b"2"), (OTHER, "entry", b"3")], at=T0)
    store.put_inbox([(ACME, "event", b"4")], at=T0 + 1)
    assert [(one.seq, one.body) for one in store.inbox(0, after=0)] == [(1, b"1"), (2, b"3"), (3, b"4")]
    assert [(one.lane, one.kind, one.body) for one in store.inbox(1, after=0)] == [(1, "entry", b"2")]
    claim = committed(store, claimed(store), inbox_seq=2)
    assert claim.inbox_seq == 2
    assert [one.seq for one in store.inbox(0, after=0)] == [3], "what was taken in is gone"
    assert [one.body for one in store.inbox(0, after=claim.inbox_seq)] == [b"4"]
    store.put_inbox([(ACME, "event", b"5")], at=T0)
    assert committed(store, claim).inbox_seq == 2, "a batch that takes nothing in leaves it"
    assert [one.seq for one in store.inbox(0, after=3)] == [4], "numbers are never used again"


# -- beside the log ----------------------------------------------------------------------------------------------------


def test_the_newest_trait_wins_in_whatever_order_they_come(store: Store) -> None:
    def trait(name: str, value: Any, time: int, position: int) -> Trait:
        return Trait(ACME, "u1", name, value, T0 + time, position)

    claim = committed(
        store,
        claimed(store),
        traits=[trait("email", "new@x.y", 5, 2), trait("email", "old@x.y", 4, 3), trait("name", "Zoë", 1, 1)],
    )
    claim = committed(store, claim, traits=[trait("email", "late@x.y", 3, 9), trait("name", "Zoé", 1, 4)])
    assert store.people(ACME) == {"u1": {"email": "new@x.y", "name": "Zoé"}}
    claim = committed(store, claim, traits=[trait("email", None, 6, 10), trait("phone", {"n": Decimal("1.0")}, 1, 1)])
    committed(store, claim, traits=[trait("email", "older@x.y", 5, 11)])
    assert store.people(ACME) == {"u1": {"name": "Zoé", "phone": {"n": Decimal("1.0")}}}, "cleared stays cleared"


def test_touches_are_kept_oldest_first(store: Store) -> None:
    touches = [Touch(ACME, "u1", T0 + 2, "mail", "sent"), Touch(ACME, None, T0 + 1, "call", "answered")]
    claim = committed(store, claimed(store), touches=[*touches, Touch(OTHER, None, T0, "mail", "sent")])
    committed(store, claim, touches=[Touch(ACME, "u2", T0 + 2, "mail", "sent")])
    assert store.touches(ACME) == [touches[1], touches[0], Touch(ACME, "u2", T0 + 2, "mail", "sent")]
    assert len(store.touches(ACME, since=T0 + 2)) == 2


def test_an_address_once_suppressed_stays_so_for_its_first_reason(store: Store) -> None:
    key = store.key("ann@example.org")
    assert store.suppressed(key) is None
    assert store.suppress(key, reason="complained", at=T0, note=Note(T0, "ann", "complaint", {}))
    assert not store.suppress(key, reason="bounced", at=T0 + 1, note=Note(T0, "ann", "bounce", {}))
    assert store.suppressed(key) == "complained"
    assert store.suppressions() == [Suppression(key, "complained", T0)]
    assert noted(store) == ["complaint"]


def test_a_suppression_can_be_taken_back_and_what_the_reader_chose_stays(store: Store) -> None:
    store.choose("ada", {"tips": "out"}, at=T0, by="page")
    store.suppress("ada", reason="bounced", at=T0)
    assert store.unsuppress("ada", note=Note(T0, "ann", "unsuppress", {}))
    assert not store.unsuppress("ada", note=Note(T0, "ann", "unsuppress", {}))
    assert store.wishes("ada") == Wishes(None, {"tips": "out"})
    assert noted(store) == ["unsuppress"]


def test_the_last_choice_for_a_topic_counts_and_one_for_all_topics_takes_the_place_of_them(store: Store) -> None:
    assert store.choose("ada", {"tips": "out", "help": "in"}, at=T0, by="page")
    assert not store.choose("ada", {"tips": "out"}, at=T0 + 1, by="page"), "nothing new"
    assert store.choose("ada", {"tips": "in", "help": None}, at=T0 + 2, by="page")
    assert store.wishes("ada") == Wishes(None, {"tips": "in"})
    assert store.choices() == [Chosen("ada", "tips", "in", T0 + 2, "page")]
    assert store.choose("ada", {ALL_TOPICS: "out"}, at=T0 + 3, by="one-click")
    assert not store.choose("ada", {ALL_TOPICS: "out"}, at=T0 + 4, by="one-click")
    assert store.choices() == [Chosen("ada", ALL_TOPICS, "out", T0 + 3, "one-click")]
    assert store.wishes("eve") == Wishes()


def test_word_of_a_choice_is_left_with_it_and_once(store: Store) -> None:
    more: dict[str, Any] = {"note": Note(T0, "page", "choose", {}), "inbox": [(ACME, "event", b"{}")]}
    for _ in range(2):
        store.choose("ada", {"tips": "out"}, at=T0, by="page", **more)
    assert len(store.inbox(lane_of(ACME, store.lanes), after=0)) == 1
    assert noted(store) == ["choose"]


def test_an_address_is_not_suppressed_between_the_question_and_the_claim(durable: Store) -> None:
    about = decision("one", due_at=T0)
    committed(durable, claimed(durable), facts=[about])
    known: dict[str, Any] = {"account_id": ACME, "person": "ada", "since": T0 - 1, "at": T0, "by": "sender"}
    order: list[str] = []

    def stop() -> None:
        durable.choose("ada", {"tips": "out"}, at=T0, by="page")
        order.append("stopped")

    def may(standing: Any) -> str | None:
        asked.append(pool.submit(stop))
        time.sleep(0.3)  # wide open, if a reader's choice could come in
        order.append("asked")
        return "out" if standing.wishes.choices else None

    asked: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        assert claim_mail(durable, [about.mails[0].outreach_id], may=may, **known)[1] is None
    assert order == ["asked", "stopped"]
    objection = claim_mail(durable, [about.mails[0].outreach_id], may=lambda one: one.wishes.choices, **known)[1]
    assert objection == {"tips": "out"}


def test_a_dead_letter_is_found_by_how_its_id_begins_and_may_get_another_reason(store: Store) -> None:
    store.put_dead_letters([letter(1), letter(12), letter(2), letter(100)])
    assert [one.dead_letter_id for one in store.dead_letters(begins="d1")] == ["d1", "d12", "d100"]
    assert store.dead_letters(begins="%") == []
    assert store.dead_letter_ids() == {"d1", "d12", "d2", "d100"}
    store.blame_dead_letters({"d12": "still \0 no JSON", "d9": "gone"})
    store.blame_dead_letters({})
    assert [one.reason for one in store.dead_letters(begins="d1")] == ["no JSON", "still \\x00 no JSON", "no JSON"]


def test_a_dead_letter_goes_with_the_batch_that_takes_it_in_or_not_at_all(store: Store) -> None:
    store.put_dead_letters([letter(n) for n in range(1_200)])
    retried = [f"d{n}" for n in range(1_100)]
    claim = claimed(store)
    claimed(store, take_over=True)
    with pytest.raises(Fenced):
        store.commit([batch(claim, events=[event(1)], retried=retried)])
    assert len(store.dead_letter_ids()) == 1_200
    committed(store, claimed(store, take_over=True), events=[event(1)], retried=[*retried, "d9999"])
    assert (store.count_events(), len(store.dead_letter_ids())) == (1, 100)


def test_a_dead_letter_is_kept_once_and_whole(store: Store) -> None:
    hostile = msgspec.structs.replace(letter(3, raw=b"\xff\x00{"), account_id="a\0b", reason="bad \ud800", where="\0")
    claim = committed(store, claimed(store), dead_letters=[letter(1), letter(2, source="b"), letter(1)])
    committed(store, claim, dead_letters=[letter(1)])
    assert store.put_dead_letters([letter(2, source="b"), hostile]) == 1
    assert store.put_dead_letters([]) == 0
    assert [one.dead_letter_id for one in store.dead_letters()] == ["d1", "d2", "d3"]
    found = store.dead_letters()[2]
    assert (found.raw, found.account_id, found.reason, found.where) == (b"\xff\x00{", "a\\x00b", "bad \\ud800", "\\x00")
    assert store.dead_letters(source="b", limit=1) == [letter(2, source="b")]
    assert store.drop_dead_letters(["d1", "d9"]) == 1
    assert [one.dead_letter_id for one in store.dead_letters()] == ["d2", "d3"]


def test_a_rulebook_is_kept_under_its_fingerprint(store: Store) -> None:
    store.put_rulebook("f1", {"churn.yml": "rule: é"}, at=T0)
    store.put_rulebook("f1", {"churn.yml": "other"}, at=T0 + 1)
    assert store.rulebook("f1") == {"churn.yml": "rule: é"}
    assert store.rulebook("f2") is None


def test_the_last_activation_in_the_lane_counts(store: Store) -> None:
    assert store.active_rulebook(0) is None
    activated = [entry(n, "rulebook.activated", fingerprint=f"f{n}") for n in (1, 2)]
    committed(store, claimed(store), entries=[*activated, entry(3)])
    assert (store.active_rulebook(0), store.active_rulebook(1)) == ("f2", None)


def test_snapshots_are_the_newest_per_account_and_may_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.stores.kept.PAGE", 2)
    claim = claimed(store)
    first = [Snapshot(0, f"a{n}", 5, "f", bytes([n])) for n in range(5)]
    store.put_snapshots(claim, first)
    store.put_snapshots(claim, [Snapshot(0, "a1", 6, "g", b"new"), Snapshot(0, "a2", 4, "f", b"old")])
    store.put_snapshots(claim, [])
    assert list(store.snapshots(0)) == [first[0], Snapshot(0, "a1", 6, "g", b"new"), *first[2:]]
    assert list(store.snapshots(1)) == []
    assert store.delete_snapshots() == 5
    assert list(store.snapshots(0)) == []


def test_shares_come_by_instant_and_lane(store: Store) -> None:
    claims = store.claim([0, 1], OWNER, at=T0)
    late, early, far = Share(0, T0 + 2, {"mrr": Decimal("0.1")}), Share(0, T0, {}), Share(1, T0, {"mrr": None})
    done = store.commit([batch(claims[1], shares=[far]), batch(claims[0], shares=[late, early])])
    assert store.shares() == [early, far, late]
    assert store.shares(after=T0) == [late]
    committed(store, done[1], shares=[Share(0, T0 + 2, {"mrr": 2})])
    assert store.shares(after=T0) == [Share(0, T0 + 2, {"mrr": 2})]


def test_a_key_is_the_store_s_own(store: Store) -> None:
    other = open_store("sqlite://")
    assert store.key("a") == store.key("a")
    assert len(store.key("a")) == 64
    assert store.key("a") != store.key("b")
    assert store.key("a") != other.key("a")
    other.close()


# -- never, and the same -----------------------------------------------------------------------------------------------

_steps = st.lists(
    st.tuples(st.sampled_from(["plan", "end", "sent", "expire"]), st.integers(0, 2), st.booleans()),
    max_size=14,
)


@given(steps=_steps)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mail_s_life_is_unbroken_and_its_end_is_its_state(store: Store, steps: list[tuple[str, int, bool]]) -> None:
    claim = claimed(store, take_over=True)
    rules = [f"{claim.epoch}-{n}" for n in range(3)]
    waiting: list[Any] = []
    for at, (step, n, now) in enumerate(steps, start=T0):
        plan = decision(rules[n], at=at)
        if step == "plan":
            waiting.append(plan)
        elif step == "end":
            waiting += [ended(plan, at), withdrawn(plan, at)]
        else:
            store.move(
                plan.mails[0].outreach_id, ["queued"], "accepted" if step == "sent" else "expired", at=at, by="s"
            )
        if now and waiting:
            facts, waiting = waiting, []
            try:
                claim = committed(store, claim, facts=facts)
            except Conflict:
                continue
    for row in (row for rule in rules for row in store.outreach(rule=rule)):
        life = store.changes(row.outreach_id)
        assert [c.seq for c in life] == list(range(1, len(life) + 1))
        assert [c.before for c in life] == [None, *(c.after for c in life[:-1])]
        assert (life[-1].after, life[-1].at) == (row.state, row.state_at)


_bodies = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    st.one_of(
        st.integers(),
        st.booleans(),
        st.none(),
        st.decimals(allow_nan=False, allow_infinity=False, places=3),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    ),
    max_size=4,
)
_names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@given(bodies=st.lists(st.tuples(_names, _names, _bodies), max_size=6, unique_by=lambda one: one[1]))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_goes_in_comes_out_the_same(store: Store, bodies: list[tuple[str, str, dict[str, Any]]]) -> None:
    claim = claimed(store, take_over=True)
    encode = msgspec.json.Encoder(decimal_format="number").encode
    sent = [
        event(claim.position + n, account, id=f"{claim.epoch}{name}", body=encode(body))
        for n, (account, name, body) in enumerate(bodies, start=1)
    ]
    committed(store, claim, events=sent)
    assert list(store.entries(0, after=claim.position)) == [one.recorded for one in sent]
    ids = [(one.recorded.account_id, one.recorded.event.id) for one in sent]
    assert store.existing(ids) == {pair: one.digest for pair, one in zip(ids, sent, strict=True)}


def test_an_offset_remembers_the_topic_it_counts_in_until_it_is_told_another(store: Store) -> None:
    claim = claimed(store)
    claim = committed(store, claim, offsets=[Offset("k", "usage", 0, None, 3), Offset("k", "support", 0, None, 1, "a")])
    assert store.logs() == {("k", "support", 0): "a"}
    claim = committed(store, claim, offsets=[Offset("k", "usage", 0, 3, 4, "b"), Offset("k", "support", 0, 1, 2)])
    assert store.logs() == {("k", "support", 0): "a", ("k", "usage", 0): "b"}
    committed(store, claim, offsets=[Offset("k", "support", 0, 2, 0, "c")])
    assert store.logs()["k", "support", 0] == "c"
    assert store.offsets() == {("k", "support", 0): 0, ("k", "usage", 0): 4}


# -- the stop switch -------------------------------------------------------------------------------------------------


def _stop(scope: StopScope = "all", name: str = "", *, at: int = T0, per_hour: int | None = None) -> Stop:
    return Stop(scope, name, at, "ann@desk", "a wrong number", per_hour)


def test_a_stop_stands_until_somebody_lets_it_go_on_and_keeps_its_first_reason(store: Store) -> None:
    assert store.stop(_stop("rule", "r"))
    assert not store.stop(_stop("rule", "r", at=T0 + 1))
    assert store.stop(_stop(at=T0 + 2))
    assert [(one.scope, one.at, one.who, one.why) for one in store.stops()] == [
        ("rule", T0, "ann@desk", "a wrong number"),
        ("all", T0 + 2, "ann@desk", "a wrong number"),
    ]
    assert store.go(_stop("rule", "r", at=T0 + 3, per_hour=9)) == _stop("rule", "r")
    assert [(one.at, one.per_hour) for one in store.stops()] == [(T0 + 2, None), (T0 + 3, 9)]
    assert store.stop(_stop("rule", "r", at=T0 + 4)), "what goes on slowly can be stopped again"
    assert store.go(_stop("rule", "r")) is not None
    assert store.go(_stop("rule", "r")) is None
    assert [one.scope for one in store.stops()] == ["all"]


def _posting(row: str) -> Step:
    return Step(outreach_id=row, before=("claimed",), after="posting")


def test_no_mail_is_handed_over_once_it_is_stopped(store: Store) -> None:
    one, two = decision("one", due_at=T0), decision("two", due_at=T0)
    committed(store, claimed(store), facts=[one, two])
    first, second = (fact.mails[0].outreach_id for fact in (one, two))
    for row in (first, second):
        assert store.move(row, ["queued"], "claimed", at=T0, by="s")
    for stop in (_stop(), _stop("channel", "smtp"), _stop("rule", "one"), _stop("account", ACME)):
        store.stop(stop)
        assert not move_mail(store, [_posting(first)], at=T0, by="s", unless_stopped="smtp"), stop
        store.go(stop)
    for stop in (_stop("channel", "file"), _stop("rule", "two"), _stop("account", OTHER)):
        store.stop(stop)
    assert move_mail(store, [_posting(first)], at=T0, by="s", unless_stopped="smtp")
    assert not move_mail(store, [_posting(second)], at=T0, by="s", unless_stopped="smtp")


def test_who_claims_a_mail_is_told_what_is_stopped_and_what_goes_on_slowly(store: Store) -> None:
    plans = [decision(f"r{n}", due_at=T0) for n in range(4)]
    committed(store, claimed(store), facts=plans)
    ids = [plan.mails[0].outreach_id for plan in plans]
    for stop in (_stop("rule", "r0"), _stop("rule", "r1"), _stop("channel", "smtp"), _stop("account", OTHER)):
        store.stop(stop)
    store.go(_stop("channel", "smtp", at=T0 + 5, per_hour=2))
    told: list[Standing] = []

    def may(standing: Standing) -> None:
        told.append(standing)

    for row in ids:
        known: dict[str, Any] = {"account_id": ACME, "person": "ada", "since": T0 - 1, "at": T0 + 9, "by": "sender"}
        assert claim_mail(store, [row], may=may, channel="smtp", **known)[0] == [row]
    assert [sorted(stop.name for stop in one.stops) for one in told] == [
        ["r0", "smtp"],
        ["r1", "smtp"],
        ["smtp"],
        ["smtp"],
    ]
    assert [[(ramp.since, ramp.hour) for ramp in one.ramps] for one in told] == [[(n, n)] for n in range(4)]


def test_an_account_that_is_forgotten_is_no_longer_stopped_by_its_name(store: Store) -> None:
    store.stop(_stop("account", ACME))
    store.stop(_stop("account", OTHER))
    store.forget_account(claimed(store), ACME, at=T0)
    assert [one.name for one in store.stops()] == [OTHER]


def test_a_stop_waits_for_who_is_just_claiming_and_comes_after(durable: Store) -> None:
    committed(durable, claimed(durable), facts=[decision("one", due_at=T0)])
    turned = threading.Thread(target=lambda: durable.stop(_stop()))

    def may(_: Standing) -> None:
        turned.start()
        turned.join(0.3)
        assert turned.is_alive(), "else a mail would be claimed after a stop that it did not see"

    known: dict[str, Any] = {"account_id": ACME, "person": "ada", "since": T0 - 1, "at": T0, "by": "sender"}
    assert len(claim_mail(durable, [decision("one").mails[0].outreach_id], may=may, **known)[0]) == 1
    turned.join(10)
    assert len(durable.stops()) == 1


@pytest.mark.slow
def test_what_is_handed_over_after_a_stop_was_handed_over_before_it(durable: Store) -> None:
    plans = [decision(f"r{n}", due_at=T0) for n in range(60)]
    committed(durable, claimed(durable), facts=plans)
    for plan in plans:
        durable.move(plan.mails[0].outreach_id, ["queued"], "claimed", at=T0, by="s")
    start, stopped = threading.Barrier(3), threading.Event()
    late: list[bool] = []

    def post(half: int) -> int:
        start.wait()
        posted = 0
        for plan in plans[half::2]:
            was = stopped.is_set()
            done = move_mail(durable, [_posting(plan.mails[0].outreach_id)], at=T0, by="s", unless_stopped="x")
            late.append(done and was)
            posted += done
        return posted

    def stop() -> int:
        start.wait()
        time.sleep(0.01)
        durable.stop(_stop())
        stopped.set()
        return 0

    with ThreadPoolExecutor(3) as pool:
        posts = [pool.submit(post, half) for half in (0, 1)]
        pool.submit(stop).result()
        assert sum(one.result() for one in posts) > 0
    assert not any(late)


@pytest.mark.slow
def test_two_senders_at_once_never_both_let_a_rule_s_last_mail_out(durable: Store) -> None:
    names = [account_in(lane, name=f"n{n}") for n in range(2) for lane in range(8)]
    for name in names:
        lane = lane_of(name, durable.lanes)
        committed(durable, claimed(durable, lane, take_over=True), facts=[decision("r", name, due_at=T0)])

    def claim(sender: str) -> int:
        def may(standing: Standing) -> str | None:
            time.sleep(0.01)  # wide open for the other one, if it could come in
            return "enough" if standing.mails.within >= 3 else None

        found = 0
        for name in names if sender == "a" else names[::-1]:
            known: dict[str, Any] = {"account_id": name, "person": name, "since": 0, "at": T0, "by": sender, "may": may}
            row = decision("r", name).mails[0].outreach_id
            found += len(claim_mail(durable, [row], watch=Watch("r", T0 - 1, T0 - 1, 0, 0), **known)[0])
        return found

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(claim, "ab")) == 3
