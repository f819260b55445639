"""The demo's last screen: what came in, who needs a call and why, what was not sent, where it all is, what to try."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.instants import Instant, to_datetime
from ringfirst.answers import plural, shown
from ringfirst.demo.calls import Call
from ringfirst.demo.ledger import Entry
from ringfirst.demo.silences import Silence

WIDEST = 100
NARROWEST = 60
MOST_OTHERS = 6
"""Names of customers to call who are not shown; more would fill the screen."""
FAMILIES = (
    ("feature.used", "use"),
    ("session.started", "session"),
    ("ticket.opened", "ticket"),
    ("call.received", "call"),
    ("contract.sent", "contract"),
    ("survey.answered", "survey"),
    ("subscription.cancelled", "cancellation"),
)
"""What is counted by name in the first lines, and its word."""


@dataclass(frozen=True, slots=True)
class Told:
    """Everything the screen tells."""

    place: Path
    customers: int
    days: int
    types: Counter[str]
    seconds: float
    streamed: bool
    """Over Kafka, and not from the file."""
    rules: int
    decisions: int
    mails: int
    mailed: int
    """Decisions that are in these mails."""
    end: Instant
    calls: Sequence[Call]
    chosen: Sequence[Call]
    ledger: Sequence[Entry]
    silences: Sequence[Silence]
    commands: Sequence[tuple[str, str]]


Line = tuple[str, str, int]
"""Style, text, and how far the lines after the first are moved in; a line that is to be copied is never folded."""
COPY = -1


def screen(told: Told, width: int) -> Iterator[tuple[str, str]]:
    """The lines of the screen, each with its style: "head", "strong", "faint" or nothing.

    None is wider than ``width``, commands to copy apart; nothing in them can steer a terminal.
    """
    wide = max(NARROWEST, min(width, WIDEST))
    parts = (_came_in(told), _calls(told), _ledger(told), _silences(told), _places(told), _next(told))
    for number, part in enumerate(parts):
        if number:
            yield "", ""
        for style, text, hang in part:
            for line in _folded(shown(text), wide, hang):
                yield style, line


def _folded(text: str, wide: int, hang: int) -> list[str]:
    if hang == COPY:
        return [text]
    return textwrap.wrap(text, wide, subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False)


def _came_in(told: Told) -> Iterator[Line]:
    yield "head", "WHAT CAME IN", 0
    counts = [plural(told.types[name], word) for name, word in FAMILIES if told.types[name]]
    way = ", over Kafka" if told.streamed else ""
    yield (
        "",
        (
            f"  {plural(told.types.total(), 'event')} of {plural(told.customers, 'made-up customer')} over "
            f"{told.days} days{way}: {', '.join(counts)}. {plural(told.rules, 'rule')} looked at each customer "
            f"after each event and each midnight of its zone and spoke up {plural(told.decisions, 'time')}, "
            f"in {told.seconds:.0f} seconds."
        ),
        2,
    )


def _calls(told: Told) -> Iterator[Line]:
    day = to_datetime(told.end)
    date = f"{day:%A}, {day.day} {day:%B %Y}"
    if not told.calls:
        yield "head", f"WHO NEEDS A CALL TODAY, {date}: nobody", 0
        return
    some = len(told.chosen) < len(told.calls)
    first = f"{len(told.chosen)} of them, and why" if some else "here is why"
    yield "head", f"WHO NEEDS A CALL TODAY, {date}: {plural(len(told.calls), 'customer')}; {first}", 0
    for number, call in enumerate(told.chosen, 1):
        yield "strong", f"  {number}. {call.what} ({_as_decided(call)})", 5
        yield "", f"     {' '.join(one for one in (call.do, _who(call.traits)) if one)}", 5
        yield "", f"     {_sentence(call.numbers)}", 5
        yield "faint", f"     {call.why}", 5
    chosen = {call.account_id for call in told.chosen}
    others = [f"{call.account_id} ({call.rule})" for call in told.calls if call.account_id not in chosen]
    if others:
        more = f", and {len(others) - MOST_OTHERS} more" if len(others) > MOST_OTHERS else ""
        yield "", f"  The others: {', '.join(others[:MOST_OTHERS])}{more}", 5


def _as_decided(call: Call) -> str:
    """When the numbers of a call were read: they are its mail's, and today's may be others."""
    at = to_datetime(call.at)
    return f"as decided on {at.day} {at:%B}, {at:%H:%M} UTC"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _who(traits: Mapping[str, Any]) -> str:
    """Who they are, in brackets: seats, plan, money, and who of us looks after them."""
    seats, plan, mrr, owner = (traits.get(name) for name in ("seats", "plan", "mrr", "owner"))
    money = f"{mrr:,} {traits.get('currency') or ''}".strip() if isinstance(mrr, int | float) else ""
    parts = [
        f"{plural(seats, 'seat')} on {plan}" if isinstance(seats, int) and plan else "",
        f"{money} a month" if money else "",
        str(owner or ""),
    ]
    found = ", ".join(part for part in parts if part)
    return f"({found})" if found else ""


def _ledger(told: Told) -> Iterator[Line]:
    yield "head", "WHAT BECAME OF THE MAILS", 0
    for one in told.ledger:
        yield "", f"  {one.count:>4,}  {one.label:<12}{one.words}", 20


def _silences(told: Told) -> Iterator[Line]:
    yield "head", "WHAT WAS NOT SENT, AND WHY", 0
    for one in told.silences:
        example = f" ({one.example})" if one.example else ""
        yield "", f"  {plural(one.count, one.unit):>13}  {one.words}{example}", 17


def _places(told: Told) -> Iterator[Line]:
    yield "head", "WHERE IT ALL IS (nobody was written to, and nothing was written anywhere else)", 0
    page = told.place / "gallery" / "index.html"
    mails = plural(told.mails, "mail")
    if told.mailed > told.mails:
        mails += f" for {plural(told.mailed, 'decision')} (one reader at one time gets one mail)"
    yield "", f"  {mails}: {told.place / 'outbox'}/*.eml", 2
    yield "", f"  the gallery of all templates, with made-up examples: {page}", 2
    yield "", f"  rules, templates and events, to look into and to change: {told.place}/", 2


def _next(told: Told) -> Iterator[Line]:
    yield "head", "TRY NEXT", 0
    room = max(len(command) for command, words in told.commands if words)
    for command, words in told.commands:
        yield "", f"  {command.ljust(room)}   {words}".rstrip(), COPY
