"""``ringfirst reports``: what a customer got in a period, and which events say so."""

from pathlib import Path
from typing import Any

import click

from ringfirst.commands.briefing import brief
from ringfirst.commands.options import (
    folder_of,
    json_option,
    other_rules_option,
    question_options,
    questioned,
    sender_of,
    settings,
    store_option,
)
from ringfirst.commands.reporting import correct, send
from ringfirst.commands.revoking import revoke
from ringfirst.commands.tracing import trace


@click.group(short_help="Show what customers got, period by period, and the events behind it.")
def reports() -> None:
    """Show what customers got, period by period, and the events behind it; send it to them."""


reports.add_command(send)
reports.add_command(correct)
reports.add_command(brief)
reports.add_command(revoke)
reports.add_command(trace)


@reports.command("list")
@click.option("--account", "account_id", metavar="ACCOUNT", help="What became of those of this account.")
@store_option
@other_rules_option
@json_option
def list_(account_id: str | None, store_url: str | None, rules: Path | None, *, as_json: bool) -> None:
    """List the reports of the rulebook, what became of those that were issued, and which are late.

    With --json: {"reports": [{"report", "title", "period", "audience", "values", "price", "compare", "sent"}],
    "values": [{"value", "label", "measure", "unit", "priced"}], "issued": [{"report", "period", "number", "outcome",
    "accounts", "because", "mails"}], "waiting": [{"report", "period", "due", "closes", "cause",
    "lanes", "left"}]}.
    """
    from engine.questions import now_of
    from ringfirst.answers import print_json, print_table, talk
    from ringfirst.reports_issued import issued_rows, late_reports, waiting_rows

    with questioned(store_url, rules) as (store, book):
        sent = issued_rows(store, book, account_id)
        late = late_reports(store, book, now_of(store, None)) if store.count_events() else []
        found = [
            {
                "report": one.id,
                "title": one.title or None,
                "period": one.unit,
                "audience": one.audience or None,
                "values": list(one.values),
                "price": one.price or None,
                "compare": list(one.compare),
                "sent": one.sending is not None,
            }
            for one in book.reports
        ]
        values = [
            {
                "value": one.name,
                "label": one.label,
                "measure": one.measure,
                "unit": one.unit or None,
                "priced": one.worth is not None,
            }
            for one in book.values.values()
        ]
    if as_json:
        print_json({"reports": found, "values": values, "issued": sent, "waiting": waiting_rows(late)})
        return
    if not found:
        talk("the rulebook has no reports; add a section reports: to it")
        return
    print_table(
        ["report", "period", "audience", "values"],
        [[one["report"], one["period"], one["audience"], one["values"]] for one in found],
    )
    if sent:
        click.echo()
        print_table(
            ["issued", "period", "outcome", "accounts", "mails", "because"],
            [
                [_name(one), one["period"], one["outcome"], one["accounts"], _counts(one["mails"]), one["because"]]
                for one in sent
            ],
        )
    for one in late:
        talk(one.words)


def _name(one: dict[str, Any]) -> str:
    return one["report"] if one["number"] == 1 else f"{one['report']} ({one['number']})"


def _counts(mails: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in mails.items())


@reports.command()
@click.argument("words", metavar="ACCOUNT [REPORT]", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All accounts instead, on one page: reports preview --all [REPORT].")
@click.option("--open", "look", is_flag=True, help="Open that page in the browser.")
@click.option("--period", metavar="PERIOD", help="2026-10, 2026-Q3 or 2026-W40.  [the newest that is over]")
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write it as the mail that a reader would get; with --all, where to.  [reports.html]",
)
@click.option(
    "--pdf",
    "paper",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write it as a PDF to forward, with every value and its chart.",
)
@click.option("--anew", is_flag=True, help="Compute it from what is known now, though it was issued.")
@click.option("--number", type=click.IntRange(1), metavar="N", help="What was issued for the N-th time.  [the last]")
@question_options
def preview(  # noqa: PLR0913, each is an option
    words: tuple[str, ...],
    period: str | None,
    number: int | None,
    page: Path | None,
    paper: Path | None,
    at: int | None,
    store_url: str | None,
    rules: Path | None,
    *,
    anew: bool,
    every: bool,
    look: bool,
    as_json: bool,
) -> None:
    """Show the report of an account: each value of the period, what it is worth, and whether the report would go.

    What was issued is shown as it was issued, whatever is known of the period since.

    With --json: {"account_id", "report", "title", "period", "as_of", "values", "total", "total_ever", "price",
    "value_to_price", "left_out", "audience", "send_if", "unless", "would_go", "because"}; each of "values" is {"value",
    "label", "unit", "amount", "worth", "assumption", "events", "compared", "series", "ever"}. With --all and --json:
    {"report", "period", "page", "count", "shown": [{"account_id", "would_go", "because"}]}.
    """
    from engine.errors import UsageError
    from engine.reports import made
    from engine.reports.past import Accounts
    from ringfirst.answers import print_json, talk
    from ringfirst.reports_shown import issued_as, lines_of, period_of, report_of

    if number is not None and (anew or every or rules is not None):
        message = "--number shows what was issued; leave out --all, --anew and --rules, or --number"
        raise UsageError(f"reports preview: {message}")

    account_id, report_id = _asked_for(words, every=every, look=look, paper=paper)
    if every:
        _gallery(report_id, period, page or Path("reports.html"), at, store_url, rules, look=look, as_json=as_json)
        return
    with questioned(store_url, rules, told=True) as (store, book):
        report = report_of(book, report_id)
        accounts = Accounts(store, book, at)
        asked = period_of(accounts, account_id, report, period)
        was = issued_as(accounts, account_id, report, asked, number) if not anew and rules is None else None
        found = was or {**made.preview(accounts, account_id, report, asked), "issued": None}
        traits = accounts.past(account_id, asked).ledger.traits if page or paper else {}
    if page is not None:
        from ringfirst.report_mail import write_mail

        write_mail(page, found, traits, folder_of(rules), sender_of(settings())[0])
        talk(f"written: {page}")
    if paper is not None:
        from ringfirst.report_mail import write_pdf

        missing = write_pdf(paper, found, traits, sender_of(settings())[0])
        talk(f"written: {paper}")
        if missing:
            talk(f"{paper}: no font of this machine has {missing}; they are boxes there; install fonts that have them")
    if as_json:
        print_json(found)
        return
    _say(found, lines_of(found))


def _asked_for(words: tuple[str, ...], *, every: bool, look: bool, paper: Path | None) -> tuple[str, str | None]:
    """The account and the report that are named; with ``every`` no account."""
    from engine.errors import UsageError

    if every and paper is not None:
        raise UsageError("reports preview: --pdf is of one account, --all of all; leave one of them out")
    if look and not every:
        raise UsageError("reports preview: --open goes with --all; write one report with --html and open that")
    names = ("", *words) if every else words
    if not 1 <= len(names) <= len(("account", "report")):
        takes = "--all takes at most a report" if every else "takes an account, or --all"
        raise UsageError(f"reports preview: {takes}; found {' '.join(words)[:80] or 'neither'}; see --help")
    return names[0], names[1] if len(names) > 1 else None


def _gallery(
    report_id: str | None,
    period: str | None,
    page: Path,
    at: int | None,
    store_url: str | None,
    rules: Path | None,
    *,
    look: bool,
    as_json: bool,
) -> None:
    from engine.errors import UsageError
    from engine.reports.past import Accounts
    from engine.reports.periods import read_period
    from ringfirst.answers import print_json, talk
    from ringfirst.commands.importing import counting
    from ringfirst.report_gallery import cards, newest_over, told, write_page
    from ringfirst.reports_shown import report_of

    with questioned(store_url, rules, told=True) as (store, book):
        report = report_of(book, report_id)
        accounts = Accounts(store, book, at)
        asked = newest_over(accounts, report) if period is None else read_period(period)
        if asked.unit != report.unit:
            raise UsageError(f"report {report.id}: is about a {report.unit}; found {asked.name}; name one of those")
        with counting(store.count_accounts(), "reports") as tell:
            made = cards(accounts, report, asked, folder_of(rules), sender_of(settings())[0], tell=tell)
    write_page(page, made, report, asked)
    if as_json:
        shown = [{"account_id": one.account_id, "would_go": one.would_go, "because": one.because} for one in made.shown]
        print_json({"report": report.id, "period": asked.name, "page": str(page), "count": made.total, "shown": shown})
    else:
        click.echo(page)
    talk(told(made))
    if look:
        click.launch(page.absolute().as_uri())


def _say(found: dict[str, Any], lines: "tuple[list[str], list[list[Any]], list[str], list[str]]") -> None:
    from ringfirst.answers import print_table, shown, talk
    from ringfirst.reports_shown import heading

    columns, rows, below, notes = lines
    click.echo(shown(heading(found["title"] or found["report"], found)) + "\n")
    print_table(columns, rows)
    for line in below:
        click.echo(shown(line))
    for note in notes:
        talk(shown(note))
