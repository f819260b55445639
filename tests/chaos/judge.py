"""The judge of the fault programme: what was published against what the store holds, and what it answers.

It reads the tables by plain SQL and folds the published log by itself; of the engine's it takes only answers that it
compares with its own. Each finding is one line that begins with the invariant's number.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from engine.columns.lane import ColumnLane
from engine.instants import parse_instant
from engine.log import Recorded
from engine.snapshot import freeze
from engine.store import Store
from engine.stored import stored_program
from engine.stores import open_store
from tests.chaos import tables
from tests.chaos.scene import DAY, Row, Scene

SHOWN = 3
OURS = "outreach."
"""What a sender says of its mails is an event too, and nobody published it."""


def judge(scene: Scene, *, calm: str | None = None) -> list[str]:
    """Everything that is wrong with the store; ``calm`` is a store that took the same log in undisturbed."""
    found = [*events(scene), *states(scene), *mails(scene.url), *offsets(scene), *replayed(scene), *rebuilt(scene)]
    return found + (list(equal(scene.url, calm)) if calm is not None else [])


def events(scene: Scene) -> Iterator[str]:
    """I1 and I2: each published event is there once, with what it said; positions count up without holes."""
    wanted = {(row["account_id"], row["id"]): row for row in scene.unique()}
    query = "SELECT account_id, id, type, time, body, lane, position FROM events ORDER BY lane, position"
    stored = [row for row in tables.rows(scene.url, query) if not row[1].startswith(OURS)]
    times = Counter((account, name) for account, name, *_ in stored)
    yield from told("I1 lost", wanted.keys() - times.keys())
    yield from told("I2 twice", [key for key, count in times.items() if count > 1])
    yield from told("I2 invented", times.keys() - wanted.keys())
    for account, name, kind, at, body, lane, _ in stored:
        row = wanted.get((account, name))
        if row is None:
            continue
        said = row["type"], parse_instant(row["time"]), row["properties"], scene.lane(account)
        if (kind, at, json.loads(bytes(body)), lane) != said:
            yield f"I1 altered: {account} {name}: {kind} {at} {body!r} in lane {lane}"
    places: dict[int, list[int]] = {}
    logs = tables.rows(scene.url, "SELECT lane, position FROM events UNION ALL SELECT lane, position FROM log")
    for lane, position in logs:
        places.setdefault(lane, []).append(position)
    for lane, found in places.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            yield f"I6 holes in the log of lane {lane}: {len(found)} entries up to {max(found)}"


def states(scene: Scene) -> Iterator[str]:
    """I3: every account's numbers as the store answers them, against a fold of the published log."""
    asked = "uses >= 0 and sessions >= 0 and uses_28d >= 0 and open_tickets >= 0"
    answer = scene.ask("who", asked)
    at = parse_instant(answer["at"]) or 0
    found = {row["account_id"]: row["values"] for row in answer["accounts"]}
    wanted = {account: fold(rows, at) for account, rows in by_account(scene).items()}
    yield from told("I3 accounts", found.keys() ^ wanted.keys())
    for account in found.keys() & wanted.keys():
        if found[account] == wanted[account]:
            continue
        yield f"I3 state of {account}: found {found[account]}, by the fold {wanted[account]}"
    days = Counter((row["account_id"], row["type"], (parse_instant(row["time"]) or 0) // DAY) for row in scene.unique())
    stored: Counter[Any] = Counter()
    for account, kind, time in tables.rows(scene.url, "SELECT account_id, type, time FROM events"):
        if kind.startswith(OURS):
            continue
        stored[account, kind, time // DAY] += 1
    yield from told("I3 days", [key for key in days.keys() | stored.keys() if days[key] != stored[key]])


def by_account(scene: Scene) -> dict[str, list[Row]]:
    """What was published of each account, each event once."""
    found: dict[str, list[Row]] = {}
    for row in scene.unique():
        found.setdefault(row["account_id"], []).append(row)
    return found


def fold(rows: list[Row], at: int) -> dict[str, int]:
    """The numbers of one account as of ``at``, in UTC: counts, a window of calendar days, things that are open."""
    first = datetime.fromtimestamp(at / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = int(first.timestamp() * 1000) - 27 * DAY
    counts = Counter(row["type"] for row in rows)
    recent = sum(row["type"] == "feature.used" and since <= (parse_instant(row["time"]) or 0) <= at for row in rows)
    opened = {row["properties"]["ticket_id"] for row in rows if row["type"] == "ticket.opened"}
    solved = {row["properties"]["ticket_id"] for row in rows if row["type"] == "ticket.solved"}
    return {
        "uses": counts["feature.used"],
        "sessions": counts["session.started"],
        "uses_28d": recent,
        "open_tickets": len(opened - solved),
    }


def mails(url: str) -> Iterator[str]:
    """I5: a row of outreach for each mail of a planned decision, and none without one."""
    planned = tables.rows(url, "SELECT decision_id, mails, outcome FROM decisions")
    wanted: Counter[str] = Counter()
    for decision, body, outcome in planned:
        if outcome == "planned":
            wanted[decision] = len(json.loads(bytes(body)))
    rows = Counter(decision for (decision,) in tables.rows(url, "SELECT decision_id FROM outreach"))
    known = {decision for decision, *_ in planned}
    yield from told("I5 mails missing", [one for one in wanted if rows[one] != wanted[one]])
    yield from told("I5 mails of nobody", rows.keys() - known)


def offsets(scene: Scene) -> Iterator[str]:
    """I6: the store stands at the end of every partition."""
    stands = scene.next_offsets()
    for (topic, partition), end in scene.ends().items():
        stand = stands.get((topic, partition), 0)
        if stand != end:
            yield f"I6 {topic}[{partition}]: the store stands at {stand}, the log ends at {end}"


def replayed(scene: Scene) -> Iterator[str]:
    """I4 and I9: the log that came out decides the same again."""
    found = json.loads(scene.run("replay", "--verify", "--store", scene.url, "--json", code=None))
    wrong = {name: found[name] for name in ("missing", "extra", "different") if found[name]}
    if wrong:
        yield f"I4 replay: {wrong}"


def rebuilt(scene: Scene) -> Iterator[str]:
    """I9: the states that were kept at the end are those that the log alone gives."""
    kept = dict(tables.rows(scene.url, "SELECT account_id, state FROM snapshots"))
    with closing(open_store(scene.url, create=False)) as store:
        infos = {info.lane: info for info in store.lane_infos(at=0)}
        whole = dict(tables.rows(scene.url, "SELECT account_id, position FROM snapshots"))
        for lane in range(store.lanes):
            fresh = ColumnLane(cache(partial(stored_program, store)), partial(_history, store))
            for entry in store.entries(lane):
                fresh.take(entry)
            clock = infos[lane].clock_at
            if clock is None:
                continue
            fresh.advance(clock)
            fresh.settle()
            for account in fresh.accounts.values():
                if whole.get(account.id) == infos[lane].position and _read(kept[account.id]) != _read(freeze(account)):
                    yield f"I9 the state that was kept of {account.id} is not what its log gives"


def _history(store: Store, account: str, position: int) -> list[Recorded]:
    entries = store.account_entries(account, until_position=position)
    return [entry for entry in entries if isinstance(entry, Recorded)]


def _read(state: bytes) -> Any:
    """An account's state but for what an account may do later or earlier: look again when nothing has turned since,
    and forget things that were closed long ago."""
    found: dict[str, Any] = msgspec.msgpack.decode(bytes(state))
    del found["clock"]
    told = found["state"]
    things = {kind: one for kind, one in told["things"].items() if kind != "ticket"}
    found["state"] = {**{name: told[name] for name in ("first_event", "created", "traits", "kept")}, "things": things}
    return found


def equal(url: str, calm: str) -> Iterator[str]:
    """I4 and I5: decisions and mails are those of the undisturbed store, to the last byte."""
    for name, question in {
        "I4 decisions": "SELECT * FROM decisions ORDER BY decision_id",
        "I5 mails": 'SELECT outreach_id, decision_id, "to", state, due_at, "values" FROM outreach ORDER BY outreach_id',
    }.items():
        ours, theirs = tables.rows(url, question), tables.rows(calm, question)
        if ours != theirs:
            missing, extra = set(theirs) - set(ours), set(ours) - set(theirs)
            first = sorted(str(row[0]) for row in missing | extra)[:SHOWN]
            yield f"{name} differ from the undisturbed run: {len(missing)} missing, {len(extra)} extra; {first}"


def told(what: str, found: Any) -> Iterator[str]:
    """One line for many findings, or none."""
    rows = sorted(found)
    if rows:
        yield f"{what}: {len(rows)}, such as {rows[:SHOWN]}"


def imported(scene: Scene, folder: Path) -> str:
    """The undisturbed run: what was published, taken in from a file without Kafka. Gives the store's URL."""
    file, url = folder / "calm.jsonl", f"sqlite:///{folder / 'calm.db'}"
    file.write_text("".join(json.dumps(row) + "\n" for row in scene.rows))
    open_store(url, lanes=scene.lanes).close()
    scene.run("import", str(file), "--store", url)
    return url
