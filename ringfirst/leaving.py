"""How mails leave: the channel that the settings name, and a sender that goes on until it is stopped."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RingfirstError, StoreError
from ringfirst.intake import now
from ringfirst.settings import Settings

if TYPE_CHECKING:
    from engine.instants import Instant
    from outreach.channel import Channel
    from outreach.context import Sender
    from outreach.sender import SendReport

EVERY_SECONDS = 2.0
"""How often somebody looks for mails that are due."""
RESTS = 9
"""How many times as long as it took the sender rests: thousands of held mails are asked anew in each round."""
REST_SECONDS = 60.0
"""How long it rests at most."""
ROUND_SECONDS = 30.0
"""How long mails are handed over before somebody looks anew for what is due, and for what should wait by now."""
AFTER_FAILURE_SECONDS = 30.0
_log = logging.getLogger("ringfirst.leaving")


def channel_of(found: Settings, sender: "Sender", outbox: Path | None) -> "Channel":
    """The SMTP server that the settings name, else the outbox folder; ``outbox`` asks for a folder in any case."""
    if found.smtp is None or outbox is not None:
        from outreach.channels.file import FileChannel

        return FileChannel(outbox or found.outbox)
    from outreach.channels.smtp import SmtpChannel
    from outreach.channels.smtp_server import SmtpServer

    host, _, port = found.smtp.rpartition(":")
    server = SmtpServer(
        host=host.strip("[]"),
        port=int(port),
        security=found.smtp_security,
        user=found.smtp_user,
        password=found.smtp_password.get_secret_value() if found.smtp_password is not None else None,
        ca=found.smtp_ca,
    )
    return SmtpChannel(server, sender.address)


def only_to(found: Settings) -> tuple[str, ...]:
    """The domains that mails may go to; empty: all."""
    return tuple(name.strip().lower() for name in found.only_to.split(",") if name.strip())


def rest(took: float, mails: int, *, every: float = EVERY_SECONDS) -> float:
    """How long to rest, in seconds, after a round that took so long; one that ended with mails left goes on.

    >>> rest(0.1, 0), rest(3.0, 5), rest(600.0, 0), rest(31.0, 400)
    (2.0, 27.0, 60.0, 2.0)
    """
    full = mails > 0 and took >= ROUND_SECONDS
    return every if full else min(max(every, RESTS * took), REST_SECONDS)


def keep_sending(
    once: "Callable[[Instant], SendReport]", stopping: threading.Event, *, every: float = EVERY_SECONDS
) -> None:
    """Send what is due, by the wall clock, until told to stop; a failure is said once, and tried again later."""
    said = ""
    while not stopping.is_set():
        began = time.monotonic()
        try:
            report = once(now())
            pause = rest(time.monotonic() - began, report.mails, every=every)
            if said:
                _log.info("going on")
            said = ""
            if report.mails:
                _log.info("%s left", "1 mail" if report.mails == 1 else f"{report.mails} mails")
        except RingfirstError as err:
            pause = AFTER_FAILURE_SECONDS if not isinstance(err, StoreError) else every
            if said != str(err):
                _log.error("%s; it is tried again", err)
            said = str(err)
        stopping.wait(pause)
