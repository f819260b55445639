"""``ringfirst lag``: how far the store is behind the topics."""

from typing import TYPE_CHECKING

import click

from ringfirst.commands.options import json_option, kafka, opened, store_option

if TYPE_CHECKING:
    from streams.lag import PartitionLag


@click.command(short_help="How far the store is behind the topics, in records and seconds.")
@store_option
@json_option
def lag(store_url: str | None, *, as_json: bool) -> None:
    """How far the store is behind the topics, lane by lane, in records and in seconds.

    The truth is the store's: what a worker committed there, and not what Kafka believes. Seconds are the age of the
    next record that nobody took in; for history that is the age of its event. Joins no group and moves nothing. Ends
    with 1 when the log and the store do not fit.

    With --json: {"cluster", "records", "seconds", "lanes": [{"topic", "lane", "next_offset", "end", "records",
    "seconds", "fault"}]}.
    """
    from ringfirst.answers import print_json, print_table, talk
    from ringfirst.intake import now
    from ringfirst.oncall.screen import span
    from streams.lag import lag as measured
    from streams.lag import peeking

    with kafka() as (settings, admin), opened(store_url) as store:
        found = measured(admin, peeking(settings), settings.topics.inbound, store.offsets(), store.logs(), at=now())
        cluster = admin.cluster_id
    faults = [one.fault for one in found if one.fault is not None]
    records, seconds = sum(one.records for one in found), _longest(found)
    if as_json:
        print_json({"cluster": cluster, "records": records, "seconds": seconds, "lanes": found})
    else:
        print_table(
            ["topic", "lane", "next", "end", "records", "oldest"],
            [[one.topic, one.lane, one.next_offset, one.end, one.records, span(one.seconds)] for one in found],
        )
        longest = "an unknown time" if seconds is None else span(seconds)
        talk("nothing is waiting" if not records else f"{records:,} records behind, the oldest by {longest}")
        for fault in faults:
            talk(fault)
    if faults:
        raise click.exceptions.Exit(1)


def _longest(found: "list[PartitionLag]") -> float | None:
    """The oldest record that waits: the worst lane counts, an average would hide it. None when one is not known."""
    waits = [one.seconds for one in found]
    return None if None in waits else max((one for one in waits if one is not None), default=0)
