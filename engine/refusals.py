"""Why a record is no event, in words of our own, and which of its fields were probably meant for one of ours."""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import msgspec

REQUIRED = ("id", "type", "account_id", "time")
FIELDS = (*REQUIRED, "user_id", "properties")
_READ = frozenset(FIELDS)
_KINDS = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
_QUOTES = "put it in quotes"
_SHOULD = {
    "id": ("text", _QUOTES),
    "type": ("text", "write a name such as feature.used"),
    "account_id": ("text", _QUOTES),
    "time": ("text", "write an ISO 8601 instant with its offset, such as 2026-03-01T09:00:00Z"),
    "user_id": ("text", f"{_QUOTES}, or leave it out"),
    "properties": ("an object", 'write {"name": value}, or leave it out'),
}
_NAMES_OF_OTHERS = {
    "messageid": "id",
    "eventid": "id",
    "uuid": "id",
    "event": "type",
    "eventtype": "type",
    "eventname": "type",
    "name": "type",
    "account": "account_id",
    "groupid": "account_id",
    "companyid": "account_id",
    "organizationid": "account_id",
    "tenantid": "account_id",
    "timestamp": "time",
    "ts": "time",
    "createdat": "time",
    "occurredat": "time",
    "user": "user_id",
    "uid": "user_id",
    "personid": "user_id",
    "prop": "properties",
    "props": "properties",
    "property": "properties",
    "traits": "properties",
    "data": "properties",
    "payload": "properties",
    "attributes": "properties",
}
"""What other tools call these fields, as letters alone."""
_OURS = {re.sub("[^a-z]", "", name): name for name in FIELDS}
_SPELLED = _OURS | _NAMES_OF_OTHERS
_MOST = 60
_GOT = re.compile(r"got `(\w+)`")
_AT = re.compile(r"at `\$\.(\w+)`")
_SYNTAX = re.compile(r"JSON is malformed: (.+) \(byte (\d+)\)")
_fields: Callable[[bytes], dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def reason_of(err: Exception, raw: bytes) -> str:
    """One sentence about a record that could not be decoded: where, what is wrong, what was found, what to do.

    Says nothing of its content but the names of fields that look like one of ours.
    """
    if isinstance(err, RecursionError):
        return "nested deeper than 20; send a flatter event"
    if isinstance(err, UnicodeDecodeError):
        return "its text is not UTF-8; send the event as UTF-8"
    if not isinstance(err, msgspec.ValidationError):
        return _no_json(str(err))
    text = str(err)
    got, at = _GOT.search(text), _AT.search(text)
    found = _KINDS.get(got[1], got[1]) if got else ""
    keys = _keys(raw)
    if keys is None and not found:
        return "no JSON object alone; write one event, and in a file one on each line"
    if keys is None:
        return f"should be one JSON object with {_listed(REQUIRED)}; found {found}; send each event as one"
    missing = [name for name in REQUIRED if name not in keys]
    if missing and text.startswith("Object missing"):
        return _missing(missing, keys)
    field = at[1] if at else "properties"
    if got is None or field not in _SHOULD:
        return "properties: a number is too long to be read; send it as text"
    should, remedy = _SHOULD[field]
    if remedy.startswith(_QUOTES) and found not in {_KINDS["int"], _KINDS["bool"]}:
        remedy = f"send one{remedy.removeprefix(_QUOTES)}"
    return f"{field}: should be {should}; found {found}; {remedy}"


def strays(raw: bytes) -> list[tuple[str, str]]:
    """Fields of a good event that are not read and look like one of ours that it lacks: (found, meant).

    >>> strays(b'{"id": "e", "propertys": {}, "context": {}}')
    [('propertys', 'properties')]
    """
    if b'"user_id"' in raw and b'"properties"' in raw:  # nearly all have both, and need no second look
        return []
    keys = _fields(raw)
    if keys.keys() <= _READ:
        return []
    return [(key, meant) for key in keys if key not in FIELDS and (meant := _meant(key)) and meant not in keys]


def _meant(key: str) -> str:
    """The field of ours that a strange one was probably meant for, or nothing."""
    known = _known.get(key)
    if known is None:
        letters = re.sub("[^a-z]", "", key[:_MOST].lower())
        near = get_close_matches(letters, _OURS, n=1, cutoff=0.8)
        known = _SPELLED.get(letters) or (_OURS[near[0]] if near else "")
        if len(_known) < 1_000:  # noqa: PLR2004 - a source has a few; whoever makes a new one for each event waits
            _known[key] = known
    return known


_known: dict[str, str] = {}
"""What was found for a field before: a source writes the same ones in each of its events."""


def _missing(missing: list[str], keys: Iterable[str]) -> str:
    meant = {_meant(key): key for key in keys if key not in FIELDS}
    hints = [f"found '{meant[name][:_MOST]}', rename it to {name}" for name in missing if name in meant]
    told = "; ".join(hints) or f"each event has {_listed(REQUIRED)}; add {'it' if len(missing) == 1 else 'them'}"
    names = _listed([f"'{name}'" for name in missing])
    return f"{names} {'is' if len(missing) == 1 else 'are'} missing; {told}"


def _no_json(text: str) -> str:
    found = _SYNTAX.fullmatch(text)
    if found:
        return f"no JSON: {found[1]}, at byte {found[2]}; write each event as one JSON object"
    return "no whole JSON: it ends early, or inside a text (a quote or half a surrogate is missing); send it whole"


def _keys(raw: bytes) -> list[str] | None:
    try:
        found: Any = _fields(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return list(found)


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
