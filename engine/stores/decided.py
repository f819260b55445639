"""What the engine decided, written down: facts applied in order, and read again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from engine.decision import OPEN_STATES, Decision, Ended, Fact, Held, Mail, MailState, Released, Subject
from engine.errors import Conflict
from engine.instants import Instant
from engine.store import Batch, Claim
from engine.stores import outbox
from engine.stores.codec import decode_doubles, encode
from engine.stores.driver import Driver, columns
from engine.stores.outbox import Change
from engine.stores.tables import decisions, lanes, outreach, outreach_changes

TAKEN_BACK: frozenset[str] = frozenset({"withdrawn", "expired"})
"""The ends from which a revived decision brings its mail back."""
UNTOLD: frozenset[str] = frozenset({"suppressed", "failed", "in_doubt"})
"""Ends of a mail of which the engine hears nothing: it may go on holding, or take back, what has come to one."""
HERE = OPEN_STATES | {"claimed"}
"""Nothing of the mail is out. Who has claimed it hands over only what is claimed still, and as it was read."""
ENGINE = "engine"
_CHUNK = 1_000
_DUE = (
    sa.select(*outreach.c["outreach_id", "state", "steps", "due_at"])
    .where(
        outreach.c.lane == sa.bindparam("the_lane"),
        outreach.c.state.in_(sorted(OPEN_STATES)),
        outreach.c.due_at <= sa.bindparam("clock_at"),
        # A mail that was decided live, or waited while the lane was, is its reviewer's and its sender's.
        outreach.c.epoch
        > sa.select(sa.func.coalesce(lanes.c.live_epoch, 0))
        .where(lanes.c.lane == sa.bindparam("the_lane"))
        .scalar_subquery(),
    )
    .order_by(outreach.c.outreach_id)
    .with_for_update()
)
"""Made once, as the next two: every lane asks it with every batch."""
_DECIDED = sa.select(decisions).where(decisions.c.decision_id.in_(sa.bindparam("ids", expanding=True)))
_MAILS = (
    sa.select(*outreach.c["outreach_id", "state", "why", "state_at", "steps", "due_at", "expires_at"])
    .where(outreach.c.decision_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(outreach.c.outreach_id)
    .with_for_update()
)
_decode_mails = msgspec.json.Decoder(tuple[Mail, ...]).decode


class _Mail(msgspec.Struct):
    """A mail while a batch is applied; ``plan`` and ``decision`` are set when its whole row is to be written."""

    outreach_id: str
    state: MailState
    why: str | None
    state_at: Instant
    steps: int
    due_at: Instant
    expires_at: Instant
    stored: bool = False
    plan: Mail | None = None
    decision: Decision | None = None
    changed: bool = False


class _Desk:
    """The decisions and mails that some batches' facts touch, as they were in the store and as they become."""

    def __init__(self, connection: sa.Connection, claims: Mapping[str, Claim]) -> None:
        """``claims`` has the lane of each decision, by its id."""
        self.claims, ids = claims, sorted(claims)
        self.decisions: dict[str, Decision] = {}
        self.mails: dict[str, _Mail] = {}
        self.changes: list[tuple[Any, ...]] = []
        self.revisions: dict[str, int] = {}
        self.told: dict[int, list[Change]] = {}
        for chunk in (ids[at : at + _CHUNK] for at in range(0, len(ids), _CHUNK)):
            self._load(connection, chunk)
        self.stored = frozenset(self.decisions)
        self.dirty: dict[str, None] = {}

    def _load(self, connection: sa.Connection, ids: Sequence[str]) -> None:
        for row in connection.execute(_DECIDED, {"ids": ids}).mappings():
            self.decisions[row["decision_id"]] = decision(row)
            self.revisions[row["decision_id"]] = row["revision"]
        # Locked before anything is decided on them: a sender that claims one meanwhile waits, and then finds it gone.
        for mail in connection.execute(_MAILS, {"ids": ids}).mappings():
            self.mails[mail["outreach_id"]] = _Mail(**mail, stored=True)

    def take(self, fact: Fact) -> None:
        """Take the next fact in. Raises ``Conflict``."""
        if isinstance(fact, Decision):
            self.plan(fact)
        elif isinstance(fact, Held):
            self.hold(fact)
        elif isinstance(fact, Released):
            self.release(fact)
        else:
            self.end(fact)

    def plan(self, fact: Decision) -> None:
        """Take a decision in: new, revived or withdrawn."""
        known = self.decisions.get(fact.decision_id)
        if known is not None and fact.outcome == "withdrawn":
            fact = msgspec.structs.replace(known, outcome="withdrawn", withdrawn_at=fact.withdrawn_at)
        self.decisions[fact.decision_id] = fact
        self.revisions[fact.decision_id] = revision = self.revisions.get(fact.decision_id, 0) + 1
        self.told.setdefault(self.claims[fact.decision_id].lane, []).append((fact, revision))
        self.dirty[fact.decision_id] = None
        if fact.outcome == "planned":
            for mail in fact.mails:
                self._begin(fact, mail)

    def _begin(self, fact: Decision, mail: Mail) -> None:
        first, why = ("held", mail.held) if mail.held else _going(mail)
        at = fact.at
        if (
            mail.expires_at <= at and not mail.held
        ):  # an old report: whatever is issued only now, nobody need look at, and none leaves
            first, why, at = "past", None, min(at, mail.due_at)
        row = self.mails.get(mail.outreach_id)
        if row is None:
            row = _Mail(mail.outreach_id, first, why, at, 0, mail.due_at, mail.expires_at)
            self.mails[mail.outreach_id] = row
            self._step(row, None, first, at=at, why=why)
        elif row.state in TAKEN_BACK:
            self._step(row, row.state, first, at=at, why=why)
        else:
            return
        row.plan, row.decision = mail, fact
        row.due_at, row.expires_at = mail.due_at, mail.expires_at
        if mail.held_until is not None:
            row.due_at = row.expires_at = mail.held_until

    def end(self, fact: Ended) -> None:
        """Take a mail back, or let it expire. Raises ``Conflict`` when it is on its way already."""
        row = self._open(fact.outreach_id)
        if row is not None:
            self._step(row, row.state, fact.state, at=fact.at, why=fact.why)

    def hold(self, fact: Held) -> None:
        """Let a mail wait: no sender asks for it before the hold's end. Raises ``Conflict`` as ``end`` does."""
        row = self._open(fact.outreach_id)
        if row is not None:
            self._step(row, row.state, "held", at=fact.at, why=fact.why)
            row.due_at = row.expires_at = fact.until

    def release(self, fact: Released) -> None:
        """Let a mail go on. Raises ``Conflict`` as ``end`` does."""
        row = self._open(fact.mail.outreach_id)
        if row is not None:
            state, why = _going(fact.mail)
            self._step(row, row.state, state, at=fact.at, why=why)
            row.due_at, row.expires_at = fact.mail.due_at, fact.mail.expires_at

    def _open(self, outreach_id: str) -> _Mail | None:
        """A mail that has not left; None for one that never will, though the engine was not told."""
        row = self.mails.get(outreach_id)
        if row is not None and row.state in UNTOLD:
            return None
        if row is None or row.state not in HERE:
            found = "is not there" if row is None else f"is {row.state}"
            then = "load the lane again"
            if row is not None and row.state == "posting":
                then = f"{then} when it is settled: by a sender, or within five minutes"
            msg = f"outreach {outreach_id}: it cannot be taken back; it {found}; {then}"
            raise Conflict(msg)
        return row

    def _step(self, row: _Mail, before: MailState | None, after: MailState, *, at: Instant, why: str | None) -> None:
        row.steps += 1
        row.state, row.state_at, row.why, row.changed = after, at, why, True
        self.changes.append((row.outreach_id, row.steps, at, before, after, why, ENGINE))

    def write(self, connection: sa.Connection, driver: Driver) -> None:
        """Write what became of it all: parents first."""
        rows = {
            name: _decision_row(self.claims[name].lane, self.decisions[name], self.revisions[name])
            for name in self.dirty
        }
        driver.insert(connection, decisions, [row for name, row in rows.items() if name not in self.stored])
        _rewrite(connection, decisions, [row for name, row in rows.items() if name in self.stored])
        mails = [row for row in self.mails.values() if row.changed]
        driver.insert(connection, outreach, [self._mail_row(row) for row in mails if not row.stored])
        _rewrite(connection, outreach, [self._mail_row(row) for row in mails if row.stored and row.plan])
        _restate(connection, [row for row in mails if row.stored and not row.plan])
        driver.insert(connection, outreach_changes, self.changes)

    def _mail_row(self, row: _Mail) -> tuple[Any, ...]:
        fact, mail = row.decision, row.plan
        if fact is None or mail is None:
            msg = f"outreach {row.outreach_id}: its plan is missing; it was neither planned nor revived; report this"
            raise Conflict(msg)
        return _mail_row(self.claims[fact.decision_id], row, fact, mail)


def apply(connection: sa.Connection, driver: Driver, batches: Sequence[Batch]) -> None:
    """Apply the facts of batches of different lanes in order, then let pass what history has overtaken.

    Raises ``Conflict``.
    """
    claims = {fact.decision_id: batch.claim for batch in batches for fact in batch.facts}
    if claims:
        desk = _Desk(connection, claims)
        for batch in batches:
            for fact in batch.facts:
                desk.take(fact)
        desk.write(connection, driver)
        for batch in batches:
            if "decision" in batch.follow and not batch.history:
                outbox.put_decisions(connection, driver, batch.claim.lane, desk.told.get(batch.claim.lane, ()))
    for batch in batches:
        if batch.history and batch.clock_at is not None:
            _let_pass(connection, driver, batch)


def select(
    connection: sa.Connection, conditions: Iterable["sa.ColumnElement[bool]"], limit: int | None
) -> list[Decision]:
    """Decisions that meet all conditions, by (at, decision id)."""
    query = sa.select(decisions).where(*conditions).order_by(decisions.c.at, decisions.c.decision_id).limit(limit)
    return [decision(row) for row in connection.execute(query).mappings()]


def tell_again(connection: sa.Connection, driver: Driver, *, since: Instant, until: Instant) -> int:
    """Leave stored decisions to be published as they stand, oldest first; returns how many.

    Hold the lanes meanwhile: else a newer change of one could be published before this.
    """
    within = decisions.c.at >= since, decisions.c.at <= until
    query = sa.select(decisions).where(*within).order_by(decisions.c.at, decisions.c.decision_id)
    found = connection.execute(query).mappings().all()
    for lane in sorted({row["lane"] for row in found}):
        rows = [row for row in found if row["lane"] == lane]
        outbox.put_decisions(connection, driver, lane, [(decision(row), row["revision"]) for row in rows])
    return len(found)


def decision(row: sa.RowMapping) -> Decision:
    """Read a decision from its row."""
    fields = {name: row[name] for name in ("decision_id", "rule", "kind", "account_id", "occasion", "at", "outcome")}
    subject = None if row["subject_kind"] is None else Subject(row["subject_kind"], row["subject_id"])
    return Decision(
        **fields,
        subject=subject,
        values=decode_doubles(row["values"]),
        frozen=decode_doubles(row["frozen"]),
        mails=_decode_mails(row["mails"]),
        withdrawn_at=row["withdrawn_at"],
    )


def _let_pass(connection: sa.Connection, driver: Driver, batch: Batch) -> None:
    # A mail passes at its own due time, whatever batch the clock passed it in: replays in other batches agree.
    due = connection.execute(_DUE, {"the_lane": batch.claim.lane, "clock_at": batch.clock_at}).all()
    if not due:
        return
    steps = [(row.outreach_id, row.steps + 1, row.due_at, row.state, "past", None, ENGINE) for row in due]
    driver.insert(connection, outreach_changes, steps)
    _update(
        connection,
        outreach,
        [
            {"the_key": row.outreach_id, "state": "past", "why": None, "state_at": row.due_at, "steps": row.steps + 1}
            for row in due
        ],
    )


def _decision_row(lane: int, fact: Decision, revision: int) -> tuple[Any, ...]:
    subject = fact.subject
    return (
        fact.decision_id,
        lane,
        fact.rule,
        fact.kind,
        fact.account_id,
        subject and subject.kind,
        subject and subject.id,
        fact.occasion,
        fact.at,
        fact.outcome,
        encode(fact.values),
        encode(fact.frozen),
        encode(fact.mails),
        fact.withdrawn_at,
        revision,
    )


def _mail_row(claim: Claim, row: _Mail, fact: Decision, mail: Mail) -> tuple[Any, ...]:
    subject = fact.subject
    return (
        mail.outreach_id,
        fact.decision_id,
        claim.lane,
        fact.rule,
        fact.kind,
        fact.account_id,
        subject and subject.kind,
        subject and subject.id,
        mail.to,
        mail.audience,
        mail.template,
        mail.mail_class,
        mail.mode,
        fact.at,
        row.due_at,
        row.expires_at,
        mail.priority,
        row.state,
        row.why,
        row.state_at,
        encode(fact.values),
        encode(fact.frozen),
        row.steps,
        *[None] * 7,  # which mail, to whom, by which channel, when and how often: a sender's to say
        claim.epoch,
    )


def _going(mail: Mail) -> tuple[MailState, str | None]:
    """The state in which a mail waits for its time, and why."""
    return ("in_review" if mail.mode == "review" else "queued"), mail.why


def _rewrite(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    _, *rest = columns(table)
    _update(connection, table, [{"the_key": row[0], **dict(zip(rest, row[1:], strict=True))} for row in rows])


def _restate(connection: sa.Connection, mails: Sequence[_Mail]) -> None:
    names = "state", "why", "state_at", "steps", "due_at", "expires_at"
    _update(
        connection,
        outreach,
        [{"the_key": row.outreach_id, **{name: getattr(row, name) for name in names}} for row in mails],
    )


def _update(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    key = next(iter(table.primary_key.columns))
    if rows:
        connection.execute(sa.update(table).where(key == sa.bindparam("the_key")), rows)
