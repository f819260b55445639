"""A brief for the owner of an account: its report, what changed most and why, open promises, health, what to say.

It is for us alone. Every line is a fact that the log holds; nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

from engine.account import account_view
from engine.instants import Instant, iso, parse_instant
from engine.program import Program
from engine.questions import events_of, log_began, totals_of
from engine.reports.made import preview
from engine.reports.past import Accounts, Past
from engine.reports.periods import Period
from engine.reports.points import points_of
from engine.reports.together import figure_of, pasts_of
from engine.reports.told import amount_json, change_json
from engine.reports.values import not_compared
from engine.rulebook.book import Rulebook
from engine.rulebook.reports import ADDED
from engine.rulebook.spec import Measure, NamedValue, Report
from engine.values import read_date, to_json

MOST_CHANGES = 5
_PROMISES = {"exception.granted": "granted", "exception.refused": "refused"}


class Change(NamedTuple):
    """A measure over the period and the one before, and how surprising the difference is."""

    measure: Measure
    now: Fraction
    before: Fraction
    surprise: Fraction


def brief(
    accounts: Accounts, account_id: str, report: Report, period: Period, issued: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What the owner of an account should know before a talk, as JSON values.

    ``issued`` are the figures that its people got, where a report was issued: the owner talks of the same. Raises
    ``UsageError`` for an account that is unknown, or was by the end of the period.
    """
    found = issued or preview(accounts, account_id, report, period)
    past = accounts.past(account_id, period)
    before = period.before()
    why = not_compared(past, before)
    shows = [accounts.book.values[name] for name in report.values]  # what its reader knows it by wins
    labels = {value.measure: value.label for value in (*accounts.book.values.values(), *reversed(shows))}
    changes = [] if why else _changes(accounts.book, _then(accounts, past, report, issued), before)
    told = {
        **found,
        "changes": [_change_json(one, labels) for one in changes],
        "changes_not_compared": why or None,
        "exceptions": _exceptions(accounts, past),
        "health": _health(accounts, past),
    }
    return {**told, "talking_points": points_of(told)}


def _then(accounts: Accounts, past: Past, report: Report, issued: dict[str, Any] | None) -> list[Past]:
    """The account, and the parts of its report, as they were known when it was issued.

    So changes are those of the figures beside them.
    """
    at = parse_instant(issued["as_of"]) if issued else None
    if at is None:
        return pasts_of(accounts, past, report)
    then = Accounts(accounts.store, accounts.book, at)
    return pasts_of(then, then.past(past.account_id, past.period), report)


def _changes(book: Rulebook, pasts: Sequence[Past], before: Period) -> list[Change]:
    """The measures of the accounts whose number of events changed most, for its size; each way of counting once."""
    found: dict[str, Change] = {}
    period, ledgers = pasts[0].period, [one.ledger for one in pasts]
    for measure in book.measures.values():
        if measure.verb not in ADDED or measure.thing or measure.types is None:
            continue
        mark = repr((measure.verb, measure.types, measure.prop, measure.where))
        if mark in found:
            continue
        value = NamedValue(measure.name, measure.name, measure.name)
        now = figure_of(value, measure, ledgers, period.first, period.last)
        earlier = figure_of(value, measure, ledgers, before.first, before.last)
        if now.amount is None or earlier.amount is None or now.amount == earlier.amount:
            continue
        many, few = len(now.behind), len(earlier.behind)
        surprise = Fraction((many - few) ** 2, many + few) if many + few else Fraction(0)
        found[mark] = Change(measure, now.amount, earlier.amount, surprise)
    return sorted(found.values(), key=lambda one: (-one.surprise, one.measure.name))[:MOST_CHANGES]


def _change_json(one: Change, labels: Mapping[str, str]) -> dict[str, Any]:
    """``label`` is what the report calls the measure, where one of the values is made of it."""
    return {
        "measure": one.measure.name,
        "label": labels.get(one.measure.name, one.measure.name),
        "amount": amount_json(one.now),
        "before": amount_json(one.before),
        **change_json(one.now, one.before),
    }


def _exceptions(accounts: Accounts, past: Past) -> list[dict[str, Any]]:
    """What was granted or refused, the newest word on each, as of the question; what has expired is left out."""
    newest: dict[str, tuple[Instant, int, dict[str, Any]]] = {}
    for recorded in accounts.recorded(past.account_id):
        event = recorded.event
        if event.type not in _PROMISES or event.time > past.asked:
            continue
        told = event.properties
        row = (event.time, recorded.position, {**told, "state": _PROMISES[event.type], "at": iso(event.time)})
        key = str(told.get("exception_id", event.id))
        if key not in newest or row[:2] > newest[key][:2]:
            newest[key] = row
    found = [_exception(key, row[2]) for key, row in sorted(newest.items(), key=lambda one: one[1][:2])]
    return [one for one in found if not _expired(one, past)]


def _exception(key: str, told: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: value if isinstance(value := told.get(name), str) else None for name in ("what", "by", "reason")}
    expires = told.get("expires_at")
    return {
        "exception_id": key,
        "state": told["state"],
        "at": told["at"],
        **texts,
        "expires_at": expires if isinstance(expires, str) else None,
    }


def _expired(one: Mapping[str, Any], past: Past) -> bool:
    expires = read_date(one["expires_at"], past.zone)
    if expires is None:
        return False
    end = past.zone.start(expires.bare + 1) if expires.bare is not None else expires.at
    return end <= past.asked


def _health(accounts: Accounts, past: Past) -> list[dict[str, Any]]:
    """Each score as of the question, its worst part, and what it was when the period began."""
    book = accounts.book
    if not book.scores:
        return []
    program = Program(replace(book, rules=()), everything=True)
    for name in book.scores:
        for part in ("", ".worst", ".band"):
            program.slot(name + part)
    began = past.zone.start(past.period.first)
    now, then = (_values(accounts, program, past, at) for at in (past.asked, began))
    return [
        {
            "score": name,
            "value": now.get(name),
            "band": now.get(f"{name}.band"),
            "worst": now.get(f"{name}.worst"),
            "before": then.get(name),
        }
        for name in book.scores
    ]


def _values(accounts: Accounts, program: Program, past: Past, at: Instant) -> dict[str, Any]:
    """The program's names as of an instant; none while the account was not known."""
    events = events_of(accounts.store, past.account_id, at)
    if not events:
        return {}
    entries = accounts.store.account_entries(past.account_id, until_at=at)
    began = log_began(accounts.store, past.account_id)
    view = account_view(program, events, at, totals_of(entries, {}), at if began is None else began)
    return {name: to_json(view.value(name)) for name in program.index}
