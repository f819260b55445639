"""Backtests as a person types them: answers, comparisons, charts, and a store that stays as it was."""

import gzip
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.instants import DAY, HOUR, Instant
from engine.outcomes import Counted, Judgement
from engine.zones import zone
from ringfirst.backtest_words import judged, verdict
from ringfirst.charts import weeks
from ringfirst.intervals import intervals, wilson
from tests.cli.given import BOOK, START, company, event, lines

ROOT = Path(__file__).resolve().parents[2]
KEYS = ["rule", "fires", "subjects", "accounts", "mails", "suppressed", "unknown", "outcome"]
OUTCOME_KEYS = [
    "event",
    "within_days",
    "fired_with_outcome",
    "precision",
    "base_rate",
    "lift",
    "recall",
    "median_lead_days",
]
QUIET = """
measures: {quiet: {days_since: feature.used}}
policy: {staff: {domains: [ringfirst.example]}}
rules:
  - id: quiet
    status: draft
    owner: us@ringfirst.example
    when: [quiet >= THRESHOLD]
    re_entry: every time
"""


def book(place: Path, text: str, name: str = "book") -> Path:
    """A rulebook of one file."""
    folder = place / name / "rules"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.yml").write_text(text)
    return folder.parent


def quiet(place: Path, days: int = 3, name: str = "book", *, status: str = "draft") -> Path:
    return book(place, QUIET.replace("THRESHOLD", str(days)).replace("status: draft", f"status: {status}"), name)


def used(account: str, *days: float) -> list[dict[str, Any]]:
    return [event(f"{account}-{day}", account, "feature.used", START + int(day * DAY)) for day in days]


def left(account: str, day: float) -> list[dict[str, Any]]:
    return [event(f"{account}-left", account, "subscription.cancelled", START + int(day * DAY))]


def write(place: Path, rows: Sequence[dict[str, Any]], name: str = "events.jsonl") -> str:
    (place / name).write_text(lines(sorted(rows, key=lambda row: row["time"])))
    return name


def one(answer: Any) -> Any:
    (row,) = answer["rules"]
    return row


# -- the answer --------------------------------------------------------------------------------------------------------
def test_the_answer_has_the_promised_shape(ask, place):
    write(place, company())
    answer = ask("backtest", "events.jsonl", "--outcome", "ticket.opened", "--within", "2d")
    assert list(answer) == ["from", "to", "events", "accounts", "rules"]
    assert (answer["from"], answer["to"]) == ("2026-03-02T09:06:46Z", "2026-03-13T10:08:40Z")
    assert (answer["events"], answer["accounts"]) == (len(company()), 3)
    assert [row["rule"] for row in answer["rules"]] == ["many-reports", "red-ticket-waits"]
    assert all(list(row) == KEYS and list(row["outcome"]) == OUTCOME_KEYS for row in answer["rules"])


def test_a_store_and_the_file_it_was_made_of_give_the_same_and_what_the_import_decided(ask, place):
    write(place, company())
    ask("import", "events.jsonl")
    answer = ask("backtest")
    assert answer == ask("backtest", "events.jsonl")
    decided = ask("decisions", "list")
    assert {row["rule"]: row["fires"] for row in answer["rules"]} == {
        rule: sum(row["rule"] == rule for row in decided) for rule in ("many-reports", "red-ticket-waits")
    }
    simulated = ask("send", "--simulate", "--outbox", place / "outbox")
    assert sum(row["mails"] for row in answer["rules"]) == simulated["mails"] > 0


def test_nothing_is_written_to_the_store(run, place):
    write(place, company())
    run("import", "events.jsonl")
    before = (place / "ringfirst.db").read_bytes()
    run("backtest", "--outcome", "ticket.opened", "--against", BOOK)
    assert (place / "ringfirst.db").read_bytes() == before
    assert sorted(path.name for path in place.glob("ringfirst.db*")) == ["ringfirst.db"]
    assert not (place / "outbox").exists()


def test_a_rulebook_on_trial_stands_in_its_folder_and_not_in_the_store(ask, run, place):
    write(place, company())
    run("import", "events.jsonl")
    assert [row["rule"] for row in ask("backtest", "--rules", quiet(place))["rules"]] == ["quiet"]
    assert ask("decisions", "list", "--rule", "quiet") == []


def test_where_there_is_no_rulebook_the_active_one_of_the_store_is_tried(ask, run, place, monkeypatch):
    write(place, company())
    run("import", "events.jsonl")
    wanted = [row["fires"] for row in ask("backtest")["rules"]]
    monkeypatch.delenv("RINGFIRST_RULES")
    assert [row["fires"] for row in ask("backtest")["rules"]] == wanted
    assert "no rules/*.yml" in run("backtest", "events.jsonl", code=2).stderr


def test_only_the_rules_that_are_named_are_tried(ask, run, place):
    write(place, company())
    assert one(ask("backtest", "red-ticket-waits", "events.jsonl"))["rule"] == "red-ticket-waits"
    assert "did you mean" in run("backtest", "red-tickets-waits", "events.jsonl", code=2).stderr


def test_files_may_be_packed_several_or_standard_input_and_a_repeat_counts_once(ask, place):
    rows = company()
    wanted = ask("backtest", write(place, rows))
    (place / "half.jsonl.gz").write_bytes(gzip.compress(lines(rows[::2]).encode()))
    write(place, rows[1::2], "other.jsonl")
    assert ask("backtest", "half.jsonl.gz", "other.jsonl", "events.jsonl") == wanted
    assert ask("backtest", "-", stdin=lines(rows)) == wanted


def test_lines_that_are_no_events_are_left_out_and_said(run, place):
    (place / "events.jsonl").write_text("{}\n" + lines(company()))
    assert "1 line left out, the first is line 1: not an event" in run("backtest", "events.jsonl").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["events.jsonl", "--store", "sqlite:///ringfirst.db"], "found both", id="files and a store"),
        pytest.param(["events.jsonl", "--within", "3d"], "name it: --outcome EVENT", id="a span of nothing"),
        pytest.param(["events.jsonl", "--outcome", "x", "--within", "3h"], "write it as 14d or 2w", id="hours"),
        pytest.param(["none.jsonl"], "none.jsonl: cannot be read", id="no such file"),
        pytest.param(["events.jsonl", "--from", "2027-01-01"], "lies after the events", id="from after the end"),
        pytest.param(["events.jsonl", "--to", "2020-01-01"], "no events up to 2020-01-01", id="to before the start"),
        pytest.param(["events.jsonl", "--svg", "events.jsonl"], "cannot be written to", id="a folder that is a file"),
        pytest.param(["events.jsonl", "--against", "nowhere"], "no such folder", id="no other rulebook"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_round(run, place, words, said):
    write(place, company())
    assert said in run("backtest", *words, code=2).stderr


# -- what became of it -------------------------------------------------------------------------------------------------
def test_mails_that_would_not_have_left_are_counted_by_reason(ask, place):
    rows = company()
    row = one(ask("backtest", "many-reports", write(place, rows)))
    assert (row["mails"], row["suppressed"]) == (3, {})
    bare = [{**row, "properties": {"role": "champion"}} if row["type"] == "user.updated" else row for row in rows]
    row = one(ask("backtest", "many-reports", write(place, bare)))
    assert (row["fires"], row["mails"], row["suppressed"]) == (3, 0, {"no address": 3})


def test_the_unknown_that_silenced_a_rule_is_named(ask, run, place):
    rows = [row for row in company() if not (row["account_id"] == "birch" and row["type"] == "user.updated")]
    assert one(ask("backtest", "many-reports", write(place, rows)))["unknown"] == {"to": 1}
    assert "For 1 account it could not be told: nobody to write to is known." in run("backtest", "events.jsonl").stdout


def test_a_mail_that_was_taken_back_is_withdrawn_and_its_fire_counts(ask, place):
    night = START + 12 * HOUR  # 21:00, after the hours for mail
    rows = [
        event("a", "acme", "account.updated", START, plan="pro"),
        event("u", "acme", "user.updated", START, "u1", role="champion", email="ada@acme.example"),
        *(event(f"f{n}", "acme", "feature.used", night + n, "u1", feature="reports") for n in range(10)),
        event("t", "acme", "ticket.opened", night + HOUR, "u1", ticket_id="t1"),
        event("z", "acme", "session.started", START + 2 * DAY, "u1"),
    ]
    row = one(ask("backtest", "many-reports", write(place, rows)))
    assert (row["fires"], row["mails"], row["suppressed"]) == (1, 0, {"withdrawn": 1})


def test_drafts_and_held_out_accounts_fire_and_get_no_mail(ask, run, place):
    rows = [*used("acme", 0), *used("birch", 0), *used("cedar", 0, 6)]
    draft = one(ask("backtest", "--rules", quiet(place), write(place, rows)))
    assert (draft["fires"], draft["accounts"], draft["mails"], draft["suppressed"]) == (3, 3, 0, {})
    assert "3 as drafts" in run("backtest", "--rules", quiet(place), "events.jsonl").stdout
    text = (
        (BOOK / "rules" / "small.yml")
        .read_text()
        .replace("re_entry: every 30d", "re_entry: every 30d\n    holdout: 100%")
    )
    write(place, company())
    held = ask("backtest", "many-reports", "--rules", book(place, text, "held"), "events.jsonl")
    assert (one(held)["fires"], one(held)["mails"]) == (3, 0)


def test_a_rule_over_all_accounts_is_about_none_of_them_and_is_not_judged(ask, run, place):
    text = QUIET.replace("THRESHOLD", "3").replace(
        "rules:",
        """rules:
  - id: all
    status: draft
    owner: us@ringfirst.example
    for: portfolio
    when: [longest >= 3]""",
    )
    folder = book(place, text.replace("measures: {", "measures: {longest: {portfolio: quiet, take: maximum}, "))
    write(place, [*used("acme", 0, 9), *used("birch", 0), *left("birch", 20)])
    words = ["all", "--rules", folder, "events.jsonl", "--outcome", "subscription.cancelled"]
    row = one(ask("backtest", *words))
    assert (row["fires"], row["subjects"], row["accounts"]) == (1, 1, 0)
    assert (row["outcome"]["precision"], row["outcome"]["recall"]) == (None, 0.0)
    assert "Nothing to judge" in run("backtest", *words).stdout


def test_from_and_to_bound_what_is_counted(ask, place):
    rows = [*used("acme", 0, 5, 10, 15, 20), *left("acme", 24)]
    write(place, rows)
    folder = quiet(place)
    everything = ask("backtest", "--rules", folder, "events.jsonl")
    assert one(everything)["fires"] == 5
    part = ask("backtest", "--rules", folder, "events.jsonl", "--from", "2026-03-08", "--to", "2026-03-20")
    assert (part["from"], part["to"], part["events"]) == ("2026-03-08T00:00:00Z", "2026-03-20T00:00:00Z", 4)
    assert one(part)["fires"] == 3
    beyond = ask("backtest", "--rules", folder, "events.jsonl", "--to", "2030-01-01")
    assert beyond == everything, "the data end where they end"


def test_midnights_only_fires_when_the_day_begins(ask, run, place):
    write(place, company())
    said = run("backtest", "--midnights", "events.jsonl")
    assert "local midnights only" in said.stderr
    assert one(ask("backtest", "--midnights", "red-ticket-waits", "events.jsonl"))["fires"] == 0, "it waited by day"
    assert one(ask("backtest", "red-ticket-waits", "events.jsonl"))["fires"] == 3


# -- judged ------------------------------------------------------------------------------------------------------------
def churn(place: Path) -> str:
    """Forty accounts: twenty fall silent and leave, four fall silent and stay, the others come every day."""
    rows = []
    for number in range(20):
        rows += used(f"gone{number:02}", *range(5 + number)) + left(f"gone{number:02}", 5 + number + 5)
    for number in range(4):
        rows += used(f"away{number}", 0, 1, 9, *range(10, 60))
    for number in range(16):
        rows += used(f"loyal{number:02}", *range(60))
    return write(place, rows)


def test_a_rule_is_judged_by_what_followed(ask, place):
    row = one(
        ask("backtest", "--rules", quiet(place), churn(place), "--outcome", "subscription.cancelled", "--within", "7d")
    )
    found = row["outcome"]
    assert (found["event"], found["within_days"], found["fired_with_outcome"]) == ("subscription.cancelled", 7, 20)
    assert found["precision"] == pytest.approx(20 / 24)
    assert (found["recall"], found["median_lead_days"]) == (1.0, pytest.approx(3.375))
    assert found["lift"] == pytest.approx(found["precision"] / found["base_rate"])


def test_it_is_said_in_plain_words_how_sure_it_is(run, place):
    words = ["--outcome", "subscription.cancelled", "--within", "7d"]
    said = run("backtest", "--rules", quiet(place), churn(place), *words).stdout
    assert "Of 24 accounts that fired, 20 had subscription.cancelled within 7 days (83 %, 64 to 93 %)" in said
    assert "any account on any day: " in said
    assert "It warns: that is more than chance." in said
    assert "It came before 20 of 20 first subscription.cancelled (100 %, 84 to 100 %)" in said
    assert "fires per week, 2026-03-02 to 2026-04-27, at most 7" in said
    assert "▇" in said or "█" in said


def test_intervals_come_as_json_when_asked_for(ask, place):
    words = ["--outcome", "subscription.cancelled", "--within", "7d"]
    row = one(ask("backtest", "--rules", quiet(place), churn(place), *words, "--intervals"))
    assert list(row["intervals"]) == ["precision", "lift", "recall", "median_lead_days"]
    low, high = row["intervals"]["lift"]
    assert 1 < low < row["outcome"]["lift"] < high


def test_an_outcome_that_never_happened_is_said_with_what_is_near(run, place):
    write(place, [*used("acme", 0, 1), *left("acme", 2)])
    said = run("backtest", "--rules", quiet(place), "events.jsonl", "--outcome", "subscription.canceled")
    assert "there is no such event in this history; did you mean 'subscription.cancelled'?" in said.stderr


def judgement(rows: Sequence[tuple[int, int]], *, days: int = 100, followed: int = 2) -> Judgement:
    """Accounts of (fires, hits), each with account-days, and as many that never fired and never left."""
    accounts = {f"a{number}": Counted(days, followed, *row) for number, row in enumerate(rows)}
    accounts |= {f"b{number}": Counted(days, 0, 0, 0) for number in range(len(rows))}
    hits = sum(hit for _, hit in rows)
    return Judgement(accounts, max(hits, 1), tuple(range(DAY, DAY * (hits + 1), DAY)))


def test_accounts_that_fire_once_are_counted_as_independent():
    assert intervals(judgement([(1, 1)] * 17 + [(1, 0)] * 24)).precision == wilson(17, 41) == (0.2776, 0.5663)


def test_many_fires_of_one_account_make_nothing_surer():
    once = intervals(judgement([(1, 1)] * 20 + [(1, 0)] * 20)).precision
    again = intervals(judgement([(30, 30)] * 20 + [(30, 0)] * 20)).precision
    naive = wilson(600, 1200)
    assert once is not None
    assert again is not None
    assert naive is not None
    assert again[1] - again[0] > 0.9 * (once[1] - once[0]) > 3 * (naive[1] - naive[0])
    alike = intervals(judgement([(30, 30)] * 20)).precision
    assert alike == wilson(20, 20), "twenty alike are twenty cases, not six hundred"


def test_the_interval_of_lift_is_wide_where_few_accounts_fired():
    few, many = (intervals(judgement([(1, 1)] * n + [(1, 0)] * n)).lift for n in (10, 200))
    assert few is not None
    assert many is not None
    assert few[1] - few[0] > 2 * (many[1] - many[0])
    assert intervals(judgement([(1, 1)] * 4)).lift is None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(judgement([(1, 1)] * 4), "Too few to say: 4 accounts fired", id="few"),
        pytest.param(judgement([(1, 1)] * 20 + [(1, 0)] * 20), "more than chance", id="a warning"),
        pytest.param(judgement([(1, 1)] * 8 + [(1, 0)] * 12), "but on few hits: 8", id="few hits"),
        pytest.param(judgement([(1, 1)] * 3 + [(1, 0)] * 20), "Too few to say: 3 hits", id="too few hits"),
        pytest.param(judgement([(1, 1)] + [(1, 0)] * 60, followed=2), "it may be chance", id="chance"),
        pytest.param(judgement([(1, 1)] * 10 + [(1, 0)] * 200, followed=40), "does not warn", id="the other way"),
        pytest.param(judgement([(1, 1)] * 20 + [(1, 0)] * 180, followed=20), "tells little", id="as on any day"),
        pytest.param(judgement([(1, 0)] * 12, followed=0), "it may be chance", id="nothing to hold it against"),
    ],
)
def test_the_verdict_says_no_more_than_the_accounts_bear(found, said):
    assert said in verdict(found, intervals(found))


def test_a_rule_without_a_fire_that_counts_is_not_judged():
    nothing = Judgement({"a": Counted(100, 2, 0, 0)}, 1, ())
    first, second = judged(nothing, "subscription.cancelled", 14)
    assert first.startswith("Nothing to judge: no fire lies before the first subscription.cancelled")
    assert second.startswith("It came before 0 of 1 first subscription.cancelled (0 %")


# -- two rulebooks -----------------------------------------------------------------------------------------------------
def test_two_rulebooks_say_who_would_have_got_more_and_who_less(ask, run, place):
    write(place, [*used("acme", 0, 4, 8), *used("birch", 0, 2, 4, 6, 8), *used("cedar", 0, 8)])
    later, sooner = quiet(place, 3, "later"), quiet(place, 2, "sooner")
    answer = ask("backtest", "--rules", sooner, "--against", later, "events.jsonl")
    (row,) = answer["against"]
    assert (row["rule"], row["gained"], row["lost"], row["kept"]) == ("quiet", ["birch"], [], 2)
    assert (row["before"]["accounts"], one(answer)["accounts"]) == (2, 3)
    turned = ask("backtest", "--rules", later, "--against", sooner, "events.jsonl")["against"]
    assert (turned[0]["gained"], turned[0]["lost"]) == ([], ["birch"])
    table = run("backtest", "--rules", sooner, "--against", later, "events.jsonl").stdout
    assert "3 -> " in table
    assert "birch" in table


def test_rules_that_only_one_of_two_rulebooks_has_are_named(ask, place):
    write(place, company())
    answer = ask("backtest", "--rules", quiet(place), "--against", BOOK, "events.jsonl")
    assert {row["rule"]: row["before"] is None for row in answer["against"]} == {
        "quiet": True,
        "many-reports": False,
        "red-ticket-waits": False,
    }
    assert answer["against"][1]["lost"] == ["acme", "birch", "cedar"]
    assert ask("backtest", "many-reports", "--rules", quiet(place), "--against", BOOK, "events.jsonl")["rules"] == []


def test_each_of_two_rulebooks_has_its_own_mails(ask, place):
    text = (BOOK / "rules" / "small.yml").read_text().replace("template: underused-feature", "template: own-words")
    other = book(place, text, "other")
    shutil.copytree(ROOT / "templates" / "_base", other / "templates" / "_base")
    for name, mine in (("underused-feature", "own-words"), ("escalation-red", "escalation-red")):
        shutil.copytree(ROOT / "templates" / name, other / "templates" / mine)
    words = ["many-reports", write(place, company()), "--against"]
    (row,) = ask("backtest", *words, other)["against"]
    assert (row["before"]["mails"], row["before"]["suppressed"]) == (3, {})
    assert one(ask("backtest", *words, BOOK, "--rules", other))["mails"] == 3


# -- charts ------------------------------------------------------------------------------------------------------------
def test_each_rule_has_a_chart_that_can_be_read(run, place):
    words = ["--outcome", "subscription.cancelled", "--within", "7d", "--svg", place / "charts"]
    run("backtest", "--rules", quiet(place), churn(place), *words)
    picture = ET.fromstring((place / "charts" / "quiet.svg").read_text())
    space = {"s": "http://www.w3.org/2000/svg"}
    assert "24 fires in 9 weeks" in (picture.findtext("s:desc", "", space))
    found = {kind: picture.findall(f".//s:rect[@class='{kind}'][@width!='10']", space) for kind in ("fires", "hits")}
    assert (len(found["fires"]), len(found["hits"])) == (4, 3)
    assert all(0 <= float(bar.get("y", "-1")) <= 240 for bars in found.values() for bar in bars)


def test_a_title_cannot_break_a_picture():
    from ringfirst.charts import svg

    ET.fromstring(svg(weeks([], zone("UTC"), START, START), "<b>&", outcome='"<i>&'))


@pytest.mark.parametrize("years", [0, 1, 5, 40])
def test_a_chart_of_any_length_has_room_for_its_dates(years):
    from ringfirst.charts import svg

    until: Instant = START + years * 365 * DAY + DAY
    made = weeks([(START, True), (until, False)], zone("UTC"), START, until)
    assert (sum(made.fires), sum(made.hits), made.most) == (2, 1, 1 if years else 2)
    labels = [one for one in ET.fromstring(svg(made, "x", outcome=None)).iter() if one.get("text-anchor") == "middle"]
    places = [float(one.get("x", "0")) for one in labels]
    assert 1 <= len(places) <= 12
    assert all(after - before >= 50 for before, after in pairwise(places))


def test_nothing_heavy_is_loaded_before_it_is_asked_for():
    script = "import sys; from ringfirst.commands import backtest; print({'numpy', 'rich', 'scipy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_the_learning_stream_is_judged(ask, shared_data):
    words = ["--outcome", "subscription.cancelled", "--within", "60d", "--rules", ROOT / "examples" / "learning"]
    answer = ask("backtest", "gone-quiet", shared_data / "learning_usage.jsonl.gz", *words)
    assert (answer["events"], answer["accounts"]) == (188_908, 748)
    assert one(answer)["outcome"]["base_rate"] == pytest.approx(0.0215, abs=0.0005)
