"""``ringfirst outreach stop``, ``go`` and ``stops``, as somebody types them in a hurry."""

import getpass
import threading
import time
from contextlib import nullcontext

import pytest

from engine.instants import DAY, MINUTE
from engine.store import Stop
from engine.stores import open_store
from engine.stores.sql import SqlStore
from engine.stores.tables import audit
from outreach.sender import send_due
from ringfirst.intake import now
from tests.outreach.given import SENDER, keep, planned, starter_templates

RULE = "orientation-tomorrow"


@pytest.fixture
def store(place):
    """A store with two mails that are due now, one of which is too old in an hour."""
    made = open_store(f"sqlite:///{place / 'ringfirst.db'}")
    at = now()
    facts = [
        planned(account=name, at=at - MINUTE, due_at=at, expires_at=at + more, mail_class="transactional")
        for name, more in (("acme", DAY), ("bolt", 60 * MINUTE))
    ]
    keep(made, *facts, clock=at)
    yield made
    made.close()


def noted(store):
    assert isinstance(store, SqlStore)
    with store._driver.reading() as connection:
        return [(row.what, row.who) for row in connection.execute(audit.select().order_by(audit.c.seq))]


@pytest.mark.parametrize(
    "what", [["--all"], ["--rule", RULE], ["--account", "acme", "--account", "acme"], ["--channel", "file"]]
)
def test_a_stop_keeps_mails_here_until_somebody_lets_them_go_on(run, store, place, what):
    said = run("outreach", "stop", *what, "--why", "a wrong number").stdout
    assert said.startswith("stopped: ")
    one = what[0] == "--account"
    assert f"{1 if one else 2} mail" in said
    assert run("send").stdout.startswith("1 mail" if one else "0 mails")
    assert "nothing leaves, by" in run("send").stderr
    listed = run("outreach", "stops").stdout
    assert "a wrong number" in listed
    assert getpass.getuser() in listed
    shown = run("outreach", "go", *what, "--at-once", "--why", "mended", "--yes").stdout
    assert "a wrong number" in shown
    assert run("send").stdout.startswith("1 mail" if one else "2 mails")
    assert run("outreach", "stops").stderr == "nothing is stopped\n"
    assert [what for what, _ in noted(store)] == ["stop", "go"]


def test_a_stop_says_that_mails_of_later_stay_too(run, store):
    at = now()
    late = planned(account="birch", at=at, due_at=at + DAY, expires_at=at + 3 * DAY, mail_class="transactional")
    keep(store, late, clock=at)
    said = run("outreach", "stop", "--rule", RULE, "--why", "x").stdout
    assert said == f"stopped: rule {RULE}; 2 mails wait behind it and stay here, and 1 more that will be due later\n"


def test_to_go_on_is_asked_for_with_the_count_first(run, store):
    run("outreach", "stop", "--all", "--why", "x", "--by", "ann")
    for row in store.outreach(account_id="bolt"):
        store.move(row.outreach_id, ["queued"], "held", at=now(), by="test", why="stopped: everything")
    said = run("outreach", "go", "--all", "--why", "y", stdin="n\n", code=1)
    assert "2 mails wait to leave; 0 too old" in said.stdout
    assert f"2  {RULE}" in said.stdout
    assert len(store.stops()) == 1
    run("outreach", "go", "--all", "--why", "y", "--by", "bob", stdin="y\n")
    (slow,) = store.stops()
    assert (slow.per_hour, slow.who) == (60, "bob")
    assert run("send").stdout.startswith("1 mail"), "sixty an hour is one a minute"
    assert noted(store) == [("stop", "ann"), ("go", "bob")]


def test_answers_for_programs(ask, store):
    assert ask("outreach", "stop", "--rule", RULE, "--why", "x") == {
        "scope": "rule",
        "name": RULE,
        "fresh": True,
        "waiting": 2,
        "being_handed_over": 0,
    }
    assert not ask("outreach", "stop", "--rule", RULE, "--why", "x")["fresh"]
    (one,) = ask("outreach", "stops")
    assert (one["scope"], one["name"], one["why"], one["per_hour"], one["waiting"]) == ("rule", RULE, "x", None, 2)
    assert [one["name"] for one in ask("status", code=1)["stops"]] == [RULE]
    gone = ask("outreach", "go", "--rule", RULE, "--why", "y", "--yes", "--per-hour", 5)
    assert gone == {"scope": "rule", "name": RULE, "per_hour": 5, "waiting": 2, "too_old": 0, "rules": {RULE: 2}}


def test_the_screen_for_somebody_on_call_says_it_first(run, store):
    run("outreach", "stop", "--all", "--why", "a wrong number", "--by", "ann")
    assert "STOPPED: everything: nothing leaves; since" in run("status", code=1).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stop", "--why", "x"], "say exactly one"),
        (["stop", "--all", "--rule", "r", "--why", "x"], "found 2 of"),
        (["stop", "--rule", "orientation-tomorow", "--why", "x"], "nothing was stopped"),
        (["stop", "--channel", "smpt", "--why", "x"], "did you mean 'smtp'"),
        (["stop", "--all"], "Missing option '--why'"),
        (["go", "--all", "--why", "x", "--yes"], "that is not stopped; stopped is nothing"),
    ],
)
def test_what_would_stop_nothing_is_refused(run, store, words, said):
    assert said in run("outreach", *words, code=2).stderr
    assert store.stops() == []


def test_a_stop_holds_in_a_sender_that_is_in_the_middle_of_its_work(run, store, place):
    """The promise is sixty seconds; a sender asks with every mail."""
    at = now()
    mails = [
        planned(account=f"c{n}", at=at, due_at=at, expires_at=at + DAY, mail_class="transactional") for n in range(40)
    ]  # at any hour: the test runs by the wall clock
    keep(store, *mails, clock=at)
    left: list[float] = []

    class Steady:
        name, local = "smtp", False

        def session(self):
            return nullcontext()

        def has(self, mail_id):
            return False

        def deliver(self, mail):
            time.sleep(0.05)
            left.append(time.monotonic())

    other = open_store(f"sqlite:///{place / 'ringfirst.db'}")
    sender = threading.Thread(
        target=lambda: send_due(other, starter_templates(), Steady(), sender=SENDER, at=at, by="other")
    )
    sender.start()
    while len(left) < 3 and sender.is_alive():
        time.sleep(0.01)
    run("outreach", "stop", "--all", "--why", "x")
    stopped = time.monotonic()
    sender.join(30)
    other.close()
    assert len([moment for moment in left if moment > stopped]) <= 1, "one may have been in the channel's hands"
    assert 3 <= len(left) < 30
    assert {row.state for row in store.outreach()} <= {"accepted", "queued", "held"}


def test_a_breaker_is_shown_and_reset(run, ask, store):
    store.stop(Stop("review", RULE, now(), "breaker", "30 per 1h mails of the rule are out"))
    assert run("send").stdout.startswith("0 mails")
    assert {row.state for row in store.outreach()} == {"in_review"}
    assert f"the breaker of {RULE}" in run("outreach", "stops").stdout
    assert f"STOPPED: the breaker of {RULE}: has tripped" in run("status", code=1).stdout
    said = run("outreach", "go", "--breaker", RULE, "--why", "looked at it", "--yes", "--by", "ann")
    assert "it is reset" in said.stderr
    assert run("outreach", "stops").stderr == "nothing is stopped\n"
    assert ask("status", code=1)["stops"] == []
    assert "that is not stopped" in run("outreach", "go", "--breaker", RULE, "--why", "x", code=2).stderr
    assert noted(store)[-1] == ("go", "ann")
