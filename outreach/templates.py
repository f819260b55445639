"""Templates: a folder of words read, compiled once and checked.

A template is ``templates/NAME/`` with ``template.yml``, ``subject.txt``, ``body.mjml`` (the sections of the mail) and
``body.txt`` (a text part of its own). ``templates/_base/`` holds the layout around each body, ``customer.mjml``,
``customer.txt``, ``staff.mjml`` and ``staff.txt``, with ``[[ body ]]`` where the body goes. An ``<mj-preview>`` in
``body.mjml`` is the line that inboxes show beside the subject; it goes to the layout's ``[[ preview ]]``.
"""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

import jinja2
import mjml
import msgspec

from outreach.finding import Finding, error
from outreach.lint import lint_names, lint_sources
from outreach.manifest import Manifest, read_manifest
from outreach.names import Read
from outreach.sandbox import TemplateRefused, parse_error, sandbox

PARTS = ("template.yml", "subject.txt", "body.txt", "body.mjml")
LARGEST_PART = 64 * 1024
BODY = "[[ body ]]"
PREVIEW = "[[ preview ]]"
_BASE = "_base"
_PREVIEW = re.compile(r"[ \t]*<mj-preview>(.*?)</mj-preview>[ \t]*\n?", re.DOTALL)
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_TAKEN = re.compile(r"ringfirst-jinja-(\d+)-taken")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template ready to be rendered. ``subject``, ``text`` and ``html`` are Jinja; the MJML is already HTML.

    ``preview`` is Jinja too: the line that inboxes show beside the subject, or empty; ``html`` begins with it, hidden.
    ``reads`` holds per file every name it reads and on which line; ``path`` is its folder as findings name it.
    """

    name: str
    path: str
    manifest: Manifest
    subject: str
    text: str
    html: str
    preview: str = ""
    sources: dict[str, str]
    reads: dict[str, tuple[Read, ...]]

    @property
    def plural(self) -> str | None:
        """The name under which several subjects come in one mail."""
        return self.manifest.plural

    @property
    def joins(self) -> bool:
        """Whether one mail of this template can speak of several subjects."""
        return self.plural is not None and self.plural in template_names(self)


def template_names(template: Template) -> set[str]:
    """Every dotted name the template reads, the layout's among them: ``account.plan``, ``orientations.starts_at``."""
    return {read.name for reads in template.reads.values() for read in reads}


def check_template(
    template: Template,
    allowed: Collection[str],
    *,
    subject: str | None = None,
    plural: str | None = None,
    must_use_plural: bool = False,
) -> list[Finding]:
    """Find the names a template reads and a rule does not give it, and a plural it ignores.

    ``allowed`` holds dotted names (``account.plan``, ``orientation.starts_at``, ``reports_28d``); one that ends in
    ``.*`` allows every name below. What begins with ``plural`` is judged as if it began with ``subject`` (both default
    to what ``template.yml`` says). ``NAME.first_name`` comes with ``NAME.name``; the layout's own are always there.
    """
    subject, plural = subject or template.manifest.subject, plural or template.manifest.plural
    findings = lint_names(template.reads, template.sources, allowed, subject=subject, plural=plural)
    if must_use_plural and (plural is None or plural not in template_names(template)):
        word = plural or "its plural"
        findings.append(
            error(
                f"{template.path}/body.txt",
                1,
                (
                    f"the template ignores {word!r}; decisions of one instant are one mail; loop over it, or write "
                    "each_alone: true in the rule"
                ),
            )
        )
    return findings


def load_templates(folder: Path) -> tuple[dict[str, Template], list[Finding]]:
    """Read all templates of a folder; returns the usable ones by name, and everything found."""
    files: dict[str, str] = {}
    findings: list[Finding] = []
    for place in sorted(folder.glob("*/*")):
        if place.name.startswith(".") or place.suffix not in (".yml", ".txt", ".mjml") or not place.is_file():
            continue
        inner = f"{place.parent.name}/{place.name}"
        try:
            files[inner] = place.read_bytes().decode()
        except UnicodeDecodeError:
            findings.append(error(f"{folder.as_posix()}/{inner}", 1, "this is not UTF-8; save it as UTF-8"))
    templates, more = read_templates(files, path=folder.as_posix())
    return templates, sorted(findings + more)


def read_templates(files: Mapping[str, str], *, path: str) -> tuple[dict[str, Template], list[Finding]]:
    """Make templates of texts by relative path (``NAME/body.txt``); ``path`` stands before them in findings."""
    base = {name.removeprefix(f"{_BASE}/"): text for name, text in files.items() if name.startswith(f"{_BASE}/")}
    templates: dict[str, Template] = {}
    findings: list[Finding] = []
    for name in sorted({name.partition("/")[0] for name in files} - {_BASE}):
        parts = {part: files[f"{name}/{part}"] for part in PARTS if f"{name}/{part}" in files}
        template, found = read_template(name, parts, base, path=path)
        findings += found
        if template is not None:
            templates[name] = template
    return templates, sorted(findings)


def read_template(
    name: str,
    parts: Mapping[str, str],
    base: Mapping[str, str],
    *,
    path: str,
) -> tuple[Template | None, list[Finding]]:
    """Make one template of its parts and the layout's; None when an error keeps it from being used."""
    place = f"{path}/{name}"
    if not _SLUG.fullmatch(name):
        return None, [error(place, 1, f"a template's folder is kebab-case; found {name!r}; rename it")]
    findings = _missing_parts(place, parts)
    if findings:
        return None, findings
    manifest, findings = read_manifest(f"{place}/template.yml", parts["template.yml"])
    if manifest is None:
        return None, findings
    sources = {f"{place}/{part}": text for part, text in parts.items() if part != "template.yml"}
    for ending in ("txt", "mjml"):
        layout = f"{manifest.audience}.{ending}"
        sources[f"{path}/{_BASE}/{layout}"] = base.get(layout, BODY)
    reads, findings = _reads(sources)
    if findings:
        return None, findings
    findings = lint_sources(sources)
    template, broken = _compiled(name, place, manifest, sources, reads)
    return (None if broken else template), findings + broken


def _missing_parts(place: str, parts: Mapping[str, str]) -> list[Finding]:
    found = [
        error(f"{place}/{part}", 1, f"the template has no {part}; every mail has one; write it")
        for part in PARTS
        if not parts.get(part, "").strip()
    ]
    return found + [
        error(f"{place}/{part}", 1, "the file is larger than 64 KB; a mail is not; cut it")
        for part, text in parts.items()
        if len(text) > LARGEST_PART and part != "template.yml"
    ]


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


def _compiled(
    name: str,
    place: str,
    manifest: Manifest,
    sources: Mapping[str, str],
    reads: dict[str, tuple[Read, ...]],
) -> tuple[Template | None, list[Finding]]:
    def layout(ending: str) -> str:
        return next(text for path, text in sources.items() if path.endswith(f"{_BASE}/{manifest.audience}.{ending}"))

    frame, (preview, body) = layout("mjml"), split_preview(sources[f"{place}/body.mjml"])
    if preview and PREVIEW not in frame:
        what = f"the layout has no place for a preview; found no {PREVIEW!r} in {manifest.audience}.mjml of {_BASE}"
        return None, [error(f"{place}/body.mjml", 1, f"{what}; put <mj-preview>{PREVIEW}</mj-preview> into its head")]
    frame = frame.replace(PREVIEW, preview, 1) if preview else _PREVIEW.sub("", frame)
    try:
        html = compile_mjml(frame.replace(BODY, body.strip("\n"), 1))
    except ValueError as err:
        return None, [error(f"{place}/body.mjml", 1, f"this MJML cannot be read; {err}; close every tag it opens")]
    template = Template(
        name=name,
        path=place,
        manifest=manifest,
        subject=sources[f"{place}/subject.txt"].strip(),
        text=layout("txt").replace(BODY, sources[f"{place}/body.txt"].strip("\n"), 1),
        html=html,
        preview=preview,
        sources=dict(sources),
        reads=reads,
    )
    return template, []


def split_preview(body: str) -> tuple[str, str]:
    """Take the line for inboxes out of a body: ``(line, the rest)``; an empty line when there is none.

    MJML wants it in the head, an author wants it beside the words it belongs to.

    >>> split_preview("<mj-preview>12 reports</mj-preview><mj-section />")
    ('12 reports', '<mj-section />')
    """
    found = _PREVIEW.search(body)
    return (" ".join(found[1].split()), _PREVIEW.sub("", body)) if found else ("", body)


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


@lru_cache(maxsize=512)
def _names_read(text: str) -> tuple[Read, ...]:
    """What a text reads; layouts are shared by many templates and looked at once."""
    return sandbox(html=False).reads(text)
