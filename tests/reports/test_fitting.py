"""A report of more than an event holds: what is left out is said, counts stay exact, and nobody goes without one."""

from typing import Any

import pytest

from engine import replay
from engine.errors import UsageError
from engine.events import MAX_BYTES, encode_properties
from engine.instants import HOUR
from engine.questions import events_of
from engine.reports import made
from engine.reports.fitting import fitted
from engine.reports.issuing import Issuer, clock_of
from engine.reports.kept import issued_in
from engine.reports.late import late
from engine.store import Store
from outreach.paper import paper_context
from outreach.report_blocks import used_of
from outreach.reported import report_context
from ringfirst.report_blocks_shown import blocks_of
from ringfirst.reporting import Rounds
from tests.reports.given import BOOK, MARCH, WALL, book_of, customer, event, instant, issue, mails, run, take

APRIL = "2026-04-02T06:30:00Z"
SET = "2026-01-05T09:00:00Z"
LONG = BOOK.replace("price: mrr", "price: mrr\n    lead_with: goals\n    compare: [goal]")


def many_goals(count: int, account: str = "acme") -> list[Any]:
    """Goals with names as long as they may be, and at the end one of a value that there is."""
    names = [f"goal {number} " + "\N{GREEK SMALL LETTER OMEGA}" * 180 for number in range(count)]
    return [
        event(f"g{at}", "goal.set", SET, account, metric=name, target=5) for at, name in enumerate([*names, "hours"])
    ]


def test_a_report_of_more_goals_than_an_event_holds_is_sent_with_those_that_are_known(store: Store):
    book = book_of(LONG)
    rows = [*customer(), run("r1", "2026-03-10T09:00:00Z", 150), *many_goals(600)]
    take(store, rows, until=APRIL, book=book)
    (one,) = issue(store, book)
    assert (one.outcome, len(one.body) < MAX_BYTES) == ("issued", True)
    take(store, [], until="2026-04-02T09:00:00Z", book=book)
    assert store.dead_letters() == []
    assert mails(store) == [("monthly", "u1", "queued"), ("monthly", "u2", "queued")]
    (kept,) = issued_in(events_of(store, "acme", WALL))
    found = kept.figures
    assert len(found["goals"]) + found["goals_left_out"] == 601
    assert found["goals"][-1]["metric"] == "hours", "what is known stays, and stands where it stood"
    assert "more goals, which this report was too long for" in " ".join(blocks_of(found))
    assert report_context(found, "en")["goals"][0]["label"] == "Hours saved"
    told = paper_context(found, "en")["notes"][-1]
    assert told == f"Goals: and {found['goals_left_out']} more"
    assert {key: replay.verify(store)[key] for key in ("missing", "extra", "different")} == dict.fromkeys(
        ("missing", "extra", "different"), 0
    )
    clock = clock_of(store) or 0
    with pytest.raises(UsageError, match="are those that were issued"):
        Issuer(store, book).correct(book.reports[0], MARCH, "acme", clock=clock, why="for fun")


def test_long_lists_are_cut_and_counts_stay_those_of_all():
    names = [f"m{number:04}" + "x" * 190 for number in range(2000)]
    step = {"rule": "idle", "next_step": "Try it.", "about": names, "class": "relationship"}
    features = {"used": names[:500], "unused": names[500:], "bought": 2000}
    change = {"period": "2026-01", "value": "hours", "label": "Hours", "unit": "hour", "was": 1, "is": 2, "why": "late"}
    whole = {
        "goals": [],
        "next_steps": [step],
        "adoption": {"people": None, "features": features},
        "changes": [{**change, "value": f"v{number}"} for number in range(150)],
    }
    found = fitted(whole)
    assert len(encode_properties(found)) < MAX_BYTES
    assert (found["changes"][0]["value"], found["changes_left_out"]) == ("v50", 50)
    assert used_of(found["adoption"]["features"]) == 500
    said = " ".join(blocks_of({**found, "support": None, "contract": None}))
    assert "500 of 2000 that are paid for were used; not used: " in said
    assert f"and {2000 - len(found['next_steps'][0]['about']):,} more) [rule idle]" in said
    assert fitted({**whole, "changes": []})["adoption"] == found["adoption"], "what has changed cuts nothing else"
    small: dict[str, Any] = {"goals": [], "next_steps": [], "adoption": None, "changes": []}
    assert fitted(small) == small


def test_conditions_that_were_asked_of_very_many_parts_are_cut():
    own = {"line": "open_tickets > 0", "truth": "no", "values": {"open_tickets": 0}}
    theirs = [{**own, "truth": "unknown", "account_id": f"{number:04}" + "x" * 200} for number in range(2000)]
    found = fitted({"unless": [own, *theirs]})
    assert len(encode_properties(found)) < MAX_BYTES
    assert found["unless"] == [own, *theirs[: len(found["unless"]) - 1]]
    assert len(found["unless"]) - 1 + found["unless_left_out"] == 2000
    assert found["unless_left_out"] < 2000


def test_a_report_that_is_too_large_all_the_same_is_told_and_holds_nobody_up(store: Store, monkeypatch, caplog):
    names = ("acme", "bolt")
    rows = [[*customer(name), run(f"r-{name}", "2026-03-10T09:00:00Z", 150, name)] for name in names]
    take(store, [one for each in rows for one in each], until="2026-04-02T09:00:00Z")
    was = made.preview

    def preview(accounts, account_id, *more):
        found = was(accounts, account_id, *more)
        return {**found, "title": "x" * MAX_BYTES} if account_id == "bolt" else found

    monkeypatch.setattr(made, "preview", preview)
    assert Rounds(store, book_of).issue() == 1
    assert (
        "report monthly of account bolt cannot be issued; UsageError: report monthly: of bolt: it is 26" in caplog.text
    )
    assert "let it show fewer values" in caplog.text
    assert [
        one.left for one in late(book_of(), store.lane_infos(at=0), store.report_rounds(), instant(APRIL) + 2 * HOUR)
    ] == [1]
