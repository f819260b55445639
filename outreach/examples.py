"""A template with its own example: for checks, previews and tests."""

from typing import Any

from engine.errors import TemplateError
from outreach.context import Sender, person_of, sender_words
from outreach.filters import ZONE
from outreach.finding import Finding, error
from outreach.links import EXAMPLE, Links
from outreach.locales import LOCALE
from outreach.rendering import render
from outreach.reported import named_periods
from outreach.template import Template, every_variant

SENDER = Sender(
    address="hello@ringfirst.example", name="Ringfirst", postal_address="Beispielweg 12, 10115 Berlin, Germany"
)


def example_context(template: Template, sender: Sender = SENDER, ways: Links | None = None) -> dict[str, Any]:
    """Build the context of the example in ``template.yml``, with what every mail gets beside it.

    Of a variant it is that of a reader whom the variant is for, and a report's periods have the names of its
    language. ``ways`` are its links, else some that lead nowhere.
    """
    given = template.manifest.example
    you: Any = given.get("you")
    traits: dict[str, Any] = you if isinstance(you, dict) else {}
    if template.fits.role is not None:
        traits = {**traits, "role": template.fits.role}
    reader = person_of(str(traits.get("id", "u1")), traits, {})
    links = {"unsubscribe": (ways or EXAMPLE).page} if template.manifest.audience == "customer" else {}
    ours = {"sender": sender_words(sender), "links": links, "rule": "example"}
    holds = {name: True for name in (template.fits.segment,) if name}
    report: Any = given.get("report")
    told = {} if report is None else {"report": named_periods(report, template.locale)}
    return {
        **ours,
        **given,
        **told,
        **holds,
        "you": reader,
        ZONE: reader.get("timezone") or sender.timezone,
        LOCALE: template.locale,
    }


def check_example(template: Template) -> list[Finding]:
    """Render every variant of the template with its example; a value it misses, or anything it cannot do, is found."""
    findings = []
    for one in every_variant(template):
        try:
            render(one, example_context(one))
        except TemplateError as err:
            whose = f" of {one.fits}" if one is not template else ""
            what = f"example{whose}: {err}; write it into the example"
            findings.append(error(f"{template.path}/template.yml", 1, what))
    return findings
