"""Walking through mails of the past or on trial as they would have left, policy included; the store never changes."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from engine.errors import TemplateError, UsageError
from engine.instants import Instant
from engine.rulebook.spec import Policy
from engine.store import APPOINTMENT, Contact, OutreachRow, Standing, Wishes
from outreach.channel import Channel
from outreach.context import Lookup, Sender, reader_address
from outreach.gate import Post, across_since, asking, by_rank, judge, looks_back, person_of
from outreach.joining import join_rows, write_mail
from outreach.links import EXAMPLE, Links
from outreach.mail import Outgoing
from outreach.policy import No
from outreach.round import SendReport
from outreach.sender import cached
from outreach.templates import Template

REHEARSED = frozenset({"past", "queued", "held", "in_review"})
"""States whose mails a rehearsal sends, as if the engine had been live then."""
_Written = TypeVar("_Written")


def simulate(
    rows: Iterable[OutreachRow],
    templates: Mapping[str, Template],
    channel: Channel,
    *,
    sender: Sender,
    people: Lookup,
    policy: Policy | None = None,
    wishes: Callable[[str], Wishes] = lambda _: Wishes(),
    contacts: Callable[[str], Sequence[Contact]] = lambda _: (),
    cancelled: Callable[[str, Instant], bool] = lambda _, __: False,
    until: Instant | None = None,
) -> SendReport:
    """Walk through mails in order of due time, with that time as the clock, and write them to a local channel.

    Mails that are past, queued, held or in review leave when they were due, or when the policy lets them, given the
    ``contacts`` with an account that there were beside them; those that it lets out only after ``until`` are held. The
    store is never changed. Raises ``UsageError`` for a channel that is not local.
    """
    if not channel.local:
        found = f"found channel {channel.name!r}"
        raise UsageError(f"send --simulate: mails would really leave; {found}; use the file or memory channel")
    post = Post(
        templates=templates,
        sender=sender,
        policy=policy or Policy(),
        people=cached(people),
        wishes=wishes,
        links=example_links,
        contacts=contacts,
        cancelled=cancelled,
    )
    tally: Counter[str] = Counter()
    reasons: Counter[str] = Counter()

    def written(group: Sequence[OutreachRow]) -> Outgoing:
        return write_mail(group, post, mail_id=group[0].outreach_id)

    with channel.session():
        for group, mail in rehearsed(rows, post, written, until=until):
            if isinstance(mail, No):
                tally[mail.state] += len(group)
                reasons[mail.why] += len(group)
            else:
                channel.deliver(mail)
                tally["mails"] += 1
                tally["rows"] += len(group)
    return SendReport(**tally, reasons=dict(sorted(reasons.items())))


def rehearsed(
    rows: Iterable[OutreachRow],
    post: Post,
    write: Callable[[Sequence[OutreachRow]], _Written],
    *,
    until: Instant | None = None,
) -> Iterator[tuple[Sequence[OutreachRow], _Written | No]]:
    """Walk through mails in order of time, with that time as the clock: each as it would leave, or why it does not.

    A mail that the policy holds is asked again when that is over, until it expires or ``until`` comes. ``write`` makes
    of the rows that are one mail what is wanted of it. Only mails that are past, queued, held or in review are looked
    at.
    """
    waiting: list[tuple[Instant, tuple[Any, ...], int, list[OutreachRow]]] = []
    known = sorted((row for row in rows if row.state in REHEARSED), key=lambda row: (row.due_at, row.outreach_id))
    for number, group in enumerate(join_rows(known, post)):
        heapq.heappush(waiting, (group[0].due_at, by_rank(group[0]), number, group))
    out = _Out(post)
    while waiting:
        at, rank, number, group = heapq.heappop(waiting)
        nos = [(row, judge(row, post, at=at)) for row in group]
        yield from (([row], no) for row, no in nos if no is not None)
        ready = [row for row, no in nos if no is None]
        if not ready:
            continue
        no = out.ask(ready[0], at)
        if no is not None and no.until is not None and no.until < _end(ready, post.policy):
            if until is not None and no.until > until:
                yield ready, no
            else:
                heapq.heappush(waiting, (no.until, rank, number, ready))
        elif no is not None:
            yield ready, no if no.state == "suppressed" else No("expired", no.why)
        else:
            try:
                mail = write(ready)
            except TemplateError as err:
                yield ready, No("held", str(err))
            else:
                out.left(ready[0], at)
                yield ready, mail


def example_links(row: OutreachRow, _mail_id: str) -> Links | None:
    """Links that lead nowhere, in mails that nobody gets."""
    return EXAMPLE if row.audience == "customer" else None


def _end(rows: Sequence[OutreachRow], policy: Policy) -> Instant:
    """From when on a mail is too old to leave."""
    return min(min(row.expires_at, row.due_at + policy.hold_for) for row in rows)


class _Out:
    """The mails of a rehearsal that have left, beside what contact there was."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._with_account: dict[str, list[Contact]] = {}
        self._with_person: dict[str, list[Contact]] = {}

    def ask(self, row: OutreachRow, at: Instant) -> No | None:
        ours = self._account(row.account_id)
        elsewhere = self._with_person.get(person_of(row, self._post), [])
        past = [*ours, *(one for one in elsewhere if one.account_id != row.account_id)]
        since = at - looks_back(self._post.policy)
        wishes = self._post.wishes(reader_address(row, self._post.people(row.account_id)) or "")
        contacts = [one for one in past if since <= one.at <= at or one.channel == APPOINTMENT]
        back = across_since(row, self._post.policy, at=at)
        others = [] if back is None else [one for one in elsewhere if one.kind == row.rule and one.at >= back]
        others = [one for one in others if one.account_id != row.account_id]
        return asking(row, self._post, at=at)(Standing(contacts, wishes=wishes, elsewhere=others))

    def left(self, row: OutreachRow, at: Instant) -> None:
        if row.audience == "customer":
            person = person_of(row, self._post)
            contact = Contact(at, "mail", row.rule, row.account_id, person, row.to)
            self._account(row.account_id).append(contact)
            self._with_person.setdefault(person, []).append(contact)

    def _account(self, account_id: str) -> list[Contact]:
        if account_id not in self._with_account:
            self._with_account[account_id] = list(self._post.contacts(account_id))
        return self._with_account[account_id]
