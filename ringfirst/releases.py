"""Letting those in who were inside a rule before it could write: so many a day, in an order that is nobody's."""

import hashlib
from collections.abc import Sequence

import msgspec

from engine.going_live import RELEASED
from engine.insiders import Insider
from engine.instants import DAY, Instant, iso
from engine.store import InboxKind, Note, Store


def release(
    store: Store, rule: str, found: Sequence[Insider], *, per_day: int | None, at: Instant, who: str, why: str
) -> tuple[int, Instant | None]:
    """Leave word for the owners of the lanes to ask everybody who is inside and silent, ``per_day`` at most.

    They come in the order of a hash, so that the first of them are a fair sample of all; after those who are released
    already. ``per_day`` None: all at once. Returns how many, and when the last one is asked. Again adds nobody.
    """
    silent = sorted((one for one in found if one.place == "inside"), key=lambda one: _draw(rule, one))
    pace = 0 if per_day is None else -(-DAY // per_day)
    ahead = max((one.at for one in found if one.place == "released" and one.at is not None), default=None)
    first = at if ahead is None or not pace else max(at, ahead + pace)
    times = [first + pace * number for number in range(len(silent))]
    last = times[-1] if times else None
    detail = {"rule": rule, "why": why, "released": len(silent), "per_day": per_day}
    _leave(store, rule, silent, times, at=at, note=Note(at, who, "release", detail))
    return len(silent), last


def take_back(store: Store, rule: str, found: Sequence[Insider], *, at: Instant, who: str, why: str) -> int:
    """Take back the releases whose time has not come; returns how many. What is decided already stays decided."""
    ahead = [one for one in found if one.place == "released"]
    detail = {"rule": rule, "why": why, "taken_back": len(ahead)}
    _leave(store, rule, ahead, [None] * len(ahead), at=at, note=Note(at, who, "release taken back", detail))
    return len(ahead)


def _leave(
    store: Store,
    rule: str,
    whom: Sequence[Insider],
    times: Sequence[Instant | None],
    *,
    at: Instant,
    note: Note,
) -> None:
    letters: list[tuple[str, InboxKind, bytes]] = [
        (one.account_id, "entry", _entry(rule, one, when)) for one, when in zip(whom, times, strict=True)
    ]
    if letters:
        store.put_inbox(letters, at=at, note=note)


def _entry(rule: str, one: Insider, when: Instant | None) -> bytes:
    kind, name = (one.subject.kind, one.subject.id) if one.subject else ("", "")
    body = {"rule": rule, "subject_kind": kind, "subject_id": name, "at": when}
    return msgspec.json.encode({"kind": RELEASED, "account_id": one.account_id, **body})


def _draw(rule: str, one: Insider) -> bytes:
    about = f"{one.subject.kind}\0{one.subject.id}" if one.subject else ""
    return hashlib.sha256(f"{rule}\0{one.account_id}\0{about}".encode()).digest()


def plain(one: Insider) -> dict[str, object]:
    """One of those inside, as JSON."""
    return {
        "account_id": one.account_id,
        "subject": {"kind": one.subject.kind, "id": one.subject.id} if one.subject else None,
        "since": iso(one.since),
        "place": one.place,
        "at": iso(one.at) if one.at is not None else None,
        "held_out": one.held_out,
        "values": one.values,
    }
