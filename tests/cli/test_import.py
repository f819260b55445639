"""Import: the same events give the same state, however they come in and whatever happens on the way."""

import gzip
import json
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from engine.instants import HOUR
from engine.log import Recorded
from engine.stores import open_store
from ringfirst.owners import owner_name
from tests.cli.given import START, Row, company, decided, event, lines, state


def claim_lanes(place: Path, owner: str) -> None:
    store = open_store(f"sqlite:///{place / 'ringfirst.db'}")
    store.claim(range(store.lanes), owner, at=time.time_ns() // 1_000_000, lease_seconds=3600)
    store.close()


def test_an_import_says_what_came_in_and_what_was_decided(ask, place):
    (place / "events.jsonl").write_text(lines(company()))
    answer = ask("import", "events.jsonl")
    assert list(answer) == ["read", "new", "duplicates", "dead_letters", "decisions", "past", "seconds"]
    assert (answer["read"], answer["new"], answer["duplicates"], answer["dead_letters"]) == (48, 48, 0, 0)
    assert (answer["decisions"], answer["past"]) == (6, 6)
    assert 0 < answer["seconds"] < 60


def test_a_person_reads_the_same_in_words(run, place):
    (place / "events.jsonl").write_text(lines(company()))
    said = run("import", "events.jsonl").stdout
    assert "new                     48" in said
    assert "mails waiting            0" in said


def test_mails_that_are_not_due_yet_wait(ask, place):
    (place / "events.jsonl").write_text(lines(company(days=10)))
    assert ask("import", "events.jsonl")["past"] == 3, "the tickets; the tenth report is the last event of all"
    assert [row["rule"] for row in ask("outreach", "list", "--state", "queued")] == ["many-reports"] * 3


@pytest.mark.parametrize("form", ["plain", "gzip", "standard input"])
def test_events_come_from_files_gzip_and_standard_input(ask, place, form):
    text = lines(company()).encode()
    (place / "events").write_bytes(gzip.compress(text) if form == "gzip" else text)
    words = ("import", "-") if form == "standard input" else ("import", "events")
    assert ask(*words, stdin=text if form == "standard input" else None)["new"] == 48


def test_bad_lines_become_dead_letters_and_the_good_ones_beside_them_go_through(ask, place):
    rows = lines(company()).splitlines()
    rows[3:3] = ['{"id": "x", "account_id": "acme"}', "no json at all", ""]
    (place / "events.jsonl").write_text("\n".join(rows))
    answer = ask("import", "events.jsonl")
    assert (answer["read"], answer["new"], answer["dead_letters"]) == (50, 48, 2)
    letters = ask("dead-letters", "list")
    assert [(one["source"], one["where"], one["account_id"]) for one in letters] == [
        ("events.jsonl", "line 4", "acme"),
        ("events.jsonl", "line 5", None),
    ]
    assert letters[1]["raw"] == "no json at all"
    ask("import", "events.jsonl")
    assert len(ask("dead-letters", "list")) == 2, "the same file again adds none"


def test_fields_that_look_like_ours_and_are_not_read_are_counted_and_told_once(run, place):
    rows = company(("acme",))
    for at, row in enumerate(rows):
        if row["type"] == "feature.used":
            row["userId"] = row.pop("user_id")
            if at % 2:
                row["propertys"] = row.pop("properties")
        row["context"] = {"on": "purpose"}
    (place / "events.jsonl").write_text(lines(rows))
    for more in ((), ("--json",)):
        said = run("import", "events.jsonl", *more).stderr
        assert "12 events have a field 'userId', which is not read; did you mean 'user_id'?\n" in said
        assert "events have a field 'propertys', which is not read; did you mean 'properties'?\n" in said
        assert said.count("which is not read") == 2, "extra fields are sent on purpose"


def test_the_same_file_twice_changes_nothing(ask, place):
    (place / "events.jsonl").write_text(lines(company()))
    ask("import", "events.jsonl")
    before = state(place), decided(place)
    answer = ask("import", "events.jsonl")
    assert (answer["new"], answer["duplicates"], answer["decisions"], answer["past"]) == (0, 48, 0, 0)
    assert (state(place), decided(place)) == before


def test_in_pieces_or_whole_gives_the_same_decisions(ask, place):
    rows = company()
    (place / "whole.jsonl").write_text(lines(rows))
    for number, start in enumerate(range(0, len(rows), 16)):
        (place / f"piece-{number}.jsonl").write_text(lines(rows[start : start + 16]))
    ask("import", "whole.jsonl", "--store", "sqlite:///whole.db")
    for number in range(3):
        ask("import", f"piece-{number}.jsonl", "--store", "sqlite:///pieces.db")
    assert decided(place, "pieces.db") == decided(place, "whole.db")
    assert state(place, "pieces.db") == state(place, "whole.db")


@pytest.mark.slow
def test_pieces_in_any_order_give_the_same_state(ask, place):
    rows = company()
    for number in range(3):
        (place / f"{number}.jsonl").write_text(lines(rows[number * 16 : number * 16 + 16]))
    seen = []
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        name = "-".join(map(str, order)) + ".db"
        for number in order:
            ask("import", f"{number}.jsonl", "--store", f"sqlite:///{name}")
        seen.append(state(place, name))
    assert all(one == seen[0] for one in seen)


def test_several_files_are_merged_by_time_in_whatever_order_they_are_named(ask, place):
    rows = company()
    (place / "a.jsonl").write_text(lines(rows[::2]))
    (place / "b.jsonl.gz").write_bytes(gzip.compress(lines(rows[1::2]).encode()))
    (place / "whole.jsonl").write_text(lines(rows))
    ask("import", "whole.jsonl", "--store", "sqlite:///whole.db")
    ask("import", "b.jsonl.gz", "a.jsonl", "--store", "sqlite:///merged.db")
    assert decided(place, "merged.db") == decided(place, "whole.db")


def test_a_wrong_file_is_said_before_anything_opens(run, place):
    (place / "folder").mkdir()
    said = run("import", "missing.jsonl", "folder", code=2).stderr
    assert "ringfirst: folder: cannot be read; Is a directory" in said
    assert "ringfirst: missing.jsonl: cannot be read; No such file or directory" in said
    assert not (place / "ringfirst.db").exists()


def test_a_wrong_rulebook_is_said_before_anything_opens(run, place):
    (place / "book" / "rules").mkdir(parents=True)
    (place / "book" / "rules" / "a.yml").write_text("segments: {paying: {when: 'plam == 1'}}\n")
    (place / "events.jsonl").write_text(lines(company()))
    said = run("import", "events.jsonl", "--rules", "book", code=1).stderr
    assert "book/rules/a.yml:1:" in said
    assert "did you mean 'plan'" in said
    assert not (place / "ringfirst.db").exists()


def test_a_store_from_elsewhere_is_left_alone(run, place):
    (place / "events.jsonl").write_text(lines(company()))
    with sqlite3.connect(place / "ringfirst.db") as connection:
        connection.execute("CREATE TABLE theirs (n int)")
    connection.close()
    assert "no Ringfirst store" in run("import", "events.jsonl", code=2).stderr
    (place / "ringfirst.db").write_bytes(b"not a database " * 100)
    assert "ringfirst: sqlite:///ringfirst.db" in run("import", "events.jsonl", code=2).stderr
    assert "there is no store of kind" in run("import", "events.jsonl", "--store", "mysql://host/db", code=2).stderr


@pytest.mark.parametrize("owner", ["elsewhere.example:1:-", pytest.param(None, id="this process itself, alive")])
def test_a_lane_that_somebody_holds_is_not_taken_without_being_told(run, ask, place, owner):
    (place / "events.jsonl").write_text(lines(company()))
    holder = owner or "{}:{}:{}".format(*owner_name().split(":")[:2], "-")
    claim_lanes(place, holder)
    said = run("import", "events.jsonl", code=2).stderr
    assert holder in said
    assert "--take-over" in said
    assert ask("import", "events.jsonl", "--take-over")["new"] == 48


def test_lanes_of_a_dead_process_of_this_host_are_taken_over_silently(ask, place, process):
    gone = process("--version")
    gone.communicate()
    (place / "events.jsonl").write_text(lines(company()))
    host = owner_name().split(":")[0]
    claim_lanes(place, f"{host}:{gone.pid}:1")
    assert ask("import", "events.jsonl")["new"] == 48


def wait_for_events(place: Path, count: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if (place / "ringfirst.db").exists():
            store = open_store(f"sqlite:///{place / 'ringfirst.db'}")
            found = store.count_events()
            store.close()
            if found >= count:
                return
        time.sleep(0.05)
    raise AssertionError("the import did not begin in half a minute")


def many() -> list[Row]:
    """More than one batch: busy days, each event at a time of its own."""
    names = [f"c{number:02}" for number in range(15)]
    busy = [
        event(f"{name}-x{number}", name, "feature.used", START + number * HOUR + at * 1_000 + 7, "u1", feature="charts")
        for at, name in enumerate(names)
        for number in range(350)
    ]
    return sorted(company(names) + busy, key=lambda row: row["time"])


@pytest.mark.slow
def test_killed_in_the_middle_and_started_again_it_decides_as_if_undisturbed(ask, place, process):
    rows = many()
    (place / "events.jsonl").write_text(lines(rows))
    ask("import", "events.jsonl", "--store", "sqlite:///undisturbed.db")
    importing = process("import", "-")
    importing.stdin.write(lines(rows[:5_200]).encode())
    importing.stdin.flush()
    wait_for_events(place, 5_000)
    importing.send_signal(signal.SIGKILL)
    importing.communicate()
    assert ask("import", "events.jsonl")["duplicates"] == 5_000
    assert decided(place) == decided(place, "undisturbed.db")
    assert state(place) == state(place, "undisturbed.db")
    assert ask("replay", "--verify") == {
        "events": len(rows),
        "decisions": len(decided(place)[0]),
        "missing": 0,
        "extra": 0,
        "different": 0,
    }


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_read_and_gives_the_lanes_up(ask, place, process):
    rows = many()
    (place / "events.jsonl").write_text(lines(rows))
    ask("import", "events.jsonl", "--store", "sqlite:///undisturbed.db")
    importing = process("import", "-", "--json")
    importing.stdin.write(lines(rows[:5_200]).encode())
    importing.stdin.flush()
    wait_for_events(place, 5_000)
    importing.send_signal(signal.SIGINT)
    out, err = importing.communicate(timeout=30)
    assert importing.returncode == 130, err.decode()
    read = json.loads(out)["read"]
    assert 5_000 <= read <= 5_200  # the signal may come before the rest of the batch at hand is read
    assert b"the same command goes on from there" in err
    store = open_store(f"sqlite:///{place / 'ringfirst.db'}")
    stored = [entry for lane in range(store.lanes) for entry in store.entries(lane) if isinstance(entry, Recorded)]
    assert len(stored) == read, "what was read was still written"
    assert {info.owner for info in store.lane_infos(at=time.time_ns() // 1_000_000)} == {None}
    store.close()
    ask("import", "events.jsonl")
    assert decided(place) == decided(place, "undisturbed.db")


@pytest.mark.slow
def test_a_gzip_that_breaks_off_keeps_what_was_good(run, ask, place):
    whole = gzip.compress(lines(many()).encode())
    (place / "events.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    said = run("import", "events.jsonl.gz", code=2)
    assert "events.jsonl.gz: line" in said.stderr
    assert "the file breaks off here; the gzip has no end" in said.stderr
    (place / "events.jsonl.gz").write_bytes(whole)
    answer = ask("import", "events.jsonl.gz")
    assert answer["duplicates"] > 1_000
    assert answer["new"] + answer["duplicates"] == len(many())
    ask("import", "events.jsonl.gz", "--store", "sqlite:///undisturbed.db")
    assert decided(place) == decided(place, "undisturbed.db")


@pytest.mark.slow
def test_postgres_decides_the_same(ask, place, fresh_postgres):
    (place / "events.jsonl").write_text(lines(company()))
    ask("import", "events.jsonl")
    answer = ask("import", "events.jsonl", "--store", fresh_postgres)
    assert (answer["new"], answer["decisions"], answer["past"]) == (48, 6, 6)
    assert ask("decisions", "list", "--store", fresh_postgres) == ask("decisions", "list")
    assert ask("replay", "--verify", "--store", fresh_postgres) == ask("replay", "--verify")
    assert ask("import", "events.jsonl", "--store", fresh_postgres)["new"] == 0
