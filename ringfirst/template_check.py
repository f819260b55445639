"""Templates held against the rules that use them: does a rule give every name that its mail reads?"""

from collections.abc import Iterator, Mapping

import msgspec

from engine.rulebook.book import Rulebook
from engine.rulebook.findings import Finding
from engine.rulebook.reporting import NOTE_TEMPLATE, TEMPLATE
from engine.rulebook.spec import Measure, Outreach, Rule
from outreach.examples import check_example
from outreach.finding import error
from outreach.report_names import NAMES
from outreach.template import Template, every_variant
from outreach.templates import check_template
from ringfirst.rulebooks import Folder, shipped

ALWAYS = frozenset({"account.id", "why", "title", "owner", "rule", "you.id", "you.email"})
"""Names that every mail gets, whatever its rule."""
_OF_RULES = frozenset({"why", "title", "owner"})


def check_templates(book: Rulebook | None, folder: Folder) -> list[Finding]:
    """Everything found in the templates alone, in their examples, and in them together with each rule of ``book``."""
    templates, found = folder.mail_templates
    examples = [one for template in templates.values() for one in check_example(template)]
    if book is None:
        return [*found, *examples]
    return [*found, *examples, *_with_rules(book, templates), *_with_reports(book, templates)]


def _with_rules(book: Rulebook, templates: Mapping[str, Template]) -> Iterator[Finding]:
    for rule in book.rules:
        if rule.outreach is None or rule.outreach.template not in templates:
            continue
        kind = subject_of(rule)
        must = kind is not None and not rule.each_alone
        names = given_names(book, rule, rule.outreach)
        template = templates[rule.outreach.template]
        found = check_template(template, names, subject=kind, must_use_plural=must)
        for one in (*found, *_names_people(book, rule, rule.outreach, template)):
            yield msgspec.structs.replace(one, message=f"rule {rule.id}: {one.message}")


def _with_reports(book: Rulebook, templates: Mapping[str, Template]) -> Iterator[Finding]:
    """The template of a report that is only looked at, against what it is given; one that is sent is a rule."""
    report = next((one for one in book.reports if one.sending is None), None)
    if report is None or TEMPLATE not in templates:
        return
    names = {*ALWAYS, *NAMES, *_person("you", book), *(f"account.{name}" for name in book.account_attributes)}
    for one in check_template(templates[TEMPLATE], names - _OF_RULES):
        message = one.message.replace("the rule does not give it to its template", "no report gives it to its template")
        yield msgspec.structs.replace(one, message=f"report {report.id}: {message}")


def _names_people(book: Rulebook, rule: Rule, outreach: Outreach, template: Template) -> Iterator[Finding]:
    """Where a customer's mail says which colleagues a rule is about, and its template does not say that it does.

    Such names are lists of people, and the person of a rule for each person that is told to somebody else.
    """
    if outreach.audience == "staff" or template.manifest.names_people:
        return
    personal = {name for name, kind in book.person_attributes.items() if kind == "personal"} | {"id"}
    named = {one.name for one in book.measures.values() if _lists_people(one, personal)}
    if rule.each == "person" and any(word != "person" for reader in outreach.to for word in reader.alternatives):
        words = ("person", *(word for word in (template.plural,) if word))
        named |= {f"{word}.{name}" for word in words for name in personal}
    for variant in every_variant(template):
        for path, reads in variant.reads.items():
            for read in reads:
                if read.name in named:
                    what = f"the mail tells its reader which colleagues are meant ({read.name}); found no"
                    yield error(path, read.line, f"{what} names_people; write names_people: true in template.yml")


def _lists_people(measure: Measure, personal: set[str]) -> bool:
    return measure.verb == "list" and measure.thing == "person" and measure.prop in personal


def subject_of(rule: Rule) -> str | None:
    """The word under which a template gets the rule's subject."""
    return rule.each if rule.subject == "thing" else "event" if rule.subject == "event" else None


def given_names(book: Rulebook, rule: Rule, outreach: Outreach) -> set[str]:
    """Every dotted name that a mail of the rule is given (RULEBOOK 7)."""
    names = set(ALWAYS) | {f"account.{name}" for name in book.account_attributes}
    names |= {name for line in (*rule.when, *rule.unless) for name in line.term.names()}
    names |= set(rule.clear_when.term.names()) if rule.clear_when else set()
    names |= {rule.re_entry.name} - {""}
    names |= set(book.templates[outreach.template].needs) if outreach.template in book.templates else set()
    names |= {f"with.{name}" for name, _ in outreach.extra}
    if outreach.audience == "customer":
        names |= set(_person("you", book))
    if rule.report:
        names |= _of_report(outreach)
    return names | set(_of_subject(book, rule))


def _of_report(outreach: Outreach) -> set[str]:
    """What a report tells its template, or a note about one: the example of ours holds all that a note has."""
    if outreach.audience == "customer":
        return set(NAMES)
    return set(_within("report", shipped(NOTE_TEMPLATE)[NOTE_TEMPLATE].manifest.example["report"]))


def _within(place: str, value: object) -> Iterator[str]:
    """A value and everything inside it, by dotted names; what a list holds goes by the name of the list."""
    yield place
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _within(f"{place}.{name}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _within(place, inner)


def _of_subject(book: Rulebook, rule: Rule) -> Iterator[str]:
    kind = subject_of(rule)
    if kind is None:
        return
    yield f"{kind}.id"
    if kind == "event":
        yield from _person("event.person", book)
        return
    if kind == "person":
        yield from _person("person", book)
    for role, _ in book.things[kind].people:
        yield from _person(f"{kind}.{role}", book)


def _person(place: str, book: Rulebook) -> Iterator[str]:
    yield f"{place}.id"
    for name in book.person_attributes:
        yield f"{place}.{name}"
