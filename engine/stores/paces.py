"""How many mails left in the spans that limits speak of: one row for each part of a span."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from engine.instants import Instant
from engine.pacing import LONGEST, PARTS, Counted, Full, Meter, full, part_of
from engine.stores.driver import Driver
from engine.stores.tables import paces

_SINCE = " since"
"""What follows the name under which stands when the first mail was counted; that row has no mails, and stays."""
_OLD = LONGEST + LONGEST // PARTS


def read(connection: sa.Connection, meters: Collection[Meter]) -> dict[str, Counted]:
    """What was counted, by the names of the meters."""
    names = sorted({name for one in meters for name in (one.name, one.name + _SINCE)})
    parts: dict[str, list[tuple[Instant, int]]] = {}
    since: dict[str, Instant] = {}
    for row in connection.execute(sa.select(paces).where(paces.c.name.in_(names))) if names else ():
        if row.name.endswith(_SINCE):
            since[row.name.removesuffix(_SINCE)] = row.at
        else:
            parts.setdefault(row.name, []).append((row.at, row.mails))
    return {one.name: Counted(parts.get(one.name, ()), since.get(one.name)) for one in meters}


def take(
    connection: sa.Connection, driver: Driver, mails: Sequence[Sequence[Meter]], *, at: Instant
) -> list[Full | None]:
    """Count mails that are about to leave, each under all of its meters or under none: one that is full says so."""
    meters = {one.name: one for each in mails for one in each}
    driver.lock(connection, [f"pace {name}" for name in meters])
    found = read(connection, meters.values())
    here = {name: dict(counted.parts) for name, counted in found.items()}
    new: dict[tuple[str, Instant], int] = {}
    answers = []
    for each in mails:
        stops = (full(one, Counted(list(here[one.name].items()), found[one.name].since), at) for one in each)
        no = next((stop for stop in stops if stop is not None), None)
        answers.append(no)
        for one in each if no is None else ():
            part = part_of(one, at)
            here[one.name][part] = here[one.name].get(part, 0) + 1
            new[one.name, part] = new.get((one.name, part), 0) + 1
    firsts = sorted({name for name, _ in new if meters[name].days and found[name].since is None})
    _add(connection, driver, [(*place, number) for place, number in sorted(new.items())])
    _add(connection, driver, [(name + _SINCE, at, 0) for name in firsts])
    connection.execute(sa.delete(paces).where(paces.c.mails > 0, paces.c.at < at - _OLD))
    return answers


def _add(connection: sa.Connection, driver: Driver, rows: Sequence[tuple[str, Instant, int]]) -> None:
    if not rows:
        return
    insert = driver.upsert(paces)
    more = insert.on_conflict_do_update(
        index_elements=list(paces.primary_key.columns), set_={"mails": paces.c.mails + insert.excluded.mails}
    )
    connection.execute(more, [dict(zip(("name", "at", "mails"), row, strict=True)) for row in rows])
