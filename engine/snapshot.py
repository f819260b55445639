"""Snapshots: an account as bytes and back. They save time and nothing else; any of them may be deleted."""

from typing import Any

import msgspec

from engine.account import PORTFOLIO, Account, Memory, Planned
from engine.instants import Instant
from engine.occasions import Occasions, shared
from engine.program import Program
from engine.rulebook.spec import fingerprint
from engine.state import AccountState, pack, plain_state, unpack
from engine.things import Row
from engine.whole import Whole
from engine.zones import zone

VERSION = "6"


class Packed(msgspec.Struct):
    """What a snapshot holds; ``shape`` tells whether this program can read it."""

    shape: str
    zone: str
    clock: Instant
    next_at: Instant | None
    log_began: Instant
    state: AccountState
    portfolio: dict[str, Any]
    truths: dict[str, dict[str, Memory]]
    used: Occasions
    open: dict[str, dict[str, Planned]]
    late: tuple[str, ...] = ()
    wide: bool = False
    """Are numbers beyond 64 bits among what measures keep, so that all of it is packed as JSON values are?"""
    released: dict[str, Instant] | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Packed).decode


def shape_of(program: Program) -> str:
    """Tells one way of keeping state from another: the version of this code and every measure's definition."""
    if not program.mark:
        program.mark = _shape(program)
    return program.mark


def _shape(program: Program) -> str:
    parts = [VERSION, *(kept.spec.fingerprint for kept in program.shape.kept)]
    parts += [f"{name}{thing.fingerprint}{thing.keep}" for name, thing in program.shape.things.items()]
    return fingerprint("\n".join(parts))


def freeze(account: Account) -> bytes:
    """An account as bytes."""
    packed = Packed(
        shape_of(account.program),
        account.zone.key,
        account.clock,
        account.next_look,
        account.log_began,
        _packed_raw(plain_state(account.state)),
        account.portfolio,
        account.truths,
        account.used,
        account.open,
        account.late,
        released=account.released,
    )
    try:
        return _encode(packed)
    except OverflowError:
        return _encode(msgspec.structs.replace(packed, state=_each_kept(packed.state, pack), wide=True))


def thaw(account_id: str, position: int, program: Program, state: bytes) -> Account | None:
    """An account from its snapshot; None when the snapshot is of another shape and the log must be read instead."""
    try:
        packed = _decode(state)
    except msgspec.DecodeError:
        return None
    if packed.shape != shape_of(program):
        return None
    account = (
        Whole(program, packed.log_began) if account_id == PORTFOLIO else Account(account_id, program, packed.log_began)
    )
    account.zone = zone(packed.zone)
    account.clock, account.next_at, account.position = packed.clock, packed.next_at, position
    account.state = _each_kept(packed.state, unpack) if packed.wide else packed.state
    _unpack_raw(account.state)
    account.portfolio, account.late = packed.portfolio, packed.late
    used = {shared(world): rows for world, rows in packed.used.items()}
    account.truths, account.used, account.open = packed.truths, used, packed.open
    account.released = packed.released
    return account


def _packed_raw(state: AccountState) -> AccountState:
    """The state with the JSON values of traits and properties packed."""
    things = {
        kind: {key: msgspec.structs.replace(one, props=_rows(one.props)) for key, one in things.items()}
        for kind, things in state.things.items()
    }
    return msgspec.structs.replace(state, traits=_rows(state.traits), things=things)


def _unpack_raw(state: AccountState) -> None:
    """Unpack the JSON values of traits and properties where they stand; nearly all of them are texts and stay."""
    for rows in (state.traits, *(one.props for things in state.things.values() for one in things.values())):
        for name, row in rows.items():
            if type(row[2]) is list:
                rows[name] = (row[0], row[1], unpack(row[2]))


def _each_kept(state: AccountState, convert: Any) -> AccountState:
    """The state with what measures keep converted."""
    things = {
        kind: {key: msgspec.structs.replace(one, kept=convert(one.kept)) for key, one in things.items()}
        for kind, things in state.things.items()
    }
    return msgspec.structs.replace(state, kept=convert(state.kept), things=things)


def _rows(rows: dict[str, Row]) -> dict[str, Row]:
    return {name: (row[0], row[1], pack(row[2])) for name, row in rows.items()}
