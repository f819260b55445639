"""The outbox: what is to be told outside is written with what caused it, in order, and goes when it is told."""

import json

import msgspec
import pytest

from engine.decision import Subject
from engine.errors import Fenced
from engine.store import Outgoing, OutgoingKind, Store
from tests.stores.made import (
    ACME,
    MINUTE,
    OTHER,
    T0,
    account_in,
    batch,
    claimed,
    committed,
    decision,
    ended,
    letter,
    withdrawn,
)

BOTH: frozenset[OutgoingKind] = frozenset({"decision", "dead-letter"})


def waiting(store: Store, kind: OutgoingKind = "decision", *lanes: int) -> list[Outgoing]:
    return store.outbox(lanes or (0,), kind, limit=100)


def told(store: Store) -> list[tuple[str, int, str]]:
    bodies = [json.loads(one.body) for one in waiting(store)]
    return [(one["rule"], one["revision"], one["outcome"]) for one in bodies]


def test_every_change_of_a_decision_is_told_with_a_revision_of_its_own(store: Store) -> None:
    plan, other = decision(), decision("other", OTHER, outcome="draft")
    claim = committed(store, claimed(store), facts=[plan, other], follow=BOTH)
    claim = committed(store, claim, facts=[ended(plan, T0 + 1), withdrawn(plan, T0 + 1)], follow=BOTH)
    again = [decision(at=T0 + 1, values={"usage": 4}), ended(plan, T0 + 1), withdrawn(plan, T0 + 1)]
    committed(store, claim, facts=again, follow=BOTH)
    assert told(store) == [
        ("unused", 1, "planned"),
        ("other", 1, "draft"),
        ("unused", 2, "withdrawn"),
        ("unused", 3, "planned"),
        ("unused", 4, "withdrawn"),
    ]
    first, fourth = (json.loads(waiting(store)[number].body) for number in (0, 3))
    assert (first["values"], fourth["values"]) == ({"usage": 3}, {"usage": 4}), "each as it was then"
    assert [one.item for one in waiting(store)] == [plan.decision_id, other.decision_id, *[plan.decision_id] * 3]


def test_a_revision_counts_on_while_nobody_follows(store: Store) -> None:
    plan = decision()
    claim = committed(store, claimed(store), facts=[plan])
    claim = committed(store, claim, facts=[ended(plan, T0), withdrawn(plan, T0)])
    assert told(store) == []
    committed(store, claim, facts=[decision(at=T0 + 1)], follow=BOTH)
    assert told(store) == [("unused", 3, "planned")]


def test_what_was_decided_before_can_be_told_as_it_stands(store: Store) -> None:
    plan, late = decision(), decision("late", OTHER, at=T0 + 5)
    claim = committed(store, claimed(store), facts=[plan, late, ended(plan, T0 + 1), withdrawn(plan, T0 + 1)])
    assert store.tell_again(since=T0, until=T0 + 4) == 1
    assert told(store) == [("unused", 2, "withdrawn")]
    assert store.tell_again(since=T0 + 1, until=T0 + 5) == 1
    committed(store, claim, facts=[ended(late, T0 + 6), withdrawn(late, T0 + 6)], follow=BOTH)
    assert told(store)[1:] == [("late", 1, "planned"), ("late", 2, "withdrawn")]


def test_of_a_history_no_decision_is_told(store: Store) -> None:
    committed(store, claimed(store), facts=[decision()], clock_at=T0 + MINUTE, history=True, follow=BOTH)
    assert told(store) == []


def test_what_was_not_written_is_not_told(store: Store) -> None:
    claim = claimed(store)
    claimed(store, take_over=True)
    with pytest.raises(Fenced):
        store.commit([batch(claim, facts=[decision()], dead_letters=[letter(1)], follow=BOTH)])
    assert (waiting(store), waiting(store, "dead-letter", *range(8))) == ([], [])


def test_a_dead_letter_is_told_once_and_with_its_headers(store: Store) -> None:
    traced = msgspec.structs.replace(letter(1, account=ACME), headers=(("trace", b"\x00\xff"), ("empty", b"")))
    claim = committed(store, claimed(store), dead_letters=[traced, traced], follow=BOTH)
    committed(store, claim, dead_letters=[traced, letter(2, account=ACME)], follow=BOTH)
    assert [one.letter for one in waiting(store, "dead-letter")] == [traced, letter(2, account=ACME)]
    assert store.dead_letters() == [traced, letter(2, account=ACME)]
    store.drop_dead_letters(["d1"])
    assert [one.letter for one in waiting(store, "dead-letter")] == [None, letter(2, account=ACME)]


def test_a_dead_letter_of_nobody_is_told_by_one_lane(store: Store) -> None:
    committed(store, claimed(store), dead_letters=[letter(1)], follow=frozenset({"dead-letter"}))
    found = [lane for lane in range(store.lanes) if waiting(store, "dead-letter", lane)]
    assert len(found) == 1


def test_what_is_told_goes_and_the_rest_waits(store: Store) -> None:
    claims = store.claim([0, 1], "w", at=T0)
    facts = [[decision(f"r{n}", account_in(lane)) for n in range(3)] for lane in (0, 1)]
    store.commit([batch(claim, facts=some, follow=BOTH) for claim, some in zip(claims, facts, strict=True)])
    assert len(waiting(store, "decision", 0, 1)) == 6
    gone = [one.seq for one in store.outbox([0], "decision", limit=2)]
    store.published(gone)
    store.published([*gone, 10_000])
    store.published([])
    assert told(store) == [("r2", 1, "planned")]
    assert len(waiting(store, "decision", 0, 1)) == 4


def test_what_waits_of_a_forgotten_account_is_never_told(store: Store) -> None:
    claim = committed(store, claimed(store), facts=[decision(), decision(account=OTHER)], follow=BOTH)
    claim = committed(store, claim, dead_letters=[letter(1, account=ACME)], follow=BOTH)
    store.forget_account(claim, ACME, at=T0)
    assert [one.account_id for one in waiting(store)] == [OTHER]
    assert waiting(store, "dead-letter") == []


def test_a_forgotten_person_is_told_of_by_a_pseudonym(store: Store) -> None:
    about = decision(to=("q-7421",), subject=Subject("person", "q-7421"), values={"who": "q-7421"})
    traced = msgspec.structs.replace(letter(1, account=ACME), headers=(("ce_subject", b"q-7421"),))
    claim = committed(store, claimed(store), facts=[about], dead_letters=[traced], follow=BOTH)
    store.forget_person(claim, ACME, "q-7421", properties=[], at=T0)
    (one,) = waiting(store)
    assert b"q-7421" not in one.body
    assert json.loads(one.body)["subject"]["id"] == store.pseudonyms([(ACME, "q-7421")])[ACME, "q-7421"]
    assert store.dead_letters() == [], "its headers named the person"


def test_what_is_told_names_no_colleague(store: Store) -> None:
    plan = decision(to=("desk@ringfirst.example",))
    staff = msgspec.structs.replace(
        plan, mails=tuple(msgspec.structs.replace(plan.mails[0], audience="staff") for _ in "1")
    )
    committed(store, claimed(store), facts=[staff], follow=BOTH)
    assert b"@" not in waiting(store)[0].body
