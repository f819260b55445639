"""What would have left: the mails of decisions that were taken on trial, walked through as the sender walks."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.backtest import Trial
from engine.decision import Decision
from outreach.gate import Post
from outreach.joining import render_rows
from outreach.policy import No
from outreach.simulation import rehearsed
from ringfirst.case_mail import mail_row

WITHDRAWN = "withdrawn"


@dataclass(slots=True)
class Mails:
    """A rule's mails: how many would have left (joined ones are one), and how many not, by reason."""

    left: int = 0
    suppressed: Counter[str] = field(default_factory=Counter)


def rehearse(trial: Trial, decisions: Iterable[Decision], post: Post) -> dict[str, Mails]:
    """The mails of each rule that planned some: those that the engine withdrew, held or let expire do not leave.

    The mails of all rules are walked through together, in order of due time, so that what one rule sends can stand in
    the way of another.
    """
    found: dict[str, Mails] = {}
    rows = []
    for decision in decisions:
        for mail in decision.mails:
            mails = found.setdefault(decision.rule, Mails())
            name = mail.outreach_id
            if name in trial.held:
                mails.suppressed[trial.held[name]] += 1
            elif name in trial.taken_back:
                mails.suppressed[WITHDRAWN] += 1
            else:
                rows.append(mail_row(decision, trial.released.get(name, mail)))
    for group, outgoing in rehearsed(rows, post, lambda group: render_rows(group, post)):
        mails = found[group[0].rule]
        if isinstance(outgoing, No):
            mails.suppressed[outgoing.why] += len(group)
        else:
            mails.left += 1
    return found
