"""Replay: every lane's log is read again from its first entry, and must give the decisions that are stored."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from engine.columns.lane import ColumnLane
from engine.decision import Decision
from engine.lane import Lane, Programs
from engine.log import Recorded
from engine.store import Store
from engine.stored import stored_program

Progress = Callable[[int], None]
"""Told how many entries were read since it was last told."""
EVERY = 5_000


def verify(store: Store, progress: Progress | None = None, *, plain: bool = False) -> dict[str, Any]:
    """Compare what the logs give with what is stored: ``{"events", "decisions", "missing", "extra", "different"}``.

    missing: the log gives it, the store has it not; extra: the reverse; different: another instant, outcome, value or
    mail. Accounts in which somebody was forgotten are left out (DESIGN 7). Nothing is written and nothing is sent.
    ``plain``: the log is read by the plain lane, the judge of the columns; it takes many times as long.
    """
    altered = store.altered_accounts()
    events, replayed = 0, {}
    programs = lru_cache(maxsize=None)(lambda mark: stored_program(store, mark))
    for number in range(store.lanes):
        read, found = read_lane(store, number, programs, progress, Lane if plain else ColumnLane)
        events += read
        replayed.update(found)
    stored = {row.decision_id: row for row in store.decisions() if row.account_id not in altered}
    replayed = {key: row for key, row in replayed.items() if row.account_id not in altered}
    both = stored.keys() & replayed.keys()
    return {
        "events": events,
        "decisions": len(stored),
        "missing": len(replayed.keys() - stored.keys()),
        "extra": len(stored.keys() - replayed.keys()),
        "different": sum(_plain(stored[key]) != _plain(_as_old(replayed[key], stored[key])) for key in both),
    }


def read_lane(
    store: Store,
    number: int,
    programs: Programs,
    progress: Progress | None = None,
    kind: type[Lane] = ColumnLane,
) -> tuple[int, dict[str, Decision]]:
    """Read a lane's log from its first entry, deciding by ``programs``: how many events, and all decisions by id."""
    stored: dict[str, list[Recorded]] = {}

    def history(account: str, position: int) -> list[Recorded]:
        return [row for row in stored.get(account, []) if row.position <= position]

    lane = kind(programs, history)
    found: dict[str, Decision] = {}
    read = events = 0
    for entry in store.entries(number):
        if isinstance(entry, Recorded):
            stored.setdefault(entry.account_id, []).append(entry)
            events += 1
        _keep(found, lane.take(entry))
        read += 1
        if progress is not None and read % EVERY == 0:
            progress(EVERY)
    clock = next((info.clock_at for info in store.lane_infos(at=0) if info.lane == number), None)
    if clock is not None:
        _keep(found, lane.advance(clock))
    if progress is not None:
        progress(read % EVERY)
    return events, found


def _keep(found: dict[str, Decision], facts: list[Any]) -> None:
    found.update({fact.decision_id: fact for fact in facts if isinstance(fact, Decision)})


def _as_old(replayed: Decision, stored: Decision) -> Decision:
    """The replayed one without what decisions of the stored one's age did not freeze yet: who writes."""
    if "writer" in stored.frozen or "writer" not in replayed.frozen:
        return replayed
    frozen = {name: value for name, value in replayed.frozen.items() if name != "writer"}
    return msgspec.structs.replace(replayed, frozen=frozen)


def _plain(decision: Decision) -> bytes:
    """A decision as bytes that are equal for equal decisions, whatever numbers were on the way through the store."""
    return msgspec.json.encode(decision, order="sorted")
