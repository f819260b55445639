"""``ringfirst forget``: an account or a person goes for good."""

from typing import TYPE_CHECKING

import click

from ringfirst.commands.options import active_book, json_option, opened, store_option

if TYPE_CHECKING:
    from engine.store import Forgotten, Store

WARNING = "There is no way back."


@click.command(short_help="Forget an account, or one person of it, for good.")
@click.option("--account", "account_id", metavar="ID", required=True, help="The account.")
@click.option("--person", metavar="ID", help="This person of the account only.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--take-over", is_flag=True, help="Take the lane from another owner that is known to be dead.")
@store_option
@json_option
def forget(
    account_id: str,
    person: str | None,
    store_url: str | None,
    *,
    yes: bool,
    take_over: bool,
    as_json: bool,
) -> None:
    """Forget an account with everything of it, or one person: a fresh pseudonym takes the person's place.

    What comes in later does not bring them back. With --json the rows concerned: {"events", "decisions", "outreach",
    "dead_letters", "snapshots", "people"}.
    """
    import msgspec

    from ringfirst.answers import print_json, print_table, shown

    with opened(store_url) as store:
        _known(store, account_id, person)
        whom = f"person {person} of account {account_id}" if person else f"account {account_id} and everything of it"
        if not yes:
            click.confirm(shown(f"Forget {whom}? {WARNING}"), abort=True, err=True)
        done = msgspec.to_builtins(_forget(store, account_id, person, take_over=take_over))
    if as_json:
        print_json(done)
    else:
        print_table(["rows of", "forgotten"], list(done.items()))


def _known(store: "Store", account_id: str, person: str | None) -> None:
    """Refuse what the store has never seen: who believes that a person is erased must not owe it to a typing error."""
    from engine.errors import UsageError
    from engine.log import Recorded
    from engine.rulebook.findings import suggestion

    if person is not None:
        rows = [entry.event for entry in store.account_entries(account_id) if isinstance(entry, Recorded)]
        people = {event.user_id for event in rows if event.user_id} | set(store.people(account_id))
        if person not in people and not store.pseudonyms([(account_id, person)]):
            raise UsageError(
                f"forget: account '{account_id}' has no such person; nothing was done{suggestion(person, people)}"
            )
        return
    letters = any(one.account_id == account_id for one in store.dead_letters())
    if not letters and not store.tombstones([account_id]) and account_id not in store.accounts():
        raise UsageError(
            "forget: there is no such account in the store; nothing was found; look at 'ringfirst who true'"
        )


def _forget(store: "Store", account_id: str, person: str | None, *, take_over: bool) -> "Forgotten":
    from engine.lanes import lane_of
    from ringfirst import owners
    from ringfirst.intake import now

    own = lane_of(account_id, store.lanes)
    told_in = store.told_in(account_id) if person is None else ()
    others = sorted({lane_of(other, store.lanes) for other in told_in} - {own})
    claims = owners.claim(store, [own, *others], at=now(), take_over=take_over)
    claim = next(one for one in claims if one.lane == own)
    beside = [one for one in claims if one.lane != own]
    try:
        if person is None:
            done = store.forget_account(claim, account_id, at=now(), beside=beside)
        else:
            done = store.forget_person(claim, account_id, person, properties=_properties(store), at=now())
        what = "forget account" if person is None else "forget person"
        store.audit(at=now(), who=owners.owner_name(), what=what, detail=msgspec_fields(done))
    finally:
        store.release(claims)
    return done


def msgspec_fields(done: "Forgotten") -> dict[str, int]:
    """How many rows of each table, for the audit: never who it was."""
    return {name: getattr(done, name) for name in done.__struct_fields__}


def _properties(store: "Store") -> set[str]:
    """Properties of events in which the active rulebook expects a person's id."""
    book = active_book(store)
    named = {name for thing in book.things.values() for _, name in thing.people} if book else set()
    return (named | {"user_id"}) - {""}
