"""Mails claimed and moved many in one transaction: as strict as one after the other."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from engine.feedback import Step
from engine.store import Move, Reader, Standing, Stop, Store, Wanted, Watch, Wishes
from tests.stores.made import ACME, OTHER, T0, account_in, claimed, committed, decision

KNOWN: dict[str, Any] = {"since": T0 - 1, "at": T0, "by": "sender"}


def rows_of(store: Store, *rules: str, account: str = ACME, lane: int = 0) -> list[str]:
    plans = [decision(rule, account, due_at=T0) for rule in rules]
    committed(store, claimed(store, lane, take_over=True), facts=plans)
    return [plan.mails[0].outreach_id for plan in plans]


def wanted(row: str, may: Any = lambda _: None, person: str = "ada", **more: Any) -> Wanted:
    return Wanted(**{"rows": (row,), "account_id": ACME, "person": person, "may": may, **more})


def test_a_mail_that_is_claimed_stands_around_those_that_follow_in_its_batch(store: Store) -> None:
    first, second, third, fourth = rows_of(store, "one", "two", "three", "four")
    seen: list[list[tuple[Any, ...]]] = []

    def may(standing: Standing) -> str | None:
        seen.append([(one.kind, one.channel, one.person, one.user_id, one.at) for one in standing.contacts])
        return "enough" if len(standing.contacts) >= 2 else None

    answers = store.claim_mails(
        [wanted(first, may), wanted(second, may, "bea"), wanted(third, may), wanted(fourth, may)], **KNOWN
    )
    assert answers == [([first], None), ([second], None), ([], "enough"), ([], "enough")]
    one, two = ("one", "mail", "ada", "u1", T0), ("two", "mail", "bea", "u1", T0)
    assert seen == [[], [one], [one, two], [one, two]]
    found = store.contacts(ACME, "ada", since=T0)
    assert [(one.kind, one.channel, one.person, one.user_id, one.at) for one in found] == [one, two]
    assert {row.rule: row.state for row in store.outreach()} == {
        "one": "claimed",
        "two": "claimed",
        "three": "queued",
        "four": "queued",
    }


def test_in_a_batch_too_a_mail_for_another_account_stands_against_one_of_its_rule(store: Store) -> None:
    here = account_in(1, name="n")
    (first,), (second,) = rows_of(store, "r"), rows_of(store, "r", account=here, lane=1)
    seen: list[list[str]] = []

    def may(standing: Standing) -> None:
        seen.append([one.account_id for one in standing.elsewhere])

    store.claim_mails([wanted(first, may, across=0), wanted(second, may, account_id=here, across=0)], **KNOWN)
    assert seen == [[], [ACME]]


def test_a_rule_s_mails_are_counted_on_while_they_are_claimed(store: Store) -> None:
    there = [account_in(0, name=f"n{n}") for n in range(3)]
    rows = [row for one in there for row in rows_of(store, "r", account=one)]
    again = rows_of(store, "r", "s", account=ACME)
    seen: list[tuple[int, int, int]] = []

    def may(standing: Standing) -> str | None:
        seen.append((standing.mails.within, standing.mails.accounts, standing.mails.left))
        return None if standing.mails.within < 3 else "enough"

    watch = Watch("r", T0 - 1, T0 - 1, 0, T0, 5)
    mails = [wanted(row, may, account_id=one, watch=watch) for row, one in zip(rows, there, strict=True)]
    other = wanted(again[1], watch=Watch("s", T0 - 1, T0 - 1, 0, T0, 5))
    store.claim_mails([mails[0]], **KNOWN)
    answers = store.claim_mails([*mails[1:], other, wanted(again[0], may, watch=watch)], **KNOWN)
    assert seen == [(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3)]
    assert [len(ids) for ids, _ in answers] == [1, 1, 1, 0]


def test_what_goes_on_slowly_is_counted_on_while_it_is_claimed(store: Store) -> None:
    first, second, other = rows_of(store, "r", "r2", "s")
    store.stop(Stop("all", "", T0, "ann", "x"))
    store.go(Stop("all", "", T0, "ann", "x", 9))
    store.stop(Stop("rule", "s", T0, "ann", "x"))
    store.go(Stop("rule", "s", T0, "ann", "x", 9))
    seen: list[list[tuple[str, int, int]]] = []

    def may(standing: Standing) -> None:
        seen.append(sorted((ramp.stop.scope, ramp.since, ramp.hour) for ramp in standing.ramps))

    store.claim_mails([wanted(row, may) for row in (first, other, second)], **KNOWN)
    assert seen == [[("all", 0, 0)], [("all", 1, 1), ("rule", 0, 0)], [("all", 2, 2)]]
    store.claim_mails([wanted(rows_of(store, "s2")[0], may)], **KNOWN)
    assert seen[-1] == [("all", 3, 3)], "and so says who counts anew"


def test_many_mails_move_each_whole_or_not_at_all(store: Store) -> None:
    first, second, third, fourth = rows_of(store, "one", "two", "three", "four")
    store.move(third, ["queued"], "withdrawn", at=T0, by="engine")

    def steps(*ids: str) -> tuple[Step, ...]:
        return tuple(Step(outreach_id=one, before=("queued",), after="held", why="x") for one in ids)

    moves = [Move(steps=steps(first), at=T0 + 7), Move(steps=steps(second, third)), Move(steps=steps(fourth))]
    assert store.move_mails(moves, at=T0 + 9, by="s") == [True, False, True]
    assert {row.rule: row.state for row in store.outreach() if row.rule != "three"} == {
        "one": "held",
        "two": "queued",
        "four": "held",
    }
    assert [store.outreach(rule=rule)[0].state_at - T0 for rule in ("one", "four")] == [7, 9]
    assert [change.after for change in store.changes(first)] == ["queued", "held"]


def test_each_mail_of_a_batch_is_asked_for_its_own_stop_reader_and_wishes(store: Store) -> None:
    stopped, moved, tired, fine = rows_of(store, "one", "two", "three", "four")
    store.stop(Stop("rule", "one", T0, "ann", "x"))
    store.suppress("key-of-tired", reason="complained", at=T0)

    def may(wishes: Wishes) -> bool:
        return wishes.suppressed is None

    def move(row: str, **more: Any) -> Move:
        step = Step(outreach_id=row, before=("queued",), after="posting")
        return Move(**{"steps": (step,), "person": "key", "may": may, "reader": Reader(ACME, "u1", None), **more})

    moves = [move(stopped), move(moved, reader=Reader(ACME, "u1", "ada@old")), move(tired, person="key-of-tired")]
    assert store.move_mails([*moves, move(fine)], at=T0, by="s", unless_stopped="x") == [False, False, False, True]
    assert [row.rule for row in store.outreach(states=["posting"])] == ["four"]


def test_a_stop_does_not_keep_what_is_out_from_being_settled(store: Store) -> None:
    out, next_one = rows_of(store, "one", "two")
    store.move(out, ["queued"], "posting", at=T0, by="s")
    store.stop(Stop("all", "", T0, "ann", "x"))
    moves = [
        Move(steps=(Step(outreach_id=out, before=("posting",), after="accepted"),)),
        Move(steps=(Step(outreach_id=next_one, before=("queued",), after="posting"),)),
    ]
    assert store.move_mails(moves, at=T0, by="s", unless_stopped="x") == [True, False]


def test_many_accounts_and_addresses_are_looked_up_as_one_by_one(store: Store) -> None:
    store.suppress("a", reason="bounced", at=T0)
    store.choose("b", {"tips": "out"}, at=T0, by="x")
    assert store.wishes_of(["a", "b", "c"]) == {one: store.wishes(one) for one in "abc"}
    assert store.people_of([ACME, OTHER]) == {}
    assert (store.wishes_of([]), store.people_of([])) == ({}, {})
    assert store.cancelled_of([ACME], at=T0) == frozenset()


def test_a_reader_who_wants_no_mail_waits_for_who_is_just_writing_down_that_it_leaves(durable: Store) -> None:
    (row,) = rows_of(durable, "one")
    turned = threading.Thread(target=lambda: durable.suppress("key", reason="unsubscribed", at=T0))

    def may(_: Wishes) -> bool:
        turned.start()
        turned.join(0.3)
        assert turned.is_alive(), "else a mail would be handed over after a wish that nobody saw"
        return True

    step = Step(outreach_id=row, before=("queued",), after="posting")
    assert durable.move_mails([Move(steps=(step,), person="key", may=may)], at=T0, by="s") == [True]
    turned.join(10)
    assert durable.suppressed("key") == "unsubscribed"


@pytest.mark.slow
def test_two_senders_at_once_with_batches_in_any_order_never_count_the_same_past(durable: Store) -> None:
    rows = rows_of(durable, *(f"rule-{number}" for number in range(12)))

    def may(standing: Standing) -> str | None:
        time.sleep(0.01)  # wide open for the other one, if it could come in
        return "enough" if len(standing.contacts) >= 3 else None

    def claim(sender: str) -> int:
        mine = rows if sender == "a" else rows[::-1]
        return sum(
            len(ids)
            for start in range(0, 12, 4)
            for ids, _ in durable.claim_mails(
                [wanted(row, may) for row in mine[start : start + 4]], since=T0 - 1, at=T0, by=sender
            )
        )

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(claim, "ab")) == 3


@pytest.mark.slow
def test_two_senders_whose_batches_cross_wait_for_each_other_and_not_in_a_circle(durable: Store) -> None:
    there = [account_in(0, name=f"n{n}") for n in range(20)]
    rows = [row for one in there for row in rows_of(durable, "r", account=one)]

    def claim(sender: str) -> list[str]:
        order = list(zip(rows, there, strict=True))[:: 1 if sender == "a" else -1]
        mails = [wanted(row, person=f"p-{one}", account_id=one) for row, one in order]
        return [name for ids, _ in durable.claim_mails(mails, since=T0 - 1, at=T0, by=sender) for name in ids]

    with ThreadPoolExecutor(2) as pool:
        a, b = pool.map(claim, "ab")
    assert sorted(a + b) == sorted(rows)
