"""How a number will move: its value today, its step from day to day, and the day on which it must be read anew."""

from collections.abc import Callable, Iterable
from math import nan
from typing import Any

from engine.columns.layout import daily
from engine.measures.counts import Counting
from engine.measures.dates import HeldDays, Since
from engine.program import ThingProgram
from engine.slots import (
    Computed,
    KeptOfThing,
    KeptValue,
    OfOpenThings,
    OpenThings,
    Property,
    Spells,
    ToDate,
    ToDateOfThings,
    day_of_date,
    is_such,
    nearest,
)
from engine.things import ThingState
from engine.values import Date
from engine.views import AccountView, Slot, ThingView
from engine.zones import Day, Zone

NEVER: Day = 2**31 - 1
View = AccountView | ThingView
Outlook = tuple[float, int, Day]
"""Today's value (nan: unknown), its step at each midnight, and the day on which the two no longer tell it."""
Glance = Callable[[Iterable[ThingState], Day, Zone], Outlook]
"""From the states of all open things of a kind."""


def outlook(slot: Slot, view: Any) -> Outlook:
    """What is to come of a slot's value if no event comes; when in doubt it is read anew tomorrow."""
    value = slot.read(view)
    today = view.moment.today
    number = value if isinstance(value, float) else nan
    step, until = _prospect(slot, view, number)
    return number, step, max(until, today + 1)


def _prospect(slot: Slot, view: Any, number: float) -> tuple[int, Day]:
    today = view.moment.today
    if isinstance(slot, (KeptValue, KeptOfThing)):
        return _of_kept(slot, view)
    if isinstance(slot, ToDate):
        return (-1, NEVER) if slot.spec.times == 1 else (0, today + 1)
    if isinstance(slot, Computed):
        return 1, NEVER  # account_age_days and open_days: one more every day
    if isinstance(slot, ToDateOfThings) and not slot.tests and slot.spec.times == 1:
        return -1, NEVER if number != number or number < 0 else today + int(number) + 1  # noqa: PLR0124 - nan
    if isinstance(slot, OpenThings) and not view.open_things(slot.spec.thing):
        return 0, NEVER
    if isinstance(slot, OfOpenThings) and not view.open_things(slot.spec.thing):
        return 0, NEVER
    if isinstance(slot, OfOpenThings) and _grows(slot):
        return 1, NEVER
    if isinstance(slot, Spells) and slot.spec.window.kind == "days" and not _tested_daily(slot):
        days = (view.moment.zone.day(when) for when, _ in slot.acts(view))
        return 0, min(_turn(slot.spec.window.size, slot.spec.window.shift, days, today), _full(slot.spec, view))
    return 0, today + 1


def _of_kept(slot: KeptValue | KeptOfThing, view: Any) -> tuple[int, Day]:
    kept, today = slot.kept, view.moment.today
    spec = kept.spec
    if isinstance(kept, (Since, HeldDays)):
        return (1, NEVER) if spec.times == 1 else (0, today + 1)
    if isinstance(kept, Counting) and spec.window.kind == "days":
        data = view.state.kept[slot.index] if len(view.state.kept) else {}
        return 0, min(_turn(spec.window.size, spec.window.shift, data, today), _full(spec, view))
    return 0, today + 1


def _turn(size: int, shift: int, days: Iterable[Day], today: Day) -> Day:
    """The next day on which one of the days enters or leaves a window."""
    return min((turn for day in days for turn in (day + shift, day + shift + size) if turn > today), default=NEVER)


def _full(spec: Any, view: View) -> Day:
    """The day on which ``full: true`` comes to be known."""
    if not spec.full:
        return NEVER
    seen = view.watched if isinstance(view, AccountView) else view.state.seen
    if seen is None:
        return NEVER
    turn = full_from(seen, view.moment.zone) + spec.window.size + spec.window.shift - 1
    return turn if turn > view.moment.today else NEVER


def glance(slot: Slot, program: ThingProgram) -> Glance | None:
    """What gives the outlook of a number from the states of open things: for the oldest, the newest, the next date."""
    such = program.spec.where
    if program.spec.each_in or (isinstance(slot, OfOpenThings) and slot.spec.prop != "open_days"):
        return None
    if isinstance(slot, OfOpenThings) and _grows(slot):
        pick = min if slot.spec.verb == "maximum" else max

        def age(states: Iterable[ThingState], today: Day, zone: Zone) -> Outlook:
            opened = [one.spells[-1].opened_at for one in states if not such or is_such(such, one)]
            return (float(today - zone.day(pick(opened))), 1, NEVER) if opened else (nan, 0, NEVER)

        return age
    date = slot.value if isinstance(slot, ToDateOfThings) and not slot.tests and slot.spec.times == 1 else None
    if not isinstance(date, Property) or slot.moves:
        return None

    def ahead(states: Iterable[ThingState], today: Day, zone: Zone) -> Outlook:
        dates = [date.of(one, zone) for one in states if not such or is_such(such, one)]
        days = [day_of_date(one, zone) - today for one in dates if isinstance(one, Date)]
        if not days:
            return nan, -1, NEVER
        days_left = nearest(days)
        return float(days_left), -1, NEVER if days_left < 0 else today + days_left + 1

    return ahead


def full_from(seen: int | None, zone: Any) -> Day:
    """The first day that had begun no earlier than the subject was first seen; never, if it was not."""
    if seen is None:
        return NEVER
    day = zone.day(seen)
    return int(day if zone.start(day) >= seen else day + 1)


def _tested_daily(slot: Spells) -> bool:
    """May a midnight change which things its ``where`` lets through?"""
    return any(test.slot is not None and daily(test.slot) for test in slot.tests)


def _grows(slot: OfOpenThings) -> bool:
    """Is it the greatest or least age in days of things that all grow older together?"""
    spec = slot.spec
    return spec.prop == "open_days" and spec.verb in {"minimum", "maximum"} and spec.times == 1 and not slot.tests
