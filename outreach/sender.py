"""The sender: takes mails that are due, asks the gate, and lets each leave at most once.

``queued -> claimed -> posting -> accepted``, each a compare-and-set in the store. ``posting`` is committed just before
the mail is handed over: a crash before it is harmless, a crash after it leaves the mail in doubt, and only a channel
that can tell settles that (DESIGN 6, DELIVERY 4).
"""

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from engine.decision import OPEN_STATES, MailState
from engine.errors import TemplateError
from engine.feedback import Step
from engine.instants import DAY, MINUTE, SECOND, Instant
from engine.left_behind import WHY
from engine.rulebook.spec import Policy
from engine.rulebook.topics import topic_of
from engine.store import ALL_TOPICS, NOTE, Approval, OutreachRow, Reader, Standing, Stop, Store, Watch
from outreach.addresses import address_key
from outreach.approving import FRESH, void, words_of
from outreach.breaker import Guard, canary, tripped, watch_of
from outreach.channel import Channel, DeliveryError, Verdict
from outreach.context import Lookup, People, Sender, reader_address
from outreach.doubts import Doubts, doubtful, is_one, sendable
from outreach.feedback import settle
from outreach.folding import fold, is_folded
from outreach.gate import Post, across_since, asking, by_rank, judge, looks_back, person_of, too_old, unusable
from outreach.joining import join_rows, joined_by, write_mail, writer
from outreach.links import Links, Token, links_of
from outreach.mail import Outgoing
from outreach.policy import No
from outreach.reminding import broken, remind, tell
from outreach.reminding import tripped as breaker_tripped
from outreach.rendering import Rendered
from outreach.stops import against, channel_kind, stopped
from outreach.telling import ended, kept, sent
from outreach.templates import Template

BEHIND = 5 * MINUTE
"""How far a lane's clock may stand behind the sender's before its mails wait."""
AGAIN = 5 * MINUTE
"""How long a mail waits that its channel did not take for now; some servers make every stranger come twice."""
MOST_DOUBTS = 3
"""After so many mails in doubt one after the other a run ends, before they all are."""
DOUBTS_WAIT_SECONDS = 60.0
_AFTER: dict[Verdict, MailState] = {"later": "queued", "failed": "failed", "in_doubt": "in_doubt", "down": "queued"}
_POSTED = re.compile(r"by (\S+) as (\S+)")
_log = logging.getLogger("outreach.sender")


class SendReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one run did. ``mails`` left, carrying ``rows`` decisions (joined ones are one mail); the rest counts rows.

    ``waiting``: lane behind, or not taken a moment ago; ``later``: the channel did not take it, it will be tried again;
    ``elsewhere``: another sender was faster; ``recovered``: left half done by an earlier run and settled; ``reasons``:
    why rows did not leave.
    """

    mails: int = 0
    rows: int = 0
    held: int = 0
    in_review: int = 0
    suppressed: int = 0
    expired: int = 0
    withdrawn: int = 0
    waiting: int = 0
    later: int = 0
    failed: int = 0
    in_doubt: int = 0
    elsewhere: int = 0
    recovered: int = 0
    reasons: dict[str, int] = msgspec.field(default_factory=dict)


def send_due(  # noqa: PLR0913, each is a choice of its own that only the one who starts a run can make
    store: Store,
    templates: Mapping[str, Template],
    channel: Channel,
    *,
    sender: Sender,
    at: Instant,
    by: str,
    policy: Policy | None = None,
    only_to: Collection[str] = (),
    guard: Guard | None = None,
    live: bool = False,
    lease_seconds: int = 300,
    limit: int | None = None,
    seconds: float = float("inf"),
    stop: Callable[[], bool] = lambda: False,
    doubts: Doubts | None = None,
) -> SendReport:
    """Send what is due at ``at``; ``by`` names this sender in ``outreach_changes``; ``stop`` ends it between two mails.

    With ``live``, mails wait whose lane is more than 5 minutes behind, or has not come to their time, and the clock
    goes on from ``at`` while mails are handed over; after so many ``seconds`` the others are left. What another run
    left half done is settled first: at once on a local channel (it lets in one run at a time), else when
    ``lease_seconds`` have passed. Mails in review expire and never leave; what somebody approved leaves in the words
    that were approved. ``only_to`` are the domains that a channel which leaves this machine may write to (none named:
    all), ``guard`` what is asked of the rule that decided. What providers told is learned from first; ``doubts`` says
    which mails in doubt are sent again. The bytes of each mail are kept as long as ``sender`` says. Raises
    ``DeliveryError`` when the channel cannot be used at all; what it did not take waits.
    """
    outside = only_to if not channel.local else ()
    post = post_of(store, templates, sender, policy or Policy(), only_to=outside, away=not channel.local)
    run = _Run(store, post, channel, at, by, live=live, guard=guard or Guard())
    with channel.session():
        store.drop_sent(before=at - sender.keep_sent_days * DAY)
        settle(store, at=at, by=by)
        run.recover(lease_seconds * SECOND)
        rows = store.outreach(states=["queued", "held"], due_by=at, limit=limit)
        clocks = {info.lane: info.clock_at for info in store.lane_infos(at=at)} if live else None
        run.approvals = store.approvals([row.outreach_id for row in rows])
        asking_for = [row for row in store.outreach(states=["in_review"]) if not run.tired(row)]
        remind(store, asking_for, post.policy, at)
        asked = [row for row in rows if not stop() and run.ask(row, clocks)]
        groups = fold(join_rows(asked, post), templates)
        end = time.monotonic() + seconds
        if channel.local:  # it knows what it has taken, so there is no doubt
            again = [mail for mail in doubtful(store, channel.name) if not run.there(mail) and is_one(mail)]
        else:
            again = sendable(store, channel.name, doubts or Doubts(), at)
        run.send_again(again, lambda: stop() or time.monotonic() >= end)
        for group in sorted(groups, key=lambda group: (not is_folded(group), by_rank(group[0]))):
            if stop() or run.down is not None or time.monotonic() >= end:
                break
            run.send(group)
        if run.down is None and not stop():
            tell(store, post, channel, at)
    if run.down is not None:
        raise run.down
    return run.report()


def post_of(
    store: Store,
    templates: Mapping[str, Template],
    sender: Sender,
    policy: Policy,
    *,
    only_to: Collection[str] = (),
    away: bool = False,
) -> Post:
    """What a sender works with over this store; who approves mails sees them by it too."""
    people = cached(store.people)
    # A Message-ID that a stranger could work out would let the stranger's bounce suppress a customer.
    sender = msgspec.structs.replace(sender, secret=bytes.fromhex(store.key("message-id")))
    return Post(
        templates=templates,
        sender=sender,
        policy=policy,
        people=people,
        key=lambda address: address_key(store.key, address),
        wishes=lambda address: store.wishes(address_key(store.key, address)),
        links=_links(store, sender, policy, people),
        cancelled=lambda account, at: store.cancelled(account, at=at),
        only_to=only_to,
        away=away,
    )


class _Run:
    """One run of the sender; every step of a mail goes through ``_move``, which also counts."""

    def __init__(
        self, store: Store, post: Post, channel: Channel, at: Instant, by: str, *, live: bool, guard: Guard
    ) -> None:
        self._guard = guard
        self._tripped: str | None = None
        self._store, self._post, self._channel, self._by = store, post, channel, by
        self._began, self._since = at, time.monotonic() if live else None
        self._tally: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._stops, self._kind = store.stops(), channel_kind(channel.name)
        self.approvals: dict[str, Approval] = {}
        """What was approved of the mails that are due, as the run began."""
        self._doubts = 0
        self.down: DeliveryError | None = None
        """Why the channel takes nothing any more."""

    @property
    def _at(self) -> Instant:
        """The run's clock: a server may take seconds for each mail, and what is late by then stays."""
        return self._began if self._since is None else self._began + int((time.monotonic() - self._since) * SECOND)

    def report(self) -> SendReport:
        return SendReport(**self._tally, reasons=dict(sorted(self._reasons.items())))

    def recover(self, lease: int) -> None:
        """Settle what an earlier run left in ``claimed`` or ``posting``."""
        left = [
            row
            for row in self._store.outreach(states=["claimed", "posting"])
            if self._ours(row) or row.state_at <= self._at - lease
        ]
        posted: dict[tuple[str, str], list[OutreachRow]] = {}
        for row in left:
            if row.state == "claimed":
                self._tally["recovered"] += self._move(row, "claimed", "queued")
            else:
                posted.setdefault(_posted(row), []).append(row)
        for (channel, mail_id), rows in posted.items():
            self._settle(rows, channel, mail_id)

    def _ours(self, row: OutreachRow) -> bool:
        """Was it left by an earlier run on this very channel? Another outbox may be at work on its own right now."""
        return self._channel.local and (row.state == "claimed" or _posted(row)[0] == self._channel.name)

    def ask(self, row: OutreachRow, clocks: Mapping[int, Instant | None] | None) -> bool:
        """Whether a mail may leave now; if not, it is moved to where it belongs.

        The engine must have looked at everything up to the mail's time, or it would take back what is on its way.
        """
        clock = self._at if clocks is None else clocks.get(row.lane)
        if clock is None or clock < max(self._began - BEHIND, row.due_at):
            self._tally["waiting"] += 1
            return False
        if row.state == "queued" and row.why not in FRESH and self._at < row.state_at + AGAIN:
            self._tally["waiting"] += 1
            return False
        approved = row.outreach_id in self.approvals
        # It is asked again when the mail is claimed, and handed over.
        stop = stopped(row, self._stops, self._kind, approved=approved)
        if stop is not None and row.expires_at > self._at:
            self._end(row, stop.state, stop.why)
            return False
        return self._may(row)

    def tired(self, row: OutreachRow) -> bool:
        """Let a mail expire for which nobody has had time."""
        no = too_old(row, self._post.policy, at=self._at)
        if no is not None:
            self._end(row, no.state, no.why)
        return no is not None

    def _may(self, row: OutreachRow) -> bool:
        no = judge(row, self._post, at=self._at)
        if no is None:
            return True
        if no.why == unusable(row.template):
            self._broken([row], no.why)
        self._end(row, no.state, no.why)
        return False

    def send(self, group: Sequence[OutreachRow]) -> None:
        """Let one mail leave, for all rows joined in it that nobody else has claimed, and that still may."""
        group = [row for row in group if self._may(row)]
        if not group or self._mail(group, "", self.approvals) is None:
            return
        claimed = [row for row in self._claimed(group) if not self._gone(row)]
        if not claimed:
            return
        mail = self._mail(claimed, "claimed", self._approved(claimed))
        if mail is None:
            return
        if self._posting(claimed, mail, "claimed"):
            self._hand_over(mail, claimed)
        else:  # a stop came in between, the reader has changed or was forgotten, or another sender was faster
            self._tally["elsewhere"] += len(claimed)
            for row in claimed:
                self._move(row, "claimed", "queued")

    def there(self, mail: Sequence[OutreachRow]) -> bool:
        """Whether our channel has a mail that was in doubt; then it no longer is."""
        mail_id = mail[0].mail_id or mail[0].outreach_id
        if self._channel.has(mail_id):
            self._accept(mail, mail_id)
            return True
        return False

    def _gone(self, row: OutreachRow) -> bool:
        """Is its reason gone since it was due? The engine takes back until then, and a mail may wait for days.

        It is asked of a mail in hand: of all that wait, only the few that would leave are worth reading a log for.
        """
        if self._guard.still is None or self._at <= row.due_at + BEHIND:
            return False
        why = self._guard.still(row, self._at)
        if why is not None:
            self._end(row, "withdrawn", why, before="claimed")
        return why is not None

    def send_again(self, mails: Sequence[Sequence[OutreachRow]], stop: Callable[[], bool]) -> None:
        """Send mails in doubt again that surely never left, or that may arrive twice by the word of their rule.

        They count as contact since they were handed over first, so no cap or gap is asked again; all else is. One that
        may not leave now stays in doubt, and one whose reason is gone, or that is too old by now, ends.
        """
        for group in mails:
            if stop() or self.down is not None:
                return
            no = next(filter(None, (self._against(row) for row in group)), None)
            if no is None:
                mail = self._mail(group, "in_doubt", self._approved(group))
                if mail is not None and self._posting(group, mail, "in_doubt"):
                    self._hand_over(mail, group)
            elif no.state != "held":
                for row in group:
                    self._end(row, no.state, no.why)

    def _against(self, row: OutreachRow) -> No | None:
        """What stands against sending a mail in doubt again."""
        known = self._store.decisions(account_id=row.account_id, rule=row.rule)
        if not any(one.decision_id == row.decision_id and one.outcome == "planned" for one in known):
            return No("suppressed", "its reason was gone before it was known whether it had left")
        no = stopped(row, self._stops, self._kind, approved=True) or judge(row, self._post, at=self._at)
        since = self._at - looks_back(self._post.policy)
        past = self._store.contacts(row.account_id, person_of(row, self._post), since=since)
        human = [one for one in past if one.channel not in {"mail", NOTE}]
        return no or asking(row, self._post, at=self._at)(Standing(human))

    def _posting(self, rows: Sequence[OutreachRow], mail: Outgoing, before: MailState) -> bool:
        """Write down that a mail is about to be handed over, all of its rows or none; False: it must not be."""
        note = f"by {self._channel.name} as {mail.mail_id}"
        steps = [Step(outreach_id=row.outreach_id, before=(before,), after="posting", why=note) for row in rows]
        known = {"channel": self._channel.name, "message_id": mail.message_id}
        as_it_leaves = kept(rows, mail) if self._post.sender.keep_sent_days else None
        return self._store.move_mail(
            steps,
            at=self._at,
            by=self._by,
            known=known,
            unless_stopped=self._kind,
            sent=as_it_leaves,
            reader=self._reader(rows[0]),
        )

    def _reader(self, row: OutreachRow) -> Reader | None:
        """To whom a mail was written, by what was known as the run began: that may be long ago."""
        if row.audience == "staff":
            return None
        return Reader(row.account_id, row.to, self._post.people(row.account_id).get(row.to, {}).get("email"))

    def _claimed(self, group: Sequence[OutreachRow]) -> list[OutreachRow]:
        """Those of a mail's rows that are ours now; none when the policy holds the mail."""
        first = group[0]
        found, no = self._store.claim_mail(
            [row.outreach_id for row in group],
            account_id=first.account_id,
            person=person_of(first, self._post),
            since=self._at - looks_back(self._post.policy),
            at=self._at,
            by=self._by,
            may=self._objection(first),
            channel=self._kind,
            ours=first.audience == "staff",
            watch=self._watch(first),
            across=across_since(first, self._post.policy, at=self._at),
        )
        if self._tripped is not None:
            self._trip(first, self._tripped)
        if no is not None:
            for row in group:
                self._end(row, no.state, no.why)
            return []
        self._tally["elsewhere"] += len(group) - len(found)
        return [row for row in group if row.outreach_id in found]

    def _objection(self, first: OutreachRow) -> Callable[[Standing], No | None]:
        """What is asked while the mail is claimed; all that it needs beside what stands there is known by now."""
        ask, at = asking(first, self._post, at=self._at), self._at
        approved, watched = first.outreach_id in self.approvals, self._watch(first) is not None
        policy, self._tripped = self._post.policy, None

        def may(standing: Standing) -> No | None:
            no = against(standing, at, approved=approved) or ask(standing)
            if no is not None or not watched:
                return no
            self._tripped = tripped(standing.mails, policy.breaker, self._guard)
            if self._tripped is not None:
                return No("in_review", f"breaker: {self._tripped}")
            return canary(standing.mails, policy.canary)

        return may

    def _watch(self, first: OutreachRow) -> Watch | None:
        """What is counted of a rule whose mail nobody has approved."""
        if first.mode == "review" or first.outreach_id in self.approvals:
            return None
        return watch_of(first, self._post.policy, self._guard, at=self._at)

    def _trip(self, row: OutreachRow, why: str) -> None:
        """From now on every mail of the rule waits for a person, in every sender; its owner is told."""
        if self._store.stop(Stop("review", row.rule, self._at, "breaker", why)):
            _log.error("the breaker of rule %s has tripped: %s; its mails wait for a person", row.rule, why)
            self._store.put_reminders(breaker_tripped(row, why, self._post.policy, self._at))
        self._stops = self._store.stops()

    def _settle(self, rows: Sequence[OutreachRow], channel: str, mail_id: str) -> None:
        self._tally["recovered"] += len(rows)
        if channel == self._channel.name and self._channel.has(mail_id):
            self._accept(rows, mail_id)
        elif channel == self._channel.name and self._channel.local:
            if any(stopped(row, self._stops, self._kind, approved=True) for row in rows):
                for row in rows:
                    self._move(row, "posting", "queued")  # it is not there, and a local channel knows
                return
            mail = self._mail(rows, "posting", self._approved(rows))
            if mail is not None:
                self._hand_over(mail, rows)
        else:
            for row in rows:
                self._give_up(row, "in_doubt", WHY)

    def _approved(self, rows: Sequence[OutreachRow]) -> dict[str, Approval]:
        """What was approved of a mail in hand: nobody changes that any more. Few mails are asked for it."""
        if any(row.mode == "review" or row.outreach_id in self.approvals for row in rows):
            return self._store.approvals([row.outreach_id for row in rows])
        return {}

    def _mail(self, rows: Sequence[OutreachRow], state: str, known: Mapping[str, Approval]) -> Outgoing | None:
        """The mail of these rows, in the words that were approved if it needs that; None: it does not leave."""
        found = [known[row.outreach_id] for row in rows if row.outreach_id in known]
        if not found and all(row.mode == "auto" for row in rows):
            return self._written(rows, state)
        person, sender = person_of(rows[0], self._post), writer(rows[0], self._post)
        why = void(found, rows, self._others(rows), person=person, sender=sender, at=self._at)
        if why is None:
            return self._written(rows, state, words_of(found[0].words))
        for row in rows:
            self._end(row, "in_review", why, before=state)
        return None

    def _others(self, rows: Sequence[OutreachRow]) -> list[OutreachRow]:
        """Open mails that would be one with these: what was approved without them is void."""
        states: Any = sorted(OPEN_STATES)
        there = self._store.outreach(states=states, account_id=rows[0].account_id, rule=rows[0].rule)
        return [row for row in there if joined_by(row, self._post) == joined_by(rows[0], self._post)]

    def _written(self, rows: Sequence[OutreachRow], state: str, words: Rendered | None = None) -> Outgoing | None:
        try:
            return write_mail(rows, self._post, mail_id=rows[0].outreach_id, words=words)
        except TemplateError as err:
            self._broken(rows, str(err))
            for row in rows:
                self._end(row, "held", str(err), before=state)
            return None

    def _hand_over(self, mail: Outgoing, rows: Sequence[OutreachRow]) -> None:
        try:
            provider_id = self._channel.deliver(mail)
        except DeliveryError as err:
            self.down = err if err.verdict == "down" else None
            why = str(err) if self.down is None or err.over_it else None
            for row in rows:
                self._give_up(row, _AFTER[err.verdict], why)
            self._count_doubts(err)
        except Exception as err:  # noqa: BLE001, the outermost loop: whatever it was, the mail may have left
            _log.error("mail %s is in doubt: %s", mail.mail_id, type(err).__name__)  # a traceback may hold an address
            for row in rows:
                self._give_up(row, "in_doubt", f"the channel failed with {type(err).__name__}")
        else:
            self._doubts = 0
            self._accept(rows, mail.mail_id, provider_id)

    def _count_doubts(self, err: DeliveryError) -> None:
        """Where one mail after the other is in doubt, something is wrong with the way and not with the mails."""
        self._doubts = self._doubts + 1 if err.verdict == "in_doubt" else 0
        if self._doubts >= MOST_DOUBTS:
            message = f"{err}; so it was for {self._doubts} mails one after the other; the others wait"
            self.down = DeliveryError(message, "down", wait_seconds=DOUBTS_WAIT_SECONDS)

    def _accept(self, rows: Sequence[OutreachRow], mail_id: str, provider_id: str | None = None) -> None:
        note = f"by {self._channel.name} as {mail_id}"
        at = self._at
        steps = [
            Step(
                outreach_id=row.outreach_id,
                before=("posting", "in_doubt"),  # another sender may have given us up for dead
                after="accepted",
                why=note,
                inbox=((row.account_id, "event", sent(row, at)),),
            )
            for row in rows
        ]
        # What was told of it in the meantime may have settled it already: then it is out all the same.
        self._store.move_mail(steps, at=at, by=self._by, known={"provider_id": provider_id} if provider_id else None)
        self._tally["rows"] += len(rows)
        self._tally["mails"] += 1

    def _broken(self, rows: Sequence[OutreachRow], why: str) -> None:
        """The owner hears of a mail that cannot be written as soon as it is held for that."""
        if any((row.state, row.why) != ("held", why) for row in rows):
            self._store.put_reminders(broken(rows, why, self._post.policy, self._at))

    def _end(self, row: OutreachRow, state: MailState, why: str, before: str = "") -> None:
        self._tally[state] += 1
        self._reasons[why] += 1
        if (row.state, row.why) == (state, why):
            return
        gone: Any = state
        inbox = [(row.account_id, "entry", ended(row, gone))] if state in {"expired", "withdrawn"} else []
        if not self._move(row, before or row.state, state, why, inbox):
            self._tally[state] -= 1
            self._reasons -= Counter([why])
            self._tally["elsewhere"] += 1

    def _give_up(self, row: OutreachRow, state: MailState, why: str | None) -> None:
        if self._move(row, "posting", state, why):
            self._tally["later" if state == "queued" else state] += 1
            self._reasons.update([why] if why else [])

    def _move(
        self,
        row: OutreachRow,
        before: str,
        after: MailState,
        why: str | None = None,
        inbox: Any = (),
    ) -> bool:
        states: Any = [before]
        return self._store.move(
            row.outreach_id,
            states,
            after,
            at=self._at,
            by=self._by,
            why=why,
            inbox=inbox,
        )


def _links(store: Store, sender: Sender, policy: Policy, people: Lookup) -> Callable[[OutreachRow, str], Links | None]:
    """How a customer's mail gets its links."""

    def links(row: OutreachRow, mail_id: str) -> Links | None:
        address = reader_address(row, people(row.account_id))
        if sender.public_url is None or row.audience == "staff" or address is None:
            return None
        transactional = row.mail_class == "transactional"
        topic = ALL_TOPICS if transactional else topic_of(policy.topics, row.rule, row.kind).name
        token = Token(mail_id, address_key(store.key, address), topic)
        return links_of(token, store.key, public_url=sender.public_url, mailto=sender.unsubscribe_to)

    return links


def _posted(row: OutreachRow) -> tuple[str, str]:
    """By which channel it was handed over, and in which mail; an earlier version wrote that into the reason alone."""
    if row.channel is not None and row.mail_id is not None:
        return row.channel, row.mail_id
    found = _POSTED.fullmatch(row.why or "")
    return (found.group(1), found.group(2)) if found else ("", row.outreach_id)


def cached(people: Lookup) -> Callable[[str], People]:
    """Look each account's people up once a run."""
    return lru_cache(maxsize=4096)(people)
