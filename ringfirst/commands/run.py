"""``ringfirst run``: the embedded server."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ringfirst.commands.options import (
    checked_book,
    opened,
    rules_option,
    sender_of,
    settings,
    store_option,
)

if TYPE_CHECKING:
    from ringfirst.logs import LogFormat
    from ringfirst.rulebooks import Folder
    from ringfirst.server.lifecycle import Address, Post
    from ringfirst.settings import Settings


@click.command(short_help="Take events in over HTTP, decide as they come, and send what is due.")
@click.option("--host", metavar="ADDRESS", help="Where to listen.  [RINGFIRST_HOST, 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Which port; 0 takes a free one.  [RINGFIRST_PORT, 8484]",
)
@click.option("--no-send", is_flag=True, help="Let no mail leave; they wait in the store.")
@click.option(
    "--outbox", type=click.Path(path_type=Path), metavar="DIR", help="Where mails go.  [RINGFIRST_OUTBOX, outbox]"
)
@store_option
@rules_option
@click.option("--take-over", is_flag=True, help="Take the lanes from another owner that is known to be dead.")
@click.pass_context
def run(
    ctx: click.Context,
    host: str | None,
    port: int | None,
    outbox: Path | None,
    store_url: str | None,
    rules: Path | None,
    *,
    no_send: bool,
    take_over: bool,
) -> None:
    """Serve POST /v1/events, and /livez, /readyz, /metrics beside it, until Ctrl-C or a polite kill.

    An event is acknowledged after it is committed, with everything it decided. Mails that are due leave by the SMTP
    server of RINGFIRST_SMTP, or into the outbox folder. The rulebook becomes the active one. A second Ctrl-C stops at
    once; nothing acknowledged is lost. With RINGFIRST_WEB it serves what 'ringfirst web' does too, on
    a listener of its own.
    """
    found = settings()
    address = _address(found, host, port)
    book, folder = checked_book(rules)
    from ringfirst.answers import talk
    from ringfirst.server.lifecycle import serve
    from ringfirst.web.serving import facing_outside

    _log(found.log)
    post = None if no_send else _post(found, folder, outbox)
    with opened(store_url, create=True) as store, facing_outside(store, found, at=found.web, tell=talk):
        ctx.exit(serve(store, book, address, post=post, take_over=take_over, tell=talk))


def _address(found: "Settings", host: str | None, port: int | None) -> "Address":
    from ringfirst.server.lifecycle import Address

    names = tuple(name.strip() for name in found.allowed_hosts.split(",") if name.strip())
    token = found.token.get_secret_value() if found.token is not None else None
    wanted = found.port if port is None else port
    return Address(host or found.host, wanted, token, names).checked()


def _post(found: "Settings", folder: "Folder", outbox: Path | None) -> "Post":
    from ringfirst.answers import talk
    from ringfirst.leaving import channel_of, limits_of, only_to
    from ringfirst.server.lifecycle import Post

    sender, ours = sender_of(found)
    if not ours:
        talk(f"no sender is set: the mails carry an example, {sender.address}; set RINGFIRST_SENDER")
    return Post(folder.sent_templates, channel_of(found, sender, outbox), sender, only_to(found), limits_of(found))


def _log(form: "LogFormat") -> None:
    import logging

    from ringfirst.logs import log_to_stderr

    log_to_stderr(form, "ringfirst")
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below it, any stranger could fill the log
