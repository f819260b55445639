"""A row of columns read as plain state: what measures keep, in the shape in which the plain code keeps it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine.measures.measure import Data, Moment

if TYPE_CHECKING:
    from engine.columns.table import Table


class KeptRow:
    """``kept`` of an account or thing whose measures live in a table. Reading gives plain data, made when asked for."""

    __slots__ = ("own", "row", "table")

    def __init__(self, table: "Table", row: int, own: list[Data]) -> None:
        self.table = table
        self.row = row
        self.own = own

    def __getitem__(self, index: int) -> Data:
        return self.table.data(index, self.row, self.own)

    def number(self, index: int, moment: Moment) -> Any:
        """A counted measure's value today, from its running sum; ``UNREAD`` where only the plain code can tell."""
        return self.table.number(index, self.row, moment)

    def __iter__(self) -> Iterator[Data]:
        return (self[at] for at in range(len(self)))

    def __len__(self) -> int:
        return len(self.table.scope.kept)
