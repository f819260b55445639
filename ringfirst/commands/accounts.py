"""``ringfirst accounts``: all that is known of one account."""

from pathlib import Path
from typing import Any

import click

from ringfirst.commands.options import question_options, questioned


@click.group(short_help="Show what is known of an account.")
def accounts() -> None:
    """Show what is known of an account."""


@accounts.command()
@click.argument("account_id", metavar="ID")
@click.option("--last", default=30, show_default=True, help="How many entries of the timeline to print.")
@question_options
def show(
    account_id: str,
    last: int,
    at: int | None,
    store_url: str | None,
    rules: Path | None,
    *,
    as_json: bool,
) -> None:
    """Show an account: its traits, measures, open things, and its timeline with every decision.

    With --json: {"account_id", "at", "zone", "first_seen", "state", "measures", "things", "timeline"}.
    """
    from engine import questions
    from ringfirst.answers import print_json

    with questioned(store_url, rules) as (store, book):
        found = questions.account(store, book, account_id, at=at)
    if as_json:
        print_json(found)
    else:
        _say(found, last)


def _say(found: dict[str, Any], last: int) -> None:
    from ringfirst.answers import print_table, shown, talk

    click.echo(shown(f"{found['account_id']}, as of {found['at']} ({found['zone']}), first seen {found['first_seen']}"))
    for title, rows in (("trait", found["state"]), ("measure", found["measures"])):
        if rows:
            click.echo()
            print_table([title, "value"], [[name, shown(value)] for name, value in rows.items()])
    for kind, things in found["things"].items():
        if things:
            click.echo()
            names = [name for name in things[0] if name not in {"id", "properties"}]
            print_table(
                [kind, *names, "properties"],
                [[one["id"], *(one.get(name) for name in names), one.get("properties")] for one in things],
            )
    timeline = found["timeline"]
    click.echo()
    print_table(["at", "what", "detail"], [[row["at"], row["what"], row["detail"]] for row in timeline[-last:]])
    if len(timeline) > last:
        talk(f"{len(timeline) - last:,} older entries are left out; --last {len(timeline)} prints them all")
