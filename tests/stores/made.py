"""Small values for the store's tests: events, decisions and batches with everything that does not matter filled in."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from engine.decision import Decision, Ended, Mail, Outcome, Subject, decision_id, outreach_id
from engine.feedback import Step
from engine.instants import Instant
from engine.lanes import lane_of
from engine.log import EngineEntry, Event, Recorded
from engine.store import Batch, Claim, DeadLetter, Move, NewEvent, Offset, Store, Wanted
from engine.stores.codec import decode

T0 = 1_772_442_000_000  # 2026-03-02T09:00:00Z
MINUTE = 60_000
OWNER = "desk:1:a"


def account_in(lane: int, lanes: int = 8, *, name: str = "acme") -> str:
    """An account id that lives in this lane."""
    return next(f"{name}{n}" for n in range(10_000) if lane_of(f"{name}{n}", lanes) == lane)


ACME = account_in(0)
OTHER = account_in(0, name="globex")


def event(
    position: int,
    account: str = ACME,
    *,
    id: str | None = None,
    at: int | None = None,
    user: str | None = "u1",
    body: bytes = b'{"feature":"reports"}',
    type: str = "feature.used",
) -> NewEvent:
    at = T0 + position if at is None else at
    event = Event(id or f"e{position}", type, account, user, at, decode(body))
    digest = hashlib.sha256(body + event.id.encode()).digest()[:16]
    return NewEvent(Recorded(position, at, event), body, digest)


def entry(position: int, kind: str = "portfolio.measured", account: str | None = None, **body: Any) -> EngineEntry:
    return EngineEntry(position, T0 + position, kind, account, body)


def mail(decision: str, to: str = "u1", *, due_at: int = T0 + MINUTE, review: bool = False) -> Mail:
    return Mail(
        outreach_id(decision, to),
        to,
        "customer",
        "unused-feature",
        "relationship",
        "review" if review else "auto",
        due_at,
        due_at + 60 * MINUTE,
        5,
        "looks odd" if review else None,
    )


def decision(
    rule: str = "unused",
    account: str = ACME,
    *,
    occasion: str = "2026-03",
    at: int = T0,
    due_at: int = T0 + MINUTE,
    outcome: Outcome = "planned",
    to: Iterable[str] = ("u1",),
    review: bool = False,
    subject: Subject | None = None,
    values: dict[str, Any] | None = None,
    frozen: dict[str, Any] | None = None,
) -> Decision:
    name = decision_id(rule, account, subject, occasion)
    mails = tuple(mail(name, one, due_at=due_at, review=review) for one in to)
    return Decision(
        name,
        rule,
        "moment",
        account,
        subject,
        occasion,
        at,
        outcome,
        {"usage": 3} if values is None else values,
        {} if frozen is None else frozen,
        mails,
    )


def withdrawn(planned: Decision, at: int) -> Decision:
    return msgspec.structs.replace(planned, outcome="withdrawn", withdrawn_at=at)


def ended(planned: Decision, at: int, n: int = 0) -> Ended:
    return Ended(planned.decision_id, planned.mails[n].outreach_id, at, "used again")


def batch(claim: Claim, *, position: int | None = None, clock_at: int | None = None, **parts: Any) -> Batch:
    """A batch on this claim; position and clock are those of its last entry unless said."""
    entries = [one.recorded for one in parts.get("events", [])] + parts.get("entries", [])
    last = max((one.position for one in entries), default=claim.position)
    clock = max([one.recorded_at for one in entries] + [claim.clock_at or T0])
    position = last if position is None else position
    clock_at = clock if clock_at is None else clock_at
    return Batch(claim, position, clock_at, claim.first_at or clock_at, **parts)


def claimed(store: Store, lane: int = 0, owner: str = OWNER, *, at: int = T0, take_over: bool = False) -> Claim:
    return store.claim([lane], owner, at=at, take_over=take_over)[0]


def committed(store: Store, claim: Claim, **parts: Any) -> Claim:
    return store.commit([batch(claim, **parts)])[0]


def letter(n: int, *, raw: bytes = b"{", account: str | None = None, source: str = "a.jsonl") -> DeadLetter:
    return DeadLetter(f"d{n}", source, f"line {n}", "no JSON", raw, T0 + n, account)


def offset(old: int | None, new: int, partition: int = 0) -> Offset:
    return Offset("import", "a.jsonl", partition, old, new)


def claim_mail(
    store: Store,
    rows: Sequence[str],
    *,
    since: Instant,
    at: Instant,
    by: str,
    channel: str = "",
    **wanted: Any,
) -> tuple[list[str], Any]:
    """Claim one mail; ``wanted`` are the fields of ``Wanted`` beside its rows."""
    one = Wanted(rows=tuple(rows), **wanted)
    return store.claim_mails([one], since=since, at=at, by=by, channel=channel)[0]


def move_mail(
    store: Store, steps: Sequence[Step], *, at: Instant, by: str, unless_stopped: str | None = None, **more: Any
) -> bool:
    """Move all rows of one mail; ``more`` are the fields of ``Move`` beside its steps."""
    return store.move_mails([Move(steps=tuple(steps), **more)], at=at, by=by, unless_stopped=unless_stopped)[0]
