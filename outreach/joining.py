"""Several decisions, one mail: rows of one rule, account, reader and due time go out together (RULEBOOK 7)."""

from collections.abc import Iterable, Sequence
from typing import Any

from engine.errors import TemplateError
from engine.instants import iso
from engine.rulebook.topics import topic_of
from engine.store import OutreachRow
from outreach.context import (
    Sender,
    build_context,
    in_the_name_of,
    reader_address,
    reader_locale,
    reader_name,
    sender_words,
)
from outreach.filters import ZONE
from outreach.folding import DIGEST, LISTED
from outreach.gate import Post, by_rank
from outreach.links import Links
from outreach.locales import LOCALE, format_locale
from outreach.mail import Outgoing, build_mail
from outreach.rendering import Rendered, render, variant_for
from outreach.reported import note_context, report_context


def join_rows(rows: Iterable[OutreachRow], post: Post) -> list[list[OutreachRow]]:
    """Put rows that make one mail together, in the order they came.

    A template that does not read its plural speaks of one subject, so each of its rows is a mail of its own.
    """
    groups: dict[tuple[object, ...], list[OutreachRow]] = {}
    for row in rows:
        groups.setdefault(joined_by(row, post), []).append(row)
    return list(groups.values())


def joined_by(row: OutreachRow, post: Post) -> tuple[object, ...]:
    """What the rows of one mail have in common."""
    template = post.templates.get(row.template)
    alone = None if template is not None and template.joins and row.subject_kind else row.outreach_id
    return row.due_at, row.rule, row.account_id, row.audience, row.to, row.template, alone


def write_mail(rows: Sequence[OutreachRow], post: Post, *, mail_id: str, words: Rendered | None = None) -> Outgoing:
    """Write one mail for the rows joined or folded in it; ``words`` are those that somebody approved.

    Raises ``TemplateError`` (``MissingValue`` names what is missing).
    """
    first = rows[0]
    people = post.people(first.account_id)
    folded = len(notes := join_rows(rows, post)) > 1
    links = post.links(first, mail_id)
    customer = first.audience == "customer"
    return build_mail(
        words or (render(post.templates[DIGEST], _digest(notes, post)) if folded else render_rows(rows, post, links)),
        writer(first, post),
        mail_id=mail_id,
        rule=DIGEST if folded else first.rule,
        due_at=max(row.due_at for row in rows),
        to=reader_address(first, people) or "",
        to_name=reader_name(first, people),
        topic=topic_of(post.policy.topics, first.rule, first.kind).name if customer else "",
        links=links,
    )


def render_rows(rows: Sequence[OutreachRow], post: Post, links: Links | None = None) -> Rendered:
    """The words of one mail, without the mail around it: nine tenths of the work. Raises ``TemplateError``."""
    return render(post.templates[rows[0].template], context_of(rows, post, links))


def context_of(rows: Sequence[OutreachRow], post: Post, links: Links | None = None) -> dict[str, Any]:
    """What the template of one mail gets."""
    people = post.people(rows[0].account_id)
    template = post.templates[rows[0].template]
    context = build_context(rows, people, writer(rows[0], post), plural=template.plural, links=links)
    report = rows[0].frozen.get("report")
    if report is not None:
        told = report_context if rows[0].audience == "customer" else note_context
        context["report"] = told(report, format_locale(context[LOCALE], variant_for(template, context).locale))
        if links is not None and rows[0].audience == "customer":
            context["report"]["link"] = links.report
    return context


def writer(row: OutreachRow, post: Post) -> Sender:
    """Who a mail is from: to a customer, whoever looks after the account, as its decision froze it."""
    if row.audience == "staff":
        return post.sender
    return in_the_name_of(post.sender, row.frozen.get("writer"), dict(post.policy.staff_names))


def _digest(notes: Sequence[Sequence[OutreachRow]], post: Post) -> dict[str, Any]:
    """What the digest's template gets: its first notes with the subjects they would have had, and how many there are.

    The same notes give the same mail, in whatever order they come.
    """
    ordered = sorted(notes, key=lambda rows: by_rank(rows[0]))
    reader = ordered[0][0].to
    return {
        "you": {"id": reader, "email": reader},
        "sender": sender_words(post.sender),
        "links": {},
        "rule": DIGEST,
        "notes": [_note(rows, post) for rows in ordered[:LISTED]],
        "notes_in_all": len(ordered),
        "notes_left_out": max(0, len(ordered) - LISTED),
        "notes_since": iso(min(rows[0].at for rows in ordered)),
        ZONE: post.policy.timezone,
        LOCALE: reader_locale({}, {}, post.sender),
    }


def _note(rows: Sequence[OutreachRow], post: Post) -> dict[str, Any]:
    first = rows[0]
    try:
        subject = render_rows(rows, post).subject
    except TemplateError:  # a mail of its own would be held for that; here it is one line, and the rest must leave
        subject = first.frozen.get("title") or first.rule
    return {"subject": subject, "account": first.account_id, "rule": first.rule, "at": iso(first.at)}
