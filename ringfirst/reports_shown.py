"""Reports as text for us: what is asked for, and the lines that answer it."""

from typing import Any

from engine.errors import UsageError
from engine.reports.kept import answer, issued_in, newest
from engine.reports.past import Accounts
from engine.reports.periods import Period, period_before, read_period
from engine.rulebook.book import Rulebook
from engine.rulebook.findings import listed
from engine.rulebook.spec import Report
from outreach.locales import OURS
from outreach.reported import unpriced
from outreach.words import wording
from ringfirst.answers import plural, shown
from ringfirst.report_blocks_shown import blocks_of, money_text


def report_of(book: Rulebook, report_id: str | None) -> Report:
    """The report that is meant; without an id the only one. Raises ``UsageError``."""
    if report_id is not None:
        return book.report(report_id)
    written = [one for one in book.reports if not one.instead_of]
    if len(written) == 1:
        return written[0]
    there = f"there are {listed(one.id for one in book.reports)}; name one" if book.reports else "it has no reports"
    raise UsageError(f"reports preview: which report of the rulebook is meant? {there}")


def period_of(accounts: Accounts, account_id: str, report: Report, text: str | None) -> Period:
    """The period that is meant; without one the newest that is over. Raises ``UsageError``."""
    if text is None:
        return period_before(report.unit, accounts.day(account_id))
    period = read_period(text)
    if period.unit != report.unit:
        like = {"week": "2026-W40", "month": "2026-10", "quarter": "2026-Q3"}[report.unit]
        raise UsageError(f"report {report.id}: is about a {report.unit}; found {text}; write one such as {like}")
    return period


def issued_as(
    accounts: Accounts, account_id: str, report: Report, period: Period, number: int | None
) -> dict[str, Any] | None:
    """The report as it was issued, for the ``number``-th time or the last one; None: it was not.

    Raises ``UsageError`` when it was not issued so often.
    """
    kept = issued_in(accounts.recorded(account_id))
    last = newest(kept, report.id, period.name)
    if last is None and number is None:
        return None
    found = [one for one in kept if (one.report, one.period) == (report.id, period.name)]
    one = last if number is None else next((one for one in found if one.number == number), None)
    if one is None or last is None:
        times = plural(len(found), "time")
        raise UsageError(f"--number {number}: {report.id} of {period.name} was issued {times} to {account_id[:60]}")
    return answer(one, last)


def heading(title: str, found: dict[str, Any]) -> str:
    """Whose, and which days."""
    period = found["period"]
    days = f"{period['first_day']} to {period['last_day']}, {period['zone']}"
    return f"{title}: {found['account_id']}, {period['name']} ({days}), as of {found['as_of']}"


def notes_of(found: dict[str, Any]) -> list[str]:
    """What a reader should know of the period before relying on a figure."""
    period, notes = found["period"], []
    issued = found.get("issued")
    if issued is not None:
        notes.append(f"these are the figures as they were issued ({issued['closed']}); --anew computes them now")
        if issued["corrected_by"] is not None:
            notes.append(f"it was corrected since: number {issued['corrected_by']} counts")
        elif issued["why"]:
            notes.append(f"number {issued['number']} corrects what was issued before: {issued['why']}")
    if not period["over"]:
        notes.append("the period is not over: these are the figures so far")
    elif not period["closed"]:
        notes.append("the period is not closed: events that come late may still change the figures")
    if found.get("stands_alone"):
        notes.append(f"it names an account above it, and has a report of its own: {found['stands_alone']}")
    if not period["full"]:
        notes.append(f"known since {period['known_since']}: the period is known in part only")
    if found["left_out"]:
        notes.append(f"left out: {plural(found['left_out'], 'event')} of our own people and of test users")
    return notes


def lines_of(found: dict[str, Any]) -> tuple[list[str], list[list[Any]], list[str], list[str]]:
    """A preview: the columns and rows of its table, the lines below, and the notes."""
    compared = [one["with"] for one in found["values"][0]["compared"]]
    priced = any(one["worth"] for one in found["values"])
    since = f"since {found['period']['known_since'][: len('2026-03-02')]}"
    columns = ["value", "amount", "unit", *(["worth"] if priced else []), *compared, since]
    rows = [_row(one, priced=priced) for one in found["values"]]
    below = []
    if priced:
        below.append(f"Worth in all: {money_text(found['total'])}; {since}: {money_text(found['total_ever'])}")
    price = found["price"]
    if price is not None:
        paid = price["unknown"] or f"{price['amount']:,} {price['currency']}"
        ratio = found["value_to_price"]
        times = "it cannot be compared" if ratio is None else f"the value is {shown(round(ratio, 4))} times the price"
        below.append(f"Price of the period: {paid}; {times}")
    below += [_part(one) for one in found.get("parts") or []]
    below += blocks_of(found)
    below += [f"Assumed: {one['assumption']}" for one in found["values"] if one["assumption"]]
    for word in dict.fromkeys(compared):
        below += _not_compared(found["values"], word)
    below += unpriced(found["values"], wording(OURS))
    below += [_changed(one) for one in found.get("changes") or []]
    below.append(f"{'Would go' if found['would_go'] else 'Would not go'}: {found['because']}")
    return columns, rows, below, notes_of(found)


def _row(one: dict[str, Any], *, priced: bool) -> list[Any]:
    worth = money_text(one["worth"]["money"]) if one["worth"] else None
    return [
        one["label"],
        _short(one["amount"]),
        one["unit"] or None,
        *([worth] if priced else []),
        *(_change(inner) for inner in one["compared"]),
        _short(one["ever"]["amount"]),
    ]


def _change(compared: dict[str, Any]) -> str:
    if compared["change"] is None:
        return "-"
    sign = "+" if compared["change"] > 0 else ""
    percent = "" if compared["percent"] is None else f", {sign}{shown(compared['percent'])} %"
    return f"{_short(compared['amount'])} ({sign}{_short(compared['change'])}{percent})"


def _short(amount: float | None) -> str:
    """An amount for a table, to four digits behind the point; ``--json`` and ``trace`` tell all of them.

    >>> _short(58 / 3), _short(24), _short(None)
    ('19.3333', '24', '-')
    """
    return shown(None if amount is None else round(amount, 4))


def called(one: dict[str, Any]) -> str:
    """An account by its name and id; by its id alone where it has no other name."""
    known = one["name"] and one["name"] != one["account_id"]
    return f"{one['name']} ({one['account_id']})" if known else str(one["account_id"])


def _part(one: dict[str, Any]) -> str:
    """One account of a report that tells of several."""
    amounts = [f"{value['label']} {_short(value['amount'])} {value['unit']}".rstrip() for value in one["values"]]
    money = f"; worth {money_text(one['total'])}" if any(value["worth"] for value in one["values"]) else ""
    return f"Part: {called(one)}: {', '.join(amounts)}{money}"


def _changed(one: dict[str, Any]) -> str:
    return (
        f"Changed since it was issued: {one['label']} of {one['period']} is {shown(one['is'])}, and was "
        f"{shown(one['was'])}; {one['why']}"
    )


def _not_compared(values: list[dict[str, Any]], word: str) -> list[str]:
    why = {inner["not_compared"] for one in values for inner in one["compared"] if inner["with"] == word} - {None}
    return [f"Not compared with the {word}: {one}" for one in sorted(why)]
