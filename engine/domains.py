"""Domains: whether an address belongs to one of some."""

from collections.abc import Iterable


def within(address: str, domains: Iterable[str]) -> bool:
    """Is the domain of an address one of ``domains``, or below one? Upper and lower case are the same.

    >>> [within(one, ["us.example"]) for one in ("a@us.example", "a@mail.US.example", "a@notus.example")]
    [True, True, False]
    """
    domain = address.rpartition("@")[2].lower()
    return any(domain == one or domain.endswith("." + one) for one in map(str.lower, domains))
