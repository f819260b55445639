"""Events from files: JSON lines, plain or gzip or from standard input, several files merged by event time."""

import gzip
import hashlib
import heapq
import io
import os
import stat
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from operator import itemgetter
from typing import Any, BinaryIO, Self

from engine.errors import UsageError
from engine.events import MAX_BYTES, Arrived, BadEvent, decode
from engine.instants import Instant
from engine.refusals import strays
from engine.store import DeadLetter

STDIN = "-"
Item = Arrived | DeadLetter
Line = tuple[Instant, bytes, Item]
Progress = Callable[[int], None]
"""Called with the bytes that were read since the last call, as they lie on the disk."""

_LINE = MAX_BYTES + 2  # the largest event and its line end; what is longer is never held as a whole
_CHUNK = 1 << 18
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_NEVER = -(2**63)


class EventFiles:
    """Files of events, opened and ready to be read once; ``-`` is standard input.

    Raises ``UsageError``, naming every file that is missing or cannot be read, before anything is read.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._stack = ExitStack()
        self._early = 0
        self._progress: Progress = self._hold
        self.strays: Counter[tuple[str, str]] = Counter()
        """How many events had a field that is not read and looks like one they lack: by (found, meant)."""
        self._open: list[tuple[str, BinaryIO]] = []
        faults = []
        sizes: list[int | None] = []
        for name in sorted(names):  # the order of ties, whatever the order of the arguments
            try:
                stream, size = self._opened(name)
            except OSError as err:
                faults.append(f"{name}: cannot be read; {err.strerror or err}; check the name and who may read it")
            except UsageError as err:
                faults.append(str(err))
            else:
                self._open.append((name, stream))
                sizes.append(size)
        self.size = None if None in sizes else sum(size for size in sizes if size is not None)
        if faults:
            self.close()
            raise UsageError("\n".join(faults))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every file; standard input stays open."""
        self._stack.close()

    def read(self, *, wall: Instant, progress: Progress | None = None) -> Iterator[Item]:
        """Give every line as a good event or a dead letter, files merged by event time.

        Only the heads of the files are compared (ties by file name, then line), so a file need not be sorted. Blank
        lines are passed over. ``wall`` is the clock at intake. Raises ``UsageError`` where a file breaks off, after
        everything good before it.
        """
        for _time, _raw, item in self.lines(wall=wall, progress=progress):
            yield item

    def lines(self, *, wall: Instant, progress: Progress | None = None) -> Iterator[Line]:
        """Like ``read``, and beside each item its time and its bytes; a bad line has the time of the one before it."""
        self._progress = progress or _silent
        self._progress(self._early)
        timed = [_timed(_items(name, stream, wall, self.strays)) for name, stream in self._open]
        return timed[0] if len(timed) == 1 else heapq.merge(*timed, key=itemgetter(0))

    def _opened(self, name: str) -> tuple[BinaryIO, int | None]:
        if name == STDIN:
            if any(other == STDIN for other, _ in self._open):
                raise UsageError("-: standard input is named twice; it can be read once; take one away")
            raw: Any = sys.stdin.buffer
            size = None
        else:
            raw = self._stack.enter_context(open(name, "rb", buffering=0))  # noqa: PTH123, SIM115 - the stack closes it
            status = os.fstat(raw.fileno())
            size = status.st_size if stat.S_ISREG(status.st_mode) else None
        counted = io.BufferedReader(_Counted(raw, self), _CHUNK)
        if counted.peek(2)[:2] != _GZIP:
            return counted, size
        return io.BufferedReader(gzip.GzipFile(fileobj=counted), _CHUNK), size

    def _hold(self, read: int) -> None:
        self._early += read  # what kind of file it is was looked at before anybody asked for progress

    def count(self, read: int) -> None:
        """Tell that bytes were read."""
        self._progress(read)


class _Counted(io.RawIOBase):
    """Passes bytes on and tells how many there were."""

    def __init__(self, raw: BinaryIO, files: EventFiles) -> None:
        self._raw = raw
        self._files = files

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read1(len(buffer)) if isinstance(self._raw, io.BufferedReader) else self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self._files.count(len(data))
        return len(data)


def dead_letter(source: str, where: str, reason: str, raw: bytes, at: Instant, account_id: str | None) -> DeadLetter:
    """Make a dead letter; its id is derived from (source, where, raw), so that reading again adds none."""
    mark = hashlib.sha256(b"\0".join((source.encode(errors="surrogateescape"), where.encode(), raw))).hexdigest()[:32]
    shown = source.encode(errors="surrogateescape").decode(errors="replace")
    return DeadLetter(mark, shown, where, reason, raw, at, account_id)


def _items(name: str, stream: BinaryIO, wall: Instant, seen: Counter[tuple[str, str]]) -> Iterator[tuple[bytes, Item]]:
    for number, raw, length in _lines(name, stream):
        if length > len(raw):
            reason = f"larger than 256 KB; found {length} bytes, of which the first are kept; send less with the event"
            yield raw, dead_letter(name, f"line {number}", reason, raw, wall, None)
            continue
        found = decode(raw, wall=wall)
        if isinstance(found, BadEvent):
            yield raw, dead_letter(name, f"line {number}", found.reason, raw, wall, found.account_id)
        else:
            lacks = found.event.user_id is None or not found.event.properties
            if lacks and (strange := strays(raw)):
                seen.update(strange)
            yield raw, found


def _lines(name: str, stream: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """Number, bytes and true length of each line that is not blank; of an over-long one only its beginning."""
    number = 0
    try:
        while raw := stream.readline(_LINE):
            number += 1
            length = len(raw)
            if length == _LINE and not raw.endswith(b"\n"):
                length += _rest(stream)
            if number == 1:
                raw, length = raw.removeprefix(_BOM), length - len(_BOM) * raw.startswith(_BOM)
            line = raw.rstrip(b"\r\n")
            if length > _LINE:
                yield number, line[:MAX_BYTES], length
            elif line.strip():
                yield number, line, len(line)
    except (EOFError, gzip.BadGzipFile, zlib.error, OSError) as err:
        raise UsageError(
            f"{name}: line {number + 1}: the file breaks off here; {_broken(err)}; "
            "what stood before is taken in: mend the file and import it again"
        ) from err


def _rest(stream: BinaryIO) -> int:
    """Pass over the rest of an over-long line; returns its length without the line end."""
    length = 0
    while raw := stream.readline(_CHUNK):
        length += len(raw)
        if raw.endswith(b"\n"):
            return length - 1
    return length


def _broken(err: Exception) -> str:
    if isinstance(err, EOFError):
        return "the gzip has no end"
    if isinstance(err, gzip.BadGzipFile | zlib.error):
        return "the gzip is damaged"
    return str(err)


def _timed(items: Iterator[tuple[bytes, Item]]) -> Iterator[Line]:
    """Before each item its time; a dead letter goes with the line before it."""
    time = _NEVER
    for raw, item in items:
        if isinstance(item, Arrived):
            time = item.event.time
        yield time, raw, item


def _silent(_read: int) -> None:
    return
