"""A template with its own example: for checks, previews and tests."""

from typing import Any

from engine.errors import TemplateError
from outreach.context import Sender, person_of
from outreach.filters import ZONE
from outreach.finding import Finding, error
from outreach.rendering import render
from outreach.templates import Template

SENDER = Sender(
    address="hello@ringfirst.example", name="Ringfirst", postal_address="Beispielweg 12, 10115 Berlin, Germany"
)


def example_context(template: Template, sender: Sender = SENDER) -> dict[str, Any]:
    """Build the context of the example in ``template.yml``, with what every mail gets beside it."""
    given = template.manifest.example
    you: Any = given.get("you")
    traits: dict[str, Any] = you if isinstance(you, dict) else {}
    reader = person_of(str(traits.get("id", "u1")), traits, {})
    ours = {"sender": {"name": sender.name, "postal_address": sender.postal_address}, "links": {}, "rule": "example"}
    return {**ours, **given, "you": reader, ZONE: reader.get("timezone") or sender.timezone}


def check_example(template: Template) -> list[Finding]:
    """Render the template with its example; a value it misses, or anything else it cannot do, is a finding."""
    try:
        render(template, example_context(template))
    except TemplateError as err:
        return [error(f"{template.path}/template.yml", 1, f"example: {err}; write it into the example")]
    return []
