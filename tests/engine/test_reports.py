"""What a customer got in a period: exact, by local days, traceable, and never more than can be known."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.instants import DAY, HOUR, Instant, parse_instant
from engine.log import Event, Recorded
from engine.reports.figures import Ledger, figure
from engine.reports.money import added, rounded
from engine.reports.periods import Period, period_before, read_period
from engine.rulebook.book import Rulebook, load_rulebook
from engine.rulebook.spec import NamedValue, Worth
from engine.state import in_order
from engine.zones import date_of, day_of, zone

MEASURES = """
attributes: {account: {test: true/false}}
measures:
  runs: {count: automation.run, over: 7d}
  minutes: {sum: minutes, of: automation.run}
  hours: {sum: minutes, of: automation.run, times: 1/60}
  people: {unique: user_id, of: automation.run}
  days: {days_active: automation.run}
  longest: {maximum: minutes, of: automation.run}
  per_week: {count: automation.run, over: 28d, per: week}
  whole: {count: automation.run, over: 7d, ending: 3d ago, full: true}
  tickets: {opened: ticket, over: 28d}
  open_now: {open: ticket}
  age: {days_since: automation.run}
things: {ticket: {id: ticket_id, opened_by: ticket.opened}}
segments: {paying: {when: 'plan == "pro"'}}
"""
ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu")
MONTH = read_period("2026-03")


def book(more: str) -> Rulebook:
    found, findings = load_rulebook({"rules/a.yml": MEASURES, "rules/b.yml": more})
    assert found is not None, [str(one) for one in findings]
    return found


def said(more: str) -> list[str]:
    return [
        str(one).partition("rules/b.yml:")[2]
        for one in load_rulebook({"rules/a.yml": MEASURES, "rules/b.yml": more})[1]
    ]


def at(text: str) -> Instant:
    found = parse_instant(text)
    assert found is not None
    return found


def run(position: int, time: Instant, minutes: object = 60, user: str | None = "u1", **more: Any) -> Recorded:
    event = Event(f"e{position}", "automation.run", "acme", user, time, {"minutes": minutes, **more})
    return Recorded(position, time, event)


def ledger(events: Iterable[Recorded], key: str = "UTC", /, **traits: object) -> Ledger:
    return Ledger(in_order(events, zone(key), 10**15), zone(key), traits)


def value(measure: str, worth: Worth | None = None) -> NamedValue:
    return NamedValue("v", measure, "V", "hour", worth)


EMPTY = book("{}")


def amount(measure: str, events: Iterable[Recorded], period: Period = MONTH, key: str = "UTC") -> Fraction | None:
    return figure(value(measure), EMPTY.measures[measure], ledger(events, key), period.first, period.last).amount


def worth(how: Worth, events: Iterable[Recorded], measure: str = "hours", **traits: object) -> Any:
    book_ = EMPTY.measures[measure]
    return figure(value(measure, how), book_, ledger(events, "UTC", **traits), MONTH.first, MONTH.last).worth


# -- reading ---------------------------------------------------------------------------------------------------------
VALUE = """values:
  saved: {measure: hours, label: Hours saved, unit: hour, worth: {rate: 45.5, currency: EUR, per: hour}}
"""


MONTHLY = "schedule: {every: month, on_day: 2, at: '09:00'}"


def report(rest: str, values: str = VALUE) -> str:
    return f"{values}reports:\n  - {{id: monthly, period: previous month, {rest}}}\n"


def test_values_and_reports_are_read():
    found = book(
        report("values: [saved], audience: paying, price: mrr, compare: previous period, send_if: value.saved > 0")
    )
    assert found.values["saved"].worth == Worth("EUR", Fraction(91, 2))
    one = found.report("monthly")
    assert (one.unit, one.values, one.price, one.compare) == ("month", ("saved",), "mrr", ("previous period",))
    assert [line.text for line in one.send_if] == ["value.saved > 0"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "values: {a: {measure: hors, label: A}}",
            "1:13: error: value a: unknown measure 'hors'; did you mean 'hours'?",
            id="an unknown measure",
        ),
        pytest.param(
            "values: {a: {measure: per_week, label: A}}", "is per week, and a report counts over its", id="per"
        ),
        pytest.param("values: {a: {measure: open_now, label: A}}", "tells of things at an instant", id="open things"),
        pytest.param("values: {a: {measure: age, label: A}}", "is by days_since, and a value is by", id="an age"),
        pytest.param(
            "values: {a: {measure: longest, label: A, worth: {rate: 1, currency: EUR, per: hour}}}",
            "a maximum has no price",
            id="a price on a maximum",
        ),
        pytest.param(
            "values: {a: {measure: hours, label: A, unit: day, worth: {rate: 1, currency: EUR, per: hour}}}",
            "the rate is per hour, and it counts in the unit day",
            id="another unit",
        ),
        pytest.param(
            "values: {a: {measure: hours, label: A, worth: {rate: 0, currency: EUR, per: hour}}}",
            "'rate' should be a number above 0; found 0",
            id="a rate of nothing",
        ),
        pytest.param(
            "values: {a: {measure: hours, label: A, worth: {rate: 1, sum: b}}}", "needs either rate or sum", id="both"
        ),
        pytest.param(
            "values: {a: {measure: hours, label: A, worth: {rate: 1}}}", "'currency' is missing", id="no currency"
        ),
        pytest.param(
            "values: {a: {measure: hours, label: A, worth: {sum: b, currency: euro}}}",
            "three capital letters such as EUR; found 'euro'",
            id="a currency in words",
        ),
        pytest.param(report("values: [savd]"), "unknown value 'savd'; did you mean 'saved'?", id="an unknown value"),
        pytest.param(report("values: []"), "'values' is empty", id="no values"),
        pytest.param(report("values: [saved], audience: payng"), "did you mean 'paying'?", id="an unknown segment"),
        pytest.param(
            report("values: [saved], price: plan"), "is no attribute that is declared a number", id="a price in words"
        ),
        pytest.param(
            report("values: [saved], price: mrr").replace("month", "week"),
            "a week is no part of one",
            id="a price of a week",
        ),
        pytest.param(
            report("values: [saved], to: champion"), "'to' goes with schedule; add it", id="to nobody knows when"
        ),
        pytest.param(
            report(f"values: [saved], {MONTHLY}"), "'schedule' goes with to; add it", id="a schedule for nobody"
        ),
        pytest.param(
            report("values: [saved], mode: auto"), "'mode' is for a report that is sent; add schedule and to", id="mode"
        ),
        pytest.param(
            report(f"values: [saved], to: champion, {MONTHLY.replace('month', 'week')}"),
            "schedule: every week, and its period is the previous month",
            id="another unit than the period",
        ),
        pytest.param(
            report(f"values: [saved], to: champion, {MONTHLY.replace('2', '29')}"),
            "on_day: should be a whole number from 1 to 28; found 29",
            id="a day that February lacks",
        ),
        pytest.param(
            report(f"values: [saved], to: champion, {MONTHLY.replace('2', '1')}"),
            "warning: report monthly: schedule: on_day 1 lies before the period is closed",
            id="before the closing",
        ),
        pytest.param(
            report(f"values: [saved], to: champion, close_after: 3d, {MONTHLY}"),
            "on_day 2 lies before the period is closed (72 hours after its end), so it leaves later; write 4",
            id="before a late closing",
        ),
        pytest.param(
            report("values: [saved], close_after: 30m"),
            "close_after: should be from 1h to 6d; found 30m",
            id="closed before events come",
        ),
        pytest.param(
            report("values: [saved], close_after: 7d"),
            "should be from 1h to 6d; found 7d",
            id="closed too late to leave",
        ),
        pytest.param(
            report("values: [saved], close_after: tomorrow"),
            "close_after: should be a span such as 15m, 36h, 3d or 2w; found tomorrow",
            id="closed at no time",
        ),
        pytest.param(
            report(f"values: [saved], to: us@ours.example, {MONTHLY}"),
            "to: a report goes to a customer's people; found 'us@ours.example'",
            id="to us",
        ),
        pytest.param(
            report(f"values: [saved], to: event.person, {MONTHLY}"), "'event.person' is known only", id="to no role"
        ),
        pytest.param(
            report(f"values: [saved], to: champion, template: monthly, {MONTHLY}"),
            "unknown template 'monthly'",
            id="a template that is not there",
        ),
        pytest.param(
            report(f"values: [saved], to: champion, review_if: value.savd > 0, {MONTHLY}"),
            "review_if: unknown name 'value.savd'",
            id="a typo in review_if",
        ),
        pytest.param(
            report(f"values: [saved], to: champion, topic: none, {MONTHLY}"), "unknown topic 'none'", id="no such topic"
        ),
        pytest.param(
            report(f"values: [saved], to: champion, {MONTHLY}")
            + "rules: [{id: monthly, when: runs > 0, status: draft}]",
            "a rule is called 'monthly' too; rename one",
            id="a rule of that name",
        ),
        pytest.param(report("values: [saved], lead_with: gols"), "lead_with: found 'gols'", id="a lead that is none"),
        pytest.param(
            report("values: [saved], send_if: value.savd > 0"), "unknown name 'value.savd'", id="a typo in send_if"
        ),
        pytest.param(
            report("values: [saved], unless: [mrr > 0]"),
            "unless: can be unknown; say what that means",
            id="unless unknown",
        ),
        pytest.param(
            report("values: [saved], send_if: value_to_price > 1"), "the report has not a price; add one", id="no price"
        ),
        pytest.param(
            report("values: [a], send_if: value_total > 0", "values: {a: {measure: runs, label: A}}\n"),
            "the report has not a value with a worth; add one",
            id="no worth",
        ),
        pytest.param(
            report(
                "values: [saved, twice]",
                VALUE + "  twice: {measure: minutes, label: B, worth: {sum: money}}\n",
            ),
            "warning: report monthly: saved and twice both put a price on the same events",
            id="the same benefit twice",
        ),
        pytest.param(
            report("values: [saved]") + "  - {id: monthly, period: previous week, values: [saved]}",
            "stands twice",
            id="twice",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, expected):
    assert any(expected in one for one in said(text)), said(text)


# -- periods ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("2026-02", "2026-02-01", "2026-02-28"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2026-12", "2026-12-01", "2026-12-31"),
        ("2026-Q4", "2026-10-01", "2026-12-31"),
        ("2026-W01", "2025-12-29", "2026-01-04"),
        ("2026-W53", "2026-12-28", "2027-01-03"),
    ],
)
def test_a_period_by_its_name(name, first, last):
    found = read_period(name)
    assert (date_of(found.first).isoformat(), date_of(found.last).isoformat(), found.name) == (first, last, name)


@pytest.mark.parametrize(
    "name", ["2026", "2026-13", "2026-Q5", "2025-W53", "2026-W00", "26-10", "2026-10-01", "0001-01", "9999-12"]
)
def test_no_period_is_refused(name):
    with pytest.raises(UsageError, match="period: "):
        read_period(name)


@given(st.dates(date(1971, 1, 1), date(2100, 1, 1)), st.sampled_from(["week", "month", "quarter"]))
def test_periods_tile_the_calendar_and_keep_their_names(day, unit):
    period = period_before(unit, day_of(day))
    assert read_period(period.name) == period
    assert period.before().last + 1 == period.first
    assert period.last < day_of(day) <= period.last + 92
    if unit != "week":
        assert period.months()[0].first == period.first
        assert period.months()[-1].last == period.last
        assert all(one.last + 1 == two.first for one, two in zip(period.months(), period.months()[1:], strict=False))


@given(st.sampled_from(ZONES), st.integers(1990 * 12, 2040 * 12))
def test_the_last_minutes_of_the_last_local_day_count_and_the_next_do_not(key, months):
    period = read_period(f"{months // 12:04d}-{months % 12 + 1:02d}")
    where = zone(key)
    half_past = where.wall(period.last, 23 * 60 + 30)
    end = where.start(period.last + 1)
    events = [
        run(1, half_past),
        run(2, end - 1),
        run(3, end),
        run(4, where.start(period.first)),
        run(5, where.start(period.first) - 1),
    ]
    assert amount("runs", events, period, key) == 3


def test_a_clock_that_changes_makes_no_day_longer_or_shorter():
    events = [
        run(1, at("2026-03-28T22:30:00Z")),
        run(2, at("2026-03-28T23:30:00Z")),
        run(3, at("2026-03-29T21:59:59Z")),
    ]
    assert amount("days", events, MONTH, "Europe/Berlin") == 2, "23:30 and 00:30 local, and 23:59 of a day of 23 hours"
    assert amount("days", [run(1, at("2026-03-31T22:00:00Z"))], MONTH, "Europe/Berlin") == 0, "it is April there"


# -- amounts ---------------------------------------------------------------------------------------------------------
MINUTES = st.one_of(st.integers(0, 10_000), st.decimals(0, 10_000, places=4), st.none(), st.just("many"))


@given(st.lists(st.tuples(st.integers(0, 365 * DAY), MINUTES), max_size=30), st.sampled_from(ZONES))
def test_the_months_add_up_to_the_year_exactly(rows, key):
    start = at("2026-01-02T12:00:00Z")
    events = [run(n, start + shift, minutes) for n, (shift, minutes) in enumerate(rows, 1)]
    quarters = [read_period(f"{year}-Q{n}") for year in (2025, 2026, 2027) for n in range(1, 5)]
    months = [month for quarter in quarters for month in quarter.months()]
    for measure in ("runs", "minutes", "hours", "days"):
        spec = EMPTY.measures[measure]
        ever = figure(value(measure), spec, ledger(events, key), None, months[-1].last).amount
        assert sum(amount(measure, events, month, key) or 0 for month in months) == ever
        assert sum(amount(measure, events, quarter, key) or 0 for quarter in quarters) == ever
    exact = sum((Fraction(one) for _, one in rows if one is not None and not isinstance(one, str)), Fraction(0))
    assert sum(amount("hours", events, month, key) or 0 for month in months) == exact / 60


@given(
    st.lists(
        st.tuples(st.integers(0, 31 * DAY - 1), st.integers(0, 99), st.sampled_from(["u1", "u2", None])), max_size=20
    ),
    st.randoms(),
)
def test_the_figure_is_made_of_the_events_that_are_listed_and_order_is_nothing(rows, chance):
    start = at("2026-03-01T00:00:00Z")
    events = [run(n, start + shift, minutes, user) for n, (shift, minutes, user) in enumerate(rows, 1)]
    mixed = [*events]
    chance.shuffle(mixed)
    for name in ("runs", "hours", "people", "days", "longest"):
        spec = EMPTY.measures[name]
        found = figure(value(name), spec, ledger(mixed), MONTH.first, MONTH.last)
        behind = [Recorded(row.position, row.time, row.event) for row in found.behind]
        assert figure(value(name), spec, ledger(behind), MONTH.first, MONTH.last) == found
        by_hand = {
            "runs": len(events),
            "hours": Fraction(sum(one for _, one, _ in rows), 60),
            "people": len({user for _, _, user in rows if user}),
            "days": len({shift // DAY for shift, _, _ in rows}),
            "longest": max((one for _, one, _ in rows), default=None),
        }
        assert found.amount == by_hand[name]


def test_the_period_stands_in_the_place_of_the_measures_own_window():
    events = [
        run(1, at("2026-03-01T00:00:00Z")),
        run(2, at("2026-03-31T23:59:59Z")),
        run(3, at("2026-04-01T00:00:00Z")),
    ]
    assert amount("whole", events) == amount("runs", events) == 2


# -- money -----------------------------------------------------------------------------------------------------------
RATE = Worth("EUR", Fraction(45))


def test_a_rate_is_money_for_one_unit_rounded_once():
    events = [run(n, at("2026-03-05T10:00:00Z") + n * HOUR, 20) for n in range(5)]
    assert worth(RATE, events).money == {"EUR": Decimal("75.00")}, "each third of an hour by itself would lose cents"
    assert worth(Worth("JPY", Fraction(1)), events).money == {"JPY": Decimal(2)}


def test_the_accounts_own_rate_wins_and_is_named():
    found = worth(RATE, [run(1, MONTH_NOON)], hour_rate=Decimal("60.5"), currency="CHF")
    assert found.money == {"CHF": Decimal("60.50")}
    assert found.rate.trait == "hour_rate"
    assert worth(RATE, [run(1, MONTH_NOON)], hour_rate=60).money == {"EUR": Decimal("60.00")}
    assert worth(RATE, [run(1, MONTH_NOON)], hour_rate="much").rate.trait == ""
    assert worth(RATE, [run(1, MONTH_NOON)], hour_rate=-1).rate.trait == ""


MONTH_NOON = at("2026-03-15T12:00:00Z")
SUM = Worth(prop="won")


def test_a_sum_keeps_currencies_apart_and_says_what_it_could_not_price():
    events = [
        run(1, MONTH_NOON, won=Decimal("10.10"), currency="EUR"),
        run(2, MONTH_NOON + 1, won=5, currency="USD"),
        run(3, MONTH_NOON + 2, won=Decimal("0.05"), currency="EUR"),
        run(4, MONTH_NOON + 3, won=7),
        run(5, MONTH_NOON + 4, won="a lot", currency="EUR"),
        run(6, MONTH_NOON + 5),
    ]
    found = worth(SUM, events, "runs")
    assert found.money == {"EUR": Decimal("10.15"), "USD": Decimal("5.00")}
    assert dict(found.unpriced) == {"no number in won": 2, "no currency known": 1}
    assert worth(Worth("GBP", prop="won"), events, "runs", currency="SEK").money["GBP"] == 7, (
        "the worth's before the account's"
    )
    assert worth(SUM, events, "runs", currency="SEK").money["SEK"] == 7


AMOUNTS = st.fractions(-10_000, 10_000, max_denominator=10_000)


@given(st.lists(st.tuples(AMOUNTS, st.sampled_from(["EUR", "JPY", "KWD"])), max_size=12))
def test_what_is_printed_adds_up_and_is_never_off_by_more_than_half_a_coin(rows):
    parts = [{currency: rounded(exact, currency)} for exact, currency in rows]
    total = added(parts)
    digits = {"EUR": 2, "JPY": 0, "KWD": 3}
    for currency, amount_ in total.items():
        assert amount_ == sum(part.get(currency, Decimal(0)) for part in parts)
        assert amount_.as_tuple().exponent == -digits[currency]
    for (exact, currency), part in zip(rows, parts, strict=True):
        assert abs(Fraction(part[currency]) - exact) <= Fraction(1, 2 * 10 ** digits[currency])
