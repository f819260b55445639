"""``ringfirst who``: which accounts are so."""

from pathlib import Path

import click

from ringfirst.commands.options import question_options, questioned


@click.command(short_help="List the accounts for which a condition holds.")
@click.argument("condition", metavar="CONDITION|SEGMENT")
@click.option("--each", metavar="THING", help="Ask of each open thing of this kind instead of each account.")
@question_options
def who(
    condition: str,
    each: str | None,
    at: int | None,
    store_url: str | None,
    rules: Path | None,
    *,
    as_json: bool,
) -> None:
    """List the accounts (or things) for which a condition or segment holds, with the values that made it so.

    With --json: {"at", "count", "unknown": {name: n}, "accounts": [{"account_id", "subject", "values"}]}.
    """
    from engine import questions
    from ringfirst.answers import plural, print_json, print_table, shown, talk

    with questioned(store_url, rules, told=True) as (store, book):
        found = questions.who(store, book, condition, each=each, at=at)
    if as_json:
        print_json(found)
        return
    rows = found["accounts"]
    names = list(rows[0]["values"]) if rows else []
    if rows:
        print_table(
            ["account", *([each] if each else []), *names],
            [[row["account_id"], *([row["subject"]["id"]] if each else []), *row["values"].values()] for row in rows],
        )
    talk(f"{plural(found['count'], each or 'account')} as of {found['at']}")
    for name, count in found["unknown"].items():
        talk(shown(f"  for {count:,} it could not be told: {name} is unknown"))
