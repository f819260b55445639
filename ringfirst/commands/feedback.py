"""``ringfirst feedback``: what comes back by mail, taken in."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ringfirst.commands.options import json_option, opened, store_option

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from engine.store import Store

TRY_LATER = 75
"""What a mail server takes for "try again later" (EX_TEMPFAIL of sysexits.h); it keeps the mail."""
EVERY_SECONDS = 5.0
WORDS = (
    "bounced",
    "blocked",
    "deferred",
    "delivered",
    "complained",
    "replied",
    "away",
    "left",
    "unsubscribed",
    "unknown",
)


@click.group(short_help="Take in what comes back by mail: bounces, answers, complaints.")
def feedback() -> None:
    """Take in what comes back by mail: bounces, answers of people and machines, complaints, mails to unsubscribe.

    Of a mail nothing is kept but what it was, its time, its code, and which of our mails it is about.
    """


@feedback.command()
@store_option
@json_option
@click.pass_context
def read(ctx: click.Context, store_url: str | None, *, as_json: bool) -> None:
    """Read one mail from standard input, as a mail server pipes it. The same mail again changes nothing.

    It ends with 0 for every mail, and with 75 when it cannot be taken in right now: then the server keeps it and tries
    again. With --json {"bounced", "blocked", "deferred", "delivered", "complained", "replied", "away", "left",
    "unsubscribed", "unknown"}, each a number.
    """
    import sys

    from engine.errors import RingfirstError
    from ringfirst.answers import talk
    from ringfirst.coming_back import take_mails
    from ringfirst.intake import now

    raw = sys.stdin.buffer.read()
    try:
        with opened(store_url) as store:
            found = take_mails(store, [raw], at=now())
    except RingfirstError as err:
        talk(f"ringfirst: {err}; the mail is not taken in: try again later")
        ctx.exit(TRY_LATER)
    _say(found, as_json=as_json)


@feedback.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Go on until stopped.")
@store_option
@json_option
def maildir(folder: Path, store_url: str | None, *, watch: bool, as_json: bool) -> None:
    """Read the new mails of a Maildir. Each is moved from new/ to cur/, unread, once it is taken in.

    With --watch it looks every five seconds until Ctrl-C or a polite kill. With --json the shape of read.
    """
    from engine.errors import UsageError

    if not (folder / "new").is_dir() or not (folder / "cur").is_dir():
        raise UsageError(f"feedback maildir: {folder} is no Maildir; found no new/ and cur/ in it; name one that is")
    if watch and as_json:
        raise UsageError("feedback maildir --watch: goes on; found --json beside it; leave one of them out")
    if not watch:
        with opened(store_url) as store:
            _say(_emptied(store, folder, None), as_json=as_json)
        return
    from ringfirst.answers import talk
    from ringfirst.server.stopping import asked_to_stop

    with opened(store_url) as store, asked_to_stop() as asked:
        talk(f"reading {folder}")
        while not asked.is_set():
            found = _emptied(store, folder, asked)
            if found:
                talk(", ".join(f"{count} {word}" for word, count in _ordered(found).items() if count))
            asked.wait(EVERY_SECONDS)


def _emptied(store: "Store", folder: Path, asked: "threading.Event | None") -> "Counter[str]":
    """Take in what is new, oldest name first; what cannot be taken in stays new."""
    from contextlib import suppress

    from ringfirst.coming_back import take_mail
    from ringfirst.intake import now

    found: Counter[str] = Counter()
    for path in sorted((folder / "new").iterdir()):
        if asked is not None and asked.is_set():
            break
        with suppress(FileNotFoundError):  # somebody else was faster
            found[take_mail(store, path.read_bytes(), at=now())] += 1
            path.rename(folder / "cur" / f"{path.name.partition(':2,')[0]}:2,")
    return found


def _ordered(found: "Mapping[str, int]") -> dict[str, int]:
    return {word: found.get(word, 0) for word in WORDS}


def _say(found: "Mapping[str, int]", *, as_json: bool) -> None:
    from ringfirst.answers import print_json, print_table

    if as_json:
        print_json(_ordered(found))
    else:
        print_table(["what", "mails"], [[word, count] for word, count in _ordered(found).items() if count])
