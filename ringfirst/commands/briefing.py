"""``ringfirst reports brief``: what the owner of an account should know before a talk."""

from pathlib import Path
from typing import Any

import click

from ringfirst.commands.options import question_options, questioned


@click.command()
@click.argument("account_id", metavar="ACCOUNT")
@click.argument("report_id", metavar="[REPORT]", required=False)
@click.option("--period", metavar="PERIOD", help="2026-10, 2026-Q3 or 2026-W40.  [the newest that is over]")
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it as a page instead, with the events behind each number.",
)
@click.option("--open", "look", is_flag=True, help="Write the page, and open it in the browser.  [brief.html]")
@question_options
def brief(
    account_id: str,
    report_id: str | None,
    period: str | None,
    page: Path | None,
    at: int | None,
    store_url: str | None,
    rules: Path | None,
    *,
    look: bool,
    as_json: bool,
) -> None:
    """Tell the owner of an account what is behind its report: what changed most, open promises, health, what to say.

    It is for us, and holds words of ours. With --json: what preview gives, and {"changes", "changes_not_compared",
    "exceptions", "health", "talking_points"}.
    """
    from engine.reports.brief import brief as briefed
    from engine.reports.past import Accounts
    from ringfirst.answers import print_json, shown, talk
    from ringfirst.reports_shown import heading, issued_as, notes_of, period_of, report_of

    with questioned(store_url, rules) as (store, book):
        report = report_of(book, report_id)
        accounts = Accounts(store, book, at)
        asked = period_of(accounts, account_id, report, period)
        issued = issued_as(accounts, account_id, report, asked, None) if rules is None else None
        found = briefed(accounts, account_id, report, asked, issued)
        if page is not None or look:
            from ringfirst.brief_page import write_brief
            from ringfirst.reports_traced import asked as traced

            path, anew = page or Path("brief.html"), issued is None
            one, *_ = traced(accounts, account_id, asked, report_id=report.id, number=None, anew=anew)
            write_brief(path, found, one.tracing)
    if as_json:
        print_json(found)
        return
    if page is not None or look:
        click.echo(path)
        if look:
            click.launch(path.absolute().as_uri())
        return
    click.echo(shown(heading(f"Brief on {found['title'] or found['report']}", found)) + "\n")
    _say(found)
    for note in notes_of(found):
        talk(shown(note))


def _say(found: dict[str, Any]) -> None:
    from ringfirst.answers import print_table, shown

    owner = found["contact"]
    click.echo(shown(f"Owner: {owner['name'] or owner['address'] if owner else 'nobody of ours is named'}") + "\n")
    for point in found["talking_points"] or ["There is nothing to say from facts alone."]:
        click.echo(shown(f"- {point}"))
    if found["changes"]:
        click.echo("\nWhat changed most against the period before:\n")
        print_table(
            ["measure", "amount", "before", "change"],
            [[shown(one[key]) for key in ("measure", "amount", "before", "change")] for one in found["changes"]],
        )
    elif found["changes_not_compared"]:
        click.echo("\n" + shown(f"Not compared: {found['changes_not_compared']}"))
    for one in found["next_steps"]:
        why = f" Why: {one['why']}" if one["why"] else ""
        click.echo("\n" + shown(f"Next step by rule {one['rule']}: {one['next_step']}{why}"))
