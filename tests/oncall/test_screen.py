"""The screen: whatever there is to tell, it fits the width and the height, and no text in it steers a terminal."""

from typing import Any

import msgspec
import pytest
from rich.console import Console

from engine.instants import DAY, HOUR, MINUTE
from engine.store import LetterCount, Outage
from ringfirst.oncall.screen import screen
from ringfirst.oncall.status import Seen, status
from ringfirst.oncall.told import ErrorTold, LaneTold
from tests.oncall.test_status import AT, info, lag, told

ERROR = ErrorTold(AT - 2 * MINUTE, "store", "postgresql://db/shop: the database did not do it; connection refused")
FAULT = (
    "usage-events[3]: retention overtook the store; the store goes on at offset 17, the log begins at 5000: 4983 "
    "records are gone; bring them back, or accept the loss with 'ringfirst offsets skip usage-events 3 --to earliest "
    "--why TEXT'"
)


def drawn(found, width, height=None):
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(screen(found, width=width, height=height))
    return captured.get().splitlines()


def busy(lanes=8):
    """A bad night: a lane halted, one stalled, one catching up, one stopped, the others well."""
    owners = [
        f"worker-{lane // 4}.a-rather-long-cluster-name.example:4711:99:worker:ringfirst" for lane in range(lanes)
    ]
    infos = [info(lane, owner=owner) for lane, owner in enumerate(owners)]
    infos[5] = info(5, owner=None, clock=AT - 3 * HOUR)
    ends = {1: 1_234_567, 2: 90, 5: 400}
    first = [
        lag(lane, 0, ends.get(lane, 0), ends.get(lane, 0) / 10, fault=FAULT if lane == 3 else None)
        for lane in range(lanes)
    ]
    last = [msgspec.structs.replace(one, next_offset=5, records=one.end - 5) if one.lane == 1 else one for one in first]
    spoken = [
        LaneTold(lane=lane, came_in=0.0, taken_in=812.4 if lane == 1 else 0.0, error=ERROR if lane in {0, 2} else None)
        for lane in range(4)
    ]
    beats = [
        told(*spoken, owner=owners[0], error=ERROR, health="http://127.0.0.1:9464"),
        told(4, 6, 7, at=AT - 5 * MINUTE, owner=owners[4]),
    ]
    more: dict[str, Any] = {
        "infos": infos,
        "beats": beats,
        "letters": [LetterCount("usage-events", 3, 14, AT - 3 * DAY)],
        "mails": {"queued": 12, "in_review": 3, "past": 99},
    }
    return status(Seen(at=AT, steady=0.0, lags=first, **more), Seen(at=AT, steady=5.0, lags=last, **more))


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_it_fits(width):
    lines = drawn(busy(), width)
    assert max(map(len, lines)) <= width
    head = next(line for line in lines if line.split()[:2] == ["lane", "state"])
    assert {"lane", "state", "behind", "oldest"} <= set(head.split())
    assert not any("…" in line for line in lines if line.lstrip()[:1].isdigit() and "worker-" not in line)


def test_at_a_hundred_columns_everything_is_in_the_table():
    lines = drawn(busy(), 100)
    head = next(line for line in lines if line.split()[:2] == ["lane", "state"])
    assert head.split() == "lane state left owner behind oldest clock in/s done/s dead error".split()  # noqa: SIM905
    assert any(line.split()[:2] == ["3", "stalled"] and "14 (3 d)" in line for line in lines)


def test_the_headline_tells_the_worst_and_the_most():
    text = "\n".join(drawn(busy(), 120))
    assert text.startswith(" STOPPED   1 stopped, 2 stalled, 1 catching up, 4 OK of 8 lanes")
    assert "1 worker, 2 rebalances in 24 h; 1,235,052 records behind, the oldest by 1 d 10 h in lane 1" in text
    assert "mails: 12 waiting, 0 held, 3 in review, 0 in doubt, 0 failed; dead letters: 14, the oldest 3 d old" in text


def test_what_is_wrong_is_said_in_words_once_for_all_its_lanes():
    text = " ".join(" ".join(drawn(busy(), 100)).split())
    assert FAULT in text
    assert "lane 5: nobody owns it" in text
    assert "lane 2: records wait and nothing moves; 2 m ago: postgresql://db/shop" in text
    assert "not heard of for 5 m: dead, or away from the store, lanes 4, 6, 7" in text
    assert "http://127.0.0.1:9464" in text


@pytest.mark.parametrize("height", [10, 24, 50])
def test_in_a_low_terminal_the_lanes_that_are_not_well_come_first(height):
    found = busy(lanes=64)
    lines = drawn(found, 120, height)
    assert len(lines) <= max(height, 12)
    rows = [line.split() for line in lines if line.split()[:1] and line.split()[0].isdigit() and line[:1] == " "]
    assert (rows[0][0], rows[0][1]) == ("5", "stopped")
    if height >= 24:
        assert [row[0] for row in rows[:4]] == ["5", "2", "3", "1"]
    assert any("in no worse state" in line for line in lines)


def test_nothing_in_it_steers_a_terminal():
    nasty = ErrorTold(AT, "lanes", "bad \x1b[2J\x07 thing [red]x[/red]")
    found = status(
        *[
            Seen(
                at=AT,
                steady=0.0,
                infos=[info(0, owner="a\x1b[2Jb:1:-")],
                lags=[lag(0, 1, 1)],
                beats=[told(LaneTold(lane=0, error=nasty))],
            )
        ]
        * 2
    )
    text = "\n".join(drawn(found, 100))
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "[red]x[/red]" in text


def test_without_store_and_broker_it_says_so():
    found = status(*[Seen(at=AT, steady=0.0, store="s: away", kafka="k: Kafka does not answer; refused")] * 2)
    text = "\n".join(drawn(found, 100))
    assert text.lstrip().startswith("STORE AWAY")
    assert "the store does not answer: s: away" in text
    assert text.count("Kafka does not answer") == 1


def test_while_kafka_is_away_nothing_looks_well():
    seen = Seen(at=AT, steady=0.0, infos=[info(0, owner="desk:1:99:worker:ringfirst")], kafka="k: away")
    found = status(seen, seen)
    text = "\n".join(drawn(found, 100))
    assert text.lstrip().startswith("KAFKA AWAY")
    assert "how far behind is not known" in text
    assert (found.state, found.well) == ("stalled", False)


@pytest.mark.parametrize(
    ("ours", "minutes", "words", "well"),
    [
        (True, 1, "NOTHING LEAVES BY SMTP for 1 m: smtp: 535; somebody must mend that", False),
        (False, 1, "NOTHING LEAVES BY SMTP for 1 m: smtp: 535; tried again at", True),
        (False, 10, "NOTHING LEAVES BY SMTP for 10 m: smtp: 535; tried again at", False),
    ],
)
def test_a_channel_that_takes_nothing_is_told_and_ends_with_1_when_somebody_must_act(ours, minutes, words, well):
    away = Outage(
        channel="smtp", since=AT - minutes * MINUTE, until=AT, why="smtp: 535", ours=ours, failures=1, by="desk:1"
    )
    seen = Seen(
        at=AT, steady=0.0, infos=[info(0, owner="desk:1:99:worker:ringfirst")], kafka_used=False, outages=[away]
    )
    now = status(seen, seen)
    assert any(line.startswith(words) for line in drawn(now, 120))
    assert (now.state, now.well) == ("OK", well)
    assert status(seen, msgspec.structs.replace(seen, outages=[])).well


def test_a_silent_provider_alone_ends_with_1():
    seen = Seen(
        at=AT, steady=0.0, infos=[info(0, owner="desk:1:99:worker:ringfirst")], kafka_used=False, unheard=2_400.0
    )
    assert (status(seen, seen).state, status(seen, seen).well) == ("OK", False)


def test_a_provider_that_says_nothing_is_told_and_one_that_talks_is_not():
    quiet, loud = (status(seen, seen) for seen in (Seen(at=AT, steady=0.0, unheard=2_400.0), Seen(at=AT, steady=0.0)))
    assert any("SendGrid tells nothing of the mails" in line for line in drawn(quiet, 120))
    assert not any("SendGrid" in line for line in drawn(loud, 120))
