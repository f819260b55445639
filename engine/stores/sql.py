"""The event store over SQL, written once for SQLite and PostgreSQL: every method is one transaction."""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from engine.decision import Decision, MailState
from engine.errors import Fenced, StoreError
from engine.feedback import Feedback, Heard, Learned, Step
from engine.instants import Instant
from engine.lanes import lane_of
from engine.log import Entry, Recorded
from engine.pacing import Counted, Full, Meter
from engine.store import (
    Approval,
    Batch,
    Choice,
    Chosen,
    Claim,
    Contact,
    DeadLetter,
    Every,
    Forgotten,
    Heartbeat,
    InboxRow,
    LaneInfo,
    LetterCount,
    Move,
    Note,
    Outage,
    Outgoing,
    OutgoingKind,
    OutreachChange,
    OutreachRow,
    Reminder,
    ReminderState,
    ReportRound,
    Share,
    Snapshot,
    Stop,
    Suppression,
    Touch,
    Wanted,
    Wishes,
)
from engine.stores import (
    approvals,
    arrivals,
    claiming,
    decided,
    feedback,
    forgetting,
    kept,
    log,
    mails,
    moving,
    outages,
    outbox,
    ownership,
    paces,
    parts_forgotten,
    persons,
    reminders,
    revoked,
    stops,
    tables,
    watched,
)
from engine.stores import sent as sent_mails
from engine.stores.around import Around
from engine.stores.arrivals import Letter
from engine.stores.clock import StoreClock
from engine.stores.driver import Driver
from engine.stores.schema import MOVED, UNFINISHED


class SqlStore:
    """A ``Store`` in a database that ``schema.prepare`` has seen; made by ``open_store``."""

    def __init__(self, driver: Driver, *, shut: bool = False) -> None:
        """Read what the store was made with. ``shut``: open it though it moved, or is not whole yet."""
        self._driver = driver
        with driver.reading() as connection:
            settings = {row.name: row.value for row in connection.execute(sa.select(tables.settings))}
        self._lanes = int(settings["lanes"])
        self._secret = bytes(settings["secret"])
        self.moved = settings[MOVED].decode() if MOVED in settings else None
        """The store that this one went into."""
        self.unfinished = UNFINISHED in settings
        """Is it still being made out of another one?"""
        if not shut and (self.moved is not None or self.unfinished):
            raise StoreError(_shut(driver.url, self.moved))

    @property
    def url(self) -> str:
        """Where this store is, without its password."""
        return self._driver.url

    @property
    def lanes(self) -> int:
        """How many lanes the store was made with."""
        return self._lanes

    def close(self) -> None:
        """Give every connection back."""
        self._driver.close()

    # -- ownership -------------------------------------------------------------------------------------------------
    def claim(
        self,
        lanes: Sequence[int],
        owner: str,
        *,
        at: Instant,
        lease_seconds: int = 30,
        take_over: bool = False,
    ) -> list[Claim]:
        """Become the owner of the lanes, all or none; the claims come by lane."""
        with self._driver.writing() as connection:
            return ownership.claim(connection, lanes, owner, at=at, lease_seconds=lease_seconds, take_over=take_over)

    def renew(self, claims: Sequence[Claim], *, at: Instant, lease_seconds: int = 30) -> None:
        """Say that the owner is alive."""
        with self._driver.writing() as connection:
            ownership.renew(connection, claims, at=at, lease_seconds=lease_seconds)

    def release(self, claims: Sequence[Claim]) -> None:
        """Give the lanes up."""
        with self._driver.writing() as connection:
            ownership.release(connection, claims)

    def lane_infos(self, *, at: Instant) -> list[LaneInfo]:
        """Every lane, by number."""
        with self._driver.reading() as connection:
            return ownership.infos(connection, at=at)

    # -- the log ---------------------------------------------------------------------------------------------------
    def existing(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """Of these (account id, event id) pairs the ones already stored, with their digests."""
        with self._driver.reading() as connection:
            return {(account, event): digest for account, event, digest in self._driver.existing(connection, ids)}

    def commit(self, batches: Sequence[Batch]) -> list[Claim]:
        """Write the batches in one transaction; the claims come in the batches' order."""
        with self._driver.writing() as connection:
            rows = ownership.fence(connection, (batch.claim for batch in batches), exact=True)
            ownership.move_offsets(connection, self._driver, [move for batch in batches for move in batch.offsets])
            self._write(connection, sorted(batches, key=lambda one: one.claim.lane))
            done = ownership.advance(connection, rows, batches)
        return [done[batch.claim.lane] for batch in batches]

    def _write(self, connection: sa.Connection, batches: Sequence[Batch]) -> None:
        # Lanes together as far as they can: live batches are so small that statements cost more than rows.
        log.append(connection, self._driver, batches)
        decided.apply(connection, self._driver, batches)
        persons.put_traits(connection, self._driver, [one for batch in batches for one in batch.traits])
        persons.put_touches(connection, self._driver, [one for batch in batches for one in batch.touches])
        for batch in batches:
            self._write_beside(connection, batch)
        kept.put_shares(connection, self._driver, [one for batch in batches for one in batch.shares])

    def _write_beside(self, connection: sa.Connection, batch: Batch) -> None:
        """Write what few batches bring."""
        if batch.retried:
            arrivals.drop_dead_letters(connection, batch.retried)
        fresh = arrivals.put_dead_letters(connection, self._driver, batch.dead_letters)
        if "dead-letter" in batch.follow:
            outbox.put_letters(connection, self._driver, fresh, lanes=self._lanes)
        if batch.inbox_seq is not None:
            arrivals.clear_inbox(connection, batch.claim.lane, until=batch.inbox_seq)
        if batch.back:
            arrivals.put_inbox(connection, self._driver, batch.back, lanes=self._lanes, at=batch.clock_at or 0)
        for note in batch.notes:
            persons.note(connection, note)
        if batch.letters:
            arrivals.put_lane_letters(connection, self._driver, batch.letters, at=batch.clock_at or 0)

    def entries(
        self,
        lane: int,
        *,
        after: int = 0,
        until_position: int | None = None,
        until_at: Instant | None = None,
    ) -> Iterator[Entry]:
        """The lane's log as it stands now, in position order; no transaction stays open between pages."""
        with self._driver.reading() as connection:
            end = _end(connection, lane, until_position)
        while after < end:
            with self._driver.reading() as connection:
                page, after = log.page(connection, lane, after=after, until_position=end, until_at=until_at)
            yield from page

    def account_entries(
        self,
        account_id: str,
        *,
        until_position: int | None = None,
        until_at: Instant | None = None,
    ) -> list[Entry]:
        """One account's entries in position order, with the entries of its lane that concern every account."""
        lane = lane_of(account_id, self._lanes)
        with self._driver.reading() as connection:
            end = _end(connection, lane, until_position)
            return log.of_account(connection, account_id, lane, until_position=end, until_at=until_at)

    def histories(self, *, after: str = "", until_at: Instant | None = None) -> Iterator[tuple[str, list[Recorded]]]:
        """Each account behind ``after`` with its events; no transaction stays open between pages."""
        rows: list[Recorded] = []
        last: log.Last | None = (after, None)
        while last is not None:
            with self._driver.reading() as connection:
                page, last = log.page_by_account(connection, last, until_at=until_at)
            for one in page:
                if rows and rows[0].account_id != one.account_id:
                    yield rows[0].account_id, log.by_position(rows)
                    rows = []
                rows.append(one)
        if rows:
            yield rows[0].account_id, log.by_position(rows)

    def naming(self, trait: str, *, until_at: Instant) -> list[Recorded]:
        """The events ``account.updated`` that say something of a trait."""
        with self._driver.reading() as connection:
            return log.naming(connection, trait, until_at=until_at)

    def accounts(self) -> list[str]:
        """Every account with an event, by bytes."""
        with self._driver.reading() as connection:
            return log.accounts(connection)

    def count_events(self) -> int:
        """How many events are stored."""
        with self._driver.reading() as connection:
            return log.count(connection)

    def offsets(self, source: str | None = None) -> dict[tuple[str, str, int], int]:
        """How far each (source, topic, partition) was taken in."""
        with self._driver.reading() as connection:
            return ownership.read_offsets(connection, source)

    def logs(self) -> dict[tuple[str, str, int], str]:
        """The ids of the topics that these offsets count in, as far as they were told."""
        with self._driver.reading() as connection:
            return ownership.read_logs(connection)

    # -- rulebooks, snapshots, shares ------------------------------------------------------------------------------
    def put_rulebook(self, fingerprint: str, files: Mapping[str, str], *, at: Instant) -> None:
        """Keep a rulebook's files under its fingerprint; again is a no-op."""
        with self._driver.writing() as connection:
            kept.put_rulebook(connection, self._driver, fingerprint, files, at)

    def rulebook(self, fingerprint: str) -> dict[str, str] | None:
        """The files of a stored rulebook."""
        with self._driver.reading() as connection:
            return kept.rulebook(connection, fingerprint)

    def active_rulebook(self, lane: int) -> str | None:
        """Fingerprint of the lane's last ``rulebook.activated`` entry."""
        with self._driver.reading() as connection:
            return log.active_rulebook(connection, lane)

    def put_snapshots(self, claim: Claim, snapshots: Sequence[Snapshot]) -> None:
        """Keep snapshots, newest per account."""
        with self._driver.writing() as connection:
            ownership.fence(connection, [claim])
            kept.put_snapshots(connection, self._driver, snapshots)

    def snapshots(self, lane: int) -> Iterator[Snapshot]:
        """The lane's snapshots, by account."""
        after = ""
        while True:
            with self._driver.reading() as connection:
                page = kept.page_of_snapshots(connection, lane, after)
            yield from page
            if len(page) < kept.PAGE:
                return
            after = page[-1].account_id

    def delete_snapshots(self) -> int:
        """Drop all snapshots."""
        with self._driver.writing() as connection:
            return kept.delete_snapshots(connection)

    def shares(self, *, after: Instant | None = None) -> list[Share]:
        """Portfolio shares by (at, lane)."""
        with self._driver.reading() as connection:
            return kept.shares(connection, after)

    # -- what was decided ------------------------------------------------------------------------------------------
    def decisions(
        self,
        *,
        account_id: str | None = None,
        rule: str | None = None,
        lane: int | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
    ) -> list[Decision]:
        """Decisions by (at, decision id)."""
        c = tables.decisions.c
        wanted = _where((c.account_id, account_id), (c.rule, rule), (c.lane, lane))
        wanted += [c.at >= since] if since is not None else []
        wanted += [c.at <= until] if until is not None else []
        with self._driver.reading() as connection:
            return decided.select(connection, wanted, limit)

    def outreach(
        self,
        *,
        states: Sequence[MailState] | None = None,
        account_id: str | None = None,
        rule: str | None = None,
        decision_id: str | None = None,
        outreach_id: str | None = None,
        due_by: Instant | None = None,
        limit: int | None = None,
    ) -> list[OutreachRow]:
        """Mails by (due_at, outreach id)."""
        c = tables.outreach.c
        wanted = _where(
            (c.account_id, account_id),
            (c.rule, rule),
            (c.decision_id, decision_id),
            (c.outreach_id, outreach_id),
        )
        wanted += [c.state.in_(states)] if states is not None else []
        wanted += [c.due_at <= due_by] if due_by is not None else []
        with self._driver.reading() as connection:
            return mails.select(connection, wanted, limit)

    def mail_counts(self) -> dict[str, int]:
        """How many mails are in each state."""
        with self._driver.reading() as connection:
            return mails.counts(connection)

    def changes(self, outreach_id: str) -> list[OutreachChange]:
        """A mail's life, oldest first."""
        with self._driver.reading() as connection:
            return mails.changes(connection, outreach_id)

    def clock(self, at: Instant) -> Instant:
        """Now by the store's own clock."""
        with self._driver.reading() as connection:
            return int(connection.execute(sa.select(StoreClock(sa.literal(at, sa.BigInteger())))).scalar_one())

    def move(
        self,
        outreach_id: str,
        before: Sequence[MailState],
        after: MailState,
        *,
        at: Instant,
        by: str,
        why: str | None = None,
        inbox: Sequence[Letter] = (),
    ) -> bool:
        """Move a mail from one of the states ``before`` to ``after``, in one transaction with rows for inboxes."""
        step = Step(outreach_id=outreach_id, before=tuple(before), after=after, why=why, inbox=tuple(inbox))
        return self.move_mails([Move(steps=(step,))], at=at, by=by)[0]

    def move_mails(
        self, moves: Sequence[Move], *, at: Instant, by: str, unless_stopped: str | None = None
    ) -> list[bool]:
        """Move many mails in one transaction, each whole or not at all."""
        kept = moving.packed(moves, at)
        with self._driver.writing() as connection:
            return moving.move(
                connection,
                self._driver,
                moves,
                kept,
                at=at,
                by=by,
                lanes=self._lanes,
                unless_stopped=unless_stopped,
            )

    def sent(self, outreach_id: str) -> bytes | None:
        """The mail that a decision went out in, to the byte."""
        with self._driver.reading() as connection:
            return sent_mails.read(connection, outreach_id)

    def drop_sent(self, *, before: Instant) -> int:
        """Remove the bytes of mails that were sent before then."""
        with self._driver.reading() as connection:
            if not sent_mails.is_older(connection, before):
                return 0
        with self._driver.writing() as connection:
            return sent_mails.drop_older(connection, before)

    def claim_mails(
        self, wanted: Sequence[Wanted], *, since: Instant, at: Instant, by: str, channel: str = ""
    ) -> list[tuple[list[str], Any]]:
        """Claim many mails in one transaction, in their order."""
        with self._driver.writing() as connection:
            return claiming.claim(connection, self._driver, wanted, since=since, at=at, by=by, channel=channel)

    def contacts(self, account_id: str, person: str, *, since: Instant) -> list[Contact]:
        """Contact with the account or the person since then, oldest first."""
        with self._driver.reading() as connection:
            return Around(connection, since, accounts=[account_id], persons=[person]).contacts(account_id, person)

    # -- what people decide ----------------------------------------------------------------------------------------
    def approve(self, rows: Sequence[OutreachRow], one: Approval) -> bool:
        """Let a mail leave in these words."""
        what = "approved" if one.was is None else "approved with changes"
        with self._driver.writing() as connection:
            done = approvals.put(connection, rows, one, what)
            if done:
                ids = [row.outreach_id for row in rows]
                persons.note(connection, Note(one.at, one.who, what, {"mails": ids, "digest": one.digest}))
            return done

    def approvals(self, mail_ids: Sequence[str]) -> dict[str, Approval]:
        """The approvals that stand under these outreach ids."""
        with self._driver.reading() as connection:
            return approvals.read(connection, mail_ids)

    def revoke(self, account_id: str, report: str, period: str, *, note: Note, until: Instant | None = None) -> bool:
        """Take back the links to a report, and keep the note."""
        with self._driver.writing() as connection:
            done = revoked.put(
                connection, self._driver, account_id, report, period, note.at if until is None else until
            )
            if done:
                persons.note(connection, note)
            return done

    def revoked(self, account_id: str, report: str, period: str) -> Instant | None:
        """Until when mails were decided whose links to this report were taken back."""
        with self._driver.reading() as connection:
            return revoked.read(connection, account_id, report, period)

    def put_reminders(self, new: Sequence[Reminder]) -> None:
        """Keep what our people are to be told."""
        with self._driver.reading() as connection:
            fresh = reminders.unknown(connection, new)  # mostly none, and then nothing need be written
        if fresh:
            with self._driver.writing() as connection:
                reminders.put(connection, self._driver, fresh)

    def reminders(self) -> list[Reminder]:
        """What nobody was told yet."""
        with self._driver.reading() as connection:
            return reminders.waiting(connection)

    def move_reminder(self, reminder_id: str, before: ReminderState, after: ReminderState) -> bool:
        """Move one by compare-and-set."""
        with self._driver.writing() as connection:
            return reminders.move(connection, reminder_id, before, after)

    def clear_reminders(self, *, before: Instant) -> None:
        """Drop what was to be told before then."""
        with self._driver.writing() as connection:
            reminders.clear(connection, before)

    # -- the stop switch -------------------------------------------------------------------------------------------
    def stop(self, one: Stop) -> bool:
        """Let nothing leave that ``one`` names."""
        with self._driver.writing() as connection:
            fresh = stops.put(connection, self._driver, one)
            if fresh:
                persons.note(connection, Note(one.at, one.who, "stop", _audited(one)))
            return fresh

    def go(self, one: Stop) -> Stop | None:
        """Let go on what ``one`` names; returns what stood there."""
        with self._driver.writing() as connection:
            found = stops.lift(connection, self._driver, one)
            if found is not None:
                persons.note(connection, Note(one.at, one.who, "go", {**_audited(one), "per_hour": one.per_hour}))
            return found

    def rulebooks(self) -> list[tuple[Instant, str]]:
        """When each rulebook was first kept, and its fingerprint."""
        with self._driver.reading() as connection:
            return kept.rulebooks_kept(connection)

    def count_accounts(self) -> int:
        """How many accounts were ever seen."""
        with self._driver.reading() as connection:
            return log.count_accounts(connection)

    def stops(self) -> list[Stop]:
        """What is stopped, and what goes on slowly after that."""
        with self._driver.reading() as connection:
            return stops.read(connection)

    # -- how many may leave ----------------------------------------------------------------------------------------
    def paced(self, meters: Sequence[Meter], *, at: Instant) -> dict[str, Counted]:
        """What was counted under these limits, by their names."""
        with self._driver.reading() as connection:
            found = paces.read(connection, meters, at=at)
        if not paces.is_ahead(found.values(), at):
            return found
        with self._driver.writing() as connection:
            return paces.put_right(connection, self._driver, meters, at=at)

    def pace(self, mails: Sequence[Sequence[Meter]], *, at: Instant) -> list[Full | None]:
        """Count mails that are about to leave, each under all of its limits or none."""
        with self._driver.writing() as connection:
            return paces.take(connection, self._driver, mails, at=at)

    # -- channels that are away --------------------------------------------------------------------------------------
    def outages(self) -> list[Outage]:
        """Channels that take nothing now."""
        with self._driver.reading() as connection:
            return outages.read(connection)

    def put_outage(self, one: Outage) -> None:
        """Say that a channel takes nothing."""
        with self._driver.writing() as connection:
            outages.put(connection, self._driver, one)

    def try_channel(self, one: Outage, *, until: Instant) -> bool:
        """Take the trial of a channel."""
        with self._driver.writing() as connection:
            return outages.try_again(connection, one, until)

    def end_outage(self, channel: str) -> None:
        """Say that a channel takes mails again."""
        with self._driver.writing() as connection:
            outages.end(connection, channel)

    # -- what providers tell ---------------------------------------------------------------------------------------
    def put_feedback(
        self,
        rows: Sequence[Feedback],
        *,
        suppress: Mapping[str, str] | None = None,
        stop: Mapping[str, str] | None = None,
    ) -> int:
        """Keep what providers told, each thing once; returns how many are new."""
        with self._driver.writing() as connection:
            return feedback.put(connection, self._driver, rows, suppress or {}, stop or {})

    def feedback(self, *, limit: int) -> list[Feedback]:
        """What was told and nobody has learned from, in the order it came."""
        with self._driver.reading() as connection:
            return feedback.unsettled(connection, limit)

    def mails_of(self, told: Sequence[Feedback]) -> dict[int, list[OutreachRow]]:
        """The rows of the mail that each of these is about, by ``seq``."""
        with self._driver.reading() as connection:
            return feedback.about(connection, told)

    def learn(self, learned: Sequence[Learned], *, at: Instant, by: str) -> None:
        """Write down what follows from what was told, once."""
        with self._driver.writing() as connection:
            letters = feedback.learn(connection, self._driver, learned, at=at, by=by)
            arrivals.put_inbox(connection, self._driver, letters, lanes=self._lanes, at=at)

    def facts(self, outreach_ids: Sequence[str]) -> dict[str, dict[str, Instant]]:
        """What is known of mails that are out."""
        with self._driver.reading() as connection:
            return feedback.facts(connection, outreach_ids)

    def heard(self, channel: str, *, since: Instant, until: Instant) -> Heard:
        """Of the mails that a channel took since then, how many its provider told of."""
        with self._driver.reading() as connection:
            return feedback.heard(connection, channel, since=since, until=until)

    def clear_feedback(self, *, before: Instant) -> int:
        """Drop what was heard before then and is learned from."""
        with self._driver.writing() as connection:
            return feedback.clear(connection, before)

    # -- inbox, people, dead letters, audit ------------------------------------------------------------------------
    def put_inbox(self, rows: Sequence[Letter], *, at: Instant, note: Note | None = None) -> None:
        """Leave something for the owner of each account's lane."""
        with self._driver.writing() as connection:
            arrivals.put_inbox(connection, self._driver, rows, lanes=self._lanes, at=at)
            if note is not None:
                persons.note(connection, note)

    def waiting(self, after: Mapping[int, int]) -> frozenset[int]:
        """The lanes among these in whose inbox something lies after the number."""
        with self._driver.reading() as connection:
            return arrivals.waiting(connection, after)

    def inbox(self, lane: int, *, after: int) -> list[InboxRow]:
        """What the lane's owner has not taken in yet, in order."""
        with self._driver.reading() as connection:
            return arrivals.read_inbox(connection, lane, after=after)

    def people(self, account_id: str) -> dict[str, dict[str, Any]]:
        """Personal traits per person of the account; cleared ones are absent."""
        with self._driver.reading() as connection:
            return persons.of_accounts(connection, [account_id]).get(account_id, {})

    def people_of(self, account_ids: Collection[str]) -> dict[str, dict[str, dict[str, Any]]]:
        """Personal traits of many accounts."""
        with self._driver.reading() as connection:
            return persons.of_accounts(connection, account_ids)

    def suppress(
        self,
        address_key: str,
        *,
        reason: str,
        at: Instant,
        note: Note | None = None,
        inbox: Sequence[Letter] = (),
    ) -> bool:
        """Never write to this address again; the first reason stays."""
        with self._driver.writing() as connection:
            fresh = persons.suppress(connection, self._driver, address_key, reason=reason, at=at)
            return self._told(connection, note, inbox, at=at) if fresh else False

    def unsuppress(self, address_key: str, *, note: Note) -> bool:
        """Write to this address again."""
        with self._driver.writing() as connection:
            there = persons.unsuppress(connection, self._driver, address_key)
            return self._told(connection, note, (), at=note.at) if there else False

    def choose(
        self,
        address_key: str,
        chosen: Mapping[str, Choice | None],
        *,
        at: Instant,
        by: str,
        note: Note | None = None,
        inbox: Sequence[Letter] = (),
    ) -> bool:
        """Keep what the reader of an address chose."""
        with self._driver.writing() as connection:
            changed = persons.choose(connection, self._driver, address_key, chosen, at=at, by=by)
            return self._told(connection, note, inbox, at=at) if changed else False

    def choose_rhythm(
        self,
        address_key: str,
        report: str,
        every: Every,
        *,
        at: Instant,
        by: str,
        note: Note | None = None,
        inbox: Sequence[Letter] = (),
    ) -> bool:
        """Keep how often the reader of an address wants a report."""
        with self._driver.writing() as connection:
            changed = persons.choose_rhythm(connection, self._driver, address_key, report, every, at=at, by=by)
            return self._told(connection, note, inbox, at=at) if changed else False

    def with_rhythms(self, report: str) -> frozenset[str]:
        """The addresses whose readers ever chose how often they get a report."""
        with self._driver.reading() as connection:
            return persons.with_rhythms(connection, report)

    def _told(self, connection: sa.Connection, note: Note | None, inbox: Sequence[Letter], *, at: Instant) -> bool:
        """Write down what was done about an address, and leave word of it; True."""
        if note is not None:
            persons.note(connection, note)
        arrivals.put_inbox(connection, self._driver, inbox, lanes=self._lanes, at=at)
        return True

    def wishes(self, address_key: str) -> Wishes:
        """Whether an address may be written to, and what its reader chose."""
        with self._driver.reading() as connection:
            return persons.wishes(connection, address_key)

    def wishes_of(self, address_keys: Collection[str]) -> dict[str, Wishes]:
        """What is wished of many addresses."""
        with self._driver.reading() as connection:
            return persons.wishes_of(connection, address_keys)

    def suppressions(self) -> list[Suppression]:
        """Every suppressed address, oldest first."""
        with self._driver.reading() as connection:
            return persons.all_suppressed(connection)

    def choices(self) -> list[Chosen]:
        """Every choice of a reader, oldest first."""
        with self._driver.reading() as connection:
            return persons.all_chosen(connection)

    def suppressed(self, address_key: str) -> str | None:
        """Why the address is suppressed, or None."""
        with self._driver.reading() as connection:
            return persons.suppressed(connection, address_key)

    def cancelled(self, account_id: str, *, at: Instant) -> bool:
        """Was the account's subscription cancelled by then, and not begun or renewed since?"""
        with self._driver.reading() as connection:
            return account_id in persons.cancelled(connection, [account_id], at)

    def cancelled_of(self, account_ids: Collection[str], *, at: Instant) -> frozenset[str]:
        """Those of many accounts that were cancelled by then."""
        with self._driver.reading() as connection:
            return persons.cancelled(connection, account_ids, at)

    def touches(self, account_id: str, *, since: Instant | None = None) -> list[Touch]:
        """Contacts with the account, oldest first."""
        with self._driver.reading() as connection:
            return persons.read_touches(connection, account_id, since)

    def dead_letters(
        self, *, source: str | None = None, limit: int | None = None, begins: str | None = None
    ) -> list[DeadLetter]:
        """Dead letters, oldest first; ``begins``: whose id begins so."""
        with self._driver.reading() as connection:
            return arrivals.read_dead_letters(connection, source, limit, begins)

    def dead_letter_ids(self) -> frozenset[str]:
        """The ids of all dead letters."""
        with self._driver.reading() as connection:
            return frozenset(connection.execute(sa.select(tables.dead_letters.c.dead_letter_id)).scalars())

    def blame_dead_letters(self, reasons: Mapping[str, str]) -> None:
        """Give dead letters other reasons, by id."""
        with self._driver.writing() as connection:
            arrivals.blame_dead_letters(connection, reasons)

    def put_dead_letters(self, letters: Sequence[DeadLetter], *, follow: bool = False) -> int:
        """Keep dead letters that belong to no lane's batch; returns how many are new."""
        with self._driver.writing() as connection:
            fresh = arrivals.put_dead_letters(connection, self._driver, letters)
            if follow:
                outbox.put_letters(connection, self._driver, fresh, lanes=self._lanes)
            return len(fresh)

    def drop_dead_letters(self, ids: Sequence[str]) -> int:
        """Remove dead letters."""
        with self._driver.writing() as connection:
            return arrivals.drop_dead_letters(connection, ids)

    def dead_letter_counts(self) -> list[LetterCount]:
        """How many dead letters there are, by source and partition."""
        with self._driver.reading() as connection:
            return watched.letter_counts(connection)

    # -- for whoever looks after it --------------------------------------------------------------------------------
    def put_report_round(self, one: ReportRound) -> None:
        """Say how far a report's period is."""
        with self._driver.writing() as connection:
            watched.put_report_round(connection, self._driver, one)

    def report_rounds(self) -> list[ReportRound]:
        """How far each report's period is."""
        with self._driver.reading() as connection:
            return watched.report_rounds_of(connection)

    def put_heartbeat(self, beat: Heartbeat) -> None:
        """Keep what a worker says of itself, in place of what it said before."""
        with self._driver.writing() as connection:
            watched.put_heartbeat(connection, self._driver, beat)

    def heartbeats(self) -> list[Heartbeat]:
        """What every worker last said of itself, by owner."""
        with self._driver.reading() as connection:
            return watched.heartbeats(connection)

    def drop_heartbeat(self, owner: str) -> None:
        """The worker stopped."""
        with self._driver.writing() as connection:
            watched.drop_heartbeat(connection, owner)

    def is_current(self) -> bool:
        """Are the tables of the version that this program knows?"""
        with self._driver.reading() as connection:
            return watched.is_current(connection)

    # -- outbox ----------------------------------------------------------------------------------------------------
    def outbox(self, lanes: Collection[int], kind: OutgoingKind, *, limit: int) -> list[Outgoing]:
        """What waits to be published of these lanes, in order."""
        with self._driver.reading() as connection:
            return outbox.read(connection, lanes, kind, limit)

    def tell_again(self, *, since: Instant, until: Instant) -> int:
        """Leave stored decisions in the outbox as they stand."""
        with self._driver.writing() as connection:
            ownership.hold_all(connection)
            return decided.tell_again(connection, self._driver, since=since, until=until)

    def published(self, seqs: Sequence[int]) -> None:
        """These rows are published, and go."""
        with self._driver.writing() as connection:
            outbox.clear(connection, seqs)

    def audit(self, *, at: Instant, who: str, what: str, detail: Mapping[str, Any]) -> None:
        """Write down who did what by hand."""
        with self._driver.writing() as connection:
            persons.note(connection, Note(at, who, what, detail))

    def key(self, text: str) -> str:
        """A keyed hash (HMAC-SHA256, hexadecimal) under the store's own secret."""
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    # -- forgetting ------------------------------------------------------------------------------------------------
    def told_in(self, account_id: str) -> frozenset[str]:
        """The other accounts whose reports tell of one."""
        with self._driver.reading() as connection:
            return parts_forgotten.told_in(connection, account_id)

    def forget_account(self, claim: Claim, account_id: str, *, at: Instant, beside: Sequence[Claim] = ()) -> Forgotten:
        """Remove an account everywhere."""
        with self._driver.writing() as connection:
            ownership.fence(connection, [claim, *beside], exact=True)
            others = parts_forgotten.told_in(connection, account_id)
            lacking = {lane_of(one, self._lanes) for one in others} - {one.lane for one in (claim, *beside)}
            if lacking:
                what = f"lane {min(lacking)}: its accounts' reports tell of the account; it is not claimed"
                raise Fenced(f"{what}; claim the lanes of all it is told_in")
            parts_forgotten.leave(connection, account_id, others)
            done = forgetting.account(connection, self._driver, self.key, account_id, at=at)
        self._driver.scrub()
        return done

    def forget_person(
        self,
        claim: Claim,
        account_id: str,
        user_id: str,
        *,
        properties: Iterable[str],
        at: Instant,
    ) -> Forgotten:
        """Give a person a fresh pseudonym in the account's events (``user_id`` and these properties); traits go."""
        with self._driver.writing() as connection:
            ownership.fence(connection, [claim], exact=True)
            done = forgetting.person(
                connection,
                self._driver,
                self.key,
                account_id,
                user_id,
                properties=properties,
                at=at,
            )
        self._driver.scrub()
        return done

    def forgot_anybody(self) -> bool:
        """Is there any tombstone?"""
        with self._driver.reading() as connection:
            return forgetting.any_stone(connection)

    def tombstones(self, accounts: Sequence[str]) -> frozenset[str]:
        """Which of these accounts were forgotten."""
        with self._driver.reading() as connection:
            return forgetting.buried(connection, self.key, accounts)

    def pseudonyms(self, people: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Of these (account id, user id) the forgotten ones, with the pseudonym that stands in their place."""
        with self._driver.reading() as connection:
            return forgetting.pseudonyms(connection, self.key, people)

    def altered_accounts(self) -> frozenset[str]:
        """Accounts in which a person was forgotten."""
        with self._driver.reading() as connection:
            return forgetting.altered(connection)


def _shut(url: str, moved: str | None) -> str:
    if moved is not None:
        return f"{url}: this store got more lanes; all that was in it is in {moved} now; use that one"
    return f"{url}: this store is not whole; 'ringfirst relane' was making it and did not end; type the same again"


def _audited(one: Stop) -> dict[str, Any]:
    return {"scope": one.scope, "name": one.name, "why": one.why}


def _end(connection: sa.Connection, lane: int, until_position: int | None) -> int:
    # Events and entries are two queries: what is committed between them must not show in the second alone.
    last = ownership.position(connection, lane)
    return last if until_position is None else min(last, until_position)


def _where(*wanted: "tuple[sa.ColumnElement[Any], Any]") -> "list[sa.ColumnElement[bool]]":
    return [column == value for column, value in wanted if value is not None]
