"""``template.yml``: who a template is for, its class, its needs and its example."""

from typing import Any, Literal

import msgspec

from engine.rulebook.findings import Finding, Findings, suggestion
from engine.rulebook.nodes import Node, load
from outreach.locales import OURS, known_locale

CLASSES = ("transactional", "relationship", "marketing")
_KEYS = ("for", "class", "locale", "needs", "subject", "plural", "names_people", "languages", "example")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a template says about itself.

    ``subject`` is the kind of thing it speaks of (``orientation``), ``plural`` the name under which several of them
    come in one mail, ``example`` a context with values, as nested dicts. ``locale`` is the one it is written in,
    ``languages`` are the others that its words are known in: its own files make a variant for each of them.
    ``names_people`` says that it may tell its readers which of their colleagues a rule is about.
    """

    audience: Literal["customer", "staff"]
    mail_class: str | None
    needs: tuple[str, ...]
    subject: str | None
    plural: str | None
    example: dict[str, Any]
    locale: str = OURS
    names_people: bool = False
    languages: tuple[str, ...] = ()


def read_manifest(path: str, text: str) -> tuple[Manifest | None, list[Finding]]:
    """Read ``template.yml``; returns it, or None with the findings that keep it from being one."""
    findings = Findings()
    root = load(path, text, findings)
    if root is None or root.keys is None:
        message = "a template.yml is a mapping; found something else; begin with 'for: customer'"
        return None, findings.errors or [Finding(path, 1, 1, "error", message)]
    _check_keys(root, findings)
    _check_class(root, findings)
    _check_values(root, findings)
    if findings.errors:
        return None, findings.errors
    data = root.plain()
    return msgspec.convert(
        {
            "audience": data["for"],
            "mail_class": data.get("class"),
            "needs": data.get("needs") or [],
            "subject": data.get("subject"),
            "plural": data.get("plural"),
            "example": data["example"],
            "locale": known_locale(data.get("locale", OURS)),
            "names_people": data.get("names_people", False),
            "languages": [known_locale(one) for one in data.get("languages") or []],
        },
        Manifest,
    ), []


def _check_keys(root: Node, findings: Findings) -> None:
    for key, (at, _) in (root.keys or {}).items():
        if key not in _KEYS:
            near = suggestion(key, _KEYS) or f"; a template has {', '.join(_KEYS)}"
            findings.error(at, f"template.yml: unknown key {key[:60]!r}{near}")


def _check_class(root: Node, findings: Findings) -> None:
    audience, mail_class = _under(root, "for"), _under(root, "class")
    if audience.value not in ("customer", "staff"):
        findings.error(audience.at, f"for: should be customer or staff; found {audience.text[:40]!r}; write one")
    elif audience.value == "customer" and mail_class.value not in CLASSES:
        found = mail_class.text[:40] if mail_class is not root else "none"
        findings.error(mail_class.at, f"class: should be one of {', '.join(CLASSES)}; found {found!r}; write one")
    elif audience.value == "staff" and mail_class is not root:
        findings.error(mail_class.at, "class: a staff template has none; found one; take the line out")


def _check_values(root: Node, findings: Findings) -> None:
    needs, example = _under(root, "needs"), _under(root, "example")
    if needs is not root and (needs.items is None or not all(isinstance(node.value, str) for node in needs.items)):
        findings.error(needs.at, "needs: should be a list of names; found something else; write [reports_28d]")
    for key in ("subject", "plural"):
        word = _under(root, key)
        if word is not root and not (isinstance(word.value, str) and word.text.isidentifier()):
            findings.error(word.at, f"{key}: should be one word; found {word.text[:40]!r}; write it as in the rulebook")
    locale, names_people = _under(root, "locale"), _under(root, "names_people")
    if locale is not root and known_locale(locale.value) is None:
        findings.error(locale.at, f"locale: should be a locale; found {locale.text[:40]!r}; write en, de or pt-BR")
    if names_people is not root and not isinstance(names_people.value, bool):
        found = names_people.text[:40]
        findings.error(names_people.at, f"names_people: should be true or false; found {found!r}; write one")
    languages = _under(root, "languages")
    known = [known_locale(node.value) for node in languages.items or ()]
    if languages is not root and (languages.items is None or None in known or len(set(known)) < len(known)):
        message = "should be a list of locales, each once; found something else; write [de, fr]"
        findings.error(languages.at, f"languages: {message}")
    if not example.keys or example is root:
        findings.error(example.at, "example: should hold values to try the template with; found none; write them")


def _under(root: Node, key: str) -> Node:
    return (root.keys or {})[key][1] if key in (root.keys or {}) else root
