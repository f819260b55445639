"""A figure counts only with equal decisions: engine, plain loop and DuckDB query decide the same for one workload."""

import json
import tempfile
from collections import Counter

import pytest

from bench import books
from bench.duck import duck_decisions
from bench.engine import backtest_decisions, engine_decisions
from bench.plain import NAMES, WAYS, Loop, plain_decisions
from bench.table import same
from bench.workload import Workload
from engine.columns.lane import ColumnLane
from engine.lane import Lane

SMALL = Workload(events=3_000, accounts=40)
MANY_ZONES = Workload(events=3_000, accounts=40, zones=12)


@pytest.fixture(autouse=True)
def _thrown_away(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def by_day(decided, loop):
    return sorted((rule, one, loop.customers[one].clock.day(at)) for rule, one, _, at in decided)


@pytest.mark.slow
@pytest.mark.parametrize("workload", [pytest.param(SMALL, id="one zone"), pytest.param(MANY_ZONES, id="twelve zones")])
@pytest.mark.parametrize("lane", [pytest.param(ColumnLane, id="columns"), pytest.param(Lane, id="plain state")])
def test_the_engine_decides_what_the_plain_loop_decides(workload, lane):
    ours = engine_decisions(workload.lines(), books.rules25(), lane=lane)
    for way in WAYS:
        assert sorted(ours) == sorted(plain_decisions(workload.lines(), way=way))
    assert len(ours) > 100


@pytest.mark.slow
@pytest.mark.parametrize("workload", [pytest.param(SMALL, id="one zone"), pytest.param(MANY_ZONES, id="twelve zones")])
def test_a_backtest_on_midnights_decides_what_duckdb_and_the_plain_loop_decide(workload):
    loop = Loop(after_events=False)
    expected = by_day(loop.run(workload.lines()), loop)
    assert sorted(duck_decisions(workload.path())) == expected
    ours = backtest_decisions(workload.lines(), books.rules25(), midnights=True)
    assert by_day(ours, loop) == expected
    assert len(expected) > 100


@pytest.mark.slow
@pytest.mark.parametrize(
    "book", [pytest.param(books.people5, id="people"), pytest.param(lambda: books.rules(60), id="60")]
)
def test_columns_decide_what_the_plain_state_decides(book):
    workload = Workload(events=1_500, accounts=20)
    ours, twin = (engine_decisions(workload.lines(), book(), lane=lane) for lane in (ColumnLane, Lane))
    assert sorted(ours) == sorted(twin)
    assert len(ours) > 100


@pytest.mark.slow
def test_each_of_the_25_rules_fires_for_some_accounts_and_not_for_all():
    workload = Workload(events=20_000, accounts=200)
    fired = {(rule, account) for rule, account, *_ in plain_decisions(workload.lines())}
    accounts = Counter(rule for rule, _ in fired)
    assert {rule for rule in NAMES if 0 < accounts[rule] < 200} == set(NAMES)


def test_the_plain_loop_and_duckdb_know_the_rules_of_the_book():
    assert [rule.id for rule in books.rules25().rules] == NAMES


def test_equal_parameters_give_equal_events_and_other_ones_do_not(tmp_path):
    files = [tmp_path / name for name in ("first", "second", "other.gz")]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        Workload(events=500, accounts=10, seed=seed).write(file)
    first, second, other = (file.read_bytes() for file in files)
    assert first == second
    assert other.startswith(b"\x1f\x8b")
    assert first.count(b"\n") == 500


def test_events_come_in_the_order_of_time_and_one_in_a_hundred_comes_again():
    seen, times, again = set(), [], 0
    kinds: Counter[str] = Counter()
    for line in Workload(events=5_000, accounts=50).lines():
        event = json.loads(line)
        if event["id"] in seen:
            again += 1
            continue
        seen.add(event["id"])
        times.append(event["time"])
        kinds[event["type"].partition(".")[0]] += 1
    assert times == sorted(times)
    assert again == 50
    shares = {kind: round(kinds[kind] / len(times) * 100) for kind in ("feature", "session", "ticket")}
    assert shares == {"feature": 72, "session": 22, "ticket": 5}


def test_a_workload_may_have_twelve_zones_each_set_by_an_accounts_first_event():
    zones: dict[str, str | None] = {}
    for line in MANY_ZONES.lines():
        event = json.loads(line)
        zones.setdefault(event["account_id"], event["properties"].get("timezone"))
    assert len(zones) == 40
    assert len(set(zones.values())) == 12
    assert None not in zones.values()


def test_any_number_of_rules_can_be_made_from_the_25():
    many = books.rules(200)
    assert len(many.rules) == len({rule.id for rule in many.rules}) == 200
    assert len({line.text for rule in many.rules for line in rule.when}) > 150


def test_five_rules_ask_about_each_person():
    assert [rule.subject for rule in books.people5(with25=False).rules] == ["thing"] * 5
    assert len(books.people5().rules) == 30


@pytest.mark.parametrize(
    "theirs",
    [
        pytest.param([("quiet", "a1", "", 5)], id="one is missing"),
        pytest.param([("quiet", "a1", "", 5), ("quiet", "a2", "", 7)], id="at another instant"),
        pytest.param([("quiet", "a1", "", 5), ("quiet", "a2", "", 6), ("quiet", "a2", "", 6)], id="one twice"),
    ],
)
def test_unequal_decisions_end_the_benchmark_and_are_shown(theirs, capsys):
    ours = [("quiet", "a1", "", 5), ("quiet", "a2", "", 6)]
    same("equal ones", ours, list(reversed(ours)), "the plain loop")
    with pytest.raises(SystemExit):
        same("these", ours, theirs, "the plain loop")
    told = capsys.readouterr().err
    assert "the decisions differ" in told
    assert ("quiet a2  6" in told) == (len(theirs) != 3)
