"""The rulebooks that speed is measured with: 25 rules as files, any number made from them, and five about people."""

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bench.workload import FEATURES
from engine.rulebook.book import Rulebook, load_rulebook

ROOT = Path(__file__).parent / "rules25"
OWNER = "bench@ringfirst.example"
SCALES = (0.6, 0.7, 0.8, 0.9, 1.15, 1.3, 1.5)
_FEATURE = re.compile(rf"\b({'|'.join(FEATURES)})_(\w+)")
_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")

PEOPLE = {
    "things": {
        "person": {
            "measures": {
                "days_quiet": {"days_since": "session.started"},
                "days_here": {"days_since_first": "any"},
                "sessions_14d": {"count": "session.started", "over": "14d"},
                "sessions_before": {"count": "session.started", "over": "28d", "ending": "14d ago"},
                "uses_14d": {"count": "feature.used", "over": "14d", "per": "week"},
                "uses_before": {"count": "feature.used", "over": "28d", "ending": "14d ago", "per": "week"},
                "features_28d": {"unique": "feature", "of": "feature.used", "over": "28d"},
            }
        }
    },
    "measures": {"removed_28d": {"count": "user.removed", "over": "28d"}},
}
PEOPLE_RULES = {
    "person-stopped": ["person.sessions_before >= 3", "person.days_quiet >= 14"],
    "person-slowed": ["person.uses_before >= 2", "person.uses_14d < 0.4 * person.uses_before"],
    "person-never-started": ["10 <= person.days_here <= 28", "person.sessions_14d == 0"],
    "person-all-over": ["person.features_28d >= 6", "person.sessions_14d >= 2"],
    "person-beside-a-removed-one": ["removed_28d >= 1", "person.days_quiet <= 3"],
}
"""About each person: name and lines of ``when``."""


def files25() -> dict[str, str]:
    """The files of the 25 rules."""
    paths = sorted(ROOT.glob("**/*.yml"))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@cache
def rules25() -> Rulebook:
    """The 25 rules."""
    return loaded(files25())


@cache
def rules(count: int) -> Rulebook:
    """The 25 rules and as many variants of them, with other features and other bounds, as make ``count`` rules."""
    files = files25()
    measures = yaml.safe_load(files["rules/book.yml"])["measures"]
    more: dict[str, Any] = {}
    base = yaml.safe_load(files["rules/rules.yml"])["rules"]
    turns = [divmod(at, len(base)) for at in range(max(0, count - len(base)))]
    made = [_variant(base[at], turn, measures, more) for turn, at in turns]
    files["rules/more.yml"] = json.dumps({"measures": more, "rules": made})
    files["rules/rules.yml"] = json.dumps({"rules": base[:count]})
    return loaded(files)


@cache
def people5(*, with25: bool = True) -> Rulebook:
    """Five rules for each person, beside the 25 or alone."""
    files = files25()
    if not with25:
        files["rules/rules.yml"] = "rules: []\n"
    subject = {"for": "each person", "each_alone": True}
    made = [_rule(name, when, "every 28d") | subject for name, when in PEOPLE_RULES.items()]
    files["rules/people.yml"] = json.dumps(PEOPLE | {"rules": made})
    return loaded(files)


def loaded(files: dict[str, str]) -> Rulebook:
    """A rulebook from its files, without cases; findings end the program."""
    book, findings = load_rulebook(files, duties=False)
    if book is None:
        sys.exit("\n".join(str(finding) for finding in findings))
    return book


def _variant(rule: dict[str, Any], turn: int, measures: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    scale, shift = SCALES[turn % len(SCALES)] + turn // len(SCALES), turn + 1

    def feature(found: re.Match[str]) -> str:
        other = FEATURES[(FEATURES.index(found[1]) + shift) % len(FEATURES)]
        name = f"{other}_{found[2]}"
        if name not in measures:
            more[name] = measures[found[0]] | {"where": {"feature": other}}
        return name

    def line(text: str) -> str:
        return _NUMBER.sub(lambda found: _scaled(int(found[0]), scale), _FEATURE.sub(feature, text))

    changed = {key: [line(text) for text in rule[key]] for key in ("when", "unless") if key in rule}
    return rule | changed | {"id": f"{rule['id']}-{shift}"}


def _scaled(number: int, scale: float) -> str:
    return str(max(1, round(number * scale)) if number else 0)


def _rule(name: str, when: list[str], re_entry: str) -> dict[str, Any]:
    return {
        "id": name,
        "title": name,
        "why": "It is one of the rules that speed is measured with.",
        "owner": OWNER,
        "when": when,
        "re_entry": re_entry,
        "notify": {"template": "told", "to": "rule owner"},
    }
