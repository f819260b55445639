"""``ringfirst relane``: more lanes for a store."""

from typing import TYPE_CHECKING

import click

from ringfirst.commands.options import json_option, kafka, settings, store_option

if TYPE_CHECKING:
    from engine.store import OutgoingKind, Store
    from ringfirst.relane import Relaned


@click.command(short_help="Copy a store into a new one with more lanes.")
@click.argument("lanes", type=click.IntRange(1, 1_024))
@click.option("--to", "target", metavar="URL", required=True, help="The new store: an empty database, or a new file.")
@click.option("--take-over", is_flag=True, help="Take the lanes from another owner that is known to be dead.")
@store_option
@json_option
def relane(lanes: int, target: str, store_url: str | None, *, take_over: bool, as_json: bool) -> None:
    """Copy a store into a new one with LANES lanes, a multiple of those it has, so that more workers can share them.

    Stop all producers first, let the workers take in what is left, and stop workers, senders and servers. It refuses
    while a lane has an owner, or something waits in the topics. All lanes are brought to one instant, every account
    goes to its new lane, and the new store is replayed: only when it gives the same decisions the old one is closed for
    good. Killed at any moment it leaves one store that is whole; type the same again.

    With --json: {"before", "after", "events", "decisions", "at"}.
    """
    from engine.instants import iso
    from engine.stores import Relaning
    from ringfirst.answers import plural, print_json, talk
    from ringfirst.commands.options import active_book
    from ringfirst.relane import relane as done

    found = settings()
    work = Relaning(store_url or found.store.get_secret_value(), target, lanes)
    try:
        follow = _drained(work.source) if work.moved is None else frozenset()
        book = active_book(work.source) if work.moved is None else None
        result: Relaned = done(work, book, follow=follow, take_over=take_over, told=talk)
        url = work.target.url
    finally:
        work.close()
    if as_json:
        print_json(result)
        return
    at = "" if result.at is None else f", as of {iso(result.at)}"
    click.echo(
        f"{plural(result.events, 'event')} and {plural(result.decisions, 'decision')} went from {result.before} lanes "
        f"into {result.after}{at}"
    )
    talk(
        f"{url} is the store now: set RINGFIRST_STORE to it, and RINGFIRST_TOPIC_... to new names; make those topics "
        "with 'ringfirst topics create', start the workers, and let the producers publish there"
    )


def _drained(store: "Store") -> "frozenset[OutgoingKind]":
    """See that nothing waits in the topics that the store was fed from; gives what is told about it on topics.

    Raises ``StreamError`` for each partition in which something waits.
    """
    from engine.errors import StreamError

    taken = store.offsets()
    if not taken:
        return frozenset()
    with kafka() as (found, admin):
        from streams.offsets import standings

        waits = [
            f"{one.topic}[{one.lane}]: {one.end - (one.next_offset or one.first)} records wait; stop the producers and "
            "let the workers take them in"
            for one in standings(admin, found.topics.inbound, taken, store.logs())
            if one.fault is None and one.end > max(one.next_offset or 0, one.first)
        ]
        faults = [one.fault for one in standings(admin, found.topics.inbound, taken, store.logs()) if one.fault]
        if waits or faults:
            raise StreamError("\n".join([*faults, *waits]))
        told = admin.topics(found.topics.outbound)
        kinds: dict[OutgoingKind, str] = {"decision": found.topics.decisions, "dead-letter": found.topics.dead_letters}
        return frozenset(kind for kind, topic in kinds.items() if topic in told)
