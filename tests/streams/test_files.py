"""Event files: every line is an event or a dead letter, whatever the file is like."""

import gzip
import json
import sys
import tracemalloc
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.events import MAX_BYTES, Arrived
from engine.instants import DAY, Instant, iso, parse_instant
from engine.store import DeadLetter
from streams.files import EventFiles

NOON: Instant = parse_instant("2026-03-02T12:00:00Z") or 0


def line(mark: str, at: Instant = NOON, **more: Any) -> bytes:
    row = {"id": mark, "type": "feature.used", "account_id": "acme", "time": iso(at), **more}
    return json.dumps(row).encode() + b"\n"


def read(*names: Path | str) -> list[Arrived | DeadLetter]:
    with EventFiles([str(name) for name in names]) as files:
        return list(files.read(wall=NOON + DAY))


def marks(*names: Path | str) -> list[str]:
    return [one.event.id if isinstance(one, Arrived) else f"bad {one.where}" for one in read(*names)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"", [], id="empty"),
        pytest.param(b"\n \n\r\n\t\n", [], id="blank lines"),
        pytest.param(line("a") + line("b"), ["a", "b"], id="two"),
        pytest.param(line("a").strip(), ["a"], id="no line end"),
        pytest.param(line("a").replace(b"\n", b"\r\n") + line("b"), ["a", "b"], id="from Windows"),
        pytest.param(b"\xef\xbb\xbf" + line("a"), ["a"], id="byte order mark"),
        pytest.param(line("a") + b"{]\n" + line("b"), ["a", "bad line 2", "b"], id="a bad line between"),
        pytest.param(b"\xff\xfe\x00\n" + line("a"), ["bad line 1", "a"], id="not text"),
        pytest.param(b"\n\n{]\n", ["bad line 3"], id="blank lines are counted"),
        pytest.param(line("a") + b"x" * (3 * MAX_BYTES) + b"\n" + line("b"), ["a", "bad line 2", "b"], id="over-long"),
        pytest.param(b"x" * (3 * MAX_BYTES), ["bad line 1"], id="over-long without an end"),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_each_line_is_an_event_or_a_dead_letter(tmp_path, body, expected, packed):
    (tmp_path / "events").write_bytes(gzip.compress(body) if packed else body)
    assert marks(tmp_path / "events") == expected


@pytest.mark.parametrize("spare", [-1, 0, 1, 2, 3])
def test_the_longest_event_goes_through_and_one_byte_more_does_not(tmp_path, spare):
    short = line("a", properties={"text": ""}).strip()
    body = line("a", properties={"text": "x" * (MAX_BYTES - len(short) + spare)})
    assert len(body.strip()) == MAX_BYTES + spare
    (tmp_path / "events").write_bytes(body + line("b"))
    found = read(tmp_path / "events")
    assert [isinstance(one, Arrived) for one in found] == [spare <= 0, True]
    if isinstance(found[0], DeadLetter):
        assert f"found {MAX_BYTES + spare} bytes" in found[0].reason


def test_a_dead_letter_tells_where_it_stood_and_keeps_its_id(tmp_path):
    place = tmp_path / "events"
    place.write_bytes(line("a") + b'{"account_id": "birch"}\n')
    letter = read(place)[1]
    assert isinstance(letter, DeadLetter)
    assert (letter.source, letter.where, letter.raw) == (str(place), "line 2", b'{"account_id": "birch"}')
    assert (letter.account_id, letter.at) == ("birch", NOON + DAY)
    assert read(place)[1] == letter
    (tmp_path / "other").write_bytes(place.read_bytes())
    other = read(tmp_path / "other")[1]
    assert isinstance(other, DeadLetter)
    assert other.dead_letter_id != letter.dead_letter_id


def test_a_line_of_many_megabytes_is_never_held_as_a_whole(tmp_path):
    (tmp_path / "events").write_bytes(b"x" * 40_000_000 + b"\n" + line("a"))
    tracemalloc.start()
    found = marks(tmp_path / "events")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == ["bad line 1", "a"]
    assert peak < 8_000_000


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_gzip_without_its_end_gives_what_stood_before(tmp_path, part):
    whole = gzip.compress(b"".join(line(f"e{number}", x="y" * 50) for number in range(20_000)))
    (tmp_path / "events.gz").write_bytes(whole[: 20 + int(len(whole) * part)])
    found: list[Arrived | DeadLetter] = []
    with (
        EventFiles([str(tmp_path / "events.gz")]) as files,
        pytest.raises(UsageError, match=r"events\.gz: line \d+: the file breaks off here; the gzip has no end"),
    ):
        found.extend(files.read(wall=NOON + DAY))
    assert all(isinstance(one, Arrived) for one in found)
    if part == 0.9:
        assert len(found) > 15_000


def test_a_damaged_gzip_is_said(tmp_path):
    whole = bytearray(gzip.compress(b"".join(line(f"e{number}") for number in range(20_000))))
    whole[len(whole) // 2 : len(whole) // 2 + 50] = b"\0" * 50
    (tmp_path / "events.gz").write_bytes(bytes(whole))
    with pytest.raises(UsageError, match="the gzip is damaged"):
        read(tmp_path / "events.gz")


def test_two_gzips_in_one_file_are_read_to_the_end(tmp_path):
    (tmp_path / "events.gz").write_bytes(gzip.compress(line("a")) + gzip.compress(line("b")))
    assert marks(tmp_path / "events.gz") == ["a", "b"]


def test_every_file_that_cannot_be_read_is_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"")))
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError) as caught:
        EventFiles([str(tmp_path / "missing"), str(tmp_path / "folder"), "-", "-"])
    said = str(caught.value).splitlines()
    assert len(said) == 3
    assert "standard input is named twice" in said[0]
    assert "folder: cannot be read; Is a directory" in said[1]
    assert "missing: cannot be read; No such file" in said[2]


def test_standard_input_may_be_gzip_too(monkeypatch):
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(gzip.compress(line("a")))))
    found = read("-")
    assert [one.event.id for one in found if isinstance(one, Arrived)] == ["a"]


def test_progress_counts_every_byte_as_it_lies_on_the_disk(tmp_path):
    names = []
    for number in range(3):
        path = tmp_path / f"{number}"
        path.write_bytes(gzip.compress(line("a") * 5_000) if number else line("a") * 5_000)
        names.append(str(path))
    told: list[int] = []
    with EventFiles(names) as files:
        assert files.size == sum(Path(name).stat().st_size for name in names)
        list(files.read(wall=NOON + DAY, progress=told.append))
        assert sum(told) == files.size


def test_files_are_merged_by_time_ties_by_name_then_line(tmp_path):
    (tmp_path / "b").write_bytes(line("b1", NOON) + line("b2", NOON) + line("b3", NOON + 2))
    (tmp_path / "a").write_bytes(line("a1", NOON) + b"{]\n" + line("a2", NOON + 1) + line("a3", NOON + 3))
    expected = ["a1", "bad line 2", "b1", "b2", "a2", "b3", "a3"]
    assert marks(tmp_path / "b", tmp_path / "a") == expected
    assert marks(tmp_path / "a", tmp_path / "b") == expected


def test_files_that_are_not_in_order_are_read_whole(tmp_path):
    (tmp_path / "a").write_bytes(line("a9", NOON + 9) + line("a1", NOON + 1))
    (tmp_path / "b").write_bytes(line("b5", NOON + 5))
    assert marks(tmp_path / "a", tmp_path / "b") == ["b5", "a9", "a1"], "only heads are compared"


@settings(max_examples=50)
@given(
    times=st.lists(st.lists(st.integers(0, 5), max_size=6).map(sorted), min_size=1, max_size=4), packed=st.booleans()
)
def test_merging_sorted_files_never_loses_or_swaps(tmp_path_factory, times, packed):
    folder = tmp_path_factory.mktemp("merge")
    names, expected = [], []
    for number, one in enumerate(times):
        rows = [(NOON + at, f"{number}-{place}") for place, at in enumerate(one)]
        body = b"".join(line(mark, at) for at, mark in rows)
        (folder / str(number)).write_bytes(gzip.compress(body) if packed else body)
        names.append(folder / str(number))
        expected += [(at, number, place, mark) for place, (at, mark) in enumerate(rows)]
    assert marks(*reversed(names)) == [mark for *_, mark in sorted(expected)]


@settings(max_examples=100)
@given(body=st.lists(st.one_of(st.binary(max_size=40), st.just(line("a").strip()))).map(b"\n".join))
def test_whatever_bytes_come_each_line_is_accounted_for(tmp_path_factory, body):
    path = tmp_path_factory.mktemp("bytes") / "events"
    path.write_bytes(b"{]\n" + body)  # not by chance a gzip
    wanted = [one for one in path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n") if one.rstrip(b"\r").strip()]
    assert len(read(path)) == len(wanted)
