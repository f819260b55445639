"""The demo: its company, what the starter rules make of it, and the screen it ends in."""

import contextlib
import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.events import Arrived, decode
from engine.instants import HOUR
from engine.lanes import lane_of
from engine.stores import open_store
from ringfirst import made_company
from ringfirst.cli import main
from ringfirst.demo.calls import Call, choose
from ringfirst.intake import now
from ringfirst.made_company import made_events
from streams.embedded import KEPT_BATCHES, KEPT_BYTES
from tests.cli.given import START, event
from tests.streams.crew import until
from tests.streams.test_brokers import gone

LINES, COLUMNS = 55, 100
SECTIONS = (
    "WHAT CAME IN",
    "WHO NEEDS A CALL TODAY",
    "WHAT BECAME OF THE MAILS",
    "WHAT WAS NOT SENT",
    "WHERE IT ALL IS",
    "TRY NEXT",
)


@pytest.fixture(scope="module")
def rows():
    return made_events()


def digest(events):
    return hashlib.sha256("".join(json.dumps(row) + "\n" for row in events).encode()).hexdigest()


# -- the company -------------------------------------------------------------------------------------------------------
def test_the_company_is_as_large_as_the_demo_says(rows):
    days = {row["time"][:10] for row in rows}
    assert len({row["account_id"] for row in rows}) == 200
    assert 40_000 <= len(rows) <= 50_000
    assert 150 <= len(days) <= 152, "150 days, seen from several zones"


def test_a_lane_fits_twice_into_what_a_partition_of_the_embedded_broker_holds(rows):
    sizes = Counter[int]()
    for row in rows:
        sizes[lane_of(row["account_id"], 8)] += len(json.dumps(row)) + 1
    assert set(sizes) == set(range(8))
    assert max(sizes.values()) < KEPT_BYTES / 2, "as if all topics were one, and nothing was packed"
    assert len(rows) < KEPT_BATCHES


def test_every_event_is_one_that_the_engine_takes(rows):
    wall = now()
    assert all(isinstance(decode(json.dumps(row).encode(), wall=wall), Arrived) for row in rows)
    assert len({(row["account_id"], row["id"]) for row in rows}) == len(rows)
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


def test_customers_live_in_several_zones_and_sizes(rows):
    told = [row["properties"] for row in rows if row["type"] == "account.updated" and "seats" in row["properties"]]
    assert len({traits["timezone"] for traits in told}) >= 6
    assert {traits["plan"] for traits in told} == {"free", "pro", "enterprise"}
    assert len({traits["seats"] for traits in told}) >= 4


def test_whoever_cancelled_is_not_seen_again(rows):
    ends = {row["account_id"]: row["time"] for row in rows if row["type"] == "subscription.cancelled"}
    later = [row for row in rows if row["time"] > ends.get(row["account_id"], "9") and row["user_id"]]
    assert len(ends) >= 12
    assert {row["type"] for row in later} <= {"contract.signed", "ticket.replied"}


def test_people_come_on_workdays_and_the_same_people_come_again(rows):
    visits = [row for row in rows if row["type"] == "session.started"]
    weekend = sum(row["time"][:10] in {"2025-05-17", "2025-05-18", "2025-06-14", "2025-06-15"} for row in visits)
    working = sum(row["time"][:10] in {"2025-05-15", "2025-05-16", "2025-06-11", "2025-06-12"} for row in visits)
    assert 0 < weekend < working / 10
    per_person = Counter((row["account_id"], row["user_id"]) for row in visits)
    assert sum(count >= 5 for count in per_person.values()) > len(per_person) / 2


@pytest.mark.slow
def test_the_same_seed_gives_the_same_company_in_another_process(rows):
    script = (
        "import hashlib, json; from ringfirst.made_company import made_events; "
        "print(hashlib.sha256(''.join(json.dumps(row) + chr(10) for row in made_events()).encode()).hexdigest())"
    )
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(rows)


@pytest.mark.slow
def test_another_seed_gives_another_company(rows):
    assert digest(made_events(8)) != digest(rows)


# -- the whole demo ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The demo as a newcomer types it, once: its folder, and what it said."""
    place = tmp_path_factory.mktemp("whole")
    return place, typed(place, "demo")


def typed(place, *words, code=0, color=False, **environment):
    """Type a command in a folder; nothing is set from outside."""
    kept = {name: None for name in os.environ if name.startswith("RINGFIRST_")}
    with contextlib.chdir(place):
        runner = CliRunner(env={**kept, "COLUMNS": str(COLUMNS), **environment})
        done = runner.invoke(main, [str(word) for word in words], color=color)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


def decisions(folder):
    store = open_store(f"sqlite:///{folder / 'ringfirst.db'}", create=False)
    try:
        return store.decisions(), store.accounts()
    finally:
        store.close()


@pytest.mark.slow
def test_every_starter_rule_speaks_and_none_to_more_than_a_quarter_of_the_customers(whole):
    place, _ = whole
    decided, accounts = decisions(place / "ringfirst-demo")
    found = defaultdict(set)
    for row in decided:
        found[row.rule].add(row.account_id)
    listed = json.loads(typed(place / "ringfirst-demo", "templates", "list", "--json").stdout)
    rules = {rule for template in listed for rule in template["rules"]}
    # The made-up customers get no mail, so none of them answers one.
    assert set(found) == rules - {"reader-stopped-mails", "reader-answered", "reader-has-left"}
    assert len(rules) >= 18
    reported = {
        one["report"]
        for one in json.loads(typed(place / "ringfirst-demo", "reports", "list", "--json").stdout)["reports"]
    }
    reported |= {f"{one}-not-sent" for one in reported}
    assert reported <= set(found), "reports are for everybody, and what keeps one here is told"
    spoke = {rule: names for rule, names in found.items() if rule not in reported}
    assert {rule: len(names) for rule, names in spoke.items() if len(names) > len(accounts) / 4} == {}
    assert len(set().union(*spoke.values())) < len(accounts) / 2, "beside their report most customers hear nothing"


@pytest.mark.slow
def test_the_demo_ends_in_one_screen_of_plain_words(whole):
    _, said = whole
    lines = said.stdout.strip("\n").splitlines()
    assert len(lines) <= LINES
    assert all(len(line) <= COLUMNS for line in lines[: lines.index("TRY NEXT")])
    assert [line for line in lines if line.startswith(SECTIONS)] == [
        line for section in SECTIONS for line in lines if line.startswith(section)
    ]
    assert "\x1b" not in said.stdout
    assert [line[2] for line in lines if line[:2] == "  " and line[3:5] == ". "] == ["1", "2", "3"], "three calls"


@pytest.mark.slow
def test_every_call_is_explained_with_numbers_and_a_reason(whole):
    part = whole[1].stdout.partition("WHO NEEDS A CALL TODAY")[2].partition("WHAT BECAME")[0]
    calls = re.split(r"^  [123]\. ", part, flags=re.MULTILINE)[1:]
    assert len(calls) == 3
    for words in calls:
        assert len(words.strip().splitlines()) >= 4
        assert re.search(r"\d+ seats? on \w+, [\d,]+ EUR a month", " ".join(words.split()))
        assert len(re.findall(r"\d+", words)) >= 4, words


@pytest.mark.slow
def test_numbers_say_when_they_were_read_and_nobody_to_call_is_left_out(whole):
    part = whole[1].stdout.partition("WHO NEEDS A CALL TODAY")[2].partition("WHAT BECAME")[0]
    assert len(re.findall(r"\(as decided on \d+ \w+, \d\d:\d\d UTC\)", part)) == 3
    (customers,) = re.findall(r"(\d+) customers; 3 of them", part)
    others = " ".join(part.partition("The others: ")[2].split())
    assert len(re.findall(r"[\w-]+ \([\w-]+\)", others)) == int(customers) - 3


@pytest.mark.slow
def test_it_says_why_there_are_fewer_mails_than_decisions(whole):
    said = " ".join(whole[1].stdout.split())
    found = re.findall(r"(\d+) mails for (\d+) decisions \(one reader at one time gets one mail\)", said)
    assert [int(mails) < int(made) for mails, made in found] == [True]
    assert "the gallery of all templates, with made-up examples" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "customers heard nothing at all",
        "once is enough",
        "kept quiet by an 'unless'",
        "a number is unknown",
    ],
)
def test_the_screen_says_what_was_not_sent_and_why(whole, words):
    assert words in " ".join(whole[1].stdout.split())


@pytest.mark.slow
def test_the_screen_says_what_became_of_the_mails_and_why(whole):
    place, said = whole
    part = said.stdout.partition("WHAT BECAME OF THE MAILS\n")[2].partition("\n\n")[0]
    entries = {
        label: (int(count), words)
        for count, label, words in re.findall(
            r"^ {2} *(\d+)  ([a-z ]+?)  +(.*(?:\n {20}.*)*)", part, flags=re.MULTILINE
        )
    }
    assert list(entries) == ["delivered", "held", "capped", "in review", "suppressed", "taken back", "held out"]
    told = {label: " ".join(words.split()) for label, (_, words) in entries.items()}
    assert entries["delivered"][0] == len(list((place / "ringfirst-demo" / "outbox").glob("*.eml")))
    assert "held until day" in told["delivered"]
    assert "approved, here by the demo" in told["delivered"]
    assert "no address" in told["held"]
    assert "pause after ticket.opened" in told["held"]
    assert re.search(r"cap of 2 per 7d for the person, until too old \([\w-]+, [\w-]+\)", told["capped"])
    assert "nobody has said yes" in told["in review"]
    assert re.search(r"\d bounced", told["suppressed"])
    assert "1 unsubscribed from all but transactional mails" in told["suppressed"]
    assert "the reason was gone" in told["taken back"]


@pytest.mark.slow
def test_readers_who_said_no_are_known_to_the_demos_store(whole):
    place, _ = whole
    store = open_store(f"sqlite:///{place / 'ringfirst-demo' / 'ringfirst.db'}", create=False)
    assert [one.reason for one in store.suppressions()] == ["bounced"]
    assert [(one.topic, one.choice, one.by) for one in store.choices()] == [("*", "out", "demo")]
    store.close()


@pytest.mark.slow
def test_calls_are_for_reasons_that_still_hold(whole):
    place, said = whole
    command = next(line.split("  the whole why")[0] for line in said.stdout.splitlines() if " explain " in line)
    answer = json.loads(typed(place / "ringfirst-demo", *shlex.split(command)[1:], "--json").stdout)
    assert answer["truth"] == "yes"
    assert answer["decisions"]


@pytest.mark.slow
def test_what_it_says_to_try_next_can_be_typed(whole):
    place, said = whole
    lines = said.stdout.splitlines()
    commands = [line.strip() for line in lines[lines.index("TRY NEXT") + 1 :]]
    assert commands[0].startswith("cd ringfirst-demo")
    for command in commands[1:]:
        words = shlex.split(command.rpartition("   ")[0] or command)
        assert words[0] == "ringfirst"
        if words[1] not in {"test", "backtest"}:  # these have tests of their own, and take their time
            assert typed(place / "ringfirst-demo", *words[1:]).stdout
        assert typed(place, words[1], "--help").stdout


@pytest.mark.slow
def test_mails_and_gallery_lie_in_the_demos_folder_and_nothing_beside_it(whole):
    place, said = whole
    folder = place / "ringfirst-demo"
    mails = list((folder / "outbox").glob("*.eml"))
    assert f"{len(mails):,} mails for " in said.stdout
    assert "<iframe" in (folder / "gallery" / "index.html").read_text()
    assert [path.name for path in place.iterdir()] == ["ringfirst-demo"]
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith((".", "ringfirst.db"))) == [
        "events.jsonl",
        "gallery",
        "outbox",
        "rules",
        "templates",
        "worker.log",
    ]


@pytest.mark.slow
def test_the_log_of_the_demo_gives_the_same_decisions_again(whole):
    place, _ = whole
    answer = json.loads(typed(place / "ringfirst-demo", "replay", "--verify", "--json").stdout)
    assert (answer["missing"], answer["extra"], answer["different"]) == (0, 0, 0)


# -- with a few of its customers only: what else may happen ------------------------------------------------------------
@pytest.fixture
def few(rows, monkeypatch):
    """The last weeks of a dozen customers, so that it takes a second."""
    names = set(sorted({row["account_id"] for row in rows})[:12])
    some = [row for row in rows if row["account_id"] in names and row["time"] > "2025-07-20"]
    monkeypatch.setattr(made_company, "made_events", lambda: some)


@pytest.mark.slow
def test_a_second_run_makes_it_anew_and_leaves_the_rules_alone(few, tmp_path):
    typed(tmp_path, "demo", "--direct")
    folder = tmp_path / "ringfirst-demo"
    first, _ = decisions(folder)
    changed = folder / "rules" / "base.yml"
    changed.write_text(changed.read_text() + "# mine\n")
    (folder / "outbox" / "old.eml").write_text("of another day")
    typed(tmp_path, "demo", "--direct")
    assert decisions(folder)[0] == first
    assert changed.read_text().endswith("# mine\n")
    assert not (folder / "outbox" / "old.eml").exists()


@pytest.mark.slow
def test_a_rulebook_of_ones_own_is_tried_on_the_company(few, tmp_path):
    book = Path(__file__).resolve().parent / "book"
    typed(tmp_path, "demo", "--direct", "--rules", book)
    assert {path.name for path in (tmp_path / "ringfirst-demo" / "rules").iterdir()} == {
        path.name for path in (book / "rules").iterdir()
    }
    assert "there is a rulebook already" in typed(tmp_path, "demo", "--rules", book, code=2).stderr


@pytest.mark.slow
def test_colours_only_where_they_are_wanted(few, tmp_path):
    assert "\x1b[" in typed(tmp_path, "demo", "--direct", color=True).stdout
    assert "\x1b[" not in typed(tmp_path, "demo", "--direct", color=True, NO_COLOR="1").stdout
    assert "\x1b[" not in typed(tmp_path, "demo", "--direct", color=True, TERM="dumb").stdout


@pytest.mark.slow
def test_a_narrow_terminal_gets_narrow_lines(few, tmp_path):
    lines = typed(tmp_path, "demo", "--direct", COLUMNS="70").stdout.strip("\n").splitlines()
    assert max(len(line) for line in lines[: lines.index("TRY NEXT")]) <= 70


def test_a_folder_that_is_not_the_demos_is_left_alone(few, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("dear to me")
    assert "this is no folder of the demo" in typed(tmp_path, "demo", "--dir", "mine", code=2).stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]


def test_a_folder_that_cannot_be_written_is_named(few, tmp_path):
    (tmp_path / "file").write_text("")
    said = typed(tmp_path, "demo", "--dir", "file/demo", code=2).stderr
    assert "file/demo: cannot be written" in said
    assert "name another folder with --dir" in said


# -- the way of production ---------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_over_kafka_and_from_the_file_the_decisions_are_the_same(whole, tmp_path):
    place, said = whole
    directly = typed(tmp_path, "demo", "--direct")
    assert "over Kafka" in said.stdout
    assert "Kafka" not in directly.stdout + directly.stderr
    assert not (tmp_path / "ringfirst-demo" / "worker.log").exists()
    for words in (("decisions", "list"), ("outreach", "list")):
        one, other = (typed(path / "ringfirst-demo", *words, "--json").stdout for path in (place, tmp_path))
        assert len(json.loads(one)) > 150
        assert one == other


@pytest.mark.slow
def test_it_says_what_it_does_in_plain_lines_and_no_more(whole):
    place, said = whole
    wanted = [
        r"making up a company with two hundred customers \.\.\.",
        r"publishing 46,537 events to the topics of an embedded Kafka \.\.\.",
        r"a worker takes them in from 3 topics, and decides by 32 rules \.\.\.",
        r"it took in 46,537 events in \d+ s: [\d,]+ a second",
        r"making the reports of the months that are over \.\.\.",
        r"writing the mails and the gallery \.\.\.",
        r"looking for who needs a call today, and for what was not sent \.\.\.",
    ]
    lines = said.stderr.splitlines()
    assert len(lines) == len(wanted)
    assert [line for line, words in zip(lines, wanted, strict=True) if not re.fullmatch(words, line)] == []
    assert "46537 records were taken in" in (place / "ringfirst-demo" / "worker.log").read_text()


@pytest.mark.slow
def test_nothing_that_is_set_for_another_kafka_reaches_the_demo(few, tmp_path):
    elsewhere = {"RINGFIRST_KAFKA": "127.0.0.1:9", "RINGFIRST_KAFKA_TLS": "true", "RINGFIRST_TOPIC_USAGE": "other"}
    said = typed(tmp_path, "demo", **elsewhere, RINGFIRST_STORE="sqlite:///elsewhere.db")
    assert "over Kafka" in said.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["ringfirst-demo"]


@pytest.mark.slow
def test_where_kafka_cannot_be_embedded_it_says_so_and_goes_without(few, tmp_path, monkeypatch):
    broken = tmp_path / "broken" / "confluent_kafka"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('no wheel for this machine')")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    said = typed(tmp_path, "demo")
    first = said.stderr.splitlines()[0]
    assert first.startswith("without Kafka, for it cannot be embedded here (embedded broker: its process is gone")
    assert "taking in" in said.stderr
    assert "WHO NEEDS A CALL TODAY" in said.stdout
    assert not (tmp_path / "ringfirst-demo" / "worker.log").exists()


def beside(running):
    """The processes that a demo has started: the broker and the worker."""
    shown = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    found = [line.split(maxsplit=2) for line in shown.splitlines()]
    mine = {args: int(pid) for pid, parent, args in found if int(parent) == running.pid}
    (broker,) = (pid for args, pid in mine.items() if "streams.embedded" in args)
    (worker,) = (pid for args, pid in mine.items() if "ringfirst.demo.beside" in args)
    return broker, worker


def begun(process, place):
    """A demo whose worker takes the events in."""
    running = process("demo")
    log = place / "ringfirst-demo" / "worker.log"
    assert until(lambda: log.exists() and "claimed lanes" in log.read_text(), 180)
    return running


@pytest.mark.slow
@pytest.mark.parametrize(
    ("killed", "code", "words"),
    [
        pytest.param("demo politely", 130, "stopped; everything so far lies in ringfirst-demo/", id="Ctrl-C"),
        pytest.param("worker", 2, "ringfirst-demo/worker.log: the worker ended before its time", id="worker"),
        pytest.param("broker", 2, "embedded broker: its process is gone", id="broker"),
        pytest.param("demo", -signal.SIGKILL, "", id="the demo itself"),
    ],
)
def test_whatever_ends_it_leaves_no_process_and_the_same_command_makes_it_anew(process, place, killed, code, words):
    running = begun(process, place)
    broker, worker = beside(running)
    number = signal.SIGINT if killed == "demo politely" else signal.SIGKILL
    os.kill({"worker": worker, "broker": broker}.get(killed, running.pid), number)
    _, told = running.communicate(timeout=60)
    said = told.decode()
    assert running.returncode == code, said
    assert words in said
    assert "Traceback" not in said
    assert (code == 2) == ("'ringfirst demo --direct' leaves Kafka out" in said)
    assert gone(broker)
    assert gone(worker, 15)
    assert (place / "ringfirst-demo" / ".ringfirst-demo").exists()


SMALL = """
from ringfirst import made_company
from ringfirst.cli import main
rows = [row for row in made_company.made_events() if row["account_id"] < "b"]
made_company.made_events = lambda: rows
main()
"""


@pytest.mark.slow
def test_two_at_a_time_do_not_meet(tmp_path):
    root = str(Path(__file__).resolve().parents[2])
    both = [
        subprocess.Popen(
            [sys.executable, "-c", SMALL, "demo", "--dir", name],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": root},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for name in ("one", "other")
    ]
    try:
        for running in both:
            assert (running.communicate(timeout=300)[1].count(b"it took in "), running.returncode) == (1, 0)
    finally:
        for running in both:
            running.kill()
            running.communicate()
    one, other = (decisions(tmp_path / name) for name in ("one", "other"))
    assert one == other
    assert one[0]


@pytest.mark.slow
def test_ctrl_c_stops_it_without_kafka_too(process, place):
    running = process("demo", "--direct")
    assert running.stderr is not None
    for line in running.stderr:
        if b"taking in" in line:
            break
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, b"stopped; everything so far lies in ringfirst-demo/" in said) == (130, True), said
    assert b"Traceback" not in said
    assert (place / "ringfirst-demo" / ".ringfirst-demo").exists()


def red_ticket(*, answered):
    """A customer whose red ticket waits since this morning, or did until noon."""
    rows = [
        event("e1", "acme", "account.updated", START, plan="enterprise", owner="mara@ringfirst.example", mrr=900),
        event("e2", "acme", "ticket.opened", START + HOUR, "u1", ticket_id="t1", subject="Exports fail"),
        event("e3", "acme", "ticket.escalated", START + HOUR + 1, None, ticket_id="t1", grade="red"),
        event("e4", "acme", "ticket.replied", START + 3 * HOUR, None, ticket_id="t1", by="agent"),
        event("e5", "acme", "session.started", START + 4 * HOUR, "u1"),
    ]
    return [row for row in rows if answered or row["type"] != "ticket.replied"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answered", "words"),
    [(False, "2 March 2026: 1 customer; here is why"), (True, "2 March 2026: nobody")],
    ids=["a reason that holds", "a reason that is gone"],
)
def test_a_call_is_for_a_reason_that_still_holds(monkeypatch, tmp_path, answered, words):
    monkeypatch.setattr(made_company, "made_events", lambda: red_ticket(answered=answered))
    said = typed(tmp_path, "demo", "--direct").stdout
    assert words in said
    assert ("acme" in said.partition("WHAT WAS NOT SENT")[0]) is not answered


# -- its words ---------------------------------------------------------------------------------------------------------
def call(name, rule, kind):
    words = {"what": "what", "do": "do", "why": "why", "numbers": "1"}
    return Call(account_id=name, rule=rule, kind=kind, about=None, at=0, traits={}, **words)


def test_the_calls_shown_are_of_different_kinds_as_far_as_there_are():
    calls = [
        call("a", "usage-dropped", "churn_risk"),
        call("b", "usage-dropped", "churn_risk"),
        call("c", "champion-left", "churn_risk"),
        call("d", "calls-missed", "support_load"),
    ]
    assert [one.account_id for one in choose(calls, 3)] == ["a", "d", "c"]
    assert [one.account_id for one in choose(calls[:2], 3)] == ["a", "b"]
