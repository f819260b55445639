"""``ringfirst offsets``: where the store goes on in the topics, and the way out when it cannot."""

from typing import TYPE_CHECKING, Any

import click

from ringfirst.commands.options import json_option, kafka, opened, store_option

if TYPE_CHECKING:
    from engine.store import Store
    from streams.offsets import Goal, Skip, Standing


class To(click.ParamType):
    """Where to go on: ``earliest``, ``latest`` or an offset."""

    name = "offset"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Goal":
        """Read it."""
        if value == "earliest":
            return "earliest"
        if value == "latest":
            return "latest"
        if not (value.isascii() and value.isdecimal()):
            self.fail(f"no offset; found {value!r}; write 'earliest', 'latest' or a number from 0 on", param, ctx)
        return int(value)


@click.group(short_help="See where the store goes on in the topics, or move it when a lane halts.")
def offsets() -> None:
    """See where the store goes on in the topics, or move it when a lane halts.

    The next offset of each partition is kept in the store and committed with the events. A lane halts, and skips
    nothing, when that offset and the log on Kafka do not fit.
    """


@offsets.command()
@store_option
@json_option
def show(store_url: str | None, *, as_json: bool) -> None:
    """Show, for each topic and lane, where the store goes on, what Kafka holds, and what would halt.

    Offsets of other clusters that the store has read stand below, without what is kept there. Joins no group and moves
    nothing. Ends with 1 when a lane would halt.

    With --json: {"cluster", "lanes": [{"topic", "lane", "source", "next_offset", "first", "end", "fault", "log",
    "anew"}],
    "elsewhere": [{"topic", "lane", "source", "next_offset"}]}.
    """
    from ringfirst.answers import print_json, print_table, talk
    from streams.offsets import standings

    with kafka() as (settings, admin), opened(store_url) as store:
        topics, cluster, taken = settings.topics.inbound, admin.cluster_id, store.offsets()
        found = standings(admin, topics, taken, store.logs())
    others = [
        {"topic": topic, "lane": lane, "source": source, "next_offset": offset}
        for (source, topic, lane), offset in sorted(taken.items())
        if topic in topics and source != cluster
    ]
    faults = [one.fault for one in found if one.fault is not None]
    if as_json:
        print_json({"cluster": cluster, "lanes": found, "elsewhere": others})
    else:
        rows = [(one.topic, one.lane, one.source, one.next_offset, one.first, one.end) for one in found]
        print_table(
            ["topic", "lane", "source", "next", "first", "end"],
            [*rows, *([*one.values(), None, None] for one in others)],
        )
        for fault in faults:
            talk(fault)
    if faults:
        raise click.exceptions.Exit(1)


@offsets.command()
@click.argument("topic")
@click.argument("lane", type=click.IntRange(min=0), required=False)
@click.option("--all", "every", is_flag=True, help="Every lane of the topic.")
@click.option(
    "--to",
    type=To(),
    metavar="earliest|latest|N",
    required=True,
    help="Where to go on: at the oldest record on Kafka, behind the newest, or at this offset.",
)
@click.option("--why", metavar="TEXT", required=True, help="The reason, for the audit.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--take-over", is_flag=True, help="Take the lane from another owner that is known to be dead.")
@store_option
@json_option
def skip(
    topic: str,
    lane: int | None,
    to: "Goal",
    why: str,
    store_url: str | None,
    *,
    every: bool,
    yes: bool,
    take_over: bool,
    as_json: bool,
) -> None:
    """Go on elsewhere in TOPIC: the way out for a LANE that halts. Stop its worker first.

    Says how many records are given up or read again, and asks. Moves the offset in the store and nothing else; it is
    written into the audit. A worker that starts afterwards goes on from there. Records that are read again change
    nothing: known events are duplicates.

    With --json: {"cluster", "moved": [{"topic", "lane", "before", "after", "given_up", "again", "waiting"}]}.
    """
    from ringfirst.answers import print_json, print_table, shown, talk
    from streams.offsets import skip as meant
    from streams.offsets import standings

    _fitting(lane, why, every=every)
    with kafka() as (settings, admin), opened(store_url) as store:
        _known(topic, settings.topics.inbound)
        found = standings(admin, [topic], store.offsets(), store.logs())
        chosen = _chosen([one for one in found if one.lane < store.lanes], topic, lane)
        skips = [one for one in (meant(one, to) for one in chosen if not one.anew) if one.before != one.after]
        skips += [meant(one, to) for one in chosen if one.anew]
        if skips and not yes:
            for one in skips:
                talk(_said(one))
            click.confirm(
                shown(f"Move the store in {topic}? Records given up are never taken in."), abort=True, err=True
            )
        if skips:
            _move(store, skips, found, why=why, take_over=take_over)
        cluster = admin.cluster_id
    if as_json:
        print_json({"cluster": cluster, "moved": skips})
        return
    names = ["topic", "lane", "before", "after", "given_up", "again", "waiting"]
    print_table(
        ["topic", "lane", "from", "to", "given up", "read again", "waiting"],
        [[getattr(one, name) for name in names] for one in skips],
    )
    if not skips:
        talk("the store stands there already; nothing was done")


def _fitting(lane: int | None, why: str, *, every: bool) -> None:
    from engine.errors import UsageError

    if (lane is None) != every:
        found = "neither" if lane is None else "both"
        raise UsageError(f"offsets skip: it takes a lane or --all; found {found}; say one of them")
    if not why.strip():
        raise UsageError("--why: it says nothing; found no word; say why, for whoever asks later")


def _known(topic: str, topics: tuple[str, ...]) -> None:
    from engine.errors import UsageError
    from engine.rulebook.findings import listed, suggestion

    if topic not in topics:
        raise UsageError(
            f"offsets skip: a worker reads no topic '{topic}'; it reads {listed(topics)}; name one of them"
            f"{suggestion(topic, topics)}"
        )


def _chosen(found: "list[Standing]", topic: str, lane: int | None) -> "list[Standing]":
    from engine.errors import UsageError

    chosen = [one for one in found if lane in {None, one.lane}]
    if not chosen:
        raise UsageError(f"offsets skip: {topic} has no lane {lane}; found 0 to {len(found) - 1}; name one of them")
    return chosen


def _said(one: "Skip") -> str:
    from ringfirst.answers import plural

    where = "the beginning" if one.before is None else f"offset {one.before}"
    return (
        f"{one.topic}[{one.lane}]: from {where} to offset {one.after}: {plural(one.given_up, 'record')} given up, "
        f"{one.again:,} read again, {one.waiting:,} waiting from there"
    )


def _move(store: "Store", skips: "list[Skip]", found: "list[Standing]", *, why: str, take_over: bool) -> None:
    """All lanes in one transaction, with the audit; an offset that moved since it was agreed to is refused."""
    from engine.store import Batch, Note, Offset
    from ringfirst import owners
    from ringfirst.intake import now

    moves, stood = {one.lane: one for one in skips}, {one.lane: one for one in found}
    claims = owners.claim(store, list(moves), at=now(), take_over=take_over)
    try:
        batches = []
        for claim in claims:
            one, source = moves[claim.lane], stood[claim.lane].source
            detail = {
                "source": source,
                "topic": one.topic,
                "lane": one.lane,
                "from": one.before,
                "to": one.after,
                "given_up": one.given_up,
                "why": why,
            }
            offset = Offset(source, one.topic, one.lane, one.before, one.after, stood[one.lane].log)
            note = Note(now(), owners.owner_name(), "skip offsets", detail)
            batches.append(Batch(claim, claim.position, claim.clock_at, claim.first_at, offsets=[offset], notes=[note]))
        store.commit(batches)
    finally:
        store.release(claims)
