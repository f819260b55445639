"""Backtests: the same decisions as an import, judged as a slow judge of its own judges, and silent where it must be."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.backtest import Story, Trial, compared, stored_events
from engine.events import Arrived, encode_properties
from engine.instants import DAY, HOUR, MINUTE, Instant, parse_instant
from engine.keeper import Keeper
from engine.log import Event
from engine.outcomes import Ground, Judgement, Life, Outcome, Period
from engine.rulebook.book import Rulebook, load_rulebook
from engine.stores import open_store
from engine.zones import zone
from tests.judge import strategies
from tests.judge.product import book_of, exact

QUARTER = 15 * MINUTE
START = parse_instant("2026-03-22T00:00:00Z") or 0  # Europe's clocks change within the week
ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia")
HEAD = """
things:
  ticket: {id: ticket_id, opened_by: ticket.opened, closed_by: ticket.closed}
measures:
  uses_2d: {count: feature.used, over: 2d}
  quiet: {days_since: feature.used}
  tickets: {open: ticket}
  all_open: {portfolio: tickets}
segments: {paying: {when: 'plan == "pro"'}}
policy: {staff: {domains: [ringfirst.example]}}
rules:
"""
BUSY = "- {id: busy, when: [uses_2d >= 2], re_entry: every time, notify: {template: n, to: us@ringfirst.example}}\n"
MAILED = "- {id: mailed, when: [uses_2d >= 1, uses_2d < 2], send: {template: c, to: champion, class: relationship}}\n"
LOAD = (
    "- {id: load, for: portfolio, when: [all_open >= 2], re_entry: every time, notify: {template: n, to: rule owner}}\n"
)


def small_book(*rules: str) -> Rulebook:
    files = {
        "rules/a.yml": HEAD + "".join(rules).replace("- {id", "- {owner: us@ringfirst.example, id"),
        "templates/n/template.yml": "for: staff\n",
        "templates/c/template.yml": "for: customer\n",
    }
    book, findings = load_rulebook(files, duties=False)
    assert book is not None, [str(one) for one in findings]
    return book


def event(kind: str, at: Instant, account: str = "acme", user: str | None = None, **properties: Any) -> Event:
    return Event(f"{kind}-{at}-{account}-{user}", kind, account, user, at, properties)


def tried(book: Rulebook, events: Sequence[Event], **how: Any) -> Trial:
    trial = Trial(book, **how)
    for one in events:
        trial.take(one)
    trial.finish(max(one.time for one in events))
    return trial


def fires(trial: Trial, rule: str) -> list[tuple[str, Instant]]:
    return sorted((one.account_id, one.at) for one in trial.decisions.values() if one.rule == rule)


# -- the same engine ---------------------------------------------------------------------------------------------------
@st.composite
def scenes(draw: Any) -> tuple[Rulebook, list[Event]]:
    """A random rulebook of the language's judge, and a random history of its own, late events included."""
    data = draw(strategies.rulebooks())
    log = draw(strategies.histories(data))
    rows = [row["event"] for row in log if "event" in row]
    made = [
        Event(
            row["id"],
            row["type"],
            row["account_id"],
            row["user_id"],
            row["time"],
            {name: exact(value) for name, value in row["properties"].items()},
        )
        for row in rows
    ]
    return book_of(next(row["rulebook"] for row in log if "rulebook" in row)), list({e.id: e for e in made}.values())


def same_as_an_import(book: Rulebook, events: Sequence[Event]) -> None:
    store = open_store("sqlite://", lanes=2)
    keeper = Keeper(store, book, "test", at=0)
    keeper.take([Arrived(one, encode_properties(one.properties)) for one in events], at=0)
    keeper.finish(at=0)
    keeper.stop()
    wanted = {row.decision_id: row for row in store.decisions()}
    for given_events in (events, list(stored_events(store))):
        assert tried(book, given_events, lanes=2).decisions == wanted
    store.close()


ANY_SPEED = settings(suppress_health_check=list(HealthCheck), deadline=None)


@given(scenes().filter(lambda scene: bool(scene[1])))
@settings(ANY_SPEED, max_examples=6)
def test_a_backtest_decides_what_an_import_decides(scene: Any) -> None:
    same_as_an_import(*scene)


@pytest.mark.slow
@given(scenes().filter(lambda scene: bool(scene[1])))
@settings(ANY_SPEED, max_examples=40)
def test_a_backtest_decides_what_an_import_decides_in_many_more_scenes(scene: Any) -> None:
    same_as_an_import(*scene)


def test_rules_over_the_portfolio_are_decided_as_in_an_import() -> None:
    book = small_book(LOAD, "- {id: crowd, when: [all_open >= 2], notify: {template: n, to: rule owner}}\n")
    events = [
        event("ticket.opened", START + HOUR * hours, name, ticket_id="t")
        for hours, name in ((1, "acme"), (5, "birch"), (30, "cedar"), (80, "dune"))
    ]
    same_as_an_import(book, events)
    assert {one.rule for one in tried(book, events).decisions.values()} == {"load", "crowd"}


def test_only_the_rules_that_were_asked_for_are_tried() -> None:
    events = [event("feature.used", START + hours * HOUR) for hours in (1, 2, 3)]
    book = small_book(BUSY, "- {id: other, when: [uses_2d >= 3], notify: {template: n, to: rule owner}}\n")
    assert {one.rule for one in tried(book, events).decisions.values()} == {"busy", "other"}
    assert {one.rule for one in tried(book, events, only=["other"]).decisions.values()} == {"other"}


def test_mail_whose_reason_went_before_it_left_is_taken_back_and_the_fire_stays() -> None:
    events = [
        event("user.updated", START, user="u1", role="champion", email="ada@acme.example"),
        event("feature.used", START + HOUR),
        event("feature.used", START + 2 * HOUR),
        event("session.started", START + 3 * DAY),
    ]
    trial = tried(small_book(MAILED), events)
    (decision,) = trial.decisions.values()
    assert decision.outcome == "withdrawn"
    assert list(trial.taken_back.values()) == ["no longer true"]
    assert trial.people == {"acme": {"u1": {"email": "ada@acme.example"}}}


def test_a_mail_that_comes_back_to_life_is_not_taken_back() -> None:
    night = START + 20 * HOUR
    events = [
        event("user.updated", START, user="u1", role="champion", email="ada@acme.example"),
        event("ticket.opened", night, ticket_id="t"),
        event("ticket.closed", night + HOUR, ticket_id="t"),
        event("ticket.opened", night + 2 * HOUR, ticket_id="t"),
        event("session.started", night + 2 * DAY),
    ]
    rule = "- {id: mailed, when: [tickets >= 1], send: {template: c, to: champion, class: relationship}}\n"
    trial = tried(small_book(rule), events)
    (decision,) = trial.decisions.values()
    assert (decision.outcome, decision.at, trial.taken_back) == ("planned", night + 2 * HOUR, {})


def test_the_newest_personal_trait_counts_and_a_cleared_one_is_gone() -> None:
    events = [
        event("user.updated", START + 5, user="u1", email="new@acme.example", name="Ada"),
        event("user.updated", START, user="u1", email="old@acme.example"),
        event("user.updated", START + 9, user="u1", name=None),
        event("user.updated", START + 9, email="nobody@acme.example"),
    ]
    assert tried(small_book(BUSY), events).people == {"acme": {"u1": {"email": "new@acme.example"}}}


# -- midnights only ----------------------------------------------------------------------------------------------------
@st.composite
def uses(draw: Any) -> tuple[str, list[int]]:
    quarters = draw(st.lists(st.integers(0, 8 * 96), min_size=1, max_size=14))
    return draw(st.sampled_from(ZONES)), sorted(quarters)


@given(uses())
@example(("UTC", [0, 96, 96, 2 * 96]))
@settings(ANY_SPEED, max_examples=40)
def test_midnights_only_is_what_a_query_for_each_local_day_gives(made: Any) -> None:
    where, quarters = made
    times = [START + QUARTER * one for one in quarters]
    events = [event("account.updated", times[0], timezone=where)]
    events += [Event(f"use-{n}", "feature.used", "acme", None, at, {}) for n, at in enumerate(times)]
    busy, was = [], False
    for midnight in midnights_of(where, times[0], times[-1]):
        before = local_day(where, midnight - 1)
        today = local_day(where, midnight)
        days = [local_day(where, at) for at in times if at < midnight]
        true = sum(day in {before, today} for day in days) >= 2
        if true and not was:
            busy.append(("acme", midnight))
        was = true
    assert fires(tried(small_book(BUSY), events, midnights=True), "busy") == busy


def test_midnights_only_leaves_rules_about_events_silent() -> None:
    rule = "- {id: each, for: each feature.used, when: [uses_2d >= 1], notify: {template: n, to: rule owner}}\n"
    events = [event("feature.used", START + hours * HOUR) for hours in (1, 2, 60)]
    assert len(fires(tried(small_book(rule), events), "each")) == 3
    assert fires(tried(small_book(rule), events, midnights=True), "each") == []


@lru_cache(maxsize=100_000)
def local_day(where: str, at: Instant) -> Any:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).astimezone(ZoneInfo(where)).date()


def midnights_of(where: str, after: Instant, until: Instant) -> list[Instant]:
    """Every quarter of an hour at which the local date is another than a moment before."""
    first = after // QUARTER * QUARTER
    steps = range(first, until + 1, QUARTER)
    return [at for at in steps if at > after and local_day(where, at) != local_day(where, at - 1)]


# -- what was not known ------------------------------------------------------------------------------------------------
def test_the_unknown_that_silenced_a_rule_is_named_and_accounts_are_counted() -> None:
    rules = [
        "- {id: segment, audience: paying, when: [uses_2d >= 0], notify: {template: n, to: rule owner}}\n",
        "- {id: nobody, when: [uses_2d >= 0], send: {template: c, to: champion, class: relationship}}\n",
        '- {id: seats, when: [seats > 3], unless: ["known(mrr) and mrr < 1"], notify: {template: n, to: rule owner}}\n',
        "- {id: score, for: each survey.answered, when: [event.score <= 6], notify: {template: n, to: rule owner}}\n",
        "- {id: grade, for: each ticket, when: ['ticket.grade == \"red\"'], notify: {template: n, to: rule owner}}\n",
        "- {id: kinds, when: ['plan > 3'], notify: {template: n, to: rule owner}}\n",
        LOAD,
    ]
    events = [
        event("feature.used", START, "acme"),
        event("survey.answered", START + 1, "acme", score=None),
        event("survey.answered", START + 2, "acme"),
        event("account.updated", START + 3, "birch", plan="pro", seats=4),
        event("user.updated", START + 4, "birch", user="u1", role="champion"),
        event("survey.answered", START + 5, "birch", score=9),
        event("ticket.opened", START + 6, "birch", ticket_id="t1"),
        event("ticket.opened", START + 7, "birch", ticket_id="t2"),
    ]
    assert tried(small_book(*rules), events).unknown() == {
        "segment": {"paying": 1},
        "nobody": {"to": 1},
        "seats": {"seats": 1},
        "score": {"event.score": 1},
        "grade": {"ticket.grade": 1},
        "kinds": {"plan": 1, "plan > 3": 1},
    }
    assert "score" not in tried(small_book(*rules), events, midnights=True).unknown()


def test_two_rulebooks_are_compared_by_the_accounts_they_fire_for() -> None:
    events = [event("feature.used", START + hours * HOUR, name) for hours, name in ((1, "a"), (2, "a"), (3, "b"))]
    before = tried(small_book(BUSY), events).decisions.values()
    after = tried(small_book(BUSY.replace(">= 2", "== 1")), events).decisions.values()
    assert compared(before, after) == {"gained": ["b"], "lost": [], "kept": 1}
    assert compared(after, before) == {"gained": [], "lost": ["b"], "kept": 1}


# -- judging -----------------------------------------------------------------------------------------------------------
@st.composite
def histories(draw: Any) -> dict[str, Any]:
    """Accounts with zones, first events and outcomes, fires of theirs, all on quarters of an hour, and a period."""
    days = draw(st.integers(2, 12))
    moment = st.integers(0, days * 96).map(lambda one: START + QUARTER * one)
    near_midnight = st.integers(0, days).map(lambda one: START + DAY * one)
    instant = st.one_of(moment, near_midnight)
    accounts = {}
    for number in range(draw(st.integers(1, 4))):
        first = draw(instant)
        outcomes = [at for at in draw(st.lists(instant, max_size=3)) if at >= first]
        accounts[f"a{number}"] = {
            "zone": draw(st.sampled_from(ZONES)),
            "first": first,
            "outcomes": outcomes,
            "fires": [at for at in draw(st.lists(instant, max_size=6)) if at >= first],
        }
    known = [one["first"] for one in accounts.values()] + [at for one in accounts.values() for at in one["outcomes"]]
    data = (min(known), max(known) + draw(st.integers(0, 3)) * DAY)
    since = min(max(draw(instant), data[0]), data[1]) if draw(st.booleans()) else data[0]
    return {"accounts": accounts, "period": (since, data[1]), "within": draw(st.integers(1, 5))}


def judged(history: dict[str, Any]) -> Judgement:
    lives = {
        name: Life(one["first"], min(one["outcomes"], default=None), zone(one["zone"]))
        for name, one in history["accounts"].items()
    }
    ground = Ground(lives, Outcome("subscription.cancelled", history["within"]), Period(*history["period"]))
    return ground.judge((name, at) for name, one in history["accounts"].items() for at in one["fires"])


def naive(history: dict[str, Any]) -> dict[str, Any]:
    """The issue's words, followed one by one."""
    since, until = history["period"]
    ahead = history["within"] * 24 * HOUR
    account_days, fired, leads, first_outcomes = [], [], [], 0
    for one in history["accounts"].values():
        outcome = min(one["outcomes"]) if one["outcomes"] else None

        def counts(at: Instant, one: Any = one, outcome: Any = outcome) -> bool:
            after_the_first_event = at > one["first"] and at >= since
            until_the_first_outcome = outcome is None or at < outcome
            following_days_inside_the_data = at + ahead <= until
            return after_the_first_event and until_the_first_outcome and following_days_inside_the_data

        def followed(at: Instant, outcome: Any = outcome) -> bool:
            return outcome is not None and at < outcome <= at + ahead

        account_days += [followed(at) for at in midnights_of(one["zone"], one["first"], until) if counts(at)]
        fired += [followed(at) for at in one["fires"] if counts(at)]
        if outcome is not None and since <= outcome <= until:
            first_outcomes += 1
            before = [at for at in one["fires"] if outcome - ahead <= at < outcome]
            leads += [outcome - min(before)] if before else []
    precision = Fraction(sum(fired), len(fired)) if fired else None
    base_rate = Fraction(sum(account_days), len(account_days)) if account_days else None
    return {
        "fires": len(fired),
        "hits": sum(fired),
        "precision": precision,
        "base_rate": base_rate,
        "lift": precision / base_rate if precision is not None and base_rate else None,
        "recall": Fraction(len(leads), first_outcomes) if first_outcomes else None,
        "median_lead_days": median(leads) / (24 * HOUR) if leads else None,
    }


def judged_alike(history: dict[str, Any]) -> None:
    wanted, found = naive(history), judged(history)
    assert {name: getattr(found, name) for name in wanted} == pytest.approx(
        {name: value if value is None else float(value) for name, value in wanted.items()}
    )


@given(histories())
@settings(ANY_SPEED, max_examples=80)
def test_the_judgement_is_that_of_a_slow_judge_who_walks_over_every_day(history: dict[str, Any]) -> None:
    judged_alike(history)


@pytest.mark.slow
@given(histories())
@settings(ANY_SPEED, max_examples=300)
def test_the_judgement_is_that_of_a_slow_judge_in_many_more_histories(history: dict[str, Any]) -> None:
    judged_alike(history)


@st.composite
def lives_lived(draw: Any) -> list[Event]:
    """Events of a few accounts, mostly in order, with zones that change and outcomes that come again."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 10 * 96),
                st.sampled_from(("acme", "birch")),
                st.sampled_from(("feature.used", "feature.used", "subscription.cancelled", *ZONES)),
            ),
            min_size=2,
            max_size=16,
        )
    )
    ordered = sorted(rows) if draw(st.booleans()) else rows
    return [
        Event(
            f"e{number}",
            "account.updated" if kind in ZONES else kind,
            account,
            None,
            START + QUARTER * quarter,
            {"timezone": kind} if kind in ZONES else {},
        )
        for number, (quarter, account, kind) in enumerate(ordered)
    ]


@given(lives_lived(), st.integers(1, 4))
@settings(ANY_SPEED, max_examples=40)
def test_events_are_judged_as_a_slow_judge_reads_them(events: list[Event], within: int) -> None:
    trial, story = tried(small_book(BUSY), events), Story("subscription.cancelled")
    for one in events:
        story.take(one)
    times = [one.time for one in events]
    accounts = {}
    for name in {one.account_id for one in events}:
        own = [one for one in events if one.account_id == name]
        zones = sorted(((one.time, at, one.properties) for at, one in enumerate(own) if one.type == "account.updated"))
        accounts[name] = {
            "zone": zones[-1][2]["timezone"] if zones else "UTC",
            "first": min(one.time for one in own),
            "outcomes": [one.time for one in own if one.type == "subscription.cancelled"],
            "fires": [at for account, at in fires(trial, "busy") if account == name],
        }
    wanted = naive({"accounts": accounts, "period": (min(times), max(times)), "within": within})
    period = Period(min(times), max(times))
    ground = Ground(story.lives(trial.zone_of), Outcome("subscription.cancelled", within), period)
    found = ground.judge(fires(trial, "busy"))
    assert {name: getattr(found, name) for name in wanted} == pytest.approx(
        {name: value if value is None else float(value) for name, value in wanted.items()}
    )


def life(first: float, outcome: float | None = None) -> dict[str, Any]:
    outcomes = [] if outcome is None else [START + int(outcome * DAY)]
    return {"zone": "UTC", "first": START + int(first * DAY), "outcomes": outcomes, "fires": []}


def test_an_account_day_counts_when_its_days_lie_inside_the_data() -> None:
    history = {"accounts": {"a": life(0.5)}, "period": (START, START + 10 * DAY), "within": 3}
    assert judged(history).accounts["a"].days == 7, "midnights 1 to 7: from the eighth on the data end too early"


def test_nothing_counts_from_the_first_outcome_on() -> None:
    history: dict[str, Any] = {"accounts": {"a": life(0.5, 4.5)}, "period": (START, START + 20 * DAY), "within": 2}
    history["accounts"]["a"]["fires"] = [START + int(day * DAY) for day in (1, 3, 4.5, 6)]
    found = judged(history)
    assert (found.accounts["a"].days, found.accounts["a"].followed) == (4, 2)
    assert (found.fires, found.hits, found.recall, found.median_lead_days) == (2, 1, 1.0, 1.5)


def test_without_an_outcome_or_a_fire_there_is_nothing_to_divide_by() -> None:
    found = judged({"accounts": {"a": life(0)}, "period": (START, START + 5 * DAY), "within": 1})
    assert (found.precision, found.base_rate, found.lift) == (None, 0.0, None)
    assert (found.recall, found.median_lead_days) == (None, None)


def test_a_story_keeps_the_first_event_and_the_first_outcome_whatever_the_order() -> None:
    story = Story("left")
    for at, kind in ((5, "left"), (3, "feature.used"), (4, "left"), (9, "left")):
        story.take(event(kind, at))
    assert (story.events, story.began, story.ended) == (4, 3, 9)
    assert story.lives(lambda _: zone("UTC")) == {"acme": Life(3, 4, zone("UTC"))}
