"""Next steps of a report: what rules that hold for the account as of the period's end would have its people do."""

from typing import Any

from engine.account import in_holdout
from engine.program import RuleProgram
from engine.reports.past import Past
from engine.rulebook.book import Rulebook
from engine.rulebook.spec import NextSteps
from engine.views import AccountView

MARKETING, RELATIONSHIP = "marketing", "relationship"


def steps_json(past: Past, spec: NextSteps, book: Rulebook) -> list[dict[str, Any]]:
    """A step for each rule that holds, in the order in which they are named; ``about`` are the things it holds for.

    An account that is held out of a rule is not told by a report what the rule would have told it.
    """
    programs = {one.rule.id: one for one in past.view.program.rules}
    found: list[dict[str, Any]] = []
    for name in spec.from_rules:
        program = programs[name]
        about = _holds_for(program, past.view)
        if about is None or in_holdout(program.rule, past.account_id):
            continue
        rule = book.rule(name)
        sells = rule.outreach is not None and rule.outreach.mail_class == MARKETING
        found.append(
            {
                "rule": rule.id,
                "next_step": rule.next_step,
                "about": about,
                "title": rule.title or None,
                "why": rule.why or None,
                "class": MARKETING if sells else RELATIONSHIP,
            }
        )
    return found[: spec.at_most]


def _holds_for(program: RuleProgram, view: AccountView) -> list[str] | None:
    """Ids of the things it holds for, none for a rule of the account; None: it does not hold."""
    if program.way != "thing":
        return [] if program.plain(view, None) is True else None
    about = [one.id for one in view.open_things(program.rule.thing) if program.plain(view, one) is True]
    return about or None
