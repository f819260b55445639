"""Domains: how one is written on the wire, and whether an address belongs to one of some."""

import re
from collections.abc import Iterable
from functools import lru_cache

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_TWO_WAYS = frozenset("ß\u1e9eς\u200c\u200d")
"""Letters that the IDNA of 2003, which Python speaks, and that of 2008 write differently (UTS 46, 7)."""


@lru_cache(maxsize=4096)
def wire(domain: str) -> str | None:
    """Give a domain as it goes on the wire: in IDNA, in lower case; None for what is no domain of two parts or more.

    One that IDNA writes in two ways is none: one of them belongs to a stranger.

    >>> wire("Acme.Example"), wire("bücher.example"), wire("localhost"), wire("straße.example")
    ('acme.example', 'xn--bcher-kva.example', None, None)
    """
    if not _TWO_WAYS.isdisjoint(domain):
        return None
    try:
        found = domain.encode("idna").decode().lower()
    except UnicodeError:
        return None
    labels = found.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():  # noqa: PLR2004
        return None
    return found


def within(address: str, domains: Iterable[str]) -> bool:
    """Is the domain of an address one of ``domains``, or below one? How they are written makes no difference.

    >>> [within(one, ["us.example"]) for one in ("a@us.example", "a@mail.US.example", "a@notus.example")]
    [True, True, False]
    >>> within("a@xn--bcher-kva.example", ["Bücher.example"]), within("a@bücher.example", ["xn--bcher-kva.example"])
    (True, True)
    """
    domain = _plain(address.rpartition("@")[2])
    return any(domain == one or domain.endswith("." + one) for one in map(_plain, domains))


def _plain(domain: str) -> str:
    return wire(domain) or domain.lower()
