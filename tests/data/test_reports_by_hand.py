"""Reports of a real stream: every figure is the one that a script of its own counts from the raw file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.errors import UsageError
from engine.reports import made, tracing
from engine.reports.past import Accounts
from engine.reports.periods import read_period
from engine.rulebook.book import Rulebook
from engine.stores import open_store
from ringfirst.cli import main
from ringfirst.rulebooks import checked, read_folder
from tests.data.by_hand import Student, a_year_before, before, students

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "examples" / "learning"
MONTHS = [f"{year}-{month:02d}" for year in (2013, 2014, 2015) for month in range(1, 13)][3:29]
pytestmark = [pytest.mark.slow, pytest.mark.data]


@pytest.fixture(scope="module")
def by_hand(shared_data: Path) -> dict[str, Student]:
    return students(shared_data / "learning_usage.jsonl.gz")


@pytest.fixture(scope="module")
def store_url(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('learning') / 'store.db'}"
    stream = str(shared_data / "learning_usage.jsonl.gz")
    words = [sys.executable, "-m", "ringfirst", "import", stream, "--store", url, "--rules", str(BOOK)]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RINGFIRST_")}
    subprocess.run(words, check=True, capture_output=True, cwd=ROOT, env=ours)
    return url


@pytest.fixture(scope="module")
def accounts(store_url: str) -> Iterator[tuple[Accounts, Rulebook]]:
    book, findings = checked(read_folder(BOOK))
    assert book is not None, findings
    store = open_store(store_url, create=False)
    yield Accounts(store, book, None), book
    store.close()


def compared(asked: tuple[Accounts, Rulebook], name: str, student: Student, month: str) -> int:
    """Compare every figure of one report; gives how many there were."""
    report = asked[1].report("monthly-study")
    try:
        found = made.preview(asked[0], name, report, read_period(month))
    except UsageError:
        assert f"{student.first:%Y-%m}" > month, "nobody was there yet"
        return 0
    whole, figures = student.knows(month), student.figures(month)
    assert found["period"]["full"] is whole
    assert found["would_go"] is (whole and figures["days_here"] > 0)
    assert {one["value"]: one["amount"] for one in found["values"]} == figures, (name, month)
    assert {one["value"]: one["ever"]["amount"] for one in found["values"]} == student.ever(month), (name, month)
    for at, earlier in enumerate((before(month), a_year_before(month))):
        seen = {one["value"]: (one["compared"][at]["amount"], one["compared"][at]["change"]) for one in found["values"]}
        told = student.figures(earlier)
        expected = {
            key: (count, figures[key] - count) if student.knows(earlier) else (None, None)
            for key, count in told.items()
        }
        assert seen == expected, (name, month, earlier)
    for one in found["values"]:
        charted = [step for step in MONTHS[: MONTHS.index(month) + 1] if student.knows(step)][-6:]
        assert [(step["period"], step["amount"]) for step in one["series"]] == [
            (step, student.figures(step)[one["value"]]) for step in charted
        ], (name, month)
    return 4 * len(figures) + 1


def test_every_figure_of_every_student_for_one_month_each(accounts, by_hand):
    figures = 0
    for at, (name, student) in enumerate(sorted(by_hand.items())):
        figures += compared(accounts, name, student, MONTHS[at % len(MONTHS)])
    assert figures > 2_000


def test_every_month_of_the_busiest_the_quietest_and_some_between(accounts, by_hand):
    by_use = sorted(by_hand, key=lambda name: (sum(by_hand[name].pages.values()), name))
    for name in [*by_use[:3], *by_use[:: len(by_use) // 12], *by_use[-5:]]:
        for month in MONTHS:
            compared(accounts, name, by_hand[name], month)


def test_a_trace_names_the_events_of_the_month_and_no_other(accounts, by_hand):
    asked, book = accounts
    for name in sorted(by_hand)[::60]:
        for month in MONTHS[6:12]:
            if by_hand[name].first.strftime("%Y-%m") <= month:
                report = book.report("monthly-study")
                found = tracing.Tracing(asked, name, read_period(month), report).trace("days_here")
                assert {one["id"] for one in found["events"]} == by_hand[name].events.get(month, set())
                assert len({one["counted"] for one in found["events"]}) == found["amount"]


def test_what_is_printed_is_what_was_counted(by_hand, store_url):
    name = max(by_hand, key=lambda one: sum(by_hand[one].pages.values()))
    month = max(by_hand[name].pages, key=lambda one: (by_hand[name].knows(before(one)), by_hand[name].pages[one]))
    words = ["reports", "preview", name, "--period", month, "--store", store_url, "--rules", str(BOOK)]
    said = CliRunner(env={"COLUMNS": "200", "RINGFIRST_DATA": None}).invoke(main, words).stdout
    now, earlier = by_hand[name].figures(month), by_hand[name].figures(before(month))
    for label, key in (("Days of study", "days_here"), ("Pages of the course", "pages_read")):
        line = next(line for line in said.splitlines() if line.startswith(label))
        assert line.removeprefix(label).split()[:1] == [str(now[key])]
        assert f"{earlier[key]} ({now[key] - earlier[key]:+d}, " in line
