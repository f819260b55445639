"""Faults of the engine, sown on purpose: one edit of one function each, and a scene in which the judge sees it.

``python -m tests.judge.faults --search`` looks for a scene for every fault that has none (or, with names of faults, for
those), ``--shrink`` makes scenes smaller; both write ``caught.jsonl``. What nothing catches is a hole in them.
A few scenes, for what meets too seldom by chance, were written by hand.
"""

import __future__

import argparse
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from engine import (
    account,
    hours,
    lane,
    logic,
    numbers,
    program,
    recipients,
    slots,
    snapshot,
    state,
    things,
    values,
    zones,
)
from engine.measures import counts, dates, measure
from engine.rulebook import spec
from tests.judge import product
from tests.judge.evaluator import judge
from tests.judge.product import decide
from tests.judge.test_engine import scenes

CAUGHT = Path(__file__).with_name("caught.jsonl")
Scene = tuple[dict[str, Any], list[dict[str, Any]], int, frozenset[int]]


class Fault(NamedTuple):
    """One edit of an engine function: ``old`` must stand in it exactly once, so that no fault dies unseen."""

    name: str
    where: Callable[..., Any]
    old: str
    new: str


# Functions of classes; mypy sees a property where there is one, hence Any.
_account: Any = account.Account
_counting: Any = counts.Counting
_zone: Any = zones.Zone

FAULTS: tuple[Fault, ...] = (
    # looks and wake-ups
    Fault("the midnight look is skipped every other day", _account.schedule, "moment.today + 1)", "moment.today + 2)"),
    Fault(
        "midnight is 24 hours after midnight",
        _account.schedule,
        "self.zone.start(view.moment.today + 1)",
        "next(m for n in (1, 2) if (m := self.zone.start(view.moment.today) + n * 86_400_000) > at)",
    ),
    Fault("there are no wake-ups", _account.schedule, "self.program.wakes(view, midnight) or midnight", "midnight"),
    Fault(
        "the end of holds_for wakes nobody", _account.schedule, "for rule in self.program.holding:", "for rule in ():"
    ),
    Fault(
        "a wake-up at the very instant of a midnight is lost",
        program.Program.wakes,
        "at < turn <= until",
        "at + 1 < turn < until",
    ),
    Fault("hours since reach a constant unseen", measure.hour_turns, "for constant in constants", "for constant in ()"),
    Fault(
        "an event leaves an exact window unseen",
        measure.exact_turns,
        "yield time + window.shift + window.size",
        "pass",
    ),
    Fault(
        "a window's first full moment is unseen",
        measure.exact_turns,
        "yield seen + window.shift + window.size",
        "pass",
    ),
    Fault("a where over things turns unseen", slots.ThingTest.turns, "if self.slot is not None:", "if False:"),
    Fault(
        "the age of the oldest thing reaches a constant unseen",
        slots.OfOpenThings.turns,
        "yield from hour_turns(base, constants)",
        "pass",
    ),
    Fault("a date over things passes unseen", slots.ToDateOfThings.turns, "yield date.at + 1", "pass"),
    Fault("looks due at the instant of an entry come after it", lane.Lane.advance, "[0] <= until", "[0] < until"),
    Fault(
        "things that closed are not looked at again",
        _account._subjects,
        "for key in (*self.truths.get(rule.rule.id, ()), *mailed):",
        "for key in ():",
    ),
    # truth
    Fault(
        "an unknown unless lets through",
        logic.negate,
        "return None if value is None or",
        "return True if value is None or",
    ),
    Fault("nobody to write to is no obstacle", _account.truth, "subject) else None", "subject) else True"),
    Fault("clear_when is ignored on edge and after", _account.held_up, "rule.clear_when is not None and", "False and"),
    Fault(
        "an unknown clear_when ends the holding up",
        _account.held_up,
        "rule.clear_when(view, subject) is not True",
        "rule.clear_when(view, subject) is False",
    ),
    Fault(
        "clear_when holds up against unless too",
        _account.truth,
        "negate(rule.unless(view, subject))",
        "True if up else negate(rule.unless(view, subject))",
    ),
    Fault(
        "clear_when holds up outside the audience",
        _account.truth,
        "True if rule.audience is None else",
        "True if rule.audience is None or up else",
    ),
    Fault("holds_for is over a moment too late", _account.consider, "at >= memory.since", "at > memory.since"),
    Fault("holds_for is ignored", _account.consider, "and at >= memory.since + rule.rule.holds_for", "and at >= 0"),
    Fault("a truth that ended goes on", _account.consider, "self.forget(rule.rule.id, key)", "pass"),
    # deciding
    Fault("a value of once_per is asked for again and again", _account.consider, "memory.seen = value", "pass"),
    Fault(
        "the first look of once_per is the only one",
        _account.consider,
        "if value is not None and value != memory.seen:",
        "if value is not None and begins:",
    ),
    Fault(
        "an event may be as old as it likes",
        _account.look_events,
        "if at - happening.time > rule.rule.max_age and",
        "if False and",
    ),
    Fault(
        "an event of exactly max_age is too old", _account.look_events, "> rule.rule.max_age", ">= rule.rule.max_age"
    ),
    Fault(
        "an unless that comes true does not take an event's mail back",
        _account.look_events,
        "rule.unless(view, past) is True",
        "False",
    ),
    Fault(
        "a time clause forgives no 90 minutes",
        _account.free,
        'FORGIVEN if rule.re_entry.unit in {"d", "w"} else 0',
        "0",
    ),
    Fault(
        "every 1d looks at the wrong side of its bound",
        _account.free,
        "> at - rule.re_entry.span + forgiven",
        ">= at - rule.re_entry.span + 2 * forgiven",
    ),
    Fault(
        "what was given back still counts for every 30d",
        _account.free,
        " if not one.given_back]",
        "]",
    ),
    Fault(
        "a used occasion is used again",
        _account.free,
        "wanted not in [one.occasion for one in used]",
        "True",
    ),
    Fault("a draft uses up a live occasion", account._world, "'draft' if rule.status == 'draft' else 'live'", "'live'"),
    Fault("the holdout is turned around", account.in_holdout, "< rule.holdout", ">= rule.holdout"),
    Fault("an expired mail gives nothing back", _account.ended, "used.mails <= 0", "False"),
    Fault(
        "a mail leaves by the account's clock, not its reader's",
        _account._due_at,
        "valid_zone(kept[2] if kept else None, self.zone)",
        "self.zone",
    ),
    Fault(
        "a transactional mail waits for the hours",
        _account._due_at,
        'or outreach.mail_class == "transactional"',
        "",
    ),
    # taking back
    Fault("a withdrawn occasion is not given back", _account._take_back, "used.given_back = True", "pass"),
    Fault("a mail is taken back as it leaves", _account._take_back, "if at < mail[1]:", "if at <= mail[1]:"),
    Fault(
        "a decision whose first mail left is withdrawn as a whole",
        _account._take_back,
        "left = True",
        "pass",
    ),
    Fault("withdraw never is ignored", _account._withdraw, "elif not rule.withdraw:", "elif False:"),
    Fault(
        "a mail with an old once_per value stays",
        _account._withdraw,
        "decision.occasion != value",
        "False",
    ),
    Fault("a mail stays when its reason is gone", _account._withdraw, "elif not true:", "elif False:"),
    # another rulebook
    Fault("the mail of a removed rule goes out", _account.switch, "facts = list(self._removed(at))", "facts = []"),
    Fault("backfill is ignored", _account.settle, "if spec.backfill or", "if"),
    Fault("a new rule fires for all who are inside already", _account.switch, "self.settle(rule, view)", "pass"),
    Fault(
        "a changed rule goes on as if it were the same",
        _account.switch,
        "before.get(rule.rule.id) != rule.fingerprint",
        "rule.rule.id not in before",
    ),
    Fault("a new holds_for counts as over", _account.settle, "held=spec.holds_for == 0", "held=True"),
    Fault(
        "the present value of once_per counts as new",
        _account.settle,
        "occasion(read_use(rule.once_per, view, subject)) if rule.once_per else None",
        "None",
    ),
    Fault("a changed measure is not filled from the past", _account.switch, "if kept or things:", "if False:"),
    Fault("a changed unless changes no rule", program.Program._meaning, "*rule.unless, None,", "None,"),
    Fault(
        "a changed segment changes no rule",
        program.Program._meaning,
        "rule.audience and self._mean(rule.audience, rule.thing)",
        "rule.audience",
    ),
    # state
    Fault(
        "late events are dropped",
        state.Shape.fold,
        "self.fold_account(state, happening)",
        "if happening.time < happening.now: return\n    self.fold_account(state, happening)",
    ),
    Fault(
        "an event dated ahead counts from its date",
        state.happening_of,
        "min(recorded.event.time, recorded.recorded_at)",
        "recorded.event.time",
    ),
    Fault(
        "another zone does not move the days",
        _account.take,
        'recorded.event.type == "account.updated" and self.wanted_zone() is not self.zone',
        "False",
    ),
    Fault(
        "a late removal of a person is left out",
        _account.take,
        "except OutOfTurn:\n        self.build(history, at)",
        "except OutOfTurn:\n        pass",
    ),
    Fault(
        "created_at does not say when an account was first seen",
        state.AccountState.seen,
        "created.at if created",
        "None if created",
    ),
    Fault(
        "full trusts created_at for the days before our log",
        state.AccountState.watched,
        "max(seen, min(log_began, self.first_event))",
        "seen",
    ),
    Fault(
        "full asks for the log's beginning where an older event came in late",
        state.AccountState.watched,
        "min(log_began, self.first_event)",
        "log_began",
    ),
    Fault("the first answer is overwritten", things._walk, "if spell.answered_at is None:", "if True:"),
    Fault(
        "a question while waiting starts the waiting anew",
        things._walk,
        "if step & ASK and state.waiting_since is None:",
        "if step & ASK:",
    ),
    Fault(
        "an answer does not end the waiting",
        things._walk,
        "if step & ANSWER:\n            state.waiting_since = None",
        "if step & ANSWER:",
    ),
    Fault(
        "a late opening comes last",
        things.fold_thing,
        "_walk(state, row) if in_order else _derive(state)",
        "_walk(state, row)",
    ),
    Fault(
        "our own mail is a sign of life",
        things.fold_thing,
        "if not (person and event.type.startswith(OURS)):",
        "if True:",
    ),
    Fault(
        "our own mail opens a person",
        things.step_of,
        "return 0 if event.type.startswith(OURS) else OPEN",
        "return OPEN",
    ),
    Fault("a removed person stays", things.step_of, "return CLOSE", "return OPEN"),
    Fault(
        "the trait that came last wins",
        things.newest,
        "before is None or (happening.time, happening.position) >= (before[0], before[1])",
        "True",
    ),
    Fault("the first requester stays requester", program.role_of, "spells[-1].opener", "spells[0].opener"),
    Fault(
        "a meeting of another kind is an orientation too",
        program.ThingProgram.is_such,
        "return all",
        "return True or all",
    ),
    Fault(
        "a module is open once it was used",
        program.ThingProgram.is_open,
        "view.id in self._elements(view.account)",
        "True",
    ),
    # measures
    Fault("a window of days is a day too long", measure.span_of, "last - window.size + 1", "last - window.size"),
    Fault("ending is ignored", measure.span_of, "last = today - window.shift", "last = today"),
    Fault(
        "an exact window holds its first instant",
        _counting._exact_buckets,
        "after < row[0] <= until",
        "after <= row[0] <= until",
    ),
    Fault(
        "a bounded window forgets a moment too early",
        _counting._fold_exact,
        "data[gone][0] + keep <= happening.now",
        "data[gone][0] + keep // 2 <= happening.now",
    ),
    Fault("weeks begin on Sunday", zones.monday, "(day + 3) % 7", "(day + 4) % 7"),
    Fault(
        "a previous month has a day of this one",
        zones.calendar_window,
        "_month_start(begin) - 1",
        "_month_start(begin)",
    ),
    Fault(
        "per week divides a calendar window by seven days",
        measure.scale_of,
        "Fraction(last - first + 1)",
        "Fraction(7)",
    ),
    Fault("full is ignored", _counting.read, "if spec.full and not_yet_full(spec, seen, moment):", "if False:"),
    Fault("half a millionth is rounded up", numbers._of_decimal, "ROUND_HALF_EVEN", '"ROUND_HALF_UP"'),
    Fault("numbers have no limit", numbers.millionths, "-INTEGER_LIMIT <= number <= INTEGER_LIMIT", "True"),
    Fault(
        "an average is cut to millionths",
        counts._means,
        "sum(bucket[1] for bucket in buckets), Fraction(scale or 1) / number",
        "sum(bucket[1] for bucket in buckets) // number, scale",
    ),
    Fault(
        "of two middle values the lower is the median",
        counts.median,
        "if len(rows) % 2:",
        "if len(rows) % 2 == 0:\n        return double(rows[middle - 1], scale)\n    if True:",
    ),
    Fault(
        "the last value is the one that came last",
        counts._last,
        "bucket is None or (time, position) > (bucket[0], bucket[1])",
        "True",
    ),
    Fault(
        "the first value is the one that came first",
        counts._first,
        "bucket is None or (time, position) < (bucket[0], bucket[1])",
        "bucket is None",
    ),
    Fault(
        "different people are counted once a day",
        counts._noted,
        "len({name for bucket in buckets for name in bucket})",
        "sum(map(len, buckets))",
    ),
    Fault("active days are counted as events", counts._mark, "return 1", "return (_bucket or 0) + 1"),
    Fault(
        "true is one",
        counts.different,
        'if isinstance(raw, bool):\n        return f"b{raw}"',
        "if isinstance(raw, bool):\n        raw = int(raw)",
    ),
    Fault("what never happened is unknown", dates.Since._base, "return seen", "return None"),
    Fault("days since the first look at the last", dates.Since.fold, "if self._first else max", "if False else max"),
    Fault(
        "a value set again begins anew",
        dates.HeldDays.read,
        "self._typed(row[2], moment) != value",
        "row is not data[-1]",
    ),
    Fault("a date moved earlier counts as put off", dates.MovedLater.moves, "after > before", "after != before"),
    Fault(
        "a missing property is not that value",
        measure.matches,
        "if not there:\n        return False",
        "if not there:\n        return test.op == 'not'",
    ),
    Fault("at_least is more than", measure.compare, "bool(left >= right)", "bool(left > right)"),
    Fault("any means our own mail too", spec.Types.match, "ours <= start.startswith(OURS)", "True"),
    Fault(
        "the nearest date may be past", slots.nearest, "if ahead else max(distances)", "if False else max(distances)"
    ),
    Fault(
        "a bare date is its midnight in UTC", values._date.__wrapped__, "where.start(day), day", "day * 86_400_000, day"
    ),
    Fault(
        "only open things count as opened",
        slots.Spells.acts,
        "yield from acts_of(state, act)",
        "yield from acts_of(state, act) if state.open else ()",
    ),
    Fault(
        "an answer counts on the day of its opening",
        slots.acts_of,
        "yield when, when",
        "yield spell.opened_at, when",
    ),
    Fault("a part of a score that is unknown counts as nothing", slots._points, "return part.if_unknown", "return 0.0"),
    Fault(
        "a score is not held down by its worst part",
        slots.weighed,
        "if spec.cap_above_worst is not None:",
        "if False:",
    ),
    Fault("a score needs nothing known", slots.weighed, "worst is None or coverage < spec.needs", "worst is None"),
    Fault("a band begins above its bound", slots.ScoreValue._band, "score >= lower", "score > lower"),
    # logic
    Fault(
        "values of two kinds are neither equal nor different",
        logic.eq,
        "if type(left) is not type(right):\n        return False",
        "if type(left) is not type(right):\n        return None",
    ),
    Fault(
        "an unknown is not equal",
        logic.eq,
        "if left is None or right is None:\n        return None",
        "if left is None or right is None:\n        return False",
    ),
    Fault("less or equal is less", logic.le, "return left <= right", "return left < right"),
    Fault("an or with an unknown is false", logic.either, "return None if unknown else False", "return False"),
    Fault("an unknown is in no list", logic.among, "if value is None or not", "if not"),
    Fault("dividing by nothing gives nothing", logic.div, "return None if right == 0", "return 0.0 if right == 0"),
    Fault("coalesce takes the last", logic.coalesce, "for value in values:", "for value in reversed(values):"),
    # readers
    Fault(
        "only the first of a list is written to", recipients.recipients, "return list(found)", "return list(found)[:1]"
    ),
    Fault("A or B writes to both", recipients.recipients, "break", "pass"),
    Fault(
        "the longest silent of a role is written to",
        recipients.with_role,
        "-(person.state.last or 0)",
        "(person.state.last or 0)",
    ),
    # hours
    Fault(
        "a quarter of an hour is rounded down", zones.round_up_quarter, "-(-at // (15 * MINUTE))", "at // (15 * MINUTE)"
    ),
    Fault("a window over midnight belongs to the day it ends", hours.opens, "range(today - 1,", "range(today,"),
    Fault("the last minute of the hours is inside", hours.opens, "if ready < end and", "if ready <= end and"),
    Fault("mail goes out on every day", hours.is_open_day, "date_of(day).weekday() not in hours.days", "False"),
    Fault("a mail does not settle", hours.due_at, "round_up_quarter(at + settle)", "round_up_quarter(at)"),
    Fault(
        "a wall clock that a gap skips is an hour early",
        _zone.wall,
        "return self._after_gap(local, at)",
        "return at - 3_600_000",
    ),
    # snapshots
    Fault(
        "the memory of occasions is lost in a snapshot",
        snapshot.thaw,
        "packed.truths, used, packed.open",
        "packed.truths, {}, packed.open",
    ),
    Fault(
        "what was true is lost in a snapshot",
        snapshot.thaw,
        "packed.truths, used, packed.open",
        "{}, used, packed.open",
    ),
    Fault(
        "planned mail is lost in a snapshot",
        snapshot.thaw,
        "packed.truths, used, packed.open",
        "packed.truths, used, {}",
    ),
    Fault("the zone is lost in a snapshot", snapshot.thaw, "zone(packed.zone)", "program.zone"),
    Fault(
        "the next look is lost in a snapshot",
        snapshot.thaw,
        "packed.clock, packed.next_at, position",
        "packed.clock, None, position",
    ),
)


@contextmanager
def sown(fault: Fault) -> Iterator[None]:
    """The engine with the fault in it. Every reference to the function sees it: its code itself is exchanged."""
    function = inspect.unwrap(fault.where)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(function, "__code__", edited(fault).__code__)
        _forget(function)
        try:
            yield
        finally:
            patch.undo()
            _forget(function)


def _forget(function: Any) -> None:
    """Days and dates are remembered; what a fault has put there must not outlive it."""
    if function.__module__ in {"engine.zones", "engine.values"}:
        zones.zone.cache_clear()
        values._date.cache_clear()


@cache
def edited(fault: Fault) -> Any:
    """The function with the edit, compiled beside the old one."""
    function = inspect.unwrap(fault.where)
    source = textwrap.dedent(inspect.getsource(function))
    text = source[source.index("def ") :]
    assert text.count(fault.old) == 1, f"{fault.name}: {fault.old!r} stands {text.count(fault.old)} times in\n{text}"
    scope: dict[str, Any] = dict(function.__globals__)
    changed = text.replace(fault.old, fault.new)
    if function.__code__.co_freevars:  # it says super(): its code must ask for the cell of its class
        inner = textwrap.indent(changed, "    ")
        changed = f"def around():\n    __class__ = None\n{inner}\n    return {function.__name__}\n"
    exec(
        compile(changed, f"<{fault.name}>", "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True),
        scope,
    )
    return scope["around"]() if function.__code__.co_freevars else scope[function.__name__]


def differs(scene: Scene) -> bool:
    """Does the engine decide something else than the judge, or break?"""
    book, log, until, restarts = scene
    try:
        return decide(log, until, restarts) != judge(book, log, until)
    except Exception:  # noqa: BLE001 - a fault may break anything
        return True


def caught() -> dict[str, Scene]:
    """The scenes that were found, by the fault they show."""
    decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
    rows = [decoder.decode(line) for line in CAUGHT.read_bytes().splitlines()] if CAUGHT.is_file() else []
    return {row["fault"]: scene_of(row) for row in rows}


def scene_of(row: dict[str, Any]) -> Scene:
    """A scene as it is kept: rulebooks stand in a table of their own."""
    log = [
        entry | {"rulebook": row["books"][entry["rulebook"]]} if "rulebook" in entry else entry for entry in row["log"]
    ]
    return log[0]["rulebook"], deepcopy(log), row["until"], frozenset(row["restarts"])


# -- the search ------------------------------------------------------------------------------------------------------


def search(names: list[str], *, scenes_at_most: int, first_seed: int) -> None:
    """Find a small scene for each fault that has none, and write all of them."""
    found = caught()
    wanted = [fault for fault in FAULTS if fault.name in names or (not names and fault.name not in found)]
    for fault in wanted:
        edited(fault)  # now: the engine's files may change while this runs
    books_once()
    for number, scene in enumerate(random_scenes(scenes_at_most, first_seed)):
        if not wanted:
            break
        book, log, until, restarts = scene
        try:
            right = judge(book, log, until)
            decided, called = calls(lambda: decide(log, until, restarts))  # noqa: B023 - called at once
            if decided != right:
                print(f"scene {number}: the engine differs without any fault")
                continue
        except Exception as err:  # noqa: BLE001
            print(f"scene {number}: {err!r}")
            continue
        for fault in [one for one in wanted if inspect.unwrap(one.where).__code__ in called]:
            with sown(fault):
                seen = _decides_otherwise(scene, right)
            if seen:
                wanted.remove(fault)
                found[fault.name] = scene
                print(f"{number}: {fault.name}; {len(wanted)} left", flush=True)
        write(found)
    for fault in wanted:
        print(f"NOT CAUGHT: {fault.name}")


def calls(act: Callable[[], Any]) -> tuple[Any, set[Any]]:
    """What an act gives, and the code of every function it called: a fault elsewhere cannot change it."""
    called: set[Any] = set()
    sys.setprofile(lambda frame, event, _: called.add(frame.f_code) if event == "call" else None)
    try:
        return act(), called
    finally:
        sys.setprofile(None)


def books_once() -> None:
    """Read each rulebook once while searching: no fault here is in their reading."""
    read: Any = product.book_of
    known: dict[str, Any] = {}

    def book_of(data: dict[str, Any]) -> Any:
        key = repr(data)
        if key not in known:
            known[key] = read(data)
        return known[key]

    setattr(product, "book_of", book_of)  # noqa: B010 - mypy will not have a function put in another's place


def shrink(names: list[str], *, entries: int) -> None:
    """Make the scenes with more entries than this smaller, and write after each."""
    books_once()
    for fault in FAULTS:
        found = caught()
        scene = found.get(fault.name)
        if scene is not None and len(scene[1]) > entries and (not names or fault.name in names):
            write({**found, fault.name: smaller(fault, scene)})
            print(f"{fault.name}: {len(scene[1])} to {len(caught()[fault.name][1])} entries", flush=True)


def _decides_otherwise(scene: Scene, right: list[dict[str, Any]]) -> bool:
    _, log, until, restarts = scene
    try:
        return decide(log, until, restarts) != right
    except Exception:  # noqa: BLE001 - a fault may break anything
        return True


def random_scenes(number: int, first_seed: int) -> Iterator[Scene]:
    """The scenes of the property test, from fixed seeds."""
    batch = 10
    for start in range(0, number, batch):
        rows: list[Scene] = []

        @seed(first_seed + start)
        @settings(
            max_examples=batch,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(scenes())
        def collect(scene: Scene) -> None:
            rows.append(deepcopy(scene))  # noqa: B023 - called before the next round

        collect()
        yield from rows


def smaller(fault: Fault, scene: Scene) -> Scene:
    """Drop entries, rules and definitions as long as the fault still shows and nothing else is wrong."""

    def shows(candidate: Scene) -> bool:
        book, log, until, restarts = candidate
        try:
            right = judge(book, log, until)
            if decide(log, until, restarts) != right:
                return False
        except (Exception, AssertionError):  # noqa: BLE001 - not a rulebook any more
            return False
        with sown(fault):
            return _decides_otherwise(candidate, right)

    for _ in range(2):
        for simplify in _steps(scene):
            candidate = simplify(scene)
            if candidate != scene and shows(candidate):
                scene = candidate
    return scene


def _steps(scene: Scene) -> Iterator[Callable[[Scene], Scene]]:
    """Ways to make a scene smaller; each is tried on what the ones before it left."""
    _, log, _, restarts = scene
    yield lambda now: (now[0], now[1], now[2], frozenset())
    for restart in restarts:
        yield lambda now, restart=restart: (now[0], now[1], now[2], now[3] - {restart})  # type: ignore[misc]
    yield lambda now: (now[0], now[1], now[1][-1]["recorded_at"], now[3])
    places = [entry["position"] for entry in log[1:]][::-1]
    for size in (16, 8, 4, 2, 1):
        for at in range(0, len(places), size):
            gone = set(places[at : at + size])
            yield lambda now, gone=gone: (  # type: ignore[misc]
                now[0],
                [row for row in now[1] if row["position"] not in gone],
                now[2],
                now[3],
            )
    for change in [change for entry in log if "rulebook" in entry for change in _changes(entry["rulebook"])]:
        yield lambda now, change=change: _rewritten(now, change)  # type: ignore[misc]
    for entry in log:
        for name in entry["event"]["properties"] if "event" in entry else ():
            yield lambda now, place=entry["position"], name=name: _bared(now, place, name)  # type: ignore[misc]


def _rewritten(scene: Scene, change: tuple[Any, ...]) -> Scene:
    _, log, until, restarts = scene
    rows = [row | {"rulebook": _without(row["rulebook"], change)} if "rulebook" in row else row for row in log]
    return rows[0]["rulebook"], rows, until, restarts


def _bared(scene: Scene, position: int, name: str) -> Scene:
    book, log, until, restarts = scene
    rows = []
    for row in log:
        if row["position"] == position:
            properties = {key: value for key, value in row["event"]["properties"].items() if key != name}
            row = row | {"event": row["event"] | {"properties": properties}}  # noqa: PLW2901
        rows.append(row)
    return book, rows, until, restarts


def _changes(book: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    yield from (("rules", rule["id"]) for rule in book.get("rules", ()))
    for section in ("measures", "things", "segments", "scores", "policy", "attributes"):
        yield from ((section, name) for name in book.get(section, {}))
    for kind, thing in book.get("things", {}).items():
        yield from (("things", kind, "measures", name) for name in thing.get("measures", {}))
    for rule in book.get("rules", ()):
        yield from (("rules", rule["id"], key) for key in rule if key not in {"id", "when", "send", "notify", "owner"})


def _without(book: dict[str, Any], change: tuple[Any, ...]) -> dict[str, Any]:
    book = deepcopy(book)
    section, name, *rest = change
    part = book.get(section) or {}
    if section == "rules":
        if rest:
            for rule in part:
                if rule["id"] == name:
                    rule.pop(rest[0], None)
        else:
            book["rules"] = [rule for rule in part if rule["id"] != name]
    elif rest:
        part.get(name, {}).get("measures", {}).pop(rest[1], None)
    else:
        part.pop(name, None)
    return {key: content for key, content in book.items() if content or key == "rules"}


def write(found: dict[str, Scene]) -> None:
    """Write all scenes, one line each, in the order of the table."""
    encode = msgspec.json.Encoder(decimal_format="number").encode
    rows = []
    for fault in FAULTS:
        if fault.name not in found:
            continue
        _, log, until, restarts = found[fault.name]
        books: list[dict[str, Any]] = []
        entries = []
        for entry in log:
            if "rulebook" in entry:
                if entry["rulebook"] not in books:
                    books.append(entry["rulebook"])
                entries.append(entry | {"rulebook": books.index(entry["rulebook"])})
            else:
                entries.append(entry)
        row = {"fault": fault.name, "until": until, "restarts": sorted(restarts), "books": books, "log": entries}
        rows.append(encode(row) + b"\n")
    CAUGHT.write_bytes(b"".join(rows))


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--search", action="store_true")
    asked.add_argument("--shrink", action="store_true")
    asked.add_argument("--scenes", type=int, default=1_000)
    asked.add_argument("--entries", type=int, default=8)
    asked.add_argument("--seed", type=int, default=20_260_302)
    asked.add_argument("names", nargs="*")
    args = asked.parse_args()
    if args.search:
        search(args.names, scenes_at_most=args.scenes, first_seed=args.seed)
    if args.shrink:
        shrink(args.names, entries=args.entries)
