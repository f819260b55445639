"""Two at once: who comes second waits for the first to commit, and then decides on what is there."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from engine.decision import MailState
from engine.errors import Conflict, Fenced, LaneTaken
from engine.store import Store
from engine.stores import arrivals, mails, ownership
from engine.stores.sql import SqlStore
from tests.stores.made import ACME, MINUTE, T0, claimed, committed, decision, ended, event, withdrawn

pytestmark = pytest.mark.slow


def _second(store: Store, first: Callable[[Any], object], second: Callable[[], object]) -> "Future[Any]":
    """Do ``second`` in a thread while the transaction that did ``first`` is still open; returns how it ended."""
    assert isinstance(store, SqlStore)
    with ThreadPoolExecutor(1) as pool:
        with store._driver.writing() as connection:
            first(connection)
            waiting = pool.submit(second)
            time.sleep(0.15)
            assert not waiting.done(), "it waits"
        with suppress(Exception):
            waiting.result(timeout=20)
    return waiting


def test_who_claims_second_finds_the_lane_taken(durable: Store) -> None:
    def first(connection: Any) -> None:
        ownership.claim(connection, [0], "desk:1:a", at=T0, lease_seconds=30, take_over=False)

    late = _second(durable, first, lambda: claimed(durable, owner="desk:2:b"))
    assert isinstance(late.exception(), LaneTaken)
    assert durable.lane_infos(at=T0)[0].owner == "desk:1:a"


def test_an_owner_that_loses_its_lane_while_it_waits_is_fenced(durable: Store) -> None:
    old = claimed(durable)

    def first(connection: Any) -> None:
        ownership.claim(connection, [0], "desk:2:b", at=T0, lease_seconds=30, take_over=True)

    late = _second(durable, first, lambda: committed(durable, old, events=[event(1)]))
    assert isinstance(late.exception(), Fenced)
    assert durable.count_events() == 0


def _moving(mail: str, after: MailState) -> Callable[[Any], bool]:
    return lambda connection: mails.move(connection, mail, ["queued"], after, at=T0, by="sender", why=None)


def test_a_mail_that_is_handed_over_meanwhile_cannot_be_taken_back(durable: Store) -> None:
    plan = decision()
    claim = committed(durable, claimed(durable), facts=[plan])
    taking = [ended(plan, T0), withdrawn(plan, T0)]
    late = _second(
        durable,
        _moving(plan.mails[0].outreach_id, "posting"),
        lambda: committed(durable, claim, facts=taking),
    )
    assert isinstance(late.exception(), Conflict)
    assert "it is posting" in str(late.exception())
    assert durable.outreach()[0].state == "posting"
    assert durable.decisions() == [plan]


def test_a_mail_that_is_claimed_meanwhile_does_not_pass(durable: Store) -> None:
    plan = decision()
    claim = committed(durable, claimed(durable), facts=[plan], history=True)
    late = _second(
        durable,
        _moving(plan.mails[0].outreach_id, "claimed"),
        lambda: committed(durable, claim, clock_at=T0 + MINUTE, history=True),
    )
    assert late.exception() is None
    assert [change.after for change in durable.changes(plan.mails[0].outreach_id)] == ["queued", "claimed"]


@pytest.mark.parametrize("after", ["held", "accepted"])
def test_a_mail_that_moved_meanwhile_is_not_moved_again(durable: Store, after: MailState) -> None:
    plan = decision()
    committed(durable, claimed(durable), facts=[plan])
    mail = plan.mails[0].outreach_id
    late = _second(
        durable,
        _moving(mail, after),
        lambda: durable.move(mail, ["queued"], "claimed", at=T0, by="another"),
    )
    assert late.result() is False
    assert [change.after for change in durable.changes(mail)] == ["queued", after]


def test_numbers_in_an_inbox_become_visible_in_order(durable: Store) -> None:

    assert isinstance(durable, SqlStore)

    def first(connection: Any) -> None:
        arrivals.put_inbox(connection, durable._driver, [(ACME, "event", b"1")], lanes=8, at=T0)

    late = _second(durable, first, lambda: durable.put_inbox([(ACME, "event", b"2")], at=T0))
    assert late.exception() is None
    assert [(one.seq, one.body) for one in durable.inbox(0, after=0)] == [(1, b"1"), (2, b"2")]
