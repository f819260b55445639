"""Questions to a store: who, accounts, decisions, explain, outreach, replay; their JSON is a promise."""

import shutil
import sqlite3
import subprocess
import sys

import pytest

from tests.cli.given import BOOK, company, lines

COMMANDS = [
    ("who", "reports_28d > 1"),
    ("accounts", "show", "acme"),
    ("decisions", "list"),
    ("explain", "acme", "many-reports"),
    ("replay", "--verify"),
    ("outreach", "list"),
    ("outreach", "show", "x"),
    ("dead-letters", "list"),
    ("dead-letters", "retry"),
    ("forget", "--account", "acme", "--yes"),
    ("send",),
    ("send", "--simulate"),
]


@pytest.fixture(autouse=True)
def imported(ask, place):
    """Three customers, imported."""
    (place / "events.jsonl").write_text(lines(company()))
    ask("import", "events.jsonl")


def test_who_lists_accounts_with_the_values_that_made_it_so(ask):
    assert ask("who", "reports_28d >= 10") == {
        "at": "2026-03-13T10:08:40Z",
        "count": 3,
        "unknown": {},
        "accounts": [
            {"account_id": name, "subject": None, "values": {"reports_28d": 12}} for name in ("acme", "birch", "cedar")
        ],
    }
    assert ask("who", "paying", "--at", "2026-03-01")["count"] == 0
    assert ask("who", "seats > 1")["unknown"] == {"seats": 3}


def test_who_asks_each_thing(ask):
    found = ask("who", "ticket.waiting_hours >= 1", "--each", "ticket", "--at", "2026-03-06T10:30:00Z")
    assert found["accounts"][0]["subject"] == {"kind": "ticket", "id": "t1"}
    assert [*found["accounts"][0]["values"]] == ["ticket.waiting_hours"]


def test_who_says_it_in_a_table_for_a_person(run):
    said = run("who", "reports_28d >= 10")
    assert [line.split() for line in said.stdout.splitlines()[2:]] == [
        [name, "12"] for name in ("acme", "birch", "cedar")
    ]
    assert "3 accounts as of" in said.stderr
    assert "\x1b" not in said.stdout, "no colours where nobody sees them"
    assert "seats is unknown" in run("who", "seats > 1").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("who", "reprots_28d > 1"), "did you mean 'reports_28d'?", id="a typo"),
        pytest.param(("who", "reports_28d >"), "who: character", id="half a condition"),
        pytest.param(("who", "true", "--each", "tickt"), "did you mean 'ticket'?", id="an unknown thing"),
        pytest.param(("who", "true", "--at", "yesterday"), "no instant; found 'yesterday'", id="no instant"),
        pytest.param(("accounts", "show", "acmee"), "did you mean 'acme'?", id="an unknown account"),
        pytest.param(("accounts", "show", "zzz"), "look at 'ringfirst who true'", id="nothing like any account"),
        pytest.param(("accounts", "show", "acme", "--at", "2026-03-01"), "; it came later", id="an account too early"),
        pytest.param(("explain", "acmee", "many-reports"), "did you mean 'acme'?", id="explain of an unknown account"),
        pytest.param(("accounts", "show", "acme", "--rules", "nowhere"), "nowhere", id="an unknown rulebook"),
        pytest.param(("explain", "acme", "many-report"), "did you mean 'many-reports'?", id="an unknown rule"),
        pytest.param(("explain", "acme", "red-ticket-waits"), "say --about ticket:ID", id="which ticket"),
        pytest.param(("outreach", "show", "x"), "take an id from", id="an unknown mail"),
        pytest.param(
            ("outreach", "list", "--state", "gone"), "no state of a mail; found 'gone'; there are", id="no state"
        ),
        pytest.param(("outreach", "list", "--state", "queud"), "did you mean 'queued'?", id="a misspelt state"),
        pytest.param(("decisons", "list"), "did you mean 'ringfirst decisions'?", id="an unknown command"),
        pytest.param(("replay",), "--verify", id="replay without a word"),
        pytest.param(("forget", "--account", "acmee", "--yes"), "no such account", id="nobody to forget"),
    ],
)
def test_a_wrong_question_ends_with_2_and_the_way_out(run, words, said):
    assert said in run(*words, code=2).stderr


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_without_a_store_every_question_says_so(run, words):
    said = run(*words, "--store", "sqlite:///elsewhere.db", code=2).stderr
    assert "ringfirst: sqlite:///elsewhere.db: there is no store here" in said


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_somebody_elses_database_is_left_alone(run, place, words):
    connection = sqlite3.connect(place / "theirs.db")
    connection.execute("CREATE TABLE theirs (n int)")
    connection.close()
    assert "this is no Ringfirst store" in run(*words, "--store", "sqlite:///theirs.db", code=2).stderr


def test_accounts_show_tells_state_measures_things_and_timeline(ask, run):
    found = ask("accounts", "show", "acme", "--at", "2026-03-06T10:30:00Z")
    assert list(found) == ["account_id", "at", "zone", "first_seen", "state", "measures", "things", "timeline"]
    assert found["state"] == {"plan": "pro"}
    assert found["measures"]["reports_28d"] == 5
    assert [one["id"] for one in found["things"]["ticket"]] == ["t1"]
    assert [row["what"] for row in found["timeline"]][-1] == "decided: red-ticket-waits about ticket t1"
    said = run("accounts", "show", "acme", "--last", 4)
    assert "decided: many-reports" in said.stdout
    assert "older entries are left out" in said.stderr


def test_decisions_list_has_the_documented_shape(ask):
    rows = ask("decisions", "list", "--account", "acme")
    assert [list(row) for row in rows] == [
        ["decision_id", "rule", "account_id", "subject", "occasion", "at", "kind", "outcome", "mail", "values"]
    ] * 2
    assert [(row["rule"], row["subject"], row["kind"], row["outcome"], row["mail"]) for row in rows] == [
        ("red-ticket-waits", {"kind": "ticket", "id": "t1"}, "support_load", "planned", "past"),
        ("many-reports", None, "underused_feature", "planned", "past"),
    ]
    assert rows[1]["values"] == {"reports_28d": 10, "open_tickets": 0}


def test_decisions_list_can_be_narrowed(ask, run):
    assert {row["rule"] for row in ask("decisions", "list", "--rule", "many-reports")} == {"many-reports"}
    assert len(ask("decisions", "list", "--since", "2026-03-11")) == 3
    assert ask("decisions", "list", "--limit", 2) == ask("decisions", "list")[-2:], "the newest"
    assert len(run("decisions", "list").stdout.splitlines()) == 2 + 6


def test_explain_says_each_condition_with_its_value(ask, run):
    answer = ask("explain", "acme", "many-reports", "--at", "2026-03-08")
    assert (answer["truth"], answer["when"][0]["truth"], answer["when"][0]["values"]) == (
        "no",
        "no",
        {"reports_28d": 6},
    )
    assert "when reports_28d >= 10 is no" in answer["because"]
    said = run("explain", "acme", "red-ticket-waits", "--about", "ticket:t1", "--at", "2026-03-06T10:30:00Z").stdout
    assert "when ticket.waiting_hours >= 1: yes" in said
    assert "acme-t" in said, "the event behind it"


def test_who_asks_hears_that_the_folder_has_another_rulebook(run, place, monkeypatch):
    (place / "events.jsonl").write_text(lines(company()))
    run("import", "events.jsonl")
    assert "active rulebook" not in run("who", "true").stderr
    shutil.copytree(BOOK, place / "mine")
    base = next((place / "mine" / "rules").glob("*.yml"))
    base.write_text(base.read_text() + "\n# a word\n")
    monkeypatch.setenv("RINGFIRST_RULES", "mine")
    assert "which is not the one in mine; --rules mine asks that" in run("who", "true").stderr
    assert "active rulebook" not in run("who", "true", "--rules", "mine").stderr
    monkeypatch.setenv("RINGFIRST_RULES", "nowhere")
    assert "active rulebook" not in run("who", "true").stderr, "who only asks needs no folder"


def test_another_rulebook_can_be_asked_without_activating_it(ask, run, place):
    book = place / "other" / "rules"
    book.mkdir(parents=True)
    (book / "a.yml").write_text("measures: {charts_7d: {count: feature.used, where: {feature: charts}, over: 7d}}\n")
    assert ask("who", "charts_7d == 0", "--rules", "other")["count"] == 3
    assert "charts_7d" in run("who", "charts_7d == 0", code=2).stderr


def test_replay_gives_the_same_decisions_again(ask, run):
    assert ask("replay", "--verify") == {"events": 48, "decisions": 6, "missing": 0, "extra": 0, "different": 0}
    assert "48 events give 6 decisions again: 0 missing" in run("replay", "--verify").stdout
    assert ask("replay", "--verify", "--plain") == ask("replay", "--verify")


def test_replay_finds_a_decision_that_was_taken_out(ask, place):
    connection = sqlite3.connect(place / "ringfirst.db")
    with connection:
        connection.execute("DELETE FROM decisions WHERE account_id = 'acme' AND rule = 'many-reports'")
    connection.close()
    assert ask("replay", "--verify", code=1)["missing"] == 1


def test_outreach_shows_a_mail_and_each_step_of_its_life(ask, run):
    rows = ask("outreach", "list", "--rule", "many-reports", "--account", "acme")
    assert [(row["state"], row["to"], row["class"], row["mode"]) for row in rows] == [
        ("past", "u1", "relationship", "auto")
    ]
    shown = ask("outreach", "show", rows[0]["outreach_id"])
    assert [(one["before"], one["after"]) for one in shown["changes"]] == [(None, "queued"), ("queued", "past")]
    assert "queued" in run("outreach", "show", rows[0]["outreach_id"]).stdout
    assert "6 mails" in run("outreach", "list").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(
            ("decisions", "list", "--rule", "many-report"),
            "rule 'many-report': not in the active rulebook, and no decision is by it; did you mean 'many-reports'?",
            id="decisions of an unknown rule",
        ),
        pytest.param(
            ("decisions", "list", "--account", "acmee"),
            "account 'acmee': not in the store; did you mean 'acme'?",
            id="decisions of an unknown account",
        ),
        pytest.param(
            ("outreach", "list", "--rule", "nope"),
            "rule 'nope': not in the active rulebook, and no mail is by it\n",
            id="mails of an unknown rule",
        ),
        pytest.param(
            ("outreach", "list", "--account", "birhc", "--state", "past"),
            "account 'birhc': not in the store; did you mean 'birch'?",
            id="mails of an unknown account",
        ),
        pytest.param(
            ("dead-letters", "list", "--source", "bda.jsonl"),
            "source 'bda.jsonl': no dead letter is from it; did you mean 'bad.jsonl'?",
            id="letters of an unknown source",
        ),
        pytest.param(
            ("dead-letters", "retry", "--source", "x"), "source 'x': no dead letter is from it\n", id="nothing to retry"
        ),
        pytest.param(
            ("dead-letters", "drop", "--source", "x"), "source 'x': no dead letter is from it\n", id="nothing to drop"
        ),
    ],
)
def test_a_list_that_is_empty_for_a_wrong_word_says_so(run, place, words, said):
    (place / "bad.jsonl").write_text("{}\n")
    run("import", "bad.jsonl")
    for more in ((), ("--json",)):
        assert said in run(*words, *more).stderr


def test_a_rule_that_has_decided_nothing_is_told_from_one_that_is_not_there(run, place):
    (place / "few.jsonl").write_text(lines(company(days=2)))
    run("import", "few.jsonl", "--store", "sqlite:///few.db")
    said = run("decisions", "list", "--rule", "many-reports", "--store", "sqlite:///few.db").stderr
    assert "rule 'many-reports': it has decided nothing so far\n" in said


def test_a_list_that_is_empty_for_its_time_says_nothing_more(run):
    said = run("decisions", "list", "--rule", "many-reports", "--account", "acme", "--since", "2027-01-01")
    assert said.stderr == "0 decisions\n"


def test_explain_lists_as_many_events_as_were_asked_for(ask, run):
    line = ask("explain", "acme", "many-reports")["when"][0]
    assert (len(line["events"]), line["more"]) == (10, 2)
    assert "- and 2 older; --events 12 lists them all" in run("explain", "acme", "many-reports").stdout
    line = ask("explain", "acme", "many-reports", "--events", 12)["when"][0]
    assert (len(line["events"]), line["more"]) == (12, 0)
    assert ask("explain", "acme", "many-reports", "--events", 3)["when"][0]["events"] == line["events"][-3:], (
        "the newest"
    )


def test_explain_says_why_a_value_is_unknown(ask, run, place):
    book = place / "other" / "rules"
    book.mkdir(parents=True)
    (book / "a.yml").write_text(
        "measures: {early: {count: feature.used, over: 28d, full: true}}\n"
        "rules: [{id: r, status: draft, when: [early == 0, seats > 1]}]\n"
    )
    answer = ask("explain", "acme", "r", "--rules", "other")
    reason = "full: true, and its window begins on 2026-02-14, before the account was first seen, on 2026-03-02"
    assert answer["when"][0]["because_unknown"] == {"early": reason}
    assert answer["because"] == f"when early == 0 is unknown (unknown: early, {reason})"
    said = run("explain", "acme", "r", "--rules", "other").stdout
    assert f"early = unknown: {reason}" in said
    assert "seats = unknown: the account has no trait 'seats'" in said


@pytest.mark.parametrize("words", [("who", "seats > 1"), ("explain", "acme", "many-reports")], ids=["who", "explain"])
def test_a_question_loads_nothing_that_it_does_not_need(words, place):
    script = (
        "import sys; from ringfirst.cli import main\ntry: main(sys.argv[1:])\n"
        "finally: print(sorted({'numpy', 'alembic', 'psycopg', 'sqlalchemy.dialects.postgresql'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script, *words, "--json"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_who_answers_by_id_whatever_the_lanes(ask):
    found = [row["account_id"] for row in ask("who", "true")["accounts"]]
    assert len(found) > 2
    assert found == sorted(found)


def test_explain_of_an_account_lists_all_rules_with_their_reasons(ask, run):
    answer = ask("explain", "acme", "--at", "2026-03-06T10:30:00Z")
    rows = {(row["rule"], row["about"]): row for row in answer["rules"]}
    assert rows["red-ticket-waits", "ticket:t1"]["truth"] == "yes"
    assert rows["many-reports", None]["because"] == "when reports_28d >= 10 is no"
    assert [row["truth"] for row in answer["rules"]] == sorted(
        [row["truth"] for row in answer["rules"]], key=["yes", "unknown", "no", ""].index
    )
    later = {row["rule"]: row for row in ask("explain", "acme")["rules"]}
    assert later["red-ticket-waits"]["about"] is None
    assert later["red-ticket-waits"]["because"].startswith("no ticket is open; decided ")
    said = run("explain", "acme").stdout.splitlines()
    assert said[0].startswith("acme, as of 2026-03-")
    assert any(line.split()[:2] == ["many-reports", "yes"] for line in said)
    assert "not in the store" in run("explain", "nobody", code=2).stderr
    assert "--about is of a rule" in run("explain", "acme", "--about", "ticket:t1", code=2).stderr
