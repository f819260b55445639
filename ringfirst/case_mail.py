"""The mail of a case: rendered as the sender would, so that a case can say what it must contain."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.cases import Render
from engine.decision import Decision, Mail
from engine.errors import TemplateError
from engine.store import OutreachRow
from outreach.context import Sender, build_context
from outreach.rendering import render
from outreach.templates import Template


def case_render(templates: Mapping[str, Template], sender: Sender) -> Render:
    """Give ``engine.cases`` a way to read mails: subject and text, or why there is none."""

    def text(rows: Sequence[Decision], mail: Mail, people: Mapping[str, Mapping[str, Any]]) -> str:
        template = templates.get(mail.template)
        if template is None:
            return f"(template {mail.template} cannot be used)"
        joined = [mail_row(row, mail) for row in rows] if template.joins else [mail_row(rows[0], mail)]
        try:
            words = render(template, build_context(joined, people, sender, plural=template.plural))
        except TemplateError as err:
            return f"(no mail: {err})"
        return f"{words.subject}\n\n{words.text}"

    return text


def mail_row(decision: Decision, mail: Mail) -> OutreachRow:
    """A mail as a store would hold it before anybody looked at it."""
    subject = decision.subject
    return OutreachRow(
        outreach_id=mail.outreach_id,
        decision_id=decision.decision_id,
        lane=0,
        rule=decision.rule,
        kind=decision.kind,
        account_id=decision.account_id,
        subject_kind=subject.kind if subject else None,
        subject_id=subject.id if subject else None,
        to=mail.to,
        audience=mail.audience,
        template=mail.template,
        mail_class=mail.mail_class,
        mode=mail.mode,
        at=decision.at,
        due_at=mail.due_at,
        expires_at=mail.expires_at,
        priority=mail.priority,
        state="queued",
        why=mail.why,
        state_at=decision.at,
        values=decision.values,
        frozen=decision.frozen,
    )
