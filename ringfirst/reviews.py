"""Mails that wait for a person: as they would leave, what stands out among many, and what becomes of them."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from engine.errors import TemplateError, UsageError
from engine.instants import Instant
from engine.rulebook.spec import Policy
from engine.store import OutreachRow, Store
from outreach.approving import approval_of, digest
from outreach.context import Sender, reader_address, reader_name
from outreach.gate import Post, person_of, unusable
from outreach.joining import context_of, join_rows, joined_by, render_rows, writer
from outreach.rendering import Rendered
from outreach.rewording import letter, reworded
from outreach.sender import post_of
from outreach.telling import ended

if TYPE_CHECKING:
    from ringfirst.rulebooks import Folder
    from ringfirst.settings import Settings

SAMPLE = 3
"""So many mails of a rule are shown before all of them are approved."""
MOST_OUTLIERS = 5
FAR = 5.0
"""A number stands out when it is so many times further from the middle than half of its like are."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One mail that waits: its rows, and either its words or the fault that keeps it from being written."""

    rows: list[OutreachRow]
    sender: Sender
    address: str | None
    name: str
    words: Rendered | None
    fault: str | None
    digest: str | None

    @property
    def mail_id(self) -> str:
        """The id of its first row."""
        return self.rows[0].outreach_id


def desk(store: Store, folder: "Folder", found: "Settings", policy: Policy | None) -> Post:
    """What a mail is read by before it is approved: the same that a sender works with."""
    from ringfirst.commands.options import sender_of

    return post_of(store, folder.mail_templates[0], sender_of(found)[0], policy or Policy())


def read(post: Post, rows: Iterable[OutreachRow]) -> list[Asked]:
    """Mails as they would leave now, joined rows together."""
    return [_read(post, group) for group in join_rows(rows, post)]


def named(store: Store, post: Post, ids: Sequence[str]) -> list[OutreachRow]:
    """The mails of these ids that wait for a person, with what joins them. Raises ``UsageError`` for others."""
    found: dict[str, OutreachRow] = {}
    for one in ids:
        row = next(iter(store.outreach(outreach_id=one)), None)
        if row is None:
            what = f"outreach {one[:64]}: there is no such mail"
            raise UsageError(f"{what}; take an id from 'ringfirst outreach list --state in_review'")
        if row.state != "in_review":
            since = f" ({row.why})" if row.why else ""
            raise UsageError(
                f"outreach {one[:64]}: it does not wait for anybody; it is {row.state}{since}; leave it out"
            )
        for other in store.outreach(states=["in_review"], account_id=row.account_id, rule=row.rule):
            if joined_by(other, post) == joined_by(row, post):
                found[other.outreach_id] = other
    return list(found.values())


def approve(
    store: Store, post: Post, one: Asked, *, at: Instant, who: str, words: Rendered | None = None
) -> str | None:
    """Let a mail leave as it was read, or in other ``words``; gives why it could not be approved, or None."""
    if one.words is None:
        return one.fault or "it cannot be written"
    person, until = person_of(one.rows[0], post), at + post.policy.hold_for
    was = one.words if words is not None else None
    approval = approval_of(
        one.rows, words or one.words, person=person, sender=one.sender, at=at, who=who, until=until, was=was
    )
    return None if store.approve(one.rows, approval) else "it changed while you read it; look at it again"


def reject(
    store: Store, rows: Iterable[OutreachRow], *, at: Instant, who: str, why: str
) -> tuple[list[str], list[str]]:
    """End mails that have not left; gives the ids that ended, and those that were not to be had any more."""
    done: list[str] = []
    late: list[str] = []
    for row in rows:
        moved = store.move(
            row.outreach_id,
            ["in_review", "queued", "held"],
            "rejected",
            at=at,
            by=who,
            why=why,
            inbox=[(row.account_id, "entry", ended(row, "rejected"))],
        )
        (done if moved else late).append(row.outreach_id)
    if done:
        store.audit(at=at, who=who, what="rejected", detail={"mails": done, "why": why})
    return done, late


def draft(post: Post, one: Asked) -> tuple[str, str]:
    """Subject and letter of a mail, without its frame, for somebody to change. Raises ``TemplateError``."""
    return letter(
        post.templates[one.rows[0].template], context_of(one.rows, post, post.links(one.rows[0], one.mail_id))
    )


def changed(post: Post, one: Asked, *, subject: str, text: str) -> Rendered:
    """The mail with that subject and letter, in its frame. Raises ``TemplateError``."""
    return reworded(
        post.templates[one.rows[0].template],
        context_of(one.rows, post, post.links(one.rows[0], one.mail_id)),
        subject=subject,
        text=text,
    )


def outliers(mails: Sequence[Asked]) -> Iterator[str]:
    """What stands out among many mails of a rule: why some are asked for, and numbers far from those of the others."""
    reasons = sorted({row.why for one in mails for row in one.rows if row.why})
    yield from (f"{sum(row.why == why for one in mails for row in one.rows):,} because {why}" for why in reasons)
    numbers: dict[str, list[tuple[float, str]]] = {}
    for one in mails:
        for name, value in one.rows[0].values.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                numbers.setdefault(name, []).append((value, one.rows[0].account_id))
    for name, found in sorted(numbers.items()):
        middle = median(value for value, _ in found)
        usual = median(abs(value - middle) for value, _ in found)
        far = sorted((one for one in found if abs(one[0] - middle) > FAR * usual and usual), key=lambda one: one[0])
        for value, account in far[:MOST_OUTLIERS]:
            yield f"{name} = {value:g} for {account}; in the middle it is {middle:g}"


def _read(post: Post, rows: list[OutreachRow]) -> Asked:
    people, sender = post.people(rows[0].account_id), writer(rows[0], post)
    address = reader_address(rows[0], people)
    words, fault = None, "no address" if address is None else None
    if rows[0].template not in post.templates:
        fault = unusable(rows[0].template)
    elif fault is None:
        try:
            words = render_rows(rows, post, post.links(rows[0], rows[0].outreach_id))
        except TemplateError as err:
            fault = str(err)
    known = None
    if words is not None:
        known = digest(words, person=person_of(rows[0], post), mail_class=rows[0].mail_class, sender=sender)
    name = reader_name(rows[0], people)
    return Asked(rows=rows, sender=sender, address=address, name=name, words=words, fault=fault, digest=known)
