"""Writes the tables of the reference pages from the code they speak of: ``python docs/generate.py``."""  # noqa: INP001 - a script beside the pages

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from engine.rulebook import sections, words  # noqa: E402 - the checkout comes first
from ringfirst.cli import main  # noqa: E402 - the same
from streams import telling  # noqa: E402 - the same

PAGES = (
    FOLDER / "reference" / "rulebook.md",
    FOLDER / "reference" / "commands.md",
    FOLDER / "reference" / "decision-events.md",
)
DEFAULTS = {
    "measure": {
        "where": "every event",
        "over": "all time",
        "ending": "today, or now",
        "full": "`false`",
        "times": "`1`",
        "at_most": "ten",
        "take": "`sum`",
        "segment": "all accounts",
    },
    "thing": {"asked_by": "never", "answered_by": "never", "closed_by": "never"},
    "segment": {"owner": "the rule's owner"},
    "score": {"cap_above_worst": "no cap", "needs": "`0%`", "bands": "none"},
    "part": {"if_unknown": "left out"},
    "rule": {
        "kind": "`internal`",
        "for": "`account`",
        "audience": "all accounts",
        "clear_when": "not held up",
        "holds_for": "not at all",
        "re_entry": "`never`",
        "status": "`live`",
        "holdout": "`0%`",
        "backfill": "`false`",
        "withdraw": "taken back",
        "priority": "`50`",
        "max_age": "`1d`",
        "each_alone": "`false`",
        "every": "`1h`",
        "across_accounts": "see below",
        "in_doubt": "again when it is proven that it never left",
    },
    "send": {"mode": "`review`", "topic": "that of the rule's kind"},
    "topic": {"needs_consent": "not needed"},
    "notify": {"mode": "`auto`"},
    "goal": {"within": "`14d`"},
    "value": {"unit": "that of the rate, or none", "worth": "no money"},
    "worth": {"currency": "of a sum: the event's own `currency`, else the account's"},
    "report": {
        "audience": "all accounts",
        "price": "not shown",
        "compare": "with nothing",
        "send_if": "always",
        "unless": "never",
        "schedule": "never sent",
        "to": "never sent",
        "close_after": "`24h`",
        "template": "`monthly-value`",
        "class": "`relationship`",
        "mode": "`review`",
        "review_if": "never",
        "topic": "`reports`",
        "owner": "the segment's owner",
        "holdout": "`0%`",
        "priority": "`50`",
        "goal": "not measured",
    },
    "policy": {"timezone": "`UTC`", "staff": "no domains", "settle": "`15m`", "hold_for": "`3d`"},
    "hours": {"from": '`"08:00"`', "until": '`"18:00"`', "days": "`mon-sun`"},
    "source": {"late_after": "`2h`", "least": "`50%`"},
    "case": {"until": "the last given day + 40"},
    "given": {"at": '`"12:00"`', "account": "`acme`", "every": "`1d`"},
    "expect": {"outcome": "any but `withdrawn`", "account": "acme"},
}
"""What holds where a key is left out. In backticks what could be written instead, with the same meaning: tested."""
_BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with every generated part written anew."""
    return _BLOCK.sub(lambda found: f"{found[1]}{generated(found[2])}\n{found[3]}", page)


def generated(name: str) -> str:
    """The generated part of that name: a table of the language, or the options of a command."""
    if name in words.SHAPES:
        return _shape(words.SHAPES[name], DEFAULTS.get(name, {}))
    if name.startswith("struct:"):
        return _struct(getattr(telling, name.removeprefix("struct:")))
    if name == "verbs":
        return _verbs()
    if name == "usual":
        return _usual()
    if name == "thing-names":
        return _table(["name", "type"], [[f"`{key}`", kind] for key, kind in words.THING_NAMES.items()])
    return _options(name.removeprefix("command:").split("."))


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command a person can type, with the words that call it: ``dead-letters list``."""
    context = click.Context(main)
    for word in main.list_commands(context):
        command = main.get_command(context, word)
        if isinstance(command, click.Group):
            yield from ((f"{word} {inner}", one) for inner, one in command.commands.items())
        elif command is not None:
            yield word, command


def _shape(shape: words.Shape, defaults: dict[str, str]) -> str:
    rows = [
        [f"`{key}`" + (" (required)" if rule.required else ""), _takes(rule.takes), defaults.get(key, ""), rule.says]
        for key, rule in shape.items()
    ]
    head = ["key", "takes", "without it", "what for"]
    return _table(head, rows) if defaults else _table([*head[:2], head[3]], [[*row[:2], row[3]] for row in rows])


def _takes(takes: str) -> str:
    if takes.startswith("word "):
        return ", ".join(f"`{word}`" for word in takes.removeprefix("word ").split("|"))
    return takes


def _struct(struct: type[msgspec.Struct]) -> str:
    """The fields of a record that we publish, from its schema."""
    _, found = msgspec.json.schema_components([struct])
    properties = found[struct.__name__]["properties"]
    rows = [[f"`{name}`", _kind(one), one.get("description", "")] for name, one in properties.items()]
    return _table(["field", "type", "what it says"], rows)


def _kind(one: dict[str, Any]) -> str:
    if "anyOf" in one:
        return " or ".join(_kind(inner) for inner in one["anyOf"])
    if "$ref" in one:
        return "object"
    return f"list of {_kind(one['items'])}s" if one["type"] == "array" else str(one["type"])


def _verbs() -> str:
    keys = sections._KEYS  # noqa: SLF001 - the reader's own table; the page should say what the reader takes
    rows = [
        [f"`{verb}`", takes, says, " ".join(f"`{key}`" for key in words.MEASURE if key in keys[verb]) or "nothing"]
        for verb, (takes, says) in words.VERBS.items()
    ]
    return _table(["verb", "of", "what it gives", "goes with"], rows)


def _usual() -> str:
    rows = [["account", name, kind] for name, kind in words.USUAL_ACCOUNT.items()]
    rows += [["person", name, kind] for name, kind in words.USUAL_PERSON.items()]
    return _table(["of", "attribute", "type"], [[who, f"`{name}`", kind] for who, name, kind in rows])


def _options(path: list[str]) -> str:
    command = dict(commands())[" ".join(path)]
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    usage = " ".join(["ringfirst", *path, *(_metavar(one) for one in arguments), "[OPTIONS]"])
    rows = []
    for one in command.params:
        if isinstance(one, click.Option):
            value = f" {_metavar(one)}" if not one.is_flag else ""
            default = f"  [{one.default}]" if one.show_default else ""
            rows.append([f"`{', '.join(one.opts)}{value}`", f"{one.help or ''}{default}"])
    return f"`{usage}`\n\n" + _table(["option", "what it does"], rows) if rows else f"`{usage}`"


def _metavar(one: click.Parameter) -> str:
    if one.metavar:
        return one.metavar
    if isinstance(one.type, click.Choice):
        return "|".join(str(choice) for choice in one.type.choices)
    kind = {"integer range": "N", "integer": "N", "path": "PATH", "time": "TIME"}.get(
        one.type.name, one.type.name.upper()
    )
    return kind if isinstance(one, click.Option) else (one.name or "").upper()


def _table(head: list[str], rows: list[list[str]]) -> str:
    cells = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


if __name__ == "__main__":
    for place in PAGES:
        place.write_text(filled(place.read_text()))
