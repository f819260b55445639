"""``ringfirst explain``: why a rule did or did not fire."""

from pathlib import Path

import click

from ringfirst.commands.options import (
    asked_book,
    at_option,
    by_active_book,
    json_option,
    opened,
    other_rules_option,
    store_option,
)


@click.command(short_help="Say why a rule did or did not fire for an account.")
@click.argument("account_id", metavar="ACCOUNT")
@click.argument("rule_id", metavar="RULE")
@click.option("--about", metavar="KIND:ID", help="The thing a rule for each thing is about, as ticket:t1.")
@at_option("As of this instant, from what was recorded by then.")
@store_option
@other_rules_option
@json_option
def explain(
    account_id: str,
    rule_id: str,
    about: str | None,
    at: int | None,
    store_url: str | None,
    rules: Path | None,
    *,
    as_json: bool,
) -> None:
    """Say why RULE did or did not fire for ACCOUNT: each condition with its value and the events behind it.

    With --json the whole explanation: "truth", "because", "audience", "when", "unless", "to", "decisions" and more.
    """
    from engine import explain as explaining
    from ringfirst.answers import print_json, shown

    with opened(store_url) as store, by_active_book(rules):
        answer = explaining.explain(store, asked_book(store, rules), account_id, rule_id, about=about, at=at)
    if as_json:
        print_json(answer)
        return
    for line in explaining.lines(answer):
        click.echo(shown(line))
