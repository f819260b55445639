"""The watchdog: what it sees, how long it bears it, and that a suspended process is no blocked one."""

import asyncio
import threading
import time

import msgspec
import pytest

from streams.stopping import Deadline
from streams.watchdog import Beat, Limits, Signs, Watch, Watchdog, fatal

WELL = Signs(loop_beat=0, thread_beat=0, progress=0)


def turn(signs, number):
    """The same signs of a worker whose loops turn."""
    return msgspec.structs.replace(signs, loop_beat=number, thread_beat=number, progress=number)


def first_word(signs, *, limits=None, turns=200, every=1.0, alive=True):
    """What the watch says first, and after how many seconds."""
    watch = Watch(limits or Limits())
    for number in range(turns):
        said = watch.look(turn(signs, number) if alive else signs, number * every)
        if said is not None:
            return said, number * every
    return None, turns * every


def test_a_worker_that_is_well_is_left_alone():
    assert first_word(WELL) == (None, 200.0)


@pytest.mark.parametrize(
    ("signs", "said", "after"),
    [
        pytest.param({"dead": "coordination: None"}, "a task that must run has ended", 1, id="dead"),
        pytest.param({"parked": "GroupAuthorizationFailedError()"}, "the coordinator stands still", 6, id="parked"),
        pytest.param({"fenced": True}, "a newer owner keeps a lane", 46, id="fenced"),
        pytest.param({"rebalancing": True}, "shared out anew without end", 121, id="rebalancing"),
    ],
)
def test_what_lasts_too_long_is_said(signs, said, after):
    word, when = first_word(msgspec.structs.replace(WELL, **signs))
    assert said in word
    assert when == after


@pytest.mark.parametrize(
    ("stuck", "said"),
    [
        pytest.param("loop_beat", "the event loop is blocked", id="loop"),
        pytest.param("thread_beat", "the consumer's thread is blocked", id="thread"),
        pytest.param("progress", "nothing is polled", id="progress"),
    ],
)
def test_what_stands_still_too_long_is_said(stuck, said):
    watch = Watch(Limits())
    words = [watch.look(msgspec.structs.replace(turn(WELL, at), **{stuck: 7}), float(at)) for at in range(200)]
    assert said in next(filter(None, words))


def test_what_comes_and_goes_is_borne():
    watch = Watch(Limits())
    for number in range(300):
        signs = msgspec.structs.replace(turn(WELL, number), parked="error" if number % 5 else None)
        assert watch.look(signs, float(number)) is None


def test_the_time_a_process_was_suspended_counts_for_nothing():
    assert first_word(WELL, alive=False, every=3_600.0) == (None, 200 * 3_600.0)
    word, when = first_word(WELL, alive=False)
    assert (word, when) == ("the event loop is blocked", 61.0)


def test_a_beat_is_answered_by_a_loop_that_turns_and_by_no_other():
    loop = asyncio.new_event_loop()
    beat = Beat(loop)
    assert [beat.read(), beat.read()] == [0, 0]
    loop.run_until_complete(asyncio.sleep(0))
    assert [beat.read(), beat.read()] == [1, 1]
    loop.run_until_complete(asyncio.sleep(0))
    assert beat.read() == 2
    loop.close()
    assert beat.read() >= 2


def test_the_thread_ends_the_process_once():
    said, over = [], threading.Event()

    def end(word):
        said.append(word)
        over.set()

    dog = Watchdog(lambda: msgspec.structs.replace(WELL, dead="fetching: None"), end=end, every=0.01)
    dog.start()
    assert over.wait(5)
    dog.join(5)
    assert said == ["a task that must run has ended: fetching: None"]


def test_the_thread_stops_when_told():
    dog = Watchdog(lambda: None, end=pytest.fail, every=0.01)
    dog.start()
    time.sleep(0.05)
    dog.stop()
    dog.join(5)
    assert not dog.is_alive()


def test_an_end_is_logged_and_has_its_code(caplog):
    codes: list[int] = []
    fatal("the event loop is blocked", exit_=codes.append)
    assert codes == [70]
    assert "the event loop is blocked; ending this process" in caplog.text


def test_a_deadline_counts_from_the_first_start():
    codes: list[int] = []
    deadline = Deadline(0.1, end=codes.append)
    deadline.start()
    deadline.start()
    time.sleep(0.4)
    assert codes == [143]


def test_a_deadline_that_was_cancelled_can_be_started_again():
    codes: list[int] = []
    deadline = Deadline(0.1, end=codes.append)
    deadline.start()
    deadline.cancel()
    time.sleep(0.3)
    assert codes == []
    deadline.start()
    time.sleep(0.3)
    assert codes == [143]
