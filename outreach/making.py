"""Making one variant of a template: its places filled, its names read, its MJML compiled."""

from collections.abc import Mapping
from functools import lru_cache

import jinja2
import msgspec

from outreach.compiling import PREVIEW, compile_mjml, split_preview, with_preview
from outreach.finding import Finding, error
from outreach.layout import BASE, BODY, placed, unplaced
from outreach.lint import lint_sources
from outreach.manifest import Manifest
from outreach.names import Read
from outreach.sandbox import TemplateRefused, parse_error, sandbox
from outreach.template import Template
from outreach.variants import ALL, Fits
from outreach.words import Words

Files = dict[str, tuple[str, str]]
"""The parts of one variant: path and text of each."""


class Making(msgspec.Struct, frozen=True):
    """What the variants of one template share. ``words`` are the layout's, ``own`` those that its bodies may say."""

    name: str
    place: str
    manifest: Manifest
    base: Mapping[str, str]
    base_place: str
    words: Words
    own: Words

    def made(self, fits: Fits, files: Files) -> tuple[Template | None, list[Finding]]:
        """Make one of its variants, or the template itself."""
        locale = fits.locale or self.manifest.locale
        sources, findings = dict[str, str](), list[Finding]()
        for path, text in files.values():
            sources[path] = placed(text, locale, self.own, markup=path.endswith(".mjml"))
            findings += unplaced(path, sources[path], locale, self.own, self.place)
        layouts = {}
        for ending in ("txt", "mjml"):
            layout = f"{self.manifest.audience}.{ending}"
            path = f"{self.base_place}/{layout}"
            layouts[ending] = sources[path] = placed(self.base.get(layout, BODY), locale, self.words)
            findings += unplaced(path, sources[path], locale, self.words, self.base_place)
        reads, found = _reads(sources)
        findings += found
        if findings:
            return None, findings
        findings = lint_sources(sources)
        texts = {part: sources[path] for part, (path, _) in files.items()}
        html, preview, broken = _html(layouts["mjml"], texts["body.mjml"], files["body.mjml"][0])
        if broken:
            return None, findings + broken
        template = Template(
            name=self.name,
            path=f"{self.place}/{fits}" if fits != ALL else self.place,
            manifest=self.manifest,
            subject=texts["subject.txt"].strip(),
            text=layouts["txt"].replace(BODY, texts["body.txt"].strip("\n"), 1),
            html=html,
            preview=preview,
            sources=sources,
            reads=reads,
            locale=locale,
            fits=fits,
        )
        return template, findings


def _html(layout: str, body: str, path: str) -> tuple[str, str, list[Finding]]:
    preview, body = split_preview(body)
    if preview and PREVIEW not in layout:
        what = f"the layout has no place for a preview; found no {PREVIEW!r} in the layout of {BASE}"
        return "", "", [error(path, 1, f"{what}; put <mj-preview>{PREVIEW}</mj-preview> into its head")]
    try:
        return compile_mjml(with_preview(layout, preview).replace(BODY, body.strip("\n"), 1)), preview, []
    except ValueError as err:
        return "", "", [error(path, 1, f"this MJML cannot be read; {err}; close every tag it opens")]


def _reads(sources: Mapping[str, str]) -> tuple[dict[str, tuple[Read, ...]], list[Finding]]:
    reads: dict[str, tuple[Read, ...]] = {}
    findings: list[Finding] = []
    for path, text in sources.items():
        try:
            reads[path] = _names_read(text)
        except TemplateRefused as err:
            findings += [error(path, refusal.line, refusal.message) for refusal in err.refusals]
        except (jinja2.TemplateError, ValueError, RecursionError, MemoryError) as err:
            line, message = parse_error(err)
            findings.append(error(path, line, f"this Jinja cannot be read; {message}; mend it"))
    return reads, findings


@lru_cache(maxsize=512)
def _names_read(text: str) -> tuple[Read, ...]:
    """What a text reads; layouts are shared by many templates and looked at once."""
    return sandbox(html=False).reads(text)
