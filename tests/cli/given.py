"""Made-up events for the commands, and how the state of a store is compared."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.instants import DAY, HOUR, Instant, iso, parse_instant
from engine.questions import account
from engine.stored import stored_book
from engine.stores import open_store

BOOK = Path(__file__).resolve().parent / "book"
START: Instant = parse_instant("2026-03-02T09:00:00Z") or 0
Row = dict[str, Any]


def event(mark: str, account_id: str, kind: str, at: Instant, user: str | None = None, **properties: Any) -> Row:
    """One event as its JSON object."""
    return {
        "id": mark,
        "type": kind,
        "account_id": account_id,
        "user_id": user,
        "time": iso(at),
        "properties": properties,
    }


def customer(name: str, *, days: int = 12) -> list[Row]:
    """A customer who builds a report a day, and has a red ticket on the fourth day that waits for two hours.

    Every event has a time of its own, in this account and beside others.
    """
    shift = sum(name.encode()) * 1_000
    rows = [
        event(f"{name}-a", name, "account.updated", START + shift, plan="pro"),
        event(
            f"{name}-b",
            name,
            "user.updated",
            START + shift + 1,
            "u1",
            role="champion",
            name="Ada King",
            email=f"ada@{name}.example",
        ),
        event(
            f"{name}-t",
            name,
            "ticket.opened",
            START + shift + 4 * DAY,
            "u1",
            ticket_id="t1",
            grade="red",
            subject="Help",
        ),
        event(f"{name}-s", name, "ticket.solved", START + shift + 4 * DAY + 2 * HOUR, None, ticket_id="t1"),
    ]
    rows += [
        event(f"{name}-{day}", name, "feature.used", START + shift + day * DAY + HOUR, "u1", feature="reports")
        for day in range(days)
    ]
    return rows


def company(names: Sequence[str] = ("acme", "birch", "cedar"), *, days: int = 12) -> list[Row]:
    """The events of several customers, by time."""
    return sorted((row for name in names for row in customer(name, days=days)), key=lambda row: row["time"])


def lines(rows: Iterable[Row]) -> str:
    """Events as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def decided(place: Path, name: str = "ringfirst.db") -> Any:
    """Decisions and mails of a store, as far as they must be the same."""
    store = open_store(f"sqlite:///{place / name}", create=False)
    try:
        mails = [(row.outreach_id, row.state, row.due_at, row.values) for row in store.outreach()]
        return store.decisions(), mails
    finally:
        store.close()


def state(place: Path, name: str = "ringfirst.db") -> Any:
    """What the store knows of every account, what was decided aside."""
    store = open_store(f"sqlite:///{place / name}", create=False)
    try:
        mark = next(found for lane in range(store.lanes) if (found := store.active_rulebook(lane)))
        book = stored_book(store, mark)
        known = [account(store, book, one) for one in sorted(store.accounts())]
        clocks = {info.clock_at for info in store.lane_infos(at=0)}
        kept = [{**one, "timeline": [row for row in one["timeline"] if "decided" not in row["what"]]} for one in known]
        return kept, store.count_events(), max(clock for clock in clocks if clock is not None)
    finally:
        store.close()
