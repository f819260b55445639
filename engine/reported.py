"""What a lane's owner reads of a report that was issued: when it is due, who must see it first, what its mail shows."""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from engine.events import encode_properties
from engine.hours import due_at
from engine.instants import Instant, parse_instant
from engine.rulebook.spec import Hours, Rule
from engine.views import EventView
from engine.zones import Zone

FORGOTTEN = "forgotten"
"""What stands in reports of others in the place of an account that was forgotten."""
MailClass = Literal["transactional", "relationship", "marketing", "internal"]


def report_in(rule: Rule, subject: object) -> EventView | None:
    """The event that issued a report, where it is what a rule of that report decides about; None: it is not."""
    return subject if rule.report and isinstance(subject, EventView) else None


def due_of(event: EventView) -> Instant:
    """When the report should leave, as it was frozen when it was issued; never before it was."""
    raw = event.event.properties.get("due")
    due = parse_instant(raw) if isinstance(raw, str) else None
    return max(event.time, due if due is not None else event.time)


def leaves_at(event: EventView, at: Instant, late_by: int, hours: Hours, where: Zone) -> Instant:
    """When its mail to a reader in that zone is due, decided at ``at``: at once, if the day has passed already.

    One that comes later than ``late_by`` milliseconds keeps its day: it has passed, and such a mail never leaves.
    """
    due = due_of(event)
    return due_at(due if at - due > late_by else max(due, at), 0, hours, where)


def told_at(event: EventView, at: Instant, late_by: int) -> Instant:
    """When a note to us about a report that does not go is due: at once; of a late one when it should have been."""
    due = due_of(event)
    return due if at - due > late_by else at


def why_review(event: EventView) -> str | None:
    """The condition for which somebody must approve it, or None."""
    found = event.event.properties.get("review")
    return found if isinstance(found, str) else None


def class_of(event: EventView, written: MailClass) -> MailClass:
    """The class of its mail: what it shows may sell something, whatever the report says of itself."""
    return "marketing" if event.event.properties.get("class") == "marketing" else written


def shown_in(event: EventView) -> dict[str, Any]:
    """What the mail gets as ``report``: the figures as they were issued, and why it does not go, if so.

    Numbers are doubles, as in everything that a decision keeps: who reads it again finds the same.
    """
    kept = {name: event.event.properties.get(name) for name in ("figures", "because", "number")}
    found: dict[str, Any] = msgspec.json.decode(encode_properties(kept))
    return {**(found["figures"] or {}), "against": found["because"], "number": found["number"]}


def people_in(figures: object) -> Iterator[str]:
    """Whom the figures of a report that was issued name: people, or things that may be people."""
    found: list[str] = []
    renamed_in(figures, lambda name: found.append(name) or name)  # type: ignore[func-returns-value]
    return iter(found)


def renamed_in(figures: object, new: Callable[[str], str]) -> object:
    """The figures of a report with other names for its people; all else in them stays, also what is spelled alike."""
    if not isinstance(figures, dict):
        return figures
    done, support, steps = dict(figures), figures.get("support"), figures.get("next_steps")
    if isinstance(support, dict):
        people = [{**one, "person": new(one["person"])} for one in support.get("people") or []]
        done["support"] = {**support, "people": people}
    if isinstance(steps, list):
        done["next_steps"] = [{**one, "about": [new(name) for name in one.get("about") or []]} for one in steps]
    return done


def parts_in(figures: object) -> Iterator[str]:
    """The other accounts that a report tells of: its parts, and those that a condition was asked of.

    Of very many parts some are cut, and the conditions asked of them are there all the same.
    """
    lists = [figures.get(name) for name in ("parts", "unless")] if isinstance(figures, dict) else []
    for one in (one for rows in lists if isinstance(rows, list) for one in rows):
        if isinstance(one, dict) and not one.get("own") and isinstance(one.get("account_id"), str):
            yield one["account_id"]


def without_account(told: Any, gone: str) -> Any:
    """What holds reports of others, without what names an account that was forgotten.

    Its figures stay, since they are in sums that somebody was sent; whose they were nobody can tell any more.
    """
    if isinstance(told, list):
        return [without_account(one, gone) for one in told]
    if not isinstance(told, dict):
        return told
    done = {key: without_account(one, gone) for key, one in told.items()}
    if told.get("account_id") == gone and "values" in told:
        done |= {"account_id": FORGOTTEN, "name": None, "zone": None, "known_since": None}
    elif told.get("account_id") == gone and "line" in told:
        done["account_id"] = FORGOTTEN
    for key in ("because", "against"):
        if isinstance(done.get(key), str):
            done[key] = _elsewhere(done[key], gone)
    return done


def _elsewhere(why: str, gone: str) -> str:
    where = f" in {gone}"
    return f"{why.removesuffix(where)} in {FORGOTTEN}" if why.endswith(where) else why
