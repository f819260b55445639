"""Who is inside a rule right now, as its lanes remember it, and whom of them a release would decide for."""

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, Literal

import msgspec

from engine.account import Account, in_holdout
from engine.columns.lane import ColumnLane
from engine.decision import Subject
from engine.going_live import RELEASED, coming, inside, may_enter, subject_of
from engine.inbox import Told, opened
from engine.instants import Instant
from engine.keeper import restore, uncollected
from engine.lane import Lane
from engine.log import Recorded
from engine.program import RuleProgram, read_use
from engine.store import LaneInfo, Store
from engine.stored import stored_program
from engine.values import to_json
from engine.views import AccountView

Place = Literal["inside", "released", "decided"]


class Insider(msgspec.Struct, frozen=True, kw_only=True):
    """One subject that a rule is true for, ``since`` when it counts so, with the values of the rule's names.

    ``place``: ``decided`` for it already, ``released`` and to be asked ``at``, or ``inside`` and silent. ``held_out``:
    its account is in the holdout, so that a release writes to nobody there.
    """

    account_id: str
    subject: Subject | None
    since: Instant
    place: Place
    held_out: bool
    values: dict[str, Any]
    at: Instant | None = None


def insiders(store: Store, rule_id: str) -> list[Insider]:
    """Everybody inside a rule of the active rulebook, by account and subject. Nothing is written.

    As of the last entry of each lane; what lies in an inbox counts as released. A rule about events or the portfolio
    has no inside. All lanes are read as a worker reads them when it starts.
    """
    programs = lru_cache(maxsize=None)(lambda mark: stored_program(store, mark))
    accounts = cache(store.accounts)
    found: list[Insider] = []
    for info in store.lane_infos(at=0):
        if info.clock_at is None:
            continue
        lane = ColumnLane(programs, lambda name, position: _events(store, name, position))
        with uncollected():
            restore(lane, store, info.lane, info.position, accounts)
            lane.first_at = info.first_at
            lane.advance(info.clock_at)
        found += _inside(lane, info.clock_at, rule_id, _waiting(store, info, rule_id))
    return sorted(found, key=lambda one: (one.account_id, one.subject or Subject("", "")))


def _inside(
    lane: Lane, clock: Instant, rule_id: str, waiting: dict[tuple[str, str], Instant | None]
) -> Iterator[Insider]:
    for account in lane.accounts.values():
        rule = next((one for one in account.program.rules if one.rule.id == rule_id), None)
        if rule is None or not account.truths.get(rule_id):
            continue
        ahead = dict[str, Instant | None](coming(account, rule.rule))
        for (account_id, key), at in waiting.items():
            if account_id == account.id:
                ahead = {**ahead, key: ahead.get(key, at)} if at is not None else _without(ahead, key)
        view = account.view(clock)
        yield from (_insider(account, rule, key, view, ahead) for key in inside(account, rule))


def _insider(
    account: Account, rule: RuleProgram, key: str, view: AccountView, ahead: dict[str, Instant | None]
) -> Insider:
    subject = subject_of(rule, key, view)
    silent = rule.rule.status == "draft" or may_enter(account, rule, key, view)
    return Insider(
        account_id=account.id,
        subject=Subject(*key.split("\0", 1)) if key else None,
        since=account.truths[rule.rule.id][key].since,
        place="released" if key in ahead else "inside" if silent else "decided",
        held_out=in_holdout(rule.rule, account.id),
        values={use.name: to_json(read_use(use, view, subject)) for use in rule.uses},
        at=ahead.get(key),
    )


def _waiting(store: Store, info: LaneInfo, rule_id: str) -> dict[tuple[str, str], Instant | None]:
    """What lies in a lane's inbox, and what of it comes last for each subject."""
    told = [one for one in map(opened, store.inbox(info.lane, after=0)) if isinstance(one, Told)]
    mine = [one for one in told if one.kind == RELEASED and one.body["rule"] == rule_id]
    return {(one.account_id or "", _key(one.body)): one.body["at"] for one in mine}


def _key(body: dict[str, Any]) -> str:
    return f"{body['subject_kind']}\0{body['subject_id']}" if body["subject_kind"] else ""


def _without(rows: dict[str, Instant | None], key: str) -> dict[str, Instant | None]:
    return {name: at for name, at in rows.items() if name != key}


def _events(store: Store, account_id: str, position: int) -> list[Recorded]:
    rows = store.account_entries(account_id, until_position=position)
    return [one for one in rows if isinstance(one, Recorded)]
