"""``ringfirst outcomes``: what came of the mails."""

from pathlib import Path

import click

from ringfirst.commands.options import At, json_option, other_rules_option, questioned, store_option


@click.command(short_help="What came of a rule's mails: goals reached with them and without.")
@click.argument("names", metavar="[RULE]...", nargs=-1)
@click.option("--since", type=At(), help="Only what was decided at or after this instant.")
@store_option
@other_rules_option
@json_option
def outcomes(
    names: tuple[str, ...], since: int | None, store_url: str | None, rules: Path | None, *, as_json: bool
) -> None:
    """Hold those written to against those held out: who reached the rule's goal in time, and how sure that is.

    Reads the whole log. Without a name: every rule of which a mail has left. With --json: [{"rule", "goal",
    "within_days", "since", "mails", "written", "held_out", "uplift", "already", "waiting", "verdict"}].
    """
    from engine.goals import read_goals
    from ringfirst.answers import print_json, print_table, shown, talk
    from ringfirst.outcomes import outcome_of
    from ringfirst.outcomes_words import told, verdict

    with questioned(store_url, rules) as (store, book):
        asked = [book.rule(name) for name in names] or list(book.rules)
        goals = read_goals(store, book)
        found = [outcome_of(store, book, rule, goals, since) for rule in asked]
    found = [one for one in found if names or one.mails.get("sent")]
    if as_json:
        print_json([one.answer(verdict(one)) for one in found])
        return
    if not found:
        talk("no mail has left yet")
        return
    print_table(
        ["rule", "sent", "delivered", "meant", "reached", "held out", "reached"],
        [
            [
                one.rule.id,
                one.mails.get("sent", 0),
                one.mails.get("delivered", 0),
                one.written.accounts,
                one.written.reached,
                one.held_out.accounts,
                one.held_out.reached,
            ]
            for one in found
        ],
    )
    for one in found:
        click.echo("")
        click.echo(one.rule.id)
        for line in told(one):
            click.echo(shown(f"  {line}"))
