"""``ringfirst worker``: Kafka's topics in, decisions out."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ringfirst.commands.options import checked_book, opened, rules_option, settings, store_option

if TYPE_CHECKING:
    from ringfirst.logs import LogFormat
    from ringfirst.oncall.pages import Place
    from ringfirst.settings import Settings


@click.command(short_help="Take events in from Kafka, and decide as they come.")
@click.option("--history", is_flag=True, help="Take in a complete log by the events' own time, and stop at its end.")
@click.option(
    "--health",
    metavar="[HOST:]PORT",
    help="Show /livez, /readyz, /metrics and /status.json there; 0 takes a free port.  [RINGFIRST_HEALTH, nowhere]",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="How to log on stderr: lines for people, or a JSON object each.  [RINGFIRST_LOG, text]",
)
@store_option
@rules_option
@click.pass_context
def worker(
    ctx: click.Context,
    health: str | None,
    log_format: "LogFormat | None",
    store_url: str | None,
    rules: Path | None,
    *,
    history: bool,
) -> None:
    """Join the group of workers, take events in from the topics and decide, until Ctrl-C or a polite kill.

    Start as many as you like, on one machine or several, over one store: Kafka shares the lanes out among them, and
    gives those of a dead one to the others. A batch, what it decides and how far its topics are read are one
    transaction. The rulebook becomes the active one. Mails wait for a sender.

    With --history the workers read everything there is, in the order of the events' own time; mails of the past count
    as gone, as in 'ringfirst import', and the decisions are the same.
    """
    book, _ = checked_book(rules)
    found = settings()
    from ringfirst.settings import kafka_settings
    from ringfirst.worker import work

    kafka = kafka_settings(found)
    _log(log_format or found.log)
    place = _place(found, health)
    ctx.exit(work(opened(store_url, create=True), book, kafka, history=history, place=place))


def _place(found: "Settings", asked: str | None) -> "Place | None":
    from ringfirst.oncall.pages import Place
    from ringfirst.settings import place_of

    wanted = asked or found.health
    if wanted is None:
        return None
    names = tuple(name.strip() for name in found.allowed_hosts.split(",") if name.strip())
    return Place(
        *place_of(wanted, "--health"), found.token.get_secret_value() if found.token is not None else None, names
    )


def _log(form: "LogFormat") -> None:
    import logging

    from ringfirst.logs import log_to_stderr

    log_to_stderr(form, "ringfirst", "streams")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters of it is raised, and said in our words
