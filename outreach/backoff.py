"""When a mail is tried again that its channel did not take for now. Pure."""

import hashlib

from engine.instants import HOUR, MINUTE, Instant
from engine.store import OutreachRow
from outreach.approving import FRESH

AGAIN = 5 * MINUTE
"""How long it waits after the first try; some servers make every stranger come twice."""
LONGEST = 2 * HOUR
"""It waits twice as long after each further one, up to this."""
APART = HOUR
"""By how much the clocks of two senders may differ: what one has put off, the other puts off too."""
SPREAD = 0.2
"""By how much of that it may wait longer: many that were put off together do not come back together."""


def again_at(row: OutreachRow) -> Instant | None:
    """When a mail may be tried again; None: it was not put off. The same row always gives the same instant."""
    if row.state != "queued" or row.why in FRESH:
        return None
    tries = row.tries or 1
    wait = min(AGAIN << min(tries - 1, 10), LONGEST)
    share = int(hashlib.sha256(f"{row.outreach_id} {tries}".encode()).hexdigest()[:8], 16) / 2**32
    return row.state_at + wait + int(wait * SPREAD * share)


def is_put_off(row: OutreachRow, at: Instant) -> bool:
    """Does a mail wait for its next try at ``at``? A clock that was far ahead as it was put off is not waited for."""
    again = again_at(row)
    return again is not None and at < again and row.state_at <= at + APART
