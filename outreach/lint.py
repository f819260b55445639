"""What can be seen in a template without rendering it: names, links, pictures, parts."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from html.parser import HTMLParser

from outreach.finding import Finding, error, warning
from outreach.names import Read

LAYOUT_NAMES = frozenset({"sender.name", "sender.person", "sender.postal_address", "links.unsubscribe", "rule"})
"""Names that every template gets beside those of its rule."""
SHORTEST_TEXT = 200
_LINKS = {"href", "src", "background-url", "background"}
_SAFE_LINK = re.compile(
    r"https://[^\s{}]+(?:\{\{[^{}]*\|\s*urlencode\s*\}\}[^\s{}]*)*|mailto:[^\s{}]+|#[\w-]*",
    re.IGNORECASE,
)
_SAFE_VALUE = re.compile(r"\{\{[^{}]*\|\s*safe_url\s*\}\}")
_TEXT_LINK = re.compile(r"\b(?:http|javascript|data|file|ftp):\S*", re.IGNORECASE)
_BARE = re.compile(r"<[a-zA-Z][^<>]*?\s([\w-]+)\s*=\s*(?=\{\{)")
_PICTURES = ("img", "mj-image")


def lint_names(
    reads: Mapping[str, Iterable[Read]],
    sources: Mapping[str, str],
    allowed: Collection[str],
    *,
    subject: str | None,
    plural: str | None,
) -> list[Finding]:
    """Find every name that is read and not allowed, with a suggestion where one is near."""
    known = set(allowed) | LAYOUT_NAMES
    findings = []
    for path, found in reads.items():
        lines = sources[path].splitlines()
        for read in found:
            asked = _as_subject(read.name, subject, plural)
            if not _is_allowed(asked, known, plural):
                column = _column(lines, read)
                findings.append(error(path, read.line, _unknown(read.name, asked, known, plural), column=column))
    return sorted(findings)


def lint_sources(sources: Mapping[str, str]) -> list[Finding]:
    """Find unsafe links, pictures without words, scripts, unquoted values and a text part that says too little."""
    findings: list[Finding] = []
    for path, text in sources.items():
        findings += _lint_markup(path, text) if path.endswith(".mjml") else _lint_text(path, text)
    return sorted([*findings, *_lint_links_in_text(sources)])


def _as_subject(name: str, subject: str | None, plural: str | None) -> str:
    if subject and plural and name.startswith(plural + "."):
        return subject + name[len(plural) :]
    return name


def _is_allowed(name: str, known: set[str], plural: str | None) -> bool:
    if name in known or name == plural or any(one.startswith(name + ".") for one in known):
        return True
    if name.endswith(".first_name") and name.removesuffix("first_name") + "name" in known:
        return True
    parts = name.split(".")
    return any(".".join([*parts[:end], "*"]) in known for end in range(1, len(parts)))


def _unknown(name: str, asked: str, known: set[str], plural: str | None) -> str:
    near = get_close_matches(asked, sorted(known | ({plural} if plural else set())), n=1, cutoff=0.7)
    what = f"did you mean {near[0]!r}?" if near else "write it under 'needs' in template.yml if it is a measure"
    return f"unknown name {name!r}; the rule does not give it to its template; {what}"


def _column(lines: list[str], read: Read) -> int:
    line = lines[read.line - 1] if read.line <= len(lines) else ""
    found = max(line.find(read.name), line.find(read.name.rpartition(".")[2]) if read.name not in line else -1)
    return found + 1 if found >= 0 else 1


def _lint_text(path: str, text: str) -> list[Finding]:
    findings = []
    for line, words in enumerate(text.splitlines(), start=1):
        found = _TEXT_LINK.search(words)
        if found:
            message = f"a link is https or mailto; found {found.group()[:20]!r}; write it with https"
            findings.append(error(path, line, message, column=found.start() + 1))
    if path.endswith("body.txt") and "/_base/" not in path and len(text.strip()) < SHORTEST_TEXT:
        message = f"the text part has fewer than {SHORTEST_TEXT} characters; say in it all that the HTML says"
        findings.append(warning(path, 1, message))
    if path.endswith("subject.txt") and len(text.strip().splitlines()) > 1:
        findings.append(error(path, 2, "a subject is one line; found more; put it on one"))
    return findings


def _lint_markup(path: str, text: str) -> list[Finding]:
    markup = _Markup(path)
    markup.feed(text)
    markup.close()
    bare = [
        error(path, _line(text, found), f"the value of {found.group(1)!r} has no quotes; put quotes around it")
        for found in _BARE.finditer(text)
    ]
    return markup.findings + bare


class _Markup(HTMLParser):
    """Looks at each tag of a body; Jinja inside quoted values stays as written."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.findings: list[Finding] = []
        self._path = path

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line, column = self.getpos()
        for message in _tag_faults(tag, attrs):
            self.findings.append(error(self._path, line, message, column=column + 1))


def _tag_faults(tag: str, attrs: list[tuple[str, str | None]]) -> Iterator[str]:
    given = {name: value or "" for name, value in attrs}
    for name, value in given.items():
        if name in _LINKS and not is_safe_link(value):
            yield f"{name} is neither https nor mailto; found {value[:30]!r}; write https, or end it with |safe_url"
        if name.startswith("on"):
            yield f"{name!r} would run a script; mail has none; take it out"
    if tag in _PICTURES:
        if not given.get("alt", "").strip():
            yield f"{tag} has no alt; many read with pictures off; say in words what it shows"
        if not given.get("width", "").strip():
            yield f"{tag} has no width; say how wide it is, in pixels"
    if tag in ("script", "iframe", "object", "form", "mj-include", "mj-html-attributes"):
        yield f"{tag!r} is not for mail; take it out"


def is_safe_link(value: str) -> bool:
    """Whether a link, as written in a template, can only ever be https or mailto.

    >>> is_safe_link("https://a.example/{{ x|urlencode }}"), is_safe_link("{{ x|safe_url }}"), is_safe_link("{{ x }}")
    (True, True, False)
    """
    return bool(_SAFE_LINK.fullmatch(value) or _SAFE_VALUE.fullmatch(value))


def _lint_links_in_text(sources: Mapping[str, str]) -> Iterator[Finding]:
    texts = "\n".join(text for path, text in sources.items() if path.endswith(".txt"))
    for path, text in sources.items():
        if not path.endswith(".mjml"):
            continue
        for found in re.finditer(r"href=\"([^\"]+)\"", text):
            bare = re.sub(r"\|\s*safe_url\s*", "", found.group(1))
            if bare.strip("{} ") not in texts:
                message = f"the text part does not have the link {found.group(1)[:40]!r}; put it there too"
                yield warning(path, _line(text, found), message)


def _line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1
