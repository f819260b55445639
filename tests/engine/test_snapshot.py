"""Snapshots save time and nothing else: what is frozen and thawed again is the same account, byte for byte."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.account import Account
from engine.lane import Lane
from engine.log import Recorded
from engine.program import Program
from engine.snapshot import freeze, shape_of, thaw
from tests.judge import product, strategies

BOOK: dict[str, Any] = {
    "attributes": {"account": {"renewal": "date"}},
    "things": {
        "ticket": {
            "id": "ticket_id",
            "opened_by": "ticket.opened",
            "measures": {"acts": {"count": "ticket.*", "over": "2d"}},
        }
    },
    "measures": {
        "uses": {"count": "feature.used", "over": "7d"},
        "total": {"sum": "amount", "of": "feature.used"},
        "tickets": {"open": "ticket"},
    },
    "rules": [
        {
            "id": "busy",
            "owner": "o@ringfirst.example",
            "when": ["uses >= 2", "tickets >= 0", "total >= 0"],
            "holds_for": "6h",
            "notify": {"template": "note", "to": "rule owner"},
        }
    ],
}


def lane_after(book: dict[str, Any], log: list[dict[str, Any]]) -> Lane:
    """A lane that has taken a judge's log."""
    programs: dict[str, Program] = {}
    stored: dict[str, list[Recorded]] = {}
    lane = Lane(
        programs.__getitem__,
        lambda account, position: [row for row in stored.get(account, []) if row.position <= position],
    )
    for row in log:
        entry = product._entry(row, programs)
        if isinstance(entry, Recorded):
            stored.setdefault(entry.account_id, []).append(entry)
        lane.take(entry)
    return lane


def one_account(*events: tuple[str, dict[str, Any]]) -> Account:
    rows: list[dict[str, Any]] = [{"position": 0, "recorded_at": 0, "rulebook": BOOK}]
    for number, (kind, properties) in enumerate(events, 1):
        event = {"id": f"e{number}", "type": kind, "account_id": "acme", "user_id": "u1", "time": number}
        rows.append({"position": number, "recorded_at": number, "event": event | {"properties": properties}})
    return lane_after(BOOK, rows).accounts["acme"]


@st.composite
def lanes(draw: Any) -> Lane:
    book = draw(strategies.rulebooks())
    log = draw(strategies.histories(book))
    return lane_after(book, log[: draw(st.integers(2, len(log)))] if len(log) > 1 else log)


@pytest.mark.slow
@given(lanes())
@settings(suppress_health_check=list(HealthCheck), max_examples=40)
def test_an_account_comes_back_from_its_bytes_as_it_was(lane: Lane) -> None:
    for account in lane.accounts.values():
        frozen = freeze(account)
        again = thaw(account.id, account.position, account.program, frozen)
        assert again is not None
        assert freeze(again) == frozen
        assert again.zone is account.zone
        for name in ("id", "position", "clock", "next_at", "log_began", "state", "truths", "used", "open"):
            assert getattr(again, name) == getattr(account, name), name


@pytest.mark.slow
@given(lanes())
@settings(suppress_health_check=list(HealthCheck), max_examples=25)
def test_a_thawed_account_reads_the_same_values(lane: Lane) -> None:
    for account in lane.accounts.values():
        again = thaw(account.id, account.position, account.program, freeze(account))
        assert again is not None
        views = account.view(account.clock), again.view(account.clock)
        for slot in range(len(account.program.slots)):
            assert views[0][slot] == views[1][slot]


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"nonsense", id="nonsense"),
        pytest.param(b"\xc1", id="a byte that msgpack never writes"),
        pytest.param(msgspec.msgpack.encode({"shape": "x"}), id="parts missing"),
        pytest.param(msgspec.msgpack.encode([1, 2, 3]), id="another shape of data"),
    ],
)
def test_what_cannot_be_read_is_no_snapshot(damaged: bytes) -> None:
    account = one_account(("feature.used", {}))
    assert thaw("acme", 1, account.program, damaged) is None


def test_a_snapshot_that_was_cut_off_is_no_snapshot() -> None:
    account = one_account(("feature.used", {"amount": 3}))
    frozen = freeze(account)
    assert all(thaw("acme", 1, account.program, frozen[:length]) is None for length in range(len(frozen)))


def test_a_snapshot_of_other_measures_is_not_used() -> None:
    account = one_account(("feature.used", {}))
    other = Program(product.book_of({**BOOK, "measures": {**BOOK["measures"], "uses": {"count": "feature.used"}}}))
    assert thaw("acme", 1, other, freeze(account)) is None


def test_a_snapshot_outlives_an_edit_of_words() -> None:
    account = one_account(("feature.used", {}))
    other = Program(product.book_of({**BOOK, "rules": [BOOK["rules"][0] | {"title": "Another title", "priority": 7}]}))
    assert shape_of(other) == shape_of(account.program)
    assert thaw("acme", 1, other, freeze(account)) is not None


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(2**70, id="an integer beyond 64 bits"),
        pytest.param(-(2**70), id="a negative one"),
        pytest.param({"a": [1, {"b": None}], "c": {}}, id="nested containers"),
        pytest.param([], id="an empty list"),
        pytest.param("", id="an empty text"),
        pytest.param(["d", "1"], id="what looks like a tagged value"),
        pytest.param({"d": ["m", {}]}, id="what looks like a tagged mapping"),
        pytest.param(0.1, id="a decimal"),
        pytest.param(True, id="true"),
        pytest.param(None, id="null"),
    ],
)
def test_any_trait_comes_back_as_it_was(value: object) -> None:
    account = one_account(
        ("account.updated", {"x": value, "deep": {"x": value}}), ("ticket.opened", {"ticket_id": "t", "x": value})
    )
    again = thaw("acme", 2, account.program, freeze(account))
    assert again is not None
    assert again.state.traits == account.state.traits
    assert again.state.things["ticket"]["t"].props == account.state.things["ticket"]["t"].props


def test_a_stretch_of_truth_and_its_hold_go_through_a_snapshot() -> None:
    account = one_account(("feature.used", {}), ("feature.used", {}))
    again = thaw("acme", 2, account.program, freeze(account))
    assert again is not None
    facts = again.advance(again.clock + 6 * 3_600_000)
    assert [fact.rule for fact in facts] == ["busy"]  # type: ignore[union-attr]
    assert facts == account.advance(account.clock + 6 * 3_600_000)


def test_a_sum_beyond_64_bits_comes_back_as_it_was() -> None:
    account = one_account(*[("feature.used", {"amount": 9 * 10**12})] * 5)
    total = [data for data in account.state.kept if isinstance(data, dict)]
    again = thaw("acme", 5, account.program, freeze(account))
    assert again is not None
    assert again.state.kept == account.state.kept
    assert any(value > 2**64 for data in total for value in data.values())
