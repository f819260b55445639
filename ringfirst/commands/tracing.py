"""``ringfirst reports trace``: the events behind every figure of a report."""

from pathlib import Path
from typing import Any

import click

from ringfirst.commands.options import question_options, questioned


@click.command()
@click.argument("account_id", metavar="ACCOUNT")
@click.argument("period", metavar="PERIOD")
@click.argument("name", metavar="[FIGURE]", required=False)
@click.option("--report", "report_id", metavar="REPORT", help="Of this report.  [the one that has the figure]")
@click.option("--anew", is_flag=True, help="From what is known now, though a report of it was issued.")
@click.option("--number", type=click.IntRange(1), metavar="N", help="What was issued for the N-th time.  [the last]")
@question_options
def trace(
    account_id: str,
    period: str,
    name: str | None,
    report_id: str | None,
    number: int | None,
    at: int | None,
    store_url: str | None,
    rules: Path | None,
    *,
    anew: bool,
    as_json: bool,
) -> None:
    """List the events behind one FIGURE of ACCOUNT in PERIOD (2026-10, 2026-Q3, 2026-W40), and the formula.

    FIGURE is a value, or any other number of a report: value_total, price, support.answer_hours, goal.METRIC,
    adoption.people, step.RULE. Without it all that can be traced is listed. Of what was issued: the events that were
    known when it was, counted as it was then; it says where that no longer gives the same number.

    With --json: {"account_id", "figure", "report", "label", "unit", "value", "measure", "period", "as_of", "amount",
    "formula", "worth", "events": [{"id", "type", "time", "counted", "money"}], "earlier": [{"with", "period",
    "amount", "formula", "events"}], "issued", "left_out"}, and of a report of several accounts {"accounts":
    [{"account_id", "name", "amount", "formula", "worth"}]}; without FIGURE [{"report", "figure", "label", "amount"}].
    """
    from engine.errors import UsageError
    from engine.reports.past import Accounts
    from engine.reports.periods import read_period
    from ringfirst.answers import print_json, print_table, shown
    from ringfirst.reports_traced import against_issued, asked, choose, figures_listed

    if number is not None and (anew or rules is not None):
        raise UsageError("reports trace: --number is of what was issued; leave out --anew and --rules, or --number")
    unit = read_period(period)
    with questioned(store_url, rules) as (store, book):
        accounts = Accounts(store, book, at)
        now = anew or rules is not None
        found = asked(accounts, account_id, unit, report_id=report_id, number=number, anew=now)
        if name is None:
            rows = figures_listed(found, accounts)
        else:
            one = choose(found, accounts, name)
            told = one.tracing.trace(name)
            told["issued"] = against_issued(one, accounts, told)
    if as_json:
        print_json(rows if name is None else told)
    elif name is None:
        names = ("report", "figure", "label", "amount")
        print_table(list(names), [[shown(row[key]) for key in names] for row in rows])
    else:
        _say(told)


def _say(told: dict[str, Any]) -> None:
    from ringfirst.answers import plural, print_table, shown, talk
    from ringfirst.report_blocks_shown import money_text
    from ringfirst.reports_shown import called, heading, notes_of
    from ringfirst.reports_traced import behind, issued_notes

    click.echo(shown(heading(told["label"], told)) + "\n")
    more = [
        key for key in ("account_id", "thing", "figure", "money", "says") if any(key in one for one in told["events"])
    ]
    if told["events"]:
        names = ("id", "type", "time", "counted")
        rows = [[*(one[key] for key in names), *(_cell(one.get(key)) for key in more)] for one in told["events"]]
        print_table(["event", *names[1:], *more], rows)
    said = not told["unit"] or told["formula"].endswith(f" {told['unit']}")  # a sum of money ends in its currency
    click.echo(shown(told["formula"] + ("" if said else f" ({told['unit']})")))
    if told["worth"] is not None:
        click.echo(shown(f"worth {money_text(told['worth']['money'])}: {told['worth']['formula']}"))
    for one in told.get("accounts") or []:
        click.echo(shown(f"{called(one)}: {one['formula']}"))
    for part in told.get("parts") or []:
        worth = f", worth {money_text(part['worth']['money'])}: {part['worth']['formula']}" if part.get("worth") else ""
        click.echo(shown(f"{part['figure']}: {shown(part['amount'])}{worth}"))
    for line in told.get("lines") or []:
        values = ", ".join(f"{name} = {shown(value)}" for name, value in line["values"].items())
        about = f" ({line['about']})" if line["about"] else ""
        click.echo(shown(f"{line['is']} {line['line']}{about}: {line['truth']}; {values}"))
    for one in told["earlier"]:
        click.echo(shown(f"{one['with']}, {one['period']}: {one['formula']}; {plural(len(one['events']), 'event')}"))
    for note in (*issued_notes(told["issued"], told["amount"]), *notes_of({**told, "issued": None})):
        talk(shown(note))
    talk(behind(told))


def _cell(told: Any) -> Any:
    if isinstance(told, dict) and set(told) == {"amount", "currency"}:
        return f"{told['amount']:,} {told['currency']}"
    return ", ".join(f"{name} = {value}" for name, value in told.items()) if isinstance(told, dict) else told
