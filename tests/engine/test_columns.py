"""Columns against plain state: the same facts, where random scenes seldom come."""

from decimal import Decimal
from typing import Any

import pytest

from engine import account, portfolio
from engine.columns import lane
from engine.columns.lane import ColumnLane
from engine.columns.sheet import printed_of, show
from engine.instants import DAY, HOUR
from engine.lane import Lane
from engine.program import Program
from tests.judge import product
from tests.judge.product import decide

START = 1_772_409_600_000  # 2026-03-02, a Monday
STAFF = {"notify": {"template": "note", "to": "rule owner"}, "owner": "o@ringfirst.example"}
TICKET = {"id": "ticket_id", "opened_by": "ticket.opened", "closed_by": "ticket.solved"}


class Told:
    """Writes a judge's log down."""

    def __init__(self, book: dict[str, Any]) -> None:
        self.log: list[dict[str, Any]] = [{"position": 0, "recorded_at": START, "rulebook": book}]

    def event(self, at: float, kind: str, properties: dict[str, Any] | None = None, **more: Any) -> None:
        """An event ``at`` so many days after the start; ``time`` may be another."""
        recorded = START + int(at * DAY)
        number = len(self.log)
        event = {"id": f"e{number}", "type": kind, "account_id": "acme", "user_id": None, "time": recorded, **more}
        event["properties"] = properties or {}
        self.log.append({"position": number, "recorded_at": recorded, "event": event})


def rule(name: str, *when: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "when": list(when), "re_entry": "every time", **STAFF, **more}


def same(log: list[dict[str, Any]], days: float) -> list[dict[str, Any]]:
    """The decisions, which both lanes must agree on."""
    until = START + int(days * DAY)
    plain = decide(log, until)
    assert decide(log, until, kind=ColumnLane) == plain
    return plain


def lane_of(log: list[dict[str, Any]], kind: Any = ColumnLane) -> Any:
    """The columns after a log, or another lane."""
    programs: dict[str, Program] = {}
    stored: list[Any] = []
    found = kind(
        programs.__getitem__, lambda name, at: [e for e in stored if e.account_id == name and e.position <= at]
    )
    for row in log:
        entry = product._entry(row, programs)
        if "event" in row:
            stored.append(entry)
        found.take(entry)
    return found


@pytest.mark.parametrize("amount", [9 * 10**12, -9 * 10**12, Decimal("8999999999.999999"), 10**13])
def test_a_sum_beyond_what_columns_hold_exactly_makes_its_account_a_plain_one(amount: Any) -> None:
    book = {
        "measures": {"paid": {"sum": "amount", "of": "paid", "over": "7d"}, "ever": {"sum": "amount", "of": "paid"}},
        "rules": [rule("much", "paid > 1000000"), rule("debt", "ever < 0"), rule("little", "0 < paid <= 1000000")],
    }
    told = Told(book)
    told.event(0, "paid", {"amount": 5})
    for day in range(1, 20):
        told.event(day, "paid", {"amount": amount if day == 3 else 7})
    assert same(told.log, 40)
    acme = lane_of(told.log).accounts["acme"]
    assert acme.wild is (amount != 10**13)  # what is no number to measures harms nobody
    assert (acme.seat is None) is acme.wild


def test_late_sums_that_grow_beyond_it_do_so_too() -> None:
    told = Told({"measures": {"ever": {"sum": "amount", "of": "paid"}}, "rules": [rule("much", "ever > 1700000000")]})
    for day in range(3):
        told.event(day, "paid", {"amount": 900_000_000}, time=START - day * DAY)
    assert len(same(told.log, 5)) == 1
    assert lane_of(told.log).accounts["acme"].wild


def test_a_zone_that_changes_moves_the_account_to_another_sheet() -> None:
    book = {
        "measures": {
            "now": {"count": "used", "over": "1d"},
            "people": {"unique": "user_id", "of": "used", "over": "2d"},
        },
        "rules": [rule("busy", "now >= 3"), rule("two", "people >= 2"), rule("idle", "now == 0")],
    }
    told = Told(book)
    for at in range(200):
        told.event(at / 7, "used", user_id=f"u{at % 3}")
        if at % 41 == 5:
            zone = ["Pacific/Apia", "America/St_Johns", "Asia/Kathmandu", None, "no zone"][at // 41 % 5]
            told.event(at / 7 + 0.01, "account.updated", {"timezone": zone})
    assert len(same(told.log, 40)) > 20


def test_an_account_comes_back_into_columns_from_snapshots() -> None:
    book = {
        "things": {
            "ticket": TICKET,
            "person": {"measures": {"acts": {"count": "used", "over": "2d", "ending": "1d ago"}}},
        },
        "measures": {
            "open_now": {"open": "ticket"},
            "hours": {"average": "solve_hours", "of": "ticket", "over": "7d"},
            "kinds": {"unique": "kind", "of": "used", "over": "3d"},
            "week": {"count": "used", "over": "14d", "per": "week", "full": True},
        },
        "rules": [
            rule("open", "open_now >= 2", holds_for="30h"),
            rule("slow", "hours > 20", "week >= 1"),
            rule("kinds", "kinds >= 2"),
            rule("acts", "person.acts >= 2", **{"for": "each person"}),
        ],
    }
    told = Told(book)
    for at in range(160):
        told.event(at / 5, "used", {"kind": f"k{at % 4}"}, user_id=f"u{at % 3}")
        if at % 9 == 0:
            told.event(at / 5 + 0.05, "ticket.opened", {"ticket_id": f"t{at // 9}"}, user_id="u1")
        if at % 9 == 7:
            told.event(at / 5 + 0.06, "ticket.solved", {"ticket_id": f"t{at // 9 - at % 2}"})
    until = START + 40 * DAY
    plain = decide(told.log, until)
    assert len(plain) > 5
    everywhere = frozenset(range(1, len(told.log), 7))
    assert decide(told.log, until, everywhere, ColumnLane) == plain


def test_late_events_find_their_day_also_when_it_is_long_past() -> None:
    book = {
        "measures": {
            "week": {"count": "used", "over": "7d"},
            "before": {"count": "used", "over": "7d", "ending": "7d ago"},
            "days": {"days_active": "used", "over": "14d"},
            "since": {"days_since": "used"},
            "age": {"days_since_first": "any"},
        },
        "rules": [
            rule("fell", "before >= 3", "week < before"),
            rule("days", "days >= 4"),
            rule("since", "since >= 5"),
            rule("age", "age >= 30"),
        ],
    }
    told = Told(book)
    for at in range(90):
        told.event(at / 2, "used", time=START + int(at / 2 * DAY) - (at * 7919 % 23) * 11 * HOUR)
    assert len(same(told.log, 70)) >= 5


def test_a_value_is_the_same_one_however_its_event_was_taken_in() -> None:
    book = {
        "measures": {
            "reports": {"count": "used", "where": {"feature": "reports"}, "over": "7d"},
            "kinds": {"unique": "feature", "of": "used", "over": "7d"},
        },
        "rules": [rule("some", "reports >= 2"), rule("two", "kinds >= 2")],
    }
    told = Told(book)
    for at in (5, 5.1):
        told.event(at, "used", {"feature": "reports"})
    told.event(6, "used", {"feature": "reports"}, time=START + 3 * DAY)  # late, and so not by the printed code
    assert {row["rule"] for row in same(told.log, 7)} == {"some"}
    told.event(6.5, "used", {"feature": "exports"})
    assert {row["rule"] for row in same(told.log, 7)} == {"some", "two"}


def test_a_rule_whose_readers_may_change_keeps_its_pause_too() -> None:
    mail = {"send": {"template": "mail", "to": "champion", "class": "transactional"}, "owner": "o@ringfirst.example"}
    told = Told({"measures": {"uses": {"count": "used", "over": "2d"}}})
    told.log[0]["rulebook"]["rules"] = [{"id": "hello", "when": ["uses >= 1"], "re_entry": "every 10d", **mail}]
    told.event(0, "user.updated", {"role": "champion"}, user_id="u1")
    for at in (1, 5, 9, 13):
        told.event(at, "used")
    assert [row["at"] for row in same(told.log, 20)] == [START + DAY, START + 13 * DAY]


def test_an_event_that_removes_the_last_reader_ends_the_truth() -> None:
    book = {
        "measures": {"uses": {"count": "used", "over": "30d"}},
        "rules": [
            {"id": "hello", "when": ["uses >= 1"], "re_entry": "every time", "owner": "o@ringfirst.example"}
            | {"send": {"template": "mail", "to": "champion", "class": "transactional"}}
        ],
    }
    told = Told(book)
    told.event(0, "user.updated", {"role": "champion"}, user_id="u1")
    told.event(1, "used")
    told.event(2, "user.removed", user_id="u1")
    told.event(3, "used", user_id="u1")
    assert [row["at"] for row in same(told.log, 5)] == [START + DAY, START + 3 * DAY]


def test_more_things_than_a_rule_bears_pause_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "MAX_OPEN", 20)
    monkeypatch.setattr(lane, "MAX_OPEN", 20)
    book = {
        "things": {"ticket": TICKET},
        "rules": [rule("old", "ticket.open_days >= 2", **{"for": "each ticket"}, re_entry="never")],
    }
    told = Told(book)
    for at in range(21):
        told.event(at / 100, "ticket.opened", {"ticket_id": f"t{at}"})
    told.event(5, "ticket.solved", {"ticket_id": "t0"})
    decided = same(told.log, 6)
    assert len(decided) == 20
    assert {row["at"] for row in decided} == {START + 5 * DAY}


def test_the_printed_code_can_be_read_and_holds_no_text_of_the_rulebook() -> None:
    measures = {"a_b": {"count": "used", "where": {"kind'): exit(1) #": "x"}, "over": "7d"}}
    program = Program(product.book_of({"measures": measures, "rules": [rule("r", "a_b >= 1", 'plan == "it\'s"')]}))
    printed = printed_of(program)
    assert printed is not None
    text = show(program)
    assert "w0[r] >= 1.0" in text
    assert "r, for a night" in text
    assert all("exit" not in code and "it's" not in code for code in printed.yes.values())


def test_a_wake_up_at_the_very_instant_of_a_midnight_is_no_less_a_look() -> None:
    book = {
        "measures": {
            "quiet": {"days_since": "used"},
            "now": {"count": "used", "over": "2d"},
            "hours": {"count": "used", "over": "36h"},
        },
        "rules": [
            rule("held", "quiet >= 1", holds_for="1d"),
            rule("other", "now == 0"),
            rule("window", "hours == 0"),
        ],
    }
    told = Told(book)
    told.event(0.5, "used")
    assert {row["rule"] for row in same(told.log, 5)} == {"held", "other", "window"}


def test_measures_of_one_definition_and_two_names_are_one_value() -> None:
    since = {"days_since": "used", "never": "unknown"}
    book = {
        "measures": {"a": since, "b": since, "c": {"days_since_first": "used"}, "d": {"days_since_first": "used"}},
        "rules": [rule("a", "a >= 2"), rule("b", "b >= 2"), rule("c", "c >= 3"), rule("d", "d >= 3")],
    }
    told = Told(book)
    for day in (0, 1, 4, 9):
        told.event(day + 0.3, "used")
    decided = same(told.log, 20)
    assert [row["at"] for row in decided if row["rule"] == "a"] == [row["at"] for row in decided if row["rule"] == "b"]


def test_once_per_a_band_or_a_segment_is_asked_whenever_it_may_change() -> None:
    book = {
        "measures": {"uses": {"count": "used", "over": "3d"}},
        "segments": {"busy": {"when": "uses >= 3"}},
        "scores": {
            "health": {
                "parts": {"use": {"value": "uses", "from": 0, "to": 4, "weight": 1}},
                "bands": {"red": 0, "green": 50},
            }
        },
        "rules": [
            {"id": "band", "when": ["uses >= 0"], "once_per": "health.band", **STAFF},
            {"id": "busy", "when": ["uses >= 0"], "once_per": "busy", **STAFF},
        ],
    }
    told = Told(book)
    for at in (0.1, 0.2, 0.3, 6.1, 6.2, 6.3):
        told.event(at, "used")
    assert len(same(told.log, 20)) == 4


def test_what_a_clear_when_holds_up_is_not_told_again() -> None:
    book = {
        "measures": {"uses": {"count": "used", "over": "1d"}},
        "rules": [rule("alarm", "uses >= 2", clear_when="uses < 1", re_entry="every 2d")],
    }
    told = Told(book)
    for day in range(12):
        told.event(day + 0.2, "used")
        if day % 3 == 0:
            told.event(day + 0.4, "used")
    assert same(told.log, 20)


@pytest.mark.parametrize("times", [0.123456789, 1000])
def test_a_scale_that_columns_cannot_hold_exactly_is_reckoned_plainly(times: float) -> None:
    book = {
        "things": {"ticket": TICKET},
        "measures": {
            "solved": {"sum": "solve_hours", "of": "ticket", "times": times, "over": "5d"},
            "mean": {"average": "solve_hours", "of": "ticket", "times": times},
            "open_now": {"open": "ticket", "times": times},
        },
        "rules": [
            rule("sum", f"solved >= {times * 50}"),
            rule("mean", f"mean < {times * 30}"),
            rule("open", "open_now > 0"),
        ],
    }
    told = Told(book)
    for at in range(12):
        told.event(at, "ticket.opened", {"ticket_id": f"t{at}"})
        told.event(at + 0.5 + at / 30, "ticket.solved", {"ticket_id": f"t{at}"})
    told.log[1:] = sorted(told.log[1:], key=lambda row: row["recorded_at"])
    told.log = [{**row, "position": at} for at, row in enumerate(told.log)]
    assert same(told.log, 25)


@pytest.mark.parametrize("kind", [Lane, ColumnLane])
def test_a_part_of_the_portfolio_is_read_anew_on_another_day_of_the_account(kind: type[Lane]) -> None:
    book = {
        "measures": {"now": {"count": "used", "over": "1d"}, "all_now": {"portfolio": "now"}},
        "rules": [rule("load", "all_now > 3", **{"for": "portfolio"})],
    }
    told = Told(book)
    told.event(0, "account.updated", {"timezone": "Asia/Kathmandu"})
    told.event(0.1, "used")
    programs: dict[str, Program] = {}
    stored: list[Any] = []
    found = kind(programs.__getitem__, lambda _name, at: [entry for entry in stored if entry.position <= at])
    for row in told.log:
        entry = product._entry(row, programs)
        if "event" in row:
            stored.append(entry)
        found.take(entry)
    shares = []
    for hour in (17, 19, 23):  # the day begins there at 18:15
        found.advance(START + hour * HOUR)
        assert found.program is not None
        shares.append(portfolio.share(found.program, found, START + hour * HOUR)["accounts"]["all_now"]["sum"])
    assert shares == ["1000000", "0", "0"]


CONTRACT = {
    "id": "contract_id",
    "opened_by": "contract.sent",
    "closed_by": "contract.signed",
    "properties": {"sign_by": "date"},
}


def test_somebody_who_comes_back_after_a_window_counts_again() -> None:
    book = {
        "measures": {
            "people": {"unique": "user_id", "of": "used", "over": "3d"},
            "before": {"unique": "user_id", "of": "used", "over": "2d", "ending": "3d ago"},
        },
        "rules": [rule("two", "people >= 2"), rule("none", "people == 0"), rule("before", "before >= 2")],
    }
    told = Told(book)
    for day, user in ((0, "u1"), (0.1, "u2"), (5, "u1"), (6, "u2"), (12, "u2"), (12.1, "u1"), (14, "u1")):
        told.event(day, "used", user_id=user)
    assert {row["rule"] for row in same(told.log, 30)} == {"two", "none", "before"}


def test_each_account_has_days_of_its_own_on_which_a_date_gives_way_to_the_next() -> None:
    book = {
        "things": {"contract": CONTRACT},
        "measures": {"days": {"days_to": "contract.sign_by"}},
        "rules": [rule("soon", "days == 2")],
    }
    told = Told(book)
    for number, name in enumerate(("a", "b", "c")):
        for day in (4, 9 + number, 20 + 2 * number):
            sign_by = f"2026-03-{2 + day:02d}"
            told.event(number / 10, "contract.sent", {"contract_id": f"{day}", "sign_by": sign_by}, account_id=name)
    assert len(same(told.log, 40)) == 9


def test_a_part_of_closed_things_is_known_when_its_window_is_full() -> None:
    closed = {"closed": "ticket", "where": {"grade": "red"}, "over": "3d", "full": True}
    book = {
        "things": {"ticket": TICKET},
        "measures": {"red": closed, "all": {"closed": "ticket", "over": "4d", "full": True}},
        "rules": [rule("red", "red == 0"), rule("all", "all == 0")],
    }
    told = Told(book)
    told.event(0.5, "ticket.opened", {"ticket_id": "t", "grade": "red"})
    assert [row["at"] for row in same(told.log, 9)] == [START + 3 * DAY, START + 4 * DAY]


@pytest.mark.parametrize(
    ("alarm", "hours"),
    [
        (rule("late", "ticket.open_hours >= 4", **{"for": "each ticket"}), 4),
        (rule("waits", "waiting >= 1"), 5),
    ],
)
def test_a_ticket_that_opens_sets_its_alarm(alarm: dict[str, Any], hours: int) -> None:
    waiting = {"open": "ticket", "where": {"open_hours": {"at_least": 5}}}
    told = Told({"things": {"ticket": TICKET}, "measures": {"waiting": waiting}, "rules": [alarm]})
    told.event(0.1, "other")
    told.event(0.2, "ticket.opened", {"ticket_id": "t"})
    assert [row["at"] for row in same(told.log, 3)] == [START + int(0.2 * DAY) + hours * HOUR]


def test_a_list_that_grows_opens_things() -> None:
    book = {
        "attributes": {"account": {"modules": "list"}},
        "things": {"module": {"id": "feature", "each_in": "modules", "measures": {"uses": {"count": "used"}}}},
        "measures": {"bought": {"open": "module"}},
        "rules": [rule("two", "bought >= 2"), rule("idle", "module.uses == 0", **{"for": "each module"})],
    }
    told = Told(book)
    told.event(0, "account.updated", {"modules": ["a"]})
    told.event(1, "account.updated", {"modules": ["a", "b"]})
    told.event(2, "account.updated", {"modules": ["b"]})
    assert len(same(told.log, 5)) == 3


def test_people_who_come_back_and_owners_who_are_named_are_written_to() -> None:
    mail = {"template": "mail", "to": "champion", "class": "transactional"}
    book = {
        "rules": [
            {"id": "hello", "when": ['plan == "pro"'], "re_entry": "every time", "send": mail, "owner": "o@x.example"},
            {"id": "ours", "when": ['plan == "pro"'], "notify": {"template": "note", "to": "account owner"}},
        ]
    }
    book["rules"][1] |= {"status": "draft", "owner": ""}
    told = Told(book)
    told.event(0, "account.updated", {"plan": "pro"})
    told.event(1, "user.updated", {"role": "champion"}, user_id="u1")
    told.event(2, "user.removed", user_id="u1")
    told.event(3, "other", user_id="u1")
    told.event(4, "account.updated", {"owner": "mara@ringfirst.example"})
    decided = same(told.log, 5)
    assert [row["at"] for row in decided if row["rule"] == "hello"] == [START + DAY, START + 3 * DAY]
    assert [row["at"] for row in decided if row["rule"] == "ours"] == [START + 4 * DAY]


def test_the_most_recently_active_is_so_by_time_and_not_by_arrival() -> None:
    mail = {"template": "mail", "to": "champion", "class": "transactional"}
    book = {
        "measures": {"alarms": {"count": "alarm"}},
        "rules": [{"id": "call", "when": ["alarms >= 1"], "send": mail, "owner": "o@x.example"}],
    }
    told = Told(book)
    for user in ("u1", "u2"):
        told.event(0, "user.updated", {"role": "champion"}, user_id=user)
    told.event(0.2, "other", user_id="u2")
    told.event(0.4, "other", user_id="u1")
    told.event(0.5, "other", user_id="u1", time=START + HOUR)
    told.event(0.6, "alarm")
    (decided,) = same(told.log, 2)
    assert [one["to"] for one in decided["mails"]] == ["u1"]


@pytest.mark.parametrize("created", ["2020-01-01", "2026-03-05", "2026-03-09T12:00:00+02:00", "2031-01-01", None])
@pytest.mark.parametrize("late", [None, 13, 30])
def test_a_window_is_full_only_of_days_that_our_log_tells_of(created: str | None, late: int | None) -> None:
    book = {
        "measures": {
            "week": {"count": "used", "over": "7d", "full": True},
            "before": {"sum": "n", "of": "used", "over": "5d", "ending": "3d ago", "full": True},
            "hours": {"count": "used", "over": "36h", "full": True},
            "who": {"unique": "user_id", "of": "used", "over": "4d", "full": True},
            "shut": {"closed": "ticket", "over": "6d", "full": True},
        },
        "things": {"ticket": TICKET},
        "rules": [rule(name, f"{name} <= 2") for name in ("week", "before", "hours", "who", "shut")],
    }
    told = Told(book)
    told.event(2.1, "used", {"n": 1}, user_id="u1", account_id="other")
    told.event(6.3, "account.updated", {"created_at": created})
    told.event(7.2, "used", {"n": 1}, user_id="u1")
    if late:
        told.event(8.5, "used", {"n": 1}, user_id="u2", time=START + int((8.5 - late) * DAY))
    told.event(9, "used", {"n": 1}, user_id="u1")
    found = [row for row in same(told.log, 30) if row["account_id"] == "acme"]
    assert {row["rule"] for row in found} == {"week", "before", "hours", "who", "shut"}
    first = min(row["at"] for row in found if row["rule"] == "week")
    known = 6.3 if created == "2020-01-01" else 8.5 if late else 9 if created == "2026-03-05" else 13
    assert first == START + int(known * DAY)
