"""``ringfirst outcomes``: those written to against those held out, counted by account and by what was known when."""

from dataclasses import replace

import msgspec
import pytest

from engine.account import in_holdout
from engine.events import Arrived, decode
from engine.feedback import Feedback, Learned, MailFact
from engine.instants import DAY, HOUR, iso, parse_instant
from engine.keeper import Keeper
from engine.rulebook.book import must_load
from engine.rulebook.spec import Rule
from engine.stores import open_store
from outreach.channels.memory import MemoryChannel
from outreach.sender import send_due
from ringfirst.outcomes import Arm, Outcome, newcombe
from ringfirst.outcomes_words import told, verdict
from tests.cli.given import START
from tests.outreach.given import ROOT, SENDER, made_template

RULES = """
policy: {settle: 15m, hours: {from: "00:00", until: "23:59"}}
things:
  ticket: {id: ticket_id, opened_by: ticket.opened, answered_by: ticket.replied, closed_by: ticket.solved}
measures:
  reports: {count: feature.used, where: {feature: reports}}
  automations: {count: feature.used, where: {feature: automations}, over: 28d}
  praise: {count: survey.answered}
rules:
  - id: show-automations
    title: Builds reports by hand
    owner: o@ringfirst.example
    when: [reports >= 1]
    send: {template: t, to: champion, class: relationship, mode: auto}
    holdout: 40%
    goal: {when: automations >= 2, within: 7d}
  - id: late-ticket
    owner: o@ringfirst.example
    for: each ticket
    when: [ticket.id == ticket.id]
    send: {template: t, to: champion, class: relationship, mode: auto}
    goal: {when: ticket.answered, within: 2d}
  - id: no-goal
    owner: o@ringfirst.example
    when: [reports >= 1]
    send: {template: t, to: champion, class: relationship, mode: auto}
  - id: thanks
    owner: o@ringfirst.example
    for: each survey.answered
    when: [praise >= 1]
    send: {template: t, to: event.person, class: relationship, mode: auto}
    goal: {when: event.score > 3, within: 2d}
"""
NAMES = [f"account-{number:02}" for number in range(60)]


@pytest.fixture
def live(place):
    """A store that lives through days: ``live(events, until)`` takes events in, and sends what is due by then."""
    store = open_store(f"sqlite:///{place / 'ringfirst.db'}")
    files = {"rules/a.yml": RULES, "templates/t/template.yml": "for: customer\n"}
    book = must_load(files)
    templates = {"t": made_template("Words for you.")}
    count = iter(range(100_000))

    def through(events, until, *, sends=True, history=False):
        keeper = Keeper(store, book, "worker", at=START, history=history)
        rows = [*events, (until, "tick", "tick.tock", {})]
        keeper.take([arrived(next(count), *row) for row in rows], at=until)
        keeper.finish(at=until)
        keeper.stop()
        if sends:
            send_due(store, templates, MemoryChannel(), sender=SENDER, at=until, by="t", policy=book.policy)
        return store

    yield through
    store.close()


def arrived(number, at, account, kind, properties, user=None):
    wire = {"id": f"e{number}", "type": kind, "account_id": account, "properties": properties}
    wire |= {"time": iso(at), "user_id": "u1" if kind == "user.updated" else user}
    found = decode(msgspec.json.encode(wire), wall=at + DAY)
    assert isinstance(found, Arrived)
    return found


def person(name, at=START):
    """Somebody to write to, and since when there is an account: a young log sends such decisions into review else."""
    return [
        (at, name, "account.updated", {"created_at": "2024-01-01"}),
        (at, name, "user.updated", {"role": "champion", "email": f"ada@{name}.example"}),
    ]


def used(name, at, feature):
    return (at, name, "feature.used", {"feature": feature})


def test_who_was_written_to_is_held_against_who_was_held_out(live, ask, run):
    """Of those written to two of three reach the goal, of those held out every sixth, each a day later or never."""
    rule = must_load({"rules/a.yml": RULES, "templates/t/template.yml": "for: customer\n"}).rule("show-automations")
    held = [name for name in NAMES if in_holdout(rule, name)]
    written = [name for name in NAMES if name not in held]
    assert min(len(held), len(written)) >= 20
    live(
        [row for name in NAMES for row in person(name)] + [used(name, START + HOUR, "reports") for name in NAMES],
        START + 2 * HOUR,
    )
    reached = [*(name for at, name in enumerate(written) if at % 3), *held[::6]]
    late = [name for name in NAMES if name not in reached][:5]
    events = [used(name, START + day * DAY, "automations") for day in (2, 3) for name in reached]
    events += [used(name, START + day * DAY, "automations") for day in (9, 10) for name in late]
    live(sorted(events, key=lambda event: (event[0], event[1])), START + 20 * DAY)
    (found,) = ask("outcomes", "show-automations")
    assert (found["goal"], found["within_days"], found["since"]) == ("automations >= 2", 7, iso(START + HOUR))
    assert found["mails"] == {"sent": len(written), "delivered": 0}
    wanted = {"accounts": len(written), "reached": len(reached) - len(held[::6])}
    assert {name: found["written"][name] for name in wanted} == wanted
    assert found["written"]["got_a_mail"] == len(written)
    assert (found["held_out"]["accounts"], found["held_out"]["reached"]) == (len(held), len(held[::6]))
    assert found["uplift"]["low"] > 0.1
    assert found["verdict"].startswith("It helps")
    said = run("outcomes", "show-automations").stdout
    assert f"Held out: {len(held)} accounts, {len(held[::6])} reached it (" in said
    assert "Its goal: automations >= 2, within 7 days of the decision." in said


def test_only_whole_times_and_fresh_goals_count(live, ask):
    """One had reached it before, one has days left, one mail is withdrawn, one lay in an imported past."""
    rule = must_load({"rules/a.yml": RULES, "templates/t/template.yml": "for: customer\n"}).rule("show-automations")
    names = [name for name in NAMES if not in_holdout(rule, name)][:5]
    past, before, done, withdrawn, fresh = names
    live([*person(past), used(past, START, "reports")], START + DAY, history=True, sends=False)
    day = START + 2 * DAY
    live([row for name in (before, done, withdrawn) for row in person(name, day)], day)
    live([used(before, day, "automations"), used(before, day + 1, "automations")], day + HOUR)
    live([used(name, day + 2 * HOUR, "reports") for name in (before, done)], day + 3 * HOUR - 1)
    live([used(withdrawn, day + 3 * HOUR, "reports")], day + 3 * HOUR, sends=False)
    store = live([(day + 3 * HOUR + 1, withdrawn, "user.removed", {}, "u1")], day + 4 * HOUR)
    assert {row.account_id: row.state for row in store.outreach(rule="show-automations")} == {
        past: "past",
        before: "accepted",
        done: "accepted",
        withdrawn: "withdrawn",
    }
    live([*person(fresh, day + 6 * DAY), used(fresh, day + 6 * DAY, "reports")], day + 8 * DAY)
    (found,) = ask("outcomes", "show-automations")
    assert (found["already"], found["waiting"]) == (1, 1)
    assert (found["written"]["accounts"], found["written"]["got_a_mail"]) == (2, 1)
    assert ask("outcomes", "show-automations", "--since", "2026-03-09")[0]["written"]["accounts"] == 0


def test_a_goal_of_a_thing_is_asked_of_that_thing(live, ask):
    rows = person("acme")
    rows += [(START + HOUR + n, "acme", "ticket.opened", {"ticket_id": f"t{n}"}) for n in range(2)]
    live(rows, START + 2 * HOUR)
    live([(START + DAY, "acme", "ticket.replied", {"ticket_id": "t1"})], START + 9 * DAY)
    assert ask("outcomes", "late-ticket")[0]["written"]["reached"] == 0, "the account's first was t0"


def test_what_cannot_be_compared_says_why(live, ask):
    live([*person("acme"), used("acme", START + HOUR, "reports")], START + 9 * DAY)
    words = {row["rule"]: row["verdict"] for row in ask("outcomes", "no-goal", "thanks", "late-ticket")}
    assert words["no-goal"] == (
        "Nothing to compare: it has no goal; say what the mail is for: goal: {when: ..., within: 14d}."
    )
    assert "its goal speaks of the event" in words["thanks"]
    assert words["late-ticket"] == "Nothing to compare: none of its mails has left yet."


def test_what_providers_told_is_counted(live, ask):
    store = live([*person("acme"), used("acme", START + HOUR, "reports")], START + 2 * HOUR)
    (row,) = store.outreach(rule="no-goal")
    told_of = Feedback(provider="p", event_id="1", kind="delivered", at=START, heard_at=START, mail_id=row.outreach_id)
    store.put_feedback([told_of])
    (one,) = store.feedback(limit=5)
    store.learn(
        [Learned(seq=one.seq, facts=(MailFact(outreach_id=row.outreach_id, kind="delivered", at=START),))],
        at=START,
        by="t",
    )
    assert ask("outcomes", "no-goal")[0]["mails"] == {"sent": 1, "delivered": 1}


# -- in words ----------------------------------------------------------------------------------------------------------
BARE = Outcome(Rule("r", title="A rule", holdout=0.1))


@pytest.mark.parametrize(
    ("written", "held", "expected"),
    [
        pytest.param(
            (200, 80),
            (9, 0),
            "Too few to say: 9 accounts held out, 10 are the least; that none held out "
            "reached it leaves up to 30 % possible.",
            id="few held out",
        ),
        pytest.param((9, 3), (40, 4), "Too few to say: 9 accounts meant to be written to, 10 are the least.", id="few"),
        pytest.param((200, 80), (100, 20), "It helps", id="more"),
        pytest.param((200, 20), (100, 40), "It does harm", id="fewer"),
        pytest.param(
            (200, 60),
            (20, 5),
            "It cannot be told: with so many accounts a difference below about 19 points may be chance.",
            id="nobody knows",
        ),
    ],
)
def test_no_more_is_said_than_the_accounts_bear(written, held, expected):
    assert verdict(replace(BARE, written=Arm(*written), held_out=Arm(*held))).startswith(expected)


def test_without_a_holdout_nothing_is_claimed():
    found = replace(BARE, rule=Rule("r"), written=Arm(300, 200))
    assert "Nobody is held out" in verdict(found)
    assert next(iter(told(found))) == "r."


def test_the_interval_of_a_difference_holds_the_true_one_about_95_times_of_100():
    import numpy as np

    chance = np.random.default_rng(20260312)
    held = 0
    for _ in range(400):
        arms = Arm(180, int(chance.binomial(180, 0.3))), Arm(25, int(chance.binomial(25, 0.2)))
        low, high = newcombe(*arms) or (0, 0)
        held += low <= 0.1 <= high
    assert 0.92 <= held / 400 <= 0.99


PAGE_NUMBERS = Outcome(
    Rule("automations-underused", title="Builds reports by hand", holdout=0.1),
    since=parse_instant("2026-03-02T08:00:00Z"),
    mails={"sent": 404, "delivered": 398, "bounced": 6},
    written=Arm(410, 123),
    got=371,
    held_out=Arm(44, 8),
    already=3,
    waiting=31,
)


def test_what_the_pages_show_is_what_is_said():
    text = RULES.replace("automations >= 2, within: 7d", "automations_28d > 0").replace(
        " automations:", " automations_28d:"
    )
    goal = must_load({"rules/a.yml": text, "templates/t/template.yml": "for: customer\n"}).rule("show-automations").goal
    found = replace(PAGE_NUMBERS, rule=replace(PAGE_NUMBERS.rule, goal=goal))
    page = (ROOT / "docs" / "how-to" / "measure-outcomes.md").read_text()
    assert "".join(f"\n  {line}" for line in told(found)) in page
    answer = msgspec.json.encode(found.answer(verdict(found))).decode()
    shown = next(
        line for line in (ROOT / "docs" / "reference" / "commands.md").read_text().splitlines() if '"goal"' in line
    )
    assert msgspec.json.decode(shown) == [msgspec.json.decode(answer)]
