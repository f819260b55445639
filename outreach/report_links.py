"""The link under which a reader opens a report again: signed, for ninety days, and for whoever it is forwarded to.

It names the mail and its reader by hashes alone. It opens the figures that were sent; the events behind them stay here.
"""

import base64
import binascii
import hmac
from typing import NamedTuple

from engine.instants import DAY, Instant
from engine.store import OutreachRow
from outreach.links import Sign

KEEP_DAYS = 90
"""For so long after it was decided a report can be opened."""
_MAC, _MAIL, _MARK, _DAYS = 16, 16, 8, 3
_WHOLE = _MAC + _MAIL + _MARK + _DAYS
_LONGEST = 100


class ReportLink(NamedTuple):
    """What a link says: the mail, a mark of its reader, and the first day (since 1970, UTC) on which it is over."""

    outreach_id: str
    mark: str
    over: int


def report_path(row: OutreachRow, sign: Sign) -> str:
    """The path of the link in a mail: always the same for the same mail."""
    link = ReportLink(row.outreach_id, mark_of(row, sign), row.at // DAY + KEEP_DAYS + 1)
    payload = bytes.fromhex(link.outreach_id + link.mark) + link.over.to_bytes(_DAYS, "big")
    return "/r/" + base64.urlsafe_b64encode(_mac(payload, sign) + payload).decode().rstrip("=")


def mark_of(row: OutreachRow, sign: Sign) -> str:
    """What tells a mail's reader apart, and is another one as soon as the reader is forgotten."""
    return sign(f"report reader\0{row.account_id}\0{row.to}")[: 2 * _MARK]


def unseal_report(text: str, sign: Sign, *, at: Instant) -> ReportLink | None:
    """Read what stands behind ``/r/``; None for what we have not sealed, or sealed too long ago."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    mac, payload = raw[:_MAC], raw[_MAC:]
    if len(text) > _LONGEST or len(raw) != _WHOLE or not hmac.compare_digest(mac, _mac(payload, sign)):
        return None
    over = int.from_bytes(payload[-_DAYS:], "big")
    return ReportLink(payload[:_MAIL].hex(), payload[_MAIL:-_DAYS].hex(), over) if at // DAY < over else None


def _mac(payload: bytes, sign: Sign) -> bytes:
    return bytes.fromhex(sign(f"report link\0{payload.hex()}"))[:_MAC]
