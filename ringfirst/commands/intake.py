"""``ringfirst intake``: foreign events in, our own out."""

import click

from ringfirst.commands.options import opened, settings, store_option


@click.command(short_help="Map events of other systems, and send them on to the topics of the workers.")
@click.option("--once", is_flag=True, help="Stop when everything that is there is taken in.")
@store_option
@click.pass_context
def intake(ctx: click.Context, store_url: str | None, *, once: bool) -> None:
    """Take records from the intake topic, whatever they are keyed by, and send their events on, keyed by account.

    It knows CloudEvents, Segment, RudderStack, Zendesk, Intercom, Freshdesk, Stripe, Amplitude, mParticle, ChurnZero
    and our own format. What it cannot map becomes a dead letter. Start it beside the workers; several share the work.
    It goes on until Ctrl-C or a polite kill.
    """
    import logging

    found = settings()
    from ringfirst.foreign_intake import take_in
    from ringfirst.logs import log_to_stderr
    from ringfirst.settings import kafka_settings

    kafka = kafka_settings(found)
    log_to_stderr(found.log, "ringfirst", "streams")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters of it is raised, and said in our words
    with opened(store_url, create=True) as store:
        take_in(store, kafka, once=once)
    ctx.exit(0)
