"""Limits: how they are written, which hold for whom, and that no stretch of time holds more mails than one says."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.instants import DAY, HOUR, MINUTE, SECOND
from engine.pacing import Counted, Meter, full, part_of
from outreach.allowance import Allowance
from outreach.limits import Limits, Metering, read_per_domain, read_rate, read_warm_up
from outreach.policy import No
from tests.outreach.given import NOON, keep, planned


@pytest.mark.parametrize(
    "text", ["", "14", "14 per", "0 per 1s", "14 per 0s", "14 per 2d", "x per 1h", "1 per 1h;2 per 1h"]
)
def test_what_is_no_limit_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="write 14 per 1s or 500 per 1h"):
        read_rate(text)


@pytest.mark.parametrize(
    "text", ["gmail.com", "gmail.com 200 per 1h", "= 200 per 1h", "local = 1 per 1h", "straße.example = 1 per 1h"]
)
def test_a_limit_of_a_domain_needs_a_domain(text):
    with pytest.raises(ValueError, match="it names no domain"):
        read_per_domain(text)


@pytest.mark.parametrize("text", ["", "50,", "50 100", "0, 50", "fifty", "-1"])
def test_a_warm_up_is_a_row_of_numbers(text):
    with pytest.raises(ValueError, match="write how many on each of the first days"):
        read_warm_up(text)


def names(limits, address, *, cold=False, channel="smtp", sender="hello@us.example"):
    metering = Metering(limits, channel=channel, sender=sender, key=lambda text: text)
    return {one.name: one.most for one in metering.of(address, cold=cold)}


def test_a_domain_has_its_own_limit_or_that_of_every_other_one_and_each_is_counted_apart():
    limits = Limits(per_domain=read_per_domain("Bücher.example = 2 per 1h, * = 5 per 1h"))
    assert names(limits, "a@xn--bcher-kva.example") == {f"domain smtp xn--bcher-kva.example {HOUR}": 2}
    assert names(limits, "a@Acme.example") == {f"domain smtp acme.example {HOUR}": 5}
    assert names(limits, "a@mail.acme.example") == {f"domain smtp mail.acme.example {HOUR}": 5}
    assert names(Limits(per_domain=read_per_domain("acme.example = 5 per 1h")), "a@bolt.example") == {}


def test_what_is_counted_names_no_domain(store):
    limits = Limits(per_domain=read_per_domain("* = 1 per 1h"), warm_up=(50,))
    metering = Metering(limits, channel="smtp", sender="a@us.example", key=store.key)
    told = " ".join(f"{one.name} {one.words}" for one in metering.of("ada@acme.example", cold=False))
    assert "acme" not in told
    assert "us.example" not in told


def test_a_warm_up_holds_nobody_back_who_waits_for_their_mail():
    limits = Limits(warm_up=read_warm_up("50, 100"))
    assert names(limits, "a@acme.example") == {"warm-up us.example": 0}
    assert names(limits, "a@acme.example", cold=True) == {"warm-up us.example": None}


@given(
    st.integers(1, 5),
    st.sampled_from([SECOND, MINUTE, HOUR, DAY]),
    st.lists(st.integers(-3 * HOUR, 3 * HOUR) | st.integers(0, 2 * SECOND), max_size=60),
)
def test_no_span_whatever_holds_more_than_its_limit_whichever_way_the_clock_jumps(most, span, jumps):
    parts: Counter[int] = Counter()
    meter, left, at = Meter("x", span, most, ""), [], NOON
    for jump in jumps:
        at += jump
        no = full(meter, Counted(sorted(parts.items())), at)
        if no is None:
            parts[part_of(meter, at)] += 1
            left.append(at)
        else:
            assert no.until > at
            assert full(meter, Counted(sorted(parts.items())), no.until) is None, "then there is room"
    assert all(sum(begin <= one < begin + span for one in left) <= most for begin in left)


def allowance(store, limits, addresses=("ada@acme.example", "bo@acme.example", "cy@bolt.example")):
    rows = [planned(account=f"a{number}", to=address) for number, address in enumerate(addresses)]
    keep(store, *rows)
    found = sorted(store.outreach(), key=lambda row: row.account_id)
    return Allowance(store, limits, channel="smtp", sender="a@us.example", address=lambda row: row.to), found


def test_what_is_in_hand_counts_before_the_store_knows_of_it(store):
    one, rows = allowance(store, Limits(per_domain=read_per_domain("* = 1 per 1h")))
    one.fetch(rows, NOON)
    assert [one.against(row) for row in rows] == [None, No("held", "limit of 1 per 1h to one domain"), None]
    assert one.spent(rows[0]) is not None
    one.fetch(rows, NOON)
    assert one.spent(rows[0]) is None, "what was in hand and did not leave is free again"
    assert one.take(rows[:1], NOON) == [None]
    one.fetch(rows, NOON)
    assert [one.spent(row) is None for row in rows] == [False, False, True]


def test_what_another_sender_has_counted_meanwhile_is_found_before_a_mail_leaves(store):
    one, rows = allowance(store, Limits(rate=read_rate("2 per 1h")))
    other = Allowance(store, Limits(rate=read_rate("2 per 1h")), channel="smtp", sender="", address=lambda row: row.to)
    assert one.room(NOON) == (2, None)
    one.fetch(rows, NOON)
    assert other.take(rows[:1], NOON) == [None]
    taken = one.take(rows[1:], NOON)
    assert [no is None for no in taken] == [True, False]
    room, no = one.room(NOON)
    assert room == 0
    assert no is not None
    assert no.until == NOON + HOUR + MINUTE


def test_without_limits_the_store_is_asked_nothing(store):
    one, rows = allowance(store, Limits())
    one._store = None
    one.fetch(rows, NOON)
    assert (one.room(NOON), [one.against(row) for row in rows], one.take(rows, NOON)) == (
        (None, None),
        [None] * 3,
        [None] * 3,
    )
