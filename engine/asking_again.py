"""Whether a decision whose mail waited longer than planned would still be taken back, or may leave.

The engine takes a mail back until the instant at which it is due (RULEBOOK 7). What waits for longer, for a cap, a
person or a stop, is asked once more when it wants to leave: of the account's part of the log, read again.
"""

from engine.account import Account, key_of
from engine.decision import Decision
from engine.explain import replayed
from engine.instants import Instant
from engine.log import Recorded
from engine.program import Program, RuleProgram, read_use
from engine.rulebook.spec import Rule
from engine.store import Store
from engine.values import occasion
from engine.views import AccountView, EventView


def no_longer(store: Store, program: Program, decision: Decision, at: Instant) -> str | None:
    """Why the engine would take the decision's mails back as of ``at``, or None: it would not.

    The same questions in the same order as at a look. Of a rule over all accounts, and of one that never withdraws,
    nothing is asked.
    """
    rule = next((one for one in program.rules if one.rule.id == decision.rule), None)
    if rule is None:
        return "the rule was removed"
    if not rule.rule.withdraw or rule.rule.subject == "portfolio":
        return None
    account = replayed(store, program.book, decision.account_id, at, program=program)
    view = account.view(at)
    if rule.rule.subject == "event":
        return _of_event(store, rule, view, decision)
    return _of_thing(account, rule, view, decision)


def _of_thing(account: Account, rule: RuleProgram, view: AccountView, decision: Decision) -> str | None:
    about = decision.subject
    if (about.kind if about else "") != rule.rule.thing:
        return "the rule is about something else now"
    subject = view.thing(about.kind, about.id) if about is not None else None
    memory = account.truths.get(decision.rule, {}).get(key_of(about))
    up = account.held_up(rule, view, subject, memory)
    if account.truth(rule, view, subject, up=up) is not True:
        return "no longer true"
    if rule.once_per is not None and occasion(read_use(rule.once_per, view, subject)) != decision.occasion:
        return f"{rule.rule.re_entry.name} changed"
    return None


def _of_event(store: Store, rule: RuleProgram, view: AccountView, decision: Decision) -> str | None:
    """Of an event only ``unless`` is asked."""
    if not rule.unless_lines:
        return None
    entries = store.account_entries(decision.account_id, until_at=view.moment.at)
    found = [one for one in entries if isinstance(one, Recorded) and _is_meant(one, rule.rule, decision)]
    if not found:
        return None
    event = EventView(found[-1].event, found[-1].event.time, rule.event_names, view.moment.zone)
    return "one of unless holds now" if rule.unless(view, event) is True else None


def _is_meant(entry: Recorded, rule: Rule, decision: Decision) -> bool:
    same = entry.account_id == decision.account_id and entry.event.type == rule.each
    return same and (entry.event.id == decision.occasion or entry.recorded_at == decision.at)
