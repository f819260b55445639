"""People apart from events: their personal traits, when they were in contact, and where never to write again."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from engine.instants import Instant
from engine.store import (
    ALL_TOPICS,
    SUBSCRIPTION,
    Choice,
    Chosen,
    Every,
    Note,
    Suppression,
    Touch,
    Trait,
    Wishes,
)
from engine.stores.codec import decode, encode
from engine.stores.driver import Driver
from engine.stores.many import Among
from engine.stores.tables import audit, choices, people, rhythms, suppressions, touches

# Made once: a sender asks them of every batch of mails.
_TRAITS = (
    sa.select(*people.c["account_id", "user_id", "name", "value"])
    .where(Among(people.c.account_id, "accounts"))
    .order_by(people.c.account_id, people.c.user_id, people.c.name)
)
_EMAILS = sa.select(*people.c["account_id", "user_id", "value"]).where(
    Among(people.c.account_id, "accounts"),
    Among(people.c.user_id, "people"),
    people.c.name == "email",
)
_SUBSCRIBED = (
    sa.select(touches.c.account_id, touches.c.kind)
    .where(
        Among(touches.c.account_id, "accounts"), touches.c.channel == SUBSCRIPTION, touches.c.at <= sa.bindparam("at")
    )
    .order_by(touches.c.at, touches.c.touch)
)
_NEVER = sa.cast(sa.null(), sa.BigInteger)
_WISHES = sa.union_all(
    sa.select(
        suppressions.c.address_key, sa.null().label("topic"), suppressions.c.reason.label("said"), _NEVER.label("at")
    ).where(Among(suppressions.c.address_key, "keys")),
    sa.select(choices.c.address_key, choices.c.topic, choices.c.choice, _NEVER).where(
        Among(choices.c.address_key, "keys")
    ),
    sa.select(rhythms.c.address_key, rhythms.c.report, rhythms.c.every, rhythms.c.at).where(
        Among(rhythms.c.address_key, "keys")
    ),
)


def put_traits(connection: sa.Connection, driver: Driver, traits: Sequence[Trait]) -> None:
    """Keep traits; per person and trait the newest by (time, position) wins, in whatever order they come."""
    newest: dict[tuple[str, str, str], Trait] = {}
    for trait in sorted(traits, key=lambda one: (one.time, one.position)):
        newest[trait.account_id, trait.user_id, trait.name] = trait
    if not newest:
        return
    insert = driver.upsert(people)
    new = insert.excluded
    later = sa.tuple_(new.time, new.position) >= sa.tuple_(people.c.time, people.c.position)
    values = {name: new[name] for name in ("value", "time", "position")}
    keys = list(people.primary_key.columns)
    connection.execute(
        insert.on_conflict_do_update(index_elements=keys, set_=values, where=later),
        [_row(one) for one in newest.values()],
    )


def emails_of(connection: sa.Connection, whom: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    """The trait ``email`` of people of accounts; those without one are absent."""
    pairs = set(whom)
    named = {"accounts": sorted({account for account, _ in pairs}), "people": sorted({person for _, person in pairs})}
    found = connection.execute(_EMAILS, named) if pairs else ()
    return {(row[0], row[1]): decode(row[2]) for row in found if row[2] is not None and (row[0], row[1]) in pairs}


def of_accounts(connection: sa.Connection, account_ids: Collection[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Traits per account and person, by bytes of all names; cleared ones are absent, accounts without any too."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for account_id, user_id, name, value in connection.execute(_TRAITS, {"accounts": list(account_ids)}):
        if value is not None:
            found.setdefault(account_id, {}).setdefault(user_id, {})[name] = decode(value)
    return found


def put_touches(connection: sa.Connection, driver: Driver, new: Sequence[Touch]) -> None:
    """Keep who was in contact when."""
    driver.insert(connection, touches, [(one.account_id, one.user_id, one.at, one.channel, one.kind) for one in new])


def cancelled(connection: sa.Connection, account_ids: Collection[str], at: Instant) -> frozenset[str]:
    """The accounts of which the newest that is known of the subscription by then is that it was cancelled."""
    told = connection.execute(_SUBSCRIBED, {"accounts": list(account_ids), "at": at})
    newest = {row.account_id: row.kind for row in told}
    return frozenset(name for name, kind in newest.items() if kind == "subscription.cancelled")


def read_touches(connection: sa.Connection, account_id: str, since: Instant | None) -> list[Touch]:
    """Contacts with an account, oldest first."""
    query = sa.select(*touches.c["account_id", "user_id", "at", "channel", "kind"])
    query = query.where(touches.c.account_id == account_id).order_by(touches.c.at, touches.c.touch)
    if since is not None:
        query = query.where(touches.c.at >= since)
    return [Touch(*row) for row in connection.execute(query)]


def hold(connection: sa.Connection, driver: Driver, *address_keys: str) -> None:
    """Wait until nobody claims a mail to these addresses, and let nobody begin to, until the transaction ends.

    Who holds several names them together: two that take them one by one can wait for each other.
    """
    driver.lock(connection, [f"person {key}" for key in address_keys])


def suppress(connection: sa.Connection, driver: Driver, address_key: str, *, reason: str, at: Instant) -> bool:
    """Keep an address from being written to; the first reason stays. Returns whether it is new."""
    hold(connection, driver, address_key)
    row = {"address_key": address_key, "reason": reason, "at": at}
    fresh = suppressed(connection, address_key) is None
    connection.execute(driver.upsert(suppressions).values(row).on_conflict_do_nothing())
    return fresh


def suppressed(connection: sa.Connection, address_key: str) -> str | None:
    """Why an address is not written to, or None."""
    query = sa.select(suppressions.c.reason).where(suppressions.c.address_key == address_key)
    return connection.execute(query).scalar()


def unsuppress(connection: sa.Connection, driver: Driver, address_key: str) -> bool:
    """Let an address be written to again. Returns whether it was suppressed."""
    hold(connection, driver, address_key)
    gone = sa.delete(suppressions).where(suppressions.c.address_key == address_key)
    return bool(connection.execute(gone).rowcount)


def all_suppressed(connection: sa.Connection) -> list[Suppression]:
    """Every suppressed address, oldest first."""
    query = sa.select(suppressions).order_by(suppressions.c.at, suppressions.c.address_key)
    return [Suppression(row.address_key, row.reason, row.at) for row in connection.execute(query)]


def wishes(connection: sa.Connection, address_key: str) -> Wishes:
    """Why an address is not written to, and what its reader chose."""
    return wishes_of(connection, [address_key])[address_key]


def wishes_of(connection: sa.Connection, address_keys: Collection[str]) -> dict[str, Wishes]:
    """The same of many addresses, in one question: it is asked of every mail that is due, claimed or handed over."""
    found: dict[str, dict[str | None, Any]] = {key: {} for key in address_keys}
    chosen: dict[str, dict[str, list[tuple[Instant, Every]]]] = {key: {} for key in address_keys}
    for key, name, said, at in connection.execute(_WISHES, {"keys": list(found)}):
        if at is None:
            found[key][name] = said
        else:
            chosen[key].setdefault(name, []).append((at, said))
    return {
        key: Wishes(
            said.pop(None, None),
            dict(sorted(said.items())),  # type: ignore[arg-type]
            {report: tuple(sorted(history)) for report, history in sorted(chosen[key].items())},
        )
        for key, said in found.items()
    }


def all_chosen(connection: sa.Connection) -> list[Chosen]:
    """Every choice of a reader, oldest first."""
    query = sa.select(choices).order_by(choices.c.at, choices.c.address_key, choices.c.topic)
    return [Chosen(row.address_key, row.topic, row.choice, row.at, row.by) for row in connection.execute(query)]


def last_choice(connection: sa.Connection, address_key: str) -> Instant | None:
    """When the reader of an address last chose something that still holds; None: never."""
    query = sa.select(sa.func.max(choices.c.at)).where(choices.c.address_key == address_key)
    return connection.execute(query).scalar()


def choose(
    connection: sa.Connection,
    driver: Driver,
    address_key: str,
    chosen: Mapping[str, Choice | None],
    *,
    at: Instant,
    by: str,
) -> bool:
    """Keep what the reader of an address chose. Returns whether anything is other than before."""
    hold(connection, driver, address_key)
    before = wishes(connection, address_key).choices
    kept = {} if ALL_TOPICS in chosen else before  # it speaks of every topic: what was said of single ones is over
    after = {topic: choice for topic, choice in {**kept, **chosen}.items() if choice is not None}
    gone = [topic for topic in before if after.get(topic) != before[topic]]
    new = [topic for topic in after if after[topic] != before.get(topic)]
    if gone:
        mine = choices.c.address_key == address_key, choices.c.topic.in_(gone)
        connection.execute(sa.delete(choices).where(*mine))
    driver.insert(connection, choices, [(address_key, topic, after[topic], at, by) for topic in new])
    return bool(gone or new)


def choose_rhythm(
    connection: sa.Connection, driver: Driver, address_key: str, report: str, every: Every, *, at: Instant, by: str
) -> bool:
    """Keep how often the reader of an address wants a report. Returns whether that is another than before."""
    hold(connection, driver, address_key)
    history = wishes(connection, address_key).rhythms.get(report, ())
    last, before = history[-1] if history else (at - 1, "month")
    if before == every:
        return False
    driver.insert(connection, rhythms, [(address_key, report, max(at, last + 1), every, by)])
    return True


def with_rhythms(connection: sa.Connection, report: str) -> frozenset[str]:
    """The addresses whose readers ever chose how often they get a report."""
    query = sa.select(rhythms.c.address_key).where(rhythms.c.report == report).distinct()
    return frozenset(connection.execute(query).scalars())


def note(connection: sa.Connection, one: Note) -> None:
    """Write down who did what by hand."""
    connection.execute(sa.insert(audit).values(at=one.at, who=one.who, what=one.what, detail=encode(one.detail)))


def _row(trait: Trait) -> dict[str, Any]:
    value = None if trait.value is None else encode(trait.value)
    return {
        "account_id": trait.account_id,
        "user_id": trait.user_id,
        "name": trait.name,
        "value": value,
        "time": trait.time,
        "position": trait.position,
    }
