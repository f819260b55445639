"""A rulebook: a folder of files becomes one checked value, or a list of findings with places."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from engine.domains import wire
from engine.errors import RulebookError
from engine.hours import longest_closed
from engine.instants import DAY, HOUR
from engine.rulebook.agreed import GOAL, goal_thing, is_derived
from engine.rulebook.contact import kind_of
from engine.rulebook.findings import Finding, Findings, Place, listed, suggestion
from engine.rulebook.names import Conditions, Names, account_infos, thing_infos
from engine.rulebook.nodes import Node, load
from engine.rulebook.reading import Reading
from engine.rulebook.report_blocks import Blocks, check_blocks
from engine.rulebook.reporting import NOTE_TEMPLATE, TEMPLATE, rules_of
from engine.rulebook.reports import Around, check_reports, for_quarters, read_report, read_value
from engine.rulebook.rules import OWNERS, read_rule, staff_reader
from engine.rulebook.sections import (
    is_address,
    read_attributes,
    read_measures,
    read_policy,
    read_score,
    read_segment,
    read_thing,
)
from engine.rulebook.spec import Measure, NamedValue, Outreach, Policy, Report, Rhythm, Rule, Score, Segment, Thing
from engine.rulebook.topics import topics_of
from engine.rulebook.words import MOMENTS, SECTIONS, USUAL_ACCOUNT, USUAL_PERSON

_T = TypeVar("_T")
NO_POLICY = Policy()
MAX_RULES = 2_000
BUILT_IN = ("account_age_days", "event", "account", "you", "links", "why", "with", "value", *MOMENTS)


@dataclass(frozen=True, slots=True)
class TemplateNeeds:
    """What the engine must know of a template: for whom it is and which values it needs."""

    name: str
    audience: str
    mail_class: str
    needs: tuple[str, ...]
    at: Place


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A checked rulebook: ``files`` are its texts by path, ``fingerprint`` stands for what can change a decision."""

    account_attributes: Mapping[str, str] = field(default_factory=dict)
    person_attributes: Mapping[str, str] = field(default_factory=dict)
    things: Mapping[str, Thing] = field(default_factory=dict)
    measures: Mapping[str, Measure] = field(default_factory=dict)
    segments: Mapping[str, Segment] = field(default_factory=dict)
    scores: Mapping[str, Score] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    policy: Policy = NO_POLICY
    templates: Mapping[str, TemplateNeeds] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    sources: Mapping[str, Node] = field(default_factory=dict)
    values: Mapping[str, NamedValue] = field(default_factory=dict)
    reports: tuple[Report, ...] = ()

    @property
    def names(self) -> Names:
        """The registry of names."""
        return Names(
            account_infos(
                self.account_attributes,
                self.measures.values(),
                self.segments.values(),
                self.scores.values(),
            ),
            {name: thing_infos(thing, self.person_attributes) for name, thing in self.things.items()},
        )

    @property
    def personal(self) -> frozenset[str]:
        """Traits of people that never stay in events."""
        return frozenset(name for name, kind in self.person_attributes.items() if kind == "personal")

    @property
    def written(self) -> tuple[Rule, ...]:
        """The rules that stand under ``rules``, without those that reports are."""
        return tuple(rule for rule in self.rules if not rule.report)

    def report(self, report_id: str) -> Report:
        """The report of that id; raises ``RulebookError`` with a suggestion."""
        for report in self.reports:
            if report.id == report_id:
                return report
        ids = [report.id for report in self.reports]
        hint = suggestion(report_id, ids) or (f"; there are {listed(ids)}" if ids else "; it has no reports")
        msg = f"report '{report_id}': not in the rulebook{hint}"
        raise RulebookError(msg)

    def over_all(self, rule: Rule) -> bool:
        """Is a rule about the portfolio, or about a thing in it, so that no account is its subject?"""
        return rule.subject == "portfolio" or bool(rule.thing and self.things[rule.thing].portfolio)

    def rule(self, rule_id: str) -> Rule:
        """The rule of that id; raises ``RulebookError`` with a suggestion."""
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        ids = [rule.id for rule in self.rules]
        hint = suggestion(rule_id, ids) or f"; there are {listed(ids)}"
        msg = f"rule '{rule_id}': not in the rulebook{hint}"
        raise RulebookError(msg)


def fingerprint_of(files: Mapping[str, str]) -> str:
    """The fingerprint of a rulebook's files."""
    rows = sorted((path, body) for path, body in files.items() if decides(path))
    text = "\0".join(part for row in rows for part in row)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def decides(path: str) -> bool:
    """Can a file of that path change a decision? Rules and what templates need can, mail texts cannot."""
    return path.endswith(("template.yml", "template.yaml")) or not path.startswith("templates/")


def load_rulebook(files: Mapping[str, str], *, duties: bool = True) -> tuple[Rulebook | None, list[Finding]]:
    """Read and check a rulebook from its files (path to text). With any error there is no rulebook.

    Paths are relative to the rulebook's folder: ``rules/churn.yml``, ``templates/we-miss-you/template.yml``.
    """
    findings = Findings()
    book = _Builder(findings, duties=duties).build(files)
    if duties:
        # Cases run on the engine, which reads rulebooks: only here is it asked to read one's cases.
        from engine.cases import read_cases  # noqa: PLC0415

        for rule in book.written:
            read_cases(rule, book.sources[rule.id], findings)
    return (None if findings.errors else book), findings.all()


def must_load(files: Mapping[str, str]) -> Rulebook:
    """Read a rulebook that was checked before (a stored one). Raises ``RulebookError`` with the first faults."""
    book, findings = load_rulebook(files, duties=False)
    if book is None:
        errors = [str(finding) for finding in findings if finding.severity == "error"]
        msg = "\n".join(errors[:20])
        raise RulebookError(msg)
    return book


def without(book: Rulebook, rule_id: str, section: str, index: int) -> Rulebook:
    """The same rulebook with one line of ``when`` or ``unless`` of a rule dropped, for ``test --mutate``."""

    def drop(rule: Rule) -> Rule:
        lines = tuple(line for at, line in enumerate(getattr(rule, section)) if at != index)
        return replace(rule, when=lines) if section == "when" else replace(rule, unless=lines)

    return replace(book, rules=tuple(drop(rule) if rule.id == rule_id else rule for rule in book.rules))


def replace_rule(book: Rulebook, rule: Rule) -> Rulebook:
    """The rulebook with this rule alone, live and without holdout: what its cases run on."""
    return replace(book, rules=(replace(rule, status="live", holdout=0.0),))


class _Builder:
    def __init__(self, findings: Findings, *, duties: bool) -> None:
        self._findings = findings
        self._reading = Reading(findings, dutiful=duties)
        self._dutiful = duties
        self._owners: dict[str, Place] = {}

    def build(self, files: Mapping[str, str]) -> Rulebook:
        roots = self._roots(files)
        account, person = dict(USUAL_ACCOUNT), dict(USUAL_PERSON)
        for _, node in self._sections(roots, "attributes"):
            more_account, more_person = read_attributes(self._reading, node)
            account.update(more_account)
            person.update(more_person)
        declared = (name for _, node in self._sections(roots, "things") for name in (node.keys or {}))
        kinds = frozenset([*declared, "person", GOAL])
        things = {"person": Thing("person"), GOAL: goal_thing()}
        things.update(self._collect(roots, "things", lambda name, node: read_thing(self._reading, name, node, kinds)))
        measures = {
            measure.name: measure
            for _, node in self._sections(roots, "measures")
            for measure in read_measures(self._reading, node, kinds)
        }
        segments = self._collect(roots, "segments", lambda name, node: read_segment(self._reading, name, node))
        scores = self._collect(roots, "scores", lambda name, node: read_score(self._reading, name, node))
        rules, nodes = self._rules(roots, kinds)
        reports = self._reports(roots)
        rules += [rule for report in reports for rule in rules_of(report, segments)]
        templates = self._templates(files)
        policy = self._policy(roots, account)
        once_across = tuple((rule.id, span) for rule in rules if (span := rule.once_across) is not None)
        topics = topics_of(rules, policy.topics.known, self._findings)
        rhythms = tuple(
            Rhythm(one.instead_of, one.id, one.title or one.instead_of) for one in reports if one.instead_of
        )
        policy = replace(policy, topics=topics, once_across=once_across, rhythms=rhythms)
        book = Rulebook(
            account,
            person,
            things,
            measures,
            segments,
            scores,
            tuple(rules),
            policy,
            templates,
            {path: text for path, text in files.items() if decides(path)},
            fingerprint_of(files),
            nodes,
            self._values(roots),
            reports,
        )
        self._clashes(roots, book)
        _Checks(book, self._findings, duties=self._dutiful).run()
        return book

    def _roots(self, files: Mapping[str, str]) -> list[Node]:
        roots = []
        for path, text in sorted(files.items()):
            if path.startswith("templates/"):
                continue
            root = load(path, text, self._findings)
            if root is None:
                continue
            if root.keys is None:
                self._findings.error(root.at, f"a rulebook file should be a mapping of sections; found {root.kind}")
                continue
            self._reading.mapping(root, "rulebook", SECTIONS)
            roots.append(root)
        return roots

    def _sections(self, roots: list[Node], section: str) -> Iterable[tuple[Node, Node]]:
        for root in roots:
            if root.keys and section in root.keys:
                yield root, root.keys[section][1]

    def _collect(self, roots: list[Node], section: str, read: Callable[[str, Node], _T]) -> dict[str, _T]:
        found: dict[str, _T] = {}
        for _, node in self._sections(roots, section):
            for name, _at, inner in self._reading.named(node, section):
                found[name] = read(name, inner)
        return found

    def _values(self, roots: list[Node]) -> dict[str, NamedValue]:
        read = self._collect(roots, "values", lambda name, node: read_value(self._reading, name, node))
        return {name: value for name, value in read.items() if value is not None}

    def _reports(self, roots: list[Node]) -> tuple[Report, ...]:
        found: dict[str, Report] = {}
        for _, section in self._sections(roots, "reports"):
            for node in self._reading.items(section, "reports"):
                report = read_report(self._reading, node)
                if report is not None and report.id in found:
                    message = f"report '{report.id}' stands twice, first at {found[report.id].at}; rename one"
                    self._findings.error(report.at, message)
                elif report is not None:
                    found[report.id] = report
        for report in [one for one in found.values() if one.may_choose]:
            quarterly = for_quarters(report)
            if quarterly.id in found:
                message = f"report '{quarterly.id}' stands for readers of '{report.id}' who chose it; rename this one"
                self._findings.error(found[quarterly.id].at, message)
            found[quarterly.id] = quarterly
        return tuple(found.values())

    def _rules(self, roots: list[Node], kinds: frozenset[str]) -> tuple[list[Rule], dict[str, Node]]:
        rules: list[Rule] = []
        nodes: dict[str, Node] = {}
        for _, section in self._sections(roots, "rules"):
            for node in self._reading.items(section, "rules"):
                rule = read_rule(self._reading, node, kinds)
                if rule is None:
                    continue
                if rule.id in nodes:
                    self._findings.error(
                        rule.at, f"rule '{rule.id}' stands twice, first at {nodes[rule.id].at}; rename one"
                    )
                    continue
                rules.append(rule)
                nodes[rule.id] = node
        if len(rules) > MAX_RULES:
            self._findings.error(rules[MAX_RULES].at, f"more than {MAX_RULES} rules; split the rulebook")
        return rules, nodes

    def _policy(self, roots: list[Node], account: dict[str, str]) -> Policy:
        found = [node for _, node in self._sections(roots, "policy")]
        for extra in found[1:]:
            self._findings.error(extra.at, f"a second policy; the first is at {found[0].at}; keep one")
        policy = read_policy(self._reading, found[0]) if found else Policy()
        for name, value in policy.contact.exclude_accounts:
            if name not in account:  # else its value would not be known when a mail wants to leave
                account[name] = kind_of(value)
                self._findings.warning(
                    found[0].at,
                    f"exclude.accounts: '{name}' is declared nowhere; it is read as {account[name]}; "
                    "look for a slip of the pen, or declare it under attributes.account",
                )
        return policy

    def _templates(self, files: Mapping[str, str]) -> dict[str, TemplateNeeds]:
        templates = {}
        for path, text in sorted(files.items()):
            parts = path.split("/")
            if len(parts) != 3 or parts[0] != "templates" or parts[2] != "template.yml":  # noqa: PLR2004
                continue
            node = load(path, text, self._findings)
            if node is None or node.keys is None:
                self._findings.error(Place(path), "template.yml: should be a mapping with for: customer or staff")
                continue
            audience = (
                self._reading.word(node.keys["for"][1], "for", ["customer", "staff"]) if "for" in node.keys else ""
            )
            if not audience:
                self._findings.error(node.at, "template.yml: 'for' is missing; write for: customer or for: staff")
            needs = self._reading.texts(node.keys["needs"][1], "needs") if "needs" in node.keys else ()
            mail_class = node.keys["class"][1].text if "class" in node.keys else ""
            templates[parts[1]] = TemplateNeeds(parts[1], audience, mail_class, needs, node.at)
        return templates

    def _clashes(self, roots: list[Node], book: Rulebook) -> None:
        taken: dict[str, str] = dict.fromkeys(BUILT_IN, "a built-in name")
        for name in USUAL_ACCOUNT:
            taken[name] = "an attribute of every rulebook"
        for section in ("things", "measures", "segments", "scores"):
            for _, node in self._sections(roots, section):
                for name, (at, _inner) in (node.keys or {}).items():
                    if section == "things" and name in {"person", GOAL} and name not in taken:
                        continue
                    declared = "an attribute" if name in book.account_attributes and name not in taken else ""
                    before = taken.get(name, declared)
                    if before:
                        self._findings.error(at, f"{section}: '{name}' is {before} too; no two may share a name")
                    taken[name] = f"declared under {section} at {at}"


class _Checks:
    """What can only be said of the rulebook as a whole."""

    def __init__(self, book: Rulebook, findings: Findings, *, duties: bool) -> None:
        self._book = book
        self._findings = findings
        self._dutiful = duties
        self._names = self._with_nullable_segments()

    def run(self) -> None:
        self._cycles()
        plain = Conditions(self._names, self._findings)
        for segment in self._book.segments.values():
            for line in segment.when:
                plain.check(line, f"segment {segment.name}")
        for score in self._book.scores.values():
            self._score(score, plain)
        for measure in self._book.measures.values():
            self._measure(measure)
        for thing in self._book.things.values():
            self._thing(thing)
        for rule in self._book.rules:
            if rule.report:
                self._of_report(rule)
            else:
                self._rule(rule)
        book = self._book
        around = Around(book.values, book.measures, book.segments, book.account_attributes, book.things, self._names)
        written = frozenset(rule.id for rule in book.rules if not rule.report)
        check_reports(book.reports, around, written, self._findings)
        blocks = Blocks(book.things, book.measures, book.account_attributes, book.rules, book.policy.calendars)
        for report in book.reports:
            check_blocks(report, blocks, self._findings)

    def _with_nullable_segments(self) -> Names:
        names = self._book.names
        account = dict(names.account)
        quiet = Findings()
        for _ in self._book.segments:
            conditions = Conditions(Names(account, names.things), quiet)
            for segment in self._book.segments.values():
                nullable = any(conditions.nullable(line) for line in segment.when)
                account[segment.name] = replace(account[segment.name], nullable=nullable)
        return Names(account, names.things)

    def _cycles(self) -> None:
        uses = {
            segment.name: [n for line in segment.when for n in line.term.names()]
            for segment in self._book.segments.values()
        }
        uses.update(
            {
                s.name: [n.partition(".")[0] for p in s.parts for n in p.value.term.names()]
                for s in self._book.scores.values()
            }
        )
        for name in uses:
            if _reaches(name, name, uses, set()):
                at = (self._book.segments.get(name) or self._book.scores[name]).at
                self._findings.error(at, f"'{name}' is defined by itself; break the circle")

    def _score(self, score: Score, plain: Conditions) -> None:
        for part in score.parts:
            what = f"score {score.name}.{part.name}"
            plain.check(part.value, what, wants="number")
            for name in part.value.term.names():
                info = self._names.account.get(name)
                if info is not None and info.moves:
                    self._findings.error(
                        part.value.at, f"{what}: '{name}' moves with the clock and has no place in a score; use days"
                    )

    def _measure(self, measure: Measure) -> None:
        book = self._book
        what = f"measure {measure.name}"
        if measure.verb in {"held_days", "days_to", "hours_to", "moved_later"} and not measure.thing:
            declared = book.account_attributes.get(measure.prop)
            if declared is None:
                hint = suggestion(measure.prop, book.account_attributes)
                self._findings.error(measure.at, f"{what}: unknown attribute '{measure.prop[:60]}'{hint or _DECLARE}")
            elif measure.verb != "held_days" and declared != "date":
                self._findings.error(
                    measure.at,
                    f"{what}: '{measure.prop}' is declared {declared}; declare it date under attributes",
                )
        if measure.verb == "portfolio":
            self._portfolio(measure)
        if measure.thing and measure.verb in {"sum", "average", "median", "minimum", "maximum"}:
            self._over_things(measure)
        if measure.segment and measure.segment not in book.segments:
            hint = suggestion(measure.segment, book.segments) or "; declare it under segments"
            self._findings.error(measure.at, f"{what}: unknown segment '{measure.segment[:60]}'{hint}")

    def _over_things(self, measure: Measure) -> None:
        thing = self._book.things.get(measure.thing)
        if thing is None or measure.prop in {"answer_hours", "solve_hours"}:
            return
        info = self._names.things[measure.thing].get(measure.prop)
        if info is None and thing.name == "person":
            hint = suggestion(measure.prop, self._names.things["person"]) or "; declare it under attributes: person"
            self._findings.error(measure.at, f"measure {measure.name}: a person has no '{measure.prop[:60]}'{hint}")
        if info is not None and info.kind not in {"number", "any"}:
            self._findings.error(measure.at, f"measure {measure.name}: '{measure.prop}' is no number; name one that is")

    def _portfolio(self, measure: Measure) -> None:
        of = self._book.measures.get(measure.prop)
        what = f"measure {measure.name}"
        if of is None and measure.prop not in self._book.scores:
            hint = suggestion(measure.prop, [*self._book.measures, *self._book.scores]) or "; declare it under measures"
            self._findings.error(measure.at, f"{what}: unknown measure '{measure.prop[:60]}'{hint}")
        elif of is not None and (of.verb in {"portfolio", "list"} or self._names.account[of.name].kind != "number"):
            self._findings.error(measure.at, f"{what}: '{measure.prop}' is no number of an account; name one")
        elif of is not None and self._names.account[of.name].moves:
            self._findings.error(measure.at, f"{what}: '{measure.prop}' moves with the clock; use days in a portfolio")

    def _thing(self, thing: Thing) -> None:
        if thing.each_in and self._book.account_attributes.get(thing.each_in) != "list":
            self._findings.error(
                thing.at,
                f"thing {thing.name}: each_in '{thing.each_in}' is no list; declare it list under attributes",
            )
        if thing.name != "person" and not thing.id:
            return
        for measure in thing.measures:
            if measure.verb in {"days_to", "hours_to"} and thing.name == "person":
                declared = self._book.person_attributes.get(measure.prop)
                if declared != "date":
                    message = f"measure {measure.name}: '{measure.prop}' is no date of a person; {_DATE_OF_PERSON}"
                    self._findings.error(measure.at, message)
            if thing.portfolio and measure.verb not in {"count", "sum"}:
                self._findings.error(
                    measure.at, f"measure {measure.name}: a thing in the portfolio takes count and sum"
                )

    # -- rules -----------------------------------------------------------------------------------------------------
    def _rule(self, rule: Rule) -> None:
        draft = rule.status == "draft"
        conditions = Conditions(self._names, self._findings, rule.thing, event=rule.subject == "event")
        for section in ("when", "unless"):
            for line in getattr(rule, section):
                conditions.check(line, f"rule {rule.id} {section}")
        for line in (rule.clear_when, rule.goal):
            if line is not None:
                conditions.check(line, f"rule {rule.id}")
        for line in rule.unless:
            if conditions.nullable(line) and not draft:
                self._findings.error(
                    line.at,
                    f"rule {rule.id} unless: can be unknown; say what that means: known(x) and ..., or coalesce(x, 0)",
                )
        for line, name in conditions.counted_down_alone(rule.when):
            message = (
                f"rule {rule.id}: '{name}' is bounded from above alone, so the past counts too; write 0 <= {name} <= 60"
            )
            (self._findings.warning if draft else self._findings.error)(line.at, message)
        self._goals(rule)
        self._audience(rule)
        self._once_per(rule)
        self._portfolio_rule(rule)
        self._duties(rule)
        if rule.outreach is not None:
            self._outreach(rule, rule.outreach)

    def _goals(self, rule: Rule) -> None:
        names = [name for line in (*rule.when, *rule.unless) for name in line.term.names()]
        found = next((name for name in names if rule.thing == GOAL and is_derived(name)), None)
        if found is not None and not self._book.values:
            message = (
                f"rule {rule.id}: '{found}' is unknown for ever: the rulebook has no values; declare them under values"
            )
            self._findings.error(rule.at, message)

    def _of_report(self, rule: Rule) -> None:
        """A rule that a report is; its conditions are the report's, which are checked as such."""
        if rule.goal is not None:
            Conditions(self._names, self._findings).check(rule.goal, f"report {rule.report}")
        if rule.outreach is not None:
            self._outreach(rule, rule.outreach)

    def _audience(self, rule: Rule) -> None:
        if rule.audience and rule.audience not in self._book.segments:
            hint = suggestion(rule.audience, self._book.segments) or "; declare it under segments"
            self._findings.error(rule.at, f"rule {rule.id}: unknown segment '{rule.audience[:60]}'{hint}")
        if rule.audience and rule.subject == "portfolio":
            self._findings.error(rule.at, f"rule {rule.id}: a portfolio has no audience; take it out")

    def _once_per(self, rule: Rule) -> None:
        name = rule.re_entry.name
        if not name or name in MOMENTS:
            return
        info = self._names.info(name, rule.thing, event=rule.subject == "event")
        if info is None:
            known = [*self._names.near(rule.thing, event=rule.subject == "event"), *MOMENTS]
            near = suggestion(name, known) or "; name a date or text of the subject, or today"
            self._findings.error(rule.at, f"rule {rule.id}: once_per: unknown name '{name[:60]}'{near}")
        elif info.moves or info.kind == "list" or info.personal:
            self._findings.error(
                rule.at, f"rule {rule.id}: once_per: '{name}' has no lasting value; name a date or text"
            )

    def _portfolio_rule(self, rule: Rule) -> None:
        if not self._book.over_all(rule):
            return
        if rule.outreach is not None and rule.outreach.audience == "customer":
            self._findings.error(rule.at, f"rule {rule.id}: a portfolio has nobody to send to; use notify")
        for name in [n for line in (*rule.when, *rule.unless) for n in line.term.names()]:
            measure = self._book.measures.get(name)
            if not (measure and measure.verb == "portfolio") and not name.startswith(f"{rule.thing}."):
                self._findings.error(
                    rule.at, f"rule {rule.id}: '{name}' is no portfolio measure; write {{portfolio: NAME}}"
                )

    def _duties(self, rule: Rule) -> None:
        if not self._dutiful:
            return
        if not rule.owner or not rule.why:
            missing = [word for word, text in (("owner", rule.owner), ("why", rule.why)) if not text]
            told = f"'{missing[0]}' is" if len(missing) == 1 else "'owner' and 'why' are"
            if rule.status != "draft":
                self._findings.error(rule.at, f"rule {rule.id}: {told} missing; say who answers for it and why")
        if rule.status == "draft":
            return
        node = self._book.sources[rule.id]
        cases = node.keys["cases"][1].items if node.keys and "cases" in node.keys else None
        silent = [case for case in cases or [] if _expects_silence(case)]
        if not cases or not silent or len(silent) == len(cases):
            self._findings.error(
                rule.at,
                f"rule {rule.id}: needs at least one case that sends and one that stays silent (or status: draft)",
            )

    def _outreach(self, rule: Rule, outreach: Outreach) -> None:
        template = self._book.templates.get(outreach.template)
        if template is None and rule.report and outreach.template in {TEMPLATE, NOTE_TEMPLATE}:
            return
        if template is None:
            hint = (
                suggestion(outreach.template, self._book.templates) or "; make a folder templates/" + outreach.template
            )
            self._findings.error(outreach.at, f"rule {rule.id}: unknown template '{outreach.template[:60]}'{hint}")
        else:
            self._fits(rule, outreach, template)
        self._reaches_the_hours(rule, outreach)
        for reader in outreach.to if not rule.report else ():
            for text in reader.alternatives:
                self._reader(rule, outreach, text)

    def _reaches_the_hours(self, rule: Rule, outreach: Outreach) -> None:
        policy = self._book.policy
        if outreach.audience == "staff" or outreach.mail_class == "transactional":
            return
        closed = longest_closed(policy.hours)
        enough = max(4, -(-(closed + policy.settle) // DAY))
        if closed + policy.settle > rule.max_age:
            self._findings.warning(
                rule.at,
                f"rule {rule.id}: nobody may be written to for up to {closed // HOUR} hours, and max_age is "
                f"{rule.max_age // HOUR}: what is decided then expires before it may leave; "
                f"raise max_age, to {enough}d say",
            )

    def _fits(self, rule: Rule, outreach: Outreach, template: TemplateNeeds) -> None:
        if template.audience and template.audience != outreach.audience:
            self._findings.error(
                outreach.at,
                f"rule {rule.id}: template '{template.name}' is for {template.audience}, the rule writes to "
                f"{'a customer' if outreach.audience == 'customer' else 'us'}; take another template",
            )
        if template.mail_class == "transactional" and outreach.mail_class not in {"transactional", "internal"}:
            self._findings.warning(
                outreach.at,
                f"rule {rule.id}: template '{template.name}' is transactional, the rule is {outreach.mail_class}; "
                "take another template, or say class: transactional",
            )
        for name in template.needs:
            if name == "report" and rule.report:
                continue
            if self._names.info(name, rule.thing, event=rule.subject == "event") is None:
                self._findings.error(
                    outreach.at,
                    f"rule {rule.id}: template '{template.name}' needs '{name}', which this rule does not know; "
                    "declare it, or take another template",
                )

    def _reader(self, rule: Rule, outreach: Outreach, text: str) -> None:
        where = f"rule {rule.id}: to"
        if outreach.audience == "staff":
            if text in OWNERS:
                return
            domain = text.rpartition("@")[2].lower()
            if not is_address(text):
                self._findings.error(
                    outreach.at, f"{where}: '{text[:60]}' is none of {listed(OWNERS)} or an address of ours"
                )
            elif (wire(domain) or domain) not in {wire(one) or one for one in self._book.policy.staff_domains}:
                self._findings.error(
                    outreach.at, f"{where}: '@{domain}' is no domain of ours; add it to policy.staff.domains"
                )
            return
        if staff_reader(text):
            self._findings.error(outreach.at, f"{where}: send goes to a customer's people, not to us; use notify")
            return
        owner, _, role = text.partition(".")
        if text == "person" and rule.thing != "person":
            self._findings.error(
                outreach.at, f"{where}: 'person' is known only in a rule for: each person; name a role"
            )
        elif text == "event.person" and rule.subject != "event":
            self._findings.error(outreach.at, f"{where}: 'event.person' is known only in a rule for: each EVENT.TYPE")
        elif role and text != "event.person":
            roles = dict(self._book.things[rule.thing].people) if rule.thing and rule.thing == owner else {}
            if role not in roles:
                hint = suggestion(role, roles) or "; declare it under people: of the thing"
                self._findings.error(outreach.at, f"{where}: unknown role '{text[:60]}'{hint}")


_DATE_OF_PERSON = "declare it date under attributes: person"
_DECLARE = "; declare it under attributes"


def _expects_silence(case: Node) -> bool:
    expect = case.keys["expect"][1] if case.keys and "expect" in case.keys else None
    return expect is not None and (expect.value == "silent" or expect.items == [])


def _reaches(start: str, goal: str, uses: Mapping[str, list[str]], seen: set[str]) -> bool:
    for name in uses.get(start, []):
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            if _reaches(name, goal, uses, seen):
                return True
    return False
