"""What a lane's log is made of: events and the engine's own entries, each at a position and an instant."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from engine.instants import Instant

Scalar = str | bool | int | Decimal | None
Json = Any  # str | bool | int | Decimal | None | list[Json] | dict[str, Json]; mypy has no recursive Any


class Event(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened to an account, as decoded and validated by ``engine.events.decode``.

    ``time`` is when it happened (UTC milliseconds). ``properties`` holds JSON values; numbers are ``int`` or
    ``Decimal``, never ``float``, so that nothing is rounded before a measure reads it. Personal traits are already
    split off: of a personal trait the properties only say ``True`` (set) or ``None`` (cleared).
    """

    id: str
    type: str
    account_id: str
    user_id: str | None
    time: Instant
    properties: Mapping[str, Json]


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An event in its lane's log. ``recorded_at`` never falls along a lane and is never recomputed."""

    position: int
    recorded_at: Instant
    event: Event

    @property
    def account_id(self) -> str:
        """The account whose state this entry changes."""
        return self.event.account_id


class EngineEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry the engine or its keepers wrote: something from elsewhere that decisions may depend on.

    kind and body:
    ``rulebook.activated`` {fingerprint}; ``portfolio.measured`` {at, values: {name: number | null}, things};
    ``outreach.withdrawn`` ``outreach.expired`` ``outreach.rejected`` {decision_id, outreach_id} with an account;
    ``outreach.leaving`` with the same, once a mail is being handed over that the lane might still take back;
    ``rule.released`` {rule, subject_kind, subject_id, at} with an account, see ``engine.going_live``;
    ``source.late`` {source, why, since}, ``source.well`` {source}. ``account_id`` is None for what concerns the whole
    lane.
    """

    position: int
    recorded_at: Instant
    kind: str
    account_id: str | None
    body: Mapping[str, Json]


Entry = Recorded | EngineEntry
