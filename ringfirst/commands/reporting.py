"""``ringfirst reports send`` and ``correct``: reports are issued, and their lanes decide what leaves."""

from typing import TYPE_CHECKING, Any

import click

from ringfirst.commands.options import At, active_book, json_option, opened, store_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.reports.issuing import Issued
    from engine.rulebook.book import Rulebook
    from engine.store import Store

MOST_FAULTS = 10
"""So many reports that cannot be made are named."""
SHOWN = ("issued", "kept back", "waits")


@click.command(short_help="Issue the reports of closed periods: each is decided in its lane, like any other mail.")
@click.argument("report_id", metavar="[REPORT]", required=False)
@click.option("--account", "account_id", metavar="ACCOUNT", help="Of this account alone.")
@click.option("--period", metavar="PERIOD", help="2026-10, 2026-Q3 or 2026-W40, however old.  [what may still leave]")
@click.option("--since", type=At(), help="All periods that end after this instant; what was due long ago never leaves.")
@click.option("--dry-run", is_flag=True, help="Say what would be issued, and write nothing.")
@store_option
@json_option
@click.pass_context
def send(
    ctx: click.Context,
    report_id: str | None,
    account_id: str | None,
    period: str | None,
    since: int | None,
    store_url: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Issue the reports of periods that are closed; 'run' and 'send --watch' do it by themselves.

    What was issued already is left as it is, so it may be typed as often as one likes. A mail leaves when it is due, if
    nothing speaks against it then. Ends with 1 when the report of an account could not be made. With --json: {"issued",
    "kept_back", "waits", "taken_in", "reports": [{"account_id", "report", "period", "outcome", "because", "closes",
    "due"}]}.
    """
    from engine.errors import UsageError
    from engine.questions import unknown_account
    from engine.reports.issuing import AT_ONCE, Issuer
    from engine.reports.periods import read_period
    from ringfirst.answers import print_json, talk
    from ringfirst.commands.importing import counting
    from ringfirst.intake import now
    from ringfirst.reporting import made, taken_in, tell_rounds

    if period is not None and since is not None:
        raise UsageError("reports send: --period is one period, --since many; leave one of them out")
    with opened(store_url) as store:
        book = _active(store)
        reports = [book.report(report_id)] if report_id is not None else [one for one in book.reports if one.sending]
        if not any(one.sending for one in reports):
            what = f"report {report_id}" if report_id is not None else "the rulebook"
            raise UsageError(f"{what}: no report is sent; give one a schedule and to, and import or run anew")
        accounts = store.accounts() if account_id is None else [account_id]
        if account_id is not None and account_id not in store.accounts():
            raise unknown_account(store, account_id, now())
        issuer = Issuer(store, book)
        found: list[Issued] = []
        some: list[Issued] = []
        faults: list[tuple[str, str]] = []

        def failed(report: str, account: str, err: Exception) -> None:
            faults.append((report, f"report {report} of account {account[:60]}: {str(err) or type(err).__name__}"))

        asked = read_period(period) if period is not None else None
        reports = [one for one in reports if asked is None or one.unit == asked.unit]
        with counting(len(accounts) * len(reports), "reports") as tell:
            walked = made(issuer, reports, accounts, period=asked, since=since, failed=failed)
            for count, one in enumerate(walked, 1):
                found.append(one)
                some.append(one)
                if len(some) == AT_ONCE:
                    _ = dry_run or issuer.put(some, at=now())
                    some = []
                    tell(count)
            _ = dry_run or issuer.put(some, at=now())
        if account_id is None and not dry_run:
            tell_rounds(store, found, [report for report, _ in faults], at=now())
        issued = any(one.body for one in found) and not dry_run
        taken = taken_in(store, book) if issued else None
    answer = {
        **{word.replace(" ", "_"): sum(one.outcome == word for one in found) for word in SHOWN},
        "taken_in": taken,
        "reports": [_answer(one) for one in found if one.outcome not in {"none", "not due"}],
    }
    if as_json:
        print_json(answer)
    else:
        _say(answer, dry_run=dry_run)
    if taken is False and not as_json:
        talk("the lanes have an owner, which takes them in")
    _say_faults(ctx, [words for _, words in faults])


def _say_faults(ctx: click.Context, faults: "Sequence[str]") -> None:
    from ringfirst.answers import plural, shown, talk

    for words in faults[:MOST_FAULTS]:
        talk(shown(words))
    if faults:
        talk(f"{plural(len(faults), 'report')} could not be made; the others were")
        ctx.exit(1)


@click.command(short_help="Issue a report once more, with what is known of its period by now.")
@click.argument("account_id", metavar="ACCOUNT")
@click.argument("period", metavar="PERIOD")
@click.argument("report_id", metavar="[REPORT]", required=False)
@click.option("--why", required=True, metavar="TEXT", help="Why: it stands in the audit and beside what was issued.")
@click.option("--who", metavar="NAME", help="Who corrects it.  [USER@HOST]")
@store_option
@json_option
def correct(
    account_id: str,
    period: str,
    report_id: str | None,
    why: str,
    who: str | None,
    store_url: str | None,
    *,
    as_json: bool,
) -> None:
    """Issue the report of an account and PERIOD (2026-10, 2026-Q3, 2026-W40) once more, with what is known by now.

    What was issued before stays as it was, and says that it was corrected; its mails that have not left are taken back.
    The new one is decided like any report, review included. With --json: {"account_id", "report", "period", "outcome",
    "because", "closes", "due", "taken_back", "taken_in"}.
    """
    from engine.questions import now_of
    from engine.reports.issuing import Issuer
    from engine.reports.periods import read_period
    from ringfirst.answers import plural, print_json, talk
    from ringfirst.intake import now
    from ringfirst.owners import person_name
    from ringfirst.reporting import taken_in
    from ringfirst.reports_issued import take_back
    from ringfirst.reports_shown import report_of

    asked = read_period(period)
    with opened(store_url) as store:
        book, person = _active(store), who or person_name()
        issuer = Issuer(store, book)
        one = issuer.correct(report_of(book, report_id), asked, account_id, clock=now_of(store, None), why=why)
        detail = {"account_id": account_id, "report": one.report, "period": period, "why": why}
        store.audit(at=now(), who=person, what="reports.correct", detail=detail)
        taken = take_back(store, one, at=now(), who=person)
        issuer.put([one], at=now())
        answer = {**_answer(one), "taken_back": taken, "taken_in": taken_in(store, book)}
    if as_json:
        print_json(answer)
        return
    click.echo(f"{one.outcome}: {one.report} of {period} for {account_id}, once more")
    if taken:
        talk(f"taken back: {plural(len(taken), 'mail')} of what was issued before")
    if not answer["taken_in"]:
        talk("the lanes have an owner, which takes it in")


def _active(store: "Store") -> "Rulebook":
    from engine.errors import UsageError

    book = active_book(store)
    if book is None:
        raise UsageError("store: there are no events yet; import some first: ringfirst import FILE")
    return book


def _answer(one: "Issued") -> dict[str, Any]:
    from engine.instants import iso

    return {
        "account_id": one.account_id,
        "report": one.report,
        "period": one.period,
        "outcome": one.outcome,
        "because": one.because,
        "closes": iso(one.closes),
        "due": iso(one.due) if one.due is not None else None,
    }


def _say(answer: dict[str, Any], *, dry_run: bool) -> None:
    from ringfirst.answers import print_table, talk

    if answer["reports"]:
        print_table(
            ["account", "report", "period", "outcome", "due", "because"],
            [
                [one["account_id"], one["report"], one["period"], one["outcome"], one["due"], one["because"]]
                for one in answer["reports"]
            ],
        )
    counts = ", ".join(f"{answer[word.replace(' ', '_')]:,} {word}" for word in SHOWN)
    talk(f"{'would be: ' if dry_run else ''}{counts}")
