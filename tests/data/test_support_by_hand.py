"""Support in reports of a real stream: every figure is the one that a script of its own counts from the raw file."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.lanes import lane_of
from engine.reports import made
from engine.reports.past import Accounts
from engine.reports.periods import read_period
from engine.reports.tracing import Tracing
from engine.rulebook.book import Rulebook
from engine.store import Store
from engine.stores import open_store
from ringfirst.rulebooks import checked, read_folder
from tests.data.by_hand_support import Caller, callers, from_trace, raw_events

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "examples" / "support"
WEEKS = ["2016-W09", "2016-W10", "2016-W11", "2016-W12", "2016-W13"]
pytestmark = [pytest.mark.slow, pytest.mark.data]


@pytest.fixture(scope="module")
def by_hand(shared_data: Path) -> dict[str, Caller]:
    return callers(shared_data / "support_incidents.jsonl.gz")[0]


@pytest.fixture(scope="module")
def asked(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Accounts, Rulebook, Store]]:
    """The stream under the example's things and reports, without its rules: with them an import takes a minute."""
    place = tmp_path_factory.mktemp("support")
    url = f"sqlite:///{place / 'store.db'}"
    (place / "rules").mkdir()
    for name in ("base.yml", "reports.yml"):
        shutil.copy(BOOK / "rules" / name, place / "rules")
    stream = str(shared_data / "support_incidents.jsonl.gz")
    words = [sys.executable, "-m", "ringfirst", "import", stream, "--store", url, "--rules", str(place)]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RINGFIRST_")}
    subprocess.run(words, check=True, capture_output=True, cwd=ROOT, env=ours)
    book, findings = checked(read_folder(place))
    assert book is not None, findings
    store = open_store(url, create=False)
    yield Accounts(store, book, None), book, store
    store.close()


def compared(asked: tuple[Accounts, Rulebook, Store], name: str, caller: Caller, week: str) -> int:
    """Compare every figure of one report; gives how many were known."""
    accounts, book, store = asked
    try:
        found = made.preview(accounts, name, book.report("desk-week"), read_period(week))
    except UsageError:
        assert all(one.opened.strftime("%G-W%V") > week for one in caller.rounds), "nobody was there yet"
        return 0
    told = caller.figures(week)
    assert {one["figure"]: one["amount"] for one in found["support"]["figures"]} == told, (name, week)
    assert [one["amount"] for one in found["values"]] == [caller.opened[week], caller.solved[week]], (name, week)
    began = next(one.first_at for one in store.lane_infos(at=0) if one.lane == lane_of(name, store.lanes))
    assert began is not None
    log = datetime.fromtimestamp(began / 1000, UTC)
    earlier = WEEKS[WEEKS.index(week) - 1]
    whole = week != WEEKS[0] and week != WEEKS[-1] and caller.knows(earlier, log) and caller.knows(week, log)
    assert (found["support"]["not_compared"] is None) is whole, (name, week)
    before = caller.figures(earlier) if whole else dict.fromkeys(told)
    assert {one["figure"]: one["before"] for one in found["support"]["figures"]} == before, (name, week)
    return sum(one is not None for one in (*told.values(), *before.values()))


def test_every_figure_of_every_caller_of_some_weeks(asked, by_hand):
    figures = 0
    for at, (name, caller) in enumerate(sorted(by_hand.items())):
        if at % 8 == 0:
            figures += compared(asked, name, caller, WEEKS[at // 8 % len(WEEKS)])
    assert figures > 1_500


def test_every_week_of_the_busiest_callers(asked, by_hand):
    busiest = sorted(by_hand, key=lambda name: (-len(by_hand[name].rounds), name))
    assert sum(compared(asked, name, by_hand[name], week) for name in busiest[:10] for week in WEEKS) > 400


def test_every_figure_of_the_busiest_callers_is_made_of_the_events_of_its_trace(asked, by_hand, shared_data):
    accounts, book, _ = asked
    raw = raw_events(shared_data / "support_incidents.jsonl.gz")
    busiest = sorted(by_hand, key=lambda name: (-len(by_hand[name].rounds), name))
    known = 0
    for name in busiest[:10]:
        for week in WEEKS:
            try:
                tracing = Tracing(accounts, name, read_period(week), book.report("desk-week"))
            except UsageError:
                continue
            for figure, amount in by_hand[name].figures(week).items():
                told = tracing.trace(f"support.{figure}")
                ours = {one["id"] for one in told["events"]}
                assert {raw[one]["account_id"] for one in ours} <= {name}
                assert told["amount"] == from_trace(figure, told["events"], raw) == amount, (name, week, figure)
                known += amount is not None
    assert known > 200
