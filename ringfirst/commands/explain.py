"""``ringfirst explain``: why a rule did or did not fire."""

from pathlib import Path

import click

from ringfirst.commands.options import question_options, questioned


@click.command(short_help="Say why a rule did or did not fire for an account.")
@click.argument("account_id", metavar="ACCOUNT")
@click.argument("rule_id", metavar="[RULE]", required=False)
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
    rule_id: str | None,
    about: str | None,
    most: int,
    at: int | None,
    store_url: str | None,
    rules: Path | None,
    *,
    as_json: bool,
) -> None:
    """Say why RULE did or did not fire for ACCOUNT: each condition with its value and the events behind it.

    Without RULE: all rules in a list, what holds first, each with the reason in a line. With --json {"account_id",
    "at", "zone", "rules": [{"rule", "title", "about", "truth", "because", "decisions"}]}.

    With --json the whole explanation: "truth", "because", "audience", "when", "unless", "to", "decisions". Each
    line of "when" and "unless" is {"line", "truth", "values", "because_unknown": {name: why}, "events", "more"}; "more"
    counts the older events that are left off.
    """
    from engine import explain as explaining
    from ringfirst.answers import print_json, shown

    if rule_id is None:
        _overview(account_id, about, at, store_url, rules, as_json=as_json)
        return
    with questioned(store_url, rules) as (store, book):
        answer = explaining.explain(store, book, account_id, rule_id, about=about, at=at, most=most)
    if as_json:
        print_json(answer)
        return
    for line in explaining.lines(answer):
        click.echo(shown(line))


def _overview(
    account_id: str, about: str | None, at: int | None, store_url: str | None, rules: Path | None, *, as_json: bool
) -> None:
    from engine.errors import UsageError
    from engine.overview import overview
    from ringfirst.answers import print_json, print_table, shown

    if about is not None:
        raise UsageError("explain: --about is of a rule; found none; say 'ringfirst explain ACCOUNT RULE --about ...'")
    with questioned(store_url, rules) as (store, book):
        answer = overview(store, book, account_id, at=at)
    if as_json:
        print_json(answer)
        return
    click.echo(shown(f"{answer['account_id']}, as of {answer['at']} ({answer['zone']})") + "\n")
    print_table(
        ["rule", "now", "because"],
        [
            [one["rule"] + (f" {one['about']}" if one["about"] else ""), one["truth"], one["because"]]
            for one in answer["rules"]
        ],
    )
