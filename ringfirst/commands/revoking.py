"""``ringfirst reports revoke``: the links to a report open nothing any more."""

import click

from ringfirst.commands.options import json_option, opened, store_option


@click.command(short_help="Take back the links to a report that was sent: they open nothing any more.")
@click.argument("account_id", metavar="ACCOUNT")
@click.argument("period", metavar="PERIOD")
@click.argument("report_id", metavar="[REPORT]", required=False)
@click.option("--by", "who", metavar="NAME", help="Who takes them back.  [default: you, by the name of your login]")
@store_option
@json_option
def revoke(
    account_id: str, period: str, report_id: str | None, who: str | None, store_url: str | None, *, as_json: bool
) -> None:
    """Take back the links to what ACCOUNT was sent for PERIOD (2026-10, 2026-Q3, 2026-W40), those of all readers.

    A report of the period that is sent later gets links of its own. With --json: {"account_id", "period", "reports",
    "revoked"}; "revoked" counts the mails whose links end by it.
    """
    from engine.errors import UsageError
    from engine.reports.periods import read_period
    from engine.store import Note
    from ringfirst.answers import plural, print_json, talk
    from ringfirst.hosted import reports_sent
    from ringfirst.intake import now
    from ringfirst.owners import owner_name

    read_period(period)
    with opened(store_url) as store:
        sent = reports_sent(store, account_id, period)
        found = {name: mails for name, mails in sent.items() if report_id in {None, name}}
        if not found:
            whose, what = f"account '{account_id[:60]}'", f"report {report_id[:60]}" if report_id else "report"
            raise UsageError(f"{whose}: no {what} was sent for {period}; look at: ringfirst outreach list")
        at, by = now(), who or owner_name()
        done = 0
        for name, mails in sorted(found.items()):
            detail = {"account_id": account_id, "report": name, "period": period}
            note, until = Note(at, by, "revoke report", detail), max(at, mails.last)  # a lane's clock may be ahead
            if store.revoke(account_id, name, period, note=note, until=until):
                done += mails.number
    if as_json:
        print_json({"account_id": account_id, "period": period, "reports": sorted(found), "revoked": done})
        return
    talk(f"revoked: the links in {plural(done, 'mail')} open nothing any more")
