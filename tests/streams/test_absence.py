"""A store that is away is told once, again every minute, and once when it is back."""

import logging

from streams.absence import Absence


def test_what_lasts_is_told_once_a_minute_and_its_end_once(caplog):
    caplog.set_level(logging.INFO)
    now = [0.0]
    absence = Absence("the store", clock=lambda: now[0])
    absence.back()
    for second in range(0, 130, 5):
        now[0] = float(second)
        absence.away("lanes 0, 1: no answer")
    absence.back()
    absence.back()
    now[0] = 500.0
    absence.away("lanes 0, 1: no answer again")
    assert [record.getMessage() for record in caplog.records] == [
        "lanes 0, 1: no answer; trying again until it is done",
        "the store has been away for 60 s: lanes 0, 1: no answer",
        "the store has been away for 120 s: lanes 0, 1: no answer",
        "the store answers again, after 125 s",
        "lanes 0, 1: no answer again; trying again until it is done",
    ]
