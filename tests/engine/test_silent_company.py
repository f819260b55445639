"""The tracking of a whole company breaks for two days: whose silence is it, and who is written to?

Most mails of the starter rulebook rest on weeks, so a rule of four days stands beside them. A mail is false if its rule
does not hold for its subject at the time it leaves, by all the events there really were.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from zlib import crc32

import pytest

from engine.assigned import Arrival, AssignedKeeper, LanePart
from engine.events import Arrived, decode
from engine.explain import explain
from engine.instants import DAY, HOUR, Instant
from engine.keeper import Keeper
from engine.lanes import lane_of
from engine.rulebook.book import Rulebook, load_rulebook
from engine.store import OutreachRow, Store
from engine.stores import open_store
from ringfirst.made_company import made_events

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = frozenset({"feature.used", "session.started"})
SOURCES = "  sources: {product: {events: [feature.used, session.started], least: 50%}}\n"
OWN = """
measures:
  acts_4d: {count: [feature.used, session.started], over: 4d}
  acts_28d: {count: [feature.used, session.started], over: 28d}
rules:
  - id: quiet-since-friday
    title: Nothing for four days
    audience: paying
    when: [acts_4d == 0, acts_28d >= 10]
    re_entry: every 14d
    owner: lifecycle@ringfirst.example
    notify: {template: usage-dropped, to: account owner}
"""
WALL = 2_000_000_000_000
MONDAY = 1_747_000_800_000  # 2025-05-12T00:00 in Berlin
UNTIL = MONDAY + 8 * DAY
LANES = 2


@cache
def book_of(*, sources: bool) -> Rulebook:
    paths = [*(ROOT / "rules").glob("*.yml"), *(ROOT / "templates").glob("*/template.yml")]
    files = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    files["rules/own.yml"] = OWN
    del files[
        "rules/support-load.yml"
    ]  # its rules look at the whole company every few minutes, and wait for nothing here
    base = files["rules/base.yml"]
    assert base.rstrip().splitlines()[-1].startswith("  "), "the policy stands at its end"
    head = base.partition("  sources:")[0]
    files["rules/base.yml"] = head + SOURCES * sources
    book, findings = load_rulebook(files, duties=False)
    assert book is not None, [str(one) for one in findings]
    return book


@cache
def everything() -> list[Arrived]:
    """A quarter of the company's customers; what they used from five weeks before the outage to a week after it."""
    found = []
    for row in made_events():
        one = decode(json.dumps(row).encode(), wall=WALL)
        assert isinstance(one, Arrived)
        seen = one.event.type not in PRODUCT or one.event.time >= MONDAY - 36 * DAY
        if crc32(one.event.account_id.encode()) % 4 == 0 and one.event.time < UNTIL and seen:
            found.append(one)
    return sorted(found, key=lambda one: one.event.time)


def broken(start: Instant, *, lost: bool) -> list[Arrived]:
    """Two days of product events come in only after them, or never."""
    end = start + 2 * DAY
    missed = [one for one in everything() if one.event.type in PRODUCT and start <= one.event.time < end]
    assert len(missed) > 100, "somebody used the product"
    rest = [one for one in everything() if one not in missed]
    at = next(place for place, one in enumerate(rest) if one.event.time >= end)
    return rest if lost else [*rest[:at], *missed, *rest[at:]]


def imported(events: list[Arrived], *, sources: bool) -> Store:
    store = open_store("sqlite://", lanes=LANES)
    keeper = Keeper(store, book_of(sources=sources), "import:1:a", at=WALL)
    keeper.take(events, at=WALL)
    keeper.finish(at=WALL)
    keeper.stop()
    return store


@pytest.fixture(scope="module")
def truth() -> Iterator[Store]:
    store = imported(everything(), sources=False)
    yield store
    store.close()


def false_mails(truth: Store, left: list[OutreachRow], when: Callable[[OutreachRow], Instant]) -> list[OutreachRow]:
    """Those that left since the outage began and do not hold by what there really was."""
    found = []
    for row in left:
        if when(row) >= MONDAY and row.subject_kind != "event" and row.account_id != "*":
            about = f"{row.subject_kind}:{row.subject_id}" if row.subject_kind else None
            told = explain(truth, book_of(sources=False), row.account_id, row.rule, about=about, at=when(row))
            if told["truth"] != "yes":
                found.append(row)
    return found


def past(store: Store, truth: Store) -> list[OutreachRow]:
    found = false_mails(truth, store.outreach(states=["past"]), lambda row: row.due_at)
    store.close()
    return found


def test_undisturbed_no_mail_is_false_and_sources_change_none(truth: Store) -> None:
    assert false_mails(truth, truth.outreach(states=["past"]), lambda row: row.due_at) == []
    watched = imported(everything(), sources=True)
    mails = [{one.outreach_id for one in store.outreach(states=["past"])} for store in (truth, watched)]
    assert mails[0] == mails[1]
    watched.close()


@pytest.mark.parametrize("hours", [0, pytest.param(8, marks=pytest.mark.chaos)])
def test_events_that_come_in_two_days_late_cause_no_false_mail(truth: Store, hours: int) -> None:
    events = broken(MONDAY + hours * HOUR, lost=False)
    assert len(past(imported(events, sources=False), truth)) >= 5, "without sources silence is read as customers'"
    assert past(imported(events, sources=True), truth) == []


def test_events_that_are_lost_for_good_cause_none_while_it_lasts(truth: Store) -> None:
    events = broken(MONDAY, lost=True)
    assert len(past(imported(events, sources=False), truth)) >= 5
    after = past(imported(events, sources=True), truth)
    # When the source is well, the hole is still in the windows: nobody can tell it from silence then.
    assert all(row.due_at >= MONDAY + 2 * DAY for row in after)


@pytest.mark.parametrize("sources", [pytest.param(False, marks=pytest.mark.chaos), True])
def test_live_workers_write_to_nobody_for_a_broken_stream(truth: Store, *, sources: bool) -> None:
    before = [one for one in everything() if one.event.time < MONDAY]
    store = imported(before, sources=sources)
    keeper = AssignedKeeper(store, book_of(sources=sources), "worker:1:a", source="log", at=MONDAY)
    keeper.assign(list(range(LANES)), at=MONDAY)
    rest = [one for one in broken(MONDAY, lost=False) if one not in before]
    left: dict[str, Instant] = {}
    for now in range(MONDAY + HOUR, UNTIL, HOUR):
        arrived = [
            one for one in rest if one.event.time < now and (one.event.type not in PRODUCT or now > MONDAY + 2 * DAY)
        ]
        rest = [one for one in rest if one not in arrived]
        for lane in range(LANES):
            mine = [one for one in arrived if lane_of(one.event.account_id, LANES) == lane]
            rows = [Arrival(one, max(one.event.time, now - HOUR)) for one in mine]
            keeper.take_parts([LanePart(lane=lane, arrivals=rows, until=now - 2_000)], at=now)
        keeper.measure(at=now)
        for row in store.outreach(states=["queued", "held"], due_by=now):
            if row.expires_at > now and store.move(row.outreach_id, [row.state], "accepted", at=now, by="sender"):
                left[row.outreach_id] = now
    sent = [row for row in store.outreach(states=["accepted"]) if row.outreach_id in left]
    false = false_mails(truth, sent, lambda row: left[row.outreach_id])
    assert len(false) >= 5 if not sources else false == []
    store.close()
