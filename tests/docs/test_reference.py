"""The reference pages say what the code takes, no more and no less; links lead somewhere."""

import importlib.util
import re

import pytest

from engine.rulebook import words
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
    there = set(re.findall(r"<!-- generated: (\S+) -->", LANGUAGE))
    assert there == {*words.SHAPES, "verbs", "usual", "thing-names"}


def test_every_shape_of_the_vocabulary_has_a_table():
    shapes = {name: one for name, one in vars(words).items() if isinstance(one, dict) and _is_shape(one)}
    missing = {name for name, one in shapes.items() if not any(one is known for known in words.SHAPES.values())}
    assert missing <= {"PERSON"}, "PERSON takes measures alone; the page says so in words"


def _is_shape(one: dict) -> bool:
    return bool(one) and all(isinstance(inner, words.Key) for inner in one.values())


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
