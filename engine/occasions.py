"""The occasions that an account's rules have used: when, and whether they were given back."""

import sys
from collections.abc import Collection, Sequence
from functools import lru_cache

import msgspec

from engine.decision import Subject, decision_id
from engine.instants import DAY, Instant, iso

KEPT = 30 * DAY
"""How long every used occasion is kept: the mail of a younger one may still expire and give it back."""


spelled = lru_cache(maxsize=1024)(iso)
"""An instant as the name of an occasion: one decision asks for it several times."""


class Used(msgspec.Struct, gc=False, omit_defaults=True):
    """An occasion that was used: when, how many of its mails may still leave, and whether it was given back.

    ``name`` is the occasion; None for one that is named by its instant, as nearly all are.
    """

    at: Instant
    mails: int = 0
    given_back: bool = False
    name: str | None = None

    @property
    def occasion(self) -> str:
        """What makes its decision another than those of the same rule and subject."""
        return spelled(self.at) if self.name is None else self.name


World = str
"""A rule and subject, among drafts or live decisions: ``draft`` or ``live``, rule and subject's key, NUL between."""
Occasions = dict[World, Used | list[Used]]
"""One occasion stands alone, for most rules and subjects have no more."""


def used_in(occasions: Occasions, world: World) -> Sequence[Used]:
    """The used occasions of a world."""
    found = occasions.get(world)
    return () if found is None else found if isinstance(found, list) else (found,)


def named(occasions: Occasions, world: World, occasion: str) -> Used | None:
    """A used occasion by its name."""
    return next((one for one in used_in(occasions, world) if one.occasion == occasion), None)


def use(occasions: Occasions, world: World, occasion: str, used: Used) -> None:
    """Note that an occasion is used; it may have been given back before."""
    used.name = None if occasion == spelled(used.at) else sys.intern(occasion)
    rest = [one for one in used_in(occasions, world) if one.occasion != occasion]
    occasions[shared(world)] = [*rest, used] if rest else used


def shared(world: World) -> World:
    """The same text once for all accounts, but for worlds of their own things."""
    return sys.intern(world) if world.endswith("\0") else world


def outlive(occasions: Occasions, world: World, at: Instant, kept: Collection[Instant]) -> None:
    """Drop old occasions that a newer one stands before, but those of the instants ``kept``: only the last counts.

    The last one stays, however old: after an edit of the rule it may count again.
    """
    rows = used_in(occasions, world)
    old = [one for one in rows if one.at < at - KEPT and one.at not in kept]
    if not old:
        return
    last = max((one.at for one in old if not one.given_back), default=0)
    gone = [one for one in old if one.given_back or one.at < last]
    if gone:
        rest = [one for one in rows if one not in gone]
        if rest:
            occasions[world] = rest if len(rest) > 1 else rest[0]
        else:
            del occasions[world]


def decision_of(account_id: str, world: World, used: Used) -> str:
    """The id of the decision that used an occasion."""
    state, rule, key = world.split("\0", 2)
    about = Subject(*key.split("\0", 1)) if key else None
    return decision_id(rule, account_id, about, f"draft:{used.occasion}" if state == "draft" else used.occasion)
