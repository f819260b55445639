"""The sender: takes mails that are due, asks the gate, and lets each leave at most once.

``queued -> claimed -> posting -> accepted``, each a compare-and-set in the store. ``posting`` is committed just before
the mail is handed over: a crash before it is harmless, a crash after it leaves the mail in doubt, and only a channel
that can tell settles that (DESIGN 6, DELIVERY 4).
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from functools import lru_cache

import msgspec

from engine.instants import DAY, MINUTE, SECOND, Instant
from engine.rulebook.spec import Policy
from engine.rulebook.topics import topic_of
from engine.store import ALL_TOPICS, OutreachRow, Store
from outreach.backoff import is_put_off
from outreach.breaker import Guard
from outreach.channel import Channel
from outreach.claims import claim
from outreach.context import Lookup, People, Sender, reader_address
from outreach.doubts import Doubts, doubtful, is_one, sendable
from outreach.feedback import settle
from outreach.folding import fold, is_folded
from outreach.gate import Post, by_rank, too_old
from outreach.handing import Hand, Ready, Wanted
from outreach.joining import join_rows
from outreach.leftovers import recover, send_again, there
from outreach.limits import Limits
from outreach.links import Links, Token, links_of
from outreach.lookups import Lookups
from outreach.policy import passes
from outreach.reminding import remind, tell
from outreach.report_links import report_path
from outreach.round import LANES_STAND, Round, SendReport
from outreach.stops import stopped
from outreach.templates import Template
from outreach.wishes import out_of_turn

BEHIND = 5 * MINUTE
"""How far a lane's clock may stand behind the sender's before its mails wait."""
ASKED = 200
"""How many mails are asked at once whether they may leave."""
MOST = 50
"""How many mails are claimed at once."""
BATCH_SECONDS = 20.0
"""How long after the claim mails of a batch are begun: a stop, or a change of mind, does not wait for a slow server."""


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
    limits: Limits | None = None,
    patient: bool = False,
) -> SendReport:
    """Send what is due at ``at``; ``by`` names this sender in ``outreach_changes``; ``stop`` ends it between two mails.

    With ``live``, mails wait whose lane is more than 5 minutes behind, or has not come to their time, and the clock
    goes on from ``at`` while mails are handed over; after so many ``seconds`` the others are left. What another run
    left half done is settled first: at once on a local channel (it lets in one run at a time), else when
    ``lease_seconds`` have passed. Mails in review expire and never leave; what somebody approved leaves in the words
    that were approved. ``only_to`` are the domains that a channel which leaves this machine may write to (none named:
    all), ``guard`` what is asked of the rule that decided. What providers told is learned from first; ``doubts`` says
    which mails in doubt are sent again. The bytes of each mail are kept as long as ``sender`` says. Within ``limits``
    mails leave by a channel that leaves this machine; those over one wait. Raises ``DeliveryError`` when the channel
    cannot be used at all; what it did not take waits. With ``patient`` a channel that another run found so is left
    alone until its time, and then tried by one mail; without, it is tried at once.
    """
    outside = only_to if not channel.local else ()
    known = Lookups(store)
    post = post_of(store, templates, sender, policy or Policy(), only_to=outside, away=not channel.local, known=known)
    within = limits if limits is not None and not channel.local else Limits()
    run = Round(store, post, known, channel, at=at, by=by, live=live, guard=guard or Guard(), limits=within)
    shut = None if channel.local else run.circuit.open(at, at_once=not patient)
    run.down = shut
    with channel.session(), closing(Hand(run, stop)) as hand:
        store.drop_sent(before=at - sender.keep_sent_days * DAY)
        settle(store, at=at, by=by)
        recover(run, hand, lease_seconds * SECOND)
        rows = store.outreach(states=["queued", "held"], due_by=at, limit=limit)
        clocks = {info.lane: info.clock_at for info in store.lane_infos(at=at)} if live else None
        run.approvals = store.approvals([row.outreach_id for row in rows])
        asking_for = _in_turn(run, [row for row in store.outreach(states=["in_review"]) if not _tired(run, row)])
        run.flush()
        remind(store, asking_for, post.policy, at, held=rows)
        groups = fold(join_rows(_asked(run, rows, clocks, stop), post), templates)
        end = time.monotonic() + seconds

        def over() -> bool:
            return stop() or run.down is not None or time.monotonic() >= end

        if channel.local:  # it knows what it has taken, so there is no doubt
            again = [mail for mail in doubtful(store, channel.name) if not there(run, mail) and is_one(mail)]
            run.flush()
        else:
            again = sendable(store, channel.name, doubts or Doubts(), at)
        send_again(run, hand, again, over)
        _send(run, hand, sorted(groups, key=lambda group: (not is_folded(group), by_rank(group[0]))), over)
        if run.down is None and not stop():
            tell(store, post, channel, at)
    if run.down is not None:
        raise run.down if run.down is shut or channel.local else run.circuit.broke(run.down, run.at)
    return run.report()


def post_of(
    store: Store,
    templates: Mapping[str, Template],
    sender: Sender,
    policy: Policy,
    *,
    only_to: Collection[str] = (),
    away: bool = False,
    known: Lookups | None = None,
) -> Post:
    """What a sender works with over this store; who approves mails sees them by it too.

    By ``known`` a sender looks up what many mails are asked at once.
    """
    known = known or Lookups(store)
    # A Message-ID that a stranger could work out would let the stranger's bounce suppress a customer.
    sender = msgspec.structs.replace(sender, secret=bytes.fromhex(store.key("message-id")))
    return Post(
        templates=templates,
        sender=sender,
        policy=policy,
        people=known.people,
        key=known.key,
        wishes=known.wishes,
        links=_links(store, sender, policy, known),
        cancelled=known.cancelled,
        corrected=known.corrected,
        only_to=only_to,
        away=away,
    )


def _asked(
    run: Round, rows: Sequence[OutreachRow], clocks: Mapping[int, Instant | None] | None, stop: Callable[[], bool]
) -> list[OutreachRow]:
    """Those mails that may leave now; the others are moved to where they belong."""
    asked: list[OutreachRow] = []
    for chunk in (rows[start : start + ASKED] for start in range(0, len(rows), ASKED)):
        run.known.fetch(chunk, run.at)
        asked += [row for row in chunk if not stop() and _ask(run, row, clocks)]
        run.flush()
    run.known.let_go()
    return asked


def _ask(run: Round, row: OutreachRow, clocks: Mapping[int, Instant | None] | None) -> bool:
    """Whether a mail may leave now.

    The engine must have looked at everything up to the mail's time, or it would take back what is on its way.
    """
    at = run.at
    clock = at if clocks is None else clocks.get(row.lane)
    stands = clock is None or clock < run.began - BEHIND
    if stands or (clock is not None and clock < row.due_at) or is_put_off(row, at):
        run.tally["waiting"] += 1
        run.reasons.update([LANES_STAND] if stands else [])
        return False
    # It is asked again when the mail is claimed, and handed over.
    stop = stopped(row, run.stops, run.kind, approved=row.outreach_id in run.approvals)
    if stop is not None and row.expires_at > at:
        run.end(row, stop.state, stop.why)
        return False
    return run.may(row)


def _tired(run: Round, row: OutreachRow) -> bool:
    """Let a mail expire for which nobody has had time."""
    no = too_old(row, run.post.policy, at=run.at)
    if no is not None:
        run.end(row, no.state, no.why)
    return no is not None


def _in_turn(run: Round, rows: list[OutreachRow]) -> list[OutreachRow]:
    """Of mails that wait for a person those that their readers would get: nobody need look at a report of the others.

    Mostly nobody chose anything, and then only what is for those who did is looked at.
    """
    rhythms = run.post.policy.rhythms
    chosen = {one.monthly: bool(run.store.with_rhythms(one.monthly)) for one in rhythms}
    asked = {one.quarterly for one in rhythms} | {report for report, some in chosen.items() if some}
    concerned = [row for row in rows if row.rule in asked]
    if not concerned:
        return rows
    run.known.fetch(concerned, run.at)
    left = set()
    for row in concerned:
        address = reader_address(row, run.post.people(row.account_id))
        no = out_of_turn(row, run.post.wishes(address), run.post.policy) if address is not None else None
        if no is not None:
            run.end(row, no.state, no.why)
            left.add(row.outreach_id)
    return [row for row in rows if row.outreach_id not in left]


def _send(run: Round, hand: Hand, groups: Sequence[Sequence[OutreachRow]], over: Callable[[], bool]) -> None:
    """Let mails leave batch by batch.

    The first batch is one mail, so that a way that leads nowhere is found out by one; each that ends well is followed
    by one of twice the size, and one that took too long by one of as many as there was time for. None is larger than
    what the limits of the channel leave room for: a moment is waited for, what takes longer is for another run.
    """
    size, start = 1, 0
    while start < len(groups) and not over():
        room, no = run.allowance.room(run.at)
        if no is not None and not run.waits(no.until):
            left = sum(map(len, groups[start:]))
            run.tally["waiting"] += left
            run.reasons[no.meter.words] += left
            break
        if no is not None:
            continue
        batch = groups[start : start + (size if room is None else min(size, room))]
        start += len(batch)
        in_time = _leave(run, hand, batch, over)
        size = min(2 * size, MOST) if in_time is None else max(1, in_time)


def _leave(run: Round, hand: Hand, batch: Sequence[Sequence[OutreachRow]], over: Callable[[], bool]) -> int | None:
    """Let the mails of a batch leave, each for all rows joined in it that nobody else has claimed, and that still may.

    Gives None, or how many were begun when the time of the batch was not enough; the others wait for the next run.
    """
    until, begun = time.monotonic() + BATCH_SECONDS, 0
    run.known.fetch([row for group in batch for row in group], run.at)
    run.allowance.fetch([group[0] for group in batch], run.at)
    ready = [one for one in (_ready(run, group) for group in batch) if one is not None]
    mine = _counted(run, _claimed(run, ready)) if ready else []
    run.flush()
    for number in range(0, len(mine), hand.together):
        group = mine[number : number + hand.together]
        if (number and time.monotonic() >= until) or over():
            for row in (row for one in mine[number:] for row in one.rows):
                run.move(row, "claimed", "queued")
            break
        group = hand.dated(group)
        posted = hand.posting(group, "claimed")
        for one in (one for one, done in zip(group, posted, strict=True) if not done):
            # A stop came in between, the reader has changed or wants no mail, or another sender was faster.
            run.tally["elsewhere"] += len(one.rows)
            for row in one.rows:
                run.move(row, "claimed", "queued")
        begun += hand.over([one for one, done in zip(group, posted, strict=True) if done], until)
    hand.write_down()
    return begun if time.monotonic() >= until else None


def _ready(run: Round, group: Sequence[OutreachRow]) -> Wanted | None:
    """The mail of these rows, as far as they may leave: it must be there before anything is claimed for it.

    But for one that the policy held before, which it mostly does again: that one could be written, and is if it leaves.
    """
    rows = [row for row in group if run.may(row)]
    no = run.allowance.spent(group[0])  # most of those that wait for a limit are not even written
    if no is not None:
        for row in rows:
            run.end(row, no.state, no.why)
        return None
    if rows and all(row.state == "held" and passes(row.why) and not run.needs_word(row) for row in rows):
        return Wanted(rows, None)
    mail = run.mail(rows, "", run.approvals) if rows else None
    return Wanted(rows, mail) if mail is not None else None


def _claimed(run: Round, ready: Sequence[Wanted]) -> list[Ready]:
    """Those mails that are ours now; one that lost a row, or needs a word of approval, is made anew."""
    found: list[Ready] = []
    for one, ours in zip(ready, claim(run, [one.rows for one in ready]), strict=True):
        rows = [row for row in ours if not _gone(run, row)]
        if not rows:
            continue
        same = len(rows) == len(one.rows) and not any(run.needs_word(row) for row in rows)
        mail = one.mail if same and one.mail is not None else run.mail(rows, "claimed", run.approved(rows))
        if mail is not None:
            found.append(Ready(rows, mail))
    return found


def _counted(run: Round, mine: Sequence[Ready]) -> list[Ready]:
    """Those mails that the limits have counted; another sender may have taken the last places since we looked."""
    found = []
    for one, no in zip(mine, run.allowance.take([one.rows[0] for one in mine], run.at), strict=True):
        if no is None:
            found.append(one)
            continue
        for row in one.rows:
            run.end(row, no.state, no.why, before="claimed")
    return found


def _gone(run: Round, row: OutreachRow) -> bool:
    """Is its reason gone since it was due? The engine takes back until then, and a mail may wait for days.

    It is asked of a mail in hand: of all that wait, only the few that would leave are worth reading a log for.
    """
    if run.guard.still is None or run.at <= row.due_at + BEHIND:
        return False
    why = run.guard.still(row, run.at)
    if why is not None:
        run.end(row, "withdrawn", why, before="claimed")
    return why is not None


def _links(store: Store, sender: Sender, policy: Policy, known: Lookups) -> Callable[[OutreachRow, str], Links | None]:
    """How a customer's mail gets its links."""

    def links(row: OutreachRow, mail_id: str) -> Links | None:
        address = reader_address(row, known.people(row.account_id))
        if sender.public_url is None or row.audience == "staff" or address is None:
            return None
        transactional = row.mail_class == "transactional"
        topic = ALL_TOPICS if transactional else topic_of(policy.topics, row.rule, row.kind).name
        token = Token(mail_id, known.key(address), topic)
        found = links_of(token, store.key, public_url=sender.public_url, mailto=sender.unsubscribe_to)
        if not row.frozen.get("report"):
            return found
        return msgspec.structs.replace(found, report=sender.public_url + report_path(row, store.key))

    return links


def cached(people: Lookup) -> Callable[[str], People]:
    """Look each account's people up once a run."""
    return lru_cache(maxsize=4096)(people)
