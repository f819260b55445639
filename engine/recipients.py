"""Whom a rule writes to: people of the customer by role, or one of us."""

from collections.abc import Collection, Iterator

from engine.domains import within
from engine.program import role_of
from engine.rulebook.sections import is_address
from engine.rulebook.spec import Outreach, Rule
from engine.state import PERSON
from engine.views import AccountView, EventView, ThingView

Subjects = ThingView | EventView | None


def recipients(rule: Rule, outreach: Outreach, view: AccountView, subject: Subjects) -> list[str]:
    """Everybody the rule would write to now, each once, in the order of ``to``; nobody known: empty."""
    found: dict[str, None] = {}
    for reader in outreach.to:
        for alternative in reader.alternatives:
            known = list(_known(rule, alternative, view, subject, staff=outreach.audience == "staff"))
            if known:
                found.update(dict.fromkeys(known))
                break
    return list(found)


def owner_of(rule: Rule, view: AccountView, kind: str) -> str:
    """The address of an owner; the account's falls back to the segment's, then to the rule's.

    What is no address of ours is no owner: a trait may hold a name, or somebody at a partner. Only the rule's own is
    taken as it stands, so that a mistake in it is seen.
    """
    domains = view.program.book.policy.staff_domains
    segment = view.program.book.segments.get(rule.audience)
    raw = view.state.trait("owner")
    candidates = [
        raw if kind == "account owner" and isinstance(raw, str) else "",
        segment.owner if segment and kind != "rule owner" else "",
    ]
    return next((text for text in candidates if is_ours(text, domains)), rule.owner)


def is_ours(text: str, domains: Collection[str]) -> bool:
    """Is it an address of one of us? Where no domains are named, any address is.

    >>> is_ours("bo@ringfirst.example", ["ringfirst.example"]), is_ours("Bo", []), is_ours("bo@else.example", ["a.b"])
    (True, False, False)
    """
    return is_address(text) and (not domains or within(text, domains))


def _known(rule: Rule, text: str, view: AccountView, subject: Subjects, *, staff: bool) -> Iterator[str]:
    if staff:
        address = rule.owner if text == "rule owner" else text if is_address(text) else owner_of(rule, view, text)
        if address:
            yield address
        return
    if text == "person":
        if isinstance(subject, ThingView):
            yield subject.id
        return
    if text == "event.person":
        if isinstance(subject, EventView) and subject.event.user_id:
            yield subject.event.user_id
        return
    owner, _, role = text.partition(".")
    if role:
        if isinstance(subject, ThingView) and owner == subject.kind:
            person = role_of(subject.program.spec, subject, role)
            if person:
                yield person
        return
    each = text.startswith("each ")
    people = with_role(view, text.removeprefix("each "))
    yield from people if each else people[:1]


def with_role(view: AccountView, role: str) -> list[str]:
    """The open people of a role, the most recently active first, then by id."""
    slot = view.program.things[PERSON].slot("role")
    found = [person for person in view.open_things(PERSON) if person[slot] == role]
    found.sort(key=lambda person: (-(person.state.last or 0), person.id))
    return [person.id for person in found]
