"""Reading a store's tables without the engine: plain SQL over SQLite and PostgreSQL."""

import sqlite3
from contextlib import closing
from typing import Any

import psycopg


def rows(url: str, question: str) -> list[tuple[Any, ...]]:
    """The rows of a question; bytes are bytes on both."""
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as db:
            return db.execute(question).fetchall()
    with psycopg.connect(url.replace("+psycopg", "")) as db:
        found = db.execute(question.encode()).fetchall()
        return [tuple(bytes(one) if isinstance(one, memoryview) else one for one in row) for row in found]


def write(url: str, order: str) -> None:
    """Do something to the rows that the product would not."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20)) as db, db:
            db.execute(order)
        return
    with psycopg.connect(url.replace("+psycopg", "")) as server:
        server.execute(order.encode())
