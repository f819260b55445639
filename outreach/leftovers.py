"""What an earlier run left: mails half done, and mails in doubt that may be sent again."""

import re
from collections.abc import Callable, Sequence

import msgspec

from engine.instants import Instant
from engine.left_behind import WHY
from engine.store import NOTE, OutreachRow, Standing
from outreach.gate import asking, judge, looks_back, person_of
from outreach.handing import Hand, Ready
from outreach.policy import No
from outreach.round import Round
from outreach.stops import stopped

GONE = "its reason was gone before it was known whether it had left"
_POSTED = re.compile(r"by (\S+) as (\S+)")


def recover(run: Round, hand: Hand, lease: int) -> None:
    """Settle what an earlier run left in ``claimed`` or ``posting``; ``lease`` is in milliseconds."""
    now = run.store.clock(run.at)
    left = [
        row for row in run.store.outreach(states=["claimed", "posting"]) if _ours(run, row) or row.age(now) >= lease
    ]
    posted: dict[tuple[str, str], list[OutreachRow]] = {}
    for row in left:
        if row.state == "claimed":
            run.move(row, "claimed", "queued", then=lambda moved: run.tally.update(recovered=int(moved)))
        else:
            posted.setdefault(_posted(row), []).append(row)
    for (channel, mail_id), rows in posted.items():
        _settle(run, hand, rows, channel, mail_id)
    hand.write_down()


def there(run: Round, mail: Sequence[OutreachRow]) -> bool:
    """Whether our channel has a mail that was in doubt; then it no longer is."""
    mail_id = mail[0].mail_id or mail[0].outreach_id
    if run.channel.has(mail_id):
        run.accept(mail, mail_id)
        return True
    return False


def send_again(run: Round, hand: Hand, mails: Sequence[Sequence[OutreachRow]], stop: Callable[[], bool]) -> None:
    """Send mails in doubt again that surely never left, or that may arrive twice by the word of their rule.

    They count as contact since they were handed over first, so no cap or gap is asked again; all else is. One that
    may not leave now stays in doubt, and one whose reason is gone, or that is too old by now, ends.
    """
    for group in mails:
        if stop() or run.down is not None:
            break
        no = next(filter(None, (_against(run, row) for row in group)), None)
        if no is None:
            mail = run.mail(group, "in_doubt", run.approved(group))
            ready = hand.dated([Ready(group, mail)]) if mail is not None else []
            if ready and run.allowance.take([group[0]], run.at) == [None] and hand.posting(ready, "in_doubt")[0]:
                hand.over(ready)
                hand.write_down()
        elif no.state != "held":
            for row in group:
                run.end(row, no.state, no.why)
    run.flush()


def _ours(run: Round, row: OutreachRow) -> bool:
    """Was it left by an earlier run on this very channel? Another outbox may be at work on its own right now."""
    return run.channel.local and (row.state == "claimed" or _posted(row)[0] == run.channel.name)


def _settle(run: Round, hand: Hand, rows: Sequence[OutreachRow], channel: str, mail_id: str) -> None:
    run.tally["recovered"] += len(rows)
    if channel == run.channel.name and run.channel.has(mail_id):
        run.accept(rows, mail_id)
    elif channel == run.channel.name and run.channel.local:
        if any(stopped(row, run.stops, run.kind, approved=True) for row in rows):
            for row in rows:
                run.move(row, "posting", "queued")  # it is not there, and a local channel knows
            return
        mail = run.mail(rows, "posting", run.approved(rows))
        if mail is not None:
            hand.over([Ready(rows, msgspec.structs.replace(mail, dated=rows[0].state_at))])
    else:
        for row in rows:
            run.give_up(row, "in_doubt", WHY)


def _against(run: Round, row: OutreachRow) -> No | None:
    """What stands against sending a mail in doubt again."""
    known = run.store.decisions(account_id=row.account_id, rule=row.rule)
    if not any(one.decision_id == row.decision_id and one.outcome == "planned" for one in known):
        return No("suppressed", GONE)
    at: Instant = run.at
    if run.guard.still is not None and run.guard.still(row, at) is not None:
        return No("suppressed", GONE)  # the engine was told that it is leaving, and takes it back no more
    no = stopped(row, run.stops, run.kind, approved=True) or judge(row, run.post, at=at)
    past = run.store.contacts(row.account_id, person_of(row, run.post), since=at - looks_back(run.post.policy))
    human = [one for one in past if one.channel not in {"mail", NOTE}]
    return no or asking(row, run.post, at=at)(Standing(human))


def _posted(row: OutreachRow) -> tuple[str, str]:
    """By which channel it was handed over, and in which mail; an earlier version wrote that into the reason alone."""
    if row.channel is not None and row.mail_id is not None:
        return row.channel, row.mail_id
    found = _POSTED.fullmatch(row.why or "")
    return (found.group(1), found.group(2)) if found else ("", row.outreach_id)
