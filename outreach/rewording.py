"""A mail in a person's own words: what they edit is the letter alone, its frame stays as it is."""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.errors import TemplateError
from outreach.compiling import compile_mjml, with_preview
from outreach.layout import BODY
from outreach.rendering import Rendered, plain, render, variant_for
from outreach.template import Template

_PLACE = "ringfirst-letter-stands-here"
"""Where the letter goes once the frame is written: it is nobody's value, and no mark of direction is put around it."""
_SECTION = """
<mj-section>
  <mj-column>
    <mj-raw>{% for paragraph in edited.paragraphs %}</mj-raw>
    <mj-text>{% for line in paragraph.lines %}{{ line }}{% if not loop.last %}<br />{% endif %}{% endfor %}</mj-text>
    <mj-raw>{% endfor %}</mj-raw>
  </mj-column>
</mj-section>
"""


def letter(template: Template, context: Mapping[str, Any]) -> tuple[str, str]:
    """Subject and text as the template writes them, without the frame: what somebody changes.

    Raises ``TemplateError``.
    """
    template = variant_for(template, plain(context))
    bare = msgspec.structs.replace(template, text=_part(template, "body.txt"), html=".", preview="", variants=())
    words = render(bare, context)
    return words.subject, words.text


def reworded(template: Template, context: Mapping[str, Any], *, subject: str, text: str) -> Rendered:
    """The whole mail with these words in the template's frame; HTML has them as paragraphs.

    They are values and no template: nothing in them is carried out. Raises ``TemplateError``.
    """
    template = variant_for(template, plain(context))
    lines = text.replace("\r\n", "\n").strip("\n")
    if not lines.strip() or not subject.strip():
        raise TemplateError("a mail has a subject and words; found none; write them, or reject the mail")
    paragraphs = [{"lines": one.strip("\n").split("\n")} for one in lines.split("\n\n") if one.strip()]
    edited = {"subject": " ".join(subject.split()), "paragraphs": paragraphs}
    frame = _part(template, f"_base/{template.manifest.audience}.mjml")
    framed = msgspec.structs.replace(
        template,
        subject="{{ edited.subject }}",
        text=_part(template, f"_base/{template.manifest.audience}.txt").replace(BODY, _PLACE, 1),
        html=compile_mjml(with_preview(frame, "").replace(BODY, _SECTION.strip(), 1)),
        preview="",
        variants=(),
    )
    words = render(framed, {**context, "edited": edited})
    written = "\n".join(line.rstrip() for line in lines.split("\n"))
    return msgspec.structs.replace(words, text=words.text.replace(_PLACE, written, 1))


def _part(template: Template, name: str) -> str:
    return next(text for path, text in template.sources.items() if path.endswith(f"/{name}"))
