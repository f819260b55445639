"""A store gets more lanes: all at one instant, copied, replayed as a proof, and only then the old one is closed."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from engine import replay
from engine.assigned import AssignedKeeper
from engine.errors import StoreError
from engine.instants import Instant
from engine.rulebook.book import Rulebook
from engine.store import Claim, OutgoingKind, Store
from engine.stores import Relaning
from ringfirst import owners
from ringfirst.intake import now

RENEW_SECONDS = 5.0
ROUNDS = 1_000
"""So often the lanes may leave each other letters before they stand still: a day of totals goes round once."""
Progress = Callable[[str], None]
"""Told what is being done."""


class Relaned(msgspec.Struct, frozen=True):
    """What became of it: the lanes before and after, what was copied, and as of which instant."""

    before: int
    after: int
    events: int
    decisions: int
    at: Instant | None


def relane(
    work: Relaning,
    book: Rulebook | None,
    *,
    follow: frozenset[OutgoingKind],
    take_over: bool,
    told: Progress,
) -> Relaned:
    """Bring everything over.

    Nothing may wait in the topics, and nobody else may write; killed anywhere, do it again.

    ``book`` is the active rulebook (None: nothing was ever taken in), ``follow`` what is left in the outbox. Raises
    ``LaneTaken`` when an owner is alive, and ``StoreError`` when the new store does not replay.
    """
    if work.moved is not None:
        return _again(work)
    source, target = work.source, work.target
    claims = _stand_still(source, book, follow, take_over=take_over, told=told)
    try:
        beat = _Beat(source, claims)
        told("copying")
        work.copy(beat)
        told("replaying the new store, to see that it gives the same decisions")
        found = replay.verify(target, progress=lambda _read: beat())
        _must_agree(target, found)
        work.retire(claims)
    except BaseException:
        source.release(claims)
        raise
    work.finish()
    at = max((one.clock_at for one in claims if one.clock_at is not None), default=None)
    return Relaned(source.lanes, target.lanes, found["events"], found["decisions"], at)


def _again(work: Relaning) -> Relaned:
    """It was killed behind the point of no return: the new store is whole, and only had to be told so."""
    if work.moved != work.target.url:
        raise StoreError(
            f"{work.source.url}: this store got more lanes already; all of it is in {work.moved}; use that"
        )
    work.finish()
    target = work.target
    clocks = [info.clock_at for info in target.lane_infos(at=now()) if info.clock_at is not None]
    decisions = len(target.decisions())
    return Relaned(work.source.lanes, target.lanes, target.count_events(), decisions, max(clocks, default=None))


def _stand_still(
    store: Store, book: Rulebook | None, follow: frozenset[OutgoingKind], *, take_over: bool, told: Progress
) -> list[Claim]:
    """Own all lanes, take their inboxes in, bring them to one instant and put the last totals together."""
    lanes, at = list(range(store.lanes)), now()
    claims = owners.claim(store, lanes, at=at, take_over=take_over)
    if book is None:
        return claims
    told("bringing all lanes to one instant")
    keeper = AssignedKeeper(store, book, owners.owner_name(), source="relane", at=at, follow=follow)
    keeper.assign(lanes, at=at)
    for _ in range(ROUNDS):
        clocks = [keeper.clock(lane) for lane in lanes]
        until = max((clock for clock in clocks if clock is not None), default=None)
        if until is None:
            break
        for lane in lanes:
            keeper.move_clock(lane, until)
        more = keeper.measure(at=now())[1]
        found = [kept.claim for kept in keeper.kept.values()]
        store.renew(found, at=now())
        if not more and not any(store.inbox(one.lane, after=one.inbox_seq) for one in found):
            break
    else:
        raise StoreError(
            f"{store.url}: its lanes do not come to rest; their inboxes fill again; stop senders and servers"
        )
    return [kept.claim for kept in keeper.kept.values()]


def _must_agree(store: Store, found: dict[str, Any]) -> None:
    wrong = {name: found[name] for name in ("missing", "extra", "different") if found[name]}
    if wrong:
        listed = ", ".join(f"{count} {name}" for name, count in wrong.items())
        raise StoreError(
            f"{store.url}: replayed, it does not give the decisions that were made; found {listed}; the old store "
            "stays in use and lost nothing; see what 'ringfirst replay --verify' says of that one"
        )


class _Beat:
    """Says now and then that the owner is alive."""

    def __init__(self, store: Store, claims: list[Claim]) -> None:
        self._store, self._claims = store, claims
        self._last = time.monotonic()

    def __call__(self) -> None:
        """Say it, if it is time."""
        if time.monotonic() - self._last >= RENEW_SECONDS:
            self._last = time.monotonic()
            self._store.renew(self._claims, at=now())


__all__ = ["Relaned", "relane"]
