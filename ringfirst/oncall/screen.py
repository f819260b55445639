"""The screen for somebody on call: a headline, a line for each lane, what is wrong in words, and the workers."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.instants import DAY, HOUR, MINUTE, SECOND, Instant, iso
from outreach.circuit import serious
from ringfirst.answers import plural, shown
from ringfirst.oncall.status import LATE_SECONDS, LaneStatus, Status, WorkerStatus
from ringfirst.oncall.words import WORDS

STYLES = {"OK": "green", "at rest": "green", "catching up": "yellow", "stalled": "bold red", "stopped": "bold red"}
MOST_STOPS = 3
MOST_TROUBLES = 8
"""So many lanes say in words what is wrong with them; the table shows all."""
MOST_ROWS, TABLE_HEAD = 3, 4
"""However low the terminal is, so many lanes are in the table; what the table needs besides."""
SHORT, LONG = 20, 60
"""How long an owner may be, in the table and in a line of its own."""
NEWS = 15 * MINUTE
"""An error that is older, of a lane that is well, is no news any more; the table tells its age."""


class _Column(NamedTuple):
    head: str
    right: bool
    spare: int
    """Columns with larger numbers go first where the screen is narrow; 0 stays."""


COLUMNS = (
    _Column("lane", True, 0),
    _Column("state", False, 0),
    _Column("left", True, 3),
    _Column("owner", False, 2),
    _Column("behind", True, 0),
    _Column("oldest", True, 0),
    _Column("clock", True, 4),
    _Column("in/s", True, 5),
    _Column("done/s", True, 1),
    _Column("dead", True, 1),
    _Column("rebal", True, 6),
    _Column("error", True, 1),
)


def screen(found: Status, *, width: int, height: int | None = None) -> RenderableType:
    """Everything in ``width`` columns.

    With ``height`` the lanes that are well give way to those that are not, and words below the table to the table.
    """
    above, below = list(_headline(found)), [*_troubles(found), *_workers(found)]
    lanes, hidden = list(found.lanes), 0
    if height is not None:
        room = height - 1 - _lines(above, width)
        rows = max(MOST_ROWS, room - TABLE_HEAD - _lines(below, width))
        if len(lanes) > rows:
            lanes = sorted(lanes, key=lambda one: (-WORDS.index(one.state), -(one.seconds or 0), one.lane))[:rows]
            hidden = len(found.lanes) - len(lanes)
        room -= TABLE_HEAD + len(lanes)
        while below and _lines(below, width) > room:
            below.pop()
    parts: list[RenderableType] = [*above]
    if lanes:
        parts += [Text(), _table(lanes, found.at, width)]
    if hidden:
        parts.append(Text(f"and {plural(hidden, 'lane')} in no worse state", "dim"))
    return Group(*parts, *below)


def _lines(texts: Sequence[Text], width: int) -> int:
    """How many lines they take."""
    console = Console(width=width)
    return sum(len(one.wrap(console, width)) for one in texts)


def span(seconds: float | None) -> str:
    """A span of time, in one unit or two.

    >>> [span(one) for one in (None, 0, 0.24, 8.4, 75, 7_260, 200_000)]
    ['-', '0', '0.2 s', '8 s', '1 m 15 s', '2 h 1 m', '2 d 7 h']
    """
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds:.1f} s" if seconds >= 0.05 else "0"  # noqa: PLR2004 - what rounds to nothing
    whole = round(seconds)
    for unit, size, part, small in (("d", DAY, "h", HOUR), ("h", HOUR, "m", MINUTE), ("m", MINUTE, "s", SECOND)):
        if whole * SECOND >= size:
            rest = whole * SECOND % size // small
            return f"{whole * SECOND // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def count(number: float | None) -> str:
    """A number in few signs.

    >>> [count(one) for one in (None, 0, 0.04, 2.53, 812, 12_345, 99_999, 4_200_000)]
    ['-', '0', '0', '2.5', '812', '12,345', '99,999', '4.2 M']
    """
    if number is None:
        return "-"
    if number < 10 and number != int(number):  # noqa: PLR2004 - a digit behind the point
        return f"{number:.1f}".replace("0.0", "0")
    return f"{round(number):,}" if number < 100_000 else f"{number / 1_000_000:.1f} M"  # noqa: PLR2004 - six signs


def _headline(found: Status) -> Iterator[Text]:
    words, style = found.state.upper(), STYLES[found.state]
    if found.store is not None or found.kafka is not None:  # then what is said of lanes is what they were, at best
        words, style = "STORE AWAY" if found.store is not None else "KAFKA AWAY", STYLES["stalled"]
    first = Text.assemble((f" {words} ", f"reverse {style}"), "  ")
    counts = [(word, sum(one.state == word for one in found.lanes)) for word in reversed(WORDS)]
    first.append(
        ", ".join(f"{number} {word}" for word, number in counts if number) + f" of {plural(len(found.lanes), 'lane')}"
    )
    first.append(f"  {iso(found.at)[11:19]} UTC", "dim")
    yield first
    if found.store is not None:
        yield Text(f"the store does not answer: {shown(found.store)}", STYLES["stalled"])
    if found.kafka is not None:
        yield Text(shown(found.kafka), STYLES["stalled"])
    yield Text(_lag(found))
    if found.store is None:
        yield Text(_beside(found))
    if found.unheard_seconds:
        words = (
            f"SendGrid tells nothing of the mails of the last {span(found.unheard_seconds)}: look at its Event Webhook"
        )
        yield Text(words, STYLES["stalled"])
    for away in found.outages:
        words = f"NOTHING LEAVES BY {away.channel.upper()} for {span((found.at - away.since) / SECOND)}: {away.why}"
        words += "; somebody must mend that" if away.ours else f"; tried again at {iso(away.until)[11:19]}"
        yield Text(shown(words), STYLES["stalled" if serious(away, found.at) else "catching up"])
    for one in found.stops[:MOST_STOPS]:
        words = f"STOPPED: {one.words}: {one.pace}; since {iso(one.at)} by {one.who}: {one.why}"
        yield Text(shown(words), STYLES["catching up"])
    if len(found.stops) > MOST_STOPS:
        yield Text(f"and {plural(len(found.stops) - MOST_STOPS, 'more stop')}: ringfirst outreach stops", "dim")
    for late in found.late_reports:
        style = STYLES["stalled" if late.seconds(found.at) > LATE_SECONDS else "catching up"]
        yield Text(shown(f"REPORTS LATE by {span(late.seconds(found.at))}: {late.words}"), style)
    if found.portfolio_held_back_by:
        yield Text(
            f"the portfolio is held back by lanes {numbers(found.portfolio_held_back_by)}", STYLES["catching up"]
        )


def _lag(found: Status) -> str:
    workers = plural(found.alive_workers, "worker")
    told = f"{workers}, {plural(found.rebalances_24h, 'rebalance')} in 24 h"
    if found.state == "at rest":
        return (
            "no worker runs, and none is needed: all that is here was imported; 'ringfirst run' takes in what happens"
        )
    if not found.kafka_used:
        return f"{told}; no broker is set: nothing is told of topics"
    if found.records is None or found.kafka is not None:
        return f"{told}; how far behind is not known"
    if found.slowest_lane is None:
        return f"{told}; nothing is waiting"
    oldest = "a time not known" if found.seconds is None else span(found.seconds)
    return f"{told}; {plural(found.records, 'record')} behind, the oldest by {oldest} in lane {found.slowest_lane}"


def _beside(found: Status) -> str:
    names = {"queued": "waiting", "held": "held", "in_review": "in review", "in_doubt": "in doubt", "failed": "failed"}
    mails = ", ".join(f"{found.mails.get(state, 0):,} {word}" for state, word in names.items())
    letters = f"{found.dead_letters:,}"
    if found.oldest_dead_letter_at is not None:
        letters += f", the oldest {span((found.at - found.oldest_dead_letter_at) / SECOND)} old"
    return f"mails: {mails}; dead letters: {letters}"


def _table(lanes: Sequence[LaneStatus], at: Instant, width: int) -> Table:
    rows = [_cells(one, at) for one in lanes]
    kept = list(range(len(COLUMNS)))

    def wide() -> int:
        return sum(
            max(len(text) for text in (COLUMNS[place].head, *(row[place] for row in rows))) + 2 for place in kept
        )

    while wide() - 2 > width and any(COLUMNS[place].spare for place in kept):
        kept.remove(max(kept, key=lambda place: COLUMNS[place].spare))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for place in kept:
        table.add_column(COLUMNS[place].head, justify="right" if COLUMNS[place].right else "left", no_wrap=True)
    for one, row in zip(lanes, rows, strict=True):
        table.add_row(
            *(Text(row[place], STYLES[one.state] if COLUMNS[place].head == "state" else "") for place in kept)
        )
    return table


def _cells(one: LaneStatus, at: Instant) -> list[str]:
    dead = "-"
    if one.dead_letters and one.oldest_dead_letter_at is not None:
        dead = f"{one.dead_letters:,} ({_rough((at - one.oldest_dead_letter_at) / SECOND)})"
    return [
        str(one.lane),
        one.state,
        "-" if one.left_seconds is None else _rough(one.left_seconds),
        short(one.owner),
        count(one.records),
        span(one.seconds),
        _rough(one.clock_age_seconds),
        count(one.came_per_second),
        count(one.committed_per_second),
        dead,
        count(one.rebalances),
        "-" if one.error is None else f"{_rough((at - one.error.at) / SECOND)} ago",
    ]


def short(owner: str | None, most: int = SHORT) -> str:
    """An owner for a person: host, without its domain, and process.

    >>> short("desk.example:4711:99:worker:ringfirst"), short(None), short("a" * 30 + ":4711:99")
    ('desk:4711', '-', 'aaaaaaa…aaaaaaa:4711')
    """
    if owner is None:
        return "-"
    name, _, rest = shown(owner).partition(":")
    host = name if most > SHORT else name.partition(".")[0]
    pid = rest.partition(":")[0]
    tail = f":{pid}" if pid else ""
    room = most - len(tail)
    if len(host) > room:
        half = (room - 1) // 2
        host = f"{host[:half]}…{host[-half:]}"
    return host + tail


def numbers(lanes: Sequence[int]) -> str:
    """Numbers of lanes for a person.

    >>> numbers([0, 1, 2, 3, 7]), numbers([4, 5])
    ('0-3, 7', '4, 5')
    """
    found: list[list[int]] = []
    for lane in sorted(lanes):
        if found and found[-1][-1] == lane - 1:
            found[-1].append(lane)
        else:
            found.append([lane])
    return ", ".join(f"{one[0]}-{one[-1]}" if len(one) > 2 else ", ".join(map(str, one)) for one in found)  # noqa: PLR2004


def _rough(seconds: float | None) -> str:
    """The larger unit of a span."""
    return " ".join(span(None if seconds is None else max(0, seconds)).split()[:2])


def _troubles(found: Status) -> Iterator[Text]:
    told = [one for one in found.lanes if one.why is not None or _is_news(one, found.at)]
    said: dict[str, list[LaneStatus]] = {}
    for one in told:
        text = one.why or ""
        if one.error is not None and _is_news(one, found.at) and one.error.text not in text:
            text += ("; " if text else "") + f"{span((found.at - one.error.at) / SECOND)} ago: {one.error.text}"
        said.setdefault(text.replace(f"[{one.lane}]", "[…]") if len(found.lanes) > 1 else text, []).append(one)
    ordered = sorted(said.items(), key=lambda item: -max(WORDS.index(one.state) for one in item[1]))
    if ordered:
        yield Text()
    for text, lanes in ordered[:MOST_TROUBLES]:
        which = numbers([one.lane for one in lanes])
        worst = max((one.state for one in lanes), key=WORDS.index)
        exact = text.replace("[…]", f"[{lanes[0].lane}]")
        yield Text.assemble((f"lane {which}: ", STYLES[worst]), shown(exact))
    if len(ordered) > MOST_TROUBLES:
        yield Text(f"and {len(ordered) - MOST_TROUBLES} more; --json tells them all", "dim")


def _is_news(one: LaneStatus, at: Instant) -> bool:
    return one.error is not None and (one.state != "OK" or at - one.error.at < NEWS)


def _workers(found: Status) -> Iterator[Text]:
    if not found.workers:
        return
    yield Text()
    for one in found.workers:
        yield Text(_worker(one, found.at), "" if one.alive else STYLES["stopped"])


def _worker(one: WorkerStatus, at: Instant) -> str:
    words = [f"worker {short(one.owner, LONG)}"]
    if not one.alive:
        words.append(f"not heard of for {span(one.heard_seconds)}: dead, or away from the store")
    elif one.began_at is not None:
        words.append(f"up {span((at - one.began_at) / SECOND)}")
    words.append(f"lanes {numbers(one.lanes)}" if one.lanes else "no lane")
    if one.health is not None:
        words.append(one.health)
    if one.error is not None and at - one.error.at < HOUR:
        words.append(f"{span((at - one.error.at) / SECOND)} ago: {shown(one.error.text)}")
    return ", ".join(words)
