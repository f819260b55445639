"""A sender that dies over a mail keeps no lane waiting: the owner lets go of what it had in hand."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.assigned import AssignedKeeper
from engine.errors import Conflict
from engine.instants import MINUTE
from engine.keeper import Keeper
from engine.left_behind import CLAIM, LEASE, WHY, let_go
from engine.rulebook.book import Rulebook, load_rulebook
from engine.store import Store
from engine.stores import open_store
from tests.stores.made import T0, claimed, committed, decision, ended, withdrawn


@pytest.fixture
def store() -> Iterator[Store]:
    made = open_store("sqlite://")
    yield made
    made.close()


def in_hand(store: Store, state: Any) -> Any:
    plan = decision()
    claim = committed(store, claimed(store), facts=[plan])
    store.move(plan.mails[0].outreach_id, ["queued"], state, at=T0, by="dead")
    return plan, claim


@pytest.mark.parametrize(
    ("state", "lease", "after", "why"), [("claimed", CLAIM, "queued", None), ("posting", LEASE, "in_doubt", WHY)]
)
def test_what_was_in_hand_is_let_go_when_its_time_is_over_and_not_before(
    store: Store, state: Any, lease: int, after: str, why: str | None
) -> None:
    in_hand(store, state)
    assert let_go(store, [0], at=T0 + lease - 1, by="owner") == 0
    assert let_go(store, [1], at=T0 + lease, by="owner") == 0, "another lane's owner sees to its own"
    assert let_go(store, [0], at=T0 + lease, by="owner") == 1
    assert (store.outreach()[0].state, store.outreach()[0].why) == (after, why)


def test_a_lane_that_must_take_back_such_a_mail_goes_on(store: Store) -> None:
    plan, claim = in_hand(store, "posting")
    back = [ended(plan, T0 + 1), withdrawn(plan, T0 + 1)]
    with pytest.raises(Conflict):
        committed(store, claim, facts=back)
    let_go(store, [0], at=T0 + LEASE, by="owner")
    committed(store, claim, facts=back)
    assert store.outreach()[0].state == "in_doubt"
    assert store.decisions()[0].outcome == "withdrawn"


def own_all(store: Store, book: Rulebook, at: int) -> None:
    Keeper(store, book, "owner", at=at, take_over=True)


def own_some(store: Store, book: Rulebook, at: int) -> None:
    AssignedKeeper(store, book, "owner", source="kafka", at=at).assign([0], at=at, take_over=True)


@pytest.mark.parametrize("own", [own_all, own_some])
def test_who_claims_a_lane_again_lets_go_first(store: Store, own: Callable[[Store, Rulebook, int], None]) -> None:
    in_hand(store, "posting")
    book = load_rulebook({"rules/a.yml": "measures: {uses: {count: feature.used, over: 7d}}\n"}, duties=False)[0]
    assert book is not None
    own(store, book, T0 + LEASE - 1)
    assert store.outreach()[0].state == "posting", "a sender may be at work on it"
    own(store, book, T0 + LEASE)
    assert store.outreach()[0].state == "in_doubt"


def test_a_slow_sender_whose_claim_was_let_go_hands_nothing_over(store: Store) -> None:
    plan, _ = in_hand(store, "claimed")
    let_go(store, [0], at=T0 + MINUTE, by="owner")
    assert not store.move(plan.mails[0].outreach_id, ["claimed"], "posting", at=T0 + MINUTE, by="slow")
