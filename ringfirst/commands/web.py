"""``ringfirst web``: what customers and providers reach from outside."""

import click

from ringfirst.commands.options import opened, settings, store_option

DEFAULT = "127.0.0.1:8485"


@click.command(short_help="Serve what customers and providers reach from outside.")
@click.option(
    "--listen", metavar="HOST:PORT", help=f"Where to listen; port 0 takes a free one.  [RINGFIRST_WEB, {DEFAULT}]"
)
@store_option
def web(listen: str | None, store_url: str | None) -> None:
    """Serve what customers and providers reach from outside, and nothing else, until Ctrl-C or a polite kill.

    Put it behind a server that speaks TLS, and set RINGFIRST_PUBLIC_URL to the address that leads to it. 'ringfirst
    run' serves the same when RINGFIRST_WEB is set.
    """
    found = settings()
    from ringfirst.answers import talk
    from ringfirst.logs import log_to_stderr
    from ringfirst.server.stopping import asked_to_stop
    from ringfirst.web.serving import facing_outside

    log_to_stderr(found.log, "ringfirst")
    with (
        opened(store_url) as store,
        asked_to_stop() as asked,
        facing_outside(store, found, at=listen or found.web or DEFAULT, tell=talk),
    ):
        asked.wait()
        talk("stopping")
