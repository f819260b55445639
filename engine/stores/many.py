"""Many names in one question, and one statement for many rows, by the shortest way of each database.

SQLAlchemy writes a question anew for every number of names that it is asked about, and looks at every row that it is
handed; where mails leave by handfuls, that is most of what a statement costs.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Names(sa.TypeDecorator[Collection[str]]):
    """Names as one value: a list of JSON for SQLite, an array for PostgreSQL."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.ARRAY(sa.Text))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Collection[str] | None, dialect: sa.Dialect) -> Any:
        names = list(value or ())
        return names if dialect.name == "postgresql" else msgspec.json.encode(names).decode()


class Among(FunctionElement[bool]):
    """Is a column one of the names that are handed in under ``name``? However many there are, it is the same text."""

    type = sa.Boolean()
    inherit_cache = True

    def __init__(self, column: "sa.ColumnElement[Any]", name: str) -> None:
        super().__init__(column, sa.bindparam(name, type_=_Names()))


@compiles(Among)
def _listed(element: Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, names = element.clauses
    return f"{compiler.process(column, **kw)} IN (SELECT value FROM json_each({compiler.process(names, **kw)}))"  # noqa: S608, both are parts of a statement


@compiles(Among, "postgresql")
def _arrayed(element: Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, names = element.clauses
    return f"{compiler.process(column, **kw)} = ANY(CAST({compiler.process(names, **kw)} AS text[]))"


def each(connection: sa.Connection, statement: sa.Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run a statement that is made once for each of the rows; its values are text, whole numbers, bytes or null."""
    if not rows:
        return
    if connection.dialect.name != "sqlite":
        connection.execute(statement, rows)
        return
    text, names, fixed = _written(statement, connection.dialect)
    cells = [tuple(row[name] if name in row else fixed[name] for name in names) for row in rows]
    connection.connection.driver_connection.executemany(text, cells)  # type: ignore[union-attr]


@lru_cache(maxsize=64)
def _written(statement: Any, dialect: sa.Dialect) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """A statement as the database reads it, the names of its values in their order, and those that never change."""
    made = statement.compile(dialect=dialect)
    return str(made), tuple(made.positiontup or ()), dict(made.params)
