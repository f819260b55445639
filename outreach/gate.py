"""What a mail is asked before it leaves; the first no counts."""

from collections.abc import Callable, Collection, Mapping
from typing import Literal

import msgspec

from engine.instants import Instant
from engine.store import OutreachRow
from outreach.addresses import is_staff
from outreach.context import Lookup, Sender, reader_address
from outreach.templates import Template

Ending = Literal["expired", "held", "suppressed"]


class No(msgspec.Struct, frozen=True):
    """Why a mail does not leave: the state it goes to, and the reason, in words without an address."""

    state: Ending
    why: str


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender works with: templates by name, who writes, whose addresses are ours, who people are.

    ``suppressed`` gives the reason why an address is never written to, or None.
    """

    templates: Mapping[str, Template]
    sender: Sender
    staff_domains: Collection[str]
    people: Lookup
    suppressed: Callable[[str], str | None]


def judge(row: OutreachRow, post: Post, *, at: Instant) -> No | None:
    """Ask one mail whether it is fresh, has a reader we may write to, and a template that fits; None is a yes."""
    if row.expires_at <= at:
        return No("expired", "older than the rule's max_age")
    address = reader_address(row, post.people(row.account_id))
    if address is None:
        return No("held", "no address")
    template = post.templates.get(row.template)
    no = _wrong_reader(row, template, staff=is_staff(address, post.staff_domains))
    if no is not None:
        return no
    reason = post.suppressed(address)
    if reason is not None:
        return No("suppressed", reason)
    return No("held", f"template {row.template} cannot be used") if template is None else None


def _wrong_reader(row: OutreachRow, template: Template | None, *, staff: bool) -> No | None:
    if row.audience == "customer" and staff:
        return No("suppressed", "a customer's mail to a staff address")
    if row.audience == "staff" and not staff:
        return No("suppressed", "a staff mail to an address that is not ours")
    if template is not None and template.manifest.audience != row.audience:
        return No("suppressed", f"a template for {template.manifest.audience} in a mail for {row.audience}")
    return None
