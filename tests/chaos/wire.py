"""A wire between a worker and PostgreSQL that can be cut at a COMMIT, or swallow everything and say nothing."""

import asyncio
import random
import threading
from contextlib import suppress
from typing import Any, Self

import psycopg.conninfo
from sqlalchemy import URL, make_url

_CHUNK = 1 << 16


class Wire:
    """Listens on loopback and passes everything on, until told otherwise; use as a context manager.

    ``cut`` makes it break connections at commits: some before the database hears of it, some after it has committed
    and before it can say so. ``swallow`` leaves connections open and passes nothing on.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="wire")
        self._open: set[asyncio.StreamWriter] = set()
        self._chance = random.Random(0)
        self._share = 0.0
        self._left = 0
        self._passing = asyncio.Event()
        self.cut_before = self.cut_after = 0
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        """The database as it is reached over this wire."""
        there: URL = self._url.set(host="127.0.0.1", port=self.port)
        return there.difference_update_query(["host"]).render_as_string(hide_password=False)

    @property
    def cuts(self) -> int:
        """How many connections were broken at a commit."""
        return self.cut_before + self.cut_after

    def cut(self, times: int, share: float, seed: int) -> None:
        """Break connections at this share of the commits, so many times."""
        self._chance, self._share, self._left = random.Random(seed), share, times

    def swallow(self) -> None:
        """Pass nothing on any more, in neither direction; new connections are taken and get no answer."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def heal(self) -> None:
        """Break what hangs, and pass everything on again."""
        self._loop.call_soon_threadsafe(self._healed)

    def _healed(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self._passing.set()

    # -- in the thread -------------------------------------------------------------------------------------------------
    async def _listen(self) -> None:
        self._passing.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _there(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        told: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(plain)
        host, port = str(told.get("host", "127.0.0.1")), int(told.get("port") or 5432)
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._passing.wait()
            far_reader, far_writer = await self._there()
            self._open.add(far_writer)
            both = self._out(reader, writer, far_writer), self._back(far_reader, writer)
            try:
                await asyncio.gather(*both)
            finally:
                self._open.discard(far_writer)
                far_writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _out(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._passing.wait()
            if self._left and b"COMMIT" in chunk and self._chance.random() < self._share:
                self._left -= 1
                if self._chance.random() < 0.5:
                    self.cut_before += 1
                else:
                    self.cut_after += 1
                    far.write(chunk)
                    with suppress(OSError):
                        await far.drain()
                    near.transport.abort()
                    await asyncio.sleep(0.1)  # it commits, and nobody hears of it
                break
            far.write(chunk)
            await far.drain()
        near.transport.abort()
        far.transport.abort()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._passing.wait()
            writer.write(chunk)
            await writer.drain()
        writer.transport.abort()
