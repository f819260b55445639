"""From MJML with Jinja in it to HTML with the same Jinja in it."""

import re

import mjml

PREVIEW = "[[ preview ]]"
_PREVIEW = re.compile(r"[ \t]*<mj-preview>(.*?)</mj-preview>[ \t]*\n?", re.DOTALL)
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_TAKEN = re.compile(r"ringfirst-jinja-(\d+)-taken")


def split_preview(body: str) -> tuple[str, str]:
    """Take the line for inboxes out of a body: ``(line, the rest)``; an empty line when there is none.

    MJML wants it in the head, an author wants it beside the words it belongs to.

    >>> split_preview("<mj-preview>12 reports</mj-preview><mj-section />")
    ('12 reports', '<mj-section />')
    """
    found = _PREVIEW.search(body)
    return (" ".join(found[1].split()), _PREVIEW.sub("", body)) if found else ("", body)


def with_preview(layout: str, preview: str) -> str:
    """Put the line for inboxes into its place in the layout; without a line the place goes."""
    return layout.replace(PREVIEW, preview, 1) if preview else _PREVIEW.sub("", layout)


def compile_mjml(source: str) -> str:
    """Turn MJML with Jinja in it into HTML with the same Jinja in it.

    The Jinja is taken out while mrml works, so that ``<`` and quotes inside it trouble nobody. No web font is linked
    (``fonts={}``: mrml's default sends readers to a third party) and ``mj-include`` reads no file (no loader is given).
    Raises ``ValueError`` for MJML that mrml cannot read.
    """
    taken: list[str] = []

    def take(found: re.Match[str]) -> str:
        taken.append(found.group())
        return f"ringfirst-jinja-{len(taken) - 1}-taken"  # plain letters: mrml escapes others where a reader hears them

    html: str = mjml.mjml2html(_JINJA.sub(take, _TAKEN.sub("", source)), fonts={}, disable_comments=True)
    return _TAKEN.sub(lambda found: taken[int(found.group(1))], html)
