"""``ringfirst status``: one screen for somebody on call."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ringfirst.commands.options import json_option, settings, store_option

if TYPE_CHECKING:
    from rich.console import Console

    from ringfirst.oncall.lookout import Lookout
    from ringfirst.oncall.status import Status

EVERY_SECONDS = 2.0
WIDE = 100


@click.command(short_help="How everything is: one screen for somebody on call.")
@click.option("--watch", is_flag=True, help="Look again every two seconds, until Ctrl-C.")
@store_option
@json_option
@click.pass_context
def status(ctx: click.Context, store_url: str | None, *, watch: bool, as_json: bool) -> None:
    """How everything is, on one screen: each lane in one word, how far it is behind, and what is wrong.

    The word comes from two looks at the offsets, a second to five apart. OK: what waited at the first is taken in, or
    nothing waited. Catching up: it moves, and 'left' says how long it takes if all goes on so. Stalled: records wait
    and nothing moves, or the lane halted. Stopped: nobody owns it. At rest: nobody does, and nobody need, for only
    imports ever wrote here. 'behind' and 'oldest' are the records that are not
    in the store and the age of the oldest one, 'clock' the age of the lane's clock, 'in/s' and 'done/s' records a
    second, 'dead' the dead letters and the age of the oldest, 'rebal' how often the owner's lanes were shared out.

    Works while the broker, the store or the workers are away, and without a broker. Ends with 1 when something is
    stalled, stopped or away: a channel that takes no mail for our own settings' sake, or for ten minutes, and a
    provider that has told nothing of our mails for half an hour, are such things, and so is a value report that was due
    an hour ago and was not issued. With --json and --watch: an answer a
    line.

    With --json: {"at", "state", "store", "kafka", "kafka_used", "records", "seconds", "slowest_lane",
    "alive_workers", "rebalances_24h", "mails", "unheard_seconds", "outages": [{"channel", "since", "until", "why",
    "ours", "failures", "by"}], "stops": [{"scope", "name", "at", "who", "why", "per_hour"}],
    "late_reports": [{"report", "period", "due", "closes", "since", "cause", "lanes", "left"}], "dead_letters",
    "oldest_dead_letter_at", "portfolio_held_back_by", "lanes": [{"lane", "state", "owner", "records", "seconds",
    "left_seconds", "clock_at", "clock_age_seconds", "came_per_second", "committed_per_second", "why", "error",
    "dead_letters", "oldest_dead_letter_at", "rebalances"}], "workers": [{"owner", "alive", "heard_seconds",
    "lanes", "began_at", "version", "rebalances_24h", "error", "health"}]}.
    """
    found = settings()
    import logging

    from engine.stores import open_store
    from ringfirst.oncall.lookout import Lookout
    from ringfirst.settings import kafka_settings

    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters of it is raised, and said in our words
    url = store_url or found.store.get_secret_value()
    kafka = kafka_settings(found) if found.kafka is not None else None
    with Lookout(lambda: open_store(url, create=False), kafka) as lookout:
        if watch:
            _watch(lookout, as_json=as_json)
        else:
            now = lookout.once()
            _show(now, as_json=as_json)
            ctx.exit(0 if now.well else 1)


def _console() -> "Console":
    """The terminal; what is no terminal is as wide as the screen reads best, unless COLUMNS says more."""
    import os

    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(highlight=False, width=WIDE)


def _show(now: "Status", *, as_json: bool) -> None:

    from ringfirst.answers import print_json
    from ringfirst.oncall.screen import screen

    if as_json:
        print_json(now)
    else:
        console = _console()
        console.print(screen(now, width=console.width))


def _watch(lookout: "Lookout", *, as_json: bool) -> None:
    from contextlib import suppress

    console = _console()
    with suppress(KeyboardInterrupt):
        if as_json:
            _lines(lookout)
        elif console.is_terminal:
            _redrawn(lookout, console)
        else:
            for now in _looks(lookout):
                _show(now, as_json=False)
                click.echo()


def _looks(lookout: "Lookout") -> "Iterator[Status]":
    import time

    while True:
        began = time.monotonic()
        yield lookout.again()
        time.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - began)))


def _lines(lookout: "Lookout") -> None:
    import msgspec

    for now in _looks(lookout):
        click.echo(msgspec.json.encode(now))


def _redrawn(lookout: "Lookout", console: "Console") -> None:
    from rich.live import Live
    from rich.text import Text

    from ringfirst.oncall.screen import screen

    with Live(Text("looking..."), console=console, screen=True, auto_refresh=False) as live:
        for now in _looks(lookout):
            width, height = console.size
            live.update(screen(now, width=width, height=height), refresh=True)
