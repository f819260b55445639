"""The reference pages say what the code takes, no more and no less; links lead somewhere."""

import importlib.util
import re
from typing import Any

import pytest
import yaml

from engine.cases import Case, read_cases
from engine.rulebook import words
from engine.rulebook.book import Rulebook, load_rulebook
from engine.rulebook.findings import Findings
from tests.docs.pages import PAGES, ROOT

_spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
assert _spec is not None
assert _spec.loader is not None
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

LANGUAGE = (ROOT / "docs" / "reference" / "rulebook.md").read_text()
COMMANDS = (ROOT / "docs" / "reference" / "commands.md").read_text()
SECTIONS = dict(re.findall(r"^## ringfirst ([a-z -]+)\n(.*?)(?=^## |\Z)", COMMANDS, re.DOTALL | re.MULTILINE))
_MACHINE = re.compile(
    r"(?<![\w.])/(?:home|root|work|tmp|Users)/|https?://(?:localhost|10\.|192\.168)|[\w.-]+\.(?:internal|local)\b"
)


@pytest.mark.parametrize("page", generate.PAGES, ids=lambda page: page.name)
def test_the_tables_are_those_of_the_code(page):
    assert generate.filled(page.read_text()) == page.read_text(), "old tables; run: python docs/generate.py"


def test_every_table_of_the_vocabulary_is_on_the_page():
    there = set(re.findall(r"<!-- generated: ([^>]+?) -->", LANGUAGE))
    assert there == {*words.SHAPES, "verbs", "usual", "thing-names"}


def test_every_shape_of_the_vocabulary_has_a_table():
    shapes = {name: one for name, one in vars(words).items() if isinstance(one, dict) and _is_shape(one)}
    missing = {name for name, one in shapes.items() if not any(one is known for known in words.SHAPES.values())}
    assert missing <= {"PERSON"}, "PERSON takes measures alone; the page says so in words"


def _is_shape(one: dict) -> bool:
    return bool(one) and all(isinstance(inner, words.Key) for inner in one.values())


def _said() -> list[Any]:
    """Each default of the page that can be written: its table, its key, and the value."""
    rows = [(table, key, said) for table, keys in generate.DEFAULTS.items() for key, said in keys.items()]
    return [
        pytest.param(table, key, yaml.safe_load(said.strip("`")), id=f"{table} {key}")
        for table, key, said in rows
        if said.startswith("`")
    ]


@pytest.mark.parametrize(("table", "key", "value"), _said())
def test_a_default_written_out_changes_nothing(table, key, value):
    left_out, written, other = (_read(table, keys) for keys in ({}, {key: value}, {key: _OTHERS[table, key]}))
    assert written == left_out
    assert other != left_out, "the key is read"


def test_a_default_is_of_a_key_that_may_be_left_out():
    for table, keys in generate.DEFAULTS.items():
        assert {key for key in keys if words.SHAPES[table][key].required} == set()


_OTHERS = {
    ("measure", "full"): True,
    ("measure", "times"): 60,
    ("measure", "take"): "average",
    ("score", "needs"): "60%",
    ("rule", "kind"): "value",
    ("rule", "for"): "each ticket",
    ("rule", "re_entry"): "every time",
    ("rule", "status"): "draft",
    ("rule", "holdout"): "10%",
    ("rule", "backfill"): True,
    ("rule", "priority"): 40,
    ("rule", "max_age"): "2d",
    ("rule", "each_alone"): True,
    ("rule", "every"): "2h",
    ("report", "close_after"): "48h",
    ("report", "template"): "another",
    ("report", "class"): "marketing",
    ("report", "mode"): "auto",
    ("report", "topic"): "tips",
    ("report", "holdout"): "10%",
    ("report", "priority"): 40,
    ("send", "mode"): "auto",
    ("notify", "mode"): "review",
    ("goal", "within"): "7d",
    ("policy", "timezone"): "Europe/Berlin",
    ("policy", "settle"): "1h",
    ("policy", "hold_for"): "1d",
    ("source", "late_after"): "3h",
    ("source", "least"): "30%",
    ("hours", "from"): "09:00",
    ("hours", "until"): "17:00",
    ("hours", "days"): "mon-fri",
    ("given", "at"): "09:00",
    ("given", "account"): "zenith",
    ("given", "every"): "2d",
}


def _read(table: str, keys: dict[str, Any]) -> Any:
    """A small rulebook with these keys in one of its parts, as it is read."""

    def part(name: str, **given: Any) -> dict[str, Any]:
        return given | (keys if name == table else {})

    reach = {"notify": part("notify", template="note", to="rule owner")}
    if table == "send":
        reach = {"send": part("send", template="note", to="champion", **{"class": "relationship"})}
    given = part("given", day=1, event="feature.used", until=5)
    case = {"name": "one", "given": [given], "expect": [{"day": 1}]}
    reach |= {"goal": part("goal", when="used >= 5")}
    rule = part("rule", id="a-rule", owner="a@ringfirst.example", when=["used >= 1"], cases=[case], **reach)
    take = {key: value for key, value in keys.items() if key == "take"}  # goes with portfolio, and the others do not
    count = {"count": "feature.used", "over": "28d"} | (keys if table == "measure" and not take else {})
    parts = {"use": {"value": "used", "from": 0, "to": 1, "weight": 1}}
    schedule = {"every": "month", "on_day": 2, "at": "09:00"}
    shown = {"id": "monthly", "period": "previous month", "values": ["hours"], "schedule": schedule, "to": "champion"}
    data = {
        "values": {"hours": {"measure": "minutes", "label": "Hours"}},
        "reports": [part("report", **shown)],
        "things": {"ticket": {"id": "ticket_id", "opened_by": "ticket.opened", "closed_by": "ticket.solved"}},
        "measures": {"used": count, "all": {"portfolio": "used"} | take, "minutes": {"count": "automation.run"}},
        "scores": {"health": part("score", parts=parts)},
        "policy": part("policy", hours=part("hours"), sources={"product": part("source", events="feature.used")}),
        "rules": [rule],
    }
    template = "for: customer\nclass: relationship\n" if table == "send" else "for: staff\n"
    files = {"rules/base.yml": yaml.safe_dump(data), "templates/note/template.yml": template}
    files["templates/another/template.yml"] = "for: customer\nclass: relationship\n"
    book, findings = load_rulebook(files, duties=False)
    assert book is not None, [str(one) for one in findings]
    kept_open = [one.close_after for one in book.reports]
    return book.rules, book.measures, book.scores, book.policy, book.policy.topics, kept_open, _cases(book)


def _cases(book: Rulebook) -> list[tuple[Any, ...]]:
    findings = Findings()
    found: list[Case] = [one for rule in book.written for one in read_cases(rule, book.sources[rule.id], findings)]
    assert findings.all() == []
    return [(one.name, one.given, one.until) for one in found]


def test_every_command_has_a_section_and_no_other():
    assert set(SECTIONS) == {name for name, _ in generate.commands()}


@pytest.mark.parametrize(
    ("name", "command"), list(generate.commands()), ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_section_names_every_key_of_the_json_answer(name, command):
    answers = command.help.partition("With --json")[2] if command.help else ""
    keys = set(re.findall(r'"(\w+)"', answers))
    assert {key for key in keys if key not in SECTIONS[name]} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link


@pytest.mark.parametrize("page", [*PAGES, *sorted(ROOT.glob("examples/*/README.md"))], ids=lambda page: page.name)
def test_a_page_names_no_place_of_its_writer(page):
    assert _MACHINE.findall(page.read_text()) == []
