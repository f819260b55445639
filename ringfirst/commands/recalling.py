"""``ringfirst outreach recall``: stop a rule, take back what is here, and know exactly who got it."""

import click

from ringfirst.commands.options import At, json_option, opened, store_option
from ringfirst.commands.stopping import by_option, known_scope, sure, why_option, yes_option


@click.command("recall", short_help="Stop a rule, take its mails back, and list who got one.")
@click.argument("rule", metavar="RULE")
@click.option("--since", type=At(), required=True, help="Who got a mail of it since then: an instant, or a day.")
@click.option("--correct", is_flag=True, help="Leave an outreach.recalled for each of them, for a rule that corrects.")
@why_option
@by_option
@yes_option
@store_option
@json_option
def recall(
    rule: str,
    since: int,
    why: str,
    who: str | None,
    store_url: str | None,
    *,
    correct: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Stop a rule at once, take back all of its mails that have not left, and list exactly who got one.

    What is taken back gives its occasion back: it comes again when it is true again and the rule may write again. With
    --correct each reader gets one event outreach.recalled, and nobody else does: a rule for each outreach.recalled
    writes one correction to exactly them. Typed again, it adds nobody twice. With --json: {"stopped", "taken_back":
    [ID], "got": [{"account_id", "to", "mails", "first_at", "surely", "outreach_ids"}], "told"}; "surely" false: in
    doubt, or just being handed over.
    """
    from engine.instants import iso
    from ringfirst.answers import plural, print_json, print_table, talk
    from ringfirst.intake import now
    from ringfirst.owners import person_name
    from ringfirst.recalls import recall as take_back
    from ringfirst.recalls import tell

    with opened(store_url) as store:
        known_scope(store, "rule", rule)
        waiting = len(store.outreach(states=["in_review", "queued", "held"], rule=rule))
        sure(yes=yes, question=f"stop {rule}, and take back {plural(waiting, 'mail')} that wait?")
        at = now()
        done = take_back(store, rule, since=since, at=at, who=who or person_name(), why=why)
        told = tell(store, done.got, at=at, why=why) if correct else 0
    rows = [
        {
            "account_id": one.account_id,
            "to": one.to,
            "mails": one.mails,
            "first_at": iso(one.first_at),
            "surely": one.surely,
            "outreach_ids": [row.outreach_id for row in one.rows],
        }
        for one in done.got
    ]
    if as_json:
        print_json({"stopped": done.stopped, "taken_back": done.taken_back, "got": rows, "told": told})
        return
    click.echo(f"stopped: rule {rule}" if done.stopped else f"rule {rule} was stopped already")
    click.echo(f"taken back: {plural(len(done.taken_back), 'mail')}")
    click.echo(f"got one since {iso(since)}: {plural(len(rows), 'reader')}")
    if rows:
        names = ["account_id", "to", "mails", "first_at", "surely"]
        print_table(["account", "to", "mails", "first at", "surely"], [[row[name] for name in names] for row in rows])
    if correct:
        talk(f"{plural(told, 'reader')} will be known to rules for each outreach.recalled")
    talk(f"when the rule is mended: ringfirst outreach go --rule {rule} --why TEXT")
