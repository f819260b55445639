"""More lanes for a store: whatever it was, the new one goes on as if it had had them from the start."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.sql import SQL, Identifier

from engine import replay
from engine.assigned import Arrival, AssignedKeeper, LanePart
from engine.errors import LaneTaken, StoreError, UsageError
from engine.events import Arrived
from engine.instants import Instant
from engine.lanes import lane_of
from engine.rulebook.book import Rulebook
from engine.store import Store, Wishes
from engine.stores import Relaning, open_store, relaning
from engine.stores.tables import metadata
from ringfirst import relane
from ringfirst.intake import now
from ringfirst.owners import owner_name
from tests.engine.test_assigned import BOOK, WALL, book_of, history, told
from tests.postgres import plain

OTHER = book_of(BOOK.replace("quiet >= 2", "quiet >= 3"))
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """An empty database for the old store and one for the new."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'old.db'}", f"sqlite:///{tmp_path / 'new.db'}"
        return
    url = str(request.getfixturevalue("fresh_postgres"))
    new = sa.make_url(url).set(database=f"ringfirst_relaned_{os.getpid()}")
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(str(new.database))))
    yield url, new.render_as_string(hide_password=False)
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(str(new.database))))


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    return f"sqlite:///{tmp_path / 'old.db'}", f"sqlite:///{tmp_path / 'new.db'}"


def take(store: Store, events: Sequence[Arrived], book: Rulebook, *, to_the_end: bool) -> None:
    """As workers do it: each lane for itself, a few events at a time; every lane stops at its own last event."""
    keeper = AssignedKeeper(store, book, owner_name(), source="log-1", at=WALL)
    keeper.assign(range(store.lanes), at=WALL)
    for lane in range(store.lanes):
        mine = [one for one in events if lane_of(one.event.account_id, store.lanes) == lane]
        for at in range(0, len(mine), 7):
            arrivals = [Arrival(one, one.event.time) for one in mine[at : at + 7]]
            keeper.take_parts([LanePart(lane=lane, arrivals=arrivals)], at=WALL)
    if to_the_end:
        settle(keeper, max(one.event.time for one in events))
    keeper.stop()


def settle(keeper: AssignedKeeper, until: Instant) -> None:
    for _ in range(3):
        for lane in sorted(keeper.kept):
            keeper.move_clock(lane, until)
        while keeper.measure(at=WALL)[1]:
            pass


def relaned(old: str, new: str, lanes: int, book: Rulebook | None, **more: Any) -> relane.Relaned:
    work = Relaning(old, new, lanes)
    try:
        return relane.relane(work, book, follow=frozenset(), take_over=False, told=lambda _words: None, **more)
    finally:
        work.close()


def verified(store: Store) -> None:
    found = replay.verify(store)
    assert (found["missing"], found["extra"], found["different"]) == (0, 0, 0)


@pytest.mark.parametrize(("before", "after"), [(2, 4), (1, 3), (3, 12)])
def test_a_store_with_more_lanes_goes_on_as_if_it_had_had_them_from_the_start(
    urls: tuple[str, str], before: int, after: int
) -> None:
    events = history(before, 400)
    first, second, third = events[:150], events[150:260], events[260:]
    with closing(open_store(urls[0], lanes=before)) as store:
        take(store, first, book_of(), to_the_end=True)
        take(store, second, OTHER, to_the_end=False)  # another rulebook; no lane stands where another does
        clocks = {info.clock_at for info in store.lane_infos(at=WALL)}
        assert len(clocks) == before
        count = store.count_events()
    done = relaned(*urls, after, OTHER)
    assert (done.before, done.after, done.events, done.at) == (before, after, count, max(filter(None, clocks)))
    with closing(open_store(urls[1])) as store, closing(open_store("sqlite://", lanes=after)) as other:
        assert store.lanes == after
        verified(store)
        take(store, third, OTHER, to_the_end=True)
        verified(store)
        for part, book in ((first, book_of()), (second, OTHER), (third, OTHER)):
            take(other, part, book, to_the_end=True)
        assert told(list(store.decisions())) == told(list(other.decisions()))
        assert {one.rule for one in store.decisions()} == {"load", "silent", "waits"}
        assert "waits" in {one.rule for one in store.decisions(since=third[0].event.time)}
        for lane in range(after):
            entries = list(store.entries(lane))
            assert [one.recorded_at for one in entries] == sorted(one.recorded_at for one in entries)
            assert {lane_of(one.account_id, after) for one in entries if one.account_id} <= {lane}
        assert [one.outreach_id for one in store.outreach()] == [one.outreach_id for one in other.outreach()]
        assert store.accounts() == other.accounts()


def test_all_that_is_kept_goes_along_and_every_table_has_its_way(files: tuple[str, str]) -> None:
    ways = [*relaning.BY_ACCOUNT, *relaning.WHOLE, *relaning.LEFT, *relaning.OWN]
    assert sorted(table.name for table in ways) == sorted(metadata.tables)
    with closing(open_store(files[0], lanes=2)) as store:
        take(store, history(1), book_of(), to_the_end=True)
        store.suppress(store.key("a@b.example"), reason="asked", at=WALL)
        store.choose(store.key("a@b.example"), {"tips": "out"}, at=WALL, by="page")
        store.audit(at=WALL, who="me", what="looked", detail={})
        key, mails = store.key("x"), store.mail_counts()
        snapshots = {one.account_id for lane in range(2) for one in store.snapshots(lane)}
        shares = [(one.at, one.values) for one in store.shares() if one.lane == 1]
    relaned(*files, 4, book_of())
    with closing(open_store(files[1])) as store:
        assert store.key("x") == key
        assert store.wishes(store.key("a@b.example")) == Wishes("asked", {"tips": "out"})
        assert store.mail_counts() == mails
        assert {one.account_id for lane in range(4) for one in store.snapshots(lane)} == snapshots
        assert [(one.at, one.values) for one in store.shares() if one.lane == 1] == shares
        assert {one.lane for one in store.shares()} == {0, 1, 2, 3}
        assert [info.owner for info in store.lane_infos(at=now())] == [None] * 4
        assert store.offsets() == {}


def test_the_old_store_is_closed_and_no_mail_leaves_from_it(files: tuple[str, str]) -> None:
    with closing(open_store(files[0], lanes=2)) as store:
        take(store, history(1), book_of(), to_the_end=True)
        waiting = [row.outreach_id for row in store.outreach() if row.state in {"queued", "held", "in_review"}]
        assert waiting
    sender = open_store(files[0])  # it was opened before
    relaned(*files, 4, book_of())
    with pytest.raises(StoreError, match=r"this store got more lanes; all that was in it is in .*new"):
        open_store(files[0])
    assert not any(sender.move(one, ["queued", "held"], "claimed", at=WALL, by="sender") for one in waiting)
    sender.close()
    with closing(open_store(files[1])) as store:
        assert waiting == [row.outreach_id for row in store.outreach() if row.state in {"queued", "held", "in_review"}]
    with pytest.raises(StoreError, match=r"got more lanes already; all of it is in .*new"):
        relaned(files[0], files[1].replace("new", "third"), 4, book_of())


@pytest.mark.parametrize("lanes", [1, 2, 3, 5])
def test_a_number_that_is_no_multiple_is_refused_and_nothing_is_made(files: tuple[str, str], lanes: int) -> None:
    open_store(files[0], lanes=2).close()
    with pytest.raises(UsageError, match=f"found {lanes}, the store has 2 lanes; choose 4 or 6"):
        relaned(*files, lanes, None)
    assert not Path(files[1].removeprefix("sqlite:///")).exists()


def test_while_a_lane_has_an_owner_nothing_is_done(files: tuple[str, str]) -> None:
    with closing(open_store(files[0], lanes=2)) as store:
        store.claim([1], "elsewhere.example:1:-", at=now())
        with pytest.raises(LaneTaken, match=r"elsewhere\.example"):
            relaned(*files, 4, book_of())
        assert store.lane_infos(at=now())[0].owner is None


def test_a_store_in_which_something_is_already_takes_no_other_in(files: tuple[str, str]) -> None:
    for url, lanes in zip(files, (2, 4), strict=True):
        with closing(open_store(url, lanes=lanes)) as store:
            take(store, history(lanes, 30), book_of(), to_the_end=True)
    with pytest.raises(StoreError, match="it must be a new store"):
        relaned(*files, 4, book_of())
    open_store(files[0]).close()
    open_store(files[1]).close()


def test_whoever_sends_meanwhile_is_noticed_and_the_old_store_stays_in_use(
    files: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_store(files[0], lanes=2)) as store:
        take(store, history(1), book_of(), to_the_end=True)
        mail = next(row.outreach_id for row in store.outreach() if row.state in {"queued", "held"})
        verify = replay.verify

        def meanwhile(target: Store, **more: Any) -> dict[str, Any]:
            assert store.move(mail, ["queued", "held"], "claimed", at=WALL, by="sender")
            return verify(target, **more)

        monkeypatch.setattr(replay, "verify", meanwhile)
        with pytest.raises(StoreError, match="somebody wrote into it"):
            relaned(*files, 4, book_of())
        assert store.outreach(outreach_id=mail)[0].state == "claimed"
        assert [info.owner for info in store.lane_infos(at=now())] == [None, None]
    open_store(files[0]).close()
    with pytest.raises(StoreError, match="this store is not whole"):
        open_store(files[1])


def test_a_copy_that_does_not_replay_is_not_used(files: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_store(files[0], lanes=2)) as store:
        take(store, history(1), book_of(), to_the_end=True)
    with monkeypatch.context() as broken:
        broken.setattr(relaning, "_measured", lambda _body, **_more: None)
        with pytest.raises(StoreError, match="does not give the decisions that were made"):
            relaned(*files, 4, book_of())
    open_store(files[0]).close()
    relaned(*files, 4, book_of())
    with closing(open_store(files[1])) as store:
        verified(store)


KILLED = """
import os, signal, sys
from engine.stores import Relaning, relaning
def killed(*_given, **_more):
    os.kill(os.getpid(), signal.SIGKILL)
name, old, new = sys.argv[1:]
if name == "copy":
    relaning._shares = killed
else:
    setattr(Relaning, name, killed)
from tests.engine.test_relane import relaned, book_of
relaned(old, new, 4, book_of())
"""


@pytest.mark.slow
def test_killed_anywhere_it_leaves_one_store_that_is_whole_and_the_same_again_does_the_rest(
    urls: tuple[str, str],
) -> None:
    with closing(open_store(urls[0], lanes=2)) as store:
        take(store, history(1), book_of(), to_the_end=True)
        before = told(list(store.decisions()))
    for point, whole in (("copy", 0), ("retire", 0), ("finish", None)):
        words = [sys.executable, "-c", KILLED, point, *urls]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        ended = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, timeout=120, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
        found = []
        for number, url in enumerate(urls):
            try:
                open_store(url).close()
                found.append(number)
            except StoreError:
                pass
        assert found == ([] if whole is None else [whole]), point
    done = relaned(*urls, 4, book_of())
    assert done.after == 4
    with closing(open_store(urls[1])) as store:
        assert told(list(store.decisions())) == before
        verified(store)


def test_a_store_in_which_nothing_is_gets_its_lanes_too(files: tuple[str, str]) -> None:
    open_store(files[0], lanes=2).close()
    assert relaned(*files, 6, None).at is None
    with closing(open_store(files[1])) as store:
        assert (store.lanes, store.count_events()) == (6, 0)
