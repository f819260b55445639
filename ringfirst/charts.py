"""Pictures of a backtest: how often a rule fired, week by week, in a terminal and as SVG."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from xml.sax.saxutils import escape

from engine.instants import Instant
from engine.zones import Day, Zone, date_of, monday

FEW = 10
"""So many weeks have room for the date of each Monday."""
BLOCKS = " ▁▂▃▄▅▆▇█"
WEEK = 7
WIDTH, HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 16, 60, 44
_LABEL = 64
"""Room that a date under the axis takes."""
_STYLE = """
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:#4b5563}
.title{font-size:15px;font-weight:600;fill:#111827}
.paper{fill:#ffffff}.grid{stroke:#e5e7eb}.axis{stroke:#9ca3af}
.fires{fill:#93b4e8}.hits{fill:#c2410c}
@media(prefers-color-scheme:dark){text{fill:#a8b0bd}.title{fill:#f3f4f6}.paper{fill:#11161d}.grid{stroke:#2a323d}
.axis{stroke:#6b7280}.fires{fill:#4a74b8}.hits{fill:#f08a4b}}
"""


@dataclass(frozen=True, slots=True)
class Weeks:
    """Fires in each week from the first Monday on, and how many of them the outcome followed."""

    first: Day
    fires: tuple[int, ...]
    hits: tuple[int, ...]

    @property
    def most(self) -> int:
        """Fires in the fullest week."""
        return max(self.fires, default=0)

    def day(self, week: int) -> date:
        """The Monday of a week."""
        return date_of(self.first + WEEK * week)


def weeks(fires: Iterable[tuple[Instant, bool]], zone: Zone, since: Instant, until: Instant) -> Weeks:
    """Count fires (when, was it followed by the outcome) by the weeks of ``zone``; empty weeks count too."""
    first = monday(zone.day(since))
    many = (monday(zone.day(until)) - first) // WEEK + 1
    counted, followed = [0] * many, [0] * many
    for at, hit in fires:
        week = min(max((zone.day(at) - first) // WEEK, 0), many - 1)
        counted[week] += 1
        followed[week] += hit
    return Weeks(first, tuple(counted), tuple(followed))


def spark(values: Sequence[int], width: int) -> tuple[str, int]:
    """One line of bars no wider than ``width``, and how many values stand in one bar (their sum).

    >>> spark([0, 1, 8, 4], 10), spark([1, 1, 0, 8], 2)
    ((' ▁█▄', 1), ('▂█', 2))
    """
    each = -(-len(values) // max(width, 1)) or 1
    sums = [sum(values[at : at + each]) for at in range(0, len(values), each)]
    most = max(sums, default=0) or 1
    return "".join(BLOCKS[-(-one * (len(BLOCKS) - 1) // most)] for one in sums), each


def bars(found: Weeks, width: int) -> list[str]:
    """The chart for a terminal: one line of bars, and one that says what they are."""
    line, each = spark(found.fires, width)
    period = "week" if each == 1 else f"{each} weeks"
    sums = [sum(found.fires[at : at + each]) for at in range(0, len(found.fires), each)]
    ends = f"{found.day(0)} to {found.day(len(found.fires) - 1)}"
    return [line.rstrip() or "-", f"fires per {period}, {ends}, at most {max(sums, default=0):,}"]


def svg(found: Weeks, title: str, *, outcome: str | None) -> str:
    """The chart as a picture of its own, for light and dark pages; it says in words what it shows."""
    top = _round_up(found.most)
    wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    slot = wide / max(len(found.fires), 1)
    bar = max(min(slot * 0.8, 22), min(slot, 1.5))
    total, hits = sum(found.fires), sum(found.hits)
    followed = f"; {hits:,} followed by {outcome}" if outcome else ""
    words = f"{total:,} fires in {len(found.fires):,} weeks, at most {found.most:,} in one{followed}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}: fires per week</title><desc>{escape(words)}</desc><style>{_STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        f'<text class="title" x="{_LEFT}" y="26">{escape(title)}</text>',
        f'<text x="{WIDTH - _RIGHT}" y="26" text-anchor="end">{total:,} fires, at most {found.most:,} a week</text>',
        *_legend(outcome),
    ]
    for value in _steps(top):
        y = _TOP + high * (1 - value / top)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,}</text>')
    for kind, values in (("fires", found.fires), ("hits", found.hits)):
        for week, value in enumerate(values):
            if value:
                tall = max(high * value / top, 2)
                x, y = _LEFT + slot * week + (slot - bar) / 2, _TOP + high - tall
                parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{bar:.1f}" height="{tall:.1f}"/>')
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP + high}H{WIDTH - _RIGHT}"/>')
    parts += _dates(found, slot, _TOP + high)
    return "\n".join([*parts, "</svg>", ""])


def _legend(outcome: str | None) -> list[str]:
    if not outcome:
        return [f'<text x="{_LEFT}" y="45">fires per week</text>']
    followed = f"of these followed by {escape(outcome)}"
    return [
        f'<rect class="fires" x="{_LEFT}" y="36" width="10" height="10" rx="2"/>',
        f'<text x="{_LEFT + 16}" y="45">fires per week</text>',
        f'<rect class="hits" x="{_LEFT + 112}" y="36" width="10" height="10" rx="2"/>',
        f'<text x="{_LEFT + 128}" y="45">{followed}</text>',
    ]


def _dates(found: Weeks, slot: float, floor: float) -> Iterator[str]:
    """Dates under the axis, as many as there is room for: Mondays where the weeks are few, else months."""
    for week, words in _mondays(found) if len(found.fires) <= FEW else _months(found):
        x = _LEFT + slot * (week + 0.5)
        yield f'<path class="axis" d="M{x:.1f} {floor}v5"/>'
        yield f'<text x="{x:.1f}" y="{floor + 20}" text-anchor="middle">{words}</text>'


def _mondays(found: Weeks) -> Iterator[tuple[int, str]]:
    for week in range(len(found.fires)):
        yield week, f"{found.day(week).day} {found.day(week):%b}"


def _months(found: Weeks) -> Iterator[tuple[int, str]]:
    starts = [week for week in range(len(found.fires)) if found.day(week).day <= WEEK]
    every = next((one for one in (1, 2, 3, 6, 12, 24, 60, 120) if len(starts) * _LABEL / one <= WIDTH - _LEFT), 240)
    for week in starts:
        day = found.day(week)
        if (day.month - 1 + 12 * day.year) % every == 0:
            yield week, f"{day:%b %Y}"


def _round_up(most: int) -> int:
    """The top of the axis: a number whose half is as good a number.

    >>> [_round_up(one) for one in (0, 1, 3, 7, 15, 41, 130)]
    [1, 1, 4, 8, 16, 50, 160]
    """
    step = 1
    while step * 10 <= most:
        step *= 10
    rounds = (1, 2, 4, 6, 8, 10) if step == 1 else (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)
    return next((int(step * one) for one in rounds if step * one >= most), 1) if most else 1


def _steps(top: int) -> list[int]:
    """What stands beside the axis: the floor, the middle where it is a whole number, the top."""
    return [0, top // 2, top] if top % 2 == 0 else [0, top]
