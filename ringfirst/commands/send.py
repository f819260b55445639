"""``ringfirst send``: mails that are due leave into the outbox folder."""

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
    from engine.rulebook.spec import Policy
    from engine.store import Store
    from outreach.channels.file import FileChannel
    from outreach.context import Sender
    from outreach.sender import SendReport
    from ringfirst.rulebooks import Folder


@click.command(short_help="Write the mails that are due into the outbox folder.")
@click.option("--simulate", is_flag=True, help="Walk through history instead: every mail at the time it was due.")
@at_option("As if it were this instant (with --simulate: only mails due by then).")
@click.option(
    "--outbox", type=click.Path(path_type=Path), metavar="DIR", help="Where mails go.  [RINGFIRST_OUTBOX, outbox]"
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
    simulate: bool,
    as_json: bool,
) -> None:
    """Render the mails that are due and write each as an .eml file into the outbox folder.

    With --simulate nothing in the store changes: past mails are written as they would have left. With --json: {"mails",
    "rows", "held", "suppressed", "expired", "waiting", "later", "failed", "in_doubt", "elsewhere", "recovered",
    "reasons"}.
    """
    found = settings()
    folder = folder_of(rules)
    from outreach.channels.file import FileChannel
    from ringfirst.answers import print_json, talk

    sender, ours = sender_of(found)
    if not ours:
        talk(f"no sender is set: the mails carry an example, {sender.address}; set RINGFIRST_SENDER")
    place = outbox or found.outbox
    _not_ahead(at, simulate=simulate)
    with opened(store_url) as store:
        channel = FileChannel(place)
        report = (
            rehearse(store, folder, channel, sender, until=at)
            if simulate
            else _send(store, folder, channel, sender, at)
        )
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(report))
    else:
        _say(report, place)


def _not_ahead(at: int | None, *, simulate: bool) -> None:
    """A real run in the future would let mails expire that have not had their time."""
    from engine.errors import UsageError
    from ringfirst.intake import now

    if at is not None and not simulate and at > now():
        raise UsageError(
            "send --at: lies ahead; only --simulate may look at what is to come; leave --at out, or add it"
        )


def rehearse(
    store: "Store",
    folder: "Folder",
    channel: "FileChannel",
    sender: "Sender",
    *,
    until: int | None = None,
) -> "SendReport":
    """Write every mail of the past as it would have left; the store stays as it is."""
    from outreach.simulation import simulate

    return simulate(
        store.outreach(due_by=until),
        folder.mail_templates[0],
        channel,
        sender=sender,
        people=store.people,
        policy=_policy(store),
        contacts=lambda account: store.contacts(account, "", since=0),
        until=until,
    )


def _send(
    store: "Store",
    folder: "Folder",
    channel: "FileChannel",
    sender: "Sender",
    at: int | None,
) -> "SendReport":
    from outreach.sender import send_due
    from ringfirst.intake import now
    from ringfirst.owners import owner_name

    moment = now() if at is None else at
    return send_due(
        store,
        folder.mail_templates[0],
        channel,
        sender=sender,
        at=moment,
        by=f"send:{owner_name()}",
        policy=_policy(store),
        live=not channel.local,
    )


def _policy(store: "Store") -> "Policy | None":
    book = active_book(store)
    return book.policy if book else None


def _say(report: "SendReport", place: Path) -> None:
    from ringfirst.answers import plural, shown

    click.echo(f"{plural(report.mails, 'mail')} for {plural(report.rows, 'decision')} in {place}/")
    for name in ("held", "suppressed", "expired", "waiting", "later", "failed", "in_doubt", "elsewhere", "recovered"):
        if getattr(report, name):
            click.echo(f"{name.replace('_', ' '):<11}{getattr(report, name):>7,}")
    for why, count in report.reasons.items():
        click.echo(shown(f"  {count:>6,}  {why}"))
