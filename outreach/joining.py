"""Several decisions, one mail: rows of one rule, account, reader and due time go out together (RULEBOOK 7)."""

from collections.abc import Iterable, Sequence

from engine.store import OutreachRow
from outreach.context import build_context, reader_address, reader_name
from outreach.gate import Post
from outreach.mail import Outgoing, build_mail
from outreach.rendering import Rendered, render


def join_rows(rows: Iterable[OutreachRow], post: Post) -> list[list[OutreachRow]]:
    """Put rows that make one mail together, in the order they came.

    A template that does not read its plural speaks of one subject, so each of its rows is a mail of its own.
    """
    groups: dict[tuple[object, ...], list[OutreachRow]] = {}
    for row in rows:
        template = post.templates.get(row.template)
        alone = None if template is not None and template.joins and row.subject_kind else row.outreach_id
        key = (row.due_at, row.rule, row.account_id, row.audience, row.to, row.template, alone)
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def write_mail(rows: Sequence[OutreachRow], post: Post, *, mail_id: str) -> Outgoing:
    """Write one mail for the rows joined in it. Raises ``TemplateError`` (``MissingValue`` names what is missing)."""
    first = rows[0]
    people = post.people(first.account_id)
    return build_mail(
        render_rows(rows, post),
        post.sender,
        mail_id=mail_id,
        rule=first.rule,
        due_at=first.due_at,
        to=reader_address(first, people) or "",
        to_name=reader_name(first, people),
    )


def render_rows(rows: Sequence[OutreachRow], post: Post) -> Rendered:
    """The words of one mail, without the mail around it: nine tenths of the work. Raises ``TemplateError``."""
    template = post.templates[rows[0].template]
    people = post.people(rows[0].account_id)
    return render(template, build_context(rows, people, post.sender, plural=template.plural))
