"""Dead letters in an operator's hands: found by id, shown in full, tried again by whoever owns their lanes."""

import base64
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from engine import inbox
from engine.errors import StoreError, UsageError
from engine.events import MAX_BYTES, Arrived, BadEvent, decode
from engine.instants import Instant, iso
from engine.rulebook.book import Rulebook
from engine.store import DeadLetter, InboxKind, Store
from ringfirst import owners
from ringfirst.intake import now
from streams.mapping import mapped

Answer = dict[str, int | None]
Good = tuple[DeadLetter, bytes, Arrived]
"""A letter, and an event in it with its JSON."""
_ASK_SECONDS = 0.5


def find(store: Store, name: str) -> DeadLetter:
    """The letter whose id is, or begins with, ``name``. Raises ``UsageError`` when there is none, or several."""
    found = store.dead_letters(begins=name, limit=2) if name else []
    exact = [one for one in found if one.dead_letter_id == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    what = "several dead letters begin so" if found else "there is no such dead letter"
    raise UsageError(f"{name}: {what}; 'ringfirst dead-letters list' shows their ids")


def chosen(store: Store, names: Sequence[str], source: str | None) -> list[DeadLetter]:
    """The letters that are named by id, or else those of a source, or all. Raises ``UsageError``."""
    if names and source is not None:
        raise UsageError("--source: dead letters are named beside it; say which ones by id or by source, not by both")
    if not names:
        return store.dead_letters(source=source)
    return list({one.dead_letter_id: one for one in (find(store, name) for name in names)}.values())


def in_full(letter: DeadLetter) -> dict[str, object]:
    """A letter with everything that is kept of it."""
    return {
        "dead_letter_id": letter.dead_letter_id,
        "source": letter.source,
        "where": letter.where,
        "reason": letter.reason,
        "at": iso(letter.at),
        "account_id": letter.account_id,
        "headers": [[name, value.decode(errors="replace")] for name, value in letter.headers],
        "raw": letter.raw.decode(errors="replace"),
        "raw_base64": base64.b64encode(letter.raw).decode(),
    }


def retry_all(
    store: Store,
    letters: Sequence[DeadLetter],
    mended: bytes | None,
    book: Callable[[], Rulebook],
    *,
    foreign: str,
    wait: float,
    take_over: bool,
) -> Answer:
    """Read letters again; good ones come in as late events and go, the others stay with the reason they have now.

    ``mended`` stands for the record of the only letter. Where the lanes have owners they take the events in, each in
    the transaction in which its letter goes: ``wait`` is how many seconds to look on. Letters of the topic ``foreign``
    are mapped as the intake does it.
    """
    if mended is not None and len(letters) != 1:
        raise UsageError(f"--with: it mends one dead letter; found {len(letters)}; name the one by its id")
    at = now()
    good: list[Good] = []
    reasons: dict[str, str] = {}
    for one in letters:
        found = _read(one, mended, foreign, at)
        if not isinstance(found, BadEvent):
            good += [(one, raw, arrived) for raw, arrived in found]
        elif mended is not None:
            raise UsageError(f"--with: it is no good event either; {found.reason}")
        else:
            reasons[one.dead_letter_id] = found.reason
    store.blame_dead_letters(reasons)
    answer: Answer = {"tried": len(letters), "taken": 0, "left": len(reasons), "waiting": 0, "decisions": 0}
    if not good:
        return answer
    if take_over or not _left_to_owners(store, at):
        return answer | _taken_in(store, good, book(), at, take_over=take_over)
    return answer | _handed_over(store, good, at, wait)


def _read(
    letter: DeadLetter, mended: bytes | None, foreign: str, at: Instant
) -> Sequence[tuple[bytes, Arrived]] | BadEvent:
    """A letter's events, each with its JSON; one of the intake is mapped again, and may hold several, or none."""
    if mended is None and (letter.reason.startswith("larger than") or len(letter.raw) >= MAX_BYTES):
        return BadEvent(letter.reason)  # only its beginning is kept
    raw = letter.raw if mended is None else mended.strip()
    if letter.source == foreign:
        found = mapped(raw, letter.headers, at=letter.at, wall=at)
        nothing = BadEvent("nothing in it is an event; it is known and of no use; drop it")
        return found.bad or found.events or nothing
    if not raw:
        return BadEvent(letter.reason)
    event = decode(raw, wall=at, from_inbox=letter.source == inbox.OURS)
    return [(raw, event)] if isinstance(event, Arrived) else event


def _left_to_owners(store: Store, at: Instant) -> bool:
    """Does somebody own the lanes, or do events come from Kafka, so that only its workers take anything in?"""
    alive = [info.owner for info in store.lane_infos(at=at) if info.owner is not None]
    return bool(store.offsets()) or not all(owners.is_dead(owner) for owner in alive)


def _taken_in(store: Store, good: Sequence[Good], book: Rulebook, at: Instant, *, take_over: bool) -> Answer:
    """Own all lanes and take the events in."""
    keeper = owners.keep(store, book, at=at, take_over=take_over)
    try:
        arrived = sorted((found for _, _, found in good), key=lambda one: one.event.time)
        retried = [letter.dead_letter_id for letter, _, _ in good]
        decisions = keeper.take(arrived, at=at, retried=retried).decisions + keeper.finish(at=now()).decisions
        keeper.stop()
    except BaseException:
        with suppress(StoreError):
            keeper.abandon()
        raise
    return {"taken": len(set(retried)), "decisions": decisions}


def _handed_over(store: Store, good: Sequence[Good], at: Instant, wait: float) -> Answer:
    """Leave the events in the inboxes of their lanes, oldest first, and look on while somebody alive may take them."""
    rows: list[tuple[str, InboxKind, bytes]] = [
        (found.event.account_id, "retry", inbox.retry(letter, raw, at=at))
        for letter, raw, found in sorted(good, key=lambda one: one[2].event.time)
    ]
    store.put_inbox(rows, at=at)
    mine = {letter.dead_letter_id for letter, _, _ in good}
    until = time.monotonic() + wait
    while True:
        waiting = len(mine & store.dead_letter_ids())
        owned = any(info.owner is not None for info in store.lane_infos(at=now()))
        if not waiting or not owned or time.monotonic() >= until:
            return {"taken": len(mine) - waiting, "waiting": waiting, "decisions": None}
        time.sleep(_ASK_SECONDS)
