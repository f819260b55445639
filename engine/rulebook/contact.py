"""Reading the contact policy: caps, gap, pauses and exclusions, which hold for all rules."""

import re
from collections.abc import Mapping

from engine.domains import wire
from engine.rulebook.findings import listed, suggestion
from engine.rulebook.nodes import Node
from engine.rulebook.reading import Reading
from engine.rulebook.spec import Breaker, Cap, ContactPolicy
from engine.rulebook.words import BREAKER, CAPS, CONTACTS, EXCLUDE

_CAP = re.compile(r"(\d{1,4}) +per +(\S+(?: [smhdw])?)", re.ASCII)
_SHARE = re.compile(r"(\d{1,2}(?:\.\d{1,4})?)% +of +(\d{1,5})", re.ASCII)
_PAUSES = sorted(CONTACTS.keys() - {"outreach.sent"})  # between mails of ours lies the gap


def read_contact(reading: Reading, policy: Mapping[str, Node]) -> ContactPolicy:
    """The contact policy among the keys of ``policy``."""
    caps = reading.mapping(policy["caps"], "caps", CAPS) if "caps" in policy else {}
    exclude = reading.mapping(policy["exclude"], "exclude", EXCLUDE) if "exclude" in policy else {}
    return ContactPolicy(
        _caps(reading, caps["person"], "caps.person") if "person" in caps else (),
        _caps(reading, caps["account"], "caps.account") if "account" in caps else (),
        reading.span(policy["gap"], "gap") if "gap" in policy else 0,
        _pauses(reading, policy["pause_after"]) if "pause_after" in policy else (),
        read_domains(reading, exclude["domains"], "exclude.domains") if "domains" in exclude else (),
        reading.literals(exclude["accounts"], "exclude.accounts") if "accounts" in exclude else (),
        "cancelled" in exclude and reading.flag(exclude["cancelled"], "exclude.cancelled"),
        reading.span(policy["near_meeting"], "near_meeting") if "near_meeting" in policy else 0,
    )


def read_breaker(reading: Reading, node: Node) -> Breaker:
    """What trips a rule to review."""
    keys = reading.mapping(node, "breaker", BREAKER)
    rule = _caps(reading, keys["rule"], "breaker.rule") if "rule" in keys else ()
    if len(rule) > 1:
        reading.error(keys["rule"], "breaker.rule: one limit is enough; found several; keep the one that trips first")
    base = reading.share(keys["base"], "breaker.base") if "base" in keys else None
    bounces, complaints = (
        _share_of(reading, keys[key], f"breaker.{key}") if key in keys else (0.0, 0)
        for key in ("bounces", "complaints")
    )
    return Breaker(next(iter(rule), None), base, bounces, complaints)


def _share_of(reading: Reading, node: Node, what: str) -> tuple[float, int]:
    parts = _SHARE.fullmatch(node.text)
    if parts is None or not int(parts[2]):
        reading.error(node, f"{what}: should be such as 5% of 200; found {node.text[:40] or node.kind}")
        return 0.0, 0
    return float(parts[1]) / 100, int(parts[2])


def kind_of(value: object) -> str:
    """The type of an attribute that is compared with this constant.

    >>> kind_of(True), kind_of(3), kind_of("pro")
    ('true/false', 'number', 'text')
    """
    if isinstance(value, bool):
        return "true/false"
    return "number" if isinstance(value, int | float) else "text"


def _caps(reading: Reading, node: Node, what: str) -> tuple[Cap, ...]:
    found = []
    for item in node.items if node.items is not None else [node]:
        parts = _CAP.fullmatch(item.text)
        if parts is None or not int(parts[1]):
            reading.error(item, f"{what}: should be such as 2 per 7d; found {item.text[:40] or item.kind}")
            continue
        span = reading.span_of(parts[2], item, what)
        if span:
            found.append(Cap(int(parts[1]), span, f"{parts[1]} per {parts[2]}"))
    return tuple(found)


def _pauses(reading: Reading, node: Node) -> tuple[tuple[str, int], ...]:
    if node.keys is None:
        reading.error(node, f"pause_after: should be a mapping; found {node.kind}; write call.answered: 2d")
        return ()
    found = []
    for name, (at, inner) in node.keys.items():
        if name not in _PAUSES:
            near = suggestion(name, _PAUSES) or f"; it takes {listed(_PAUSES)}"
            reading.error(at, f"pause_after: '{name[:60]}' is no event of contact{near}")
            continue
        found.append((name, reading.span(inner, f"pause_after {name}")))
    return tuple(found)


def read_domains(reading: Reading, node: Node, what: str) -> tuple[str, ...]:
    """Mail domains, one or a list; in letters of any language."""
    found = []
    for item in node.items if node.items is not None else [node]:
        domain = reading.text(item, what)
        if wire(domain) is not None:
            found.append(domain.lower())
        else:
            reading.error(item, f"{what}: should be a domain such as acme.example; found {domain[:60]!r}")
    return tuple(found)
