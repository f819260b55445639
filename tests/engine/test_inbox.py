"""A dead letter that is tried again: its state is as if it had been good, whoever asked for it and how often."""

import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import inbox, replay
from engine.assigned import Arrival, AssignedKeeper, LanePart
from engine.events import Arrived, encode_event
from engine.instants import DAY
from engine.lanes import lane_of
from engine.log import Recorded
from engine.questions import account
from engine.store import DeadLetter, Store
from engine.stores import open_store
from tests.engine.test_assigned import LANES, MONDAY, WALL, book_of, history

END = MONDAY + 8 * DAY


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://", lanes=LANES)
    yield opened
    opened.close()


def letter_of(one: Arrived, raw: bytes = b"{broken") -> DeadLetter:
    return DeadLetter(f"d-{one.event.id}", "usage", f"0:{one.event.id[1:]}", "no JSON", raw, one.event.time)


def keeper_of(store: Store) -> AssignedKeeper:
    keeper = AssignedKeeper(store, book_of(), "w", source="log", at=WALL)
    keeper.assign(range(LANES), at=WALL, take_over=True)
    return keeper


def take(keeper: AssignedKeeper, events: list[Arrived], bad: set[str]) -> None:
    """Each lane's events as they were recorded; of the bad ones only dead letters."""
    for lane in range(LANES):
        mine = [one for one in events if lane_of(one.event.account_id, LANES) == lane]
        good = [Arrival(one, one.event.time) for one in mine if one.event.id not in bad]
        letters = [letter_of(one) for one in mine if one.event.id in bad]
        keeper.take_parts([LanePart(lane=lane, arrivals=good, letters=letters)], at=WALL)


def hand_over(store: Store, events: list[Arrived]) -> None:
    rows = [
        (one.event.account_id, "retry", inbox.retry(letter_of(one), encode_event(one.event), at=WALL)) for one in events
    ]
    store.put_inbox(rows, at=WALL)  # type: ignore[arg-type]


def come_to(keeper: AssignedKeeper, until: int) -> None:
    for lane in range(LANES):
        keeper.move_clock(lane, until)
        keeper.move_clock(lane, until)


def state(store: Store) -> list[Any]:
    """Everything that is known of every account; what was decided meanwhile aside."""
    found = [account(store, book_of(), one) for one in sorted(store.accounts())]
    return [{**one, "timeline": [row for row in one["timeline"] if "decided" not in row["what"]]} for one in found]


@pytest.mark.slow
@settings(max_examples=15)
@given(seed=st.integers(0, 1_000), share=st.floats(0.01, 0.6), parts=st.integers(1, 4), twice=st.booleans())
def test_a_letter_that_is_tried_again_gives_the_state_as_if_it_had_been_good(
    seed: int, share: float, parts: int, *, twice: bool
) -> None:
    events, chance = history(seed, 60), random.Random(seed)
    bad = {one.event.id for one in events if chance.random() < share}
    whole, store = open_store("sqlite://", lanes=LANES), open_store("sqlite://", lanes=LANES)
    take(keeper_of(whole), events, set())
    come_to(keeper_of(whole), END)
    keeper = keeper_of(store)
    take(keeper, events, bad)
    assert store.dead_letter_ids() == {f"d-{name}" for name in bad}
    retried = [one for one in events if one.event.id in bad]
    chance.shuffle(retried)
    for part in range(parts):
        hand_over(store, retried[part::parts] * (2 if twice else 1))
        if chance.random() < 0.5:
            keeper = keeper_of(store)  # the next owner finds them in the inbox
        come_to(keeper, END - DAY * (parts - part - 1))
    assert store.dead_letter_ids() == set()
    assert state(store) == state(whole)
    assert store.count_events() == len(events)
    found = replay.verify(store)
    assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)
    whole.close()
    store.close()


def test_an_event_that_comes_in_again_by_itself_is_taken_in_once(store: Store) -> None:
    events = history(1, 30)
    keeper = keeper_of(store)
    take(keeper, events, {one.event.id for one in events[:20]})
    hand_over(store, events)
    keeper = keeper_of(store)  # the inbox is read, and not yet written
    take(keeper, events, set())
    come_to(keeper, END)
    assert (store.count_events(), store.dead_letter_ids()) == (30, frozenset())


def test_a_record_that_is_still_bad_stays_a_dead_letter(store: Store) -> None:
    (one,) = history(1, 1)
    keeper = keeper_of(store)
    take(keeper, [one], {one.event.id})
    dated = msgspec.structs.replace(one.event, time=WALL + 3 * DAY)
    store.put_inbox(
        [(one.event.account_id, "retry", inbox.retry(letter_of(one), encode_event(dated), at=WALL))], at=WALL
    )
    come_to(keeper, END)
    assert store.dead_letters() == [letter_of(one)]
    assert store.count_events() == 0
    assert store.inbox(lane_of(one.event.account_id, LANES), after=0) == []


def test_nobody_brings_events_of_our_own_by_trying_a_letter_again(store: Store) -> None:
    (one,) = history(1, 1)
    keeper = keeper_of(store)
    take(keeper, [one], set())
    sent = {"id": "s", "type": "outreach.sent", "account_id": one.event.account_id, "time": "2026-01-01T00:00:00Z"}
    raw = json.dumps(sent).encode()
    store.put_dead_letters([letter_of(one)])
    store.put_inbox([(one.event.account_id, "retry", inbox.retry(letter_of(one), raw, at=WALL))], at=WALL)
    come_to(keeper, END)
    assert (store.count_events(), len(store.dead_letters())) == (1, 1)
    ours = msgspec.structs.replace(letter_of(one), source="inbox")
    store.put_inbox([(one.event.account_id, "retry", inbox.retry(ours, raw, at=WALL))], at=WALL)
    come_to(keeper, END + DAY)
    assert (store.count_events(), len(store.dead_letters())) == (2, 0)


def test_a_letter_of_a_forgotten_account_goes_and_brings_nobody_back(store: Store) -> None:
    events = history(1, 40)
    gone = events[-1].event.account_id
    keeper = keeper_of(store)
    take(keeper, events, {events[-1].event.id})
    keeper.stop()
    [claim] = store.claim([lane_of(gone, LANES)], "w", at=WALL)
    store.forget_account(claim, gone, at=WALL)
    hand_over(store, [events[-1]])
    store.put_dead_letters([letter_of(events[-1])])
    come_to(keeper_of(store), END)
    assert gone not in store.accounts()
    assert store.dead_letters() == []


def test_what_happened_after_all_that_is_read_waits_until_the_lane_comes_there(store: Store) -> None:
    events = history(1, 20)
    last = events[-1]
    keeper = keeper_of(store)
    take(keeper, events[:5], set())
    store.put_dead_letters([letter_of(last)])
    hand_over(store, [last])
    for until in (events[6].event.time, events[7].event.time):
        come_to(keeper, until)
        assert (store.count_events(), len(store.dead_letters())) == (5, 1)
        keeper = keeper_of(store)
    come_to(keeper, END)
    assert (store.count_events(), len(store.dead_letters())) == (6, 0)
    *_, late = (one for one in store.account_entries(last.event.account_id) if isinstance(one, Recorded))
    assert (late.event.id, late.recorded_at) == (last.event.id, last.event.time)
