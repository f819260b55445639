"""Dashboard and alerts: they ask for metrics and labels that there are, and each alert has its entry on the page."""

import json
import os
import re
import shutil
import subprocess

import click
import pytest
import yaml

from engine.instants import HOUR
from engine.reports.late import Late
from engine.store import LetterCount, Outage
from ringfirst import cli
from ringfirst.intake import now
from ringfirst.oncall.herald import Stock
from streams.batch import Partition
from tests.docs.pages import ROOT, blocks
from tests.oncall.test_pages import desk

__all__ = ["desk"]  # a fixture
RULES = ROOT / "ops" / "prometheus" / "ringfirst.rules.yml"
TESTS = ROOT / "ops" / "prometheus" / "ringfirst.test.yml"
DASHBOARD = json.loads((ROOT / "ops" / "grafana" / "ringfirst.json").read_text())
PAGE = (ROOT / "docs" / "how-to" / "be-on-call.md").read_text()
ALL = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in ALL if "alert" in rule]
PANELS = DASHBOARD["panels"]
NAME = re.compile(r"\b(?:ringfirst|process|python)_[a-z0-9_]+")
MATCHER = re.compile(r"\b((?:ringfirst|process)_[a-z0-9_]+)\{([^}]*)\}")
GROUPED = re.compile(r"\b(?:by|on|without|ignoring) ?\(([^)]*)\)")
ADDED = {"instance", "job", "le"}
"""Labels that Prometheus adds, or that belong to histograms."""


@pytest.fixture
def shown(desk):
    """Every sample that a worker shows when there is something of everything: its name and its labels."""
    worker = desk()
    tally = worker.tally
    tally.begun({Partition("usage", 0): 0})
    tally.ends({Partition("usage", 0): 3}, {})
    tally.failed("halted")
    away = Outage(channel="smtp", since=now() - HOUR, until=now(), why="away", ours=False, failures=1, by="desk")
    due = now() - HOUR
    late = Late(report="monthly", period="2026-10", due=due, closes=due, since=due, cause="nobody")
    worker.herald.stock = Stock([LetterCount("usage", 0, 1, now() - HOUR)], {"queued": 1}, 0.0, [away], [late])
    labels: dict[str, set[str]] = {}
    _, text = worker.ask("/metrics")
    for name, told in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        labels.setdefault(name, set()).update(re.findall(r'(\w+)="', told))
    return labels


def queries():
    yield from ((rule.get("alert") or rule["record"], rule["expr"]) for rule in ALL)
    yield from ((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


def test_every_metric_that_is_asked_for_is_shown_with_the_labels_that_are_asked_for(shown):
    assert len(shown) > 30
    for where, query in queries():
        names = {name for name in NAME.findall(query) if f"{name}:" not in query}
        assert names or "ringfirst:" in query, where
        assert names <= set(shown), where
        for name, matchers in MATCHER.findall(query):
            assert set(re.findall(r"(\w+)\s*[=!]~?", matchers)) <= shown[name] | ADDED, where
        known = set().union(*(shown[name] for name in names)) | ADDED
        for listed in GROUPED.findall(query):
            assert {one.strip() for one in listed.split(",")} <= known, where


def test_every_recorded_name_that_is_asked_for_is_recorded():
    recorded = {rule["record"] for rule in ALL if "record" in rule}
    asked = {name for rule in ALERTS for name in re.findall(r"ringfirst:[a-z_:0-9]+", rule["expr"])}
    assert asked <= recorded


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_has_its_entry(rule):
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert (ROOT / page).is_file()
    assert anchor == rule["alert"].lower()
    entry = PAGE.partition(f"### {rule['alert']}\n")[2].partition("\n##")[0]
    assert "**Look at**" in entry
    assert "**Do**" in entry


def test_the_page_has_no_entry_too_many():
    assert re.findall(r"^### (\w+)", PAGE, re.MULTILINE) == [
        *(rule["alert"] for rule in ALERTS),
    ]


def test_what_the_page_says_to_type_can_be_typed():
    main = click.Context(cli.main)
    typed = re.findall(r"`?ringfirst ([a-z-]+)(?: ([a-z]+))?[^`\n]*?(--[a-z-]+)?", PAGE)
    assert len(typed) > 8
    for word, second, _ in typed:
        command = cli.main.get_command(main, word)
        assert command is not None, word
        if isinstance(command, click.Group):
            assert command.get_command(main, second) is not None, (word, second)
    assert "--health" in [option for one in _worker().params for option in one.opts]


def _worker():
    command = cli.main.get_command(click.Context(cli.main), "worker")
    assert command is not None
    return command


def test_the_settings_of_prometheus_on_the_page_read_our_rules():
    (settings,) = [yaml.safe_load(block.text) for block in blocks(ROOT / "docs/how-to/be-on-call.md") if block.title]
    assert settings["rule_files"] == [RULES.name]
    assert settings["scrape_configs"][0]["static_configs"] == [{"targets": ["127.0.0.1:9464"]}]


def test_the_panels_of_the_dashboard_lie_side_by_side():
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_the_rules_are_whole_and_wake_whom_they_should():
    """By Prometheus' own tool, where it is (``promtool``, or the path in RINGFIRST_TEST_PROMTOOL)."""
    tool = os.environ.get("RINGFIRST_TEST_PROMTOOL") or shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not here; names, labels and structure are tested without it")
    for word, path in (("check", RULES), ("test", TESTS)):
        done = subprocess.run(
            [tool, word, "rules", str(path)], capture_output=True, text=True, check=False, cwd=RULES.parent
        )
        assert done.returncode == 0, done.stdout + done.stderr
