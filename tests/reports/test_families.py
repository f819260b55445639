"""Parents and children in reports: nobody is told of twice or not at all, and the whole is the sum of its parts."""

import json
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import Fenced, UsageError
from engine.events import Arrived, encode_properties
from engine.instants import iso
from engine.lanes import lane_of
from engine.reports import fitting, made
from engine.reports.fitting import ROOM, fitted
from engine.reports.issuing import Issued, Issuer, clock_of
from engine.reports.past import Accounts
from engine.reports.periods import read_period
from engine.reports.tracing import Tracing, printed
from engine.store import Store
from engine.stores import open_store
from outreach.report_parts import parts_context
from outreach.words import wording
from tests.reports.given import BOOK, MARCH, WALL, book_of, customer, event, instant, issue, mails, run, take
from tests.reports.test_issuing import unchanged

TOGETHER = BOOK.replace("    mode: auto\n", "    mode: auto\n    children: with parent\n")
APRIL = "2026-04-02T06:30:00Z"
BEFORE_MARCH = "2026-01-05T09:00:00Z"


def child(account: str, parent: object = "acme", **traits: Any) -> list[Arrived]:
    """A customer below another one, with no price of its own."""
    return customer(account, mrr=None, parent_id=parent, **traits)


def together(store: Store, *, put: bool = True, text: str = TOGETHER) -> dict[str, Issued]:
    """What is issued of March, by account."""
    return {one.account_id: one for one in issue(store, book_of(text), put=put)}


def come(store: Store, events: Iterable[Arrived], *, until: str = APRIL, text: str = TOGETHER) -> None:
    """Events come in, and the clocks to an instant."""
    take(store, events, until=until, book=book_of(text))


def figures(one: Issued) -> dict[str, Any]:
    """What an event freezes."""
    found: dict[str, Any] = json.loads(one.body, parse_float=Decimal)["properties"]["figures"]
    return found


def parts(one: Issued) -> dict[str, Any]:
    """By account what it got, as it stands in the report."""
    return {part["account_id"]: part["values"][0]["amount"] for part in figures(one)["parts"]}


def test_children_are_parts_of_their_parents_report_and_get_none_themselves(store: Store):
    saved = [run("r1", "2026-03-10T09:00:00Z", 60), run("r2", "2026-03-10T09:00:00Z", 90, "leaf")]
    come(store, [*customer(name="Acme Holding"), *child("leaf", name="Leaf Ltd"), *child("twig"), *saved])
    found = together(store)
    assert {name: (one.outcome, one.because) for name, one in found.items()} == {
        "acme": ("issued", "nothing speaks against it"),
        "leaf": ("none", "it is in the report of acme"),
        "twig": ("none", "it is in the report of acme"),
    }
    told = figures(found["acme"])
    assert parts(found["acme"]) == {"acme": 1, "leaf": 1.5, "twig": 0}
    assert [(one["name"], one["own"]) for one in told["parts"]] == [
        ("Acme Holding", True),
        ("Leaf Ltd", False),
        ("twig", False),
    ]
    assert (told["values"][0]["amount"], told["total"], told["price"]["amount"]) == (
        Decimal("2.5"),
        [{"amount": Decimal("112.5"), "currency": "EUR"}],
        100,
    )
    come(store, [], until="2026-04-02T06:45:00Z")
    assert {(row.account_id, row.to) for row in store.outreach()} == {("acme", "u1"), ("acme", "u2")}
    assert unchanged(store)


def test_without_the_key_each_child_has_its_own(store: Store):
    saved = [run(name, "2026-03-10T09:00:00Z", 90, name) for name in ("acme", "leaf")]
    come(store, [*customer(), *child("leaf"), *saved], text=BOOK)
    found = together(store, text=BOOK)
    assert {name: (one.outcome, figures(one)["parts"]) for name, one in found.items()} == {
        "acme": ("issued", []),
        "leaf": ("issued", []),
    }


def changed(account: str, time: str, **traits: Any) -> Arrived:
    """A trait is another one from then on."""
    return event(f"{account} {time}", "account.updated", time, account, **traits)


UNDER_ACME = {"leaf": "acme"}
CASES = [
    pytest.param([*child("leaf", "twig"), *child("twig")], UNDER_ACME | {"twig": "acme"}, id="a grandchild"),
    pytest.param([*child("leaf", "leaf")], {}, id="who names itself"),
    pytest.param([*child("leaf", "twig"), *child("twig", "leaf")], {}, id="a circle"),
    pytest.param([*child("leaf", "twig"), *child("twig", "oak"), *child("oak", "twig")], {}, id="below a circle"),
    pytest.param([*child("leaf", "nobody")], {}, id="a parent that nobody knows"),
    pytest.param([*child("leaf", 7)], {}, id="no id"),
    pytest.param([*child("leaf", "free"), *customer("free", plan="free")], {}, id="a parent out of the audience"),
    pytest.param(
        [*child("leaf", "twig"), *child("twig", "free"), *customer("free", plan="free")],
        {"leaf": "twig"},
        id="the highest that gets one",
    ),
    pytest.param([*customer("leaf", plan="free", parent_id="acme")], UNDER_ACME, id="a child out of the audience"),
    pytest.param([*child("leaf", test=True)], {}, id="an excluded child"),
    pytest.param([*child("leaf", "twig"), *child("twig", test=True)], UNDER_ACME, id="below an excluded one"),
    pytest.param(
        [*child("leaf", "young"), changed("young", "2026-03-05T09:00:00Z", plan="pro")], {}, id="a new parent"
    ),
    pytest.param(
        [*child("leaf", None), changed("leaf", "2026-03-31T21:59:59Z", parent_id="acme")], UNDER_ACME, id="in time"
    ),
    pytest.param(
        [*child("leaf", None), changed("leaf", "2026-03-31T22:00:00Z", parent_id="acme")], {}, id="a day too late"
    ),
    pytest.param([*child("leaf"), changed("leaf", "2026-03-20T09:00:00Z", parent_id=None)], {}, id="no longer"),
    pytest.param(
        [*child("leaf"), changed("leaf", "2026-04-01T09:00:00Z", parent_id=None)], UNDER_ACME, id="no longer in April"
    ),
    pytest.param([changed("leaf", "2026-03-09T09:00:00Z", plan="pro", parent_id="acme")], UNDER_ACME, id="a new child"),
]
EXCLUDING = TOGETHER + "  exclude: {accounts: {test: true}}\n"


@pytest.mark.parametrize(("events", "above"), CASES)
def test_who_is_a_part_of_whose_report(events: list[Arrived], above: dict[str, str]):
    store = open_store("sqlite://", lanes=2)
    names = {one.event.account_id for one in events} | {"acme"}
    saved = [run(f"r {name}", "2026-03-10T09:00:00Z", 60, name) for name in sorted(names)]
    come(store, [*customer(), *events, *saved], text=EXCLUDING)
    found = together(store, text=EXCLUDING)
    assert {
        name: one.because.removeprefix("it is in the report of ")
        for name, one in found.items()
        if one.because.startswith("it is in the report of ")
    } == above
    tops = {name: set(parts(one)) - {name} for name, one in found.items() if one.body}
    assert {(one, top) for top, below in tops.items() for one in below} == set(above.items())
    store.close()


def test_whoever_names_a_parent_and_has_its_own_is_told_why():
    store = open_store("sqlite://", lanes=2)
    come(store, [*customer(), *child("leaf", "twig"), *child("twig", "leaf"), *child("oak", "nobody")])
    accounts = Accounts(store, book_of(TOGETHER), None)
    found = {
        name: made.preview(accounts, name, book_of(TOGETHER).reports[0], MARCH) for name in ("leaf", "oak", "acme")
    }
    assert [one["stands_alone"] for one in found.values()] == [
        "its parent_id leads back to where it was",
        "no account above it gets this report: nobody knew it then",
        None,
    ]
    store.close()


@pytest.mark.parametrize("abroad", ["acme", "leaf"])
def test_a_family_is_closed_when_it_is_for_all_of_its_zones(store: Store, abroad: str):
    zones = {"acme": "Europe/Berlin", "leaf": "Europe/Berlin", abroad: "America/Los_Angeles"}
    late = run("r1", "2026-04-01T06:30:00Z", 90, abroad)  # 23:30 on the last of March there
    family = [*customer(timezone=zones["acme"]), *child("leaf", timezone=zones["leaf"])]
    come(store, [*family, late], until="2026-04-02T06:59:00Z")
    found = together(store)
    assert (found["acme"].outcome, iso(found["acme"].closes)) == ("waits", "2026-04-02T07:00:00Z")
    come(store, [], until="2026-04-02T07:01:00Z")
    found = together(store)
    assert {name: one.outcome for name, one in found.items()} == {"acme": "issued", "leaf": "none"}
    assert parts(found["acme"]) == {"acme": 0, "leaf": 0} | {abroad: 1.5}


def test_who_is_closed_early_waits_until_it_is_settled_whose_part_it_is(store: Store):
    family = [*customer(), *customer("leaf", timezone="Asia/Kolkata"), run("r1", "2026-03-10T09:00:00Z", 90, "leaf")]
    come(store, family, until="2026-04-01T20:00:00Z")
    assert together(store)["leaf"].outcome == "waits", "its March is closed, and who is above it may still come"
    come(store, [changed("leaf", "2026-03-30T09:00:00Z", parent_id="acme")], until=APRIL)
    found = together(store)
    assert (found["leaf"].outcome, parts(found["acme"])) == ("none", {"acme": 0, "leaf": 1.5})


def test_what_comes_after_it_was_settled_changes_no_family(store: Store):
    come(store, [*customer(), *child("leaf"), run("r1", "2026-03-10T09:00:00Z", 90, "leaf")])
    before = together(store, put=False)
    gone = [
        changed("leaf", "2026-03-30T09:00:00Z", parent_id=None),
        changed("acme", "2026-04-02T06:31:00Z", plan="free"),
    ]
    come(store, gone, until="2026-04-02T06:40:00Z")
    after = together(store, put=False)
    assert {name: one.body for name, one in before.items()} == {name: one.body for name, one in after.items()}


def test_prices_are_added_and_never_across_currencies():
    def price(*traits: dict[str, Any]) -> tuple[Any, Any]:
        store = open_store("sqlite://", lanes=2)
        some = [
            one
            for at, more in enumerate(traits)
            for one in [*child(f"leaf{at}"), changed(f"leaf{at}", BEFORE_MARCH, **more)]
        ]
        come(store, [*customer(), *some, run("r1", "2026-03-10T09:00:00Z", 90)])
        told = figures(together(store)["acme"])
        store.close()
        return told["price"]["amount"], told["price"]["unknown"]

    assert price({}, {"mrr": 20.5}) == (Decimal("120.5"), None)
    assert price({"mrr": 20, "currency": "USD"}) == (None, "prices in EUR and USD are not added without a rate")
    assert price({"mrr": "much"}) == (None, "mrr is unknown at the end of March 2026")


def test_each_part_has_its_own_rate_and_money_in_two_currencies_has_no_sum():
    text = TOGETHER.replace("things:", "attributes: {account: {hour_rate: number}}\nthings:")
    store = open_store("sqlite://", lanes=2)
    dear = child("leaf", hour_rate=60) + child("oak", hour_rate=60, currency="USD")[1:]
    saved = [run(name, "2026-03-10T09:00:00Z", 20, name) for name in ("acme", "leaf")]
    come(store, [*customer(), *dear, *saved], text=text)
    told = figures(together(store, text=text)["acme"])
    assert [part["total"][0]["amount"] for part in told["parts"]] == [15, 20]
    assert told["total"] == [{"amount": 35, "currency": "EUR"}]
    assert told["values"][0]["assumption"] == (
        "Hours saved: 45 EUR per hour, our assumption; Hours saved: 60 EUR per hour, as the account says (hour_rate)"
    )
    come(store, [changed("leaf", "2026-03-11T09:00:00Z", currency="USD")], until="2026-04-02T06:40:00Z", text=text)
    book = book_of(text)
    told = made.preview(Accounts(store, book, None), "acme", book.reports[0], MARCH)
    assert told["total"] == [{"amount": 15, "currency": "EUR"}, {"amount": 20, "currency": "USD"}]
    assert told["value_total"] is told["value_to_price"] is None
    store.close()


KINDS = TOGETHER.replace(
    "values:\n",
    "values:\n  people: {measure: people, label: People}\n  tools: {measure: tools, label: Tools}\n"
    "  days: {measure: days, label: Days}\n  middle: {measure: middle, label: Middle}\n",
    1,
).replace(
    "measures:\n",
    "measures:\n  people: {unique: user_id, of: automation.run}\n  tools: {unique: tool, of: automation.run}\n"
    "  days: {days_active: automation.run}\n  middle: {median: minutes, of: automation.run}\n",
    1,
).replace("values: [hours]", "values: [hours, people, tools, days, middle]")  # fmt: skip


def test_what_cannot_be_added_is_read_from_the_events_of_all():
    store = open_store("sqlite://", lanes=2)

    def ran(account: str, day: int, minutes: int, user: str, tool: str) -> Arrived:
        time = f"2026-03-{day:02}T09:00:00Z"
        return event(f"{account}{day}", "automation.run", time, account, user, minutes=minutes, tool=tool)

    ours = [ran("acme", 3, 10, "u1", "mail"), ran("acme", 4, 20, "u1", "chat")]
    theirs = [ran("leaf", 4, 60, "u1", "chat"), ran("leaf", 5, 90, "u2", "chat"), ran("leaf", 6, 120, "u2", "sms")]
    come(store, [*customer(), *child("leaf"), *ours, *theirs], text=KINDS)
    told = figures(together(store, text=KINDS)["acme"])
    assert {one["value"]: (one["amount"], one["added"]) for one in told["values"]} == {
        "hours": (5, True),
        "people": (3, True),  # whoever works in two accounts is somebody in each
        "tools": (3, False),
        "days": (4, False),
        "middle": (60, False),
    }
    assert [[one["amount"] for one in part["values"]] for part in told["parts"]] == [
        [Decimal("0.5"), 1, 2, 2, 15],
        [Decimal("4.5"), 2, 2, 3, 90],
    ]
    store.close()


def test_a_red_ticket_of_a_child_keeps_the_report_back(store: Store):
    opened = event("t", "ticket.opened", "2026-03-20T09:00:00Z", "leaf", ticket_id="t1")
    come(store, [*customer(), *child("leaf"), opened, run("r1", "2026-03-10T09:00:00Z", 90)])
    found = together(store)["acme"]
    assert (found.outcome, found.because) == ("kept back", "unless open_tickets > 0 is yes in leaf")
    come(store, [], until="2026-04-02T06:45:00Z")
    assert mails(store) == [("monthly-not-sent", "bo@ours.example", "queued")]


def test_conditions_are_about_the_sums(store: Store):
    saved = [run(f"r{at}", "2026-03-10T09:00:00Z", 3001, name) for at, name in enumerate(("acme", "leaf"))]
    come(store, [*customer(), *child("leaf"), *saved])
    assert together(store)["acme"].because == "unless value.hours > 100 is yes"


def test_a_parent_that_left_in_between_is_kept_back_and_its_owner_is_told(store: Store):
    come(store, [*customer(), *child("leaf", timezone="America/Los_Angeles"), run("r1", "2026-03-10T09:00:00Z", 90)])
    left = changed("acme", "2026-04-02T06:50:00Z", plan="free")
    come(store, [left], until="2026-04-02T07:01:00Z")
    found = together(store)
    assert (found["acme"].outcome, found["acme"].because) == ("kept back", "audience paying is no")
    assert found["leaf"].outcome == "none", "nobody's figures are in two reports"


def test_a_part_that_is_not_known_whole_is_shown_and_compared_with_nothing():
    text = TOGETHER.replace("    price: mrr\n", "    price: mrr\n    compare: [previous period]\n")
    store = open_store("sqlite://", lanes=2)
    young = changed("leaf", "2026-03-09T09:00:00Z", plan="pro", parent_id="acme")
    saved = [run(f"r{at}", f"2026-0{at}-10T09:00:00Z", 60 * at) for at in (2, 3)]
    come(store, [*customer(), young, *saved, run("x", "2026-03-10T09:00:00Z", 60, "leaf")], text=text)
    told = figures(together(store, text=text)["acme"])
    (all_of,) = told["values"][0]["compared"]
    assert (told["values"][0]["amount"], told["values"][0]["series"]) == (4, [])
    assert all_of["not_compared"] == "February 2026 is not known of 1 of 2 accounts, or in part only"
    assert [part["values"][0]["compared"][0]["change"] for part in told["parts"]] == [1, None]
    assert [part["full"] for part in told["parts"]] == [True, False]
    store.close()


def test_a_late_event_of_a_child_is_told_in_the_next_report_and_can_be_corrected(store: Store):
    come(store, [*customer(), *child("leaf"), run("r1", "2026-03-10T09:00:00Z", 90, "leaf")])
    together(store)
    late = run("late", "2026-03-30T09:00:00Z", 30, "leaf")
    saved = run("r2", "2026-04-10T09:00:00Z", 90)
    come(store, [late, saved], until="2026-05-05T06:30:00Z")
    book, clock = book_of(TOGETHER), clock_of(store)
    assert clock is not None
    issuer = Issuer(store, book)
    april = issuer.make(book.reports[0], read_period("2026-04"), "acme", clock=clock)
    assert [(one["period"], one["was"], one["is"]) for one in figures(april)["changes"]] == [("2026-03", 1.5, 2)]
    again = issuer.correct(book.reports[0], MARCH, "acme", clock=clock, why="late")
    assert parts(again) == {"acme": 0, "leaf": 2}
    with pytest.raises(UsageError, match="it is a part of that of acme; correct that"):
        issuer.correct(book.reports[0], MARCH, "leaf", clock=clock, why="late")


ACCOUNTS = [f"a{at}" for at in range(6)]


@settings(max_examples=25, deadline=None)
@given(
    parents=st.lists(st.sampled_from([*ACCOUNTS, None, "nobody"]), min_size=6, max_size=6),
    minutes=st.lists(st.integers(0, 100), min_size=6, max_size=6),
    plans=st.lists(st.sampled_from(["pro", "pro", "free"]), min_size=6, max_size=6),
    zones=st.lists(st.sampled_from(["Europe/Berlin", "Asia/Tokyo", "America/Los_Angeles"]), min_size=6, max_size=6),
)
def test_nobody_is_told_of_twice_or_not_at_all_and_the_parts_add_up(parents, minutes, plans, zones):
    store = open_store("sqlite://", lanes=3)
    events: list[Arrived] = []
    for at, name in enumerate(ACCOUNTS):
        events += customer(name, plan=plans[at], parent_id=parents[at], timezone=zones[at])
        events.append(run("r", "2026-03-10T09:00:00Z", minutes[at], name))
    take(store, events, until="2026-04-03T06:30:00Z", book=book_of(TOGETHER))
    found = together(store)
    told = [name for one in found.values() if one.body for name in (parts(one) or {one.account_id: 0})]
    silent = {name for name, one in found.items() if one.because == "audience paying is no"}
    assert sorted([*told, *silent]) == ACCOUNTS
    for one in found.values():
        if not one.body or not parts(one):
            continue
        report = figures(one)
        assert sum(Fraction(minutes[ACCOUNTS.index(name)], 60) for name in parts(one)) == pytest.approx(
            float(report["values"][0]["amount"])
        )
        assert report["total"][0]["amount"] == sum(part["total"][0]["amount"] for part in report["parts"])
    store.close()


def test_many_in_one_reading_are_what_each_is_alone():
    store = open_store("sqlite://", lanes=3)
    events = [one for at in range(30) for one in child(f"leaf{at}", "acme" if at % 3 else None)]
    saved = [run("r", "2026-03-10T09:00:00Z", at * 7, f"leaf{at}") for at in range(30)]
    come(store, [*customer(), *events, *saved])
    many, issuer, clock = together(store, put=False), Issuer(store, book_of(TOGETHER)), clock_of(store)
    assert clock is not None
    assert len(many) == 31
    assert len(parts(many["acme"])) == 21
    amounts = list(parts(many["acme"]).values())[1:]
    assert amounts == sorted(amounts, reverse=True), "the largest first"
    for name, one in many.items():
        assert one == issuer.make(book_of(TOGETHER).reports[0], MARCH, name, clock=clock)
    store.close()


def test_an_update_is_found_by_what_it_names_as_it_was_known_then(store: Store):
    come(store, [*customer(), *child("leaf"), changed("leaf", "2026-04-02T06:40:00Z", parent_id=None)])
    found = store.naming("parent_id", until_at=WALL)
    assert [(one.account_id, one.event.properties["parent_id"]) for one in found] == [("leaf", "acme"), ("leaf", None)]
    assert len(store.naming("parent_id", until_at=instant(APRIL))) == 1


def everything(store: Store, account: str) -> str:
    """All that is kept of an account's reports, as text."""
    kept = [*store.account_entries(account), *store.outreach(account_id=account), *store.decisions(account_id=account)]
    inbox = [row.body for lane in range(store.lanes) for row in store.inbox(lane, after=0)]
    return repr(kept) + repr(inbox)


@pytest.mark.parametrize("taken", [pytest.param(True, id="decided"), pytest.param(False, id="in its inbox")])
def test_a_child_that_is_forgotten_leaves_its_parents_reports_and_the_sums_stay(store: Store, *, taken: bool):
    opened = event("t", "ticket.opened", "2026-03-20T09:00:00Z", "leaf", ticket_id="t1")
    saved = [run("r1", "2026-03-10T09:00:00Z", 60), run("r2", "2026-03-10T09:00:00Z", 90, "leaf")]
    come(store, [*customer(), *child("leaf", name="Leaf Ltd"), *child("twig"), *saved, opened])
    made_before = together(store)
    assert store.told_in("leaf") == {"acme"}
    if taken:
        come(store, [], until="2026-04-02T06:45:00Z")
    assert "Leaf Ltd" in everything(store, "acme")
    assert "in leaf" in everything(store, "acme")
    lanes = sorted({lane_of(name, store.lanes) for name in ("leaf", "acme")})
    claims = store.claim(lanes, "test", at=WALL)
    own = next(one for one in claims if one.lane == lane_of("leaf", store.lanes))
    store.forget_account(own, "leaf", at=WALL, beside=[one for one in claims if one != own])
    store.release(claims)
    for left in (everything(store, "acme"), repr(store.outbox(range(store.lanes), "decision", limit=100))):
        assert "leaf" not in left.replace("twig", "")
        assert "Leaf Ltd" not in left
    Issuer(store, book_of(TOGETHER)).put([made_before["acme"]], at=WALL)  # made before by a process that goes on
    come(store, [], until="2026-04-02T06:46:00Z")
    (decision,) = store.decisions(account_id="acme")
    told = decision.frozen["report"]
    assert [(one["account_id"], one["values"][0]["amount"]) for one in told["parts"]] == [
        ("acme", 1),
        ("forgotten", 1.5),
        ("twig", 0),
    ]
    assert told["total"] == [{"amount": 112.5, "currency": "EUR"}]
    assert told["against"] == "unless open_tickets > 0 is yes in forgotten"
    assert "Leaf Ltd" not in everything(store, "acme")
    assert unchanged(store)


def test_a_child_that_was_cut_from_a_report_is_forgotten_in_its_conditions(store: Store, monkeypatch):
    """A group of very many: the child is none of the parts that fitted, and the reason that nothing went."""
    monkeypatch.setattr(fitting, "PARTS", 0)
    opened = event("t", "ticket.opened", "2026-03-20T09:00:00Z", "leaf", ticket_id="t1")
    come(store, [*customer(), *child("leaf"), run("r1", "2026-03-10T09:00:00Z", 60), opened])
    told = figures(together(store)["acme"])
    assert (len(told["parts"]), told["parts_left_out"]) == (1, 1)
    come(store, [], until="2026-04-02T06:45:00Z")
    assert "in leaf" in everything(store, "acme")
    assert store.told_in("leaf") == {"acme"}
    claims = store.claim([0, 1], "test", at=WALL)
    own = next(one for one in claims if one.lane == lane_of("leaf", store.lanes))
    store.forget_account(own, "leaf", at=WALL, beside=[one for one in claims if one != own])
    store.release(claims)
    assert "leaf" not in everything(store, "acme")
    assert unchanged(store)


def test_nobody_is_forgotten_in_a_lane_that_is_not_ours():
    store = open_store("sqlite://", lanes=2)
    name = next(one for one in ("leaf", "twig", "oak") if lane_of(one, 2) != lane_of("acme", 2))
    come(store, [*customer(), *child(name), run("r1", "2026-03-10T09:00:00Z", 90, name)])
    together(store)
    (claim,) = store.claim([lane_of(name, 2)], "test", at=WALL)
    with pytest.raises(Fenced, match="its accounts' reports tell of the account"):
        store.forget_account(claim, name, at=WALL)
    store.close()


def test_a_figure_of_all_is_traced_to_the_events_of_each_account():
    store = open_store("sqlite://", lanes=2)

    def ran(account: str, day: int, minutes: int, tool: str) -> Arrived:
        time = f"2026-03-{day:02}T09:00:00Z"
        return event(f"{account}{day}", "automation.run", time, account, "u1", minutes=minutes, tool=tool)

    some = [ran("acme", 3, 10, "mail"), ran("leaf", 4, 60, "mail"), ran("leaf", 5, 90, "chat")]
    come(store, [*customer(), *child("leaf", name="Leaf Ltd"), *some], text=KINDS)
    book = book_of(KINDS)
    accounts = Accounts(store, book, None)
    found = made.preview(accounts, "acme", book.reports[0], MARCH)
    tracing = Tracing(accounts, "acme", MARCH, book.reports[0])
    for name in tracing.names:
        told = tracing.trace(name)
        assert told["amount"] == printed(found, name), name
    told = tracing.trace("hours")
    assert [(one["account_id"], one["name"], one["amount"]) for one in told["accounts"]] == [
        ("acme", "acme", pytest.approx(10 / 60)),
        ("leaf", "Leaf Ltd", 2.5),
    ]
    assert [(one["account_id"], one["id"]) for one in told["events"]] == [
        ("acme", "acme3"),
        ("leaf", "leaf4"),
        ("leaf", "leaf5"),
    ]
    assert told["formula"].startswith("sum of 2 accounts = 2.66")
    assert tracing.trace("tools")["formula"] == "from all events of 2 accounts = 2"
    leaf = Tracing(accounts, "leaf", MARCH, book.reports[0]).trace("hours")
    assert (leaf["amount"], "accounts" in leaf) == (2.5, False)
    store.close()


def test_what_is_held_against_the_parents_contract_and_goals_is_traced_to_the_events_of_all():
    """A child with a contract or a goal of its own, or with none, is a part of what the parent's report shows."""
    store, book = open_store("sqlite://", lanes=2), book_of(TOGETHER)
    own = [
        event("s1", "subscription.created", "2026-01-10T09:00:00Z", "acme"),
        event("s2", "subscription.created", "2026-02-10T09:00:00Z", "leaf"),
        event("g1", "goal.set", "2026-01-10T09:00:00Z", "acme", metric="hours", target=10, due="2026-06-30"),
        event("g2", "goal.set", "2026-01-10T09:00:00Z", "leaf", metric="hours", target=5, due="2026-06-30"),
    ]
    names = ("acme", "leaf", "twig")
    saved = [run(f"{name}{month}", f"2026-0{month}-15T09:00:00Z", 60, name) for name in names for month in (1, 2, 3)]
    come(store, [*customer(), *child("leaf"), *child("twig"), *own, *saved])
    tracing = Tracing(Accounts(store, book, None), "acme", MARCH, book.reports[0])
    for figure, each in (("hours.contract", 3), ("value_total.contract", 135), ("goal.hours", 1)):
        told = tracing.trace(figure)
        assert [(one["account_id"], one["amount"]) for one in told["accounts"]] == [(name, each) for name in names]
        counted = [one for one in told["events"] if one["type"] == "automation.run"]
        assert (told["amount"], len(counted)) == (3 * each, 3 if figure == "goal.hours" else 9), figure
    store.close()


def test_a_report_of_very_many_accounts_fits_and_says_how_many_it_leaves_out():
    book = book_of(TOGETHER)
    store = open_store("sqlite://", lanes=2)
    come(store, [*customer(), *child("leaf"), run("r", "2026-03-10T09:00:00Z", 90, "leaf")])
    found = made.preview(Accounts(store, book, None), "acme", book.reports[0], MARCH)
    many = {**found, "parts": found["parts"] + [{**found["parts"][1], "account_id": f"a{at}"} for at in range(998)]}
    told = fitted(many)
    assert len(told["parts"]) + told["parts_left_out"] == 1000
    assert told["parts"][:2] == found["parts"]
    assert len(encode_properties(told)) < ROOM
    assert parts_context(told, wording("en"))["parts_in_all"] == 1000
    assert fitted(found)["parts"] == found["parts"]
    store.close()


def test_a_report_that_was_made_before_a_child_was_forgotten_and_put_after_names_it_no_more(store: Store):
    saved = run("r2", "2026-03-10T09:00:00Z", 90, "leaf")
    come(store, [*customer(), *child("leaf", name="Leaf Ltd"), saved])
    ready = together(store, put=False)
    (claim,) = store.claim([lane_of("leaf", store.lanes)], "test", at=WALL)
    store.forget_account(claim, "leaf", at=WALL)
    store.release([claim])
    Issuer(store, book_of(TOGETHER)).put([ready["acme"]], at=WALL)
    come(store, [], until="2026-04-02T06:46:00Z")
    (decision,) = store.decisions(account_id="acme")
    assert [one["account_id"] for one in decision.frozen["report"]["parts"]] == ["acme", "forgotten"]
    assert "Leaf Ltd" not in everything(store, "acme")
    assert unchanged(store)
