"""What was sent, to the byte: kept in the transaction in which a mail is handed over, for as long as somebody wants it.

A mail names people, in its head and in its words. So it goes with the account, with its reader, and with anybody whom
it mentions, however that is written in it.
"""

import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from email import message_from_bytes
from email.policy import default
from functools import lru_cache
from html import unescape
from typing import TYPE_CHECKING

import sqlalchemy as sa

from engine.instants import Instant
from engine.store import Sent
from engine.stores.driver import Driver
from engine.stores.mails import MAIL
from engine.stores.many import each
from engine.stores.tables import outreach, sent

if TYPE_CHECKING:
    from engine.stores.driver import Upsert

_QUICK = 3
"""How hard to compress: a third of the time of zlib's own choice, for a tenth more bytes."""
_WORD = re.compile(r"\w[\w@.+'-]*\w|\w", re.UNICODE)


def packed(one: Sent, at: Instant) -> dict[str, object]:
    """A mail as it is kept; made before a transaction begins, which others wait for."""
    raw = zlib.compress(one.raw, _QUICK)
    return {"mail_id": one.mail_id, "account_id": one.account_id, "user_id": one.user_id, "at": at, "raw": raw}


def keep(connection: sa.Connection, driver: Driver, rows: Sequence[Mapping[str, object]]) -> None:
    """Keep mails; one that is handed over again takes the place of what it was before."""
    each(connection, _keeping(driver.upsert), rows)


@lru_cache(maxsize=2)
def _keeping(upsert: "Callable[[sa.Table], Upsert]") -> sa.Executable:
    names = "account_id", "user_id", "at", "raw"
    insert = upsert(sent).values({name: sa.bindparam(name) for name in ("mail_id", *names)})
    return insert.on_conflict_do_update(
        index_elements=["mail_id"], set_={name: insert.excluded[name] for name in names}
    )


def read(connection: sa.Connection, outreach_id: str) -> bytes | None:
    """The mail in which a decision went out, or None when nothing is kept of it."""
    mail_id = sa.select(MAIL)
    query = sa.select(sent.c.raw).where(
        sent.c.mail_id == mail_id.where(outreach.c.outreach_id == outreach_id).scalar_subquery()
    )
    raw = connection.execute(query).scalar_one_or_none()
    return None if raw is None else zlib.decompress(raw)


def is_older(connection: sa.Connection, before: Instant) -> bool:
    """Is anything kept from before then? Mostly not, and then nothing need be written."""
    oldest = connection.execute(sa.select(sa.func.min(sent.c.at))).scalar_one()
    return oldest is not None and oldest < before


def drop_older(connection: sa.Connection, before: Instant) -> int:
    """Remove what was sent before then; returns how many."""
    return connection.execute(sa.delete(sent).where(sent.c.at < before)).rowcount


def drop_mentioning(connection: sa.Connection, account_id: str, user_id: str, names: Collection[str]) -> int:
    """Remove an account's mails to a person, and those that mention the person by id or by one of the names."""
    wanted = {" ".join(_words(name)) for name in (user_id, *names)} - {""}
    rows = connection.execute(
        sa.select(sent.c.mail_id, sent.c.user_id, sent.c.raw).where(sent.c.account_id == account_id)
    )
    gone = [row.mail_id for row in rows if row.user_id == user_id or _mentions(zlib.decompress(row.raw), wanted)]
    for mail_id in gone:
        connection.execute(sa.delete(sent).where(sent.c.mail_id == mail_id))
    return len(gone)


def _mentions(raw: bytes, wanted: Collection[str]) -> bool:
    said = f" {' '.join(word for text in _texts(raw) for word in _words(text))} "
    return any(f" {one} " in said for one in wanted)


def _texts(raw: bytes) -> Iterator[str]:
    """Head and parts of a mail as somebody reads them, whatever they are written in."""
    mail = message_from_bytes(raw, policy=default)
    yield from (str(value) for value in mail.values())
    for part in mail.walk():
        if part.get_content_maintype() == "text":
            text = part.get_content()
            yield text
            if part.get_content_subtype() == "html":
                yield unescape(re.sub(r"<[^>]*>", " ", text))


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]
