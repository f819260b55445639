"""The store's own clock: one for all senders, whatever the clocks of their machines say."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class StoreClock(FunctionElement[int]):
    """The instant by the server's clock where there is a server; elsewhere the one given, that of the one writer.

    It goes on within a transaction: what is written at its end may be seconds younger than its beginning.
    """

    type = sa.BigInteger()
    inherit_cache = True


@compiles(StoreClock)
def _given(element: StoreClock, compiler: SQLCompiler, **kw: Any) -> str:
    return str(compiler.process(element.clauses, **kw))


@compiles(StoreClock, "postgresql")
def _servers(_element: StoreClock, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS bigint)"
