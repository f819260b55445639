"""The brief for an owner: what changed, what was promised, how the account is, and what can be said from facts."""

from typing import Any

import pytest

from tests.cli.test_reports import event

BOOK = """
measures:
  runs_28d: {count: automation.run, over: 28d}
  runs_7d: {count: automation.run, over: 7d}
  carts: {count: cart.recovered}
  sessions: {count: session.started}
  steady: {count: page.seen}
values:
  runs: {measure: runs_28d, label: Runs, unit: run, worth: {rate: 2, currency: EUR, per: run}}
  runs_of_others: {measure: runs_28d, label: What another report calls them, unit: run}
scores:
  health:
    parts:
      use: {value: runs_7d, from: 0, to: 10, weight: 80}
      carts: {value: carts, from: 0, to: 2, weight: 20}
    bands: {red: 0, green: 70}
reports:
  - {id: monthly, period: previous month, values: [runs], price: mrr, send_if: value_to_price >= 1}
policy:
  timezone: Europe/Berlin
  staff: {domains: [ours.example], names: {mara@ours.example: Mara Lind}}
"""


def often(kind: str, month: str, count: int) -> list[dict[str, Any]]:
    return [event(f"{kind}{month}{day}", kind, f"2026-{month}-{day:02d}T09:00:00Z") for day in range(1, count + 1)]


EVENTS = [
    event("a", "account.updated", "2026-01-10T09:00:00Z", None, mrr=50, currency="EUR", owner="mara@ours.example"),
    event("g", "goal.set", "2026-01-10T09:00:01Z", None, metric="runs", target=30, due="2026-06-30"),
    event("g2", "goal.set", "2026-01-10T09:00:02Z", None, metric="nps", target=9),
    *often("automation.run", "02", 20),
    *often("automation.run", "03", 5),
    *often("session.started", "02", 3),
    *often("session.started", "03", 4),
    *often("page.seen", "02", 9),
    *often("page.seen", "03", 9),
    *often("cart.recovered", "03", 6),
    event("e1", "exception.refused", "2026-02-11T09:00:00Z", None, exception_id="x", what="Half price"),
    event("e2", "exception.granted", "2026-03-11T09:00:00Z", None, exception_id="x", what="A month more", by="mara"),
    event("e3", "exception.granted", "2026-02-12T09:00:00Z", None, exception_id="y", expires_at="2026-03-31"),
    event("e4", "exception.refused", "2026-03-12T09:00:00Z", None, exception_id="z", what="Own cloud", reason="Dear"),
    event("e5", "exception.granted", "2026-03-13T09:00:00Z", None, exception_id="w", expires_at="2026-04-01"),
    event("t", "account.updated", "2026-04-01T09:00:00Z", None, plan="pro"),
]


pytestmark = pytest.mark.usefixtures("imported")


def test_what_changed_most_for_its_size_comes_first_and_each_way_of_counting_once(ask):
    found = ask("reports", "brief", "acme", "--period", "2026-03")
    assert [(one["measure"], one["before"], one["amount"], one["percent"]) for one in found["changes"]] == [
        ("runs_28d", 20, 5, -75),
        ("carts", 0, 6, None),
        ("sessions", 3, 4, 33.3),
    ], "runs_7d counts the same events; nothing changed in pages"
    assert found["changes"][0]["label"] == "Runs", "as its own report calls it"
    assert ask("reports", "brief", "acme", "--period", "2026-02")["changes_not_compared"].startswith("January 2026 is")


def test_promises_are_told_by_their_newest_word_until_they_expire(ask):
    found = ask("reports", "brief", "acme", "--period", "2026-03")["exceptions"]
    assert [(one["exception_id"], one["state"], one["what"]) for one in found] == [
        ("x", "granted", "A month more"),
        ("z", "refused", "Own cloud"),
        ("w", "granted", None),
    ], "y held through 31 March, w holds through 1 April"
    early = ask("reports", "brief", "acme", "--period", "2026-02", "--at", "2026-03-10")["exceptions"]
    assert [(one["exception_id"], one["state"]) for one in early] == [("x", "refused"), ("y", "granted")]


def test_health_is_told_as_it_is_now_with_its_worst_part_and_as_it_was(ask):
    found = ask("reports", "brief", "acme", "--period", "2026-03")
    assert found["health"] == [{"score": "health", "value": 20, "band": "red", "worst": "use", "before": 0}]


def test_what_to_say_is_made_of_facts(run):
    said = run("reports", "brief", "acme", "--period", "2026-03").stdout
    assert said.startswith("Brief on monthly: acme, 2026-03 (2026-03-01 to 2026-03-31, Europe/Berlin)")
    for words in (
        "Owner: Mara Lind",
        "- What they got in 2026-03 is worth 10.00 EUR, 0.2 times what they paid.",
        "- That is less than they paid",
        "- The goal is not reached. Runs: 5 of 30, due 2026-06-30 (in 91 days at the period's end).",
        "- A goal was agreed that nothing measures: nps, 9.",
        "- Runs: down, from 20 to 5 (-75 %).",
        "- Granted on 2026-03-11: A month more.",
        "- Refused on 2026-03-12: Own cloud: Dear.",
        "- health is 20 (red), 0 when the period began; its worst part is use.",
        "- They would get no report: send_if value_to_price >= 1 is no.",
    ):
        assert words in said, words


def test_it_begins_where_the_preview_ends(ask):
    words = ("acme", "--period", "2026-03")
    preview, told = ask("reports", "preview", *words), ask("reports", "brief", *words)
    assert {key: preview[key] for key in told if key in preview} == {key: told[key] for key in told if key in preview}
    assert {"values", "total", "goals", "support", "next_steps", "would_go"} <= told.keys() & preview.keys()
    assert ask("reports", "brief", *words) == told
