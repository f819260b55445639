"""Templates held against the rules that use them: does a rule give every name that its mail reads?"""

from collections.abc import Iterator, Mapping

import msgspec

from engine.rulebook.book import Rulebook
from engine.rulebook.findings import Finding
from engine.rulebook.spec import Outreach, Rule
from outreach.examples import check_example
from outreach.templates import Template, check_template
from ringfirst.rulebooks import Folder

ALWAYS = frozenset({"account.id", "why", "title", "owner", "rule", "you.id", "you.email"})
"""Names that every mail gets, whatever its rule."""


def check_templates(book: Rulebook | None, folder: Folder) -> list[Finding]:
    """Everything found in the templates alone, in their examples, and in them together with each rule of ``book``."""
    templates, found = folder.mail_templates
    examples = [one for template in templates.values() for one in check_example(template)]
    return [*found, *examples, *(_with_rules(book, templates) if book is not None else ())]


def _with_rules(book: Rulebook, templates: Mapping[str, Template]) -> Iterator[Finding]:
    for rule in book.rules:
        if rule.outreach is None or rule.outreach.template not in templates:
            continue
        kind = subject_of(rule)
        must = kind is not None and not rule.each_alone
        names = given_names(book, rule, rule.outreach)
        for one in check_template(templates[rule.outreach.template], names, subject=kind, must_use_plural=must):
            yield msgspec.structs.replace(one, message=f"rule {rule.id}: {one.message}")


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
    return names | set(_of_subject(book, rule))


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
