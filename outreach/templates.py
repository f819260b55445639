"""Templates: a folder of words read, compiled once and checked.

A template is ``templates/NAME/`` with ``template.yml``, ``subject.txt``, ``body.mjml`` (the sections of the mail) and
``body.txt`` (a text part of its own). Folders in it are variants (``outreach.variants``); so are the ``languages`` of
``template.yml``, made of the same files with words of ``words.yml``. ``templates/_base/`` holds the layout around each
body (``outreach.layout``). An ``<mj-preview>`` in ``body.mjml`` is the line that inboxes show
beside the subject; it goes to the layout's ``[[ preview ]]``.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from outreach.finding import Finding, error, warning
from outreach.layout import BASE, WORDS
from outreach.lint import lint_names
from outreach.making import Files, Making
from outreach.manifest import Manifest, read_manifest
from outreach.template import Template, every_variant, own_names, template_names
from outreach.variants import ALL, Fits, faults, in_order, read_fits
from outreach.words import read_words, report_words, with_more

__all__ = ["Template", "check_template", "load_templates", "read_template", "read_templates", "template_names"]

WRITTEN = ("subject.txt", "body.txt", "body.mjml")
PARTS = ("template.yml", *WRITTEN)
LARGEST_PART = 64 * 1024
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def check_template(
    template: Template,
    allowed: Collection[str],
    *,
    subject: str | None = None,
    plural: str | None = None,
    must_use_plural: bool = False,
) -> list[Finding]:
    """Find the names a template reads and a rule does not give it, and a plural it ignores, in every variant.

    ``allowed`` holds dotted names (``account.plan``, ``orientation.starts_at``, ``reports_28d``); one that ends in
    ``.*`` allows every name below. What begins with ``plural`` is judged as if it began with ``subject`` (both default
    to what ``template.yml`` says). ``NAME.first_name`` comes with ``NAME.name``; the layout's own are always there.
    """
    subject, plural = subject or template.manifest.subject, plural or template.manifest.plural
    findings: list[Finding] = []
    for one in every_variant(template):
        findings += lint_names(one.reads, one.sources, allowed, subject=subject, plural=plural)
        if must_use_plural and (plural is None or plural not in own_names(one)):
            word = plural or "its plural"
            what = f"the template ignores {word!r}; decisions of one instant are one mail; loop over it, or write "
            findings.append(error(f"{one.path}/body.txt", 1, f"{what}each_alone: true in the rule"))
    return sorted(set(findings))


def load_templates(folder: Path) -> tuple[dict[str, Template], list[Finding]]:
    """Read all templates of a folder; returns the usable ones by name, and everything found."""
    files: dict[str, str] = {}
    findings: list[Finding] = []
    for place in sorted([*folder.glob("*/*"), *folder.glob("*/*/*")]):
        inner = place.relative_to(folder)
        hidden = any(part.startswith(".") for part in inner.parts)
        if hidden or place.suffix not in (".yml", ".txt", ".mjml") or not place.is_file():
            continue
        try:
            files[inner.as_posix()] = place.read_bytes().decode()
        except UnicodeDecodeError:
            message = "this is not UTF-8; save it as UTF-8"
            findings.append(error(f"{folder.as_posix()}/{inner.as_posix()}", 1, message))
    templates, more = read_templates(files, path=folder.as_posix())
    return templates, sorted(findings + more)


def read_templates(files: Mapping[str, str], *, path: str) -> tuple[dict[str, Template], list[Finding]]:
    """Make templates of texts by relative path (``NAME/body.txt``); ``path`` stands before them in findings."""
    base = {name.removeprefix(f"{BASE}/"): text for name, text in files.items() if name.startswith(f"{BASE}/")}
    templates: dict[str, Template] = {}
    findings: list[Finding] = []
    for name in sorted({name.partition("/")[0] for name in files} - {BASE}):
        parts = {file.partition("/")[2]: text for file, text in files.items() if file.startswith(f"{name}/")}
        template, found = read_template(name, parts, base, path=path)
        findings += found
        if template is not None:
            templates[name] = template
    return templates, sorted(set(findings))


def read_template(
    name: str,
    parts: Mapping[str, str],
    base: Mapping[str, str],
    *,
    path: str,
) -> tuple[Template | None, list[Finding]]:
    """Make one template of its parts (a variant's by ``de/body.txt``) and the layout's; None when an error forbids it.

    A template with a broken variant is not used either: nobody gets a mail in another language by accident.
    """
    place = f"{path}/{name}"
    if not _SLUG.fullmatch(name):
        return None, [error(place, 1, f"a template's folder is kebab-case; found {name!r}; rename it")]
    findings = _missing_parts(place, parts)
    if findings:
        return None, findings
    manifest, findings = read_manifest(f"{place}/template.yml", parts["template.yml"])
    if manifest is None:
        return None, findings
    words, findings = read_words(f"{path}/{BASE}/{WORDS}", base.get(WORDS))
    own, found = read_words(f"{place}/{WORDS}", parts.get(WORDS))
    findings += found
    making = Making(name, place, manifest, base, f"{path}/{BASE}", words, with_more(report_words(), own))
    template, found = making.made(ALL, {part: (f"{place}/{part}", parts[part]) for part in WRITTEN})
    findings += found
    variants = []
    for fits, files, wrong in _variants(place, parts, manifest):
        findings += wrong
        one, found = making.made(fits, files) if not wrong else (None, [])
        findings += [*found, *(_told_otherwise(template, one) if template and one else ())]
        variants.append(one)
    usable = [one for one in variants if one is not None]
    if template is None or len(usable) < len(variants):
        return None, list(dict.fromkeys(findings))
    return msgspec.structs.replace(template, variants=tuple(usable)), list(dict.fromkeys(findings))


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


def _variants(place: str, parts: Mapping[str, str], manifest: Manifest) -> Iterator[tuple[Fits, Files, list[Finding]]]:
    """Each variant's folder with the parts of its mail, its own or another's, and what is wrong with it."""
    ours = {f"{locale}/{part}": part for locale in manifest.languages for part in WRITTEN}
    ours = {one: part for one, part in ours.items() if not parts.get(one, "").strip()}
    parts = {**{one: parts[part] for one, part in ours.items()}, **parts}
    folders = {part.partition("/")[0] for part in parts if "/" in part}
    read = {folder: read_fits(folder) for folder in sorted(folders)}
    known = {fits: folder for folder, fits in read.items() if isinstance(fits, Fits)}
    for folder, fits in read.items():
        here = f"{place}/{folder}"
        if isinstance(fits, str):
            yield ALL, {}, [error(here, 1, fits)]
            continue
        own = {part.partition("/")[2] for part in parts if part.startswith(f"{folder}/")}
        wrong = [error(f"{here}/{WRITTEN[0]}", 1, what) for what in faults(fits, manifest.needs)]
        if known[fits] != folder:
            wrong.append(error(here, 1, f"two folders are for the same readers; found {known[fits]!r} too; keep one"))
        wrong += [
            error(f"{here}/{part}", 1, f"a variant has {', '.join(WRITTEN)} and nothing else; take it out")
            for part in sorted(own - set(WRITTEN))
        ]
        for one, other in (("body.mjml", "body.txt"), ("body.txt", "body.mjml")):
            if one in own and other not in own:
                what = f"the variant has a {one} and no {other}; both say the same to other readers; write it"
                wrong.append(error(f"{here}/{other}", 1, what))
        files: Files = {}
        for part in WRITTEN:
            places = [known.get(near) for near in in_order((ALL, *known), fits, manifest.locale)]
            names = [f"{near}/{part}" if near else part for near in places]
            found = next((name for name in names if parts.get(name, "").strip()), None)
            if found is not None:
                files[part] = (f"{place}/{ours.get(found, found)}", parts[found])
            elif not wrong:
                what = (
                    f"the variant has no {part}, and a mail is in one language; found none in {fits.locale}; write it"
                )
                wrong.append(error(f"{here}/{part}", 1, f"{what}; write it"))
        yield fits, files, wrong


def _told_otherwise(template: Template, variant: Template) -> Iterator[Finding]:
    """A translation tells what the template tells: values that only one of the two reads."""
    if variant.fits != Fits(locale=variant.fits.locale):
        return
    told, said = (
        {name for name in own_names(one) if not name.startswith("you.")}  # languages greet in different ways
        for one in (template, variant)
    )
    for what, names in (("does not tell", told - said), ("tells", said - told)):
        for name in sorted(names):
            other = "the template does" if what == "does not tell" else "the template does not"
            message = f"the translation {what} {name!r}, and {other}; let both say the same"
            yield warning(f"{variant.path}/body.txt", 1, message)
