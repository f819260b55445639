"""The schema for editors takes every rulebook that the reader takes, and refuses what the reader refuses first."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.rulebook.findings import Findings
from engine.rulebook.nodes import load
from engine.rulebook.schema import json_schema

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*(ROOT / "rules").glob("**/*.yml"), *(ROOT / "examples").glob("*/rules/**/*.yml")])
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "$") -> list[str]:
    """As much of JSON Schema as ours uses: what does not fit, with its path."""
    if "$ref" in schema:
        found = faults(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
        return found or faults(value, {key: inner for key, inner in schema.items() if key != "$ref"}, root, at)
    found = _of_type(value, schema, at) + _of_words(value, schema, at)
    if "oneOf" in schema:
        fitting = sum(not faults(value, inner, root, at) for inner in schema["oneOf"])
        found += [] if fitting == 1 else [f"{at}: fits {fitting} of oneOf"]
    if "not" in schema and not faults(value, schema["not"], root, at):
        found.append(f"{at}: not allowed")
    if isinstance(value, dict):
        found += [f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value]
        for name, inner in value.items():
            more = schema.get("additionalProperties", True)
            its = schema.get("properties", {}).get(name, more)
            if its is False:
                found.append(f"{at}.{name}: unknown")
            elif isinstance(its, dict):
                found += faults(inner, its, root, f"{at}.{name}")
    if isinstance(value, list) and "items" in schema:
        found += [one for n, item in enumerate(value) for one in faults(item, schema["items"], root, f"{at}[{n}]")]
    return found


def _of_type(value: Any, schema: dict[str, Any], at: str) -> list[str]:
    wanted = schema.get("type")
    if wanted is None:
        return []
    names = [wanted] if isinstance(wanted, str) else wanted
    fits = any(isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool)) for name in names)
    return [] if fits else [f"{at}: {value!r} is no {names}"]


def _of_words(value: Any, schema: dict[str, Any], at: str) -> list[str]:
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is none of {schema['enum']}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        found.append(f"{at}: {value!r} does not match {schema['pattern']}")
    if "minimum" in schema and isinstance(value, (int, float)) and not schema["minimum"] <= value <= schema["maximum"]:
        found.append(f"{at}: {value} is out of bounds")
    return found


def of_text(text: str) -> list[str]:
    node = load("rules/a.yml", text, Findings())
    assert node is not None
    schema = json_schema()
    return faults(_floats(node.plain()), schema, schema)


def _floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_floats(inner) for inner in value]
    return value if value is None or isinstance(value, (str, bool, int)) else float(value)


def test_there_are_rulebooks_to_try() -> None:
    assert len(FILES) >= 5


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=str(path.relative_to(ROOT))) for path in FILES],
)
def test_every_rulebook_of_ours_fits(path: Path) -> None:
    assert of_text(path.read_text(encoding="utf-8")) == []


def test_every_reference_leads_somewhere() -> None:
    schema = json_schema()
    text = yaml.safe_dump(schema)
    names = set(re.findall(r"#/\$defs/([\w ]+)", text))
    assert names
    assert names <= set(schema["$defs"])


def test_every_definition_is_used_and_every_key_is_described() -> None:
    schema = json_schema()
    used = set(re.findall(r"#/\$defs/([\w ]+)", yaml.safe_dump(schema)))
    assert set(schema["$defs"]) <= used
    for shape in [schema, *schema["$defs"].values()]:
        assert all(key["description"].endswith(".") for key in shape["properties"].values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("segmnets: {}", "$.segmnets: unknown", id="an unknown section"),
        pytest.param("policy: {calendars: {a: {on: mon}}}", "$.policy.calendars.a.on: unknown", id="a calendar"),
        pytest.param("reports: [{id: a, period: a month}]", "is none of", id="no period"),
        pytest.param("values: {a: {measure: b}}", "$.values.a: label is missing", id="a value without a label"),
        pytest.param("values: {a: {worth: {currency: euro}}}", "does not match", id="no currency"),
        pytest.param("rules: [{when: [a]}]", "$.rules[0]: id is missing", id="a rule without an id"),
        pytest.param("rules: [{id: A b, when: [a]}]", "does not match", id="an id with blanks"),
        pytest.param("rules: [{id: a, when: [{plan: pro}]}]", "fits 0 of oneOf", id="a mapping as a condition"),
        pytest.param("rules: [{id: a, when: [a], holds_for: soon}]", "does not match", id="no span"),
        pytest.param("rules: [{id: a, when: [a], re_entry: every month}]", "does not match", id="no re-entry"),
        pytest.param("rules: [{id: a, when: [a], kind: other}]", "is none of", id="an unknown kind"),
        pytest.param("rules: [{id: a, when: [a], priority: high}]", "is no ['integer']", id="a priority in words"),
        pytest.param("rules: [{id: a, when: [a], send: {template: t, to: u}}]", "class is missing", id="no class"),
        pytest.param("measures: {a: {count: x, sum: y}}", "fits 2 of oneOf", id="two verbs"),
        pytest.param("measures: {a: {over: 7d}}", "fits 0 of oneOf", id="no verb"),
        pytest.param("measures: {a: {count: x, over: 7 days}}", "does not match", id="no window"),
        pytest.param("attributes: {account: {a: txt}}", "is none of", id="no type"),
    ],
)
def test_an_editor_underlines_what_check_refuses(text: str, expected: str) -> None:
    assert any(expected in fault for fault in of_text(text)), of_text(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(
            "values: {a: {measure: b, label: B, unit: h, worth: {rate: 4.5, currency: EUR, per: h}}}\n"
            "reports: [{id: r, period: previous month, values: [a], compare: previous period, send_if: value.a > 0}]",
            id="a report",
        ),
        pytest.param("things: {a: {id: x, opened_by: [a.b, {event: c.d, where: {e: 1}}]}}", id="acts of all forms"),
        pytest.param("measures: {a: {count: [x, y], where: {b: {not: [1, 2]}}, times: 1/60}}", id="a measure"),
        pytest.param("rules: [{id: a, when: 'x > 1', holdout: 10%}, {id: b, when: [true], holdout: 0.5}]", id="shares"),
        pytest.param(
            "scores: {s: {parts: {p: {value: a, from: 0, to: 1.5, weight: 1}}, needs: 60%, bands: {red: 0}}}",
            id="a score",
        ),
        pytest.param(
            "policy: {caps: {person: [2 per 7d], account: 4 per 7d}, gap: 20h, pause_after: {call.answered: 2d}, "
            "exclude: {domains: [a.example], accounts: {locale: de}}}",
            id="the contact policy",
        ),
        pytest.param('policy: {hours: {from: "22:00", until: "06:00", days: [mon, thu-sat]}}', id="hours"),
    ],
)
def test_what_check_takes_fits(text: str) -> None:
    schema = json_schema()
    node = load("rules/a.yml", text, Findings())
    assert faults(_floats(node.plain() if node else {}), schema, schema) == []
