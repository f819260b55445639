"""``ringfirst send``: mails that are due leave, into the outbox folder, by SMTP or by SendGrid."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ringfirst.commands.options import (
    active_book,
    at_option,
    folder_of,
    json_option,
    opened,
    rules_option,
    sender_of,
    settings,
    store_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.rulebook.book import Rulebook
    from engine.rulebook.spec import Policy
    from engine.store import Store
    from outreach.channel import Channel
    from outreach.channels.file import FileChannel
    from outreach.context import Sender
    from outreach.round import SendReport
    from ringfirst.rulebooks import Folder
    from ringfirst.settings import Settings


@click.command(short_help="Let the mails that are due leave: into the outbox folder, by SMTP or by SendGrid.")
@click.option("--watch", is_flag=True, help="Go on until stopped, beside workers.")
@click.option(
    "--alive",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --watch: touched after each round that went well.",
)
@click.option("--simulate", is_flag=True, help="Walk through history instead: every mail at the time it was due.")
@at_option("As if it were this instant (with --simulate: only mails due by then).")
@click.option(
    "--outbox",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where mails go.  [RINGFIRST_OUTBOX, outbox; with --simulate rehearsal/ in it]",
)
@store_option
@rules_option
@json_option
def send(
    at: int | None,
    outbox: Path | None,
    store_url: str | None,
    rules: Path | None,
    *,
    alive: Path | None,
    watch: bool,
    simulate: bool,
    as_json: bool,
) -> None:
    """Let the mails that are due leave: by SendGrid, by an SMTP server, or else as .eml files into a folder.

    RINGFIRST_SENDGRID_KEY or RINGFIRST_SMTP says which. With --outbox they become files in any case. With --watch it
    goes on until Ctrl-C or a polite kill, and mails wait for the clock of their lane. Value reports whose period is
    closed are issued first. With --simulate nothing in the
    store changes: past mails are written as they would have left. With --json: {"mails", "rows", "held", "in_review",
    "suppressed", "expired", "withdrawn", "waiting", "later", "failed", "in_doubt", "elsewhere", "recovered",
    "reasons"}.
    """
    found = settings()
    folder = folder_of(rules)
    from outreach.channels.file import FileChannel
    from ringfirst.answers import print_json, talk
    from ringfirst.leaving import channel_of, way

    sender, ours = sender_of(found)
    if not ours:
        talk(f"no sender is set: the mails carry an example, {sender.address}; set RINGFIRST_SENDER")
    place = outbox or (found.outbox / "rehearsal" if simulate else found.outbox)
    _must_fit(at, watch=watch, simulate=simulate, as_json=as_json)
    with opened(store_url) as store:
        for one in store.stops() if not simulate else ():
            if pace := one.pace:
                talk(f"{one.words}: {pace}, by {one.who}; see 'ringfirst outreach stops'")
        if watch:
            _watch(store, folder, channel_of(found, sender, outbox), sender, found, alive)
            return
        if simulate:
            report = rehearse(store, folder, FileChannel(place), sender, until=at)
        else:
            book, channel = active_book(store), channel_of(found, sender, outbox)
            if book is not None and at is None:
                _issue(store, book)
            report = _send(store, folder, channel, sender, found, at, book=book)
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(report))
    else:
        _say(report, way(found, place if simulate else outbox))


def _must_fit(at: int | None, *, watch: bool, simulate: bool, as_json: bool) -> None:
    """A real run in the future would let mails expire that have not had their time."""
    from engine.errors import UsageError
    from ringfirst.intake import now

    if watch and (simulate or as_json or at is not None):
        raise UsageError("send --watch: goes on by the wall clock; found --simulate, --json or --at; leave those out")
    if at is not None and not simulate and at > now():
        raise UsageError(
            "send --at: lies ahead; only --simulate may look at what is to come; leave --at out, or add it"
        )


def _issue(store: "Store", book: "Rulebook") -> None:
    """Issue the reports of closed periods, as every sender does: who sends from a timer is to have them too."""
    from ringfirst.answers import plural, talk
    from ringfirst.reporting import issued_once

    if count := issued_once(store, book):
        talk(f"{plural(count, 'report')} issued; 'ringfirst reports list' says what became of them")


def rehearse(
    store: "Store",
    folder: "Folder",
    channel: "FileChannel",
    sender: "Sender",
    *,
    until: int | None = None,
) -> "SendReport":
    """Write every mail of the past as it would have left; the store stays as it is.

    What readers wish is what they wish today: who has unsubscribed since gets nothing in a rehearsal either.
    """
    from engine.rulebook.spec import Breaker
    from outreach.addresses import address_key
    from outreach.simulation import simulate
    from ringfirst.answers import talk

    policy = _policy(store)
    if policy is not None and (policy.canary or policy.breaker != Breaker()):
        talk("breaker and canary of the policy are not rehearsed: every mail leaves as if they were not there")
    return simulate(
        store.outreach(due_by=until),
        folder.sent_templates,
        channel,
        sender=sender,
        people=store.people,
        policy=policy,
        wishes=lambda address: store.wishes(address_key(store.key, address)),
        contacts=lambda account: store.contacts(account, "", since=0),
        cancelled=lambda account, at: store.cancelled(account, at=at),
        until=until,
    )


def _send(
    store: "Store",
    folder: "Folder",
    channel: "Channel",
    sender: "Sender",
    found: "Settings",
    at: int | None,
    *,
    book: "Rulebook | None",
    live: bool = False,
    seconds: float = float("inf"),
    stop: "Callable[[], bool]" = lambda: False,
) -> "SendReport":
    from outreach.sender import send_due
    from ringfirst.intake import now
    from ringfirst.leaving import doubts_of, guard_of, limits_of, only_to
    from ringfirst.owners import owner_name

    moment = store.clock(now()) if at is None else at  # one clock for all senders
    return send_due(
        store,
        folder.sent_templates,
        channel,
        sender=sender,
        at=moment,
        by=f"send:{owner_name()}",
        policy=book.policy if book else None,
        doubts=doubts_of(book),
        only_to=only_to(found),
        limits=limits_of(found),
        patient=live,
        guard=guard_of(store, book, moment),
        live=live or not channel.local,
        seconds=seconds,
        stop=stop,
    )


def _watch(
    store: "Store", folder: "Folder", channel: "Channel", sender: "Sender", found: "Settings", alive: Path | None
) -> None:
    """Send until a signal comes; the mail at hand is finished."""
    import signal
    import threading
    from functools import lru_cache

    from engine.stored import stored_book
    from ringfirst.commands.options import active_mark
    from ringfirst.leaving import ROUND_SECONDS, unheard, watch
    from ringfirst.logs import log_to_stderr
    from ringfirst.reporting import Rounds

    log_to_stderr(found.log, "ringfirst")
    stopping = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopping.set())

    @lru_cache(maxsize=1)
    def book(mark: str | None) -> "Rulebook | None":
        return stored_book(store, mark) if mark else None

    rounds = Rounds(store, lambda: book(active_mark(store)))

    def once(at: int) -> "SendReport":
        at = store.clock(at)
        now_active = book(active_mark(store))
        rounds.issue(stop=stopping.is_set)
        report = _send(
            store,
            folder,
            channel,
            sender,
            found,
            at,
            book=now_active,
            live=True,
            seconds=ROUND_SECONDS,
            stop=stopping.is_set,
        )
        if alive is not None:
            alive.touch()
        return report

    logging.getLogger("ringfirst.leaving").info("sending by %s", channel.name)
    watch(once, stopping, lambda at: unheard(store, channel, at))


def _policy(store: "Store") -> "Policy | None":
    book = active_book(store)
    return book.policy if book else None


def _say(report: "SendReport", where: str) -> None:
    from ringfirst.answers import plural, shown

    click.echo(f"{plural(report.mails, 'mail')} for {plural(report.rows, 'decision')} {where}")
    for name in (
        "held",
        "in_review",
        "suppressed",
        "expired",
        "withdrawn",
        "waiting",
        "later",
        "failed",
        "in_doubt",
        "elsewhere",
        "recovered",
    ):
        if getattr(report, name):
            click.echo(f"{name.replace('_', ' '):<11}{getattr(report, name):>7,}")
    for why, count in report.reasons.items():
        click.echo(shown(f"  {count:>6,}  {why}"))
