"""Cases: the tests that a rule carries with it, run on the real engine with a clock of their own."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine import portfolio
from engine.account import PORTFOLIO
from engine.decision import Decision, Fact, Mail
from engine.events import split_personal
from engine.instants import Instant, iso
from engine.lane import Lane
from engine.log import EngineEntry, Event, Recorded
from engine.program import Program
from engine.rulebook.book import Rulebook, replace_rule, without
from engine.rulebook.findings import Findings, Place, suggestion
from engine.rulebook.nodes import Node
from engine.rulebook.reading import Reading
from engine.rulebook.spec import Rule
from engine.rulebook.words import CASE, EXPECT, GIVEN
from engine.values import to_json
from engine.zones import Day, Zone, date_of, valid_zone, zone

DAY_ZERO: Day = 20_514
"""Monday 2026-03-02."""
NOON = 12 * 60
DEFAULT_SPAN = 40
MOST_EVENTS = 100_000
_DAY_VALUE = re.compile(r"day (-?\d{1,5})(?: (\d\d:\d\d))?")
_EVERY = re.compile(r"(\d{1,3})d")

Render = Callable[[Sequence[Decision], Mail, Mapping[str, Mapping[str, Any]]], str]
"""From joined decisions, one of their mails and the personal traits of people to the text of the mail."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that did not come out as written."""

    place: Place
    rule: str
    case: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: rule {self.rule}, case '{self.case}': {self.message}"


@dataclass(slots=True)
class CaseReport:
    """What running cases gave."""

    passed: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many cases did not come out."""
        return len(self.failures)


@dataclass(frozen=True, slots=True)
class Given:
    """One event of a case: its local day and minute."""

    day: int
    minute: int
    type: str
    user: str | None
    account: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """One entry of ``expect``: what is named must be so."""

    day: int
    at: Place
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A case as written, repeats unrolled."""

    name: str
    place: Place
    given: tuple[Given, ...]
    until: int
    short: str = ""
    expected: tuple[Expected, ...] = ()


def read_cases(rule: Rule, node: Node, findings: Findings) -> list[Case]:
    """The cases of a rule from its node; faults go to ``findings``."""
    return _Reader(rule, findings).cases(node)


def run_cases(book: Rulebook, *, render: Render | None = None, only: Sequence[str] | None = None) -> CaseReport:
    """Run the cases of all rules (or of those in ``only``) on the engine."""
    report = CaseReport()
    for rule in book.written:
        if only is not None and rule.id not in only:
            continue
        cases = read_cases(rule, book.sources[rule.id], Findings())
        program = program_for(book, rule) if cases else None
        for case in cases:
            message = judge(program, rule, case, render) if program else None
            if message is None:
                report.passed += 1
            else:
                report.failures.append(Failure(case.place, rule.id, case.name, message))
    return report


def check_cases(book: Rulebook) -> list[Any]:
    """Findings in the cases themselves."""
    findings = Findings()
    for rule in book.written:
        read_cases(rule, book.sources[rule.id], findings)
    return findings.all()


def mutants(book: Rulebook, only: Sequence[str] | None = None) -> list[Failure]:
    """Lines of ``when`` and ``unless`` that no case needs: dropping one leaves every case of its rule as it was."""
    unneeded = []
    for rule in book.written:
        if only is not None and rule.id not in only:
            continue
        cases = read_cases(rule, book.sources[rule.id], Findings())
        for section in ("when", "unless"):
            for index, line in enumerate(getattr(rule, section) if cases else ()):
                changed = without(book, rule.id, section, index)
                program = program_for(changed, changed.rule(rule.id))
                if all(judge(program, changed.rule(rule.id), case, None) is None for case in cases):
                    message = f"no case needs this line of {section}: {line.text}; add a case that only it decides"
                    unneeded.append(Failure(line.at, rule.id, section, message))
    return unneeded


def program_for(book: Rulebook, rule: Rule) -> Program:
    """The rule alone, live and without holdout, as cases want it."""
    return Program(replace_rule(book, rule))


def judge(program: Program, rule: Rule, case: Case, render: Render | None) -> str | None:
    """Run one case; None when it came out as written, else what was expected and what happened."""
    run = _Run(program, case)
    decided = [row for row in run.go() if row.rule == rule.id]
    if case.short:
        return _short(case, decided, run)
    return _complete(case, decided, run, render)


def _short(case: Case, decided: list[Decision], run: "_Run") -> str | None:
    live = [row for row in decided if row.outcome != "withdrawn"]
    withdrawn = len(decided) - len(live)
    if case.short == "silent":
        return None if not decided else f"expected silence; {_told(decided, run)}"
    groups = {tuple(sorted((mail.to, mail.due_at) for mail in row.mails)) or row.decision_id for row in live}
    if len(groups) == 1 and not withdrawn:
        return None
    return f"expected exactly one by the end of day {case.until}; {_told(decided, run)}"


def _complete(case: Case, decided: list[Decision], run: "_Run", render: Render | None) -> str | None:
    left = list(decided)
    for expected in case.expected:
        matched = _match(expected, left, run, render)
        if not matched:
            reasons = [_mismatch(expected, [row], run, render) for row in left]
            hint = f"; nearest: {next(filter(None, reasons))}" if any(reasons) else ""
            return f"expected {_wanted(expected)}; {_told(left, run)}{hint}"
        left = [row for row in left if row not in matched]
    return f"expected no more; {_told(left, run)}" if left else None


def _match(expected: Expected, left: list[Decision], run: "_Run", render: Render | None) -> list[Decision]:
    about = expected.fields.get("about")
    if isinstance(about, list):
        rows = [row for row in left if row.subject and row.subject.id in about]
        rows = [row for row in rows if _mismatch(expected, [row], run, None, skip=("about", "mail")) is None]
        same = {row.subject.id for row in rows if row.subject} == {str(one) for one in about}
        return rows if same and _mismatch(expected, rows, run, render, skip=("about",)) is None else []
    return next(([row] for row in left if _mismatch(expected, [row], run, render) is None), [])


def _mismatch(
    expected: Expected,
    rows: list[Decision],
    run: "_Run",
    render: Render | None,
    skip: Sequence[str] = (),
) -> str | None:
    row, fields = rows[0], {key: value for key, value in expected.fields.items() if key not in skip}
    where = run.zone_of(row.account_id)
    day, clock = where.day(row.at) - DAY_ZERO, where.local(row.at).strftime("%H:%M")
    if day != expected.day:
        return f"it was on day {day}"
    if "at" in fields and fields["at"] != clock:
        return f"it was at {clock}"
    if "about" in fields and (row.subject is None or row.subject.id != str(fields["about"])):
        return f"it is about {row.subject.id if row.subject else 'the account'}"
    if row.account_id != fields.get("account", row.account_id if row.account_id == PORTFOLIO else "acme"):
        return f"it is of account {row.account_id}"
    if row.outcome != fields.get("outcome", row.outcome if row.outcome != "withdrawn" else "planned"):
        return f"its outcome is {row.outcome}"
    readers = sorted(mail.to for mail in row.mails)
    if "to" in fields and sorted(_several(fields["to"])) != readers:
        return f"it goes to {', '.join(readers) or 'nobody'}"
    if "reason" in fields and not any(fields["reason"] in (mail.why or "") for mail in row.mails):
        return "it has another reason"
    for name, value in fields.get("values", {}).items():
        if name not in row.values or row.values[name] != value:
            return f"{name} is {row.values.get(name)}"
    return _mail_mismatch(fields, rows, run, render)


def _mail_mismatch(fields: Mapping[str, Any], rows: list[Decision], run: "_Run", render: Render | None) -> str | None:
    if "mail" not in fields or render is None:
        return None
    texts = [render(rows, mail, run.people.get(rows[0].account_id, {})) for mail in rows[0].mails]
    if any(fields["mail"] in text for text in texts):
        return None
    return f"no mail says {fields['mail']!r}" if texts else "there is no mail"


def _several(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _wanted(expected: Expected) -> str:
    words = [f"day {expected.day}", *(f"{key} {value}" for key, value in expected.fields.items())]
    return ", ".join(words)


def _told(decided: list[Decision], run: "_Run") -> str:
    if not decided:
        return "nothing was decided"
    rows = []
    for row in sorted(decided, key=lambda one: (one.at, one.decision_id))[:5]:
        about = f" about {row.subject.id}" if row.subject else ""
        rows.append(f"{row.outcome} on day {run.zone_of(row.account_id).day(row.at) - DAY_ZERO}{about}")
    more = f" and {len(decided) - len(rows)} more" if len(decided) > len(rows) else ""
    return f"found {', '.join(rows)}{more}"


class _Run:
    """One case on a lane of its own, its clock going with the events."""

    def __init__(self, program: Program, case: Case) -> None:
        self._program = program
        self._case = case
        self._lanes_zone = zone(program.book.policy.timezone)
        self._zones: dict[str, Zone] = {}
        self.people: dict[str, dict[str, dict[str, Any]]] = {}
        for given in case.given:
            if given.type == "account.updated" and "timezone" in given.properties:
                self._zones[given.account] = valid_zone(given.properties["timezone"], self._lanes_zone)

    def zone_of(self, account_id: str) -> Zone:
        """The zone of an account of the case."""
        return self._zones.get(account_id, self._lanes_zone)

    def go(self) -> list[Decision]:
        """Every decision of the case, with what became of it."""
        stored: dict[str, list[Recorded]] = {}
        lane = Lane(
            lambda _mark: self._program,
            lambda account, position: [row for row in stored.get(account, []) if row.position <= position],
        )
        rows = self._events()
        end = self.zone_of("acme").start(DAY_ZERO + self._case.until + 1) - 1
        steps = portfolio.Steps(self._program.book, None, sources=False)
        facts = list(lane.take(EngineEntry(1, rows[0].time if rows else end, "rulebook.activated", None, _ACTIVE)))
        position = 1
        for event in rows:
            if event.time > end:
                break
            position = self._steps(lane, steps, event.time, position, facts)
            position += 1
            stored_event, traits = split_personal(event, self._program.book.personal)
            self._remember(event, traits)
            recorded = Recorded(position, max(lane.clock or event.time, event.time), stored_event)
            stored.setdefault(event.account_id, []).append(recorded)
            facts += lane.take(recorded)
        self._steps(lane, steps, end, position, facts)
        facts += lane.advance(end)
        return _last(facts)

    def _steps(self, lane: Lane, steps: portfolio.Steps, until: Instant, position: int, facts: list[Any]) -> int:
        for step in steps.due(until):
            facts += lane.advance(step)
            position += 1
            body = {
                **portfolio.total(self._program, [portfolio.share(self._program, lane, step)], step),
                "decides": True,
                "daily": portfolio.is_daily(step),
            }
            facts += lane.take(EngineEntry(position, step, "portfolio.measured", None, body))
        return position

    def _remember(self, event: Event, traits: Mapping[str, Any]) -> None:
        if event.user_id is not None and traits:
            self.people.setdefault(event.account_id, {}).setdefault(event.user_id, {}).update(traits)

    def _events(self) -> list[Event]:
        rows = []
        for number, given in enumerate(self._case.given):
            where = self.zone_of(given.account)
            at = where.wall(DAY_ZERO + given.day, given.minute)
            properties = {key: _value(value, where) for key, value in given.properties.items()}
            rows.append(Event(f"given-{number}", given.type, given.account, given.user, at, properties))
        return sorted(rows, key=lambda event: event.time)


_ACTIVE = {"fingerprint": "case"}


def _last(facts: Sequence[Fact]) -> list[Decision]:
    found: dict[str, Decision] = {}
    for fact in facts:
        if isinstance(fact, Decision):
            found[fact.decision_id] = fact
    return list(found.values())


def _value(value: Any, where: Zone) -> Any:
    if isinstance(value, str) and (found := _DAY_VALUE.fullmatch(value)):
        day = DAY_ZERO + int(found[1])
        if found[2] is None:
            return date_of(day).isoformat()
        minutes = int(found[2][:2]) * 60 + int(found[2][3:])
        return iso(where.wall(day, minutes))
    if isinstance(value, dict):
        return {key: _value(item, where) for key, item in value.items()}
    return [_value(item, where) for item in value] if isinstance(value, list) else value


class _Reader:
    """Reads cases: repeats are unrolled, ``like`` is followed."""

    def __init__(self, rule: Rule, findings: Findings) -> None:
        self._rule = rule
        self._findings = findings
        self._reading = Reading(findings)
        self._own: dict[str, Node] = {}

    def cases(self, rule: Node) -> list[Case]:
        """All cases of the rule's node."""
        keys = rule.keys or {}
        background = self._given(keys["background"][1]) if "background" in keys else []
        nodes = self._reading.items(keys["cases"][1], "cases") if "cases" in keys else []
        for node in nodes:
            name = (node.keys or {}).get("name")
            if name is not None and name[1].text in self._own:
                self._findings.error(name[1].at, f"case '{name[1].text}' stands twice; rename one")
            elif name is not None:
                self._own[name[1].text] = node
        return [case for node in nodes if (case := self._case(node, background)) is not None]

    def _case(self, node: Node, background: list[Given]) -> Case | None:
        keys = self._reading.mapping(node, "case", CASE)
        if "expect" not in keys:
            return None
        name = self._reading.text(keys["name"], "name") if "name" in keys else "case"
        given = tuple(background + self._like(node, []))
        last = max((one.day for one in given), default=0)
        expect = keys["expect"]
        if expect.items is None and expect.text not in {"sends", "silent"}:
            self._findings.error(expect.at, "expect: should be sends, silent or a list of decisions")
            return None
        if "at" in keys:
            return Case(name, node.at, given, self._day(keys["at"]), _short_form(expect))
        until = self._day(keys["until"]) if "until" in keys else last + DEFAULT_SPAN
        if expect.items is None:
            return Case(name, node.at, given, until, _short_form(expect))
        expected = tuple(self._expected(one) for one in expect.items)
        return Case(name, node.at, given, until, "", expected)

    def _like(self, node: Node, seen: list[Node]) -> list[Given]:
        keys = node.keys or {}
        own = self._given(keys["given"][1]) if "given" in keys else []
        if "like" not in keys:
            return own
        other = self._own.get(keys["like"][1].text)
        if other is None or other in seen or other is node:
            hint = suggestion(keys["like"][1].text, self._own)
            self._findings.error(keys["like"][1].at, f"like: no other case has that name{hint}")
            return own
        return self._like(other, [*seen, node]) + own

    def _day(self, node: Node) -> int:
        text = str(node.value).removeprefix("day ")
        if not re.fullmatch(r"\d{1,4}", text):
            self._findings.error(node.at, f"should be a day such as day 11; found {node.text[:40] or node.kind}")
            return 0
        return int(text)

    def _given(self, node: Node) -> list[Given]:
        rows: list[Given] = []
        for one in self._reading.items(node, "given"):
            keys = self._reading.mapping(one, "given", GIVEN)
            if "day" not in keys or "event" not in keys:
                continue
            rows += self._repeated(keys)
            if len(rows) > MOST_EVENTS:
                self._findings.error(one.at, f"given: more than {MOST_EVENTS} events; a case should be small")
                return rows[:MOST_EVENTS]
        return rows

    def _repeated(self, keys: dict[str, Node]) -> Iterator[Given]:
        read = self._reading
        day = read.whole(keys["day"], "day", 0, 3660)
        minute = read.clock(keys["at"], "at") if "at" in keys else NOON
        event = read.text(keys["event"], "event", 200)
        user = read.text(keys["user"], "user") if "user" in keys else None
        account = read.text(keys["account"], "account") if "account" in keys else "acme"
        properties = self._properties(keys["with"]) if "with" in keys else {}
        for at in self._days(keys, day):
            yield Given(at, minute, event, user, account, properties)

    def _properties(self, node: Node) -> dict[str, Any]:
        if node.keys is None:
            self._findings.error(node.at, f"with: should be a mapping; found {node.kind}; write property: value")
            return {}
        self._reading.whole_literals(node, "with")
        found: dict[str, Any] = node.plain()
        return found

    def _days(self, keys: dict[str, Node], day: int) -> list[int]:
        read = self._reading
        if not {"until", "times", "every"} & set(keys):
            return [day]
        last = read.whole(keys["until"], "until", day, 3660) if "until" in keys else 3660
        times = read.whole(keys["times"], "times", 1, 10_000) if "times" in keys else 10_000
        if "until" not in keys and "times" not in keys:
            self._findings.error(keys["every"].at, "every: needs until or times; say when it ends")
            return [day]
        step, weekdays = 1, False
        if "every" in keys:
            found = _EVERY.fullmatch(keys["every"].text)
            weekdays = keys["every"].text == "weekday"
            if not weekdays and (found is None or int(found[1]) == 0):
                self._findings.error(keys["every"].at, "every: should be such as 2d, or weekday")
            step = max(int(found[1]), 1) if found else 1
        days = [at for at in range(day, last + 1, step) if not weekdays or date_of(DAY_ZERO + at).weekday() < 5]  # noqa: PLR2004
        return days[:times]

    def _expected(self, node: Node) -> Expected:
        keys = self._reading.mapping(node, "expect", EXPECT)
        day = self._reading.whole(keys["day"], "day", 0, 3660) if "day" in keys else 0
        if "values" in keys:
            self._reading.whole_literals(keys["values"], "values")
        fields = {key: _plain(inner.plain()) for key, inner in keys.items() if key != "day"}
        return Expected(day, node.at, fields)


def _short_form(expect: Node) -> str:
    return "silent" if expect.items == [] else expect.text


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return to_json(float(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


__all__ = ["Case", "CaseReport", "Failure", "Render", "check_cases", "mutants", "read_cases", "run_cases"]
