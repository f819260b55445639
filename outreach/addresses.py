"""Mail addresses: which can be written to, whose they are, and the key under which one is suppressed."""

import re
from collections.abc import Callable, Collection
from functools import lru_cache

from engine.domains import wire, within

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LONGEST_LOCAL, _LONGEST = 64, 254
ROLES = frozenset({"abuse", "hostmaster", "mailer-daemon", "postmaster", "webmaster"}) | frozenset(
    {"do-not-reply", "donotreply", "no-reply", "noreply"}
)
"""Local parts that are nobody's (RFC 2142, and those that say themselves that nobody reads them)."""


def clean_address(text: object) -> str | None:
    """Give an address as it goes on the wire (ASCII, RFC 5321 lengths, domain in lower case), or None.

    A domain in other letters is written in IDNA; a local part in other letters needs SMTPUTF8, which we do not speak.
    A domain that IDNA writes in two ways is none: one of them belongs to a stranger.

    >>> clean_address(" Ada@Example.COM "), clean_address("no one"), clean_address("a@b@c.example")
    ('Ada@example.com', None, None)
    """
    return _cleaned(text) if isinstance(text, str) and len(text) <= 4 * _LONGEST else None


@lru_cache(maxsize=4096)  # a sender asks for the same one a dozen times a mail
def _cleaned(text: str) -> str | None:
    local, at, domain = text.strip().rpartition("@")
    if not at or len(local) > _LONGEST_LOCAL or not _LOCAL.fullmatch(local):
        return None
    where = wire(domain)
    return f"{local}@{where}" if where is not None and len(local) + len(where) < _LONGEST else None


def is_staff(address: str, domains: Collection[str]) -> bool:
    """Whether an address is one of ours: its domain is one of ``domains`` or lies below one.

    >>> [is_staff(address, ["us.example"]) for address in ("a@us.example", "a@mail.us.example", "a@notus.example")]
    [True, True, False]
    """
    return within(address, domains)


def is_role(address: str) -> bool:
    """Whether an address stands for a role that no person reads mail in.

    >>> is_role("No-Reply@acme.example"), is_role("ada@acme.example")
    (True, False)
    """
    return address.rpartition("@")[0].lower() in ROLES


def address_key(key: Callable[[str], str], address: str) -> str:
    """Give the keyed hash under which an address is suppressed; ``key`` is the store's. Case does not matter in it."""
    return key("address:" + address.strip().casefold())
