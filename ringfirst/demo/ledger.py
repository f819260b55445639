"""What became of the mails: how many left, how many did not, and why, with one case of each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.decision import Decision
from engine.instants import HOUR
from engine.log import Recorded
from engine.store import OutreachRow, Store
from engine.zones import zone
from outreach.mail import Outgoing
from outreach.policy import No
from ringfirst.demo.mails import UNREAD, Walked

LABELS = ("delivered", "held", "capped", "in review", "suppressed", "taken back", "held out", "draft")
"""In this order; a label of which there is nothing is left out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line: how many mails, in one word what became of them, and why, each reason with its number."""

    label: str
    count: int
    words: str


def ledger(store: Store, decided: Iterable[Decision], walked: Walked) -> list[Entry]:
    """The lines that have something to tell."""
    told: dict[str, list[tuple[int, str]]] = {}
    for label, rows, words, example in _found(store, decided, walked):
        if rows:
            told.setdefault(label, []).append((len(rows), f"{words} ({example or _named(rows[0])})"))
    left = sum(isinstance(mail, Outgoing) for _, mail in walked)
    entries = [Entry(label, _count(label, parts, left), _words(label, parts)) for label, parts in told.items()]
    if "delivered" not in told and left:
        entries.append(Entry("delivered", left, "at once"))
    return sorted(entries, key=lambda one: LABELS.index(one.label))


def _count(label: str, parts: list[tuple[int, str]], left: int) -> int:
    return left if label == "delivered" else sum(number for number, _ in parts)


def _words(label: str, parts: list[tuple[int, str]]) -> str:
    if len(parts) == 1 and label != "delivered":
        return parts[0][1]
    return "; ".join(f"{number} {words}" for number, words in parts)


_Found = tuple[str, list[OutreachRow] | list[Decision], str, str]


def _found(store: Store, decided: Iterable[Decision], walked: Walked) -> Iterator[_Found]:
    left = [group[0] for group, mail in walked if not isinstance(mail, No)]
    late = [row for row in left if row.due_at - row.at > HOUR]
    far = max(late, key=lambda row: (row.due_at - row.at, row.outreach_id), default=None)
    yield "delivered", late, "held until day", _waited(far) if far else ""
    approved = [row for row in left if row.mode == "review"]
    yield "delivered", approved, "approved, here by the demo", ""
    reasons: dict[tuple[str, str], list[OutreachRow]] = {}
    for group, mail in walked:
        if isinstance(mail, No):
            reasons.setdefault(_label(mail), []).extend(group)
    for (label, words), rows in sorted(reasons.items()):
        yield label, rows, words, ""
    gone = store.outreach(states=["withdrawn"])
    yield "taken back", gone, "the reason was gone", _how_taken_back(store, gone[0]) if gone else ""
    decided = list(decided)
    yield "held out", [one for one in decided if one.outcome == "held_out"], "to see what the mail is worth", ""
    yield "draft", [one for one in decided if one.outcome == "draft"], "the rule says what it would do", ""


def _label(no: No) -> tuple[str, str]:
    if no.why == UNREAD:
        return "in review", no.why
    if no.state == "expired":
        return "capped" if no.why.startswith("cap of") else "held", f"{no.why}, until too old"
    return no.state, no.why


def _how_taken_back(store: Store, row: OutreachRow) -> str:
    """What came in between the decision and the hour at which the mail would have left."""
    entries = store.account_entries(row.account_id, until_at=row.state_at)
    last = [one.event.type for one in entries if isinstance(one, Recorded) and one.recorded_at == row.state_at]
    came = f"{last[-1]}, {_clock(row, row.state_at)}" if last else f"gone at {_clock(row, row.state_at)}"
    return f"{_named(row)}: {came}"


def _waited(row: OutreachRow) -> str:
    where = row.frozen.get("zone") or "UTC"
    return f"{row.account_id}: {_clock(row, row.at)} to {_clock(row, row.due_at)} in {where}"


def _named(one: Decision | OutreachRow) -> str:
    return f"{one.account_id}, {one.rule}"


def _clock(row: OutreachRow, at: int) -> str:
    return f"{zone(str(row.frozen.get('zone') or 'UTC')).local(at):%H:%M}"
