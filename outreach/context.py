"""What a template gets, built from what a decision froze and from who the people are, and from nothing else."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from engine.store import OutreachRow
from engine.zones import zone_names
from outreach.addresses import clean_address
from outreach.filters import ZONE
from outreach.links import Links
from outreach.locales import LOCALE, OURS, known_locale

People = Mapping[str, Mapping[str, Any]]
"""Personal traits by person id, as ``Store.people`` gives them."""


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes: settings that every mail carries. ``timezone`` and ``locale`` are for those without one.

    ``secret`` makes message ids that tell nobody how many mails there are; ``domain`` stands in them (default: that of
    ``address``). ``postal_address`` is one line (CAN-SPAM and CASL ask for it in every mail, DELIVERY 6). ``person``
    is the colleague in whose name a mail goes out, empty: nobody's; answers go to all of ``reply_to``. Links begin with
    ``public_url`` (None: mails carry none); ``unsubscribe_to`` is a mailbox that is read for those who unsubscribe by
    mail. The bytes of a mail that left are kept for ``keep_sent_days``, 0: not at all.
    """

    address: str
    name: str
    postal_address: str
    person: str = ""
    reply_to: tuple[str, ...] = ()
    domain: str | None = None
    timezone: str = "UTC"
    locale: str = OURS
    secret: bytes = b"ringfirst"
    public_url: str | None = None
    unsubscribe_to: str | None = None
    keep_sent_days: int = 365


def build_context(
    rows: Sequence[OutreachRow],
    people: People,
    sender: Sender,
    *,
    plural: str | None = None,
    links: Links | None = None,
) -> dict[str, Any]:
    """Build the context of one mail from the rows that are joined in it (same rule, account, reader and due time).

    ``you`` is the reader, ``account`` the account's traits and id, the subject stands under its kind and the subjects
    of all rows, by (instant, id), under ``plural``; values of the rule and roles stand under their dotted names.
    Of ``frozen`` it reads ``account`` (traits), ``people`` (traits by person id), ``roles`` (of the subject: role to
    person id), ``zone`` (the account's), ``with``, ``why``, ``title`` and ``owner``.
    Its locale and zone are the reader's, else the account's, else the sender's. Nothing is computed anew: the same rows
    and people give the same context.
    """
    ordered = sorted(rows, key=lambda row: (row.at, row.subject_id or "", row.outreach_id))
    first = ordered[0]
    context = _of_row(first, people)
    if plural and first.subject_kind:
        context[plural] = [_of_row(row, people).get(row.subject_kind or "") for row in ordered]
    you, account = context["you"], context["account"]
    context["sender"] = sender_words(sender)
    context["links"] = {"unsubscribe": links.page} if links else {}
    context["rule"] = first.rule
    context[LOCALE] = reader_locale(you, account if first.audience == "customer" else {}, sender)
    context[ZONE] = _zone(you.get("timezone"), first.frozen.get("zone"), account.get("timezone"), sender.timezone)
    return context


def sender_words(sender: Sender) -> dict[str, str]:
    """What a template is told of who writes."""
    return {"name": sender.name, "postal_address": sender.postal_address, "person": sender.person}


def in_the_name_of(sender: Sender, owner: object, names: Mapping[str, str]) -> Sender:
    """The sender of a mail of somebody's account: answers go to its owner, and to where the sender wants them too.

    ``names`` are our people by address. A mail stays From the sender's own address: for another one its domain's DMARC
    would have to be aligned (RFC 7489, DELIVERY 6).
    """
    address = clean_address(owner)
    if address is None:
        return sender
    replies = tuple(dict.fromkeys([address, *sender.reply_to]))
    return msgspec.structs.replace(sender, person=names.get(address.lower(), ""), reply_to=replies)


def reader_locale(you: Mapping[str, Any], account: Mapping[str, Any], sender: Sender) -> str:
    """The locale of a reader: the reader's trait ``locale`` or ``language``, else the account's, else the sender's.

    What is no locale is as if it were not there. An account's locale says nothing about our own people.

    >>> reader_locale({"locale": "de_AT"}, {"locale": "fr"}, Sender(address="", name="", postal_address=""))
    'de-AT'
    """
    told = (traits.get(name) for traits in (you, account) for name in ("locale", "language"))
    return next((known for one in told if (known := known_locale(one))), None) or known_locale(sender.locale) or OURS


def reader_address(row: OutreachRow, people: People) -> str | None:
    """The address a mail goes to, or None: a person's trait ``email``, or the staff address itself."""
    return clean_address(row.to if row.audience == "staff" else people.get(row.to, {}).get("email"))


def reader_name(row: OutreachRow, people: People) -> str:
    """The name that stands beside the address; empty when it is not known."""
    name = people.get(row.to, {}).get("name") if row.audience == "customer" else None
    return name if isinstance(name, str) else ""


def _of_row(row: OutreachRow, people: People) -> dict[str, Any]:
    frozen = row.frozen
    context: dict[str, Any] = {}
    for name, value in sorted(row.values.items()):
        _put(context, name, _named(value, people))
    if row.subject_kind and row.subject_id is not None:
        _put_default(context, f"{row.subject_kind}.id", row.subject_id)
    if row.subject_kind == "person":
        _put_person(context, "person", row.subject_id, row, people)
    if row.subject_kind == "event":
        _put_person(context, "event.person", _value_at(context, "event.person"), row, people)
    for role, person in sorted(_mapping(frozen.get("roles")).items()):
        _put_person(context, f"{row.subject_kind}.{role}" if row.subject_kind else role, person, row, people)
    context["account"] = {**_mapping(context.get("account")), **_mapping(frozen.get("account")), "id": row.account_id}
    context["you"] = _reader(row, people)
    context["with"] = dict(_mapping(frozen.get("with")))
    for name in ("why", "title", "owner"):
        context[name] = frozen.get(name)
    return context


def _named(value: Any, people: People) -> Any:
    """A value with people's names in place: a list of a personal trait holds ids until now (RULEBOOK 5, ``list``).

    >>> _named([{"person": "u1", "trait": "name"}, {"person": "u2", "trait": "name"}], {"u1": {"name": "Ada King"}})
    ['Ada King']
    """
    if not isinstance(value, list):
        return value
    found = [people.get(one["person"], {}).get(one["trait"]) if isinstance(one, dict) else one for one in value]
    return [one for one in found if one is not None]


def _reader(row: OutreachRow, people: People) -> dict[str, Any]:
    if row.audience == "staff":
        return {"id": row.to, "email": row.to}
    return _person(row.to, row, people)


def _person(person: str, row: OutreachRow, people: People) -> dict[str, Any]:
    return person_of(person, _mapping(_mapping(row.frozen.get("people")).get(person)), people)


def person_of(person: str, traits: Mapping[str, Any], people: People) -> dict[str, Any]:
    """A person as a template sees one: id, traits, personal ones too, ``first_name`` (else the name's first word).

    >>> person_of("u1", {"role": "champion"}, {"u1": {"name": "Ada King"}})["first_name"]
    'Ada'
    """
    merged = {**traits, **people.get(person, {}), "id": person}
    name = merged.get("name")
    if not merged.get("first_name") and isinstance(name, str) and name.split():
        merged["first_name"] = name.split()[0]
    return merged


def _zone(*named: object) -> str:
    return next((name for name in named if isinstance(name, str) and name in zone_names()), "UTC")


def _put_person(context: dict[str, Any], place: str, person: Any, row: OutreachRow, people: People) -> None:
    if isinstance(person, str):
        _put(context, place, {**_mapping(_value_at(context, place)), **_person(person, row, people)})


def _put(context: dict[str, Any], name: str, value: Any) -> None:
    *above, last = name.split(".")
    node = context
    for part in above:
        inner = node.get(part)
        if not isinstance(inner, dict):
            inner = node[part] = {} if part not in node else {"": inner}
        node = inner
    present = node.get(last)
    if isinstance(present, dict) and not isinstance(value, Mapping):
        present[""] = value
    else:
        node[last] = value


def _put_default(context: dict[str, Any], name: str, value: Any) -> None:
    if _value_at(context, name) is None:
        _put(context, name, value)


def _value_at(context: Mapping[str, Any], name: str) -> Any:
    node: Any = context
    for part in name.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


Lookup = Callable[[str], People]
"""From an account to its people: ``Store.people``."""
