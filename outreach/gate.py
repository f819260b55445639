"""What a mail is asked before it leaves; the first no counts."""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from engine.instants import DAY, Instant
from engine.rulebook.spec import Policy
from engine.store import Contact, OutreachRow, Standing, Wishes
from engine.zones import valid_zone, zone
from outreach.addresses import clean_address, is_role, is_staff
from outreach.context import Lookup, Sender, reader_address
from outreach.folding import told_already, too_many
from outreach.links import Links
from outreach.policy import Asked, No, verdict
from outreach.templates import Template
from outreach.wishes import unwanted

NO_ADDRESS = "no address"
"""Why a mail is held whose reader has none; the owner of its rule hears of it."""
CORRECTED = "its figures were corrected since; the correction has a mail of its own"
"""Why a mail of a report does not leave, also not once more when it is in doubt."""


def _well(_: str) -> Wishes:
    """Say nothing against an address."""
    return Wishes()


def _no_links(_row: OutreachRow, _mail_id: str) -> None:
    """Make no links."""


def _nobody(_: str) -> tuple[Contact, ...]:
    """Know of no contact."""
    return ()


def _counts(_: OutreachRow) -> bool:
    """Know of no correction."""
    return False


def _stays(_: str, __: Instant) -> bool:
    """Know of nobody who has cancelled."""
    return False


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender works with: templates by name, who writes, the policy over all rules, who people are.

    ``key`` gives the key of an address, under which it is counted and suppressed; ``wishes`` what its reader chose;
    ``links`` those of a mail (its first row and its id), or None; ``contacts`` what contact with an account a rehearsal
    knows of; ``cancelled`` whether an account had cancelled by then; ``corrected`` whether the report of a mail was
    issued once more since. Mails go ``away`` from this machine, and then only to the domains of ``only_to``, if it
    names any.
    """

    templates: Mapping[str, Template]
    sender: Sender
    people: Lookup
    policy: Policy = Policy()
    key: Callable[[str], str] = str.casefold
    wishes: Callable[[str], Wishes] = _well
    links: Callable[[OutreachRow, str], Links | None] = _no_links
    contacts: Callable[[str], Sequence[Contact]] = _nobody
    cancelled: Callable[[str, Instant], bool] = _stays
    corrected: Callable[[OutreachRow], bool] = _counts
    only_to: Collection[str] = ()
    away: bool = False


def judge(row: OutreachRow, post: Post, *, at: Instant) -> No | None:
    """Ask one mail whether it is fresh, has a reader we may write to, and a template that fits; None is a yes."""
    no = too_old(row, post.policy, at=at)
    if no is not None:
        return no
    if post.corrected(row):
        return No("suppressed", CORRECTED)
    address = reader_address(row, post.people(row.account_id))
    if address is None:
        return No("held", NO_ADDRESS)
    template = post.templates.get(row.template)
    no = _wrong_reader(row, template, staff=is_staff(address, post.policy.staff_domains))
    no = no or _excluded(row, address, post.policy) or _gone(row, post, at)
    if no is not None:
        return no
    if post.only_to and not is_staff(address, post.only_to):
        return No("held", "the domain is not among those that RINGFIRST_ONLY_TO names")
    if post.away and row.mail_class == "marketing" and post.sender.public_url is None:
        return No("held", "a marketing mail needs a link to unsubscribe: set RINGFIRST_PUBLIC_URL")
    no = unwanted(row, post.wishes(address), post.policy, post.people(row.account_id).get(row.to, {}))
    if no is not None:
        return no
    return No("held", unusable(row.template)) if template is None else None


def too_old(row: OutreachRow, policy: Policy, *, at: Instant) -> No | None:
    """Ask whether a mail's time is over: its reason is too old, or it was held or in review for too long."""
    if row.expires_at <= at:
        return No("expired", "older than the rule's max_age")
    if row.state in {"held", "in_review"} and row.due_at + policy.hold_for <= at:
        return No("expired", row.why or ("held too long" if row.state == "held" else "nobody approved it in time"))
    return None


def unusable(template: str) -> str:
    """Why a mail is held whose template is not there, or has errors."""
    return f"template {template} cannot be used"


def asking(row: OutreachRow, post: Post, *, at: Instant) -> Callable[[Standing], No | None]:
    """Make the question whether a mail that is all right may leave at ``at``, given what stands around it.

    All that it needs beside that is looked up now, so that it can be asked while the store is locked.
    """
    if row.audience == "staff":
        return lambda standing: (
            unwanted(row, standing.wishes, post.policy, {})
            or too_many(standing.contacts, at)
            or told_already(row, standing.contacts, at)
        )
    people = post.people(row.account_id)
    traits = people.get(row.to, {})
    addresses = {name: clean_address(traits.get("email")) for name, traits in people.items()}
    keys = {name: post.key(address) for name, address in addresses.items() if address is not None}
    account_zone = valid_zone(row.frozen.get("zone"), zone(post.policy.timezone))
    asked = Asked(
        account_id=row.account_id,
        person=person_of(row, post),
        mail_class=row.mail_class,
        due_at=row.due_at,
        zone=valid_zone((row.frozen.get("people") or {}).get(row.to, {}).get("timezone"), account_zone),
    )

    def ask(standing: Standing) -> No | None:
        no = unwanted(row, standing.wishes, post.policy, traits)
        no = no or (No("suppressed", "they got it for another account") if standing.elsewhere else None)
        past = [_named(one, row.account_id, keys) for one in standing.contacts]
        return no or verdict(asked, past, post.policy, at)

    return ask


def across_since(row: OutreachRow, policy: Policy, *, at: Instant) -> Instant | None:
    """Since when a mail of the same rule to the same person for another account stands against this one; None: never.

    Nothing to us does: each account's note is another one.
    """
    span = dict(policy.once_across).get(row.rule) if row.audience == "customer" else None
    return None if span is None else at - span if span else 0


def person_of(row: OutreachRow, post: Post) -> str:
    """The key of the address that a mail goes to: two people with one mailbox are one person."""
    return post.key(reader_address(row, post.people(row.account_id)) or "")


def looks_back(policy: Policy) -> int:
    """How far back contact may count, in milliseconds; a day more, since human contact counts by the day."""
    return policy.contact.longest + DAY


def by_rank(row: OutreachRow) -> tuple[bool, int, Instant, str]:
    """Who goes first of mails that are due together: transactional ones, then by priority, instant and decision."""
    return row.audience == "customer" and row.mail_class != "transactional", -row.priority, row.at, row.decision_id


def _named(one: Contact, account_id: str, keys: Mapping[str, str]) -> Contact:
    """Contact with the key of the person, where only the id is known."""
    key = keys.get(one.user_id or "")
    if one.person is not None or one.account_id != account_id or key is None:
        return one
    return msgspec.structs.replace(one, person=key)


def _excluded(row: OutreachRow, address: str, policy: Policy) -> No | None:
    if row.audience == "staff":
        return None
    if is_staff(address, policy.contact.exclude_domains):
        return No("suppressed", "an excluded domain")
    if is_role(address):
        return No("suppressed", "an address of a role, which nobody reads as a person")
    traits = row.frozen.get("account") or {}
    for name, value in policy.contact.exclude_accounts:
        if name in traits and traits[name] == value and type(traits[name]) is type(value):
            return No("suppressed", f"an excluded account: {name}")
    return None


def _gone(row: OutreachRow, post: Post, at: Instant) -> No | None:
    asked = post.policy.contact.exclude_cancelled and row.audience == "customer" and row.mail_class != "transactional"
    return No("suppressed", "the account has cancelled") if asked and post.cancelled(row.account_id, at) else None


def _wrong_reader(row: OutreachRow, template: Template | None, *, staff: bool) -> No | None:
    if row.audience == "customer" and staff:
        return No("suppressed", "a customer's mail to a staff address")
    if row.audience == "staff" and not staff:
        return No("suppressed", "a staff mail to an address that is not ours")
    if template is not None and template.manifest.audience != row.audience:
        return No("suppressed", f"a template for {template.manifest.audience} in a mail for {row.audience}")
    return None
