"""``ringfirst suppressions``: addresses that are not written to, and what their readers chose."""

import re
from typing import TYPE_CHECKING, Any

import click

from ringfirst.commands.options import active_book, json_option, opened, store_option

if TYPE_CHECKING:
    from engine.store import Note, Store

EVERYTHING = "everything"
_TOPICS = {None: EVERYTHING, "*": "all but transactional"}
_KEY = re.compile(r"[0-9a-f]{64}")
_why = click.option("--why", metavar="TEXT", required=True, help="Why, for whoever asks later.")
_topic = click.option("--topic", metavar="NAME", help="Only mails of this topic; '*' is all but transactional ones.")


@click.group(short_help="Addresses that are not written to, and what their readers chose.")
def suppressions() -> None:
    """Addresses that are not written to, and what their readers chose; each stands as its keyed hash."""


@suppressions.command("list")
@click.argument("address", metavar="ADDRESS|KEY", required=False)
@store_option
@json_option
def list_(address: str | None, store_url: str | None, *, as_json: bool) -> None:
    """List who is not written to, and what was chosen; oldest first. An address narrows it to that one.

    With --json: [{"address_key", "topic", "choice", "why", "at"}]; topic null is everything, '*' all but transactional
    mails.
    """
    from engine.instants import iso
    from ringfirst.answers import plural, print_json, print_table, talk

    with opened(store_url) as store:
        key = _key(store, address) if address is not None else None
        rows: list[dict[str, Any]] = [
            {"address_key": one.address_key, "topic": None, "choice": "out", "why": one.reason, "at": one.at}
            for one in store.suppressions()
        ]
        rows += [
            {"address_key": one.address_key, "topic": one.topic, "choice": one.choice, "why": one.by, "at": one.at}
            for one in store.choices()
        ]
    rows = sorted((row for row in rows if key in {None, row["address_key"]}), key=lambda row: row["at"])
    shown = [{**row, "at": iso(row["at"])} for row in rows]
    if as_json:
        print_json(shown)
        return
    print_table(
        ["at", "topic", "choice", "why", "key of the address"],
        [
            [row["at"], _TOPICS.get(row["topic"], row["topic"]), row["choice"], row["why"], row["address_key"]]
            for row in shown
        ],
    )
    talk(plural(len(shown), "entry", "entries"))


@suppressions.command()
@click.argument("address", metavar="ADDRESS|KEY")
@_topic
@_why
@store_option
def add(address: str, topic: str | None, why: str, store_url: str | None) -> None:
    """Write to an address no more: nothing at all, or no mails of a topic. In force at once, in all accounts."""
    from ringfirst.answers import talk
    from ringfirst.intake import now

    with opened(store_url) as store:
        key, at = _key(store, address), now()
        note = _note("suppress", key, topic, why)
        if topic is None:
            changed = store.suppress(key, reason=why, at=at, note=note)
        else:
            _known(store, topic)
            changed = store.choose(key, {topic: "out"}, at=at, by=f"by hand: {why}", note=note)
    what = {None: "is not written to", "*": "gets no mails but transactional ones"}.get(topic, f"gets no {topic}")
    talk(f"the address {what} any more" if changed else f"the address {what} any more; so it was before")


@suppressions.command()
@click.argument("address", metavar="ADDRESS|KEY")
@_topic
@_why
@store_option
def remove(address: str, topic: str | None, why: str, store_url: str | None) -> None:
    """Take back that an address is not written to; what its reader chose stays, unless --topic names it.

    Somebody who asked for silence must have asked for mails again: this is for addresses that work again, and for
    mistakes.
    """
    from engine.errors import UsageError

    with opened(store_url) as store:
        key = _key(store, address)
        note = _note("unsuppress", key, topic, why)
        if topic is None:
            changed = store.unsuppress(key, note=note)
        else:
            changed = store.choose(key, {topic: None}, at=note.at, by=f"by hand: {why}", note=note)
    if not changed:
        raise UsageError(
            f"suppressions remove: there is nothing to take back for this address ({topic or EVERYTHING}); "
            "'ringfirst suppressions list ADDRESS' shows what there is"
        )
    from ringfirst.answers import talk

    talk("the address may be written to again" if topic is None else f"what was chosen for {topic} is forgotten")


def _key(store: "Store", text: str) -> str:
    """The key of an address, or the key itself. Raises ``UsageError``, without saying the address again."""
    from engine.errors import UsageError
    from outreach.addresses import address_key, clean_address

    if _KEY.fullmatch(text):
        return text
    address = clean_address(text)
    if address is None:
        raise UsageError(
            "suppressions: this is neither an address nor a key; write ada@example.com, or take a key from 'list'"
        )
    return address_key(store.key, address)


def _known(store: "Store", topic: str) -> None:
    from engine.errors import UsageError
    from engine.rulebook.findings import suggestion
    from engine.rulebook.topics import BUILT_IN
    from engine.store import ALL_TOPICS

    book = active_book(store)
    known = [one.name for one in (book.policy.topics.known if book else BUILT_IN)]
    if topic not in {ALL_TOPICS, *known}:
        near = suggestion(topic, known) or f"; there are {', '.join(known)}, and '*' for all"
        raise UsageError(f"--topic {topic[:60]}: the rulebook has no such topic{near}")


def _note(what: str, key: str, topic: str | None, why: str) -> "Note":
    from engine.store import Note
    from ringfirst.intake import now
    from ringfirst.owners import owner_name

    return Note(now(), owner_name(), what, {"address_key": key, "topic": topic or EVERYTHING, "why": why})
