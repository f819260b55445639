"""``ringfirst explain``: why a rule did or did not fire."""

from pathlib import Path

import click

from ringfirst.commands.options import question_options, questioned


@click.command(short_help="Say why a rule did or did not fire for an account.")
@click.argument("account_id", metavar="ACCOUNT")
@click.argument("rule_id", metavar="RULE")
@click.option("--about", metavar="KIND:ID", help="The thing a rule for each thing is about, as ticket:t1.")
@click.option(
    "--events",
    "most",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many events to list for each condition, the newest.",
)
@question_options
def explain(
    account_id: str,
    rule_id: str,
    about: str | None,
    most: int,
    at: int | None,
    store_url: str | None,
    rules: Path | None,
    *,
    as_json: bool,
) -> None:
    """Say why RULE did or did not fire for ACCOUNT: each condition with its value and the events behind it.

    With --json the whole explanation: "truth", "because", "audience", "when", "unless", "to", "decisions". Each
    line of "when" and "unless" is {"line", "truth", "values", "because_unknown": {name: why}, "events", "more"}; "more"
    counts the older events that are left off.
    """
    from engine import explain as explaining
    from ringfirst.answers import print_json, shown

    with questioned(store_url, rules) as (store, book):
        answer = explaining.explain(store, book, account_id, rule_id, about=about, at=at, most=most)
    if as_json:
        print_json(answer)
        return
    for line in explaining.lines(answer):
        click.echo(shown(line))
