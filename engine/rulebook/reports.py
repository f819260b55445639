"""Reading and checking what reports show: values, what they are worth, and the reports themselves."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from engine.instants import DAY, HOUR
from engine.rulebook.findings import Findings, listed, suggestion
from engine.rulebook.names import Conditions, Info, Names
from engine.rulebook.nodes import Node
from engine.rulebook.reading import Reading
from engine.rulebook.report_blocks import read_adoption, read_next_steps, read_support
from engine.rulebook.reporting import check_sending, read_sending
from engine.rulebook.spec import CLOSE_AFTER, Measure, NamedValue, Report, Segment, Thing, Worth
from engine.rulebook.words import CHILDREN, COMPARISONS, LEADS, PERIODS, REPORT, SPELL_NAMES, VALUE, WORTH

ADDED = frozenset({"count", "sum", "unique", "days_active"})
"""Verbs whose value can be priced: twice as much of it is worth twice as much."""
ACTS = frozenset({"opened", "answered", "closed"})
"""What happens to things; how often it did in a period is a value as the number of events is."""
OF_A_PERIOD = ADDED | {"average", "median", "minimum", "maximum"}
LONGEST_CLOSING = 6 * DAY
"""A report that is ready a week after it was due never leaves."""
QUARTERLY = "-quarterly"
"""What stands behind the id of a monthly report in that of the one for the quarter."""
TOTAL, TO_PRICE = "value_total", "value_to_price"
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


def is_priced(measure: Measure) -> bool:
    """Is twice as much of it worth twice as much, and nothing of it 0?"""
    return measure.verb in ADDED or measure.verb in ACTS


def read_value(reading: Reading, name: str, node: Node) -> NamedValue | None:
    """One entry of ``values``; None when it names no measure."""
    what = f"value {name}"
    keys = reading.mapping(node, what, VALUE)
    if "measure" not in keys or "label" not in keys:
        return None
    unit = reading.text(keys["unit"], f"{what}: unit", 40) if "unit" in keys else ""
    worth, per = _worth(reading, what, keys["worth"]) if "worth" in keys else (None, "")
    if per and unit and per != unit:
        message = f"{what}: the rate is per {per[:40]}, and it counts in the unit {unit}; give both the same unit"
        reading.error(keys["worth"], message)
    return NamedValue(
        name,
        reading.text(keys["measure"], f"{what}: measure", 200),
        reading.text(keys["label"], f"{what}: label", 100),
        unit or per,
        worth,
        node.at,
    )


def _worth(reading: Reading, what: str, node: Node) -> tuple[Worth | None, str]:
    keys = reading.mapping(node, f"{what}: worth", WORTH)
    if ("rate" in keys) == ("sum" in keys):
        if keys:
            reading.error(
                node, f"{what}: worth: needs either rate or sum; write {{rate: 45, currency: EUR, per: hour}}"
            )
        return None, ""
    currency = _currency(reading, what, keys["currency"]) if "currency" in keys else ""
    if "sum" in keys:
        if "per" in keys:
            reading.error(keys["per"], f"{what}: worth: 'per' goes with rate; take it out")
        return Worth(currency, prop=reading.text(keys["sum"], f"{what}: worth: sum", 200)), ""
    for key in ("currency", "per"):
        if key not in keys:
            reading.error(node, f"{what}: worth: '{key}' is missing; a rate is money for one unit; add it")
    raw = keys["rate"].value
    rate = Fraction(raw) if isinstance(raw, int | Decimal) and not isinstance(raw, bool) else Fraction(0)
    if not 0 < rate <= 10**9:
        reading.error(keys["rate"], f"{what}: worth: 'rate' should be a number above 0; found {keys['rate'].text[:40]}")
    per = reading.text(keys["per"], f"{what}: worth: per", 40) if "per" in keys else ""
    return Worth(currency, rate), per


def _currency(reading: Reading, what: str, node: Node) -> str:
    text = reading.text(node, f"{what}: currency", 40)
    if text and not _CURRENCY.fullmatch(text):
        reading.error(node, f"{what}: currency: should be three capital letters such as EUR; found {text!r}")
        return ""
    return text


def read_report(reading: Reading, node: Node) -> Report | None:
    """One report; None when it lacks what it cannot be without."""
    keys = reading.mapping(node, "report", REPORT)
    report_id = reading.slug(keys["id"], "id") if "id" in keys else ""
    what = f"report {report_id}"
    if not {"id", "period", "values"} <= keys.keys():
        return None
    values = reading.texts(keys["values"], f"{what}: values")
    if not values:
        reading.error(keys["values"], f"{what}: 'values' is empty; name at least one of those under values")
    period = reading.word(keys["period"], f"{what}: period", PERIODS)
    return Report(
        report_id,
        period.removeprefix("previous "),
        tuple(dict.fromkeys(values)),
        reading.text(keys["title"], f"{what}: title") if "title" in keys else "",
        reading.text(keys["audience"], f"{what}: audience") if "audience" in keys else "",
        reading.text(keys["price"], f"{what}: price", 200) if "price" in keys else "",
        _compare(reading, what, keys["compare"]) if "compare" in keys else (),
        reading.lines(keys["send_if"], f"{what} send_if") if "send_if" in keys else (),
        reading.lines(keys["unless"], f"{what} unless") if "unless" in keys else (),
        node.at,
        reading.word(keys["lead_with"], f"{what}: lead_with", LEADS) if "lead_with" in keys else "",
        read_support(reading, what, keys["support"]) if "support" in keys else None,
        read_adoption(reading, what, keys["adoption"]) if "adoption" in keys else None,
        read_next_steps(reading, what, keys["next_steps"]) if "next_steps" in keys else None,
        read_sending(reading, what, keys, node.at),
        _close_after(reading, what, keys["close_after"]) if "close_after" in keys else CLOSE_AFTER,
        _may_choose(reading, what, keys),
        gathers="children" in keys and reading.word(keys["children"], f"{what}: children", CHILDREN) == CHILDREN[1],
    )


def _may_choose(reading: Reading, what: str, keys: Mapping[str, Node]) -> bool:
    """May a reader have a report for the quarter instead? Only of one for each month, which is sent."""
    if "readers_may_choose" not in keys:
        return False
    node = keys["readers_may_choose"]
    reading.word(node, f"{what}: readers_may_choose", ["quarterly"])
    if "schedule" not in keys or keys["period"].text != "previous month":
        message = "is for a report of the previous month that is sent; give it a schedule and to, or take it out"
        reading.error(node, f"{what}: readers_may_choose: {message}")
        return False
    if "children" in keys and keys["children"].text == CHILDREN[1]:
        # In the middle of a quarter an account may become a part of another: months left out till then would be lost.
        message = f"does not go with 'children: {CHILDREN[1]}', since who is a part may change in mid-quarter"
        reading.error(node, f"{what}: readers_may_choose: {message}; take out one of the two")
        return False
    return True


def for_quarters(report: Report) -> Report:
    """The report that a reader of a monthly one may choose in its stead: the same, over quarters."""
    sending = report.sending
    if sending is not None:
        sending = replace(sending, schedule=replace(sending.schedule, every="quarter"))
    own = report.id + QUARTERLY
    return replace(report, id=own, unit="quarter", sending=sending, may_choose=False, instead_of=report.id)


def _close_after(reading: Reading, what: str, node: Node) -> int:
    """A span from an hour, since events are on their way, to less than what makes a report too late to leave."""
    span = reading.span(node, f"{what}: close_after")
    if span and not HOUR <= span <= LONGEST_CLOSING:
        reading.error(node, f"{what}: close_after: should be from 1h to 6d; found {node.text}")
        return CLOSE_AFTER
    return span or CLOSE_AFTER


def _compare(reading: Reading, what: str, node: Node) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for item in node.items if node.items is not None else [node]:
        found[reading.word(item, f"{what}: compare", COMPARISONS)] = None
    return tuple(found)


class Around(NamedTuple):
    """The parts of a rulebook that values and reports speak of."""

    values: Mapping[str, NamedValue]
    measures: Mapping[str, Measure]
    segments: Mapping[str, Segment]
    attributes: Mapping[str, str]
    things: Mapping[str, Thing]
    names: Names


def check_reports(reports: Iterable[Report], around: Around, rules: frozenset[str], findings: Findings) -> None:
    """What can only be said of values and reports beside the rest of the rulebook."""
    for value in around.values.values():
        _value(value, around, findings)
    for report in reports:
        _Check(report, around, findings).run()
        check_sending(report, rules, findings)


def _value(value: NamedValue, around: Around, findings: Findings) -> None:
    what, measures = f"value {value.name}", around.measures
    measure = measures.get(value.measure)
    if measure is None:
        hint = suggestion(value.measure, measures) or "; declare it under measures"
        findings.error(value.at, f"{what}: unknown measure '{value.measure[:60]}'{hint}")
        return
    no_value = _not_of_a_period(measure, around.things)
    if no_value:
        findings.error(value.at, f"{what}: '{measure.name}' {no_value}")
    elif measure.per:
        message = (
            f"{what}: '{measure.name}' is per {measure.per}, and a report counts over its period; name one without"
        )
        findings.error(value.at, message)
    elif value.worth and not is_priced(measure):
        can = ", ".join(sorted(ACTS if measure.thing else ADDED))
        findings.error(value.at, f"{what}: {_an(measure.verb)} has no price; only {can} have a worth")


def _not_of_a_period(measure: Measure, things: Mapping[str, Thing]) -> str:
    """Why a measure cannot be counted over a period; nothing when it can."""
    thing = things.get(measure.thing)
    if thing is not None and (thing.each_in or thing.portfolio):
        return f"is over {thing.name}, which neither opens nor closes in an account; count its events"
    if measure.thing and measure.verb not in ACTS and measure.prop not in SPELL_NAMES:
        acts = f"{{opened: {measure.thing}}}, {{closed: {measure.thing}}}"
        hours = f"{{median: answer_hours, of: {measure.thing}}}"
        return f"tells of things at an instant, and a report counts over its period; write {acts} or {hours}"
    if measure.thing or measure.verb in OF_A_PERIOD:
        return ""
    return f"is by {measure.verb}, and a value is by one of {', '.join(sorted(OF_A_PERIOD))}, or over things"


def _an(verb: str) -> str:
    return f"an {verb}" if verb[0] in "aeiou" else f"a {verb}"


class _Check:
    """One report beside the rest of the rulebook."""

    def __init__(self, report: Report, around: Around, findings: Findings) -> None:
        self._report = report
        self._around = around
        self._shown = [around.values[name] for name in report.values if name in around.values]
        self._findings = findings
        self._what = f"report {report.id}"

    def run(self) -> None:
        """Note every fault."""
        report = self._report
        values, segments = self._around.values, self._around.segments
        for name in report.values:
            if name not in values:
                near = suggestion(name, values) or "; declare it under values"
                self._error(f"unknown value '{name[:60]}'{near}")
        if report.audience and report.audience not in segments:
            hint = suggestion(report.audience, segments) or "; declare it under segments"
            self._error(f"unknown segment '{report.audience[:60]}'{hint}")
        self._price()
        self._twice()
        self._conditions()

    def _error(self, message: str) -> None:
        self._findings.error(self._report.at, f"{self._what}: {message}")

    def _price(self) -> None:
        name = self._report.price
        if not name:
            return
        if self._around.attributes.get(name) != "number":
            numbers = [one for one, kind in self._around.attributes.items() if kind == "number"]
            near = suggestion(name, numbers) or f"; name one of {listed(numbers)}"
            self._error(f"price: '{name[:60]}' is no attribute that is declared a number{near}")
        elif self._report.unit == "week":
            self._error("price: it is what an account pays a month, and a week is no part of one; take it out")

    def _twice(self) -> None:
        """Two prices on the same events would count one benefit twice."""
        priced: dict[str, str] = {}
        for value in self._shown:
            measure = self._around.measures.get(value.measure)
            if measure is None or value.worth is None:
                continue
            act = measure.verb if measure.thing else ""
            mark = repr((measure.types, measure.where, measure.thing, act))
            if mark in priced:
                message = (
                    f"{self._what}: {priced[mark]} and {value.name} both put a price on the same events, "
                    "so that the total counts them twice; leave one without worth"
                )
                self._findings.warning(self._report.at, message)
            priced.setdefault(mark, value.name)

    def _conditions(self) -> None:
        account = dict(self._around.names.account)
        for value in self._shown:
            measure = self._around.measures.get(value.measure)
            account[f"value.{value.name}"] = Info("number", nullable=measure is None or not is_priced(measure))
        if any(value.worth for value in self._shown):
            account[TOTAL] = Info("number")
            if self._report.price:
                account[TO_PRICE] = Info("number")
        conditions = Conditions(Names(account, self._around.names.things), self._findings)
        sections = {"send_if": self._report.send_if, "unless": self._report.unless}
        if self._report.sending is not None:
            sections["review_if"] = self._report.sending.review_if
        for section, lines in sections.items():
            for line in lines:
                if not self._priced(line.term.names(), account):
                    continue
                before = len(self._findings.errors)
                conditions.check(line, f"{self._what} {section}")
                if section == "unless" and len(self._findings.errors) == before and conditions.nullable(line):
                    message = "can be unknown; say what that means: known(x) and ..., or coalesce(x, 0)"
                    self._findings.error(line.at, f"{self._what} unless: {message}")

    def _priced(self, used: list[str], account: Mapping[str, Info]) -> bool:
        """Are the names of money there that a line uses?"""
        for name in (TOTAL, TO_PRICE):
            if name in used and name not in account:
                lacks = "a price" if TOTAL in account else "a value with a worth"
                self._error(f"'{name}' is unknown for ever: the report has not {lacks}; add one")
                return False
        return True
