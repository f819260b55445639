"""The JSON Schema of rulebook files, for editors: made from the same tables that the reader uses."""

from typing import Any

from engine.rulebook import words
from engine.rulebook.words import Key, Shape
from engine.values import KINDS

_APART = ("sections", "measure")
"""The whole file, and the shape whose verbs exclude each other."""
_TEXT = {"type": "string"}
_SCALAR = {"type": ["string", "number", "boolean"]}
_ONE_OR_MORE_TEXTS = {"oneOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_KINDS: dict[str, Any] = {
    "text": _TEXT,
    "name": _TEXT,
    "expression": {"type": ["string", "boolean"]},
    "conditions": {
        "oneOf": [{"type": ["string", "boolean"]}, {"type": "array", "items": {"type": ["string", "boolean"]}}]
    },
    "number": {"type": "number"},
    "whole number": {"type": "integer"},
    "true/false": {"type": "boolean"},
    "slug": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$"},
    "span": {"type": "string", "pattern": "^[0-9]+ *[smhdw]$"},
    "window": {"type": "string", "pattern": "^([0-9]+ *[smhdw]|(this|previous) (week|month|quarter|year))$"},
    "ago": {"type": "string", "pattern": "^[0-9]+ *[smhdw] ago$"},
    "share": {"oneOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": "%$"}]},
    "factor": {"type": ["number", "string"]},
    "clock": {"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$"},
    "types": _ONE_OR_MORE_TEXTS,
    "types or thing": _ONE_OR_MORE_TEXTS,
    "readers": _ONE_OR_MORE_TEXTS,
    "text or list": {"oneOf": [_SCALAR, {"type": "array", "items": _SCALAR}]},
    "weekdays": _ONE_OR_MORE_TEXTS,
    "places": _ONE_OR_MORE_TEXTS,
    "texts": _ONE_OR_MORE_TEXTS,
    "list of text": {"type": "array", "items": _TEXT},
    "map of text": {"type": "object", "additionalProperties": _TEXT},
    "map of span": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[0-9]+ *[smhdw]$"}},
    "map of number": {"type": "object", "additionalProperties": {"type": "number"}},
    "map of type": {"type": "object", "additionalProperties": {"enum": list(KINDS)}},
    "property": _TEXT,
    "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "comparisons": {
        "oneOf": [{"enum": list(words.COMPARISONS)}, {"type": "array", "items": {"enum": list(words.COMPARISONS)}}]
    },
    "acts": {"oneOf": [_TEXT, {"type": "object"}, {"type": "array"}]},
    "where": {"type": "object"},
    "literals": {"type": "object"},
    "zone": _TEXT,
    "consent": {"type": ["boolean", "string"]},
    "day": {"type": ["string", "integer"]},
    "subject": {"type": "string", "pattern": "^(account|portfolio|each \\S+)$"},
    "re-entry": {"type": "string", "pattern": "^(never|every time|every [0-9]+[hdw])$"},
    "expect": {"oneOf": [{"enum": ["sends", "silent"]}, {"type": "array", "items": {"$ref": "#/$defs/expect"}}]},
}


def json_schema() -> dict[str, Any]:
    """The schema of one rulebook file (JSON Schema 2020-12)."""
    definitions = {name: _object(shape) for name, shape in words.SHAPES.items() if name not in _APART}
    definitions["measure"] = _measure()
    definitions["thing"].pop("required")  # the built-in person has no id of its own; the reader asks for the others'
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Ringfirst rulebook file",
        **_object(words.SECTIONS),
        "$defs": definitions,
    }


def _object(shape: Shape) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: {**_takes(key), "description": key.says} for name, key in shape.items()},
    }
    required = [name for name, key in shape.items() if key.required]
    return {**found, "required": required} if required else found


def _measure() -> dict[str, Any]:
    verbs = {
        verb: {**(_ONE_OR_MORE_TEXTS if argument == "types" else _TEXT), "description": says}
        for verb, (argument, says) in words.VERBS.items()
    }
    options = {name: {**_takes(key), "description": key.says} for name, key in words.MEASURE.items()}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {**verbs, **options},
        "oneOf": [{"required": [verb]} for verb in verbs],
    }


def _takes(key: Key) -> dict[str, Any]:
    takes = key.takes
    if takes.startswith("word "):
        return {"enum": takes.removeprefix("word ").split("|")}
    for shape, build in (("map of ", _map), ("list of ", _list)):
        inner = takes.removeprefix(shape)
        if takes.startswith(shape) and takes not in _KINDS:
            return build({"$ref": f"#/$defs/{inner}"})
    return dict(_KINDS[takes]) if takes in _KINDS else {"$ref": f"#/$defs/{takes}"}


def _map(inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": inner}


def _list(inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": inner}
