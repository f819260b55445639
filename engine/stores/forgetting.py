"""Forgetting: an account goes everywhere, a person becomes a pseudonym; a keyed hash stays as the tombstone."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from engine.instants import Instant
from engine.reported import renamed_in
from engine.rulebook.reporting import REPORTED
from engine.store import Forgotten
from engine.stores import sent, tables, typed
from engine.stores.codec import decode, encode, mentions, renamed
from engine.stores.driver import Driver

Key = Callable[[str], str]
PERSON = "person"
OUTREACH = "outreach."
"""How the types of events begin that Ringfirst writes itself."""


def account(connection: sa.Connection, driver: Driver, key: Key, account_id: str, *, at: Instant) -> Forgotten:
    """Remove an account's rows from every table; suppressions stay, they are keyed hashes themselves."""
    _bury(connection, driver, account_key(key, account_id), at=at, pseudonym=None, account_id=None)
    # Its people's tombstones keep their hashes, and lose the account's name.
    stones = tables.tombstones
    connection.execute(sa.update(stones).where(stones.c.account_id == account_id).values(account_id=None))
    _drop_strays(connection, account_id)
    _drop_rhythms(connection, key, account_id)
    typed.redact(connection, account_id, [account_id, *_names_in(connection, account_id)], "forgotten")
    _rename_audit(connection, account_id, "forgotten")
    gone = {
        table.name: connection.execute(sa.delete(table).where(table.c.account_id == account_id)).rowcount
        for table in _tables_with_accounts()
    }
    return Forgotten(**{name: gone[name] for name in Forgotten.__struct_fields__})


def person(
    connection: sa.Connection,
    driver: Driver,
    key: Key,
    account_id: str,
    user_id: str,
    *,
    properties: Iterable[str],
    at: Instant,
) -> Forgotten:
    """Put a pseudonym in the place of a person everywhere; traits, and records that nobody can read, go."""
    hashed = person_key(key, account_id, user_id)
    pseudonym = _pseudonym(connection, hashed) or f"p-{secrets.token_hex(8)}"
    _bury(connection, driver, hashed, at=at, pseudonym=pseudonym, account_id=account_id)
    _drop_rhythms(connection, key, account_id, user_id)
    swap = _Swap(connection, account_id, user_id, pseudonym)
    names = _names_of(connection, account_id, user_id)
    done = Forgotten(
        events=swap.events(frozenset(properties)),
        decisions=swap.decisions(),
        outreach=swap.outreach(),
        dead_letters=swap.dead_letters(),
        snapshots=swap.drop(tables.snapshots),
        people=swap.drop(tables.people, tables.people.c.user_id == user_id),
    )
    # After the mails are locked: of one that is just being handed over, a sender may have kept the bytes until then.
    sent.drop_mentioning(connection, account_id, user_id, names)
    swap.drop(tables.approvals)  # their words hold names; what waits is shown to somebody once more
    swap.beside()
    typed.redact(connection, account_id, [user_id, *names], pseudonym)
    _rename_audit(connection, user_id, pseudonym)
    return done


def any_stone(connection: sa.Connection) -> bool:
    """Was anybody ever forgotten? Mostly not, and then no hash need be made to ask for."""
    return connection.execute(sa.select(sa.exists(sa.select(tables.tombstones.c.hash)))).scalar_one()


def buried(connection: sa.Connection, key: Key, accounts: Sequence[str]) -> frozenset[str]:
    """Which of these accounts were forgotten."""
    if not any_stone(connection):
        return frozenset()
    by_hash = {account_key(key, one): one for one in accounts}
    return frozenset(by_hash[row.hash] for row in _stones(connection, list(by_hash)))


def pseudonyms(connection: sa.Connection, key: Key, people: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Of these (account id, user id) the forgotten ones, with their pseudonyms."""
    if not any_stone(connection):
        return {}
    by_hash = {person_key(key, *one): one for one in people}
    return {by_hash[row.hash]: row.pseudonym for row in _stones(connection, list(by_hash))}


def altered(connection: sa.Connection) -> frozenset[str]:
    """Accounts in which a person was forgotten."""
    column = tables.tombstones.c.account_id
    return frozenset(connection.execute(sa.select(column).where(column.is_not(None)).distinct()).scalars())


def account_key(key: Key, account_id: str) -> str:
    """The hash that an account's tombstone is filed under."""
    return key(f"account\0{account_id}")


def person_key(key: Key, account_id: str, user_id: str) -> str:
    """The hash that a person's tombstone is filed under."""
    return key(f"{PERSON}\0{account_id}\0{user_id}")


def _names_of(connection: sa.Connection, account_id: str, user_id: str) -> list[str]:
    """What a person is called by, the parts of the name too: a mail may greet with the first of them alone."""
    mine = tables.people.c.account_id == account_id, tables.people.c.user_id == user_id
    query = sa.select(*tables.people.c["name", "value"]).where(*mine)
    found = {row.name: decode(row.value) for row in connection.execute(query) if row.value}
    texts = [one for one in found.values() if isinstance(one, str)]
    parts = str(found.get("name") or "").split()
    return [*texts, *parts[:1], *parts[-1:]]


def _names_in(connection: sa.Connection, account_id: str) -> list[str]:
    """What the people of an account are called by."""
    column = tables.people.c.user_id
    ids = connection.execute(sa.select(column).where(tables.people.c.account_id == account_id).distinct()).scalars()
    return [name for user_id in ids.all() for name in _names_of(connection, account_id, user_id)]


class _Swap:
    """One person's id, everywhere in one account, against a pseudonym."""

    def __init__(self, connection: sa.Connection, account_id: str, user_id: str, pseudonym: str) -> None:
        self.connection = connection
        self.account_id = account_id
        self.old = user_id
        self.new = pseudonym

    def events(self, properties: frozenset[str]) -> int:
        """Swap ``user_id`` and the properties that name the person; all else of a body stays byte for byte.

        What Ringfirst wrote itself names people anywhere; a report names them in known places, among figures whose
        names may be a person's id too.
        """
        keys = "lane", "position"
        return self._rewrite(
            tables.events,
            keys,
            ("type", "user_id", "body", "digest"),
            lambda row: self._event(row, properties),
        )

    def _event(self, row: Any, properties: frozenset[str]) -> tuple[Any, ...]:
        """A digest goes with what it was of: a hash would let whoever guesses an id confirm it."""
        user_id = self.new if row.user_id == self.old else row.user_id
        ours = row.type.startswith(OUTREACH)
        if row.type == REPORTED:
            body = self._figures(row.body, "figures")
        else:
            body = self._json(row.body) if ours else self._body(row.body, properties)
        same = user_id == row.user_id and body == row.body
        return row.type, user_id, body, row.digest if same else bytes(16)

    def decisions(self) -> int:
        """Swap the subject when it is the person, and every mention in what was frozen."""
        names = "subject_id", "occasion", "values", "frozen", "mails"
        return self._rewrite(
            tables.decisions,
            ("decision_id",),
            names,
            lambda row: (
                self._subject(row),
                self._text(row.occasion),
                self._json(row[-3]),
                self._figures(row[-2], "report"),
                self._json(row[-1]),
            ),
        )

    def outreach(self) -> int:
        """Swap the reader, and the same as in decisions."""
        names = "subject_id", "to", "values", "frozen"
        return self._rewrite(
            tables.outreach,
            ("outreach_id",),
            names,
            lambda row: (
                self._subject(row),
                self._text(row.to),
                self._json(row[-2]),
                self._figures(row[-1], "report"),
            ),
        )

    def dead_letters(self) -> int:
        """Drop the account's dead letters that mention the person: what cannot be read cannot be rewritten."""
        return _drop_strays(self.connection, self.account_id, self.old) + sum(
            self._drop_mentioning(tables.dead_letters, ("seq",), name) for name in ("raw", "headers")
        )

    def beside(self) -> None:
        """Swap in touches (caps still count them), engine entries and what waits in the inbox."""
        touches = tables.touches.c
        mine = touches.account_id == self.account_id, touches.user_id == self.old
        self.connection.execute(sa.update(tables.touches).where(*mine).values(user_id=self.new))
        for table, keys in (
            (tables.log, ("lane", "position")),
            (tables.inbox, ("lane", "seq")),
            (tables.outbox, ("seq",)),
        ):
            self._rewrite(table, keys, ("body",), lambda row: (self._json(row[-1]),))
        self._drop_mentioning(tables.inbox, ("lane", "seq"), "body", unless=_readable)

    def drop(self, table: sa.Table, *conditions: "sa.ColumnElement[bool]") -> int:
        """Delete the account's rows of a table that meet the conditions."""
        return self.connection.execute(
            sa.delete(table).where(table.c.account_id == self.account_id, *conditions)
        ).rowcount

    def _rows(self, table: sa.Table, names: Sequence[str]) -> list[sa.Row[Any]]:
        extra = ["subject_kind"] if "subject_id" in names else []
        wanted = [table.c[name] for name in (*extra, *names)]
        query = sa.select(*wanted).where(table.c.account_id == self.account_id).with_for_update()
        return list(self.connection.execute(query.order_by(*table.primary_key.columns)))

    def _rewrite(
        self,
        table: sa.Table,
        keys: Sequence[str],
        names: Sequence[str],
        change: Callable[[Any], tuple[Any, ...]],
    ) -> int:
        changed = []
        for row in self._rows(table, (*keys, *names)):
            values = change(row)
            if values != tuple(row)[-len(names) :]:
                the_keys = {f"the_{key}": getattr(row, key) for key in keys}
                changed.append({**the_keys, **dict(zip(names, values, strict=True))})
        if changed:
            here = [table.c[key] == sa.bindparam(f"the_{key}") for key in keys]
            self.connection.execute(sa.update(table).where(*here), changed)
        return len(changed)

    def _drop_mentioning(
        self,
        table: sa.Table,
        keys: Sequence[str],
        name: str,
        *,
        unless: Callable[[bytes], bool] = lambda _: False,
    ) -> int:
        rows = self._rows(table, (*keys, name))
        gone = [row for row in rows if mentions(row[-1] or b"", self.old) and not unless(row[-1])]
        for row in gone:
            here = [table.c[key] == getattr(row, key) for key in keys]
            self.connection.execute(sa.delete(table).where(*here))
        return len(gone)

    def _body(self, raw: bytes, properties: frozenset[str]) -> bytes:
        if not mentions(raw, self.old):
            return raw
        body = decode(raw)
        swapped = {
            name: renamed(value, self.old, self.new) if name in properties else value for name, value in body.items()
        }
        return raw if swapped == body else encode(swapped)

    def _json(self, raw: bytes) -> bytes:
        if not mentions(raw, self.old) or not _readable(raw):
            return raw
        value = decode(raw)
        swapped = renamed(value, self.old, self.new)
        return raw if swapped == value else encode(swapped)

    def _figures(self, raw: bytes, name: str) -> bytes:
        """The same with a report under that name: in its figures only what is a person is renamed."""
        if not mentions(raw, self.old) or not _readable(raw):
            return raw
        value = decode(raw)
        beside = {key: one for key, one in value.items() if key != name}
        swapped = renamed(beside, self.old, self.new) if name == "report" else beside
        if name in value:
            swapped[name] = renamed_in(value[name], lambda one: self.new if one == self.old else one)
        return raw if swapped == value else encode(swapped)

    def _subject(self, row: Any) -> str | None:
        return self._text(row.subject_id) if row.subject_kind == PERSON else row.subject_id

    def _text(self, text: str | None) -> str | None:
        return self.new if text == self.old else text


def _bury(
    connection: sa.Connection,
    driver: Driver,
    hashed: str,
    *,
    at: Instant,
    pseudonym: str | None,
    account_id: str | None,
) -> None:
    row = {"hash": hashed, "at": at, "pseudonym": pseudonym, "account_id": account_id}
    connection.execute(driver.upsert(tables.tombstones).values(row).on_conflict_do_nothing())


def _stones(connection: sa.Connection, hashes: Sequence[str]) -> list[sa.Row[Any]]:
    found: list[sa.Row[Any]] = []
    for at in range(0, len(hashes), 1_000):
        column = tables.tombstones.c.hash
        found += connection.execute(sa.select(tables.tombstones).where(column.in_(hashes[at : at + 1_000])))
    return found


def _pseudonym(connection: sa.Connection, hashed: str) -> str | None:
    return next((row.pseudonym for row in _stones(connection, [hashed])), None)


def _drop_rhythms(connection: sa.Connection, key: Key, account_id: str, user_id: str | None = None) -> None:
    """Drop how often the readers who go wanted a report; another account that writes to the address keeps it."""
    people, mails = tables.people, tables.outreach
    whose = [people.c.account_id == account_id, people.c.name == "email"]
    mine = [mails.c.account_id == account_id]
    if user_id is not None:
        whose.append(people.c.user_id == user_id)
        mine.append(mails.c.to == user_id)
    emails = [decode(one) for one in connection.execute(sa.select(people.c.value).where(*whose)).scalars() if one]
    keys = {key("address:" + one.strip().casefold()) for one in emails if isinstance(one, str)}
    keys |= set(connection.execute(sa.select(mails.c.person).where(*mine, mails.c.person.is_not(None))).scalars())
    for one in sorted(keys):
        others = sa.select(mails.c.person).where(mails.c.person == one, sa.not_(sa.and_(*mine)))
        gone = sa.delete(tables.rhythms).where(tables.rhythms.c.address_key == one, ~others.exists())
        connection.execute(gone)


def _tables_with_accounts() -> list[sa.Table]:
    # Children first; a table that a later version adds is found by its column.
    found = [table for table in reversed(tables.metadata.sorted_tables) if "account_id" in table.c]
    return [table for table in found if table is not tables.tombstones]


def _drop_strays(connection: sa.Connection, account_id: str, user_id: str | None = None) -> int:
    # A record without a readable account may still name it; a bare mention could be anything, a quoted one is it.
    gone = 0
    letters = tables.dead_letters.c
    query = sa.select(*letters["seq", "raw", "headers"]).where(letters.account_id.is_(None))
    for row in connection.execute(query).all():
        if all(one is None or _names(row, one) for one in (account_id, user_id)):
            connection.execute(sa.delete(tables.dead_letters).where(letters.seq == row.seq))
            gone += 1
    return gone


def _names(row: Any, name: str) -> bool:
    in_headers = row.headers is not None and mentions(row.headers, name)
    return in_headers or mentions(row.raw, name, quoted=True)


def _rename_audit(connection: sa.Connection, old: str, new: str) -> None:
    table = tables.audit
    for row in connection.execute(sa.select(*table.c["seq", "detail"])).all():
        if mentions(row.detail, old):
            detail = encode(renamed(decode(row.detail), old, new))
            connection.execute(sa.update(table).where(table.c.seq == row.seq).values(detail=detail))


def _readable(raw: bytes) -> bool:
    try:
        decode(raw)
    except msgspec.DecodeError:
        return False
    return True
