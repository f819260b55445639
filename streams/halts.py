"""Why a lane halts: the store and the log do not fit, and only a person can say what to give up."""

from collections.abc import Collection, Iterable

Taken = Iterable[tuple[str, str, int]]
"""The places of ``Store.offsets``: source, topic and partition of every offset that the store has."""


def unfit(topic: str, lane: int, offset: int, first: int, end: int) -> str | None:
    """Why a partition cannot go on at ``offset``, if it cannot; it holds ``first`` up to, not including, ``end``.

    >>> unfit("usage-events", 2, 7, 5, 9), unfit("usage-events", 2, 5, 5, 9), unfit("usage-events", 2, 9, 5, 9)
    (None, None, None)
    """
    where, way = f"{topic}[{lane}]", way_out(topic, lane)
    if offset < first:
        return (
            f"{where}: retention overtook the store; the store goes on at offset {offset}, the log begins at {first}: "
            f"{first - offset} records are gone; bring them back, or accept the loss with '{way}'"
        )
    if offset > end:
        return (
            f"{where}: the log shrank or is another one; the store has read up to offset {offset}, the log ends at "
            f"{end}; bring the old log back, or begin the new one with '{way}'"
        )
    return None


def made_anew(topic: str, lane: int, known: str | None, found: str | None) -> str | None:
    """Why a partition must not go on: its topic has another id than the one whose offsets the store has.

    Where one of them is not told nothing is said: brokers before 2.8 have no ids.

    >>> made_anew("usage-events", 2, "old", "old"), made_anew("usage-events", 2, "old", None)
    (None, None)
    """
    if known is None or found is None or known == found:
        return None
    return (
        f"{topic}[{lane}]: the topic was deleted and made anew; found the id {found}, the store's offset is of {known};"
        f" bring the old one back, or begin the new one with '{way_out(topic, lane)}' (--all in place of {lane} does "
        "every lane)"
    )


def other_sources(taken: Taken, topics: Collection[str], source: str) -> list[str]:
    """The logs other than ``source`` that these topics were read from."""
    return sorted({one for one, topic, _ in taken if topic in topics} - {source})


def other_log(source: str, others: Collection[str], topics: Collection[str], lane: int) -> str | None:
    """Why these topics of a lane, never read from ``source``, must not be begun: they were read from another log."""
    if not others or not topics:
        return None
    ways = " and ".join(f"'{way_out(topic, lane)}'" for topic in topics)
    return (
        f"{', '.join(topics)}[{lane}]: of another log than the one that was read before; found {source}, the store's "
        f"offsets are of {', '.join(others)}; connect to that cluster again, or, if the topics moved here, say where "
        f"to go on: {ways} (--all in place of {lane} does every lane)"
    )


def way_out(topic: str, lane: int) -> str:
    """The command that lets a halted lane go on; TEXT is for whoever asks later.

    >>> way_out("usage-events", 2)
    'ringfirst offsets skip usage-events 2 --to earliest --why TEXT'
    """
    return f"ringfirst offsets skip {topic} {lane} --to earliest --why TEXT"
