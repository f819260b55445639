"""How many mails left in the spans that limits speak of: one row for each part of a span."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import sqlalchemy as sa

from engine.instants import DAY, Instant
from engine.pacing import AHEAD, PARTS, Counted, Full, Meter, full, part_of
from engine.stores.driver import Driver
from engine.stores.many import Among
from engine.stores.tables import paces

_COUNTED = sa.select(paces).where(Among(paces.c.name, "names"), paces.c.at > sa.bindparam("after"))
_BEGUN = sa.select(paces).where(Among(paces.c.name, "names"))

_SINCE = " since"
"""What follows the name under which stands when the first mail was counted; that row has no mails, and stays."""
_SEEN = " seen"
"""What follows the name under which stands how much of a part that was dated ahead counts in another one already."""
_KEPT = 25 * PARTS
"""So many parts of a limit are kept, whatever the clock says of their age: a clock that is days ahead must not make
what left a moment ago forgotten, nor one that goes twenty times as fast."""
_NOW_AND_THEN = 17
"""One of so many parts looks for what is old: no divisor of a day, in which mails leave at the same hours."""
_UNUSED = 32 * DAY
"""What nobody has counted for so long is dropped: domains are written to once."""


def read(connection: sa.Connection, meters: Collection[Meter], *, at: Instant) -> dict[str, Counted]:
    """What was counted, by the names of the meters: what their spans reach at ``at``, and what is dated later.

    Of that nothing which was put right: it counts again when the clock comes to it.
    """
    spans: dict[int, list[str]] = {}
    for one in meters:
        spans.setdefault(one.span + one.step, []).append(one.name)
    parts: dict[str, dict[Instant, int]] = {one.name: {} for one in meters}
    since: dict[str, Instant] = {}
    for span, names in spans.items():
        for row in connection.execute(_COUNTED, {"names": names, "after": at - span}):
            parts[row.name][row.at] = row.mails
    ahead = [name + _SEEN for name, found in parts.items() if max(found, default=at) > at + AHEAD]
    for row in connection.execute(_COUNTED, {"names": ahead, "after": at + AHEAD}) if ahead else ():
        parts[row.name.removesuffix(_SEEN)][row.at] -= row.mails
    rising = [one.name + _SINCE for one in meters if one.days]
    for row in connection.execute(_BEGUN, {"names": rising}) if rising else ():
        since[row.name.removesuffix(_SINCE)] = row.at
    found = {name: [(begins, mails) for begins, mails in each.items() if mails] for name, each in parts.items()}
    return {one.name: Counted(tuple(found[one.name]), since.get(one.name)) for one in meters}


def is_ahead(counted: Iterable[Counted], at: Instant) -> bool:
    """Is something dated so much later than ``at`` that the clock was put right since?"""
    return any(begins > at + AHEAD for one in counted for begins, _ in one.parts)


def put_right(
    connection: sa.Connection, driver: Driver, meters: Collection[Meter], *, at: Instant
) -> dict[str, Counted]:
    """Count at ``at``, once, what was counted ahead of it: it left before, nobody knows when."""
    _hold(connection, driver, meters)
    return _put_right(connection, driver, meters, read(connection, meters, at=at), at=at)


def take(
    connection: sa.Connection, driver: Driver, mails: Sequence[Sequence[Meter]], *, at: Instant
) -> list[Full | None]:
    """Count mails that are about to leave, each under all of its meters or under none: one that is full says so."""
    meters = {one.name: one for each in mails for one in each}
    _hold(connection, driver, meters.values())
    found = read(connection, meters.values(), at=at)
    if is_ahead(found.values(), at):
        found = _put_right(connection, driver, meters.values(), found, at=at)
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
    _tidy(connection, [(meters[name], part) for name, part in new if part not in dict(found[name].parts)])
    return answers


def _hold(connection: sa.Connection, driver: Driver, meters: Iterable[Meter]) -> None:
    driver.lock(connection, [f"pace {one.name}" for one in meters])


def _put_right(
    connection: sa.Connection,
    driver: Driver,
    meters: Collection[Meter],
    found: Mapping[str, Counted],
    *,
    at: Instant,
) -> dict[str, Counted]:
    # What is dated ahead stays as it is, too: should the clock be wrong now, it counts when that is put right.
    rows: dict[tuple[str, Instant], int] = {}
    for one in meters:
        for begins, mails in found[one.name].parts:
            if begins > at + AHEAD:
                place = one.name, part_of(one, at)
                rows[place] = rows.get(place, 0) + mails
                rows[one.name + _SEEN, begins] = mails
    _add(connection, driver, [(*place, mails) for place, mails in sorted(rows.items())])
    return read(connection, meters, at=at)


def _tidy(connection: sa.Connection, begun: Sequence[tuple[Meter, Instant]]) -> None:
    """Drop what is behind so many parts that no clock is as wrong; asked by one of some parts that are begun."""
    for meter, part in begun:
        if part // meter.step % _NOW_AND_THEN == 0:
            newest = sa.select(paces.c.at).where(paces.c.name == meter.name).order_by(paces.c.at.desc())
            last = connection.execute(newest.offset(_KEPT).limit(1)).scalar_one_or_none()
            if last is not None:
                connection.execute(sa.delete(paces).where(paces.c.name == meter.name, paces.c.at <= last))
            connection.execute(sa.delete(paces).where(paces.c.mails > 0, paces.c.at < part - _UNUSED))


def _add(connection: sa.Connection, driver: Driver, rows: Sequence[tuple[str, Instant, int]]) -> None:
    if not rows:
        return
    insert = driver.upsert(paces)
    more = insert.on_conflict_do_update(
        index_elements=list(paces.primary_key.columns), set_={"mails": paces.c.mails + insert.excluded.mails}
    )
    connection.execute(more, [dict(zip(("name", "at", "mails"), row, strict=True)) for row in rows])
