"""A reader chooses one report for the quarter: each month is told once, whenever and however often they choose."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import replay
from engine.events import Arrived
from engine.instants import DAY, HOUR, Instant
from engine.lanes import lane_of
from engine.questions import events_of
from engine.reports.issuing import NOT_CHOSEN, Issuer, clock_of, event_id, walk
from engine.reports.periods import Period, quarter_of, read_period
from engine.reports.rhythm import counts_until, gets, key_of
from engine.rulebook.book import load_rulebook
from engine.store import Every, Store, Wishes
from engine.stores import open_store
from outreach.addresses import address_key
from outreach.channels.memory import MemoryChannel
from outreach.links import Token
from outreach.sender import send_due
from outreach.wishes import BY_MONTH, BY_QUARTER
from ringfirst.reporting import Rounds
from ringfirst.unsubscribing import choose_rhythm
from tests.outreach.given import SENDER, starter_templates
from tests.reports.given import BOOK, WALL, book_of, customer, event, instant, mails, run, take

CHOOSING = BOOK.replace("    mode: auto\n", "    mode: auto\n    readers_may_choose: quarterly\n")
MONTHS = [read_period(f"2026-{number:02d}") for number in range(1, 13)]
QUARTERS = [read_period(f"2026-Q{number}") for number in range(1, 5)]
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
CHOICES = st.lists(
    st.tuples(
        st.integers(instant("2025-12-01T00:00:00Z"), instant("2026-12-31T00:00:00Z")),
        st.sampled_from(["month", "quarter"]),
    ),
    max_size=12,
)


@given(CHOICES)
def test_each_month_is_told_once_whenever_somebody_chooses(chosen: list[tuple[Instant, Every]]):
    """What a sender asks at the time is all that was chosen by then: what is chosen later changes nothing."""
    history = sorted(dict(chosen).items())

    def by(at: Instant) -> list[tuple[Instant, Every]]:
        return [one for one in history if one[0] <= at]

    for quarter in QUARTERS:
        own = [gets(by(counts_until(month)), month) for month in quarter.months()]
        whole = gets(by(counts_until(quarter.months()[-1])), quarter)
        assert whole == (not all(own)), "a month without a report of its own is in that of the quarter"
        assert all(before or not after for before, after in pairwise(own)), "from the first month on that is left out"
        assert own == [gets(history, month) for month in quarter.months()], "and later nothing changes"
        assert whole == gets(history, quarter)


def test_a_choice_counts_from_the_month_that_is_running_and_the_quarter_ends_as_it_began():
    def told(*chosen: tuple[str, Every]) -> list[str]:
        history = [(instant(at), every) for at, every in chosen]
        return [one.name for one in (*MONTHS[:6], *QUARTERS[:2]) if gets(history, one)]

    months = [one.name for one in MONTHS[:6]]
    assert told() == told(("2026-07-01T12:00:00Z", "quarter")) == months
    assert told(("2025-12-31T09:59:00Z", "quarter")) == ["2026-Q1", "2026-Q2"]
    assert told(("2026-02-10T00:00:00Z", "quarter")) == ["2026-01", "2026-Q1", "2026-Q2"]
    assert told(("2026-03-31T09:59:59.999Z", "quarter")) == ["2026-01", "2026-02", "2026-Q1", "2026-Q2"]
    assert told(("2026-03-31T10:00:00.001Z", "quarter")) == ["2026-01", "2026-02", "2026-03", "2026-Q2"]
    back: list[tuple[str, Every]] = [("2026-02-10T00:00:00Z", "quarter"), ("2026-03-05T00:00:00Z", "month")]
    assert told(*back) == ["2026-01", "2026-04", "2026-05", "2026-06", "2026-Q1"], "March is in the quarter"
    short: list[tuple[str, Every]] = [("2026-02-10T00:00:00Z", "quarter"), ("2026-02-11T00:00:00Z", "month")]
    assert told(*short) == months
    assert not gets([(0, "quarter")], QUARTERS[0], whole=False)
    assert gets([(0, "quarter")], MONTHS[0], whole=False), "there is no report of a quarter that is known in part"


@given(ZONES, st.sampled_from(MONTHS))
def test_no_month_ends_anywhere_before_its_choice_counts(name: str, month: Period):
    from engine.zones import zone

    assert counts_until(month) <= zone(name).start(month.last + 1)
    assert quarter_of(month).first <= month.first <= month.last <= quarter_of(month).last


def test_the_key_is_the_senders():
    for address in ("Ann@Acme.example", " ada@bücher.example ", "a@b@c.example"):
        from outreach.addresses import clean_address

        clean = clean_address(address)
        assert key_of(str.upper, address) == (None if clean is None else address_key(str.upper, clean)) or clean is None
    assert key_of(str, None) is key_of(str, "ann") is key_of(str, "ann@localhost") is None


# -- over a store ------------------------------------------------------------------------------------------------------
def key(store: Store, address: str = "ann@acme.example") -> str:
    return address_key(store.key, address)


def live(store: Store, until: str, *, book: Any = None) -> None:
    """Months pass: reports are issued once they are closed, and mails leave on the day after they are due."""
    book = book or book_of(CHOOSING)
    take(store, [], until=until, book=book)
    while Rounds(store, lambda: book).issue():
        take(store, [event(f"after {until}", "tick", until, "clock")], until=until, book=book)
    post = msgspec.structs.replace(SENDER, address="bo@ours.example", public_url="https://m.example")
    at, policy = instant(until) + HOUR, book.policy
    send_due(store, starter_templates(), MemoryChannel(), sender=post, at=at, by="t", policy=policy)


def got(store: Store) -> list[tuple[str, str]]:
    """The reports that went out: reader and period."""
    rows = store.outreach(states=["accepted"])
    return sorted((row.to, row.frozen["report"]["period"]["name"]) for row in rows if row.audience == "customer")


YEAR = [run(f"r{month}", f"2026-{month:02d}-10T09:00:00Z", 150) for month in range(1, 7)]
DAYS = [f"2026-{month:02d}-02T10:00:00Z" for month in range(2, 8)]
DAYS[3] = "2026-05-04T10:00:00Z"  # the second is a Saturday


def half_a_year(store: Store, choices: dict[str, list[tuple[str, Every]]]) -> None:
    """From January to June; choices are made by reader's address."""
    todo = sorted((instant(at), address, every) for address, chosen in choices.items() for at, every in chosen)
    take(store, customer(), until="2025-12-31T00:00:00Z", book=book_of(CHOOSING))
    events = list(YEAR)
    for day in DAYS:
        while todo and todo[0][0] < instant(day):
            at, address, every = todo.pop(0)
            store.choose_rhythm(key(store, address), "monthly", every, at=at, by="page")
        now = [one for one in events if one.event.time < instant(day)]
        events = events[len(now) :]
        take(store, now, until=day, book=book_of(CHOOSING))
        live(store, day)


def test_who_chose_the_quarter_gets_one_mail_and_the_other_reader_three(store: Store):
    ann: list[tuple[str, Every]] = [("2026-02-20T00:00:00Z", "quarter"), ("2026-05-20T00:00:00Z", "month")]
    half_a_year(store, {"ann@acme.example": ann})
    bill = [("u2", one.name) for one in MONTHS[:6]]
    # In May Ann went back: April had been left out, so the rest of that quarter is in its own report.
    assert got(store) == [("u1", "2026-01"), ("u1", "2026-Q1"), ("u1", "2026-Q2"), *bill]
    why = {(row.to, row.frozen["report"]["period"]["name"]): row.why for row in store.outreach(states=["suppressed"])}
    assert why[("u1", "2026-02")] == why[("u1", "2026-06")] == BY_QUARTER
    assert why[("u2", "2026-Q1")] == BY_MONTH
    assert replay.verify(store)["different"] == 0
    quarter = next(row for row in store.outreach(rule="monthly-quarterly") if row.to == "u1")
    told = quarter.frozen["report"]
    assert (told["period"]["first_day"], told["period"]["last_day"]) == ("2026-01-01", "2026-03-31")
    assert told["values"][0]["amount"] == 7.5, "the quarter is computed over its days, through the change of the clocks"
    assert told["price"]["amount"] == 300


def test_where_nobody_chose_there_is_no_report_of_a_quarter(store: Store):
    half_a_year(store, {"stranger@else.example": [("2026-01-05T00:00:00Z", "quarter")]})
    assert store.decisions(rule="monthly-quarterly") == store.decisions(rule="monthly-quarterly-not-sent") == []
    assert got(store) == [(to, one.name) for to in ("u1", "u2") for one in MONTHS[:6]]


def test_a_quarter_that_is_known_in_part_is_told_by_its_months(store: Store):
    late = [
        event("a", "account.updated", "2026-01-20T09:00:00Z", plan="pro", mrr=100, currency="EUR"),
        event("u", "user.updated", "2026-01-20T09:00:00Z", "acme", "u1", role="champion", email="ann@acme.example"),
    ]
    take(store, late, until="2026-01-21T00:00:00Z", book=book_of(CHOOSING))
    store.choose_rhythm(key(store), "monthly", "quarter", at=instant("2026-01-22T00:00:00Z"), by="page")
    for month, day in zip(range(2, 7), DAYS[1:], strict=True):
        take(store, [YEAR[month - 1]], until=day, book=book_of(CHOOSING))
        live(store, day)
    assert {one for _, one in got(store)} == {"2026-02", "2026-03", "2026-Q2"}


BEGINNINGS = {
    "an older event": event("old", "automation.run", "2025-12-22T09:00:00Z", "acme", "u1", minutes=3),
    "a date": event("old", "account.updated", "2026-03-02T11:00:00Z", created_at="2025-11-05"),
}


@pytest.mark.parametrize("late", BEGINNINGS.values(), ids=BEGINNINGS)
def test_what_is_known_late_about_an_accounts_beginning_tells_no_month_twice(late: Arrived):
    store, book = open_store("sqlite://", lanes=2), book_of(CHOOSING)
    log = [event(f"began {name}", "tick", "2025-10-01T00:00:00Z", name) for name in ("one", "two", "three", "four")]
    first = [
        event("a", "account.updated", "2026-01-20T09:00:00Z", plan="pro", mrr=100, currency="EUR"),
        event("u", "user.updated", "2026-01-20T09:00:00Z", "acme", "u1", role="champion", email="ann@acme.example"),
    ]
    take(store, [*log, *first], until="2026-01-21T00:00:00Z", book=book)
    store.choose_rhythm(key(store), "monthly", "quarter", at=instant("2026-01-27T00:00:00Z"), by="page")
    for month, day in zip(range(2, 7), DAYS[1:], strict=True):
        take(store, [YEAR[month - 1]], until=day, book=book)
        live(store, day)
        if month == 2:
            take(store, [late], until="2026-03-02T12:00:00Z", book=book)
    assert got(store) == [("u1", "2026-02"), ("u1", "2026-03"), ("u1", "2026-Q2")]
    assert replay.verify(store)["different"] == 0
    store.close()


def test_a_rulebook_that_gives_no_choice_any_more_gives_the_months_again(store: Store):
    take(store, [*customer(), YEAR[0]], until="2026-01-20T00:00:00Z", book=book_of(CHOOSING))
    store.choose_rhythm(key(store), "monthly", "quarter", at=instant("2026-01-21T00:00:00Z"), by="page")
    live(store, "2026-02-02T10:00:00Z", book=book_of(BOOK))
    assert got(store) == [("u1", "2026-01"), ("u2", "2026-01")]


def test_a_report_that_waits_for_a_person_is_not_shown_for_who_does_not_get_it(store: Store):
    book = book_of(CHOOSING.replace("mode: auto", "mode: review"))
    take(store, [*customer(), *YEAR[:3]], until="2026-03-31T00:00:00Z", book=book)
    store.choose_rhythm(key(store), "monthly", "quarter", at=instant("2026-03-30T00:00:00Z"), by="page")
    live(store, "2026-04-02T10:00:00Z", book=book)
    live(store, "2026-04-02T11:00:00Z", book=book)
    assert [(rule, to) for rule, to, state in mails(store) if state == "in_review"] == [
        ("monthly", "u2"),
        ("monthly-quarterly", "u1"),
    ]


def test_a_choice_is_kept_once_even_where_a_clock_jumps_back(store: Store):
    mine, later = key(store), instant("2026-03-01T00:00:00Z")
    assert not store.choose_rhythm(mine, "monthly", "month", at=later, by="page"), "that is so without a choice"
    assert store.choose_rhythm(mine, "monthly", "quarter", at=later, by="page")
    assert not store.choose_rhythm(mine, "monthly", "quarter", at=later + 1, by="page")
    assert store.choose_rhythm(mine, "monthly", "month", at=later - 3 * DAY, by="page")
    assert store.choose_rhythm(mine, "weekly", "quarter", at=later, by="page")
    history: dict[str, tuple[tuple[Instant, Every], ...]] = {
        "monthly": ((later, "quarter"), (later + 1, "month")),
        "weekly": ((later, "quarter"),),
    }
    assert store.wishes_of([mine, "0"]) == {mine: Wishes(rhythms=history), "0": Wishes()}
    assert store.with_rhythms("monthly") == {mine}
    assert store.with_rhythms("none") == frozenset()


def test_whoever_is_forgotten_chose_nothing(store: Store):
    """But where another account writes to the same address its reader is still there."""
    take(store, [*customer(), *customer("bolt"), *YEAR[:1]], until="2026-02-02T06:00:00Z", book=book_of(CHOOSING))
    live(store, "2026-02-02T10:00:00Z")
    for account in ("acme", "bolt"):
        for who in ("ann", "bill"):
            mine = key(store, f"{who}@{account}.example")
            store.choose_rhythm(mine, "monthly", "quarter", at=instant("2026-02-03T00:00:00Z"), by="page")
    (claim,) = store.claim([lane_of("acme", store.lanes)], "t", at=WALL, take_over=True)
    store.forget_person(claim, "acme", "u1", properties=[], at=WALL)
    assert key(store) not in store.with_rhythms("monthly")
    assert len(store.with_rhythms("monthly")) == 3
    store.forget_account(claim, "acme", at=WALL)
    store.release([claim])
    assert store.with_rhythms("monthly") == {key(store, f"{who}@bolt.example") for who in ("ann", "bill")}


def test_the_choice_is_told_to_the_lane(store: Store):
    take(store, [*customer(), *YEAR[:1]], until="2026-02-02T06:00:00Z", book=book_of(CHOOSING))
    live(store, "2026-02-02T10:00:00Z")
    row = next(row for row in store.outreach(rule="monthly") if row.to == "u1")
    token = Token(row.outreach_id, key(store), "reports")
    at = instant("2026-02-03T00:00:00Z")
    assert choose_rhythm(store, token, "monthly", "quarter", by="page", at=at)
    assert not choose_rhythm(store, token, "monthly", "quarter", by="page", at=at + 1)
    take(store, [], until="2026-02-04T00:00:00Z", book=book_of(CHOOSING))
    events = [one.event for one in events_of(store, "acme", WALL) if one.event.type == "outreach.rhythm"]
    more = {"report": "monthly", "every": "quarter", "by": "page"}
    assert [(one.user_id, {key: one.properties[key] for key in more}) for one in events] == [("u1", more)]
    assert replay.verify(store)["different"] == 0


def test_two_who_issue_make_the_same_report_of_a_quarter(store: Store):
    take(store, [*customer(), *YEAR[:3]], until="2026-03-31T00:00:00Z", book=book_of(CHOOSING))
    store.choose_rhythm(key(store), "monthly", "quarter", at=instant("2026-02-20T00:00:00Z"), by="page")
    take(store, [], until="2026-04-02T06:00:00Z", book=book_of(CHOOSING))
    clock = clock_of(store)
    assert clock is not None
    report = book_of(CHOOSING).report("monthly-quarterly")
    made = [Issuer(store, book_of(CHOOSING)).make(report, QUARTERS[0], "acme", clock=clock) for _ in range(2)]
    assert made[0].body == made[1].body
    assert event_id("monthly-quarterly", "2026-Q1").encode() in made[0].body
    (none,) = walk(Issuer(store, book_of(CHOOSING)), report, QUARTERS[0], ["clock"], clock=clock)
    assert (none.outcome, none.because) == ("none", NOT_CHOSEN)


SENT = BOOK[BOOK.index("    schedule:") : BOOK.index("policy:")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            BOOK.replace("previous month", "previous quarter").replace("every: month", "every: quarter"),
            "previous month",
        ),
        (BOOK.replace(SENT, "").replace("    review_if: value_to_price < 1\n", ""), "give it a schedule"),
        (BOOK.replace("    price: mrr\n", "    price: mrr\n    children: with parent\n"), "take out one of the two"),
    ],
)
def test_only_a_monthly_report_that_is_sent_and_of_one_account_has_the_choice(text: str, said: str):
    chosen = text.replace("    price: mrr\n", "    price: mrr\n    readers_may_choose: quarterly\n")
    book, findings = load_rulebook({"rules/a.yml": chosen})
    assert book is None
    assert any(said in str(one) for one in findings), findings


def test_the_name_of_the_quarters_report_is_taken():
    other = "  - {id: monthly-quarterly, period: previous month, values: [hours]}\n  - id: monthly\n"
    _, findings = load_rulebook({"rules/a.yml": CHOOSING.replace("  - id: monthly\n", other)})
    assert any("stands for readers of 'monthly'" in str(one) for one in findings)
