"""``ringfirst doctor``: is everything in its place?"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ringfirst.commands.options import folder_of, json_option, opened, rules_option, settings, store_option

if TYPE_CHECKING:
    from engine.store import Store

Row = tuple[str, bool, str]


@click.command(short_help="Look whether everything is in its place.")
@click.option("--send-test", "to", metavar="ADDRESS", help="Send a mail there that tests the way, and nothing else.")
@click.option(
    "--read-test",
    "arrived",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Look at a mail as it arrived (.eml): SPF, DKIM, DMARC, the way to unsubscribe.",
)
@store_option
@rules_option
@json_option
@click.pass_context
def doctor(
    ctx: click.Context,
    to: str | None,
    arrived: Path | None,
    store_url: str | None,
    rules: Path | None,
    *,
    as_json: bool,
) -> None:
    """Look whether everything is in its place: Python, settings, store, lanes, rulebook, templates, outbox.

    Ends with 1 when something is not; open dead letters are such a thing. With --json: [{"what", "ok", "found"}].
    """
    from engine.errors import UsageError
    from ringfirst.answers import print_json, print_table

    if to is not None and (arrived is not None or as_json):
        raise UsageError("doctor --send-test: sends and answers nothing; found --read-test or --json; leave it out")
    if to is not None:
        _send_test(store_url, to)
        return
    rows = list(_rows(store_url, rules) if arrived is None else _arrived(arrived))
    if as_json:
        print_json([{"what": what, "ok": ok, "found": found} for what, ok, found in rows])
    else:
        print_table(["what", "ok", "found"], rows)
    ctx.exit(0 if all(ok for _, ok, _ in rows) else 1)


def _send_test(store_url: str | None, to: str) -> None:
    from engine.errors import UsageError
    from ringfirst.answers import talk
    from ringfirst.commands.options import sender_of
    from ringfirst.intake import now
    from ringfirst.leaving import channel_of, way
    from ringfirst.trying import address_for, hand_over, way_mail

    found = settings()
    sender, ours = sender_of(found)
    if not ours:
        raise UsageError("doctor --send-test: nobody is set who writes; found no RINGFIRST_SENDER; set it")
    address = address_for(to, found)
    with opened(store_url) as store:
        mail = way_mail(store, sender, to=address, at=now())
    hand_over(channel_of(found, sender, None), mail)
    click.echo(f"sent {way(found, None)}")
    talk("when it has arrived, save it as it is (show original) and run: ringfirst doctor --read-test FILE.eml")


def _arrived(path: Path) -> Iterator[Row]:
    """What the server that took a mail found out about it."""
    from email import message_from_bytes
    from email.policy import default
    from email.utils import parseaddr

    from engine.errors import UsageError
    from outreach.arrival import look_at

    try:
        mail = message_from_bytes(path.read_bytes(), policy=default)
    except OSError as err:
        raise UsageError(f"{path}: cannot be read; {err.strerror}; name the file of a mail that arrived") from err
    if "From" not in mail:
        raise UsageError(f"{path}: this is no mail; found no From in it; save the mail as it is, with its headers")
    ours = settings().sender
    yield from look_at(mail, parseaddr(ours)[1] if ours else None)


def _rows(store_url: str | None, rules: Path | None) -> Iterator[Row]:
    from engine.errors import RingfirstError

    version = sys.version_info
    yield "python", (3, 11) <= version[:2] < (3, 14), ".".join(map(str, version[:3]))
    try:
        found = settings()
    except RingfirstError as err:
        yield "settings", False, str(err)
        return
    yield "settings", True, "nothing is wrong with them"
    yield "sender", True, found.sender or "not set: mails carry an example sender; set RINGFIRST_SENDER"
    for what, look in (("store", _store), ("rulebook", _rulebook)):
        try:
            yield from look(store_url if what == "store" else rules)
        except RingfirstError as err:
            yield what, False, str(err)
    yield _outbox(found.outbox)


def _store(store_url: Any) -> Iterator[Row]:
    from engine.store import DEFAULT_LANES
    from engine.stores.schema import HEAD
    from ringfirst.answers import at_text, plural
    from ringfirst.intake import now
    from ringfirst.owners import is_dead

    with opened(store_url) as store:
        yield "store", True, f"{store.url}, tables of version {HEAD}, {plural(store.count_events(), 'event')}"
        infos = store.lane_infos(at=now())
        clocks = [info.clock_at for info in infos if info.clock_at is not None]
        yield (
            "lanes",
            True,
            f"{store.lanes} (usual are {DEFAULT_LANES}), the furthest clock at {at_text(max(clocks, default=None))}",
        )
        for owner in sorted({info.owner for info in infos if info.owner is not None}):
            dead = is_dead(owner)
            yield "owner", not dead, f"{owner}, {'dead: the next import takes its lanes over' if dead else 'alive'}"
        yield _letters(store)


def _letters(store: "Store") -> Row:
    from ringfirst.answers import at_text

    letters = store.dead_letters()
    if not letters:
        return "dead letters", True, "none is open"
    since = at_text(min(one.at for one in letters))
    remedy = "ringfirst dead-letters list says why; retry them when they are mended, or drop them"
    return "dead letters", False, f"{len(letters):,} open, the oldest since {since}; {remedy}"


def _rulebook(rules: Any) -> Iterator[Row]:
    from ringfirst.answers import plural
    from ringfirst.rulebooks import checked, shown_path

    folder = folder_of(rules)
    book, findings = checked(folder)
    what = f"{plural(len(book.rules), 'rule')}, " if book else ""
    yield "rulebook", book is not None, f"{shown_path(folder.rules)}: {what}{plural(len(findings), 'finding')}"
    templates, found = folder.mail_templates
    wrong = [one for one in found if one.severity == "error"]
    yield (
        "templates",
        not wrong,
        f"{shown_path(folder.templates)}: {plural(len(templates), 'template')}, {plural(len(found), 'finding')}",
    )


def _outbox(outbox: Path) -> Row:
    place = outbox
    while not place.exists() and place != place.parent:
        place = place.parent
    ok = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return "outbox", ok, f"{outbox}{'' if ok else ': cannot be written; set RINGFIRST_OUTBOX to another folder'}"
