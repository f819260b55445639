"""Rulebook folders: from a place on the disk to files the engine reads, and findings a person can open."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from engine.errors import UsageError
from engine.rulebook.book import Rulebook, load_rulebook
from engine.rulebook.findings import Finding
from engine.rulebook.reporting import NOTE_TEMPLATE
from engine.rulebook.reporting import TEMPLATE as REPORT_TEMPLATE
from outreach.folding import DIGEST
from outreach.reminding import TEMPLATE
from outreach.templates import Template, load_templates, read_templates

MOST_NAMED = 5
_PLACE = re.compile(r"\b(?:rules|templates)/[^\s:]+(?=:\d+:\d+)")


@dataclass(frozen=True)
class Folder:
    """A rulebook on the disk: its rule files' folder and its templates' folder.

    ``files`` are what the engine reads, by path inside the rulebook (``rules/churn.yml``); ``unread`` are findings of
    reading the disk itself.
    """

    rules: Path
    templates: Path
    files: dict[str, str] = field(default_factory=dict)
    unread: tuple[Finding, ...] = ()

    @cached_property
    def mail_templates(self) -> tuple[dict[str, Template], list[Finding]]:
        """The usable templates by name, and everything found in them."""
        return load_templates(shown_path(self.templates))

    @cached_property
    def sent_templates(self) -> dict[str, Template]:
        """The usable templates for a sender: those that no rule names are the starter's where the rulebook has none."""
        known = self.mail_templates[0]
        for name in (DIGEST, TEMPLATE, REPORT_TEMPLATE, NOTE_TEMPLATE):
            known = known if name in known else {**known, **shipped(name)}
        return known

    @cached_property
    def report_template(self) -> Template:
        """The template of reports: the rulebook's own, else the starter's."""
        known = self.mail_templates[0]
        return known[REPORT_TEMPLATE] if REPORT_TEMPLATE in known else shipped(REPORT_TEMPLATE)[REPORT_TEMPLATE]

    def shown(self, findings: Iterable[Finding]) -> list[Finding]:
        """The same findings with paths that can be opened from where the user is."""
        return sorted(
            msgspec.structs.replace(one, path=self.opened(one.path), message=_PLACE.sub(self._in_text, one.message))
            for one in findings
        )

    def _in_text(self, found: re.Match[str]) -> str:
        return self.opened(found[0])

    def opened(self, path: str) -> str:
        """A path inside the rulebook as one that can be opened."""
        section, _, rest = path.partition("/")
        folder = {"rules": self.rules, "templates": self.templates}.get(section)
        return (shown_path(folder) / rest).as_posix() if folder is not None and path in self.files else path


def read_folder(place: Path) -> Folder:
    """Read the rulebook at ``place``: a folder that holds ``rules/``, or is itself the folder of the rule files.

    Without ``templates/`` beside the rules the starter templates are used. Raises ``UsageError`` when there is none.
    """
    rules = place / "rules" if (place / "rules").is_dir() else place
    if not rules.is_dir():
        raise UsageError(
            f"{place}: there is no such folder; name the folder of a rulebook, or make one: ringfirst init DIR"
        )
    inside = sorted(one.parent for one in (*place.glob("*/rules"), *place.glob("*/*/rules")) if one.is_dir())
    if rules is place and inside:
        names = ", ".join(one.as_posix() for one in inside[:MOST_NAMED])
        raise UsageError(f"{place}: rulebooks lie below it; found {names}; name one of them with --rules")
    found = sorted(_rule_files(rules))
    if not any(path.suffix == ".yml" for path in found):
        raise UsageError(
            f"{place}: this is no rulebook; found no rules/*.yml in it; name its folder with --rules DIR, "
            "or make one: ringfirst init DIR"
        )
    templates = rules.parent / "templates"
    return _read(rules, templates if templates.is_dir() else starter() / "templates", found)


def shipped(name: str) -> dict[str, Template]:
    """One template of the starter, in the starter's own layout."""
    place = starter() / "templates"
    parts = [path for folder in ("_base", name) for path in sorted((place / folder).glob("*.*"))]
    files = {f"{path.parent.name}/{path.name}": path.read_text(encoding="utf-8") for path in parts}
    return read_templates(files, path=shown_path(place).as_posix())[0]


def starter() -> Path:
    """The folder with the starter ``rules/`` and ``templates/``: in the wheel, or in a checkout beside the packages."""
    inside = Path(str(resources.files("ringfirst"))) / "starter"
    return inside if inside.is_dir() else Path(str(resources.files("ringfirst"))).parent


def shown_path(path: Path) -> Path:
    """A path as the user would type it: relative to the current folder where it lies below it or near it."""
    try:
        near = Path(os.path.relpath(path))
    except ValueError:
        return path
    return near if len(near.parts) <= len(path.absolute().parts) and near.parts[:3] != ("..", "..", "..") else path


def checked(folder: Folder) -> tuple[Rulebook | None, list[Finding]]:
    """Everything that can be found in a rulebook and its templates; with an error there is no rulebook."""
    from ringfirst.template_check import check_templates

    book, findings = load_rulebook(folder.files)
    found = [*folder.unread, *folder.shown(findings)]
    found += check_templates(book, folder)
    found = sorted(set(found))
    return (None if any(one.severity == "error" for one in found) else book), found


def _rule_files(rules: Path) -> Iterator[Path]:
    for path in rules.rglob("*.y*ml"):
        inner = path.relative_to(rules).parts
        hidden = inner[0] == "templates" or any(part.startswith(".") for part in inner)
        if path.suffix in {".yml", ".yaml"} and path.is_file() and not hidden:
            yield path


def _read(rules: Path, templates: Path, found: Iterable[Path]) -> Folder:
    files: dict[str, str] = {}
    unread: list[Finding] = []
    places = [(f"rules/{path.relative_to(rules).as_posix()}", path) for path in found]
    places += [(f"templates/{path.parent.name}/{path.name}", path) for path in sorted(templates.glob("*/template.yml"))]
    for inner, path in places:
        if path.suffix == ".yaml":
            unread.append(_finding(path, "warning", "only .yml files are read; found .yaml; rename it"))
            continue
        try:
            files[inner] = path.read_bytes().decode()
        except UnicodeDecodeError:
            unread.append(_finding(path, "error", "this is not UTF-8; found other bytes; save it as UTF-8"))
        except OSError as err:
            unread.append(_finding(path, "error", f"cannot be read; {err.strerror}; check who may read it"))
    return Folder(rules, templates, files, tuple(unread))


def _finding(path: Path, severity: Literal["error", "warning"], message: str) -> Finding:
    return Finding(shown_path(path).as_posix(), 1, 1, severity, message)
