"""Every YAML block of the pages is read by the product's own reader."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cases import check_cases, run_cases
from engine.rulebook.book import load_rulebook
from engine.rulebook.findings import Finding, Findings
from engine.rulebook.nodes import load
from engine.rulebook.words import SECTIONS, VERBS
from outreach.manifest import read_manifest
from outreach.words import read_words
from tests.docs.pages import PAGES, ROOT, SHARED, Block, blocks

RULEBOOK = SHARED / "RULEBOOK.md"
BASE = (ROOT / "rules" / "base.yml").read_text()
OF_A_RULE = (
    "cases",
    "background",
    "send",
    "notify",
    "when",
    "unless",
    "re_entry",
    "once_per",
    "holds_for",
    "clear_when",
)


def yaml_blocks(pages: list[Path]) -> list[Any]:
    return [
        pytest.param(block, id=f"{page.name}:{block.line}")
        for page in pages
        for block in blocks(page)
        if block.language == "yaml"
    ]


@pytest.mark.parametrize("block", yaml_blocks([*PAGES, *([RULEBOOK] if RULEBOOK.is_file() else [])]))
def test_the_reader_takes_every_yaml_block(block: Block):
    findings = Findings()
    node = load("rules/block.yml", block.text, findings)
    assert node is not None, findings.all()
    assert findings.errors == []
    keys = set(node.keys or {})
    if block.title.endswith("template.yml") or {"for", "needs"} <= keys:
        assert read_manifest("template.yml", block.text)[1] == []
        return
    if block.title.endswith("words.yml"):
        assert read_words("words.yml", block.text)[1] == []
        return
    files = {"rules/block.yml": whole(block.text, keys)}
    alone = keys <= set(SECTIONS) and "measures" in keys and "reports" not in keys
    if not keys & {"attributes", "things"} and not alone:
        files["rules/base.yml"] = base_without(keys)
    told = errors(files)
    assert [str(one) for one in told] == []
    book, found = load_rulebook(with_templates(files), duties=False)
    assert book is not None, [str(one) for one in found]
    assert check_cases(book) == []
    report = run_cases(book)
    assert [str(one) for one in report.failures] == []


def test_the_rulebook_page_is_read_where_it_is():
    if not RULEBOOK.is_file():
        pytest.skip("the language's own page is not beside this checkout")
    assert len(yaml_blocks([RULEBOOK])) >= 4


def errors(files: dict[str, str]) -> list[Finding]:
    findings = load_rulebook(with_templates(files), duties=False)[1]
    return [one for one in findings if one.severity == "error"]


def with_templates(files: dict[str, str]) -> dict[str, str]:
    """A template of every name that a rule uses, for whom the rule writes to."""
    made = dict(files)
    for text in files.values():
        for rule in (yaml.safe_load(text) or {}).get("rules") or []:
            for section, reader in (("send", "customer"), ("notify", "staff")):
                if section in rule:
                    made[f"templates/{rule[section]['template']}/template.yml"] = f"for: {reader}\n"
    return made


def whole(text: str, keys: set[str]) -> str:
    """A fragment in the place where it belongs: a measure under ``measures``, cases in a rule."""
    if keys <= set(SECTIONS):
        return text
    if keys <= set(OF_A_RULE):
        return f"rules:\n{starter_rule(keys, indented(text, 4))}"
    data = yaml.safe_load(text)
    assert all(isinstance(one, dict) and set(one) & set(VERBS) for one in data.values()), (
        f"what is this? {sorted(keys)}"
    )
    return f"measures:\n{indented(text, 2)}"


def starter_rule(keys: set[str], rest: str) -> str:
    """The starter's reminder of an orientation, with what the fragment brings in place of its own."""
    own = {
        "when": "    when: [orientation.days_to_start == 1]\n",
        "once_per": "    once_per: orientation.starts_at\n",
        "send": "    send: {template: orientation-tomorrow, to: orientation.host, class: relationship, mode: auto}\n",
    }
    for instead in keys & {"notify", "re_entry"}:
        own.pop({"notify": "send", "re_entry": "once_per"}[instead])
    lines = "".join(line for key, line in own.items() if key not in keys)
    return f"  - id: orientation-tomorrow\n    for: each orientation\n    owner: a@ringfirst.example\n{lines}{rest}"


def base_without(keys: set[str]) -> str:
    data = yaml.safe_load(BASE)
    return yaml.safe_dump(
        {key: inner for key, inner in data.items() if key not in keys & {"policy", "segments", "scores"}}
    )


def indented(text: str, by: int) -> str:
    return re.sub(r"^(?=.)", " " * by, text, flags=re.MULTILINE)
