"""Which report a figure is traced in, and whether what was issued is still what the log gives."""

from typing import Any, NamedTuple

from engine.errors import UsageError
from engine.instants import iso
from engine.reports.families import families
from engine.reports.kept import Kept, issued_in, newest
from engine.reports.made import preview
from engine.reports.past import Accounts
from engine.reports.periods import Period
from engine.reports.tracing import Tracing, printed
from engine.rulebook.findings import listed
from engine.rulebook.spec import Report
from engine.stored import stored_book
from ringfirst.answers import plural

LIKE = {"week": "2026-W40", "month": "2026-10", "quarter": "2026-Q3"}


class Asked(NamedTuple):
    """A report whose figures are traced: as they were issued, where ``kept`` says so, else as they are now."""

    tracing: Tracing
    kept: Kept | None = None

    @property
    def report(self) -> str:
        """The report's id; nothing where there are values alone."""
        return self.tracing.report.id if self.tracing.report is not None else ""


def asked(
    accounts: Accounts, account_id: str, period: Period, *, report_id: str | None, number: int | None, anew: bool
) -> list[Asked]:
    """The reports of an account for a period, each as it was issued or (``anew``) as it is; without any, the values.

    Raises ``UsageError`` for one that there is not.
    """
    kept = [] if anew else [one for one in issued_in(accounts.recorded(account_id)) if one.period == period.name]
    ids = [one.id for one in accounts.book.reports if one.unit == period.unit]
    ids = list(dict.fromkeys([*ids, *(one.report for one in kept)]))
    if report_id is not None:
        if report_id not in ids and accounts.book.report(report_id).unit != period.unit:
            unit = accounts.book.report(report_id).unit
            like = f"found {period.name}; write one such as {LIKE[unit]}"
            raise UsageError(f"report {report_id}: is about a {unit}; {like}")
        ids = [report_id]
    found = [_asked(accounts, account_id, period, one, kept, number, anew=anew) for one in ids]
    there = [one for one in found if one is not None]
    if number is not None and not there:
        raise UsageError(f"--number {number}: no report of {period.name} was issued so often to {account_id[:60]}")
    return there or [Asked(Tracing(accounts, account_id, period, None))]


def _asked(
    accounts: Accounts,
    account_id: str,
    period: Period,
    report_id: str,
    kept: list[Kept],
    number: int | None,
    *,
    anew: bool,
) -> Asked | None:
    mine = [one for one in kept if one.report == report_id and number in {None, one.number}]
    last = newest(mine, report_id, period.name)
    mark = last.properties.get("rulebook") if last is not None else None
    if last is not None and isinstance(mark, str):
        then = Accounts(accounts.store, stored_book(accounts.store, mark), last.closed)
        return Asked(Tracing(then, account_id, period, then.book.report(report_id)), last)
    if number is not None:
        return None
    elsewhere = None if anew else _told_elsewhere(accounts, account_id, period, report_id)
    if elsewhere is not None:
        return Asked(Tracing(elsewhere, account_id, period, elsewhere.book.report(report_id)))
    return Asked(Tracing(accounts, account_id, period, accounts.book.report(report_id)))


def _told_elsewhere(accounts: Accounts, account_id: str, period: Period, report_id: str) -> Accounts | None:
    """What was known when the report was issued in which the account is a part; None: it is none, or it was not."""
    top = families(accounts, accounts.book.report(report_id), period).above.get(account_id)
    if top is None:
        return None
    with accounts.aside():
        last = newest(issued_in(accounts.recorded(top)), report_id, period.name)
    mark = last.properties.get("rulebook") if last is not None else None
    if last is None or not isinstance(mark, str):
        return None
    return Accounts(accounts.store, stored_book(accounts.store, mark), last.closed)


def choose(found: list[Asked], accounts: Accounts, name: str) -> Asked:
    """The report that a figure is traced in: one that shows it; what is the same in several where it was issued.

    A value that none of them shows is traced as it is now. Raises ``UsageError`` where several reports have a figure of
    their own by that name.
    """
    first = found[0]
    shows = [one for one in found if name in one.tracing.shown]
    if not shows:
        alone = Tracing(accounts, first.tracing.account_id, first.tracing.period, None)
        return Asked(alone) if name in alone.names else first
    ids = list(dict.fromkeys(one.report for one in shows))
    if len(ids) > 1 and name not in shows[0].tracing.alike:
        raise UsageError(f"figure {name}: {listed(ids)} have one each; name one with --report")
    return next((one for one in reversed(shows) if one.kept is not None), shows[0])


def against_issued(one: Asked, accounts: Accounts, told: dict[str, Any]) -> dict[str, Any] | None:
    """What was issued for a traced figure, beside what the log gives: as it was known then, and now; None: nothing was.

    ``differs`` says what is wrong where the same log no longer gives what was issued.
    """
    if one.kept is None:
        return None
    name, figures = told["figure"], one.kept.figures
    was = printed(figures, name)
    shows = not name.startswith(("step.", "measure."))
    same = not shows or _same(was, told["amount"])
    differs = None
    if not same:
        why = "somebody in it was forgotten since, or it is computed otherwise by this version"
        differs = f"it was issued as {_word(was)}, and the events known then give {_word(told['amount'])}: {why}"
    return {
        "number": one.kept.number,
        "closed": iso(one.kept.closed),
        "amount": was if shows else told["amount"],
        "differs": differs,
        "now": _now(one, accounts, told),
    }


def _now(one: Asked, accounts: Accounts, told: dict[str, Any]) -> Any:
    report = next((found for found in accounts.book.reports if found.id == one.report), None)
    now = Tracing(accounts, told["account_id"], one.tracing.period, report)
    try:
        return now.trace(told["figure"])["amount"]
    except UsageError:  # neither the report nor the rulebook has it any more
        return None


def issued_notes(issued: dict[str, Any] | None, amount: Any) -> list[str]:
    """What a reader should know of a figure that was issued."""
    if issued is None:
        return []
    notes = [f"these are the figures as they were issued ({issued['closed']}); --anew computes them now"]
    if issued["differs"] is not None:
        notes.append(issued["differs"])
    if not _same(issued["now"], amount):
        notes.append(f"from what is known now it is {_word(issued['now'])}")
    return notes


def figures_listed(found: list[Asked], accounts: Accounts) -> list[dict[str, Any]]:
    """Every figure that can be traced: ``{"report", "figure", "label", "amount"}``."""
    rows: list[dict[str, Any]] = []
    for one in found:
        tracing, shown = one.tracing, None
        if tracing.report is not None:
            shown = one.kept.figures if one.kept else _preview(tracing, accounts, tracing.report)
        for name, label in tracing.names.items():
            if name in tracing.shown and shown is not None:
                rows.append({"report": one.report, "figure": name, "label": label, "amount": printed(shown, name)})
    there = {row["figure"] for row in rows}
    others = found[0].tracing.names.items()
    rows += [
        {"report": None, "figure": name, "label": label, "amount": None} for name, label in others if name not in there
    ]
    return rows


def _preview(tracing: Tracing, accounts: Accounts, report: Report) -> dict[str, Any]:
    return preview(accounts, tracing.account_id, report, tracing.period)


def _same(one: Any, other: Any) -> bool:
    """Are two amounts the same number? What was stored is a double, or a whole number."""
    return one == other if one is None or other is None else float(one) == float(other)


def _word(amount: Any) -> str:
    return "unknown" if amount is None else f"{amount}"


def behind(told: dict[str, Any]) -> str:
    """How many events there are behind a figure."""
    return f"{plural(len(told['events']), 'event')} behind it"
