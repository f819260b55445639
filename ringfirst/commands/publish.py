"""``ringfirst publish``: files of events onto the topics."""

from typing import TYPE_CHECKING

import click

from ringfirst.commands.importing import STOPPED, bar, stopping
from ringfirst.commands.options import json_option, kafka

if TYPE_CHECKING:
    from streams.publish import Published


@click.command(short_help="Publish files of events to the topics.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--topic", metavar="NAME", help="Everything to this topic.  [the topic of each event's family]")
@click.option("--live", is_flag=True, help="Records count from now, and not from the time of their events.")
@json_option
@click.pass_context
def publish(ctx: click.Context, files: tuple[str, ...], topic: str | None, *, live: bool, as_json: bool) -> None:
    """Publish events from FILEs (JSON lines, gzip too, - for standard input) to Kafka, keyed by account.

    Several files are merged by event time. A line that is no good event is published as it is: the worker keeps it in
    the dead letters with its reason. Only a line of more than 256 KB stays behind; then the command ends with 1. The
    same files again change nothing: a worker knows events by their ids.

    With --json: {"read", "published", "bad", "refused", "topics", "problems"}.
    """
    from ringfirst.answers import print_json, shown, talk
    from ringfirst.intake import now
    from streams.files import EventFiles
    from streams.publish import publish as send

    with (
        EventFiles(files) as events,
        kafka() as (settings, admin),
        stopping() as stop,
        bar(events.size, "publishing") as (progress, _),
    ):
        report = send(events, admin, settings, at=now(), only=topic, live=live, progress=progress, stop=stop)
        stopped = stop()
    for problem in report.problems:
        talk(shown(problem))
    if as_json:
        print_json(report)
    else:
        _say(report)
    if stopped:
        talk("stopped before the end; the same command goes on, and what is there already is known by its id")
        ctx.exit(STOPPED)
    if report.refused:
        ctx.exit(1)


def _say(report: "Published") -> None:
    click.echo(f"read          {report.read:>12,}")
    click.echo(f"published     {report.published:>12,}")
    for name, count in sorted(report.topics.items()):
        click.echo(f"  {count:>24,}  {name}")
    if report.bad:
        click.echo(f"bad           {report.bad:>12,}  published too; the worker puts them into the dead letters")
    if report.refused:
        click.echo(f"left behind   {report.refused:>12,}  larger than 256 KB")
