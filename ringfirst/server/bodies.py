"""Bodies of requests: from bytes on the wire to good events and dead letters, within limits."""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from engine.events import MAX_BYTES, Arrived, BadEvent, decode
from engine.instants import Instant
from engine.store import DeadLetter
from ringfirst.server.refused import Refused
from streams.files import dead_letter

MAX_BODY = 8 * 1024 * 1024
"""Largest body in bytes, on the wire and unpacked."""
MAX_EVENTS = 10_000
"""Most events in one request."""
SOURCE = "http"
JSON = frozenset({"application/json"})
LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})

_GZIP = 16 + zlib.MAX_WBITS
_BOM = b"\xef\xbb\xbf"
_records = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(slots=True)
class Parcel:
    """What one request brought: ``good`` events, ``letters`` for the bad ones with their ``places`` in the request."""

    good: list[Arrived]
    letters: list[DeadLetter]
    places: list[int]

    def __len__(self) -> int:
        """How many events were received."""
        return len(self.good) + len(self.letters)


class Unpacking:
    """Takes a body in piece by piece and gives it whole. Raises ``Refused`` (413, 400) as soon as a limit is passed."""

    def __init__(self, *, gzip: bool) -> None:
        self._wire = 0
        self._held = bytearray()
        self._gzip = zlib.decompressobj(_GZIP) if gzip else None

    def feed(self, piece: bytes) -> int:
        """Take the next piece; returns by how many bytes the unpacked body grew."""
        self._wire += len(piece)
        if self._wire > MAX_BODY:
            raise too_large(f"more than {MAX_BODY:,} bytes")
        before = len(self._held)
        if self._gzip is None:
            self._held += piece
        else:
            self._unpack(piece)
        return len(self._held) - before

    def whole(self) -> bytes:
        """The unpacked body."""
        if self._gzip is not None and not self._gzip.eof:
            raise Refused(400, "body: the gzip has no end; nothing was taken; send it again, whole")
        return bytes(self._held)

    def _unpack(self, piece: bytes) -> None:
        while piece and self._gzip is not None:
            if self._gzip.eof:  # a gzip may have several members, one after the other
                self._gzip = zlib.decompressobj(_GZIP)
            try:
                # One byte more than fits: a small body that unpacks into gigabytes is never unpacked further.
                self._held += self._gzip.decompress(piece, MAX_BODY + 1 - len(self._held))
            except zlib.error as err:
                raise Refused(400, "body: the gzip is damaged; nothing was taken; send it again, whole") from err
            if len(self._held) > MAX_BODY:
                raise too_large(f"more than {MAX_BODY:,} bytes unpacked")
            piece = self._gzip.unused_data


def too_large(found: str) -> Refused:
    """The answer to a body that is larger than we take."""
    return Refused(413, f"body: larger than {MAX_BODY:,} bytes; found {found}; send fewer events in one request")


def kind_of(content_type: str) -> frozenset[str]:
    """Which of the two shapes a content type stands for: ``JSON`` or ``LINES``. Raises ``Refused`` (415)."""
    plain = content_type.partition(";")[0].strip().lower()
    for kind in (JSON, LINES):
        if plain in kind:
            return kind
    raise Refused(
        415,
        f"Content-Type: not one we read; found {plain[:100]!r}; send application/json (one event or an array of them) "
        "or application/x-ndjson (one event in a line)",
    )


def read_parcel(body: bytes, kind: frozenset[str], *, wall: Instant) -> Parcel:
    """Read every event of a body. What is no good event becomes a dead letter; the good ones beside it go through.

    Raises ``Refused`` where the body as a whole cannot be read: then nothing of it is taken.
    """
    records = list(_lines(body) if kind is LINES else _array(body))
    if not records:
        raise Refused(400, "body: there is no event in it; found nothing but space; send at least one")
    if len(records) > MAX_EVENTS:
        raise Refused(413, f"body: more than {MAX_EVENTS:,} events; found {len(records):,}; send fewer in one request")
    parcel = Parcel([], [], [])
    mark = ""
    for place, raw in enumerate(records):
        found = decode(raw, wall=wall)
        if isinstance(found, Arrived):
            parcel.good.append(found)
            continue
        # Named by the content of its request: the same request sent again makes no second dead letter.
        mark = mark or hashlib.sha256(body).hexdigest()[:16]
        parcel.letters.append(_letter(f"request {mark}, event {place}", found, raw, wall))
        parcel.places.append(place)
    return parcel


def _letter(where: str, found: BadEvent, raw: bytes, wall: Instant) -> DeadLetter:
    return dead_letter(SOURCE, where, found.reason, raw[:MAX_BYTES], wall, found.account_id)


def _lines(body: bytes) -> Iterator[bytes]:
    for line in body.removeprefix(_BOM).split(b"\n"):
        stripped = line.strip()
        if stripped:
            yield stripped


def _array(body: bytes) -> Iterator[bytes]:
    text = body.removeprefix(_BOM).strip()
    if not text.startswith(b"["):
        if text:
            yield text
        return
    try:
        yield from map(bytes, _records(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as err:
        raise Refused(
            400, f"body: not a JSON array; {str(err)[:200]}; nothing was taken; send it again, whole"
        ) from err
