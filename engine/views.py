"""Views: values of an account, a thing or an event as of one moment, read once and remembered while the look lasts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from engine.instants import Instant
from engine.log import Event
from engine.measures.measure import Moment
from engine.state import AccountState
from engine.things import ThingState
from engine.values import Value, nested, read
from engine.zones import Zone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.program import Program

UNREAD: Any = object()


class Slot(Protocol):
    """A name, ready to be read. ``view`` is an ``AccountView`` or a ``ThingView``, as the slot was made for."""

    moves: bool
    """May the value turn between midnights without an event?"""

    def read(self, view: Any) -> Value:
        """The value as of the view's moment."""
        ...

    def turns(self, view: Any, constants: Sequence[float]) -> "Iterable[Instant]":
        """Instants at which it may turn between midnights without an event."""
        ...


class AccountView:
    """An account as of one moment; ``view[i]`` is the value of the program's slot ``i``."""

    __slots__ = (
        "_cache",
        "_seen",
        "account_id",
        "log_began",
        "moment",
        "opened",
        "portfolio",
        "program",
        "state",
        "things",
    )

    def __init__(
        self,
        program: "Program",
        state: AccountState,
        moment: Moment,
        portfolio: Mapping[str, Value],
        account_id: str,
        log_began: Instant,
        opened: Mapping[str, Mapping[str, None]] | None = None,
    ) -> None:
        self.opened = opened
        self.program = program
        self.account_id = account_id
        self.log_began = log_began
        self.state = state
        self.moment = moment
        self.portfolio = portfolio
        self.things: dict[str, list[ThingView]] = {}
        self._cache: list[Value] = [UNREAD] * len(program.slots)
        self._seen: Instant | None = UNREAD

    def __getitem__(self, index: int) -> Value:
        value = self._cache[index]
        if value is UNREAD:
            value = self._cache[index] = self.program.slots[index].read(self)
        return value

    @property
    def seen(self) -> Instant | None:
        """When the account was first seen."""
        if self._seen is UNREAD:
            self._seen = self.state.seen(self.moment.zone)
        return self._seen

    @property
    def watched(self) -> Instant | None:
        """Since when all that happened in the account would be in our log: what ``full: true`` asks."""
        return self.state.watched(self.moment.zone, self.log_began)

    def value(self, name: str) -> Value:
        """The value of an account's name."""
        return self[self.program.index[name]]

    def open_things(self, kind: str) -> "list[ThingView]":
        """The open things of a kind, by id, each with its own view."""
        found = self.things.get(kind)
        if found is None:
            found = self.things[kind] = self.program.things[kind].open_views(self)
        return found

    def thing(self, kind: str, thing_id: str) -> "ThingView":
        """The view of one thing, open or not, known or not."""
        return self.program.things[kind].view(self, thing_id)


class ThingView:
    """A thing as of the moment of its account's view."""

    __slots__ = ("_cache", "account", "id", "kind", "program", "state")

    def __init__(self, account: AccountView, kind: str, thing_id: str, state: ThingState) -> None:
        self.account = account
        self.kind = kind
        self.id = thing_id
        self.state = state
        self.program = account.program.things[kind]
        self._cache: dict[int, Value] = {}

    def __getitem__(self, index: int) -> Value:
        if index in self._cache:
            return self._cache[index]
        value = self._cache[index] = self.program.slots[index].read(self)
        return value

    @property
    def moment(self) -> Moment:
        """The moment of the look."""
        return self.account.moment

    def value(self, name: str) -> Value:
        """The value of one of the thing's names (without the thing's own name)."""
        return self[self.program.slot(name)]

    @property
    def open(self) -> bool:
        """Is it open, and such a thing at all?"""
        return self.program.is_open(self)


class EventView:
    """One event as the subject of a rule; ``view[i]`` is the value of the rule's event name ``i``."""

    __slots__ = ("_names", "_zone", "event", "time")

    def __init__(self, event: Event, time: Instant, names: Sequence[str], zone: Zone) -> None:
        self.event = event
        self.time = time
        self._names = names
        self._zone = zone

    def __getitem__(self, index: int) -> Value:
        return self.value(self._names[index])

    def value(self, name: str) -> Value:
        """``person``, or a property by its dotted path."""
        if name == "person":
            return self.event.user_id
        return read(nested(self.event.properties, tuple(name.split("."))), None, self._zone)
