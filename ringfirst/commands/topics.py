"""``ringfirst topics``: what a worker needs on Kafka, made or compared."""

from typing import TYPE_CHECKING

import click

from ringfirst.commands.options import json_option, kafka, lanes_of, store_option

if TYPE_CHECKING:
    from streams.topics import TopicState

_lanes = click.option(
    "--lanes",
    type=click.IntRange(1, 1_000),
    help="As many partitions for each inbound topic.  [the lanes of the store]",
)
_intake = click.option(
    "--intake", is_flag=True, help="The topic of 'ringfirst intake' too, for events of other systems."
)


@click.group(short_help="Make the topics on Kafka, or compare them with what a worker needs.")
def topics() -> None:
    """Make the topics on Kafka, or compare them with what a worker needs.

    An account's events lie in one partition of each inbound topic, the one with the number of its lane. So all inbound
    topics have as many partitions as the store has lanes.
    """


@topics.command()
@_lanes
@click.option("--replicas", type=click.IntRange(1, 32_767), help="Copies of each partition.  [the broker's default]")
@click.option("--history", is_flag=True, help="Nothing in them ever expires (retention.ms -1): for events of the past.")
@_intake
@store_option
@json_option
def create(
    lanes: int | None, replicas: int | None, store_url: str | None, *, history: bool, intake: bool, as_json: bool
) -> None:
    """Make the topics that are missing; those that are there stay as they are.

    Ends with 1 when one that is there does not fit. With --json: {"created", "topics": [{"topic", "partitions",
    "wanted", "retention_days", "topic_id", "fault"}]}.
    """
    from streams.topics import check, wanted
    from streams.topics import create as make

    with kafka() as (settings, admin):
        count = lanes_of(store_url, lanes)
        asked = wanted(settings.topics, count, intake=intake)
        made = make(admin, asked, lanes=count, replicas=replicas, history=history)
        _tell(check(admin, asked), made, as_json=as_json)


@topics.command("check")
@_lanes
@_intake
@store_option
@json_option
def check_(lanes: int | None, store_url: str | None, *, intake: bool, as_json: bool) -> None:
    """Compare the topics with what a worker needs; ends with 1 when one is missing or does not fit.

    With --json: {"topics": [{"topic", "partitions", "wanted", "retention_days", "topic_id", "fault"}]}.
    """
    from streams.topics import check, wanted

    with kafka() as (settings, admin):
        _tell(check(admin, wanted(settings.topics, lanes_of(store_url, lanes), intake=intake)), None, as_json=as_json)


def _tell(states: "list[TopicState]", made: list[str] | None, *, as_json: bool) -> None:
    from ringfirst.answers import plural, print_json, print_table, talk

    faults = [one.fault for one in states if one.fault is not None]
    if as_json:
        answer: dict[str, object] = {} if made is None else {"created": made}
        print_json({**answer, "topics": [_plain(one) for one in states]})
    else:
        rows = [
            [one.name, one.found and one.found.partitions, "any" if one.wanted is None else str(one.wanted), _kept(one)]
            for one in states
        ]
        print_table(["topic", "partitions", "wanted", "kept"], rows)
        if made is not None:
            talk(f"{plural(len(made), 'topic')} made")
        for fault in faults:
            talk(fault)
    if faults:
        raise click.exceptions.Exit(1)


def _kept(one: "TopicState") -> str | None:
    if one.found is None:
        return None
    return "for ever" if one.retention_days is None else f"{one.retention_days:g} days"


def _plain(one: "TopicState") -> dict[str, object]:
    return {
        "topic": one.name,
        "partitions": one.found and one.found.partitions,
        "wanted": one.wanted,
        "retention_days": one.retention_days,
        "topic_id": one.found and one.found.topic_id,
        "fault": one.fault,
    }
